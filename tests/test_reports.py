import json
import re
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from reports import page, sections, terminal
from reports.analysis import tables
from reports.text import findings, words
from sim import evidence
from sim.errors import InputError
from sim.evidence import (
    Conflict,
    Recovered,
    RunRecord,
    Screened,
    Visibility,
    intervals,
    outcome,
    sealed,
)
from sim.evidence.intervals import rate_interval
from tests.records import (
    addressed,
    make_conflict,
    make_hospitals,
    make_inversion,
    make_privacy,
    make_record,
)

FORBIDDEN = re.compile(r"\b(safe|safely|safety|compliant|compliance|breach\w*)\b", re.IGNORECASE)
SECRET = {"age": "SECRET-63", "sex": "SECRET-male"}


def grid(
    attacks=("none", "sign_flip"), defenses=("none", "krum"), seeds=3, **changes
) -> list[RunRecord]:
    """Attacks x defenses x seeds; without a defense ``sign_flip`` lowers AUROC by 0.3, 0.32, 0.34,
    ...
    """
    return [
        make_record(attack=a, defense=d, seed=s, figures={"auroc": auroc(a, d, s)}, **changes)
        for a in attacks
        for d in defenses
        for s in range(seeds)
    ]


def auroc(attack: str, defense: str, seed: int) -> float:
    hit = attack != "none" and defense == "none"
    return 0.8 + 0.01 * seed - (0.3 + 0.02 * seed) * hit


def everything() -> list[RunRecord]:
    """A study with every part that a page can have."""
    inversion = make_inversion(gallery=True)
    parts = {
        "privacy": make_privacy(),
        "conflicts": [
            Conflict(id="x", between="noise and utility", text="noise hides attackers too")
        ],
        "screened": [Screened(round=2, hospital="hospital_1", reason="not finite")],
        "skipped_rounds": [2],
    }
    read = [make_record(attack="analytic_inversion", seed=s, inversion=inversion) for s in range(3)]
    hidden = make_inversion(0, 64)
    read += [
        make_record(attack="analytic_inversion", defense="sum", seed=s, inversion=hidden)
        for s in range(3)
    ]
    return grid(defenses=("none", "krum")) + grid(defenses=("dp",), **parts) + read


@pytest.fixture
def folder(tmp_path):
    def make(records, manifest=None):
        for record in records:
            evidence.append(tmp_path, addressed(record))
        if manifest is not None:
            (tmp_path / "manifest.json").write_text(json.dumps(manifest))
        return tmp_path

    return make


@pytest.fixture
def undrawn(monkeypatch) -> None:
    """Pages without figures, for tests of what they state: drawing takes most of the time."""
    monkeypatch.setattr(page, "draw", lambda *_: {})


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A folder with every part, and its report."""
    where = tmp_path_factory.mktemp("whole")
    for record in everything():
        evidence.append(where, addressed(record))
    (where / "manifest.json").write_text(
        json.dumps({"command": "wardround compare seeds=3", "versions": {"flwr": "1.41.0"}})
    )
    page.write_report(where)
    return where


def html_of(records, **manifest) -> str:
    """The page without its figures."""
    return page.render(
        tables.one_study(records),
        dict.fromkeys(page.MANIFEST) | manifest,
        {},
        show_reconstructions=False,
    )


def text_of(html: str) -> str:
    return re.sub(
        r"<[^>]*>", " ", re.sub(r"<style>.*?</style>|<svg.*?</svg>", " ", html, flags=re.DOTALL)
    )


def row(frame, **where):
    (found,) = frame.filter(**where).rows(named=True)
    return found


# Statistics, against hand computation


@pytest.mark.parametrize(
    ("epsilon", "delta", "advantage"),
    [(0.0, 0.0, 0.0), (1.0, 0.0, 0.462117), (1.0, 0.01, 0.467496), (0.0, 1.0, 1.0)],
)
def test_membership_advantage_by_hand(epsilon, delta, advantage):
    assert intervals.membership_advantage(epsilon, delta) == pytest.approx(advantage, abs=1e-6)


def test_membership_advantage_of_a_huge_epsilon_is_one():
    assert intervals.membership_advantage(5000.0, 1e-5) == 1.0


# Tables


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
            "round": [4, 4, 4], "hospital": ["hospital_0", "all", "all"], "metric": ["auroc", "brier", "auroc"],
            "value": [0.1, 0.2, value],
        }
        for value in (0.7, 0.9)
    ]  # fmt: skip
    records = [make_record(seed=s, curve=curve) for s, curve in enumerate(curves)]
    last = row(tables.curves(records), round=4)
    assert (last["n"], last["mean"], last["low"], last["high"]) == (2, pytest.approx(0.8), 0.7, 0.9)


def test_inversions_add_up_over_seeds():
    records = [
        make_record(attack="analytic_inversion", seed=s, inversion=make_inversion(k, 8))
        for s, k in enumerate((3, 5))
    ]
    found = row(tables.inversions(records))
    assert (found["n_recovered"], found["n_attacked"], found["rate"], found["summed"]) == (
        8,
        16,
        0.5,
        8.0,
    )
    assert (found["rate_low"], found["rate_high"]) == rate_interval(8, 16)


def test_privacy_spent_is_that_of_the_run_that_spent_most():
    records = [
        make_record(defense="dp", seed=s, privacy=make_privacy(epsilon))
        for s, epsilon in enumerate((4.0, 6.0, 5.0))
    ]
    spent = tables.spent(records)
    assert list(spent["hospital"]) == ["hospital_0", "hospital_1"]
    assert list(spent["epsilon"]) == [6.0, 5.0]
    assert spent["advantage"][0] == intervals.membership_advantage(6.0, 1e-5)


def test_screened_replies_are_counted_by_reason_and_hospitals_with_equal_counts_share_a_row():
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


@pytest.mark.usefixtures("undrawn")
def test_the_page_takes_the_order_of_the_manifest(folder):
    where = folder(
        grid(attacks=("none", "alie", "zero"), seeds=2),
        {"attacks": ["none", "zero", "alie"], "defenses": ["none", "krum"]},
    )
    text = text_of(page.write_report(where).read_text())
    assert "Attacks tried: zero and alie." in text


def test_the_worst_attacks_are_those_with_the_most_mean_harm():
    losses = {"none": 0.0, "a": 0.1, "b": 0.3, "c": 0.2, "d": 0.0}
    records = [
        make_record(attack=a, defense=d, figures={"auroc": 0.9 - x})
        for a, x in losses.items()
        for d in ("none", "krum")
    ]
    assert tables.worst_attacks(tables.cells(records), 3) == ["none", "b", "c"]
    assert tables.worst_attacks(tables.cells(records), 9) == list(losses)


# Sentences


def test_found_names_the_worst_attack_and_the_best_defense():
    texts = {one.topic: one.text for one in findings.found(grid())}
    assert (
        "sign_flip with no defense harms the model: in each of 3 seeds AUROC fell by at least 0.300"
        " (3 of 3 lost" in texts["Without a defense"]
    )
    assert "mean change \N{MINUS SIGN}0.320, 95 % interval" in texts["Without a defense"]
    assert texts["Best defense tried"].startswith(
        "Of the defenses tried, krum (AUROC 0.810 under sign_flip, its worst attack"
    )


def test_harm_within_the_interval_is_called_neither_harm_nor_its_absence():
    noisy = [
        make_record(attack="sign_flip", seed=s, figures={"auroc": 0.85 + change})
        for s, change in enumerate((-0.1, 0.05, 0.02))
    ]
    texts = {
        one.topic: one.text
        for one in findings.found([*(make_record(seed=s) for s in range(3)), *noisy])
    }
    assert texts["Without a defense"].startswith(
        "Not decided with 3 seeds: sign_flip (1 of 3 seeds lost 0.05 or more, the largest change"
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
        return dict(findings.found(records))["Best defense tried"]

    assert re.match(
        r"No best defense is shown: krum \(.*\) and median \(.*\) are not distinguished with 3"
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
    assert "Best defense tried" in dict(findings.found(records))
    assert "Best defense tried" not in dict(findings.found(idle))
    assert "3 runs of sign_flip against krum: the attack did nothing" in " ".join(
        findings.cautions(idle)
    )


def test_many_cautions_of_one_kind_are_cut_and_counted():
    idle = [
        make_record(attack=f"a{i}", defense="krum", engagement={"attack_engaged": False})
        for i in range(8)
    ]
    texts = [
        text for text in findings.cautions(idle) if "did nothing" in text or "same holds" in text
    ]
    assert len(texts) == findings.MOST_CAUTIONS
    assert texts[0].startswith("1 run of a0 against krum")
    assert texts[-1] == "The same holds in 4 more cells, marked † below."


def test_missing_controls_and_single_seeds_are_stated():
    missing, lone = findings.cautions([make_record(attack="sign_flip")])
    assert "Controls are missing" in missing
    assert "one seed" in lone
    assert findings.found([make_record(attack="sign_flip")]) == []
    partial = [
        record
        for record in grid()
        if (record.attack, record.defense, record.seed) != ("none", "krum", 1)
    ]
    assert "missing for sign_flip with krum" in " ".join(findings.cautions(partial))
    assert findings.cautions(grid()) == []


def test_nothing_recovered_is_stated_with_its_bound_and_no_protection():
    texts = dict(findings.found(everything()))
    upper = words.share(rate_interval(0, 192)[1])
    assert (
        f"Under sum none was recovered; a true share of up to {upper} would still fit"
        in texts["Records recovered"]
    )


def test_crowd_compares_the_smallest_and_the_largest_sum():
    (text,) = findings.crowd(tables.inversions(everything()))
    assert "With 8 records in a row (no defense), 38 % were recovered; with 64 (sum), 0 %." in text
    assert findings.crowd(tables.inversions([])) == []


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
    0.0146: "1.5 %",
    0.999: "99.9 %",
    0.376: "38 %",
}


@pytest.mark.parametrize(("value", "shown"), [(None, words.NONE), *SHARES.items()])
def test_shares_are_never_rounded_to_none_or_all(value, shown):
    assert words.share(value) == shown


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


def test_visibility_and_conflicts_name_the_designs_that_have_them():
    clear, summed, hostile = (
        Visibility(party=p, sees=s)
        for p, s in (("aggregator", "updates"), ("aggregator", "a sum"), ("hostile", "all"))
    )
    records = [
        make_record(visibility=[clear, hostile]),
        make_record(defense="krum", visibility=[clear, hostile]),
        make_record(defense="sum", visibility=[summed, hostile], conflicts=[make_conflict()]),
    ]
    assert sections.visibility(records) == [
        {"party": "aggregator", "sees": "updates", "defenses": ["no defense", "krum"]},
        {"party": "aggregator", "sees": "a sum", "defenses": ["sum"]},
        {"party": "hostile", "sees": "all", "defenses": ["every design"]},
    ]
    assert [one["defenses"] for one in sections.conflicts(records)] == [["sum"]]


def test_gallery_shows_equal_reconstructions_once():
    inversion = make_inversion(gallery=True)
    other = make_inversion(gallery=inversion[0].gallery[1:])
    stolen = {"none": inversion, "krum": inversion, "sum": other}
    records = [
        make_record(attack="analytic_inversion", defense=d, seed=s, inversion=i)
        for d, i in stolen.items()
        for s in range(2)
    ]
    groups = sections.gallery(records, show_reconstructions=False)
    assert [group["defenses"] for group in groups] == [["no defense", "krum"], ["sum"]]


def test_settings_are_those_that_all_runs_share():
    records = [
        make_record(seed=s, config={"seed": s, "training": {"rounds": 4, "lr": 0.1}})
        for s in range(2)
    ]
    assert sections.settings(records) == {"training.rounds": "4", "training.lr": "0.1"}


# The page


def test_page_has_every_part_and_its_figures(whole):
    html = (whole / "report" / "index.html").read_text()
    pictures = {path.stem for path in (whole / "report" / "figures").glob("*.png")}
    assert pictures == {
        "heat_map",
        "tradeoff",
        "hospital_effects",
        "convergence",
        "reconstruction",
        "privacy_spent",
    }
    assert all(f'id="fig-{name}"' in html for name in pictures)
    sections = (
        "answer",
        "attacks",
        "tradeoff",
        "hospitals",
        "convergence",
        "reconstruction",
        "privacy",
        "visibility",
        "threats",
        "limits",
        "repeat",
    )
    assert all(f'<section id="{name}"' in html or f'id="{name}">' in html for name in sections)
    assert "wardround compare seeds=3" in html
    assert "flwr 1.41.0" in html
    assert not list(whole.rglob("*.part"))


class Links(HTMLParser):
    """Collects what a page would load or run."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.ids: list[str] = []
        self.targets: list[str] = []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag in ("script", "link", "iframe", "img", "object", "embed"):
            self.loaded.append(tag)
        self.loaded += [
            value
            for key, value in attrs
            if key in ("src", "srcset", "data") or key.startswith("on")
        ]
        self.ids += [given["id"]] if "id" in given else []
        self.targets += [given[key] for key in ("href", "xlink:href") if key in given]


def test_page_is_self_contained_and_its_links_stay_inside(whole):
    html = (whole / "report" / "index.html").read_text()
    links = Links()
    links.feed(html)
    assert links.loaded == []
    assert "@import" not in html
    assert not re.search(r"url\((?!#)", html)
    assert "http" not in html
    assert len(links.ids) == len(set(links.ids))
    inside = {target for target in links.targets if not target.startswith("data:image/png;base64,")}
    assert {target.removeprefix("#") for target in inside} <= set(links.ids)
    assert all(target.startswith("#") for target in inside)


def test_same_evidence_gives_the_same_bytes(whole):
    files = [whole / "report" / "index.html", whole / "report" / "figures" / "heat_map.png"]
    before = [path.read_bytes() for path in files]
    assert page.write_report(whole) == files[0]
    assert [path.read_bytes() for path in files] == before
    assert page.write_report(whole, evidence.read(whole)) == files[0]
    assert [path.read_bytes() for path in files] == before


def test_page_never_states_what_a_simulation_cannot_know(whole):
    pages = [
        (whole / "report" / "index.html").read_text(),
        html_of([make_record(attack="sign_flip")]),
        html_of([make_record()]),
    ]
    assert [FORBIDDEN.findall(text_of(html)) for html in pages] == [[], [], []]


def secret_records(**changes) -> list[RunRecord]:
    shown = [Recovered(hospital="hospital_0", exact=True, truth=SECRET, guess=SECRET)]
    inversion = make_inversion(gallery=shown)
    return [
        make_record(attack="analytic_inversion", inversion=inversion, seed=s, **changes)
        for s in range(2)
    ]


@pytest.mark.usefixtures("undrawn")
def test_reconstructions_of_data_that_is_not_public_are_scores_only(folder):
    where = folder(secret_records(public=False))
    html = page.write_report(where).read_text()
    assert "SECRET" not in html
    assert "not marked public" in html
    assert "38 %" in html


@pytest.mark.usefixtures("undrawn")
def test_reconstructions_are_shown_for_public_data_or_on_demand(folder, tmp_path):
    where = folder(secret_records(public=False))
    html = page.write_report(where, show_reconstructions=True).read_text()
    assert "SECRET-63" in html
    assert "Handle it like the records themselves" in html
    other = tmp_path / "public"
    other.mkdir()
    for record in secret_records(public=True):
        evidence.append(other, addressed(record))
    html = page.write_report(other).read_text()
    assert "SECRET-63" in html
    assert "Handle it like" not in html


def test_page_escapes_hostile_names():
    evil = "<script>alert(1)</script>"
    hospitals = [
        one.model_copy(update={"hospital": evil if i == 0 else one.hospital})
        for i, one in enumerate(make_hospitals([]))
    ]
    more = {
        "hospitals": hospitals,
        "visibility": [Visibility(party=evil, sees=evil)],
        "data_source": evil,
        "config": {evil: evil, "report": {"material_drop": 0.05}},
    }
    more["screened"] = [Screened(round=1, hospital=evil, reason=evil)]
    records = [make_record(defense=d, seed=s, **more) for d in ("none", "krum") for s in range(2)]
    html = html_of(records, command=evil, machine=evil)
    assert "<script" not in html
    assert "&lt;script&gt;" in html


@pytest.mark.usefixtures("undrawn")
def test_single_run_states_that_nothing_is_concluded(folder):
    html = text_of(page.write_report(folder([make_record(attack="sign_flip")])).read_text())
    assert "Controls are missing" in html
    assert "Nothing is concluded" in html
    assert "0.850" in html
    assert "No run trained with differential privacy" in html
    assert "The command is not recorded." in html


def test_untested_threats_stay_on_the_page():
    html = html_of(grid())
    assert html.count('class="status not_tested"') > 5
    assert "no attack of this project exercises it" in html
    assert "Membership inference" in html


def test_idle_defense_is_stated_at_the_top():
    idle = {"none": {}, "clip": {"defense_engaged": False}}
    records = [
        make_record(defense=d, seed=s, engagement=change)
        for d, change in idle.items()
        for s in range(2)
    ]
    html = text_of(html_of(records))
    assert "2 runs of no attack against clip: the defense did nothing" in html
    assert html.index("the defense did nothing") < html.index("What was asked")


def test_many_hospitals_are_cut_to_the_hardest_hit_and_it_is_stated():
    def crowd(worse):
        names = [f"site_{i:03}" for i in range(100)]
        hospitals = [make_hospitals([])[0].model_copy(update={"hospital": name}) for name in names]
        brier = {name: 0.1 + 0.001 * i * worse for i, name in enumerate(names)}
        return {"hospitals": hospitals, "of_hospitals": {"brier": brier}}

    records = [
        make_record(defense=d, seed=s, **crowd(d != "none"))
        for d in ("none", "krum")
        for s in range(2)
    ]
    html = html_of(records)
    assert "site_099" in html
    assert "76 more are in the evidence" in html
    assert "<td>site_010" not in html


def test_evidence_of_another_schema_is_refused_in_one_line(folder):
    where = folder([make_record()])
    path = where / evidence.EVIDENCE
    line = path.read_text().replace(evidence.SCHEMA, "wardround.evidence/1")
    path.write_bytes(sealed.seal(line.partition(', "previous"')[0] + "}", sealed.FIRST))
    with pytest.raises(InputError) as refusal:
        page.write_report(where)
    assert (
        str(refusal.value)
        == f"{path}:1=schema_: not evidence of wardround.evidence/3: it was written as"
        " wardround.evidence/1 by another version of the code (test), which can read it"
    )


def test_a_record_keeps_of_its_curve_what_reports_draw():
    rows = [
        (r, h, m, 0.1 * r)
        for r in (1, 2)
        for h in ("hospital_0", "all")
        for m in ("auroc", "brier")
    ]
    columns = dict(zip(tables.CURVE_COLUMNS, map(list, zip(*rows, strict=True)), strict=True))
    record = tables.pooled(make_record(curve=columns))
    assert record.curve == {
        "round": [1, 2],
        "hospital": ["all"] * 2,
        "metric": ["auroc"] * 2,
        "value": [0.1, 0.2],
    }
    assert tables.pooled(make_record(curve={})).curve == {}


def test_designs_that_lost_the_same_replies_share_a_row():
    lost = [Screened(round=1, hospital="hospital_1", reason="not finite")]
    records = [make_record(attack="x", defense=d, screened=lost) for d in ("none", "krum")]
    assert [row["defenses"] for row in sections.screened(records)] == [["every design"]]
    records.append(make_record(attack="x", defense="median", screened=2 * lost))
    assert [(row["n"], row["defenses"]) for row in sections.screened(records)] == [
        (2, ["median"]),
        (1, ["no defense", "krum"]),
    ]


def test_broken_manifest_is_refused_by_name(folder):
    where = folder([make_record()])
    (where / "manifest.json").write_text("{")
    with pytest.raises(InputError, match=r"manifest\.json"):
        page.write_report(where)


# The terminal


def printed(table, width=80) -> str:
    console = Console(file=StringIO(), width=width, highlight=False)
    console.print(table)
    return console.file.getvalue()


def test_closing_table_shows_means_the_lowest_seed_losses_and_shares():
    text = printed(terminal.closing(everything()))
    cell = row(tables.cells(everything()), attack="sign_flip", defense="none")
    assert f"{cell['mean']:.3f} [{cell['lowest']:.3f}] 3/3!" in text
    assert "n/m: n of m seeds lost 0.05 or more of AUROC to the attack" in text
    assert "! harm is shown" in text
    assert "38 %" in text
    assert "no defense" in text


def test_closing_table_of_one_seed_has_no_lowest_seed_and_decides_nothing():
    records = [make_record(), make_record(attack="alie", figures={"auroc": 0.1})]
    text = printed(terminal.closing(records))
    assert "one seed decides nothing" in text
    assert "0.100 1/1?" in text
    assert "[" not in text


ATTACKS = [
    "none",
    "sign_flip",
    "alie_optimized",
    "aggregation_tailored",
    "backdoor+model_replacement",
    "min_max",
    "label_flip",
]


def test_closing_table_breaks_no_cell_at_eighty_columns():
    text = printed(
        terminal.closing(
            grid(attacks=ATTACKS, defenses=("none", "geometric_median", "krum+steps=[clip,nnm]"))
        )
    )
    assert len(re.findall(r"0\.\d{3} \[0\.\d{3}\]", text)) == 3 * len(ATTACKS)
    assert all(part in text for part in ("geometric_median", "krum+steps=[clip,nnm]"))
    assert max(map(len, text.splitlines())) <= 80


def test_closing_table_of_many_attacks_gives_the_worst_for_each_defense():
    attacks = ["none", *(f"attack_{i:02}" for i in range(20))]
    records = [
        make_record(attack=a, seed=s, figures={"auroc": 0.9 - 0.01 * i})
        for i, a in enumerate(attacks)
        for s in (0, 1)
    ]
    text = printed(terminal.closing(records))
    assert re.search(r"no defense +0\.900 \[0\.900\] +0\.700 \[0\.700\] 2/2! +attack_19 +16!", text)
    assert len(text.splitlines()) < 12


def test_idle_cells_are_marked_in_the_terminal():
    text = printed(
        terminal.closing([make_record(attack="alie", engagement={"attack_engaged": False})])
    )
    assert "0.850†" in text
    assert "† attack or defense did nothing" in text
    assert "†" not in printed(terminal.closing(everything()))


def test_run_table_states_when_an_attack_did_nothing():
    idle = make_record(
        attack="sign_flip", engagement={"attack_engaged": False, "attack_distance": 0.0}
    )
    assert "NO: it changed nothing (0)" in printed(terminal.run_table(idle))
    assert "yes (2)" in printed(
        terminal.run_table(make_record(attack="sign_flip", defense="krum", privacy=make_privacy()))
    )


def test_terminal_does_not_read_names_as_markup():
    assert "[red]x" in printed(terminal.closing([make_record(defense="[red]x")]))


def test_report_of_an_empty_folder_is_refused(tmp_path: Path):
    with pytest.raises(InputError):
        page.write_report(tmp_path)
