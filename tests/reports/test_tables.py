"""Tables of a comparison, against hand computation: means, pairs, effects, order."""

import pytest

from reports.analysis import tables
from sim.errors import InputError
from sim.evidence import (
    Screened,
)
from sim.evidence.intervals import rate_interval
from tests.records import (
    make_images,
    make_inversion,
    make_privacy,
    make_record,
)
from tests.reports.reading import grid, row


def test_cell_is_mean_and_t_interval_over_seeds():
    records = [make_record(seed=s, figures={"auroc": a}) for s, a in enumerate((0.7, 0.8, 0.9))]
    cell = row(tables.cells(records))
    assert cell["n"] == 3
    assert cell["mean"] == pytest.approx(0.8)
    assert cell["mean_high"] == 1.0  # 0.8 + 0.248 is no AUROC
    assert cell["mean"] - cell["mean_low"] == pytest.approx(4.302653 * 0.1 / 3**0.5, rel=1e-6)


def test_one_seed_has_a_mean_and_no_interval():
    cell = row(tables.cells([make_record()]))
    assert (cell["n"], cell["mean"], cell["mean_low"], cell["mean_high"]) == (1, 0.85, None, None)


def test_harm_and_gain_are_paired_by_seed():
    aurocs = {
        ("none", "none"): (0.80, 0.90), ("sign_flip", "none"): (0.50, 0.40),
        ("none", "krum"): (0.78, 0.86), ("sign_flip", "krum"): (0.77, 0.81),
    }  # fmt: skip
    records = [
        make_record(attack=a, defense=d, seed=s, figures={"auroc": value})
        for (a, d), pair in aurocs.items()
        for s, value in enumerate(pair)
    ]
    cell = row(tables.cells(list(reversed(records))), attack="sign_flip", defense="krum")
    assert cell["harm"] == pytest.approx((-0.01 - 0.05) / 2)
    assert cell["gain"] == pytest.approx((0.27 + 0.41) / 2)
    assert cell["harm"] - cell["harm_low"] == pytest.approx(
        12.706205 * 0.04 / 2**0.5 / 2**0.5, rel=1e-6
    )
    assert cell["harm_high"] == pytest.approx(-0.03 + 12.706205 * 0.02, rel=1e-6)
    assert (cell["harm_least"], cell["harm_worst"]) == (pytest.approx(-0.01), pytest.approx(-0.05))
    assert (cell["n_lost"], cell["verdict"]) == (1, "not decided")


def test_pairs_without_a_common_seed_are_left_out():
    records = [
        make_record(seed=0),
        make_record(seed=1),
        make_record(attack="sign_flip", seed=1),
        make_record(attack="sign_flip", seed=2),
    ]
    cell = row(tables.cells(records), attack="sign_flip")
    assert (cell["n"], cell["harm_n"], cell["harm_low"]) == (2, 1, None)


def test_cells_count_runs_in_which_attack_or_defense_did_nothing():
    records = [
        make_record(attack="sign_flip", seed=s, engagement={"attack_engaged": s > 0})
        for s in range(3)
    ]
    assert row(tables.cells(records))["n_idle"] == 1


def test_worst_hospital_is_null_where_no_hospital_has_an_auroc():
    records = [make_record(seed=s, figures={"worst_hospital_auroc": None}) for s in range(2)]
    cell = row(tables.cells(records, "worst_hospital_auroc"))
    assert (cell["mean"], cell["n"]) == (None, 0)


def test_hospital_effects_are_paired_without_attack_and_name_the_worst_hit():
    def changed(defense, seed, **brier):
        return make_record(defense=defense, seed=seed, of_hospitals={"brier": brier})

    usual = {f"hospital_{i}": 0.15 + 0.01 * i for i in range(6)}
    records = [changed("none", s) for s in range(2)]
    records += [
        changed(
            "krum",
            s,
            hospital_4=usual["hospital_4"] + 0.1 + 0.02 * s,
            hospital_1=usual["hospital_1"] - 0.3,
        )
        for s in range(2)
    ]
    # must not count
    records += [make_record(attack="sign_flip", defense="krum", seed=s) for s in range(2)]
    effects = tables.hospital_effects(records)
    hit = row(effects, hospital="hospital_4")
    assert hit["brier"] == pytest.approx(0.11)
    assert hit["brier_high"] - hit["brier"] == pytest.approx(
        12.706205 * 0.01 * 2**0.5 / 2**0.5, rel=1e-6
    )
    assert row(tables.worst_hit(effects))["hospital"] == "hospital_4"
    assert row(effects, hospital="hospital_5")["auroc"] is None  # too few test patients
    assert list(effects["n_train"]) == sorted(effects["n_train"], reverse=True)


def test_no_hospital_is_named_worst_hit_by_a_defense_that_changes_nothing():
    assert tables.worst_hit(tables.hospital_effects(grid(attacks=("none",)))).is_empty()


def test_tradeoff_takes_the_attack_with_the_lowest_mean():
    aurocs = {
        ("none", "none"): 0.9,
        ("sign_flip", "none"): 0.4,
        ("alie", "none"): 0.6,
        ("none", "krum"): 0.8,
        ("alie", "krum"): 0.7,
    }
    points = tables.tradeoff(
        [
            make_record(attack=a, defense=d, figures={"auroc": value})
            for (a, d), value in aurocs.items()
        ]
    )
    alone, krum = row(points, defense="none"), row(points, defense="krum")
    assert (alone["utility"], alone["worst"], alone["attack"], alone["n_attacks"]) == (
        0.9,
        0.4,
        "sign_flip",
        2,
    )
    assert (krum["utility"], krum["worst"], krum["attack"], krum["n_attacks"]) == (
        0.8,
        0.7,
        "alie",
        1,
    )


def test_tradeoff_compares_with_the_best_defense_seed_by_seed():
    worst = {
        ("alie", "krum"): (0.8, 0.7),
        ("alie", "median"): (0.79, 0.67),
        ("sign_flip", "median"): (0.9, 0.9),
    }
    records = [make_record(defense=d, seed=s) for d in ("krum", "median") for s in range(2)]
    records += [
        make_record(attack=a, defense=d, seed=s, figures={"auroc": x})
        for (a, d), xs in worst.items()
        for s, x in enumerate(xs)
    ]
    points = tables.tradeoff(records)
    median = row(points, defense="median")
    assert (median["behind"], median["behind_n"]) == (pytest.approx(-0.02), 2)
    assert median["behind_high"] - median["behind"] == pytest.approx(12.706205 * 0.01, rel=1e-6)
    assert (row(points, defense="krum")["behind"], row(points, defense="krum")["behind_n"]) == (
        None,
        0,
    )


def test_attacks_that_only_read_are_no_outcome_under_attack():
    records = [
        make_record(),
        make_record(
            attack="analytic_inversion", inversion=make_inversion(), figures={"auroc": 0.1}
        ),
    ]
    assert tables.tradeoff(records).is_empty()
    assert set(tables.curves(records)["attack"]) == {"none"}


def test_curves_take_mean_and_range_over_seeds_of_all_patients():
    curves = [
        {
            "round": [4, 4, 4], "hospital": ["hospital_0", "all", "all"],
            "metric": ["auroc", "brier", "auroc"], "value": [0.1, 0.2, value],
        }
        for value in (0.7, 0.9)
    ]  # fmt: skip
    records = [make_record(seed=s, curve=curve) for s, curve in enumerate(curves)]
    last = row(tables.curves(records), round=4)
    assert (last["n"], last["mean"], last["low"], last["high"]) == (2, pytest.approx(0.8), 0.7, 0.9)


def test_inversions_add_up_over_seeds():
    records = [
        make_record(
            attack="analytic_inversion", seed=s, inversion=make_inversion(k, 8, n_shuffled=1)
        )
        for s, k in enumerate((3, 5))
    ]
    found = row(tables.inversions(records))
    assert found["n_shuffled"] == 2
    assert (found["n_recovered"], found["n_attacked"], found["rate"], found["summed"]) == (
        8,
        16,
        0.5,
        8.0,
    )
    assert (found["rate_low"], found["rate_high"]) == rate_interval(8, 16)


def test_images_are_averaged_over_seeds_beside_images_that_need_no_attack():
    records = [
        make_record(attack="dlg", seed=s, inversion=make_images(k, 8)) for s, k in enumerate((4, 8))
    ]
    found = tables.images(records)
    assert list(found["image"]) == [
        "nearest guess",
        "nearest guess from a shuffled update",
        "mean color",
        "random pixels",
    ]
    assert set(found["n"]) == {16}
    guess = row(found, image="nearest guess")
    assert guess["mse"] == pytest.approx((12 * 1e-4 + 4 * 0.1) / 16)
    assert guess["psnr"] == pytest.approx((12 * 40 + 4 * 10) / 16)
    assert guess["ssim"] == pytest.approx(0.95)
    assert row(found, image="mean color")["psnr"] == pytest.approx(20)
    assert tables.images([make_record(attack="x", inversion=make_inversion())]).is_empty()


def test_privacy_spent_is_that_of_the_run_that_spent_most():
    records = [
        make_record(defense="dp", seed=s, privacy=make_privacy(epsilon))
        for s, epsilon in enumerate((4.0, 6.0, 5.0))
    ]
    spent = tables.spent(records)
    assert list(spent["hospital"]) == ["hospital_0", "hospital_1"]
    assert list(spent["epsilon"]) == [6.0, 5.0]
    assert spent["advantage"][0] == 0.5


def test_screened_replies_are_counted_by_reason_and_equal_counts_share_a_row():
    lost = [
        Screened(round=r, hospital=h, reason="not finite")
        for r in (1, 2)
        for h in ("hospital_1", "hospital_0")
    ]
    lost.append(Screened(round=1, hospital="hospital_2", reason="not finite"))
    found = tables.screened([make_record(seed=s, screened=lost) for s in range(2)])
    assert found.select("hospitals", "n", "n_runs").rows() == [
        (["hospital_0", "hospital_1"], 4, 2),
        (["hospital_2"], 2, 2),
    ]


@pytest.mark.parametrize(
    ("records", "key"),
    [
        ([], "evidence.jsonl"),
        ([make_record(), make_record(consortium="other")], "consortium"),
        ([make_record(), make_record(seed=1, rounds=5)], "rounds"),
        ([make_record(), make_record(run="again")], "evidence.jsonl"),
        ([make_record(n_hostile=2), make_record(n_hostile=2, run="again")], "evidence.jsonl"),
    ],
)
def test_runs_that_cannot_be_compared_are_refused(records, key):
    with pytest.raises(InputError) as refusal:
        tables.one_study(records)
    assert refusal.value.key == key


def test_controls_come_first():
    ordered = tables.one_study(list(reversed(grid(seeds=1))))
    assert (ordered[0].attack, ordered[0].defense) == ("none", "none")


def test_attacks_and_defenses_come_as_asked_with_unknown_ones_last():
    records = [
        make_record(attack=a, defense=d)
        for a in ("alie", "mimic", "none", "zero")
        for d in ("krum", "none")
    ]
    ordered = tables.one_study(records, attacks=["zero", "alie"], defenses=["krum"])
    assert [record.attack for record in ordered[::2]] == ["none", "zero", "alie", "mimic"]
    assert [record.defense for record in ordered[:2]] == ["none", "krum"]
