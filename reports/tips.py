"""The tips beside cells of a table and marks of a figure: its figures and its runs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from reports import markup
from reports.analysis.leaks import Leak
from reports.text import safe, words
from sim.evidence import RunRecord
from sim.types import TableRow

MOST_RUNS = 12  # whose names fit


@dataclass(frozen=True)
class Tip:
    """A title and lines about an attack and a defense, or a defense and a hospital."""

    attack: str
    defense: str
    hospital: str
    title: str
    lines: tuple[str, ...]

    @property
    def about(self) -> tuple[str, str, str]:
        """The attack, the defense and the hospital."""
        return self.attack, self.defense, self.hospital


def of_cells(
    records: Sequence[RunRecord],
    cells: Iterable[TableRow],
    backdoors: Iterable[TableRow],
    leaks: Iterable[Leak],
) -> list[Tip]:
    """One for each attack and defense: value, interval, worst seed, seeds, and the runs.

    ``cells`` and ``backdoors`` are rows of ``tables.cells`` and ``backdoors.backdoors``. An attack
    that reads has the figures of ``leaks``, a backdoor its success beyond false triggers.
    """
    runs = dict[tuple[str, str], list[str]]()
    for record in records:
        runs.setdefault((record.attack, record.defense), []).append(record.run)
    found = dict[tuple[str, str], list[str]]()
    for row in cells:
        if row["mean"] is not None:
            found[row["attack"], row["defense"]] = _of_model(row)
    for row in backdoors:
        if row["gain"] is not None:
            found.setdefault((row["attack"], row["defense"]), [])[:0] = _of_backdoor(row)
    for leak in leaks:
        found.setdefault((leak.attack, leak.defense), [])[:0] = _of_leak(leak)
    return [
        Tip(attack, defense, "", _title(attack, defense), (*lines, _runs(runs[attack, defense])))
        for (attack, defense), lines in found.items()
    ]


def of_hospitals(effects: Iterable[TableRow]) -> list[Tip]:
    """One for each defense and hospital: what the defense changes there when nobody attacks.

    ``effects``: rows of ``tables.hospital_effects``.
    """
    return [
        Tip(
            attack="",
            defense=row["defense"],
            hospital=row["hospital"],
            title=f"{row['hospital']} {words.under(row['defense'])}, nobody attacking",
            lines=(
                f"Change of Brier score {words.change(row['brier'])}"
                f" ({words.span(row['brier_low'], row['brier_high'], signed=True)})",
                f"Change of AUROC {words.change(row['auroc'])}",
                f"{words.count(row['brier_n'], 'seed')},"
                f" {words.count(row['n_train'], 'training record')}",
            ),
        )
        for row in effects
    ]


def data(tips: Iterable[Tip]) -> Markup:
    """The tips as JSON that may stand in a page as it is."""
    values = [
        [
            *map(safe.shown, (*one.about, one.title)),
            [markup.unbroken(str(safe.shown(line))) for line in one.lines],
        ]
        for one in tips
    ]
    text = json.dumps(values, separators=(",", ":"))
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)


def _of_model(row: TableRow) -> list[str]:
    interval = words.span(row["mean_low"], row["mean_high"])
    lines = [f"AUROC {words.score(row['mean'])} ({interval})"]
    if row["n"] > 1:
        lines.append(f"Lowest seed {words.score(row['lowest'])}")
    if row["harm"] is not None:
        harm = words.span(row["harm_low"], row["harm_high"], signed=True)
        lines.append(f"Change by the attack {words.change(row['harm'])} ({harm})")
    return [*lines, words.count(row["n"], "seed")]


def _of_backdoor(row: TableRow) -> list[str]:
    interval = words.points_span(row["gain_low"], row["gain_high"])
    return [
        f"Success beyond false triggers {words.points(row['gain'])} ({interval})",
        f"Most in a seed {words.points(row['gain_worst'])}",
        f"It worked in {row['n_worked']} of {words.count(row['gain_n'], 'seed')}",
    ]


def _of_leak(leak: Leak) -> Iterator[str]:
    recovered = leak.metric == "reconstruction_rate"
    form = words.share if recovered else words.score
    yield f"{'Records recovered' if recovered else 'AUC of membership'} {form(leak.value)}"
    yield f"Most in a seed {form(leak.most)}"
    if leak.null is not None:
        yield f"Where there is nothing to find {form(leak.null)}"
    yield words.count(leak.n_seeds, "seed")


def _title(attack: str, defense: str) -> str:
    return f"{words.attack(attack)} {words.under(defense)}"


def _runs(names: Sequence[str]) -> str:
    shown = names if len(names) <= MOST_RUNS else [*names[:MOST_RUNS], "and others"]
    return f"{words.count(len(names), 'run')}: {' '.join(shown)}"
