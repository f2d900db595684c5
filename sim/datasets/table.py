"""From one table of patients to a consortium: rows are dealt to sites, split and encoded."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sim.datasets.encoding import encode, lay_out
from sim.errors import InputError
from sim.types import Consortium, Hospital, Provenance, Records

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Table:
    """Patients of all hospitals, one a row.

    ``fields``: null is absent. ``labels`` (n,): 0 or 1. ``levels`` names the categorical fields and
    their levels; every other field is a number, in ``units``. ``data_hash``: sha256 of the source.
    """

    fields: pl.DataFrame
    labels: NDArray[np.float32]
    levels: Mapping[str, tuple[str, ...]]
    units: Mapping[str, str]
    data_hash: str
    source: str


@dataclass(frozen=True)
class Site:
    """One hospital of the consortium: row numbers of its training and test patients."""

    name: str
    origin: str
    train: Rows
    test: Rows


def deal(
    rows: Rows, labels: NDArray[np.float32], parts: int, rng: np.random.Generator
) -> list[Rows]:
    """Shuffle ``rows`` into ``parts``; sizes and counts of each class differ by at most one."""
    shuffled = np.concatenate([rng.permutation(rows[labels[rows] == label]) for label in (1, 0)])
    return [shuffled[part::parts] for part in range(parts)]


def split(
    rows: Rows, labels: NDArray[np.float32], test_fraction: float, rng: np.random.Generator
) -> tuple[Rows, Rows]:
    """Training and test rows: of each class ``round(test_fraction * n)`` rows are for testing."""
    test = []
    for label in (1, 0):
        shuffled = rng.permutation(rows[labels[rows] == label])
        test.append(shuffled[: round(test_fraction * len(shuffled))])
    held_out = np.sort(np.concatenate(test))
    return np.setdiff1d(rows, held_out), held_out


def consortium(
    name: str,
    table: Table,
    sites: Iterable[Site],
    *,
    public: bool,
    provenance: Provenance | None = None,
) -> Consortium:
    """The hospitals, sorted by name.

    Encoding constants come from the training rows of all sites together. Raises ``InputError`` if a
    site is left without training or test rows, and for a row that is in two places.
    """
    ordered = sorted(sites, key=lambda site: site.name)
    _refuse_repeated(ordered)
    for site in ordered:
        if len(site.train) == 0 or len(site.test) == 0:
            n = len(site.train) + len(site.test)
            shown = f"{len(site.test)} of {n} patients of {site.name}"
            expected = "expected one that leaves patients to train on and to test on"
            raise InputError("test_fraction", shown, expected)
    train = np.concatenate([site.train for site in ordered])
    schema = lay_out(table.fields, train, table.levels, table.units)
    records = Records(encode(table.fields, schema), table.labels)
    hospitals = tuple(
        Hospital(site.name, site.origin, records.take(site.train), records.take(site.test))
        for site in ordered
    )
    return Consortium(name, hospitals, schema, public, table.data_hash, table.source, provenance)


def _refuse_repeated(sites: list[Site]) -> None:
    """Refuse a row that is in more than one of all training and test sets."""
    seen: dict[int, str] = {}
    for site in sites:
        for part, rows in (("training", site.train), ("test", site.test)):
            place = f"{part} rows of {site.name}"
            for row in rows.tolist():
                if row in seen:
                    expected = "expected each row of the table in one place only"
                    raise InputError("sites", f"{seen[row]}, {place}", expected)
                seen[row] = place
