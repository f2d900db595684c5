"""Six questions of a privacy officer: each answered at a place of either page that has an id."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from reports import story
from reports.text import commands
from sim.config import words as of_command_line
from tests.answered import CASES
from tests.assessed import make_design
from tests.records import make_inversion, make_record
from tests.reports.reading import html_of, without_scripts
from tests.reports.test_validation import Page, read, validated
from tests.studies import losses

PLACES = [one.place for one in story.QUESTIONS]
ASKED = {
    "Is this our data?": "whose",
    "Who could do it?": "who-could",
    "Which patients is it about?": "patients",
    "What does each HIPAA row rest on?": "hipaa",
    "What do I act on?": "act",
    "What was not tested?": "untested",
}


def comparison() -> Page:
    """The page of a comparison of attacks that the catalog knows."""
    records = losses(
        {("sign_flip", "none"): (0.3, 0.31, 0.29), ("sign_flip", "median"): (0.0, 0.001, 0.0)}
    )
    inversion = make_inversion()
    records += [
        make_record(attack="analytic_inversion", seed=s, inversion=inversion) for s in range(3)
    ]
    changed = [one.model_copy(update={"provenance": "own", "public": False}) for one in records]
    return Page(without_scripts(html_of(changed, command="wardround compare consortium=heart4")))


def check_links(page: Page) -> None:
    """Each question leads to its place, which is there once."""
    assert {one.text: one.place for one in story.QUESTIONS} == ASKED
    assert page.links_in["readers"][-6:] == [f"#{place}" for place in PLACES]
    assert [page.ids.count(place) for place in PLACES] == [1] * 6


def test_a_comparison_answers_each_question_at_its_place() -> None:
    page = comparison()
    check_links(page)
    assert "Your data: records of the consortium's own patients" in page.of("whose")
    assert "hostile hospitals that control what they send" in page.of("who-could")
    assert "test patients of all 6 hospitals" in page.of("patients")
    assert "recover training records of patients of honest hospitals 24 times" in page.of(
        "patients"
    )
    hipaa = page.of("hipaa")
    assert "Byzantine updates" in hipaa
    assert "contextual: belongs in the risk analysis" in hipaa
    assert "risk analysis6measured" in hipaa  # cells side by side: it rests on six runs
    assert re.search(r"\D0not tested", hipaa)
    assert "Harm is shown with no defense. What helped" in page.of("act")
    assert "Membership inference" in page.of("untested")
    assert "wardround compare consortium=heart4 'attacks=[" in page.of("untested")
    assert "No command tests it: the evidence is an inventory" in page.of("untested")


def test_a_verdict_answers_each_question_at_its_place(tmp_path: Path) -> None:
    validated(tmp_path, make_design())
    page = read(tmp_path)
    check_links(page)
    assert "Marked public, without stating whose patients" in page.of("whose")
    assert "hostile" in page.of("who-could")
    assert "Change the update that a hospital sends" in page.of("who-could")
    assert "test patients of all 6 hospitals" in page.of("patients")
    assert "Byzantine updates" in page.of("hipaa")
    assert "Byzantine updates" in page.of("act")
    assert "not tested" in page.of("untested")
    assert len(page.inside["answer"]) > 5


@pytest.mark.parametrize("name", ["nothing at all", "a single attacked run", "own data"])
def test_each_place_is_there_whatever_was_run(name: str) -> None:
    page = Page(without_scripts(html_of(CASES[name].records)))
    check_links(page)
    assert all(page.of(place) for place in PLACES)


COMMAND = "wardround validate consortium=heart4_open seeds=3 --json"


def test_commands_of_a_verdict_are_words_of_the_command_line() -> None:
    more = commands.judging(COMMAND, {"seeds": "10"})
    assert more == "wardround validate consortium=heart4_open seeds=10"
    plan = commands.judging(COMMAND, {}, "--plan")
    assert plan == "wardround validate consortium=heart4_open seeds=3 --plan"
    for one in (more, plan, commands.judging(COMMAND, {"search.minutes": "5"})):
        assert one is not None
        assert of_command_line.validation(shlex.split(one)[2:]).design == "heart4_open"
    assert commands.judging("wardround compare", {}) is None
    assert commands.comparing(COMMAND) is None
    assert commands.comparing("wardround compare 'a") is None
