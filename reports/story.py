"""The values of the page's top and of its questions: answer, next steps, who, whose, what for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from reports.text import about, answer, patients, steps
from sim.evidence import RunRecord
from sim.types import Node, TableRow
from threats.catalog import Catalog, Threat


@dataclass(frozen=True)
class Question:
    """A question of a reader, and the id of the place of the page that answers it."""

    text: str
    place: str


# of a privacy officer; each place is there on every page of runs and on every page of a verdict
QUESTIONS: Final = (
    Question("Is this our data?", "whose"),
    Question("Who could do it?", "who-could"),
    Question("Which patients is it about?", "patients"),
    Question("What does each HIPAA row rest on?", "hipaa"),
    Question("What do I act on?", "act"),
    Question("What was not tested?", "untested"),
)


def values(
    everything: Sequence[RunRecord],
    records: Sequence[RunRecord],
    manifest: Node,
    threats: Sequence[TableRow],
    catalog: Catalog,
) -> Node:
    """The values of the parts that tell a page's story, by their names in the templates.

    ``records``: those of ``everything`` with the number of hostile hospitals in focus;
    ``threats``: what ``sections.threats`` gives for them.
    """
    untested = steps.untested(records, threats, catalog, manifest)
    return {
        "when": about.when(manifest),
        "by": about.by(everything),
        "whose": about.whose(everything),
        "questions": QUESTIONS,
        "answer": answer.sentences(everything, records, threats, len(manifest["refused"] or ())),
        "acting": steps.act(records, manifest),
        "most_steps": steps.MOST,
        "untested": untested,
        "all_at_once": steps.all_at_once(untested, records, manifest),
        "patients": patients.sentences(everything),
        "adversaries": adversaries(records, catalog),
        "hipaa": hipaa(threats, catalog),
    }


def adversaries(records: Sequence[RunRecord], catalog: Catalog) -> dict[str, list[str]]:
    """Who could do each attack that was run, as the threats of the catalog state it."""
    found: dict[str, list[str]] = {}
    for name in dict.fromkeys(name for record in records for name in record.attack.split("+")):
        texts = [one.adversary for one in catalog.threats if name in one.attacks]
        if texts:
            found[name] = list(dict.fromkeys(texts))
    return found


def hipaa(threats: Sequence[TableRow], catalog: Catalog) -> list[TableRow]:
    """Each HIPAA provision of the register with the threats that it stands at, and their runs."""
    titles = {entry.id: entry.title for entry in catalog.taxonomies.hipaa.entries}
    found: dict[str, TableRow] = {}
    for group in threats:
        threat = catalog.threat(group["about"].id)
        for one in threat.hipaa:
            empty: TableRow = {"cite": one.cite, "title": titles[one.cite], "threats": []}
            provision = found.setdefault(one.cite, empty)
            provision["threats"].append(_rests(threat, group, one.relevance, one.why))
    return sorted(found.values(), key=lambda row: str(row["cite"]))


def _rests(threat: Threat, group: TableRow, relevance: str, why: str) -> TableRow:
    """What one threat's row at a provision rests on."""
    return {
        "id": threat.id,
        "name": threat.name,
        "relevance": relevance,
        "why": why,
        "n_runs": len({run for row in group["rows"] for run in row.runs}),
        "statuses": group["statuses"],
    }
