"""A consortium's own files for tests: real measurements under odd names, as hospitals send them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.utils import Bunch

SIZES = (200, 120, 90, 60, 50, 30, 19)
HEADER = (
    "MRN",
    "Mean Radius (µm)",
    "texture %",
    "Area",
    "Menopause",
    "Notes",
    "Visit",
    "Diagnosis",
)
LABEL = ("consortium=csv", "consortium.label=Diagnosis", "consortium.positive=M")
RARE = ("zyxwvut", "7351")  # parts of what stands in one patient's line and nowhere else

Row = list[str]
LINES = "age,sex,sick\n" + "".join(
    f"{20 + i % 50}.5,{'fm'[i % 2]},{i % 3 % 2}\n" for i in range(60)
)


def rows(seed: int = 0) -> list[list[Row]]:
    """The patients of each of seven hospitals: one value a column of ``HEADER``."""
    return [[[*patient] for patient in hospital] for hospital in _rows(seed)]


@cache
def _rows(seed: int) -> list[list[Row]]:
    source = load_breast_cancer()
    rng = np.random.default_rng(seed)
    order = iter(rng.permutation(len(source.target)))
    return [[_patient(source, next(order), rng) for _ in range(size)] for size in SIZES]


def _patient(source: Bunch, at: int, rng: np.random.Generator) -> Row:
    data, target = source.data, source.target
    values = [f"{data[at, 0]:.3f}", f"{data[at, 1]:.2f}", f"{data[at, 3]:.0f}"]
    if rng.random() < 0.1:
        values[1] = "NA"
    if rng.random() < 0.05:
        values[2] = "-9"
    note = f'seen in clinic, "well"\nreturn in {rng.integers(2, 30)} weeks please'
    visit = f"2019-0{rng.integers(1, 9)}-1{rng.integers(9)}"
    menopause = ("pre", "post", "peri")[rng.integers(3)]
    return [f"P{100000 + at}", *values, menopause, note, visit, "M" if target[at] == 0 else "B"]


def text(lines: Sequence[Sequence[str]], separator: str = ",", decimal: str = ".") -> str:
    """Lines of a file, quoted where a cell needs it."""

    def cell(value: str, name: str) -> str:
        if name in HEADER[1:4]:
            value = value.replace(".", decimal)
        if any(sign in value for sign in f'{separator}"\n'):
            return '"' + value.replace('"', '""') + '"'
        return value

    head, *rest = lines
    written = [[cell(name, "") for name in head]]
    written += [[cell(one, name) for one, name in zip(row, head, strict=False)] for row in rest]
    return "".join(separator.join(row) + "\n" for row in written)


def folder(place: Path, change: Callable[[list[list[Row]]], None] = lambda _: None) -> Path:
    """A file per hospital, one of them as a German spreadsheet writes it."""
    hospitals = rows()
    change(hospitals)
    place.mkdir(parents=True, exist_ok=True)
    for number, patients in enumerate(hospitals):
        german = number == 1
        content = text([HEADER, *patients], *((";", ",") if german else (",", ".")))
        path = place / f"Clinic {'ABCDEFG'[number]}.csv"
        path.write_bytes(content.encode("cp1252" if german else "utf-8"))
    return place


def single(path: Path, change: Callable[[list[Row]], None] = lambda _: None) -> Path:
    """One file with a column that names the hospital."""
    patients = [
        [f"Clinic {'ABCDEFG'[number]}", *row] for number, part in enumerate(rows()) for row in part
    ]
    change(patients)
    path.write_text(text([("Site", *HEADER), *patients]), encoding="utf-8")
    return path
