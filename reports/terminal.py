"""The tables that end a command in the terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import polars as pl
from rich.console import Group
from rich.table import Table
from rich.text import Text

from reports.analysis import backdoors, breakdown, broken, radii, skipped, tables, undefined
from reports.analysis.undefined import Refused
from reports.text import words
from sim.evidence import RunRecord
from sim.evidence.intervals import HARMED, UNDECIDED
from sim.types import TableRow

MOST_BLOCKS = 3
GAP = 2  # spaces between columns
JOINT = 10  # characters up to which parts of a name share a line of a header

Column = tuple[str, list[str]]  # header, cells


def closing(
    records: Sequence[RunRecord], refused: Sequence[Refused] = (), width: int = 80
) -> Group:
    """What ends a comparison: ``broken.first``, outcomes by defense and attack, breakdown points,
    cells that did not run.

    No cell is wrapped at ``width`` characters: attacks that do not fit side by side come in blocks,
    and instead of more than ``MOST_BLOCKS`` each defense gets one line with its worst attack.
    """
    focused = breakdown.in_focus(records)
    columns = _columns(focused, refused)
    if len(_tables(columns, width)) > MOST_BLOCKS:
        columns = _summary(focused)
    parts = [
        *_first(records), _title(focused), *_tables(columns, width), *_notes(focused, columns), *radii.idle(focused),
        *_breakdown(records), *([""] if refused else []), *undefined.sentences(refused),
    ]  # fmt: skip
    return Group(*(part if isinstance(part, Table) else Text(part) for part in parts))


def run_table(record: RunRecord) -> Table:
    """The outcome of one run."""
    engaged = record.engagement
    title = f"{words.attack(record.attack)}, {words.defense(record.defense)}, seed {record.seed}"
    table = Table(title=Text(title), show_header=False)
    least = words.score(record.value("worst_hospital_auroc"))
    worst = f"{least} ({record.worst_hospital})" if record.worst_hospital else words.NONE
    broke_down = broken.broken([record])
    rows = {"rounds skipped": "\n".join(skipped.sentences([record])) or f"0 of {record.rounds}"}
    if broke_down:
        rows["training broke down"] = "\n".join(broke_down)
    rows |= {
        "AUROC": words.defined(record.value("auroc")),
        "AUROC, worst hospital": worst,
        "sensitivity at 90 % specificity": words.defined(
            record.value("sensitivity_at_90_specificity")
        ),
        "Brier score": words.defined(record.value("brier")),
        "attack engaged": _engaged(engaged.attack_engaged, record.value("attack_distance")),
        "defense engaged": _engaged(engaged.defense_engaged, record.value("defense_distance")),
        **{one.part: radii.effect(one) for one in record.clipped},
    }
    if (epsilon := record.value("epsilon")) is not None:
        rows["ε (most of any hospital)"] = words.epsilon(epsilon)
    if record.has("backdoor_success"):
        rows["marked patients in the attacker's class"] = words.share(
            record.value("backdoor_success")
        )
        rows["the same without the attack"] = words.share(record.value("false_trigger_rate"))
    if record.has("reconstruction_rate"):
        rows["records recovered"] = f"{record.n_recovered} of {record.n_attacked}"
    if record.value("auroc") is None and not broke_down:
        rows["not defined, because"] = tables.why_undefined(record)
    if record.not_finite_from is not None:
        rows["values beyond float32"] = f"from round {record.not_finite_from} on"
    for name, value in rows.items():
        table.add_row(name, Text(value))
    return table


def _first(records: Sequence[RunRecord]) -> list[str]:
    texts = broken.first(records)
    return [f"{broken.heading(records)}:", *(f"- {text}" for text in texts), ""] if texts else []


def _title(records: Sequence[RunRecord]) -> str:
    first, seeds = records[0], words.count(len({record.seed for record in records}), "seed")
    hostile = f"{first.n_hostile} of {words.count(first.n_hospitals, 'hospital')} hostile"
    several = len({record.seed for record in records}) > 1
    return (
        f"AUROC: mean [lowest seed] over {seeds}; {hostile}\n"
        if several
        else f"AUROC; one seed decides nothing; {hostile}\n"
    )


def _notes(records: Sequence[RunRecord], columns: Sequence[Column]) -> list[str]:
    """What the signs in the cells mean, for those that occur."""
    drop, cells = tables.material_drop(records), [cell for _, body in columns for cell in body]
    notes = {
        r"^(\d\.\d{3}|not).* \d+/": (
            f"n/m: n of m seeds lost {drop:g} or more of AUROC to the attack"
        ),
        r"^[+\N{MINUS SIGN}]|^0\.0( |$)": (
            "(points): success of the backdoor beyond false triggers, mean [most]; n of m seeds"
            f" with {100 * drop:g} or more"
        ),
        "!": "! harm is shown",
        r"\?": "? not decided with these seeds",
        r"\d/\d+$": "no sign: no material loss shown within the interval",
        r"^\d+[!?]": "attacks: how many of them harm (!), and of how many that is not decided (?)",
        "†": "† attack or defense did nothing in at least one run",
        "‡": (
            "‡ seeds that left a model without an AUROC count as lost; mean and lowest are those of"
            " the others"
        ),
    }
    present = [note for sign, note in notes.items() if any(re.search(sign, cell) for cell in cells)]
    return ["", *present] if present else []


def _columns(records: Sequence[RunRecord], refused: Sequence[Refused] = ()) -> list[Column]:
    """Defenses, then outcomes for each attack, then backdoors, then shares recovered, then rounds
    skipped.
    """
    cells = tables.judged_by_auroc(tables.cells(records))
    means = {(row["attack"], row["defense"]): _mean(row) for row in cells.iter_rows(named=True)}
    marked = {
        (row["attack"], row["defense"]): _excess(row)
        for row in backdoors.backdoors(records).iter_rows(named=True)
    }
    read = {
        (row["attack"], row["defense"]): words.share(row["rate"])
        for row in tables.inversions(records).iter_rows(named=True)
    }
    reading = {attack for attack, _ in read}
    for cell, text in undefined.cells(refused, records[0].n_hostile).items():
        (read if cell[0] in reading else means)[cell] = text
    defenses = list(
        dict.fromkeys(
            [*(record.defense for record in records), *(defense for _, defense in [*means, *read])]
        )
    )
    lost = [
        skipped.column([record for record in records if record.defense == name])
        for name in defenses
    ]
    return [
        ("defense", [words.defense(name) for name in defenses]),
        *(
            (words.attack(name), [means.get((name, defense), "") for defense in defenses])
            for name in _attacks(means)
        ),
        *(
            (f"{name} (points)", [marked.get((name, defense), "") for defense in defenses])
            for name in _attacks(marked)
        ),
        *(
            (f"{name}: recovered", [read.get((name, defense), "") for defense in defenses])
            for name in _attacks(read)
        ),
        *([("rounds skipped", lost)] if any(lost) else []),
    ]


def _tables(columns: Sequence[Column], width: int) -> list[Table]:
    """The columns in as many tables as ``width`` takes, the first column in each."""
    return [
        _table([columns[0], *block])
        for block in _blocks(columns[1:], width - 1 - _width(columns[0]))
    ]


def _summary(records: Sequence[RunRecord]) -> list[Column]:
    """One line a defense: nobody attacking, its worst attack on AUROC, its worst backdoor, rounds
    skipped.
    """
    cells = tables.judged_by_auroc(tables.cells(records))
    unattacked = {
        row["defense"]: _mean(row) for row in cells.filter(attack="none").iter_rows(named=True)
    }
    worst = cells.filter(pl.col("attack") != "none").sort(
        "mean", nulls_last=False, maintain_order=True
    )
    hit = {
        row["defense"]: row
        for row in worst.unique("defense", keep="first", maintain_order=True).iter_rows(named=True)
    }
    marked = {row["defense"]: row for row in backdoors.ranked(records).iter_rows(named=True)}
    names = list(dict.fromkeys(record.defense for record in records))
    lost = [
        skipped.column([record for record in records if record.defense == name]) for name in names
    ]
    counts = {name: _counts(worst.filter(defense=name)) for name in names}
    columns: list[Column] = [
        ("defense", [words.defense(name) for name in names]),
        ("no attack", [unattacked.get(name, "") for name in names]),
        (
            f"worst of {worst['attack'].n_unique()}",
            [_mean(hit[name]) if name in hit else "" for name in names],
        ),
        ("which", [hit[name]["attack"] if name in hit else "" for name in names]),
        ("attacks", [counts[name] for name in names]),
    ]
    if marked:
        columns.append(
            ("worst backdoor", [_excess(marked[name]) if name in marked else "" for name in names])
        )
    return [*columns, *([("rounds skipped", lost)] if any(lost) else [])]


def _breakdown(records: Sequence[RunRecord]) -> list[str | Table]:
    """Where each defense breaks down first, if several numbers of hostile hospitals were run."""
    if len(breakdown.numbers(records)) < 2:
        return []
    drop = tables.material_drop(records)
    rows = list(
        breakdown.by_defense(breakdown.points(breakdown.by_number(records))).iter_rows(named=True)
    )
    names = [row["attack"] if row["breaks_at"] is not None else "" for row in rows]
    title = f"\nHostile hospitals at which an attack first costs {drop:g} AUROC or more\n"
    first = ("defense", [words.defense(row["defense"]) for row in rows])
    return [
        title,
        _table(
            [
                first,
                ("breaks down at", [breakdown.verdict(row) for row in rows]),
                ("first under", names),
            ]
        ),
    ]


def _table(columns: Sequence[Column]) -> Table:
    """A table without lines; names broken where they have joints, so that headers are no wider than
    they must.
    """
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0))
    for place, (header, _) in enumerate(columns):
        table.add_column(
            Text(_broken(header)),
            justify="right" if place else "left",
            vertical="bottom",
            no_wrap=True,
        )
    for row in zip(*(body for _, body in columns), strict=True):
        table.add_row(*map(Text, row))
    return table


def _blocks(columns: Sequence[Column], width: int) -> Iterator[list[Column]]:
    """Columns in order, as many side by side as ``width`` characters hold, at least one."""
    block: list[Column] = []
    for column in columns:
        if block and sum(map(_width, [*block, column])) > width:
            yield block
            block = []
        block.append(column)
    if block:
        yield block


def _width(column: Column) -> int:
    header, body = column
    return GAP + max(len(line) for line in [*_broken(header).split("\n"), *body])


def _broken(name: str) -> str:
    """A name on several lines of about ``JOINT`` characters, broken after ``_``, ``+`` and spaces."""
    lines = [""]
    for part in re.split(r"(?<=[_+ ])", name):
        lines = (
            [*lines, part]
            if lines[-1] and len(lines[-1] + part) > JOINT
            else [*lines[:-1], lines[-1] + part]
        )
    return "\n".join(lines)


def _mean(row: TableRow) -> str:
    """Mean, lowest seed, seeds that lost a material share, the sign of the verdict."""
    dagger = ("†" if row["n_idle"] else "") + ("‡" if row["n_undefined"] else "")
    verdict = _verdict(
        row["verdict"], row["n_lost"] + row["n_undefined"], row["harm_n"] + row["n_undefined"]
    )
    if row["mean"] is None:
        return f"not defined{verdict}{dagger}"
    lowest = f" [{words.score(row['lowest'])}]" if row["n"] > 1 else ""
    return f"{words.score(row['mean'])}{lowest}{verdict}{dagger}"


def _excess(row: TableRow) -> str:
    """The same for a backdoor, in points beyond false triggers."""
    dagger = "†" if row["n_idle"] else ""
    if row["gain"] is None:
        return f"not defined{dagger}"
    most = f" [{words.signed_points(row['gain_worst'])}]" if row["gain_n"] > 1 else ""
    return f"{words.signed_points(row['gain'])}{most}{_verdict(row['verdict'], row['n_worked'], row['gain_n'])}{dagger}"


def _counts(attacks: pl.DataFrame) -> str:
    """How many attacks on one defense harm, and of how many that is not decided."""
    signs = {"!": HARMED, "?": UNDECIDED}
    return " ".join(
        f"{n}{sign}"
        for sign, verdict in signs.items()
        if (n := len(attacks.filter(verdict=verdict)))
    )


def _verdict(verdict: str | None, number: int, of: int) -> str:
    sign = "!" if verdict == HARMED else "?" if verdict == UNDECIDED else ""
    return "" if verdict is None else f" {number}/{of}{sign}"


def _attacks(cells: Iterable[tuple[str, str]]) -> list[str]:
    return list(dict.fromkeys(name for name, _ in cells))


def _engaged(did: bool | None, distance: float | None) -> str:
    if did is None:
        return words.NONE
    return f"{'yes' if did else 'NO: it changed nothing'}{'' if distance is None else f' ({distance:.3g})'}"
