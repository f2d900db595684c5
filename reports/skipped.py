"""Rounds that ended without a new model: how many, why, who was missing, and what that means for the figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from reports import tables, words
from sim.evidence import RunRecord, Skip

MOST_CELLS = 5  # attacks and defenses with a sentence of their own
MEANING = (
    "In a skipped round the model stayed as it was: the figures of these runs are those of a model trained in fewer rounds, "
    "and where all rounds were skipped none is defined."
)

WHOSE = {  # whether hostile and honest hospitals are among those of which nothing usable came
    (True, False): "hostile hospitals only, which stopped the training that way",
    (False, True): "honest hospitals only",
    (True, True): "hostile and honest hospitals",
}

Cell = tuple[str, str]  # attack, defense


def sentences(records: Sequence[RunRecord]) -> list[str]:
    """What stands first on a page: one sentence or two for each attack and defense with skipped rounds, then what they mean.

    Cells with the largest share of skipped rounds come first; of more than ``MOST_CELLS`` the rest is counted. Empty if no round
    was skipped.
    """
    cells = _cells(records)
    if not cells:
        return []
    ordered = sorted(cells, key=lambda cell: -_share(cells[cell]))
    shown = ordered[:MOST_CELLS] if len(ordered) > MOST_CELLS + 1 else ordered
    texts = [_sentence(cell, cells[cell]) for cell in shown]
    if rest := ordered[len(shown) :]:
        n = sum(len(record.skipped_rounds) for cell in rest for record in cells[cell])
        texts.append(f"{words.count(n, 'round')} more were skipped with {words.count(len(rest), 'other')} of attack and defense.")
    return [*texts, MEANING]


def column(records: Sequence[RunRecord]) -> str:
    """The cell of a table: the share of all rounds of ``records`` that were skipped, in percent; a dash if none was."""
    return words.share(_share(records)) if any(record.skipped_rounds for record in records) else words.NONE


def _cells(records: Sequence[RunRecord]) -> dict[Cell, list[RunRecord]]:
    """The runs of each attack and defense of which some run has skipped rounds."""
    cells: dict[Cell, list[RunRecord]] = {}
    for record in records:
        cells.setdefault((record.attack, record.defense), []).append(record)
    return {cell: group for cell, group in cells.items() if any(record.skipped_rounds for record in group)}


def _share(records: Sequence[RunRecord]) -> float:
    return sum(len(record.skipped_rounds) for record in records) / sum(record.rounds for record in records)


def _sentence(cell: Cell, group: Sequence[RunRecord]) -> str:
    skips = [skip for record in group for skip in record.skips]
    n, total = sum(len(record.skipped_rounds) for record in group), sum(record.rounds for record in group)
    n_runs = sum(bool(record.skipped_rounds) for record in group)
    what = f"{words.attack(cell[0])} against {words.defense(cell[1])}"
    runs = f"in {n_runs} of {words.count(len(group), 'run')}"
    first = f"{what}: {n:,} of {words.count(total, 'round')} skipped ({runs})"
    return f"{first}, {_reasons(skips, n)}." + _missing(group)


def _reasons(skips: Sequence[Skip], n: int) -> str:
    """Why ``n`` rounds were skipped, the most frequent reason first, with how often each where there are several."""
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
        arrived = sorted({skip.replies for skip in skips})
        if arrived == [0]:
            return f"because no usable reply arrived where at least {first.needed} must"
        span = words.count(arrived[0], "usable reply", "usable replies")
        if len(arrived) > 1:
            span = f"{arrived[0]} to {arrived[-1]} usable replies"
        return f"because {span} arrived where at least {first.needed} must"
    if first.cause == "refused":
        example = "" if len({skip.reason for skip in skips}) == 1 else "for example "
        return f"because the aggregation refused what arrived ({example}{first.reason})"
    return "because the new weights were beyond what float32 can hold"


def _missing(group: Sequence[RunRecord]) -> str:
    """Of which hospitals nothing usable came in the skipped rounds, and the most frequent reason, where there are some."""
    skips = [skip for record in group for skip in record.skips]
    kinds = Counter((bool(skip.hostile), bool(skip.honest)) for skip in skips)
    del kinds[False, False]
    if not kinds:
        return ""
    reason = _most_frequent_reason(group)
    if not any(tables.hostile_act(record) for record in group) and any(hostile for hostile, _ in kinds):
        return f" Replies were missing or unusable although no hospital attacked{reason}."
    texts = [(kinds[key], text) for key, text in WHOSE.items() if kinds[key]]
    if len(texts) == 1 and texts[0][0] == len(skips):
        return f" Missing or unusable were replies of {texts[0][1]}{reason}."
    shares = "; ".join(f"{text} (in {words.count(n, 'round')})" for n, text in texts)
    return f" Missing or unusable were replies of {shares}{reason}."


def _most_frequent_reason(group: Sequence[RunRecord]) -> str:
    reasons = Counter(lost.reason for record in group for lost in record.screened if lost.round in record.skipped_rounds)
    return f"; the most frequent reason: {reasons.most_common(1)[0][0]}" if reasons else ""
