"""Two folders, before and after a change of design: what differs, as a page and as plain values."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal
from urllib.parse import quote

import polars as pl
from markupsafe import Markup
from matplotlib.figure import Figure

from reports import notebook, rendering
from reports.analysis import breakdown, costs_apart, differences, each_run, tables
from reports.analysis.differences import Cell, Value
from reports.figures import style
from reports.figures.differences import differences as draw
from reports.figures.style import Make, Width
from reports.notebook import Shown
from reports.page import INDEX, RUNS
from reports.text import differences as sentences
from reports.text import words
from sim import evidence, files, titles
from sim.errors import InputError
from sim.evidence import EVIDENCE, Chain, RunRecord, audits
from sim.evidence.controls import NONE
from sim.evidence.manifest import manifest_of
from sim.titles import Titles
from sim.types import Node, TableRow
from threats import compared, stored, verdict
from threats.compared import CriterionChange, RowChange, Stated
from threats.levels import WORDS
from threats.stored import Stored

PAGE: Final = "difference.html.j2"
NAME: Final = "difference.html"
FIGURE: Final = "differences"
SCHEMA: Final = "wardround.difference/1"
STACK: Final = "the declared stack"
OUTCOMES: Final = {"met": "met", "not_met": "not met", "inconclusive": "not decided"}

Kind = Literal["runs", "verdict"]


@dataclass(frozen=True)
class Folder:
    """One of the two folders: its evidence, checked, and the verdict that it has, if it has one.

    ``records``: the runs that are compared. ``anchors``: the place of each cell on its own page of
    runs.
    """

    path: Path
    chain: Chain
    records: tuple[RunRecord, ...]
    anchors: Mapping[tuple[str, str, int], str]
    found: Stored | None

    @property
    def kind(self) -> Kind:
        """The kind of the folder: of runs alone, or of a design's verdict."""
        return "runs" if self.found is None else "verdict"

    @property
    def seeds(self) -> list[int]:
        """The seeds of its runs."""
        return sorted({record.seed for record in self.records})


@dataclass(frozen=True)
class Judged:
    """The difference between two verdicts: designs, criteria, and rows of the registers."""

    design: Sequence[Stated]
    criteria: Sequence[CriterionChange]
    rows: Sequence[RowChange]


@dataclass(frozen=True)
class Difference:
    """The difference between two folders.

    ``changes``: a frame of ``differences.changes``. ``configuration``: values that differ in cells
    that both have. ``only_before`` and ``only_after``: cells of one folder alone. ``costs``: a
    frame of ``costs_apart.costs``. ``judged``: of two verdicts. ``drop``: the change that counts as
    material, the smaller one where the folders state two. ``titles``: plain names of choices of the
    user's own.
    """

    before: Folder
    after: Folder
    drop: float
    changes: pl.DataFrame
    configuration: Sequence[Value]
    only_before: Sequence[Cell]
    only_after: Sequence[Cell]
    n_common: int
    costs: pl.DataFrame
    judged: Judged | None
    titles: Titles

    def __str__(self) -> str:
        return notebook.text(self._shown())

    def _repr_html_(self) -> str:
        return notebook.html(self._shown())

    @property
    def summary(self) -> list[str]:
        """The difference in sentences, the worst first."""
        with titles.known(self.titles):
            return list(sentences.summary(self))

    @property
    def json(self) -> Node:
        """The difference as plain values."""
        return _plain(self)

    def _shown(self) -> Shown:
        """What a notebook shows: the sentences, and the main change of each cell."""
        rows = list(sentences.drawn(self.changes).iter_rows(named=True))
        with titles.known(self.titles):
            columns = (
                ("cell", [sentences.cell(_cell(row)) for row in rows]),
                ("figure", [row["text"] for row in rows]),
                ("before", [words.score(row["before"]) for row in rows]),
                ("after", [words.score(row["after"]) for row in rows]),
                ("change", [words.change(row["change"]) for row in rows]),
                ("95 %", [words.span(row["low"], row["high"], signed=True) for row in rows]),
                ("shown to be", [row["outcome"] for row in rows]),
            )
        return Shown(
            heading=f"Before {self.before.path}, after {self.after.path}",
            first=tuple(sentences.cautions(self)),
            sentences=tuple(("", text) for text in self.summary),
            title="A change is the mean after minus the mean before.",
            columns=columns if rows else (),
            notes=(sentences.basis(self.changes),),
            place="",
        )


def read(before: Path, after: Path) -> Difference:
    """The difference between two folders, whose evidence and verdicts are checked.

    Raises ``InputError`` for one folder given twice, for a folder of another kind than the other,
    and for evidence or a verdict that does not hold.
    """
    if before.exists() and after.exists() and os.path.samefile(before, after):
        raise InputError("folder", after, "expected another folder than the first")
    old = _folder(before)
    new = _folder(after)
    if old.kind != new.kind:
        kinds = {"runs": "runs without a verdict", "verdict": "a verdict of validate"}
        expected = f"expected {kinds[old.kind]}, as {before} has, and not {kinds[new.kind]}"
        raise InputError("folder", after, expected)
    return _compared(old, new)


def write(before: Path, after: Path, out: Path | None = None) -> tuple[Path, Difference]:
    """The path of the page of two folders, and what it states.

    ``out``: the folder that takes ``difference.html``; None: ``report/`` of the second folder.
    Nothing else of the two folders is written.
    """
    found = read(before, after)
    target = (after / "report" if out is None else out) / NAME
    files.replace(target, render(found, target.parent).encode())
    return target, found


def makers(found: Difference) -> list[tuple[str, Make]]:
    """The figures of the page by name, each drawn for the width asked for; empty without one."""
    if sentences.drawn(found.changes).is_empty():
        return []

    def drawn(width: Width) -> Figure:
        with titles.known(found.titles):
            return draw(found.changes, width, found.drop)

    return [(FIGURE, drawn)]


def render(found: Difference, place: Path) -> str:
    """The page as HTML text. ``place``: the folder that takes it, from which links are followed."""
    with titles.known(found.titles):
        return _rendered(found, place)


def _rendered(found: Difference, place: Path) -> str:
    drawn = [style.inline(make, name) for name, make in makers(found)]
    return rendering.page(
        PAGE,
        it=found,
        drop=found.drop,
        first=found.summary,
        figure=Markup(drawn[0]) if drawn else None,
        rows=list(found.changes.iter_rows(named=True)),
        links=[_links(one, place) for one in (found.before, found.after)],
        main=list(sentences.drawn(found.changes).iter_rows(named=True)),
        costs=list(found.costs.iter_rows(named=True)),
        commands=[_command(one) for one in (found.before, found.after)],
        cell=sentences.cell,
        cells=lambda cells: list(map(sentences.cell, cells)),
        amount=sentences.amount,
        basis=sentences.basis(found.changes),
        cautions=sentences.cautions(found),
        outcomes=OUTCOMES,
        levels=WORDS,
        status=verdict.STATUS,
        notice=verdict.NOTICE,
    )


def _links(folder: Folder, place: Path) -> dict[Cell, str]:
    """Where the runs of each cell are shown, from a page in ``place``; none without such a page.

    A cell has the names that the comparison gives it, without its number of hostile hospitals too.
    """
    page = folder.path / "report" / (INDEX if folder.found is None else RUNS)
    if not page.exists():
        return {}
    names = {} if folder.found is None else _stack(folder.found)
    where = quote(os.path.relpath(page.resolve(), place.resolve()))
    found = dict[Cell, str]()
    for (attack, defense, n_hostile), anchor in folder.anchors.items():
        for number in (None, n_hostile):
            found[attack, names.get(defense, defense), number] = f"{where}#{anchor}"
    return found


def _cell(row: TableRow) -> Cell:
    return row["attack"], row["defense"], row["n_hostile"]


def _command(folder: Folder) -> str:
    """The command that made the folder, as its manifest has it."""
    found = manifest_of(folder.path).get("command")
    return found if isinstance(found, str) else "not recorded"


def _folder(path: Path) -> Folder:
    if (path / audits.AUDITS).exists():
        raise InputError("folder", path, f"expected runs in {EVIDENCE}, and not audits")
    if not (path / EVIDENCE).exists() and path.is_dir() and any(path.rglob(EVIDENCE)):
        expected = f"expected {EVIDENCE} in it; it holds folders of a sweep, which are compared one"
        raise InputError("folder", path, f"{expected} by one")
    chain = evidence.chain(path)
    verdict.check(path, chain)
    found = stored.read(path, chain) if stored.held(path) else None
    manifest = dict.fromkeys(("attacks", "defenses")) | manifest_of(path)
    pooled = [tables.pooled(record) for record in chain.records]
    records = tables.one_study(pooled, manifest["attacks"] or (), manifest["defenses"] or ())
    anchors = each_run.anchors(list(dict.fromkeys(map(each_run.cell, records))))
    if found is not None:
        names = _stack(found)
        records = [one for one in records if one.defense in (NONE, *names)]
    return Folder(path, chain, tuple(records), anchors, found)


def _compared(old: Folder, new: Folder) -> Difference:
    numbers = [breakdown.numbers(one.records) for one in (old, new)]
    by_number = max(map(len, numbers)) > 1
    before, after = (
        differences.side(
            one.records,
            by_number=by_number,
            names=None if one.found is None else _stack(one.found),
        )
        for one in (old, new)
    )
    drop = min(tables.material_drop(one.records) for one in (old, new))
    judged = None
    if old.found is not None and new.found is not None:
        judged = Judged(
            design=compared.design(old.found.design, new.found.design),
            criteria=compared.criteria(
                (old.found.design, old.found.assessment), (new.found.design, new.found.assessment)
            ),
            rows=compared.rows(old.found.assessment, new.found.assessment),
        )
    return Difference(
        before=old,
        after=new,
        drop=drop,
        changes=differences.changes(before, after, drop),
        configuration=differences.configuration(before, after),
        only_before=[cell for cell in before.cells if cell not in after.cells],
        only_after=[cell for cell in after.cells if cell not in before.cells],
        n_common=len(differences.common(before, after)),
        costs=costs_apart.costs(before, after),
        judged=judged,
        titles=_titles(old, new),
    )


def _titles(old: Folder, new: Folder) -> Titles:
    """The titles of choices of the user's own that either folder states."""
    found = [titles.stored(manifest_of(one.path).get("titles")) for one in (old, new)]
    return {
        group: {**found[0].get(group, {}), **found[1].get(group, {})}
        for group in dict.fromkeys([*found[0], *found[1]])
    }


def _stack(found: Stored) -> Mapping[str, str]:
    """What the runs' names of the declared stack are called in a comparison of two designs."""
    declared = found.design.stack(found.design.declared)
    stated = [one.defense for one in found.assessment.statements if one.claim.stack == declared.id]
    return {name: STACK for name in (declared.defense, *stated) if name != NONE}


def _plain(found: Difference) -> Node:
    """The difference as values of JSON; a cell is an object with attack and defense."""
    made: Node = {
        "schema": SCHEMA,
        "before": _about(found.before),
        "after": _about(found.after),
        "material_drop": found.drop,
        "summary": found.summary,
        "cautions": sentences.cautions(found),
        "configuration": [
            {
                "key": one.key,
                "before": one.before,
                "after": one.after,
                "cells": None if one.cells is None else [_named(cell) for cell in one.cells],
            }
            for one in found.configuration
        ],
        "changes": _rows(found.changes),
        "only_before": [_named(cell) for cell in found.only_before],
        "only_after": [_named(cell) for cell in found.only_after],
        "costs": _rows(found.costs),
    }
    if found.judged is not None:
        made |= {
            "notice": verdict.NOTICE,
            "design": [asdict(one) for one in found.judged.design],
            "criteria": [_criterion(one) for one in found.judged.criteria],
            "register": [_row(one) for one in found.judged.rows],
        }
    checked: Node = json.loads(json.dumps(made, allow_nan=False))
    return checked


def _about(folder: Folder) -> Node:
    about: Node = {
        "folder": str(folder.path),
        "kind": folder.kind,
        "runs": len(folder.records),
        "seeds": folder.seeds,
        "evidence": {"bytes": folder.chain.bytes, "hash": folder.chain.hash},
    }
    if folder.found is not None:
        made = folder.found.assessment
        about |= {
            "design": {"name": made.design, "version": made.version, "sha256": made.digest},
            "outcome": made.outcome,
        }
    return about


def _named(cell: Cell) -> Node:
    attack, defense, n_hostile = cell
    return {"attack": attack, "defense": defense, "n_hostile": n_hostile}


def _rows(frame: pl.DataFrame) -> list[TableRow]:
    return list(frame.iter_rows(named=True))


def _criterion(one: CriterionChange) -> Node:
    return {
        "id": one.id,
        "change": one.kind,
        "asked_before": one.asked_before or None,
        "asked_after": one.asked_after or None,
        "before": None if one.before is None else one.before.outcome,
        "after": None if one.after is None else one.after.outcome,
    }


def _row(one: RowChange) -> Node:
    sides = {"before": one.before, "after": one.after}
    return {
        "threat": one.threat,
        "element": one.element,
        "adversary": one.adversary,
        "change": one.turn,
        **{
            side: None
            if row is None
            else {
                "status": row.status,
                "risk": None if row.adjusted is None else row.adjusted.upper.risk,
            }
            for side, row in sides.items()
        },
    }
