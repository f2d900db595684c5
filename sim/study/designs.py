"""A design in words of the configuration: its stacks and attacks become checked experiments."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Final

from hydra.core.override_parser.overrides_parser import OverridesParser
from pydantic import JsonValue

from sim.config.groups import STACK
from sim.config.words import BESIDE, OF_FEDERATION, key_of
from sim.errors import InputError, RefusedError, UndefinedError
from sim.spelling import written
from sim.study import compose
from sim.study.compose import Cell
from sim.study.experiment import Experiment
from threats import design_files, problems
from threats.consistency import UNDEFENDED, Place
from threats.design_files import DesignFile
from threats.problems import Problem
from threats.system import Design, Stack

NONE: Final = "none"
OWN_PATH: Final = "consortium.path"
NOT_COMPOSED: Final = ("search", "seeds", "workers")  # what a run's configuration has not


@dataclass(frozen=True)
class Asked:
    """A design as a command asks for it. ``words``: all that its runs have in common."""

    file: DesignFile
    words: tuple[str, ...]

    @property
    def design(self) -> Design:
        """The design, with what the command line sets of its federation."""
        return self.file.design

    def of(self, design: Design) -> Asked:
        """The same command for a design that differs."""
        beside = [word for word in self.words if key_of(word).partition(".")[0] in BESIDE]
        path = next((word for word in self.words if key_of(word) == OWN_PATH), None)
        own = _federation(design, None if path is None else path.partition("=")[2])
        return replace(self, file=replace(self.file, design=design), words=(*own, *beside))


def read(word: str, overrides: Sequence[str]) -> Asked:
    """The design of a name or path, with overrides of its federation and of what stands beside it.

    Raises ``InputError`` for the first thing that is wrong.
    """
    file = design_files.read(design_files.find(word))
    ours = [one for one in overrides if key_of(one).partition(".")[0] in OF_FEDERATION]
    changes = [one for one in ours if key_of(one) != OWN_PATH]
    if changes:
        file = replace(file, design=_changed(file.design, changes))
    given = next((one.partition("=")[2] for one in ours if key_of(one) == OWN_PATH), None)
    path: JsonValue = None
    if given is not None:
        path = _places(given)
    elif (stated := file.data()) is not None:
        path = str(stated.resolve())
    beside = [one for one in overrides if key_of(one).partition(".")[0] in BESIDE]
    beside = [one for one in beside if key_of(one).partition(".")[0] not in NOT_COMPOSED]
    words = _federation(file.design, None if path is None else written(path))
    return Asked(file, (*words, *beside))


def _places(path: str) -> JsonValue:
    """The path that a word states, or the paths of its list, from the root on."""
    if not path.startswith("["):
        return str(Path(path).resolve())
    (word,) = OverridesParser.create().parse_overrides([f"{OWN_PATH}={path}"])
    found = word.value()
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise InputError(OWN_PATH, path, "expected a file, a folder of files, or a list of files")
    return [str(Path(one).resolve()) for one in found]


def _changed(design: Design, overrides: Sequence[str]) -> Design:
    """The design with values of its federation that the command line sets."""
    values = design.model_dump(mode="json", by_alias=True, exclude_unset=True)
    federation = values["federation"]
    chosen = design.federation.consortium.values
    for one in OverridesParser.create().parse_overrides(list(overrides)):
        group, _, key = one.key_or_group.partition(".")
        if one.is_sweep_override():
            given = str(one.input_line).partition("=")[2]
            raise InputError(one.key_or_group, given, "expected one value")
        value = _plain(one.key_or_group, one.value())
        if group == "consortium":
            chosen[key] = value
            federation["consortium"] = {design.federation.consortium.name: chosen}
        else:
            federation[group] = {**federation.get(group, {}), key: value}
    return problems.design(values)


def _plain(key: str, value: object) -> JsonValue:
    try:
        found: JsonValue = json.loads(json.dumps(value))
    except (TypeError, ValueError):
        raise InputError(key, value, "expected a plain value") from None
    return found


def _federation(design: Design, path: str | None) -> Iterator[str]:
    """The words of what a design's federation is. ``path``: of the owner's records, as written."""
    federation = design.federation
    yield f"consortium={federation.consortium.name}"
    for key, value in federation.consortium.values.items():
        if key != "path":
            yield f"consortium.{key}={written(value)}"
    if path is not None:
        yield f"{OWN_PATH}={path}"
    yield f"model={federation.model.name}"
    for key, value in federation.model.values.items():
        yield f"model.{key}={written(value)}"
    for key, value in federation.training.items():
        yield f"training.{key}={written(value)}"
    for key, value in federation.adversary.model_dump(exclude_none=True).items():
        yield f"adversary.{key}={written(value)}"


def stack_words(stack: Stack) -> list[str]:
    """The words of a stack's values."""
    return [f"{key}={written(value)}" for key, value in stack.values.items()]


def experiments(
    asked: Asked, attacks: Sequence[str], seeds: Sequence[int]
) -> tuple[list[Experiment], dict[str, str]]:
    """The runs of attacks, and of none, on the declared stack and without one.

    Also why the declared stack, or the design without one, does not define an attack, by its name.
    Raises ``InputError`` for what is wrong, and for a stack whose parts contradict each other, with
    what would work.
    """
    refused = dict[str, str]()
    made = list[Experiment]()
    try:
        for id_ in dict.fromkeys((UNDEFENDED, asked.design.declared)):
            found, reasons = _planned(asked, asked.design.stack(id_), (NONE, *attacks), seeds)
            made += found
            refused |= reasons
    except (UndefinedError, RefusedError) as error:
        raise _contradiction(asked, error) from error
    except InputError as error:
        raise of_design(asked, error) from error
    return [one for one in made if one.attack not in refused], refused


def _contradiction(asked: Asked, error: InputError | RefusedError) -> InputError:
    """The refusal of a stack that is not defined, with nobody attacking, and what would work."""
    stack = asked.design.stack(asked.design.declared)
    reason = str(error).partition(";")[0]
    working = " or ".join(_working(asked, stack)) or "no part of it alone"
    expected = f"its parts contradict each other: {reason}; what would work: {working}"
    return asked.file.refusal(("declared",), stack.id, expected)


def _working(asked: Asked, stack: Stack) -> Iterator[str]:
    """The stack with one part less, for each part without which it is defined."""
    parts = stack.defense.split("+")
    for part in parts if len(parts) > 1 else ():
        rest = "+".join(one for one in parts if one != part)
        try:
            _planned(asked, Stack(id=stack.id, defense=rest), (NONE,), (0,))
        except (InputError, RefusedError):
            continue
        yield f"{rest} without {part}"


def of_design(asked: Asked, error: InputError) -> InputError:
    """An error of the configuration, at the place of the design that states the value."""
    head, _, rest = error.key.partition(".")
    design = asked.design
    place: Place | None = None
    if head in ("training", "adversary"):
        place = ("federation", head, *rest.split("."))
    elif head in ("consortium", "model"):
        chosen = design.federation.consortium if head == "consortium" else design.federation.model
        place = ("federation", head, chosen.name, *rest.split("."))
    elif head in (*STACK, "defense") and design.declared != UNDEFENDED:
        number = [one.id for one in design.stacks].index(design.declared)
        inside = ("values", error.key) if error.key in design.stacks[number].values else ()
        place = ("stacks", number, *inside)
    if place is None or not asked.file.lines:
        return error
    return asked.file.refusal(place, error.value, error.expected)


def _planned(
    asked: Asked, stack: Stack, attacks: Sequence[str], seeds: Sequence[int]
) -> tuple[Sequence[Experiment], Mapping[str, str]]:
    words = (*asked.words, *stack_words(stack))
    return _composed(words, stack.defense, tuple(attacks), tuple(seeds))


def forget() -> None:
    """Compose every experiment anew from now on."""
    _composed.cache_clear()


@lru_cache(maxsize=4)
def _composed(
    words: tuple[str, ...], defense: str, attacks: tuple[str, ...], seeds: tuple[int, ...]
) -> tuple[tuple[Experiment, ...], Mapping[str, str]]:
    """The experiments of attacks on a defense, and why an attack is not defined there, by its name.

    Changes of a design have those without a defense in common.
    """
    cells = [Cell((name,), defense) for name in attacks]
    made, refused = compose.planned(words, cells, seeds)
    return tuple(made), {one.attack: one.reason for one in refused}


def problem(asked: Asked, found: Problem) -> InputError:
    """The error of something that is wrong with the design, with its file and line."""
    return asked.file.refusal(found.place, found.value, found.expected)
