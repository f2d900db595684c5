"""Fields of published data sets have plain names; those of other data are called as they are."""

from __future__ import annotations

import re

import pytest

from reports import rendering
from reports.text import safe, words
from sim import titles
from sim.config.choices import options
from sim.datasets import breast, heart
from sim.titles import _fields

SENTENCE = re.compile(r"[A-Z][^.:;_]*\.")
TABLES = {heart.SOURCE: heart.FIELDS, breast.SOURCE: tuple(breast._source().fields.columns)}


def test_the_fields_of_each_published_table_are_named_and_no_others() -> None:
    assert {source: tuple(found) for source, found in _fields().items()} == TABLES


@pytest.mark.parametrize("source", TABLES)
def test_each_field_has_a_plain_name_of_its_own_and_one_sentence(source: str) -> None:
    found = list(_fields()[source].values())
    assert len({one.title for one in found}) == len(found)
    for one in found:
        assert re.fullmatch(r"[A-Za-z ]+", one.title)
        assert len(one.title) <= 30
        assert SENTENCE.fullmatch(one.plain), one.plain


@pytest.mark.parametrize(
    ("name", "stated"),
    [
        ("cp", ("chest pain type", ("angina",))),
        ("restecg", ("resting electrocardiogram", ("ST", "hypertrophy"))),
        ("fbs", ("high fasting blood sugar", ("120 mg/dl",))),
        ("slope", ("slope of the ST segment", ("rises", "flat", "falls"))),
        ("ca", ("vessels seen by fluoroscopy", ("0 to 3",))),
        ("thal", ("thallium stress test", ("fixed defect", "reversible defect"))),
    ],
)
def test_a_code_of_the_heart_data_is_explained_by_what_its_documentation_states(
    name: str, stated: tuple[str, tuple[str, ...]]
) -> None:
    one = titles.field(heart.SOURCE, name)
    assert one is not None
    assert one.title == stated[0]
    assert all(part in one.plain for part in stated[1])


def test_every_level_of_a_thallium_test_or_a_kind_of_pain_is_in_the_sentence_on_the_field() -> None:
    for name, level in (("thal", "reversible defect"), ("cp", "atypical angina")):
        one = titles.field(heart.SOURCE, name)
        assert one is not None
        assert level in heart.LEVELS[name]
        assert level in one.plain.lower()


def test_a_field_stands_with_its_technical_name_below_and_one_of_a_user_as_text() -> None:
    template = "{{ name | field(source) }}"
    made = rendering.environment().from_string(template)
    shown = safe.unmarked(made.render(name="thal", source=heart.SOURCE))
    assert shown == (
        'thallium stress test<span class="iv"><code class="whole" data-key="thal">thal</code>'
        "</span>"
    )
    assert safe.unmarked(made.render(name="age", source=heart.SOURCE)) == "age"
    assert safe.unmarked(made.render(name="thal", source="patients.csv")) == "thal"
    assert safe.unmarked(made.render(name="<b>", source=heart.SOURCE)) == "&lt;b&gt;"
    assert words.field("patients.csv", "thal") == "thal"
    assert {"heart4", "heart12", "breast8"} <= set(options("consortium"))
