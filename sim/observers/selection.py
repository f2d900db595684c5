"""The updates that a rule uses, and whether it leaves out the right ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sim.evidence import Outcome, outcome
from sim.federation.observing import Ended, Findings, Round, Subject
from sim.federation.rounds import Weights

FAINT = 0.1  # of an equal share; below it a hospital counts as left out


@dataclass
class Shares:
    """Each hospital's share of the aggregate, one mapping a round, of a rule that states shares."""

    by_round: list[dict[str, float]] = field(default_factory=list)


class SelectionObserver:
    """The observer of the hospitals that the rule leaves out, over all rounds."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.state = Shares()

    def start(self, weights: Weights) -> None:
        """Nothing is selected before round 1."""

    def round(self, seen: Round) -> None:
        """Note the shares that the rule states."""
        if (shares := seen.aggregated.shares) is not None:
            self.state.by_round.append(dict(shares))

    def findings(self, ended: Ended) -> Findings:
        """The outcomes of ``selection``."""
        return Findings(selection(self.state.by_round, self.subject.truth.hostile))


def selection(shares: Sequence[Mapping[str, float]], hostile: Sequence[str]) -> list[Outcome]:
    """The figures of selection from each round's shares by hospital; nothing if no round has any.

    ``hospital_weight``: a hospital's share of the aggregate, mean over rounds (an equal share is 1
    / n_hospitals). ``left_out``: share of rounds in which that was less than a tenth of an equal
    share. ``selection_precision``: hostile among those left out. ``selection_recall``: left out
    among the hostile. ``honest_left_out``: left out among the honest. Without an attack the hostile
    hospitals behave honestly: ``selection_recall`` shows nothing then.
    """
    if not shares:
        return []
    left_out = [
        (name, name in hostile, share < FAINT / len(row))
        for row in shares
        for name, share in row.items()
    ]
    caught = sum(out for _, bad, out in left_out if bad)
    wronged = sum(out for _, bad, out in left_out if not bad)
    n_hostile = sum(bad for _, bad, _ in left_out)
    n_honest = len(left_out) - n_hostile
    found = [
        _ratio("selection_precision", caught, caught + wronged, "no hospital was left out"),
        _ratio("selection_recall", caught, n_hostile, "no hostile hospital was weighed"),
        _ratio("honest_left_out", wronged, n_honest, "no honest hospital was weighed"),
    ]
    names = sorted({name for row in shares for name in row})
    return found + [one for name in names for one in _of_hospital(name, shares)]


def _of_hospital(name: str, shares: Sequence[Mapping[str, float]]) -> list[Outcome]:
    rows = [(row[name], row[name] < FAINT / len(row)) for row in shares if name in row]
    n = len(rows)
    weight = sum(share for share, _ in rows) / n
    left_out = sum(out for _, out in rows) / n
    return [
        outcome("hospital_weight", weight, n, hospital=name),
        outcome("left_out", left_out, n, hospital=name),
    ]


def _ratio(metric: str, part: int, whole: int, undefined: str) -> Outcome:
    return outcome(metric, part / whole if whole else None, whole, undefined=undefined)
