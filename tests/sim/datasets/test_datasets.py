"""Hospitals hold exactly the patients of the source, encoded without loss, split by seed and by
nothing else.
"""

import csv
import math
import re
import time
from collections import Counter
from hashlib import sha256

import numpy as np
import polars as pl
import pytest
import yaml
from hydra.utils import instantiate
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from sim.datasets.breast import BreastCancer
from sim.datasets.encoding import (
    FLAG_TOLERANCE,
    MISSING,
    decode,
    encode,
    lay_out,
    matching,
)
from sim.datasets.heart import FIELDS, HOSPITALS, LEVELS, UNITS, HeartDisease
from sim.datasets.synthetic import Synthetic
from sim.errors import InputError
from tests import ROOT

CSV = ROOT / "sim/datasets/data/heart_disease_uci.csv"
ONE_EACH = {"cleveland": 1, "hungary": 1, "switzerland": 1, "va": 1}
TWELVE = {"cleveland": 4, "hungary": 4, "switzerland": 2, "va": 2}
# all, ill: UCI's counts
PATIENTS = {
    "cleveland": (303, 139),
    "hungary": (294, 106),
    "switzerland": (123, 115),
    "va": (200, 149),
}


def source():
    """The source once more, read by other code: fields as text, label, hospital."""
    places = {long: short for short, long in HOSPITALS.items()}
    with CSV.open() as lines:
        for row in csv.DictReader(lines):
            yield (
                tuple(plain(name, row[name]) for name in FIELDS),
                float(int(row["num"]) > 0),
                places[row["hospital"]],
            )


def plain(name, text):
    absent = text == "" or (name in ("chol", "trestbps") and float(text) == 0)
    return MISSING if absent else f"{float(text):g}" if name in UNITS else text


def pooled(consortium, part):
    parts = [getattr(hospital, part) for hospital in consortium.hospitals]
    return np.concatenate([p.features for p in parts]), np.concatenate([p.labels for p in parts])


def contents(consortium):
    return [
        (
            h.name,
            h.origin,
            *(a.tobytes() for r in (h.train, h.test) for a in (r.features, r.labels)),
        )
        for h in consortium.hospitals
    ]


def decoded(consortium, records):
    return [tuple(decode(consortium.schema, row).values()) for row in records.features]


# ---------------------------------------------------------------- heart disease


def test_heart_hospitals_have_the_patients_and_prevalence_that_uci_counts():
    consortium = HeartDisease(ONE_EACH)(0)
    found = {
        h.name: (len(h.train) + len(h.test), h.train.labels.sum() + h.test.labels.sum())
        for h in consortium.hospitals
    }
    assert found == PATIENTS


@pytest.mark.parametrize("sites", [ONE_EACH, TWELVE])
def test_every_record_of_the_source_is_in_its_hospital_once_and_decodes_to_its_own_values(sites):
    consortium = HeartDisease(sites)(3)
    found = Counter(
        (fields, float(label), h.origin)
        for h in consortium.hospitals
        for records in (h.train, h.test)
        for fields, label in zip(decoded(consortium, records), records.labels, strict=True)
    )
    assert found == Counter(source())


def test_heart_site_names_are_sorted_and_carry_their_origin():
    assert HeartDisease(ONE_EACH)(0).names == ("cleveland", "hungary", "switzerland", "va")
    twelve = HeartDisease(TWELVE)(0)
    assert twelve.names == tuple(
        f"{hospital}_{place}" for hospital, parts in TWELVE.items() for place in range(1, parts + 1)
    )
    assert all(h.name.startswith(h.origin) for h in twelve.hospitals)
    assert (twelve.name, HeartDisease(ONE_EACH)(0).name) == ("heart12", "heart4")
    many = HeartDisease({"cleveland": 11})(0).names
    assert many == tuple(f"cleveland_{place:02d}" for place in range(1, 12))


@pytest.mark.parametrize("seed", range(5))
def test_split_is_stratified_in_every_site(seed):
    for h in HeartDisease(TWELVE)(seed).hospitals:
        for label in (0, 1):
            held_out, trained_on = (h.test.labels == label).sum(), (h.train.labels == label).sum()
            assert held_out == round(0.3 * (held_out + trained_on))
            assert trained_on >= 1


def test_sites_of_a_hospital_share_its_patients_and_classes_evenly():
    sites = HeartDisease(TWELVE)(1).hospitals
    for origin in TWELVE:
        labels = [
            np.concatenate([h.train.labels, h.test.labels]) for h in sites if h.origin == origin
        ]
        for counts in ([len(y) for y in labels], [y.sum() for y in labels]):
            assert max(counts) - min(counts) <= 1


def test_listing_order_changes_nothing():
    assert contents(HeartDisease(TWELVE)(5)) == contents(
        HeartDisease(dict(reversed(TWELVE.items())))(5)
    )


def test_a_hospital_is_split_alike_whoever_else_takes_part():
    fewer, all_four = HeartDisease({"cleveland": 1, "va": 1})(2), HeartDisease(ONE_EACH)(2)
    assert decoded(fewer, fewer.hospitals[1].test) == decoded(all_four, all_four.hospitals[3].test)


def test_a_field_left_out_is_gone_and_lets_hospitals_in_that_lack_it():
    with pytest.raises(InputError, match=r"field chol=absent everywhere: .* or the field left out"):
        HeartDisease({"switzerland": 2})(0)
    schema = HeartDisease({"switzerland": 2}, leave_out=["chol", "thal"])(0).schema
    assert [field.name for field in schema.fields] == [
        name for name in FIELDS if name not in ("chol", "thal")
    ]
    assert schema.n_features == 35 - 2 - 4


def test_the_seed_alone_decides_the_split():
    one, again, other = (HeartDisease(ONE_EACH)(seed) for seed in (0, 0, 1))
    assert contents(one) == contents(again)
    for mine, theirs in zip(one.hospitals, other.hospitals, strict=True):
        assert decoded(one, mine.test) != decoded(other, theirs.test)


def test_data_hash_is_that_of_the_file_and_the_data_are_public():
    consortium = HeartDisease(ONE_EACH)(0)
    assert consortium.data_hash == sha256(CSV.read_bytes()).hexdigest()
    assert consortium.public


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"sites": {}}, r"sites=\{\}"),
        ({"sites": {"boston": 1}}, "sites.*boston.*cleveland"),
        ({"sites": {"va": 0}}, "sites.va=0"),
        ({"sites": {"va": True}}, "sites.va=True"),
        ({"sites": {"va": 1}, "test_fraction": 0.0}, "test_fraction=0.0"),
        ({"sites": {"va": 1}, "test_fraction": 0.95}, "test_fraction=0.95"),
        ({"sites": {"switzerland": 9}}, "sites.switzerland=9.*both classes"),
        ({"sites": {"va": 1}, "test_fraction": 1e-6}, "test_fraction=0 of 200 patients of va"),
        ({"sites": {"va": 1}, "leave_out": ["name"]}, r"leave_out\[0\]=name: expected one of age"),
        ({"sites": {"va": 1}, "leave_out": FIELDS}, "leave_out=all fields"),
    ],
)
def test_heart_refuses_what_it_cannot_split(arguments, named):
    with pytest.raises(InputError, match=named):
        HeartDisease(**arguments)(0)


@pytest.mark.parametrize("sites", [ONE_EACH, TWELVE])
def test_pooled_logistic_regression_learns_the_diagnosis(sites):
    scores = [auroc(HeartDisease(sites)(seed)) for seed in range(5)]
    print(f"AUROC {np.mean(scores):.3f}, {min(scores):.3f} to {max(scores):.3f}")
    assert np.mean(scores) >= 0.85


def auroc(consortium):
    model = LogisticRegression(max_iter=2000).fit(*pooled(consortium, "train"))
    features, labels = pooled(consortium, "test")
    return roc_auc_score(labels, model.decision_function(features))


# ---------------------------------------------------------------- encoding

FRAME = pl.DataFrame(
    {"weight": [60.0, 80.0, None, 100.0, 300.0], "fever": ["no", "yes", "no", None, "yes"]}
)
SCHEMA = lay_out(FRAME, np.array([0, 1, 2]), {"fever": ("no", "yes")}, {"weight": "kg"})


def test_columns_are_standardized_value_missing_flag_and_levels():
    weight, fever = SCHEMA.fields
    assert (weight.center, weight.scale, weight.unit, weight.columns, weight.missing) == (
        70,
        10,
        "kg",
        (0,),
        1,
    )
    assert (fever.levels, fever.columns, fever.missing) == (("no", "yes", MISSING), (2, 3, 4), None)
    expected = [
        [-1, 0, 1, 0, 0],
        [1, 0, 0, 1, 0],
        [0, 1, 1, 0, 0],
        [3, 0, 0, 0, 1],
        [23, 0, 0, 1, 0],
    ]
    assert encode(FRAME, SCHEMA).tolist() == expected


def test_constants_come_from_training_rows_only():
    consortium = HeartDisease(TWELVE)(0)
    rows = [
        dict(zip(FIELDS, row, strict=True))
        for h in consortium.hospitals
        for row in decoded(consortium, h.train)
    ]
    for field in consortium.schema.fields:
        if field.kind == "continuous":
            values = [float(row[field.name]) for row in rows if row[field.name] != MISSING]
            assert (field.center, field.scale) == pytest.approx(
                (np.mean(values), np.std(values)), rel=1e-9
            )


def test_changing_a_test_row_changes_no_constant_and_changing_a_training_row_does():
    def centers(row):
        frame = FRAME.with_columns(
            pl.when(pl.int_range(pl.len()) == row).then(55.0).otherwise("weight").alias("weight")
        )
        return lay_out(frame, np.array([0, 1, 2]), {"fever": ("no", "yes")}, {"weight": "kg"})

    assert centers(4) == SCHEMA
    assert centers(0) != SCHEMA


def test_an_absent_value_is_never_silently_zero():
    consortium = HeartDisease(ONE_EACH)(0)
    features, _ = pooled(consortium, "train")
    for field in consortium.schema.fields:
        if field.missing is not None:
            absent = features[:, field.missing] == 1
            assert absent.any()
            assert (features[absent, field.columns[0]] == 0).all()
        if field.kind == "categorical":
            assert (features[:, field.columns].sum(axis=1) == 1).all()
    flagged = {
        f.name for f in consortium.schema.fields if f.missing is not None or MISSING in f.levels
    }
    assert flagged == set(FIELDS) - {"age", "sex", "cp"}


def test_a_field_that_is_constant_in_training_is_refused():
    for rows, found in (
        ([0, 2], "one value everywhere, but for rounding"),
        ([2], "absent everywhere"),
    ):
        with pytest.raises(
            InputError, match=f"field weight={found}: expected two different values"
        ):
            lay_out(FRAME, np.array(rows), {"fever": ("no", "yes")}, {})


def test_an_unknown_level_is_refused():
    with pytest.raises(
        InputError,
        match=(
            r"field fever=an unknown level in 5 of 5 rows, first in row 1: expected one of no, yes"
        ),
    ):
        encode(FRAME.with_columns(fever=pl.lit("maybe")), SCHEMA)


def test_a_guess_decodes_to_its_likeliest_level():
    assert decode(SCHEMA, np.array([0.5, 0.2, 0.1, 0.7, 0.3])) == {"weight": "75", "fever": "yes"}
    assert decode(SCHEMA, np.array([0.5, 0.8, 0.1, 0.2, 0.3])) == {
        "weight": MISSING,
        "fever": MISSING,
    }
    assert decode(SCHEMA, np.array([math.inf, 0.2, 1, 0, 0]))["weight"] == "inf"


TRUTH = encode(FRAME, SCHEMA)


@pytest.mark.parametrize(
    ("row", "column", "change", "same"),
    [
        (3, 0, 0.0, True),
        (3, 0, 0.009, True),  # 100 kg: 0.1 % is 0.1 kg, 0.01 standard deviations
        (3, 0, -0.009, True),
        (3, 0, 0.011, False),
        (2, 0, 5.0, True),  # absent: the value column holds no value
        (2, 1, -1.0, False),
        (3, 1, 1.0, False),
        (3, 1, 0.009, True),
        (3, 1, 0.011, False),
        (3, 2, 1.0, False),
        (3, 4, -0.6, False),
        (3, 4, float("nan"), False),
        (3, 0, float("nan"), False),
    ],
)
def test_a_guess_counts_only_within_the_stated_tolerance(row, column, change, same):
    guess = TRUTH[row].astype(np.float64)
    guess[column] += change
    assert bool(matching(SCHEMA, TRUTH[row], guess[None])[0]) is same


def test_a_true_value_of_zero_is_matched_within_a_thousandth_of_the_standard_deviation():
    frame = pl.DataFrame({"oldpeak": [0.0, 2.0, 4.0]})
    schema = lay_out(frame, np.arange(3), {}, {})
    truth = encode(frame, schema)[0]
    near = truth + np.array([[0.0009], [0.0011]], np.float32)
    assert matching(schema, truth, near).tolist() == [True, False]


@pytest.mark.parametrize("tolerance", [1e-3, 0.1])
def test_every_record_matches_itself_and_its_copies_only(tolerance):
    consortium = HeartDisease(ONE_EACH)(0)
    features, _ = pooled(consortium, "train")
    for row in features[::20]:
        slow = [slowly_matches(consortium.schema, row, other, tolerance) for other in features]
        assert matching(consortium.schema, row, features, tolerance).tolist() == slow
        assert any(slow)


@given(noise=st.lists(st.floats(-0.03, 0.03), min_size=5, max_size=5), row=st.integers(0, 4))
def test_fast_matching_agrees_with_slow_matching_on_guesses_near_the_truth(noise, row):
    guess = TRUTH[row] + np.array(noise)
    slow = slowly_matches(SCHEMA, TRUTH[row], guess, 1e-3)
    assert bool(matching(SCHEMA, TRUTH[row], guess[None])[0]) is slow


def slowly_matches(schema, truth, guess, tolerance):
    for field in schema.fields:
        binary = (
            field.columns
            if field.kind == "categorical"
            else ()
            if field.missing is None
            else (field.missing,)
        )
        if any(abs(float(guess[c]) - float(truth[c])) > FLAG_TOLERANCE for c in binary):
            return False
        if field.kind == "continuous" and not (
            field.missing is not None and truth[field.missing] == 1
        ):
            true, guessed = (
                field.center + field.scale * float(row[field.columns[0]]) for row in (truth, guess)
            )
            if abs(guessed - true) > tolerance * (
                abs(true) if abs(true) > 1e-5 * field.scale else field.scale
            ):
                return False
    return True


# ---------------------------------------------------------------- breast cancer


def test_breast_patients_are_all_there_once_and_decode_to_their_own_values():
    from sklearn.datasets import load_breast_cancer

    bunch = load_breast_cancer()
    consortium = BreastCancer()(0)
    found = Counter(
        (*map(float, fields), float(label))
        for h in consortium.hospitals
        for records in (h.train, h.test)
        for fields, label in zip(decoded(consortium, records), records.labels, strict=True)
    )
    assert found == Counter(
        (*map(float, row), float(target == 0))
        for row, target in zip(bunch.data, bunch.target, strict=True)
    )
    assert all(
        field.kind == "continuous" and field.missing is None for field in consortium.schema.fields
    )


@pytest.mark.parametrize("seed", range(5))
def test_every_breast_hospital_has_the_stated_minimum(seed):
    consortium = BreastCancer(min_rows=25)(seed)
    assert len(consortium) == 8
    assert min(len(h.train) + len(h.test) for h in consortium.hospitals) >= 25


def test_a_smaller_alpha_makes_breast_hospitals_differ_more():
    def spread(alpha):
        return np.mean(
            [
                np.std([h.train.labels.mean() for h in BreastCancer(alpha=alpha)(seed).hospitals])
                for seed in range(5)
            ]
        )

    assert spread(0.3) > 2 * spread(10.0)


def test_breast_seed_decides_the_split():
    assert contents(BreastCancer()(0)) == contents(BreastCancer()(0))
    assert contents(BreastCancer()(0)) != contents(BreastCancer()(1))


def test_breast_is_learned_by_pooled_logistic_regression():
    assert auroc(BreastCancer()(0)) >= 0.97


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"n_hospitals": 0}, "n_hospitals=0"),
        ({"alpha": 0.0}, "alpha=0.0"),
        ({"alpha": math.nan}, "alpha=nan"),
        ({"min_rows": 3}, "min_rows=3"),
        ({"n_hospitals": 100}, "min_rows=20.*100 hospitals.*569 patients"),
        ({"alpha": 0.001}, "min_rows=20.*alpha=0.001"),
    ],
)
def test_breast_refuses_what_cannot_be_dealt(arguments, named):
    with pytest.raises(InputError, match=named):
        BreastCancer(**arguments)(0)


# ---------------------------------------------------------------- synthetic


def test_synthetic_labels_follow_common_weights_of_length_two():
    consortium = Synthetic(n_hospitals=1, n_records=40_000, n_features=4, shift=0.0)(0)
    weights = LogisticRegression(C=1e6).fit(*pooled(consortium, "train")).coef_[0]
    assert np.linalg.norm(weights) == pytest.approx(2, abs=0.1)


def test_synthetic_shift_is_the_spread_of_hospital_means_and_of_their_weights():
    def means_and_weights(shift):
        hospitals = Synthetic(n_hospitals=30, n_records=2000, n_features=4, shift=shift)(
            0
        ).hospitals
        fits = [
            LogisticRegression(C=1e6).fit(h.train.features, h.train.labels).coef_[0]
            for h in hospitals
        ]
        means = np.array([h.train.features.mean(axis=0) for h in hospitals])
        return means.std(axis=0).mean(), np.sqrt(np.var(fits, axis=0).sum())

    near, far = means_and_weights(0.0), means_and_weights(1.0)
    assert near[0] < 0.05
    # pooled standard deviation is sqrt(1 + shift ** 2)
    assert far[0] == pytest.approx(1 / np.sqrt(2), abs=0.12)
    assert far[1] > 2 * near[1]


def test_synthetic_sizes_are_equal_without_spread_and_have_the_stated_mean_with_it():
    def sizes(**arguments):
        hospitals = Synthetic(n_hospitals=400, n_features=1, **arguments)(0).hospitals
        return np.array([len(h.train) + len(h.test) for h in hospitals])

    assert set(sizes(n_records=50)) == {50}
    spread = sizes(n_records=200, size_spread=0.5)
    assert spread.mean() == pytest.approx(200, rel=0.1)
    assert np.log(spread).std() == pytest.approx(0.5, abs=0.06)
    assert sizes(n_records=10, size_spread=1.0).min() == 10


def test_synthetic_hash_follows_parameters_and_seed():
    base = Synthetic()(0)
    assert base.public
    assert Synthetic()(0).data_hash == base.data_hash
    assert contents(Synthetic()(0)) == contents(base)
    assert len({base.data_hash, Synthetic()(1).data_hash, Synthetic(shift=0.1)(0).data_hash}) == 3


def test_a_thousand_synthetic_hospitals_take_seconds():
    start = time.perf_counter()
    consortium = Synthetic(n_hospitals=1000)(0)
    assert time.perf_counter() - start < 10
    assert consortium.names == tuple(sorted(consortium.names))
    assert len(consortium) == 1000


@pytest.mark.parametrize(
    "arguments",
    [
        {"n_hospitals": 0},
        {"n_records": 9},
        {"n_features": 1.5},
        {"shift": -1},
        {"size_spread": 4},
        {"test_fraction": 1.0},
    ],
)
def test_synthetic_refuses_wrong_parameters_by_name(arguments):
    ((key, value),) = arguments.items()
    with pytest.raises(InputError, match=f"^{key}={value}: expected"):
        Synthetic(**arguments)


def test_sizes_that_a_seed_draws_too_large_are_refused_before_any_patient_is_drawn(monkeypatch):
    made = Synthetic(n_hospitals=2, n_records=10_000_000, n_features=5, size_spread=3.0)
    monkeypatch.setattr(Synthetic, "_patients", None)  # a spread of 3 draws sizes of 1 to 100 times
    with pytest.raises(InputError, match=r"^size_spread=3.0: .* 57,660,614 records are drawn with"):
        made(11)


# ---------------------------------------------------------------- configuration and documentation


OWN = [ROOT / f"conf/consortium/{name}.yaml" for name in ("csv", "npz")]  # which need files


@pytest.mark.parametrize(
    "path",
    sorted(set((ROOT / "conf/consortium").glob("*.yaml")) - set(OWN)),
    ids=lambda path: path.stem,
)
def test_every_consortium_file_builds_the_consortium_of_its_name(path):
    node = yaml.safe_load(path.read_text())
    consortium = instantiate(node["consortium"], _convert_="all")(0)
    # digits8: the number is an option
    assert consortium.name in (path.stem, f"{path.stem}{len(consortium)}")
    assert 0 < node["adversary"]["n_hostile"] < len(consortium) / 2
    assert path.read_text().startswith("# @package _global_\n")


def test_the_missing_values_table_of_the_documentation_is_that_of_the_data():
    lines = (ROOT / "docs/data.md").read_text().splitlines()
    rows = [re.findall(r"\w+", line) for line in lines if line.startswith("| `")]
    stated = {row[0]: list(map(int, row[-5:])) for row in rows if row[0] in FIELDS}
    absent = Counter(
        (name, place)
        for fields, _, place in source()
        for name, value in zip(FIELDS, fields, strict=True)
        if value == MISSING
    )
    for name in FIELDS:
        counts = [absent[name, place] for place in PATIENTS]
        assert stated[name] == [*counts, sum(counts)]


def test_the_documentation_counts_the_patients_that_stand_out():
    text = (ROOT / "docs/data.md").read_text()
    places = [FIELDS.index(name) for name in ("age", "sex", "chol", "trestbps")]
    alone = Counter(tuple(fields[place] for place in places) for fields, _, _ in source())
    assert f"{sum(count == 1 for count in alone.values())} of 920 patients are alone" in text
    gaps = Counter(
        (tuple(value == MISSING for value in fields), place) for fields, _, place in source()
    )
    best = {pattern: max(gaps[pattern, place] for place in PATIENTS) for pattern, _ in gaps}
    assert f"right for {sum(best.values())} of 920" in text


def test_the_prevalence_table_of_the_documentation_is_that_of_the_data():
    text = (ROOT / "docs/data.md").read_text()
    everyone = (sum(n for n, _ in PATIENTS.values()), sum(ill for _, ill in PATIENTS.values()))
    columns = [*PATIENTS.values(), everyone]
    complete = Counter(place for fields, _, place in source() if MISSING not in fields)
    rows = {
        "patients": [str(n) for n, _ in columns],
        "with the condition": [str(ill) for _, ill in columns],
        "their share": [f"{ill / n:.3f}" for n, ill in columns],
        "no value absent": [*(str(complete[place]) for place in PATIENTS), str(complete.total())],
    }
    for name, cells in rows.items():
        assert f"| {name} | {' | '.join(cells)} |" in text


def test_levels_are_those_of_the_source():
    for name, levels in LEVELS.items():
        found = {fields[FIELDS.index(name)] for fields, _, _ in source()} - {MISSING}
        assert found == set(levels)
