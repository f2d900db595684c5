"""The share of guessed fields of a table that are right, beside rows that need no attack."""

from __future__ import annotations

from typing import Final

from sim.evidence.outcomes import Part

TOLERANCE: Final = 0.319  # standard deviations, as of Vero et al. (2023)


class Agreement(Part):
    """The agreement of the attacked records with the rows laid beside them, record by record."""

    right: list[float]
    """The share of fields that are right: the level, a continuous value within 0.319 standard
    deviations, or that it is absent.
    """
    exact: list[bool]
    """Whether all fields are right."""
    singled_out: list[bool]
    """Whether the row agrees with the attacked record in more fields than with any other record of
    the consortium, so that whoever has a list of all patients finds the one.
    """


class OfField(Part):
    """One field in all attacked records: the share of rows in which it is right."""

    field: str
    """The field's name."""
    certainty: float | None
    """How sure the attacker is of its guesses, from 0 to 1; None where it cannot tell."""
    guess: float
    """The share among the guesses."""
    shuffled: float
    """The share among guesses from an update whose values were shuffled."""
    random: float
    """The share among rows drawn from the hospital's own records."""
    typical: float
    """The share among typical rows."""


class FieldScores(Part):
    """The scores of the attacked rows of a table, in one order."""

    hospital: list[str]
    """The hospital of each row."""
    guess: Agreement
    """The guesses, each laid beside one record so that as many fields as possible agree."""
    shuffled: Agreement
    """The same from an update whose values were shuffled, which carries nothing."""
    random: Agreement
    """Rows whose fields are drawn from the hospital's own records."""
    typical: Agreement
    """The mean or the most common level of each field there, which also counts where nothing was
    guessed.
    """
    fields: list[OfField]
    """The scores of each field."""
    surest: float | None
    """The share of fields that are right in the half of which the attacker is surest; None where it
    cannot tell.
    """
    least_sure: float | None
    """The same in the other half; None where it cannot tell."""

    @property
    def baseline(self) -> float:
        """The larger mean share of fields that random and typical rows have right."""
        n = len(self.hospital)
        return max(sum(self.random.right), sum(self.typical.right)) / n if n else 0.0
