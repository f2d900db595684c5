"""What a run in progress has reached, as a file from which it goes on with the same digits after an interruption.

Stored is what objects of a run carry from round to round; all else follows from the configuration, and random draws have names.
The file holds JSON and plain arrays behind a hash of both, no pickle: a file that is not whole, or of other code, is left aside.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from flwr.app import ConfigRecord, Context
from numpy.typing import NDArray

from sim import evidence, files
from sim.evidence import Part
from sim.experiment import Experiment, address
from sim.manifest import code_version
from sim.server import Log, Skipped
from sim.states import is_stateful

if TYPE_CHECKING:
    from sim.run import Trial

SCHEMA: Final = "wardround.progress/1"
EVERY: Final = 3.0  # seconds between two files
DEAREST: Final = 0.01  # share of the processor's time that writing may take; where it takes more, files come less often
FOLDER: Final = ".progress"
FILE: Final = "*.state"

STORED: Final[Mapping[str, tuple[str, ...]]] = {  # attributes that change from round to round, by the part of a run that has them
    "strategy": ("log",),
    "adversary": ("distances",),
    "kept": ("_kept", "_distance", "_stated"),
    "curious": ("results",),
}
CLASSES: Final = {part.__name__: part for part in vars(evidence).values() if isinstance(part, type) and issubclass(part, Part)}
RECORDS: Final[Mapping[str, type[Log] | type[Skipped]]] = {"Log": Log, "Skipped": Skipped}
PLAIN: Final = "biuf"  # kinds of arrays: truth values, whole numbers, floats

UNUSABLE: Final = (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError)  # what a bad file raises

State = dict[str, Any]


class Arrays(list[NDArray[Any]]):
    """Arrays in order, each once."""

    def __init__(self) -> None:
        super().__init__()
        self._places: dict[int, int] = {}

    def place(self, array: NDArray[Any]) -> int:
        """Where ``array`` is in the list, at the end if it was not there."""
        if array.dtype.kind not in PLAIN:
            raise UnstorableError(f"arrays of {array.dtype}")
        if id(array) not in self._places:  # the list holds it, so that its id is nobody else's
            self._places[id(array)] = len(self)
            self.append(array)
        return self._places[id(array)]


class UnstorableError(TypeError):
    """A plug-in's state holds something that is neither JSON nor an array."""


class Progress:
    """The progress of some runs that advance together, in one file of the folder ``.progress`` within a folder of evidence."""

    def __init__(self, folder: Path, experiments: Sequence[Experiment]) -> None:
        identities = "".join(address(experiment, code_version()) for experiment in experiments)
        self.folder = folder / FOLDER
        self.path = self.folder / FILE.replace("*", sha256(identities.encode()).hexdigest()[:16])
        self._start = time.monotonic()
        self._next, self._off = self._start + EVERY, False

    def restore(self, trials: Sequence[Trial], contexts: Mapping[int, Context]) -> None:
        """Take every run to the last round of which any whole file of the folder holds its state."""
        if not self.folder.is_dir():
            return
        held = states(self.folder)
        for trial in trials:
            if (state := held.get(address(trial.experiment, code_version()))) is not None:
                at = [contexts[node] for node in trial.enrolled]
                try:
                    _check_fits(trial, len(at), state)
                except UNUSABLE as error:
                    print(f"wardround: progress in {self.folder} is not used ({_reason(error)})", file=sys.stderr)
                else:
                    _restore(trial, at, state)

    def after_round(self, trials: Sequence[Trial], contexts: Mapping[int, Context]) -> None:
        """Write the state of all runs, if it is time to."""
        now, worked = time.monotonic(), time.process_time()
        if self._off or now < self._next:
            return
        try:
            each = (now - self._start) / len(trials)
            found = [(trial, _state(trial, [contexts[node] for node in trial.enrolled], each)) for trial in trials]
            write(self.path, {address(trial.experiment, code_version()): state for trial, state in found})
        except UnstorableError as error:
            self._off = True
            print(f"wardround: the progress of these runs is not stored: {error}", file=sys.stderr)
        self._next = time.monotonic() + max(EVERY, (time.process_time() - worked) / DEAREST)

    def done(self) -> None:
        """Remove the file: all its runs are evidence now."""
        self.path.unlink(missing_ok=True)


def write(path: Path, runs: Mapping[str, State]) -> None:
    """One file with the states of runs by their address. Raises ``UnstorableError`` where one cannot be told in plain values."""
    arrays = Arrays()
    tree = {identity: _packed(state, arrays) for identity, state in runs.items()}
    whole = [np.asarray(array, order="C") if _order(array) == "C" else array for array in arrays]
    shapes = [[array.dtype.str, list(array.shape), _order(array)] for array in whole]
    told = json.dumps({"schema": SCHEMA, "code": code_version(), "runs": tree, "arrays": shapes}).encode()
    content = told + b"\n" + b"".join(array.tobytes(order="A") for array in whole)
    files.replace(path, sha256(content).hexdigest().encode() + b"\n" + content, durable=False)


def states(folder: Path) -> dict[str, State]:
    """The furthest state of each run in the files of ``folder`` that are whole and of this code; a line for each other file."""
    found: dict[str, State] = {}
    for path in sorted(folder.glob(FILE)):
        try:
            for identity, state in _read(path).items():
                if identity not in found or found[identity]["round"] < state["round"]:
                    found[identity] = state
        except UNUSABLE as error:
            print(f"wardround: progress in {path} is not used ({_reason(error)})", file=sys.stderr)
    return found


def _reason(error: Exception) -> str:
    return " ".join((str(error) or type(error).__name__).split())[:100]


def clear(folder: Path, done: Collection[str]) -> None:
    """Remove the files of runs that are ``done``, and those that cannot be used; files of other runs stay."""
    for path in (folder / FOLDER).glob(FILE):
        try:
            over = any(identity in done for identity in _read(path))
        except UNUSABLE:
            over = True
        if over:
            path.unlink(missing_ok=True)
    with suppress(OSError):  # there are other files, or there is no folder
        (folder / FOLDER).rmdir()


def _read(path: Path) -> dict[str, State]:
    with open(files.opened(path), "rb") as file:
        told, _, content = file.read().partition(b"\n")
    if sha256(content).hexdigest().encode() != told:
        raise ValueError("it is not whole")
    head, _, body = content.partition(b"\n")
    values = json.loads(head)
    if values["schema"] != SCHEMA or values["code"] != code_version():
        raise ValueError("it is of other code")
    arrays, at = Arrays(), 0
    for name, shape, order in values["arrays"]:
        dtype, n = np.dtype(name), math.prod(shape)
        if dtype.kind not in PLAIN:
            raise ValueError(f"it holds {dtype}")
        flat = np.frombuffer(body, dtype, n, at).copy()
        arrays.append(flat.reshape(shape, order=order))
        at += n * dtype.itemsize
    return {identity: _checked(_unpacked(tree, arrays)) for identity, tree in values["runs"].items()}


def _checked(state: Any) -> State:
    if not isinstance(state, dict) or type(state["round"]) is not int or not np.isfinite(state["weights"]).all():
        raise ValueError("it holds no state of a run")
    return state


def _state(trial: Trial, contexts: Iterable[Context], seconds: float) -> State:
    return {
        "round": trial.round,
        "seconds": trial.earlier + seconds,
        "weights": trial.weights,
        "scores": np.stack(trial.scores),
        "planted": trial.planted,
        "overflowed": trial.overflowed,
        "ledgers": [_ledgers(context) for context in contexts],
        "chain": [_fields(part, state) for part, state in _of_chain(trial)],
        "attacks": {key: _fields(_attack(trial, key), state) for key, state in trial.adversary.states.items()},
        **{part: {name: getattr(getattr(trial, part), name) for name in names} for part, names in STORED.items()},
    }


def _check_fits(trial: Trial, n_hospitals: int, state: State) -> None:
    """Raise an error of ``UNUSABLE`` unless the state has the parts of this run, each of its form."""
    done, scores = state["round"], state["scores"]
    names = {"round", "seconds", "weights", "scores", "planted", "overflowed", "ledgers", "chain", "attacks", *STORED}
    if state.keys() != names or not 0 < done <= trial.experiment.settings.training.rounds:
        raise ValueError("it is of another form")
    if state["weights"].shape != trial.initial.shape or state["weights"].dtype != trial.initial.dtype:
        raise ValueError("its weights are of another form")
    if not isinstance(scores, np.ndarray) or len(scores) != done + 1 or not isinstance(state["seconds"], float):
        raise ValueError("its scores are of another form")
    if any(type(state[name]) is not list for name in ("planted", "overflowed", "ledgers")):
        raise ValueError("its lists are of another form")
    if len(state["ledgers"]) != n_hospitals or any(type(one) is not dict for one in state["ledgers"]):
        raise ValueError("its accounts are of another form")
    if type(state["chain"]) is not list or type(state["attacks"]) is not dict:
        raise ValueError("its states of plug-ins are of another form")
    _chain_states(trial, state), _attack_states(trial, state)
    for part, attributes in STORED.items():
        for name in attributes:
            now, found = getattr(getattr(trial, part), name), state[part][name]
            if any(isinstance(now, form) != isinstance(found, form) for form in (dict, Log)):
                raise ValueError(f"its {part} is of another form")


def _restore(trial: Trial, contexts: Sequence[Context], state: State) -> None:
    trial.round, trial.earlier = state["round"], state["seconds"]
    trial.weights, trial.scores, trial.planted = state["weights"], list(state["scores"]), state["planted"]
    trial.overflowed = state["overflowed"]
    for context, records in zip(contexts, state["ledgers"], strict=True):
        for name, values in records.items():
            context.state[name] = ConfigRecord(values)
    trial.strategy.states = _chain_states(trial, state)
    trial.adversary.states = _attack_states(trial, state)
    for part, names in STORED.items():
        for name in names:
            _put(getattr(trial, part), name, state[part][name])


def _of_chain(trial: Trial) -> list[tuple[Any, Any]]:
    """Steps, rule and optimizer, each with its state; nothing before a round had an aggregate."""
    states = trial.strategy.states
    return list(zip(trial.experiment.chain.parts, states, strict=True)) if states else []


def _attack(trial: Trial, key: tuple[str, str]) -> Any:
    """The attack or fault that the states of a hospital (or of all hostile ones) with this key are of."""
    return trial.experiment.attacks[key[0]]


def _fields(plugin: Any, state: Any) -> dict[str, Any] | None:
    """The fields of a plug-in's state by name; None for a plug-in that keeps nothing."""
    return None if state is None else {field.name: getattr(state, field.name) for field in fields(plugin.state)}


def _state_of(plugin: Any, told: Any) -> Any:
    """The state with these fields. Raises an error of ``UNUSABLE`` where the plug-in has none like it."""
    if told is None:
        return None
    if not is_stateful(plugin) or not isinstance(told, dict):
        raise ValueError("a state is of another form")
    return plugin.state(**told)


def _chain_states(trial: Trial, state: State) -> tuple[Any, ...]:
    told = state["chain"]
    return tuple(_state_of(part, one) for part, one in zip(trial.experiment.chain.parts, told, strict=True)) if told else ()


def _attack_states(trial: Trial, state: State) -> dict[tuple[str, str], Any]:
    return {key: _state_of(_attack(trial, key), told) for key, told in state["attacks"].items()}


def _put(owner: Any, name: str, value: Any) -> None:
    """Into the attribute; a dictionary stays the one that it is, for it may have a default and be held elsewhere."""
    if isinstance(old := getattr(owner, name), dict):
        old.clear()
        old.update(value)
    else:
        setattr(owner, name, value)


def _ledgers(context: Context) -> dict[str, dict[str, Any]]:
    """What a hospital remembers, which is records of numbers and of lists of them."""
    if len(context.state.config_records) != len(context.state):
        raise UnstorableError("a hospital's state holds more than settings")
    return {name: dict(record) for name, record in context.state.config_records.items()}


def _order(array: NDArray[Any]) -> str:
    return "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"


def _packed(value: Any, arrays: Arrays) -> Any:
    """``value`` as JSON, its arrays as their places in ``arrays``; one array that is there twice stays one."""
    kind = type(value)
    if value is None or kind in (bool, int, str) or (kind is float and math.isfinite(value)):
        return value
    if pack := _PACKERS.get(kind):
        return pack(value, arrays)
    if isinstance(value, dict):
        return {"dict": [[_packed(key, arrays), _packed(item, arrays)] for key, item in value.items()]}
    if isinstance(value, Part) and CLASSES.get(kind.__name__) is kind:
        return {"part": kind.__name__, "text": value.model_dump_json()}
    if isinstance(value, np.generic) and value.dtype.kind in PLAIN:
        return {"number": arrays.place(np.asarray(value))}
    raise UnstorableError(f"{kind.__module__}.{kind.__qualname__} is neither a plain value nor an array")


_PACKERS: Final[Mapping[type, Callable[[Any, Arrays], Any]]] = {
    float: lambda value, _: {"float": value.hex()},
    list: lambda value, arrays: {"list": [_packed(item, arrays) for item in value]},
    tuple: lambda value, arrays: {"tuple": [_packed(item, arrays) for item in value]},
    Log: lambda value, arrays: {"Log": _packed(vars(value), arrays)},
    Skipped: lambda value, arrays: {"Skipped": _packed(vars(value), arrays)},
    np.ndarray: lambda value, arrays: {"array": arrays.place(value)},
}


def _unpacked(tree: Any, arrays: Arrays) -> Any:
    if not isinstance(tree, dict):
        return tree
    (kind, value), *more = tree.items()
    match kind:
        case "float":
            return float.fromhex(value)
        case "list":
            return [_unpacked(item, arrays) for item in value]
        case "tuple":
            return tuple(_unpacked(item, arrays) for item in value)
        case "dict":
            return {_unpacked(key, arrays): _unpacked(item, arrays) for key, item in value}
        case "Log" | "Skipped":
            record = RECORDS[kind]
            given = _unpacked(value, arrays)
            return record(**{field.name: given[field.name] for field in fields(record)})
        case "array":
            return arrays[value]
        case "number":
            return arrays[value][()]
        case "part":
            return CLASSES[value].model_validate_json(more[0][1])
    raise ValueError(f"unknown kind {kind}")
