"""One table, one figure and one page from a folder of run folders, as a sweep leaves it.

The varied keys are columns and axis; they are read from the configurations in the evidence. Attack,
defense, consortium, number of hostile hospitals and seed have columns of their own and stand for
the parts of the configuration that they name.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import cycle
from pathlib import Path
from typing import Any

import polars as pl
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator
from rich.table import Table
from rich.text import Text

from reports import rendering, sections
from reports.analysis import backdoors, tables
from reports.figures import style
from reports.figures.style import Make, Width
from reports.text import words
from sim import evidence, files
from sim.config.groups import STACK
from sim.errors import InputError
from sim.evidence import RunRecord, configured
from sim.evidence.configured import KIND
from sim.evidence.intervals import CHANGE
from sim.evidence.manifest import manifest_of
from sim.evidence.metrics import METRICS
from sim.types import Node, TableRow

OWN = ("consortium", "n_hostile", "attack", "defense")  # columns of every run
# Group of a configuration -> the own columns that stand for its values, where these depend on
# nothing else.
STANDS_FOR = {
    "consortium": ("consortium",),
    "attack": ("attack", "n_hostile"),
    "adversary": ("n_hostile",),
    **dict.fromkeys(("defense", *STACK), ("defense", "n_hostile")),
}
FIGURE = "sweep"  # the name of the figure
LEFT_OUT = ("seed", "label")
MOST_LINES = 10
LOGARITHMIC = 20  # how many times the smallest value the largest must be

EXCESS = "backdoor"  # the one figure that is made of two outcomes
SWEPT = {
    "auroc": "AUROC on all test patients",
    "worst_hospital_auroc": "AUROC of the worst hospital",
    EXCESS: "Backdoor success beyond false triggers",
    "reconstruction_rate": "Share of attacked records recovered",
    "epsilon": "Privacy spent, ε",
}
DRAWN = ("auroc", EXCESS, "reconstruction_rate", "epsilon")

Value = str | int | float | bool | None


@dataclass(frozen=True)
class Sweep:
    """The different runs below a folder, and for each the values of keys that differ.

    ``places``: each run's own folder.
    """

    records: Sequence[RunRecord]
    places: Sequence[str]

    @cached_property
    def varied(self) -> dict[str, list[Value]]:
        """Keys of the configuration that differ between runs -> the value of each run, or None."""
        flat = [_flat(record.config) for record in self.records]
        keys = sorted({key for one in flat for key in one})
        values = {key: [one.get(key) for one in flat] for key in keys}
        chosen = {}
        for key, column in values.items():
            if len(set(column)) > 1 and not self._stated(key, column):
                chosen[key] = column
        kinds = [key.removesuffix(f".{KIND}") for key in chosen if key.endswith(f".{KIND}")]
        for kind in kinds:
            chosen |= {kind: [_last(value) for value in chosen.pop(f"{kind}.{KIND}")]}
        varied = {}
        for key, column in chosen.items():
            if not _part_of(key, column, chosen, kinds):
                varied[key] = column
        return varied

    @cached_property
    def axis(self) -> str:
        """The column across in the figure: a varied number with most values, else another one."""
        given = {name: set(column) - {None} for name, column in self._columns().items()}
        order = [name for name in (*self.varied, *self._several) if len(given[name]) > 1]

        def place(name: str) -> tuple[bool, bool, int]:
            return _numeric(given[name]), name not in OWN, len(given[name])

        return max(order, key=place, default="seed")

    @cached_property
    def columns(self) -> list[str]:
        """Columns that differ, but for the seed: axis, other varied keys, a run's own columns."""
        rest = [name for name in (*self.varied, *self._several) if name != self.axis]
        return [*([self.axis] if self.axis != "seed" else []), *rest]

    @cached_property
    def _several(self) -> list[str]:
        """A run's own columns that differ.

        A number of hostile hospitals that comes with the consortium is left out.
        """
        found = {name: [getattr(record, name) for record in self.records] for name in OWN}
        several = [name for name, column in found.items() if len(set(column)) > 1]
        with_it = "consortium" in several and _follows(found["n_hostile"], found["consortium"])
        return [name for name in several if name != "n_hostile" or not with_it]

    @cached_property
    def runs(self) -> pl.DataFrame:
        """One row a run: the columns that differ as text, the seed, and the metrics."""
        given = self._columns()
        rows = []
        for i, record in enumerate(self.records):
            differing = {name: shown(given[name][i]) for name in self.columns}
            rows.append(differing | {"seed": record.seed} | _metrics(record))
        schema = {
            **dict.fromkeys(self.columns, pl.String),
            "seed": pl.Int64,
            **dict.fromkeys(SWEPT, pl.Float64),
        }
        return pl.DataFrame(rows, schema=schema, orient="row")

    def points(self, metric: str) -> pl.DataFrame:
        """``mean`` of a metric with ``_low``, ``_high`` and ``_n``, for each combination."""
        by = tuple(self.columns) or ("all",)
        reach = CHANGE if metric == EXCESS else METRICS[metric].range
        return tables.over_seeds(self.runs.with_columns(all=pl.lit("")), by, metric, "mean", reach)

    def rows(self) -> list[TableRow]:
        """The table: one row for each combination of what differs, in the order of its values."""
        by = self.columns or ["all"]
        grouped = self.runs.with_columns(all=pl.lit("")).group_by(by, maintain_order=True)
        rows = list(grouped.agg(seeds=pl.col("seed").n_unique()).iter_rows(named=True))

        def key(row: TableRow) -> tuple[str, ...]:
            return tuple(row[name] for name in by)

        for metric in self.metrics:
            found = {key(row): row for row in self.points(metric).iter_rows(named=True)}
            for row in rows:
                row[metric] = found.get(key(row))
        return sorted(rows, key=lambda row: [_order(row[name]) for name in by])

    @cached_property
    def metrics(self) -> list[str]:
        """The metrics that some run has."""
        return [name for name in SWEPT if self.runs[name].is_not_null().any()]

    def results(self) -> list[TableRow]:
        """The rows of ``results.csv``, with a column for each varied key at the end."""
        rows = evidence.results(self.records)
        return [
            row | {key: column[i] for key, column in self.varied.items()}
            for i, row in enumerate(rows)
        ]

    def _columns(self) -> dict[str, list[Any]]:
        names = (*OWN, "seed")
        own = {name: [getattr(record, name) for record in self.records] for name in names}
        return self.varied | own

    def _stated(self, key: str, column: Sequence[Value]) -> bool:
        """Whether a run's own columns already state how a key differs."""
        names = STANDS_FOR.get(key.partition(".")[0], ())
        if not names:
            return False
        own = [tuple(getattr(record, name) for name in names) for record in self.records]
        return _follows(column, own)


def read(folder: Path) -> Sweep:
    """The different runs of all evidence below ``folder``.

    Raises ``InputError`` if there is none.
    """
    found: dict[str, tuple[RunRecord, str]] = {}
    for place in places(folder):
        for record in evidence.read(place):
            key = json.dumps([record.run, record.config], sort_keys=True)
            own = place.relative_to(folder).as_posix()
            found.setdefault(key, (record.model_copy(update={"curve": {}}), own))
    if not found:
        expected = f"expected a folder with {evidence.EVIDENCE}, or one that holds such folders"
        raise InputError("folder", folder, expected)
    return Sweep([record for record, _ in found.values()], [place for _, place in found.values()])


def places(folder: Path) -> list[Path]:
    """The folders below ``folder`` that hold evidence, numbers in them in order of size."""
    found = [path.parent for path in folder.rglob(evidence.EVIDENCE)]

    def order(path: Path) -> list[list[tuple[int, int, str]]]:
        return [_natural(part) for part in path.relative_to(folder).parts]

    return sorted(found, key=order)


def write(folder: Path) -> tuple[Path, Sweep]:
    """The path of a sweep's page, written with ``results.csv``, and the sweep."""
    sweep = read(folder)
    manifest = manifest_of(folder)
    evidence.write_results(folder, sweep.results())
    target = folder / "report" / "index.html"
    svg = style.inline(partial(draw, sweep), FIGURE)
    files.replace(target, render(sweep, manifest, svg).encode())
    return target, sweep


def makers(folder: Path) -> Iterator[tuple[str, Make]]:
    """The function that makes the figure of the page, by file name. Raises as ``read`` does."""
    yield FIGURE, partial(draw, read(folder))


def render(sweep: Sweep, manifest: Node, svg: str) -> str:
    """The page as HTML text, with its figure as SVG."""
    header, body = cells(sweep)
    records = sweep.records
    runs = []
    for place, row, record in zip(sweep.places, sweep.runs.iter_rows(), records, strict=True):
        differing = map(str, row[: len(sweep.columns) + 1])
        runs.append((place, *differing, words.score(record.value("auroc")), record.run))
    return rendering.page(
        "sweep.html.j2",
        sweep=sweep,
        study=records[0],
        drop=tables.material_drop(records),
        header=header,
        body=body,
        labels=SWEPT,
        svg=Markup(svg),
        cautions=cautions(sweep),
        command=manifest.get("command"),
        seeds=sorted({record.seed for record in records}),
        settings=sections.settings(records),
        sources=sorted({record.data_source for record in records}),
        codes=sorted({record.code for record in records}),
        hidden=max(0, len(_lines(sweep)) - MOST_LINES),
        runs=runs,
    )


def table(sweep: Sweep) -> Table:
    """The table that ends a sweep in the terminal."""
    header, body = cells(sweep)
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for place, name in enumerate(header):
        made.add_column(
            Text(name.replace(".", ".\n")),
            justify="left" if place < len(sweep.columns) else "right",
            vertical="bottom",
            overflow="fold",
        )
    for row in body:
        made.add_row(*map(Text, row))
    return made


def cells(sweep: Sweep) -> tuple[list[str], list[list[str]]]:
    """Header and body of the table, as text: columns that differ, seeds, metrics with intervals."""
    header = [*sweep.columns, "seeds", *(SWEPT[name] for name in sweep.metrics)]
    body = [
        [
            *(row[name] for name in sweep.columns),
            str(row["seeds"]),
            *(_with_interval(row[name]) for name in sweep.metrics),
        ]
        for row in sweep.rows()
    ]
    return header, body


def cautions(sweep: Sweep) -> list[str]:
    """Sentences to read before the figures: skipped rounds, idle parts, single seeds."""
    skipped = [record for record in sweep.records if record.skipped_rounds]
    texts = [f"{words.count(len(skipped), 'run')} had rounds that were skipped."] if skipped else []
    for what in ("attack", "defense"):
        if n := sum(what in tables.idle(record) for record in sweep.records):
            shows = "its outcome shows" if n == 1 else "their outcomes show"
            texts.append(
                f"In {words.count(n, 'run')} the {what} did nothing, so {shows} nothing about the"
                f" {what}."
            )
    if any(row["seeds"] < 2 for row in sweep.rows()):
        texts.append(
            "A row with one seed has no interval: chance cannot be distinguished from effect there."
        )
    if len(codes := {record.code for record in sweep.records}) > 1:
        texts.append(f"The runs were made by {len(codes)} versions of the code.")
    return texts


@style.sized
def draw(sweep: Sweep, width: Width) -> Figure:
    """Each metric against the axis, a line for each combination of the other columns.

    Bars are 95 % intervals over seeds. Seeds are drawn as points of their own where nothing else
    differs.
    """
    shown_metrics = [name for name in sweep.metrics if name in DRAWN] or ["auroc"]
    n_columns = 1 if width.narrow else min(2, len(shown_metrics))
    n_rows = math.ceil(len(shown_metrics) / n_columns)
    inches = width.inches if width.narrow or n_columns > 1 else 0.75 * width.inches
    figure = style.new_figure(inches, width.high((2.6 if width.narrow else 3.4) * n_rows))
    panels = list(figure.subplots(n_rows, n_columns, squeeze=False).flat)
    for axes, metric in zip(panels, shown_metrics, strict=False):
        _panel(axes, sweep, metric, width)
    for axes in panels[len(shown_metrics) :]:
        axes.remove()
    if len(_lines(sweep)) > 1:
        handles, labels = panels[0].get_legend_handles_labels()
        shown = [width.wrapped(label) for label in labels]
        n_across = max(1, min(3, width.letters() // (max(map(len, labels)) + 9)))
        figure.legend(handles, shown, loc="outside lower center", ncols=n_across)
    return figure


def _panel(axes: Axes, sweep: Sweep, metric: str, width: Width) -> None:
    rows = list(sweep.points(metric).iter_rows(named=True))
    if sweep.axis == "seed":
        rows = [
            row | {"mean": row[metric], "mean_low": None, "mean_high": None}
            for row in sweep.runs.iter_rows(named=True)
        ]
    values = sorted({str(row[sweep.axis]) for row in rows} - {words.NONE}, key=_order)
    place = _scale(axes, values)
    looks = cycle(style.COLORS)
    for label in _lines(sweep)[:MOST_LINES]:
        color = next(looks)
        line = [
            row
            for row in rows
            if _label(sweep, row) == label
            and str(row[sweep.axis]) in place
            and row["mean"] is not None
        ]
        line.sort(key=lambda row: place[str(row[sweep.axis])])
        across = [place[str(row[sweep.axis])] for row in line]
        means = [row["mean"] for row in line]
        marks = "o" if sweep.axis == "seed" else "o-"
        axes.plot(across, means, marks, color=color, label=label, ms=4, lw=1.2)
        for x, row in zip(across, line, strict=True):
            if row["mean_low"] is not None:
                axes.plot([x, x], [row["mean_low"], row["mean_high"]], color=color, lw=0.8)
    label = width.wrapped(SWEPT[metric], 0.32 if width.narrow else 0.24)
    axes.set(xlabel=sweep.axis, ylabel=label)
    style.guide(axes)


def _scale(axes: Axes, values: Sequence[str]) -> dict[str, float]:
    """Place of each value: numbers on a scale, logarithmic for wide ranges; names side by side."""
    numbers = [_number(value) for value in values]
    if values and all(number is not None for number in numbers):
        found = [number for number in numbers if number is not None]
        if min(found) > 0 and max(found) >= LOGARITHMIC * min(found):
            axes.set_xscale("log")
        axes.xaxis.set_major_locator(FixedLocator(found))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticks(found, values)
        return dict(zip(values, found, strict=True))
    slanted: dict[str, Any] = {"rotation": 55, "ha": "right", "rotation_mode": "anchor"}
    long = sum(map(len, values)) > 40
    axes.set_xticks(range(len(values)), list(values), **(slanted if long else {}))
    return {value: float(i) for i, value in enumerate(values)}


def _lines(sweep: Sweep) -> list[str]:
    return list(dict.fromkeys(_label(sweep, row) for row in sweep.rows()))


def _label(sweep: Sweep, row: TableRow) -> str:
    names = [name for name in sweep.columns if name != sweep.axis]
    return ", ".join(
        row[name] if name in ("attack", "defense") else f"{name}={row[name]}" for name in names
    )


def shown(value: Value) -> str:
    """A value as a table shows it; a dash where a run has no such key."""
    return words.NONE if value is None else str(value)


def _metrics(record: RunRecord) -> dict[str, float | None]:
    return {
        name: backdoors.gain(record) if name == EXCESS else record.value(name) for name in SWEPT
    }


def _with_interval(row: TableRow | None) -> str:
    if row is None:
        return words.NONE
    value = f"{row['mean']:.3f}"
    if row["mean_low"] is None:
        return value
    return f"{value} ({row['mean_low']:.3f} to {row['mean_high']:.3f})"


def _flat(config: Node) -> dict[str, Value]:
    """Every value of a configuration by its dotted key; lists and what is not there as JSON."""
    found = {key: value for key, value in configured.flat(config) if key not in LEFT_OUT}
    return {
        key: json.dumps(value) if value is None or isinstance(value, list) else value
        for key, value in found.items()
    }


def _follows(column: Sequence[Value], given: Sequence[Any]) -> bool:
    """Whether a value is the same wherever what is given is the same."""
    return len(set(zip(given, column, strict=True))) == len(set(given))


def _part_of(
    key: str, column: Sequence[Value], chosen: Mapping[str, Sequence[Value]], kinds: Sequence[str]
) -> bool:
    """Whether a key belongs to a group of another kind, and differs only because of that."""
    return any(key.startswith(f"{kind}.") and _follows(column, chosen[kind]) for kind in kinds)


def _last(value: Value) -> Value:
    return value.rpartition(".")[2] if isinstance(value, str) else value


def _numeric(values: set[Any]) -> bool:
    return bool(values) and all(
        isinstance(value, (int, float)) and not isinstance(value, bool) for value in values
    )


def _number(value: str) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None


def _order(value: Any) -> tuple[int, float, str]:
    """Numbers by size, then names; controls first."""
    number = _number(str(value))
    return (1, number, "") if number is not None else (0 if value == "none" else 2, 0.0, str(value))


def _natural(part: str) -> list[tuple[int, int, str]]:
    pieces = [piece for piece in re.split(r"(\d+)", part) if piece]
    return [(0, int(piece), "") if piece.isdecimal() else (1, 0, piece) for piece in pieces]
