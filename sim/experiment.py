"""A run, checked: resolved configuration in, everything that the run needs out, before round 1.

Plug-ins check their own parameters when they are built; what concerns several of them is checked here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from sim import data_check, limits, plain, plugins, returned
from sim.blame import blaming
from sim.build import build
from sim.devices import device
from sim.errors import InputError, RefusedError, UndefinedError
from sim.kinds import Model, TrainingAttack
from sim.models import check
from sim.models.network import Network
from sim.names import CHAIN, lookup
from sim.quorum import Absent, Quorum
from sim.seeds import stream
from sim.study import address_of, canonical
from sim.types import (
    LEVELS,
    Absence,
    Backdoor,
    Byzantine,
    Consortium,
    DataSet,
    Divided,
    Fault,
    Hospital,
    Inversion,
    Knowledge,
    Level,
    Observation,
    Poison,
    Records,
    Rule,
    SecureAggregation,
    Step,
    View,
)

ORDERED = ("attack", "steps")  # choices of several, in order
KINDS = ("poison", "training", "byzantine", "faults", "inversion")


class Values(BaseModel):
    """Run-wide values: strict types, nothing unknown, frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Training(Values):
    """Local training. One round is ``local_epochs`` passes over a hospital's records, or exactly ``local_steps`` batches.

    ``proximal``: mu of FedProx (Li et al. 2020), which adds mu / 2 * |weights - received weights|^2 to the local loss.
    """

    rounds: int = Field(ge=1, le=100_000)
    local_epochs: int = Field(ge=1, le=limits.EPOCHS)
    local_steps: int | None = Field(ge=1, le=limits.STEPS)
    batch_size: int = Field(ge=1, le=limits.BATCH)
    lr: float = Field(gt=0, allow_inf_nan=False)
    optimizer: Literal["sgd", "adam"]
    proximal: float = Field(default=0.0, ge=0, allow_inf_nan=False)

    @field_validator("lr", "proximal")
    @classmethod
    def _held_by_float32(cls, value: float) -> float:
        if value > plain.LARGEST_FLOAT:
            raise ValueError(f"expected a finite number of at most {plain.LARGEST_FLOAT:g}")
        return value

    @model_validator(mode="after")
    def _pull_held_by_float32(self) -> Training:
        if self.lr * self.proximal > plain.LARGEST_FLOAT:
            raise ValueError(f"expected lr * proximal of at most {plain.LARGEST_FLOAT:g}")
        return self

    def steps(self, n_train: int) -> int:
        """Batches that a hospital with ``n_train`` records trains on in one round."""
        return self.local_steps or self.local_epochs * -(-n_train // self.batch_size)


Attack: TypeAlias = Poison | TrainingAttack | Byzantine | Fault | Absence | Inversion


class Adversary(Values):
    """How many hospitals are hostile, which, what they know, and in which rounds they attack.

    They attack in every ``every``-th round from ``first_round`` to ``last_round`` (None: to the end), and are honest in others.
    """

    n_hostile: int = Field(ge=0)
    placement: Literal["random", "largest", "smallest"]
    knowledge: Level
    first_round: int = Field(ge=1)
    last_round: int | None = Field(ge=1)
    every: int = Field(ge=1)

    def attacks_in(self, round_: int) -> bool:
        """Whether hostile hospitals attack in this round."""
        last = round_ if self.last_round is None else self.last_round
        return self.first_round <= round_ <= last and (round_ - self.first_round) % self.every == 0


class Server(Values):
    """Limits that the aggregator puts on what hospitals report, and what a missing or unusable reply changes.

    ``absent``: see ``sim.quorum``.
    """

    max_records: int = Field(ge=1)
    weight_cap: float = Field(ge=1, allow_inf_nan=False)
    absent: Absent = "keep"


class Metrics(Values):
    """``min_class_rows``: test patients of each class that a hospital's own AUROC needs."""

    min_class_rows: int = Field(ge=1)


class ReportOptions(Values):
    """What reports may show and from which loss of AUROC an attack counts as successful."""

    show_reconstructions: bool
    material_drop: float = Field(gt=0, le=1)


class Named(Values):
    """A group that only has a name, or several names joined with ``+``."""

    name: str = Field(pattern=r"^[A-Za-z0-9_+-]{1,200}$")


class Engine(Values):
    """Where hospitals run: in this process, or in Flower's simulation on Ray."""

    name: Literal["local", "ray"]


class Settings(Values):
    """The whole resolved configuration of one run; plug-ins are still nodes here."""

    seed: int = Field(ge=0, lt=2**63)
    consortium: dict[str, Any]
    model: dict[str, Any]
    training: Training
    adversary: Adversary
    attack: dict[str, dict[str, Any]]
    defense: Named
    aggregator: dict[str, Any]
    steps: dict[str, dict[str, Any]]
    server_optimizer: dict[str, Any]
    secagg: dict[str, Any]
    dp: dict[str, Any] | None
    engine: Engine
    device: Literal["auto", "cpu", "cuda"]
    server: Server
    metrics: Metrics
    report: ReportOptions
    plugins: dict[str, str] = {}  # packages of the user -> hash of their source

    @model_validator(mode="before")
    @classmethod
    def _fill_empty(cls, values: Any) -> Any:
        """An empty choice (attack=none, steps=none) is an empty mapping; both may also come as pairs, see ``config``."""
        return {**values, **{key: dict(values.get(key) or {}) for key in ORDERED}}


@dataclass(frozen=True)
class Experiment:
    """One run: its settings and the plug-ins built from them. ``label`` is the name of the defense in tables."""

    settings: Settings
    label: str
    dataset: DataSet
    model: Model
    attacks: dict[str, Attack]
    chain: Any
    secagg: SecureAggregation
    dp: Any

    @property
    def attack(self) -> str:
        """Names of the attacks joined with ``+``, or ``none``."""
        return "+".join(self.settings.attack) or "none"

    def of_kind(self, kind: str) -> dict[str, Any]:
        """The attacks of one of ``KINDS``."""
        return {name: attack for name, attack in self.attacks.items() if type(attack).__module__.split(".")[1] == kind}

    @property
    def backdoors(self) -> dict[str, Backdoor]:
        """The attacks that plant a mark."""
        return {name: attack for name, attack in self.of_kind("poison").items() if isinstance(attack, Backdoor)}

    @cached_property
    def absences(self) -> dict[str, tuple[str, ...]]:
        """By name of each attack that is an absence, the honest hospitals that it concerns."""
        seed, hospitals = self.settings.seed, self.consortium.hospitals
        found = {name: attack for name, attack in self.attacks.items() if isinstance(attack, Absence)}
        return {
            name: absence.concerned(hospitals, self.hostile, stream(seed, "attack", name, "concerned"))
            for name, absence in found.items()
        }

    @cached_property
    def quorum(self) -> Quorum:
        """How many usable replies a round of this run needs."""
        return Quorum(self.chain, self.secagg, self.settings.server.absent, len(self.consortium))

    def poisoned(self, hospital: Hospital) -> Records:
        """What a hostile hospital trains on when it attacks. Raises ``InputError`` or ``RefusedError`` where a poison does."""
        records, schema, rank = hospital.train, self.consortium.schema, self.hostile.index(hospital.name)
        for name, poison in self.of_kind("poison").items():
            mine = poison.part(rank, schema) if isinstance(poison, Divided) else poison
            records = mine(records, schema, stream(self.settings.seed, "poison", name, hospital.name))
            returned.records(poison, records, schema.n_features)
        return records

    @cached_property
    def hostile_training(self) -> Training:
        """How a hostile hospital trains when it attacks. Raises ``InputError`` where an attack makes a value out of range."""
        training = self.settings.training
        for name, change in self.of_kind("training").items():
            training = returned.instance(change, change(training), Training)
            try:
                Training.model_validate(training.model_dump())
            except ValidationError as error:
                problem = _first(error)
                raise InputError(f"attack.{name}: training.{problem.key}", problem.value, problem.expected) from None
        return training

    @cached_property
    def consortium(self) -> Consortium:
        """The hospitals of this run's seed."""
        return _consortium(canonical(self.settings.consortium), self.settings.seed, tuple(self.settings.plugins))

    @property
    def is_public(self) -> bool:
        """Whether the data are known to be public: they have been read, and their consortium is."""
        return "consortium" in vars(self) and self.consortium.public

    @property
    def data_notes(self) -> list[str]:
        """What a reader of the figures should know about the data of this run's seed."""
        return list(_notes(canonical(self.settings.consortium), self.settings.seed, tuple(self.settings.plugins)))

    @cached_property
    def network(self) -> Network:
        """The network of the model on this consortium's records."""
        schema = self.consortium.schema
        return check.network(self.model, self.model(schema), schema.n_features)

    @property
    def first_weights(self) -> NDArray[np.float32]:
        """The weights that round 1 starts from, (n_params,), drawn anew at each call."""
        rng = stream(self.settings.seed, "model")
        drawn = returned.array(self.model, self.network.initialize(rng), (self.network.n_params,))
        return returned.finite(self.model, drawn).astype(np.float32, copy=False)

    @cached_property
    def hostile(self) -> tuple[str, ...]:
        """Names of the hostile hospitals, sorted. The same hospitals in every run of one seed and placement."""
        chosen, hospitals = self.settings.adversary, self.consortium.hospitals
        names = list(self.consortium.names)
        if chosen.placement == "random":
            names = [names[i] for i in stream(self.settings.seed, "placement").permutation(len(names))]
        else:
            sign = -1 if chosen.placement == "largest" else 1
            names = [h.name for h in sorted(hospitals, key=lambda h: (sign * len(h.train), h.name))]
        return tuple(sorted(names[: chosen.n_hostile]))

    @property
    def config(self) -> dict[str, Any]:
        """The resolved configuration, as it is recorded. Where order matters there are pairs, for keys of JSON have none."""
        settings = self.settings.model_dump(mode="json")
        pairs = {key: [list(pair) for pair in settings[key].items()] for key in ORDERED}
        return {**settings, **pairs, "label": self.label}

    @cached_property
    def text(self) -> str:
        """The configuration as one line of JSON: what travels to hospitals and what a run is addressed by."""
        return canonical(self.config)


def load(config: Mapping[str, Any], label: str | None = None) -> Experiment:
    """Check a resolved configuration, build its plug-ins, and check them against each other.

    Raises ``InputError`` that names the first wrong key. Nothing has been run or written then.
    """
    plain.check("", config)
    packages = plugins.hashed(config.get("plugins"))
    several = {key: _mapping(key, config.get(key)) for key in ORDERED}
    try:
        settings = Settings.model_validate({**config, **several, "plugins": packages})
    except ValidationError as error:
        raise _first(error) from None

    def built(key: str, node: Mapping[str, Any]) -> Any:
        return _built(key, node, tuple(packages))

    made = list[Experiment]()
    with blaming(targets(settings), lambda: not made or made[0].is_public):
        experiment = Experiment(
            settings=settings,
            label=label or settings.defense.name,
            dataset=built("consortium", settings.consortium),
            model=built("model", settings.model),
            attacks={name: built(f"attack.{name}", node) for name, node in settings.attack.items()},
            chain=_chain(settings, built),
            secagg=built("secagg", settings.secagg),
            dp=built("dp", settings.dp) if settings.dp else None,
        )
        made.append(experiment)
        limits.check(experiment)
        _check(experiment)
    return experiment


def targets(settings: Settings) -> list[str]:
    """Dotted names of the classes of a run's plug-ins."""
    single = [
        settings.consortium,
        settings.model,
        settings.aggregator,
        settings.server_optimizer,
        settings.secagg,
        settings.dp or {},
    ]
    nodes = [*single, *settings.attack.values(), *settings.steps.values()]
    return [str(node["_target_"]) for node in nodes if node and "_target_" in node]


@lru_cache(maxsize=1024)
def from_text(text: str) -> Experiment:
    """The experiment of ``Experiment.text``; hospitals call this on what the aggregator sent them."""
    if len(text) > limits.MESSAGE:
        raise InputError("experiment", text, f"expected at most {limits.MESSAGE:,} characters")
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError("experiment", text, "expected a configuration in JSON") from error
    if not isinstance(config, dict) or not isinstance(config.get("label"), str):
        raise InputError("experiment", text, "expected a configuration with a label")
    plain.check("label", config["label"])
    return load({key: value for key, value in config.items() if key != "label"}, config["label"])


def address(experiment: Experiment, code: str) -> str:
    """Content address of a run: 16 hex digits of its configuration, its data and the code."""
    return address_of(experiment.config, experiment.consortium.data_hash, code)


def _check(experiment: Experiment) -> None:
    names, adversary = experiment.consortium.names, experiment.settings.adversary
    device(experiment.settings.device)
    if adversary.n_hostile >= len(names):
        raise InputError("adversary.n_hostile", adversary.n_hostile, f"expected fewer than n_hospitals={len(names)}")
    _check_schedule(adversary, experiment.settings.training.rounds)
    for several, attacks in (("inversion", experiment.of_kind("inversion")), ("backdoor", experiment.backdoors)):
        if len(attacks) > 1:
            raise UndefinedError("attack", list(attacks), f"expected at most one {several} in a run")
    for name, attack in experiment.attacks.items():
        _check_attack(name, attack, adversary)
        at = getattr(attack, "round", 1)
        if at > experiment.settings.training.rounds:
            raise InputError(
                f"attack.{name}.round", at, f"expected at most training.rounds={experiment.settings.training.rounds}"
            )
    _check_poisons(experiment)
    _check_absences(experiment)
    _ = experiment.hostile_training
    _check_defense(experiment)
    for name, attack in experiment.of_kind("byzantine").items():
        _try_attack(name, attack, experiment)
    for name, attack in experiment.of_kind("inversion").items():
        _try_inversion(name, attack, experiment)
    if experiment.dp is not None:
        for name, attack in experiment.of_kind("training").items():
            raise UndefinedError(f"attack.{name}", type(attack).__name__, "expected dp=none: private training has its own loss")
        experiment.dp.check(
            {hospital.name: len(hospital.train) for hospital in experiment.consortium.hospitals}, experiment.settings.training
        )


def _check_defense(experiment: Experiment) -> None:
    """Refuse a rule that cannot work on what it would see: by its limits, then by tries on small updates."""
    names, chain = experiment.consortium.names, experiment.chain
    refusal = chain.refusal(experiment.secagg.n_rows(len(names)), len(names))
    counts = np.array([float(len(hospital.train)) for hospital in experiment.consortium.hospitals])
    small = stream(0, "check").normal(size=(len(names), 3))
    try:
        for rows in (0 * small.astype(np.float32), small.astype(np.float32)) if refusal is None else ():
            view = returned.view(experiment.secagg, experiment.secagg(rows, names, counts), rows.shape[1])
            chain.check(replace(view, model=rows[0]), stream(0, "check"))
    except RefusedError as error:
        refusal = str(error)
    if refusal:
        raise UndefinedError("aggregator", type(chain.rule).__name__, refusal)


def _check_poisons(experiment: Experiment) -> None:
    """Refuse before round 1 what a poison cannot do with the consortium's fields."""
    try:
        for hospital in experiment.consortium.hospitals:
            if hospital.name in experiment.hostile:
                experiment.poisoned(hospital)
    except InputError as error:
        raise InputError(f"attack ({'+'.join(experiment.of_kind('poison'))}) {error.key}", error.value, error.expected) from error


def _check_absences(experiment: Experiment) -> None:
    """Refuse before round 1 what an absence cannot do with the hospitals of this run, or in its rounds."""
    name = "+".join(name for name, attack in experiment.attacks.items() if isinstance(attack, Absence))
    try:
        names = experiment.absences
    except InputError as error:
        raise InputError(f"attack.{name}.{error.key}", error.value, error.expected) from error
    rounds = experiment.settings.training.rounds
    for one in names:
        first = getattr(experiment.attacks[one], "first_round", 1)
        if first > rounds:
            raise InputError(f"attack.{one}.first_round", first, f"expected at most training.rounds={rounds}")


def _check_schedule(adversary: Adversary, rounds: int) -> None:
    if adversary.first_round > rounds:
        raise InputError("adversary.first_round", adversary.first_round, f"expected at most training.rounds={rounds}")
    last = adversary.last_round
    if last is not None and last < adversary.first_round:
        raise InputError("adversary.last_round", last, f"expected at least adversary.first_round={adversary.first_round}")


def _check_attack(name: str, attack: Attack, adversary: Adversary) -> None:
    kind = type(attack).__module__.split(".")[1]
    if kind not in KINDS:
        raise InputError(f"attack.{name}", type(attack).__name__, f"expected an attack of kind {', '.join(KINDS)}")
    if kind != "inversion" and not isinstance(attack, Absence) and adversary.n_hostile == 0:
        raise UndefinedError("adversary.n_hostile", 0, f"expected at least 1 hostile hospital for attack={name}")
    if kind == "byzantine" and LEVELS.index(adversary.knowledge) < LEVELS.index(attack.about.needs):
        raise UndefinedError(
            "adversary.knowledge", adversary.knowledge, f"expected at least {attack.about.needs} for attack={name}"
        )


def _try_attack(name: str, attack: Byzantine, experiment: Experiment) -> None:
    """Refuse an attack that cannot work with so many hostile hospitals, by one try on small random updates."""
    n_hospitals, adversary = len(experiment.consortium), experiment.settings.adversary
    level = min(LEVELS.index(adversary.knowledge), LEVELS.index(attack.about.uses))
    rows = stream(0, "check").normal(size=(n_hospitals, 3))
    known = Knowledge(
        own=rows[: adversary.n_hostile if level else 1],
        n_hospitals=n_hospitals,
        n_hostile=adversary.n_hostile,
        others=rows[adversary.n_hostile :] if level >= LEVELS.index("updates") else None,
        defense=(lambda sent: np.asarray(sent.mean(axis=0))) if level >= LEVELS.index("updates_and_rule") else None,
        model=rows[0],
    )
    try:
        returned.array(attack, attack(known, stream(0, "check")), known.own.shape)
    except RefusedError as error:
        raise UndefinedError(f"attack.{name}", type(attack).__name__, str(error)) from error


def _try_inversion(name: str, attack: Inversion, experiment: Experiment) -> None:
    """Refuse an inversion that cannot work on this model, by one try on an update that is all zeros."""
    zeros = np.zeros((1, experiment.network.n_params), np.float32)
    names = experiment.consortium.names
    view = View(zeros, (names,))
    schema = experiment.consortium.schema
    seen = Observation(view, zeros[0], experiment.network.layout, schema)
    try:
        attack(seen, stream(0, "check"))
    except RefusedError as error:
        raise UndefinedError(f"attack.{name}", type(attack).__name__, str(error)) from error


def _mapping(key: str, value: Any) -> dict[str, Any]:
    """A choice of several as a mapping of name to node, whether it comes as one, as pairs, or empty."""
    pairs = list(value.items()) if isinstance(value, Mapping) else value or []
    for pair in pairs if isinstance(pairs, list) else [pairs]:
        name = pair[0] if isinstance(pair, (list, tuple)) and len(pair) == 2 else None
        if not isinstance(name, str) or not plain.NAME.fullmatch(name):
            raise InputError(key, pair, "expected names of letters, digits, _ and -, each with its values")
    return dict(pairs)


def _chain(settings: Settings, built: Callable[[str, Mapping[str, Any]], Any]) -> Any:
    steps: tuple[Step, ...] = tuple(built(f"steps.{name}", node) for name, node in settings.steps.items())
    rule: Rule = built("aggregator", settings.aggregator)
    optimizer = built("server_optimizer", settings.server_optimizer) if settings.server_optimizer else None
    return lookup(CHAIN)(steps, rule, optimizer)


@lru_cache(maxsize=4096)
def _built_once(key: str, node: str, packages: tuple[str, ...]) -> Any:
    return build(key, json.loads(node), packages)


def _built(key: str, node: Mapping[str, Any], packages: tuple[str, ...]) -> Any:
    """The plug-in of ``node``; the same one for every run that has the same node, for plug-ins are values."""
    return _built_once(key, json.dumps(node), packages)


@lru_cache(maxsize=64)
def _consortium(node: str, seed: int, packages: tuple[str, ...]) -> Consortium:
    dataset: DataSet = build("consortium", json.loads(node), packages)
    try:
        made = returned.instance(dataset, dataset(seed), Consortium)
        data_check.check(made)
        return made
    except InputError as error:
        raise InputError(f"consortium.{error.key}", error.value, error.expected) from error


@lru_cache(maxsize=64)
def _notes(node: str, seed: int, packages: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(data_check.notes(_consortium(node, seed, packages)))


def _first(error: ValidationError) -> InputError:
    problem = error.errors()[0]
    key = ".".join(str(part) for part in problem["loc"])
    expected = "unknown key" if problem["type"] == "extra_forbidden" else problem["msg"][0].lower() + problem["msg"][1:]
    if problem["type"] == "string_pattern_mismatch":
        expected = "expected a name of letters, digits, _, + and -"
    return InputError(
        key,
        problem.get("input"),
        expected.removeprefix("value error, ").replace("input should be", "expected").replace("field required", "required"),
    )
