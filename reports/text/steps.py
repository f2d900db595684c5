"""The next steps after a comparison: rows to act on, and commands for what was not tested.

What asks for people first comes first: more than privacy allows, harm that nothing tried holds or
that nothing was tried against, harm that something tried holds, and then what is not decided.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

import polars as pl

from reports.analysis import broken, inferred, membership, skipped, tables
from reports.analysis.seen import Seen
from reports.text import answer, commands, exposed, words
from sim.evidence import RunRecord
from sim.evidence.controls import NONE
from sim.evidence.intervals import HARMED, UNDECIDED, WITHIN
from sim.types import Node, TableRow
from threats.catalog import Catalog, Threat

MOST = 12  # rows to act on that are shown
MOST_HELPS = 3  # defenses that helped, with what they cost
MORE_SEEDS = 2  # times as many seeds, where harm is not decided
LEAST_SEEDS = 10


class Urgency(IntEnum):
    """The urgency of a row; the smallest comes first."""

    EXCEEDED = 0
    BROKEN = 1
    NOTHING_HELPS = 2
    NONE_TRIED = 3
    SOMETHING_HELPS = 4
    DEFENSE_HARMS = 5
    NOT_DECIDED = 6


URGENT = {
    Urgency.EXCEEDED: "at once",
    Urgency.BROKEN: "before anything else is read",
    Urgency.NOTHING_HELPS: "nothing tried is shown to hold it",
    Urgency.NONE_TRIED: "no defense was tried",
    Urgency.SOMETHING_HELPS: "a defense tried helps",
    Urgency.DEFENSE_HARMS: "only under a defense",
    Urgency.NOT_DECIDED: "not decided",
}


@dataclass(frozen=True)
class Step:
    """One row to act on.

    ``size``: how large the harm is, of rows that are as urgent. ``place``: the part of the page
    with its figures. ``command``: what would decide it or tries a defense, None where no command
    does. ``attack``: the name of the attack that it is about, empty where it is about none.
    """

    urgency: Urgency
    size: float
    name: str
    text: str
    place: str
    command: str | None = None
    attack: str = ""

    @property
    def urgent(self) -> str:
        """The urgency in words."""
        return URGENT[self.urgency]


@dataclass(frozen=True)
class Untested:
    """Threats of one kind that have no run, and the command that would test them.

    ``attacks``: those that it runs. ``command``: None where there is none, and ``reason`` states
    why. ``partly``: other attacks of the threat have runs. ``install``: the command that installs
    what the attacks need first, empty where it is there already.
    """

    threat: Threat
    attacks: tuple[str, ...]
    command: str | None
    reason: str
    partly: bool = False
    install: str = ""


def act(seen: Seen, manifest: Node) -> list[Step]:
    """The rows to act on, the most urgent and the largest first."""
    records = seen.records
    sound = seen.sound
    drop = seen.drop
    cost = sound.cost
    command = commands.given(manifest)
    found = [
        *_exceeded(records),
        *_untrained(records),
        *_harmful(sound.attacked, drop, cost),
        *_marked(sound.marked, drop, cost),
        *_recovered(seen.inverted),
        *_members(seen.asked),
        *_isolated(tables.isolations(records)),
        *_inferred(inferred.rows(records)),
        *_idle(records),
        *_not_decided(seen, command),
    ]
    guarded = {record.attack for record in records if record.defense != NONE}
    found = [one if one.attack in guarded else _none_tried(one, command) for one in found]
    return sorted(found, key=lambda step: (step.urgency, -step.size))


def _none_tried(step: Step, command: str) -> Step:
    """A step as it stands where no defense was run against its attack."""
    if step.urgency != Urgency.NOTHING_HELPS:
        return step
    return replace(
        step,
        urgency=Urgency.NONE_TRIED,
        text=f"{step.text} No defense was run against it.",
        command=commands.comparing(command, [step.attack], usual=True),
    )


def _exceeded(records: Sequence[RunRecord]) -> Iterator[Step]:
    for text in membership.violations(records):
        yield Step(Urgency.EXCEEDED, 1.0, "Privacy was exceeded", text, "broken")


def _untrained(records: Sequence[RunRecord]) -> Iterator[Step]:
    """Training that breaks down although nobody attacks."""
    alone = [record for record in records if record.attack == NONE]
    found = broken.broken(alone)
    if found or skipped.sentences(alone):
        text = "Find out why before reading on: a design that fails alone shows nothing of attacks."
        yield Step(Urgency.BROKEN, 1.0, "Training failed with nobody attacking", text, "broken")


def _harmful(cells: pl.DataFrame, drop: float, cost: Mapping[str, str]) -> Iterator[Step]:
    """Attacks on AUROC for which harm is shown under some defense, or under none."""
    attacked = cells.filter(pl.col("verdict").is_not_null())
    for attack in attacked["attack"].unique(maintain_order=True):
        rows = attacked.filter(attack=attack)
        harmed = rows.filter(verdict=HARMED)
        if len(harmed):
            lost = [1.0 if value is None else -value for value in harmed["harm"]]
            what = f"Harm is shown {_where(harmed)}."
            held = f"no loss of {drop:g} of AUROC or more is shown"
            yield _step(attack, what, held, rows, max(lost), "attacks", cost)


def _marked(rows_of_all: pl.DataFrame, drop: float, cost: Mapping[str, str]) -> Iterator[Step]:
    """Backdoors that are shown to work under some defense, or under none."""
    judged = rows_of_all.drop_nulls("gain")
    for attack in judged["attack"].unique(maintain_order=True):
        rows = judged.filter(attack=attack)
        worked = rows.filter(verdict=HARMED)
        if len(worked):
            most = max(worked["gain"])
            what = (
                f"The backdoor is shown to work {_where(worked)}, by up to {words.points(most)}"
                " beyond false triggers."
            )
            held = f"no success of {words.share(drop)} or more is shown"
            yield _step(attack, what, held, rows, most, "backdoors", cost)


def _step(
    attack: str,
    what: str,
    held: str,
    rows: pl.DataFrame,
    size: float,
    place: str,
    cost: Mapping[str, str],
) -> Step:
    """A step on one attack, by the verdicts under each defense."""
    guarded = rows.filter(pl.col("defense") != NONE)
    helps = guarded.filter(verdict=WITHIN)["defense"].to_list()
    unsure = rows.filter(verdict=UNDECIDED)
    alone = rows.filter(defense=NONE)["verdict"].to_list()
    only_guarded = alone == [WITHIN]
    text = what
    if only_guarded:
        where = words.some(map(words.under, [NONE, *helps]))
        text += f" {words.start(where)} {held}."
    elif helps:
        shown = [f"{words.defense(name)}{_price(cost.get(name))}" for name in helps[:MOST_HELPS]]
        more = len(helps) - len(shown)
        shown += [f"{more} more"] if more else []
        text += f" What helped: {held} under {words.listed(shown)}."
    elif len(guarded):
        text += " None of the defenses tried is shown to hold it."
    if len(unsure):
        text += f" Not decided {_where(unsure)}."
    urgency = Urgency.SOMETHING_HELPS if helps else Urgency.NOTHING_HELPS
    if only_guarded:
        urgency = Urgency.DEFENSE_HARMS
    return Step(urgency, size, words.attack(attack), text, place, attack=attack)


def _where(rows: pl.DataFrame) -> str:
    return words.some(map(words.under, rows["defense"]))


def _price(cost: str | None) -> str:
    return "" if cost is None else f" ({cost.partition(';')[0]})"


def _recovered(rows: pl.DataFrame) -> Iterator[Step]:
    """Attacks that recover records beyond what shuffled updates give."""
    for attack in rows["attack"].unique(maintain_order=True):
        ours = rows.filter(attack=attack)
        beyond = pl.col("n_recovered") > pl.col("n_shuffled").fill_null(0)
        found = ours.filter(beyond).sort("rate", descending=True, maintain_order=True)
        if found.is_empty():
            continue
        row = found.row(0, named=True)
        none = ours.filter(pl.col("n_recovered") == 0, pl.col("defense") != NONE)
        alone = ours.filter(defense=NONE)["rate_low"].to_list()
        below = pl.col("rate_high") < (alone[0] if alone else 0.0)
        helps = none.filter(below)
        fewer = found.filter(below)
        pairs = zip(fewer["defense"], fewer["rate"], strict=True)
        rates = words.listed(f"{words.defense(name)} ({words.share(x)})" for name, x in pairs)
        what = (
            f"Patient records were recovered: {words.share(row['rate'])} of the attacked ones"
            f" {words.under(row['defense'])}, and some {_where(found[1:])}."
            if len(found) > 1
            else f"Patient records were recovered {words.under(row['defense'])}:"
            f" {words.share(row['rate'])} of the attacked ones."
        )
        if len(none):
            best = helps if len(helps) else none
            most = words.share(max(best["rate_high"]))
            names = words.some(map(words.defense, best["defense"]))
            fit = f"one was recovered under {names} (up to {most} would still fit)"
            doubt = "not distinguished from no defense" if alone else "it was not run without one"
            helped = f"What helped: n{fit}" if len(helps) else f"N{fit}; {doubt}"
            rest = none.filter(~pl.col("defense").is_in(best["defense"].implode()))
            if len(rest):
                names = words.some(map(words.defense, rest["defense"]))
                helped += f". Under {names} none was either; {doubt}"
            if len(fewer):
                helped += f". Fewer were recovered under {rates}"
        elif len(fewer):
            helped = f"What helped: fewer were recovered under {rates}, yet some"
        elif ours.filter(pl.col("defense") != NONE).is_empty():
            helped = ""
        else:
            helped = "Under each defense tried some were recovered"
        urgency = Urgency.SOMETHING_HELPS if len(helps) or len(fewer) else Urgency.NOTHING_HELPS
        name = words.attack(attack)
        text = f"{what} {helped}." if helped else what
        yield Step(urgency, row["rate"], name, text, "reconstruction", attack=attack)


def _members(cells: Sequence[membership.Cell]) -> Iterator[Step]:
    """Attacks that are shown to tell who was trained on."""
    for attack in dict.fromkeys(cell.attack for cell in cells):
        ours = [cell for cell in cells if cell.attack == attack]
        shown = [cell for cell in ours if exposed.tells(cell)]
        if not shown:
            continue
        most = max(shown, key=lambda cell: cell.auc.value)
        where = words.some(words.under(cell.defense) for cell in shown)
        others = [words.defense(cell.defense) for cell in ours if cell not in shown]
        open_ = f" Under {words.some(others)} it is not decided." if others else ""
        text = (
            f"It is shown to tell who was trained on, {where}: an AUC of up to"
            f" {words.score(most.auc.value)} (0.5 is guessing), by {most.who}.{open_}"
        )
        size = most.auc.value - 0.5
        name = words.attack(attack)
        yield Step(Urgency.NOTHING_HELPS, size, name, text, "membership", attack=attack)


def _isolated(rows: pl.DataFrame) -> Iterator[Step]:
    """Attacks that take single updates out of sums that hide them."""
    hidden = rows.filter(~pl.col("open"), pl.col("n_recovered") > 0)
    for row in hidden.rows(named=True):
        text = (
            f"Single updates of honest hospitals were worked out {words.under(row['defense'])}:"
            f" {row['n_recovered']:,} of {row['n_attacked']:,}."
        )
        size = row["n_recovered"] / row["n_attacked"]
        attack = row["attack"]
        name = words.attack(attack)
        yield Step(Urgency.NOTHING_HELPS, size, name, text, "visibility", attack=attack)


def _inferred(rows: Sequence[TableRow]) -> Iterator[Step]:
    """Attacks that are shown to find, copy or turn more than what needs no attack."""
    for row in rows:
        if row["excess_low"] is None or row["excess_low"] <= 0:
            continue
        excess = words.span(row["excess_low"], row["excess_high"], signed=True)
        text = (
            f"It is shown to do more than what needs no attack, {words.under(row['defense'])}:"
            f" {row['figure']}, {words.score(row['value'])} beside {words.score(row['alone'])}"
            f" without the attack (95 % interval of the difference {excess})."
        )
        attack = row["attack"]
        name = words.attack(attack)
        size = row["excess"]
        yield Step(Urgency.NOTHING_HELPS, size, name, text, "inferred", attack=attack)


def _idle(records: Sequence[RunRecord]) -> Iterator[Step]:
    """Attacks and defenses that did nothing in their runs, which more seeds do not change."""
    for what in ("attack", "defense"):
        idle = [record for record in records if what in tables.idle(record)]
        names = dict.fromkeys(getattr(words, what)(getattr(record, what)) for record in idle)
        if names:
            runs = words.count(len(idle), "run")
            text = (
                f"{runs[0].upper()}{runs[1:]} in which the {what} changed nothing"
                f" {'shows' if len(idle) == 1 else 'show'} nothing of it: give it other values."
            )
            name = f"{words.some(names)} did nothing"
            yield Step(Urgency.NOT_DECIDED, 0.5, name, text, "cautions")


def _not_decided(seen: Seen, command: str) -> Iterator[Step]:
    """Cells in which something is not decided, and the command with controls or more seeds."""
    records = seen.records
    n_open, n_all = answer.undecided(seen.sound)
    asked_of = len(seen.asked)
    unsure = sum(not exposed.tells(cell) for cell in seen.asked)
    if not n_open and not unsure:
        return
    cells = f"{n_open} of {words.count(n_all, 'pair')} of attack and defense"
    if n_all < answer.undecided(seen)[1]:
        cells += " in which both did something"
    if n_open and not any(record.attack == NONE for record in records):
        text = f"Without a run that nobody attacks, nothing is decided in {cells}."
        asked = commands.comparing(command)
        yield Step(Urgency.NOT_DECIDED, 0.0, "Run the controls", text, "cautions", asked)
        return
    n_seeds = len({record.seed for record in records})
    seeds = max(LEAST_SEEDS, MORE_SEEDS * n_seeds)
    parts = [f"harm is not decided in {cells}"] if n_open else []
    if unsure:
        pairs = words.count(asked_of, "pair")
        parts.append(f"whether records are recognized is not decided in {unsure} of {pairs}")
    text = (
        f"{words.start('; '.join(parts))}; more seeds narrow the intervals (now {n_seeds}, with the"
        f" command {seeds})."
    )
    asked = commands.comparing(command, None, {"seeds": str(seeds)})
    place = "attacks" if n_open else "membership"
    yield Step(Urgency.NOT_DECIDED, 0.0, "Run more seeds", text, place, asked)


def untested(
    records: Sequence[RunRecord], threats: Sequence[TableRow], catalog: Catalog, manifest: Node
) -> list[Untested]:
    """Each threat of the catalog with attacks that have no run here, those with none at all first.

    ``threats``: what ``sections.threats`` gives.
    """
    command = commands.given(manifest)
    ran = {name for record in records for name in record.attack.split("+")}
    found = list[Untested]()
    for one in threats:
        threat = catalog.threat(one["about"].id)
        never = [name for name in threat.attacks if name not in ran]
        if never or not one["tested"]:
            partly = bool(one["tested"])
            reason = one["rows"][0].reason
            found.append(_untested(threat, never, reason, partly, records, catalog, command))
    fitting = [one for one in found if one.attacks or not one.partly]
    return sorted(fitting, key=lambda one: one.partly)


def all_at_once(
    found: Sequence[Untested], records: Sequence[RunRecord], manifest: Node
) -> str | None:
    """The one command that tests every threat of ``found`` without a run, but for two kinds.

    These are threats that take more hostile hospitals than there are, and those that take another
    package.
    """
    runnable = [
        one
        for one in found
        if one.command and not one.partly and not one.install and _enough(one.threat, records)
    ]
    attacks = list(dict.fromkeys(name for one in runnable for name in one.attacks))
    if len(runnable) < 2:
        return None
    return commands.comparing(commands.given(manifest), attacks)


def _untested(
    threat: Threat,
    never: Sequence[str],
    reason: str,
    partly: bool,
    records: Sequence[RunRecord],
    catalog: Catalog,
    command: str,
) -> Untested:
    attacks = tuple(name for name in never if _fits(name, records, catalog))
    if not threat.attacks:
        return Untested(threat, (), None, reason)
    if not attacks:
        return Untested(threat, (), None, "its attacks do not fit these records", partly)
    enough = _enough(threat, records)
    values = {} if enough else {"adversary.n_hostile": str(threat.parties)}
    asked = commands.comparing(command, attacks, values, undefended=not enough)
    extras = sorted({catalog.attack(name).extra for name in attacks} - {""})
    install = f"pip install 'wardround[{','.join(extras)}]'" if extras else ""
    return Untested(threat, attacks, asked, "" if asked else _no_command(command), partly, install)


def _no_command(command: str) -> str:
    """Why no command is given for a threat whose attacks fit the data."""
    if " validate " in f"{command} ":
        return "what the adversaries of the design may do decides what is run for it"
    return "the command of these runs is not recorded; another comparison can test it"


def _fits(name: str, records: Sequence[RunRecord], catalog: Catalog) -> bool:
    """Whether the data of these runs are such as the attack is made for."""
    attack = catalog.attack(name)
    first = records[0]
    form = {"image": "images", "table": "tables"}.get(first.form or "")
    largest = max(one.n_train for one in first.hospitals)
    few = attack.most_records is None or largest <= attack.most_records
    trips = attack.trips == "any" or any(record.unmasking for record in records)
    return few and trips and attack.records in ("any", form)


def _enough(threat: Threat, records: Sequence[RunRecord]) -> bool:
    """Whether these runs have as many hostile hospitals as a threat takes."""
    return threat.parties <= max(record.n_hostile for record in records)
