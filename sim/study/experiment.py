"""One run in the simulator's hands: a resolved configuration becomes the four values of a run.

All is made and checked before round 1.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import cast

from pydantic import ValidationError

from sim import limits, plugins, returned
from sim.blame import blaming
from sim.config import plain
from sim.config.build import build, built, mechanisms
from sim.config.groups import address_of, canonical
from sim.config.settings import ORDERED, Adversary, Policy, Settings, first
from sim.datasets import checks
from sim.design.attack import Attack, AttackPlan
from sim.design.checks import check, check_adversary
from sim.design.plan import FederationPlan, Terms, agreed
from sim.design.simulated import Simulated
from sim.design.site import PrivacyPolicy, Site
from sim.design.truth import GroundTruth
from sim.errors import InputError
from sim.near import choice
from sim.seeds import Key, key
from sim.types import Absence, Consortium, DataSet, Node, SecureAggregation

DATA_HASH = "data_hash"  # beside a configuration, of the data that it was made with


@dataclass(frozen=True, eq=False)
class Experiment:
    """One run: its configuration, and the values made of it.

    ``label`` is the name of the defense in tables.
    """

    settings: Settings
    label: str
    plan: FederationPlan
    attack_plan: AttackPlan
    truth: GroundTruth

    @property
    def attack(self) -> str:
        """The names of the attacks joined with ``+``, or ``none``."""
        return "+".join(self.settings.attack) or "none"

    @property
    def consortium(self) -> Consortium:
        """The hospitals of this run's seed."""
        return self.truth.consortium

    @property
    def aggregator_key(self) -> Key:
        """The key of the aggregator's own draws: the first weights, and those of the rule."""
        return key(self.settings.seed, "aggregator")

    @cached_property
    def source(self) -> Simulated:
        """The source from which the app of this run's hospitals gets the plan and their sites."""
        return Simulated(self.plan, self.truth.sites, self.attack_plan)

    @property
    def data_notes(self) -> list[str]:
        """The notes on the data of this run's seed for a reader of the figures."""
        settings = self.settings
        with blaming((), public=lambda: self.consortium.public):
            return list(
                _notes(canonical(settings.consortium), settings.seed, tuple(settings.plugins))
            )

    @property
    def config(self) -> Node:
        """The resolved configuration as it is recorded.

        Where order matters there are pairs, for keys of JSON have no order.
        """
        settings = self.settings.model_dump(mode="json")
        pairs = {name: [list(pair) for pair in settings[name].items()] for name in ORDERED}
        del settings["tracking"]  # it changes nothing, and may name a place
        if self.settings.policy == Policy():
            del settings["policy"]  # it asks for nothing that the plan does not give
        if self.settings.hardening is None:
            del settings["hardening"]
        return {**settings, **pairs, "label": self.label}

    @cached_property
    def text(self) -> str:
        """The configuration and its data's hash as one line, which processes exchange."""
        return canonical({**self.config, DATA_HASH: self.consortium.data_hash})


def load(config: Mapping[str, object], label: str | None = None) -> Experiment:
    """The run of a resolved configuration: its plug-ins built, its values made and checked.

    Raises ``InputError`` that names the first wrong key. Nothing has been run or written then.
    """
    plain.check("", config)
    packages = plugins.hashed(config.get("plugins"))
    several = {name: _mapping(name, config.get(name)) for name in ORDERED}
    try:
        settings = Settings.model_validate({**config, **several, "plugins": packages})
    except ValidationError as error:
        raise first(error) from None
    with blaming(targets(settings)):  # no data are read yet, and a message can quote none
        attacks = _plugins(settings)
    with blaming(targets(settings), public=lambda: False):
        consortium = _consortium(canonical(settings.consortium), settings.seed, tuple(packages))
    with blaming(targets(settings), public=lambda: consortium.public):
        return _made(settings, label or settings.defense.name, consortium, attacks)


def _plugins(settings: Settings) -> dict[str, Attack]:
    """The attacks, after all other plug-ins have been built too.

    A wrong parameter of any of them is reported before any data are read.
    """
    packages = tuple(settings.plugins)
    for group in ("consortium", "model"):
        built(group, getattr(settings, group), packages)
    attacks = {
        name: cast(Attack, built(f"attack.{name}", node, packages))
        for name, node in settings.attack.items()
    }
    for name, node in settings.steps.items():
        built(f"steps.{name}", node, packages)
    for group in ("aggregator", "server_optimizer", "secagg", "hardening"):
        if getattr(settings, group):
            built(group, getattr(settings, group), packages)
    for place, node in mechanisms(settings.dp).items():
        built(place, node, packages)
    if settings.tracking is not None:
        built("tracking", settings.tracking, packages)
    return attacks


def _made(
    settings: Settings, label: str, consortium: Consortium, attacks: Mapping[str, Attack]
) -> Experiment:
    n_hospitals = len(consortium)
    seed = settings.seed
    if n_hospitals > limits.HOSPITALS:
        expected = f"expected at most {limits.HOSPITALS:,}"
        raise InputError("consortium", f"{n_hospitals:,} hospitals", expected)
    plan = _plan(settings, consortium)
    check_adversary(settings.adversary, n_hospitals, settings.training.rounds)
    hostile = _hostile(settings.adversary, consortium, seed)
    attack = AttackPlan(
        hostile=hostile,
        schedule=settings.adversary,
        attacks=attacks,
        absent=_absent(attacks, consortium, hostile, seed),
        key=key(seed, "adversary"),
        keys={name: key(seed, "hospital", name) for name in hostile},
        records={one.name: one.train for one in consortium.hospitals if one.name in hostile},
    )
    truth = GroundTruth(
        consortium=consortium,
        hostile=hostile,
        backdoors=attack.backdoors,
        sites=_sites(settings, consortium, plan),
        key=key(seed, "simulator"),
    )
    check(plan, attack, truth, settings.policy.least)
    return Experiment(settings, label, plan, attack, truth)


def _plan(settings: Settings, consortium: Consortium) -> FederationPlan:
    secagg = cast(SecureAggregation, built("secagg", settings.secagg, tuple(settings.plugins)))
    published = tuple(len(hospital.train) for hospital in consortium.hospitals)
    try:
        terms = Terms(
            hospitals=consortium.names,
            columns=consortium.schema,
            public=consortium.public,
            model=settings.model,
            training=settings.training,
            aggregator=settings.aggregator,
            steps=tuple(settings.steps.items()),
            server_optimizer=settings.server_optimizer,
            secagg=settings.secagg,
            sizes=published if secagg.by_records else None,
            dp=settings.dp,
            hardening=settings.hardening,
            server=settings.server,
            plugins=settings.plugins,
        )
    except ValidationError as error:
        raise first(error) from None
    plan = agreed(terms)
    return replace(plan, terms=enrolled(terms, settings.seed)) if plan.enrolls else plan


def enrolled(terms: Terms, seed: int) -> Terms:
    """The terms with the verification key of each hospital, as if all had been enrolled."""
    from sim.federation.protocols.secagg.signing import verification_key  # and so cryptography

    keys = {name: verification_key(key(seed, "hospital", name)).hex() for name in terms.hospitals}
    return terms.model_copy(update={"enrolled": keys})


def _sites(settings: Settings, consortium: Consortium, plan: FederationPlan) -> tuple[Site, ...]:
    for name in settings.policy.hospitals:
        if name not in consortium.names:
            raise InputError("policy.hospitals", name, f"expected {choice(name, consortium.names)}")
    return tuple(
        Site(
            name=hospital.name,
            records=hospital.train,
            policy=_policy(settings.policy, hospital.name, plan),
            key=key(settings.seed, "hospital", hospital.name),
            device=settings.device,
        )
        for hospital in consortium.hospitals
    )


def _policy(asked: Policy, hospital: str, plan: FederationPlan) -> PrivacyPolicy:
    """The policy of a hospital: the protection that it asks for, or else that the plan promises."""
    if asked.hospitals and hospital not in asked.hospitals:
        asked = Policy()
    return PrivacyPolicy(
        dp=plan.dp is not None if asked.dp is None else asked.dp,
        max_epsilon=asked.max_epsilon,
        secagg=plan.is_hiding if asked.secagg is None else asked.secagg,
        least_group=asked.least_group or 1,
        no_imprint=asked.no_imprint,
    )


def _hostile(chosen: Adversary, consortium: Consortium, seed: int) -> tuple[str, ...]:
    """The names of the hostile hospitals, sorted: the same in all runs of a seed and placement."""
    if chosen.placement == "random":
        order = key(seed, "simulator").stream("placement").permutation(len(consortium))
        names = [consortium.names[place] for place in order]
    else:
        sign = -1 if chosen.placement == "largest" else 1
        sizes = [(sign * len(hospital.train), hospital.name) for hospital in consortium.hospitals]
        names = [name for _, name in sorted(sizes)]
    return tuple(sorted(names[: chosen.n_hostile]))


def _absent(
    attacks: Mapping[str, Attack], consortium: Consortium, hostile: tuple[str, ...], seed: int
) -> dict[str, tuple[str, ...]]:
    """The honest hospitals that each absence among the attacks concerns, by the attack's name."""
    found = dict[str, tuple[str, ...]]()
    for name, attack in attacks.items():
        if isinstance(attack, Absence):
            rng = key(seed, "adversary").stream("attack", name, "concerned")
            try:
                found[name] = attack.concerned(consortium.hospitals, hostile, rng)
            except InputError as error:
                place = f"attack.{name}.{error.key}"
                raise InputError(place, error.value, error.expected) from error
    return found


def targets(settings: Settings) -> list[str]:
    """Dotted names of the classes of a run's plug-ins."""
    single = [
        settings.consortium,
        settings.model,
        settings.aggregator,
        settings.server_optimizer,
        settings.secagg,
        settings.hardening,
        *mechanisms(settings.dp).values(),
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
    expected = config.pop(DATA_HASH, None)
    made = load({key: value for key, value in config.items() if key != "label"}, config["label"])
    if expected not in (None, made.consortium.data_hash):
        shown = f"data {made.consortium.data_hash[:12]}"
        raise InputError("consortium", shown, f"expected {str(expected)[:12]}: the data changed")
    return made


@dataclass(frozen=True)
class Described:
    """The source of a run's hospitals in processes of their own, made from ``Experiment.text``."""

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


def _mapping(key: str, value: object) -> Node:
    """A choice of several as a mapping of name to node; it may come as one, as pairs, or empty."""
    found = list(value.items()) if isinstance(value, Mapping) else value or []
    pairs: list[object] = found if isinstance(found, list) else [found]
    for pair in pairs:
        name = pair[0] if isinstance(pair, (list, tuple)) and len(pair) == 2 else None
        if not isinstance(name, str) or not plain.NAME.fullmatch(name):
            expected = "expected names of letters, digits, _ and -, each with its values"
            raise InputError(key, pair, expected)
    return dict(cast(list[tuple[str, Node]], pairs))


def n_hospitals(config: Node) -> int:
    """The number of hospitals in the data of a configuration.

    Raises ``InputError`` where there are no such data.
    """
    packages = plugins.hashed(config.get("plugins"))
    node = config.get("consortium")
    seed = config.get("seed")
    plain.check("consortium", node)
    if not isinstance(node, dict) or type(seed) is not int or seed < 0:
        return 0  # which is refused with the rest of the configuration
    with blaming([str(node.get("_target_"))], public=lambda: False):
        return len(_consortium(canonical(node), seed, tuple(packages)))


def forget() -> None:
    """Read the data of every consortium anew from now on: files may have changed."""
    _consortium.cache_clear()
    _notes.cache_clear()


@lru_cache(maxsize=64)
def _consortium(node: str, seed: int, packages: tuple[str, ...]) -> Consortium:
    dataset = cast(DataSet, build("consortium", json.loads(node), packages))
    try:
        made = returned.instance(dataset, dataset(seed), Consortium)
        checks.check(made)
        return made
    except InputError as error:
        raise InputError(f"consortium.{error.key}", error.value, error.expected) from error


@lru_cache(maxsize=64)
def _notes(node: str, seed: int, packages: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(checks.notes(_consortium(node, seed, packages)))
