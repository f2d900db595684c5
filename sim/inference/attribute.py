"""Attribute inference: a hidden field of a record, asked of an attack and scored."""

from __future__ import annotations

from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from sim.evidence import outcome
from sim.federation.observing import Findings
from sim.inference.asking import chosen, commonest, known, trained
from sim.inference.inquiry import Inquiry
from sim.probes import probe
from sim.types import Asked, Field, Records, Schema


class Hiding(Protocol):
    """An attack that states the field that is ``hidden`` from it."""

    def hidden(self, schema: Schema) -> Field: ...


def attribute(inquiry: Inquiry) -> Findings:
    """The success of an attribute inference, beside imputation that asks no model.

    Asked about are the records that other hospitals trained on, without the hidden field.
    ``attribute_accuracy_alone``: of a classifier that learns from the records that the attacker
    knows whole, label included, or of the level that is commonest there, whichever is more.
    """
    field = cast(Hiding, inquiry.attack).hidden(inquiry.subject.plan.columns)
    records, _ = trained(inquiry)
    beside = known(inquiry)
    n = len(records)
    accuracy = alone = None
    if n:
        levels = _levels(records, field)
        of_known = _levels(beside, field)
        asked = Asked(
            question="attribute",
            choices=field.levels or tuple(map(str, field.columns)),
            records=_without(records, field),
            hidden=field,
            known=_without(beside, field),
            known_answers=tuple(of_known.tolist()),
        )
        answers = chosen(inquiry.answers(asked, n), inquiry.draws("ties"))
        accuracy = float(np.mean(answers == levels))
        alone = _imputed(_without(beside, field), of_known, _without(records, field), levels)
    nobody = "no record was asked about"
    return Findings(
        [
            outcome("attribute_accuracy", accuracy, n, undefined=nobody),
            outcome("attribute_accuracy_alone", alone, n, undefined=nobody),
        ]
    )


def _imputed(
    beside: Records,
    of_known: NDArray[np.int64],
    records: Records,
    levels: NDArray[np.int64],
) -> float:
    """The share of hidden levels that are right without any model."""
    if not len(beside):
        return commonest(levels)
    n_levels = int(max(levels.max(), of_known.max())) + 1
    both = [np.column_stack([one.features, one.labels]) for one in (beside, records)]
    imputed = probe(both[0], of_known, n_levels)(both[1]).argmax(axis=1)
    constant = np.bincount(of_known).argmax()
    return max(float(np.mean(imputed == levels)), float(np.mean(levels == constant)))


def _levels(records: Records, field: Field) -> NDArray[np.int64]:
    """The place of each record's level among those of the field, (n,)."""
    return np.asarray(records.features[:, list(field.columns)].argmax(axis=1), dtype=np.int64)


def _without(records: Records, field: Field) -> Records:
    """The records with all columns of the field 0."""
    features = records.features.copy()
    features[:, list(field.columns)] = 0
    return Records(features, records.labels)
