"""Each run by itself: its configuration, its curve, what came of it, and its line of evidence.

Runs are grouped by cell: one attack under one defense with one number of hostile hospitals.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from reports.analysis import tables
from reports.figures import sparkline
from reports.text import words
from sim.errors import InputError
from sim.evidence import Line, RunRecord
from sim.evidence.commands import command, config_dir_of
from sim.evidence.configured import texts
from sim.evidence.controls import Controls
from sim.evidence.metrics import METRICS, SHARE, Metric
from sim.types import Node

MOST_SHOWN: Final = 2_000  # runs of one page
MOST_REPLIES: Final = 5  # lines on replies that were not used
MOST_NAMES: Final = 12
HIDDEN: Final = ("attack_distance", "defense_distance", "rounds_skipped")  # stated elsewhere

Cell = tuple[str, str, int]  # attack, defense, number of hostile hospitals


@dataclass(frozen=True)
class Run:
    """One run as the page shows it.

    ``line``: where the evidence has it; None where nobody looked. ``differs``: values of its
    configuration that other runs of its cell do not share, without the seed. ``curve``: the path of
    its AUROC by round, empty where no round has one; ``course``: the same in words. ``window``: the
    rounds in which hostile hospitals may attack, None where nobody does. ``outcomes``: its figures
    in words. ``unused``: replies that were not used, in words. ``attack_free`` and ``undefended``:
    its controls, by their ids; None where there is none, or it is its own. ``command``: None where
    no words of a command line give the configuration.
    """

    record: RunRecord
    line: Line | None
    command: str | None
    differs: Mapping[str, str]
    curve: str
    course: str
    window: sparkline.Window | None
    outcomes: Sequence[str]
    unused: Sequence[str]
    attack_free: str | None
    undefended: str | None


@dataclass(frozen=True)
class Group:
    """The runs of a cell, and where it stands on the page.

    ``runs``: those that the page shows, of ``n_runs``. ``differs``: values of their configuration
    that not all runs of the study share. ``beside``: the cells of their controls, with their
    anchors.
    """

    cell: Cell
    anchor: str
    n_runs: int
    runs: Sequence[Run]
    differs: Mapping[str, str]
    beside: Sequence[tuple[Cell, str]]


@dataclass(frozen=True)
class Runs:
    """All runs of a page by cell.

    ``anchors``: of each cell. ``shown``: the ids of the runs that have a part of their own;
    ``n_hidden``: how many have none. ``low``: the AUROC at the lower edge of each curve's picture.
    """

    groups: Sequence[Group]
    anchors: Mapping[Cell, str]
    shown: frozenset[str]
    n_hidden: int
    low: float
    width: int = sparkline.WIDTH
    height: int = sparkline.HEIGHT


def runs(records: Sequence[RunRecord], lines: Mapping[str, Line], line: object = None) -> Runs:
    """Each of the ``records`` by itself, in their order, up to ``MOST_SHOWN``.

    ``lines``: where the evidence has each run. ``line``: the command that made the folder, whose
    folder of choices belongs to the command of each run.
    """
    cells = dict[Cell, list[RunRecord]]()
    for record in records:
        cells.setdefault(cell(record), []).append(record)
    anchors_ = anchors(list(cells))
    values = {record.run: _values(record.config) for record in records}
    shared = _shared([values[record.run] for record in records])
    low = sparkline.lower_edge(map(tables.course, records))
    made = _Maker(Controls(records), lines, config_dir_of(line), low)
    groups = list[Group]()
    left = MOST_SHOWN
    for one, members in cells.items():
        common = _shared([values[record.run] for record in members])
        own = {key: value for key, value in common.items() if key not in shared}
        found = [
            made.run(record, {k: v for k, v in values[record.run].items() if k not in common})
            for record in members[:left]
        ]
        left -= len(found)
        beside = [(other, anchors_[other]) for other in _controls(one) if other in cells]
        groups.append(Group(one, anchors_[one], len(members), found, own, beside))
    shown = frozenset(run.record.run for group in groups for run in group.runs)
    return Runs(groups, anchors_, shown, len(records) - len(shown), low)


def cell(record: RunRecord) -> Cell:
    """The cell of a run."""
    return record.attack, record.defense, record.n_hostile


def _controls(one: Cell) -> Iterator[Cell]:
    """The cells without the attack and without the defense of a cell."""
    attack, defense, n_hostile = one
    if attack != "none":
        yield "none", defense, n_hostile
    if defense != "none":
        yield attack, "none", n_hostile


def anchors(cells: Sequence[Cell]) -> dict[Cell, str]:
    """The name of the place of each cell of a page, in letters that need no escape in a link.

    ``cells``: all of the page, in its order.
    """
    several = len({n_hostile for _, _, n_hostile in cells}) > 1
    found = dict[Cell, str]()
    taken = Counter[str]()
    for attack, defense, n_hostile in cells:
        words_ = [attack, defense, *([str(n_hostile)] if several else [])]
        name = "-".join(re.sub(r"[^A-Za-z0-9_.]", "_", word) for word in ["cell", *words_])
        taken[name] += 1
        found[attack, defense, n_hostile] = f"{name}~{taken[name]}" if taken[name] > 1 else name
    return found


def _values(config: Node) -> dict[str, str]:
    """The values of a configuration by dotted key; no empty ones, seed, or names that are shown."""
    left_out = ("seed", "label", "defense.name")
    empty = ("[]", "{}", "null")
    found = texts(config).items()
    return {key: value for key, value in found if key not in left_out and value not in empty}


def _shared(values: Sequence[Mapping[str, str]]) -> dict[str, str]:
    first, *others = values
    return {
        key: value
        for key, value in first.items()
        if all(other.get(key) == value for other in others)
    }


@dataclass(frozen=True)
class _Maker:
    """What all runs of a page are shown with."""

    controls: Controls
    lines: Mapping[str, Line]
    config_dir: str | None
    low: float

    def run(self, record: RunRecord, differs: Mapping[str, str]) -> Run:
        course = tables.course(record)
        return Run(
            record=record,
            line=self.lines.get(record.run),
            command=_command(record.config, self.config_dir),
            differs=differs,
            curve=sparkline.path(course, record.rounds, self.low),
            course=sparkline.described(course),
            window=_window(record),
            outcomes=list(_outcomes(record)),
            unused=list(_unused(record)),
            attack_free=_other(record, self.controls.attack_free(record)),
            undefended=_other(record, self.controls.undefended(record)),
        )


def _command(config: Node, config_dir: str | None) -> str | None:
    try:
        return command(config, config_dir)
    except InputError:  # a key of a mapping has signs that no override can have
        return None


def _other(record: RunRecord, control: RunRecord | None) -> str | None:
    return None if control is None or control.run == record.run else control.run


def _window(record: RunRecord) -> sparkline.Window | None:
    if not tables.hostile_act(record):
        return None
    schedule = record.config.get("adversary", {})
    first = schedule.get("first_round", 1)
    return sparkline.window(first, schedule.get("last_round"), record.rounds)


def _outcomes(record: RunRecord) -> Iterator[str]:
    """The figures of the consortium in words."""
    for one in record.outcomes:
        if one.scope != "consortium" or one.metric in HIDDEN:
            continue
        metric = METRICS[one.metric]
        if one.value is None:
            yield f"{metric.text} not defined ({one.undefined})"
        elif metric.range == SHARE:
            yield f"{metric.text} {words.score(one.value)}"
        else:
            yield f"{metric.text} {_with_unit(one.value, metric)}"


def _with_unit(value: float, metric: Metric) -> str:
    """A figure with what it counts, where the metric's own words do not state that."""
    shown = _number(value)
    unit = metric.unit
    if unit == "share" or unit in metric.text.split():
        return shown
    if unit == "\N{GREEK SMALL LETTER EPSILON}":
        return f"{unit} = {shown}"
    return f"{shown} {unit}" if unit in ("bytes", "dB") else f"{shown} ({unit})"


def _number(value: float) -> str:
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return text.replace("-", "\N{MINUS SIGN}", 1) if value < 0 else text


def _unused(record: RunRecord) -> Iterator[str]:
    """Replies that were not used: of whom, in which rounds, and why; the rest by number."""
    rounds = dict[tuple[str, str], list[int]]()
    for one in record.screened:
        rounds.setdefault((one.hospital, one.reason), []).append(one.round)
    for (hospital, reason), found in list(rounds.items())[:MOST_REPLIES]:
        numbers = sorted(set(found))
        noun = "round" if len(numbers) == 1 else "rounds"
        yield f"{hospital}, {noun} {words.ranges(numbers)}: {reason}"
    if (more := len(rounds) - MOST_REPLIES) > 0:
        yield f"{more} more, which are in its line of evidence"
