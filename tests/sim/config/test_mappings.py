"""An override that is a mapping replaces what is there, or is refused with the way that works: for
every mapping in conf/.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hydra import initialize_config_module
from omegaconf import DictConfig, OmegaConf

from sim.config import composition
from sim.config.choices import groups
from sim.config.mappings import replace
from sim.errors import InputError
from sim.study import compose
from tests import ROOT
from tests.federation import experiment

CONF = ROOT / "conf"
GROUPS = [group for group in groups() if group != "defense"]
LISTED = ("attack", "steps")  # groups of which several are chosen


def composed(config: DictConfig) -> dict[str, Any]:
    return {key: value for key, value in OmegaConf.to_container(config).items() if key != "hydra"}


def mappings(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every mapping with a key in it, with its path."""
    for key, value in node.items():
        if isinstance(value, dict):
            at = f"{path}.{key}" if path else key
            if value:
                yield at, value
            yield from mappings(value, at)


def turns() -> Iterator[list[str]]:
    """Choices that have every option of every group once in all, several at a time."""
    names = {group: compose.options(group) for group in sorted(GROUPS)}
    words = [
        f"{group}=[{','.join(name for name in names[group] if name != 'none')}]" for group in LISTED
    ]
    for turn in range(max(len(options) for group, options in names.items() if group not in LISTED)):
        rest = [
            f"{group}={options[turn % len(options)]}"
            for group, options in names.items()
            if group not in LISTED
        ]
        yield [*words, *rest]
        words = []


def written(value: dict[str, Any]) -> str:
    return "{" + ", ".join(f"{key}: {part}" for key, part in value.items()) + "}"


def test_every_mapping_in_conf_is_replaced_or_refused_with_the_way_that_works() -> None:
    seen = set()
    with initialize_config_module("conf", version_base="1.3"):
        for words in turns():
            config = composition.composed("config", words)
            for path, value in mappings(composed(config)):
                if (path, tuple(value)) not in seen:
                    seen.add((path, tuple(value)))
                    check(config, path, value)
    paths = {path for path, _ in seen}
    assert {
        "consortium.sites",
        "server",
        "training",
        "aggregator",
        "attack",
        "attack.alie",
        "steps.nnm",
        "dp",
    } <= paths
    assert len(seen) > 70


def check(config: DictConfig, path: str, value: dict[str, Any]) -> None:
    """What an override of ``path`` with one of the keys of ``value`` does, after Hydra has merged
    it.
    """
    name = next(iter(value))
    wanted = {name: "x"} if isinstance(value[name], (dict, list)) else {name: value[name]}
    merged = config.copy()
    OmegaConf.update(merged, path, wanted, merge=True)
    refusal = None
    try:
        replace(merged, [f"{path}={written(wanted)}"])
    except InputError as error:
        refusal = error
    left = [key for key in value if key != name]
    if refusal is None:
        assert OmegaConf.to_container(OmegaConf.select(merged, path)) == wanted
        return
    assert left
    assert refusal.key == path
    assert f"expected one override for each value, as in {path}.{name}=" in str(refusal)
    assert all(key in str(refusal) for key in left[:5])
    assert len(str(refusal)) < 300


@pytest.mark.parametrize("plus", ["", "++"])
def test_the_sites_of_a_consortium_are_those_that_are_named(plus: str) -> None:
    run = experiment(plus + "consortium.sites={cleveland: 1, hungary: 1}", "adversary.n_hostile=0")
    assert run.consortium.names == ("cleveland", "hungary")
    assert run.settings.consortium["sites"] == {"cleveland": 1, "hungary": 1}


def test_an_empty_mapping_empties() -> None:
    with pytest.raises(InputError, match=r"^consortium\.sites=\{\}: expected at least one of"):
        experiment("consortium.sites={}")


def test_single_values_of_a_mapping_change_nothing_else() -> None:
    sites = experiment(
        "consortium=heart4", "consortium.sites.va=2", "~consortium.sites.hungary"
    ).settings.consortium["sites"]
    assert sites == {"cleveland": 1, "switzerland": 1, "va": 2}


def test_a_value_inside_a_mapping_that_is_set_as_a_whole_is_refused() -> None:
    with pytest.raises(
        InputError,
        match=r"^consortium\.sites\.va=2: expected this value inside consortium\.sites=\{\.\.\.\}",
    ):
        experiment("consortium.sites={cleveland: 1}", "consortium.sites.va=2")


def test_a_mapping_that_names_every_fixed_key_is_taken() -> None:
    assert (
        experiment(
            "server={max_records: 50, absent: keep, on_spent: go_on, weight_cap: 2.0}"
        ).settings.server.max_records
        == 50
    )
