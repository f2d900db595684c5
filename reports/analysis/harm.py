"""Sentences on what attacks cost the model's AUROC: verdict, worst seed, seeds that lost much."""

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
    """Sentences on the attacks without a defense: those that harm, not decided, within the loss.

    ``acting``: a frame of ``tables.cells``.
    """
    attacked = acting.filter(pl.col("attack") != "none", pl.col("verdict").is_not_null())
    hit = attacked.filter(defense="none")
    harmed, unsure, within = (_of(hit, verdict) for verdict in (HARMED, UNDECIDED, WITHIN))
    texts = [harmful(row, drop) for row in harmed[:MOST_NAMED]]
    if len(harmed) > MOST_NAMED:
        others = words.some(words.attack(row["attack"]) for row in harmed[MOST_NAMED:])
        texts.append(f"Harm is shown for {others} too.")
    if unsure:
        seen = words.some(_seen(row, words.attack(row["attack"]), drop) for row in unsure)
        texts.append(f"{_not_decided(unsure)}: {seen}.")
    if within:
        most = min(row["harm_low"] for row in within)
        named = words.some(words.attack(row["attack"]) for row in within)
        texts.append(
            f"For {named} no loss of {drop:g} of AUROC"
            " or more is shown: no seed lost that much, and the 95 % intervals of the mean change"
            f" end at {words.change(most)} at the lowest."
        )
    return [*texts, "Attacks that were not tried may do more."] if texts else []


def under_defenses(acting: pl.DataFrame, drop: float) -> list[str]:
    """Sentences on each defense under the attack that did most to it, by verdict."""
    attacked = acting.filter(pl.col("attack") != "none", pl.col("verdict").is_not_null())
    hit = attacked.filter(pl.col("defense") != "none")
    places = {HARMED: 0, UNDECIDED: 1, WITHIN: 2}
    rank = pl.col("verdict").replace_strict(places, return_dtype=pl.Int64)
    order = hit.sort(rank, "harm", maintain_order=True)
    worst = order.unique("defense", keep="first", maintain_order=True)
    harmed, unsure, within = (_of(worst, verdict) for verdict in (HARMED, UNDECIDED, WITHIN))
    texts = []
    if harmed:
        named = words.some(
            _seen(row, words.defense(row["defense"]), drop, words.attack(row["attack"]))
            for row in harmed
        )
        texts.append(f"Harm is shown under {named}.")
    if unsure:
        named = words.some(
            _seen(row, words.defense(row["defense"]), drop, words.attack(row["attack"]))
            for row in unsure
        )
        texts.append(f"{_not_decided(unsure)} under {named}.")
    if within:
        defenses = [row["defense"] for row in within]
        names = hit.filter(pl.col("defense").is_in(defenses))["attack"]
        attacks = words.some(map(words.attack, names.unique(maintain_order=True)))
        texts.append(
            f"No loss of {drop:g} of AUROC or more is shown for {attacks} under"
            f" {words.some(map(words.defense, defenses))}:"
            " no seed lost that much, and every interval of a mean loss ends below it."
        )
    return texts


def harmful(row: TableRow, drop: float) -> str:
    """A sentence on one attack that harms: seeds, the worst one, the mean, and open questions."""
    name = f"{words.attack_first(row['attack'])} {words.under(row['defense'])}"
    n = row["harm_n"]
    seeds = words.count(n, "seed")
    lacking = words.count(row["n_undefined"], "seed")
    if row["harm"] is None:
        return f"{name} harms the model: in each of {lacking} it left one without an AUROC."
    interval = words.span(row["harm_low"], row["harm_high"], signed=True)
    change = f"mean change {words.change(row['harm'])}, 95 % interval {interval}"
    if row["harm_high"] is None or row["harm_high"] >= 0:
        open_ = f": how much it costs on average is not decided with {seeds}"
    else:
        open_ = ""
    if row["n_lost"] == n:
        least = words.amount(row["harm_least"])
        fell = (
            f"in each of {seeds} AUROC fell by at least {least} ({n} of {n} lost {drop:g} or more)"
        )
    else:
        fell = f"{row['n_lost']} of {seeds} lost {drop:g} or more of AUROC"
    more = f"; {lacking} more left a model without an AUROC" if row["n_undefined"] else ""
    return (
        f"{name} harms the model: {fell}, the lowest seed ends at {words.score(row['lowest'])},"
        f" the mean is {words.score(row['mean'])} ({change}){open_}{more}."
    )


def price(effects: pl.DataFrame) -> list[str]:
    """Sentences on the largest price of a defense for a hospital when nobody attacks.

    The hospital is named as hit hardest only where it is distinguished from the others.
    """
    hit = tables.worst_hit(effects)
    if hit.is_empty():
        return []
    row = hit.row(0, named=True)
    seeds = words.count(row["brier_n"], "seed")
    if row["brier_low"] is None:
        how = "the largest mean rise; one seed gives no interval"
    else:
        interval = words.span(row["brier_low"], row["brier_high"], signed=True)
        how = f"95 % interval {interval} over {seeds}"
    alike = pl.col("brier") > row["brier"] - EQUAL
    same = hit.filter(alike, pl.col("defense") != row["defense"]).rows(named=True)
    named = words.some(f"{words.defense(one['defense'])} ({one['hospital']})" for one in same)
    too = f", and as much is seen under {named}" if same else ""
    rise = (
        f"the Brier score (lower is better) of {row['hospital']} changes by"
        f" {words.change(row['brier'])} ({how}){too}"
    )
    if not row["alike"] and row["brier_low"] is not None:
        texts = [
            f"With nobody attacking, {words.defense(row['defense'])} costs one hospital most:"
            f" {rise}."
        ]
    else:
        others = ""
        if row["alike"]:
            others = f"; it is not distinguished from {words.some(row['alike'], 3)}"
        texts = [
            "With nobody attacking, the largest change of a hospital was seen under"
            f" {words.defense(row['defense'])}: {rise}{others}."
        ]
    if row["brier_low"] is not None and row["brier_low"] <= 0:
        texts.append(f"Whether it is a rise at all is not decided with {seeds}.")
    return texts


def _of(frame: pl.DataFrame, verdict: str) -> list[TableRow]:
    rows = frame.filter(pl.col("verdict") == verdict)
    return rows.sort("harm", nulls_last=False, maintain_order=True).rows(named=True)


def _not_decided(rows: Sequence[TableRow]) -> str:
    seeds = sorted({row["harm_n"] + row["n_undefined"] for row in rows})
    return f"Not decided with {words.listed(map(str, seeds))} {'seed' if seeds == [1] else 'seeds'}"


def _seen(row: TableRow, name: str, drop: float, attack: str = "") -> str:
    """One cell in a list: who, how many seeds lost a material share, and the worst of them."""
    by = f"{attack}: " if attack else ""
    if row["harm_worst"] is None:
        return f"{name} ({by}no run left a model with an AUROC)"
    lacking = row["n_undefined"]
    seeds = words.count(row["harm_n"] + lacking, "seed")
    lost = f"{row['n_lost'] + lacking} of {seeds} lost {drop:g} or more,"
    if lacking:
        lost += f" {lacking} of them left a model without an AUROC; of the others"
    change = words.change(row["harm_worst"])
    lowest = words.score(row["lowest"])
    return f"{name} ({by}{lost} the largest change {change}, the lowest AUROC {lowest})"
