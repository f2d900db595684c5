"""Frames of what backdoors did, ranked by success beyond false triggers and never by AUROC."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl

from reports.analysis import tables
from sim.evidence import RunRecord, intervals
from sim.evidence.intervals import HARMED
from sim.types import TableRow

BACKDOOR = {
    **dict.fromkeys(("attack", "defense"), pl.String),
    **dict.fromkeys(("seed", "target", "n_marked"), pl.Int64),
    **dict.fromkeys(("success", "false_trigger", "gain", "drop"), pl.Float64),
    "idle": pl.Boolean,
}
RATES = ("success", "false_trigger", "gain")
SHARES = {
    **dict.fromkeys(("attack", "defense"), pl.String),
    **{f"{name}{end}": pl.Float64 for name in RATES for end in ("", "_low", "_high")},
    **{f"{name}_n": pl.Int64 for name in RATES},
    **dict.fromkeys(("gain_least", "gain_worst"), pl.Float64),
    "n_worked": pl.Int64,
    "verdict": pl.String,
}


def backdoors(records: Sequence[RunRecord], cells: pl.DataFrame | None = None) -> pl.DataFrame:
    """One row a run's attacks and defense with a backdoor: its rates over seeds.

    The rates have ``_low``, ``_high`` and ``_n``.

    ``success`` and ``false_trigger`` are the outcomes of that name, with
    ``intervals.clustered_rate_interval``; ``gain``: their difference, paired by run, with
    ``intervals.excess_interval``; ``gain_least`` and ``gain_worst``: in the seed with the smallest
    and the largest. ``n_worked``: seeds in which ``gain`` is at least ``report.material_drop``;
    ``verdict``: as ``intervals.losses`` gives it for the gain. ``n_marked``: test records that were
    marked, over all seeds; ``n_idle``: runs in which attack or defense did nothing; ``harm`` with
    its interval: change of AUROC on unmarked records.

    ``cells``: the frame of ``tables.cells`` of these runs, where it is there already.
    """
    table = pl.DataFrame(list(_measured(records)), schema=BACKDOOR, orient="row")
    about = table.group_by(tables.CELL, maintain_order=True).agg(
        target=pl.col("target").first(),
        n_marked=pl.col("n_marked").sum(),
        n_idle=pl.col("idle").sum().cast(pl.Int64),
    )
    measured = table.drop_nulls("gain").group_by(tables.CELL, maintain_order=True)
    shares = pl.DataFrame([_shares(part) for _, part in measured], schema=SHARES)
    about = about.join(shares, on=tables.CELL, how="left", maintain_order="left")
    cells = tables.cells(records) if cells is None else cells
    harm = cells.select(*tables.CELL, "harm", "harm_low", "harm_high")
    return about.join(harm, on=tables.CELL, how="left", maintain_order="left")


def strongest(rows: pl.DataFrame) -> pl.DataFrame:
    """Backdoors that are shown to work first, and of these the one with most success."""
    works = (pl.col("verdict") == HARMED).fill_null(value=False)
    return rows.sort(works, "gain", descending=True, maintain_order=True)


def ranked(records: Sequence[RunRecord], marked: pl.DataFrame | None = None) -> pl.DataFrame:
    """One row a defense, of its backdoor with the largest mean ``gain``; the least of these first.

    The columns of ``backdoors``, ``n_attacks``, and ``behind`` with ``_n``, ``_low``, ``_high``,
    ``behind_most`` and ``apart`` as in ``tables.tradeoff``: by how much the first defense has less,
    as a negative number; null for the first. ``marked``: the frame of ``backdoors`` of these runs,
    where it is there already.
    """
    found = (backdoors(records) if marked is None else marked).drop_nulls("gain")
    counts = found.group_by("defense").agg(n_attacks=pl.len().cast(pl.Int64))
    order = found.sort("gain", descending=True, maintain_order=True)
    strongest = order.unique("defense", keep="first", maintain_order=True)
    worst = strongest.sort("gain", maintain_order=True)
    table = pl.DataFrame(list(_measured(records)), schema=BACKDOOR, orient="row")
    table = table.join(worst.select(tables.CELL), on=tables.CELL)
    is_least = pl.col("defense").is_in(worst["defense"].head(1).implode())
    first = table.filter(is_least).select("seed", first=pl.col("gain"))
    others = table.filter(~is_least).join(first, on="seed", maintain_order="left")
    behind = tables.gaps(others.with_columns(ahead=pl.col("first") - pl.col("gain")), "ahead")
    about = worst.join(counts, on="defense", maintain_order="left")
    about = about.join(behind, on="defense", how="left", maintain_order="left")
    return about.with_columns(pl.col("behind_n").fill_null(0))


def _shares(part: pl.DataFrame) -> TableRow:
    """The figures of one cell, from its runs."""
    sizes = part["n_marked"].to_list()
    success, false_trigger, gain = (part[name].to_list() for name in RATES)
    excess = intervals.excess_interval(success, false_trigger, sizes)
    found = intervals.losses(gain, excess, part["drop"].to_list()[0])
    bounds = {
        "success": intervals.clustered_rate_interval(success, sizes),
        "false_trigger": intervals.clustered_rate_interval(false_trigger, sizes),
        "gain": excess,
    }
    row: TableRow = {name: part[name].to_list()[0] for name in tables.CELL}
    for name, interval in bounds.items():
        low, high = interval or (None, None)
        row |= {name: part[name].mean(), f"{name}_n": len(part)}
        row |= {f"{name}_low": low, f"{name}_high": high}
    return row | {
        "gain_least": found.least,
        "gain_worst": found.worst,
        "n_worked": found.n_material,
        "verdict": found.verdict,
    }


def _measured(records: Sequence[RunRecord]) -> Iterator[TableRow]:
    for record in records:
        success = record.outcome("backdoor_success")
        if success is not None and record.backdoor is not None:
            yield {
                "attack": record.attack,
                "defense": record.defense,
                "seed": record.seed,
                "target": record.backdoor.target,
                "n_marked": success.n,
                "success": success.value,
                "false_trigger": record.value("false_trigger_rate"),
                "gain": gain(record),
                "drop": record.config["report"]["material_drop"],
                "idle": bool(tables.idle(record)),
            }


def gain(record: RunRecord) -> float | None:
    """Success of the run's backdoor beyond false triggers; None where one is not defined."""
    success = record.value("backdoor_success")
    false_trigger = record.value("false_trigger_rate")
    return None if success is None or false_trigger is None else success - false_trigger
