"""An assessment: what the evidence shows of a consortium's design, row by row and as a verdict.

Design, catalog and evidence go in. Nothing is run here, and nothing is decided that people decide.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from sim.evidence import Chain
from sim.evidence.controls import NONE
from sim.types import Node
from threats import levels, risk
from threats.applicability import (
    ANYBODY,
    LETTERS,
    Excluded,
    Kind,
    Subject,
    applicable,
    kind_of,
)
from threats.catalog import Catalog, Cited, Fact, Status, Threat, provisions
from threats.cells import Cell, cells
from threats.consistency import UNDEFENDED
from threats.criteria import Judged, Outcome, by_reason, judge
from threats.findings import doubts, stated
from threats.risk import Color, Range
from threats.statements import ENOUGH, EvidenceGrade, Magnitude, Source, Statement, statement
from threats.system import Criterion, Decision, Design, Grade
from threats.used import beyond
from threats.worksheet import Worksheet, worksheets

VERDICT: Final = "verdict"  # what a decision about the whole names in place of a row


@dataclass(frozen=True)
class Plan:
    """The runs that an assessment expects.

    ``labels``: how the runs name the defense of each stack, where that is not ``Stack.defense``.
    ``needed``: attacks that have to be tried, by threat and adversary; those that are not there are
    all that the adversary has the powers for. ``refused``: attacks that cannot be run, and why.
    """

    labels: Mapping[str, str] = field(default_factory=dict)
    needed: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)


class DecisionField(Fact):
    """The decision of a named person, or that nobody has decided."""

    decision: Literal["accept", "mitigate", "transfer", "avoid"] | None
    """The decision; None where nobody has decided."""
    by: str | None
    """Who decided; None where nobody has."""
    date: datetime.date | None
    """The day of the decision; None where nobody has decided."""
    expires: datetime.date | None
    """The decision's last day; None where nobody has decided."""
    expired: bool
    """Whether that day is over."""


class RegisterRow(Fact):
    """A threat to an element of the design by an adversary, with what the evidence shows of it."""

    id: str
    """The row's id: the same for the same threat, element, adversary and stack."""
    kind: Literal["threat", "conflict"]
    """Whether the row is a threat, or two parts of the design that work against each other."""
    threat: str
    """The threat's id in the catalog."""
    name: str
    """The threat's name."""
    plain: str
    """The threat in plain words."""
    element: str
    """The id of the element of the design that it strikes; of a conflict the stack."""
    adversary: str
    """The adversary's id in the design, or ``anybody``."""
    stack: str
    """The stack of defenses of the design."""
    status: Status
    """What stands behind the row: ``measured``, ``inconclusive``, ``literature_only``,
    ``not_tested`` or ``not_testable_by_simulation``.
    """
    color: Color
    """Red at high risk, green at measured low risk, amber between, gray where no risk is known."""
    grade: EvidenceGrade
    """The grade of the best evidence, from E0 (literature only) to E4 (a pilot)."""
    initiation: Grade | None
    """How likely the adversary is to begin, as the design states; None without an adversary."""
    initial: Range | None
    """The risk without controls; None where nothing was run."""
    adjusted: Range | None
    """The risk with the stack of the design; None where nothing was run."""
    magnitudes: tuple[Magnitude, ...]
    """How large the harm was at its worst."""
    text: str
    """The figures in words."""
    reasons: tuple[str, ...]
    """Why the row is not measured; empty if it is."""
    evidence: tuple[str, ...]
    """The ids of the statements that it stands on."""
    sources: tuple[Source, ...]
    """The lines of evidence that it stands on."""
    controls: tuple[str, ...]
    """Controls of the catalog that the stack has."""
    absent_controls: tuple[str, ...]
    """Controls of the catalog that the stack does not have."""
    decision: DecisionField
    """What a person decided about it."""
    residual: str
    """What is left, in words."""
    stride: tuple[str, ...]
    """Letters of STRIDE."""
    stride_beyond: tuple[str, ...]
    """Letters of ``stride`` that STRIDE by element does not give to an element of this kind. The
    row stands all the same: what a design calls its parts takes no threat away.
    """
    linddun: tuple[str, ...]
    """Categories of LINDDUN."""
    owasp: tuple[str, ...]
    """Entries of the OWASP Machine Learning Security Top Ten."""
    atlas: tuple[str, ...]
    """Techniques of MITRE ATLAS, with the release."""
    nist_aml: tuple[str, ...]
    """Entries of NIST AI 100-2."""
    hipaa: tuple[Cited, ...]
    """Provisions of HIPAA that the result may bear on, each with its title, and how and why."""
    ai_rmf: tuple[str, ...]
    """Subcategories of NIST AI 100-1."""
    aisvs: tuple[str, ...]
    """Requirements of OWASP AISVS."""


class Assessment(Fact):
    """All that an assessment states. ``bytes`` and ``head``: the chain of evidence it stands on."""

    design: str
    version: int
    digest: str
    stack: str
    on: datetime.date
    outcome: Outcome
    decision: DecisionField
    criteria: tuple[Judged, ...]
    rows: tuple[RegisterRow, ...]
    statements: tuple[Statement, ...]
    excluded: tuple[Excluded, ...]
    questions: tuple[str, ...]
    worksheets: tuple[Worksheet, ...]
    answers: tuple[tuple[str, str], ...]
    n_runs: int
    bytes: int
    head: str


def assess(
    design: Design,
    catalog: Catalog,
    chain: Chain,
    plan: Plan | None = None,
    claims: Mapping[str, int] | None = None,
    on: datetime.date | None = None,
    stack: str | None = None,
) -> Assessment:
    """The assessment of a design from the evidence of ``chain``.

    ``claims``: for each claim that was stated, the bytes of evidence at that time. ``on``: the day
    on which decisions are in force or over; today. ``stack``: in place of the declared one.
    """
    day = on or datetime.date.today()
    of = _Of(
        design,
        catalog,
        chain,
        plan or Plan(),
        claims or {},
        day,
        design.declared if stack is None else stack,
    )
    subjects, excluded = applicable(design, catalog)
    tested = cells(chain.records)
    found: dict[tuple[str, str], _Found] = {}
    for subject in subjects:
        pair = subject.threat, subject.adversary
        if pair not in found:
            found[pair] = _find(subject, tested, of)
    rows = [_row(subject, found[subject.threat, subject.adversary], of) for subject in subjects]
    ordered = sorted([*rows, *_conflicts(of)], key=_order)
    judged = tuple(
        _judged(criterion, found.get((criterion.threat, criterion.adversary)), of)
        for criterion in design.acceptance
    )
    statements = {one.id: one for here in found.values() for one in (*here.initial, *here.adjusted)}
    return Assessment(
        design=design.meta.name,
        version=design.meta.version,
        digest=design.digest,
        stack=of.stack,
        on=day,
        outcome=_together(judged),
        decision=_decision(VERDICT, of),
        criteria=judged,
        rows=tuple(ordered),
        statements=tuple(statements.values()),
        excluded=tuple(excluded),
        questions=tuple(_questions(ordered, judged, of)),
        worksheets=worksheets(design, catalog, subjects, list(statements.values()), of.stack),
        answers=tuple((answer.id, answer.by) for answer in catalog.answers),
        n_runs=len(chain.records),
        bytes=chain.bytes,
        head=chain.hash,
    )


def row_id(subject: Subject, stack: str) -> str:
    """The id of a row: the same threat, element, adversary and stack have the same."""
    return "/".join((subject.threat, subject.element, subject.adversary, stack))


@dataclass(frozen=True)
class _Of:
    """What every part of an assessment needs."""

    design: Design
    catalog: Catalog
    chain: Chain
    plan: Plan
    claims: Mapping[str, int]
    day: datetime.date
    stack: str

    def label(self, stack: str) -> str:
        """How the runs name the defense of a stack."""
        return self.plan.labels.get(stack, self.design.stack(stack).defense)

    def needed(self, subject: Subject) -> tuple[str, ...]:
        """Attacks that have to be tried."""
        pair = subject.threat, subject.adversary
        return self.plan.needed.get(pair, subject.attacks)


@dataclass(frozen=True)
class _Found:
    """What there is on a threat by an adversary: statements on the undefended design and on the
    stack, the stack's cells, and what is missing of its attacks, with the reason.
    """

    initial: tuple[Statement, ...]
    adjusted: tuple[Statement, ...]
    cells: tuple[Cell, ...]
    missing: Mapping[str, str]


def _find(subject: Subject, tested: Sequence[Cell], of: _Of) -> _Found:
    if not subject.attacks:
        return _Found((), (), (), {})
    unfit: dict[str, str] = {}
    initial = _fitting(subject, tested, UNDEFENDED, unfit, of)
    adjusted = _fitting(subject, tested, of.stack, unfit, of)
    ran = {name for cell in adjusted for name in cell.attacks}
    reasons = {**unfit, **of.plan.refused}
    missing = {name: reasons.get(name, "not run") for name in of.needed(subject) if name not in ran}
    return _Found(
        _statements(subject, initial, UNDEFENDED, of),
        _statements(subject, adjusted, of.stack, of),
        tuple(adjusted),
        missing,
    )


def _fitting(
    subject: Subject, tested: Sequence[Cell], stack: str, unfit: dict[str, str], of: _Of
) -> list[Cell]:
    """Cells of a stack that are evidence on a subject; ``unfit`` gets why others are none."""
    adversary = of.design.adversary(subject.adversary)
    label = of.label(stack)
    fit = []
    for cell in tested:
        if cell.defense != label or not set(cell.attacks) & set(subject.attacks):
            continue
        first = next(iter(cell.runs.values()))
        baseline = label == NONE and of.label(of.stack) != NONE
        reason = beyond(
            cell.attacks,
            first.config,
            first.n_hostile,
            adversary,
            of.catalog,
            baseline=baseline,
        )
        if reason is None:
            fit.append(cell)
        else:
            unfit[cell.attack] = reason
    return fit


def _statements(
    subject: Subject, found: Sequence[Cell], stack: str, of: _Of
) -> tuple[Statement, ...]:
    threat = of.catalog.threat(subject.threat)
    adversary = of.design.adversary(subject.adversary)
    needed = _trials_needed(subject, of.design.acceptance)
    made = (
        statement(
            cell, threat, adversary, stack, of.design, of.catalog, of.chain, of.claims, needed
        )
        for cell in found
    )
    return tuple(one for one in made if one is not None)


def _trials_needed(subject: Subject, criteria: Iterable[Criterion]) -> int:
    asked = [
        one.min_trials or one.min_seeds or 0
        for one in criteria
        if (one.threat, one.adversary) == (subject.threat, subject.adversary)
    ]
    return max(asked, default=ENOUGH)


def _row(subject: Subject, found: _Found, of: _Of) -> RegisterRow:
    threat = of.catalog.threat(subject.threat)
    stack = of.design.stack(of.stack)
    adjusted = found.adjusted
    stated_ = {one.claim.attack for one in adjusted}
    void = [cell for cell in found.cells if cell.attack not in stated_]
    doubted = [(why, one.claim.attack) for one in adjusted for why in one.doubts]
    doubted += [
        (why, cell.attack) for cell in void for why in doubts(cell, stated(cell, threat.metrics))
    ]
    lacking = by_reason([*doubted, *((why, name) for name, why in found.missing.items())])
    status = _status(threat, found.cells, bool(lacking))
    initiation = None
    before = None
    after = None
    if subject.adversary != ANYBODY:
        initiation = of.design.adversary(subject.adversary).initiation.level
        before = risk.of_statements(found.initial, initiation)
        after = risk.of_statements(adjusted, initiation)
    untested = [] if found.cells or lacking else [threat.untested.reason]
    has = tuple(one.id for one in stack.controls if one.id in threat.mitigations)
    id_ = row_id(subject, of.stack)
    return RegisterRow(
        id=id_,
        kind="threat",
        threat=threat.id,
        name=threat.name,
        plain=threat.plain,
        element=subject.element,
        adversary=subject.adversary,
        stack=of.stack,
        status=status,
        color=risk.color(status, after),
        grade=max((one.grade for one in adjusted), default="E0"),
        initiation=initiation,
        initial=before,
        adjusted=after,
        magnitudes=risk.largest(adjusted),
        text=_worst_text(adjusted),
        reasons=(*untested, *lacking),
        evidence=tuple(dict.fromkeys(one.id for one in (*found.initial, *adjusted))),
        sources=_sources((*found.initial, *adjusted)),
        controls=has,
        absent_controls=tuple(one for one in threat.mitigations if one not in has),
        decision=_decision(id_, of),
        residual=risk.residual(status, before, after),
        stride_beyond=_beyond(threat, kind_of(of.design, subject.element)),
        **_references(threat, of.catalog),
    )


def _beyond(threat: Threat, kind: Kind) -> tuple[str, ...]:
    return tuple(letter for letter in threat.stride if letter not in LETTERS[kind])


def _status(threat: Threat, tried: Sequence[Cell], lacking: bool) -> Status:
    if not tried:
        return threat.untested.status
    return "inconclusive" if lacking else "measured"


def _worst_text(adjusted: Sequence[Statement]) -> str:
    """The sentence of the statement that is worst for the design; empty without statements."""
    worst = max(adjusted, key=lambda one: (one.upper, one.rate), default=None)
    return worst.text if worst else ""


def _sources(statements: Iterable[Statement]) -> tuple[Source, ...]:
    """Every line that the statements stand on, each once."""
    found = {one.run: one for made in statements for one in (*made.runs, *made.controls)}
    return tuple(found.values())


def _references(threat: Threat, catalog: Catalog) -> Node:
    pin = catalog.taxonomies.atlas.release
    return {
        "stride": threat.stride,
        "linddun": threat.linddun,
        "owasp": threat.owasp,
        "atlas": tuple(
            f"{one.id}@{pin}" + (" (near)" if one.fit == "near" else "") for one in threat.atlas
        ),
        "nist_aml": threat.nist_aml,
        "hipaa": tuple(provisions(threat, catalog)),
        "ai_rmf": threat.ai_rmf,
        "aisvs": threat.aisvs,
    }


def _decision(row: str, of: _Of) -> DecisionField:
    """The last decision about a row; one whose last day is over is open again."""
    ours = [one for one in of.design.decisions if one.row == row]
    last: Decision | None = max(ours, key=lambda one: one.date, default=None)
    if last is None:
        return DecisionField(decision=None, by=None, date=None, expires=None, expired=False)
    return DecisionField(
        decision=last.decision,
        by=last.by,
        date=last.date,
        expires=last.expires,
        expired=last.expires < of.day,
    )


def _order(row: RegisterRow) -> tuple[bool, int, int, str]:
    """Threats before conflicts, the highest risk first; rows of which nobody knows come first."""
    worst = 0 if row.adjusted is None else -levels.LEVELS.index(row.adjusted.upper.risk)
    known = 0 if row.adjusted is None else 1
    return row.kind == "conflict", known, worst, row.id


def _conflicts(of: _Of) -> list[RegisterRow]:
    """One row for each conflict that the stack's runs recorded."""
    label = of.label(of.stack)
    found = dict[str, list[Source]]()
    words = {}
    for record in of.chain.records:
        if record.defense != label:
            continue
        for conflict in record.conflicts:
            words[conflict.id] = conflict
            line = of.chain.lines[record.run].hash
            found.setdefault(conflict.id, []).append(Source(run=record.run, line=line))
    mitigations = {clash.id: clash.mitigations for clash in of.catalog.conflicts}
    rows = []
    for name, sources in found.items():
        id_ = f"conflict/{name}/{of.stack}"
        rows.append(
            RegisterRow(
                id=id_,
                kind="conflict",
                threat=name,
                name=words[name].between,
                plain=words[name].text,
                element=of.stack,
                adversary=ANYBODY,
                stack=of.stack,
                status="literature_only",
                color="gray",
                grade="E0",
                initiation=None,
                initial=None,
                adjusted=None,
                magnitudes=(),
                text="",
                reasons=("follows from how the two work; no figure is claimed",),
                evidence=(),
                sources=tuple(sources),
                controls=mitigations.get(name, ()),
                absent_controls=(),
                decision=_decision(id_, of),
                residual="The two controls weaken each other.",
                stride=(),
                stride_beyond=(),
                linddun=(),
                owasp=(),
                atlas=(),
                nist_aml=(),
                hipaa=(),
                ai_rmf=(),
                aisvs=(),
            )
        )
    return rows


def _judged(criterion: Criterion, found: _Found | None, of: _Of) -> Judged:
    threat = of.catalog.threat(criterion.threat)
    cells_, missing = (found.cells, found.missing) if found else ((), {})
    return judge(criterion, threat, cells_, missing, of.chain.lines, of.claims)


def _together(judged: Sequence[Judged]) -> Outcome:
    """Not met if one criterion is not met, met if all are met."""
    outcomes = [one.outcome for one in judged]
    if "not_met" in outcomes:
        return "not_met"
    return "met" if outcomes and set(outcomes) == {"met"} else "inconclusive"


def _questions(rows: Sequence[RegisterRow], judged: Sequence[Judged], of: _Of) -> Iterator[str]:
    """What people still have to answer, in a fixed order."""
    design = of.design
    for one in design.legal:
        if one.status == "unconfirmed":
            yield f"Nobody has confirmed the legal assumption {one.id}: {one.text}"
        elif one.status == "rejected":
            yield f"{one.by} has rejected the assumption {one.id}: {one.text}"
    if design.impact.ratified_by is None:
        yield "The impact scale is the default of the tool and nobody has ratified it."
    for adversary in design.adversaries:
        if adversary.initiation.declared_by is None:
            level = levels.WORDS[adversary.initiation.level]
            yield f"Nobody stands for the initiation level of {adversary.id}, which is {level}."
    for asset in design.assets:
        if asset.phi == "assumed_yes":
            yield f"Whether {asset.id} holds health information of persons is assumed, not known."
    stack = design.stack(of.stack)
    titles = {one.id: one.title for one in of.catalog.taxonomies.mitigations.entries}
    if stack.defense != NONE and not stack.controls:
        yield f"Nobody is declared to enforce the stack {stack.id}: who makes sure of it?"
    for control in stack.controls:
        if control.enforced_by == "app":
            title = titles[control.id]
            yield f"{title} ({control.id}) is enforced by the uploaded app: who checks that app?"
    for row in rows:
        if row.kind == "threat" and row.status != "measured":
            why = "; ".join(row.reasons)
            yield f"{row.name} ({row.id}) is {row.status.replace('_', ' ')}: {why}."
    for row in rows:
        if row.kind == "threat" and row.stride_beyond == row.stride:
            kind = kind_of(design, row.element)
            letters = ", ".join(row.stride)
            a = "an" if kind == "actor" else "a"
            yield f"Is {row.element} {a} {kind}? By STRIDE none has {letters}, and {row.id} does."
    for one_ in judged:
        if one_.stated != "before the runs" and one_.tried:
            yield f"Criterion {one_.id} was not stated before its runs."
    ids = {row.id for row in rows} | {VERDICT}
    for decision in design.decisions:
        if decision.row not in ids:
            yield f"The decision of {decision.by} is about {decision.row}, which is no row."
        elif decision.expires < of.day:
            yield f"The decision of {decision.by} about {decision.row} ended on {decision.expires}."
