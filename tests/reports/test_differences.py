"""What differs between two folders, held to plain oracles; and what is refused as no such pair."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from reports import difference, page
from reports.analysis import differences
from reports.figures import differences as forest
from reports.figures import style
from sim import api, evidence
from sim.cli.command import main
from sim.errors import InputError
from sim.evidence import RunRecord
from tests import ROOT
from tests.assessed import (
    CATALOG,
    LOSS,
    READ,
    make_chain,
    make_design,
    make_values,
    pairs,
    recovered,
)
from tests.records import addressed, make_inversion, make_privacy, make_record
from tests.reports.reading import grid, row, text_of
from threats import compared, problems, stored, verdict
from threats.assessment import Plan, assess
from threats.system import Design

DROP = 0.05
BEFORE = (0.90, 0.91, 0.89, 0.93)
PLAN = Plan(
    needed={("THR-BYZ", "hostile"): ("sign_flip",), ("THR-GI", "reader"): ("analytic_inversion",)}
)


def runs(values: Sequence[float | None], defense: str = "krum", **changes: Any) -> list[RunRecord]:
    """Runs of one cell by their AUROC, one a seed."""
    first = changes.pop("first", 0)
    metric = changes.pop("metric", "auroc")
    return [
        make_record(attack="alie", defense=defense, seed=seed, figures={metric: value}, **changes)
        for seed, value in enumerate(values, first)
    ]


def changed(before: Sequence[RunRecord], after: Sequence[RunRecord], metric: str = "auroc") -> Any:
    sides = [differences.side(one, by_number=False) for one in (before, after)]
    return row(differences.changes(*sides, DROP), metric=metric)


def put(folder: Path, records: Sequence[RunRecord], **manifest: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for record in records:
        evidence.append(folder, addressed(record))
    if manifest:
        (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def validated(
    folder: Path, design: Design, losses: Sequence[float] = (0.01,) * 5, n_read: int = 0
) -> Path:
    """A folder as ``wardround validate`` leaves it, without its page."""
    defense = design.stack(design.declared).defense
    records = [*pairs("sign_flip", losses, defense), *recovered([n_read] * 8, defense=defense)]
    unique = {one.run: one for one in map(addressed, records)}
    put(folder, list(unique.values()))
    chain = evidence.chain(folder)
    stored.write_design(folder, design)
    verdict.write(folder, assess(design, CATALOG, chain, PLAN), CATALOG)
    return folder


@pytest.mark.parametrize(
    "after", [(0.80, 0.78, 0.85, 0.90), (0.91, 0.95, 0.88, 0.94), (0.2, 0.9, 0.1, 0.9)]
)
def test_seeds_that_pair_have_students_interval_of_their_differences(
    after: Sequence[float],
) -> None:
    found = changed(runs(BEFORE), runs(after))
    outside = stats.ttest_rel(after, BEFORE).confidence_interval(0.95)
    control = stats.t.interval(0.95, 3, np.mean(BEFORE), stats.sem(BEFORE))
    assert (found["basis"], found["n_pairs"]) == ("paired", 4)
    assert found["change"] == pytest.approx(np.mean(after) - np.mean(BEFORE))
    assert found["low"] == pytest.approx(max(outside.low, -min(1, control[1])))
    assert found["high"] == pytest.approx(min(outside.high, 1 - control[0]))
    each = np.subtract(after, BEFORE)
    assert (found["worst"], found["worst_seed"]) == (pytest.approx(each.min()), each.argmin())
    assert (found["n_worse"], found["n_material"]) == ((each < 0).sum(), (each <= -DROP).sum())


@pytest.mark.parametrize(
    "changes", [{"first": 7}, {"data_hash": "1" * 64}, {"hostile": ["hospital_3"]}]
)
def test_runs_that_do_not_pair_have_welchs_interval(changes: Mapping[str, Any]) -> None:
    after = (0.80, 0.78, 0.85)
    found = changed(runs(BEFORE), runs(after, **changes))
    outside = stats.ttest_ind(after, BEFORE, equal_var=False).confidence_interval(0.95)
    assert (found["basis"], found["n_pairs"]) == ("welch", 0)
    assert (found["n_before"], found["n_after"]) == (4, 3)
    assert (found["low"], found["high"]) == (
        pytest.approx(outside.low),
        pytest.approx(outside.high),
    )
    assert found["outcome"] == "worse"
    assert found["worst"] is found["n_worse"] is None


def test_only_seeds_of_both_folders_pair() -> None:
    found = changed(runs(BEFORE), runs((0.1, 0.2), first=2))
    assert found["n_pairs"] == 2
    assert found["before"] == pytest.approx((0.89 + 0.93) / 2)
    assert found["change"] == pytest.approx((0.1 - 0.89 + 0.2 - 0.93) / 2)


@pytest.mark.parametrize(
    ("after", "outcome", "within"),
    [
        ((0.80, 0.81, 0.79, 0.83), "worse", False),  # all lost 0.1
        ((0.84, 0.70, 0.83, 0.60), "worse", False),  # all lost at least 0.06, by unequal amounts
        ((0.95, 0.97, 0.95, 0.99), "better", False),
        ((0.90, 0.91, 0.89, 0.93), "not decided", True),
        ((0.89, 0.90, 0.88, 0.92), "not decided", True),  # surely lower, and by less than counts
        ((0.90, 0.91, 0.89, 0.20), "not decided", False),  # one seed lost much
        ((0.60, 0.99, 0.60, 0.99), "not decided", False),
        ((None, None, 0.80, 0.80), "worse", False),  # two have no figure, the others lost
        ((None, 0.91, 0.89, 0.93), "not decided", False),
        ((None, None, None, None), "worse", False),
    ],
)
def test_a_change_is_shown_or_not_decided(
    after: Sequence[float | None], outcome: str, within: bool
) -> None:
    found = changed(runs(BEFORE), runs(after))
    assert (found["outcome"], found["within"]) == (outcome, within)
    assert found["n_lost"] == after.count(None)
    back = changed(runs(after), runs(BEFORE))
    turned = {"worse": "better", "better": "worse"}
    assert back["outcome"] == turned.get(outcome, outcome)
    assert back["n_regained"] == after.count(None)


def test_one_seed_decides_nothing() -> None:
    found = changed(runs((0.9,)), runs((0.1,)))
    assert (found["outcome"], found["low"], found["n_worse"]) == ("not decided", None, 1)


def test_a_higher_brier_score_is_worse() -> None:
    found = changed(
        runs((0.1, 0.12, 0.11), metric="brier"), runs((0.3, 0.33, 0.35), metric="brier"), "brier"
    )
    assert (found["outcome"], found["worst_seed"], found["n_material"]) == ("worse", 2, 3)
    assert found["change"] > 0


def test_rates_that_agree_are_no_certainty() -> None:
    """Ten of 16 records in every seed before, and none after; the counts hold the interval open."""
    cells = [
        [
            make_record(attack="analytic_inversion", seed=s, inversion=make_inversion(n, 16))
            for s in range(3)
        ]
        for n in (10, 0)
    ]
    found = changed(cells[0], cells[1], "reconstruction_rate")
    assert found["change"] == pytest.approx(-10 / 16)
    assert found["high"] - found["low"] > 0.3
    assert found["outcome"] == "better"


def test_a_backdoor_is_compared_beyond_its_false_triggers() -> None:
    cells = [
        [make_record(attack="backdoor", seed=s, backdoor=(rate, 0.1, 400)) for s in range(3)]
        for rate in (0.9, 0.2)
    ]
    found = changed(cells[0], cells[1], differences.EXCESS)
    assert (found["before"], found["after"]) == (pytest.approx(0.8), pytest.approx(0.1))
    assert found["outcome"] == "better"


def test_what_differs_in_the_configuration_is_stated_with_its_cells() -> None:
    def configured(lr: float, drop: float) -> list[RunRecord]:
        config = {"training": {"rounds": 4, "lr": lr}, "report": {"material_drop": drop}}
        plain = [make_record(seed=s, config=config) for s in range(2)]
        with_krum = {**config, "krum": {"m": lr}}
        return [*plain, *(make_record(defense="krum", config=with_krum, seed=s) for s in range(2))]

    sides = [differences.side(configured(lr, 0.05), by_number=False) for lr in (0.1, 0.2)]
    found = {one.key: one for one in differences.configuration(*sides)}
    assert set(found) == {"training.lr", "krum.m"}
    assert (found["training.lr"].before, found["training.lr"].after) == ("0.1", "0.2")
    assert found["training.lr"].cells is None
    assert found["krum.m"].cells == (("none", "krum", None),)


def test_two_folders_of_runs_give_a_page_and_its_json(tmp_path: Path) -> None:
    before = put(
        tmp_path / "a", grid(defenses=("none", "krum", "median")), command="wardround compare"
    )
    after = put(tmp_path / "b", grid(attacks=("none", "sign_flip", "zero"), seeds=4))
    held = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    target, found = difference.write(before, after)
    assert target == after / "report" / "difference.html"
    assert {path: path.read_bytes() for path in held} == held
    text = text_of(target.read_text())
    for sentence in found.summary:
        assert sentence.split("(")[0].strip() in text
    stated = found.json
    assert json.loads(json.dumps(stated)) == stated
    assert [one["attack"] for one in stated["only_after"]] == ["zero", "zero"]
    assert [one["defense"] for one in stated["only_before"]] == ["median", "median"]
    assert len(stated["changes"]) == found.changes.height
    (auroc,) = (
        one
        for one in stated["changes"]
        if (one["attack"], one["defense"], one["metric"]) == ("sign_flip", "none", "auroc")
    )
    assert auroc["change"] == 0
    assert "found are compared" not in text
    assert difference.write(before, after, tmp_path / "out")[0].read_bytes() == target.read_bytes()


def test_a_notebook_shows_what_the_page_states(tmp_path: Path) -> None:
    title = {"title": "their <b>own</b> attack", "plain": "It does what they ask for."}
    more = {"titles": {"attack": {"mine": title}}}
    before, after = (
        put(tmp_path / name, [make_record(attack="mine", seed=s) for s in range(2)], **more)
        for name in ("a", "b")
    )
    found = difference.read(before, after)
    assert "their &lt;b&gt;own&lt;/b&gt; attack with no defense" in found._repr_html_()
    for sentence in found.summary:
        assert " ".join(sentence.split()) in " ".join(str(found).replace("\n", " ").split())
    assert "their &lt;b&gt;own&lt;/b&gt; attack" in difference.write(before, after)[0].read_text()


def test_a_row_leads_to_the_runs_of_both_folders(tmp_path: Path) -> None:
    before = put(tmp_path / "before #1", grid())
    after = put(tmp_path / "after", grid(seeds=4))
    assert "#cell-" not in difference.write(before, after)[0].read_text()
    pages = [page.write_report(folder) for folder in (before, after)]
    html = difference.write(before, after)[0].read_text()
    for where, own in (
        ("../../before%20%231/report/index.html", pages[0]),
        ("index.html", pages[1]),
    ):
        anchors = set(re.findall(f'href="{where}#([^"]*)"', html))
        assert anchors == {f"cell-{a}-{d}" for a in ("none", "sign_flip") for d in ("none", "krum")}
        assert anchors <= set(re.findall(r'id="([^"]*)"', own.read_text()))


def test_privacy_that_is_spent_is_stated_before_and_after(tmp_path: Path) -> None:
    def spending(epsilon: float) -> list[RunRecord]:
        privacy = make_privacy(epsilon)
        return [make_record(defense="dp", seed=s, privacy=privacy) for s in range(2)]

    before = put(tmp_path / "a", spending(8.0))
    after = put(tmp_path / "b", spending(2.0))
    found = api.difference(before, after)
    (spent,) = found.costs.filter(metric="epsilon").rows(named=True)
    assert (spent["before"], spent["after"], spent["change"]) == (8.0, 2.0, -6.0)
    assert any(text.startswith("dp spends less privacy: ε = 2.00") for text in found.summary)
    assert not (after / "report").exists()


def test_figures_that_hardly_change_are_counted_apart(tmp_path: Path) -> None:
    folders = [
        put(tmp_path / name, runs(values))
        for name, values in (("a", BEFORE), ("b", (0.89, 0.90, 0.88, 0.92)))
    ]
    first, *_ = api.difference(*folders).summary
    assert first.endswith("7 are not decided, 6 of which change by less than 0.05 either way.")


def test_privacy_that_differs_in_no_digit_shown_is_not_stated(tmp_path: Path) -> None:
    folders = [
        put(
            tmp_path / str(epsilon),
            [make_record(defense="dp", seed=s, privacy=make_privacy(epsilon)) for s in range(2)],
        )
        for epsilon in (8.0, 7.9999)
    ]
    found = api.difference(*folders)
    (spent,) = found.costs.filter(metric="epsilon").rows(named=True)
    assert spent["change"] < 0
    assert not any("spends" in text for text in found.summary)


def test_the_order_of_the_folders_turns_every_change(tmp_path: Path) -> None:
    a = put(tmp_path / "a", [*runs(BEFORE), *runs(BEFORE, "none")])
    b = put(tmp_path / "b", [*runs((0.5, 0.6, 0.5, 0.6)), *runs(BEFORE, "none")])
    one = difference.read(a, b).changes
    other = difference.read(b, a).changes
    assert one["change"].to_list() == [-value for value in other["change"].to_list()]
    assert row(one, defense="krum", metric="auroc")["outcome"] == "worse"
    assert row(other, defense="krum", metric="auroc")["outcome"] == "better"


def test_a_copy_of_a_folder_holds_the_same_evidence(tmp_path: Path) -> None:
    before = put(tmp_path / "a", grid())
    shutil.copytree(before, tmp_path / "b")
    found = difference.read(before, tmp_path / "b")
    assert found.summary[0].startswith("Both folders hold the same evidence")
    assert set(found.changes["outcome"]) == {"not decided"}


def test_folders_without_a_common_cell_are_not_compared(tmp_path: Path) -> None:
    before = put(tmp_path / "a", runs(BEFORE, "krum"))
    after = put(tmp_path / "b", runs(BEFORE, "median"))
    target, found = difference.write(before, after)
    assert "no attack and defense in common" in found.summary[0]
    assert "Nothing is in both folders." in text_of(target.read_text())
    assert found.json["changes"] == []


def test_the_forest_plot_draws_what_the_table_states(tmp_path: Path) -> None:
    before = put(tmp_path / "a", [*runs(BEFORE), *runs(BEFORE, "none")])
    after = put(tmp_path / "b", [*runs((0.5, 0.6, 0.5, 0.6)), *runs(BEFORE, "none")])
    changes = difference.read(before, after).changes
    figure = forest.differences(changes, style.PAGE, DROP)
    (axes,) = figure.axes
    labels = [one.get_text() for one in axes.get_yticklabels()]
    assert labels == ["hidden shift with no defense: AUROC", "hidden shift under Krum: AUROC"]
    krum = row(changes, defense="krum", metric="auroc")
    lines = [line for line in axes.get_lines() if set(line.get_ydata()) == {1}]
    assert [tuple(line.get_xdata()) for line in lines] == [
        (-krum["low"], -krum["high"]),
        (-krum["change"],),
        (-krum["worst"],),
    ]
    assert lines[0].get_color() == forest.COLORS["worse"]


def test_only_so_many_lines_are_drawn() -> None:
    sides = [
        differences.side(
            [one for n in range(60) for one in runs((start, start + 0.01 * n), f"d{n}")],
            by_number=False,
        )
        for start in (0.3, 0.1)
    ]
    assert len(forest.chosen(differences.changes(*sides, DROP))) == forest.MOST_DRAWN


def test_names_of_others_are_text(tmp_path: Path) -> None:
    bad = "<script>alert(1)</script>\u202e'\"&"
    before = put(
        tmp_path / "a", runs(BEFORE, bad, data_source=bad), command=shlex.join(["wardround", bad])
    )
    after = put(tmp_path / "b", runs(BEFORE, bad))
    html = difference.write(before, after)[0].read_text()
    assert "<script>alert" not in html
    assert "&lt;script&gt;" in html
    assert "\u202e" not in html


def test_two_verdicts_are_compared_by_criterion_and_row(tmp_path: Path) -> None:
    """The loss of AUROC is met and no longer; reading is not met before, and met after."""
    other = make_values(
        meta={"name": "Made for a test", "version": 2, "owner": "tests"},
        stacks=[{"id": "other", "defense": "krum", "controls": []}],
        declared="other",
    )
    before = validated(tmp_path / "a", make_design(), n_read=8)
    after = validated(tmp_path / "b", problems.design(other), losses=(0.2,) * 5)
    target, found = difference.write(before, after)
    assert found.judged is not None
    assert {one.id: one.kind for one in found.judged.criteria} == {
        "accuracy": "no longer met",
        "read": "now met",
    }
    assert {one.key: (one.before, one.after) for one in found.judged.design}["declared"] == (
        "robust",
        "other",
    )
    assert "Met before and no longer: accuracy." in found.summary
    assert "Not met before and met now: read." in found.summary
    turns = {one.threat: one.turn for one in found.judged.rows}
    assert (turns["THR-BYZ"], turns["THR-GI"]) == ("rose", "fell")
    stack = row(found.changes, attack="sign_flip", defense=difference.STACK, metric="auroc")
    assert stack["change"] == pytest.approx(-0.19)
    stated = found.json
    assert [one["change"] for one in stated["criteria"]] == ["no longer met", "now met"]
    assert stated["notice"] == verdict.NOTICE
    text = text_of(target.read_text())
    assert "no longer met" in text
    assert "safe" not in text.lower().split()


def test_a_criterion_that_asks_something_else_is_not_compared(tmp_path: Path) -> None:
    new = make_design(
        acceptance=[{**LOSS, "loss_at_most": 0.3}, {**READ, "id": "read_more"}],
    )
    before = validated(tmp_path / "a", make_design(), losses=(0.2,) * 5)
    after = validated(tmp_path / "b", new, losses=(0.2,) * 5)
    found = difference.read(before, after)
    assert found.judged is not None
    kinds = {one.id: one for one in found.judged.criteria}
    assert {id_: one.kind for id_, one in kinds.items()} == {
        "accuracy": "changed",
        "read": "only before",
        "read_more": "only after",
    }
    assert "at most 0.05" in kinds["accuracy"].asked_before
    assert "at most 0.3" in kinds["accuracy"].asked_after
    assert "Asking something else than before, and so not compared: accuracy." in found.summary


@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [
        ("met", "not_met", "no longer met"),
        ("met", "inconclusive", "no longer met"),
        ("inconclusive", "met", "now met"),
        ("inconclusive", "not_met", "met neither way"),
        ("not_met", "not_met", "as before"),
    ],
)
def test_outcomes_of_one_criterion_have_a_kind(first: str, second: str, kind: str) -> None:
    design = make_design()
    made = assess(design, CATALOG, make_chain(pairs("sign_flip", [0.01] * 5)))
    judged = [
        made.model_copy(
            update={
                "criteria": tuple(
                    one.model_copy(update={"outcome": outcome}) for one in made.criteria
                )
            }
        )
        for outcome in (first, second)
    ]
    found = compared.criteria((design, judged[0]), (design, judged[1]))
    assert {one.kind for one in found} == {kind}


def test_what_is_no_pair_of_folders_is_refused(tmp_path: Path, capsys: Any) -> None:
    a = put(tmp_path / "a", runs(BEFORE))
    link = tmp_path / "link"
    link.symlink_to(a)
    judged = validated(tmp_path / "judged", make_design())
    swept = put(tmp_path / "swept" / "0", runs(BEFORE)).parent
    edited = put(tmp_path / "edited", runs(BEFORE))
    lines = (edited / "evidence.jsonl").read_bytes()
    (edited / "evidence.jsonl").write_bytes(lines.replace(b'"seed": 1', b'"seed": 8', 1))
    cut = put(tmp_path / "cut", runs(BEFORE), evidence={"bytes": 1, "hash": "0" * 64})
    tampered = validated(tmp_path / "tampered", make_design())
    (tampered / "register.json").unlink()
    audited = tmp_path / "audited"
    audited.mkdir()
    (audited / "audits.jsonl").write_text("")
    empty = tmp_path / "empty"
    empty.mkdir()
    for second, expected in (
        (a, "another folder than the first"),
        (link, "another folder than the first"),
        (judged, "runs without a verdict"),
        (swept, "folders of a sweep"),
        (edited, "the chain does not hold"),
        (cut, "size and hash"),
        (audited, "and not audits"),
        (empty, "evidence.jsonl"),
        (tmp_path / "nowhere", "evidence.jsonl"),
    ):
        for pair in {(a, second), (second, a)}:
            with pytest.raises(InputError, match=expected if pair[0] == a else None):
                difference.read(*pair)
    with pytest.raises(InputError, match=r"register\.json"):
        difference.read(judged, tampered)
    with pytest.raises(InputError, match="a verdict of validate"):
        difference.read(judged, a)
    assert not list(tmp_path.rglob("difference.html"))
    assert main(["report", str(a), str(edited)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_command_prints_sentences_or_json_alone(tmp_path: Path, capsys: Any) -> None:
    a = put(tmp_path / "a", runs(BEFORE))
    b = put(tmp_path / "b", runs((0.5, 0.6, 0.5, 0.6)))
    assert main(["report", str(a), str(b)]) == 0
    shown = capsys.readouterr().out
    assert "1 are shown to be worse" in " ".join(shown.split())
    assert shown.rstrip().endswith("difference.html")
    out = tmp_path / "out"
    assert main(["report", str(a), str(b), "--json", "--out", str(out), "--figures=svg"]) == 0
    drawn = {path.name for path in (out / "figures").iterdir()}
    assert drawn == {"differences_column.svg", "differences_full.svg"}
    stated = json.loads(capsys.readouterr().out)
    assert stated["schema"] == "wardround.difference/1"
    text = (ROOT / "docs/json.md").read_text()
    (sketch,) = re.findall(r"## report BEFORE AFTER.*?```text\n(.*?)```", text, re.DOTALL)
    keys = set(re.findall(r'^  "(\w+)":', sketch, re.MULTILINE))
    assert stated.keys() == keys - {"notice", "design", "criteria", "register"}
    (row_keys,) = re.findall(r'"changes": \[\{(.*?)\}\]', sketch, re.DOTALL)
    assert stated["changes"][0].keys() == set(re.findall(r'"(\w+)":', row_keys))
    assert (out / "difference.html").is_file()
