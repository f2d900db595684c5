"""The sentence on the worst attack on the model, without a defense and with the best one tried."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from reports.analysis import backdoors, ranking, tables
from reports.analysis.seen import Seen
from reports.text import words
from sim.evidence import RunRecord
from sim.evidence.controls import NONE
from sim.evidence.intervals import HARMED, UNDECIDED
from sim.types import TableRow

EQUAL = 0.0005  # changes of a score that differ by less are shown alike
MOST_NAMED = 4
MOST_TIED = 3


def sentence(seen: Seen) -> str:
    """The sentence on the worst attack, with no defense and with the best one tried."""
    records = seen.records
    sound = seen.sound
    drop = seen.drop
    found = sound.marked
    attacked = sound.attacked
    parts = [_undefended(attacked, drop)] if len(attacked) else []
    parts += _defended(records, sound, attacked, drop) if len(attacked) else []
    parts += _worse(attacked, drop)
    parts += _marked(found, sound.ranked, attacked) if len(found) else []
    if not parts:
        sent = [record for record in records if record.attack != NONE]
        idle = [record for record in sent if not tables.reads_only(record)]
        why = (
            "In no run did the attack do anything"
            if idle
            else "No attack that changes the model was tried"
        )
        parts = [f"{why}, so that nothing is known about harm to it"]
    return words.sentence(parts)


def _undefended(attacked: pl.DataFrame, drop: float) -> str:
    """The worst attack with no defense, or why that is not known."""
    alone = attacked.filter(defense=NONE)
    judged = alone.filter(pl.col("verdict").is_not_null())
    if alone.is_empty():
        return "No attack was run without a defense, so what it does there is not known"
    if judged.is_empty():
        names = words.some(map(words.attack, alone["attack"].unique(maintain_order=True)))
        return (
            f"What {names} costs the model with no defense is not known, as no run without the"
            " attack and with the same seed gave a model to compare with"
        )
    harmed = _sorted(judged.filter(verdict=HARMED))
    unsure = judged.filter(verdict=UNDECIDED).sort("harm_worst", maintain_order=True)
    if harmed:
        return _harms(harmed, drop)
    if len(unsure):
        return _unsure(unsure.row(0, named=True), len(unsure), len(judged), drop)
    lowest = words.change(min(judged["harm_low"].drop_nulls(), default=None))
    names = words.some(map(words.attack, judged["attack"]), MOST_NAMED)
    return (
        f"With no defense, no loss of {drop:g} of AUROC or more is shown under {names}: no seed"
        f" lost that much, and the 95 % intervals of the mean change end at {lowest} at the lowest"
    )


def _harms(harmed: Sequence[TableRow], drop: float) -> str:
    row = harmed[0]
    alike = [one for one in harmed if _is_alike(one, row)]
    names = words.some(map(words.attack, (one["attack"] for one in alike)), MOST_NAMED)
    start = f"With no defense, {names} {'do' if len(alike) > 1 else 'does'} most harm"
    lacking = row["n_undefined"]
    if row["harm"] is None:
        return f"{start}: in none of {words.count(lacking, 'seed')} is the model left with an AUROC"
    n = row["harm_n"]
    before = words.score(row["mean"] - row["harm"]) if row["n"] == n else "that of its controls"
    unclear = row["harm_high"] is not None and row["harm_high"] >= 0
    average = ", how far on average is not decided" if unclear else ""
    more = f", {lacking} more have no AUROC" if lacking else ""
    return (
        f"{start}: AUROC falls to {words.score(row['mean'])} on average, from {before}"
        f" (lowest seed {words.score(row['lowest'])}; {row['n_lost']} of"
        f" {words.count(n, 'seed')} lost {drop:g} or more{more}{average})"
    )


def _unsure(row: TableRow, n_unsure: int, n_judged: int, drop: float) -> str:
    seeds = words.count(row["harm_n"] + row["n_undefined"], "seed")
    lost = row["n_lost"] + row["n_undefined"]
    whom = "the attack" if n_judged == 1 else f"{n_unsure} of {n_judged} attacks"
    verb = "harm" if n_unsure > 1 else "harms"
    start = f"With no defense, whether {whom} {verb} the model is not decided with {seeds}"
    name = words.attack(row["attack"])
    lacking = row["n_undefined"]
    if row["harm_worst"] is None:
        return f"{start}: {name} left no AUROC to compare"
    change = words.change(row["harm_worst"])
    if lacking:
        return (
            f"{start}: {name} left no AUROC in {words.count(lacking, 'seed')}, and in the worst of"
            f" the others AUROC changes by {change}"
        )
    return (
        f"{start}: under {name} AUROC changes by {change} in the worst seed, and {lost} of {seeds}"
        f" lost {drop:g} or more"
    )


def _defended(
    records: Sequence[RunRecord], sound: Seen, attacked: pl.DataFrame, drop: float
) -> list[str]:
    """The best defense under its own worst attack, or the tie at the top, or why none is known."""
    if all(record.defense == NONE for record in records):
        return ["no defense was run"]
    points = sound.points
    if points.filter(pl.col("defense") != NONE).is_empty():
        return ["what a defense changes is not known, as none was run with and without an attack"]
    standing = ranking.standing(points)
    if standing is None:
        return ["under every defense tried some attack left a model without an AUROC"]
    first = standing.first
    if standing.n_seeds < 2:
        return ["with one seed no order of defenses is settled"]
    if standing.tied:
        return [_tie(first, standing.tied, standing.apart)]
    if first["defense"] == NONE:
        return ["no defense tried does better than none" if standing.apart else _unranked(points)]
    return [_best(first, standing.apart, points, attacked, drop)]


def _worse(attacked: pl.DataFrame, drop: float) -> list[str]:
    """The worst seed under a defense, where with no defense no seed lost as much."""
    judged = attacked.drop_nulls("harm_worst")
    least = judged.filter(defense=NONE)["harm_worst"].to_list()
    hit = judged.filter(pl.col("defense") != NONE, pl.col("n_lost") > 0)
    if hit.is_empty() or not least or min(least) <= -drop:
        return []
    row = hit.sort("harm_worst", maintain_order=True).row(0, named=True)
    seeds = words.count(row["harm_n"] + row["n_undefined"], "seed")
    verdict = "harm is shown" if row["verdict"] == HARMED else "harm is not decided"
    return [
        f"{words.under(row['defense'])} {verdict}, where {words.attack(row['attack'])} took"
        f" {words.amount(row['harm_worst'])} of AUROC in the worst seed ({row['n_lost']} of {seeds}"
        f" lost {drop:g} or more)"
    ]


def _tie(first: TableRow, tied: Sequence[TableRow], apart: Sequence[TableRow]) -> str:
    rows = [first, *tied]
    scores = words.some(
        (f"{words.defense(row['defense'])} ({words.score(row['worst'])})" for row in rows),
        MOST_TIED + 1,
    )
    start = "no best defense is shown"
    if any(row["defense"] == NONE for row in rows):
        start = "whether any defense helps is not decided"
    elif any(row["defense"] == NONE for row in apart):
        start += f", though {words.defense(first['defense'])} does better than none"
    return f"{start}: the AUROC under the worst attack of {scores} is not distinguished"


def _best(
    row: TableRow,
    apart: Sequence[TableRow],
    points: pl.DataFrame,
    attacked: pl.DataFrame,
    drop: float,
) -> str:
    name = words.defense(row["defense"])
    most = max(points["n_attacks"])
    met = f"it met {row['n_attacks']} of {words.count(most, 'attack')}; "
    fewer = met if row["n_attacks"] < most else ""
    cell = attacked.filter(defense=row["defense"], attack=row["attack"]).row(0, named=True)
    verdict = {
        HARMED: "harm is shown there too",
        UNDECIDED: "whether that is harm is not decided",
        None: "no control shows whether that is harm",
    }.get(cell["verdict"], f"no loss of {drop:g} or more is shown there")
    best = _of_how_many(points, apart)
    return (
        f"with {name}{best}, AUROC is {words.score(row['worst'])} under its own worst attack,"
        f" {words.attack(row['attack'])} ({fewer}lowest of {words.count(row['n_seeds'], 'seed')}"
        f" {words.score(row['worst_lowest'])}; {verdict})"
    )


def _of_how_many(points: pl.DataFrame, apart: Sequence[TableRow]) -> str:
    """What a defense that is not tied is among those tried."""
    if len(points.filter(pl.col("defense") != NONE)) == 1:
        return ", the only defense tried"
    return ", the best defense tried" if apart else ", the only defense that can be ranked"


def _unranked(points: pl.DataFrame) -> str:
    names = points.filter(pl.col("n_undefined") > 0)["defense"]
    return f"an attack left a model without an AUROC under {words.some(map(words.defense, names))}"


def _marked(found: pl.DataFrame, ranked: pl.DataFrame, attacked: pl.DataFrame) -> list[str]:
    """The strongest backdoor with no defense, and the defense under which the worst reaches least.

    ``attacked``: the attacks that AUROC judges.
    """
    alone = found.filter(pl.col("defense") == NONE).drop_nulls("gain")
    if alone.is_empty():
        return ["what a backdoor does with no defense is not known"]
    row = backdoors.strongest(alone).row(0, named=True)
    name = words.attack(row["attack"])
    if row["verdict"] == UNDECIDED:
        most = words.points(row["gain_worst"])
        return [
            f"whether {name} works as a backdoor with no defense is"
            f" {words.not_decided(row['gain_n'])} ({most} beyond false triggers in the worst seed)"
        ]
    if row["verdict"] != HARMED:
        return [f"no material success of {name} as a backdoor is shown, interval included"]
    hidden = "" if row["attack"] in attacked["attack"] else ", which AUROC does not show"
    text = (
        f"{name} puts {words.share(row['success'])} of marked patients into the attacker's class"
        f" with no defense ({words.share(row['false_trigger'])} without the attack){hidden}"
    )
    others = ranked.filter(pl.col("defense") != NONE)
    if others.is_empty():
        return [text]
    least = others.row(0, named=True)
    where = "" if len(others) == 1 else f", {_least(ranked, least)},"
    return [
        text,
        f"{words.under(least['defense'])}{where} {words.attack(least['attack'])} puts"
        f" {words.share(least['success'])} there{_no_less(ranked, least)}",
    ]


def _least(ranked: pl.DataFrame, least: TableRow) -> str:
    """That a defense's worst backdoor has least success, and the defenses that tie with it."""
    text = "where the worst backdoor has least success beyond false triggers"
    others = ranked.filter(~pl.col("defense").is_in([least["defense"], NONE]))
    tied = others.filter(~pl.col("apart").fill_null(value=False))["defense"]
    if ranked["defense"][0] != least["defense"] or tied.is_empty():
        return text
    return f"{text} (not distinguished from {words.some(map(words.defense, tied), MOST_TIED)})"


def _no_less(ranked: pl.DataFrame, least: TableRow) -> str:
    """That a defense's worst backdoor is not shown to reach less than with no defense."""
    alone = ranked.filter(defense=NONE)
    first = ranked.row(0, named=True)
    shown = first["defense"] == least["defense"] and any(alone["apart"])
    return "" if shown or alone.is_empty() else ", which is not shown to be less"


def _sorted(frame: pl.DataFrame) -> list[TableRow]:
    return frame.sort("harm", nulls_last=False, maintain_order=True).rows(named=True)


def _is_alike(one: TableRow, row: TableRow) -> bool:
    if one["harm"] is None or row["harm"] is None:
        return one["harm"] is row["harm"]
    return abs(float(one["harm"] - row["harm"])) < EQUAL
