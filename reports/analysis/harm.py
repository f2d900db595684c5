"""What attacks cost the model's AUROC, in sentences: every one with its verdict, its worst seed and
how many seeds lost much.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from reports.analysis import tables
from reports.text import words
from sim.evidence.intervals import HARMED, UNDECIDED, WITHIN
from sim.types import TableRow

EQUAL = 0.0005  # scores that differ by less are shown alike
MOST_NAMED = 3  # harmful attacks that get a sentence of their own


def undefended(acting: pl.DataFrame, drop: float) -> list[str]:
    """The attacks without a defense, from a frame of ``tables.cells``: those that harm, those not
    decided, those within.
    """
    hit = acting.filter(
        pl.col("defense") == "none", pl.col("attack") != "none", pl.col("verdict").is_not_null()
    )
    harmed, unsure, within = (_of(hit, verdict) for verdict in (HARMED, UNDECIDED, WITHIN))
    texts = [harmful(row, drop) for row in harmed[:MOST_NAMED]]
    if len(harmed) > MOST_NAMED:
        texts.append(
            f"Harm is shown for {words.some(row['attack'] for row in harmed[MOST_NAMED:])} too."
        )
    if unsure:
        texts.append(
            f"{_not_decided(unsure)}:"
            f" {words.some(_seen(row, row['attack'], drop) for row in unsure)}."
        )
    if within:
        most = min(row["harm_low"] for row in within)
        texts.append(
            f"For {words.some(row['attack'] for row in within)} no loss of {drop:g} of AUROC or"
            " more is shown: no seed lost that much, and the 95 % intervals of the mean change end"
            f" at {words.change(most)} at the lowest."
        )
    return [*texts, "Attacks that were not tried may do more."] if texts else []


def under_defenses(acting: pl.DataFrame, drop: float) -> list[str]:
    """Each defense under the attack that did most to it, by verdict."""
    hit = acting.filter(
        pl.col("defense") != "none", pl.col("attack") != "none", pl.col("verdict").is_not_null()
    )
    rank = pl.col("verdict").replace_strict(
        {HARMED: 0, UNDECIDED: 1, WITHIN: 2}, return_dtype=pl.Int64
    )
    worst = hit.sort(rank, "harm", maintain_order=True).unique(
        "defense", keep="first", maintain_order=True
    )
    harmed, unsure, within = (_of(worst, verdict) for verdict in (HARMED, UNDECIDED, WITHIN))
    texts = []
    if harmed:
        texts.append(
            "Harm is shown under"
            f" {words.some(_seen(row, row['defense'], drop, row['attack']) for row in harmed)}."
        )
    if unsure:
        named = words.some(_seen(row, row["defense"], drop, row["attack"]) for row in unsure)
        texts.append(f"{_not_decided(unsure)} under {named}.")
    if within:
        names = hit.filter(pl.col("defense").is_in([row["defense"] for row in within]))[
            "attack"
        ].unique(maintain_order=True)
        texts.append(
            f"No loss of {drop:g} of AUROC or more is shown for {words.some(names)} under "
            f"{words.some(row['defense'] for row in within)}: "
            "no seed lost that much, and every interval of a mean loss ends below it."
        )
    return texts


def harmful(row: TableRow, drop: float) -> str:
    """What one attack that harms did: seeds, the worst of them, the mean, and what of it is not
    decided.
    """
    name, n = f"{row['attack']} {words.under(row['defense'])}", row["harm_n"]
    if row["harm"] is None:
        return (
            f"{name} harms the model: in each of {words.count(row['n_undefined'], 'seed')} it left"
            " one without an AUROC."
        )
    change = (
        f"mean change {words.change(row['harm'])}, 95 % interval"
        f" {words.span(row['harm_low'], row['harm_high'], signed=True)}"
    )
    open_ = (
        f": how much it costs on average is not decided with {words.count(n, 'seed')}"
        if row["harm_high"] is None or row["harm_high"] >= 0
        else ""
    )
    if row["n_lost"] == n:
        all_lost = f"{n} of {n} lost {drop:g} or more"
        fell = (
            f"in each of {words.count(n, 'seed')} AUROC fell by at least"
            f" {words.amount(row['harm_least'])} ({all_lost})"
        )
    else:
        fell = f"{row['n_lost']} of {words.count(n, 'seed')} lost {drop:g} or more of AUROC"
    lacking = (
        f"; {words.count(row['n_undefined'], 'seed')} more left a model without an AUROC"
        if row["n_undefined"]
        else ""
    )
    return (
        f"{name} harms the model: {fell}, the lowest seed ends at {words.score(row['lowest'])}, "
        f"the mean is {words.score(row['mean'])} ({change}){open_}{lacking}."
    )


def price(effects: pl.DataFrame) -> list[str]:
    """The largest price that a hospital pays for a defense when nobody attacks, named only where it
    is distinguished.
    """
    texts = []
    hit = tables.worst_hit(effects)
    for row in hit.head(1).iter_rows(named=True):
        if row["brier_low"] is None:
            how = "the largest mean rise; one seed gives no interval"
        else:
            interval = words.span(row["brier_low"], row["brier_high"], signed=True)
            how = f"95 % interval {interval} over {words.count(row['brier_n'], 'seed')}"
        same = hit.filter(
            pl.col("brier") > row["brier"] - EQUAL, pl.col("defense") != row["defense"]
        ).rows(named=True)
        named = words.some(f"{one['defense']} ({one['hospital']})" for one in same)
        too = f", and as much is seen under {named}" if same else ""
        rise = (
            f"the Brier score (lower is better) of {row['hospital']} changes by"
            f" {words.change(row['brier'])} ({how}){too}"
        )
        if not row["alike"] and row["brier_low"] is not None:
            texts.append(
                f"With nobody attacking, {row['defense']} costs one hospital most: {rise}."
            )
        else:
            others = (
                f"; it is not distinguished from {words.some(row['alike'], 3)}"
                if row["alike"]
                else ""
            )
            texts.append(
                "With nobody attacking, the largest change of a hospital was seen under"
                f" {row['defense']}: {rise}{others}."
            )
        if row["brier_low"] is not None and row["brier_low"] <= 0:
            texts.append(
                "Whether it is a rise at all is not decided with"
                f" {words.count(row['brier_n'], 'seed')}."
            )
    return texts


def _of(frame: pl.DataFrame, verdict: str) -> list[TableRow]:
    return (
        frame.filter(pl.col("verdict") == verdict)
        .sort("harm", nulls_last=False, maintain_order=True)
        .rows(named=True)
    )


def _not_decided(rows: Sequence[TableRow]) -> str:
    seeds = sorted({row["harm_n"] + row["n_undefined"] for row in rows})
    return f"Not decided with {words.listed(map(str, seeds))} {'seed' if seeds == [1] else 'seeds'}"


def _seen(row: TableRow, name: str, drop: float, attack: str = "") -> str:
    """One cell in a list: who, how many seeds lost a material share, and the worst of them."""
    by, n = f"{attack}: " if attack else "", row["harm_n"] + row["n_undefined"]
    if row["harm_worst"] is None:
        return f"{name} ({by}no run left a model with an AUROC)"
    lost = f"{row['n_lost'] + row['n_undefined']} of {words.count(n, 'seed')} lost {drop:g} or more"
    lacking = (
        f", {row['n_undefined']} of them left a model without an AUROC; of the others"
        if row["n_undefined"]
        else ","
    )
    worst = (
        f"the largest change {words.change(row['harm_worst'])}, the lowest AUROC"
        f" {words.score(row['lowest'])}"
    )
    return f"{name} ({by}{lost}{lacking} {worst})"
