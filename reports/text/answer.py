"""The answer of a page of runs in five sentences, each stating no more than its figures show.

What was asked; the worst attack, without a defense and with the best one tried; what was read;
which hospital pays; what is left open. There are always five.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import polars as pl

from reports.analysis import backdoors, inferred, membership, ranking, tables
from reports.analysis.seen import Seen
from reports.text import words
from sim.evidence import RunRecord
from sim.evidence.controls import NONE
from sim.evidence.intervals import HARMED, UNDECIDED
from sim.evidence.metrics import METRICS
from sim.types import TableRow

EQUAL = 0.0005  # scores that differ by less are shown alike
MOST_NAMED = 4
MOST_TIED = 3


def sentences(
    everything: Sequence[RunRecord],
    seen: Seen,
    threats: Sequence[TableRow],
    n_refused: int = 0,
) -> list[str]:
    """The five sentences.

    ``everything``: all runs of the page; ``seen``: those with the number of hostile hospitals that
    it is mostly about. ``threats``: what ``sections.threats`` gives for these.
    ``n_refused``: cells that did not run because they are not defined.
    """
    return [
        asked(everything),
        worst(seen),
        read(seen),
        pays(seen),
        left_open(seen, threats, n_refused),
    ]


def asked(records: Sequence[RunRecord]) -> str:
    """The sentence on what was run: model, data, attacks, defenses and hostile hospitals."""
    first = records[0]
    attacks = _names(record.attack for record in records)
    defenses = _names(record.defense for record in records)
    hospitals = words.count(first.n_hospitals, "hospital")
    runs = words.count(len(records), "simulated run")
    seeds = words.count(len({record.seed for record in records}), "seed")
    sending = [record.n_hostile for record in records if tables.hostile_act(record)]
    by = f" by up to {max(sending)} of them" if any(sending) else ""
    changes = words.some(map(words.defense, defenses), MOST_NAMED)
    if attacks:
        tried = f"what {words.some(map(words.attack, attacks), MOST_NAMED)}{by} can spoil or read"
        tried += f", and what {changes} changes" if len(defenses) == 1 else ""
        tried += f", and what {changes} change" if len(defenses) > 1 else ""
        tried += ", with no defense" if not defenses else ""
    elif defenses:
        tried = f"what {changes} {'costs' if len(defenses) == 1 else 'cost'} when nobody attacks"
    else:
        tried = "how good the model is with nobody attacking and no defense"
    verb = "asks" if len(records) == 1 else "ask"
    return (
        f"{hospitals} ({first.consortium}) train one model together, and {runs} with {seeds}"
        f" {verb} {tried}."
    )


def worst(seen: Seen) -> str:
    """The sentence on the worst attack, with no defense and with the best one tried."""
    records = seen.records
    sound = seen.sound.records
    drop = seen.drop
    found = seen.sound.marked
    attacked = seen.sound.attacked
    parts = [_undefended(attacked, drop)] if len(attacked) else []
    parts += _defended(records, sound, attacked, drop) if len(attacked) else []
    parts += _worse(attacked, drop)
    parts += _marked(found, backdoors.ranked(sound), attacked) if len(found) else []
    if not parts:
        sent = [record for record in records if record.attack != NONE]
        idle = [record for record in sent if not tables.reads_only(record)]
        why = (
            "In no run did the attack do anything"
            if idle
            else "No attack that changes the model was tried"
        )
        parts = [f"{why}, so that nothing is known about harm to it"]
    return _sentence(parts)


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
    records: Sequence[RunRecord], sound: Sequence[RunRecord], attacked: pl.DataFrame, drop: float
) -> list[str]:
    """The best defense under its own worst attack, or the tie at the top, or why none is known."""
    if not _names(record.defense for record in records):
        return ["no defense was run"]
    points = tables.tradeoff(sound)
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


def read(seen: Seen) -> str:
    """The sentence on what the aggregator and others read of patients, or see where none tried."""
    records = seen.records
    parts = [
        *_recovered(seen.inverted),
        *_isolated(tables.isolations(records)),
        *_members(seen.asked),
    ]
    parts = parts or _inferred(inferred.rows(records))
    parts = parts or [_seen(records), *_bounded(tables.spent(records))]
    return _sentence(parts)


def _recovered(rows: pl.DataFrame) -> list[str]:
    """The most records that were recovered, with no defense and under defenses."""
    if rows.is_empty():
        return []
    alone = rows.filter(defense=NONE).sort("rate", descending=True, maintain_order=True)
    guarded = rows.filter(pl.col("defense") != NONE)
    parts = [f"from what the aggregator sees, {_of_records(row)}" for row in _top(alone)]
    some = guarded.filter(pl.col("n_recovered") > 0).sort(
        "rate", descending=True, maintain_order=True
    )
    parts += [
        f"the most under a defense: {_of_records(row)}{_as_many(row, some)}" for row in _top(some)
    ]
    for attacks, defenses, most in tables.recovered_none(rows):
        names = words.some(map(words.attack, attacks))
        parts.append(
            f"{words.some(map(words.under, defenses))} {names} recovered none, and a true share of"
            f" up to {words.share(most)} would still fit"
        )
    return parts


def _as_many(row: TableRow, rows: pl.DataFrame) -> str:
    """The other defenses under which the same attack recovered as many of as many records."""
    counts = {key: row[key] for key in ("attack", "n_recovered", "n_attacked")}
    alike = rows.filter(pl.col("defense") != row["defense"], **counts)["defense"]
    return f", as many as under {words.some(map(words.defense, alike))}" if len(alike) else ""


def _of_records(row: TableRow) -> str:
    """A clause on one attack that recovers records, beside what shuffled updates give."""
    text = (
        f"{words.attack(row['attack'])} recovered {row['n_recovered']:,} of"
        f" {row['n_attacked']:,} attacked records {words.under(row['defense'])}"
        f" ({words.share(row['rate'])})"
    )
    shuffled = row["n_shuffled"]
    if row["n_recovered"] and shuffled is not None and shuffled >= row["n_recovered"]:
        return f"{text}, no more than from shuffled updates, so that nothing is shown to be read"
    return text


def _isolated(rows: pl.DataFrame) -> list[str]:
    """The most single updates that an attack on secure aggregation worked out of sums.

    Where no run had such sums, that each update is seen by itself.
    """
    if len(rows) and rows["open"].all():
        where = words.some(map(words.under, rows["defense"].unique(maintain_order=True)))
        return [f"{where} the aggregator is sent each update by itself, so that no sum hides one"]
    hidden = rows.filter(~pl.col("open"), pl.col("n_attacked") > 0)
    order = hidden.sort("n_recovered", descending=True, maintain_order=True)
    return [
        f"{words.attack(row['attack'])} worked out {row['n_recovered']:,} of"
        f" {words.count(row['n_attacked'], 'single update')} of honest hospitals"
        f" {words.under(row['defense'])}"
        for row in _top(order)
    ]


def _members(cells: Sequence[membership.Cell]) -> list[str]:
    """The attack that tells best who was trained on, with no defense if it ran there."""
    alone = [cell for cell in cells if cell.defense == NONE] or list(cells)
    if not alone:
        return []
    cell = max(alone, key=lambda one: one.auc.value)
    text = (
        f"{words.attack(cell.attack)}, by {cell.who}, tells who was trained on with an AUC of"
        f" {words.score(cell.auc.value)} {words.under(cell.defense)} (0.5 is guessing)"
    )
    if tells(cell):
        return [text]
    return [f"{text}; whether that is more than guessing is not decided"]


def tells(cell: membership.Cell) -> bool:
    """Whether an attack is shown to tell who was trained on: more than guessing and its null."""
    null = 0.5 if cell.null is None else cell.null.value
    return cell.auc.interval is not None and cell.auc.interval.low > max(0.5, null)


def _inferred(rows: Sequence[TableRow]) -> list[str]:
    """What an attack on the finished model or its updates finds beyond what needs no attack."""
    turned = METRICS["evasion_success"].text, METRICS["extraction_agreement"].text  # read nothing
    of_patients = [row for row in rows if row["figure"] not in turned]
    alone = [row for row in of_patients if row["defense"] == NONE] or of_patients
    if not alone:
        return []
    row = max(alone, key=lambda one: one["excess"])
    shown = row["excess_low"] is not None and row["excess_low"] > 0
    text = (
        f"{words.attack(row['attack'])}, {row['figure']}: {words.score(row['value'])}"
        f" {words.under(row['defense'])} beside {words.score(row['alone'])} without the attack"
    )
    return [text if shown else f"{text}; whether that is more is not decided"]


def _seen(records: Sequence[RunRecord]) -> str:
    """What the aggregator is sent, where no attack that reads was tried."""
    order = sorted(records, key=lambda record: record.defense != NONE)
    sees = [one.sees for one in order[0].visibility if "aggregator" in one.party]
    given = f"; {words.under(order[0].defense)} it sees {sees[0]}" if sees else ""
    return f"no attack that reads was tried, so what the aggregator can read is not known{given}"


def _bounded(spent: pl.DataFrame) -> list[str]:
    """The bound of record-level privacy of the defense that spends least."""
    if spent.is_empty():
        return []
    most = spent.sort("epsilon", descending=True, maintain_order=True)
    each = most.unique("defense", keep="first", maintain_order=True).sort("epsilon")
    row = each.row(0, named=True)
    return [
        f"{words.defense(row['defense'])} (ε = {words.epsilon(row['epsilon'])}) holds the advantage"
        " of any test of who was in the training data to at most"
        f" {words.at_most(row['advantage'])}"
    ]


def pays(seen: Seen) -> str:
    """The sentence on the hospital that pays for a defense when nobody attacks."""
    if not _names(record.defense for record in seen.records):
        return "No defense was run, so that it is not known which hospital would pay for one."
    effects = tables.hospital_effects(seen.sound.records)
    if effects.is_empty():
        return (
            "Which hospital pays for a defense is not known: that takes runs that nobody attacks,"
            " with and without the defense and with the same seeds."
        )
    hit = tables.worst_hit(effects)
    if hit.is_empty():
        return (
            "With nobody attacking, no hospital's mean Brier score (lower is better) rose by 0.001"
            f" or more under {words.some(map(words.defense, _defenses(effects)), MOST_NAMED)}."
        )
    return _dearest(hit)


def _dearest(hit: pl.DataFrame) -> str:
    row = hit.row(0, named=True)
    name = words.defense(row["defense"])
    rise = f"the Brier score (lower is better) of {row['hospital']} changes by"
    change = words.change(row["brier"])
    if row["brier_low"] is None:
        ending = f"{rise} {change}, in one seed, which decides nothing"
        return f"With nobody attacking, the largest rise is seen under {name}: {ending}."
    interval = words.span(row["brier_low"], row["brier_high"], signed=True)
    found = f"{rise} {change} (95 % interval {interval})"
    doubt = (
        f", and whether it is a rise at all is {words.not_decided(row['brier_n'])}"
        if row["brier_low"] <= 0
        else ""
    )
    if row["alike"]:
        alike = words.some(row["alike"], 3)
        return (
            f"With nobody attacking, no hospital is shown to pay most: the largest mean is under"
            f" {name}, where {found}, not distinguished from {alike}{doubt}."
        )
    same = hit.filter(pl.col("brier") > row["brier"] - EQUAL, pl.col("defense") != row["defense"])
    too = f", as much as under {words.some(map(words.defense, same['defense']))}" * bool(len(same))
    return f"With nobody attacking, {name} costs one hospital most: {found}{too}{doubt}."


def left_open(seen: Seen, threats: Sequence[TableRow], n_refused: int = 0) -> str:
    """The sentence on open decisions, untested attacks, and the limits that hold for all of it."""
    records = seen.records
    n_open, n_all = undecided(seen)
    untested = [one for one in threats if not one["tested"]]
    beyond = sum(one["about"].status == "not_testable_by_simulation" for one in untested)
    parts = []
    if n_all:
        pairs = words.count(n_all, "pair of an attack", "pairs of an attack")
        harm = f"harm is not decided in {n_open} of {pairs} on the model and a defense"
        parts.append(harm if n_open else _decided(n_all))
    asked = seen.asked
    unsure = [cell for cell in asked if not tells(cell)]
    if unsure:
        pairs = words.count(len(asked), "pair")
        parts.append(
            f"whether records that were trained on are recognized is not decided in {len(unsure)}"
            f" of {pairs} of attack and defense"
        )
    if n_refused:
        pairs = words.count(n_refused, "pair")
        parts.append(f"{pairs} of attack and defense did not run, as not defined in this design")
    if untested:
        parts.append(
            f"{len(untested)} of {words.count(len(threats), 'threat')} of the catalog have no run"
            f" here ({beyond} of them no simulation can test)"
        )
    if len({record.seed for record in records}) == 1:
        parts.append("one seed decides nothing")
    acting = [record for record in records if tables.hostile_act(record)]
    if acting and not any(record.adaptive for record in acting):
        parts.append("no attacker adapted to a defense")
    parts.append("attacks that were not tried may do more")
    return f"Still open: {'; '.join(parts)}."


def _decided(n: int) -> str:
    if n == 1:
        return "the one attack on the model is decided with 95 % confidence"
    return (
        f"each of {n} pairs of an attack on the model and a defense is decided with 95 % confidence"
    )


def undecided(seen: Seen) -> tuple[int, int]:
    """Pairs of an attack on the model and a defense in which harm is not decided, and all pairs.

    A backdoor that AUROC judges too is one pair: harm by either is harm. A cell without a control,
    and one in which attack or defense did nothing, decides nothing.
    """
    columns = ("attack", "defense", "verdict", "n_idle")
    cells = [*seen.attacked.select(columns).rows(), *seen.marked.select(columns).rows()]
    verdicts: dict[tuple[str, str], list[str]] = {}
    for attack, defense, verdict, n_idle in cells:
        counted = UNDECIDED if verdict is None or n_idle else verdict
        verdicts.setdefault((attack, defense), []).append(counted)
    n_open = sum(UNDECIDED in found and HARMED not in found for found in verdicts.values())
    return n_open, len(verdicts)


def _sentence(parts: Sequence[str]) -> str:
    """The clauses as one sentence."""
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}."


def _sorted(frame: pl.DataFrame) -> list[TableRow]:
    return frame.sort("harm", nulls_last=False, maintain_order=True).rows(named=True)


def _is_alike(one: TableRow, row: TableRow) -> bool:
    if one["harm"] is None or row["harm"] is None:
        return one["harm"] is row["harm"]
    return abs(float(one["harm"] - row["harm"])) < EQUAL


def _top(frame: pl.DataFrame) -> list[TableRow]:
    return frame.head(1).rows(named=True)


def _defenses(effects: pl.DataFrame) -> list[str]:
    return list(effects["defense"].unique(maintain_order=True))


def _names(names: Iterable[str]) -> list[str]:
    return [name for name in dict.fromkeys(names) if name != NONE]
