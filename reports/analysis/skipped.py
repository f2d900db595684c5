"""Sentences on skipped rounds: how many, which, why, who was missing, and what that means."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from reports.analysis import tables
from reports.text import words
from sim.evidence import RunRecord, Skip

MOST_CELLS = 5  # attacks and defenses with a sentence of their own
MEANING = (
    "In a skipped round the model stayed as it was: where other rounds of a run gave a new model,"
    " its figures are those of a model trained in fewer rounds."
)

WHOSE = {  # by whether hostile and honest hospitals are among those without a usable reply
    (True, False): "hostile hospitals only, which stopped the training that way",
    (False, True): "honest hospitals only",
    (True, True): "hostile and honest hospitals",
}


class Cell(NamedTuple):
    """The runs that a sentence is about."""

    attack: str
    defense: str
    n_hostile: int


def sentences(records: Sequence[RunRecord]) -> list[str]:
    """One sentence or two for each attack and defense with skipped rounds, then their meaning.

    Cells with the largest share of skipped rounds come first; of more than ``MOST_CELLS`` the rest
    is counted. Empty if no round was skipped.
    """
    cells = _cells(records)
    if not cells:
        return []
    ordered = sorted(cells, key=lambda cell: -_share(cells[cell]))
    shown = ordered[:MOST_CELLS] if len(ordered) > MOST_CELLS + 1 else ordered
    several = len({record.n_hostile for record in records}) > 1
    texts = [_sentence(cell, cells[cell], several=several) for cell in shown]
    if rest := ordered[len(shown) :]:
        n = sum(len(record.skipped_rounds) for cell in rest for record in cells[cell])
        cells_left = words.count(len(rest), "other")
        texts.append(
            f"{words.count(n, 'round')} more were skipped with {cells_left} of attack and defense."
        )
    partly = any(0 < len(record.skipped_rounds) < record.rounds for record in records)
    return [*texts, MEANING] if partly else texts


def column(records: Sequence[RunRecord]) -> str:
    """The cell of a table: skipped rounds of all rounds of ``records``, empty if there are none."""
    n = sum(len(record.skipped_rounds) for record in records)
    return f"{n} of {sum(record.rounds for record in records)}" if n else ""


def _cells(records: Sequence[RunRecord]) -> dict[Cell, list[RunRecord]]:
    """The runs of each attack and defense of which some run has skipped rounds."""
    cells: dict[Cell, list[RunRecord]] = {}
    for record in records:
        cells.setdefault(Cell(record.attack, record.defense, record.n_hostile), []).append(record)
    return {
        cell: group
        for cell, group in cells.items()
        if any(record.skipped_rounds for record in group)
    }


def _share(records: Sequence[RunRecord]) -> float:
    n_skipped = sum(len(record.skipped_rounds) for record in records)
    return n_skipped / sum(record.rounds for record in records)


def _sentence(cell: Cell, group: Sequence[RunRecord], *, several: bool) -> str:
    skips = [skip for record in group for skip in record.skips]
    n = sum(len(record.skipped_rounds) for record in group)
    total = sum(record.rounds for record in group)
    hostile = f" with {cell.n_hostile} hostile" if several else ""
    what = f"{words.attack_first(cell.attack)}{hostile} {words.under(cell.defense)}"
    first = f"{what}: {n:,} of {words.count(total, 'round')} skipped ({_which(group)})"
    return f"{first}, {_reasons(skips, n)}." + _missing(group)


def _which(group: Sequence[RunRecord]) -> str:
    """The skipped rounds of a single run; of several, how many runs have some, and the first."""
    if len(group) == 1:
        rounds = group[0].skipped_rounds
        return f"{'round' if len(rounds) == 1 else 'rounds'} {words.ranges(rounds)}"
    n_runs = sum(bool(record.skipped_rounds) for record in group)
    first = min(number for record in group for number in record.skipped_rounds)
    return f"in {n_runs} of {words.count(len(group), 'run')}, the first in round {first}"


def _reasons(skips: Sequence[Skip], n: int) -> str:
    """Reasons why ``n`` rounds were skipped, the most frequent first, with counts if several."""
    counts = Counter(skip.cause for skip in skips)
    texts = {cause: _because([skip for skip in skips if skip.cause == cause]) for cause in counts}
    if n > len(skips):
        return "for reasons that this evidence does not hold"
    if len(counts) == 1:
        return next(iter(texts.values()))
    return "; ".join(f"{count:,} {texts[cause]}" for cause, count in counts.most_common())


def _because(skips: Sequence[Skip]) -> str:
    first = skips[0]
    if first.cause == "absent":
        needed = f"at least {_from_to(skip.needed for skip in skips)} must"
        if not any(skip.replies for skip in skips):
            return f"because no usable reply arrived where {needed}"
        replies = _from_to(skip.replies for skip in skips)
        noun = "reply" if {skip.replies for skip in skips} == {1} else "replies"
        return f"because {replies} usable {noun} arrived where {needed}"
    if first.cause == "refused":
        example = "" if len({skip.reason for skip in skips}) == 1 else "for example "
        return f"because the aggregation refused what arrived ({example}{first.reason})"
    return "because the new weights were beyond what float32 can hold"


def _from_to(numbers: Iterable[int]) -> str:
    found = sorted(set(numbers))
    return str(found[0]) if len(found) == 1 else f"{found[0]} to {found[-1]}"


def _missing(group: Sequence[RunRecord]) -> str:
    """A sentence on hospitals without a usable reply in skipped rounds, and the usual reason."""
    skips = [skip for record in group for skip in record.skips]
    kinds = Counter((bool(skip.hostile), bool(skip.honest)) for skip in skips)
    del kinds[False, False]
    if not kinds:
        return ""
    reason = _most_frequent_reason(group)
    hostile = any(hostile for hostile, _ in kinds)
    if hostile and not any(tables.hostile_act(record) for record in group):
        return f" Replies were missing or unusable although no hospital attacked{reason}."
    texts = [(kinds[key], text) for key, text in WHOSE.items() if kinds[key]]
    if len(texts) == 1 and texts[0][0] == len(skips):
        return f" Missing or unusable were replies of {texts[0][1]}{reason}."
    shares = "; ".join(f"{text} (in {words.count(n, 'round')})" for n, text in texts)
    return f" Missing or unusable were replies of {shares}{reason}."


def _most_frequent_reason(group: Sequence[RunRecord]) -> str:
    reasons = Counter(
        lost.reason
        for record in group
        for lost in record.screened
        if lost.round in record.skipped_rounds
    )
    return f"; the most frequent reason: {reasons.most_common(1)[0][0]}" if reasons else ""
