"""Plans and verdicts of designs as the terminal shows them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from rich.console import Group
from rich.table import Table
from rich.text import Text

from sim import titles
from sim.cli.screen import plain_table
from sim.evidence.written import figure, listed
from threats.assessment import Assessment
from threats.changes import COSTS
from threats.criteria import Judged, wording
from threats.runs import Runs, Untested
from threats.search import Search, Step, summary
from threats.system import Design

WORDS: Final = {"met": "met", "not_met": "not met", "inconclusive": "not decided"}
HEAD: Final = {
    "met": "meets its criteria",
    "not_met": "does not meet its criteria",
    "inconclusive": "not decided",
}
STYLES: Final = {"met": "green", "not_met": "red", "inconclusive": "yellow"}
EXCLUDED: Final = {
    "powers": "declares none of the powers that it takes",
    "place": "is at no element that it strikes",
    "parties": "too few act together",
    "element": "the design has no such element",
}
MOST_REASONS: Final = 3
MOST_CHANGES: Final = 10


def plan(design: Design, runs: Runs, seconds: float) -> Group:
    """The runs planned for a design, those left out and why, and about how long they take."""
    first = f" from {runs.seeds[0]} on" if runs.seeds[0] else ""
    head = Text.assemble(
        (f"{runs.n_runs} runs", "bold"),
        f": {_count(runs.attacks, 'attack')} and none, on {' and '.join(runs.stacks)},"
        f" {_count(runs.seeds, 'seed')}{first}; about {duration(seconds)}"
        f" (the design allows {duration(60 * design.trial.budget_minutes)})",
    )
    parts: list[Table | Text] = [head]
    if len(runs.seeds) < runs.wanted:
        parts.append(Text(f"The criteria take {runs.wanted} seeds; with fewer they are undecided."))
    parts += [_tested(runs), *_listed("Not tested", _untested(runs))]
    return Group(*parts, _excluded(runs))


def judged(assessment: Assessment, design: Design) -> Group:
    """Each criterion with its figure and whether it is met, and why where it is not."""
    table = plain_table(f"\n{_heading(assessment)}", ("criterion", "", "found", "asks", "under"))
    for column in table.columns[:3]:
        column.no_wrap = True
    asked = {one.id: one for one in design.acceptance}
    for one in assessment.criteria:
        table.add_row(
            one.id,
            Text(WORDS[one.outcome], style=STYLES[one.outcome]),
            _figure(one),
            wording(asked[one.id]),
            titles.attack(one.decisive or ""),
        )
    whys = (f"{one.id}: {_why(one)}" for one in assessment.criteria if one.outcome != "met")
    return Group(table, *_listed("Why", whys))


def next_steps(assessment: Assessment, design: Design, missing: int, command: str) -> Group:
    """The next steps after a verdict.

    ``missing``: how many runs the design's minutes left undone. ``command``: repeats the results.
    """
    return Group(*_listed("Next", _next(assessment, design, missing, command)))


def searched(found: Search) -> Group:
    """The smallest changes that meet all criteria, or what stands in the way, and all changes."""
    parts: list[Table | Text] = [Text("\nSmallest change", "bold")]
    parts += [Text(f"- {line}") for line in summary(found)]
    tried = [step for step in found.steps if step.criteria]
    if not tried:
        return Group(*parts)
    table = plain_table("\nChanges", ("change", "costs", "seeds", "beyond by", "criteria"))
    for step in sorted(tried, key=lambda step: (step.state != "met", step.order))[:MOST_CHANGES]:
        beyond = figure(step.shortfall)
        cost = COSTS[step.change.cost]
        table.add_row(step.change.text, cost, str(step.seeds), beyond, _outcomes(step))
    more = len(tried) - MOST_CHANGES
    rest = [Text(f"{more} more in search.json and in the report.")] if more > 0 else []
    return Group(*parts, table, *rest)


def _outcomes(step: Step) -> str:
    """Which criteria a change does not meet, and which are not decided with its seeds."""
    parts = list[str]()
    for outcome in ("not_met", "inconclusive"):
        ids = [one.id for one in step.criteria if one.outcome == outcome]
        if ids:
            parts.append(f"{WORDS[outcome]}: {', '.join(ids)}")
    if parts:
        return "; ".join(parts)
    return "all met" if step.state == "met" else "all met with these seeds"


def _heading(assessment: Assessment) -> str:
    return f"{assessment.design}, with the stack {assessment.stack}: {HEAD[assessment.outcome]}"


def _figure(one: Judged) -> str:
    """The figure of the attack that decides, with the bound on the side that counts."""
    found = one.shown
    if found is None or found.figure is None:
        return "nothing"
    side = "at least" if one.bound == "at_least" else "at most"
    bound = found.lower if one.bound == "at_least" else found.upper
    stated = "no bound" if bound is None else f"{side} {figure(bound)}"
    return f"{figure(found.figure)} ({stated})"


def _why(one: Judged) -> str:
    if one.outcome == "inconclusive":
        shown = one.reasons[:MOST_REASONS]
        more = len(one.reasons) - len(shown)
        return "; ".join([*shown, *([f"and {more} more"] if more else [])]) or one.text
    beyond = [titles.attack(tried.attack) for tried in one.tried if tried.outcome == one.outcome]
    return f"beyond it under {listed(beyond)}"


def _next(assessment: Assessment, design: Design, missing: int, command: str) -> Iterator[str]:
    if missing:
        minutes = f"trial.budget_minutes={design.trial.budget_minutes:g}"
        yield f"{missing} runs are left ({minutes}); the same command in the same folder goes on."
    if assessment.outcome == "not_met" and "search.minutes=" not in command:
        yield f"{command} search.minutes=5 looks for the smallest change that meets the criteria."
    if assessment.outcome == "inconclusive" and not missing:
        yield "What is not decided takes more seeds (min_seeds, trial.seeds) or what it states."
    if assessment.questions:
        first = assessment.questions[0]
        yield f"{len(assessment.questions)} questions are open in verdict.json, as: {first}"
    if assessment.decision.decision is None:
        yield "Whoever answers for the design decides: decisions, row: verdict."


def _tested(runs: Runs) -> Table:
    table = plain_table("\nTested", ("threat", "element", "adversary", "attacks"))
    for one in runs.subjects:
        if one.attacks:
            table.add_row(one.threat, one.element, one.adversary, ", ".join(one.attacks))
    return table


def _untested(runs: Runs) -> Iterator[str]:
    reasons = dict[tuple[str, str], list[Untested]]()
    for one in runs.untested:
        reasons.setdefault((one.threat, one.reason), []).append(one)
    for (threat, reason), ones in reasons.items():
        names = dict.fromkeys(titles.attack(one.attack) for one in ones if one.attack is not None)
        adversaries = ", ".join(dict.fromkeys(one.adversary for one in ones))
        attacks = f", {listed(names)}" if names else ""
        yield f"{threat}{attacks} ({adversaries}): {reason}"


def _excluded(runs: Runs) -> Table:
    """What does not apply, by threat and reason; the register has the reasons in full."""
    table = plain_table("\nDoes not apply", ("threat", "adversary", "why"))
    ones = dict[tuple[str, str], list[str]]()
    for one in runs.excluded:
        ones.setdefault((one.threat, EXCLUDED[one.code]), []).append(one.adversary)
    for (threat, why), adversaries in ones.items():
        table.add_row(threat, ", ".join(adversaries), why)
    return table


def _listed(title: str, lines: Iterator[str]) -> Iterator[Text]:
    found = [f"- {line}" for line in lines]
    if found:
        yield Text.assemble("\n", (title, "bold"), "\n", "\n".join(found))


def duration(seconds: float) -> str:
    """A time in words, to the second or the minute."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def _count(ones: Sequence[object], what: str) -> str:
    return f"{len(ones)} {what}" + ("" if len(ones) == 1 else "s")
