"""The values that all exports share: ids from content, links to evidence, inert text.

Texts of a design are written by anybody. In an export they are text and nothing else: no control
character, no formula, no markup, and the file can stand in a page without being read as one.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from typing import Final

from sim.evidence import EVIDENCE
from sim.evidence.spreadsheet import cell
from sim.types import Node
from threats.assessment import Assessment, RegisterRow
from threats.catalog import Catalog
from threats.criteria import Judged
from threats.statements import Statement

TOOL: Final = "wardround"
SPACE: Final = uuid.uuid5(uuid.NAMESPACE_URL, "urn:wardround:exports:1")
BLANK: Final = "(blank)"  # in place of a text without a sign, which the formats refuse
# in JSON the same characters; in a page no tag
IN_PAGES: Final = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


def identity(assessment: Assessment, *parts: str) -> str:
    """A UUID that follows from the design and the parts; the same parts have the same."""
    return str(uuid.uuid5(SPACE, "\n".join((assessment.digest, *parts))))


def document_id(assessment: Assessment, format_: str) -> str:
    """A UUID of one document: another one for other evidence, another stack or another day."""
    return identity(assessment, format_, assessment.head, assessment.stack, moment(assessment))


def moment(assessment: Assessment) -> str:
    """The day of the assessment as a time in UTC. Evidence holds no times."""
    return f"{assessment.on.isoformat()}T00:00:00+00:00"


def line(hash_: str) -> str:
    """A link from an export to a line of the evidence, by the line's hash."""
    return f"../{EVIDENCE}#{hash_}"


def number(value: float) -> str:
    """A figure as text."""
    return f"{value:.6g}"


def technique(id_: str) -> str:
    """The page of a technique of MITRE ATLAS.

    >>> technique("AML.T0020")
    'https://atlas.mitre.org/techniques/AML.T0020'
    """
    return f"https://atlas.mitre.org/techniques/{id_}"


def titles(catalog: Catalog) -> dict[str, str]:
    """The title of each control, by its id."""
    return {one.id: one.title for one in catalog.taxonomies.mitigations.entries}


def rows_of(judged: Judged, assessment: Assessment) -> list[RegisterRow]:
    """The rows that a criterion is about."""
    pair = judged.threat, judged.adversary
    return [row for row in assessment.rows if (row.threat, row.adversary) == pair]


def statements_of(judged: Judged, assessment: Assessment) -> list[Statement]:
    """The statements on the threat of a criterion from the criterion's runs."""
    return [
        one
        for one in assessment.statements
        if (one.claim.threat, one.claim.adversary) == (judged.threat, judged.adversary)
        and one.claim.stack == assessment.stack
        and one.claim.attack in {tried.attack for tried in judged.tried}
    ]


def sentences(texts: Iterable[str]) -> str:
    """Several texts as one; empty ones are left out."""
    return " ".join(text for text in texts if text)


def content(document: Node) -> bytes:
    """A document as a file: JSON in ASCII, each text in it inert."""
    text = json.dumps(inert(document), indent=2, allow_nan=False)
    for sign, escape in IN_PAGES.items():
        text = text.replace(sign, escape)
    return (text + "\n").encode("ascii")


def inert(value: object) -> object:
    """The value with each text as ``cell`` writes it. Numbers as text stay numbers.

    >>> inert({"name": "=1+1", "bound": "-0.25", "of": ["two\\nlines"]})
    {'name': "'=1+1", 'bound': '-0.25', 'of': ['two\\\\nlines']}
    """
    if isinstance(value, dict):
        return {key: inert(part) for key, part in value.items()}
    if isinstance(value, list):
        return [inert(part) for part in value]
    if not isinstance(value, str) or _is_number(value):
        return value
    return cell(value.strip()) or BLANK


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.isascii() and text == text.strip()
