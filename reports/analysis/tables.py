"""Records of runs -> the frames that figures, page and terminal show. Seeds are the unit of every
mean and interval.

Intervals are those of ``sim.evidence.intervals``, inside the range of the metric, and null where
only one seed
ran. Differences are taken against the control that ``sim.evidence.controls`` finds for each run,
then averaged.
Nothing is adjusted for how many cells are looked at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from sim.errors import InputError
from sim.evidence import RunRecord, intervals
from sim.evidence.controls import Controls
from sim.evidence.intervals import CHANGE, Interval
from sim.evidence.metrics import ANY, METRICS, Range
from sim.types import TableRow

# a run and its controls, by address
PAIRED = {"run": pl.String, "attack_free": pl.String, "undefended": pl.String}
RUN = {
    **PAIRED, "attack": pl.String, "defense": pl.String, "seed": pl.Int64, "auroc": pl.Float64, "brier": pl.Float64,
    "worst_hospital_auroc": pl.Float64, "sensitivity_at_90_specificity": pl.Float64,
    "idle": pl.Boolean, "epsilon": pl.Float64, "reads_only": pl.Boolean, "adaptive": pl.Boolean,
    "backdoor": pl.Boolean, "skipped": pl.Int64, "rounds": pl.Int64, "drop": pl.Float64,
}  # fmt: skip
HOSPITAL = {
    **PAIRED, "defense": pl.String, "seed": pl.Int64, "hospital": pl.String, "n_train": pl.Int64, "brier": pl.Float64,
    "auroc": pl.Float64,
}  # fmt: skip
CURVE = {
    "attack": pl.String,
    "defense": pl.String,
    "seed": pl.Int64,
    "round": pl.Int64,
    "auroc": pl.Float64,
}
SPENT = {
    "defense": pl.String, "hospital": pl.String, "n_train": pl.Int64, "epsilon": pl.Float64, "noise_multiplier": pl.Float64,
    "steps": pl.Int64, "sample_rate": pl.Float64, "delta": pl.Float64,
}  # fmt: skip
LOST = {
    "attack": pl.String,
    "defense": pl.String,
    "hospital": pl.String,
    "reason": pl.String,
    "seed": pl.Int64,
}
INVERSION = {
    "attack": pl.String, "defense": pl.String, "round": pl.Int64, "n_seeds": pl.Int64, "n_attacked": pl.Int64,
    "n_guesses": pl.Int64, "n_recovered": pl.Int64, "rate": pl.Float64, "rate_low": pl.Float64, "rate_high": pl.Float64,
    "summed": pl.Float64, "summed_low": pl.Int64, "summed_high": pl.Int64, "noised": pl.Boolean,
}  # fmt: skip

LOSSES = {
    "verdict": pl.String, "n_lost": pl.Int64, "harm_least": pl.Float64, "harm_worst": pl.Float64, "n_undefined": pl.Int64,
}  # fmt: skip

CURVE_COLUMNS = ("round", "hospital", "metric", "value")
# of the consortium
FIGURES = ("auroc", "brier", "worst_hospital_auroc", "sensitivity_at_90_specificity", "epsilon")
NOTABLE = 0.0005  # a change that three digits show
CELL = ("attack", "defense")


def one_study(
    records: Sequence[RunRecord], attacks: Sequence[str] = (), defenses: Sequence[str] = ()
) -> list[RunRecord]:
    """The records with controls first, then in the order of ``attacks`` and ``defenses``; others
    last, in the order given.

    Raises ``InputError`` unless they can be compared. That takes one consortium, one number of
    rounds, and one run for an attack, defense, number of hostile hospitals and seed.
    """
    if not records:
        raise InputError("evidence.jsonl", "no runs", "expected at least one finished run")
    for key in ("consortium", "n_hospitals", "rounds"):
        values = {getattr(record, key) for record in records}
        if len(values) > 1:
            raise InputError(
                key,
                ", ".join(map(str, sorted(values))),
                "expected one value in all runs of a report",
            )
    counts = Counter((r.attack, r.defense, r.n_hostile, r.seed) for r in records)
    repeated = [cell for cell, n in counts.items() if n > 1]
    if repeated:
        expected = (
            "expected one run for an attack, defense, n_hostile and seed; other settings need a"
            " folder of their own"
        )
        raise InputError("evidence.jsonl", " x ".join(map(str, repeated[0])), expected)
    first, second = _places(["none", *attacks]), _places(["none", *defenses])
    return sorted(
        records, key=lambda r: (first.get(r.attack, len(first)), second.get(r.defense, len(second)))
    )


def pooled(record: RunRecord) -> RunRecord:
    """The record with no more of its curve than reports draw, the AUROC on all test patients; most
    of a record is its curve.
    """
    curve = [record.curve.get(name, []) for name in CURVE_COLUMNS]
    lines = [line for line in zip(*curve, strict=True) if line[1:3] == ("all", "auroc")]
    return record.model_copy(
        update={
            "curve": dict(zip(CURVE_COLUMNS, map(list, zip(*lines, strict=True)), strict=False))
        }
    )


def material_drop(records: Sequence[RunRecord]) -> float:
    """The loss of AUROC that counts as material in a study, as its configuration states."""
    return float(records[0].config["report"]["material_drop"])


def reads_only(record: RunRecord) -> bool:
    """Whether the only attack of the run reads what is seen and sends nothing, so that the model is
    that of no attack.
    """
    return record.inversion is not None and record.inversion.attack == record.attack


def hostile_act(record: RunRecord) -> bool:
    """Whether hostile hospitals do something in the run: not where an attack only reads, or honest
    ones are only absent.
    """
    return (
        record.attack != "none"
        and not reads_only(record)
        and not set(record.attack.split("+")) <= set(record.absences)
    )


def idle(record: RunRecord) -> list[str]:
    """Which of attack and defense did nothing in the run, so that its outcome shows nothing about
    them.
    """
    engaged = {
        "attack": record.engagement.attack_engaged,
        "defense": record.engagement.defense_engaged,
    }
    return [what for what, did in engaged.items() if did is False]


def why_undefined(record: RunRecord) -> str:
    """Why a run has no AUROC."""
    found = record.outcome("auroc")
    return (found.undefined if found else None) or "it was not measured"


def runs(records: Sequence[RunRecord]) -> pl.DataFrame:
    """One row a run, in the order of the records; ``attack_free`` and ``undefended``: the addresses
    of its controls.
    """
    return _frame((pair | _run(record) for record, pair in paired(records)), RUN)


def paired(records: Sequence[RunRecord]) -> Iterator[tuple[RunRecord, dict[str, str | None]]]:
    """Each record with its address and those of its controls among ``records``; None where there is
    no control.
    """
    controls = Controls(records)
    for record in records:
        found = controls.attack_free(record), controls.undefended(record)
        attack_free, undefended = (None if control is None else control.run for control in found)
        yield record, {"run": record.run, "attack_free": attack_free, "undefended": undefended}


def beside(
    table: pl.DataFrame, control: str, columns: Mapping[str, str], on: Sequence[str] = ()
) -> pl.DataFrame:
    """The rows that are not their own ``control`` (a column of ``PAIRED``) and have one, with
    columns of the control.

    ``columns``: by the name that each gets, the column of the control's row that agrees ``on`` more
    columns.
    """
    of_control = table.select(
        *on, pl.col("run").alias(control), **{name: pl.col(of) for name, of in columns.items()}
    )
    others = table.filter(pl.col(control) != pl.col("run"))
    return others.join(of_control, on=[control, *on], maintain_order="left")


def against(
    table: pl.DataFrame, control: str, value: str, of_control: str = "", on: Sequence[str] = ()
) -> pl.DataFrame:
    """The rows of ``beside`` with ``value`` minus that of the control, which is ``base``.

    ``of_control``: the column of the control, if it is another.
    """
    return _minus_base(beside(table, control, {"base": of_control or value}, on), value)


def cells(records: Sequence[RunRecord], metric: str = "auroc") -> pl.DataFrame:
    """One row an attack and defense: ``metric`` over seeds, and its paired differences to both
    controls.

    ``mean`` with ``_low``, ``_high``, ``n``, and ``lowest``, that of the worst seed; ``harm``:
    minus the run with no attack (same defense and seed), ``harm_least`` and ``harm_worst`` in the
    seeds that lost least and most, ``n_lost``: seeds that lost at least ``report.material_drop``;
    ``n_undefined``: seeds whose control has a figure and the run none; a control that was never
    trained is no control; ``verdict``: as ``intervals.losses`` gives it, with undefined seeds as
    lost, null without controls. ``gain``: minus the run with no defense (same attack and seed).
    ``n_idle``: runs in which attack or defense did nothing; ``adaptive``: the attack knew the
    defense and tried what it would make of it; ``backdoor``: a mark was measured; ``skipped`` of
    ``rounds``: all runs together. Ordered by
    first run.
    """
    trained = pl.col("skipped") < pl.col("rounds")  # a control that was never trained is none
    table = runs(records).with_columns(
        value=pl.col(metric), control=pl.when(trained).then(pl.col(metric))
    )
    about = table.group_by(CELL, maintain_order=True).agg(
        n_idle=pl.col("idle").sum().cast(pl.Int64),
        epsilon=pl.col("epsilon").max(),
        reads_only=pl.col("reads_only").all(),
        adaptive=pl.col("adaptive").any(),
        backdoor=pl.col("backdoor").any(),
        skipped=pl.col("skipped").sum(),
        rounds=pl.col("rounds").sum(),
        lowest=pl.col("value").min(),
    )
    level = over_seeds(table, CELL, "value", "mean", METRICS[metric].range).rename({"mean_n": "n"})
    attacked = against(table, "attack_free", "value", "control")
    harm = over_seeds(attacked, CELL, "value", "harm", CHANGE)
    defended = against(table, "undefended", "value", "control")
    gain = over_seeds(defended, CELL, "value", "gain", CHANGE)
    for part in (level, harm, _losses(attacked, harm), gain):
        about = about.join(part, on=CELL, how="left", maintain_order="left")
    return about.with_columns(pl.col("n", "harm_n", "gain_n", "n_lost", "n_undefined").fill_null(0))


def judged_by_auroc(cells: pl.DataFrame) -> pl.DataFrame:
    """The rows of ``cells`` that AUROC speaks of: attacks that change what is sent, and no attack.

    A backdoor is meant to leave AUROC as it is and is recognized by its success beyond false
    triggers; it counts here only where it lost a material share of AUROC under some defense, or the
    model is not defined.
    """
    hit = cells.filter((pl.col("n_lost") > 0) | (pl.col("n_undefined") > 0))["attack"].unique()
    return cells.filter(
        ~pl.col("reads_only"), ~pl.col("backdoor") | pl.col("attack").is_in(hit.implode())
    )


def worst_attacks(cells: pl.DataFrame, most: int) -> list[str]:
    """Up to ``most`` attacks of a frame of ``cells``, in its order: the control and those with most
    harm, mean over defenses.
    """
    acting = judged_by_auroc(cells)
    harm = (
        acting.filter(pl.col("attack") != "none")
        .group_by("attack", maintain_order=True)
        .agg(pl.col("harm").mean())
    )
    control = [name for name in acting["attack"].unique(maintain_order=True) if name == "none"]
    worst = harm.sort("harm", nulls_last=True, maintain_order=True)["attack"].head(
        most - len(control)
    )
    return [
        name for name in acting["attack"].unique(maintain_order=True) if name in {*control, *worst}
    ]


def hospital_effects(records: Sequence[RunRecord]) -> pl.DataFrame:
    """What each defense does to each hospital when nobody attacks: Brier score and AUROC minus
    those without a defense.

    One row a defense and hospital, largest hospital first: ``n_train``, ``brier`` and ``auroc``
    with ``_n``, ``_low``, ``_high``; ``brier_each`` of ``seeds``: the changes, one a seed.
    A positive Brier change is worse, a negative AUROC change is worse. AUROC is null where it is
    not defined.
    """
    by = ("defense", "hospital")
    alone = [(record, pair) for record, pair in paired(records) if record.attack == "none"]
    table = _frame(
        (pair | row for record, pair in alone for row in _hospital_rows(record)), HOSPITAL
    )
    sizes = table.group_by(by, maintain_order=True).agg(n_train=pl.col("n_train").max())
    changes = {
        metric: against(table, "undefended", metric, on=("hospital",))
        for metric in ("brier", "auroc")
    }
    brier, auroc = (
        over_seeds(found, by, metric, metric, CHANGE) for metric, found in changes.items()
    )
    effects = brier.join(sizes, on=by, maintain_order="left").join(
        auroc, on=by, how="left", maintain_order="left"
    )
    each = changes["brier"].drop_nulls("brier").sort("seed", maintain_order=True)
    by_seed = each.group_by(by, maintain_order=True).agg(
        seeds=pl.col("seed"), brier_each=pl.col("brier")
    )
    return _by_defense(effects.join(by_seed, on=by, how="left", maintain_order="left"))


def worst_hit(effects: pl.DataFrame) -> pl.DataFrame:
    """The hospital with the largest mean Brier change under each defense, if it is ``NOTABLE``; the
    worst defense first.

    It is the largest of many, picked after the fact, so its mean leans high. ``alike``: the other
    hospitals under the same defense that it is not distinguished from, the next largest first; only
    where that is empty is it the hardest hit.
    """
    ordered = effects.filter(pl.col("brier") >= NOTABLE).sort(
        "brier", descending=True, maintain_order=True
    )
    worst = ordered.unique("defense", keep="first", maintain_order=True)
    alike = [
        _alike(row, effects.filter(defense=row["defense"])) for row in worst.iter_rows(named=True)
    ]
    return worst.with_columns(alike=pl.Series(alike, dtype=pl.List(pl.String)))


def _alike(worst: TableRow, others: pl.DataFrame) -> list[str]:
    """Names of ``others`` whose change of Brier score is not distinguished from that of the
    ``worst`` hospital, seed by seed.
    """
    mine = dict(zip(worst["seeds"], worst["brier_each"], strict=True))
    names = []
    for row in others.sort("brier", descending=True, maintain_order=True).iter_rows(named=True):
        theirs = dict(zip(row["seeds"] or [], row["brier_each"] or [], strict=True))
        gaps = [mine[seed] - theirs[seed] for seed in mine if seed in theirs]
        if row["hospital"] != worst["hospital"] and gaps and not intervals.are_apart(gaps):
            names.append(row["hospital"])
    return names


def tradeoff(records: Sequence[RunRecord], metric: str = "auroc") -> pl.DataFrame:
    """One row a defense that ran both unattacked and attacked: ``utility`` without attack,
    ``worst`` mean of its attacks.

    Both with ``_low`` and ``_high``; ``worst_lowest``: in the worst of ``n_seeds``; ``attack``
    names the worst one, ``n_attacks`` how many were tried, ``epsilon`` the privacy. ``behind`` with
    ``_n``, ``_low`` and ``_high``: ``worst`` minus that of the defense with the highest mean, seed
    by seed; ``behind_most``: in the seed in which it comes closest; null for the highest itself.
    ``apart``: whether they are distinguished. ``n_undefined``: attacked runs whose model has no
    figure, which ``worst`` leaves out.
    """
    tried = judged_by_auroc(cells(records, metric)).filter(pl.col("attack") != "none")
    table = judged_by_auroc(cells(records, metric)).filter(pl.col("mean").is_not_null())
    alone = table.filter(pl.col("attack") == "none").select(
        "defense", "epsilon", *_means_as("utility")
    )
    hit = table.filter(pl.col("attack") != "none").join(
        alone, on="defense", how="semi", maintain_order="left"
    )
    counts = tried.group_by("defense").agg(
        n_attacks=pl.len().cast(pl.Int64), n_undefined=pl.col("n_undefined").sum()
    )
    worst = hit.sort("mean", maintain_order=True).unique(
        "defense", keep="first", maintain_order=True
    )
    behind = _behind_best(runs(records).with_columns(value=pl.col(metric)), worst)
    worst = worst.select(
        "defense", "attack", *_means_as("worst"), worst_lowest=pl.col("lowest"), n_seeds=pl.col("n")
    )
    points = alone.join(worst, on="defense", maintain_order="left").join(
        counts, on="defense", maintain_order="left"
    )
    return points.join(behind, on="defense", how="left", maintain_order="left").with_columns(
        pl.col("behind_n").fill_null(0)
    )


def curves(records: Sequence[RunRecord]) -> pl.DataFrame:
    """AUROC on all test patients by round: mean over seeds, lowest and highest seed. Attacks that
    only read are left out.
    """
    shown = [record for record in records if not reads_only(record)]
    table = _frame((row for record in shown for row in _curve_rows(record)), CURVE)
    value = pl.col("auroc")
    grouped = table.group_by(*CELL, "round", maintain_order=True)
    return grouped.agg(n=pl.len(), mean=value.mean(), low=value.min(), high=value.max()).sort(
        "round", maintain_order=True
    )


def inversions(records: Sequence[RunRecord]) -> pl.DataFrame:
    """One row a reconstruction attack, what ran with it, and defense: records recovered of those
    attacked, over all seeds.

    ``rate`` with exact bounds that take records as independent; ``summed``: mean number of records
    in a row that the attacker saw, ``_low`` and ``_high`` the fewest and most; ``noised``: with
    differential privacy.
    """
    groups: dict[tuple[str, str], list[RunRecord]] = {}
    for record in records:
        if record.inversion is not None:
            groups.setdefault((record.attack, record.defense), []).append(record)
    return _frame(
        (_inversion_row(attack, defense, group) for (attack, defense), group in groups.items()),
        INVERSION,
    )


def spent(records: Sequence[RunRecord]) -> pl.DataFrame:
    """Record-level privacy of each defense and hospital, from the run that spent most; largest
    hospital first.

    ``advantage``: what that leaves an attacker, see ``intervals.membership_advantage``.
    """
    rows = (row for record in records if record.privacy is not None for row in _spent_rows(record))
    by = ("defense", "hospital")
    most = pl.col("epsilon") == pl.col("epsilon").max().over(by)
    table = _frame(rows, SPENT).filter(most).unique(by, keep="first", maintain_order=True)
    pairs = zip(table["epsilon"], table["delta"], strict=True)
    advantage = pl.Series(
        "advantage", [intervals.membership_advantage(*pair) for pair in pairs], pl.Float64
    )
    return _by_defense(table.with_columns(advantage))


def screened(records: Sequence[RunRecord]) -> pl.DataFrame:
    """Replies that were not used, by attack, reason and those defenses that lost the same: ``n`` of
    each of ``hospitals``.

    ``n_runs``: of each of the ``defenses``, in how many runs.
    """
    rows = (
        {**_cell(record), "hospital": lost.hospital, "reason": lost.reason}
        for record in records
        for lost in record.screened
    )
    by = (*CELL, "reason")
    table = (
        _frame(rows, LOST)
        .group_by(*by, "hospital", maintain_order=True)
        .agg(n=pl.len(), n_runs=pl.col("seed").n_unique())
    )
    alike = table.group_by(*by, "n", "n_runs", maintain_order=True).agg(
        hospitals=pl.col("hospital").sort()
    )
    same = alike.group_by("attack", "reason", "n", "n_runs", "hospitals", maintain_order=True).agg(
        defenses=pl.col("defense")
    )
    return same.sort("n", descending=True, maintain_order=True)


def _run(record: RunRecord) -> TableRow:
    return {
        **_cell(record), **{metric: record.value(metric) for metric in FIGURES}, "idle": bool(idle(record)),
        "reads_only": reads_only(record),
        "adaptive": record.adaptive, "backdoor": record.has("backdoor_success"), "skipped": len(record.skipped_rounds),
        "rounds": record.rounds, "drop": record.config["report"]["material_drop"],
    }  # fmt: skip


def _cell(record: RunRecord) -> TableRow:
    return {"attack": record.attack, "defense": record.defense, "seed": record.seed}


def _hospital_rows(record: RunRecord) -> Iterator[TableRow]:
    for one in record.hospitals:
        yield {
            "defense": record.defense, "seed": record.seed, "hospital": one.hospital, "n_train": one.n_train,
            "brier": record.value("brier", one.hospital), "auroc": record.value("auroc", one.hospital),
        }  # fmt: skip


def _curve_rows(record: RunRecord) -> Iterator[TableRow]:
    curve = pooled(record).curve
    for number, value in zip(curve.get("round", []), curve.get("value", []), strict=True):
        yield {**_cell(record), "round": number, "auroc": value}


def _spent_rows(record: RunRecord) -> Iterator[TableRow]:
    assert record.privacy is not None
    for one in record.privacy.hospitals:
        epsilon = record.value("epsilon", one.hospital)
        yield {
            "defense": record.defense,
            "delta": record.privacy.delta,
            "epsilon": epsilon,
            **one.model_dump(),
        }


def _inversion_row(attack: str, defense: str, group: Sequence[RunRecord]) -> TableRow:
    found = [record.inversion for record in group if record.inversion is not None]
    attacked, recovered = (
        sum(record.n_attacked for record in group),
        sum(record.n_recovered for record in group),
    )
    low, high = intervals.rate_interval(recovered, attacked) if attacked else (None, None)
    summed = [n for one in found for n in one.records_in_row]
    return {
        "attack": attack, "defense": defense, "round": found[0].round, "n_seeds": len(found), "n_attacked": attacked,
        "n_guesses": sum(one.n_guesses for one in found), "n_recovered": recovered,
        "rate": recovered / attacked if attacked else None, "rate_low": low, "rate_high": high,
        "summed": sum(summed) / len(summed) if summed else None,
        "summed_low": min(summed, default=None), "summed_high": max(summed, default=None),
        "noised": any(record.privacy is not None for record in group),
    }  # fmt: skip


def _behind_best(table: pl.DataFrame, worst: pl.DataFrame) -> pl.DataFrame:
    """Each defense's outcome under its own worst attack minus the highest of them, over seeds that
    both have.
    """
    best = worst.sort("mean", descending=True, maintain_order=True)["defense"].head(1)
    under = table.join(worst.select(CELL), on=CELL, how="semi", maintain_order="left")
    of_best = pl.col("defense").is_in(best.implode())
    base = under.filter(of_best).select("seed", base="value")
    others = under.filter(~of_best).join(base, on="seed", maintain_order="left")
    return gaps(_minus_base(others, "value"), "value")


def gaps(table: pl.DataFrame, value: str) -> pl.DataFrame:
    """One row a defense: ``behind``, its paired differences ``value`` over seeds, as ``tradeoff``
    states them.
    """
    behind = over_seeds(table, ("defense",), value, "behind", CHANGE)
    each = table.drop_nulls(value).group_by("defense", maintain_order=True).agg(
        each=pl.col(value), drop=pl.col("drop").max(), behind_most=pl.col(value).max()
    )  # fmt: skip
    apart = [intervals.are_apart(row["each"], row["drop"]) for row in each.iter_rows(named=True)]
    decided = each.select("defense", "behind_most", apart=pl.Series(apart, dtype=pl.Boolean))
    return behind.join(decided, on="defense", how="left", maintain_order="left")


def _losses(attacked: pl.DataFrame, harm: pl.DataFrame) -> pl.DataFrame:
    """One row a cell of ``attacked``, paired changes by seed, with the columns of ``LOSSES``;
    ``harm``: their intervals.
    """
    lacking = pl.col("value").is_null() & pl.col("base").is_not_null()
    each = attacked.group_by(CELL, maintain_order=True).agg(
        values=pl.col("value").drop_nulls(),
        drop=pl.col("drop").max(),
        n_undefined=lacking.sum().cast(pl.Int64),
    )
    rows = each.join(harm, on=CELL, how="left", maintain_order="left").iter_rows(named=True)
    schema = {**dict.fromkeys(CELL, pl.String), **LOSSES}
    return _frame(({**{name: row[name] for name in CELL}, **_lost(row)} for row in rows), schema)


def _lost(row: TableRow) -> TableRow:
    """What one cell lost. A seed whose control has a figure and whose run has none lost more than
    any figure shows.
    """
    lacking, values = row["n_undefined"], row["values"]
    if not values:
        verdict = intervals.HARMED if lacking > 1 else intervals.UNDECIDED if lacking else None
        return {"verdict": verdict, "n_lost": 0, "n_undefined": lacking}
    interval = None if row["harm_low"] is None else Interval(-row["harm_high"], -row["harm_low"])
    found = intervals.losses([-value for value in values], interval, row["drop"])
    verdict = found.verdict
    if lacking and verdict != intervals.HARMED:
        verdict = intervals.HARMED if found.n_material == len(values) else intervals.UNDECIDED
    return {
        "verdict": verdict, "n_lost": found.n_material, "harm_least": -found.least, "harm_worst": -found.worst,
        "n_undefined": lacking,
    }  # fmt: skip


def _minus_base(table: pl.DataFrame, value: str) -> pl.DataFrame:
    return table.with_columns((pl.col(value) - pl.col("base")).alias(value))


def over_seeds(
    table: pl.DataFrame, by: tuple[str, ...], value: str, name: str, reach: Range = ANY
) -> pl.DataFrame:
    """Mean, 95 % interval and number of seeds of ``value``, a figure within ``reach``; rows where
    it is null are not counted.

    The interval of a ``CHANGE`` is that of ``intervals.change_interval``, from the column ``base``.
    """
    columns = ["base"] if reach == CHANGE and "base" in table.columns else []
    grouped = table.drop_nulls(value).group_by(by, maintain_order=True)
    means = grouped.agg(
        pl.len().cast(pl.Int64).alias(f"{name}_n"),
        pl.col(value).mean().alias(name),
        pl.col(value).alias("each"),
        *columns,
    )
    bounds = [
        (
            intervals.change_interval(row["each"], row["base"])
            if columns
            else intervals.mean_interval(row["each"], reach)
        )
        for row in means.iter_rows(named=True)
    ]
    return with_bounds(means.drop("each", *columns), name, bounds)


def with_bounds(table: pl.DataFrame, name: str, bounds: Sequence[Interval | None]) -> pl.DataFrame:
    """``table`` with the columns ``_low`` and ``_high`` of ``name``, null where there is no
    interval.
    """
    return table.with_columns(
        pl.Series(
            f"{name}_{side}", [None if one is None else one[place] for one in bounds], pl.Float64
        )
        for place, side in enumerate(("low", "high"))
    )


def _places(names: Sequence[str]) -> dict[str, int]:
    return {name: place for place, name in enumerate(dict.fromkeys(names))}


def _by_defense(table: pl.DataFrame) -> pl.DataFrame:
    """Defenses in the order in which they come, hospitals of each from the largest to the smallest."""
    place = pl.col("place").min().over("defense")
    return table.with_row_index("place").sort(place, -pl.col("n_train"), "hospital").drop("place")


def _means_as(name: str) -> list[pl.Expr]:
    return [
        pl.col(column).alias(column.replace("mean", name))
        for column in ("mean", "mean_low", "mean_high")
    ]


def _frame(rows: Any, schema: TableRow) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=schema, orient="row")
