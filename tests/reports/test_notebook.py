"""What a notebook shows of results: the same as the page, as text and as HTML that nobody's name
can change.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from reports import notebook
from sim.evidence import RunRecord
from sim.evidence.intervals import Interval
from tests import studies
from tests.records import make_record
from tests.reports.test_hostile_names import NAMES, study

VOID = {"meta", "br"}
SCRIPT = "<script>alert(1)</script>"


class Read(HTMLParser):
    """The elements and the text of a piece of HTML."""

    def __init__(self) -> None:
        super().__init__()
        self.tags = list[str]()
        self.open = list[str]()
        self.attributes = list[tuple[str, str | None]]()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def parsed(html: str) -> Read:
    found = Read()
    found.feed(html)
    found.close()
    assert found.open == []
    return found


def words_of(text: str) -> str:
    return " ".join(text.split())


def test_runs_are_shown_with_their_outcomes_and_where_the_report_is(tmp_path: Path) -> None:
    records = studies.one_harmed()
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "index.html").touch()
    shown = notebook.of_runs(records, {}, tmp_path)
    html = parsed(notebook.html(shown)).text
    text = notebook.text(shown)
    for found in (words_of(html), words_of(text)):
        assert found.startswith("18 runs of heart: 2 attacks, 1 defense, 3 seeds")
        assert "sign flipping does most harm" in found
        assert "0.600 [0.600] 3/3!" in found  # 0.9, 0.91, 0.89 less 0.3, 0.31, 0.29
        assert "! harm is shown" in found
        assert f"Report: {tmp_path}/report/index.html" in found


def test_without_a_folder_it_states_how_to_have_a_report(tmp_path: Path) -> None:
    (record,) = (make_record(attack="alie"),)
    assert "folder=PATH" in notebook.text(notebook.of_runs([record], {}, None))
    assert f"No report is in {tmp_path}." in notebook.text(notebook.of_runs([record], {}, tmp_path))


def test_one_run_is_shown_as_its_outcomes() -> None:
    shown = notebook.of_runs([make_record(attack="alie", seed=7)], {}, None)
    assert shown.heading == "One run: hidden shift (alie), no defense, seed 7"
    assert dict(zip(*(cells for _, cells in shown.columns), strict=True))["AUROC"] == "0.850"


def test_broken_training_comes_first() -> None:
    shown = notebook.of_runs(studies.skipped(), {}, None)
    assert shown.first
    assert notebook.text(shown).splitlines()[1].startswith("- ")
    assert notebook.html(shown).index("skipped") < notebook.html(shown).index("<table")


def test_runs_that_cannot_be_compared_are_counted_and_the_reason_is_stated() -> None:
    records = [make_record(), make_record(run="other", rounds=7)]
    shown = notebook.of_runs(records, {}, None)
    assert "2 runs" in shown.heading
    assert shown.columns == ()
    assert "expected one value in all runs" in notebook.text(shown)
    assert "expected one value in all runs" in notebook.html(shown)


def test_no_record_at_all_is_shown_too() -> None:
    assert "no runs" in notebook.html(notebook.of_runs([], {}, None))


@pytest.mark.parametrize("part", range(0, len(NAMES), 3))
def test_a_name_is_text_whoever_chose_it(part: int) -> None:
    names = [*NAMES[part : part + 3], SCRIPT]
    shown = notebook.of_runs(study(*names), {}, None)
    html = notebook.html(shown)
    found = parsed(html)
    assert set(found.tags) <= {
        *("div", "p", "strong", "ul", "li", "table", "caption", "thead", "tbody", "tr", "th"),
        *("td", "small"),
    }
    assert {name for name, _ in found.attributes} <= {"class", "style", "scope"}
    assert SCRIPT in found.text
    text = notebook.text(shown)
    for sign in ("\x1b", "\x07", "\u202e", "\u2028"):
        assert sign not in text + html


def test_mathematics_is_left_to_others() -> None:
    """Jupyter reads ``$...$`` of an output as a formula, but for these classes."""
    html = notebook.html(notebook.of_runs(study("$x$"), {}, None))
    (outer,) = re.findall(r'^<div class="([^"]*)"', html, re.MULTILINE)
    assert {"tex2jax_ignore", "mathjax_ignore"} <= set(outer.split())


def test_light_and_dark_notebooks_show_it_in_their_own_colors() -> None:
    html = notebook.html(notebook.of_runs(studies.all_harmed(), {}, None))
    assert re.findall(r"(?:background|color):? ?[^;\"]*", html) in ([], ["color: inherit"])
    assert "script" not in html
    assert "http" not in html


def verdict() -> dict[str, object]:
    criteria = [
        {"id": "<b>utility</b>", "outcome": "met", "text": "AUROC is at least 0.8."},
        {"id": "leaks", "outcome": "inconclusive", "text": "Not decided with 2 seeds."},
    ]
    summary = ["Whether it meets its criteria is not decided.", *(c["text"] for c in criteria)]
    return {"summary": [*summary, "12 rows.", notebook.NOTICE], "criteria": criteria}


def test_a_verdict_is_shown_with_its_criteria() -> None:
    shown = notebook.of_verdict([make_record()], verdict(), None)
    html = notebook.html(shown)
    assert shown.heading == "Whether it meets its criteria is not decided."
    assert shown.sentences == (("", "12 rows."),)
    assert "<b>utility</b>" in parsed(html).text
    assert "not decided" in notebook.text(shown)
    assert words_of(notebook.text(shown)).count("AUROC is at least 0.8.") == 1
    assert "no legal advice" in html


def test_an_audit_is_shown_without_a_score_of_anybody() -> None:
    found = {0.01: (0.125, Interval(0.05, 0.25))}
    shown = notebook.of_audit("north", "lira", (40, 60), 0.71234, found)
    text = words_of(notebook.text(shown))
    assert "lira on the records of north" in text
    assert "0.712" in text
    assert "13 % (5 % to 25 %)" in text
    assert "40 records that were trained on against 60 that were not" in text
    assert "<th" in notebook.html(shown)


def test_the_page_and_the_notebook_name_the_runs_in_one_order() -> None:
    records: list[RunRecord] = studies.ties()
    shown = notebook.of_runs(records, {"attacks": ["alie"], "defenses": ["krum", "median"]}, None)
    assert shown.columns[0][1] == ["no defense", "krum", "median"]
