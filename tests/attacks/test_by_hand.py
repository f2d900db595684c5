"""Each attack in a case in which it must succeed and one in which it must fail, in federations
small enough to follow by hand.
"""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregators.rules.krum import Krum
from aggregators.rules.mean import Mean
from aggregators.rules.median import Median
from aggregators.rules.trimmed_mean import TrimmedMean
from attacks._shared.candidates import grouped, plausible
from attacks.byzantine.alie import ALIE, paper_z
from attacks.byzantine.sign_flip import SignFlip
from attacks.inversion.analytic import AnalyticInversion
from attacks.poison.label_flip import LabelFlip
from sim.errors import InputError, RefusedError
from sim.seeds import stream
from sim.types import (
    Byzantine,
    Field,
    ImageSchema,
    Knowledge,
    Layout,
    Observation,
    Records,
    Rule,
    Schema,
    TableSchema,
)
from tests import oracles
from tests.drawn import RNG, clear

# --- attacks on updates: hospital i wants the model at target i, and sends half of the way there


def missed(
    attack: Byzantine | None, rule: Rule, n: int = 10, f: int = 3, rounds: int = 40
) -> float:
    """Distance of the final model from the honest hospitals' mean target, in standard deviations
    per parameter.
    """
    targets = 5 + stream(0, "targets").normal(size=(n, 200))
    model = np.zeros(200)
    for number in range(rounds):
        updates = 0.5 * (targets - model)
        if attack is not None:
            updates[:f] = attack(
                Knowledge(updates[:f], n, f, updates[f:]), stream(0, "attack", number)
            )
        model = model + rule(clear(updates), RNG)
    return float(np.sqrt(np.mean((model - targets[f:].mean(axis=0)) ** 2)))


@pytest.mark.parametrize("of", ["own", "mean"])
def test_sign_flip_drives_the_mean_away_and_fails_against_robust_rules(of: str) -> None:
    attack = SignFlip(scale=4.0, of=of)
    assert missed(attack, Mean()) > 100
    for rule in (Median(3), TrimmedMean(3), Krum(3)):
        assert missed(attack, rule) < 1.5


def test_sign_flip_too_weak_to_turn_the_mean_around_only_slows_it() -> None:
    assert missed(SignFlip(scale=1.0), Mean(), rounds=3) > 2 * missed(None, Mean(), rounds=3)
    assert missed(SignFlip(scale=1.0), Mean(), rounds=200) < 1.0


def test_sign_flip_of_own_and_of_mean_send_what_they_state() -> None:
    own, others = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[10.0, 0.0], [20.0, 2.0]])
    known = Knowledge(own, 4, 2, others)
    np.testing.assert_array_equal(SignFlip(2.0, "own")(known, RNG), -2 * own)
    np.testing.assert_array_equal(SignFlip(2.0, "mean")(known, RNG), [[-30.0, -2.0]] * 2)
    np.testing.assert_array_equal(
        SignFlip(2.0, "mean")(replace(known, others=None), RNG), [[-4.0, -6.0]] * 2
    )


def test_alie_moves_the_mean_by_exactly_its_share_of_the_shift() -> None:
    rows = stream(0, "rows").normal(size=(10, 50))
    sent = ALIE(z=1.5, sign=1)(Knowledge(rows[:4], 10, 4, rows[4:]), RNG)
    shifted = Mean()(clear(np.vstack([sent, rows[4:]])), RNG) - rows[4:].mean(axis=0)
    np.testing.assert_allclose(shifted, 0.4 * 1.5 * rows[4:].std(axis=0))


def test_alie_gets_past_the_rules_that_stop_sign_flip_but_no_further_than_the_spread() -> None:
    for rule in (Median(4), TrimmedMean(4)):
        assert 0.4 < missed(ALIE(z=1.5), rule, f=4) < 1.5 + 1e-6
        assert missed(ALIE(z=1.5), rule, f=4) > missed(None, rule, f=4) + 0.2
    assert missed(ALIE(z=1.5), Mean(), f=4) > 0.4


def test_alie_fails_for_lack_of_colluders() -> None:
    assert paper_z(12, 2) == pytest.approx(0.0, abs=1e-12)
    assert paper_z(12, 1) < 0
    assert missed(ALIE(), Mean(), n=12, f=2) < 1e-6


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    n=st.integers(5, 30),
    z=st.sampled_from(["paper", 0.3, 1.5]),
    sign=st.sampled_from([-1, 1]),
    deviation=st.sampled_from(["population", "sample"]),
    sees_honest=st.booleans(),
    data=st.data(),
)
def test_alie_equals_the_papers_formulas(
    seed: int,
    n: int,
    z: float | str,
    sign: int,
    deviation: str,
    sees_honest: bool,
    data: st.DataObject,
) -> None:
    f = data.draw(st.integers(2, n // 2))
    rows = np.random.default_rng(seed).normal(size=(n, 4))
    known = Knowledge(rows[:f], n, f, rows[f:] if sees_honest else None)
    sent = ALIE(z, sign, deviation)(known, RNG)
    expected = oracles.alie(
        (rows[f:] if sees_honest else rows[:f]).tolist(), n, f, z, sign, deviation
    )
    np.testing.assert_allclose(sent, [expected] * f, rtol=1e-9, atol=1e-9)


def test_alies_z_is_the_quantile_and_not_the_probability_of_it() -> None:
    # 2 supporters among 26 honest: Phi(z) = 24/26
    assert paper_z(50, 24) == pytest.approx(1.4261, abs=1e-4)
    # Phi(z) = 0.6; authors' tables elsewhere list Phi(0.6) = 0.7257
    assert paper_z(50, 10) == pytest.approx(0.2533, abs=1e-4)


@pytest.mark.parametrize(("n", "f"), [(10, 6), (9, 5), (2, 1), (2, 0), (1, 1), (5, 5)])
def test_alie_refuses_where_the_papers_quantile_is_infinite(n: int, f: int) -> None:
    with pytest.raises(
        RefusedError,
        match=rf"^n_hospitals={n}, n_hostile={f}: ALIE with z=paper needs .*; give z a number$",
    ):
        paper_z(n, f)


def test_alie_with_a_fixed_z_works_for_a_hostile_majority() -> None:
    rows = stream(0, "rows").normal(size=(10, 3))
    assert ALIE(z=1.0)(Knowledge(rows[:6], 10, 6, rows[6:]), RNG).shape == (6, 3)


def test_alie_alone_refuses_because_one_update_has_no_spread() -> None:
    own = np.ones((1, 3))
    with pytest.raises(RefusedError, match=r"^n_known=1: ALIE needs 2 known updates"):
        ALIE()(Knowledge(own, 10, 3), RNG)


@pytest.mark.parametrize(
    ("make", "key"),
    [
        (lambda: SignFlip(scale=0.0), "scale"),
        (lambda: SignFlip(of="all"), "of"),
        (lambda: ALIE(z="author"), "z"),
        (lambda: ALIE(z=-0.1), "z"),
        (lambda: ALIE(sign=0), "sign"),
        (lambda: ALIE(deviation="both"), "deviation"),
        (lambda: LabelFlip(share=0.0), "share"),
        (lambda: LabelFlip(share=1.1), "share"),
        (lambda: AnalyticInversion(round=0), "round"),
        (lambda: AnalyticInversion(threshold=0.0), "threshold"),
    ],
)
def test_attack_refuses_a_bad_parameter_by_name(make: Callable[[], object], key: str) -> None:
    with pytest.raises(InputError, match=rf"^{key}=.*: expected"):
        make()


# --- poisoned records: logistic regression, one full-batch step a round


FIVE = TableSchema(tuple(Field(f"measure{i}", "continuous", (i,)) for i in range(5)), 5)


def hospital(number: int) -> Records:
    rng = stream(0, "records", number)
    features = rng.normal(size=(80, 5)).astype(np.float32)
    return Records(features, (features.sum(axis=1) + rng.normal(size=80) > 0).astype(np.float32))


def probabilities(model: np.ndarray, features: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-features @ model)))


def trained(rule: Rule, n_hostile: int, share: float = 1.0) -> tuple[float, float]:
    """Accuracy and Brier score, on fresh honest records, after 60 rounds with ten hospitals."""
    flip = LabelFlip(share)
    hospitals = [
        flip(hospital(i), FIVE, stream(0, "flip", i)) if i < n_hostile else hospital(i)
        for i in range(10)
    ]
    model = np.zeros(5)
    for _ in range(60):
        steps = [
            part.features.T @ (part.labels - probabilities(model, part.features)) / len(part)
            for part in hospitals
        ]
        model = model + rule(clear(np.array(steps)), RNG)
    test = hospital(99)
    found = probabilities(model, test.features)
    return float(((found > 0.5) == test.labels).mean()), float(((found - test.labels) ** 2).mean())


def test_label_flip_by_a_majority_turns_the_mean_and_the_median_around() -> None:
    assert trained(Mean(), 0)[0] > 0.85
    assert trained(Mean(), 7)[0] < 0.15
    assert trained(Median(4), 7)[0] < 0.15


def test_label_flip_by_a_minority_spoils_the_mean_and_fails_against_the_median() -> None:
    clean, flipped, median = (
        trained(rule, f)[1] for rule, f in ((Mean(), 0), (Mean(), 4), (Median(4), 4))
    )
    assert flipped > 1.5 * clean
    assert median < (clean + flipped) / 2
    assert trained(Median(4), 4)[0] > 0.85


@pytest.mark.parametrize(("share", "n_flipped"), [(1.0, 80), (0.25, 20), (0.001, 0)])
def test_label_flip_turns_that_share_of_the_labels_and_nothing_else(
    share: float, n_flipped: int
) -> None:
    before = hospital(0)
    after = LabelFlip(share)(before, FIVE, stream(0, "flip"))
    assert (after.labels != before.labels).sum() == n_flipped
    np.testing.assert_array_equal(after.features, before.features)


def test_label_flip_draws_which_records_from_its_generator() -> None:
    first, again, other = (
        LabelFlip(0.5)(hospital(0), FIVE, stream(0, "flip", name)).labels
        for name in ("a", "a", "b")
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


# --- records from updates


def heart_like() -> TableSchema:
    """Nine continuous fields, three of them with a flag for missing values, and six categorical
    ones: 29 columns.
    """
    fields: list[Field] = []
    column = 0
    for number in range(9):
        flag = column + 1 if number < 3 else None
        fields.append(Field(f"measure{number}", "continuous", (column,), missing=flag))
        column += 1 if flag is None else 2
    for number, n_levels in enumerate((2, 4, 3, 2, 3, 3)):
        levels = tuple("abcd"[:n_levels])
        fields.append(
            Field(f"kind{number}", "categorical", tuple(range(column, column + n_levels)), levels)
        )
        column += n_levels
    return TableSchema(tuple(fields), column)


SCHEMA = heart_like()
# no 0/1 column at all
NUMBERS = TableSchema(tuple(Field(f"measure{i}", "continuous", (i,)) for i in range(29)), 29)


def patients(n: int, rng: np.random.Generator, schema: TableSchema = SCHEMA) -> np.ndarray:
    """Random records under ``schema``, (n, 29) float32; a missing value is 0 with its flag set."""
    records = np.zeros((n, schema.n_features), np.float32)
    for field in schema.fields:
        if field.kind == "categorical":
            records[
                np.arange(n), np.array(field.columns)[rng.integers(len(field.columns), size=n)]
            ] = 1
            continue
        records[:, field.columns[0]] = rng.normal(size=n)
        if field.missing is not None:
            absent = rng.random(n) < 0.2
            records[absent, field.columns[0]] = 0
            records[absent, field.missing] = 1
    return records


def network(
    seed: int, hidden: tuple[int, ...] = (64, 32), n_features: int = 29
) -> torch.nn.Sequential:
    with torch.random.fork_rng():  # torch's layers draw from its global generator alone
        torch.manual_seed(seed)
        sizes = (n_features, *hidden, 1)
        layers = [
            part for a, b in pairwise(sizes) for part in (torch.nn.Linear(a, b), torch.nn.ReLU())
        ]
        return torch.nn.Sequential(*layers[:-1])


def layout_of(net: torch.nn.Module) -> Layout:
    return tuple((name, tuple(part.shape)) for name, part in net.named_parameters())


def vector(parts: list[torch.Tensor]) -> np.ndarray:
    return np.concatenate([part.detach().numpy().ravel() for part in parts])


def gradient(net: torch.nn.Sequential, records: np.ndarray, labels: np.ndarray) -> np.ndarray:
    loss = torch.nn.functional.binary_cross_entropy_with_logits(
        net(torch.tensor(records))[:, 0], torch.tensor(labels)
    )
    return vector(list(torch.autograd.grad(loss, list(net.parameters()))))


def trained_update(
    net: torch.nn.Sequential, records: np.ndarray, labels: np.ndarray, adam: bool, steps: int
) -> np.ndarray:
    """Trained minus received weights in float32, as a hospital sends them."""
    before = vector(list(net.parameters()))
    optimizer = (
        torch.optim.Adam(net.parameters(), lr=0.05)
        if adam
        else torch.optim.SGD(net.parameters(), lr=0.1)
    )
    for _ in range(steps):
        optimizer.zero_grad()
        outputs = net(torch.tensor(records))[:, 0]
        torch.nn.functional.binary_cross_entropy_with_logits(
            outputs, torch.tensor(labels)
        ).backward()
        optimizer.step()
    return vector(list(net.parameters())) - before


def guesses(update: np.ndarray, net: torch.nn.Module, schema: Schema = SCHEMA) -> np.ndarray:
    seen = Observation(clear(update[None]), np.zeros_like(update), layout_of(net), schema)
    return AnalyticInversion()(seen, RNG)[0].records


def errors(found: np.ndarray, records: np.ndarray) -> np.ndarray:
    """For each record the relative distance of the nearest guess; infinite where there is none."""
    gaps = [
        np.linalg.norm(found - record, axis=1).min(initial=np.inf) / np.linalg.norm(record)
        for record in records
    ]
    return np.array(gaps)


def attempt(n: int, seed: int, hidden: tuple[int, ...] = (64, 32)) -> tuple[np.ndarray, np.ndarray]:
    """Guesses from the gradient of ``n`` random records under an untrained network, and the
    records.
    """
    rng = stream(seed, "patients")
    records, net = patients(n, rng), network(seed, hidden)
    return guesses(gradient(net, records, rng.integers(2, size=n).astype(np.float32)), net), records


@pytest.mark.parametrize("seed", range(20))
def test_inversion_reads_a_single_record_from_a_float32_gradient_to_1e_6(seed: int) -> None:
    found, records = attempt(1, seed)
    assert len(found) == 1
    assert errors(found, records).max() < 1e-6


@pytest.mark.parametrize(("n", "low", "high"), [(4, 0.88, 1.0), (16, 0.04, 0.2), (64, 0.0, 0.01)])
def test_share_of_records_read_from_a_sum_falls_with_its_size(
    n: int, low: float, high: float
) -> None:
    attempts = [attempt(n, seed, hidden=(64,)) for seed in range(160 // n + 10)]
    shares = [(errors(found, records) < 1e-3).mean() for found, records in attempts]
    assert low <= np.mean(shares) <= high


def test_few_guesses_are_mixtures_of_records() -> None:
    attempts = [attempt(n, seed, hidden=(64,)) for n in (4, 16, 64) for seed in range(20)]
    wrong = sum(
        (errors(records.astype(np.float64), found) > 1e-3).sum() for found, records in attempts
    )
    assert wrong <= 0.1 * sum(len(found) for found, _ in attempts)


@pytest.mark.parametrize("steps", [1, 5, 20])
def test_inversion_reads_a_hospital_of_one_record_after_many_sgd_steps(steps: int) -> None:
    for seed in range(20):
        net, records = network(seed), patients(1, stream(seed, "patients"))
        found = guesses(
            trained_update(net, records, np.ones(1, np.float32), adam=False, steps=steps), net
        )
        assert errors(found, records).max() < 1e-5


@pytest.mark.parametrize("steps", [1, 20])
def test_inversion_fails_after_adam_which_still_gives_the_categories_away(steps: int) -> None:
    net, records = network(1), patients(1, stream(1, "patients"))
    found = guesses(
        trained_update(net, records, np.ones(1, np.float32), adam=True, steps=steps), net
    )
    assert errors(found, records).min(initial=np.inf) > 0.1
    categorical = [
        column for field in SCHEMA.fields if field.kind == "categorical" for column in field.columns
    ]
    np.testing.assert_array_equal(found[0, categorical], records[0, categorical])


def test_inversion_of_a_logistic_model_is_exact_for_one_record_and_empty_for_eight() -> None:
    net = network(0, hidden=())
    one, eight = patients(1, stream(0, "one")), patients(8, stream(0, "eight"))
    assert errors(guesses(gradient(net, one, np.ones(1, np.float32)), net), one).max() < 1e-6
    assert len(guesses(gradient(net, eight, np.tile(np.float32([0, 1]), 4)), net)) == 0


def test_shuffled_update_gives_no_guess() -> None:
    net, records = network(2), patients(1, stream(2, "patients"))
    update = gradient(net, records, np.ones(1, np.float32))
    assert len(guesses(update, net)) == 1
    assert len(guesses(stream(2, "shuffle").permutation(update), net)) == 0


@pytest.mark.parametrize("multiplier", [0.01, 1.0])
def test_update_with_noise_as_in_private_training_gives_no_guess(multiplier: float) -> None:
    net, records = network(3), patients(1, stream(3, "patients"))
    update = gradient(net, records, np.ones(1, np.float32)).astype(np.float64)
    clipped = update / max(1.0, float(np.linalg.norm(update)))
    assert len(guesses(clipped, net)) == 1
    assert (
        len(guesses(clipped + multiplier * stream(3, "noise").normal(size=update.size), net)) == 0
    )


def test_inversion_looks_at_each_row_of_the_view_alone() -> None:
    net, records = network(4), patients(2, stream(4, "patients"))
    rows = np.array([gradient(net, record[None], np.ones(1, np.float32)) for record in records])
    rows = np.vstack([rows, np.zeros_like(rows[:1])])
    made = AnalyticInversion()(Observation(clear(rows), rows[0], layout_of(net), SCHEMA), RNG)
    found = [guess.records for guess in made]
    assert [len(part) for part in found] == [1, 1, 0]
    assert max(errors(found[i], records[i : i + 1]).max() for i in range(2)) < 1e-6


@pytest.mark.parametrize("schema", [NUMBERS, ImageSchema(5, 5, 1, 0.0, 255.0)], ids=type)
def test_without_any_category_every_record_that_a_quotient_holds_is_guessed(schema: Schema) -> None:
    n_read = 0
    for seed in range(20):
        rng = stream(seed, "patients")
        net = network(seed, (64,), schema.n_features)
        records = rng.random((4, schema.n_features)).astype(np.float32)
        update = gradient(net, records, rng.integers(2, size=4).astype(np.float32))
        weight, bias = update[: 64 * schema.n_features].reshape(64, -1), update[-129:-65]
        moved = np.abs(bias) > 1e-4 * np.abs(bias).max()
        readable = errors(weight[moved] / bias[moved, None], records) < 1e-3
        found = guesses(update, net, schema)
        np.testing.assert_array_equal(errors(found, records) < 1e-3, readable)
        n_read += readable.sum()
    assert n_read > 0.7 * 80


def test_a_guessed_image_has_its_pixels_in_their_range() -> None:
    schema = ImageSchema(1, 2, 1, 0.0, 255.0)
    fits = [[0.0, 1.0], [0.2, 0.7], [-0.005, 1.005]]
    wrong = [[-0.02, 0.5], [0.5, 1.02], [np.nan, 0.5]]
    np.testing.assert_array_equal(plausible(np.array([*fits, *wrong]), schema), fits)


@pytest.mark.parametrize(
    "layout",
    [
        (),
        (("0.weight", (64, 29)),),
        (("0.weight", (64, 30)), ("0.bias", (64,))),
        (("0.weight", (64, 29)), ("0.bias", (63,))),
        (("0.weight", (8, 29)), ("1.bias", (8,))),
        # a normalization comes first
        (("0.weight", (29,)), ("0.bias", (29,)), ("1.weight", (64, 29)), ("1.bias", (64,))),
    ],
)
def test_inversion_refuses_a_model_that_does_not_start_with_a_linear_layer_on_the_features(
    layout: Layout,
) -> None:
    seen = Observation(clear(np.zeros((1, 3000))), np.zeros(3000), layout, SCHEMA)
    with pytest.raises(
        RefusedError, match=r"needs a first linear layer on 29 features, with a bias$"
    ):
        AnalyticInversion()(seen, RNG)


TINY = TableSchema(
    (
        Field("age", "continuous", (0,), missing=1),
        Field("sex", "categorical", (2, 3), ("female", "male")),
    ),
    4,
)


@pytest.mark.parametrize(
    ("candidate", "fits"),
    [
        ([0.5, 0, 1, 0], True),
        ([0.5, 0.005, 0.995, -0.005], True),
        ([0.0, 1, 0, 1], True),
        ([12.0, 0, 1, 0], True),
        ([12.1, 0, 1, 0], False),
        ([0.5, 0.02, 1, 0], False),
        ([0.5, 2, 1, 0], False),
        ([0.5, 0, 1, 1], False),
        ([0.5, 0, 0, 0], False),
        ([0.5, 0, 2, -1], False),
        ([np.nan, 0, 1, 0], False),
        ([np.inf, 0, 1, 0], False),
    ],
)
def test_a_guess_must_be_a_record_under_the_schema(candidate: list[float], fits: bool) -> None:
    found = plausible(np.array([candidate], dtype=np.float64), TINY)
    assert len(found) == fits
    if fits:
        np.testing.assert_array_equal(found, [[candidate[0], *np.round(candidate[1:])]])


def test_equal_guesses_are_made_once_and_the_best_supported_first() -> None:
    rare, common, nearly = [0.0, 1.0], [1.0, 0.0], [1.0002, 0.0]
    np.testing.assert_array_equal(grouped(np.array([rare, common, nearly, common])), [common, rare])


def test_guesses_near_zero_are_equal_by_how_far_apart_they_are() -> None:
    zero, nearly, apart = [0.0], [0.0005], [0.002]
    np.testing.assert_array_equal(grouped(np.array([apart, zero, nearly])), [zero, apart])
