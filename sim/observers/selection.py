"""Whose updates a rule that selects or weighs hospitals uses, and whether it leaves out the right ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sim.evidence import Heard, Selection
from sim.experiment import Experiment
from sim.federation.rounds import Ended, Findings, Round, Weights

FAINT = 0.1  # of an equal share; below it a hospital counts as left out


@dataclass
class Shares:
    """Each hospital's share of the aggregate, one mapping a round, of a rule that selects or weighs hospitals."""

    by_round: list[dict[str, float]] = field(default_factory=list)


class SelectionObserver:
    """Which hospitals the rule leaves out, over all rounds."""

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        self.state = Shares()

    def start(self, weights: Weights) -> None:
        """Nothing is selected before round 1."""

    def round(self, seen: Round) -> None:
        """Note the shares that the rule states."""
        if (shares := seen.aggregated.shares) is not None:
            self.state.by_round.append(dict(shares))

    def findings(self, ended: Ended) -> Findings:
        """The selection; None if the rule states no shares."""
        return Findings({"selection": selection(self.state.by_round, self.experiment.hostile)})


def selection(shares: Sequence[Mapping[str, float]], hostile: Sequence[str]) -> Selection | None:
    """Evidence from each round's shares by hospital; None if no round has any."""
    if not shares:
        return None
    left_out = [(name, name in hostile, share < FAINT / len(row)) for row in shares for name, share in row.items()]
    caught = sum(out for _, bad, out in left_out if bad)
    wronged = sum(out for _, bad, out in left_out if not bad)
    return Selection(
        rounds=len(shares),
        hospitals=[_weight(name, name in hostile, shares) for name in sorted({name for row in shares for name in row})],
        precision=_ratio(caught, caught + wronged),
        recall=_ratio(caught, sum(bad for _, bad, _ in left_out)),
        wrongly_left_out=_ratio(wronged, sum(not bad for _, bad, _ in left_out)),
    )


def _weight(name: str, hostile: bool, shares: Sequence[Mapping[str, float]]) -> Heard:
    rows = [(row[name], row[name] < FAINT / len(row)) for row in shares if name in row]
    mean, faint = sum(share for share, _ in rows) / len(rows), sum(out for _, out in rows) / len(rows)
    return Heard(hospital=name, hostile=hostile, share=mean, left_out=faint)


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
