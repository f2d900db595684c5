"""Clinical quality of a model: on the test patients of all hospitals, and at each hospital."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from sim.evidence import BackdoorGoal, Outcome, outcome
from sim.federation import wire
from sim.federation.observing import Ended, Findings, Round, Subject
from sim.federation.rounds import Weights
from sim.models.network import Network
from sim.types import Backdoor, Consortium

ALL = "all"  # the name of the pooled test set in curves
CURVES = ("auroc", "brier", "accuracy")
UNTRAINED = "no round gave a new model, so there is no trained model to score"
NO_PATIENTS = "there are no test patients"
NOT_FINITE = "the scores of {broken} of {n} test patients are not finite"
BACKDOOR = "backdoor"  # the success of a backdoor's mark, round by round


@dataclass(frozen=True)
class Evaluator:
    """Scores parameter vectors of one model on one consortium's test records.

    With ``backdoor`` it scores marked records as well.
    """

    consortium: Consortium
    network: Network
    min_class_rows: int
    backdoor: Backdoor | None = None

    @cached_property
    def _features(self) -> NDArray[np.float32]:
        return np.concatenate([hospital.test.features for hospital in self.consortium.hospitals])

    @cached_property
    def _labels(self) -> NDArray[np.float64]:
        labels = [hospital.test.labels for hospital in self.consortium.hospitals]
        return np.concatenate(labels).astype(np.float64)

    @cached_property
    def _sizes(self) -> NDArray[np.int64]:
        return np.array([len(hospital.test) for hospital in self.consortium.hospitals])

    @cached_property
    def _site(self) -> NDArray[np.int64]:
        return np.repeat(np.arange(len(self.consortium)), self._sizes)

    @cached_property
    def _rankable(self) -> NDArray[np.bool_]:
        """Hospitals with enough test patients of each class for an AUROC of their own."""
        positive = np.bincount(self._site, weights=self._labels, minlength=len(self.consortium))
        smaller = np.minimum(positive, self._sizes - positive)
        return np.asarray(smaller >= self.min_class_rows)

    def scores(self, vector: NDArray[np.float32]) -> NDArray[np.float64]:
        """The logit of every test record, in order of the hospitals: those of ``scored``."""
        return self.scored(vector)[0]

    def scored(self, vector: NDArray[np.float32]) -> tuple[NDArray[np.float64], bool]:
        """The logits, (n_test,), and whether float32 holds them all.

        Computed in float32, as hospitals would; where that overflows, for all records in float64.
        So the scores of every finite model of a few layers are finite.
        """
        return _scored(self.network, vector, self._features)

    def by_hospital(self, vector: NDArray[np.float32]) -> dict[str, NDArray[np.float64]]:
        """AUROC, Brier score and accuracy, each (n_hospitals + 1,), NaN where not defined.

        The last entry is of all hospitals together.
        """
        found = self.by_round([self.scores(vector)])
        return {metric: values[0] for metric, values in found.items()}

    def by_round(self, scores: Sequence[NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
        """The figures of ``by_hospital`` for successive rounds, each (n_rounds, n_hospitals + 1).

        Scores that are not finite leave the figures of their hospital, and of all together,
        undefined in that round. ``scores``: of each round.
        """
        table = np.stack(scores)
        n = len(self.consortium)
        finite = np.isfinite(table)
        all_finite = finite.all(axis=1) & bool(len(self._labels))
        defined = np.column_stack([self._means(finite) == 1, all_finite])
        n_rounds = len(table)
        labels = np.tile(self._labels, len(table))
        site = (np.arange(n_rounds)[:, None] * n + self._site).ravel()
        round_ = np.repeat(np.arange(n_rounds), len(self._labels))
        each = segmented_auroc(table.ravel(), labels, site, n_rounds * n).reshape(n_rounds, n)
        pooled = segmented_auroc(table.ravel(), labels, round_, n_rounds)
        brier = (expit(table) - self._labels) ** 2
        right = (table > 0) == (self._labels > 0)
        found = {
            "auroc": np.column_stack([np.where(self._rankable, each, np.nan), pooled]),
            "brier": self._with_all(brier),
            "accuracy": self._with_all(right),
        }
        return {metric: np.where(defined, values, np.nan) for metric, values in found.items()}

    def _with_all(self, values: NDArray[np.float64] | NDArray[np.bool_]) -> NDArray[np.float64]:
        """Means as of ``_means``, with that over all at the end, (n_rounds, n_hospitals + 1)."""
        total = values.mean(axis=1) if values.shape[1] else np.full(len(values), np.nan)
        return np.column_stack([self._means(values), total])

    def _means(self, values: NDArray[np.float64] | NDArray[np.bool_]) -> NDArray[np.float64]:
        """Means of ``values`` (n_rounds, n_test) by hospital; NaN at one without test records."""
        starts = np.cumsum(self._sizes) - self._sizes
        there = self._sizes > 0
        means = np.full((len(values), len(self._sizes)), np.nan)
        if there.any():
            sums = np.add.reduceat(values, starts[there], axis=1, dtype=np.float64)
            means[:, there] = sums / self._sizes[there]
        return means

    def backdoor_success(self, vector: NDArray[np.float32]) -> float:
        """The share of marked test records, not of the target class, that the model puts into it.

        NaN where there are none of them, or one has a score that is not finite.
        """
        assert self.backdoor is not None
        scores, _ = _scored(self.network, vector, self._marked)
        if not len(scores) or not np.isfinite(scores).all():
            return float("nan")
        return float(np.mean(scores > 0 if self.backdoor.target else scores <= 0))

    @property
    def n_marked(self) -> int:
        """The number of test records that ``backdoor_success`` is a share of."""
        return len(self._marked)

    @cached_property
    def _marked(self) -> NDArray[np.float32]:
        assert self.backdoor is not None
        others = self._features[self._labels != self.backdoor.target]
        return self.backdoor.trigger(others, self.consortium.schema)

    def outcomes(self, vector: NDArray[np.float32] | None) -> list[Outcome]:
        """The figures of a final model, pooled and at each hospital; none is defined without one.

        ``sensitivity_at_90_specificity``: share of the patients with the condition who are found
        when at most 10 % of those without it are alarmed. AUROC, average precision and sensitivity
        need test patients of both classes, AUROC of a hospital ``min_class_rows`` of each. No
        figure exists without test patients, or where a score is not finite; the worst hospital has
        none where that is so at one that would have an AUROC.
        """
        labels = self._labels
        names = self.consortium.names
        scores = np.full(len(labels), np.nan) if vector is None else self.scores(vector)
        found = {metric: values[0] for metric, values in self.by_round([scores]).items()}
        ranked = not np.isnan(found["auroc"][-1])
        figures = {metric: defined(values[-1]) for metric, values in found.items()}
        figures |= {"auprc": None, "sensitivity_at_90_specificity": None}
        if ranked:
            figures["auprc"] = average_precision(labels, scores)
            figures["sensitivity_at_90_specificity"] = sensitivity_at(0.9, labels, scores)
        each = found["auroc"][:-1][self._rankable]  # of one that is left with none, nobody knows
        figures["worst_hospital_auroc"] = defined(each.min()) if len(each) else None
        known = None if vector is None else scores
        n_least = self.min_class_rows
        why = f"no hospital has {n_least} test patients of each class and finite scores"
        if not ranked:
            why = self._why(known)
        outcomes = [
            outcome(metric, value, len(labels), undefined=why) for metric, value in figures.items()
        ]
        reasons = self._reasons(known)
        for i, (name, n) in enumerate(zip(names, self._sizes.tolist(), strict=True)):
            for metric in CURVES:
                value = defined(found[metric][i])
                outcomes.append(outcome(metric, value, n, hospital=name, undefined=reasons[i]))
        return outcomes

    def _reasons(self, scores: NDArray[np.float64] | None) -> list[str]:
        """Why a figure of each hospital is not defined, if it is not."""
        if scores is None:
            return [UNTRAINED] * len(self.consortium)
        n_hospitals = len(self.consortium)
        broken = np.bincount(self._site, weights=~np.isfinite(scores), minlength=n_hospitals)
        few = f"there are fewer than {self.min_class_rows} test patients of a class"
        return [
            NO_PATIENTS if not n else NOT_FINITE.format(broken=int(lost), n=n) if lost else few
            for n, lost in zip(self._sizes.tolist(), broken.tolist(), strict=True)
        ]

    def _why(self, scores: NDArray[np.float64] | None) -> str:
        """Why the pooled AUROC is not defined; ``scores`` None: there is no trained model."""
        n = len(self._labels)
        positive = int(self._labels.sum())
        if scores is None:
            return UNTRAINED
        if not n:
            return NO_PATIENTS
        broken = n - int(np.isfinite(scores).sum())
        if broken:
            return NOT_FINITE.format(broken=broken, n=n)
        return f"all {n} test patients are {'with' if positive else 'without'} the condition"


def defined(value: float) -> float | None:
    """A figure as evidence states it: None in place of NaN."""
    return None if np.isnan(value) else float(value)


def _scored(
    network: Network, vector: NDArray[np.float32], features: NDArray[np.float32]
) -> tuple[NDArray[np.float64], bool]:
    """Logits in float32, else in float64 where one is not finite; and whether float32 did."""
    with np.errstate(over="ignore", invalid="ignore"):
        scores = network.scores(vector, features)
        if np.isfinite(scores).all():
            return scores, True
        return network.scores(vector.astype(np.float64), features.astype(np.float64)), False


def sensitivity_at(
    specificity: float, labels: NDArray[np.float64], scores: NDArray[np.float64]
) -> float:
    """The largest share of patients with the condition found at a threshold.

    The threshold spares at least ``specificity`` of those without it. There are patients with and
    without.
    """
    found, false_alarms = _alarms(labels, scores)
    spares = false_alarms / false_alarms[-1] <= 1 - specificity + 1e-12
    return float((found / found[-1])[spares].max(initial=0.0))


def average_precision(labels: NDArray[np.float64], scores: NDArray[np.float64]) -> float:
    """The mean precision over patients with the condition, as scikit-learn has it to the last bit.

    A patient's precision is the share with the condition among all who score at least as high. At
    least one patient has the condition.
    """
    found, false_alarms = _alarms(labels, scores)
    precision = (found / (found + false_alarms))[::-1]
    recall = np.append((found / found[-1])[::-1], 0.0)
    return float(max(0.0, -np.sum(np.diff(recall) * precision)))


def _alarms(
    labels: NDArray[np.float64], scores: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The numbers of patients with and without the condition who score at least a threshold.

    The thresholds are the different scores, from the largest on. In numpy, because to import
    scikit-learn takes as long as some runs.
    """
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    found = np.cumsum(labels[order])[last]
    return found, last + 1 - found


def segmented_auroc(
    scores: NDArray[np.float64],
    labels: NDArray[np.float64],
    segment: NDArray[np.int64],
    n_segments: int,
) -> NDArray[np.float64]:
    """AUROC within each segment, (n_segments,), NaN where a class is absent.

    It is the Mann-Whitney statistic, ties counted half, of all segments at once, because it runs in
    every round for every hospital; equal to scikit-learn's ``roc_auc_score``.
    """
    order = np.argsort(scores)  # by score, then by segment: small whole numbers sort fast
    order = order[np.argsort(segment[order].astype(np.min_scalar_type(n_segments)), kind="stable")]
    scores = scores[order]
    labels = labels[order]
    segment = segment[order]
    new = np.ones(len(scores), dtype=bool)
    new[1:] = (scores[1:] != scores[:-1]) | (segment[1:] != segment[:-1])
    group = np.cumsum(new) - 1
    ranks = np.bincount(group, weights=np.arange(1.0, len(scores) + 1))
    middle = (ranks / np.bincount(group))[group]  # ties have their mean rank
    n = np.bincount(segment, minlength=n_segments)
    rank = middle - (np.cumsum(n) - n)[segment]
    positive = np.bincount(segment, weights=labels, minlength=n_segments)
    above = np.bincount(segment, weights=rank * labels, minlength=n_segments)
    with np.errstate(invalid="ignore", divide="ignore"):
        auroc: NDArray[np.float64] = (above - positive * (positive + 1) / 2) / (
            positive * (n - positive)
        )
    return auroc


def curve(
    names: Sequence[str], by_round: Mapping[str, NDArray[np.float64]]
) -> dict[str, list[object]]:
    """Columns round, hospital, metric and value of what ``Evaluator.by_round`` gives.

    Round 0 is the untrained model. A metric of all hospitals together only is (n_rounds, 1). What
    is NaN is left out.
    """
    where = np.array([*names, ALL], dtype=object)
    columns: dict[str, list[object]] = {"round": [], "hospital": [], "metric": [], "value": []}
    for metric, values in by_round.items():
        round_, hospital = np.nonzero(~np.isnan(values))
        columns["round"] += round_.tolist()
        columns["hospital"] += where[-values.shape[1] :][hospital].tolist()
        columns["metric"] += [metric] * len(round_)
        columns["value"] += values[round_, hospital].round(6).tolist()
    return columns


@dataclass
class Evaluated:
    """The scores of the model before round 1 and after each round, in order.

    ``scores``: logits of all test records. ``backdoor``: its success. ``not_finite``: rounds in
    which an honest update, the new weights or a score was not finite in float32. ``is_trained``:
    whether any round gave a new model.
    """

    scores: list[NDArray[np.float64]] = field(default_factory=list)
    backdoor: list[float] = field(default_factory=list)
    not_finite: list[int] = field(default_factory=list)
    is_trained: bool = False


class Evaluation:
    """Clinical quality after each round, together and by hospital, and success of a backdoor."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self._backdoor = next(iter(subject.truth.backdoors.items()), None)
        backdoor = self._backdoor and self._backdoor[1]
        consortium = subject.truth.consortium
        network = subject.plan.network
        self.evaluator = Evaluator(consortium, network, subject.min_class_rows, backdoor)
        self.state = Evaluated()

    def start(self, weights: Weights) -> None:
        """Score the model before round 1."""
        self._score(0, weights)

    def round(self, seen: Round) -> None:
        """Score the model after a round."""
        aggregated = seen.aggregated
        hostile = self.subject.truth.hostile
        honest = [lost for lost in aggregated.screened if lost.hospital not in hostile]
        overflowed = aggregated.skipped is not None and aggregated.skipped.cause == "not_finite"
        if overflowed or any(lost.reason == wire.NOT_FINITE for lost in honest):
            self.state.not_finite.append(seen.number)
        self.state.is_trained |= aggregated.skipped is None
        self._score(seen.number, seen.after)

    def _score(self, number: int, weights: Weights) -> None:
        scores, fits = self.evaluator.scored(weights)
        self.state.scores.append(scores)
        if not fits:
            self.state.not_finite.append(number)
        if self._backdoor is not None:
            self.state.backdoor.append(self.evaluator.backdoor_success(weights))

    def findings(self, ended: Ended) -> Findings:
        """The figures of the final model, together and by hospital, and curves over the rounds."""
        by_round = self.evaluator.by_round(self.state.scores)
        if self.state.backdoor:
            by_round[BACKDOOR] = np.array(self.state.backdoor)[:, None]
        details = {
            "curve": curve(self.subject.plan.hospitals, by_round),
            "not_finite_from": min(self.state.not_finite, default=None),
            "backdoor": self._goal(),
        }
        outcomes = self.evaluator.outcomes(ended.weights if self.state.is_trained else None)
        return Findings([*outcomes, *self._backdoor_outcomes(ended.attack_free)], details)

    def _goal(self) -> BackdoorGoal | None:
        if self._backdoor is None:
            return None
        name, backdoor = self._backdoor
        return BackdoorGoal(attack=name, target=backdoor.target)

    def _backdoor_outcomes(self, attack_free: Weights | None) -> list[Outcome]:
        if self._backdoor is None or attack_free is None:
            return []
        n = self.evaluator.n_marked
        success = self.state.backdoor[-1]
        false_trigger = self.evaluator.backdoor_success(attack_free)
        why = "a score of a marked record is not finite" if n else "no test record can be marked"
        return [
            outcome("backdoor_success", defined(success), n, undefined=why),
            outcome("false_trigger_rate", defined(false_trigger), n, undefined=why),
        ]
