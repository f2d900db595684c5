"""Outcomes by the number of hostile hospitals: where defenses break, where rules are undefined."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from reports.analysis import tables, undefined
from reports.analysis.undefined import Refused
from reports.text import words
from sim.evidence import RunRecord
from sim.evidence.intervals import HARMED, UNDECIDED
from sim.types import TableRow


def numbers(records: Sequence[RunRecord]) -> list[int]:
    """The numbers of hostile hospitals that were run, in rising order."""
    return sorted({record.n_hostile for record in records})


def focus(records: Sequence[RunRecord]) -> int:
    """The number of hostile hospitals that the report is about where one is needed.

    Of the numbers above 0 with the most cells run it is the one nearest to a quarter of the
    hospitals, the smaller of two.
    """
    run = {
        number: len({(r.attack, r.defense) for r in records if r.n_hostile == number})
        for number in numbers(records)
    }
    quarter = records[0].n_hospitals / 4
    return min(run, key=lambda number: (number == 0, -run[number], abs(number - quarter), number))


def in_focus(records: Sequence[RunRecord]) -> list[RunRecord]:
    """The runs with the number of hostile hospitals that the report is about."""
    number = focus(records)
    return [record for record in records if record.n_hostile == number]


def by_number(records: Sequence[RunRecord]) -> pl.DataFrame:
    """The rows of ``tables.cells`` that AUROC judges, for each ``n_hostile``.

    Runs whose attack did nothing are left out. Attacks that only read are left out too, and
    backdoors, unless one of them cost AUROC with some number.
    """
    acting = [
        record
        for record in records
        if not tables.reads_only(record) and "attack" not in tables.idle(record)
    ]
    frames = [tables.cells([]).with_columns(n_hostile=pl.lit(0, pl.Int64))]
    for number in numbers(acting):
        cells = tables.cells([record for record in acting if record.n_hostile == number])
        frames.append(cells.with_columns(n_hostile=pl.lit(number, pl.Int64)))
    return tables.judged_by_auroc(pl.concat(frames))


def points(table: pl.DataFrame) -> pl.DataFrame:
    """The measured breakdown point of each defense under each attack, by ``by_number``'s frame.

    ``breaks_at``: the smallest number of hostile hospitals with which the verdict of the cell is
    "harmed"; null if there is none. ``harm`` with ``_low`` and ``_high`` there; ``open_at``: the
    smallest number below that with which it is "not decided", and ``open_lost`` of ``open_n``, how
    many seeds lost a material share there; ``most``: the largest number run with that control;
    ``seeds``: the fewest pairs of any number.
    """
    by = ("attack", "defense")
    judged = table.filter(pl.col("attack") != "none", pl.col("verdict").is_not_null())
    tried = judged.sort("n_hostile", maintain_order=True)
    pairs = pl.col("harm_n") + pl.col("n_undefined")
    most = pl.col("n_hostile").max()
    about = tried.group_by(by, maintain_order=True).agg(most=most, seeds=pairs.min())
    harmed = tried.filter(pl.col("verdict") == HARMED)
    broken = harmed.unique(by, keep="first", maintain_order=True)
    at = broken.select(*by, "harm", "harm_low", "harm_high", breaks_at=pl.col("n_hostile"))
    unsure = tried.filter(pl.col("verdict") == UNDECIDED)
    first = unsure.unique(by, keep="first", maintain_order=True)
    lost = {"open_lost": pl.col("n_lost"), "open_n": pairs}
    open_ = first.select(*by, open_at=pl.col("n_hostile"), **lost)
    for part in (at, open_):
        about = about.join(part, on=by, how="left", maintain_order="left")
    later = (pl.col("open_at") > pl.col("breaks_at")).fill_null(value=False)
    return about.with_columns(open_at=pl.when(later).then(None).otherwise(pl.col("open_at")))


def by_defense(found: pl.DataFrame) -> pl.DataFrame:
    """One row a defense: its smallest breakdown point over all attacks; of equal ones, most harm.

    ``n_broken`` of ``n_attacks`` broke it; the other columns are those of ``points`` for the attack
    that did so first, or, where none did, for the one that is not decided with the smallest number.
    """
    counts = found.group_by("defense", maintain_order=True).agg(
        n_attacks=pl.len().cast(pl.Int64), n_broken=pl.col("breaks_at").count().cast(pl.Int64)
    )
    order = found.sort("breaks_at", "harm", "open_at", nulls_last=True, maintain_order=True)
    first = order.unique("defense", keep="first", maintain_order=True)
    return counts.join(first, on="defense", maintain_order="left")


def limits(records: Sequence[RunRecord], refused: Sequence[Refused]) -> dict[str, int]:
    """The smallest number of hostile hospitals for which each defense is not defined, if any."""
    found = {record.defense: record.limit + 1 for record in records if record.limit is not None}
    for cell in refused:
        number = cell["n_hostile"]
        if number is not None and undefined.part(cell) != "attack":
            found[cell["defense"]] = min(number, found.get(cell["defense"], number))
    return found


def verdict(row: TableRow) -> str:
    """The breakdown point in a row of ``points``, or that none was reached or is decided."""
    unsure = ""
    if row["open_at"] is not None:
        unsure = f"not decided with {row['open_at']} ({row['open_lost']} of {row['open_n']} seeds)"
    if row["breaks_at"] is not None:
        return f"{row['breaks_at']}; {unsure}" if unsure else str(row["breaks_at"])
    if row["seeds"] < 2:
        return "one seed, no interval"
    return unsure or f"not reached up to {row['most']}"


def asked(records: Sequence[RunRecord]) -> list[str]:
    """The numbers that were run and the one that the report is about; nothing for one number."""
    run = numbers(records)
    if len(run) < 2:
        return []
    chosen = f"{focus(records)} of {words.count(records[0].n_hospitals, 'hospital')} hostile"
    return [
        f"Numbers of hostile hospitals: {words.listed(map(str, run))}. Where nothing else is"
        f" stated, this page shows the runs with {chosen}:"
        " of the numbers at which most cells ran, the one nearest to a quarter."
    ]


def found(records: Sequence[RunRecord], drop: float) -> list[str]:
    """Sentences on the numbers without a defense, and for the defenses that withstand most.

    There are none without intervals. ``drop``: the loss of AUROC that is material in these runs.
    """
    firsts = by_defense(points(by_number(records))).filter(pl.col("seeds") > 1)
    rows = list(firsts.iter_rows(named=True))
    texts = [
        f"With no defense, {words.attack(row['attack'])} lowers AUROC by at least {drop:g} from"
        f" {_hospitals(row['breaks_at'])} on."
        for row in rows
        if row["defense"] == "none" and row["breaks_at"] is not None
    ]
    return texts + _withstanding([row for row in rows if row["defense"] != "none"], drop)


def _withstanding(rows: Sequence[TableRow], drop: float) -> list[str]:
    """Sentences on defenses within the loss, and not decided; else on the last to break."""
    unbroken = [row for row in rows if row["breaks_at"] is None]
    sure = [row for row in unbroken if row["open_at"] is None]
    within = [f"{words.defense(row['defense'])} (up to {row['most']})" for row in sure]
    unsure = [
        f"{words.defense(row['defense'])} ({verdict(row)})" for row in unbroken if row not in sure
    ]
    texts = []
    if within:
        texts.append(
            f"Under {words.some(within)} no attack tried is shown to lower it by that much:"
            f" intervals end below {drop:g}."
        )
    if unsure:
        texts.append(f"Neither that nor the opposite is shown under {words.some(unsure)}.")
    if texts:
        return texts
    most = max((row["breaks_at"] for row in rows), default=0)
    last = [words.defense(row["defense"]) for row in rows if row["breaks_at"] == most]
    if not last or len(last) == len(rows) == 1:
        return [f"Under {name} it takes {_hospitals(most)}." for name in last]
    if len(last) == len(rows):
        return [f"Under every defense tried it takes {_hospitals(most)}."]
    return [f"Under {words.some(last)} it takes the most: {_hospitals(most)}."]


def _hospitals(number: int) -> str:
    return words.count(number, "hostile hospital")
