"""Attacked rows of a table beside guesses and beside rows that need no attack, field by field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from sim.evidence import Agreement, FieldScores, OfField, Outcome, outcome
from sim.evidence.fields import TOLERANCE
from sim.types import Field, Guess, Schema, TableSchema

MOST = 256  # records behind a row that are scored; among more, guesses tell nothing
ABSENT = 1e9  # stands for a value that is absent, far from all that are not
ROUNDING = 1e-6  # of float32, in standard deviations

Coded = NDArray[np.float64]  # (n_fields, n): the number of the level, or the continuous value
Side: TypeAlias = Literal["guess", "shuffled", "random", "typical"]
SIDES: tuple[Side, ...] = ("guess", "shuffled", "random", "typical")


@dataclass(frozen=True, eq=False)
class Behind:
    """The records behind one row of a view, and the guesses made of them.

    ``hospitals``: whose each record is. ``records`` (n, n_features). ``own`` (n_own, n_features):
    all training records of these hospitals. ``null``: the guess from the shuffled row.
    """

    hospitals: Sequence[str]
    records: NDArray[np.float32]
    own: NDArray[np.float32]
    guess: Guess
    null: Guess


def field_scores(
    schema: TableSchema,
    rows: Sequence[Behind],
    everybody: NDArray[np.float32],
    rng: np.random.Generator,
) -> FieldScores | None:
    """The scores of the guesses made of all rows of a view.

    None where nothing was guessed, or more than ``MOST`` records are behind a row. ``everybody``
    (n_all, n_features): the training records of the consortium.
    """
    behind = [one for one in rows if len(one.records)]
    most = max((len(one.records) for one in behind), default=0)
    if not any(len(one.guess.records) for one in behind) or most > MOST:
        return None
    truth = np.concatenate([coded(schema, one.records) for one in behind], axis=1)
    laid = [_laid_beside(schema, one, rng) for one in behind]
    sides = {side: np.concatenate([one[side] for one in laid], axis=1) for side in SIDES}
    right = {side: _agree(schema, truth, of_side) for side, of_side in sides.items()}
    others = coded(schema, everybody)
    agreements = {
        side: Agreement(
            right=right[side].mean(axis=0).round(6).tolist(),
            exact=np.asarray(right[side].all(axis=0)).tolist(),
            singled_out=_singled_out(schema, truth, sides[side], others).tolist(),
        )
        for side in SIDES
    }
    certainty = np.concatenate([one["certainty"] for one in laid], axis=1)
    surest, least_sure = _halves(right["guess"], certainty)
    return FieldScores(
        hospital=[name for one in behind for name in one.hospitals],
        **agreements,
        fields=list(_of_fields(schema, right, certainty)),
        surest=surest,
        least_sure=least_sure,
    )


def field_outcomes(scores: FieldScores | None) -> list[Outcome]:
    """The mean scores of the attacked rows; nothing where nothing was scored."""
    if scores is None:
        return []
    n = len(scores.hospital)
    means = {
        f"{metric}{ending}": float(np.mean(values))
        for ending, side in (("", scores.guess), ("_shuffled", scores.shuffled))
        for metric, values in (
            ("feature_accuracy", side.right),
            ("exact_match_rate", side.exact),
            ("singled_out_rate", side.singled_out),
        )
    }
    means["feature_gain"] = means["feature_accuracy"] - scores.baseline
    return [outcome(metric, value, n) for metric, value in means.items()]


def coded(schema: TableSchema, records: NDArray[np.floating]) -> Coded:
    """Records (n, n_features) with one value a field: see ``Coded``; ``ABSENT`` where it is."""
    found = np.empty((len(schema.fields), len(records)))
    for at, field in enumerate(schema.fields):
        if field.kind == "categorical":
            found[at] = records[:, list(field.columns)].argmax(axis=1)
        else:
            found[at] = records[:, field.columns[0]]
            if field.missing is not None:
                found[at, records[:, field.missing] > 0.5] = ABSENT
    return found


def typical(schema: TableSchema, records: NDArray[np.floating]) -> NDArray[np.float64]:
    """The record (n_features,) of the mean values and the most common levels of ``records``.

    A continuous value that most records do not have is absent.
    """
    found = np.zeros(schema.n_features)
    for field in schema.fields:
        columns = list(field.columns)
        if field.kind == "categorical":
            found[columns[records[:, columns].sum(axis=0).argmax()]] = 1
            continue
        values = records[:, columns[0]]
        if field.missing is not None:
            absent = records[:, field.missing] > 0.5
            found[field.missing] = 2 * absent.sum() > len(absent)
            values = values[~absent]
        if field.missing is None or not found[field.missing]:
            found[columns[0]] = values.mean(dtype=np.float64)
    return found


def right_fields(
    schema: Schema, record: NDArray[np.floating], other: NDArray[np.floating] | None
) -> list[str]:
    """The names of the fields in which another row has a record right; none of an image."""
    if not isinstance(schema, TableSchema) or other is None:
        return []
    same = _agree(schema, *(coded(schema, one[None]) for one in (record, other)))[:, 0]
    return [field.name for field, is_right in zip(schema.fields, same, strict=True) if is_right]


def _laid_beside(
    schema: TableSchema, behind: Behind, rng: np.random.Generator
) -> Mapping[str, NDArray[np.float64]]:
    """The row of each side for each record, (n_fields, n), and the ``certainty`` of the guesses."""
    truth = coded(schema, behind.records)
    own = coded(schema, behind.own)
    instead = coded(schema, typical(schema, behind.own)[None])
    drawn = [values[rng.integers(len(values), size=truth.shape[1])] for values in own]
    found = {"typical": np.repeat(instead, truth.shape[1], axis=1)}
    for side, rows in (
        ("random", np.array(drawn)),
        ("shuffled", coded(schema, behind.null.records)),
        ("guess", coded(schema, behind.guess.records)),
    ):
        at = _assigned(schema, truth, rows)
        found[side] = np.concatenate([rows, instead], axis=1)[:, at]
    sure = behind.guess.certainty
    known = np.full(rows.shape, np.nan) if sure is None else sure.T
    found["certainty"] = np.concatenate([known, np.full_like(instead, np.nan)], axis=1)[:, at]
    return found


def _assigned(schema: TableSchema, truth: Coded, rows: Coded) -> NDArray[np.intp]:
    """Which row is laid beside each record, so that most fields agree; -1 where none is left."""
    found = np.full(truth.shape[1], -1, dtype=np.intp)
    counts = _agree(schema, truth[:, :, None], rows[:, None, :]).sum(axis=0)
    records, at = linear_sum_assignment(counts, maximize=True)
    found[records] = at
    return found


def _agree(schema: TableSchema, one: Coded, other: Coded) -> NDArray[np.bool_]:
    """Where the fields of coded records agree: levels are equal, values within the tolerance."""
    room = np.array([_room(field) for field in schema.fields])
    return np.abs(one - other) <= room.reshape(-1, *[1] * (one.ndim - 1))


def _room(field: Field) -> float:
    return 0.0 if field.kind == "categorical" else TOLERANCE + ROUNDING


def _singled_out(
    schema: TableSchema, truth: Coded, rows: Coded, everybody: Coded
) -> NDArray[np.bool_]:
    """Whether each row agrees with its record in more fields than with any other of everybody."""
    own = _agree(schema, truth, rows).sum(axis=0)
    agreeing = _agree(schema, everybody[:, :, None], rows[:, None, :]).sum(axis=0)
    same = (everybody[:, :, None] == truth[:, None, :]).all(axis=0)
    most = np.where(same, -1, agreeing).max(axis=0, initial=-1)
    return np.asarray((own > most) & (same.sum(axis=0) <= 1))


def _halves(
    right: NDArray[np.bool_], certainty: NDArray[np.float64]
) -> tuple[float | None, float | None]:
    """The share right in the half of which the attacker is surest, and in the other half."""
    known = np.isfinite(certainty)
    order = np.argsort(-certainty[known], kind="stable")
    if len(order) < 2:
        return None, None
    ordered = right[known][order]
    middle = len(ordered) // 2
    surest, least_sure = (round(float(half.mean()), 6) for half in np.split(ordered, [middle]))
    return surest, least_sure


def _of_fields(
    schema: TableSchema,
    right: Mapping[Side, NDArray[np.bool_]],
    certainty: NDArray[np.float64],
) -> list[OfField]:
    shares = {side: of_side.mean(axis=1).round(6).tolist() for side, of_side in right.items()}
    found = []
    for at, field in enumerate(schema.fields):
        sure = certainty[at][np.isfinite(certainty[at])]
        found.append(
            OfField(
                field=field.name,
                certainty=round(float(sure.mean()), 6) if len(sure) else None,
                **{side: values[at] for side, values in shares.items()},
            )
        )
    return found
