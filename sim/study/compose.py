"""From command-line words to checked experiments, with Hydra's compose."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

from omegaconf import DictConfig, OmegaConf

from sim.config import choices, composition, mappings, plain, stacks
from sim.config.choices import options
from sim.config.groups import OF_COMMANDS, STACK
from sim.config.hydra_errors import near, one_line
from sim.config.overrides import is_partial
from sim.config.stacks import key_of as _key
from sim.errors import InputError, RefusedError, UndefinedError
from sim.plugins import SELF
from sim.types import Node

if TYPE_CHECKING:
    from sim.study.experiment import Experiment

T = TypeVar("T")
MAX_SEEDS = 10_000
N_HOSTILE = "adversary.n_hostile"  # a list of numbers in compare
# one name, or several together: attacks that run, or a stack of defenses
Names: TypeAlias = str | list[str] | tuple[str, ...]


@dataclass(frozen=True)
class Cell:
    """One cell of a comparison before its seeds: attacks run together, and a defense.

    ``n_hostile`` is None where the comparison has one number for all cells, that of the
    configuration. ``asked``: the cell was asked for, and is not there as a control alone.
    ``undefended``: overrides that put a part of a defense in place of another leave the cell alone,
    so that it stays the control without a defense.
    """

    attack: tuple[str, ...]
    defense: str
    n_hostile: int | None = None
    asked: bool = field(default=True, compare=False)
    undefended: bool = False


@dataclass(frozen=True)
class Refused:
    """A cell that does not run because it is not defined in this design, and why.

    ``n_hostile`` is None where all cells have one number. ``part``: what is not defined, the
    ``attack`` or the ``defense``.
    """

    attack: str
    defense: str
    n_hostile: int | None
    reason: str
    part: Literal["attack", "defense"]


def experiments(
    overrides: Sequence[str], cells: Sequence[Cell], seeds: Sequence[int]
) -> list[Experiment]:
    """The experiments of ``planned``, without the cells that it leaves out."""
    return planned(overrides, cells, seeds)[0]


def planned(
    overrides: Sequence[str], cells: Sequence[Cell], seeds: Sequence[int]
) -> tuple[list[Experiment], list[Refused]]:
    """A checked experiment for each cell and seed, and the cells left out.

    Hydra must be initialized on ``conf``. ``overrides`` apply to all cells; a value of an attack or
    of a part of a defense (``attack.alie.z=1.5``, ``dp.target_epsilon=4``) applies to the cells
    that have it, and raises ``InputError`` if none has. A cell that is not defined (its rule needs
    more hospitals, its attack more knowledge) is left out; if that is so of all cells that were
    asked for, the reason of the first is raised. A cell in which nobody is hostile and whose attack
    takes hostile hospitals is left out without a word. Every other refusal is raised.
    """
    from sim.study.experiment import load  # which takes long: configurations are shown without it

    words = [word for word in overrides if _key(word) not in (*OF_COMMANDS, "seed")]
    partial = [word for word in words if is_partial(word)]
    base = [word for word in words if word not in partial]
    used = set[str]()
    stacks.make(cell.defense for cell in cells)
    made: list[Experiment] = []
    refused = list[Refused]()
    refusals = dict[Cell, InputError | RefusedError]()
    for cell, (config, here) in zip(cells, _of_cells(base, partial, cells), strict=True):
        used.update(here)
        choices.check_present(cell.attack, config.get("attack"))
        name = cell.defense if cell.undefended else label(cell.defense, overrides)
        try:
            made += [load({**config, "seed": seed}, name) for seed in seeds]
        except (UndefinedError, RefusedError) as error:
            if cell.n_hostile == 0 and isinstance(error, InputError) and error.key == N_HOSTILE:
                continue  # its attack takes hostile hospitals
            refusals[cell] = error
            refused.append(_refused(cell, name, error))
    if refusals and all(cell in refusals for cell in cells if cell.asked):
        raise next(iter(refusals.values()))
    _all_used(partial, used, len(cells))
    return made, refused


def _refused(cell: Cell, defense: str, error: InputError | RefusedError) -> Refused:
    group = error.key.partition(".")[0] if isinstance(error, InputError) else ""
    return Refused(
        attack="+".join(cell.attack),
        defense=defense,
        n_hostile=cell.n_hostile,
        reason=error.expected if isinstance(error, InputError) else str(error),
        part="attack" if group in ("attack", "adversary") else "defense",
    )


def _of_cells(
    base: list[str], partial: list[str], cells: Sequence[Cell]
) -> Iterator[tuple[dict[str, Any], list[str]]]:
    """The configuration of each cell, and the ``partial`` overrides that apply to it.

    Hydra takes a tenth of a second for one configuration, so each defense is composed once, without
    attack, and all attacks once, together. Cells whose attack or defense does more than fill its
    own part are composed one by one.
    """
    without = _partially([*base, "attack=[none]", "defense=none"], partial)
    composed = {("none", False): without}
    attacks = _once([name for cell in cells for name in cell.attack if name != "none"])
    nodes, used = _nodes(base, partial, attacks, without[0])
    values = dict[tuple[tuple[str, bool], int | None], dict[str, Any] | None]()
    for cell in cells:
        own_base = _keeping_parts(base) if cell.undefended else base
        own_partial = _keeping_parts(partial) if cell.undefended else partial
        defense = (cell.defense, cell.undefended)
        if defense not in composed:
            words = [*own_base, "attack=[none]", f"defense={cell.defense}"]
            composed[defense] = _partially(words, own_partial)
        config, here = composed[defense]
        if (defense, cell.n_hostile) not in values:
            values[defense, cell.n_hostile] = _without_attack(config, cell.n_hostile)
        found = values[defense, cell.n_hostile]
        names = [name for name in cell.attack if name != "none"]
        if found is not None and set(names) <= nodes.keys() and len(set(names)) == len(names):
            own = [word for word in used if _key(word).split(".")[1] in names]
            yield {**found, "attack": {name: nodes[name] for name in names}}, [*here, *own]
        else:
            yield _of_cell(own_base, own_partial, cell)


def _keeping_parts(words: Sequence[str]) -> list[str]:
    """The overrides that put no part of a defense in place of another."""
    return [word for word in words if not _replaces_part(word)]


def _nodes(
    base: list[str], partial: list[str], attacks: Sequence[str], without: DictConfig
) -> tuple[dict[str, Any], list[str]]:
    """The node of each attack that fills only the node of its name, and the overrides used.

    Their values are plain. ``without``: no attack, no defense. Attacks of the project are composed
    together, others alone, for they could fill each other's nodes.
    """
    rest = {**_unresolved(without), "attack": {}}
    known = options("attack")
    together = [name for name in attacks if name in known]
    alone = [[name] for name in attacks if name not in known]
    nodes = dict[str, Any]()
    used = list[str]()
    for names in [together, *alone] if together else alone:
        words = [*base, f"attack=[{','.join(names)}]", "defense=none"]
        config, here = _partially(words, partial)
        values = _unresolved(config)
        filled = values.get("attack", {})
        if list(filled) == names and {**values, "attack": {}} == rest:
            nodes |= {name: node for name, node in filled.items() if "${" not in str(node)}
            used += here
    return nodes, used


def _without_attack(config: DictConfig, n_hostile: int | None) -> Node | None:
    """The values of a defense without attack; None if they depend on the attack.

    ``n_hostile``: the number of hostile hospitals, None for that of ``config``.
    """
    if n_hostile is not None:
        config = config.copy()
        OmegaConf.update(config, N_HOSTILE, n_hostile)
    depends = any("attack" in link for link in re.findall(r"\$\{[^}]*", str(_unresolved(config))))
    return None if depends or config.get("attack") else resolved(config)


def _of_cell(base: list[str], partial: list[str], cell: Cell) -> tuple[dict[str, Any], list[str]]:
    """The configuration of a cell from Hydra, and the ``partial`` overrides that apply to it."""
    own = [f"attack=[{','.join(cell.attack)}]", f"defense={cell.defense}"]
    if cell.n_hostile is not None:
        base = [word for word in base if _key(word) != N_HOSTILE]
        own.append(f"{N_HOSTILE}={cell.n_hostile}")
    config, here = _partially([*base, *own], partial)
    return resolved(config), here


def _partially(words: list[str], partial: list[str]) -> tuple[DictConfig, list[str]]:
    """The configuration of ``words`` and of the ``partial`` overrides that apply; and these."""
    config = _config(words)
    values = resolved(config) if partial else {}
    here = list[str]()
    for word in partial:
        key = _key(word)
        if _has(values, key.rpartition(".")[0] if word[0] == "+" else key):
            here.append(word)
    return (_config([*words, *here]) if here else config), here


def _all_used(partial: Sequence[str], used: set[str], n_cells: int) -> None:
    for word in partial:
        if word not in used:
            expected = f"unknown key in each of the {n_cells} cells{near(_key(word))}"
            raise InputError(_key(word), word.partition("=")[2], expected)


def single(overrides: Sequence[str]) -> Experiment:
    """The one experiment that ``run`` with these overrides makes."""
    return checked(configuration(overrides), overrides)


def configuration(overrides: Sequence[str]) -> Node:
    """The configuration of ``run`` with these overrides, as plain values."""
    return resolved(_config([word for word in overrides if _key(word) not in OF_COMMANDS]))


def checked(config: Node, overrides: Sequence[str]) -> Experiment:
    """The one experiment of the ``config`` that Hydra composed with ``overrides``."""
    from sim.study.experiment import load

    values = {key: value for key, value in config.items() if key not in OF_COMMANDS}
    return load(values, label(str(values["defense"]["name"]), overrides))


def label(defense: str, overrides: Sequence[str]) -> str:
    """The name of a defense in tables: the preset, and overrides that replace or remove a part."""
    return "+".join([defense, *replacing(overrides)])


def _replaces_part(word: str) -> bool:
    group, _, rest = _key(word).partition(".")
    return group in STACK and (not rest or word[0] == "~" or rest.endswith(SELF))


def cells(
    attacks: Sequence[Names],
    defenses: Sequence[Names],
    numbers: Sequence[int] | None = None,
    overrides: Sequence[str] = (),
) -> list[Cell]:
    """Every attack with every defense, controls (attack none, defense none) first and always there.

    An attack that is a list of names is several that run together, a defense that is one is a
    stack. With ``numbers`` of hostile hospitals, all of that for each number. Where ``overrides``
    put a part in place of one of every defense (``dp=record``), so that "none" would be defended
    too, the undefended control is a cell of its own, without them.
    """
    chosen = [
        tuple(attack) if isinstance(attack, (list, tuple)) else (attack,) for attack in attacks
    ]
    stacked = [
        stacks.plain(stacks.JOINT.join(one) if isinstance(one, (list, tuple)) else one)
        for one in defenses
    ]
    if replacing(overrides):
        rows = [("none", True), *((name, False) for name in _once(stacked))]
    else:
        rows = [(name, False) for name in _once(["none", *stacked])]
    found = list[Cell]()
    for number in numbers or (None,):
        for attack in _once([("none",), *chosen]):
            attacked = attack == ("none",) if number == 0 else attack in chosen
            for defense, undefended in rows:
                asked = attacked and defense in stacked and not undefended
                found.append(Cell(attack, defense, number, asked, undefended))
    return found


def replacing(overrides: Sequence[str]) -> list[str]:
    """The overrides that put a part of a defense in place of another, or take one from it."""
    return [word for word in overrides if _replaces_part(word)]


def hostile_numbers(value: object) -> list[int] | None:
    """The different numbers of hostile hospitals in a list; None for a single value.

    ``load`` checks a single value.
    """
    if not isinstance(value, list):
        return None
    if not _are_different(value):
        expected = "expected a number or a list of different whole numbers, as in [0,1,2]"
        raise InputError(N_HOSTILE, value, expected)
    return value


def _are_different(values: list[Any]) -> bool:
    """Whether a list holds different whole numbers of at least 0, and at least one."""
    if not values or any(type(value) is not int or value < 0 for value in values):
        return False
    return len(set(values)) == len(values)


def names(key: str, value: object) -> list[Names]:
    """The names of a list as given on the command line; one name stands for a list of one."""
    listed = value if isinstance(value, list) else [value]
    items = [item if isinstance(item, list) else [item] for item in listed]
    if not listed or any(not isinstance(name, str) for item in items for name in item):
        raise InputError(key, value, "expected a list of names, as in [none,median]")
    return [*listed]


def seeds(value: object, first: object) -> list[int]:
    """Seeds from a number (that many, from ``first`` on) or a list of different numbers."""
    if type(first) is not int:
        raise InputError("seed", first, "expected a whole number of at least 0")
    if type(value) is int and 1 <= value <= MAX_SEEDS:
        return list(range(first, first + value))
    if isinstance(value, list) and _are_different(value):
        return value
    expected = "expected how many (at least 1) or a list of different seeds, as in [0,1,2]"
    raise InputError("seeds", value, expected)


def only_lists(overrides: Sequence[str]) -> None:
    """Refuse ``attack=`` and ``defense=`` in a comparison of lists: they would change nothing."""
    for word in overrides:
        key = _key(word)
        if key in ("attack", "defense"):
            value = word.partition("=")[2]
            several = key == "attack" and "," in value.strip("[] ")
            form = f"[{value}], which run together," if several else "[...]"
            raise InputError(key, value, f"expected {key}s={form} in a comparison")


def _config(overrides: list[str]) -> DictConfig:
    return _composed(composition.places(overrides), tuple(overrides))


@lru_cache(maxsize=256)
def _composed(_source: Hashable, overrides: tuple[str, ...]) -> DictConfig:
    """The configuration of these words; Hydra needs a tenth of a second, so it is made once.

    Nobody may edit it.
    """
    with one_line():
        config = composition.composed("config", overrides)
    plain.references("", OmegaConf.to_container(config))
    mappings.replace(config, overrides)
    return config


def _unresolved(config: DictConfig) -> Node:
    values = OmegaConf.to_container(config)
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items() if key != "hydra"}


def resolved(config: DictConfig) -> Node:
    """A composed configuration as plain values, without Hydra's own part.

    A number of hostile hospitals that is not stated is a quarter of those in the data.
    """
    if OmegaConf.select(config, N_HOSTILE) is None and OmegaConf.select(config, "adversary"):
        config = config.copy()
        OmegaConf.update(config, N_HOSTILE, _quarter(config))
    with one_line():
        values = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items() if key != "hydra"}


def _quarter(config: DictConfig) -> int:
    """A quarter of the hospitals, and one of three."""
    from sim.study.experiment import n_hospitals

    n = n_hospitals(_unresolved(config))
    return n // 4 or int(n == 3)


def _has(config: Node, key: str) -> bool:
    node: Any = config
    for part in key.split("."):
        if not isinstance(node, dict) or part not in node:
            return False
        node = node[part]
    return True


def _once(values: list[T]) -> list[T]:
    return list(dict.fromkeys(values))
