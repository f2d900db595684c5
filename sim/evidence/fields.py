"""How much guessed rows of a table get right, beside rows that need no attack."""

from __future__ import annotations

from typing import Final

from sim.evidence.outcomes import Part

TOLERANCE: Final = 0.319  # standard deviations, as of Vero et al. (2023)


class Agreement(Part):
    """How far the attacked records and the rows laid beside them agree, record by record.

    ``right``: the share of fields that are right: the level, a continuous value within 0.319
    standard deviations, or that it is absent. ``exact``: whether all are. ``singled_out``: whether
    the row agrees with the attacked record in more fields than with any other record of the
    consortium, so that whoever has a list of all patients finds the one.
    """

    right: list[float]
    exact: list[bool]
    singled_out: list[bool]


class OfField(Part):
    """One field in all attacked records: the share of rows in which it is right.

    ``certainty``: how sure the attacker is of its guesses, from 0 to 1, None where it cannot tell.
    The others are as in ``FieldScores``.
    """

    field: str
    certainty: float | None
    guess: float
    shuffled: float
    random: float
    typical: float


class FieldScores(Part):
    """The scores of the attacked rows of a table, in one order, with the hospital of each.

    ``guess``: the guesses, each laid beside one record so that as many fields as possible agree;
    ``shuffled``: the same from an update whose values were shuffled, which carries nothing;
    ``random``: each field drawn from the hospital's own records; ``typical``: the mean or the most
    common level of each field there, which also counts where nothing was guessed.

    ``surest``: the share of fields that are right in the half of which the attacker is surest, and
    ``least_sure`` in the other half; None where it cannot tell.
    """

    hospital: list[str]
    guess: Agreement
    shuffled: Agreement
    random: Agreement
    typical: Agreement
    fields: list[OfField]
    surest: float | None
    least_sure: float | None

    @property
    def baseline(self) -> float:
        """The larger mean share of fields that random and typical rows have right."""
        n = len(self.hospital)
        return max(sum(self.random.right), sum(self.typical.right)) / n if n else 0.0
