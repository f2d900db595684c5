"""Sentences on which defense does best, and at what cost; defenses not distinguished are a tie."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from reports.analysis import backdoors
from reports.text import words
from sim.evidence import RunRecord
from sim.evidence.intervals import HARMED, UNDECIDED
from sim.types import TableRow

MOST_TIED = 5  # defenses of a tie that are named with their costs


@dataclass(frozen=True)
class Standing:
    """The first row of a ranking, those not distinguished from it, and those that are.

    ``n_seeds``: how many are behind the first row; 1 if it has no interval.
    """

    first: TableRow
    tied: tuple[TableRow, ...]
    apart: tuple[TableRow, ...]
    n_seeds: int


def standing(points: pl.DataFrame) -> Standing | None:
    """The ranking of defenses by AUROC under their worst attack; None if none has one throughout.

    ``points``: a frame of ``tables.tradeoff``.
    """
    defined = points.filter(pl.col("n_undefined") == 0)
    ranked = defined.sort("worst", descending=True, maintain_order=True).rows(named=True)
    return _standing(ranked) if ranked else None


def costs(
    records: Sequence[RunRecord], cells: pl.DataFrame, selected: pl.DataFrame
) -> dict[str, str]:
    """The cost of each defense when nobody attacks, as a clause: AUROC, hospitals used, privacy.

    ``cells`` and ``selected``: frames of ``tables.cells`` and ``weights.selections`` of these runs.
    """
    unattacked = cells.filter(attack="none").iter_rows(named=True)
    alone = {row["defense"]: row for row in unattacked}
    taken = selected.filter(attack="none").iter_rows(named=True)
    uses = {row["defense"]: row["used"] for row in taken}
    found = {}
    sizes = {one.defense: one.n_hospitals for one in records if one.defense != "none"}
    for name, n in sizes.items():
        parts = [_change(alone.get(name))]
        if uses.get(name, n) < n - 0.05:
            parts.append(f"a round uses the updates of {words.number(uses[name])} of {n} hospitals")
        if alone.get(name, {}).get("epsilon") is not None:
            parts.append(f"it spends ε = {words.epsilon(alone[name]['epsilon'])}")
        found[name] = "; ".join(parts)
    return found


def on_auroc(points: pl.DataFrame, cost: Mapping[str, str]) -> list[str]:
    """Sentences on the defense with the most AUROC under its worst attack, or the tie at the top.

    ``points``: a frame of ``tables.tradeoff``.
    """
    undefined = points.filter(pl.col("n_undefined") > 0)
    lacking = [words.defense(name) for name in undefined["defense"]]
    if len(points) < 2:
        return []
    found = standing(points)
    texts = [] if found is None else _order(found, cost, _auroc, _lower)
    if lacking:
        texts.append(
            f"Not ranked, because an attack left a model without an AUROC: {words.some(lacking)}."
        )
    return texts


def on_backdoors(ranked: pl.DataFrame, cost: Mapping[str, str]) -> list[str]:
    """Sentences on the defense whose worst backdoor has the least success, or the tie at the top.

    Success is that beyond false triggers. ``ranked``: a frame of ``backdoors.ranked``.
    """
    rows = ranked.rows(named=True)
    return _order(_standing(rows), cost, _excess, _more) if len(rows) > 1 else []


def backdoor_texts(found: pl.DataFrame, drop: float) -> list[str]:
    """A sentence on the strongest backdoor without a defense, by a frame of ``backdoors``."""
    undefended = found.filter(pl.col("defense") == "none").drop_nulls("gain")
    first = backdoors.strongest(undefended).head(1)
    return [_backdoor(row, drop) for row in first.rows(named=True)]


def _backdoor(row: TableRow, drop: float) -> str:
    seeds = words.count(row["gain_n"], "seed")
    worked = f"{row['n_worked']} of {seeds} by {words.share(drop)} of marked patients or more"
    interval = words.points_span(row["gain_low"], row["gain_high"])
    return (
        f"{words.attack_first(row['attack'])} {words.under(row['defense'])}:"
        f" {words.share(row['success'])} of marked patients are put into the attacker's class,"
        f" {words.share(row['false_trigger'])} in the same run without the attack;"
        f" beyond false triggers {words.points(row['gain'])} (95 % interval {interval}),"
        f" in {worked}: {_shown(row)}."
    )


def _shown(row: TableRow) -> str:
    """The verdict on a backdoor in words."""
    n = row["gain_n"]
    if row["verdict"] == HARMED:
        if row["gain_low"] > 0:
            return "it is shown to work"
        return f"it is shown to work, and how well on average is {words.not_decided(n)}"
    if row["verdict"] == UNDECIDED:
        return f"whether it works is {words.not_decided(n)}"
    return "no material success is shown, interval included"


def _standing(ranked: Sequence[TableRow]) -> Standing:
    first, *others = ranked
    tied = tuple(row for row in others if not row["apart"])
    apart = tuple(row for row in others if row["apart"])
    return Standing(first, tied, apart, _seeds(first))


def _order(
    found: Standing,
    cost: Mapping[str, str],
    figure: Callable[[TableRow], str],
    gap: Callable[[TableRow], str],
) -> list[str]:
    """Sentences on a ranking, the first row first.

    ``figure`` states a row, ``gap`` by how much it is worse than the first.
    """
    first = found.first
    tied = found.tied
    apart = found.apart
    name = words.defense(first["defense"])
    if found.n_seeds < 2:
        return [
            "With one seed no order of defenses is settled; the first is"
            f" {_with_cost(first, cost, figure)}."
        ]
    if tied:
        named = [_with_cost(row, cost, figure) for row in (first, *tied)]
        texts = [
            f"No best defense is shown: {words.some(named, MOST_TIED)} are not distinguished"
            f" with {words.count(found.n_seeds, 'seed')}."
        ]
        if first["defense"] == "none" or any(row["defense"] == "none" for row in tied):
            no_help = "No defense at all is among them: whether any of them helps is not decided."
            texts.append(no_help)
    elif not apart:
        return []
    elif first["defense"] == "none":
        texts = [f"Every defense tried does worse than none: {figure(first)} without a defense."]
    else:
        best = _with_cost(first, cost, figure)
        texts = [f"Of the defenses tried, {best} does best and is distinguished from every other."]
    if apart:
        worse = words.some(gap(row) for row in apart)
        texts.append(f"Worse than {name}, distinguished seed by seed: {worse}.")
    return texts


def _with_cost(row: TableRow, cost: Mapping[str, str], figure: Callable[[TableRow], str]) -> str:
    paid = f"; {cost[row['defense']]}" if row["defense"] in cost else ""
    return f"{words.defense(row['defense'])} ({figure(row)}{paid})"


def _seeds(row: TableRow) -> int:
    """The number of seeds behind the first row of a ranking: 1 if it has no interval."""
    low = row["worst_low"] if "worst_low" in row else row["gain_low"]
    return 1 if low is None else int(row["n_seeds"] if "n_seeds" in row else row["gain_n"])


def _auroc(row: TableRow) -> str:
    lowest = ""
    if row["worst_low"] is not None:
        lowest = f", lowest seed {words.score(row['worst_lowest'])}"
    attack = words.attack(row["attack"])
    return f"AUROC {words.score(row['worst'])} under {attack}, its worst attack{lowest}"


def _excess(row: TableRow) -> str:
    interval = ""
    if row["gain_low"] is not None:
        span = words.points_span(row["gain_low"], row["gain_high"])
        interval = f", 95 % interval {span}"
    return (
        f"{words.attack(row['attack'])}, its worst backdoor, reaches {words.share(row['success'])}"
        " of marked"
        f" patients, {words.points(row['gain'])} beyond false triggers{interval}: {_shown(row)}"
    )


def _lower(row: TableRow) -> str:
    mean = words.amount(row["behind"])
    closest = words.change(row["behind_most"])
    return (
        f"{words.defense(row['defense'])} (AUROC lower by {mean} on average,"
        f" a difference of {closest} in the closest seed)"
    )


def _more(row: TableRow) -> str:
    closest = words.points(-row["behind_most"])
    excess = f"{words.points(row['gain'])} beyond false triggers"
    return f"{words.defense(row['defense'])} ({excess}, {closest} against it in the closest seed)"


def _change(row: TableRow | None) -> str:
    """The change that a defense makes when nobody attacks."""
    if row is None or row["gain"] is None:
        return "what it costs with nobody attacking was not measured"
    span = words.span(row["gain_low"], row["gain_high"], signed=True)
    interval = "one seed" if row["gain_low"] is None else f"95 % interval {span}"
    return f"with nobody attacking AUROC changes by {words.change(row['gain'])}, {interval}"
