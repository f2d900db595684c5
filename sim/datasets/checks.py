"""Checks and notes of every data set before round 1, whoever wrote it.

The ``Consortium`` value itself is checked. Errors name the place (hospital, part, field) and how
many values are wrong, never a value of a patient.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.errors import InputError, whole
from sim.types import Consortium, Field, Hospital, ImageSchema, Records, Schema, TableSchema
from sim.untrusted import type_name

ALL = "all"  # what curves call the test patients of all hospitals together
ROUNDING = 1e-12  # the spread of a field, relative to its values, that rounding may have made
FAR = 1e4  # standard deviations from the mean from which a value is noted


def check(consortium: Consortium) -> None:
    """Refuse a consortium that no run could use, or that would make its figures wrong.

    Raises ``InputError`` for the first thing that is wrong.
    """
    if not consortium.hospitals:
        raise InputError("hospitals", "none", "expected at least one hospital")
    _check_names(consortium.names)
    _check_schema(consortium.schema)
    for hospital in consortium.hospitals:
        for part, records in _parts(hospital):
            _check_records(f"hospital {hospital.name}, {part} records", records, consortium.schema)
        if not len(hospital.train):
            raise InputError(
                f"hospital {hospital.name}", "no training records", "expected at least one"
            )
    if not any(len(hospital.test) for hospital in consortium.hospitals):
        raise InputError(
            "hospitals", "no test records", "expected test records at one hospital at least"
        )
    _check_apart(consortium)


def notes(consortium: Consortium) -> list[str]:
    """Sentences on the data that a reader of the figures should know; empty where there are none.

    Records that agree in every feature may be one patient or two who are alike, so they are counted
    and not refused.
    """
    found = (_repeated, _one_class, _far_values)
    return [*consortium.notes, *(text for notes in found for text in notes(consortium))]


def is_constant(low: float, high: float) -> bool:
    """Whether values from ``low`` to ``high`` differ by no more than rounding."""
    return high - low <= ROUNDING * max(abs(low), abs(high))


def _parts(hospital: Hospital) -> tuple[tuple[str, Records], tuple[str, Records]]:
    return ("training", hospital.train), ("test", hospital.test)


def _check_names(names: tuple[str, ...]) -> None:
    seen: dict[str, str] = {}
    for name in names:
        if not isinstance(name, str) or not name.strip() or not name.isprintable():
            raise InputError("hospital name", ascii(name), "expected printable characters")
        folded = unicodedata.normalize("NFKC", name).casefold()
        alike = unicodedata.normalize("NFKC", folded).strip()
        if alike == ALL:
            expected = "expected another, because it stands for all hospitals together"
            raise InputError("hospital name", name, expected)
        if alike in seen:
            other = "" if seen[alike] == name else f" (the other is {seen[alike]})"
            expected = f"expected each name once, also up to case and Unicode form{other}"
            raise InputError("hospital name", name, expected)
        seen[alike] = name
    if list(names) != sorted(names):
        raise InputError("hospitals", ", ".join(names[:5]), "expected in order of their names")


def _check_schema(schema: Schema) -> None:
    if not isinstance(schema, TableSchema | ImageSchema):
        shown = f"an object of type {type_name(type(schema))}"
        raise InputError("schema", shown, "expected TableSchema or ImageSchema")
    if isinstance(schema, ImageSchema):
        whole(1, height=schema.height, width=schema.width, channels=schema.channels)
    columns = [column for field in schema.fields for column in field.columns]
    columns += [field.missing for field in schema.fields if field.missing is not None]
    if sorted(columns) != list(range(schema.n_features)):
        expected = f"expected each of {schema.n_features} features in one field"
        raise InputError("schema", f"{len(columns)} columns", expected)
    for field in schema.fields:
        if field.kind == "continuous":
            _check_scale(field)


def _check_scale(field: Field) -> None:
    if not (np.isfinite(field.center) and np.isfinite(field.scale) and field.scale > 0):
        raise InputError(
            f"field {field.name}",
            f"a center of {_kind(field.center)}, a scale of {_kind(field.scale)}",
            "expected finite numbers and a scale above 0",
        )
    if field.scale <= ROUNDING * abs(field.center):
        shown = "a scale that is rounding beside its center"  # which is the value of every patient
        expected = "expected values that differ by more than rounding, or the field left out"
        raise InputError(f"field {field.name}", shown, expected)


def _kind(value: float) -> str:
    """What kind of number a value is; the value itself may be that of a patient."""
    if not np.isfinite(value):
        return f"{value:g}"
    return "0" if value == 0 else "a number above 0" if value > 0 else "a number below 0"


def _check_records(place: str, records: Records, schema: Schema) -> None:
    features = records.features
    labels = records.labels
    for name, array, n_dimensions in (("features", features, 2), ("labels", labels, 1)):
        if type(array) is not np.ndarray or array.dtype != np.float32 or array.ndim != n_dimensions:
            form = f"{getattr(array, 'dtype', '')} {getattr(array, 'shape', '')}"
            shown = f"{type(array).__name__} {form}".strip()
            expected = f"expected a numpy array of float32 with {n_dimensions} dimensions"
            raise InputError(f"{place}, {name}", shown, expected)
    if len(features) != len(labels):
        shown = f"{len(features)} rows, {len(labels)} labels"
        raise InputError(place, shown, "expected one label for each row")
    if features.shape[1] != schema.n_features:
        expected = f"expected {schema.n_features}, as the schema has"
        raise InputError(place, f"{features.shape[1]} features", expected)
    broken = ~np.isfinite(features)
    if broken.any():
        column = int(broken.any(axis=0).argmax())
        shown = f"NaN or infinity in {_values(int(broken[:, column].sum()))}"
        raise InputError(f"{place}, {_field_of(schema, column)}", shown, "expected finite numbers")
    wrong = int((~np.isin(labels, (0, 1))).sum())
    if wrong:
        shown = f"neither 0 nor 1 in {_values(wrong)}"
        raise InputError(f"{place}, labels", shown, "expected 0 or 1 everywhere")


def _field_of(schema: Schema, column: int) -> str:
    return next(
        f"field {field.name}"
        for field in schema.fields
        if column in (*field.columns, field.missing)
    )


def _values(n: int) -> str:
    return f"{n} value" if n == 1 else f"{n} values"


def _check_apart(consortium: Consortium) -> None:
    """Refuse records that stand in two places.

    They are one object in two places, or memory that training and test records of a hospital share.
    """
    seen = defaultdict[tuple[object, ...], list[tuple[NDArray[np.float32], str]]](list)
    for hospital in consortium.hospitals:
        for part, records in _parts(hospital):
            place = f"{part} records of {hospital.name}"
            if not len(records):
                continue
            alike = seen[records.features.shape, records.features[:1].tobytes()]
            for features, elsewhere in alike:
                if features is records.features:
                    expected = "expected each record in one place only"
                    raise InputError("hospitals", f"{place}, {elsewhere}", expected)
            alike.append((records.features, place))
        if _overlap(hospital.train.features, hospital.test.features):
            expected = "expected other records for training than for test"
            raise InputError(f"hospital {hospital.name}", "the same rows", expected)


def _overlap(one: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    effort: Any = 10_000  # enough for slices of one array, in milliseconds
    try:
        return bool(np.shares_memory(one, other, max_work=effort))
    except np.exceptions.TooHardError:
        return False


def _repeated(consortium: Consortium) -> Iterator[str]:
    hospitals = consortium.hospitals
    parts = [part.features for hospital in hospitals for part in (hospital.train, hospital.test)]
    rows = np.ascontiguousarray(np.concatenate(parts) + np.float32(0))  # -0 and 0 are one value
    whole = rows.view(np.dtype((np.void, rows.itemsize * rows.shape[1]))).ravel()
    kind = np.unique(whole, return_inverse=True)[1].ravel()
    part_of = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    is_test = part_of % 2 == 1
    both = np.isin(kind[is_test], kind[~is_test]).sum()
    if both:
        yield (
            f"{both} of {is_test.sum()} test records agree with a training record in every feature;"
            " if they are the same patients, the figures flatter the model."
        )
    pairs = np.unique(np.column_stack([kind, part_of // 2]), axis=0)
    shared = int((np.bincount(pairs[:, 0], minlength=1) > 1).sum())
    if shared:
        yield (
            f"{shared} {'record is' if shared == 1 else 'records are'} found in more than one"
            " hospital with the same features; a patient of several hospitals is less protected by"
            " differential privacy than epsilon states."
        )


def _one_class(consortium: Consortium) -> Iterator[str]:
    for part in ("training", "test"):
        labels = np.concatenate(
            [dict(_parts(hospital))[part].labels for hospital in consortium.hospitals]
        )
        if len(np.unique(labels)) == 1:
            word = "with" if labels[0] else "without"
            yield f"All {len(labels)} {part} records are {word} the condition."


def _far_values(consortium: Consortium) -> Iterator[str]:
    for hospital in consortium.hospitals:
        for part, records in _parts(hospital):
            if len(records) and (most := np.abs(records.features).max(axis=0)).max() > FAR:
                field = _field_of(consortium.schema, int(most.argmax()))
                yield (
                    f"{field} of {hospital.name} has {part} records further than {FAR:g} standard"
                    " deviations from the mean; they outweigh all others."
                )
