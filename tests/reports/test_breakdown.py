"""How many hostile hospitals it takes: what is run, what is left out, what is stated; and whom
rules listen to.
"""

import json

import pytest
from hydra import initialize_config_module

from reports import page, terminal
from reports.analysis import backdoors, breakdown, ranking, undefined, weights
from reports.text import findings
from sim import evidence
from sim.cli import command
from sim.errors import InputError
from sim.evidence.manifest import code_version
from sim.study import compare, compose
from sim.study.experiment import Experiment, address
from tests.federation import plan
from tests.records import addressed, make_inversion, make_record, make_selection, with_figures
from tests.reports.reading import html_of, printed, row, text_of

DROP = 0.05


@pytest.fixture
def _hydra():
    with initialize_config_module("conf", version_base="1.3"):
        yield


# What is run


def planned(numbers, *overrides, attacks=("sign_flip",), defenses=("krum",), seeds=(0,)):
    words = ["consortium=heart4", f"adversary.n_hostile={numbers}".replace(" ", ""), *overrides]
    return compose.planned(
        words, compose.cells(attacks, defenses, compose.hostile_numbers(numbers)), seeds
    )


def cell(experiment: Experiment) -> tuple[int, str, str]:
    return experiment.settings.adversary.n_hostile, experiment.attack, experiment.label


@pytest.mark.usefixtures("_hydra")
def test_every_cell_runs_for_every_number_and_for_none_only_the_control():
    made, refused = planned([0, 1], defenses=("median",), seeds=(3, 4))
    attacked = [
        (1, attack, defense) for attack in ("none", "sign_flip") for defense in ("none", "median")
    ]
    assert [cell(one) for one in made[::2]] == [
        (0, "none", "none"),
        (0, "none", "median"),
        *attacked,
    ]
    assert [one.settings.seed for one in made] == [3, 4] * 6
    assert refused == []


@pytest.mark.usefixtures("_hydra")
def test_a_value_of_an_attack_whose_cells_are_all_left_out_is_no_unknown_key():
    made, refused = planned([0], "attack.alie.z=1.5", attacks=("alie",), defenses=("none",))
    assert [cell(one) for one in made] == [(0, "none", "none")]
    assert refused == []


@pytest.mark.usefixtures("_hydra")
def test_a_cell_that_its_rule_refuses_is_left_out_with_the_reason():
    made, refused = planned([0, 1])
    assert [cell(one) for one in made if one.label == "krum"] == [(0, "none", "krum")]
    assert [(one.attack, one.defense, one.n_hostile) for one in refused] == [
        ("none", "krum", 1),
        ("sign_flip", "krum", 1),
    ]
    assert refused[0].reason == "n_rows=4, n_hostile=1: Krum needs n_rows >= 2*n_hostile + 3 = 5"


@pytest.mark.usefixtures("_hydra")
def test_one_number_is_refused_as_an_error_and_so_is_a_list_of_which_no_cell_remains():
    words = ["consortium=heart4", "adversary.n_hostile=1"]
    with pytest.raises(InputError, match="Krum needs"):
        compose.experiments(words, compose.cells(["sign_flip"], ["krum"]), [0])
    cells = [compose.Cell(("sign_flip",), "krum", 1)]
    with pytest.raises(InputError, match="Krum needs"):
        compose.planned(words, cells, [0])


@pytest.mark.usefixtures("_hydra")
def test_other_wrong_input_stays_an_error_in_a_list_of_numbers():
    with pytest.raises(
        InputError, match=r"adversary\.n_hostile=4: expected fewer than n_hospitals=4"
    ):
        planned([1, 4])
    with pytest.raises(InputError, match=r"training\.lr"):
        planned([0, 1], "training.lr=-1")


@pytest.mark.usefixtures("_hydra")
def test_a_value_that_only_attacked_cells_have_is_taken_though_nobody_attacks_at_zero():
    made, _ = planned([0, 1], "attack.sign_flip.scale=2.5", defenses=())
    assert [
        one.settings.attack["sign_flip"]["scale"] for one in made if one.attack == "sign_flip"
    ] == [2.5]
    with pytest.raises(InputError, match="unknown key"):
        planned([0], "attack.alie.z=2.5")


@pytest.mark.parametrize("value", [[], [1, 1], [-1], [1.5], ["a"], [True]])
def test_lists_that_are_no_different_whole_numbers_are_refused(value):
    with pytest.raises(InputError, match=r"adversary\.n_hostile"):
        compose.hostile_numbers(value)


@pytest.mark.usefixtures("_hydra")
def test_a_folder_takes_other_numbers_of_hostile_hospitals_but_no_other_adversary(tmp_path):
    one, two = (planned([n], defenses=())[0][-1] for n in (1, 2))
    held = [
        make_record(
            run=address(e, code_version()),
            attack=e.attack,
            defense=e.label,
            n_hostile=len(e.attack_plan.hostile),
            rounds=e.settings.training.rounds,
            config=e.config,
            code=code_version(),
            data_hash=e.consortium.data_hash,
        )
        for e in (one, two)
    ]
    for record in held:
        evidence.append(tmp_path, record)
    assert compare.complete([two], tmp_path, 1, lambda _: None) == held[1:]
    (other,) = planned([1], "adversary.placement=largest", defenses=())[0][-1:]
    with pytest.raises(InputError, match="another adversary"):
        compare.complete([other], tmp_path, 1, lambda _: None)


def test_compare_runs_what_rules_allow_and_states_the_rest(tmp_path, capfd, monkeypatch):
    monkeypatch.setattr("sys.argv", ["wardround"])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    words = (
        "consortium=heart4 adversary.n_hostile=[0,1] attacks=[sign_flip] defenses=[krum] seeds=1"
        " training.rounds=1 workers=1"
    )
    assert command.main(["compare", *words.split(), f"hydra.run.dir={tmp_path}"]) == 0
    held = {(r.n_hostile, r.attack, r.defense) for r in evidence.read(tmp_path)}
    assert held == {
        (0, "none", "none"),
        (0, "none", "krum"),
        (1, "none", "none"),
        (1, "sign_flip", "none"),
    }
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert (manifest["attacks"], manifest["defenses"]) == (["none", "sign_flip"], ["none", "krum"])
    assert [(cell["attack"], cell["n_hostile"]) for cell in manifest["refused"]] == [
        ("none", 1),
        ("sign_flip", 1),
    ]
    line = "Krum (krum) is not defined with n_hostile=1: n_rows=4, n_hostile=1: Krum needs"
    assert line in " ".join(capfd.readouterr().out.split())
    assert line in (tmp_path / "report" / "index.html").read_text()


# What is stated


def runs(aurocs, attack="alie", defense="krum", **changes):
    """Runs with and without the attack for each number of hostile hospitals: ``aurocs[number]`` by
    seed, 0.9 without.
    """
    return [
        make_record(
            attack=a,
            defense=defense,
            n_hostile=n,
            seed=s,
            figures={"auroc": 0.9 if a == "none" else value},
            **changes,
        )
        for n, values in aurocs.items()
        for s, value in enumerate(values)
        for a in ("none", attack)
    ]


def point(records):
    return row(breakdown.points(breakdown.by_number(records)))


def test_breakdown_is_the_smallest_number_with_a_material_loss_beyond_seeds():
    found = point(runs({1: (0.88, 0.89, 0.90), 2: (0.83, 0.84, 0.85), 3: (0.5, 0.5, 0.6)}))
    assert (found["breaks_at"], found["most"]) == (2, 3)
    assert found["harm"] == pytest.approx(-0.06)
    assert found["harm_high"] == pytest.approx(-0.06 + 4.302653 * 0.01 / 3**0.5)
    assert breakdown.verdict(found) == "2"


def test_a_loss_of_one_seed_whose_interval_holds_zero_is_not_decided_nor_withstood():
    # mean loss 0.133, interval from -0.71 to 0.44
    found = point(runs({1: (0.9, 0.9, 0.9), 2: (0.5, 0.9, 0.9)}))
    assert found["breaks_at"] is None
    assert breakdown.verdict(found) == "not decided with 2 (1 of 3 seeds)"


def test_a_loss_in_every_seed_is_a_breakdown_however_wide_the_interval():
    found = point(runs({1: (0.01, 0.8, 0.84)}))  # mean loss 0.35, interval from -1 to 0.8
    assert found["harm_high"] >= 0
    assert (found["breaks_at"], breakdown.verdict(found)) == (1, "1")


def test_a_number_not_decided_below_the_breakdown_point_is_named_beside_it():
    assert (
        breakdown.verdict(point(runs({1: (0.7, 0.9, 0.9), 2: (0.5, 0.5, 0.5)})))
        == "2; not decided with 1 (1 of 3 seeds)"
    )


def test_only_numbers_with_every_interval_inside_the_material_loss_are_called_not_reached():
    assert (
        breakdown.verdict(point(runs({1: (0.899, 0.9, 0.901), 2: (0.9, 0.9, 0.9)})))
        == "not reached up to 2"
    )


def test_a_certain_loss_below_what_is_material_is_no_breakdown():
    assert point(runs({1: (0.86, 0.86, 0.861), 2: (0.86, 0.86, 0.861)}))["breaks_at"] is None


def test_one_seed_gives_no_breakdown_point():
    assert breakdown.verdict(point(runs({1: (0.1,)}))) == "one seed, no interval"


def test_losses_are_paired_with_the_control_of_the_same_number():
    records = runs({1: (0.8, 0.8), 2: (0.6, 0.6)})
    alone = [with_figures(r, {"auroc": 0.6}) for r in records if r.n_hostile == 2]
    # with 2 the control is as bad as the attacked run
    found = point([*(r for r in records if r.n_hostile == 1), *alone])
    assert (found["breaks_at"], found["harm"]) == (1, pytest.approx(-0.1))


def test_runs_whose_attack_did_nothing_and_attacks_that_read_give_no_breakdown():
    idle = runs({1: (0.5, 0.5)}, engagement={"attack_engaged": False})
    read = [
        make_record(attack="analytic_inversion", n_hostile=n, inversion=make_inversion())
        for n in (1, 2)
    ]
    assert breakdown.by_number([*idle, *read]).is_empty()


def test_a_defense_breaks_down_where_the_first_attack_breaks_it():
    records = [
        *runs({1: (0.9, 0.9), 2: (0.7, 0.7)}),
        *runs({1: (0.7, 0.7), 2: (0.6, 0.6)}, attack="mimic"),
    ]
    records = list({record.run: record for record in records}.values())
    found = row(breakdown.by_defense(breakdown.points(breakdown.by_number(records))))
    assert (found["breaks_at"], found["attack"], found["n_broken"], found["n_attacks"]) == (
        1,
        "mimic",
        2,
        2,
    )


REFUSED = [
    {"attack": a, "defense": "krum", "n_hostile": n, "reason": f"because of {n}"}
    for a in ("none", "alie")
    for n in (6, 5)
]


def test_refusals_are_stated_once_for_each_defense_with_the_first_reason():
    assert breakdown.limits([], REFUSED) == {"krum": 5}
    assert undefined.sentences(REFUSED) == [
        "Krum (krum) is not defined with n_hostile=5 to 6: because of 5"
    ]


def test_a_limit_beyond_the_numbers_run_is_known_from_the_runs():
    records = [
        make_record(defense="krum", limit=4),
        make_record(defense="median", limit=5),
        make_record(defense="none"),
    ]
    assert breakdown.limits(records, REFUSED) == {"krum": 5, "median": 6}


@pytest.mark.parametrize(
    ("words", "limit"),
    [
        (["aggregator=krum"], 4),  # 12 >= 2 * 4 + 3
        (["aggregator=median"], 5),  # 12 >= 2 * 5 + 1
        (["aggregator=bulyan", "adversary.n_hostile=1"], 2),  # 12 >= 4 * 2 + 3
        (["aggregator=mean"], None),
        (["aggregator=mean", "secagg=sum"], None),
        # 6 buckets of two, each spoilt by one
        (["aggregator=median", "steps=[bucketing]", "adversary.n_hostile=1"], 2),
    ],
)
def test_the_limit_of_a_defense_is_the_largest_number_that_is_not_refused(words, limit):
    (experiment,) = plan(words, [], [])
    chain = experiment.plan.chain
    assert chain.most_hostile(len(experiment.plan.groups(1)), 12) == limit
    if limit is not None:
        assert (
            next(n for n in range(1, 9) if refused(f"adversary.n_hostile={n}", *words)) == limit + 1
        )


def refused(*words):
    try:
        plan([*(word for word in words[1:] if not word.startswith("adversary")), words[0]], [], [])
    except InputError:
        return True
    return False


@pytest.mark.parametrize(
    ("run", "chosen"), [((0, 1, 2, 3), 1), ((0, 2, 3), 2), ((0, 1), 1), ((0,), 0), ((5,), 5)]
)
def test_the_report_is_about_the_number_nearest_a_quarter(run, chosen):
    # 6 hospitals: of 1 and 2 the smaller
    assert breakdown.focus([make_record(n_hostile=n) for n in run]) == chosen


def test_the_report_is_about_a_number_at_which_every_cell_ran():
    cells = [
        (n, a, d)
        for n in (1, 2, 3)
        for a in ("none", "alie")
        for d in ("none", "krum")
        if (n, d) not in ((1, "krum"),)
    ]
    assert (
        breakdown.focus([make_record(n_hostile=n, attack=a, defense=d) for n, a, d in cells]) == 2
    )


def study():
    cells = [
        (n, a, d)
        for n in (0, 1, 2, 5)
        for a in ("none", "alie")
        for d in ("none", "krum")
        if (n, d) != (5, "krum")
    ]
    return [
        make_record(
            n_hostile=n,
            attack=a,
            defense=d,
            seed=s,
            figures={"auroc": 0.9 - (a != "none") * 0.04 * n * (2 - (d != "none"))},
        )
        for n, a, d in cells
        if n or a == "none"
        for s in range(3)
    ]


def test_page_shows_breakdown_points_limits_and_which_number_it_is_about(tmp_path):
    for record in study():
        evidence.append(tmp_path, addressed(record))
    (tmp_path / "manifest.json").write_text(json.dumps({"refused": REFUSED[1:2]}))
    html = page.write_report(tmp_path).read_text()
    text = " ".join(text_of(html).split())
    assert 'id="fig-breakdown"' in html
    assert "Krum (krum) is not defined with n_hostile=5: because of 5" in text
    assert "this page shows the runs with 1 of 6 hospitals hostile" in text
    assert (
        "With no defense, hidden shift lowers AUROC by at least 0.05 from 1 hostile hospital on."
        in text
    )
    assert "Under Krum it takes 2 hostile hospitals." in text
    assert "Each point is a defense" in text
    # runs with 5 hostile are only in the sections on numbers and on training that broke down
    assert (
        "0.500" not in text.split("The answer in five sentences")[1].split("Questions this page")[0]
    )


def found(**breaks):
    """Sentences for defenses that break down at the given numbers, or not at all."""
    losses = {
        name: {n: (0.5 + 0.01 * n, 0.5, 0.5) if at and n >= at else (0.9,) * 3 for n in (1, 2, 3)}
        for name, at in breaks.items()
    }
    return breakdown.found(
        [record for name, loss in losses.items() for record in runs(loss, defense=name)], DROP
    )


def test_found_states_what_withstands_most():
    assert found(none=2) == [
        "With no defense, hidden shift lowers AUROC by at least 0.05 from 2 hostile hospitals on."
    ]
    assert found(krum=2, median=None) == [
        "Under median (up to 3) no attack tried is shown to lower it by that much: intervals end"
        " below 0.05."
    ]
    assert found(krum=2, median=3) == ["Under median it takes the most: 3 hostile hospitals."]
    assert found(krum=2, median=2) == ["Under every defense tried it takes 2 hostile hospitals."]
    assert found(krum=1) == ["Under Krum it takes 1 hostile hospital."]


def test_one_number_makes_no_section_on_numbers():
    html = html_of([make_record(seed=s, attack=a) for s in range(2) for a in ("none", "alie")])
    assert "How many hostile hospitals" not in html


def test_terminal_states_breakdown_points_and_refusals():
    text = " ".join(printed(terminal.closing(study(), REFUSED[1:2])).split())
    assert "1 of 6 hospitals hostile" in text
    assert "krum 2 alie" in text
    assert "no defense 1 alie" in text
    assert "Krum (krum) is not defined with n_hostile=5: because of 5" in text


def test_attacks_that_knew_the_defense_are_named():
    texts = findings.asked(
        [make_record(attack=a, adaptive=a == "fang") for a in ("none", "fang", "alie")]
    )
    assert texts[-1].startswith("Counter-trend push (marked *) knew each defense")
    assert texts[-1].endswith("The others were not shown it.")
    assert "marked *" not in " ".join(findings.asked([make_record(attack="alie")]))


# Which hospitals rules use, and backdoors


KRUM = make_selection([0.5, 0.25, 0.25, 0.0, 0.0, 0.0], [0.5, 0.75, 0.75, 1.0, 1.0, 1.0])


def test_selection_is_averaged_over_seeds_and_counts_no_recall_where_nobody_attacks():
    other = make_selection([1 / 6] * 6, [0.0] * 6, recall=0.7, precision=None, honest_left_out=0.1)
    records = [
        make_record(attack=a, defense="krum", seed=s, more=one)
        for a in ("none", "alie")
        for s, one in enumerate((KRUM, other))
    ]
    table = weights.selections([make_record(), *records])
    hit, alone = row(table, attack="alie"), row(table, attack="none")
    assert (hit["recall"], hit["precision"], hit["used"]) == (
        pytest.approx(0.6),
        0.25,
        pytest.approx(3.5),
    )
    # 0.6 ± 12.706205 * 0.1, cut to the range of a share
    assert (hit["recall_low"], hit["recall_high"]) == (0, 1)
    assert (alone["recall"], alone["precision"]) == (None, None)
    assert alone["wrongly_left_out"] == pytest.approx(5 / 6 / 2)  # all six are honest then


def test_the_hospital_of_least_weight_is_stated_in_units_of_an_equal_share():
    attacked = make_record(
        attack="alie",
        defense="krum",
        more=make_selection([0, 0.2, 0.2, 0.2, 0.2, 0.2], [1, 0, 0, 0, 0, 0]),
    )
    alone = make_record(
        defense="krum", more=make_selection([0.2, 0.2, 0.2, 0.2, 0.15, 0.05], [0, 0, 0, 0, 0, 0.75])
    )
    least = row(weights.least_weight([attacked, alone]))
    assert (least["hospital"], least["weight"], least["left_out"], least["n_train"]) == (
        "hospital_5",
        pytest.approx(0.3),
        0.75,
        20,
    )


def test_a_rule_that_takes_one_hospital_is_named():
    records = [make_record(attack="alie", defense="krum", more=KRUM)]
    (text,) = weights.single(weights.selections(records), 6, 1)
    assert text.startswith(
        "Krum: the update of one hospital is the whole step of a round. The other 5 are left out"
    )
    assert "precision cannot exceed 20 % (1 of 5)" in text
    half = make_selection([0.2] * 5 + [0], [0, 0, 0, 0, 0, 1])
    assert (
        weights.single(
            weights.selections([make_record(attack="alie", defense="mda", more=half)]), 6, 1
        )
        == []
    )


def test_page_shows_which_hospitals_rules_use_only_where_the_evidence_has_it():
    records = [
        make_record(attack=a, defense=d, seed=s, more=KRUM if d == "krum" else [])
        for a in ("none", "alie")
        for d in ("none", "krum")
        for s in range(2)
    ]
    text = " ".join(text_of(html_of(records)).split())
    assert "Which hospitals the rules use" in text
    assert "a precision of 17 %" in text
    assert "hospital_3 60 0.00 100 %" in text
    assert "Which hospitals the rules" not in html_of([make_record()])


def test_backdoors_stand_beside_their_false_triggers_and_what_they_cost():
    records = [make_record(seed=s, figures={"auroc": 0.9}) for s in range(2)]
    records += [
        make_record(attack="backdoor", seed=s, figures={"auroc": 0.89}, backdoor=(success, 0.2))
        for s, success in enumerate((0.8, 0.9))
    ]
    found = row(backdoors.backdoors(records))
    assert (found["success"], found["false_trigger"], found["n_marked"]) == (
        pytest.approx(0.85),
        0.2,
        80,
    )
    assert (found["gain"], found["harm"]) == (pytest.approx(0.65), pytest.approx(-0.01))
    # more than 0.05 between seeds
    error = sum(p * (1 - p) / 82 for p in ((0.85 * 80 + 1) / 82, (0.2 * 80 + 1) / 82)) ** 0.5
    # above 1 no share can be
    assert (found["gain_low"], found["gain_high"]) == (pytest.approx(0.65 - 12.706205 * error), 1)
    (text,) = ranking.backdoor_texts(backdoors.backdoors(records), DROP)
    assert (
        "85 % of marked patients are put into the attacker's class, 20 % in the same run without"
        " the attack" in text
    )
    assert "Success beyond" in text_of(html_of(records))
