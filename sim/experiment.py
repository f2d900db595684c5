"""A run, checked: resolved configuration in, everything that the run needs out, before round 1.

Plug-ins check their own parameters when they are built; what concerns several of them is checked here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from hydra.utils import get_class
from numpy.typing import NDArray
from pydantic import ValidationError

from sim import build, data_check, limits, plain, plugins, returned
from sim.blame import blaming
from sim.config.settings import ORDERED, Adversary, Policy, Settings, Training, first
from sim.design.attack import KINDS, Attack, AttackPlan, kind_of
from sim.design.plan import CHAIN, FederationPlan, Terms, check
from sim.design.simulated import Simulated
from sim.design.site import PrivacyPolicy, Site
from sim.design.truth import GroundTruth
from sim.devices import device
from sim.errors import InputError, RefusedError, UndefinedError
from sim.kinds import Model
from sim.models.network import Network
from sim.quorum import Quorum
from sim.seeds import Key, key, stream
from sim.study import address_of, canonical
from sim.types import (
    LEVELS,
    Absence,
    Backdoor,
    Byzantine,
    Consortium,
    DataSet,
    Hospital,
    Inversion,
    Knowledge,
    Observation,
    Records,
    Rule,
    SecureAggregation,
    Step,
    View,
)


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

    @cached_property
    def plan(self) -> FederationPlan:
        """What all hospitals and the aggregator agreed on."""
        settings = self.settings
        terms = Terms(
            hospitals=self.consortium.names,
            columns=self.consortium.schema,
            public=self.consortium.public,
            model=settings.model,
            training=settings.training,
            aggregator=settings.aggregator,
            steps=tuple(settings.steps.items()),
            server_optimizer=settings.server_optimizer,
            secagg=settings.secagg,
            dp=settings.dp,
            server=settings.server,
            plugins=settings.plugins,
        )
        return FederationPlan(terms, self.model, self.chain, self.secagg, self.dp)

    @cached_property
    def sites(self) -> tuple[Site, ...]:
        """What each hospital holds, in order of their names."""
        seed, where = self.settings.seed, self.settings.device
        return tuple(
            Site(one.name, one.train, self._policy(one.name), key(seed, "hospital", one.name), where)
            for one in self.consortium.hospitals
        )

    def _policy(self, hospital: str) -> PrivacyPolicy:
        """What a hospital asks for: what its policy says, and beyond that what the plan promises."""
        asked = self.settings.policy
        if asked.hospitals and hospital not in asked.hospitals:
            asked = Policy()
        hides = self.secagg.n_rows(len(self.consortium)) < len(self.consortium)
        return PrivacyPolicy(
            dp=self.dp is not None if asked.dp is None else asked.dp,
            max_epsilon=asked.max_epsilon,
            secagg=hides if asked.secagg is None else asked.secagg,
        )

    @cached_property
    def source(self) -> Simulated:
        """Where the app of this run's hospitals gets the plan and their sites from."""
        return Simulated(self.plan, self.sites, self.attack_plan)

    @cached_property
    def attack_plan(self) -> AttackPlan:
        """Who is hostile, and how they attack."""
        adversary = key(self.settings.seed, "adversary")
        schedule = self.settings.adversary
        return AttackPlan(self.hostile, schedule, self.attacks, self.absences, adversary)

    @cached_property
    def truth(self) -> GroundTruth:
        """What is really so."""
        backdoors = self.attack_plan.backdoors
        observers = key(self.settings.seed, "simulator")
        return GroundTruth(self.consortium, self.hostile, backdoors, self.sites, observers)

    @property
    def aggregator_key(self) -> Key:
        """The key of the aggregator's own draws: the first weights and those of the rule."""
        return key(self.settings.seed, "aggregator")

    def of_kind(self, kind: str) -> dict[str, Any]:
        """The attacks of one of ``KINDS``."""
        return self.attack_plan.of_kind(kind)

    @property
    def backdoors(self) -> dict[str, Backdoor]:
        """The attacks that plant a mark."""
        return self.attack_plan.backdoors

    @cached_property
    def absences(self) -> dict[str, tuple[str, ...]]:
        """By name of each attack that is an absence, the honest hospitals that it concerns.

        Raises ``InputError`` where an absence is not possible with these hospitals.
        """
        hospitals, found = self.consortium.hospitals, dict[str, tuple[str, ...]]()
        adversary = key(self.settings.seed, "adversary")
        for name, attack in self.attacks.items():
            if isinstance(attack, Absence):
                rng = adversary.stream("attack", name, "concerned")
                try:
                    found[name] = attack.concerned(hospitals, self.hostile, rng)
                except InputError as error:
                    raise InputError(f"attack.{name}.{error.key}", error.value, error.expected) from error
        return found

    @property
    def quorum(self) -> Quorum:
        """How many usable replies a round of this run needs."""
        return self.plan.quorum

    def poisoned(self, hospital: Hospital) -> Records:
        """What a hostile hospital trains on when it attacks. Raises ``InputError`` or ``RefusedError`` where a poison does."""
        site = next(site for site in self.sites if site.name == hospital.name)
        return self.attack_plan.corrupted(site, self.plan).records

    @cached_property
    def hostile_training(self) -> Training:
        """How a hostile hospital trains when it attacks. Raises ``InputError`` where an attack makes a value out of range."""
        return self.attack_plan.training(self.plan)

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

    @property
    def network(self) -> Network:
        """The network of the model on this consortium's records."""
        return self.plan.network

    @property
    def first_weights(self) -> NDArray[np.float32]:
        """The weights that round 1 starts from, (n_params,), drawn anew at each call."""
        return self.plan.first_weights(self.aggregator_key)

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
        if self.settings.policy == Policy():
            del settings["policy"]  # it asks for nothing that the plan does not give
        return {**settings, **pairs, "label": self.label}

    @cached_property
    def text(self) -> str:
        """The configuration as one line of JSON: what processes of the simulator give each other."""
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
        raise first(error) from None

    def built(key: str, node: Mapping[str, Any]) -> Any:
        return build.built(key, node, tuple(packages))

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
    """The experiment of ``Experiment.text``, for another process of the simulator."""
    if len(text) > limits.TEXT:
        raise InputError("experiment", text, f"expected at most {limits.TEXT:,} characters")
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError("experiment", text, "expected a configuration in JSON") from error
    if not isinstance(config, dict) or not isinstance(config.get("label"), str):
        raise InputError("experiment", text, "expected a configuration with a label")
    plain.check("label", config["label"])
    return load({key: value for key, value in config.items() if key != "label"}, config["label"])


@dataclass(frozen=True)
class Described:
    """The source of a run's hospitals in processes of their own, which make it from ``Experiment.text``."""

    text: str

    @property
    def plan(self) -> FederationPlan:
        """The plan of the run."""
        return from_text(self.text).plan

    def site(self, partition: int, round_: int) -> Site:
        """The site of a hospital in a round."""
        return from_text(self.text).source.site(partition, round_)


def address(experiment: Experiment, code: str) -> str:
    """Content address of a run: 16 hex digits of its configuration, its data and the code."""
    return address_of(experiment.config, experiment.consortium.data_hash, code)


def _check(experiment: Experiment) -> None:
    names, adversary = experiment.consortium.names, experiment.settings.adversary
    device(experiment.settings.device)
    if adversary.n_hostile >= len(names):
        raise InputError("adversary.n_hostile", adversary.n_hostile, f"expected fewer than n_hospitals={len(names)}")
    _check_schedule(adversary, experiment.settings.training.rounds)
    for name in experiment.settings.policy.hospitals:
        if name not in names:
            raise InputError("policy.hospitals", name, f"expected names among {', '.join(names)}")
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
    _ = experiment.hostile_training  # which an attack on training may refuse
    _check_poisons(experiment)
    _check_absences(experiment)
    check(experiment.plan)
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
    rounds = experiment.settings.training.rounds
    for one in experiment.absences:
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
    kind = kind_of(attack)
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
    return get_class(CHAIN)(steps, rule, optimizer)


@lru_cache(maxsize=64)
def _consortium(node: str, seed: int, packages: tuple[str, ...]) -> Consortium:
    dataset: DataSet = build.build("consortium", json.loads(node), packages)
    try:
        made = returned.instance(dataset, dataset(seed), Consortium)
        data_check.check(made)
        return made
    except InputError as error:
        raise InputError(f"consortium.{error.key}", error.value, error.expected) from error


@lru_cache(maxsize=64)
def _notes(node: str, seed: int, packages: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(data_check.notes(_consortium(node, seed, packages)))
