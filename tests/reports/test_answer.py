"""The top of a page, sentence by sentence, for result sets with something to state right each."""

from __future__ import annotations

import re
from typing import Any

import pytest

from reports import page
from reports.analysis import tables
from tests.answered import CASES, HARMLESS, Case
from tests.reports.reading import html_of, text_of

TOPICS = ("asked", "worst", "read", "pays", "open")
MOST_WORDS = 100  # of one sentence


def content(case: Case) -> dict[str, Any]:
    known = dict.fromkeys(page.MANIFEST) | {"refused": list(case.refused)}
    records = tables.one_study(case.records)
    return page.content(records, known, show_reconstructions=False)


@pytest.mark.parametrize("name", CASES)
def test_the_top_of_a_page_states_what_it_must_and_nothing_that_it_must_not(name: str) -> None:
    case = CASES[name]
    values = content(case)
    answer = values["answer"]
    assert len(answer) == len(TOPICS) == 5
    for topic, text in zip(TOPICS, answer, strict=True):
        for part in getattr(case, topic):
            assert part in text, topic
        assert re.fullmatch(r"[^a-z].*[^.]\.", text), text
        assert not re.search(r"\.\s+[A-Z]", text), text  # one sentence
        assert len(text.split()) <= MOST_WORDS
        assert not re.search(r"\b(None|nan|inf)\b|\{\}", text), text
    steps = [f"{one.urgent} | {one.name} | {one.text}" for one in values["acting"]]
    for part in case.act:
        assert any(part in step for step in steps), part
    for part in case.whose:
        assert part in " ".join(values["whose"])
    stated = " ".join([*answer, *steps, *values["whose"]])
    for part in (*case.never, *HARMLESS):
        assert part not in stated, part


def test_there_are_at_least_thirty_result_sets_and_each_asks_for_something() -> None:
    assert len(CASES) >= 30
    asked = [(*one.asked, *one.worst, *one.read, *one.pays, *one.open) for one in CASES.values()]
    more = [(*one.act, *one.whose, *one.never) for one in CASES.values()]
    assert all(one or other for one, other in zip(asked, more, strict=True))


def test_rows_to_act_on_come_by_urgency_and_then_by_size() -> None:
    for name in ("many attacks and defenses", "a defense that met fewer attacks", "all harmed"):
        order = [(one.urgency, -one.size) for one in content(CASES[name])["acting"]]
        assert order == sorted(order)
        assert len(order) > 1


def test_hostile_names_are_text_at_the_top() -> None:
    html = html_of(CASES["hostile names"].records)
    assert "<script>alert" not in html
    assert "49" not in text_of(html).partition("Questions this page answers")[0]
    assert "{{ 7 * 7 }}" in text_of(html)
