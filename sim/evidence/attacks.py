"""The evidence of single attacks: what was attacked and how, beside the figures in outcomes."""

from __future__ import annotations

from pydantic import Field, field_validator

from sim.evidence.fields import FieldScores
from sim.evidence.images import ImageScores
from sim.evidence.outcomes import Part


class Recovered(Part):
    """One attacked record and the nearest guess, in the fields' units; of public data only."""

    hospital: str
    """The hospital whose record it is."""
    exact: bool
    """Whether the record is recovered."""
    truth: dict[str, str]
    """The record's fields as text."""
    guess: dict[str, str] | None
    """The fields of the nearest guess; None where nothing was guessed."""
    baseline: dict[str, str] | None = None
    """What needs no attack: the hospital's typical row or the image's mean color; None where there
    is nothing of the kind.
    """
    right: list[str] = Field(default=[])
    """Of a row, the fields in which the guess is right, as in ``Agreement``."""
    baseline_right: list[str] = Field(default=[])
    """Of a row, the fields in which the baseline is right."""

    @field_validator("truth", "guess", "baseline")
    @classmethod
    def _sorted(cls, fields: dict[str, str] | None) -> dict[str, str] | None:
        return fields and dict(sorted(fields.items()))


class Inverted(Part):
    """A reconstruction: what was attacked, and how.

    What was recovered are the outcomes ``reconstruction_rate`` and ``reconstruction_error``, the
    largest |guess - record| / |record| over recovered records (feature columns).
    """

    attack: str
    """The name of the attack."""
    round: int
    """The round whose updates were attacked."""
    n_guesses: int
    """The number of records that were guessed."""
    records_in_row: list[int]
    """How many records were summed in each row that the attacker saw."""
    gallery: list[Recovered]
    """A few attacked records beside their guesses; of public data only."""
    images: ImageScores | None = None
    """The scores of each attacked record; None where records are no images."""
    fields: FieldScores | None = None
    """The scores of each attacked row; None where records are no rows, or nothing was guessed."""
    pixels: tuple[float, float] | None = None
    """The least and the largest value of a pixel of the gallery; None where there are no images."""


class Isolating(Part):
    """An attack on secure aggregation: what was tried.

    What was achieved are the outcomes ``updates_recovered``, ``update_error`` and ``smallest_sum``.
    """

    attack: str
    """The name of the attack."""
    reads_only: bool
    """Whether it follows the protocol, so that the model is as without it."""
    colluding: list[str]
    """The hospitals that pool their own updates with what the aggregator sees."""


class MembershipBound(Part):
    """The bound that private training puts on membership inference, beside what was measured.

    Both limits hold with 97.5 % each.
    """

    false_positives: float
    """The false positive rate."""
    bound: float
    """The true positive rate that no attack exceeds at that rate."""
    true_positives: float
    """The measured true positive rate."""
    lowest: float
    """The lower limit of the true positive rate, from its sample."""
    highest: float
    """The upper limit of the false positive rate there."""
    allowed: float
    """The bound at ``highest``, over the share of records that are drawn at all: only these are
    asked about as trained on.
    """
    exceeded: bool
    """Whether ``lowest`` is above ``allowed``, so that the guarantee or the attack's scoring is
    wrong.
    """


class Membership(Part):
    """A membership inference: who asked what, and the scores of the records asked about.

    What was achieved are the outcomes ``membership_...``. Scores are of nobody in particular.
    """

    attack: str
    """The name of the attack."""
    party: str
    """Who attacks."""
    rounds: list[int]
    """The rounds that it looked at."""
    members: list[float]
    """The scores of records that were trained on, sorted."""
    others: list[float]
    """The scores of held-out records of the same hospitals, sorted."""
    bounds: list[MembershipBound]
    """The bounds of private training; empty without it."""

    @property
    def exceeds(self) -> bool:
        """Whether more was inferred than private training allows."""
        return any(one.exceeded for one in self.bounds)


class BackdoorGoal(Part):
    """The attack that teaches the model a mark, and the class that marked records are put into.

    ``backdoor_success`` is the share of the test records not of the ``target`` class that the model
    puts into it once they bear the mark; ``false_trigger_rate`` the same for the model of the run
    without the attack, which never saw the mark.
    """

    attack: str
    """The name of the attack."""
    target: int
    """The class that marked records are put into."""
