"""The progress of runs as a file from which they go on after an interruption.

On the same device a run goes on with the same digits. Stored is what objects of a run carry from
round to round; all else follows from the configuration, and random draws have names. The file holds
JSON and plain arrays behind a hash of both, no pickle: a file that is not whole, or of other code,
is left aside.
"""

from __future__ import annotations

import json
import math
import os
import re
import sys
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, is_dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypedDict, cast

import numpy as np
from numpy.typing import NDArray

from sim import evidence, files
from sim.evidence import Part
from sim.evidence.manifest import code_version
from sim.federation.rounds import Skipped, Weights
from sim.limits import memory
from sim.states import is_stateful
from sim.study.experiment import Experiment, address

if TYPE_CHECKING:
    from flwr.app import Context

    from sim.study.run import FederatedRun

SCHEMA: Final = "wardround.progress/1"
EVERY: Final = 3.0  # seconds between two files
DEAREST: Final = 0.01  # share of the time that writing may take, else files come less often
FOLDER: Final = ".progress"
FILE: Final = "*.state"
DIGEST: Final = re.compile(rb"[0-9a-f]{64}\n")  # the first line of a file

CLASSES: Final = {
    part.__name__: part
    for part in vars(evidence).values()
    if isinstance(part, type) and issubclass(part, Part)
}
PLAIN: Final = "biuf"  # kinds of arrays: truth values, whole numbers, floats

# errors from the reading of a bad file
UNUSABLE: Final = (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError)


class Stored(TypedDict):
    """The stored state of one run.

    ``ledgers``: of hospitals, in order. ``parts``: fields of what lasts, by part of the run.
    """

    round: int
    seconds: float
    weights: Weights
    ledgers: list[Mapping[str, Mapping[str, object]]]
    parts: dict[str, dict[str, object]]


class Arrays(list[NDArray[np.generic]]):
    """Arrays in order, each once."""

    def __init__(self) -> None:
        super().__init__()
        self._places: dict[tuple[Any, ...], int] = {}

    def place(self, array: NDArray[np.generic]) -> int:
        """The place of ``array`` in the list, at the end if it was not there."""
        if array.dtype.kind not in PLAIN:
            raise UnstorableError(f"arrays of {array.dtype}")
        memory = (array.__array_interface__["data"][0], array.shape, array.strides, array.dtype.str)
        # the list holds the array, so that its memory is nobody else's
        if memory not in self._places:
            self._places[memory] = len(self)
            self.append(array)
        return self._places[memory]


@dataclass(frozen=True)
class StoredState:
    """A plug-in's state as a file has it: the name of its type, and its fields.

    A plug-in of the run must have that type.
    """

    kind: str
    fields: Mapping[str, object]


class UnstorableError(TypeError):
    """A plug-in's state holds something that is neither JSON nor an array."""


class Progress:
    """The progress of runs that advance together, in one file.

    The file is in the folder ``.progress`` within a folder of evidence.
    """

    def __init__(self, folder: Path, experiments: Sequence[Experiment]) -> None:
        identities = "".join(address(experiment, code_version()) for experiment in experiments)
        self.folder = folder / FOLDER
        self.path = self.folder / FILE.replace("*", sha256(identities.encode()).hexdigest()[:16])
        self._start = time.monotonic()
        self._next = self._start + EVERY
        self._off = False

    def restore(self, runs: Sequence[FederatedRun], contexts: Mapping[int, Context]) -> None:
        """Take every run to the last round whose state is in a whole file of the folder."""
        if not self.folder.is_dir():
            return
        held = states(self.folder)
        for run in runs:
            if (state := held.get(address(run.experiment, code_version()))) is not None:
                at = [contexts[node] for node in run.roster.nodes.values()]
                try:
                    state["parts"] = _made(state["parts"], _state_types(run))
                    _check_fits(run, len(at), state)
                except UNUSABLE as error:
                    _print_unused(self.folder, error)
                else:
                    _restore(run, at, state)

    def after_round(self, runs: Sequence[FederatedRun], contexts: Mapping[int, Context]) -> None:
        """Write the state of all runs, if it is time to."""
        now = time.monotonic()
        worked = time.process_time()
        if self._off or now < self._next:
            return
        try:
            found = dict[str, Stored]()
            took = shared_out(now - self._start, runs)
            for run, seconds in zip(runs, took, strict=True):
                at = [contexts[node] for node in run.roster.nodes.values()]
                found[address(run.experiment, code_version())] = _state(run, at, seconds)
            write(self.path, found)
        except UnstorableError as error:
            self._off = True
            print(f"wardround: the progress of these runs is not stored: {error}", file=sys.stderr)
        self._next = time.monotonic() + max(EVERY, (time.process_time() - worked) / DEAREST)

    def done(self) -> None:
        """Remove the file: all its runs are evidence now."""
        self.path.unlink(missing_ok=True)


def write(path: Path, runs: Mapping[str, Stored]) -> None:
    """Write one file with the states of runs by their address.

    Raises ``UnstorableError`` where one is not made of plain values.
    """
    arrays = Arrays()
    tree = {identity: _packed(state, arrays) for identity, state in runs.items()}
    whole = [np.asarray(array, order="C") if _order(array) == "C" else array for array in arrays]
    shapes = [[array.dtype.str, list(array.shape), _order(array)] for array in whole]
    values = {"schema": SCHEMA, "code": code_version(), "runs": tree, "arrays": shapes}
    head = json.dumps(values).encode()
    content = head + b"\n" + b"".join(array.tobytes(order="A") for array in whole)
    files.replace(path, sha256(content).hexdigest().encode() + b"\n" + content, durable=False)


def shared_out(seconds: float, runs: Sequence[FederatedRun]) -> list[float]:
    """The seconds of each run of these, which took so many together.

    They are those of its rounds, and an equal part of the rest.
    """
    own = [run.seconds for run in runs]
    rest = (seconds - sum(own)) / max(1, len(runs))
    return [max(0.0, one + rest) for one in own]


def states(folder: Path) -> dict[str, Stored]:
    """The furthest state of each run in the usable files of ``folder``; others get a line each."""
    found: dict[str, Stored] = {}
    for path in sorted(folder.glob(FILE)):
        try:
            for identity, state in _read(path).items():
                if identity not in found or found[identity]["round"] < state["round"]:
                    found[identity] = state
        except UNUSABLE as error:
            _print_unused(path, error)
    return found


def _print_unused(path: Path, error: Exception) -> None:
    reason = " ".join((str(error) or type(error).__name__).split())[:100]
    print(f"wardround: progress in {path} is not used ({reason})", file=sys.stderr)


def clear(folder: Path, done: Collection[str]) -> None:
    """Remove the files of runs that are ``done``, and unusable ones; files of other runs stay."""
    for path in (folder / FOLDER).glob(FILE):
        try:
            over = any(identity in done for identity in _read(path))
        except UNUSABLE:
            over = True
        if over:
            path.unlink(missing_ok=True)
    with suppress(OSError):  # there are other files, or there is no folder
        (folder / FOLDER).rmdir()


def _read(path: Path) -> dict[str, Stored]:
    with os.fdopen(files.opened(path), "rb") as file:
        if DIGEST.fullmatch(file.read(65)) is None:  # before a hole of any size is read
            raise ValueError("it is not whole")
    digest, _, content = files.content(path, memory()).partition(b"\n")
    if sha256(content).hexdigest().encode() != digest:
        raise ValueError("it is not whole")
    head, _, body = content.partition(b"\n")
    values = json.loads(head)
    if values["schema"] != SCHEMA or values["code"] != code_version():
        raise ValueError("it is of other code")
    arrays = Arrays()
    at = 0
    for name, shape, order in values["arrays"]:
        dtype = np.dtype(name)
        n = math.prod(shape)
        if dtype.kind not in PLAIN:
            raise ValueError(f"it holds {dtype}")
        flat = np.frombuffer(body, dtype, n, at).copy()
        arrays.append(flat.reshape(shape, order=order))
        at += n * dtype.itemsize
    trees = values["runs"].items()
    return {identity: _checked(_unpacked(tree, arrays)) for identity, tree in trees}


def _checked(state: Any) -> Stored:
    if not isinstance(state, dict) or type(state["round"]) is not int:
        raise ValueError("it holds no state of a run")
    if not np.isfinite(state["weights"]).all():
        raise ValueError("its weights are not finite")
    return cast(Stored, state)


def _state(run: FederatedRun, contexts: Iterable[Context], seconds: float) -> Stored:
    return {
        "round": run.number,
        "seconds": run.earlier + seconds,
        "weights": run.weights,
        "ledgers": [_ledgers(context) for context in contexts],
        "parts": {name: vars(state) for name, state in run.states.items()},
    }


def _check_fits(run: FederatedRun, n_hospitals: int, state: Stored) -> None:
    """Raise an error of ``UNUSABLE`` unless the state has this run's parts, each of its form."""
    names = {"round", "seconds", "weights", "ledgers", "parts"}
    if state.keys() != names or not 0 < state["round"] <= run.experiment.settings.training.rounds:
        raise ValueError("it is of another form")
    if state["weights"].shape != run.initial.shape or state["weights"].dtype != run.initial.dtype:
        raise ValueError("its weights are of another form")
    ledgers = state["ledgers"]
    if type(state["seconds"]) is not float or type(ledgers) is not list:
        raise ValueError("its seconds or accounts are of another form")
    if len(ledgers) != n_hospitals or any(type(one) is not dict for one in ledgers):
        raise ValueError("its accounts are of another form")
    if type(state["parts"]) is not dict or state["parts"].keys() != run.states.keys():
        raise ValueError("it has other parts")
    for part, now in run.states.items():
        own = state["parts"][part]
        if type(own) is not dict or own.keys() != vars(now).keys():
            raise ValueError(f"its {part} is of another form")
        stated = {name: type(value) for name, value in vars(now).items() if value is not None}
        if any(type(own[name]) is not kind for name, kind in stated.items()):
            raise ValueError(f"its {part} is of another form")
    found = cast(tuple[object, ...], state["parts"]["aggregator"]["states"])
    kinds = [part.state if is_stateful(part) else type(None) for part in run.plan.chain.parts]
    if found and [type(one) for one in found] != kinds:
        raise ValueError("its states of plug-ins are of another form")


def _state_types(run: FederatedRun) -> dict[str, type]:
    """The types of the states that plug-ins of a run keep, by name."""
    plugins = [*run.plan.chain.parts, *run.experiment.attack_plan.attacks.values()]
    return {_name(plugin.state): plugin.state for plugin in plugins if is_stateful(plugin)}


def _made(value: Any, types: Mapping[str, type]) -> Any:
    """The value with states of plug-ins in place of each ``StoredState``.

    Raises an error of ``UNUSABLE`` for a state of another type than ``types``.
    """
    if isinstance(value, StoredState):
        return types[value.kind](**value.fields)
    if isinstance(value, dict):
        return {key: _made(item, types) for key, item in value.items()}
    return tuple(_made(item, types) for item in value) if isinstance(value, tuple) else value


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _restore(run: FederatedRun, contexts: Sequence[Context], state: Stored) -> None:
    from flwr.app import ConfigRecord  # not needed by processes that only share runs out

    run.number = state["round"]
    run.earlier = state["seconds"]
    run.weights = state["weights"]
    for context, records in zip(contexts, state["ledgers"], strict=True):
        for name, values in records.items():
            context.state[name] = ConfigRecord(cast(dict[str, Any], values))
    for part, now in run.states.items():
        for name, value in state["parts"][part].items():
            setattr(now, name, value)


def _ledgers(context: Context) -> Mapping[str, Mapping[str, object]]:
    """The memory of a hospital from round to round: records of numbers and of lists of numbers."""
    from flwr.app import ConfigRecord  # as above

    from sim.federation import wire

    lasting = {name: record for name, record in context.state.items() if not wire.is_held(name)}
    settings = [(name, one) for name, one in lasting.items() if isinstance(one, ConfigRecord)]
    records = {name: dict(record) for name, record in settings}
    if len(records) != len(lasting):
        raise UnstorableError("a hospital's state holds more than settings")
    return records


def _order(array: NDArray[np.generic]) -> str:
    return "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"


def _packed(value: Any, arrays: Arrays) -> Any:
    """``value`` as JSON, its arrays as places in ``arrays``; an array in two places stays one."""
    kind = type(value)
    if value is None or kind in (bool, int, str) or (kind is float and math.isfinite(value)):
        return value
    if pack := _PACKERS.get(kind):
        return pack(value, arrays)
    if isinstance(value, dict):
        pairs = value.items()
        return {"dict": [[_packed(key, arrays), _packed(item, arrays)] for key, item in pairs]}
    if isinstance(value, Part) and CLASSES.get(kind.__name__) is kind:
        return {"part": kind.__name__, "text": value.model_dump_json()}
    if isinstance(value, np.generic) and value.dtype.kind in PLAIN:
        return {"number": arrays.place(np.asarray(value))}
    if is_dataclass(kind) and vars(kind)["__dataclass_params__"].frozen:
        return {"state": _name(kind), "fields": _packed(vars(value), arrays)}
    raise UnstorableError(f"{_name(kind)} is neither a plain value nor an array")


_PACKERS: Final[Mapping[type, Callable[[Any, Arrays], Any]]] = {
    float: lambda value, _: {"float": value.hex()},
    list: lambda value, arrays: {"list": [_packed(item, arrays) for item in value]},
    tuple: lambda value, arrays: {"tuple": [_packed(item, arrays) for item in value]},
    Skipped: lambda value, arrays: {"Skipped": _packed(vars(value), arrays)},
    StoredState: lambda value, arrays: {
        "state": value.kind,
        "fields": _packed(dict(value.fields), arrays),
    },
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
        case "Skipped":
            given = _unpacked(value, arrays)
            return Skipped(**{field.name: given[field.name] for field in fields(Skipped)})
        case "state":
            return StoredState(value, _unpacked(more[0][1], arrays))
        case "array":
            return arrays[value]
        case "number":
            return arrays[value][()]
        case "part":
            return CLASSES[value].model_validate_json(more[0][1])
    raise ValueError(f"unknown kind {kind}")
