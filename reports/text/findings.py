"""The report's plain sentences, each made from the numbers and stating no more than they show.

A conclusion needs both controls and an interval: without them the sentence gives the figure and
states what is missing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import polars as pl

from reports.analysis import broken, harm, inferred, membership, ranking, tables
from reports.analysis.seen import Seen
from reports.text import words
from sim.evidence import FieldScores, RunRecord
from sim.evidence.controls import NONE, Controls
from sim.types import TableRow

MOST_CAUTIONS = 5  # of one kind
EXACT = 1e-9  # relative error of an update up to which it is exact: what rounding leaves of it


class Finding(NamedTuple):
    """A few sentences under a topic."""

    topic: str
    text: str


def asked(records: Sequence[RunRecord]) -> list[str]:
    """Sentences on what was run: who trains what, attacks and defenses tried, how often."""
    first = records[0]
    attacks = [name for name in _names(records, "attack") if name != "none"]
    defenses = [name for name in _names(records, "defense") if name != "none"]
    sending = [record.n_hostile for record in records if tables.hostile_act(record)]
    hospitals = words.count(first.n_hospitals, "hospital")
    seeds = words.count(len(_names(records, "seed")), "seed")
    listed = words.listed(map(words.attack_both, attacks))
    tried = f"Attacks tried: {listed}." if attacks else "No attack was tried."
    guarding = words.listed(map(words.defense_both, defenses))
    setting = (
        f"{hospitals} ({first.consortium}) train one model together over"
        f" {words.count(first.rounds, 'round')}, without pooling their records. What can a"
        " hostile participant spoil or learn, what does each defense change, who pays for it?"
    )
    evidence = (
        f"Evidence: {words.count(len(records), 'run')}, {seeds}"
        " (repetitions with other random splits and starts)."
    )
    return [
        setting,
        tried + (f" Up to {max(sending)} of {hospitals} attack." if any(sending) else ""),
        f"Defenses tried: {guarding}." if defenses else "No defense was tried.",
        evidence,
        *_adaptive(records),
    ]


def cautions(seen: Seen) -> list[str]:
    """Obstacles to a conclusion: missing controls, single seeds, idle parts, undefined figures."""
    records = seen.records
    found = _undefined_figures(records) + _data_notes(records) + _missing_controls(records)
    return found + _few_seeds(seen.cells) + _idle(records)


def found(seen: Seen) -> list[Finding]:
    """The findings of the runs, the most important first.

    Outcomes of runs in which attack or defense did nothing are left out.
    """
    records = seen.records
    sound = seen.sound
    acting = sound.judged
    drop = seen.drop
    cost = sound.cost
    parts = {
        "The model": _unattacked(acting),
        "Without a defense": harm.undefended(acting, drop),
        "Under the defenses": harm.under_defenses(acting, drop),
        "Best defense tried": ranking.on_auroc(sound.points, cost),
        "Backdoors": ranking.backdoor_texts(sound.marked, drop),
        "Best against backdoors": ranking.on_backdoors(sound.ranked, cost),
        "Largest price": harm.price(sound.effects),
        "Records recovered": _read(seen.inversions),
        "Who was a patient": members(seen.asked),
        "Beyond the records": _beyond(inferred.rows(records)),
        "Single updates": _isolated(tables.isolations(records)),
        "Privacy spent": _spent(seen.spent),
        "Privacy of hospitals": outweighed(records),
    }
    return [Finding(topic, " ".join(texts)) for topic, texts in parts.items() if texts]


def members(cells: Sequence[membership.Cell]) -> list[str]:
    """Sentences on how each attack finds members: undefended, then under the defenses."""
    texts = []
    for attack in dict.fromkeys(cell.attack for cell in cells):
        of = [cell for cell in cells if cell.attack == attack]
        alone = [cell for cell in of if cell.defense == NONE]
        guarded = [cell for cell in of if cell.defense != NONE]
        texts += [_undefended_membership(cell) for cell in alone]
        if guarded:
            areas = words.listed(
                f"{words.score(one.auc.value)} {words.under(one.defense)}" for one in guarded
            )
            texts.append(f"The same attack has {areas}.")
    return texts


def _undefended_membership(cell: membership.Cell) -> str:
    """What an attack tells with no defense, and whether that is shown to be more than guessing."""
    low, high = cell.auc.interval or (None, None)
    null = 0.5 if cell.null is None else cell.null.value
    rate = cell.at[0.01]
    beside = (
        ""
        if cell.null is None
        else f"; {words.score(null)} where there is nothing to find, among records not trained on"
    )
    found = (
        ""
        if rate is None
        else f" and recognizes {words.share(rate.value)} of them at 1 % false positives"
    )
    guessed = (
        f"; whether that is more than guessing is {words.not_decided(cell.n_seeds)}"
        if low is None or low <= max(0.5, null)
        else ""
    )
    return (
        f"{words.attack_first(cell.attack)}, by {cell.who}, tells records that were trained on"
        " from others with an AUC"
        f" of {words.score(cell.auc.value)} with no defense"
        f" ({_interval(low, high)}; 0.5 is guessing{beside}){found}{guessed}."
    )


def _interval(low: float | None, high: float | None, *, signed: bool = False) -> str:
    if low is None or high is None:
        return "one seed, no interval"
    return f"95 % interval {words.span(low, high, signed=signed)}"


def _beyond(rows: Sequence[TableRow]) -> list[str]:
    """What attacks on the finished model find with no defense, beside what needs no attack."""
    return [
        f"{words.attack_first(row['attack'])}, {row['figure']}: {words.score(row['value'])} with"
        " no defense beside"
        f" {words.score(row['alone'])} without the attack"
        f" (difference {words.change(row['excess'])},"
        f" {_interval(row['excess_low'], row['excess_high'], signed=True)})."
        for row in rows
        if row["defense"] == NONE
    ]


def crowd(inversions: pl.DataFrame) -> list[str]:
    """A sentence on how the share of records recovered goes with the number of records in a sum.

    There is none unless runs without noise differ in that number.
    """
    measured = inversions.filter(~pl.col("noised")).drop_nulls(["summed", "rate"])
    sized = measured.sort("summed", maintain_order=True)
    if sized["summed"].n_unique() < 2:
        return []
    few = sized.row(0, named=True)
    many = sized.row(-1, named=True)
    return [
        f"Where {few['summed']:.3g} records are summed in what the attacker saw"
        f" ({words.defense(few['defense'])}),"
        f" {words.share(few['rate'])} were recovered; where {many['summed']:.3g} are"
        f" ({words.defense(many['defense'])}), {words.share(many['rate'])}."
    ]


def sureness(records: Sequence[RunRecord]) -> list[str]:
    """Sentences on how many guesses about rows of tables are right, and whether the attacker knows.

    There is a sentence for each attack, over all seeds; defenses with the same figures share one.
    """
    alike: dict[tuple[str, str], list[str]] = {}
    for (attack, defense), scores in _field_scores(records).items():
        alike.setdefault((attack, _sure_of(scores)), []).append(defense)
    return [
        f"{words.attack_first(attack)} {words.listed(words.under(one) for one in defenses)}: {text}"
        for (attack, text), defenses in alike.items()
    ]


def _sure_of(scores: Sequence[FieldScores]) -> str:
    """What the guesses of one attack under one defense get right."""
    n = sum(len(one.hospital) for one in scores)
    right, shuffled, random, typical = (
        sum(sum(side.right) for side in sides) / n
        for sides in zip(
            *((one.guess, one.shuffled, one.random, one.typical) for one in scores), strict=True
        )
    )
    exact = sum(sum(one.guess.exact) for one in scores)
    singled = sum(sum(one.guess.singled_out) for one in scores)
    text = (
        f"{words.share(right)} of the fields of {n:,} attacked records were guessed right,"
        f" {words.share(shuffled)} from shuffled updates; rows drawn at random from the hospital"
        f" have {words.share(random)} right, typical ones {words.share(typical)}. All fields of"
        f" {exact:,} records were right; {singled:,} were singled out among all records of the"
        " consortium."
    )
    surest = [one.surest for one in scores if one.surest is not None]
    others = [one.least_sure for one in scores if one.least_sure is not None]
    if surest and others:
        text += (
            " Of the half of which the attacker was surest,"
            f" {words.share(sum(surest) / len(surest))} were right, of the other half"
            f" {words.share(sum(others) / len(others))}."
        )
    return text


def _field_scores(records: Sequence[RunRecord]) -> dict[tuple[str, str], list[FieldScores]]:
    found: dict[tuple[str, str], list[FieldScores]] = {}
    for record in records:
        scores = None if record.inversion is None else record.inversion.fields
        if scores is not None:
            found.setdefault((record.attack, record.defense), []).append(scores)
    return found


def unequal_privacy(spent: pl.DataFrame) -> list[str]:
    """Sentences on what the smallest hospital pays beside the largest, if more, by defense.

    The price is privacy or noise.
    """
    texts = []
    for (defense,), rows in spent.group_by(["defense"], maintain_order=True):
        small = rows.row(-1, named=True)
        large = rows.row(0, named=True)
        if small["n_train"] == large["n_train"]:
            continue
        if rows["noise_multiplier"].n_unique() == 1 and small["epsilon"] > large["epsilon"]:
            pays = (
                "every hospital adds noise by the same multiplier,"
                " and small hospitals spend more privacy"
            )
            texts.append(
                f"{words.defense_first(defense)}: {pays}: {_budget(small)}; {_budget(large)}."
            )
        elif small["noise_multiplier"] > large["noise_multiplier"]:
            pays = "small hospitals add more noise to their updates for their privacy"
            texts.append(
                f"{words.defense_first(defense)}: {pays}: {_budget(small)}; {_budget(large)}."
            )
    return texts


def _adaptive(records: Sequence[RunRecord]) -> list[str]:
    """A sentence on the attacks that knew the defense."""
    knew = _names([record for record in records if record.adaptive], "attack")
    if not knew:
        return []
    return [
        f"{words.start(words.listed(map(words.attack, knew)))} (marked *) knew each defense and"
        " tried what it would make of the"
        " attack before sending it. The others were not shown it."
    ]


def _budget(row: TableRow) -> str:
    size = f"{row['hospital']} ({words.count(row['n_train'], 'record')})"
    noise = f"noise multiplier {row['noise_multiplier']:.3g}"
    return f"{size} ε = {words.epsilon(row['epsilon'])} with {noise}"


def _unattacked(cells: pl.DataFrame) -> list[str]:
    texts = []
    for row in cells.filter(attack="none", defense="none").rows(named=True):
        start = "With nobody attacking and no defense, the model's AUROC is"
        if row["mean"] is None:
            texts.append(f"{start} not defined, so that nothing is compared with it.")
            continue
        interval = _over(row, "mean", row["n"])
        texts.append(
            f"{start} {words.score(row['mean'])}{interval}: in that share of pairs it gives a"
            " patient with the condition a higher risk than one without."
        )
    return texts


def _read(inversions: pl.DataFrame) -> list[str]:
    rows = inversions.drop_nulls("rate").rows(named=True)
    guarded = [row for row in rows if row["defense"] != "none"]
    some = sorted((row for row in guarded if row["n_recovered"]), key=lambda row: -row["rate"])[:1]
    texts = [_recovered(row, words.attack_first) for row in rows if row["defense"] == "none"]
    texts += [f"The most under a defense: {_recovered(row, words.attack)}" for row in some]
    several = inversions["attack"].n_unique() > 1
    for attacks, defenses, most in tables.recovered_none(inversions):
        by = f" by {words.listed(map(words.attack, attacks))}" if several else ""
        texts.append(
            f"Under {words.listed(map(words.defense, defenses))} none was recovered{by}; a true"
            f" share of up to {words.share(most)} would still fit, and other attacks may do better."
        )
    return texts


def _recovered(row: TableRow, named: Callable[[str], str]) -> str:
    interval = f"{words.share(row['rate_low'])} to {words.share(row['rate_high'])}"
    return (
        f"{named(row['attack'])} recovered {row['n_recovered']:,} of {row['n_attacked']:,} attacked"
        f" records {words.under(row['defense'])} ({words.share(row['rate'])};"
        f" 95 % interval {interval}) from what the aggregator sees in round {row['round']}."
    )


def _isolated(isolations: pl.DataFrame) -> list[str]:
    hidden = isolations.filter(~pl.col("open"))
    shown = isolations.filter(defense="none", n_recovered=pl.col("n_attacked"))
    texts = ["With no defense the aggregator sees every update by itself."] if len(shown) else []
    return texts + [_worked_out(row) for row in hidden.rows(named=True)]


def _worked_out(row: TableRow) -> str:
    """Whose updates an attack on secure aggregation worked out, and how small a sum it held."""
    n = row["n_colluding"]
    pooled = f" and {n} of {words.count(row['n_hospitals'], 'hospital')}" if n else ""
    start = (
        f"{words.attack_first(row['attack'])} {words.under(row['defense'])}: the aggregator{pooled}"
    )
    if row["n_recovered"]:
        updates = words.count(row["n_attacked"], "update")
        length = f"with an error of {row['error']:.2g} of its length"
        best = "exactly" if row["error"] < EXACT else length
        return (
            f"{start} recovered {row['n_recovered']:,} of {updates} of honest hospitals, the best"
            f" {best}."
        )
    if row["smallest"] is None:
        return f"{start} recovered no honest hospital's update, and held no sum of any."
    smallest = words.count(row["smallest"], "honest hospital")
    near = "" if row["error"] is None else f", with an error of at least {row['error']:.2g}"
    return (
        f"{start} recovered no honest hospital's update{near}; the smallest sum that was held is"
        f" of {smallest}."
    )


def _spent(spent: pl.DataFrame) -> list[str]:
    order = spent.sort("epsilon", descending=True, maintain_order=True)
    most = order.unique("defense", keep="first", maintain_order=True)
    return [
        f"{words.defense_first(row['defense'])} spends ε = {words.epsilon(row['epsilon'])}"
        f" ({_where(spent, row)}),"
        " which holds the advantage of any test of who was in the"
        f" training data to at most {words.at_most(row['advantage'])}."
        for row in most.rows(named=True)
    ]


def _where(spent: pl.DataFrame, most: TableRow) -> str:
    """The hospital that spends most, or that all spend as much, to the digits that are stated."""
    alike = {words.epsilon(one) for one in spent.filter(defense=most["defense"])["epsilon"]}
    return (
        "each hospital" if len(alike) == 1 else f"at {most['hospital']}, the most of any hospital"
    )


def outweighed(records: Sequence[RunRecord]) -> list[str]:
    """Sentences on epsilon, noise and AUROC of each defense that protects whole updates.

    The AUROC is of runs that nobody attacks, beside that of the same seeds without a defense.
    """
    alone = {(record.defense, record.seed): record for record in records if record.attack == NONE}
    texts = []
    for defense in _names(records, "defense"):
        seeds = [seed for name, seed in alone if name == defense]
        runs = [alone[defense, seed] for seed in seeds]
        spent = [one.value("hospital_epsilon") for one in runs]
        if not runs or spent[0] is None:
            continue
        ratio = runs[0].value("noise_ratio")
        noise = (
            "" if ratio is None else f" with noise {ratio:.3g} times as long as the longest mean"
        )
        epsilon = words.epsilon(max(one for one in spent if one is not None))
        hospitals = words.count(runs[0].n_hospitals, "update")
        pairs = [
            (one.value("auroc"), control.value("auroc"))
            for one in runs
            if (control := alone.get((NONE, one.seed))) is not None
        ]
        usable = [(left, whole) for left, whole in pairs if left is not None and whole is not None]
        named = words.defense_first(defense)
        start = f"{named} spends ε = {epsilon} of a whole hospital{noise} of {hospitals}"
        if not usable:
            texts.append(f"{start}; what it costs is not known without runs without a defense.")
            continue
        left, whole = (sum(each) / len(usable) for each in zip(*usable, strict=True))
        cost = f"AUROC {words.score(left)} against {words.score(whole)} without a defense"
        gone = left - 0.5 < (whole - 0.5) / 2
        verdict = ": more than half of what was learned is gone" if gone else ""
        texts.append(f"{start}; with nobody attacking, {cost}{verdict}.")
    return texts


def _undefined_figures(records: Sequence[RunRecord]) -> list[str]:
    """The runs whose test patients allow no AUROC, with the reason.

    Runs whose training failed come before, in ``broken``.
    """
    lacking = [
        record
        for record in records
        if record.value("auroc") is None
        and not broken.untrained(record)
        and not broken.without_scores(record)
    ]
    counts = Counter((one.attack, one.defense, tables.why_undefined(one)) for one in lacking)
    texts = [
        f"AUROC is not defined in {words.count(n, 'run')} of {words.attack(attack)} against"
        f" {words.defense(defense)}: {reason}. Means leave them out."
        for (attack, defense, reason), n in counts.items()
    ]
    return _first(texts, "Nor is it in runs of {}.")


def _data_notes(records: Sequence[RunRecord]) -> list[str]:
    """The notes of the evidence about the data, each with the number of seeds in which it holds."""
    seeds: dict[str, set[int]] = {}
    for record in records:
        for text in record.data_notes:
            seeds.setdefault(text, set()).add(record.seed)
    n_seeds = len(_names(records, "seed"))
    texts = [
        text if n_seeds == 1 else f"{text} ({len(found)} of {n_seeds} seeds)"
        for text, found in seeds.items()
    ]
    return _first(texts, "The evidence notes {} about the data.")


def _missing_controls(records: Sequence[RunRecord]) -> list[str]:
    attacks = _names(records, "attack")
    defenses = _names(records, "defense")
    if NONE not in attacks or NONE not in defenses:
        return [
            "Controls are missing (runs without the attack, runs without the defense),"
            " so nothing is concluded."
        ]
    controls = Controls(records)
    lone = {
        (record.attack, record.defense)
        for record in records
        if controls.attack_free(record) is None or controls.undefended(record) is None
    }
    cells = sorted(lone)
    names = [f"{words.attack(attack)} with {words.defense(defense)}" for attack, defense in cells]
    if not names:
        return []
    listed = words.listed(names)
    return [f"Controls with the same seeds are missing for {listed}: no conclusion there."]


def _few_seeds(cells: pl.DataFrame) -> list[str]:
    lone = len(cells.filter(pl.col("n") + pl.col("n_undefined") < 2))
    if not lone:
        return []
    total = len(cells)
    where = "Every result" if lone == total else f"{lone} of {words.count(total, 'result')}"
    return [
        f"{where} comes from one seed: it has no interval,"
        " and chance cannot be distinguished from effect."
    ]


def _idle(records: Sequence[RunRecord]) -> list[str]:
    counts = Counter(
        (record.attack, record.defense, what) for record in records for what in tables.idle(record)
    )
    texts = [
        f"{words.count(n, 'run')} of {words.attack(attack)} against {words.defense(defense)}:"
        f" the {what} did nothing, so the outcome shows nothing about the {what}."
        for (attack, defense, what), n in counts.items()
    ]
    return _first(texts, "The same holds in {}, marked † below.")


def _first(texts: list[str], rest: str) -> list[str]:
    """``texts``; of more than ``MOST_CAUTIONS`` the first, and how many cells more."""
    if len(texts) <= MOST_CAUTIONS:
        return texts
    more = words.count(len(texts) - MOST_CAUTIONS + 1, "more cell")
    return [*texts[: MOST_CAUTIONS - 1], rest.format(more)]


def _over(row: TableRow, name: str, n: int | None, *, signed: bool = False) -> str:
    """The interval of ``row[name]`` in brackets, over ``n`` seeds if the number is to be stated."""
    if row[f"{name}_low"] is None:
        return " (one seed, no interval)"
    seeds = "" if n is None else f" over {words.count(n, 'seed')}"
    span = words.span(row[f"{name}_low"], row[f"{name}_high"], signed=signed)
    return f" (95 % interval {span}{seeds})"


def _names(records: Sequence[RunRecord], key: str) -> list[Any]:
    return list(dict.fromkeys(getattr(record, key) for record in records))
