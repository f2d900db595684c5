"""Audits of the private training that a configuration describes, one a seed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from pydantic import Field, ValidationError

from sim import evidence, files, limits
from sim.blame import blaming
from sim.config import plain
from sim.config.groups import address_of
from sim.config.settings import first
from sim.design.batches import sample_rate
from sim.design.plan import FederationPlan
from sim.design.site import Site
from sim.devices import one_thread
from sim.errors import InputError
from sim.evidence import audits, study
from sim.evidence.audits import Audit
from sim.evidence.manifest import code_version
from sim.evidence.one_run import counts
from sim.inference.auditing import moved, scores
from sim.inference.canaries import Canaries, audited
from sim.kinds import LocalPrivacy
from sim.near import choice
from sim.seeds import key
from sim.study import compose
from sim.study.experiment import Experiment, load, targets
from sim.study.run import answering, client_app
from sim.training import Values
from sim.types import Node

KEY: Final = "audit"
OF_AUDITS: Final = (KEY, "seeds")


class Asked(Values):
    """The values of an audit, see ``conf/audit.yaml``."""

    hospital: str | None
    canaries: int = Field(ge=audits.LEAST, le=audits.MOST)
    guesses: int | None = Field(ge=1)
    confidence: float = Field(gt=0.5, le=audits.MOST_CONFIDENCE)
    trained: Literal["alone", "together"]


@dataclass(frozen=True, eq=False)
class Planned:
    """One audit before it runs: the run that it is of, and the hospital that is audited."""

    experiment: Experiment
    asked: Asked
    site: Site

    @property
    def config(self) -> Node:
        """The configuration of the run, with what is asked of the audit."""
        return {**self.experiment.config, KEY: self.asked.model_dump(mode="json")}

    @property
    def address(self) -> str:
        """The content address of the audit."""
        data_hash = self.experiment.consortium.data_hash
        return address_of(self.config, data_hash, code_version())


def planned(values: Node, words: Sequence[str]) -> list[Planned]:
    """The checked audits of a configuration that Hydra composed with these ``words``, one a seed.

    Raises ``InputError`` that names the first wrong key.
    """
    plain.check(KEY, values.get(KEY))
    try:
        asked = Asked.model_validate(values.get(KEY))
    except ValidationError as error:
        wrong = first(error)
        place = f"{KEY}.{wrong.key}" if wrong.key else KEY
        expected = wrong.expected if wrong.key else "expected the values of conf/audit.yaml"
        raise InputError(place, wrong.value, expected) from None
    config = {name: value for name, value in values.items() if name not in OF_AUDITS}
    seeds = compose.seeds(values.get("seeds"), values.get("seed"))
    label = compose.label(str(values["defense"]["name"]), words)
    return [_planned(load({**config, "seed": seed}, label), asked) for seed in seeds]


def _planned(experiment: Experiment, asked: Asked) -> Planned:
    plan = experiment.plan
    dp = plan.dp
    if experiment.attack_plan.attacks:
        raise InputError("attack", experiment.attack, "expected none: an audit attacks by itself")
    if dp is None:
        found = "none" if plan.update_dp is None else type(plan.update_dp).__name__
        raise InputError("dp", found, "expected private training of records, as in dp=record")
    n_params = plan.network.n_params
    if asked.canaries > n_params:
        expected = f"expected at most {n_params:,}, the parameters of the model"
        raise InputError(f"{KEY}.canaries", asked.canaries, expected)
    if asked.guesses is not None and asked.guesses > asked.canaries:
        expected = f"expected at most {asked.canaries:,}, the canaries"
        raise InputError(f"{KEY}.guesses", asked.guesses, expected)
    site = _site(experiment, asked.hospital)
    everyone = np.ones(asked.canaries, np.bool_)
    agreed, hospital = audited(plan, site, Canaries(np.arange(asked.canaries), everyone, True))
    dp.check({site.name: len(hospital.records)}, agreed.training)
    gradients = limits.VALUE * min(len(hospital.records), agreed.training.batch_size) * n_params
    limits.check_bytes(f"{KEY}.canaries", gradients, "for the gradients of one batch")
    return Planned(experiment, asked, site)


def _site(experiment: Experiment, name: str | None) -> Site:
    sites = {site.name: site for site in experiment.truth.sites}
    if name is None:
        return min(sites.values(), key=lambda site: (len(site.records), site.name))
    if name not in sites:
        raise InputError(f"{KEY}.hospital", name, f"expected {choice(name, tuple(sites))}")
    return sites[name]


@contextmanager
def entered(folder: Path, wanted: Sequence[Planned]) -> Iterator[dict[str, Audit]]:
    """The audits that a folder holds, by address; nobody else enters it while this block runs.

    Raises ``InputError`` if it holds runs, or audits of another claim.
    """
    with files.alone(folder):
        if (folder / evidence.EVIDENCE).exists():
            expected = "holds runs; expected a new folder for audits"
            raise InputError("hydra.run.dir", folder, expected)
        files.leftovers(folder)
        evidence.mend(folder, audits.AUDITS)
        found = audits.read(folder) if _has_any(folder) else []
        _check(folder, found, wanted)
        yield {one.run: one for one in found}


def _has_any(folder: Path) -> bool:
    path = folder / audits.AUDITS
    if path.is_symlink() or not path.is_file():
        return os.path.lexists(path)
    return path.stat().st_size > 0


def _check(folder: Path, found: Sequence[Audit], wanted: Sequence[Planned]) -> None:
    other = next((one.code for one in found if one.code != code_version()), None)
    if other is not None:
        reason = f"holds audits of other code ({other}, now {code_version()})"
        raise InputError("hydra.run.dir", folder, f"{reason}; expected a new folder")
    differs = study.difference([one.config for one in found], [one.config for one in wanted])
    if differs is not None:
        name, was, now = differs
        reason = f"holds audits with another {name} ({study.shown(was)}, now {study.shown(now)})"
        raise InputError("hydra.run.dir", folder, f"{reason}; expected a new folder")


def complete(
    wanted: Sequence[Planned],
    folder: Path,
    held: dict[str, Audit],
    finished: Callable[[Audit], None],
) -> list[Audit]:
    """The wanted audits in order; what the folder does not hold yet is run and stored.

    ``finished`` is called with each.
    """
    found = list[Audit]()
    for one in wanted:
        if one.address not in held:
            held[one.address] = run(one)
            audits.append(folder, held[one.address])
        found.append(held[one.address])
        finished(found[-1])
    return found


def run(one: Planned) -> Audit:
    """The evidence of one audit. Raises ``RefusedError`` where an update is not usable."""
    start = time.perf_counter()
    experiment = one.experiment
    plan = experiment.plan
    dp = plan.dp
    assert dp is not None
    answer = answering(client_app() if one.asked.trained == "alone" else None)
    own = key(experiment.settings.seed, "simulator")
    rng = own.stream("audit", one.site.name)
    public = experiment.consortium.public
    with blaming(targets(experiment.settings), lambda: public), one_thread():
        alone = moved(plan, one.site, experiment.aggregator_key, answering(None))
        is_replaced = dp.relation == "replace"
        canaries = Canaries.drawn(rng, one.asked.canaries, alone, replaced=is_replaced)
        found = scores(plan, one.site, canaries, experiment.aggregator_key, answer)
    agreed, hospital = audited(plan, one.site, canaries)
    noise, rate, steps = _spending(dp, agreed, len(hospital.records))
    return Audit(
        schema_=audits.AUDIT_SCHEMA,
        run=one.address,
        consortium=experiment.consortium.name,
        hospital=one.site.name,
        seed=experiment.settings.seed,
        trained=one.asked.trained,
        mechanism=dp.about.title,
        relation=dp.relation,
        replaced=canaries.replaced,
        delta=dp.delta,
        claim=dp.epsilon([(noise, rate, steps)]),
        noise_multiplier=noise,
        sample_rate=rate,
        steps=steps,
        n_records=plan.counted(len(one.site.records)),
        confidence=one.asked.confidence,
        guesses=counts(one.asked.canaries, one.asked.guesses),
        coins=canaries.coins.tolist(),
        scores=found.tolist(),
        config=one.config,
        data_hash=experiment.consortium.data_hash,
        code=code_version(),
        seconds=time.perf_counter() - start,
    )


def _spending(dp: LocalPrivacy, plan: FederationPlan, n_records: int) -> tuple[float, float, int]:
    """Noise multiplier, sampling rate and steps of the audited hospital over all rounds."""
    counted = dp.counted(n_records)
    training = plan.training
    steps = training.rounds * training.steps(counted)
    return dp.noise(counted, training), sample_rate(counted, training), steps
