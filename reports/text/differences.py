"""Sentences on what differs between two folders, each made from the figures and no stronger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

import polars as pl

from reports.analysis.costs_apart import SPENT
from reports.analysis.differences import EXACT, EXCESS, Cell
from reports.text import words

if TYPE_CHECKING:
    from reports.difference import Difference, Folder, Judged
    from sim.types import TableRow
    from threats.compared import CriterionChange, RowChange

# what is drawn and stated first of a cell: what its attack is after
LEAKS: Final = ("reconstruction_rate", "updates_recovered", "membership_auc")
MAIN: Final = ("auroc", EXCESS, *LEAKS)
MOST: Final = 6  # cells or criteria in a sentence
FEW: Final = 3  # seeds


def drawn(changes: pl.DataFrame) -> pl.DataFrame:
    """The changes that the figure shows: of a cell that reads what it read, of others AUROC."""
    by = ("attack", "defense", "n_hostile")
    leaking = changes.filter(pl.col("metric").is_in(LEAKS)).select(by).unique()
    marked = changes.join(
        leaking.with_columns(leaks=pl.lit(value=True)),
        on=by,
        how="left",
        nulls_equal=True,
        maintain_order="left",
    )
    superseded = (pl.col("metric") == "auroc") & pl.col("leaks").fill_null(value=False)
    shown = pl.col("metric").is_in(MAIN) & pl.col("change").is_not_null() & ~superseded
    return marked.filter(shown).drop("leaks")


def cell(one: Cell) -> str:
    """A cell in words."""
    attack, defense, n_hostile = one
    more = "" if n_hostile is None else f", {n_hostile} hostile"
    return f"{words.attack(attack)} {words.under(defense)}{more}"


def amount(value: float | None, signed: bool = False) -> str:
    """A cost as a reader sees it, or its change."""
    if value is None:
        return words.NONE
    text = f"{abs(value):,.0f}" if abs(value) >= 1000 else f"{abs(value):.3g}"
    sign = "\N{MINUS SIGN}" if value < 0 else "+" if signed and value > 0 else ""
    return f"{sign}{text}"


def summary(found: Difference) -> Iterator[str]:
    """The difference in sentences: criteria, figures that are worse and better, what is open."""
    if found.before.chain.hash == found.after.chain.hash:
        yield "Both folders hold the same evidence, so that no figure of a run can differ."
    if found.judged is not None:
        yield from _of_verdicts(found, found.judged)
    if not found.n_common:
        yield "The two folders have no attack and defense in common, so that no figure is compared."
        return
    yield from _figures(found)
    yield from _privacy(found)
    for where, cells in (("first", found.only_before), ("second", found.only_after)):
        if cells:
            n = f"{words.count(len(cells), 'combination')} of attack and defense"
            which = words.some(map(cell, cells), MOST)
            yield f"Only in the {where} folder, and not compared: {n} ({which})."


def basis(changes: pl.DataFrame) -> str:
    """A sentence on how intervals were made."""
    kinds = set(changes["basis"])
    paired = "of the differences between runs with the same seed, data and hostile hospitals"
    welch = (
        "Welch's, of two groups of runs that share no seed with the same data and the same hostile"
        " hospitals"
    )
    if kinds == {"paired"}:
        return f"All intervals are 95 %, {paired}."
    if kinds == {"welch"}:
        return f"No runs pair: all intervals are 95 % and {welch}."
    if not kinds:
        return "No figure is compared."
    return f"Intervals are 95 %; where runs pair, {paired}; elsewhere {welch}."


def cautions(found: Difference) -> list[str]:
    """Reasons for which a difference may have another cause than the change of design."""
    return list(_cautions(found))


def _cautions(found: Difference) -> Iterator[str]:
    keys = {one.key: one for one in found.configuration}
    if "code" in keys:
        yield (
            f"The runs were made by different versions of the code ({keys['code'].before} and"
            f" {keys['code'].after}): a difference may come from that."
        )
    if "data" in keys or any(key.startswith("consortium.") for key in keys):
        yield "The data differ, so that a difference may come from the patients and not the design."
    drops = [one.records[0].config["report"]["material_drop"] for one in _sides(found)]
    if drops[0] != drops[1]:
        yield (
            f"The folders count different changes as material ({drops[0]:g} and {drops[1]:g}); the"
            " smaller one is used."
        )
    few = [one for one in _sides(found) if len(one.seeds) < FEW]
    if few:
        n = min(len(one.seeds) for one in few)
        yield f"There {'is' if n == 1 else 'are'} only {words.count(n, 'seed')} on one side."
    if any(record.skipped_rounds for one in _sides(found) for record in one.records):
        yield "Some runs skipped rounds; the pages of the two folders state which."


def _sides(found: Difference) -> tuple[Folder, Folder]:
    return found.before, found.after


def _figures(found: Difference) -> Iterator[str]:
    changes = found.changes
    counts = Counter(changes["outcome"])
    n_small = len(changes.filter(pl.col("within"), outcome="not decided"))
    small = f", {n_small:,} of which change by less than {found.drop:g} either way"
    n_cells = words.count(found.n_common, "combination")
    yield (
        f"{words.count(len(changes), 'figure')} of {n_cells} of attack and defense are compared:"
        f" {counts['worse']} are shown to be worse, {counts['better']} to be better, and"
        f" {counts['not decided']} are not decided{small * bool(n_small)}."
    )
    main = drawn(changes)
    for outcome in ("worse", "better"):
        rows = main.filter(outcome=outcome).sort("change", maintain_order=True)
        ordered = sorted(rows.iter_rows(named=True), key=lambda row: -abs(row["change"]))
        if ordered:
            listed = "; ".join(map(_row, ordered[:MOST]))
            more = len(ordered) - MOST
            rest = f"; and {more} more" if more > 0 else ""
            yield f"{outcome[0].upper()}{outcome[1:]}: {listed}{rest}."
    opened = main.filter(outcome="not decided")
    worse = opened.filter(pl.col("n_material") > 0)
    if not worse.is_empty():
        names = [cell(_cell(row)) for row in worse.iter_rows(named=True)]
        yield (
            f"Not decided, though at least one seed is worse by {found.drop:g} or more:"
            f" {words.some(dict.fromkeys(names), MOST)}."
        )
    if not opened.is_empty():
        yield (
            "What is not decided may be worse, better or as before: more seeds would tell, and an"
            " interval that holds 0 shows no absence of harm."
        )


def _privacy(found: Difference) -> Iterator[str]:
    """A sentence for each defense that spends another epsilon than before."""
    for row in found.costs.iter_rows(named=True):
        spends = row["metric"] in SPENT
        if spends and row["change"] is not None and abs(row["change"]) > EXACT:
            before, after = (words.epsilon(row[side]) for side in ("before", "after"))
            if before == after:
                continue
            turn = "more" if row["change"] > 0 else "less"
            name = words.defense_first(row["defense"])
            yield f"{name} spends {turn} privacy: ε = {after} and not {before} ({row['text']})."


def _cell(row: TableRow) -> Cell:
    return row["attack"], row["defense"], row["n_hostile"]


def _row(row: TableRow) -> str:
    if row["low"] is None:
        interval = "no interval"
    else:
        interval = f"95 % interval {words.span(row['low'], row['high'], signed=True)}"
    seeds = ""
    if row["n_pairs"]:
        n = row["n_pairs"] + row["n_lost"]
        seeds = f", {row['n_worse']} of {n} seeds worse"
    return f"{cell(_cell(row))}, {row['text']} {words.change(row['change'])} ({interval}{seeds})"


def _of_verdicts(found: Difference, judged: Judged) -> Iterator[str]:
    assert found.before.found is not None
    assert found.after.found is not None
    old = found.before.found.assessment
    new = found.after.found.assessment
    result = {"met": "met", "not_met": "not met", "inconclusive": "not decided"}
    yield (
        f"The verdict on {old.design}, version {old.version}, was {result[old.outcome]}; that on"
        f" {new.design}, version {new.version}, is {result[new.outcome]}."
    )
    yield from _criteria(judged.criteria)
    yield from _register(judged.rows)


def _criteria(changes: Sequence[CriterionChange]) -> Iterator[str]:
    texts = {
        "no longer met": "Met before and no longer",
        "now met": "Not met before and met now",
        "changed": "Asking something else than before, and so not compared",
        "only before": "No longer asked",
        "only after": "Asked for the first time",
        "met neither way": "Not met before and not met now, with another outcome",
    }
    for kind, text in texts.items():
        ids = [one.id for one in changes if one.kind == kind]
        if ids:
            yield f"{text}: {words.some(ids, MOST)}."
    if changes and all(one.kind == "as before" for one in changes):
        yield "Each criterion is judged as before."


def _register(rows: Sequence[RowChange]) -> Iterator[str]:
    texts = {"rose": "Risk rose", "fell": "Risk fell", "status": "Another status or level"}
    for turn, text in texts.items():
        names = [f"{one.name} at {one.element}" for one in rows if one.turn == turn]
        if names:
            yield f"{text}: {words.some(names, MOST)}."
