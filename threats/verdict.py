"""Verdict and register as files: sentences for people, the same as JSON and CSV for programs."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from io import StringIO
from pathlib import Path
from typing import Final

from pydantic import BaseModel

from sim import files
from sim.errors import InputError
from sim.evidence import EVIDENCE, Chain
from sim.evidence.columns import Column
from sim.evidence.spreadsheet import rows as spreadsheet_rows
from sim.evidence.written import count
from sim.types import Node, TableRow
from threats import claims
from threats.assessment import Assessment, RegisterRow
from threats.catalog import Catalog
from threats.levels import WORDS

VERDICT: Final = "verdict.json"
REGISTER: Final = "register.json"
TABLE: Final = "register.csv"
VERDICT_SCHEMA: Final = "wardround.verdict/1"
REGISTER_SCHEMA: Final = "wardround.register/1"
NOTICE: Final = (
    "This is no legal advice. It states what simulated attacks did in simulated hospitals; whether"
    " a rule applies, and whether a risk is taken, is for people to decide."
)
RESULT: Final = {
    "met": "{} meets its criteria",
    "not_met": "{} does not meet its criteria",
    "inconclusive": "Whether {} meets its criteria is not decided",
}
STATUS: Final = {
    "measured": "measured",
    "inconclusive": "inconclusive",
    "literature_only": "known from the literature only",
    "not_tested": "not tested",
    "not_testable_by_simulation": "not testable by simulation",
}

NOT_RUN: Final = "nothing was run for it"
NO_DECISION: Final = "nobody has decided"
REGISTER_TABLE: Final[Mapping[str, Column]] = {
    "id": Column("text", "The row's id: the same for the same threat, element and adversary."),
    "kind": Column("text", "`threat`, or `conflict` of two parts of the design."),
    "threat": Column("text", "The threat's id in the catalog."),
    "name": Column("text", "The threat's name."),
    "element": Column("text", "The id of the element of the design; of a conflict the stack."),
    "adversary": Column("text", "The adversary's id in the design, or `anybody`."),
    "stack": Column("text", "The stack of defenses of the design."),
    "status": Column("text", f"{', '.join(f'`{name}`' for name in STATUS)}."),
    "color": Column("text", "`red`, `amber`, `green`, or `gray` where no risk is known."),
    "grade": Column("text", "The grade of the best evidence, `E0` to `E4`."),
    "initiation": Column(
        "text",
        "How likely the adversary is to begin, as the design states.",
        "level of NIST SP 800-30",
        "the threat needs no adversary",
    ),
    "initial_risk": Column(
        "text", "The risk without controls, at most.", "level of NIST SP 800-30", NOT_RUN
    ),
    "adjusted_risk": Column(
        "text", "The risk with the stack, at most.", "level of NIST SP 800-30", NOT_RUN
    ),
    "adjusted_risk_lower": Column(
        "text", "The risk with the stack, at least.", "level of NIST SP 800-30", NOT_RUN
    ),
    "impact": Column(
        "text", "The impact with the stack, at most.", "level of NIST SP 800-30", NOT_RUN
    ),
    "text": Column("text", "The figures in words.", "", NOT_RUN),
    "residual": Column("text", "What is left, in words."),
    "reasons": Column("text", "Why the row is not measured.", "", "it is measured"),
    "controls": Column("text", "Controls of the catalog that the stack has.", "", "there are none"),
    "absent_controls": Column(
        "text", "Controls of the catalog that the stack does not have.", "", "there are none"
    ),
    "decision": Column("text", "`accept`, `mitigate`, `transfer` or `avoid`.", "", NO_DECISION),
    "decided_by": Column("text", "Who decided.", "", NO_DECISION),
    "expires": Column("text", "The decision's last day.", "date", NO_DECISION),
    "evidence": Column("text", "The ids of the statements that it stands on.", "", NOT_RUN),
    "runs": Column("text", "The addresses of the runs that it stands on.", "", NOT_RUN),
    "stride": Column("text", "Letters of STRIDE.", "", "none fits"),
    "linddun": Column("text", "Categories of LINDDUN.", "", "none fits"),
    "owasp": Column("text", "Entries of the OWASP ML Security Top Ten.", "", "none fits"),
    "atlas": Column("text", "Techniques of MITRE ATLAS, with the release.", "", "none fits"),
    "nist_aml": Column("text", "Entries of NIST AI 100-2.", "", "none fits"),
    "hipaa": Column(
        "text", "Provisions of HIPAA that it may bear on, each with its relevance.", "", "none fits"
    ),
    "ai_rmf": Column("text", "Subcategories of NIST AI 100-1.", "", "none fits"),
    "aisvs": Column("text", "Requirements of OWASP AISVS.", "", "none fits"),
    "stride_beyond": Column(
        "text",
        "Letters of `stride` that STRIDE by element does not give to such an element.",
        "",
        "there are none",
    ),
    "hipaa_titles": Column("text", "The title of each provision of `hipaa`.", "", "none fits"),
    "hipaa_conditions": Column(
        "text",
        "The fact without which a conditional provision of `hipaa` does not bear on the threat.",
        "",
        "none is conditional",
    ),
    "hipaa_reasons": Column(
        "text", "Why each provision of `hipaa` bears on the threat.", "", "none fits"
    ),
}
OF_DESIGN: Final[Mapping[str, Column]] = {
    "schema": Column("text", "The version of this form."),
    "notice": Column("text", "What this is not."),
    "design.name": Column("text", "The name of the design."),
    "design.version": Column("whole number", "Its version."),
    "design.sha256": Column("text", "The hash of its content."),
    "design.stack": Column("text", "The stack of defenses that was tried."),
    "on": Column("text", "The day of the assessment.", "date"),
}
OF_EVIDENCE: Final[Mapping[str, Column]] = {
    "evidence.file": Column("text", "The file that all of this stands on."),
    "evidence.runs": Column("whole number", "How many runs it held then.", "runs"),
    "evidence.bytes": Column("whole number", "How long it was then.", "bytes"),
    "evidence.hash": Column("text", "The hash of its last line then."),
}
VERDICT_TABLE: Final[Mapping[str, Column]] = {
    **OF_DESIGN,
    "outcome": Column("text", "The verdict: `met`, `not_met` or `inconclusive`."),
    "summary": Column("list of texts", "The verdict in sentences."),
    "criteria": Column("list of Judged", "Every criterion, judged."),
    "residual.row": Column("text", "The id of a row of the register."),
    "residual.name": Column("text", "The threat's name."),
    "residual.status": Column("text", "What stands behind the row."),
    "residual.color": Column("text", "The row's color."),
    "residual.risk": Column(
        "text", "The adjusted risk, at most.", "level of NIST SP 800-30", NOT_RUN
    ),
    "residual.text": Column("text", "What is left, in words."),
    "residual.figures": Column("text", "The figures in words."),
    "residual.runs": Column("list of texts", "The addresses of the runs behind it."),
    "residual.decision": Column("DecisionField", "What a person decided about it."),
    "conflicts.row": Column("text", "The id of a row of the register."),
    "conflicts.between": Column("text", "The two parts of the design."),
    "conflicts.text": Column("text", "What is lost."),
    "questions": Column("list of texts", "What the design leaves open."),
    "decision": Column("DecisionField", "What a person decided about the whole."),
    "breach_worksheet": Column("list of Worksheet", "Inputs to the factors of 45 CFR 164.402."),
    "ai_rmf.id": Column("text", "A subcategory of NIST AI 100-1 that the tool contributes to."),
    "ai_rmf.title": Column("text", "Its title."),
    "ai_rmf.by": Column("text", "What contributes to it."),
    **OF_EVIDENCE,
}
REGISTER_KEYS: Final[Mapping[str, Column]] = {
    **OF_DESIGN,
    "rows": Column("list of RegisterRow", "Every row."),
    "statements": Column(
        "list of Statement", "The statements behind them; each also has its `claim_id`."
    ),
    "excluded": Column("list of Excluded", "Threats that do not apply, and why."),
    **OF_EVIDENCE,
}


def write(folder: Path, assessment: Assessment, catalog: Catalog) -> None:
    """Write verdict and register into a folder: each file whole or not at all."""
    files.replace(folder / REGISTER, _json(register_json(assessment)))
    write_table(folder, assessment)
    files.replace(folder / VERDICT, _json(verdict_json(assessment, catalog)))


def write_table(folder: Path, assessment: Assessment) -> None:
    """Write the register as a table into a folder."""
    files.replace(folder / TABLE, register_csv(assessment))


def check(folder: Path, chain: Chain) -> None:
    """Refuse evidence on which the verdict of its folder does not stand. Raises ``InputError``.

    Claims, where there are some, have to be a chain as well.
    """
    claims.stated(folder)
    head = _named_head(folder)
    if head is not None and not chain.has(head):
        raise InputError(
            "folder",
            folder,
            f"expected the {EVIDENCE} on which {VERDICT} stands: no line of it has the hash that"
            " the verdict names, so lines were left out or changed",
        )


def summary(assessment: Assessment) -> list[str]:
    """The verdict in sentences: criteria, what was measured, the highest risks and the evidence."""
    return list(_summary(assessment))


def verdict_json(assessment: Assessment, catalog: Catalog) -> Node:
    """The verdict as plain values."""
    threats = [row for row in assessment.rows if row.kind == "threat"]
    titles = {entry.id: entry.title for entry in catalog.taxonomies.ai_rmf.entries}
    return {
        "schema": VERDICT_SCHEMA,
        "notice": NOTICE,
        "design": _design(assessment),
        "on": assessment.on.isoformat(),
        "outcome": assessment.outcome,
        "summary": summary(assessment),
        "criteria": [_plain(one) for one in assessment.criteria],
        "residual": [_left(row) for row in threats],
        "conflicts": [
            {"row": row.id, "between": row.name, "text": row.plain}
            for row in assessment.rows
            if row.kind == "conflict"
        ],
        "questions": list(assessment.questions),
        "decision": _plain(assessment.decision),
        "breach_worksheet": [_plain(one) for one in assessment.worksheets],
        "ai_rmf": [{"id": id_, "title": titles[id_], "by": by} for id_, by in assessment.answers],
        "evidence": _evidence(assessment),
    }


def register_json(assessment: Assessment) -> Node:
    """The register as plain values: rows, the statements behind them, and what does not apply."""
    return {
        "schema": REGISTER_SCHEMA,
        "notice": NOTICE,
        "design": _design(assessment),
        "on": assessment.on.isoformat(),
        "rows": [_plain(row) for row in assessment.rows],
        "statements": [{**_plain(one), "claim_id": one.claim.id} for one in assessment.statements],
        "excluded": [_plain(one) for one in assessment.excluded],
        "evidence": _evidence(assessment),
    }


def register_csv(assessment: Assessment) -> bytes:
    """The register as a table, one line a row; no cell is a formula for a spreadsheet."""
    table = [cells(row) for row in assessment.rows]
    out = StringIO(newline="")
    columns = list(table[0]) if table else ["id"]
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writerows(spreadsheet_rows([{name: name for name in columns}, *table]))
    return out.getvalue().encode()


def _summary(assessment: Assessment) -> Iterator[str]:
    counts = Counter[str](one.outcome for one in assessment.criteria)
    n = len(assessment.criteria)
    words = {"met": "met", "not_met": "not met", "inconclusive": "not decided"}
    if n == 0:
        parts = ["it has none"]
    elif n == 1:
        parts = [f"its only criterion is {words[assessment.criteria[0].outcome]}"]
    else:
        some = f"{counts['met'] or 'none'} of {n}"
        parts = [f"{some} {'is' if counts['met'] < 2 else 'are'} met"]
        others = [(counts[key], words[key]) for key in ("not_met", "inconclusive") if counts[key]]
        parts += [f"{count(number, 'is', 'are')} {text}" for number, text in others]
    design = (
        f"the design {assessment.design}, version {assessment.version},"
        f" with the stack {assessment.stack},"
    )
    result = RESULT[assessment.outcome].format(design)
    yield f"{result[0].upper()}{result[1:]}: {', '.join(parts)}."
    for one in assessment.criteria:
        yield one.text
    threats = [row for row in assessment.rows if row.kind == "threat"]
    statuses = Counter(row.status for row in threats)
    shown = ", ".join(f"{number} {STATUS[status]}" for status, number in statuses.items())
    rows = count(len(threats), "row of a threat", "rows of threats")
    yield f"The register has {rows}: {shown}. What is not measured is open."
    known = [row for row in threats if row.adjusted is not None]
    for row in known[:3]:
        yield f"{row.name} ({row.id}): {row.residual} {row.text}"
    yield (
        f"All of this stands on {count(assessment.n_runs, 'run')} in {EVIDENCE}, whose last line"
        f" has the hash {assessment.head}."
    )
    yield NOTICE


def _left(row: RegisterRow) -> Node:
    upper = row.adjusted.upper.risk if row.adjusted else None
    return {
        "row": row.id,
        "name": row.name,
        "status": row.status,
        "color": row.color,
        "risk": upper,
        "text": row.residual,
        "figures": row.text,
        "runs": [source.run for source in row.sources],
        "decision": _plain(row.decision),
    }


def cells(row: RegisterRow) -> TableRow:
    """A row of the register as one of ``register.csv``, before it is made fit for spreadsheets."""
    initial = row.initial
    adjusted = row.adjusted
    return {
        "id": row.id,
        "kind": row.kind,
        "threat": row.threat,
        "name": row.name,
        "element": row.element,
        "adversary": row.adversary,
        "stack": row.stack,
        "status": row.status,
        "color": row.color,
        "grade": row.grade,
        "initiation": WORDS[row.initiation] if row.initiation else "",
        "initial_risk": WORDS[initial.upper.risk] if initial else "",
        "adjusted_risk": WORDS[adjusted.upper.risk] if adjusted else "",
        "adjusted_risk_lower": WORDS[adjusted.lower.risk] if adjusted else "",
        "impact": WORDS[adjusted.upper.impact] if adjusted else "",
        "text": row.text,
        "residual": row.residual,
        "reasons": "; ".join(row.reasons),
        "controls": " ".join(row.controls),
        "absent_controls": " ".join(row.absent_controls),
        "decision": row.decision.decision or "",
        "decided_by": row.decision.by or "",
        "expires": row.decision.expires.isoformat() if row.decision.expires else "",
        "evidence": " ".join(row.evidence),
        "runs": " ".join(source.run for source in row.sources),
        "stride": " ".join(row.stride),
        "linddun": " ".join(row.linddun),
        "owasp": " ".join(row.owasp),
        "atlas": "; ".join(row.atlas),
        "nist_aml": " ".join(row.nist_aml),
        "hipaa": "; ".join(f"{one.cite} ({one.relevance})" for one in row.hipaa),
        "ai_rmf": "; ".join(row.ai_rmf),
        "aisvs": " ".join(row.aisvs),
        "stride_beyond": " ".join(row.stride_beyond),
        "hipaa_titles": _of_each((one.cite, one.title) for one in row.hipaa),
        "hipaa_conditions": _of_each((one.cite, one.condition) for one in row.hipaa),
        "hipaa_reasons": _of_each((one.cite, one.why) for one in row.hipaa),
    }


def _of_each(texts: Iterable[tuple[str, str]]) -> str:
    """Texts on several provisions in one cell; one without a text is left out."""
    return " | ".join(f"{cite}: {text}" for cite, text in texts if text)


def _design(assessment: Assessment) -> Node:
    return {
        "name": assessment.design,
        "version": assessment.version,
        "sha256": assessment.digest,
        "stack": assessment.stack,
    }


def _evidence(assessment: Assessment) -> Node:
    return {
        "file": EVIDENCE,
        "runs": assessment.n_runs,
        "bytes": assessment.bytes,
        "hash": assessment.head,
    }


def _plain(value: BaseModel) -> Node:
    return value.model_dump(mode="json")


def _json(value: Node) -> bytes:
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode("utf-8")


def _named_head(folder: Path) -> Node | None:
    """The head that the folder's verdict names; None without a verdict. Raises ``InputError``."""
    try:
        stated = files.parsed(files.content(folder / VERDICT))["evidence"]
        return {"bytes": stated["bytes"], "hash": stated["hash"]}
    except FileNotFoundError:
        return None
    except (KeyError, TypeError):
        reason = ""
    except OSError as error:
        reason = f" ({error.strerror})"
    except ValueError as error:
        reason = f" ({error})"
    raise InputError("folder", folder, f"expected a {VERDICT} that names its evidence{reason}")
