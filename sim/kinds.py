"""The one table of plug-in kinds, and the only way from a name in a configuration to a class.

A configuration can name a class that the project's own ``conf/`` names for the same group, or a
class of a package of the user that was chosen with ``plugins=[PACKAGE]``. Nothing else is imported
or called, whoever wrote the configuration.

The form of each kind is a Protocol. Those that speak of networks or of training values are here,
those that speak of messages in ``sim.messages``; those that rules, steps and attacks may subclass
are in ``sim.types``, because these import nothing but ``sim.types`` and numpy.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from functools import cache
from importlib import import_module
from inspect import Parameter, signature
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from sim import plugins
from sim.errors import InputError
from sim.messages import MessageFault, ProtocolAttack
from sim.plugins import CONF, SELF
from sim.types import (
    About,
    Absence,
    AggregatorAttack,
    Batch,
    Byzantine,
    DataSet,
    Evasion,
    Extraction,
    Fault,
    History,
    Inference,
    Inversion,
    Isolation,
    Poison,
    Records,
    ReleaseCheck,
    Rule,
    Schema,
    SecureAggregation,
    ServerOptimizer,
    Step,
    Vector,
    View,
)

if TYPE_CHECKING:
    from sim.models.network import Network
    from sim.training import Training


class Model(Protocol):
    """A model: the public schema of a record -> the network on such records."""

    def __call__(self, schema: Schema) -> Network: ...


@runtime_checkable
class TrainingAttack(Protocol):
    """A training attack: how a hostile hospital would train if honest -> how it trains instead."""

    about: ClassVar[About]

    def __call__(self, training: Training) -> Training: ...


class LocalPrivacy(Protocol):
    """Private training inside a hospital, and the account of what it spends.

    ``accountant``: the method by which epsilon is computed, in words. ``relation``: what neighbors
    differ in. ``nominal_records``: the number of records that all hospitals go by, None where each
    goes by its own. ``records_per_patient``: the most records of a patient, None where nothing is
    stated of patients. ``max_grad_norm``: the length to which gradients are clipped.
    ``target_epsilon``: what all rounds may spend, None where the noise is given. A history is the
    private training done so far.
    """

    about: ClassVar[About]
    accountant: ClassVar[str]

    def __hash__(self) -> int: ...

    @property
    def relation(self) -> str: ...

    @property
    def nominal_records(self) -> int | None: ...

    @property
    def records_per_patient(self) -> int | None: ...

    @property
    def delta(self) -> float:
        """The probability with which epsilon may not hold, of each hospital over all rounds."""
        ...

    @property
    def max_grad_norm(self) -> float: ...

    @property
    def target_epsilon(self) -> float | None: ...

    def check(self, n_train: dict[str, int], training: Training) -> None:
        """Refuse training for which the claim would be empty or impossible, before round 1.

        ``n_train``: records by hospital. Raises ``InputError``.
        """
        ...

    def unprotected(self) -> LocalPrivacy:
        """The same training without protection, for comparison."""
        ...

    def counted(self, n_train: int) -> int:
        """The number of records that a hospital with ``n_train`` states and goes by."""
        ...

    def noise(self, counted: int, training: Training) -> float:
        """The noise multiplier of a hospital of which so many records are counted."""
        ...

    def epsilon(self, history: History) -> float:
        """The epsilon that a record has lost."""
        ...

    def patient_epsilon(self, history: History) -> float:
        """The epsilon that all records of a patient have lost together."""
        ...

    def advantage(self, history: History) -> float:
        """The largest true minus false positive rate of a test for a record, from 0 to 1."""
        ...

    def true_positives(self, history: History, false_positives: float) -> float:
        """The largest true positive rate of a test for a record with this false positive rate."""
        ...

    def train(
        self,
        network: Network,
        weights: NDArray[np.float32],
        records: Records,
        batches: Sequence[Batch],
        training: Training,
        history: History,
        rng: np.random.Generator,
    ) -> tuple[NDArray[np.float32], History]:
        """The weights (n_params,) after one round that starts from ``weights``, and the history.

        ``batches``: rows of ``records``; an empty one is a step too. ``rng``: draws the noise.
        """
        ...


class Hardening(Protocol):
    """A hardening: the records that a hospital trains on in a round, made from its own.

    ``weights`` (n_params,): the received ones. There are as many records as before; where training
    is private, each follows from the record in its place, the received weights and draws alone.
    """

    about: ClassVar[About]

    def __call__(
        self,
        network: Network,
        weights: NDArray[np.float32],
        records: Records,
        schema: Schema,
        rng: np.random.Generator,
    ) -> Records: ...


@dataclass(frozen=True)
class Averaging:
    """The way in which the updates of a round come together, on which their privacy depends.

    ``least``: the fewest hospitals of a mean. ``is_mean``: the rule takes a mean and no step comes
    before it. ``hides``: the aggregator sees sums alone; ``masked``: because hospitals mask what
    they upload. ``step``: of quantized coordinates, 0 where they are not quantized.
    """

    n_hospitals: int
    n_params: int
    rounds: int
    least: int
    is_mean: bool
    hides: bool
    masked: bool
    step: float


class UpdatePrivacy(Protocol):
    """Privacy of whole updates: what is clipped and noised where, and the account of it.

    ``place``: who adds the noise, ``server``, ``distributed`` (hospitals, each a share of it) or
    ``hospital`` (each all of it). ``unit``: what is protected. ``relation``: what neighbors differ
    in. ``accountant``: the method by which epsilon is computed, in words. ``clip``: the Euclidean
    length to which updates are clipped, in round 1. ``quantile``: the share of updates that the
    clip shall not shorten, None where the clip stays. ``single_epsilon``: of one message alone,
    None where messages are not protected one by one.
    """

    about: ClassVar[About]
    unit: ClassVar[str]

    def __hash__(self) -> int: ...

    @property
    def place(self) -> Literal["server", "distributed", "hospital"]: ...

    @property
    def relation(self) -> str: ...

    @property
    def delta(self) -> float:
        """The probability with which epsilon may not hold, over all rounds."""
        ...

    @property
    def accountant(self) -> str: ...

    @property
    def clip(self) -> float: ...

    @property
    def quantile(self) -> float | None: ...

    def check(self, averaging: Averaging) -> None:
        """Refuse a plan for which the claim would be empty or impossible, before round 1.

        Raises ``InputError``, and ``UndefinedError`` for what other designs may allow.
        """
        ...

    def epsilon(self, averaging: Averaging, rounds: int) -> float:
        """The epsilon of everything that is protected in so many rounds."""
        ...

    @property
    def single_epsilon(self) -> float | None: ...

    def noise_of(self, averaging: Averaging) -> float:
        """The noise multiplier: the noise as a multiple of the clip's effect."""
        ...

    def mechanism(self, averaging: Averaging) -> str:
        """The mechanism in words, for reports."""
        ...

    def uploaded(self, update: Vector, averaging: Averaging, rng: np.random.Generator) -> Vector:
        """The update (n_params,) that a hospital uploads in place of ``update``."""
        ...

    def share(self, averaging: Averaging, rng: np.random.Generator) -> NDArray[np.int64]:
        """A hospital's share of distributed noise, (n_params,) in steps of its quantized update."""
        ...

    def clipped(self, view: View, clip: float) -> View:
        """The view after an aggregator that clips has clipped its rows."""
        ...

    def deviation(self, averaging: Averaging, clip: float, largest: float) -> float:
        """The standard deviation of the noise in a coordinate of a round's mean.

        ``largest``: the largest weight of a hospital in the mean.
        """
        ...

    def following(
        self, clip: float, view: View, averaging: Averaging, rng: np.random.Generator
    ) -> float:
        """The clip of the round after the one with ``clip`` and ``view``."""
        ...


class Tracking(Protocol):
    """Tracking: the runs of a folder of results are written to a store of the user's as well."""

    def __call__(self, folder: Path) -> None: ...


@dataclass(frozen=True)
class Kind:
    """One kind of plug-in: its configuration group, the folder of its classes, and their form.

    ``folder`` is the part of the module's name after its package, empty where all of the group are
    of one kind.
    """

    name: str
    group: str
    form: type
    folder: str = ""


KINDS = (
    Kind("data set", "consortium", DataSet),
    Kind("model", "model", Model),
    Kind("aggregation rule", "aggregator", Rule),
    Kind("step", "steps", Step),
    Kind("server optimizer", "server_optimizer", ServerOptimizer),
    Kind("secure aggregation", "secagg", SecureAggregation),
    Kind("record-level privacy", "dp", LocalPrivacy),
    Kind("privacy of whole updates", "dp", UpdatePrivacy),
    Kind("hardening", "hardening", Hardening),
    Kind("tracking", "tracking", Tracking),
    Kind("poison", "attack", Poison, "poison"),
    Kind("training attack", "attack", TrainingAttack, "training"),
    Kind("Byzantine attack", "attack", Byzantine, "byzantine"),
    Kind("fault", "attack", Fault, "faults"),
    Kind("absence", "attack", Absence, "faults"),
    Kind("fault in messages", "attack", MessageFault, "messages"),
    Kind("inversion", "attack", Inversion, "inversion"),
    Kind("inference", "attack", Inference, "inference"),
    Kind("isolation", "attack", Isolation, "isolation"),
    Kind("aggregator attack", "attack", AggregatorAttack, "aggregator"),
    Kind("attack on a protocol", "attack", ProtocolAttack, "protocol"),
    Kind("evasion", "attack", Evasion, "evasion"),
    Kind("extraction", "attack", Extraction, "extraction"),
    Kind("release check", "attack", ReleaseCheck, "release"),
)
GROUPS = tuple(dict.fromkeys(kind.group for kind in KINDS))
NAMED = re.compile(r"^\s*_target_: ([\w.]+)\s*$", re.MULTILINE)  # in a configuration
DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", re.ASCII)


@cache
def targets(group: str) -> tuple[str, ...]:
    """The names of the classes in the project's own files of a configuration group, sorted."""
    texts = [path.read_text(encoding="utf-8") for path in (CONF / group).glob("*.yaml")]
    return tuple(sorted({name for text in texts for name in NAMED.findall(text)}))


def find(key: str, target: object, packages: Sequence[str] = ()) -> type:
    """The class that the node at ``key`` may name with ``target``.

    ``packages``: of the user, see ``sim.plugins``. Raises ``InputError`` for every other name,
    before anything is imported, and for a class of another kind.
    """
    place = f"{key}.{SELF}"
    group = key.partition(".")[0]
    if not isinstance(target, str) or not DOTTED.fullmatch(target):
        expected = f"expected a class of this project for {group}, or of a package of plugins="
        raise InputError(place, target, expected)
    package = target.partition(".")[0]
    if target not in targets(group) and package not in packages:
        raise InputError(place, target, _expected(group, target))
    if package in packages:
        plugins.require(package)
    module, _, name = target.rpartition(".")
    try:
        found = vars(import_module(module)).get(name)
    except ModuleNotFoundError as error:
        expected = f"expected a module that is there, and {error.name} is not"
        raise InputError(place, target, expected) from error
    _check_class(place, target, found, group)
    assert isinstance(found, type)
    return found


def kinds_of(group: str, module: str) -> list[Kind]:
    """The kinds that a class of a group can be of by its module's folder; none in a wrong one."""
    folder = module.split(".")[1] if "." in module else ""
    return [kind for kind in KINDS if kind.group == group and kind.folder in ("", folder)]


def _expected(group: str, target: str) -> str:
    elsewhere = next((other for other in GROUPS if target in targets(other)), None)
    if elsewhere is not None:
        return f"expected a plug-in of the group {group}, and this one is of the group {elsewhere}"
    chosen = "a class of a package chosen with plugins=[PACKAGE]"
    return f"expected one that wardround list {group} shows, or {chosen}"


def _check_class(key: str, target: str, found: object, group: str) -> None:
    """Refuse what is no frozen dataclass of its own module, or has another form than its kind."""
    module = target.rpartition(".")[0]
    if not isinstance(found, type) or not is_dataclass(found) or found.__module__ != module:
        expected = "expected the name of a dataclass in the module that defines it"
        raise InputError(key, target, expected)
    if not vars(found)["__dataclass_params__"].frozen:
        raise InputError(key, target, "expected a frozen dataclass")
    if hasattr(found, "advance") and not is_dataclass(getattr(found, "state", None)):
        reason = "because it has advance (sim.types.Stateful)"
        raise InputError(key, target, f"expected a dataclass as its attribute state, {reason}")
    possible = kinds_of(group, module)
    if not possible:
        folders = ", ".join(dict.fromkeys(kind.folder for kind in KINDS if kind.group == group))
        expected = "expected a module in a folder that names its kind: PACKAGE.FOLDER.MODULE"
        raise InputError(key, target, f"{expected}, with {folders}")
    missing = [_missing(found, kind) for kind in possible]
    if all(missing):
        kind = possible[0]
        expected = f"expected the form {kind.form.__name__} of a {kind.name}"
        raise InputError(key, target, f"{expected}, and {missing[0]} is not as there")


def _missing(found: type, kind: Kind) -> str | None:
    """The first part of the kind's form that the class does not have; None if it has all."""
    members = _members(kind.form).items()
    return next((name for name, form in members if not _has(found, name, form)), None)


@cache
def _members(form: type) -> Mapping[str, object]:
    """The members that a form asks for: methods, with their arguments, and other attributes."""
    methods = [name for part in form.__mro__ for name in vars(part)]
    stated = [name for part in form.__mro__ for name in vars(part).get("__annotations__", {})]
    return {
        name: getattr(form, name, None)
        for name in [*methods, *stated]
        if not name.startswith("_") or name == "__call__"
    }


def _has(found: type, name: str, form: object) -> bool:
    own = getattr(found, name, None)
    if name == "__call__" and not any("__call__" in vars(part) for part in found.__mro__):
        return False
    if callable(form):
        return callable(own) and _n_positional(own) == _n_positional(form)
    return own is not None or name in vars(found)["__dataclass_fields__"]


def _n_positional(method: Callable[..., object]) -> int:
    """The number of arguments that a method must be given by place."""
    places = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    given = signature(method).parameters.values()
    return sum(one.kind in places and one.default is Parameter.empty for one in given)
