"""What the sentences of a report state of results, and how they write numbers."""

import re

import pytest

from reports.analysis import tables
from reports.analysis.seen import Seen
from reports.text import findings, words
from sim.evidence import (
    outcome,
)
from sim.evidence.intervals import rate_interval
from tests.records import (
    make_isolation,
    make_privacy,
    make_record,
)
from tests.reports.reading import everything, grid


def test_the_worst_attacks_are_those_with_the_most_mean_harm():
    losses = {"none": 0.0, "a": 0.1, "b": 0.3, "c": 0.2, "d": 0.0}
    records = [
        make_record(attack=a, defense=d, figures={"auroc": 0.9 - x})
        for a, x in losses.items()
        for d in ("none", "krum")
    ]
    assert tables.worst_attacks(tables.cells(records), 3) == ["none", "b", "c"]
    assert tables.worst_attacks(tables.cells(records), 9) == list(losses)


def test_found_names_the_worst_attack_and_the_best_defense():
    texts = {one.topic: one.text for one in findings.found(Seen(grid()))}
    assert (
        "Sign flipping with no defense harms the model: in each of 3 seeds AUROC fell by at least"
        " 0.300"
        " (3 of 3 lost" in texts["Without a defense"]
    )
    assert "mean change \N{MINUS SIGN}0.320, 95 % interval" in texts["Without a defense"]
    assert texts["Best defense tried"].startswith(
        "Of the defenses tried, Krum (AUROC 0.810 under sign flipping, its worst attack"
    )


def test_harm_within_the_interval_is_called_neither_harm_nor_its_absence():
    noisy = [
        make_record(attack="sign_flip", seed=s, figures={"auroc": 0.85 + change})
        for s, change in enumerate((-0.1, 0.05, 0.02))
    ]
    texts = {
        one.topic: one.text
        for one in findings.found(Seen([*(make_record(seed=s) for s in range(3)), *noisy]))
    }
    assert texts["Without a defense"].startswith(
        "Not decided with 3 seeds: sign flipping (1 of 3 seeds lost 0.05 or more, the largest"
        " change"
        " \N{MINUS SIGN}0.100"
    )
    assert "no loss" not in texts["Without a defense"]


def test_defenses_that_differ_by_less_than_seeds_do_are_not_are_apart():
    def best(gaps):
        """``median`` falls short of ``krum`` by ``gaps``, seed by seed, on seeds that differ far
        more.
        """
        records = [
            make_record(
                attack=a,
                defense=d,
                seed=s,
                figures={"auroc": 0.7 + 0.1 * s - gap * (d == "median")},
            )
            for a in ("none", "alie")
            for d in ("krum", "median")
            for s, gap in enumerate(gaps)
        ]
        return dict(findings.found(Seen(records)))["Best defense tried"]

    assert re.match(
        r"No best defense is shown: Krum \(.*\) and median \(.*\) are not distinguished with 3"
        r" seeds.",
        best((0.03, 0.0, 0.01)),
    )
    assert "is distinguished from every other" in best((0.03, 0.031, 0.029))
    # far apart, but in each seed by a material share
    assert "is distinguished from every other" in best((0.05, 0.4, 0.9))


def test_idle_runs_are_cautioned_against_and_left_out_of_what_was_found():
    records = grid()
    idle = [
        (
            record.model_copy(
                update={
                    "engagement": record.engagement.model_copy(update={"attack_engaged": False})
                }
            )
            if (record.attack, record.defense) == ("sign_flip", "krum")
            else record
        )
        for record in records
    ]
    assert "Best defense tried" in dict(findings.found(Seen(records)))
    assert "Best defense tried" not in dict(findings.found(Seen(idle)))
    assert "3 runs of sign flipping against Krum: the attack did nothing" in " ".join(
        findings.cautions(Seen(idle))
    )


def test_many_cautions_of_one_kind_are_cut_and_counted():
    idle = [
        make_record(attack=f"a{i}", defense="krum", engagement={"attack_engaged": False})
        for i in range(8)
    ]
    texts = [
        text
        for text in findings.cautions(Seen(idle))
        if "did nothing" in text or "same holds" in text
    ]
    assert len(texts) == findings.MOST_CAUTIONS
    assert texts[0].startswith("1 run of a0 against Krum")
    assert texts[-1] == "The same holds in 4 more cells, marked † below."


def test_missing_controls_and_single_seeds_are_stated():
    missing, lone = findings.cautions(Seen([make_record(attack="sign_flip")]))
    assert "Controls are missing" in missing
    assert "one seed" in lone
    assert findings.found(Seen([make_record(attack="sign_flip")])) == []
    partial = [
        record
        for record in grid()
        if (record.attack, record.defense, record.seed) != ("none", "krum", 1)
    ]
    assert "missing for sign flipping with Krum" in " ".join(findings.cautions(Seen(partial)))
    assert findings.cautions(Seen(grid())) == []


def test_nothing_recovered_is_stated_with_its_bound_and_no_protection():
    texts = dict(findings.found(Seen(everything())))
    upper = words.share(rate_interval(0, 192)[1])
    assert (
        f"Under secure aggregation none was recovered; a true share of up to {upper} would still"
        " fit" in texts["Records recovered"]
    )


def test_crowd_compares_the_smallest_and_the_largest_sum():
    (text,) = findings.crowd(tables.inversions(everything()))
    assert (
        "Where 8 records are summed in what the attacker saw (no defense), 38 % were recovered;"
        " where 64 are (secure aggregation), 0 %."
    ) in text
    assert findings.crowd(tables.inversions([])) == []


def test_single_updates_are_stated_with_who_pooled_what_and_how_small_a_sum_is_left():
    def text(**changes):
        made = make_isolation(**changes)
        record = make_record(attack="collusion", defense="secagg", isolation=made)
        return {one.topic: one.text for one in findings.found(Seen([record]))}["Single updates"]

    start = (
        "Collusion against a sum under secure aggregation: the aggregator and 1 of 6 hospitals"
        " recovered"
    )
    assert text() == (
        f"{start} no honest hospital's update; the smallest sum that was held is of 5 honest"
        " hospitals."
    )
    assert text(n_recovered=1, n_honest=1, error=1e-17, smallest=1) == (
        f"{start} 1 of 1 update of honest hospitals, the best exactly."
    )
    assert text(n_recovered=2, error=0.0123, smallest=1) == (
        f"{start} 2 of 5 updates of honest hospitals, the best with an error of 0.012 of its"
        " length."
    )
    assert text(error=0.34, smallest=1).endswith(
        "update, with an error of at least 0.34; the smallest sum that was held is of 1 honest"
        " hospital."
    )
    assert text(smallest=None, colluding=()) == (
        "Collusion against a sum under secure aggregation: the aggregator recovered no honest"
        " hospital's update, and held no"
        " sum of any."
    )


def test_without_a_defense_one_sentence_states_that_all_updates_are_seen():
    records = [
        make_record(attack=name, isolation=make_isolation(5, attack=name, error=0.0, smallest=1))
        for name in ("collusion", "disaggregation")
    ]
    texts = {one.topic: one.text for one in findings.found(Seen(records))}
    assert texts["Single updates"] == "With no defense the aggregator sees every update by itself."


def test_what_small_hospitals_pay_for_privacy_is_stated_only_where_the_data_show_it():
    def texts(epsilons, noises):
        terms, _ = make_privacy()
        pairs = zip(terms.hospitals, noises, strict=True)
        hospitals = [one.model_copy(update={"noise_multiplier": noise}) for one, noise in pairs]
        spent = [
            outcome("epsilon", e, 1, hospital=one.hospital)
            for one, e in zip(hospitals, epsilons, strict=True)
        ]
        record = make_record(
            defense="dp", privacy=(terms.model_copy(update={"hospitals": hospitals}), spent)
        )
        return findings.unequal_privacy(tables.spent([record]))

    (spends,) = texts((2, 3), (1, 1))
    assert (
        "small hospitals spend more privacy: hospital_1 (100 records) ε = 3.00 with noise"
        " multiplier 1;" in spends
    )
    (adds,) = texts((2, 2), (1, 1.5))
    assert "small hospitals add more noise" in adds
    assert texts((3, 2), (1, 1)) == []
    assert texts((2, 2), (1, 0.5)) == []


def test_long_lists_are_cut_and_state_by_how_much():
    assert words.some("abcdef") == "a, b, c, d, e and f"
    assert words.some("abcdefg") == "a, b, c, d, e and 2 more"


SHARES = {
    0.0: "0 %",
    1.0: "100 %",
    0.0001: "under 0.1 %",
    0.9999: "over 99.9 %",
    0.9995: "over 99.9 %",
    0.9994: "99.9 %",
    0.0005: "0.05 %",
    0.0146: "1.5 %",
    0.999: "99.9 %",
    0.376: "38 %",
    2 / 16: "13 %",
    21 / 40: "53 %",
    1 / 16: "6.3 %",
    0.0049: "0.49 %",
    3 / 99: "3 %",
    0.99949999999999994: "over 99.9 %",  # which floats make of 0.9995
    1 - 2**-53: "over 99.9 %",
    5e-324: "under 0.1 %",
}


@pytest.mark.parametrize(("value", "shown"), [(None, words.NONE), *SHARES.items()])
def test_shares_are_never_rounded_to_none_or_all(value, shown):
    assert words.share(value) == shown


def test_no_share_has_a_minus_on_zero():
    assert words.share(-0.0) == "0 %"


@pytest.mark.parametrize("value", [1.5, 1e300, float("inf")])
def test_a_bound_beyond_all_is_that_of_all(value):
    """A stored register may state anything."""
    assert [words.at_most(value), words.at_least(value)] == ["100 %", "100 %"]
    assert [words.at_most(float("nan")), words.at_least(float("nan"))] == [words.NONE] * 2


def test_halves_are_rounded_away_from_zero_in_every_figure():
    assert [words.score(0.8125), words.score(0.5)] == ["0.813", "0.500"]
    assert [words.change(-0.0625), words.change(0.0625)] == ["\N{MINUS SIGN}0.063", "+0.063"]
    assert words.signed_points(-0.0125) == "\N{MINUS SIGN}1.3"
    assert words.number(0.25) == "0.3"
    assert words.equal_shares(-0.125) == "\N{MINUS SIGN}0.13"
    assert words.change(float("inf")) == "+Infinity"


@pytest.mark.parametrize(
    ("numbers", "shown"), [([3], "3"), ([1, 2], "1 to 2"), ([1, 4, 5, 6, 9], "1, 4 to 6 and 9")]
)
def test_rounds_are_listed_as_ranges(numbers, shown):
    assert words.ranges(numbers) == shown


BUDGETS = {
    8.0: "8.00",
    0.5: "0.500",
    12.345: "12.4",
    123.4: "124",
    2.9951: "3.00",
    -1.0: "0",
    0.0: "0",
}


@pytest.mark.parametrize(("value", "shown"), BUDGETS.items())
def test_budgets_have_three_digits_and_are_rounded_up(value, shown):
    assert words.epsilon(value) == shown
