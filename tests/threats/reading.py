"""The catalog of threats, and rows of the register, as tests read them."""

from __future__ import annotations

import re

from sim.evidence import RunRecord
from threats.catalog import load
from threats.register import Row, register

CATALOG = load()
NEVER_STATED = re.compile(
    r"\b(safe|safely|compliant|compliance|breach\w*|violat\w+|protected)\b", re.IGNORECASE
)


def rows_of(records: list[RunRecord], threat: str) -> list[Row]:
    return [row for row in register(records, CATALOG) if row.id == threat]


def row_of(records: list[RunRecord], threat: str, defense: str) -> Row:
    (row,) = [row for row in rows_of(records, threat) if row.defense == defense]
    return row
