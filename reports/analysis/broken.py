"""Sentences that come before every result: exceeded privacy, skipped rounds, broken training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reports.analysis import membership, skipped, tables
from reports.text import words
from sim.evidence import RunRecord

GUESSING = 0.5  # the AUROC of a model that knows nothing
MOST = 8  # sentences; the rest is counted


def heading(records: Sequence[RunRecord]) -> str:
    """The heading for ``first``; empty if there is nothing to report."""
    parts = ["privacy was exceeded"] if membership.violations(records) else []
    parts += ["rounds were skipped"] if skipped.sentences(records) else []
    parts += ["training broke down"] if broken(records) else []
    return words.listed(parts).capitalize() if parts else ""


def first(records: Sequence[RunRecord]) -> list[str]:
    """Sentences to read before any figure; empty if every round of every run went as it should."""
    return [*membership.violations(records), *skipped.sentences(records), *broken(records)]


def broken(records: Sequence[RunRecord]) -> list[str]:
    """A sentence for each attack and fate of its training, with defenses, seeds and rounds.

    No attack comes first.
    """
    cells: dict[tuple[str, str], dict[str, list[int]]] = {}
    several = len({record.n_hostile for record in records}) > 1
    for record in records:
        hostile = f" with {record.n_hostile} hostile" if several else ""
        name = f"{words.attack_first(record.attack)}{hostile}"
        for event in _events(record):
            cells.setdefault((name, record.defense), {}).setdefault(event, []).append(record.seed)
    alike: dict[tuple[str, str], list[str]] = {}
    for (attack, defense), events in cells.items():
        what = "; ".join(f"{_seeds(seeds)}, {event}" for event, seeds in events.items())
        alike.setdefault((attack, what), []).append(words.under(defense))
    order = sorted(
        alike.items(), key=lambda item: not item[0][0].startswith(words.attack_first("none"))
    )
    texts = [f"{attack} {words.listed(where)}: {what}." for (attack, what), where in order]
    if len(texts) <= MOST:
        return texts
    more = words.count(len(texts) - MOST + 1, "more group")
    return [*texts[: MOST - 1], f"Training broke down in {more} of cells like these."]


def untrained(record: RunRecord) -> bool:
    """Whether no round of the run gave a model."""
    return len(record.skipped_rounds) == record.rounds


def without_scores(record: RunRecord) -> bool:
    """Whether a run has no AUROC because of its model: its test patients would allow one."""
    return record.value("auroc") is None and 0 < record.n_test_positive < record.n_test


def _seeds(seeds: Sequence[int]) -> str:
    return f"{'seed' if len(seeds) == 1 else 'seeds'} {words.ranges(sorted(set(seeds)))}"


def _events(record: RunRecord) -> Iterator[str]:
    """What went wrong in one run; skipped rounds are not listed here."""
    if untrained(record):
        yield "no round gave a new model, so that no figure is defined and means leave it out"
    elif without_scores(record):
        why = tables.why_undefined(record)
        end = f"AUROC is not defined at the end{_last_defined(record)} ({why})"
        yield f"{end}, and means leave it out"
    elif (auroc := record.value("auroc")) is not None and auroc <= GUESSING:
        since = _guessing_since(record)
        when = "at the end" if since is None else f"from round {since} on"
        yield f"no better than guessing {when}"


def _guessing_since(record: RunRecord) -> int | None:
    """The round from which on AUROC stayed at ``GUESSING`` or below; None without a curve."""
    since = None
    for number, value in _curve(record):
        if value > GUESSING:
            since = None
        elif since is None and number > 0:
            since = number
    return since


def _last_defined(record: RunRecord) -> str:
    curve = _curve(record)
    return f"; the last round with one is {curve[-1][0]}" if curve else " or in any round"


def _curve(record: RunRecord) -> list[tuple[int, float]]:
    curve = tables.pooled(record).curve
    pairs = zip(curve.get("round", []), curve.get("value", []), strict=True)
    return sorted((number, value) for number, value in pairs if value is not None)
