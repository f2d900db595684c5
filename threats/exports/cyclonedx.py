"""An assessment as a CycloneDX 1.7 bill of materials of the model that a design trains.

The model card has figures of the runs. The declarations have what was claimed: evidence where runs
support a claim, counter-evidence where they refute it, and neither where nothing is decided.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from sim import __version__
from sim.evidence import EVIDENCE, Chain, RunRecord
from sim.evidence.controls import NONE
from sim.evidence.intervals import mean_interval
from sim.evidence.metrics import METRICS
from sim.types import Node
from threats.assessment import Assessment
from threats.catalog import Catalog
from threats.claims import CLAIMS
from threats.criteria import Judged, Tried, claimed
from threats.exports.values import (
    TOOL,
    document_id,
    line,
    moment,
    number,
    sentences,
    statements_of,
    titles,
)
from threats.statements import Source, Statement
from threats.system import Design
from threats.verdict import NOTICE, REGISTER, VERDICT, summary

SCHEMA: Final = "http://cyclonedx.org/schema/bom-1.7.schema.json"
MODEL: Final = "model"
DATA: Final = "data"
TARGET: Final = "design"
SCORES: Final = {"met": 1, "not_met": 0}
# by result, or by outcome, on which side of a claim its runs are
RESULTS: Final[Mapping[str, str]] = {
    "supports": "evidence",
    "met": "evidence",
    "refutes": "counterEvidence",
    "not_met": "counterEvidence",
    "inconclusive": "",
}


def document(design: Design, assessment: Assessment, catalog: Catalog, chain: Chain) -> Node:
    """The bill of materials as plain values. ``chain``: the evidence of the assessment."""
    return {
        "$schema": SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": "1.7",
        "serialNumber": f"urn:uuid:{document_id(assessment, 'cyclonedx')}",
        "version": 1,
        "metadata": {
            "timestamp": moment(assessment),
            "lifecycles": [{"phase": "design"}],
            "tools": {
                "components": [{"type": "application", "name": TOOL, "version": __version__}]
            },
            "component": _model(design, assessment, catalog, chain),
            "properties": _properties(
                notice=NOTICE,
                design=assessment.digest,
                stack=assessment.stack,
                outcome=assessment.outcome,
                runs=str(assessment.n_runs),
                evidence=assessment.head,
            ),
        },
        "components": [_data(design)],
        "externalReferences": [
            {"type": "risk-assessment", "url": f"../{REGISTER}"},
            {"type": "quality-metrics", "url": f"../{VERDICT}"},
            {"type": "evidence", "url": f"../{EVIDENCE}"},
            {"type": "evidence", "url": f"../{CLAIMS}"},
        ],
        "declarations": _declarations(design, assessment),
        "definitions": {"standards": [_criteria(design)]},
    }


def _model(design: Design, assessment: Assessment, catalog: Catalog, chain: Chain) -> Node:
    return {
        "type": "machine-learning-model",
        "bom-ref": MODEL,
        "name": f"The model of {assessment.design}",
        "version": str(assessment.version),
        "description": (
            "What the design trains. The runs measured models like it; none of them is here."
        ),
        "modelCard": {
            "modelParameters": {
                "approach": {"type": "supervised"},
                "task": "classification",
                "architectureFamily": design.federation.model.name,
                "datasets": [{"ref": DATA}],
            },
            "quantitativeAnalysis": {
                "performanceMetrics": [
                    *_attack_free(assessment, chain),
                    *_of_criteria(assessment),
                    *_of_statements(assessment),
                ]
            },
            "considerations": _considerations(assessment, catalog),
        },
    }


def _data(design: Design) -> Node:
    return {
        "type": "data",
        "bom-ref": DATA,
        "name": design.federation.consortium.name,
        "description": "The records that the hospitals train on. None of them is here.",
        "data": [{"type": "dataset", "name": design.federation.consortium.name}],
    }


def _attack_free(assessment: Assessment, chain: Chain) -> Iterator[Node]:
    """Figures of the stack without an attack, over the runs that statements compare with."""
    ours = [one for one in assessment.statements if one.claim.stack == assessment.stack]
    controls = {source.run for one in ours for source in one.controls}
    defenses = {one.defense for one in ours}
    runs = [
        run
        for run in chain.records
        if run.run in controls and run.attack == NONE and run.defense in defenses
    ]
    for metric, known in METRICS.items():
        if known.basis != "seeds" or known.harm == "neither":
            continue
        values = _values(runs, metric)
        if not values:
            continue
        found = mean_interval(values, known.range)
        slice_ = f"attack-free, stack {assessment.stack}, mean of {len(values)} runs"
        bounds = (None, None) if found is None else (found.low, found.high)
        yield _metric(metric, math.fsum(values) / len(values), slice_, bounds)


def _values(runs: Iterable[RunRecord], metric: str) -> list[float]:
    return [value for run in runs if (value := run.value(metric)) is not None]


def _of_criteria(assessment: Assessment) -> Iterator[Node]:
    for one in assessment.criteria:
        for tried in one.tried:
            if tried.figure is None:
                continue
            of = f" of {tried.hospital}" if tried.hospital else ""
            slice_ = f"criterion {one.id}: {one.over}{of} under {tried.attack} by {one.adversary}"
            kind = f"loss of {one.metric}" if one.bound == "loss_at_most" else one.metric
            if tried.figure is not None:
                yield _metric(kind, tried.figure, slice_, _bounds(one, tried))


def _bounds(one: Judged, tried: Tried) -> tuple[float | None, float | None]:
    """One-sided bounds. The worst seed has none."""
    return (None, None) if one.over == "worst_seed" else (tried.lower, tried.upper)


def _of_statements(assessment: Assessment) -> Iterator[Node]:
    for one in assessment.statements:
        claim = one.claim
        slice_ = (
            f"{claim.attack} by {claim.adversary} ({claim.threat}), stack {claim.stack}:"
            f" one-sided 95 % bounds, {one.grade}, {one.result}"
        )
        yield _metric("rate of success of the attack", one.rate, slice_, (one.lower, one.upper))


def _metric(
    kind: str, value: float, slice_: str, bounds: tuple[float | None, float | None]
) -> Node:
    made: Node = {"type": kind, "value": number(value), "slice": slice_}
    interval = {
        name: number(bound)
        for name, bound in zip(("lowerBound", "upperBound"), bounds, strict=True)
        if bound is not None
    }
    return made | {"confidenceInterval": interval} if interval else made


def _considerations(assessment: Assessment, catalog: Catalog) -> Node:
    known = titles(catalog)
    limits = dict.fromkeys(limit for one in assessment.statements for limit in one.limits)
    return {
        "technicalLimitations": [NOTICE, *limits, *assessment.questions],
        "ethicalConsiderations": [
            {
                "name": f"{row.name} ({row.id}): {row.residual}",
                "mitigationStrategy": "; ".join(f"{id_}: {known[id_]}" for id_ in row.controls)
                or "no control is declared against it",
            }
            for row in assessment.rows
            if row.kind == "threat"
        ],
    }


def _criteria(design: Design) -> Node:
    """The criteria as a list of requirements of the consortium's own."""
    return {
        "bom-ref": "criteria",
        "name": f"Acceptance criteria of {design.meta.name}",
        "version": str(design.meta.version),
        "owner": design.meta.owner,
        "requirements": [
            {
                "bom-ref": _requirement(one.id),
                "identifier": one.id,
                "text": claimed(one)[1],
            }
            for one in design.acceptance
        ],
    }


def _requirement(id_: str) -> str:
    return f"criterion/{id_}"


def _declarations(design: Design, assessment: Assessment) -> Node:
    words = {one.id: claimed(one) for one in design.acceptance}
    return {
        "attestations": [_attestation(assessment, words)],
        "claims": [
            *(_of_statement(one) for one in assessment.statements),
            *(_of_criterion(one, words[one.id], assessment) for one in assessment.criteria),
        ],
        "evidence": [_evidence(one, assessment) for one in assessment.statements],
        "targets": {
            "components": [
                {
                    "type": "application",
                    "bom-ref": TARGET,
                    "name": f"The design {assessment.design}",
                    "version": str(assessment.version),
                }
            ]
        },
    }


def _attestation(assessment: Assessment, words: Mapping[str, tuple[str, str]]) -> Node:
    """What the runs show of each criterion. One that is not decided has no score."""
    return {
        "summary": summary(assessment)[0],
        "map": [_judgement(one, words[one.id][0]) for one in assessment.criteria],
    }


def _judgement(one: Judged, claim: str) -> Node:
    made: Node = {"requirement": _requirement(one.id)}
    if one.outcome == "inconclusive":
        return made
    key = "claims" if one.outcome == "met" else "counterClaims"
    score = {"score": SCORES[one.outcome], "rationale": one.text}
    return made | {key: [claim], "conformance": score}


def _of_statement(one: Statement) -> Node:
    key = RESULTS[one.result]
    return {
        "bom-ref": _claim(one),
        "target": TARGET,
        "predicate": one.claim.text,
        "reasoning": sentences((f"{one.id}: {_decided(one.result)}", one.text)),
    } | ({key: [one.id]} if key else {})


def _claim(one: Statement) -> str:
    """The reference of a claim as the runs of one setting bear on it."""
    return f"{one.claim.id}/{one.id}"


def _of_criterion(one: Judged, words: tuple[str, str], assessment: Assessment) -> Node:
    key = RESULTS[one.outcome]
    refs = [made.id for made in statements_of(one, assessment)]
    return {
        "bom-ref": words[0],
        "target": TARGET,
        "predicate": words[1],
        "reasoning": one.text,
    } | ({key: refs} if key and refs else {})


def _decided(result: str) -> str:
    return "it does not decide this." if result == "inconclusive" else f"it {result} this."


def _evidence(one: Statement, assessment: Assessment) -> Node:
    limits = "; ".join((*one.doubts, *one.limits))
    return {
        "bom-ref": one.id,
        "description": sentences((f"Claim: {one.stated}. Grade {one.grade}.", one.text, limits)),
        "data": [_line(source) for source in (*one.runs, *one.controls)],
        "created": moment(assessment),
    }


def _line(source: Source) -> Node:
    return {"name": source.run, "contents": {"url": line(source.line)}}


def _properties(**values: str) -> list[Node]:
    return [{"name": f"{TOOL}:{name}", "value": value} for name, value in values.items()]
