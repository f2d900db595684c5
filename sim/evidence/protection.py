"""The promise of differential privacy, in words: of report, register and ``explain``."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal

from sim.evidence.privacy import Privacy, Statement

RELATIONS = {
    "replace": "one record replaced by another (the number of a hospital's records is public)",
    "add_remove": "one record more or less (no hospital's own number of records is sent)",
}


def statement(privacy: Privacy) -> str:
    """The terms of a privacy statement: what it is about, for which neighbors, and how counted."""
    nominal = privacy.nominal_records
    counted = "" if nominal is None else f"; counted as {nominal:,} records in each hospital"
    return (
        f"unit of protection: one {privacy.unit};"
        f" neighbors: {RELATIONS.get(privacy.relation, privacy.relation)}{counted};"
        f" \N{GREEK SMALL LETTER DELTA} = {float(privacy.delta)!r}; sampling: {privacy.sampling};"
        f" clipping norm {privacy.max_grad_norm:.3g}; accountant: {privacy.accountant}"
    )


def sentence(one: Statement) -> str:
    """A statement of differential privacy in words, without its epsilon."""
    whose = "" if one.hospital is None else f", the largest at {one.hospital}"
    return (
        f"unit of protection: one {one.unit}{whose}; against {one.against}; neighbors:"
        f" {one.relation}; mechanism: {one.mechanism};"
        f" \N{GREEK SMALL LETTER DELTA} = {float(one.delta)!r}; accountant: {one.accountant}"
    )


def epsilon(value: float) -> str:
    """A privacy budget with three digits, rounded up, so that it never promises too much."""
    if not value > 0:
        return "0"
    exact = Decimal(repr(value))
    step = Decimal(1).scaleb(exact.adjusted() - 2)
    return f"{float(exact.quantize(step, ROUND_CEILING)):#.3g}".rstrip(".")
