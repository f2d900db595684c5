"""The privacy that a run spends, and the epsilon that hospitals report."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from sim.design.refusals import REFUSED, UNTRAINED
from sim.evidence import Noised, Outcome, Screened, Statement, outcome
from sim.federation.observing import Ended, Findings, Round, Subject
from sim.federation.rounds import Aggregated, Weights
from sim.messages import TRAIN
from sim.observers.spending import epsilons, privacy
from sim.observers.statements import of_records, of_updates, patient_epsilons

SAME_EPSILON = 1e-6  # relative: a reported epsilon within it is the plan's


@dataclass
class Reported:
    """The epsilon that each hospital reported, by name.

    ``numbers``: stated last beside an update. ``refusals``: rounds in which it refused to train.
    Of all hospitals together: ``unasked``, the rounds after the consortium ended; ``seen``, those
    of which the aggregator saw anything; ``noised``, the columns of ``sim.evidence.Noised``.
    """

    numbers: dict[str, dict[str, float]] = field(default_factory=dict)
    refusals: dict[str, int] = field(default_factory=dict)
    unasked: int = 0
    seen: int = 0
    noised: dict[str, list[float]] = field(default_factory=dict)


class PrivacyObserver:
    """Compares what hospitals report that they spent with what the plan gives."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.state = Reported()

    def start(self, weights: Weights) -> None:
        """Nothing is spent before round 1."""

    def round(self, seen: Round) -> None:
        """Note what hospitals report, and which of them refuse to train."""
        for name, numbers in seen.aggregated.reported.items():
            self.state.numbers[name] = dict(numbers)
        self._note(seen.number, seen.aggregated)
        for lost in seen.aggregated.screened:
            if _is_untrained(lost.reason, self.subject.plan.trips):
                n_before = self.state.refusals.get(lost.hospital, 0)
                self.state.refusals[lost.hospital] = n_before + 1

    def _note(self, number: int, aggregated: Aggregated) -> None:
        """Note whether anybody was asked in a round, and what was done to the mean."""
        skipped = aggregated.skipped
        if skipped is not None and skipped.cause == "spent" and not aggregated.screened:
            self.state.unasked += 1
        self.state.seen += aggregated.view is not None
        if (released := aggregated.released) is not None:
            row = (("round", number), ("clip", released.clip), ("deviation", released.deviation))
            for name, value in row:
                self.state.noised.setdefault(name, []).append(value)

    def findings(self, ended: Ended) -> Findings:
        """The epsilon that each hospital spends, and those that are reported against it."""
        plan = self.subject.plan
        dp = plan.dp
        away = {
            name: self.state.refusals.get(name, 0) + self.state.unasked for name in plan.hospitals
        }
        terms = None if dp is None else privacy(plan, self.subject.truth, dp, away)
        spent = {} if dp is None or terms is None else epsilons(dp, terms.hospitals)
        disputed = _disputed(self.subject, spent, self.state.numbers)
        patients = {} if dp is None or terms is None else patient_epsilons(dp, terms)
        stated = list[Statement]()
        if dp is not None and terms is not None:
            stated += of_records(dp, terms, spent, patients)
        stated += self._of_updates()
        details = {
            "privacy": terms,
            "disputed": disputed,
            "statements": stated,
            "noised": Noised.model_validate(self.state.noised) if self.state.noised else None,
        }
        sizes = {site.name: plan.counted(len(site.records)) for site in self.subject.truth.sites}
        each = [
            outcome("epsilon", value, sizes[name], hospital=name) for name, value in spent.items()
        ]
        of_all = [outcome("epsilon", max(spent.values()), sum(sizes.values()))] if spent else []
        if patients:
            worst = max(patients.values())
            of_all.append(outcome("patient_epsilon", worst, sum(sizes.values())))
            each += [
                outcome("patient_epsilon", value, sizes[name], hospital=name)
                for name, value in patients.items()
            ]
        return Findings([*of_all, *each, *self._about_updates(stated)], details)

    def _of_updates(self) -> list[Statement]:
        """The statements of privacy of whole updates for the rounds that were made."""
        plan = self.subject.plan
        if plan.update_dp is None:
            return []
        asked = plan.training.rounds - self.state.unasked
        rounds = asked if plan.update_dp.place == "hospital" else self.state.seen
        return of_updates(plan.update_dp, plan.averaging, rounds)

    def _about_updates(self, stated: Sequence[Statement]) -> list[Outcome]:
        """The epsilon of a whole hospital, and how long the noise on the mean is."""
        plan = self.subject.plan
        dp = plan.update_dp
        if dp is None:
            return []
        found = [
            outcome("hospital_epsilon", one.epsilon, len(plan.hospitals))
            for one in stated
            if one.unit == dp.unit
        ]
        columns = self.state.noised
        if columns:
            root = math.sqrt(plan.network.n_params)
            pairs = zip(columns["deviation"], columns["clip"], strict=True)
            ratios = [root * deviation / clip for deviation, clip in pairs]
            found.append(outcome("noise_ratio", median(ratios), len(ratios)))
        return found


def _is_untrained(reason: str, trips: Sequence[str]) -> bool:
    """Whether a hospital refused before it trained, by the reason why its reply was not used."""
    kind, _, rest = reason.partition(": ")
    text = rest if kind in trips else reason
    before = trips[: trips.index(TRAIN)]
    why = text.removeprefix(REFUSED)
    return text.startswith(REFUSED) and (kind in before or why in UNTRAINED)


def _disputed(
    subject: Subject, spent: Mapping[str, float], reported: Mapping[str, Mapping[str, float]]
) -> list[Screened]:
    """The epsilons that hospitals report and that are not those ``spent``."""
    found = list[Screened]()
    for hospital, numbers in sorted(reported.items()):
        stated = numbers.get("epsilon")
        if stated is None:
            continue
        expected = "this run has no privacy"
        if hospital in spent:
            if math.isclose(stated, spent[hospital], rel_tol=SAME_EPSILON):
                continue
            expected = f"the plan gives {spent[hospital]:.6g}, which is recorded"
        reason = f"reports that it spent epsilon {stated:.6g}; {expected}"
        found.append(Screened(round=subject.plan.training.rounds, hospital=hospital, reason=reason))
    return found
