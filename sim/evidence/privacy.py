"""The evidence of differential privacy: its terms, its statements, and the noise of a run."""

from __future__ import annotations

from sim.evidence.outcomes import Part


class Spent(Part):
    """The epsilon that one hospital spends, composed over all its local steps.

    The epsilon itself is an outcome. All bounds are of the whole distribution of privacy losses.
    """

    hospital: str
    """The hospital's name."""
    n_train: int
    """The number of records that privacy is accounted with."""
    noise_multiplier: float
    """The standard deviation of the noise over the greatest length of a gradient."""
    sample_rate: float
    """The probability with which a step draws a record."""
    steps: int
    """The local steps of all rounds but those in which the hospital refused to train."""
    advantage: float
    """The bound on true minus false positive rate of any test of who was trained on."""
    tpr_at_1fpr: float
    """The bound on that test's true positive rate at 1 % false positives."""
    tpr_at_01fpr: float
    """The bound on that test's true positive rate at 0.1 % false positives."""


class Privacy(Part):
    """The terms of record-level differential privacy.

    The outcome ``epsilon`` of the consortium is the maximum over hospitals, which takes disjoint
    patients (parallel composition).
    """

    unit: str
    """Who is protected."""
    relation: str
    """What neighbors differ in: ``replace`` or ``add_remove`` (see ``RecordDP``)."""
    nominal_records: int | None
    """The agreed number of records of a hospital; None unless they may be added or removed."""
    sampling: str
    """How the records of a step are drawn."""
    delta: float
    """The delta of every epsilon of the run."""
    accountant: str
    """The name of the accountant of privacy."""
    max_grad_norm: float
    """The length that gradients of single records are cut to."""
    target_epsilon: float | None
    """The epsilon that the noise was chosen for; None where the noise was given."""
    hospitals: list[Spent]
    """How each hospital spends its epsilon."""
    not_covered: list[str]
    """Sentences on what the epsilon does not cover."""


class Statement(Part):
    """One statement of differential privacy; several of a run stand side by side."""

    unit: str
    """Who is protected: a record, a patient or a hospital."""
    relation: str
    """What neighbors differ in."""
    mechanism: str
    """The mechanism that adds the noise."""
    epsilon: float
    """The epsilon."""
    delta: float
    """The delta."""
    accountant: str
    """The name of the accountant of privacy."""
    against: str
    """From whom it protects."""
    hospital: str | None
    """The hospital with the largest epsilon; None where it is the same for all."""
    not_covered: list[str]
    """Sentences on what it does not cover."""


class Noised(Part):
    """The noise of privacy of whole updates, in columns by round that has a mean."""

    round: list[int]
    """The rounds."""
    clip: list[float]
    """The greatest length of an update, by round."""
    deviation: list[float]
    """The standard deviation of the noise in a coordinate of the mean of the updates, by round."""
