"""One table states what each part of a configuration belongs to; addresses, labels and comparisons
follow from it.
"""

from __future__ import annotations

import ast
from collections import Counter
from typing import Any

import pytest
import yaml

from sim.config import groups
from sim.config.groups import BELONGS, OF_COMMANDS, STACK
from sim.config.settings import Settings
from sim.study.audit import OF_AUDITS
from tests import ROOT

CONFIG = {key: f"a value of {key}" for key in BELONGS}


def keys_as_written() -> list[str]:
    """Every key of the table in the source: the mapping would hide one that is written twice."""
    tree = ast.parse((ROOT / "sim" / "config" / "groups.py").read_text())
    (table,) = [
        node.value
        for node in tree.body
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and node.target.id == "BELONGS"
    ]
    assert isinstance(table, ast.Dict)
    return [ast.literal_eval(key) for key in table.keys if key is not None]


def test_each_key_of_a_run_is_in_the_table_exactly_once() -> None:
    assert Counter(keys_as_written()) == Counter([*Settings.model_fields, "label"])


@pytest.mark.parametrize("name", ["config", "compare", "explain", "audit"])
def test_a_command_has_no_key_that_neither_the_table_nor_the_list_of_commands_knows(
    name: str,
) -> None:
    written = yaml.safe_load((ROOT / "conf" / f"{name}.yaml").read_text())
    keys = set(written) - {"defaults", "hydra"}
    assert keys <= BELONGS.keys() | {*OF_COMMANDS, *OF_AUDITS}


def test_a_defense_is_a_preset_over_the_parts_that_the_table_gives_it() -> None:
    folder = ROOT / "conf" / "defense"
    chosen = {
        key.removeprefix("override ").removeprefix("/")
        for path in folder.glob("*.yaml")
        for entry in yaml.safe_load(path.read_text()).get("defaults", ())
        if isinstance(entry, dict)
        for key in entry
    }
    assert chosen <= set(STACK)
    assert chosen - {"server_optimizer"} == set(STACK) - {"server_optimizer"}


@pytest.mark.parametrize("key", BELONGS)
def test_an_address_changes_with_every_value_that_changes_a_result_and_with_no_other(
    key: str,
) -> None:
    def address(config: dict[str, Any]) -> str:
        return groups.address_of(config, "data", "code")

    changed = address(CONFIG | {key: "another value"}) != address(CONFIG)
    assert changed == (BELONGS[key] != "nothing")
