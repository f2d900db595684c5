"""What is in a folder of results and not in the dictionary of files."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Set
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import polars as pl

from reports import dictionary
from reports.dictionary import File


def undescribed(folder: Path) -> list[str]:
    """Files, and keys and columns in them, that the dictionary does not have."""
    found = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        known = [one for one in dictionary.FILES if fnmatch(name, _pattern(one.name))]
        if known:
            found += [f"{name}: {key}" for key in _unknown(path, known[0])]
        else:
            found.append(name)
    return found


def _pattern(name: str) -> str:
    return f"{name}*" if name.endswith("/") else name


def _unknown(path: Path, file: File) -> Iterator[str]:
    if file.columns is None:
        return
    known = {*file.columns}
    if file.models and path.suffix == ".jsonl":
        known |= {one.name for one in dictionary.fields(file.models[0], file.name)}
    yield from sorted(key for key in _keys(path) if not _is_in(key, known))


def _is_in(key: str, known: Set[str]) -> bool:
    """Whether a key is known, is inside a known one, or is an object or list with known ones."""
    inside = f"{key}."
    return any(f"{one}.".startswith(inside) or inside.startswith(f"{one}.") for one in known)


def _keys(path: Path) -> set[str]:
    """Names of columns, or dotted keys of objects and of objects in lists."""
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            return set(next(csv.reader(file)))
    if path.suffix == ".parquet":
        return set(pl.read_parquet(path).columns)
    text = path.read_text(encoding="utf-8")
    objects = text.splitlines() if path.suffix == ".jsonl" else [text]
    return {key for one in objects for key in _dotted(json.loads(one))}


def _dotted(node: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in node.items():
        inner = [value] if isinstance(value, dict) else value if isinstance(value, list) else []
        parts = [one for one in inner if isinstance(one, dict)]
        for part in parts:
            yield from _dotted(part, f"{prefix}{key}.")
        if not parts:
            yield f"{prefix}{key}"
