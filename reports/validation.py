"""The page of a design's validation: its verdict, what to do next, and PASTA's seven stages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import polars as pl
from markupsafe import Markup

from reports import dfd, rendering, sections, story
from reports.analysis import changes
from reports.dfd.shapes import Badge
from reports.figures import style
from reports.figures.changes import changes as draw_changes
from reports.figures.risk import RISK, risk_matrix
from reports.figures.style import Make
from reports.page import INDEX
from reports.text import judged, words
from sim import files, titles
from sim.evidence import Chain, Line, RunRecord
from sim.evidence.manifest import manifest_of
from sim.evidence.metrics import METRICS, plain
from sim.titles import Title
from sim.types import Node, TableRow
from threats import catalog, named, stored, verdict
from threats.applicability import FLOW, LETTERS, Kind
from threats.assessment import Assessment, RegisterRow
from threats.catalog import Catalog, Threat
from threats.criteria import Judged, Tried, wording
from threats.levels import WORDS
from threats.risk import Color, Range
from threats.statements import GRADES, Statement
from threats.stored import Searched, Step, Stored
from threats.system import Criterion, Design

PAGE: Final = "validation.html.j2"
DIAGRAM: Final = "dfd.mmd"
TRADEOFF: Final = "search"  # the name of the figure of a search
RISKS: Final = "risk_matrix"  # and of that of all risks
OUTCOMES: Final = {"met": "met", "not_met": "not met", "inconclusive": "not decided"}
ORDER: Final[tuple[Color, ...]] = ("red", "gray", "amber", "green")  # what asks for people first


@dataclass(frozen=True)
class Group:
    """Rows of one threat by one adversary, which stand on the same evidence; its threat's number.

    ``initial`` and ``adjusted``: statements on the undefended design and on the stack.
    """

    number: int
    rows: tuple[RegisterRow, ...]
    initial: tuple[Statement, ...]
    adjusted: tuple[Statement, ...]

    @property
    def row(self) -> RegisterRow:
        """The first row, whose levels and evidence are those of all."""
        return self.rows[0]

    @property
    def elements(self) -> list[str]:
        """The elements that the rows are about."""
        return [row.element for row in self.rows]

    @property
    def shown(self) -> str | None:
        """The statement on the runs of the stack: the worst of its statements; None without one."""
        results = {one.result for one in self.adjusted}
        if not results:
            return None
        if "supports" in results:
            return "harm"
        return "no_harm" if results == {"refutes"} else "not_decided"

    @property
    def anchor(self) -> str:
        """The anchor of the group on the page."""
        return f"row-{self.row.threat}-{self.row.adversary}"


@dataclass(frozen=True)
class Asked:
    """A criterion with its judgement; ``decisive``: what the attack that decides it showed."""

    criterion: Criterion
    judged: Judged
    decisive: Tried | None
    scale: tuple[float, float]

    @property
    def wording(self) -> str:
        """The wording of the criterion."""
        return wording(self.criterion)

    @property
    def figure(self) -> float | None:
        """The figure of the attack that decides; None without one."""
        return None if self.decisive is None else self.decisive.figure

    @property
    def bar(self) -> tuple[float, float]:
        """The places of the bounds in the picture; a missing one is at the picture's end."""
        assert self.decisive is not None
        low, high = self.scale
        lower = low if self.decisive.lower is None else self.decisive.lower
        upper = high if self.decisive.upper is None else self.decisive.upper
        return self.place(lower), self.place(upper)

    @property
    def counted(self) -> str:
        """The extent of the trials of the attack that decides."""
        assert self.decisive is not None
        n = len(self.decisive.seeds)
        seeds = f"{n} seed" + ("" if n == 1 else "s")
        if self.criterion.over != "rate":
            return seeds
        return f"{seeds}, {self.decisive.n_trials} {METRICS[self.criterion.metric].counted}"

    @property
    def beyond(self) -> list[str]:
        """The plain names of the attacks under which it is not met."""
        found = [one.attack for one in self.judged.tried if one.outcome == "not_met"]
        return list(map(words.attack, found))

    def place(self, value: float) -> float:
        """The place of a value in the picture of the criterion, in percent."""
        low, high = self.scale
        return round(100 * (min(high, max(low, value)) - low) / (high - low), 1)


@dataclass(frozen=True)
class Cell:
    """The threats of one letter of STRIDE to an element: groups, or why there is none.

    ``beyond``: STRIDE by element does not give the letter to an element of this kind.
    """

    groups: tuple[Group, ...]
    text: str
    beyond: bool


@dataclass(frozen=True)
class Element:
    """An element of the diagram with its kind and a cell for each letter of STRIDE."""

    id: str
    kind: str
    role: str
    cells: Mapping[str, Cell]


def write_validation(folder: Path, chain: Chain) -> Path:
    """The path of ``report/index.html`` of a design's validation, written with its diagram as text.

    The same files give the same bytes. Raises ``InputError`` if they do not belong together, or if
    the evidence is not that of the verdict.
    """
    found = stored.read(folder, chain)
    badges = _badges(found.design, _groups(found.assessment))
    text = dfd.mermaid(found.design, badges)
    facts = dict.fromkeys(("started", "command", "commit")) | manifest_of(folder)
    with titles.known(titles.stored(facts.get("titles"))):
        drawn = {name: style.inline(make, name) for name, make in makers(found)}
        page = render(found, facts, drawn)
    files.replace(folder / "report" / DIAGRAM, text.encode())
    target = folder / "report" / INDEX
    files.replace(target, page.encode())
    return target


def makers(found: Stored) -> Iterator[tuple[str, Make]]:
    """The function of each figure of the page, by file name: the risks, and a search's tradeoff."""
    risks = _risks(_groups(found.assessment))
    if not risks.is_empty():
        yield RISKS, partial(risk_matrix, risks)
    if (candidates := _candidates(found)) is not None:
        yield TRADEOFF, partial(draw_changes, candidates)


def render(found: Stored, manifest: Node, drawn: Mapping[str, str]) -> str:
    """The page as HTML text. ``drawn``: its figures by name, see ``makers``."""
    design = found.design
    assessment = found.assessment
    known = catalog.load()
    groups = _groups(assessment)
    badges = _badges(design, groups)
    candidates = _candidates(found)
    picture = rendering.part("dfd.svg.j2", drawn=dfd.drawing(design, badges))
    return rendering.page(
        PAGE,
        design=design,
        it=assessment,
        manifest=manifest,
        stack=design.stack(assessment.stack),
        first=verdict.summary(assessment)[0],
        notice=verdict.NOTICE,
        asked=_asked(design, assessment),
        outcomes=OUTCOMES,
        levels=WORDS,
        metrics=METRICS,
        grades=GRADES,
        groups=groups,
        by_threat={group.row.threat: group.number for group in groups},
        acting=[group for group in groups if group.row.color in ("red", "amber")],
        open=_open(groups),
        searched=found.searched,
        tried=_tried(found.searched),
        drawn={name: Markup(one) for name, one in drawn.items()},
        undrawn=[] if candidates is None else changes.chosen(candidates).left_out,
        conflicts=[row for row in assessment.rows if row.kind == "conflict"],
        svg=Markup(picture),
        mermaid=dfd.mermaid(design, badges),
        elements=_elements(design, known, groups),
        stages=[entry.title for entry in known.taxonomies.pasta.entries],
        stride={entry.id: entry.title for entry in known.taxonomies.stride.entries},
        controls={entry.id: entry.title for entry in known.taxonomies.mitigations.entries},
        pins=known.taxonomies,
        outcomes_of_ai_rmf={entry.id: entry.title for entry in known.taxonomies.ai_rmf.entries},
        threats={threat.id: threat.name for threat in known.threats},
        runs=_runs(found.chain),
        explained=sections.explained(found.chain.records),
        metrics_used=_metrics(assessment),
        powers_used=_powers(design),
        judged=judged,
        named=named,
        plain=plain,
        titled=_titled,
        drop=_drop(found.chain.records),
        **story.of_verdict(design, assessment, found.chain.records, manifest, known),
    )


def _metrics(assessment: Assessment) -> list[str]:
    """The metrics of criteria and statements, each once, in the order of the table of metrics."""
    used = {one.metric for one in assessment.criteria}
    used |= {one.claim.metric for one in assessment.statements}
    return [name for name in METRICS if name in used]


def _powers(design: Design) -> dict[str, Title]:
    """The powers and the levels of knowledge that the design declares, by name."""
    powers = [power for one in design.adversaries for power in one.powers]
    levels = [one.knowledge for one in design.adversaries]
    return {
        **{name: named.power(name) for name in powers},
        **{name: named.knowledge(name) for name in levels},
    }


def _drop(records: Sequence[RunRecord]) -> float | None:
    """The loss that the runs call material; None if they differ in it."""
    found = {one.config.get("report", {}).get("material_drop") for one in records}
    (drop,) = found if len(found) == 1 else (None,)
    return drop if isinstance(drop, float) else None


def _titled(group: str, name: str) -> str:
    """A choice by its plain name and by the one that one types: ``your own tables (csv)``."""
    title = titles.of(group, name)
    return name if title is None or title.title == name else f"{title.title} ({name})"


def _groups(assessment: Assessment) -> list[Group]:
    """The register's threats, those that ask for people first; a threat has one number."""
    found = dict[tuple[str, str], list[RegisterRow]]()
    for row in assessment.rows:
        if row.kind == "threat":
            found.setdefault((row.threat, row.adversary), []).append(row)
    ranked = sorted(found.values(), key=lambda rows: ORDER.index(rows[0].color))
    numbers = dict[str, int]()
    for rows in ranked:
        numbers.setdefault(rows[0].threat, len(numbers) + 1)
    statements = {one.id: one for one in assessment.statements}
    return [
        Group(
            number=numbers[rows[0].threat],
            rows=tuple(rows),
            initial=_on("undefended", rows[0], statements),
            adjusted=_on(assessment.stack, rows[0], statements),
        )
        for rows in ranked
    ]


def _on(stack: str, row: RegisterRow, statements: Mapping[str, Statement]) -> tuple[Statement, ...]:
    found = [statements[id_] for id_ in row.evidence if statements[id_].claim.stack == stack]
    return tuple(sorted(found, key=lambda one: (-one.upper, -one.rate, one.claim.attack)))


def _asked(design: Design, assessment: Assessment) -> list[Asked]:
    """Every criterion, those that are not met first."""
    criteria = {one.id: one for one in design.acceptance}
    order = ("not_met", "inconclusive", "met")
    judged = sorted(assessment.criteria, key=lambda one: order.index(one.outcome))
    return [
        Asked(
            criterion=criteria[one.id],
            judged=one,
            decisive=one.shown,
            scale=_scale(one),
        )
        for one in judged
    ]


def _scale(judged: Judged) -> tuple[float, float]:
    """The ends of the picture of a criterion: all figures and the limit are between them."""
    values = [judged.limit] if judged.bound == "at_least" else [judged.limit, 0.0]
    shown = judged.shown
    found = (shown.figure, shown.lower, shown.upper) if shown else ()
    values += [value for value in found if value is not None]
    low = min(values)
    high = max(values)
    margin = 0.05 * ((high - low) or 1.0)
    return low - margin, high + margin


def _open(groups: Sequence[Group]) -> list[tuple[str, list[Group]]]:
    """What was not tested or is not decided, by status and reason; each threat once."""
    found = dict[str, dict[int, Group]]()
    for group in groups:
        if group.row.status != "measured":
            status = verdict.STATUS[group.row.status]
            for reason in group.row.reasons or ("no reason is stated",):
                ours = found.setdefault(f"{status}: {reason}", {})
                ours.setdefault(group.number, group)
    return [(reason, list(ours.values())) for reason, ours in found.items()]


def _risks(groups: Sequence[Group]) -> pl.DataFrame:
    """One row a threat by an adversary with a risk: its number, and its levels on both sides.

    ``initial_likelihood`` and ``initial_impact`` are without controls, null where nothing was run.
    """
    rows = [
        {"number": group.number, "threat": group.row.name, "adversary": group.row.adversary}
        | _levels("initial", group.row.initial)
        | _levels("adjusted", group.row.adjusted)
        for group in groups
        if group.row.adjusted is not None
    ]
    return pl.DataFrame(rows, schema=RISK, orient="row")


def _levels(side: str, found: Range | None) -> TableRow:
    if found is None:
        return {}
    return {
        f"{side}_likelihood": found.upper.likelihood,
        f"{side}_impact": found.upper.impact,
    }


def _candidates(found: Stored) -> pl.DataFrame | None:
    """The changes of a search, where some were judged."""
    if not _tried(found.searched):
        return None
    assert found.searched is not None
    return changes.candidates(found.assessment, found.searched)


def _tried(searched: Searched | None) -> list[Step]:
    """The changes that were judged, those that meet all criteria first, then the nearest."""
    judged = [step for step in searched.changes if step.criteria] if searched else []
    return sorted(judged, key=changes.nearness)


def _badges(design: Design, groups: Sequence[Group]) -> dict[str, list[Badge]]:
    """The numbers of the threats to each element, each once, in the color of the worst row."""
    found = dict[str, list[Badge]]()
    for id_ in _ids(design):
        ours = dict[int, Group]()
        for group in groups:
            if id_ in group.elements:
                ours.setdefault(group.number, group)
        found[id_] = [
            Badge(number, group.row.color, group.anchor, f"{number}: {group.row.name}")
            for number, group in sorted(ours.items())
        ]
    return found


def _ids(design: Design) -> Iterator[str]:
    yield from (one.id for one in design.components)
    yield from (one.id for one in design.flows)


def _elements(design: Design, known: Catalog, groups: Sequence[Group]) -> list[Element]:
    """STRIDE by element: for each letter the rows of the register there."""
    places: list[tuple[str, Kind, str]] = [(one.id, one.dfd, one.role) for one in design.components]
    places += [(one.id, FLOW, FLOW) for one in design.flows]
    return [
        Element(
            id=id_,
            kind=kind,
            role=role,
            cells={
                letter: _cell(letter, id_, kind, role, known.threats, groups)
                for letter in LETTERS["process"]
            },
        )
        for id_, kind, role in places
    ]


def _cell(
    letter: str,
    id_: str,
    kind: Kind,
    role: str,
    threats: Sequence[Threat],
    groups: Sequence[Group],
) -> Cell:
    beyond = letter not in LETTERS[kind]
    ours = dict[int, Group]()
    for group in groups:
        if id_ in group.elements and letter in group.row.stride:
            ours.setdefault(group.number, group)
    if ours or beyond:
        return Cell(tuple(ours.values()), "", beyond)
    could = any(letter in threat.stride and role in threat.where for threat in threats)
    return Cell((), "nobody declared" if could else "no threat listed", beyond)


@dataclass(frozen=True)
class Run:
    """A run with its line, in the order of the evidence."""

    record: RunRecord
    line: Line


def _runs(chain: Chain) -> list[Run]:
    ordered = sorted(chain.records, key=lambda record: chain.lines[record.run].starts)
    return [Run(record, chain.lines[record.run]) for record in ordered]
