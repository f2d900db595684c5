"""The answer of a verdict's page in five sentences, each stating no more than the verdict does.

What was judged; which criteria are met; the highest risk that is left; what was read and which
hospital pays; what is left open. There are always five.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from reports.analysis.seen import Seen
from reports.text import answer, exposed, words
from sim.evidence import RunRecord
from sim.evidence.controls import NONE
from sim.evidence.metrics import METRICS
from threats.assessment import Assessment, RegisterRow
from threats.criteria import Judged, wording
from threats.levels import LEVELS, WORDS
from threats.statements import Magnitude, Statement
from threats.system import EXPOSED, Design

MOST_NAMED: Final = 3
QUOTED: Final = "\N{LEFT DOUBLE QUOTATION MARK}{}\N{RIGHT DOUBLE QUOTATION MARK}"


def sentences(design: Design, assessment: Assessment, records: Sequence[RunRecord]) -> list[str]:
    """The five sentences. ``records``: the runs that the verdict stands on."""
    return [
        asked(assessment, records),
        outcome(design, assessment),
        risk(assessment),
        read_and_paid(records),
        left_open(assessment),
    ]


def asked(assessment: Assessment, records: Sequence[RunRecord]) -> str:
    """The sentence on what was judged, by how many runs of how many attacks."""
    attacks = {record.attack for record in records} - {"none"}
    seeds = words.count(len({record.seed for record in records}), "seed")
    criteria = words.count(len(assessment.criteria), "criterion", "criteria")
    return (
        f"The design {assessment.design}, version {assessment.version}, with the stack"
        f" {assessment.stack}, was tried in {words.count(assessment.n_runs, 'simulated run')},"
        f" under {words.count(len(attacks), 'attack')} and without one, with {seeds}, against its"
        f" own {criteria}."
    )


def outcome(design: Design, assessment: Assessment) -> str:
    """Whether the criteria are met, with those that are not and what decides them."""
    judged = assessment.criteria
    if not judged:
        return "The design states no criterion, so that nothing decides whether it will do."
    asks = {one.id: wording(one) for one in design.acceptance}
    missed = [_missed(one, asks[one.id]) for one in judged if one.outcome == "not_met"]
    unsure = [one.id for one in judged if one.outcome == "inconclusive"]
    n = words.count(len(judged), "criterion", "criteria")
    parts = []
    if missed:
        named = words.some(missed, MOST_NAMED)
        parts.append(f"the design does not meet {len(missed)} of its {n}: {named}")
    if unsure:
        rest = "whether it meets others"
        whether = rest if missed else f"whether the design meets {len(unsure)} of its {n}"
        parts.append(f"{whether} ({words.some(unsure)}) is not decided")
    if not parts:
        parts.append(f"the design meets its {n} under every attack that was run")
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}."


def _missed(one: Judged, asks: str) -> str:
    found = one.shown
    shown = None if found is None else found.figure
    figure = "" if shown is None else f", and {words.figure(shown)} was found"
    under = "" if found is None else f" under {words.attack(found.attack)}"
    return f"{one.id} ({asks}{figure}{under})"


def risk(assessment: Assessment) -> str:
    """The highest risk that is left of those measured, and how many rows have none."""
    threats = [row for row in assessment.rows if row.kind == "threat"]
    measured = [row for row in threats if row.status == "measured" and row.adjusted is not None]
    if not measured:
        return "No risk of the register was measured, so that no level is known."
    highest = max(measured, key=_level)
    level = WORDS[LEVELS[_level(highest)]]
    alike = [row for row in measured if _level(row) == _level(highest)]
    rows = dict.fromkeys(f"{QUOTED.format(row.name)} by {row.adversary}" for row in alike)
    named = words.some(rows, MOST_NAMED)
    return (
        f"Of the risks that were measured, the highest that is left with the stack is {level}:"
        f" {named}."
    )


def _level(row: RegisterRow) -> int:
    assert row.adjusted is not None
    return LEVELS.index(row.adjusted.upper.risk)


def read_and_paid(records: Sequence[RunRecord]) -> str:
    """The sentence on what was read of patients, and which hospital pays for the stack."""
    seen = Seen(records)
    read = exposed.sentence(seen).removesuffix(".")
    pays = answer.pays(seen)
    return f"{read}; {pays[:1].lower()}{pays[1:]}"


def left_open(assessment: Assessment) -> str:
    """The sentence on unmeasured criteria, open questions, and whether somebody has decided."""
    threats = [row for row in assessment.rows if row.kind == "threat"]
    beyond = sum(row.status == "not_testable_by_simulation" for row in threats)
    unmeasured = sum(row.status != "measured" for row in threats)
    parts = []
    if unmeasured:
        rows = words.count(len(threats), "row")
        parts.append(
            f"{unmeasured} of {rows} of the register are not measured ({beyond} of them no"
            " simulation can test)"
        )
    if assessment.questions:
        n = len(assessment.questions)
        parts.append(words.count(n, "question of the design has", "questions of the design have"))
        parts[-1] += " no answer"
    if assessment.decision.decision is None:
        parts.append("nobody has decided on the verdict")
    parts.append("attacks that were not tried may do more")
    return f"Still open: {'; '.join(parts)}."


def worked(one: Statement) -> str:
    """The sentence on how often an attack worked, and how often it may at most."""
    name = words.attack_first(one.claim.attack)
    tried = one.trials
    if tried.unit == "seed":
        found = f"worked in {tried.successes} of {words.count(tried.n, 'run')}"
        what = METRICS[one.claim.metric].text
        lacking = f", {tried.lost} of which left a model with no {what}" if tried.lost else ""
        if tried.unknown:
            lacking += f"; {tried.unknown} of them left no figure to tell by"
    else:
        thing = {"record": "attacked record", "update": "update"}[tried.unit]
        found = f"recovered {tried.successes} of {words.count(tried.n, thing)}"
        lacking = ""
    bounds = f"at least {words.at_least(one.lower)} and at most {words.at_most(one.upper)}"
    things = {"seed": "runs", "record": "records", "update": "updates"}[tried.unit]
    return f"{name} {found}{lacking} ({bounds} of such {things}, with 95 % confidence each)."


def adapted(one: Statement) -> str:
    """Whether the attack of a statement chose what to send by trying the defense."""
    if one.defense == NONE:
        return "there was no defense to adapt to"
    return "it adapted to the defense" if one.adaptive else "it did not adapt to the defense"


def magnitude(one: Magnitude) -> str:
    """The magnitude of the harm at its worst, with its level, in words."""
    level = f"which is {WORDS[one.level]} on the consortium's scale"
    if one.metric == EXPOSED:
        people = "nobody" if not one.value else f"at most {one.value:,.0f} people"
        return f"{people} expected to be exposed, {level}"
    metric = METRICS[one.metric]
    if one.value is None:
        return f"no {metric.text} is left, {level}"
    if one.kind == "privacy":
        value = words.share(one.value) if metric.is_rate else words.figure(one.value)
        return f"{metric.text} {value}, {level}"
    verb = "fell" if metric.harm == "lower" else "rose"
    if one.value <= 0:
        return f"{metric.text} never {verb}, {level}"
    size = words.points(one.value).lstrip("+") if metric.is_rate else words.figure(one.value)
    return f"{metric.text} {verb} by {size}, {level}"
