"""An outcome: one measured figure of a run, with its unit, its subject and its interval's basis."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from sim.evidence.metrics import METRICS, Basis, Scope


class Part(BaseModel):
    """Base of every piece of evidence: nothing unknown, nothing changed afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Outcome(Part):
    """One figure. ``subject``: which hospital (record, message) it is of, None for the consortium.

    ``value`` is None where the figure is not defined, and ``undefined`` states why. ``n``: how many
    patients, records or rounds it is of; None where nothing is counted. ``unit`` and ``basis`` are
    those of the metric in ``sim.evidence.metrics``, so that a line of evidence can be read by
    itself.
    """

    metric: str
    scope: Scope
    subject: str | None
    value: float | None
    undefined: str | None
    n: int | None
    unit: str
    basis: Basis


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
