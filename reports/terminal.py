"""The tables that end a command in the terminal."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import polars as pl
from rich.console import Group
from rich.table import Table
from rich.text import Text

from reports import story
from reports.analysis import (
    breakdown,
    broken,
    leaks,
    quantized,
    radii,
    skipped,
    tables,
    undefined,
)
from reports.analysis.seen import Seen
from reports.analysis.undefined import Refused
from reports.text import words
from reports.text.steps import Step
from sim.evidence import RunRecord
from sim.evidence.intervals import HARMED, UNDECIDED
from sim.types import TableRow

MOST_BLOCKS = 3
GAP = 2  # spaces between columns
READ: dict[leaks.Metric, str] = {
    "reconstruction_rate": "most recovered",
    "membership_auc": "membership: highest AUC",
}
MOST_ROWS = 16  # of membership; of more each defense has one
MOST_STEPS = 3  # rows to act on; the rest is counted
JOINT = 10  # characters up to which parts of a name share a line of a header

Column = tuple[str, list[str]]  # header, cells


def closing(
    records: Sequence[RunRecord], refused: Sequence[Refused] = (), width: int = 80
) -> Group:
    """The tables and sentences that end a comparison: ``broken.first``, outcomes, breakdown points.

    No cell is wrapped at ``width`` characters: attacks that do not fit side by side come in blocks,
    and instead of more than ``MOST_BLOCKS`` each defense gets one line with its worst attack.
    Membership has a table of its own. Cells that did not run come last.
    """
    return _closing(records, Seen(breakdown.in_focus(records)), refused, width)


def _closing(
    records: Sequence[RunRecord], seen: Seen, refused: Sequence[Refused], width: int
) -> Group:
    """The same, from the frames of the runs that it is mostly about."""
    focused = seen.records
    columns = _columns(seen, refused, members=False)
    if len(fitted(columns, width)) > MOST_BLOCKS:
        columns = _summary(seen, members=False)
    parts = [
        *_first(records),
        _title(focused),
        *fitted(columns, width),
        *_notes(focused, columns),
        *_members(seen.read),
        *radii.idle(focused),
        *quantized.sentences(focused),
        *_breakdown(records),
        *([""] if refused else []),
        *undefined.sentences(refused),
        *_typed(records),
    ]
    return Group(*(part if isinstance(part, Table) else Text(part) for part in parts))


def ending(
    records: Sequence[RunRecord],
    command: str,
    refused: Sequence[Refused] = (),
    first: Group | Table | None = None,
    width: int = 80,
) -> Group:
    """The end of a command in the terminal: its tables, then the page's answer and what to do next.

    ``command``: the one that repeats it. ``first``: in place of the tables of a comparison.
    """
    manifest = {"command": command, "refused": refused}
    seen = Seen(breakdown.in_focus(records))
    top = story.top(records, seen, manifest)
    steps = [_step(one) for one in top.acting[:MOST_STEPS]]
    more = len(top.acting) - len(steps)
    steps += [f"{words.count(more, 'more row')} in the report."] if more > 0 else []
    n = sum(not one.partly for one in top.untested)
    steps += [
        f"{words.count(n, 'threat')} not tested: the report has commands that test what can be."
    ] * (n > 0)
    parts = [
        _closing(records, seen, refused, width) if first is None else first,
        *listed("The answer", top.answer, width, numbered=True),
        *listed("Next", steps, width),
    ]
    return Group(*parts)


def _step(one: Step) -> str:
    """A row to act on, with the command that goes with it."""
    text = f"{one.name} ({one.urgent}): {one.text}"
    return f"{text} The command: {one.command}" if one.command else text


def listed(
    title: str, texts: Sequence[str], width: int = 80, *, numbered: bool = False
) -> list[Text]:
    """Texts under a title, each with its mark and with its later lines under its first."""
    lines = [
        textwrap.fill(
            text,
            width,
            initial_indent=f"{place}. " if numbered else "- ",
            subsequent_indent=" " * (3 if numbered else 2),
            break_long_words=False,
            break_on_hyphens=False,
        )
        for place, text in enumerate(texts, 1)
    ]
    return [Text.assemble("\n", (title, "bold")), Text("\n".join(lines))] if lines else []


class Outcomes(NamedTuple):
    """The table of a comparison's outcomes, as text; the first column names defenses."""

    title: str
    columns: list[Column]
    notes: list[str]


def compared(
    records: Sequence[RunRecord], refused: Sequence[Refused] = (), most: int = 8
) -> Outcomes:
    """The outcomes of a comparison; with more than ``most`` columns, one line a defense."""
    seen = Seen(breakdown.in_focus(records))
    focused = seen.records
    columns = _columns(seen, refused)
    if len(columns) > most:
        columns = _summary(seen)
    notes = [note for note in _notes(focused, columns) if note]
    return Outcomes(_title(focused).strip(), columns, notes)


def run_table(record: RunRecord) -> Table:
    """The table of the outcome of one run."""
    names = f"{words.attack_key(record.attack)}, {words.defense_key(record.defense)}"
    title = f"{names}, seed {record.seed}"
    table = Table(title=Text(title), show_header=False)
    for name, value in outcomes(record).items():
        table.add_row(name, Text(value))
    return table


def outcomes(record: RunRecord) -> dict[str, str]:
    """The outcomes of one run, as text by name: the rows of its table."""
    engaged = record.engagement
    sensitivity = record.value("sensitivity_at_90_specificity")
    least = words.score(record.value("worst_hospital_auroc"))
    worst = f"{least} ({record.worst_hospital})" if record.worst_hospital else words.NONE
    broke_down = broken.broken([record])
    rows = {"rounds skipped": "\n".join(skipped.sentences([record])) or f"0 of {record.rounds}"}
    if broke_down:
        rows["training broke down"] = "\n".join(broke_down)
    rows |= {
        "AUROC": words.defined(record.value("auroc")),
        "AUROC, worst hospital": worst,
        "sensitivity at 90 % specificity": words.defined(sensitivity),
        "Brier score": words.defined(record.value("brier")),
        "attack engaged": _engaged(engaged.attack_engaged, record.value("attack_distance")),
        "defense engaged": _engaged(engaged.defense_engaged, record.value("defense_distance")),
        **{one.part: radii.effect(one) for one in record.clipped},
    }
    if (epsilon := record.value("epsilon")) is not None:
        rows["ε (most of any hospital)"] = words.epsilon(epsilon)
    if (epsilon := record.value("patient_epsilon")) is not None:
        rows["ε of a patient (most of any hospital)"] = words.epsilon(epsilon)
    if (epsilon := record.value("hospital_epsilon")) is not None:
        rows["ε of a whole hospital"] = words.epsilon(epsilon)
    if record.has("backdoor_success"):
        success = words.share(record.value("backdoor_success"))
        rows["marked patients in the attacker's class"] = success
        rows["the same without the attack"] = words.share(record.value("false_trigger_rate"))
    if record.has("reconstruction_rate"):
        rows["records recovered"] = f"{record.n_recovered} of {record.n_attacked}"
    if record.has("membership_auc"):
        rows["membership: AUC"] = words.defined(record.value("membership_auc"))
        rows["membership: AUC where nothing is to find"] = words.defined(
            record.value("membership_auc_null")
        )
    if (recovered := record.outcome("updates_recovered")) is not None and recovered.n:
        n_recovered = round((recovered.value or 0.0) * recovered.n)
        rows["honest hospitals' updates recovered"] = f"{n_recovered} of {recovered.n}"
    if record.value("auroc") is None and not broke_down:
        rows["not defined, because"] = tables.why_undefined(record)
    if record.not_finite_from is not None:
        rows["values beyond float32"] = f"from round {record.not_finite_from} on"
    return rows


def _first(records: Sequence[RunRecord]) -> list[str]:
    texts = broken.first(records)
    return [f"{broken.heading(records)}:", *(f"- {text}" for text in texts), ""] if texts else []


def _title(records: Sequence[RunRecord]) -> str:
    first = records[0]
    n_seeds = len({record.seed for record in records})
    hostile = f"{first.n_hostile} of {words.count(first.n_hospitals, 'hospital')} hostile"
    if n_seeds > 1:
        return f"AUROC: mean [lowest seed] over {words.count(n_seeds, 'seed')}; {hostile}\n"
    return f"AUROC; one seed decides nothing; {hostile}\n"


def _notes(records: Sequence[RunRecord], columns: Sequence[Column]) -> list[str]:
    """The meaning of each sign that occurs in a cell."""
    drop = tables.material_drop(records)
    cells = [cell for _, body in columns for cell in body]
    notes = {
        r"^(\d\.\d{3}|not).* \d+/": (
            f"n/m: n of m seeds lost {drop:g} or more of AUROC to the attack"
        ),
        r"^[+\N{MINUS SIGN}]|^0\.0( |$)": (
            "(points): success of the backdoor beyond false triggers, mean [most];"
            f" n of m seeds with {100 * drop:g} or more"
        ),
        " null ": (
            "AUC: of membership, mean [highest], and where there is nothing to find (null);"
            " 0.5 is guessing"
        ),
        "!": "! harm is shown",
        r"\?": "? not decided with these seeds",
        r"\d/\d+$": "no sign: no material loss shown within the interval",
        r"^\d+[!?]": "attacks: how many of them harm (!), and of how many that is not decided (?)",
        "†": "† attack or defense did nothing in at least one run",
        "‡": (
            "‡ seeds that left a model without an AUROC count as lost;"
            " mean and lowest are those of the others"
        ),
    }
    present = [note for sign, note in notes.items() if any(re.search(sign, cell) for cell in cells)]
    return ["", *present] if present else []


def _typed(records: Sequence[RunRecord]) -> list[str]:
    """A line on the typed names in the tables that people could not guess the meaning of."""
    pairs = [
        *((record.attack, words.attack(record.attack)) for record in records),
        *((record.defense, words.defense(record.defense)) for record in records),
    ]
    shown = [
        f"{name} = {title}" for name, title in dict(pairs).items() if words.differs(name, title)
    ]
    return [f"\nNames: {'; '.join(shown)}"] if shown else []


def _columns(seen: Seen, refused: Sequence[Refused] = (), *, members: bool = True) -> list[Column]:
    """Columns: defenses, outcomes by attack, backdoors, what was recovered, rounds skipped."""
    records = seen.records
    cells = seen.judged.iter_rows(named=True)
    means = {(row["attack"], row["defense"]): _mean(row) for row in cells}
    bad = seen.marked.iter_rows(named=True)
    marked = {(row["attack"], row["defense"]): _excess(row) for row in bad}
    read, asked = (
        {(one.attack, one.defense): _read(one) for one in seen.read if one.metric == metric}
        for metric in READ
    )
    apart = {(row["attack"], row["defense"]): _isolated(row) for row in _isolations(records)}
    of_attacks = {attack: column for column in (read, apart, asked) for attack, _ in column}
    for cell, text in undefined.cells(refused, records[0].n_hostile).items():
        of_attacks.get(cell[0], means)[cell] = text
    ran = [record.defense for record in records]
    defenses = list(dict.fromkeys([*ran, *(defense for _, defense in [*means, *read, *apart])]))
    lost = _skipped(records, defenses)
    return [
        ("defense", [words.defense_key(name) for name in defenses]),
        *(
            (words.attack_key(name), [means.get((name, defense), "") for defense in defenses])
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
        *(
            (f"{name}: AUC", [asked.get((name, defense), "") for defense in defenses])
            for name in (_attacks(asked) if members else ())
        ),
        *(
            (f"{name}: single updates", [apart.get((name, defense), "") for defense in defenses])
            for name in _attacks(apart)
        ),
        *([("rounds skipped", lost)] if any(lost) else []),
    ]


def fitted(columns: Sequence[Column], width: int) -> list[Table]:
    """The columns in as many tables as ``width`` takes, the first column in each."""
    left = width - 1 - _width(columns[0])
    return [_table([columns[0], *block]) for block in _blocks(columns[1:], left)]


def _summary(seen: Seen, *, members: bool = True) -> list[Column]:
    """One line a defense: nobody attacking, its worst attack and backdoor, skipped rounds."""
    records = seen.records
    cells = seen.judged
    alone = cells.filter(attack="none").iter_rows(named=True)
    unattacked = {row["defense"]: _mean(row) for row in alone}
    attacked = cells.filter(pl.col("attack") != "none")
    worst = attacked.sort("mean", nulls_last=False, maintain_order=True)
    first = worst.unique("defense", keep="first", maintain_order=True)
    hit = {row["defense"]: row for row in first.iter_rows(named=True)}
    marked = {row["defense"]: row for row in seen.ranked.iter_rows(named=True)}
    names = list(dict.fromkeys(record.defense for record in records))
    read = _worst_read(seen.read)
    lost = _skipped(records, names)
    counts = {name: _counts(worst.filter(defense=name)) for name in names}
    columns: list[Column] = [
        ("defense", [words.defense_key(name) for name in names]),
        ("no attack", [unattacked.get(name, "") for name in names]),
    ]
    if hit:
        worst_of = f"worst of {worst['attack'].n_unique()}"
        columns += [
            (worst_of, [_mean(hit[name]) if name in hit else "" for name in names]),
            ("which", [hit[name]["attack"] if name in hit else "" for name in names]),
            ("attacks", [counts[name] for name in names]),
        ]
    if marked:
        excess = [_excess(marked[name]) if name in marked else "" for name in names]
        columns.append(("worst backdoor", excess))
    shown = [metric for metric in READ if members or metric != "membership_auc"]
    for metric, title in ((metric, READ[metric]) for metric in shown):
        found = [read.get((metric, name), "") for name in names]
        columns += [(title, found)] if any(found) else []
    return [*columns, *([("rounds skipped", lost)] if any(lost) else [])]


def _worst_read(read: Sequence[leaks.Leak]) -> dict[tuple[str, str], str]:
    """By figure and defense, the most that any attack read."""
    found = sorted(read, key=lambda one: one.value)
    return {(one.metric, one.defense): _read(one) for one in found}


def _read(leak: leaks.Leak) -> str:
    return words.share(leak.value) if leak.metric == "reconstruction_rate" else _area(leak)


def _members(read: Sequence[leaks.Leak]) -> list[str | Table]:
    """A table of membership: each attack under each defense; of many the highest of a defense."""
    found = [one for one in read if one.metric == "membership_auc"]
    if not found:
        return []
    if len(found) > MOST_ROWS:
        highest = {one.defense: one for one in sorted(found, key=lambda one: one.value)}
        found = [highest[name] for name in dict.fromkeys(one.defense for one in found)]
    title = "\nMembership: AUC (0.5 is guessing), and null: that where nothing is to find\n"
    columns = [
        ("attack", [words.attack(one.attack) for one in found]),
        ("defense", [words.defense(one.defense) for one in found]),
        ("AUC", [words.score(one.value) for one in found]),
        ("highest seed", [words.score(one.most) for one in found]),
        ("null", [words.score(one.null) for one in found]),
    ]
    return [title, _table(columns, n_left=2)]


def _skipped(records: Sequence[RunRecord], defenses: Sequence[str]) -> list[str]:
    """The skipped rounds of each defense, as cells."""
    return [
        skipped.column([record for record in records if record.defense == name])
        for name in defenses
    ]


def _breakdown(records: Sequence[RunRecord]) -> list[str | Table]:
    """The number at which each defense breaks down first, if several numbers were run."""
    if len(breakdown.numbers(records)) < 2:
        return []
    drop = tables.material_drop(records)
    found = breakdown.by_defense(breakdown.points(breakdown.by_number(records)))
    rows = list(found.iter_rows(named=True))
    names = [row["attack"] if row["breaks_at"] is not None else "" for row in rows]
    title = f"\nHostile hospitals at which an attack first costs {drop:g} AUROC or more\n"
    columns = [
        ("defense", [words.defense_key(row["defense"]) for row in rows]),
        ("breaks down at", [breakdown.verdict(row) for row in rows]),
        ("first under", names),
    ]
    return [title, _table(columns)]


def _table(columns: Sequence[Column], n_left: int = 1) -> Table:
    """A table without lines, and with headers that are broken at the joints of names.

    ``n_left``: columns that start at the left.
    """
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0))
    for place, (header, _) in enumerate(columns):
        table.add_column(
            Text(_broken(header)),
            justify="left" if place < n_left else "right",
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
    """The name on several lines of about ``JOINT`` characters, after ``_``, ``+`` or a space."""
    lines = [""]
    for part in re.split(r"(?<=[_+ ])", name):
        if lines[-1] and len(lines[-1] + part) > JOINT:
            lines.append(part)
        else:
            lines[-1] += part
    return "\n".join(lines)


def _mean(row: TableRow) -> str:
    """Mean, lowest seed, seeds that lost a material share, the sign of the verdict."""
    dagger = ("†" if row["n_idle"] else "") + ("‡" if row["n_undefined"] else "")
    lacking = row["n_undefined"]
    verdict = _verdict(row["verdict"], row["n_lost"] + lacking, row["harm_n"] + lacking)
    if row["mean"] is None:
        return f"not defined{verdict}{dagger}"
    lowest = f" [{words.score(row['lowest'])}]" if row["n"] > 1 else ""
    return f"{words.score(row['mean'])}{lowest}{verdict}{dagger}"


def _excess(row: TableRow) -> str:
    """The mean of a backdoor in points beyond false triggers, with the same additions."""
    dagger = "†" if row["n_idle"] else ""
    if row["gain"] is None:
        return f"not defined{dagger}"
    most = f" [{words.signed_points(row['gain_worst'])}]" if row["gain_n"] > 1 else ""
    verdict = _verdict(row["verdict"], row["n_worked"], row["gain_n"])
    return f"{words.signed_points(row['gain'])}{most}{verdict}{dagger}"


def _isolations(records: Sequence[RunRecord]) -> Iterator[TableRow]:
    """The rows of attacks on secure aggregation where honest hospitals were attacked."""
    rows = tables.isolations(records).iter_rows(named=True)
    return (row for row in rows if row["n_attacked"])


def _isolated(row: TableRow) -> str:
    return f"{row['n_recovered']} of {row['n_attacked']}"


def _area(leak: leaks.Leak) -> str:
    """The AUC of membership, the highest of a seed, and the null."""
    most = "" if leak.n_seeds == 1 else f" [{words.score(leak.most)}]"
    null = "" if leak.null is None else f" null {words.score(leak.null)}"
    return f"{words.score(leak.value)}{most}{null}"


def _counts(attacks: pl.DataFrame) -> str:
    """The number of attacks on one defense that harm, and of those of which it is not decided."""
    signs = {"!": HARMED, "?": UNDECIDED}
    counts = {sign: len(attacks.filter(verdict=verdict)) for sign, verdict in signs.items()}
    return " ".join(f"{n}{sign}" for sign, n in counts.items() if n)


def _verdict(verdict: str | None, number: int, of: int) -> str:
    sign = "!" if verdict == HARMED else "?" if verdict == UNDECIDED else ""
    return "" if verdict is None else f" {number}/{of}{sign}"


def _attacks(cells: Iterable[tuple[str, str]]) -> list[str]:
    return list(dict.fromkeys(name for name, _ in cells))


def _engaged(did: bool | None, distance: float | None) -> str:
    if did is None:
        return words.NONE
    how_far = "" if distance is None else f" ({distance:.3g})"
    return f"{'yes' if did else 'NO: it changed nothing'}{how_far}"
