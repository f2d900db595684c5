"""A design with the runs that it needs, checked, and its assessment by their evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sim import limits
from sim.evidence import Chain
from sim.study import compose, costs, designs, sharing
from sim.study.designs import Asked
from sim.study.experiment import Experiment
from sim.study.facts import facts
from sim.types import LEVELS, ImageSchema, Level, Node
from threats import catalog, runs
from threats.assessment import Assessment, Plan, assess
from threats.problems import Problem
from threats.runs import Facts, Runs
from threats.system import Design


@dataclass(frozen=True)
class Tried:
    """A design with the runs that it needs.

    ``control``: the attack-free run of its declared stack. ``one_seed``: its runs of one seed,
    checked.
    """

    asked: Asked
    runs: Runs
    control: Experiment
    one_seed: Sequence[Experiment]
    workers: int

    def experiments(self) -> list[Experiment]:
        """All runs of the design."""
        return designs.experiments(self.asked, self.runs.attacks, self.runs.seeds)[0]

    @property
    def seconds(self) -> float:
        """About how long all runs take here."""
        return costs.seconds(self.one_seed) * len(self.runs.seeds) / self.workers


def needed_by(asked: Asked, values: Node, only: Sequence[str] | None = None) -> Tried:
    """The runs that a design needs, by its powers, its criteria and the catalog.

    ``only``: attacks that are tried in place of all. Raises ``InputError`` for a design whose
    declared stack contradicts itself, or whose criteria take powers that nobody declares.
    """
    known = catalog.load()
    able = runs.candidates(asked.design, known)
    names = able if only is None else [name for name in able if name in only]
    stated = values.get("seeds")
    first = asked.design.trial.first_seed
    seeds = None if stated is None else compose.seeds(stated, first)
    made, refused = designs.experiments(asked, names, (first,) if seeds is None else seeds[:1])
    control = [one for one in made if one.attack == designs.NONE][-1]
    read = _records_read(control)
    facts = Facts(
        config=control.config,
        n_hostile=control.settings.adversary.n_hostile,
        needs=_needs(able),
        refused=refused,
        records=sum(read),
        of_hospital=max(read),
        of_steps=_steps(control),
        images=isinstance(control.plan.columns, ImageSchema),
        trips=len(control.plan.trips),
    )
    found = runs.planned(asked.design, known, facts, seeds)
    if isinstance(found, Problem):
        raise designs.problem(asked, found)
    limits.check_runs(found.n_runs // len(found.seeds), len(found.seeds))
    one_seed = [one for one in made if one.attack in (*found.attacks, designs.NONE)]
    workers = sharing.n_workers(values.get("workers"), found.n_runs)
    return Tried(asked, found, control, one_seed, workers)


def _steps(experiment: Experiment) -> int:
    """The most steps of training that an update of a hospital is of."""
    training = experiment.settings.training
    return max(training.steps(len(one.train)) for one in experiment.consortium.hospitals)


def _needs(attacks: Sequence[str]) -> dict[str, Level]:
    """The least knowledge that each attack by hospitals takes."""
    stated = {name: facts("attack", name).get("knowledge") for name in attacks}
    return {name: level for name, text in stated.items() for level in LEVELS if level == text}


def _records_read(experiment: Experiment) -> list[int]:
    """How many records each hospital trains on in a round."""
    training = experiment.settings.training
    sizes = [len(hospital.train) for hospital in experiment.consortium.hospitals]
    return [min(size, training.steps(size) * training.batch_size) for size in sizes]


def assessed(design: Design, planned: Runs, chain: Chain, stated: Mapping[str, int]) -> Assessment:
    """The assessment of a design by its evidence; what the plan could not run is missing in it."""
    refused = {one.attack: one.reason for one in planned.untested if one.attack is not None}
    plan = Plan(needed=planned.needed, refused=refused)
    return assess(design, catalog.load(), chain, plan, stated)
