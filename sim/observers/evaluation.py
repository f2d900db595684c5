"""Clinical quality of a model: on the test patients of all hospitals together, and at each
hospital.
"""

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
    """Scores parameter vectors of one model on one consortium's test records; with ``backdoor``,
    also on marked ones.
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
        return np.concatenate(
            [hospital.test.labels for hospital in self.consortium.hospitals]
        ).astype(np.float64)

    @cached_property
    def _site(self) -> NDArray[np.int64]:
        return np.repeat(
            np.arange(len(self.consortium)),
            [len(hospital.test) for hospital in self.consortium.hospitals],
        )

    @cached_property
    def _rankable(self) -> NDArray[np.bool_]:
        """Hospitals with enough test patients of each class for an AUROC of their own."""
        n = np.bincount(self._site, minlength=len(self.consortium))
        ill = np.bincount(self._site, weights=self._labels, minlength=len(self.consortium))
        return np.asarray((ill >= self.min_class_rows) & (n - ill >= self.min_class_rows))

    def scores(self, vector: NDArray[np.float32]) -> NDArray[np.float64]:
        """Logit of every test record, in order of the hospitals: those of ``scored``."""
        return self.scored(vector)[0]

    def scored(self, vector: NDArray[np.float32]) -> tuple[NDArray[np.float64], bool]:
        """The logits, (n_test,), and whether float32 holds them all.

        Computed in float32, as hospitals would; where that overflows, for all records in float64.
        So the scores of every finite model of a few layers are finite.
        """
        return _scored(self.network, vector, self._features)

    def by_hospital(self, vector: NDArray[np.float32]) -> dict[str, NDArray[np.float64]]:
        """AUROC, Brier score and accuracy, each (n_hospitals + 1,), NaN where not defined; the last
        entry is all together.
        """
        return {
            metric: values[0] for metric, values in self.by_round([self.scores(vector)]).items()
        }

    def by_round(self, scores: Sequence[NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
        """What ``by_hospital`` states, for the ``scores`` of successive rounds, each (n_rounds,
        n_hospitals + 1).

        Scores that are not finite leave the figures of their hospital, and of all together,
        undefined in that round.
        """
        table, n = np.stack(scores), len(self.consortium)
        finite = np.isfinite(table)
        defined = np.column_stack(
            [self._means(finite) == 1, finite.all(axis=1) & bool(len(self._labels))]
        )
        n_rounds, labels = len(table), np.tile(self._labels, len(table))
        site = (np.arange(n_rounds)[:, None] * n + self._site).ravel()
        round_ = np.repeat(np.arange(n_rounds), len(self._labels))
        each = segmented_auroc(table.ravel(), labels, site, n_rounds * n).reshape(n_rounds, n)
        pooled = segmented_auroc(table.ravel(), labels, round_, n_rounds)
        brier, right = (expit(table) - self._labels) ** 2, (table > 0) == (self._labels > 0)
        found = {
            "auroc": np.column_stack([np.where(self._rankable, each, np.nan), pooled]),
            "brier": self._with_all(brier),
            "accuracy": self._with_all(right),
        }
        return {metric: np.where(defined, values, np.nan) for metric, values in found.items()}

    def _with_all(self, values: NDArray[np.float64] | NDArray[np.bool_]) -> NDArray[np.float64]:
        """Means of ``values`` (n_rounds, n_test) at each hospital and over all, (n_rounds,
        n_hospitals + 1).
        """
        total = values.mean(axis=1) if values.shape[1] else np.full(len(values), np.nan)
        return np.column_stack([self._means(values), total])

    def _means(self, values: NDArray[np.float64] | NDArray[np.bool_]) -> NDArray[np.float64]:
        """Means of ``values`` (n_rounds, n_test) at each hospital, (n_rounds, n_hospitals); NaN
        without test records.
        """
        sizes = np.array([len(hospital.test) for hospital in self.consortium.hospitals])
        starts, there = np.cumsum(sizes) - sizes, sizes > 0
        means = np.full((len(values), len(sizes)), np.nan)
        if there.any():
            means[:, there] = (
                np.add.reduceat(values, starts[there], axis=1, dtype=np.float64) / sizes[there]
            )
        return means

    def backdoor_success(self, vector: NDArray[np.float32]) -> float:
        """Share of the test records not of the target class that the model puts into it once they
        bear the mark.

        NaN where there are none of them, or one has a score that is not finite.
        """
        assert self.backdoor is not None
        scores, _ = _scored(self.network, vector, self._marked)
        if not len(scores) or not np.isfinite(scores).all():
            return float("nan")
        return float(np.mean(scores > 0 if self.backdoor.target else scores <= 0))

    @property
    def n_marked(self) -> int:
        """Test records that ``backdoor_success`` is a share of."""
        return len(self._marked)

    @cached_property
    def _marked(self) -> NDArray[np.float32]:
        assert self.backdoor is not None
        return self.backdoor.trigger(
            self._features[self._labels != self.backdoor.target], self.consortium.schema
        )

    def outcomes(self, vector: NDArray[np.float32] | None) -> list[Outcome]:
        """The figures of a final model, pooled and at each hospital; none is defined for None,
        which stands for no trained model.

        ``sensitivity_at_90_specificity``: share of the patients with the condition who are found
        when at most 10 % of those without it are alarmed. AUROC, average precision and sensitivity
        need test patients of both classes, AUROC of a hospital ``min_class_rows`` of each. No
        figure exists without test patients, or where a score is not finite.
        """
        labels, names = self._labels, self.consortium.names
        scores = np.full(len(labels), np.nan) if vector is None else self.scores(vector)
        found = {metric: values[0] for metric, values in self.by_round([scores]).items()}
        ranked = not np.isnan(found["auroc"][-1])
        figures = {metric: defined(values[-1]) for metric, values in found.items()}
        figures["auprc"] = average_precision(labels, scores) if ranked else None
        figures["sensitivity_at_90_specificity"] = (
            sensitivity_at(0.9, labels, scores) if ranked else None
        )
        each = found["auroc"][:-1]
        figures["worst_hospital_auroc"] = None if np.isnan(each).all() else float(np.nanmin(each))
        why = None if ranked else self._why(None if vector is None else scores)
        least = (
            f"no hospital has {self.min_class_rows} test patients of each class and finite scores"
        )
        pooled = [
            outcome(metric, value, len(labels), undefined=why or least)
            for metric, value in figures.items()
        ]
        reasons = self._reasons(None if vector is None else scores)
        sizes = [len(hospital.test) for hospital in self.consortium.hospitals]
        return pooled + [
            outcome(
                metric, defined(found[metric][i]), sizes[i], hospital=name, undefined=reasons[i]
            )
            for i, name in enumerate(names)
            for metric in CURVES
        ]

    def _reasons(self, scores: NDArray[np.float64] | None) -> list[str]:
        """Why a figure of each hospital is not defined, if it is not."""
        if scores is None:
            return [UNTRAINED] * len(self.consortium)
        sizes = np.array([len(hospital.test) for hospital in self.consortium.hospitals])
        broken = np.bincount(self._site, weights=~np.isfinite(scores), minlength=len(sizes))
        few = f"there are fewer than {self.min_class_rows} test patients of a class"
        return [
            NO_PATIENTS if not n else NOT_FINITE.format(broken=int(lost), n=n) if lost else few
            for n, lost in zip(sizes.tolist(), broken.tolist(), strict=True)
        ]

    def _why(self, scores: NDArray[np.float64] | None) -> str:
        """Why the pooled AUROC is not defined; ``scores`` None: there is no trained model."""
        n, positive = len(self._labels), int(self._labels.sum())
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
    """Logits in float32, or in float64 where one of those is not finite; and whether float32 did."""
    with np.errstate(over="ignore", invalid="ignore"):
        scores = network.scores(vector, features)
        if np.isfinite(scores).all():
            return scores, True
        return network.scores(vector.astype(np.float64), features.astype(np.float64)), False


def sensitivity_at(
    specificity: float, labels: NDArray[np.float64], scores: NDArray[np.float64]
) -> float:
    """Largest share of the ill found at a threshold that spares at least ``specificity`` of the
    healthy.
    """
    found, false_alarms = _alarms(labels, scores)
    spares = false_alarms / false_alarms[-1] <= 1 - specificity + 1e-12
    return float((found / found[-1])[spares].max(initial=0.0))


def average_precision(labels: NDArray[np.float64], scores: NDArray[np.float64]) -> float:
    """Mean over the ill of the share of the ill among all who score as high, the digits of
    scikit-learn's ``average_precision_score``.
    """
    found, false_alarms = _alarms(labels, scores)
    precision = (found / (found + false_alarms))[::-1]
    recall = np.append((found / found[-1])[::-1], 0.0)
    return float(max(0.0, -np.sum(np.diff(recall) * precision)))


def _alarms(
    labels: NDArray[np.float64], scores: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How many of the ill, and of the healthy, score at least as high as each different score, from
    the largest on.

    In numpy, because to import scikit-learn takes as long as some runs.
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
    """AUROC within each segment, (n_segments,): the Mann-Whitney statistic, ties counted half; NaN
    where a class is absent.

    All segments at once, because it runs in every round for every hospital; equal to scikit-learn's
    ``roc_auc_score``.
    """
    order = np.argsort(scores)  # by score, then by segment: small whole numbers sort fast
    order = order[np.argsort(segment[order].astype(np.min_scalar_type(n_segments)), kind="stable")]
    scores, labels, segment = scores[order], labels[order], segment[order]
    new = np.ones(len(scores), dtype=bool)
    new[1:] = (scores[1:] != scores[:-1]) | (segment[1:] != segment[:-1])
    group = np.cumsum(new) - 1
    # mean rank of ties
    middle = (np.bincount(group, weights=np.arange(1.0, len(scores) + 1)) / np.bincount(group))[
        group
    ]
    n = np.bincount(segment, minlength=n_segments)
    rank = middle - (np.cumsum(n) - n)[segment]
    ill = np.bincount(segment, weights=labels, minlength=n_segments)
    with np.errstate(invalid="ignore", divide="ignore"):
        auroc: NDArray[np.float64] = (
            np.bincount(segment, weights=rank * labels, minlength=n_segments) - ill * (ill + 1) / 2
        ) / (ill * (n - ill))
    return auroc


def curve(
    names: Sequence[str], by_round: Mapping[str, NDArray[np.float64]]
) -> dict[str, list[object]]:
    """Columns round, hospital, metric, value of what ``Evaluator.by_round`` states (round 0 is the
    untrained model).

    A metric that is stated for all hospitals together only is (n_rounds, 1). What is NaN is left
    out.
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
    """What was measured of the model before round 1 and after each round, in order.

    ``scores``: logits of all test records. ``backdoor``: its success. ``not_finite``: rounds in
    which an honest update, the new weights or a score was not finite in float32. ``is_trained``:
    whether any round gave a new model.
    """

    scores: list[NDArray[np.float64]] = field(default_factory=list)
    backdoor: list[float] = field(default_factory=list)
    not_finite: list[int] = field(default_factory=list)
    is_trained: bool = False


class Evaluation:
    """Clinical quality after each round, together and at each hospital; and how often a backdoor
    succeeds.
    """

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self._backdoor = next(iter(subject.truth.backdoors.items()), None)
        backdoor = self._backdoor and self._backdoor[1]
        consortium, network = subject.truth.consortium, subject.plan.network
        self.evaluator = Evaluator(consortium, network, subject.min_class_rows, backdoor)
        self.state = Evaluated()

    def start(self, weights: Weights) -> None:
        """Score the model before round 1."""
        self._score(0, weights)

    def round(self, seen: Round) -> None:
        """Score the model after a round."""
        aggregated, hostile = seen.aggregated, self.subject.truth.hostile
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
        """The figures of the final model, together and at each hospital, and the curves over the
        rounds.
        """
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
        why = (
            "no test record can be marked" if not n else "a score of a marked record is not finite"
        )
        return [
            outcome("backdoor_success", defined(success), n, undefined=why),
            outcome("false_trigger_rate", defined(false_trigger), n, undefined=why),
        ]
