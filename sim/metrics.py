"""Clinical quality of a model: on the test patients of all hospitals together, and at each hospital."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn import config_context
from sklearn.metrics import average_precision_score, roc_curve

from sim.evidence import Outcome
from sim.models import logits
from sim.types import Backdoor, Consortium

ALL = "all"  # the name of the pooled test set in curves
CURVES = ("auroc", "brier", "accuracy")
BACKDOOR = "backdoor"  # the success of a planted mark, round by round


@dataclass(frozen=True)
class Examiner:
    """Scores parameter vectors of one model on one consortium's test records; with ``backdoor``, also on marked ones."""

    consortium: Consortium
    widths: tuple[int, ...]
    min_class_rows: int
    backdoor: Backdoor | None = None

    @cached_property
    def _features(self) -> NDArray[np.float32]:
        return np.concatenate([hospital.test.features for hospital in self.consortium.hospitals])

    @cached_property
    def _labels(self) -> NDArray[np.float64]:
        return np.concatenate([hospital.test.labels for hospital in self.consortium.hospitals]).astype(np.float64)

    @cached_property
    def _site(self) -> NDArray[np.int64]:
        return np.repeat(np.arange(len(self.consortium)), [len(hospital.test) for hospital in self.consortium.hospitals])

    @cached_property
    def _rankable(self) -> NDArray[np.bool_]:
        """Hospitals with enough test patients of each class for an AUROC of their own."""
        n = np.bincount(self._site, minlength=len(self.consortium))
        ill = np.bincount(self._site, weights=self._labels, minlength=len(self.consortium))
        return np.asarray((ill >= self.min_class_rows) & (n - ill >= self.min_class_rows))

    def scores(self, vector: NDArray[np.float32]) -> NDArray[np.float64]:
        """Logit of every test record, in order of the hospitals. What is not finite counts as 0: no information."""
        with np.errstate(over="ignore", invalid="ignore"):
            return np.nan_to_num(logits(self.widths, vector, self._features), nan=0.0, posinf=1e30, neginf=-1e30)

    def by_hospital(self, vector: NDArray[np.float32]) -> dict[str, NDArray[np.float64]]:
        """AUROC (NaN where not stated), Brier score and accuracy, each (n_hospitals + 1,); the last entry is all together."""
        return {metric: values[0] for metric, values in self.by_round([self.scores(vector)]).items()}

    def by_round(self, scores: Sequence[NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
        """What ``by_hospital`` states, for the ``scores`` of successive rounds, each (n_rounds, n_hospitals + 1)."""
        table, n = np.stack(scores), len(self.consortium)
        n_rounds, labels = len(table), np.tile(self._labels, len(table))
        site = (np.arange(n_rounds)[:, None] * n + self._site).ravel()
        round_ = np.repeat(np.arange(n_rounds), len(self._labels))
        each = segmented_auroc(table.ravel(), labels, site, n_rounds * n).reshape(n_rounds, n)
        pooled = segmented_auroc(table.ravel(), labels, round_, n_rounds)
        brier, right = (expit(table) - self._labels) ** 2, (table > 0) == (self._labels > 0)
        return {
            "auroc": np.column_stack([np.where(self._rankable, each, np.nan), pooled]),
            "brier": np.column_stack([self._means(brier), brier.mean(axis=1)]),
            "accuracy": np.column_stack([self._means(right), right.mean(axis=1)]),
        }

    def _means(self, values: NDArray[np.float64] | NDArray[np.bool_]) -> NDArray[np.float64]:
        """Means at each hospital of ``values`` (n_rounds, n_test), (n_rounds, n_hospitals)."""
        sizes = [len(hospital.test) for hospital in self.consortium.hospitals]
        starts = np.cumsum([0, *sizes[:-1]])
        return np.asarray(np.add.reduceat(values, starts, axis=1, dtype=np.float64) / sizes)

    def planted(self, vector: NDArray[np.float32]) -> float:
        """Share of the test records not of the target class that the model puts into it once they bear the mark."""
        assert self.backdoor is not None
        with np.errstate(over="ignore", invalid="ignore"):
            scores = np.nan_to_num(logits(self.widths, vector, self._marked), nan=0.0)
        return float(np.mean(scores > 0 if self.backdoor.target else scores <= 0))

    @property
    def n_marked(self) -> int:
        """Test records that ``planted`` is a share of."""
        return len(self._marked)

    @cached_property
    def _marked(self) -> NDArray[np.float32]:
        assert self.backdoor is not None
        return self.backdoor.trigger(self._features[self._labels != self.backdoor.target], self.consortium.schema)

    def outcome(self, vector: NDArray[np.float32]) -> Outcome:
        """The pooled outcome of a final model."""
        scores, labels = self.scores(vector), self._labels
        found = {metric: values[0] for metric, values in self.by_round([scores]).items()}
        each = found["auroc"][:-1]
        worst = None if np.isnan(each).all() else int(np.nanargmin(each))
        with config_context(assume_finite=True, skip_parameter_validation=True):  # its checks take longer than the scores
            return Outcome(
                auroc=float(found["auroc"][-1]),
                auprc=float(average_precision_score(labels, scores)),
                accuracy=float(found["accuracy"][-1]),
                sensitivity_at_90_specificity=sensitivity_at(0.9, labels, scores),
                brier=float(found["brier"][-1]),
                worst_hospital_auroc=None if worst is None else float(each[worst]),
                worst_hospital=None if worst is None else self.consortium.names[worst],
                n_test=len(labels),
                n_test_positive=int(labels.sum()),
                min_class_rows=self.min_class_rows,
            )


def sensitivity_at(specificity: float, labels: NDArray[np.float64], scores: NDArray[np.float64]) -> float:
    """Largest share of the ill found at a threshold that spares at least ``specificity`` of the healthy."""
    false_alarms, found, _ = roc_curve(labels, scores, drop_intermediate=False)  # a point on a line may be the one asked for
    return float(found[false_alarms <= 1 - specificity + 1e-12].max())


def segmented_auroc(
    scores: NDArray[np.float64], labels: NDArray[np.float64], segment: NDArray[np.int64], n_segments: int
) -> NDArray[np.float64]:
    """AUROC within each segment, (n_segments,): the Mann-Whitney statistic, ties counted half; NaN where a class is absent.

    All segments at once, because it runs in every round for every hospital; equal to scikit-learn's ``roc_auc_score``.
    """
    order = np.argsort(scores)  # by score, then by segment: small whole numbers sort fast
    order = order[np.argsort(segment[order].astype(np.min_scalar_type(n_segments)), kind="stable")]
    scores, labels, segment = scores[order], labels[order], segment[order]
    new = np.ones(len(scores), dtype=bool)
    new[1:] = (scores[1:] != scores[:-1]) | (segment[1:] != segment[:-1])
    group = np.cumsum(new) - 1
    middle = (np.bincount(group, weights=np.arange(1.0, len(scores) + 1)) / np.bincount(group))[group]  # mean rank of ties
    n = np.bincount(segment, minlength=n_segments)
    rank = middle - (np.cumsum(n) - n)[segment]
    ill = np.bincount(segment, weights=labels, minlength=n_segments)
    with np.errstate(invalid="ignore", divide="ignore"):
        auroc: NDArray[np.float64] = (np.bincount(segment, weights=rank * labels, minlength=n_segments) - ill * (ill + 1) / 2) / (
            ill * (n - ill)
        )
    return auroc


def curve(names: Sequence[str], by_round: Mapping[str, NDArray[np.float64]]) -> dict[str, list[object]]:
    """Columns round, hospital, metric, value of what ``Examiner.by_round`` states (round 0 is the untrained model).

    A metric that is stated for all hospitals together only is (n_rounds, 1). What is NaN is left out.
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
