"""The runs that a design needs: attacks on its declared stack and without one, controls, and seeds.

Powers decide what is run: an attack that uses more than its adversary declares is never run for it.
What cannot be run is stated by name, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from sim.types import LEVELS, Level, Node
from threats import bounds, named
from threats.applicability import Excluded, Subject, applicable, within
from threats.catalog import Catalog, Fact
from threats.claims import Planned
from threats.consistency import UNDEFENDED
from threats.findings import SEEDS_NEEDED
from threats.problems import Problem
from threats.system import MOST_SEEDS, Criterion, Design
from threats.used import beyond

READ: Final = "reconstruction_rate"  # the metric whose records an attack reads


class Facts(Fact):
    """The facts of a design's runs that only the simulator can state.

    ``config``: the recorded configuration of a run of the declared stack. ``n_hostile``: of its
    hospitals. ``needs``: the least knowledge that an attack by hospitals takes, by its name.
    ``refused``: why the declared stack does not define an attack, by its name. ``records``: how
    many records an attack that reads them finds in a round, ``of_hospital`` of one hospital at
    most, and ``of_steps``: how many steps of training an update is of at most. ``images``: whether
    they are images. ``trips``: how many a round of the declared stack has.
    """

    config: Node
    n_hostile: int
    needs: Mapping[str, Level] = {}
    refused: Mapping[str, str] = {}
    records: int = 0
    of_hospital: int = 0
    of_steps: int = 1
    images: bool = False
    trips: int = 1


class Untested(Fact):
    """A threat by an adversary, or one ``attack`` of it, that is not run, and the reason."""

    threat: str
    adversary: str
    attack: str | None
    reason: str


class Runs(Fact):
    """The runs of a design: every attack, and none, on every stack, with every seed.

    ``subjects``: what applies, each with the attacks that are run for it. ``excluded``: what does
    not apply. ``untested``: what applies and is not run. ``needed``: by threat and adversary, the
    attacks without which nothing is decided. ``stacks``: ids of the design. ``wanted``: the least
    number of seeds with which the design's criteria can be met.
    """

    subjects: tuple[Subject, ...]
    excluded: tuple[Excluded, ...]
    untested: tuple[Untested, ...]
    needed: Mapping[tuple[str, str], tuple[str, ...]]
    attacks: tuple[str, ...]
    stacks: tuple[str, ...]
    seeds: tuple[int, ...]
    wanted: int

    @property
    def n_runs(self) -> int:
        """The number of runs, together with their controls."""
        return (len(self.attacks) + 1) * len(self.stacks) * len(self.seeds)

    def claimed(self) -> Iterator[Planned]:
        """Each attack on each stack, of which something is claimed before it is run."""
        pairs = {(one.threat, one.adversary): one.attacks for one in self.subjects}
        for (threat, adversary), attacks in pairs.items():
            for stack in self.stacks:
                for attack in attacks:
                    yield Planned(threat, adversary, stack, attack)


def candidates(design: Design, catalog: Catalog) -> tuple[str, ...]:
    """The attacks for which an adversary of the design has the powers, in the catalog's order."""
    subjects, _ = applicable(design, catalog)
    return tuple(dict.fromkeys(name for one in subjects for name in one.attacks))


def of_criteria(design: Design, runs: Runs) -> tuple[str, ...]:
    """The attacks that decide the design's criteria, also those that its stack does not define.

    A change of the design may define them.
    """
    asked = dict.fromkeys((one.threat, one.adversary) for one in design.acceptance)
    return tuple(dict.fromkeys(name for pair in asked for name in runs.needed.get(pair, ())))


def planned(
    design: Design, catalog: Catalog, facts: Facts, seeds: Sequence[int] | None = None
) -> Runs | Problem:
    """The runs of a design, or the first criterion that takes what its adversary does not declare.

    ``seeds``: in place of as many as the criteria take, from the design's first one on.
    """
    subjects, excluded = applicable(design, catalog)
    for number, criterion in enumerate(design.acceptance):
        if (found := _beyond(number, criterion, design, catalog, facts, excluded)) is not None:
            return found
        if (found := _never_enough(number, criterion, facts)) is not None:
            return found
    tried = list[Subject]()
    untested = list[Untested]()
    needed = dict[tuple[str, str], tuple[str, ...]]()
    for subject in subjects:
        needed[subject.threat, subject.adversary] = tuple(
            name for name in subject.attacks if not _unfit(name, subject, design, catalog, facts)
        )
        left_out = list(_left_out(subject, design, catalog, facts))
        names = {one.attack for one in left_out}
        attacks = tuple(name for name in subject.attacks if name not in names)
        untested += [one for one in left_out if one not in untested]
        tried.append(subject.model_copy(update={"attacks": attacks}))
    wanted = seeds_wanted(design, facts)
    first = design.trial.first_seed
    return Runs(
        subjects=tuple(tried),
        excluded=tuple(excluded),
        untested=tuple(untested),
        needed=needed,
        attacks=tuple(dict.fromkeys(name for one in tried for name in one.attacks)),
        stacks=tuple(dict.fromkeys((UNDEFENDED, design.declared))),
        seeds=tuple(range(first, first + wanted) if seeds is None else seeds),
        wanted=wanted,
    )


def seeds_wanted(design: Design, facts: Facts) -> int:
    """The least number of seeds that a design asks for, and with which each bound can be met."""
    needed = (_seeds_of(criterion, facts) for criterion in design.acceptance)
    return min(MOST_SEEDS, max(SEEDS_NEEDED, design.trial.seeds, *needed))


def _seeds_of(criterion: Criterion, facts: Facts) -> int:
    """The least number of seeds of a criterion; records count where an attack reads records."""
    key, bound = criterion.bound
    least = criterion.min_seeds or 1
    if criterion.metric != READ or not facts.records:
        return least
    least = max(least, -(-(criterion.min_trials or 1) // facts.records))
    if criterion.over != "rate" or key != "at_most":
        return least
    enough = (
        seeds for seeds in range(least, MOST_SEEDS) if _can_show(seeds, bound, facts, criterion)
    )
    return next(enough, least)


def _never_enough(number: int, criterion: Criterion, facts: Facts) -> Problem | None:
    """The records that a criterion waits for, if no number of seeds that a design may have does."""
    most = MOST_SEEDS * facts.records
    if criterion.metric != READ or not most or (criterion.min_trials or 0) <= most:
        return None
    each = f"{facts.records:,} a round, and {MOST_SEEDS:,} seeds"
    expected = f"expected at most {most:,}, because hospitals train on {each} are the most"
    return Problem(("acceptance", number, "min_trials"), criterion.min_trials, expected)


def _can_show(seeds: int, bound: float, facts: Facts, criterion: Criterion) -> bool:
    """Whether so many seeds in which no record is read show a rate of at most ``bound``."""
    found = bounds.of_records([0] * seeds, [facts.records] * seeds, criterion.alpha)
    return found.upper <= bound


def _beyond(
    number: int,
    criterion: Criterion,
    design: Design,
    catalog: Catalog,
    facts: Facts,
    excluded: Sequence[Excluded],
) -> Problem | None:
    """The adversary of a criterion, if it lacks what each attack of the threat takes."""
    place = ("acceptance", number, "adversary")
    id_ = criterion.adversary
    for one in excluded:
        if one.threat == criterion.threat and one.adversary == id_:
            expected = f"expected an adversary that {criterion.threat} applies to: {one.reason}"
            return Problem(place, id_, expected)
    reasons = _reasons(criterion.threat, id_, design, catalog, facts)
    if reasons and all(reasons.values()):
        first = next(iter(reasons.values()))
        return Problem(place, id_, f"expected one with the powers that the runs use: {first}")
    return None


def _left_out(
    subject: Subject, design: Design, catalog: Catalog, facts: Facts
) -> Iterator[Untested]:
    """The attacks of a subject that are not run; the threat itself where it has no attacks."""
    threat = catalog.threat(subject.threat)
    if not threat.attacks:
        yield _untested(subject, None, threat.untested.reason)
        return
    reasons = _reasons(subject.threat, subject.adversary, design, catalog, facts)
    for name in threat.attacks:
        reason = reasons.get(name, f"{subject.adversary} does not declare the powers that it uses")
        reason = _unfit(name, subject, design, catalog, facts) or reason
        if reason or name in facts.refused:
            yield _untested(subject, name, reason or facts.refused[name])


def _unfit(attack: str, subject: Subject, design: Design, catalog: Catalog, facts: Facts) -> str:
    """Why an attack is none of a subject's; empty if it is.

    It is made for other records or rounds, or the adversary knows too little for it.
    """
    known = catalog.attack(attack)
    if known.records == "images" and not facts.images:
        return "it is made for images, and records are rows of a table"
    if known.records == "tables" and facts.images:
        return "it is made for rows of a table, and records are images"
    if known.most_records is not None and facts.of_hospital > known.most_records:
        most = f"at most {known.most_records} records of a hospital"
        return f"it tells {most} apart, and {facts.of_hospital} are in an update"
    if known.most_steps is not None and facts.of_steps > known.most_steps:
        steps = f"of {facts.of_steps} steps of training take it too long"
        return f"updates {steps}: it is run on those of {known.most_steps}; try it by itself"
    if known.trips == "several" and facts.trips == 1:
        return "it spoils the messages of a protocol, and the declared stack has none"
    needs = facts.needs.get(attack, "own")
    if not subject.attacks:
        return ""
    has = design.adversary(subject.adversary).knowledge
    if LEVELS.index(needs) <= LEVELS.index(has):
        return ""
    may = f"{subject.adversary} is declared to know {named.knows(has)}"
    return f"it takes knowing {named.knows(needs)}, and {may}"


def _untested(subject: Subject, attack: str | None, reason: str) -> Untested:
    return Untested(
        threat=subject.threat, adversary=subject.adversary, attack=attack, reason=reason
    )


def _reasons(
    threat: str, id_: str, design: Design, catalog: Catalog, facts: Facts
) -> dict[str, str]:
    """By attack that the adversary has the powers for, why its runs go beyond them; "" if not."""
    adversary = design.adversary(id_)
    return {
        name: beyond([name], facts.config, facts.n_hostile, adversary, catalog) or ""
        for name in catalog.threat(threat).attacks
        if within(catalog.attack(name).powers, adversary)
    }
