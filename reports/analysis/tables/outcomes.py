"""The tradeoff of defenses, curves by round, records recovered, and replies that were not used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl

from reports.analysis.tables.pairs import frame, gaps, minus_base
from reports.analysis.tables.scores import CELL, cells, judged_by_auroc, runs
from reports.analysis.tables.studies import acting, cell, course, reads_only
from sim.evidence import RunRecord, intervals
from sim.types import TableRow

CURVE = {
    **dict.fromkeys(("attack", "defense"), pl.String),
    **dict.fromkeys(("seed", "round"), pl.Int64),
    "auroc": pl.Float64,
    "acting": pl.Boolean,
}
LOST = {**dict.fromkeys(("attack", "defense", "hospital", "reason"), pl.String), "seed": pl.Int64}
INVERSION = {
    **dict.fromkeys(("attack", "defense"), pl.String),
    **dict.fromkeys(("round", "n_seeds", "n_attacked", "n_guesses", "n_recovered"), pl.Int64),
    "n_shuffled": pl.Int64,
    **dict.fromkeys(("rate", "rate_low", "rate_high", "summed"), pl.Float64),
    **dict.fromkeys(("summed_low", "summed_high"), pl.Int64),
    "noised": pl.Boolean,
}
IMAGES = {
    **dict.fromkeys(("attack", "defense", "image"), pl.String),
    "n": pl.Int64,
    **dict.fromkeys(("mse", "psnr", "ssim"), pl.Float64),
}
FIELDS = {
    **dict.fromkeys(("attack", "defense", "field"), pl.String),
    "n": pl.Int64,
    **dict.fromkeys(("certainty", "guess", "shuffled", "random", "typical"), pl.Float64),
}
ISOLATION = {
    **dict.fromkeys(("attack", "defense"), pl.String),
    **dict.fromkeys(("n_colluding", "n_hospitals", "n_seeds"), pl.Int64),
    **dict.fromkeys(("n_attacked", "n_recovered", "smallest"), pl.Int64),
    "error": pl.Float64,
    "open": pl.Boolean,
}


def tradeoff(records: Sequence[RunRecord], known: pl.DataFrame | None = None) -> pl.DataFrame:
    """One row a defense that ran unattacked and attacked: ``utility``, and its ``worst`` attack's.

    These are means of AUROC with ``_low`` and ``_high``; ``worst_lowest``: in the worst of
    ``n_seeds``; ``attack`` names the worst one, ``n_attacks`` how many were tried, ``epsilon`` the
    privacy. ``behind`` with ``_n``, ``_low`` and ``_high``: ``worst`` minus that of the defense
    with the highest mean, seed by seed; ``behind_most``: in the seed in which it comes closest;
    null for the highest itself. ``apart``: whether they are distinguished. ``n_undefined``:
    attacked runs whose model has no figure, which ``worst`` leaves out. ``known``: the frame of
    ``cells`` of these runs, where it is there already.
    """
    judged = judged_by_auroc(cells(records) if known is None else known)
    attacked = judged.filter(pl.col("attack") != "none")
    counts = attacked.group_by("defense").agg(
        n_attacks=pl.len().cast(pl.Int64), n_undefined=pl.col("n_undefined").sum()
    )
    defined = pl.col("mean").is_not_null()
    control = judged.filter(defined, pl.col("attack") == "none")
    alone = control.select("defense", "epsilon", *_means_as("utility"))
    hit = attacked.filter(defined).join(alone, on="defense", how="semi", maintain_order="left")
    order = hit.sort("mean", maintain_order=True)
    worst = order.unique("defense", keep="first", maintain_order=True)
    behind = _behind_best(runs(records).with_columns(value=pl.col("auroc")), worst)
    lowest = {"worst_lowest": pl.col("lowest"), "n_seeds": pl.col("n")}
    worst = worst.select("defense", "attack", *_means_as("worst"), **lowest)
    points = alone.join(worst, on="defense", maintain_order="left")
    points = points.join(counts, on="defense", maintain_order="left")
    points = points.join(behind, on="defense", how="left", maintain_order="left")
    return points.with_columns(pl.col("behind_n").fill_null(0))


def curves(records: Sequence[RunRecord]) -> pl.DataFrame:
    """AUROC on all test patients by round: mean over seeds, lowest and highest seed.

    ``acting``: the attack acts in this round. Attacks that only read are left out.
    """
    shown = [record for record in records if not reads_only(record)]
    table = frame((row for record in shown for row in _curve_rows(record)), CURVE)
    value = pl.col("auroc")
    grouped = table.group_by(*CELL, "round", maintain_order=True)
    means = grouped.agg(
        n=pl.len(),
        mean=value.mean(),
        low=value.min(),
        high=value.max(),
        acting=pl.col("acting").any(),
    )
    return means.sort("round", maintain_order=True)


def inversions(records: Sequence[RunRecord]) -> pl.DataFrame:
    """One row a reconstruction attack, with all that ran beside it, and a defense, over all seeds.

    ``n_recovered`` of ``n_attacked`` records are a ``rate`` with exact bounds that take records as
    independent, ``n_shuffled`` those from shuffled updates (null where none was shuffled);
    ``summed``: mean number of records in a row that the attacker saw, ``_low`` and
    ``_high`` the fewest and most; ``noised``: with differential privacy.
    """
    groups = _inverted(records).items()
    rows = (_inversion_row(attack, defense, group) for (attack, defense), group in groups)
    return frame(rows, INVERSION)


def images(records: Sequence[RunRecord]) -> pl.DataFrame:
    """Mean scores of ``n`` attacked images, over all seeds, for each attack and defense.

    ``image``: the nearest guess, then the images that need no attack.
    """
    rows = []
    for (attack, defense), group in _inverted(records).items():
        scores = [one.inversion.images for one in group if one.inversion is not None]
        of = [one for one in scores if one is not None]
        kinds = {
            "nearest guess": [one.guess for one in of],
            "nearest guess from a shuffled update": [one.shuffled for one in of],
            "mean color": [one.mean_color for one in of],
            "random pixels": [one.random for one in of],
        }
        for image, found in kinds.items():
            each = {
                "mse": [value for one in found for value in one.mse],
                "psnr": [value for one in found for value in one.psnr],
                "ssim": [value for one in found for value in one.ssim],
            }
            if n := len(each["mse"]):
                means = {name: sum(values) / n for name, values in each.items()}
                rows.append({"attack": attack, "defense": defense, "image": image, "n": n, **means})
    return frame(rows, IMAGES)


def fields(records: Sequence[RunRecord]) -> pl.DataFrame:
    """The share of ``n`` attacked rows in which each field is right, for each attack and defense.

    Over all seeds: of the ``guess``, of that from a ``shuffled`` update, and of ``random`` and
    ``typical`` rows. ``certainty``: how sure the attacker was, null where it could not tell.
    """
    rows = []
    for (attack, defense), group in _inverted(records).items():
        scores = [one.inversion.fields for one in group if one.inversion is not None]
        found = [
            (len(one.hospital), field) for one in scores if one is not None for field in one.fields
        ]
        for name in dict.fromkeys(field.field for _, field in found):
            of = [(n, field) for n, field in found if field.field == name]
            total = sum(n for n, _ in of)
            shares = {
                side: sum(n * getattr(field, side) for n, field in of) / total
                for side in ("guess", "shuffled", "random", "typical")
            }
            sure = [(n, field.certainty) for n, field in of if field.certainty is not None]
            n_sure = sum(n for n, _ in sure)
            certainty = sum(n * value for n, value in sure) / n_sure if n_sure else None
            cell_ = {"attack": attack, "defense": defense, "field": name}
            rows.append({**cell_, "n": total, "certainty": certainty, **shares})
    return frame(rows, FIELDS)


def _inverted(records: Sequence[RunRecord]) -> dict[tuple[str, str], list[RunRecord]]:
    """The runs that were inverted, by attack and defense."""
    groups: dict[tuple[str, str], list[RunRecord]] = {}
    for record in records:
        if record.inversion is not None:
            groups.setdefault((record.attack, record.defense), []).append(record)
    return groups


def recovered_none(inversions: pl.DataFrame) -> list[tuple[list[str], list[str], float]]:
    """The attacks that recovered no record, the defenses under which they did not, and a bound.

    Defenses under which the same attacks recovered none are together. The bound is the largest
    share that still fits. No defense at all is left out.
    """
    none = inversions.filter(pl.col("defense") != "none", pl.col("n_recovered") == 0)
    by = none.drop_nulls("rate").group_by("defense", maintain_order=True)
    each = by.agg(pl.col("attack").unique(maintain_order=True), pl.col("rate_high").max())
    found: dict[tuple[str, ...], list[TableRow]] = {}
    for row in each.rows(named=True):
        found.setdefault(tuple(row["attack"]), []).append(row)
    return [
        (list(attacks), [row["defense"] for row in rows], max(row["rate_high"] for row in rows))
        for attacks, rows in found.items()
    ]


def isolations(records: Sequence[RunRecord]) -> pl.DataFrame:
    """One row an attack on secure aggregation, with all that ran beside it, and a defense.

    Over all seeds, ``n_recovered`` of ``n_attacked`` updates; ``error``: of the best one;
    ``smallest``: honest hospitals in the smallest sum that was held. ``n_colluding`` of
    ``n_hospitals`` hospitals pooled their updates with what the aggregator saw. ``open``: no sum
    hides updates, for the aggregator is sent each by itself.
    """
    groups: dict[tuple[str, str, int], list[RunRecord]] = {}
    for record in records:
        if record.isolation is not None:
            n_colluding = len(record.isolation.colluding)
            cell_ = (record.attack, record.defense, n_colluding)
            groups.setdefault(cell_, []).append(record)
    return frame((_isolation_row(*key, group) for key, group in groups.items()), ISOLATION)


def screened(records: Sequence[RunRecord]) -> pl.DataFrame:
    """Replies that were not used, by attack, reason and those defenses that lost the same.

    ``n``: replies of each of ``hospitals``; ``n_runs``: runs of each of ``defenses``.
    """
    rows = (
        {**cell(record), "hospital": lost.hospital, "reason": lost.reason}
        for record in records
        for lost in record.screened
    )
    by = (*CELL, "reason")
    grouped = frame(rows, LOST).group_by(*by, "hospital", maintain_order=True)
    table = grouped.agg(n=pl.len(), n_runs=pl.col("seed").n_unique())
    alike = table.group_by(*by, "n", "n_runs", maintain_order=True)
    of_cell = alike.agg(hospitals=pl.col("hospital").sort())
    same = of_cell.group_by("attack", "reason", "n", "n_runs", "hospitals", maintain_order=True)
    found = same.agg(defenses=pl.col("defense"))
    return found.sort("n", descending=True, maintain_order=True)


def _curve_rows(record: RunRecord) -> Iterator[TableRow]:
    found = course(record)
    acts = acting(record, [number for number, _ in found])
    for (number, value), act in zip(found, acts, strict=True):
        yield {**cell(record), "round": number, "auroc": value, "acting": act}


def _isolation_row(
    attack: str, defense: str, n_colluding: int, group: Sequence[RunRecord]
) -> TableRow:
    found = [one for one in (record.outcome("updates_recovered") for record in group) if one]
    errors = [error for record in group if (error := record.value("update_error")) is not None]
    sizes = [size for record in group if (size := record.value("smallest_sum")) is not None]
    return {
        "attack": attack,
        "defense": defense,
        "n_colluding": n_colluding,
        "n_hospitals": group[0].n_hospitals,
        "n_seeds": len(group),
        "n_attacked": sum(one.n or 0 for one in found),
        "n_recovered": sum(round((one.value or 0.0) * (one.n or 0)) for one in found),
        "error": min(errors, default=None),
        "smallest": None if not sizes else round(min(sizes)),
        "open": defense == "none" or any(_sees_updates(record) for record in group),
    }


def _sees_updates(record: RunRecord) -> bool:
    """Whether the aggregator is sent each update by itself, as it is or noised."""
    found = [one.after for one in record.access if one.party == "the aggregator"]
    return any(assets.get("single update", "").startswith("sees") for assets in found)


def _inversion_row(attack: str, defense: str, group: Sequence[RunRecord]) -> TableRow:
    found = [record.inversion for record in group if record.inversion is not None]
    attacked = sum(record.n_attacked for record in group)
    recovered = sum(record.n_recovered for record in group)
    low, high = intervals.rate_interval(recovered, attacked) if attacked else (None, None)
    summed = [n for one in found for n in one.records_in_row]
    null = [record.outcome("reconstruction_rate_shuffled") for record in group]
    shuffled = [round((one.value or 0.0) * (one.n or 0)) for one in null if one is not None]
    return {
        "attack": attack,
        "defense": defense,
        "round": found[0].round,
        "n_seeds": len(found),
        "n_attacked": attacked,
        "n_guesses": sum(one.n_guesses for one in found),
        "n_recovered": recovered,
        "n_shuffled": sum(shuffled) if len(shuffled) == len(group) else None,
        "rate": recovered / attacked if attacked else None,
        "rate_low": low,
        "rate_high": high,
        "summed": sum(summed) / len(summed) if summed else None,
        "summed_low": min(summed, default=None),
        "summed_high": max(summed, default=None),
        "noised": any(record.privacy is not None for record in group),
    }


def _behind_best(table: pl.DataFrame, worst: pl.DataFrame) -> pl.DataFrame:
    """Each defense's outcome under its worst attack minus the highest of these, seed by seed."""
    best = worst.sort("mean", descending=True, maintain_order=True)["defense"].head(1)
    under = table.join(worst.select(CELL), on=CELL, how="semi", maintain_order="left")
    of_best = pl.col("defense").is_in(best.implode())
    base = under.filter(of_best).select("seed", base="value")
    others = under.filter(~of_best).join(base, on="seed", maintain_order="left")
    return gaps(minus_base(others, "value"), "value")


def _means_as(name: str) -> list[pl.Expr]:
    columns = ("mean", "mean_low", "mean_high")
    return [pl.col(column).alias(column.replace("mean", name)) for column in columns]
