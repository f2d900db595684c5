"""No data set, whoever wrote it, reaches round 1 with values that make its figures wrong; what may
be chance is noted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.datasets import checks
from sim.datasets.encoding import decode, encode, lay_out
from sim.datasets.synthetic import Synthetic
from sim.datasets.table import Site, Table, consortium
from sim.errors import InputError
from sim.seeds import stream
from sim.study.run import run
from sim.types import Consortium, Field, Hospital, ImageSchema, Records, TableSchema
from tests.federation import experiment

SECRET = 123456.75  # a patient's value, which no message may repeat


def made(
    names: tuple[str, ...] = ("a", "b"), n_train: int = 8, n_test: int = 6, n_features: int = 3
) -> Consortium:
    """A sound consortium of random records."""
    schema = TableSchema(
        tuple(Field(f"x{i}", "continuous", (i,)) for i in range(n_features)), n_features
    )
    hospitals = tuple(
        Hospital(name, name, drawn(name, "train", n_train), drawn(name, "test", n_test))
        for name in names
    )
    return Consortium("made", hospitals, schema, True, "0" * 64)


def drawn(name: str, part: str, n: int, n_features: int = 3) -> Records:
    rng = stream(0, "made", ascii(name), part)
    features = rng.normal(size=(n, n_features)).astype(np.float32)
    return Records(features, (np.arange(n) % 2).astype(np.float32))


def changed(part: str, change: Callable[[Records], Records], place: int = 1) -> Consortium:
    """The sound consortium with the records of one part of hospital b changed."""
    sound = made()
    hospitals = list(sound.hospitals)
    hospitals[place] = replace(hospitals[place], **{part: change(getattr(hospitals[place], part))})
    return replace(sound, hospitals=tuple(hospitals))


def with_feature(value: float) -> Callable[[Records], Records]:
    def change(records: Records) -> Records:
        features = records.features.copy()
        features[1] = SECRET
        features[1, 2] = value
        return Records(features, records.labels)

    return change


def with_label(value: float) -> Callable[[Records], Records]:
    def change(records: Records) -> Records:
        labels = records.labels.copy()
        labels[1] = value
        return Records(records.features, labels)

    return change


def renamed(*names: str) -> Consortium:
    return made(names=names)


def with_field(**changes: float) -> Consortium:
    sound = made()
    fields = (replace(sound.schema.fields[0], **changes), *sound.schema.fields[1:])
    return replace(sound, schema=TableSchema(fields, 3))


PLACE = {"train": "hospital b, training records", "test": "hospital b, test records"}
ONE = drawn("a", "train", 8)
WRONG: dict[str, tuple[Callable[[], Consortium], str]] = {
    "no hospital": (lambda: made(names=()), "hospitals=none: expected at least one hospital"),
    "one name twice": (lambda: renamed("a", "a"), "hospital name=a: expected each name once"),
    "names that differ in case": (
        lambda: renamed("Mercy", "mercy"),
        "hospital name=mercy: expected each name once",
    ),
    "names that differ in Unicode form": (
        lambda: renamed("Köln", "Köln"),
        "expected each name once",
    ),
    "names that differ in width": (
        lambda: renamed("A1", "\uff21\uff11"),
        "expected each name once",
    ),
    "names that differ in a space": (lambda: renamed("a", "a "), "expected each name once"),
    "an empty name": (lambda: renamed("", "a"), "hospital name='': expected printable characters"),
    "a name with an escape": (
        lambda: renamed("a", "b\x1b[2J"),
        r"hospital name='b\x1b[2J': expected printable characters",
    ),
    "a name with half a character": (
        lambda: renamed("a", "b\ud800"),
        r"hospital name='b\ud800': expected printable",
    ),
    "the name of all together": (
        lambda: renamed("ALL", "b"),
        "hospital name=ALL: expected another",
    ),
    "names out of order": (
        lambda: renamed("b", "a"),
        "hospitals=b, a: expected in order of their names",
    ),
    "no training records": (
        lambda: changed("train", lambda r: r.take([])),
        "hospital b=no training records: expected at least",
    ),
    "no test records anywhere": (
        lambda: made(n_test=0),
        "hospitals=no test records: expected test records at one",
    ),
    "a column too many": (
        lambda: changed("test", lambda r: Records(np.c_[r.features, r.features[:, :1]], r.labels)),
        "hospital b, test records=4 features: expected 3",
    ),
    "a label too few": (
        lambda: changed("train", lambda r: Records(r.features, r.labels[1:])),
        "hospital b, training records=8 rows, 7 labels: expected one label for each row",
    ),
    "features of one dimension": (
        lambda: changed("train", lambda r: Records(r.features[:, 0], r.labels)),
        "hospital b, training records, features=ndarray float32 (8,): expected a numpy array of "
        "float32",
    ),
    "features that are masked": (
        lambda: changed("train", lambda r: Records(np.ma.masked_array(r.features), r.labels)),
        "features=MaskedArray float32 (8, 3): expected a numpy array",
    ),
    "features of float64": (
        lambda: changed("train", lambda r: Records(r.features.astype(np.float64), r.labels)),
        "features=ndarray float64 (8, 3): expected",
    ),
    "the same object for training and test": (
        lambda: replace(made(), hospitals=(Hospital("b", "b", ONE, ONE),)),
        "hospitals=test records of b, training records of b: expected each record in one place "
        "only",
    ),
    "the same object in two hospitals": (
        lambda: replace(
            made(), hospitals=tuple(Hospital(x, x, ONE, drawn(x, "test", 6)) for x in "ab")
        ),
        "hospitals=training records of b, training records of a: expected each record in one place "
        "only",
    ),
    "training and test cut from one array with an overlap": (
        lambda: replace(
            made(names=("a",)),
            hospitals=(Hospital("a", "a", ONE.take(slice(0, 5)), ONE.take(slice(4, 8))),),
        ),
        "hospital a=the same rows: expected other records for training than for test",
    ),
    "a scale of zero": (
        lambda: with_field(scale=0.0),
        "field x0=a center of 0, a scale of 0: expected finite",
    ),
    "a scale that is not finite": (
        lambda: with_field(scale=np.inf),
        "field x0=a center of 0, a scale of inf: expected finite",
    ),
    "a center that is not finite": (
        lambda: with_field(center=np.nan),
        "field x0=a center of nan, a scale of a number",
    ),
    "a scale that rounding made": (
        lambda: with_field(center=0.1, scale=2.8e-17),
        "field x0=a scale that is rounding beside its center: expected",
    ),
    "an image without columns": (
        lambda: replace(made(), schema=ImageSchema(3, 0, 1, 0.0, 1.0)),
        "width=0: expected a whole number of at least 1",
    ),
    "an image whose pixels have one value": (
        lambda: replace(made(), schema=ImageSchema(1, 3, 1, 2.0, 2.0)),
        "field pixel_0_0=a center of a number above 0, a scale of 0: expected finite",
    ),
    "an image of another size": (
        lambda: replace(made(), schema=ImageSchema(2, 2, 1, 0.0, 1.0)),
        "hospital a, training records=3 features: expected 4, as the schema has",
    ),
    "a schema of a kind that is none": (
        lambda: replace(made(), schema=("x0", "x1", "x2")),
        "schema=an object of type tuple: expected TableSchema or ImageSchema",
    ),
    "a field without columns of its own": (
        lambda: with_field(columns=(1,)),
        "schema=3 columns: expected each of 3 features",
    ),
    **{
        f"a feature of {value} in {part}": (
            lambda value=value, part=part: changed(part, with_feature(value)),
            f"{PLACE[part]}, field x2=NaN or infinity in 1 value: expected finite numbers",
        )
        for value in (np.nan, np.inf, -np.inf)
        for part in PLACE
    },
    **{
        f"a label of {value} in {part}": (
            lambda value=value, part=part: changed(part, with_label(value)),
            f"{PLACE[part]}, labels=neither 0 nor 1 in 1 value: expected 0 or 1 everywhere",
        )
        for value in (2, 4, -1, 0.5, np.nan, np.inf)
        for part in PLACE
    },
    **{
        f"labels of {kind}": (
            lambda kind=kind: changed("test", lambda r: Records(r.features, r.labels.astype(kind))),
            f"hospital b, test records, labels=ndarray {np.dtype(kind)} (6,): expected a numpy "
            "array of float32",
        )
        for kind in (bool, np.int64, np.float64, object)
    },
}


@pytest.mark.parametrize("case", WRONG)
def test_what_would_make_figures_wrong_is_refused_with_its_place_and_no_patients_value(
    case: str,
) -> None:
    build, expected = WRONG[case]
    with pytest.raises(InputError) as refusal:
        checks.check(build())
    text = str(refusal.value)
    assert expected in text
    assert len(text) < 300
    assert "\n" not in text
    assert "123456" not in text
    text.encode()


def test_a_sound_consortium_is_taken_without_a_note() -> None:
    checks.check(made())
    assert checks.notes(made()) == []


def test_every_data_set_passes_the_check_before_round_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        Synthetic, "__call__", lambda _self, _seed: changed("test", with_feature(np.nan))
    )
    with pytest.raises(
        InputError,
        match=r"^consortium\.hospital b, test records, field x2=NaN or infinity in 1 value",
    ):
        experiment("consortium=synthetic", "adversary.n_hostile=0", "seed=987654")


@pytest.mark.parametrize("name", ["heart4", "heart12", "breast8", "digits", "synthetic"])
def test_the_consortia_of_the_project_are_sound(name: str) -> None:
    checks.check(experiment(f"consortium={name}").consortium)


def test_test_records_that_equal_training_records_are_counted() -> None:
    sound = made()
    first, second = sound.hospitals
    copied = Records(
        np.concatenate([second.test.features[:4], first.train.features[:2]]), second.test.labels
    )
    found = checks.notes(replace(sound, hospitals=(first, replace(second, test=copied))))
    assert found[0].startswith("2 of 12 test records agree with a training record in every feature")
    assert found[1].startswith("2 records are found in more than one hospital")
    assert len(found) == 2


def test_the_two_pairs_of_patients_of_heart_disease_who_agree_are_the_only_ones_noted() -> None:
    counts = [0]
    for seed in range(8):
        for text in experiment("consortium=heart4", f"seed={seed}").data_notes:
            assert "agree with a training record" in text
            counts.append(int(text.split()[0]))
    assert 1 <= max(counts) <= 2


def test_zero_and_minus_zero_are_one_value() -> None:
    zeros = Records(np.zeros((1, 3), np.float32), np.zeros(1, np.float32))
    sound = made(names=("a",))
    hospital = replace(sound.hospitals[0], train=zeros, test=Records(-zeros.features, zeros.labels))
    assert checks.notes(replace(sound, hospitals=(hospital,)))[0].startswith(
        "1 of 1 test records agree"
    )


def test_records_of_one_class_and_values_far_off_are_noted() -> None:
    one = changed("train", lambda r: Records(r.features, np.ones(8, np.float32)))
    assert checks.notes(one) == []
    ones = replace(one, hospitals=(replace(one.hospitals[1], name="a"),))
    assert checks.notes(ones) == ["All 8 training records are with the condition."]
    (far,) = checks.notes(changed("test", with_feature(0.0)))
    assert far.startswith(
        "field x0 of b has test records further than 10000 standard deviations from the mean"
    )


def test_a_hospital_without_test_patients_runs_and_has_no_figures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        Synthetic, "__call__", lambda _self, _seed: changed("test", lambda r: r.take([]))
    )
    words = (
        "consortium=synthetic",
        "adversary.n_hostile=1",
        "attack=[label_flip]",
        "training.rounds=1",
        "seed=987653",
    )
    record = run(experiment(*words))
    assert [
        (one.n_test, record.value("brier", one.hospital) is None) for one in record.hospitals
    ] == [(6, False), (0, True)]
    lacking = record.outcome("brier", record.hospitals[1].hospital)
    assert lacking is not None
    assert (lacking.n, lacking.undefined) == (0, "there are no test patients")
    assert record.n_test == 6
    assert record.value("auroc") is not None


# --- encoding


def column(values: list[float | None], n_test: int = 0) -> tuple[pl.DataFrame, TableSchema]:
    frame = pl.DataFrame({"x": pl.Series(values, dtype=pl.Float64, strict=False)})
    return frame, lay_out(frame, np.arange(len(values) - n_test), {}, {})


ULP = float(np.spacing(0.1))
CONSTANT = {
    "equal": [0.1] * 60,
    "equal but for one rounding": [0.1] * 59 + [0.1 + ULP],
    "zero": [0.0] * 5,
    "huge and equal but for roundings": [1e9 + i * float(np.spacing(1e9)) for i in range(5)],
    "huge": [1e300] * 3,
    "tiny": [1e-300] * 3,
    "subnormal": [5e-324] * 3,
}


@pytest.mark.parametrize("case", CONSTANT)
def test_a_field_that_differs_by_rounding_only_is_constant(case: str) -> None:
    with pytest.raises(
        InputError, match="field x=one value everywhere, but for rounding: expected two"
    ) as found:
        column(CONSTANT[case])
    assert "0.1" not in str(found.value)


@pytest.mark.parametrize(
    ("offset", "unit"),
    [
        (0.0, 1.0),
        (0.0, 1e-300),
        (0.0, 1e-310),
        (0.0, 1e300),
        (1e9, 1e-2),
        (-1e9, 1.0),
        (1e-30, 1e-35),
    ],
)
def test_a_field_of_any_size_is_standardized_and_decodes(offset: float, unit: float) -> None:
    values = (offset + unit * stream(0, "values").normal(size=50)).tolist()
    frame, schema = column(values)
    encoded = encode(frame, schema)[:, 0].astype(np.float64)
    assert encoded.mean() == pytest.approx(0, abs=1e-5)
    assert encoded.std() == pytest.approx(1, rel=1e-5)
    for value, row in zip(values[:5], encode(frame, schema)[:5], strict=True):
        assert float(decode(schema, row)["x"]) == pytest.approx(value, rel=1e-5, abs=2e-6 * unit)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", ["training", "test"])
def test_a_present_value_that_is_not_finite_is_refused_and_never_taken_for_absent(
    value: float, place: str
) -> None:
    values = [1.0, 2.0, None, 4.0, 5.0]
    values[0 if place == "training" else 4] = value
    with pytest.raises(
        InputError,
        match=r"^field x=NaN or infinity in 1 of \d rows: expected finite numbers, and null",
    ):
        encode(*column(values, n_test=1))


@given(
    st.lists(
        st.floats(allow_nan=False, allow_infinity=False, width=64) | st.none(),
        min_size=3,
        max_size=20,
    )
)
def test_encoding_gives_finite_numbers_with_present_and_absent_apart_or_refuses(
    values: list[float | None],
) -> None:
    try:
        frame, schema = column(values, n_test=1)
        table = Table(
            frame, (np.arange(len(values)) % 2).astype(np.float32), {}, {}, "0" * 64, "made"
        )
        site = Site("a", "a", np.arange(len(values) - 1), np.array([len(values) - 1]))
        found = consortium("made", table, [site], public=True)
        checks.check(found)
    except InputError:
        return
    features = np.concatenate([found.hospitals[0].train.features, found.hospitals[0].test.features])
    assert np.isfinite(features).all()
    if schema.fields[0].missing is not None:
        np.testing.assert_array_equal(features[:, 1], [value is None for value in values])


def test_a_row_of_a_table_in_two_places_is_refused() -> None:
    frame = pl.DataFrame({"x": [1.0, 2.0, 3.0, 4.0]})
    table = Table(frame, np.array([0, 1, 0, 1], np.float32), {}, {}, "0" * 64, "made")
    inside = [Site("a", "a", np.array([0, 1]), np.array([1, 2]))]
    across = [
        Site("a", "a", np.array([0]), np.array([1])),
        Site("b", "b", np.array([2, 0]), np.array([3])),
    ]
    for sites in (inside, across):
        with pytest.raises(
            InputError,
            match=r"^sites=training rows of a, .* rows of .: expected each row of the table in one",
        ):
            consortium("made", table, sites, public=True)
