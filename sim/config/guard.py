"""Checks of what Hydra has read, before anything acts on it.

Names are names, and values refer to nothing outside.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sim.config import choices, plain
from sim.config.hydra_errors import one_line
from sim.errors import InputError
from sim.plugins import SELF

SEVERAL = ("attack", "steps")  # groups of which several are chosen together
DEFENSE = "defense"
FOREIGN = "command-line"  # what Hydra calls the folder of --config-dir


@contextmanager
def hydra_errors() -> Iterator[None]:
    """Every error of Hydra while it reads words or files becomes an ``InputError`` in this block.

    No code of ours may run in it.
    """
    with one_line():
        try:
            yield
        except (HydraException, OmegaConfBaseException, InputError):
            raise
        except (ArithmeticError, RecursionError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise InputError("configuration", "...", f"cannot be read: {reason}") from error


def parsed(words: Sequence[str]) -> list[Override]:
    """The overrides as Hydra reads them. Raises ``InputError`` for a choice that is no name."""
    with hydra_errors():
        parser = OverridesParser.create(GlobalHydra.instance().config_loader())
        found = parser.parse_overrides(list(words))
    for one in found:
        values = list(one.sweep_iterator()) if one.is_choice_sweep() else [one.value()]
        _check_name(one.key_or_group, values)
        if one.key_or_group in choices.groups():
            for value in values:
                choices.check_choice(one.key_or_group, _text(value))
        elif not one.is_hydra_override():
            for value in values:
                plain.references(one.key_or_group, _text(value))
    return found


def _check_name(key: str, values: Sequence[Any]) -> None:
    """Refuse an override that would let a run go by the name of another.

    That is two choices where one counts, or a value put in place under the name of a choice.
    """
    group, _, rest = key.partition(".")
    is_list = any(isinstance(value, list) for value in values)
    if is_list and key in choices.groups() and key not in SEVERAL:
        stacked = "; defenses stack with +, as in secagg+clip" if key == DEFENSE else ""
        raise InputError(key, values[0], f"expected one name{stacked}")
    if key == f"{DEFENSE}.name":
        expected = f"expected {DEFENSE}=NAME, for the name stands for what it does"
        raise InputError(key, _text(values[0]), expected)
    name, _, last = rest.rpartition(".")
    if group == "attack" and last == SELF and name in choices.options(group):
        expected = f"expected a class under a name of its own: {name} stands for another attack"
        raise InputError(key, _text(values[0]), expected)


def _check_defense(config: DictConfig, values: Mapping[str, Any]) -> None:
    """Refuse a defense that goes by another name than the one that chose it."""
    chosen = str(config.hydra.runtime.choices.get(DEFENSE))
    node = values.get(DEFENSE)
    name = node.get("name") if isinstance(node, Mapping) else None
    if name != chosen.replace(" ", ""):
        expected = f"expected {chosen}, the name under which it is chosen"
        raise InputError(f"{DEFENSE}.name", name, expected)


def check(config: DictConfig, words: Sequence[str]) -> None:
    """Raise ``InputError`` for a composed configuration that reads anything outside.

    So too where a chosen attack is not in it. ``words``: the overrides that it is composed of.
    """
    values = {key: value for key, value in _container(config).items() if key != "hydra"}
    plain.references("", values)
    for key in ("attacks", "defenses"):
        choices.check_listed(key, values.get(key))
    _check_defense(config, values)
    choices.check_present(_attacks(str(config.hydra.job.config_name), words), values.get("attack"))


def _attacks(config_name: str, words: Sequence[str]) -> Iterator[str]:
    """The names of the attacks whose files make a configuration.

    Files of the project choose none beside those of the words.
    """
    loader = GlobalHydra.instance().config_loader()
    if any(source.provider == FOREIGN for source in loader.get_sources()):
        listed = loader.compute_defaults_list(config_name, list(words), RunMode.RUN)
        paths = [default.config_path or "" for default in listed.defaults]
        yield from (path.removeprefix("attack/") for path in paths if path.startswith("attack/"))
        return
    overrides = OverridesParser.create().parse_overrides(list(words))
    chosen = [one.value() for one in overrides if one.key_or_group == "attack"]
    for value in chosen[-1:]:
        yield from map(str, value if isinstance(value, list) else [value])


def _text(value: Any) -> Any:
    """A value of an override without Hydra's marks of quotes."""
    return Override._convert_value(value)


def _container(config: Any) -> dict[str, Any]:
    plain_values = OmegaConf.to_container(config)
    assert isinstance(plain_values, dict)
    return {str(key): value for key, value in plain_values.items()}
