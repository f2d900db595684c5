"""The report's plain sentences, each made from the numbers and saying no more than they do.

A conclusion needs both controls and an interval: without them the sentence gives the figure and says what is missing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import polars as pl

from reports import tables, words
from sim.evidence import RunRecord

Row = dict[str, Any]


def asked(records: Sequence[RunRecord]) -> list[str]:
    """What the runs set out to find: who trains what, which attacks and defenses were tried, how often."""
    first = records[0]
    attacks = [name for name in _names(records, "attack") if name != "none"]
    defenses = [name for name in _names(records, "defense") if name != "none"]
    hostile = max((record.n_hostile for record in records if record.attack != "none"), default=0)
    seeds = len({record.seed for record in records})
    tried = f"Attacks tried: {words.listed(attacks)}." if attacks else "No attack was tried."
    if hostile and attacks:
        tried += f" Up to {words.count(hostile, 'hospital')} of {first.n_hospitals} attack."
    met = f"Defenses tried: {words.listed(defenses)}." if defenses else "No defense was tried."
    return [
        f"{words.count(first.n_hospitals, 'hospital')} ({first.consortium}) train one model together over "
        f"{words.count(first.rounds, 'round')}, without pooling their records. What can a hostile participant spoil or learn, what "
        "does each defense change, and which hospital pays for it?",
        tried,
        met,
        f"Evidence: {words.count(len(records), 'run')}, {words.count(seeds, 'seed')} (repetitions with other random splits and starts).",
    ]


def cautions(records: Sequence[RunRecord]) -> list[str]:
    """What stands in the way of a conclusion: missing controls, one seed, parts that did nothing, rounds without a result."""
    idle = [
        f"{words.count(n, 'run')} of {words.attack(attack)} against {words.defense(defense)}: the {what} did nothing, so the outcome "
        f"says nothing about the {what}."
        for (attack, defense, what), n in _idle(records).items()
    ]
    skipped = sum(len(record.skipped_rounds) for record in records)
    lost = [f"{words.count(skipped, 'round')} ended without a new model; see screened replies."] if skipped else []
    return _missing_controls(records) + _few_seeds(records) + idle + lost


def found(records: Sequence[RunRecord]) -> list[str]:
    """What the runs show, the most important first. Outcomes of runs in which attack or defense did nothing are left out."""
    sound = [record for record in records if not tables.idle(record)]
    acting = tables.cells(sound).filter(~pl.col("reads_only"))
    parts = (_calm(acting), _undefended(acting), _best(acting, tables.tradeoff(sound)), _price(sound))
    return [*(text for part in parts for text in part), *_read(tables.inversions(records)), *_spent(tables.spent(records))]


def crowd(inversions: pl.DataFrame) -> list[str]:
    """How the share of records recovered goes with the number of records in a sum, where the runs differ in it."""
    sized = inversions.drop_nulls(["summed", "rate"]).sort("summed", maintain_order=True)
    if sized["summed"].n_unique() < 2:
        return []
    few, many = sized.row(0, named=True), sized.row(-1, named=True)
    return [
        f"With {few['summed']:.3g} records in a row ({words.defense(few['defense'])}) {words.share(few['rate'])} were recovered, with "
        f"{many['summed']:.3g} ({words.defense(many['defense'])}) {words.share(many['rate'])}."
    ]


def unequal_privacy(spent: pl.DataFrame) -> list[str]:
    """For each defense whose hospitals share a noise multiplier: whether smaller hospitals spent more, if they did."""
    texts = []
    for (defense,), rows in spent.group_by(["defense"], maintain_order=True):
        small, large = rows.row(-1, named=True), rows.row(0, named=True)
        if rows["noise_multiplier"].n_unique() == 1 and small["n_train"] < large["n_train"] and small["epsilon"] > large["epsilon"]:
            texts.append(
                f"{defense}: every hospital adds noise by the same multiplier, and the smaller ones spend more privacy: "
                f"{small['hospital']} ({words.count(small['n_train'], 'record')}) ε = {words.epsilon(small['epsilon'])}, "
                f"{large['hospital']} ({words.count(large['n_train'], 'record')}) ε = {words.epsilon(large['epsilon'])}."
            )
    return texts


def _calm(cells: pl.DataFrame) -> list[str]:
    rows = cells.filter(attack="none", defense="none").rows(named=True)
    return [
        f"With nobody attacking and no defense, the model's AUROC is {words.score(row['mean'])}{_over(row, 'mean', row['n'])}: in that "
        "share of pairs it puts a patient with the condition above one without."
        for row in rows
    ]


def _undefended(cells: pl.DataFrame) -> list[str]:
    hit = cells.filter(pl.col("defense") == "none", pl.col("attack") != "none", pl.col("harm").is_not_null()).sort("harm")
    if hit.is_empty():
        return []
    worst = hit.row(0, named=True)
    figure = f"{words.change(worst['harm'])}{_over(worst, 'harm', worst['harm_n'], signed=True)}"
    if worst["harm_high"] is None:
        return [f"Without a defense, the largest change of AUROC came with {worst['attack']}: {figure}."]
    if worst["harm_high"] < 0:
        return [f"Without a defense, {worst['attack']} does the most harm: it changes AUROC by {figure}, to {words.score(worst['mean'])}."]
    return [
        f"Without a defense, no attack tried changed AUROC beyond what differs from seed to seed; the largest change came with "
        f"{worst['attack']}: {figure}. That does not prove that no attack could."
    ]


def _best(cells: pl.DataFrame, points: pl.DataFrame) -> list[str]:
    if len(points) < 2:
        return []
    best = points.sort("worst", descending=True, maintain_order=True).row(0, named=True)
    bare = points.filter(defense="none").rows(named=True)
    beside = f", against {words.score(bare[0]['worst'])} without a defense" if bare and best["defense"] != "none" else ""
    name = "Doing nothing" if best["defense"] == "none" else best["defense"]
    text = (
        f"{name} keeps the most under its worst attack tried ({best['attack']}): AUROC {words.score(best['worst'])}"
        f"{_over(best, 'worst', None)}{beside}."
    )
    return [" ".join([text, *_rivals(best, points), *_cost(best["defense"], cells)])]


def _rivals(best: Row, points: pl.DataFrame) -> list[str]:
    if best["worst_low"] is None:
        return ["One seed settles no order."]
    others = points.filter(pl.col("defense") != best["defense"])
    close = [row["defense"] for row in others.rows(named=True) if _overlap(best, row)]
    return [f"The interval of {words.listed(map(words.defense, close))} overlaps with it: the order is not settled."] if close else []


def _overlap(best: Row, other: Row) -> bool:
    """Whether the order is open: the other has no interval, or reaches into that of the best."""
    return other["worst_high"] is None or bool(other["worst_high"] >= best["worst_low"])


def _cost(defense: str, cells: pl.DataFrame) -> list[str]:
    rows = cells.filter(pl.col("gain").is_not_null(), attack="none", defense=defense).rows(named=True)
    return [
        f"With nobody attacking it changes AUROC by {words.change(row['gain'])}{_over(row, 'gain', row['gain_n'], signed=True)}."
        for row in rows
    ]


def _price(records: Sequence[RunRecord]) -> list[str]:
    worst = tables.worst_hit(tables.hospital_effects(records))
    if worst.is_empty():
        return []
    row = worst.row(0, named=True)
    return [
        f"With nobody attacking, the largest price paid by one hospital is {row['hospital']}'s under {row['defense']}: its Brier score "
        f"changes by {words.change(row['brier'])}{_over(row, 'brier', row['brier_n'], signed=True)}; higher is worse."
    ]


def _read(inversions: pl.DataFrame) -> list[str]:
    rows = inversions.drop_nulls("rate").rows(named=True)
    texts = [_recovered(row) for row in rows if row["defense"] == "none"]
    guarded = [row for row in rows if row["defense"] != "none"]
    none = [row for row in guarded if not row["n_recovered"]]
    if none:
        most = max(row["rate_high"] for row in none)
        texts.append(
            f"Under {words.listed(dict.fromkeys(row['defense'] for row in none))} it recovered none; a true share of up to "
            f"{words.share(most)} would still fit, and other attacks may recover more."
        )
    some = sorted((row for row in guarded if row["n_recovered"]), key=lambda row: -row["rate"])
    return texts + [f"The most under a defense: {_recovered(row)}" for row in some[:1]]


def _recovered(row: Row) -> str:
    return (
        f"{row['attack']} recovered {row['n_recovered']:,} of {row['n_attacked']:,} attacked records from what the aggregator sees "
        f"in round {row['round']} under {words.defense(row['defense'])} ({words.share(row['rate'])}; 95 % interval "
        f"{words.share(row['rate_low'])} to {words.share(row['rate_high'])})."
    )


def _spent(spent: pl.DataFrame) -> list[str]:
    texts = []
    for (defense,), rows in spent.group_by(["defense"], maintain_order=True):
        most = rows.sort("epsilon", descending=True, maintain_order=True).row(0, named=True)
        texts.append(
            f"{defense} spends ε = {words.epsilon(most['epsilon'])} (the most of any hospital: {most['hospital']}). That holds the "
            f"advantage of any test of who was in the training data to at most {words.share(most['advantage'])}."
        )
    return texts


def _missing_controls(records: Sequence[RunRecord]) -> list[str]:
    ran = {(record.attack, record.defense, record.seed) for record in records}
    if not any(attack == "none" for attack, _, _ in ran) or not any(defense == "none" for _, defense, _ in ran):
        return ["Controls are missing (runs without the attack, runs without the defense), so nothing is concluded from the figures."]
    lone = {(a, d) for a, d, seed in ran if ("none", d, seed) not in ran or (a, "none", seed) not in ran}
    names = [f"{words.attack(a)} with {words.defense(d)}" for a, d in sorted(lone)]
    return [f"Controls with the same seeds are missing for {words.listed(names)}: no conclusion there."] if names else []


def _few_seeds(records: Sequence[RunRecord]) -> list[str]:
    cells = tables.cells(records)
    lone, total = len(cells.filter(pl.col("n") < 2)), len(cells)
    if not lone:
        return []
    where = "Every result" if lone == total else f"{words.count(lone, 'result')} of {total}"
    return [f"{where} comes from one seed: it has no interval, and chance cannot be told from effect."]


def _idle(records: Sequence[RunRecord]) -> Counter[tuple[str, str, str]]:
    """Runs in which the attack or the defense did nothing, by attack, defense and which of the two."""
    return Counter((record.attack, record.defense, what) for record in records for what in tables.idle(record))


def _over(row: Row, name: str, n: int | None, *, signed: bool = False) -> str:
    """The interval of ``row[name]`` in brackets, over ``n`` seeds if that is to be said."""
    if row[f"{name}_low"] is None:
        return " (one seed, no interval)"
    seeds = "" if n is None else f" over {words.count(n, 'seed')}"
    return f" (95 % interval {words.span(row[f'{name}_low'], row[f'{name}_high'], signed=signed)}{seeds})"


def _names(records: Sequence[RunRecord], key: str) -> list[str]:
    return list(dict.fromkeys(getattr(record, key) for record in records))
