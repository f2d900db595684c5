"""An assessment as SARIF 2.1.0: threats and conflicts are rules, rows and criteria are results.

A design has no lines of code: the locations are its elements. A result passes only where the
register is green or a criterion is met; what nobody measured is open, and never a pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from sim import __version__
from sim.evidence import EVIDENCE
from sim.types import Node
from threats.applicability import ANYBODY, Excluded
from threats.assessment import Assessment, RegisterRow
from threats.catalog import Catalog, Entry, Taxonomy, Threat
from threats.claims import CLAIMS
from threats.criteria import Judged, Outcome
from threats.exports.values import (
    TOOL,
    document_id,
    identity,
    line,
    rows_of,
    sentences,
    technique,
)
from threats.levels import WORDS
from threats.risk import Range
from threats.statements import Source
from threats.system import Design
from threats.verdict import NOTICE, REGISTER, STATUS, VERDICT

SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
VERSION: Final = "2.1.0"
# In SARIF these begin a link or a placeholder; so they stand for themselves.
LITERAL: Final = {"\\": "\\\\", "[": "\\[", "]": "\\]", "{": "{{", "}": "}}"}
LISTS: Final = ("stride", "linddun", "owasp", "atlas", "nist_aml", "ai_rmf", "hipaa", "aisvs")
JUDGED: Final[Mapping[Outcome, Node]] = {
    "met": {"kind": "pass", "level": "none"},
    "not_met": {"kind": "fail", "level": "error"},
    "inconclusive": {"kind": "open", "level": "none"},
}


class Reference(NamedTuple):
    """An id in one of the lists that a threat refers to, and what has to be stated of it."""

    taxonomy: str
    id: str
    note: str = ""


def document(design: Design, assessment: Assessment, catalog: Catalog) -> Node:
    """The SARIF log as plain values."""
    places = _places(design, assessment)
    used = _used(catalog)
    rules = [*_threats(catalog, used), *_conflicts(catalog)]
    index = {rule["id"]: number for number, rule in enumerate(rules)}
    results = [
        *(_row(row, assessment, places) for row in assessment.rows),
        *(_criterion(one, assessment, places) for one in assessment.criteria),
        *(_excluded(one, assessment) for one in assessment.excluded),
    ]
    for result in results:
        result["ruleIndex"] = index[result["ruleId"]]
    run: Node = {
        "tool": {
            "driver": {
                "name": TOOL,
                "version": __version__,
                "semanticVersion": __version__,
                "shortDescription": _text("Attacks on designs of federated learning, as runs."),
                "fullDescription": _text(NOTICE),
                "rules": rules,
                "supportedTaxonomies": [
                    {"name": used[key][0].name, "index": number} for number, key in enumerate(LISTS)
                ],
            }
        },
        "automationDetails": {
            "id": f"{TOOL}/{assessment.digest[:12]}/",
            "guid": document_id(assessment, "sarif"),
        },
        "invocations": [{"executionSuccessful": True}],
        "artifacts": [
            {"location": {"uri": f"../{name}"}} for name in (EVIDENCE, CLAIMS, REGISTER, VERDICT)
        ],
        "logicalLocations": [one for one, _ in places.values()],
        "taxonomies": [_taxonomy(key, used) for key in LISTS],
        "results": results,
        "properties": {
            "notice": NOTICE,
            "design": assessment.design,
            "version": assessment.version,
            "digest": assessment.digest,
            "stack": assessment.stack,
            "on": assessment.on.isoformat(),
            "outcome": assessment.outcome,
            "runs": assessment.n_runs,
            "evidence": assessment.head,
        },
    }
    return {"$schema": SCHEMA, "version": VERSION, "runs": [run]}


def message(text: str) -> str:
    """A text as SARIF shows it: no link, and no placeholder.

    >>> message("[x](y) {0}")
    '\\\\[x\\\\](y) {{0}}'
    """
    return "".join(LITERAL.get(sign, sign) for sign in text)


def _text(text: str) -> Node:
    return {"text": message(text)}


_Places = Mapping[str, tuple[Node, int]]  # by id an element, and its place in the list of them
_Used = Mapping[str, tuple[Taxonomy, list[Entry]]]  # by key a list, and its entries in use


def _places(design: Design, assessment: Assessment) -> _Places:
    """Zones, the components in them, flows, and the stack, by id."""
    found: dict[str, tuple[Node, int]] = {}

    def add(id_: str, kind: str, zone: str | None = None) -> None:
        made: Node = {"name": id_, "kind": kind, "fullyQualifiedName": id_}
        if zone is not None:
            made |= {"fullyQualifiedName": f"{zone}/{id_}", "parentIndex": found[zone][1]}
        found[id_] = made, len(found)

    for zone in design.zones:
        add(zone.id, "zone")
    for component in design.components:
        add(component.id, component.dfd, component.zone)
    for flow in design.flows:
        add(flow.id, "flow")
    add(assessment.stack, "stack")
    return found


def _threats(catalog: Catalog, used: _Used) -> Iterator[Node]:
    for threat in catalog.threats:
        yield {
            "id": threat.id,
            "name": threat.name,
            "shortDescription": _text(threat.name),
            "fullDescription": _text(threat.plain),
            "relationships": [_relationship(one, used) for one in _references(threat)],
            "properties": {
                "violation": list(threat.violation),
                "mitigations": list(threat.mitigations),
                "attacks": list(threat.attacks),
            },
        }


def _conflicts(catalog: Catalog) -> Iterator[Node]:
    for clash in catalog.conflicts:
        yield {
            "id": clash.id,
            "name": clash.between,
            "shortDescription": _text(clash.between),
            "fullDescription": _text(clash.text),
            "properties": {"mitigations": list(clash.mitigations)},
        }


def _references(threat: Threat) -> Iterator[Reference]:
    for key in ("stride", "linddun", "owasp", "nist_aml", "ai_rmf", "aisvs"):
        yield from (Reference(key, id_) for id_ in getattr(threat, key))
    for technique_ in threat.atlas:
        note = "written for something similar" if technique_.fit == "near" else ""
        yield Reference("atlas", technique_.id, note)
    for provision in threat.hipaa:
        only = f", only if {provision.condition}" if provision.condition else ""
        yield Reference("hipaa", provision.cite, f"{provision.relevance}{only}: {provision.why}")


def _relationship(one: Reference, used: _Used) -> Node:
    taxonomy, entries = used[one.taxonomy]
    made: Node = {
        "target": {
            "id": one.id,
            "index": [entry.id for entry in entries].index(one.id),
            "toolComponent": {"name": taxonomy.name, "index": LISTS.index(one.taxonomy)},
        },
        "kinds": ["relevant"],
    }
    return made | {"description": _text(one.note)} if one.note else made


def _used(catalog: Catalog) -> _Used:
    """Each list with those of its entries that a threat refers to, in their order."""
    named = {(one.taxonomy, one.id) for threat in catalog.threats for one in _references(threat)}
    lists: dict[str, Taxonomy] = {key: getattr(catalog.taxonomies, key) for key in LISTS}
    return {
        key: (taxonomy, [one for one in taxonomy.entries if (key, one.id) in named])
        for key, taxonomy in lists.items()
    }


def _taxonomy(key: str, used: _Used) -> Node:
    taxonomy, entries = used[key]
    return {
        "name": taxonomy.name,
        "version": taxonomy.release,
        "shortDescription": _text(f"Ids of {taxonomy.name}, {taxonomy.release}"),
        "isComprehensive": False,
        "taxa": [_taxon(key, entry) for entry in entries],
    }


def _taxon(key: str, entry: Entry) -> Node:
    made: Node = {"id": entry.id, "shortDescription": _text(entry.title)}
    return made | {"helpUri": technique(entry.id)} if key == "atlas" else made


def _row(row: RegisterRow, assessment: Assessment, places: _Places) -> Node:
    by = "" if row.adversary == ANYBODY else f" by {row.adversary}"
    start = f"{row.name}{by} at {row.element}, with the stack {row.stack}: {STATUS[row.status]}."
    return (
        _result(row.threat, ("row", row.id), assessment)
        | _row_kind(row)
        | {
            "message": _text(sentences((start, row.residual, row.text, "; ".join(row.reasons)))),
            "locations": [_location(row.element, places)],
            "properties": {
                "row": row.id,
                "kind": row.kind,
                "status": row.status,
                "color": row.color,
                "grade": row.grade,
                "initial_risk": _risk(row.initial),
                "adjusted_risk": _risk(row.adjusted),
                "controls": list(row.controls),
                "decision": row.decision.model_dump(mode="json"),
                "statements": list(row.evidence),
                "evidence": _lines(row.sources),
            },
        }
    )


def _row_kind(row: RegisterRow) -> Node:
    """High risk fails whatever is missing; only what was measured and is at most low passes."""
    if row.color == "red":
        return {"kind": "fail", "level": "error"}
    if row.color == "green":
        return {"kind": "pass", "level": "none"}
    if row.status == "measured":
        return {"kind": "fail", "level": "warning"}
    if row.status in ("inconclusive", "not_tested"):
        return {"kind": "open", "level": "none"}
    return {"kind": "review", "level": "none"}


def _criterion(one: Judged, assessment: Assessment, places: _Places) -> Node:
    elements = dict.fromkeys(row.element for row in rows_of(one, assessment))
    return (
        _result(one.threat, ("criterion", one.id), assessment)
        | JUDGED[one.outcome]
        | {
            "message": _text(one.text),
            "locations": [_location(id_, places) for id_ in elements],
            "properties": {
                "criterion": one.id,
                "outcome": one.outcome,
                "stated": one.stated,
                "reasons": list(one.reasons),
                "evidence": _lines(run for tried in one.tried for run in tried.runs),
            },
        }
    )


def _excluded(one: Excluded, assessment: Assessment) -> Node:
    """A threat that does not apply, with the reason as the code of the register."""
    made = _result(one.threat, ("excluded", f"{one.threat}/{one.adversary}"), assessment)
    return made | {
        "kind": "notApplicable",
        "level": "none",
        "message": _text(one.reason),
        "properties": {"adversary": one.adversary, "code": one.code},
    }


def _result(rule: str, key: tuple[str, str], assessment: Assessment) -> Node:
    """The part that all results have: their rule and ids. The fingerprint outlives a new design."""
    return {
        "ruleId": rule,
        "guid": identity(assessment, "sarif", rule, *key),
        "partialFingerprints": {f"{TOOL}/{key[0]}/v1": key[1]},
    }


def _location(id_: str, places: _Places) -> Node:
    place, index = places[id_]
    return {
        "logicalLocations": [
            {
                "name": place["name"],
                "kind": place["kind"],
                "fullyQualifiedName": place["fullyQualifiedName"],
                "index": index,
            }
        ]
    }


def _lines(sources: Iterable[Source]) -> list[Node]:
    return [{"run": one.run, "href": line(one.line)} for one in sources]


def _risk(found: Range | None) -> str | None:
    return None if found is None else WORDS[found.upper.risk]
