"""What Hydra has read is checked before anything acts on it: names are names, and values refer to nothing outside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sim import choices, plain
from sim.compose import one_line
from sim.errors import InputError

FOREIGN = "command-line"  # what Hydra calls the folder of --config-dir


@contextmanager
def hydra_errors() -> Iterator[None]:
    """Turn everything that Hydra raises while it reads words or files into an ``InputError``: no code of ours runs in it."""
    with one_line():
        try:
            yield
        except (HydraException, OmegaConfBaseException, InputError):
            raise
        except (ArithmeticError, RecursionError, ValueError) as error:
            raise InputError("configuration", "...", f"cannot be read: {str(error).splitlines()[0]}") from error


def parsed(words: Sequence[str]) -> list[Override]:
    """The overrides as Hydra reads them. Raises ``InputError`` for a choice that is no name."""
    with hydra_errors():
        found = OverridesParser.create(GlobalHydra.instance().config_loader()).parse_overrides(list(words))
    for one in found:
        values = list(one.sweep_iterator()) if one.is_choice_sweep() else [one.value()]
        if one.key_or_group in choices.groups():
            for value in values:
                choices.check_choice(one.key_or_group, _text(value))
        elif not one.is_hydra_override():
            for value in values:
                plain.references(one.key_or_group, _text(value))
    return found


def check(config: DictConfig, words: Sequence[str]) -> None:
    """Raise ``InputError`` for a composed configuration that reads anything outside, or whose chosen attack is not in it.

    ``words``: what it is composed of.
    """
    values = {key: value for key, value in _container(config).items() if key != "hydra"}
    plain.references("", values)
    for key in ("attacks", "defenses"):
        choices.check_listed(key, values.get(key))
    choices.check_present(_attacks(str(config.hydra.job.config_name), words), values.get("attack"))


def _attacks(config_name: str, words: Sequence[str]) -> Iterator[str]:
    """Names of the attacks whose files make a configuration; files of the project choose none beside those of the words."""
    loader = GlobalHydra.instance().config_loader()
    if any(source.provider == FOREIGN for source in loader.get_sources()):
        paths = [
            default.config_path or "" for default in loader.compute_defaults_list(config_name, list(words), RunMode.RUN).defaults
        ]
        yield from (path.removeprefix("attack/") for path in paths if path.startswith("attack/"))
        return
    chosen = [one.value() for one in OverridesParser.create().parse_overrides(list(words)) if one.key_or_group == "attack"]
    for value in chosen[-1:]:
        yield from map(str, value if isinstance(value, list) else [value])


def _text(value: Any) -> Any:
    """A value of an override without Hydra's marks of quotes."""
    return Override._convert_value(value)


def _container(config: Any) -> dict[str, Any]:
    plain_values = OmegaConf.to_container(config)
    assert isinstance(plain_values, dict)
    return {str(key): value for key, value in plain_values.items()}
