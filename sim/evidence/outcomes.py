"""An outcome: one measured figure of a run, with its unit, its subject and its interval's basis."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from sim.evidence.metrics import METRICS, Basis, Scope


class Part(BaseModel):
    """Base of every piece of evidence: nothing unknown, nothing changed afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Outcome(Part):
    """One figure of a run. A line of evidence can be read by itself, so each has its unit."""

    metric: str
    """The figure's kind: one of the metrics below."""
    scope: Scope
    """What the figure is of."""
    subject: str | None
    """The hospital (record, message) that it is of; None for the whole consortium."""
    value: float | None
    """The figure; None where it is not defined."""
    undefined: str | None
    """Why the figure is not defined; None where it is."""
    n: int | None
    """The number of patients, records or rounds that it is of; None where nothing is counted."""
    unit: str
    """The unit of the metric."""
    basis: Basis
    """The basis of an interval of this metric: what is taken as repeated."""


def outcome(
    metric: str,
    value: float | None,
    n: int | None = None,
    *,
    hospital: str | None = None,
    undefined: str | None = None,
) -> Outcome:
    """The outcome of a metric for the consortium, or for one ``hospital``.

    ``undefined``: why there is no value, if there is none.

    >>> outcome("auroc", 0.85, 180).unit
    'share of pairs'
    """
    known = METRICS[metric]
    return Outcome(
        metric=metric,
        scope="consortium" if hospital is None else "hospital",
        subject=hospital,
        value=value,
        undefined=undefined if value is None else None,
        n=n,
        unit=known.unit,
        basis=known.basis,
    )
