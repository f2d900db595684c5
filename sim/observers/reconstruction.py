"""The records reconstructed from what an aggregator holds of a round, against the true ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from sim import returned
from sim.design.batches import drawn
from sim.design.plan import FederationPlan
from sim.design.simulated import Simulated
from sim.design.site import Site
from sim.evidence import Inverted, Outcome, outcome
from sim.federation.observing import Ended, Findings, Round, Subject
from sim.federation.rounds import Weights
from sim.models.unrolled import Unrolled
from sim.observers.beside import Beside, beside, gallery, image_outcomes, scored_images
from sim.observers.fields import Behind, field_outcomes, field_scores
from sim.types import Guess, ImageSchema, Inversion, Observation, Records, Vector, View


def observation(plan: FederationPlan, view: View, model: Vector) -> Observation:
    """All that an aggregator holds after a round in which it sent out ``model`` (n_params,)."""
    training = None
    if plan.training.optimizer == "sgd":
        norm = None if plan.dp is None else plan.dp.max_grad_norm
        training = Unrolled(plan.network, model, plan.training, norm)
    n_records = expected_records(plan, view)
    return Observation(view, model, plan.network.layout, plan.columns, training, n_records)


def expected_records(plan: FederationPlan, view: View) -> tuple[int | None, ...]:
    """The number of records behind each row, as far as an aggregator can tell.

    Without counts, hospitals are taken to have as many records as their batches hold.
    """
    steps = plan.training.local_steps
    most = None if steps is None else steps * plan.training.batch_size
    if view.weights is None:
        return tuple(None if most is None else most * len(members) for members in view.members)
    rows = zip(view.weights, view.members, strict=True)
    return tuple(
        int(count) if most is None else min(int(count), most * len(members))
        for count, members in rows
    )


@dataclass
class Inversions:
    """The records that each inversion of a run recovered, by attack: details and outcomes."""

    details: dict[str, Inverted] = field(default_factory=dict)
    outcomes: dict[str, list[Outcome]] = field(default_factory=dict)


class ReconstructionObserver:
    """Inverts the finest rows that are held in the rounds that the run's inversions attack."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.attacks = subject.attack.of_kind("inversion")
        self.hospitals = simulated(subject)
        self.state = Inversions()

    def start(self, weights: Weights) -> None:
        """There is nothing to invert before round 1."""

    def round(self, seen: Round) -> None:
        """Invert the rows of the round, if it is attacked and there are any."""
        for name, attack in self.attacks.items():
            view = seen.readable
            if getattr(attack, "round", 1) == seen.number and view is not None:
                held = observation(self.subject.plan, view, seen.received)
                draws = self.subject.attack.key.stream("attack", name, seen.number, "shuffled")
                both = [
                    self._guesses(name, attack, one, seen.number)
                    for one in (held, shuffled(held, draws))
                ]
                found = score(name, self.subject, self.hospitals, seen.number, view, *both)
                self.state.details[name], self.state.outcomes[name] = found

    def _guesses(self, name: str, attack: Inversion, seen: Observation, round_: int) -> list[Guess]:
        draws = self.subject.attack.key.stream("attack", name, round_)
        made = attack(seen, draws)
        return returned.guesses(attack, made, len(seen.view.rows), self.subject.plan.columns)

    def findings(self, ended: Ended) -> Findings:
        """The records that the inversion recovered; nothing without one."""
        outcomes = next(iter(self.state.outcomes.values()), [])
        return Findings(outcomes, {"inversion": next(iter(self.state.details.values()), None)})


def simulated(subject: Subject) -> Simulated:
    """The hospitals of a run as they train: hostile ones on what their attacks make of a site."""
    return Simulated(subject.plan, subject.truth.sites, subject.attack)


def shuffled(seen: Observation, rng: np.random.Generator) -> Observation:
    """The observation with the values of each row in another order, which carries nothing.

    What an attack recovers from it, it would recover of any records.
    """
    return replace(seen, view=replace(seen.view, rows=rng.permuted(seen.view.rows, axis=1)))


def score(
    name: str,
    subject: Subject,
    hospitals: Simulated,
    round_: int,
    view: View,
    guesses: Sequence[Guess],
    null: Sequence[Guess],
) -> tuple[Inverted, list[Outcome]]:
    """The number of records behind each row of ``view`` that are among the guesses made from it.

    Attacked are all records that the hospitals trained on in that round, of a hostile hospital
    those that its poison made. A row of a table is recovered if a guess matches it in every field
    (``encoding.matching``), an image by ``evidence.is_recovered``; of several guesses the nearest
    counts. ``null``: the guesses from shuffled rows.
    """
    schema = subject.plan.columns
    attacked = [
        (hospital, used(hospitals, round_, hospital).features, guess.records, blind.records)
        for members, guess, blind in zip(view.members, guesses, null, strict=True)
        for hospital in members
    ]
    found = [beside(schema, name, records, made) for name, records, made, _ in attacked]
    from_null = [beside(schema, name, records, made) for name, records, _, made in attacked]
    images = None
    fields = None
    draws = partial(subject.attack.key.stream, "attack", name, round_)
    if isinstance(schema, ImageSchema):
        images = scored_images(schema, found, from_null, draws("random images"))
    else:
        rows = zip(view.members, guesses, null, strict=True)
        behind = [_behind(hospitals, round_, *row) for row in rows]
        everybody = np.concatenate([site.records.features for site in subject.truth.sites])
        fields = field_scores(schema, behind, everybody, draws("random rows"))
    own = {one.hospital: site_of(hospitals, round_, one.hospital).records.features for one in found}
    outcomes = [
        *_recovered(found, from_null),
        *image_outcomes(images),
        *field_outcomes(fields),
        *_prevalence(hospitals, round_, view, guesses, null),
    ]
    details = Inverted(
        attack=name,
        round=round_,
        n_guesses=sum(len(guess.records) for guess in guesses),
        records_in_row=records_behind(hospitals, round_, view),
        gallery=gallery(schema, found, own) if subject.show_records else [],
        images=images,
        fields=fields,
        pixels=(schema.low, schema.high) if isinstance(schema, ImageSchema) else None,
    )
    return details, outcomes


def _recovered(found: Sequence[Beside], from_null: Sequence[Beside]) -> list[Outcome]:
    """The share of the attacked records that was recovered, beside that from shuffled rows."""
    errors = [error for one in found for error in one.errors.tolist()]
    recovered = [error for error in errors if np.isfinite(error)]
    n_null = sum(int(np.isfinite(one.errors).sum()) for one in from_null)
    n = len(recovered)
    nobody = "no record was attacked"
    rate, rate_shuffled = ((part / len(errors) if errors else None) for part in (n, n_null))
    largest = max(recovered, default=None)
    return [
        outcome("reconstruction_rate", rate, len(errors), undefined=nobody),
        outcome("reconstruction_error", largest, n, undefined="no record was recovered"),
        outcome("reconstruction_rate_shuffled", rate_shuffled, len(errors), undefined=nobody),
    ]


def _behind(
    hospitals: Simulated, round_: int, members: Sequence[str], guess: Guess, null: Guess
) -> Behind:
    """The records of the hospitals behind a row, with what was guessed of them."""
    each = [used(hospitals, round_, hospital).features for hospital in members]
    own = [site_of(hospitals, round_, hospital).records.features for hospital in members]
    names = [name for name, records in zip(members, each, strict=True) for _ in records]
    return Behind(names, np.concatenate(each), np.concatenate(own), guess, null)


def _prevalence(
    hospitals: Simulated,
    round_: int,
    view: View,
    guesses: Sequence[Guess],
    null: Sequence[Guess],
) -> list[Outcome]:
    """How far guessed shares of records with the condition are off, where any was guessed.

    Beside them stand the shares guessed from shuffled rows, and the consortium's own share.
    """
    plan = hospitals.plan
    of_all = [site_of(hospitals, round_, one).records.labels for one in plan.hospitals]
    common = float(np.concatenate(of_all).mean())
    gaps = dict[tuple[str, ...], float]()
    of_null = list[float]()
    of_common = list[float]()
    for members, guess, blind in zip(view.members, guesses, null, strict=True):
        each = [used(hospitals, round_, hospital).labels for hospital in members]
        labels = np.concatenate(each)
        # private training may draw no record
        if guess.prevalence is not None and len(labels):
            share = float(labels.mean())
            gaps[members] = abs(guess.prevalence - share)
            of_common.append(abs(common - share))
            if blind.prevalence is not None:
                of_null.append(abs(blind.prevalence - share))
    if not gaps:
        return []
    n = len(gaps)
    alone = [(members[0], gap) for members, gap in gaps.items() if len(members) == 1]
    shuffled_error = float(np.mean(of_null)) if of_null else None
    nobody = "no share was guessed from shuffled updates"
    return [
        outcome("prevalence_error", float(np.mean(list(gaps.values()))), n),
        *(outcome("prevalence_error", gap, 1, hospital=hospital) for hospital, gap in alone),
        outcome("prevalence_error_shuffled", shuffled_error, len(of_null), undefined=nobody),
        outcome("prevalence_error_common", float(np.mean(of_common)), n),
    ]


def records_behind(hospitals: Simulated, round_: int, view: View) -> list[int]:
    """The number of records that the hospitals of each row of ``view`` trained on in a round."""
    return [
        sum(len(used(hospitals, round_, hospital)) for hospital in members)
        for members in view.members
    ]


def site_of(hospitals: Simulated, round_: int, hospital: str) -> Site:
    """A hospital as it trains in a round."""
    return hospitals.site(hospitals.plan.hospitals.index(hospital), round_)


def used(hospitals: Simulated, round_: int, hospital: str) -> Records:
    """The records that a hospital trained on in a round, each once."""
    plan = hospitals.plan
    site = site_of(hospitals, round_, hospital)
    training = site.training or plan.training
    n = len(site.records)
    counted = None if plan.dp is None else plan.dp.counted(n)
    return site.records.take(drawn(site.key, round_, n, training, counted))
