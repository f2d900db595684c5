"""The summary of a call's results in a notebook and in ``print``: sentences and one small table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from reports import page, rendering, sections, sweeps
from reports.analysis import breakdown, broken, tables
from reports.analysis.seen import Seen
from reports.page import INDEX
from reports.sweeps import Sweep
from reports.terminal import Column, compared, fitted, outcomes
from reports.text import answer, safe, words
from sim import titles
from sim.errors import InputError
from sim.evidence import RunRecord
from sim.evidence.intervals import Interval
from sim.types import Node
from threats import catalog, register
from threats.verdict import NOTICE

TEMPLATE: Final = "notebook.html.j2"
NOWHERE: Final = "No report was written: a call with folder=PATH leaves one there."
JUDGED: Final = {"met": "met", "not_met": "not met", "inconclusive": "not decided"}


@dataclass(frozen=True)
class Shown:
    """The parts of results that are shown: heading, sentences by topic, table, notes, report.

    ``first``: sentences to read before any figure. ``columns``: a header and its cells, each.
    ``crossed``: the table has attacks across, and its cells are not broken into lines.
    """

    heading: str
    first: tuple[str, ...]
    sentences: tuple[tuple[str, str], ...]
    title: str
    columns: tuple[Column, ...]
    notes: tuple[str, ...]
    place: str
    crossed: bool = False


def of_runs(records: Sequence[RunRecord], manifest: Node, folder: Path | None) -> Shown:
    """The summary of runs; of runs that cannot be compared, why not."""
    if len(records) == 1:
        return _of_run(records[0], folder)
    heading = _heading(records)
    try:
        ordered = page.of_study(records, dict.fromkeys(page.MANIFEST) | manifest)
    except InputError as error:
        reason = (("Not compared", str(error)),)
        return Shown(heading, (), reason, "", (), (), _place(folder))
    refused = manifest.get("refused") or ()
    table = compared(ordered, refused)
    with titles.known(titles.stored(manifest.get("titles"))):
        first = tuple(broken.first(ordered))
        sentences = tuple(("", one) for one in _answer(ordered, len(refused)))
    return Shown(
        heading=heading,
        first=first,
        sentences=sentences,
        title=table.title,
        columns=tuple(table.columns),
        notes=tuple(table.notes),
        place=_place(folder),
        crossed=True,
    )


def of_sweep(sweep: Sweep, folder: Path | None) -> Shown:
    """The summary of runs that differ in values of their configurations."""
    header, body = sweeps.cells(sweep)
    columns = [(name, [row[place] for row in body]) for place, name in enumerate(header)]
    return Shown(
        heading=f"{_heading(sweep.records)}. They differ in {words.listed(sweep.columns)}"
        if sweep.columns
        else _heading(sweep.records),
        first=tuple(sweeps.cautions(sweep)),
        sentences=(),
        title="Means over seeds; in brackets 95 % intervals",
        columns=tuple(columns),
        notes=(),
        place=_place(folder),
    )


def of_verdict(records: Sequence[RunRecord], verdict: Node, folder: Path | None) -> Shown:
    """The summary of a design that was tried: its verdict, and the outcome of each criterion."""
    first, *rest = verdict["summary"]
    criteria = verdict["criteria"]
    of_criteria = {one["text"] for one in criteria}
    left = [text for text in rest if text not in of_criteria and text != NOTICE]
    return Shown(
        heading=first,
        first=tuple(broken.first([tables.pooled(record) for record in records])),
        sentences=tuple(("", text) for text in left),
        title="",
        columns=(
            ("criterion", [one["id"] for one in criteria]),
            ("outcome", [JUDGED[one["outcome"]] for one in criteria]),
            ("why", [one["text"] for one in criteria]),
        ),
        notes=(NOTICE,),
        place=_place(folder),
    )


def of_audit(
    hospital: str,
    attack: str,
    numbers: tuple[int, int],
    auc: float,
    found: Mapping[float, tuple[float, Interval]],
) -> Shown:
    """The summary of an audit of one hospital's own records.

    ``numbers``: records that were trained on, and others. ``found``: by false positive rate, the
    share of training records that is recognized, with its interval.
    """
    trained, others = numbers
    shares = [
        f"{words.share(value)} ({words.share_span(*interval)})"
        for value, interval in found.values()
    ]
    return Shown(
        heading=f"{attack} on the records of {hospital}",
        first=(),
        sentences=(
            ("", f"{trained:,} records that were trained on against {others:,} that were not."),
        ),
        title="",
        columns=(
            (
                "figure",
                ["AUC", *(f"recognized at {words.share(rate)} false positives" for rate in found)],
            ),
            ("value", [words.score(auc), *shares]),
        ),
        notes=("AUC: of membership; 0.5 is guessing. In brackets: 95 % intervals.",),
        place="",
    )


def html(shown: Shown) -> str:
    """HTML for a notebook, without a script, in the colors of whatever shows it."""
    rows = list(zip(*(cells for _, cells in shown.columns), strict=True))
    return rendering.part(TEMPLATE, it=shown, rows=rows)


def text(shown: Shown, width: int = 100) -> str:
    """Plain text in lines of at most ``width`` characters, as ``print`` shows it."""
    parts = [shown.heading, *(f"- {one}" for one in shown.first)]
    parts += [f"{topic}: {one}" if topic else one for topic, one in shown.sentences]
    out = StringIO()
    console = Console(file=out, width=width, markup=False, emoji=False, highlight=False)
    for part in parts:
        console.print(Text(_safe(part)))
    if shown.columns:
        console.print(Text(_safe(f"\n{shown.title}" if shown.title else "")))
        columns = [(_safe(name), [*map(_safe, cells)]) for name, cells in shown.columns]
        for table in fitted(columns, width) if shown.crossed else [_table(columns)]:
            console.print(table)
    for note in [*shown.notes, shown.place]:
        if note:
            console.print(Text(_safe(note)))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def _answer(records: Sequence[RunRecord], n_refused: int) -> list[str]:
    """The answer of the page of these runs."""
    focused = breakdown.in_focus(records)
    threats = sections.threats(register.register(focused, catalog.load()))
    return answer.sentences(records, Seen(focused), threats, n_refused)


def _of_run(record: RunRecord, folder: Path | None) -> Shown:
    rows = outcomes(record)
    attack = words.attack_both(record.attack)
    return Shown(
        heading=f"One run: {attack}, {words.defense_both(record.defense)}, seed {record.seed}",
        first=tuple(broken.first([tables.pooled(record)])),
        sentences=(),
        title="",
        columns=(("figure", list(rows)), ("value", list(rows.values()))),
        notes=(),
        place=_place(folder),
    )


def _heading(records: Sequence[RunRecord]) -> str:
    """How many runs there are, and of what."""
    numbers = {
        "attack": len({one.attack for one in records if one.attack != "none"}),
        "defense": len({one.defense for one in records if one.defense != "none"}),
        "seed": len({one.seed for one in records}),
    }
    of = ", ".join(words.count(n, name) for name, n in numbers.items())
    return f"{words.count(len(records), 'run')} of {_consortia(records)}: {of}"


def _consortia(records: Sequence[RunRecord]) -> str:
    return words.listed(dict.fromkeys(one.consortium for one in records))


def _place(folder: Path | None) -> str:
    """Where the report is, if there is one."""
    if folder is None:
        return NOWHERE
    made = folder / "report" / INDEX
    return f"Report: {made}" if made.is_file() else f"No report is in {folder}."


def _table(columns: Sequence[Column]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for header, _ in columns:
        table.add_column(Text(header), overflow="fold", vertical="bottom")
    for row in zip(*(cells for _, cells in columns), strict=True):
        table.add_row(*map(Text, row))
    return table


def _safe(written: str) -> str:
    return str(safe.shown(written))
