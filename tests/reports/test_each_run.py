"""Each run by itself on the page: its curve, figures and controls, its line, and links to it."""

from __future__ import annotations

import json
import re
import shlex
import time

import pytest

from reports import page
from reports.analysis import each_run, tables
from reports.figures import sparkline
from sim import evidence
from sim.errors import InputError
from sim.evidence import Screened, outcome
from tests.records import addressed, make_curve, make_record, with_outcomes
from tests.reports.reading import everything, grid, html_of, text_of

TARGET = re.compile(r'href="#([^"]*)"')
ID = re.compile(r'\bid="([^"]*)"')


def decoded(path: str, rounds: int, low: float) -> list[tuple[float, float]]:
    """Rounds and scores of a path, by the rules of SVG, apart from the code that wrote it."""
    points = list[tuple[float, float]]()
    x = y = 0.0
    for part in re.findall(r"M[^M]*", path):
        start, _, lines = part[1:].partition("l")
        x, y = map(float, start.split())
        points.append((x, y))
        numbers = [float(one) for one in re.findall(r"-?\d+", lines)]
        for across, down in zip(numbers[::2], numbers[1::2], strict=True):
            x, y = x + across, y + down
            points.append((x, y))
    return [(x * rounds / sparkline.WIDTH, 1 - (1 - low) * y / sparkline.HEIGHT) for x, y in points]


def test_a_path_has_the_scores_of_the_rounds() -> None:
    course = [(n, 0.5 + 0.01 * n * (-1) ** n) for n in range(1, 31)]
    found = decoded(sparkline.path(course, 30, 0.2), 30, 0.2)
    assert len(found) == 30
    for (round_, score), (x, y) in zip(course, found, strict=True):
        assert x == pytest.approx(round_, abs=30 / sparkline.WIDTH)
        assert y == pytest.approx(score, abs=0.8 / sparkline.HEIGHT)


def test_a_long_path_keeps_its_ends_and_is_short() -> None:
    course = [(n, 0.5 + n / 4000) for n in range(1, 1001)]
    path = sparkline.path(course, 1000, 0.5)
    found = decoded(path, 1000, 0.5)
    assert len(path) < 400
    assert len(found) <= sparkline.MOST_POINTS + 1
    assert found[0][0] == pytest.approx(1, abs=4)
    assert found[-1] == (1000, pytest.approx(0.75, abs=0.01))


def test_a_round_without_a_score_is_a_gap() -> None:
    course = [(1, 0.8), (2, None), (3, 0.6), (4, None)]
    path = sparkline.path(course, 4, 0.5)
    assert path.count("M") == 2
    assert [round(x) for x, _ in decoded(path, 4, 0.5)] == [1, 3]
    assert sparkline.path([(1, None)], 1, 0.5) == ""
    assert sparkline.described([(1, None)]) == "no round has an AUROC"
    assert sparkline.described(course) == (
        "AUROC 0.800 in round 1, lowest 0.600 in round 3, 0.600 in round 3"
    )


@pytest.mark.parametrize(
    ("least", "edge"), [(0.81, 0.5), (0.5, 0.5), (0.49, 0.4), (0.05, 0.0), (None, 0.5)]
)
def test_the_lower_edge_lies_below_every_score(least: float | None, edge: float) -> None:
    assert sparkline.lower_edge([[(1, 0.9), (2, least)], []]) == pytest.approx(edge)


def test_the_window_is_that_of_the_schedule() -> None:
    assert sparkline.window(3, 6, 12) == (75, 75)
    assert sparkline.window(1, None, 4) == (75, 225)
    assert sparkline.window(1, 99, 4) == (75, 225)


def test_a_run_has_its_controls_and_what_differs() -> None:
    records = [
        addressed(one.model_copy(update={"config": {**one.config, "extra": {"of": one.defense}}}))
        for one in grid(seeds=2)
    ]
    found = each_run.runs(records, {})
    by_cell = {group.cell: group for group in found.groups}
    assert {cell: group.n_runs for cell, group in by_cell.items()} == {
        (attack, defense, 1): 2 for attack in ("none", "sign_flip") for defense in ("none", "krum")
    }
    attacked = by_cell["sign_flip", "krum", 1]
    assert attacked.differs["extra.of"] == "krum"
    assert "training.rounds" not in attacked.differs
    assert [cell for cell, _ in attacked.beside] == [("none", "krum", 1), ("sign_flip", "none", 1)]
    ids = {(one.attack, one.defense, one.seed): one.run for one in records}
    for run in attacked.runs:
        seed = run.record.seed
        assert run.attack_free == ids["none", "krum", seed]
        assert shlex.split(run.command)[-1] == f"seed={seed}"
    alone = by_cell["none", "none", 1].runs[0]
    assert (alone.attack_free, alone.undefended, alone.window) == (None, None, None)
    assert attacked.runs[0].window == (75, 225)


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        ("bytes_sent", 17676.0, "what a hospital sends in a round 17,676 bytes"),
        ("messages", 4.0, "messages from and to a hospital in a round 4"),
        ("epsilon", 3.25, "privacy spent \N{GREEK SMALL LETTER EPSILON} = 3.25"),
        ("image_psnr", 21.5, "peak signal-to-noise ratio of guessed images 21.5 dB"),
        ("update_error", 0.02, "error of the best recovered update 0.02 (relative length)"),
        (
            "residual_freedom",
            -12.0,
            "training records beyond the parameters of the model \N{MINUS SIGN}12",
        ),
        ("auroc", 0.8, "AUROC 0.800"),
    ],
)
def test_the_figure_of_a_run_states_what_it_counts(metric: str, value: float, text: str) -> None:
    record = with_outcomes(make_record(), [outcome(metric, value, 100)])
    (one,) = (run for group in each_run.runs([record], {}).groups for run in group.runs)
    assert text in one.outcomes


def test_replies_that_were_not_used_are_summed_up() -> None:
    lost = [Screened(round=n, hospital="hospital_1", reason="late") for n in (1, 2, 4)]
    others = [Screened(round=1, hospital=f"h{n}", reason="not finite") for n in range(6)]
    (group,) = each_run.runs([make_record(screened=[*lost, *others])], {}).groups
    unused = group.runs[0].unused
    assert unused[0] == "hospital_1, rounds 1 to 2 and 4: late"
    assert unused[-1] == "2 more, which are in its line of evidence"
    assert len(unused) == each_run.MOST_REPLIES + 1


def test_cells_whose_names_are_alike_have_places_of_their_own() -> None:
    names = ["krum+clip", "krum clip", "krum_clip", 'krum"<clip']
    found = each_run.runs([make_record(defense=name) for name in names], {})
    anchors = list(found.anchors.values())
    assert len(set(anchors)) == len(names)
    assert all(re.fullmatch(r"[\w.~-]+", anchor) for anchor in anchors)


def test_every_link_of_a_page_leads_somewhere() -> None:
    html = html_of([addressed(one) for one in everything()])
    ids = ID.findall(html)
    assert len(ids) == len(set(ids))
    assert len(TARGET.findall(html)) > 100
    assert set(TARGET.findall(html)) <= set(ids)


def test_every_row_on_an_attack_or_a_defense_leads_to_its_runs() -> None:
    """But for rows that state why there is no run or no figure."""
    known = dict.fromkeys(page.MANIFEST)
    ordered = tables.one_study([addressed(one) for one in everything()])
    values = page.content(ordered, known, show_reconstructions=False)
    html = page.render(values, {"heat_map": "<svg></svg>"})
    n_rows = 0
    for table in re.findall(r"<table\b.*?</table>", html, re.DOTALL):
        head, _, body = table.partition("<tbody>")
        columns = [text_of(one).strip() for one in re.findall(r"<th\b.*?</th>", head, re.DOTALL)]
        if not {"Attack", "Defense"} & set(columns):
            continue
        for one in re.findall(r"<tr\b.*?</tr>", body, re.DOTALL):
            text = text_of(one)
            if ("Finding" in columns and "none" in text.split()) or "was not measured" in text:
                continue
            n_rows += 1
            assert re.search(r'href="#(cell|run)-', one), text
    assert n_rows >= 20


def test_a_page_states_the_line_of_each_run(tmp_path) -> None:
    records = [addressed(one) for one in grid(seeds=2)]
    for record in reversed(records):
        evidence.append(tmp_path, record)
    html = page.write_report(tmp_path).read_text()
    lines = (tmp_path / "evidence.jsonl").read_text().splitlines()
    for record in records:
        start = html.index(f'id="run-{record.run}"')
        part = text_of(html[start : html.index("</div>", start)])
        (number,) = (n for n, line in enumerate(lines, 1) if record.run in line)
        assert f"Line {number} of evidence.jsonl" in part
        assert json.loads(lines[number - 1])["hash"] in part
        assert f"grep -n {record.run} evidence.jsonl" in part
        assert f"AUROC {record.value('auroc'):.3f}" in part


def test_located_is_what_the_checked_chain_has(tmp_path) -> None:
    odd = make_record(data_source='"run": "0123456789abcdef" \\"run\\": "')
    for record in [*grid(seeds=1), odd.model_copy(update={"defense": "odd"})]:
        evidence.append(tmp_path, addressed(record))
    assert evidence.located(tmp_path) == evidence.chain(tmp_path).lines
    with pytest.raises(InputError, match=r"evidence\.jsonl"):
        evidence.located(tmp_path / "nowhere")


def test_names_of_others_are_text() -> None:
    bad = "<script>alert(1)</script>"
    lost = [Screened(round=1, hospital=bad, reason=bad)]
    record = make_record(
        defense=bad,
        hostile=[bad],
        screened=lost,
        config={"of": {bad: bad}, "report": {"material_drop": 0.05}},
    )
    html = html_of([make_record(), record])
    assert "<script>alert" not in html
    assert "&lt;script&gt;" in html


def test_what_a_page_has_no_room_for_is_named(monkeypatch) -> None:
    monkeypatch.setattr(each_run, "MOST_SHOWN", 7)
    records = [addressed(one) for one in grid(seeds=3)]
    html = html_of(records)
    assert len(set(re.findall(r'id="run-([^"]*)"', html))) == 7
    assert "The first 7 runs are shown. The others, 5, are in results.csv" in text_of(html)
    assert set(TARGET.findall(html)) <= set(ID.findall(html))


def test_a_run_takes_little_of_the_page_and_of_the_time() -> None:
    curve = make_curve(40, 0.8)
    records = [
        addressed(make_record(attack=a, defense=d, seed=s, rounds=40, curve=curve))
        for a in ("none", "sign_flip", "alie", "label_flip")
        for d in ("none", "median", "krum")
        for s in range(20)
    ]
    start = time.process_time()
    found = each_run.runs(records, {})
    assert time.process_time() - start < 2
    html = html_of(records)
    part = html[html.index('<section id="runs">') :]
    assert len(part[: part.index("</section>")].encode()) < 2500 * len(found.shown)


def test_a_run_that_no_command_line_can_give_states_so() -> None:
    record = addressed(make_record())
    consortium = {"_target_": "sim.datasets.heart.HeartDisease", "sites": {"it's": 1}}
    config = {**record.config, "consortium": consortium}
    text = text_of(html_of([record.model_copy(update={"config": config})]))
    assert "No command repeats it" in text
    assert "No command repeats it" not in text_of(html_of([record]))
