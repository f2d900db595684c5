"""From command-line words to checked experiments, with Hydra's compose."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

from hydra import compose
from omegaconf import DictConfig, OmegaConf

from sim.config import choices, mappings, plain, stacks
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
# one, or several together: attacks that run, or a stack
Names: TypeAlias = str | list[str] | tuple[str, ...]
INTERPOLATION = "${"  # how a value that refers to another one starts


@dataclass(frozen=True)
class Cell:
    """One cell of a comparison before its seeds: names of the attacks run together, a defense, and
    how many are hostile.

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
    """A checked experiment for each cell and seed, and the cells left out. Hydra must be
    initialized on ``conf``.

    ``overrides`` apply to all cells; a value of an attack or of a part of a defense
    (``attack.alie.z=1.5``, ``dp.target_epsilon=4``) applies to the cells that have it, and raises
    ``InputError`` if none has. A cell that is not defined (its rule needs more hospitals, its
    attack more knowledge) is left out; if that is so of all cells that were asked for, the reason
    of the first is raised. A cell in which nobody is hostile and whose attack takes hostile
    hospitals is left out without a word. Every other refusal is raised.
    """
    from sim.study.experiment import load  # which takes long: configurations are shown without it

    words = [word for word in overrides if _key(word) not in (*OF_COMMANDS, "seed")]
    partial = [word for word in words if is_partial(word)]
    base, used = [word for word in words if word not in partial], set[str]()
    stacks.make(cell.defense for cell in cells)
    made: list[Experiment] = []
    refused = list[Refused]()
    refusals = dict[Cell, InputError | RefusedError]()
    for cell, (config, here) in zip(cells, _of_cells(base, partial, cells), strict=True):
        choices.check_present(cell.attack, config.get("attack"))
        name = cell.defense if cell.undefended else label(cell.defense, overrides)
        try:
            made += [load({**config, "seed": seed}, name) for seed in seeds]
        except (UndefinedError, RefusedError) as error:
            if cell.n_hostile == 0 and isinstance(error, InputError) and error.key == N_HOSTILE:
                continue  # its attack takes hostile hospitals
            refusals[cell] = error
            refused.append(_refused(cell, name, error))
        used.update(here)
    if refusals and all(cell in refusals for cell in cells if cell.asked):
        raise next(iter(refusals.values()))
    _all_used(partial, used, len(cells))
    return made, refused


def _refused(cell: Cell, defense: str, error: InputError | RefusedError) -> Refused:
    of_attack = isinstance(error, InputError) and error.key.partition(".")[0] in (
        "attack",
        "adversary",
    )
    reason = error.expected if isinstance(error, InputError) else str(error)
    return Refused(
        "+".join(cell.attack), defense, cell.n_hostile, reason, "attack" if of_attack else "defense"
    )


def _of_cells(
    base: list[str], partial: list[str], cells: Sequence[Cell]
) -> Iterator[tuple[dict[str, Any], list[str]]]:
    """The configuration of each cell, and the ``partial`` overrides that apply to it, as
    ``_of_cell`` gives them.

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
        own_base, own_partial = (
            _keeping_parts(words) if cell.undefended else words for words in (base, partial)
        )
        defense = cell.defense, cell.undefended
        if defense not in composed:
            composed[defense] = _partially(
                [*own_base, "attack=[none]", f"defense={cell.defense}"], own_partial
            )
        config, here = composed[defense]
        if (defense, cell.n_hostile) not in values:
            values[defense, cell.n_hostile] = _without_attack(config, cell.n_hostile)
        plain_values, names = (
            values[defense, cell.n_hostile],
            [name for name in cell.attack if name != "none"],
        )
        if (
            plain_values is not None
            and set(names) <= nodes.keys()
            and len(set(names)) == len(names)
        ):
            own = [word for word in used if _key(word).split(".")[1] in names]
            yield {**plain_values, "attack": {name: nodes[name] for name in names}}, [*here, *own]
        else:
            yield _of_cell(own_base, own_partial, cell)


def _keeping_parts(words: Sequence[str]) -> list[str]:
    """The overrides that put no part of a defense in place of another."""
    return [word for word in words if not _replaces_part(word)]


def _nodes(
    base: list[str], partial: list[str], attacks: Sequence[str], without: DictConfig
) -> tuple[dict[str, Any], list[str]]:
    """The node of every attack that fills the node of its name, with plain values, and nothing
    else; and the overrides it takes.

    ``without``: no attack, no defense. Attacks of the project are composed together, others alone,
    for they could fill each other's nodes.
    """
    known, rest = options("attack"), {**_unresolved(without), "attack": {}}
    nodes, used = dict[str, Any](), list[str]()
    for names in (
        [name for name in attacks if name in known],
        *([name] for name in attacks if name not in known),
    ):
        if names:
            config, here = _partially(
                [*base, f"attack=[{','.join(names)}]", "defense=none"], partial
            )
            values = _unresolved(config)
            filled = values.get("attack", {})
            if list(filled) == names and {**values, "attack": {}} == rest:
                nodes |= {
                    name: node for name, node in filled.items() if INTERPOLATION not in str(node)
                }
                used += here
    return nodes, used


def _without_attack(config: DictConfig, n_hostile: int | None) -> Node | None:
    """The values of a defense without attack, against so many; None if they depend on the attack."""
    if n_hostile is not None:
        config = config.copy()
        OmegaConf.update(config, N_HOSTILE, n_hostile)
    depends = any("attack" in link for link in re.findall(r"\$\{[^}]*", str(_unresolved(config))))
    return None if depends or config.get("attack") else resolved(config)


def _of_cell(base: list[str], partial: list[str], cell: Cell) -> tuple[dict[str, Any], list[str]]:
    """The configuration of a cell as Hydra composes it, and the ``partial`` overrides that apply to
    it.
    """
    own = [f"attack=[{','.join(cell.attack)}]", f"defense={cell.defense}"]
    if cell.n_hostile is not None:
        base, own = (
            [word for word in base if _key(word) != N_HOSTILE],
            [*own, f"{N_HOSTILE}={cell.n_hostile}"],
        )
    config, here = _partially([*base, *own], partial)
    return resolved(config), here


def _partially(words: list[str], partial: list[str]) -> tuple[DictConfig, list[str]]:
    """What ``words`` compose, with those of the ``partial`` overrides whose key is there; and
    these.
    """
    config = _config(words)
    values = resolved(config) if partial else {}
    here = [
        word
        for word in partial
        if _has(values, _key(word).rpartition(".")[0] if word[0] == "+" else _key(word))
    ]
    return (_config([*words, *here]) if here else config), here


def _all_used(partial: Sequence[str], used: set[str], n_cells: int) -> None:
    for word in partial:
        if word not in used:
            raise InputError(
                _key(word),
                word.partition("=")[2],
                f"unknown key in each of the {n_cells} cells{near(_key(word))}",
            )


def single(overrides: Sequence[str]) -> Experiment:
    """The one experiment that ``run`` with these overrides makes."""
    return checked(
        resolved(_config([word for word in overrides if _key(word) not in OF_COMMANDS])), overrides
    )


def checked(config: Node, overrides: Sequence[str]) -> Experiment:
    """The one experiment of the ``config`` that Hydra composed with ``overrides``."""
    from sim.study.experiment import load

    values = {key: value for key, value in config.items() if key not in OF_COMMANDS}
    return load(values, label(str(values["defense"]["name"]), overrides))


def label(defense: str, overrides: Sequence[str]) -> str:
    """Name of a defense in tables: the preset, and what the command line put in place of its parts,
    or took from it.
    """
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
    replaced = replacing(overrides)
    named = _once([*([] if replaced else ["none"]), *stacked])
    return [
        Cell(
            attack,
            defense,
            number,
            asked=(attack == ("none",) if number == 0 else attack in chosen)
            and defense in stacked
            and not undefended,
            undefended=undefended,
        )
        for number in (numbers or (None,))
        for attack in _once([("none",), *chosen])
        for defense, undefended in [
            *([("none", True)] if replaced else []),
            *((name, False) for name in named),
        ]
    ]


def replacing(overrides: Sequence[str]) -> list[str]:
    """The overrides that put a part of a defense in place of another, or take one from it."""
    return [word for word in overrides if _replaces_part(word)]


def hostile_numbers(value: object) -> list[int] | None:
    """The different numbers of hostile hospitals that a list asks for; None for a single value,
    which ``load`` checks.
    """
    if not isinstance(value, list):
        return None
    if (
        not value
        or any(type(item) is not int or item < 0 for item in value)
        or len(set(value)) < len(value)
    ):
        raise InputError(
            N_HOSTILE,
            value,
            "expected a number or a list of different whole numbers, as in [0,1,2]",
        )
    return value


def names(key: str, value: object) -> list[Names]:
    """A list of names as given on the command line; one name stands for a list of one."""
    listed = value if isinstance(value, list) else [value]
    if not listed or any(
        not isinstance(n, str)
        for item in listed
        for n in (item if isinstance(item, list) else [item])
    ):
        raise InputError(key, value, "expected a list of names, as in [none,median]")
    return [*listed]


def seeds(value: object, first: object) -> list[int]:
    """Seeds from a number (that many, from ``first`` on) or a list of different numbers."""
    if type(first) is not int:
        raise InputError("seed", first, "expected a whole number of at least 0")
    if type(value) is int and 1 <= value <= MAX_SEEDS:
        return list(range(first, first + value))
    if (
        isinstance(value, list)
        and value
        and all(type(item) is int and item >= 0 for item in value)
        and len(set(value)) == len(value)
    ):
        return value
    raise InputError(
        "seeds", value, "expected how many (at least 1) or a list of different seeds, as in [0,1,2]"
    )


def only_lists(overrides: Sequence[str]) -> None:
    """Refuse ``attack=`` and ``defense=`` where lists of them are compared: they would change
    nothing.
    """
    for word in overrides:
        if _key(word) in ("attack", "defense"):
            raise InputError(
                _key(word), word.partition("=")[2], f"expected {_key(word)}s=[...] in a comparison"
            )


def _config(overrides: list[str]) -> DictConfig:
    with one_line():
        config = compose("config", overrides=overrides)
    plain.references("", OmegaConf.to_container(config))
    mappings.replace(config, overrides)
    return config


def _unresolved(config: DictConfig) -> Node:
    plain = OmegaConf.to_container(config)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items() if key != "hydra"}


def resolved(config: DictConfig) -> Node:
    """A composed configuration as plain values, without Hydra's own part.

    A number of hostile hospitals that is not stated is a quarter of those in the data.
    """
    if OmegaConf.select(config, N_HOSTILE) is None and OmegaConf.select(config, "adversary"):
        config = config.copy()
        OmegaConf.update(config, N_HOSTILE, _quarter(config))
    with one_line():
        plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items() if key != "hydra"}


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
