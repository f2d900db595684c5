"""The one table of metrics: their units, ranges, directions of harm and bases of intervals.

Evidence is checked by it, intervals are cut to it, threats and criteria name its entries.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final, Literal, NamedTuple, TypeAlias

import yaml

Scope: TypeAlias = Literal["consortium", "hospital", "record", "message"]
Harm: TypeAlias = Literal["lower", "higher", "neither"]  # the direction that is harm
Basis: TypeAlias = Literal["seeds", "trials", "clusters", "none"]

BASES: Final[Mapping[Basis, str]] = {
    "seeds": (
        "Student's t interval of the mean over seeds, paired where the control shares the seed"
    ),
    "trials": "Clopper and Pearson's interval of a rate, whose trials are taken as independent",
    "clusters": "Korn and Graubard's interval of a rate whose trials share a seed",
    "none": "no interval: the figure is a bound that is computed, and not a sample",
}


class Range(NamedTuple):
    """The least and the largest value that a figure can have."""

    low: float
    high: float


SHARE: Final = Range(0.0, 1.0)
SUMMED_SHARE: Final = Range(-1e-6, 1 + 1e-6)  # a share that is a sum of rounded ones
SIMILARITY: Final = Range(-1.0, 1.0)
POSITIVE: Final = Range(0.0, math.inf)
ANY: Final = Range(-math.inf, math.inf)


@dataclass(frozen=True)
class Metric:
    """One kind of figure. ``text``: what readers call it. ``harm``: the direction that is harm.

    ``counted``: what ``n`` of an outcome counts, empty where nothing is counted. ``scopes``: of
    what it is measured. ``null``: the metric of the same attack where there was nothing to find.
    """

    text: str
    unit: str
    range: Range
    harm: Harm
    counted: str = ""
    basis: Basis = "seeds"
    scopes: tuple[Scope, ...] = ("consortium",)
    null: str | None = None

    @property
    def is_rate(self) -> bool:
        """Whether it counts how many of how many, so that its changes are stated in points."""
        return self.basis in ("trials", "clusters")


EVERYWHERE: Final[tuple[Scope, ...]] = ("consortium", "hospital")
HOSPITAL: Final[tuple[Scope, ...]] = ("hospital",)
PATIENTS: Final = "test patients"
IMAGES: Final = "attacked images"
RECORDS: Final = "attacked records"
GUESSED: Final = "guessed prevalences"
TRAINED: Final = "training records"
DECIDED: Final = "test records that are decided rightly"
UNASKED: Final = "test records that nobody asked about"
ASKED: Final = "records asked about"
TRAINED_ON: Final = "records asked about that were trained on"
MARKED: Final = "marked test records, not of the target class"

METRICS: Final[Mapping[str, Metric]] = {
    "auroc": Metric("AUROC", "share of pairs", SHARE, "lower", PATIENTS, scopes=EVERYWHERE),
    "auprc": Metric("average precision", "share", SHARE, "lower", PATIENTS),
    "accuracy": Metric("accuracy", "share", SHARE, "lower", PATIENTS, scopes=EVERYWHERE),
    "sensitivity_at_90_specificity": Metric(
        "sensitivity at 90 % specificity", "share", SHARE, "lower", PATIENTS
    ),
    "brier": Metric("Brier score", "squared error", SHARE, "higher", PATIENTS, scopes=EVERYWHERE),
    "worst_hospital_auroc": Metric(
        "AUROC of the worst hospital", "share of pairs", SHARE, "lower", PATIENTS
    ),
    "rounds_skipped": Metric(
        "share of rounds that gave no new model", "share", SHARE, "higher", "rounds", "clusters"
    ),
    "backdoor_success": Metric(
        "attack success of the backdoor", "share", SHARE, "higher", MARKED, "clusters"
    ),
    "false_trigger_rate": Metric(
        "false-trigger rate of the backdoor", "share", SHARE, "neither", MARKED, "clusters"
    ),
    "reconstruction_rate": Metric(
        "share of records recovered",
        "share",
        SHARE,
        "higher",
        RECORDS,
        "trials",
        null="reconstruction_rate_shuffled",
    ),
    "reconstruction_rate_shuffled": Metric(
        "share of records recovered from shuffled updates",
        "share",
        SHARE,
        "neither",
        RECORDS,
        "trials",
    ),
    "image_mse": Metric(
        "mean squared error of guessed images", "squared pixel", SHARE, "lower", IMAGES
    ),
    "image_psnr": Metric(
        "peak signal-to-noise ratio of guessed images", "dB", POSITIVE, "higher", IMAGES
    ),
    "image_ssim": Metric(
        "structural similarity of guessed images", "similarity", SIMILARITY, "higher", IMAGES
    ),
    "image_gain": Metric(
        "signal-to-noise ratio of guessed images above that of their mean colors",
        "dB",
        ANY,
        "higher",
        IMAGES,
    ),
    "reconstruction_error": Metric(
        "largest error of a recovered record",
        "relative length",
        POSITIVE,
        "lower",
        "recovered records",
    ),
    "feature_accuracy": Metric(
        "share of fields guessed right",
        "share",
        SHARE,
        "higher",
        RECORDS,
        null="feature_accuracy_shuffled",
    ),
    "feature_accuracy_shuffled": Metric(
        "share of fields guessed right from shuffled updates", "share", SHARE, "neither", RECORDS
    ),
    "feature_gain": Metric(
        "share of fields guessed right above that of random or typical rows",
        "share",
        SIMILARITY,
        "higher",
        RECORDS,
    ),
    "exact_match_rate": Metric(
        "share of records with every field guessed right",
        "share",
        SHARE,
        "higher",
        RECORDS,
        "trials",
        null="exact_match_rate_shuffled",
    ),
    "exact_match_rate_shuffled": Metric(
        "share of records with every field guessed right from shuffled updates",
        "share",
        SHARE,
        "neither",
        RECORDS,
        "trials",
    ),
    "singled_out_rate": Metric(
        "share of records that a guess singles out of the consortium",
        "share",
        SHARE,
        "higher",
        RECORDS,
        "trials",
        null="singled_out_rate_shuffled",
    ),
    "singled_out_rate_shuffled": Metric(
        "share of records that a guess from shuffled updates singles out of the consortium",
        "share",
        SHARE,
        "neither",
        RECORDS,
        "trials",
    ),
    "updates_recovered": Metric(
        "share of hospitals whose update is recovered",
        "share",
        SHARE,
        "higher",
        "updates of honest hospitals",
        "trials",
    ),
    "update_error": Metric(
        "error of the best recovered update",
        "relative length",
        POSITIVE,
        "lower",
        scopes=EVERYWHERE,
    ),
    "evasion_success": Metric(
        "share of right decisions that a feasible change of the record turns",
        "share",
        SHARE,
        "higher",
        DECIDED,
        "clusters",
        null="evasion_success_random",
    ),
    "evasion_success_random": Metric(
        "share of right decisions that a blind change of the same size turns",
        "share",
        SHARE,
        "neither",
        DECIDED,
        "clusters",
    ),
    "extraction_agreement": Metric(
        "share of decisions that a copy made by queries has in common with the model",
        "share",
        SHARE,
        "higher",
        UNASKED,
        "clusters",
        null="extraction_agreement_alone",
    ),
    "extraction_agreement_alone": Metric(
        "share of decisions that a model made without any query has in common with the model",
        "share",
        SHARE,
        "neither",
        UNASKED,
        "clusters",
    ),
    "residual_freedom": Metric(
        "training records beyond the parameters of the model",
        "records",
        ANY,
        "lower",
        TRAINED,
        scopes=EVERYWHERE,
    ),
    "least_sharing": Metric(
        "fewest training records with one predicted score", "records", POSITIVE, "lower", TRAINED
    ),
    "singled_out": Metric(
        "share of training records whose predicted score too few others have",
        "share",
        SHARE,
        "higher",
        TRAINED,
        "clusters",
    ),
    "class_disclosed": Metric(
        "share of training records whose class the model states rightly as good as certain",
        "share",
        SHARE,
        "higher",
        TRAINED,
        "clusters",
        null="class_disclosed_unseen",
    ),
    "class_disclosed_unseen": Metric(
        "share of test records whose class the model states rightly as good as certain",
        "share",
        SHARE,
        "neither",
        "test records",
        "clusters",
    ),
    "small_groups": Metric(
        "groups of training records with too few of them",
        "groups",
        POSITIVE,
        "higher",
        "groups with records",
        scopes=EVERYWHERE,
    ),
    "source_accuracy": Metric(
        "share of records whose hospital is inferred",
        "share",
        SHARE,
        "higher",
        ASKED,
        "clusters",
        null="source_accuracy_alone",
    ),
    "source_accuracy_alone": Metric(
        "share of records whose hospital the record alone tells",
        "share",
        SHARE,
        "neither",
        ASKED,
        "clusters",
    ),
    "source_p_value": Metric(
        "share of permutations under which as many hospitals are right",
        "share",
        SHARE,
        "lower",
        ASKED,
    ),
    "attribute_accuracy": Metric(
        "share of records whose hidden field is inferred",
        "share",
        SHARE,
        "higher",
        ASKED,
        "clusters",
        null="attribute_accuracy_alone",
    ),
    "attribute_accuracy_alone": Metric(
        "share of records whose hidden field is imputed without a model",
        "share",
        SHARE,
        "neither",
        ASKED,
        "clusters",
    ),
    "property_found": Metric(
        "share of prevalences that are guessed within 0.05",
        "share",
        SHARE,
        "higher",
        GUESSED,
        "clusters",
        null="property_found_alone",
    ),
    "property_found_alone": Metric(
        "share of prevalences that known patients tell within 0.05",
        "share",
        SHARE,
        "neither",
        GUESSED,
        "clusters",
    ),
    "property_error": Metric(
        "error of the guessed prevalence", "share", SHARE, "lower", GUESSED, scopes=EVERYWHERE
    ),
    "property_error_alone": Metric(
        "error of the prevalence of known patients", "share", SHARE, "neither", GUESSED
    ),
    "smallest_sum": Metric(
        "honest hospitals in the smallest sum that is held", "hospitals", POSITIVE, "lower"
    ),
    "prevalence_error": Metric(
        "error of the guessed share of records with the condition",
        "share",
        SHARE,
        "lower",
        GUESSED,
        scopes=EVERYWHERE,
        null="prevalence_error_shuffled",
    ),
    "prevalence_error_shuffled": Metric(
        "error of the share of records with the condition guessed from shuffled updates",
        "share",
        SHARE,
        "neither",
        GUESSED,
    ),
    "prevalence_error_common": Metric(
        "error of the consortium's share of records with the condition, taken for a hospital's",
        "share",
        SHARE,
        "neither",
        GUESSED,
    ),
    "membership_auc": Metric(
        "AUC of membership inference",
        "share of pairs",
        SHARE,
        "higher",
        ASKED,
        scopes=EVERYWHERE,
        null="membership_auc_null",
    ),
    "membership_tpr_at_1fpr": Metric(
        "training records recognized at 1 % false positives",
        "share",
        SHARE,
        "higher",
        TRAINED_ON,
        "clusters",
        null="membership_tpr_at_1fpr_null",
    ),
    "membership_tpr_at_01fpr": Metric(
        "training records recognized at 0.1 % false positives",
        "share",
        SHARE,
        "higher",
        TRAINED_ON,
        "clusters",
        null="membership_tpr_at_01fpr_null",
    ),
    "membership_advantage": Metric(
        "largest true minus false positive rate of membership inference",
        "share",
        SHARE,
        "higher",
        ASKED,
        null="membership_advantage_null",
    ),
    "membership_auc_null": Metric(
        "AUC between two halves of the records that were not trained on",
        "share of pairs",
        SHARE,
        "neither",
        ASKED,
    ),
    "membership_tpr_at_1fpr_null": Metric(
        "training records recognized at 1 % false positives, answers shuffled",
        "share",
        SHARE,
        "neither",
        TRAINED_ON,
        "clusters",
    ),
    "membership_tpr_at_01fpr_null": Metric(
        "training records recognized at 0.1 % false positives, answers shuffled",
        "share",
        SHARE,
        "neither",
        TRAINED_ON,
        "clusters",
    ),
    "membership_advantage_null": Metric(
        "largest true minus false positive rate, answers shuffled",
        "share",
        SHARE,
        "neither",
        ASKED,
    ),
    "epsilon": Metric(
        "privacy spent", "ε", POSITIVE, "higher", "training records", "none", EVERYWHERE
    ),
    "patient_epsilon": Metric(
        "privacy spent of a patient with several records",
        "ε",
        POSITIVE,
        "higher",
        "training records",
        "none",
        EVERYWHERE,
    ),
    "hospital_epsilon": Metric(
        "privacy spent of a whole hospital", "ε", POSITIVE, "higher", "hospitals", "none"
    ),
    "noise_ratio": Metric(
        "length of the noise on a mean of updates over the longest such mean",
        "relative length",
        POSITIVE,
        "neither",
        "rounds",
        "none",
    ),
    "selection_precision": Metric(
        "hostile hospitals among those left out", "share", SHARE, "lower", "exclusions"
    ),
    "selection_recall": Metric(
        "left out among the hostile", "share", SHARE, "lower", "hostile hospitals, each round"
    ),
    "honest_left_out": Metric(
        "left out among the honest", "share", SHARE, "higher", "honest hospitals, each round"
    ),
    "hospital_weight": Metric(
        "share of the aggregate", "share", SUMMED_SHARE, "neither", "rounds", scopes=HOSPITAL
    ),
    "left_out": Metric(
        "rounds in which a hospital was left out",
        "share",
        SHARE,
        "neither",
        "rounds",
        scopes=HOSPITAL,
    ),
    "influence": Metric(
        "influence on the model", "equal shares", ANY, "neither", "rounds", scopes=HOSPITAL
    ),
    "update_distance": Metric(
        "distance from the others' updates",
        "relative length",
        POSITIVE,
        "neither",
        "rounds",
        scopes=HOSPITAL,
    ),
    "coordinates_clipped": Metric(
        "coordinates that quantization clipped",
        "share",
        SHARE,
        "neither",
        "rounds",
        scopes=EVERYWHERE,
    ),
    "messages": Metric(
        "messages from and to a hospital in a round", "messages", POSITIVE, "neither", basis="none"
    ),
    "bytes_sent": Metric(
        "what a hospital sends in a round", "bytes", POSITIVE, "neither", basis="none"
    ),
    "bytes_received": Metric(
        "what a hospital is sent in a round", "bytes", POSITIVE, "neither", basis="none"
    ),
    "attack_distance": Metric(
        "by how much the attack changed what was sent", "relative length", POSITIVE, "neither"
    ),
    "defense_distance": Metric(
        "by how much the defense changed the aggregate", "relative length", POSITIVE, "neither"
    ),
}


def plain(metric: str) -> str:
    """The sentence on what a metric states.

    >>> plain("accuracy")
    'The share of test patients for whom the model decides rightly.'
    """
    return _plain()[metric]


@cache
def _plain() -> Mapping[str, str]:
    text = (resources.files(__package__) / "data" / "metrics.yaml").read_text("utf-8")
    found: Mapping[str, str] = yaml.safe_load(text)
    return found


def is_material(loss: float, drop: float) -> bool:
    """Whether ``loss`` is at least ``drop``, but for what rounding of the two scores takes off."""
    return loss >= drop - 1e-9
