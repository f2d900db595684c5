"""An assessment as OSCAL assessment results: observations by test, risks, and findings.

An observation is what the runs of one attack show, a risk is a row of the register, and a finding
is a criterion: satisfied only if it is met.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from sim import __version__
from sim.evidence import EVIDENCE
from sim.types import Node
from threats.assessment import Assessment, RegisterRow
from threats.catalog import Catalog
from threats.claims import CLAIMS
from threats.criteria import Judged, wording
from threats.exports.values import (
    TOOL,
    document_id,
    identity,
    line,
    moment,
    number,
    rows_of,
    sentences,
    statements_of,
    technique,
    titles,
)
from threats.levels import WORDS
from threats.risk import Range, Risk
from threats.statements import Source, Statement
from threats.system import Design
from threats.verdict import NOTICE, REGISTER, RESULT, STATUS, VERDICT

VERSION: Final = "1.2.1"
NAMESPACE: Final = "urn:wardround:oscal:1"
LEVELS: Final = "https://doi.org/10.6028/NIST.SP.800-30r1"
ATLAS: Final = "https://atlas.mitre.org"
# Markdown of OSCAL: these stand for themselves then, and no HTML or parameter is left
LITERAL: Final = {
    **{sign: f"\\{sign}" for sign in "\\`*_~^[]{}|"},
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
}
STATES: Final[Mapping[str, Node]] = {
    "met": {"state": "satisfied", "reason": "pass"},
    "not_met": {"state": "not-satisfied", "reason": "fail"},
    "inconclusive": {"state": "not-satisfied", "reason": "other"},
}


def document(design: Design, assessment: Assessment, catalog: Catalog) -> Node:
    """The assessment results as plain values."""
    return {
        "assessment-results": {
            "uuid": document_id(assessment, "oscal"),
            "metadata": _metadata(design, assessment),
            "import-ap": {"href": f"#{_id(assessment, 'plan')}"},
            "local-definitions": {"objectives-and-methods": _objectives(design)},
            "results": [_result(design, assessment, catalog)],
            "back-matter": {"resources": [_plan(assessment), _files(assessment)]},
        }
    }


def markup(text: str) -> str:
    """A text as Markdown that shows it as it is.

    >>> markup("<b>[x](y)")
    '&lt;b&gt;\\\\[x\\\\](y)'
    """
    return "".join(LITERAL.get(sign, sign) for sign in text)


def _id(assessment: Assessment, *parts: str) -> str:
    return identity(assessment, "oscal", *parts)


def _metadata(design: Design, assessment: Assessment) -> Node:
    owner = _id(assessment, "owner")
    return {
        "title": markup(f"Assessment of {assessment.design}, version {assessment.version}"),
        "last-modified": moment(assessment),
        "version": str(assessment.version),
        "oscal-version": VERSION,
        "props": _props(design=assessment.digest, stack=assessment.stack),
        "roles": [{"id": "owner", "title": "Owner of the design"}],
        "parties": [{"uuid": owner, "type": "organization", "name": design.meta.owner}],
        "responsible-parties": [{"role-id": "owner", "party-uuids": [owner]}],
        "remarks": markup(NOTICE),
    }


def _objectives(design: Design) -> list[Node]:
    """The criteria, each an objective of its threat."""
    return [
        {
            "control-id": one.threat,
            "description": markup(f"What the design asks under {one.threat} by {one.adversary}."),
            "parts": [{"id": one.id, "name": "objective", "prose": markup(wording(one))}],
        }
        for one in design.acceptance
    ]


def _result(design: Design, assessment: Assessment, catalog: Catalog) -> Node:
    design_text = f"the design {assessment.design} with the stack {assessment.stack}"
    found = RESULT[assessment.outcome].format(design_text)
    made: Node = {
        "uuid": document_id(assessment, "oscal result"),
        "title": markup(f"{found[0].upper()}{found[1:]}"),
        "description": (
            "What simulated attacks did in simulated hospitals. Evidence holds no times: each time"
            " here is the day of the assessment."
        ),
        "start": moment(assessment),
        "props": _props(
            outcome=assessment.outcome,
            runs=str(assessment.n_runs),
            evidence=assessment.head,
        ),
        "local-definitions": {
            "components": _elements(design, assessment),
            "assessment-assets": _assets(assessment),
        },
        "reviewed-controls": _reviewed(design, assessment, catalog),
        "observations": [_observation(one, assessment) for one in assessment.statements],
        "risks": [_risk(row, assessment, catalog) for row in assessment.rows],
        "findings": [_finding(one, assessment) for one in assessment.criteria],
        "remarks": markup(NOTICE),
    }
    return {key: value for key, value in made.items() if value}


def _elements(design: Design, assessment: Assessment) -> list[Node]:
    """The elements of the data flow diagram, and the stack that stands for the design."""
    zones = {zone.id: zone.kind for zone in design.zones}
    found: list[tuple[str, str, str]] = [
        (one.id, one.dfd, f"{one.role}, in the zone {one.zone} ({zones[one.zone]})")
        for one in design.components
    ]
    found += [(one.id, "interconnection", f"from {one.from_} to {one.to}") for one in design.flows]
    defense = design.stack(assessment.stack).defense
    found.append((assessment.stack, "policy", f"the defense {defense}"))
    return [
        {
            "uuid": _element(id_, assessment),
            "type": kind,
            "title": markup(id_),
            "description": markup(text),
            "status": {"state": "under-development"},
        }
        for id_, kind, text in found
    ]


def _element(id_: str, assessment: Assessment) -> str:
    return _id(assessment, "element", id_)


def _assets(assessment: Assessment) -> Node:
    return {
        "components": [
            {
                "uuid": _id(assessment, "tool"),
                "type": "software",
                "title": TOOL,
                "description": "A simulator of attacks on federated learning between hospitals.",
                "props": [{"name": "version", "value": __version__}],
                "status": {"state": "operational"},
            }
        ],
        "assessment-platforms": [
            {
                "uuid": _id(assessment, "platform"),
                "title": f"{TOOL} {__version__}",
                "uses-components": [{"component-uuid": _id(assessment, "tool")}],
            }
        ],
    }


def _reviewed(design: Design, assessment: Assessment, catalog: Catalog) -> Node:
    """Every control that would mitigate a threat of the register, declared or not."""
    known = titles(catalog)
    declared = {one.id: one.enforced_by for one in design.stack(assessment.stack).controls}
    rows = assessment.rows
    named = sorted({id_ for row in rows for id_ in (*row.controls, *row.absent_controls)})
    texts = [
        f"{id_} ({known[id_]}): "
        + (f"enforced by the {declared[id_]}." if id_ in declared else "not declared.")
        for id_ in named
    ]
    chosen: Node = {"include-all": {}}
    if named:
        chosen = {"include-controls": [{"control-id": id_} for id_ in named]}
    return {
        "description": markup(sentences(texts) or "No control bears on these threats."),
        "control-selections": [chosen],
        "control-objective-selections": [
            {"include-objectives": [{"objective-id": one.id} for one in design.acceptance]}
        ],
    }


def _observation(one: Statement, assessment: Assessment) -> Node:
    claim = one.claim
    elements = dict.fromkeys(row.element for row in assessment.rows if one.id in row.evidence)
    made: Node = {
        "uuid": _id(assessment, "observation", one.id),
        "title": markup(f"{claim.attack} by {claim.adversary}, on the stack {claim.stack}"),
        "description": markup(sentences((claim.text, one.text))),
        "props": _props(
            statement=one.id,
            claim=claim.id,
            threat=claim.threat,
            stated=one.stated,
            result=one.result,
            grade=one.grade,
            defense=one.defense,
            rate=number(one.rate),
            lower=number(one.lower),
            upper=number(one.upper),
        ),
        "methods": ["TEST"],
        "origins": [_origin(assessment)],
        "subjects": [
            {"subject-uuid": _element(id_, assessment), "type": "component"} for id_ in elements
        ],
        "relevant-evidence": [
            *(_evidence(source, "a run of the attack") for source in one.runs),
            *(_evidence(source, "a control of the attack") for source in one.controls),
        ],
        "collected": moment(assessment),
        "remarks": markup("; ".join((*one.doubts, *one.limits))),
    }
    return {key: value for key, value in made.items() if value}


def _evidence(source: Source, what: str) -> Node:
    return {
        "href": line(source.line),
        "description": f"The line of {EVIDENCE} with this hash: {what}.",
        "props": _props(run=source.run, sha256=source.line),
    }


def _risk(row: RegisterRow, assessment: Assessment, catalog: Catalog) -> Node:
    decision = row.decision
    statement = sentences((row.residual, row.text, "; ".join(row.reasons)))
    made: Node = {
        "uuid": _row(row, assessment),
        "title": markup(f"{row.name} ({row.id})"),
        "description": markup(row.plain),
        "statement": markup(statement),
        "props": _props(
            row=row.id,
            kind=row.kind,
            threat=row.threat,
            adversary=row.adversary,
            status=STATUS[row.status],
            grade=row.grade,
            decision=decision.decision,
            decided_by=decision.by,
            decision_expires=decision.expires.isoformat() if decision.expires else None,
        ),
        "status": "open",
        "origins": [_origin(assessment)],
        "mitigating-factors": [
            {
                "uuid": _id(assessment, "mitigation", row.id, id_),
                "description": markup(f"{id_}: {titles(catalog)[id_]}"),
            }
            for id_ in row.controls
        ],
        "characterizations": _characterizations(row, assessment),
        "related-observations": [
            {"observation-uuid": _id(assessment, "observation", id_)} for id_ in row.evidence
        ],
    }
    if row.kind == "threat":
        made |= _techniques(row, catalog)
    return {key: value for key, value in made.items() if value}


def _row(row: RegisterRow, assessment: Assessment) -> str:
    return _id(assessment, "row", row.id)


def _techniques(row: RegisterRow, catalog: Catalog) -> Node:
    """Techniques that cover a threat as its ids, and those for something similar as links."""
    known = catalog.threat(row.threat).atlas
    return {
        "threat-ids": [
            {"system": ATLAS, "href": technique(one.id), "id": technique(one.id)}
            for one in known
            if one.fit == "direct"
        ],
        "links": [
            {"href": technique(one.id), "rel": "related", "text": "written for something similar"}
            for one in known
            if one.fit == "near"
        ],
    }


def _characterizations(row: RegisterRow, assessment: Assessment) -> list[Node]:
    states = {"initial": row.initial, "adjusted": row.adjusted}
    return [
        {"origin": _origin(assessment), "facets": list(_facets(state, found))}
        for state, found in states.items()
        if found is not None
    ]


def _facets(state: str, found: Range) -> Iterable[Node]:
    """Levels of NIST SP 800-30, by the bound that does not flatter a defense, and by the other."""
    sides: Mapping[str, Risk] = {"upper": found.upper, "lower": found.lower}
    for bound, risk in sides.items():
        levels = {"likelihood": risk.likelihood, "impact": risk.impact, "risk": risk.risk}
        for name, level in levels.items():
            yield {
                "name": name,
                "system": LEVELS,
                "value": WORDS[level],
                "props": [{"name": "state", "value": state}, *_props(bound=bound)],
            }


def _finding(one: Judged, assessment: Assessment) -> Node:
    status = dict(STATES[one.outcome])
    if one.outcome == "inconclusive":
        status["remarks"] = markup(sentences(("Not decided.", "; ".join(one.reasons))))
    made: Node = {
        "uuid": _id(assessment, "finding", one.id),
        "title": markup(f"The criterion {one.id} is {one.outcome.replace('_', ' ')}"),
        "description": markup(one.text),
        "props": _props(
            criterion=one.id,
            outcome=one.outcome,
            metric=one.metric,
            bound=one.bound,
            limit=number(one.limit),
            stated=one.stated,
            decisive=one.decisive,
        ),
        "origins": [_origin(assessment)],
        "target": {"type": "objective-id", "target-id": one.id, "status": status},
        "related-observations": [
            {"observation-uuid": _id(assessment, "observation", made.id)}
            for made in statements_of(one, assessment)
        ],
        "related-risks": [{"risk-uuid": _row(row, assessment)} for row in rows_of(one, assessment)],
    }
    return {key: value for key, value in made.items() if value}


def _origin(assessment: Assessment) -> Node:
    return {"actors": [{"type": "tool", "actor-uuid": _id(assessment, "tool")}]}


def _props(**values: str | None) -> list[Node]:
    """Properties of our own; one without a value is left out."""
    return [
        {"name": name, "ns": NAMESPACE, "value": value} for name, value in values.items() if value
    ]


def _plan(assessment: Assessment) -> Node:
    return {
        "uuid": _id(assessment, "plan"),
        "title": "What was claimed before the runs",
        "description": "Not an OSCAL plan: the claims that the runs were to show, chained by hash.",
        "rlinks": [{"href": f"../{CLAIMS}"}],
    }


def _files(assessment: Assessment) -> Node:
    return {
        "uuid": _id(assessment, "files"),
        "title": "Evidence, register and verdict",
        "rlinks": [{"href": f"../{name}"} for name in (EVIDENCE, REGISTER, VERDICT)],
    }
