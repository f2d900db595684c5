"""Configurations that start from files composed before are what Hydra composes of all words."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import hydra
import pytest
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf
from omegaconf.base import Node

from sim.config import composition
from sim.config.copies import copied

CHOICES = ("attack=[alie,label_flip]", "defense=nnm_trimmed_mean")
WORDS: dict[str, tuple[str, ...]] = {
    "nothing": (),
    "values": (*CHOICES, "training.rounds=3", "attack.alie.z=1.5", "aggregator.n_hostile=1"),
    "a value that a later one replaces": (*CHOICES, "seed=1", "training.lr=2", "seed=4"),
    "values before choices": ("training.rounds=3", "policy.dp=true", *CHOICES),
    "values put in and taken out": (*CHOICES, "+training.x=1", "++a.b=2", "~training.lr"),
    "references": (*CHOICES, "attack.alie.z=${training.lr}", "training.lr=${seed}"),
    "mappings": (*CHOICES, "policy={dp: true}", "training={lr: 3}", "defense={name: x}"),
    "a choice taken out": (*CHOICES, "~dp", "seed=2"),
    "a choice put in": (*CHOICES, "+attack@attack.x=zero", "seed=2"),
    "a folder": (*CHOICES, "hydra.run.dir=x/y", "seed=1"),
    "values of Hydra": (*CHOICES, "hydra/launcher=basic", "hydra.job.name=x", "seed=1"),
    "an unknown value": (*CHOICES, "training.rounds=3", "training.round=1"),
    "an unknown value taken out": (*CHOICES, "~training.round"),
    "an unknown choice": ("attack=[nope]", "training.round=1"),
    "an unknown group": ("design=heart4_open", "seed=1"),
    "a value that is there": (*CHOICES, "+training.lr=1"),
    "a sweep": (*CHOICES, "seed=1,2"),
    "a word that cannot be read": (*CHOICES, "seed=[1"),
}


@pytest.fixture(scope="module", autouse=True)
def _initialized() -> Iterator[None]:
    with hydra.initialize_config_module("conf", version_base="1.3"):
        yield


def outcome(make: Callable[[], DictConfig]) -> tuple[Any, ...]:
    """All that a composition gives: its text, which parts take no new keys, or its error."""
    try:
        config = make()
    except Exception as error:
        return type(error), str(error)
    parts = [config, *(config[key] for key in config if OmegaConf.is_config(config[key]))]
    return OmegaConf.to_yaml(config), *(
        (one._get_flag("struct"), one._get_flag("readonly")) for one in parts
    )


def by_hydra(words: tuple[str, ...], with_hydra: bool, name: str = "config") -> DictConfig:
    """What Hydra composes with a loader that is new."""
    before = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with hydra.initialize_config_module("conf", version_base="1.3"):
            return hydra.compose(name, overrides=list(words), return_hydra_config=with_hydra)
    finally:
        GlobalHydra.instance().hydra = before


@pytest.mark.parametrize(
    ("words", "with_hydra"),
    [
        *((words, True) for words in WORDS.values()),
        *((WORDS[name], False) for name in ("values", "a folder", "an unknown value")),
        *((WORDS[name], False) for name in ("a choice taken out", "an unknown choice")),
        (("hydra/launcher=lockstep", "attack=[zero]"), False),
        (("hydra/launcher=nope", "attack=[zero]"), False),
    ],
)
def test_it_is_what_hydra_composes_also_where_hydra_refuses(
    words: tuple[str, ...], with_hydra: bool
) -> None:
    found = outcome(lambda: composition.composed("config", words, with_hydra=with_hydra))
    assert found == outcome(lambda: by_hydra(words, with_hydra))


@pytest.mark.parametrize("name", ["audit", "compare", "config", "explain", "validate"])
def test_hydras_own_part_is_left_out_of_each_command(name: str) -> None:
    words = ("consortium=heart4", "seed=3")
    found = outcome(lambda: composition.composed(name, words))
    assert found == outcome(lambda: by_hydra(words, False, name))


def test_what_hydra_stores_is_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("copied")

    monkeypatch.setattr(ConfigStore, "__deepcopy__", refuse, raising=False)
    composition._made.cache_clear()
    assert composition.composed("config", ("attack=[ipm]",)).attack.ipm


def test_files_are_composed_once_and_what_is_made_of_them_is_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    composition.composed("config", CHOICES, with_hydra=True)
    monkeypatch.setattr(composition, "compose", None)
    first = composition.composed("config", ("training.rounds=7", *CHOICES), with_hydra=True)
    first.training.lr = -1
    monkeypatch.chdir(tmp_path)
    second = composition.composed("config", (*CHOICES, "seed=3"), with_hydra=True)
    assert (second.training.rounds, second.training.lr, second.seed) != (7, -1, 0)
    assert second.training.lr > 0
    assert second.hydra.overrides.task == [*CHOICES, "seed=3"]
    assert second.hydra.runtime.cwd == os.getcwd()


def test_a_file_is_read_once_for_all_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    composition._made.cache_clear()
    composition._read.cache_clear()
    read, real = list[str](), composition.ImportlibResourcesConfigSource.load_config

    def noted(source: Any, config_path: str) -> Any:
        read.append(f"{source.full_path()} {config_path}")
        return real(source, config_path)

    monkeypatch.setattr(composition.ImportlibResourcesConfigSource, "load_config", noted)
    first = composition.composed("config", ("attack=[alie]",), with_hydra=True)
    composition.composed("config", ("attack=[alie]", "aggregator=krum", "training.lr=7"))
    assert "pkg://conf attack/alie" in read
    assert "pkg://conf aggregator/krum" in read
    assert len(read) == len(set(read))
    assert OmegaConf.to_yaml(first) == OmegaConf.to_yaml(by_hydra(("attack=[alie]",), True))


def test_a_folder_of_the_user_is_read_anew(tmp_path: Path) -> None:
    (tmp_path / "attack").mkdir()
    for whose in ("own", "all"):
        (tmp_path / "attack" / "mine.yaml").write_text(f"# @package attack.mine\nof: {whose}\n")
        words = (f"hydra.searchpath=[file://{tmp_path}]", "attack=[mine]")
        assert composition.composed("config", words).attack.mine.of == whose


def nodes(node: Node) -> Iterator[Node]:
    """A configuration and all parts of it."""
    yield node
    content = node.__dict__.get("_content")
    parts = content.values() if isinstance(content, dict) else content
    for part in parts if isinstance(content, dict | list) else ():
        yield from nodes(part)


def test_a_copy_is_that_of_deepcopy_and_shares_nothing() -> None:
    config = composition.composed("config", (*CHOICES, "training.lr=${seed}"), with_hydra=True)
    config._metadata.resolver_cache["now"]["x"] = "today"
    made = [list(nodes(one)) for one in (config, copied(config), deepcopy(config))]
    assert len(made[0]) > 150
    for original, found, expected in zip(*made, strict=True):
        assert type(found) is type(expected)
        assert found._metadata == expected._metadata
        assert found.__dict__.get("_val") == expected.__dict__.get("_val")
        assert found is not original
        assert found._metadata is not original._metadata
        assert found._metadata.flags is not original._metadata.flags
        assert (found._parent is None) == (found is made[1][0])
        assert all(part._parent is found for part in [*nodes(found)][1:2])
    config.seed = 7
    config._metadata.resolver_cache["now"]["x"] = "yesterday"
    assert (made[1][0].seed, made[1][0]._metadata.resolver_cache["now"]["x"]) == (0, "today")
