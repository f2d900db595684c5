"""``wardround list``: all that can be chosen, with what the plug-ins and their files state, legible
at any usual width.
"""

import dataclasses
import json
from typing import Any

import pytest
import yaml
from hydra.utils import get_class

from sim import titles
from sim.cli import listing
from sim.config.choices import options
from sim.plugins import CONF
from sim.study.facts import facts
from sim.types import LEVELS
from tests.conftest import plugins

KIND_OF = {
    "byzantine": "each_byzantine",
    "poison": "each_poison",
    "training": "each_training",
    "faults": "each_fault",
    "inversion": "each_inversion",
    "messages": "each_message_fault",
    "isolation": "each_isolation",
    "protocol": "each_protocol_attack",
    "aggregator": "each_aggregator_attack",
}
GROUPS = ("attack", "aggregator")


def shown(
    group: str, width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(width))
    listing.show([group])
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("width", [80, 160])
@pytest.mark.parametrize("group", GROUPS)
def test_list_keeps_to_the_width_and_breaks_no_word(
    group: str, width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = shown(group, width, monkeypatch, capsys)
    assert max(map(len, lines)) <= width
    assert [line.split()[0] for line in lines[1:] if not line.startswith(" ")] == options(group)
    words = {word for line in lines for word in line.split()}
    for name in options(group):
        for text in facts(group, name).values():
            assert set(text.split()) <= words


@pytest.mark.parametrize("kind", KIND_OF)
def test_an_attack_is_listed_with_its_kind_least_knowledge_and_paper(kind: str) -> None:
    made = plugins(KIND_OF[kind])
    assert made
    for name, plugin in made.items():
        known = facts("attack", name)
        assert known["kind"] == kind
        assert str(plugin.about.year) in known["paper"]
        assert known["is"] in (type(plugin).__doc__ or "").replace("``", "")
        assert known.get("knowledge", known.get("sees")) in (*LEVELS, plugin.about.sees)


def test_a_rule_is_listed_with_its_limit_and_its_cost() -> None:
    for name, rule in plugins("each_rule").items():
        known = facts("aggregator", name)
        assert known["needs"] == rule.about.limit
        assert known["cost"] == rule.about.cost != ""


@pytest.mark.parametrize("group", GROUPS)
def test_defaults_are_those_of_the_configuration_and_all_of_them(group: str) -> None:
    for name in options(group):
        node: dict[str, Any] = yaml.safe_load((CONF / group / f"{name}.yaml").read_text())
        if not node:
            continue
        listed = dict(
            pair.split("=", 1)
            for pair in facts(group, name).get("defaults", "").split("  ")
            if pair
        )
        assert set(listed) == {
            field.name for field in dataclasses.fields(get_class(node["_target_"]))
        }
        for key, text in listed.items():
            value = node[key]
            assert (
                text == str(value).strip("${}")
                if isinstance(value, str) and value
                else json.loads(text) == value
            )


def test_plain_names_and_sentences_stand_beside_what_one_types(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for group in (*GROUPS, "consortium", "model"):
        text = "\n".join(shown(group, 200, monkeypatch, capsys))
        for name in options(group):
            title = titles.of(group, name)
            assert title is not None
            assert title.title in text
            assert title.plain in text
    presets = shown("defense", 200, monkeypatch, capsys)
    assert all(any(titles.defense(name) in line for line in presets) for name in options("defense"))
