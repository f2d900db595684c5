"""Stacked defenses, ``secagg+dp_record`` or ``median+clip``, of presets and single parts.

A stack becomes a preset of its own, which includes the presets it is made of, so that Hydra
composes it like any other.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from hydra.core.config_loader import ConfigLoader
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Override
from hydra.types import RunMode

from sim.config import composition
from sim.config.choices import options
from sim.config.groups import STACK
from sim.errors import InputError

JOINT = "+"
NOTHING = "none"
GROUP = "defense"
MADE = set[str]()  # names of the stacks made so far in this process

Choice = tuple[str, str]  # group, name


@dataclass(frozen=True)
class Source:
    """The loader of Hydra as the source of presets and parts; ``taken``: defaults by preset."""

    loader: ConfigLoader
    taken: dict[str, list[Choice]] = field(default_factory=dict, compare=False)

    @cached_property
    def known(self) -> dict[str, list[str]]:
        """The names of presets and of parts by group, without the stacks made."""
        return {group: self._options(group) for group in (GROUP, *STACK)}

    def defaults(self, preset: str) -> list[Choice]:
        """The options of the groups of a defense that Hydra takes with a preset.

        An option that is part of another one of its group, as dp=record of dp=record_hospital, is
        left out.
        """
        if preset not in self.taken:
            self.taken[preset] = self._defaults(preset)
        return self.taken[preset]

    def _defaults(self, preset: str) -> list[Choice]:
        words = ["attack=[none]", f"{GROUP}={preset}"]
        found = self.loader.compute_defaults_list("config", words, RunMode.RUN).defaults
        chosen = list[Choice]()
        for default in found:
            group, _, option = str(default.config_path).rpartition("/")
            inside = str(default.parent).rpartition("/")[0]  # an option may be made of others
            if group in STACK and group != inside:
                chosen.append((group, option))
        return chosen

    def _options(self, group: str) -> list[str]:
        found = self.loader.get_group_options(group, config_name="config", overrides=[])
        return sorted(set(found) - (MADE if group == GROUP else set()))


def source() -> Source:
    """The source of Hydra as it is initialized; that of packages is one for all commands."""
    return _source(composition.places(()))


@lru_cache(maxsize=2)
def _source(_places: Hashable) -> Source:
    return Source(composition.reading_once(GlobalHydra.instance().config_loader()))


def key_of(word: str) -> str:
    """The key of an override."""
    return word.lstrip("+~").partition("=")[0].partition("@")[0]


def plain(name: str) -> str:
    """The name of a stack without spaces around its parts.

    Raises ``InputError`` for a part without a name.
    """
    parts = [part.strip() for part in name.split(JOINT)]
    if any(not re.fullmatch(r"\w+", part) for part in parts):
        joined = f"joined with {JOINT} where they stack, as in secagg+dp_record"
        raise InputError(GROUP, name, f"expected names of defenses, {joined}")
    return JOINT.join(parts)


def make(names: Iterable[str]) -> None:
    """Make a preset of each name that is none yet. Hydra must be initialized.

    Raises ``InputError`` for an unknown part, a part that is there twice, and parts that contradict
    each other.
    """
    there = source()
    ours = options(GROUP)
    for name in dict.fromkeys(names):
        if name not in ours and name not in there.known[GROUP]:
            parts = plain(name).split(JOINT)
            presets = [part for part in parts if part in there.known[GROUP]]
            _store(name, presets, _choices(name, parts, there))


def make_asked(overrides: Sequence[Override]) -> None:
    """Make the stacks that overrides ``defense=...`` name, before Hydra composes them.

    Hydra must be initialized.
    """
    chosen = [override for override in overrides if override.key_or_group == GROUP]
    names = [name for override in chosen for name in _values(override)]
    make(name for name in names if JOINT in name or name not in options(GROUP))


def _choices(name: str, parts: Sequence[str], source: Source) -> dict[str, list[str]]:
    """The choices of a stack by group. Only steps may be several, and each only once."""
    chosen = defaultdict[str, list[str]](list)
    by = dict[Choice, str]()
    if repeated := [part for part in parts if parts.count(part) > 1]:
        raise InputError(GROUP, name, f"expected {repeated[0]} once")
    for part in parts:
        for group, option in _of_part(name, part, source):
            if option in chosen[group]:
                both = f"{by[group, option]} and {part} both have it"
                raise InputError(GROUP, name, f"expected {group}={option} once: {both}")
            if group == "dp" and (joint := _both(chosen[group], option, source)):
                by[group, joint] = f"{by[group, chosen[group][0]]}{JOINT}{part}"
                chosen[group] = [joint]
                continue
            if chosen[group] and group != "steps":
                there = chosen[group][0]
                one = f"{by[group, there]} has {group}={there}"
                other = f"{part} has {group}={option}"
                raise InputError(GROUP, name, f"expected one {group}; {one} and {other}")
            chosen[group].append(option)
            by[group, option] = part
    return chosen


def _of_part(name: str, part: str, source: Source) -> list[Choice]:
    """The choices of a preset, or the single part of a defense with that name."""
    if part == NOTHING:
        expected = f"expected names of defenses; {NOTHING} is no part of a stack"
        raise InputError(GROUP, name, expected)
    known = source.known
    if part in known[GROUP]:
        without = source.defaults(NOTHING)
        return [choice for choice in source.defaults(part) if choice not in without]
    groups = [group for group in STACK if part in known[group]]
    if len(groups) == 1:
        return [(groups[0], part)]
    if groups:
        several = " and of ".join(groups)
        raise InputError(GROUP, part, f"expected a name of one group; it is one of {several}")
    parts = {option for group in STACK for option in known[group]} - {NOTHING, *known[GROUP]}
    presets = ", ".join(option for option in known[GROUP] if option not in MADE)
    single = ", ".join(sorted(parts))
    raise InputError(GROUP, part, f"expected one of {presets}, or a part of a defense: {single}")


def _both(chosen: Sequence[str], option: str, source: Source) -> str | None:
    """The option of the group dp that stands for two others together; None where there is none."""
    names = [f"{one}_{option}" for one in chosen] + [f"{option}_{one}" for one in chosen]
    return next((name for name in names if name in source.known["dp"]), None)


def _store(name: str, presets: Sequence[str], choices: dict[str, list[str]]) -> None:
    chosen = [
        {f"override /{group}": options if group == "steps" else options[0]}
        for group, options in choices.items()
    ]
    node = {"defaults": [*presets, *chosen, "_self_"], GROUP: {"name": plain(name)}}
    ConfigStore.instance().store(group=GROUP, name=name, node=node, package="_global_")
    MADE.add(name)


def _values(override: Override) -> list[str]:
    """The names of an override, or of a sweep over several.

    A value that Hydra would look up elsewhere is left out.
    """
    if override.is_choice_sweep():
        return [str(value) for value in override.sweep_string_iterator()]
    value = None if override.is_sweep_override() else override.value()
    return [value] if isinstance(value, str) else []
