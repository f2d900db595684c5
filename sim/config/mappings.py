"""Overrides whose value is a mapping replace the one that is there; Hydra alone merges the two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf, open_dict

from sim.errors import InputError
from sim.plugins import SELF


def replace(config: DictConfig, overrides: Sequence[str]) -> None:
    """Give every mapping that ``overrides`` set in ``config`` no other keys than theirs.

    ``config``: composed with the overrides. A mapping that is one parameter of a plug-in is
    replaced. Other mappings have fixed keys: raises ``InputError`` where an override leaves one of
    them out, for it would keep a value that the override does not show. Raises it as well for a
    value inside a mapping that is set as a whole.
    """
    for key, value in _given(overrides):
        _refuse_both(key, overrides)
        _replace(config, key, value)


def _given(overrides: Sequence[str]) -> list[tuple[str, Mapping[str, Any]]]:
    """The key and the value of each override that is a mapping, in order."""
    ours = [word for word in overrides if not word.startswith(("~", "hydra"))]
    words = [word for word in ours if "{" in word.partition("=")[2]]
    parsed = OverridesParser.create().parse_overrides(words)
    single = [override for override in parsed if not override.is_sweep_override()]
    values = [(override.key_or_group, override.value()) for override in single]
    return [(key, value) for key, value in values if isinstance(value, Mapping)]


def _refuse_both(key: str, overrides: Sequence[str]) -> None:
    for word in overrides:
        inner = word.lstrip("+~").partition("=")[0]
        if inner.startswith(f"{key}."):
            expected = f"expected this value inside {key}={{...}}, which is set as a whole"
            raise InputError(inner, word.partition("=")[2], expected)


def _replace(config: DictConfig, key: str, value: Mapping[str, Any]) -> None:
    if _is_parameter(config, key):
        with open_dict(config):
            OmegaConf.update(config, key, dict(value), merge=False)
        return
    there = OmegaConf.select(config, key, default={}) or {}
    left = [str(name) for name in there if name not in value]
    if left:
        expected = f"one override for each value, as in {key}.{next(iter(value), left[0])}=..."
        reason = f"a mapping would leave {_some(left)} as it was"
        raise InputError(key, dict(value), f"expected {expected}, because {reason}")
    for name, part in value.items():
        if isinstance(part, Mapping):
            _replace(config, f"{key}.{name}", part)


def _some(names: Sequence[str]) -> str:
    most = 5
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _is_parameter(config: DictConfig, key: str) -> bool:
    """Whether ``key`` lies below a plug-in's node."""
    parts = key.split(".")
    above = (OmegaConf.select(config, ".".join(parts[:n])) for n in range(1, len(parts)))
    return any(isinstance(node, DictConfig) and SELF in node for node in above)
