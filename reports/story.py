"""The values of the page's top and of its questions: answer, next steps, who, whose, what for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from reports import sections
from reports.analysis import tables
from reports.analysis.seen import Seen
from reports.text import about, answer, commands, judged, patients, steps
from reports.text.steps import Step, Untested
from sim.evidence import RunRecord
from sim.types import Node, TableRow
from threats import catalog, register
from threats.assessment import Assessment, RegisterRow
from threats.catalog import Catalog, Threat
from threats.system import Design


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


@dataclass(frozen=True)
class Top:
    """The answer of runs, the rows to act on, and what was not tested."""

    answer: list[str]
    acting: list[Step]
    untested: list[Untested]


def top(
    everything: Sequence[RunRecord],
    seen: Seen,
    manifest: Node,
    threats: Sequence[TableRow] | None = None,
) -> Top:
    """The top of a page of runs.

    ``seen``: those of ``everything`` with the number of hostile hospitals in focus. ``threats``:
    what ``sections.threats`` gives for them, where it is there already.
    """
    known = catalog.load()
    records = seen.records
    if threats is None:
        threats = sections.threats(register.register(records, known))
    return Top(
        answer.sentences(everything, seen, threats, len(manifest["refused"] or ())),
        steps.act(seen, manifest),
        steps.untested(records, threats, known, manifest),
    )


def values(
    everything: Sequence[RunRecord],
    seen: Seen,
    manifest: Node,
    threats: Sequence[TableRow],
    known: Catalog,
) -> Node:
    """The values of the parts that tell a page's story, by their names in the templates.

    ``seen``: those of ``everything`` with the number of hostile hospitals in focus; ``threats``:
    what ``sections.threats`` gives for them.
    """
    records = seen.records
    found = top(everything, seen, manifest, threats)
    return {
        "when": about.when(manifest),
        "by": about.by(everything),
        "whose": about.whose(everything),
        "questions": QUESTIONS,
        "answer": found.answer,
        "acting": found.acting,
        "most_steps": steps.MOST,
        "untested": found.untested,
        "all_at_once": steps.all_at_once(found.untested, records, manifest),
        "patients": patients.sentences(seen),
        "adversaries": adversaries(records, known),
        "hipaa": hipaa(threats, known),
    }


def adversaries(records: Sequence[RunRecord], known: Catalog) -> dict[str, list[str]]:
    """The adversaries of each attack that was run, as the threats of the catalog state them."""
    found: dict[str, list[str]] = {}
    for name in dict.fromkeys(name for record in records for name in record.attack.split("+")):
        texts = [one.adversary for one in known.threats if name in one.attacks]
        if texts:
            found[name] = list(dict.fromkeys(texts))
    return found


def hipaa(threats: Sequence[TableRow], known: Catalog) -> list[TableRow]:
    """Each HIPAA provision of the register with the threats that it stands at, and their runs."""
    found: dict[str, TableRow] = {}
    for group in threats:
        id_ = group["about"].id
        n_runs = len({run for row in group["rows"] for run in row.runs})
        place = id_ if group["tested"] else f"threat-{id_}"
        _add(found, known.threat(id_), known, n_runs, group["statuses"], place)
    return sorted(found.values(), key=lambda row: str(row["cite"]))


def _add(
    found: dict[str, TableRow],
    threat: Threat,
    known: Catalog,
    n_runs: int,
    statuses: Mapping[str, int],
    place: str,
) -> None:
    """Add what a threat's rows rest on to each provision that it is at."""
    titles = {entry.id: entry.title for entry in known.taxonomies.hipaa.entries}
    for one in threat.hipaa:
        empty: TableRow = {"cite": one.cite, "title": titles[one.cite], "threats": []}
        row = {
            "name": threat.name,
            "relevance": one.relevance,
            "why": one.why,
            "condition": one.condition,
            "n_runs": n_runs,
            "statuses": statuses,
            "place": place,
        }
        found.setdefault(one.cite, empty)["threats"].append(row)


def of_verdict(
    design: Design,
    assessment: Assessment,
    records: Sequence[RunRecord],
    manifest: Node,
    known: Catalog,
) -> Node:
    """The values of the same parts for the page of a design's verdict. ``records``: its runs."""
    ordered = [tables.pooled(record) for record in records]
    return {
        "when": about.when(manifest),
        "by": about.by(ordered),
        "whose": about.whose(ordered),
        "questions": QUESTIONS,
        "answer": answer_of_verdict(design, assessment, records),
        "patients": patients.sentences(Seen(ordered)),
        "hipaa": hipaa_of_rows(assessment.rows, known),
        "commands": list(_commands(assessment, ordered, manifest)),
    }


def answer_of_verdict(
    design: Design, assessment: Assessment, records: Sequence[RunRecord]
) -> list[str]:
    """The five sentences of a verdict. ``records``: the runs that it stands on."""
    return judged.sentences(design, assessment, [tables.pooled(one) for one in records])


def _commands(
    assessment: Assessment, records: Sequence[RunRecord], manifest: Node
) -> Iterator[tuple[str, str]]:
    """What decides what is open, and the command of each."""
    command = commands.given(manifest)
    n_seeds = len({record.seed for record in records})
    seeds = str(max(steps.LEAST_SEEDS, steps.MORE_SEEDS * n_seeds))
    unsure = [one.id for one in assessment.criteria if one.outcome == "inconclusive"]
    unsure += [row.id for row in assessment.rows if row.status == "inconclusive"]
    if unsure and (asked := commands.judging(command, {"seeds": seeds})):
        yield f"{n_seeds} seeds were run; {seeds} narrow what is not decided", asked
    missed = any(one.outcome == "not_met" for one in assessment.criteria)
    if missed and (asked := commands.judging(command, {"search.minutes": "5"})):
        yield "Look for the smallest change that meets the criteria", asked
    if asked := commands.judging(command, {}, "--plan"):
        yield "State which attacks are run for the design and which are not, with the reason", asked


def hipaa_of_rows(rows: Sequence[RegisterRow], known: Catalog) -> list[TableRow]:
    """The result of ``hipaa`` for the rows of a design's register."""
    groups: dict[str, list[RegisterRow]] = {}
    for row in rows:
        if row.kind == "threat":
            groups.setdefault(row.threat, []).append(row)
    found: dict[str, TableRow] = {}
    for id_, ours in groups.items():
        runs = {source.run for row in ours for source in row.sources}
        statuses = Counter[str](row.status for row in ours)
        place = f"row-{id_}-{ours[0].adversary}"
        _add(found, known.threat(id_), known, len(runs), statuses, place)
    return sorted(found.values(), key=lambda row: str(row["cite"]))
