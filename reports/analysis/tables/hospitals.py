"""The effect of each defense on each hospital: changes of its scores, and the privacy spent."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import polars as pl

from reports.analysis.tables.pairs import PAIRED, against, frame, over_seeds, paired
from sim.evidence import RunRecord, intervals
from sim.evidence.intervals import CHANGE
from sim.evidence.metrics import METRICS
from sim.types import TableRow

HOSPITAL = {
    **PAIRED,
    **dict.fromkeys(("defense", "hospital"), pl.String),
    **dict.fromkeys(("seed", "n_train"), pl.Int64),
    **dict.fromkeys(("brier", "auroc"), pl.Float64),
}
SPENT = {
    **dict.fromkeys(("defense", "hospital", "run"), pl.String),
    **dict.fromkeys(("n_train", "steps"), pl.Int64),
    **dict.fromkeys(("epsilon", "noise_multiplier", "sample_rate", "delta"), pl.Float64),
    **dict.fromkeys(("advantage", "tpr_at_1fpr", "tpr_at_01fpr"), pl.Float64),
}
CLIPS = {
    "defense": pl.String,
    "seed": pl.Int64,
    "round": pl.Int64,
    "clip": pl.Float64,
}
NOTABLE = 0.0005  # a change that three digits show


def hospital_effects(records: Sequence[RunRecord]) -> pl.DataFrame:
    """Changes of each hospital by each defense when nobody attacks: Brier score and AUROC.

    One row a defense and hospital, largest hospital first: ``n_train``, ``brier`` and ``auroc``
    with ``_n``, ``_low``, ``_high``; ``brier_each`` of ``seeds``: the changes, one a seed. The
    changes are against no defense. A positive Brier change is worse, a negative AUROC change is
    worse. AUROC is null where it is not defined.
    """
    by = ("defense", "hospital")
    alone = [(record, pair) for record, pair in paired(records) if record.attack == "none"]
    rows = (pair | row for record, pair in alone for row in _hospital_rows(record))
    table = frame(rows, HOSPITAL)
    sizes = table.group_by(by, maintain_order=True).agg(n_train=pl.col("n_train").max())
    changed = against(table, "undefended", "brier", on=("hospital",))
    brier = over_seeds(changed, by, "brier", "brier", CHANGE)
    of_auroc = against(table, "undefended", "auroc", on=("hospital",))
    auroc = over_seeds(of_auroc, by, "auroc", "auroc", CHANGE)
    each = changed.drop_nulls("brier").sort("seed", maintain_order=True)
    by_seed = each.group_by(by, maintain_order=True).agg(
        seeds=pl.col("seed"), brier_each=pl.col("brier")
    )
    effects = brier.join(sizes, on=by, maintain_order="left")
    for part in (auroc, by_seed):
        effects = effects.join(part, on=by, how="left", maintain_order="left")
    return _by_defense(effects)


def hospital_scores(records: Sequence[RunRecord], under: pl.DataFrame) -> pl.DataFrame:
    """AUROC of each hospital with nobody attacking and under an attack, largest hospital first.

    ``under``: by ``defense`` the ``attack``. One row a defense and hospital where both have an
    AUROC: ``without`` and ``under``, means over the seeds in which both have it, and the change
    ``harm`` between them, with ``_n``, ``_low`` and ``_high``.
    """
    pairs_ = set(under.select("attack", "defense").iter_rows())
    rows = (
        pair | {"attack": record.attack} | row
        for record, pair in paired(records)
        if record.attack == "none" or (record.attack, record.defense) in pairs_
        for row in _hospital_rows(record)
    )
    table = frame(rows, HOSPITAL | {"attack": pl.String})
    by = ("defense", "attack", "hospital")
    changed = against(table, "attack_free", "auroc", on=("hospital",)).drop_nulls("auroc")
    harm = over_seeds(changed, by, "auroc", "harm", CHANGE)
    means = changed.group_by(by, maintain_order=True).agg(
        pl.col("n_train").max(), without=pl.col("base").mean()
    )
    found = means.join(harm, on=by, maintain_order="left")
    return _by_defense(found.with_columns(under=pl.col("without") + pl.col("harm")))


def privacy_utility(records: Sequence[RunRecord]) -> pl.DataFrame:
    """AUROC with nobody attacking of each defense with a record-level epsilon, and without privacy.

    One row a defense and hospital, and one for ``all`` test patients, where there is an AUROC:
    ``epsilon`` of the consortium, infinite for no defense, and the mean ``auroc`` with ``low`` and
    ``high``. It is empty unless there are at least two epsilons.
    """
    alone = [record for record in records if record.attack == "none"]
    budgets = {
        record.defense: record.value("epsilon") for record in alone if record.privacy is not None
    }
    known = {name: value for name, value in budgets.items() if value is not None}
    if any(record.defense == "none" for record in alone):
        known["none"] = math.inf
    rows = (row for record in alone if record.defense in known for row in _scored(record))
    table = frame(rows, {**dict.fromkeys(("defense", "hospital"), pl.String), "auroc": pl.Float64})
    by = ("defense", "hospital")
    found = over_seeds(table, by, "auroc", "auroc", METRICS["auroc"].range)
    found = found.rename({"auroc_low": "low", "auroc_high": "high"})
    epsilon = pl.col("defense").replace_strict(known, default=None, return_dtype=pl.Float64)
    points = found.with_columns(epsilon=epsilon)
    return points if points["epsilon"].n_unique() > 1 else points.clear()


def worst_hit(effects: pl.DataFrame) -> pl.DataFrame:
    """The hospital with the largest mean Brier change under each defense, the worst defense first.

    Only changes that are ``NOTABLE`` count. Such a change is the largest of many, picked after the
    fact, so its mean leans high. ``alike``: the other hospitals under the same defense that it is
    not distinguished from, the next largest first; only where that is empty is it the hardest hit.
    """
    notable = effects.filter(pl.col("brier") >= NOTABLE)
    ordered = notable.sort("brier", descending=True, maintain_order=True)
    worst = ordered.unique("defense", keep="first", maintain_order=True)
    rows = worst.iter_rows(named=True)
    alike = [_alike(row, effects.filter(defense=row["defense"])) for row in rows]
    return worst.with_columns(alike=pl.Series(alike, dtype=pl.List(pl.String)))


def spent(records: Sequence[RunRecord]) -> pl.DataFrame:
    """Record-level privacy of each defense and hospital in its costliest ``run``, largest first."""
    rows = (row for record in records if record.privacy is not None for row in _spent_rows(record))
    by = ("defense", "hospital")
    most = pl.col("epsilon") == pl.col("epsilon").max().over(by)
    table = frame(rows, SPENT).filter(most).unique(by, keep="first", maintain_order=True)
    return _by_defense(table)


def clips(records: Sequence[RunRecord]) -> pl.DataFrame:
    """The clip of each round of each attack-free run whose clip follows the lengths of updates."""
    rows = (
        {"defense": record.defense, "seed": record.seed, "round": number, "clip": clip}
        for record in records
        if record.attack == "none" and record.noised is not None
        for number, clip in zip(record.noised.round, record.noised.clip, strict=True)
        if len(set(record.noised.clip)) > 1
    )
    return frame(rows, CLIPS)


def _alike(worst: TableRow, others: pl.DataFrame) -> list[str]:
    """Names of ``others`` whose Brier change is not distinguished from the worst, by seed."""
    mine = dict(zip(worst["seeds"], worst["brier_each"], strict=True))
    names = []
    for row in others.sort("brier", descending=True, maintain_order=True).iter_rows(named=True):
        theirs = dict(zip(row["seeds"] or [], row["brier_each"] or [], strict=True))
        gaps = [mine[seed] - theirs[seed] for seed in mine if seed in theirs]
        if row["hospital"] != worst["hospital"] and gaps and not intervals.are_apart(gaps):
            names.append(row["hospital"])
    return names


def _hospital_rows(record: RunRecord) -> Iterator[TableRow]:
    for one in record.hospitals:
        yield {
            "defense": record.defense,
            "seed": record.seed,
            "hospital": one.hospital,
            "n_train": one.n_train,
            "brier": record.value("brier", one.hospital),
            "auroc": record.value("auroc", one.hospital),
        }


def _scored(record: RunRecord) -> Iterator[TableRow]:
    """The AUROC of a run on all test patients, and at each hospital."""
    names = [None, *(one.hospital for one in record.hospitals)]
    for name in names:
        yield {
            "defense": record.defense,
            "hospital": "all" if name is None else name,
            "auroc": record.value("auroc", name),
        }


def _spent_rows(record: RunRecord) -> Iterator[TableRow]:
    assert record.privacy is not None
    for one in record.privacy.hospitals:
        known = {"defense": record.defense, "run": record.run, "delta": record.privacy.delta}
        epsilon = record.value("epsilon", one.hospital)
        yield {**known, "epsilon": epsilon, **one.model_dump()}


def _by_defense(table: pl.DataFrame) -> pl.DataFrame:
    """Defenses in the order in which they come, hospitals of each from the largest on."""
    place = pl.col("place").min().over("defense")
    return table.with_row_index("place").sort(place, -pl.col("n_train"), "hospital").drop("place")
