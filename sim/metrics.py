"""Clinical quality of a model: on the test patients of all hospitals together, and at each hospital."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn import config_context
from sklearn.metrics import accuracy_score, average_precision_score, brier_score_loss, roc_auc_score, roc_curve

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
        """AUROC (NaN where not stated), Brier score and accuracy, each (n_hospitals + 1,); the last entry is all together.

        With a backdoor, its success as ``planted`` states it, for all together only.
        """
        scores, n = self.scores(vector), len(self.consortium)
        chance = expit(scores)
        pooled = segmented_auroc(scores, self._labels, np.zeros_like(self._site), 1)
        each = np.where(self._rankable, segmented_auroc(scores, self._labels, self._site, n), np.nan)
        brier, right = (chance - self._labels) ** 2, (scores > 0) == (self._labels > 0)
        found = {
            "auroc": np.append(each, pooled),
            "brier": np.append(_means(brier, self._site, n), brier.mean()),
            "accuracy": np.append(_means(right, self._site, n), right.mean()),
        }
        if self.backdoor is not None:
            found[BACKDOOR] = np.append(np.full(n, np.nan), self.planted(vector))
        return found

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
        each = self.by_hospital(vector)["auroc"][:-1]
        worst = None if np.isnan(each).all() else int(np.nanargmin(each))
        with config_context(assume_finite=True, skip_parameter_validation=True):  # its checks take longer than the scores
            return Outcome(
                auroc=float(roc_auc_score(labels, scores)),
                auprc=float(average_precision_score(labels, scores)),
                accuracy=float(accuracy_score(labels, scores > 0)),
                sensitivity_at_90_specificity=sensitivity_at(0.9, labels, scores),
                brier=float(brier_score_loss(labels, expit(scores))),
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
    order = np.lexsort((scores, segment))
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


def curve(names: Sequence[str], by_round: Sequence[dict[str, NDArray[np.float64]]]) -> dict[str, list[object]]:
    """Columns round, hospital, metric, value of the scores of successive rounds (round 0 is the untrained model)."""
    where = [*names, ALL]
    columns: dict[str, list[object]] = {"round": [], "hospital": [], "metric": [], "value": []}
    for round_, scores in enumerate(by_round):
        for metric in (*CURVES, *(name for name in scores if name not in CURVES)):
            stated = [(name, value) for name, value in zip(where, scores[metric].tolist(), strict=True) if value == value]
            columns["round"] += [round_] * len(stated)
            columns["hospital"] += [name for name, _ in stated]
            columns["metric"] += [metric] * len(stated)
            columns["value"] += [round(value, 6) for _, value in stated]
    return columns


def _means(values: NDArray[np.float64] | NDArray[np.bool_], segment: NDArray[np.int64], n: int) -> NDArray[np.float64]:
    mean: NDArray[np.float64] = np.bincount(segment, weights=values, minlength=n) / np.bincount(segment, minlength=n)
    return mean
