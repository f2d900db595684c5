"""One self-contained HTML page from an evidence folder, with its figures in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

import polars as pl
from markupsafe import Markup
from matplotlib.figure import Figure

from reports import rendering, sections, story, tips
from reports.analysis import (
    breakdown,
    broken,
    costs,
    each_run,
    inferred,
    quantized,
    radii,
    tables,
    traffic,
    undefined,
    weights,
)
from reports.analysis.seen import Seen
from reports.figures import charts, curves, multiples, privacy, style
from reports.figures.gallery import gallery
from reports.figures.heat_map import heat_map
from reports.figures.style import Make, Width
from reports.text import findings
from sim import evidence, files, titles
from sim.evidence import Line, RunRecord
from sim.evidence.manifest import manifest_of
from sim.evidence.metrics import METRICS
from sim.types import Node, TableRow
from threats import catalog, register
from threats.catalog import Catalog

MANIFEST = (
    *("command", "attacks", "defenses", "refused", "commit"),
    *("started", "seconds", "machine", "python", "versions", "evidence"),
)


PAGE = "index.html.j2"
INDEX = "index.html"
FIGURE: Final = re.compile(r"<!--figure (\w+)-->")
RUNS = "runs.html"  # the page of all runs, where the index is that of a design's verdict


class Drawing(Protocol):
    """Calls of ``style.drawn``, which may be done elsewhere while the page is made."""

    def ask(self, make: Make, name: str, width: Width, /) -> None:
        """Ask for one picture."""
        ...

    def answers(self) -> list[str]:
        """The figures that were asked for, in order."""
        ...


class Here:
    """The drawing of each picture at once, in this process."""

    def __init__(self) -> None:
        self._texts = list[str]()

    def ask(self, make: Make, name: str, width: Width) -> None:
        """Draw one picture."""
        self._texts.append(style.drawn(make, name, width))

    def answers(self) -> list[str]:
        """The pictures so far."""
        return self._texts


def prepare() -> None:
    """Load what every page is made with."""
    rendering.prepare(PAGE)
    catalog.load()
    style.prepare()


def write_report(
    folder: Path,
    everything: Sequence[RunRecord] | None = None,
    *,
    name: str = INDEX,
    show_reconstructions: bool = False,
    drawing: Drawing | None = None,
) -> Path:
    """The path of a page of ``report/``, written with its figures from the evidence in ``folder``.

    ``everything``: what ``evidence.read`` gives for the folder, where it is in memory already.
    ``drawing``: who draws; None: this process, one figure after the other.

    Reconstructed records of data that is not public appear as scores only unless
    ``show_reconstructions``. The same evidence gives the same bytes. Raises ``InputError`` if the
    folder holds no runs or runs that cannot be compared.
    """
    manifest = dict.fromkeys(MANIFEST) | manifest_of(folder)
    found = evidence.read(folder) if everything is None else everything
    records = of_study(found, manifest)
    drawing = drawing or Here()
    asked = list[str]()
    refused = manifest["refused"] or ()
    more = titles.stored(manifest.get("titles"))
    seen = Seen(breakdown.in_focus(records))
    shown = show_reconstructions
    for title, make in drawings(records, refused, show_reconstructions=shown, seen=seen):
        for width in (style.PAGE, style.PHONE):
            drawing.ask(partial(style.titled, more, make), title, width)
        asked.append(title)
    with titles.known(more):
        values = content(
            records,
            manifest,
            show_reconstructions=shown,
            lines=evidence.located(folder),
            seen=seen,
        )
        text = framed(values, asked)
    pictures = iter(drawing.answers())
    page = filled(text, {title: style.both(next(pictures), next(pictures)) for title in asked})
    target = folder / "report" / name
    files.replace(target, page.encode())
    return target


def figures(
    everything: Sequence[RunRecord], manifest: Node, width: Width = style.PAGE
) -> dict[str, Figure]:
    """The figures of the page of a folder, by file name; see ``draw``. ``manifest``: its own."""
    facts = dict.fromkeys(MANIFEST) | manifest
    with titles.known(titles.stored(facts.get("titles"))):
        return draw(of_study(everything, facts), facts["refused"] or (), width=width)


def makers(
    everything: Sequence[RunRecord], manifest: Node, *, show_reconstructions: bool
) -> Iterator[tuple[str, Make]]:
    """The function that makes each figure of the page of a folder, by file name.

    ``manifest``: its own.
    """
    facts = dict.fromkeys(MANIFEST) | manifest
    records = of_study(everything, facts)
    refused = facts["refused"] or ()
    more = titles.stored(facts.get("titles"))
    for name, make in drawings(records, refused, show_reconstructions=show_reconstructions):
        yield name, partial(style.titled, more, make)


def of_study(found: Sequence[RunRecord], manifest: Node) -> list[RunRecord]:
    """The runs of a folder, pooled and in the order of its manifest. Raises ``InputError``."""
    read = [tables.pooled(record) for record in found]
    return tables.one_study(read, manifest["attacks"] or (), manifest["defenses"] or ())


def draw(
    everything: Sequence[RunRecord],
    refused: Sequence[undefined.Refused] = (),
    *,
    show_reconstructions: bool = False,
    width: Width = style.PAGE,
) -> dict[str, Figure]:
    """The figures that these records have data for, by file name; see ``drawings``."""
    found = drawings(everything, refused, show_reconstructions=show_reconstructions)
    return {name: make(width) for name, make in found}


def drawings(
    everything: Sequence[RunRecord],
    refused: Sequence[undefined.Refused] = (),
    *,
    show_reconstructions: bool = False,
    seen: Seen | None = None,
) -> Iterator[tuple[str, Make]]:
    """The function that makes each figure that these records have data for, by file name.

    Where one subject takes several figures, these are numbered from 2 on. Reconstructed records of
    data that is not public are drawn only with ``show_reconstructions``. ``seen``: the runs in
    focus, where their frames are of use to others too.
    """
    seen = seen or Seen(breakdown.in_focus(everything))
    records = seen.records
    cells = seen.cells
    looks = style.looks(list(cells["defense"].unique(maintain_order=True)))
    acting = cells.filter(~pl.col("reads_only"))
    lost = _not_defined(cells, records, refused)
    most = multiples.MOST_EFFECTS
    if len(acting) + len(lost) > 1:
        marked = seen.marked
        yield "heat_map", _make(heat_map, acting, marked=marked, undefined=lost, read=seen.read)
    if not (points := seen.sound.points).is_empty():
        yield "tradeoff", _make(charts.tradeoff, points)
        scores = tables.hospital_scores(records, points)
        yield from _in_parts("hospital_scores", multiples.hospital_scores, scores, most)
    yield from _breakdown(everything, refused, cells)
    if not (selected := weights.leaving_out(seen.selected)).is_empty():
        chance = records[0].n_hostile / records[0].n_hospitals
        yield "detection", _make(multiples.detection, selected, by_chance=chance)
    if not (prices := seen.prices).is_empty():
        yield "hospital_costs", _make(charts.hospital_costs, prices)
    yield from _in_parts("hospital_effects", multiples.hospital_effects, seen.effects, most)
    trained = [record for record in records if not broken.untrained(record)]
    panels = tables.worst_attacks(cells, multiples.MOST_PANELS)
    by_round = tables.curves([record for record in trained if record.attack in panels])
    yield from _in_parts("convergence", multiples.convergence, by_round, looks=looks)
    inversions = seen.inverted
    if not inversions.is_empty():
        yield "reconstruction", _make(charts.reconstruction, inversions, looks=looks)
    if not inversions.drop_nulls("summed").is_empty():
        yield "leakage", _make(charts.leakage, inversions, looks=looks)
    if not (clips := tables.clips(records)).is_empty():
        yield "clip_over_rounds", _make(privacy.clip_over_rounds, clips)
    if asked := seen.asked:
        yield "membership", _make(curves.membership, asked, looks=looks)
    if shown := sections.gallery(records, show_reconstructions=show_reconstructions):
        yield "gallery", _make(gallery, shown)
    if not (budgets := tables.privacy_utility(records)).is_empty():
        yield "privacy_utility", _make(privacy.privacy_utility, budgets)
    if not (spent := seen.spent).is_empty():
        yield "privacy_spent", _make(charts.privacy_spent, spent, looks=looks)


def render(values: Node, drawn: Mapping[str, str]) -> str:
    """The page as HTML text, with the ``content`` and the figures as SVG by their names."""
    return filled(framed(values, drawn), drawn)


def framed(values: Node, names: Iterable[str]) -> str:
    """The page with the ``content`` and, in place of each figure of these names, a comment.

    A value cannot be such a comment, for it is escaped.
    """
    places = {name: Markup(f"<!--figure {name}-->") for name in names}
    return rendering.page(PAGE, svg=places, **values)


def filled(text: str, drawn: Mapping[str, str]) -> str:
    """The page of ``framed`` with its figures as SVG, by their names."""
    return FIGURE.sub(lambda place: drawn[place[1]], text)


def content(
    everything: Sequence[RunRecord],
    manifest: Node,
    *,
    show_reconstructions: bool,
    lines: Mapping[str, Line] | None = None,
    seen: Seen | None = None,
) -> Node:
    """The values that the page shows beside its figures, by their names in the template.

    ``lines``: where the evidence has each run. ``seen``: see ``drawings``.
    """
    seen = seen or Seen(breakdown.in_focus(everything))
    records = seen.records
    refused = manifest["refused"] or ()
    known = catalog.load()
    threats = sections.threats(register.register(records, known))
    values = {
        "records": records,
        "study": records[0],
        "manifest": manifest,
        "seeds": sorted({record.seed for record in records}),
        "n_runs": len(everything),
        "runs": each_run.runs(everything, lines or {}, manifest["command"]),
        "n_adaptive": sum(record.adaptive for record in records),
        "n_attacked": sum(record.attack != "none" for record in records),
        "settings": sections.settings(records),
        "takes": _takes(everything, refused),
        **_findings(everything, seen, refused),
        **_outcomes(seen, refused),
        **_hospitals(seen),
        **_confidentiality(seen, show_reconstructions=show_reconstructions),
        **_design(records, threats, known),
        **story.values(everything, seen, manifest, threats, known),
    }
    return values | {"tips": tips.data(_tips(values))}


def _tips(values: Node) -> list[tips.Tip]:
    """The tips of the cells and of the hospitals that are on the page."""
    found = (values["cells"], values["backdoors"], values["leaks"])
    of_hospitals = tips.of_hospitals(values["effects"]["cells"].values())
    return tips.of_cells(values["records"], *found) + of_hospitals


def _findings(
    everything: Sequence[RunRecord], seen: Seen, refused: Sequence[undefined.Refused]
) -> Node:
    records = seen.records
    asked = findings.asked(everything) + breakdown.asked(everything)
    return {
        "asked": asked + undefined.sentences(refused),
        "heading": broken.heading(everything),
        "first": broken.first(everything),
        "found": findings.found(seen),
        "cautions": [
            *findings.cautions(seen),
            *radii.idle(records),
            *quantized.sentences(records),
        ],
        "why_undefined": tables.why_undefined(records[0]),
    }


def _outcomes(seen: Seen, refused: Sequence[undefined.Refused]) -> Node:
    records = seen.records
    worst_hospital = _rows(tables.cells(records, "worst_hospital_auroc"))
    return {
        "not_defined": _not_defined(seen.cells, records, refused),
        "cells": _rows(seen.judged),
        "undrawn": _undrawn(seen),
        "drop": seen.drop,
        "worst_hospital": {(row["attack"], row["defense"]): row for row in worst_hospital},
        "n_points": len(seen.sound.points),
        "most_points": charts.MOST_POINTS,
        "backdoors": _rows(seen.marked),
        "ranked": _rows(seen.ranked),
        "paid": seen.cost,
    }


def _hospitals(seen: Seen) -> Node:
    records = seen.records
    effects = seen.effects
    prices = seen.prices
    worst = _rows(tables.worst_hit(effects))
    selected = seen.selected
    least_weight = _rows(weights.least_weight(records))
    return {
        "costs": costs.of_interest(prices),
        "least": costs.least(prices),
        "metrics": METRICS,
        "effects": sections.effect_matrix(effects),
        "worst_hit": worst,
        "hardest": {(row["defense"], row["hospital"]) for row in worst if not row["alike"]},
        "selected": _rows(selected),
        "least_weight": {row["defense"]: row for row in least_weight},
        "single": weights.single(selected, records[0].n_hospitals, records[0].n_hostile),
    }


def _confidentiality(seen: Seen, *, show_reconstructions: bool) -> Node:
    records = seen.records
    inversions = seen.inversions
    spent = seen.spent
    return {
        "inversions": _rows(inversions),
        "images": _rows(tables.images(records)),
        "fields": _rows(tables.fields(records)),
        "sureness": findings.sureness(records),
        "inferred": inferred.rows(records),
        "structure": inferred.plain(records),
        "crowd": findings.crowd(inversions),
        "memberships": seen.asked,
        "leaks": seen.read,
        "gallery": sections.gallery(records, show_reconstructions=show_reconstructions),
        "withheld": sections.withheld(records, show_reconstructions=show_reconstructions),
        "spent": _rows(spent),
        "meaning": sections.meaning(spent),
        "unequal": findings.unequal_privacy(spent),
        "budgets": _budgets(records),
        "statements": sections.statements(records),
        "outweighed": findings.outweighed(records),
    }


def _design(records: Sequence[RunRecord], threats: Sequence[TableRow], known: Catalog) -> Node:
    return {
        "visibility": sections.visibility(records),
        "access": sections.access(records),
        "conflicts": sections.conflicts(records),
        "missing": sections.missing(records),
        "screened": sections.screened(records),
        "traffic": traffic.rows(records),
        "unopened": traffic.unopened(records),
        "skipped": sections.skipped(records),
        "threats": threats,
        "pins": known.taxonomies,
        "explained": sections.explained(records),
    }


def _not_defined(
    cells: pl.DataFrame, records: Sequence[RunRecord], refused: Sequence[undefined.Refused]
) -> dict[tuple[str, str], str]:
    """The text of cells of the model's scores that are not defined; attacks that read have none."""
    reading = set(cells.filter(pl.col("reads_only"))["attack"])
    lost = undefined.cells(refused, records[0].n_hostile)
    return {cell: text for cell, text in lost.items() if cell[0] not in reading}


def _takes(
    everything: Sequence[RunRecord], refused: Sequence[undefined.Refused]
) -> TableRow | None:
    """The section on the number of hostile hospitals; None if only one number was run."""
    numbers = breakdown.numbers(everything)
    if len(numbers) < 2:
        return None
    drop = tables.material_drop(everything)
    points = breakdown.points(breakdown.by_number(everything))
    return {
        "rows": _rows(breakdown.by_defense(points)),
        "points": sections.breakdown_matrix(points),
        "drop": drop,
        "not_defined": undefined.sentences(refused),
        "limits": breakdown.limits(everything, refused),
        "verdict": breakdown.verdict,
        "found": breakdown.found(everything, drop),
        "numbers": numbers,
    }


def _breakdown(
    everything: Sequence[RunRecord], refused: Sequence[undefined.Refused], cells: pl.DataFrame
) -> Iterator[tuple[str, Make]]:
    """``cells``: of the runs in focus."""
    if len(breakdown.numbers(everything)) > 1:
        table = breakdown.by_number(everything)
        looks = style.looks(list(table["defense"].unique(maintain_order=True)))
        shown = table.filter(_drawn(cells))
        limits = breakdown.limits(everything, refused)
        yield from _in_parts("breakdown", multiples.breakdown, shown, looks=looks, limits=limits)


def _drawn(cells: pl.DataFrame) -> pl.Expr:
    """The attacks that have panels of their own."""
    return pl.col("attack").is_in(tables.worst_attacks(cells, multiples.MOST_PANELS))


def _undrawn(seen: Seen) -> int:
    return seen.judged.filter(~_drawn(seen.cells))["attack"].n_unique()


def _in_parts(
    name: str, figure: Callable[..., Figure], frame: pl.DataFrame, most: int = 0, **named: Any
) -> Iterator[tuple[str, Make]]:
    """As many figures as the defenses of a frame take, ``most`` in one, see ``multiples.parts``."""
    parts = [] if frame.is_empty() else multiples.parts(frame, most)
    for place, defenses in enumerate(parts, 1):
        title = name if place == 1 else f"{name}_{place}"
        yield title, _make(figure, frame, defenses=defenses, **named)


def _make(figure: Callable[..., Figure], table: Any, **named: Any) -> Make:
    """A figure of a table that lacks nothing but its width."""
    return partial(figure, table, **named)


def _budgets(records: Sequence[RunRecord]) -> list[RunRecord]:
    """One run for each defense with record-level privacy: the one whose consortium spends most."""
    budgets = [(record.value("epsilon"), record) for record in records]
    spent = [(epsilon, record) for epsilon, record in budgets if epsilon is not None]
    most: dict[str, RunRecord] = {}
    for _, record in sorted(spent, key=lambda pair: -pair[0]):
        most.setdefault(record.defense, record)
    order = dict.fromkeys(record.defense for _, record in spent)
    return [most[defense] for defense in order]


def _rows(frame: pl.DataFrame) -> list[TableRow]:
    return list(frame.iter_rows(named=True))
