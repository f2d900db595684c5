"""A hidden field of a record, from the model's answers (Yeom et al., 2018, IEEE CSF)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from sim.errors import InputError, RefusedError, one_of, whole
from sim.probes import probe
from sim.types import PARTIES, About, Asked, Field, Holdings, Party, Question, Schema


@dataclass(frozen=True)
class AttributeInference:
    """The level under which the final model finds the record's label likeliest.

    The attacker knows the label and all other fields. It tries each level of the hidden field; to
    the model's log likelihood of the label it adds what a classifier makes of the other fields,
    learned from records that it knows whole (Bayes' rule). Where these are many the model adds
    little: most attribute inference is imputation (Jayaraman and Evans, 2022).

    Args:
        party: who attacks; all parties can.
        field: the hidden categorical field; null takes sex, or else the first one.
        known: records that the attacker knows whole, from all hospitals; a hospital has its own.
    """

    party: Party = "outsider_api"
    field: str | None = None
    known: int = 50
    question: ClassVar[Question] = "attribute"
    min_rows: ClassVar[int] = 1
    about: ClassVar[About] = About(
        title="AttributeInference",
        paper=(
            "Yeom et al., Privacy Risk in Machine Learning: Analyzing the Connection to Overfitting"
        ),
        year=2018,
        sees="the final model's answers; the label and all fields of a record but one",
        variants=("field=cp: a clinical field", "known=0: nobody's records"),
    )

    def __post_init__(self) -> None:
        one_of(PARTIES, party=self.party)
        whole(0, known=self.known)

    def hidden(self, schema: Schema) -> Field:
        """The hidden field. Raises ``InputError`` where the data have no such categorical one."""
        fields = {
            one.name: one
            for one in schema.fields
            if one.kind == "categorical" and len(one.columns) > 1
        }
        name = self.field
        if name is None:
            name = "sex" if "sex" in fields else next(iter(fields), None)
        if name is None or name not in fields:
            shown = ", ".join(fields) or "there is none"
            raise InputError("field", self.field, f"expected a categorical field: {shown}")
        return fields[name]

    def watched(self, rounds: int) -> tuple[int, ...]:
        return ()

    def __call__(
        self, seen: Holdings, asked: Asked, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        records = asked.records
        field = asked.hidden
        if records is None or field is None:
            raise RefusedError(f"question={asked.question}: AttributeInference needs an attribute")
        signs = np.where(records.labels > 0.5, 1.0, -1.0)
        found = np.zeros((len(records), len(asked.choices)))
        for place, column in enumerate(field.columns):
            tried = records.features.copy()
            tried[:, column] = 1.0
            found[:, place] = -np.logaddexp(0, -signs * seen.outputs(tried))
        found = np.where(np.isfinite(found), found, 0.0)
        if asked.known is not None and len(asked.known):
            answers = np.array(asked.known_answers, dtype=np.int64)
            # without the label, which the model's likelihood is of
            imputed = probe(asked.known.features, answers, len(asked.choices))
            found += imputed(records.features)
        return found
