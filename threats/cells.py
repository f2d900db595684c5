"""Runs beside their controls: the same seed and data without the attack, or without the defense."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sim.evidence import RunRecord
from sim.evidence.controls import NONE, Controls, design_of
from sim.plugins import SELF

MESSAGES: Final = "messages"  # the folder of attacks on the messages of a protocol


@dataclass(frozen=True)
class Cell:
    """Runs of one attack on one defense that differ in the seed alone, and their controls, by seed.

    ``attack_free``: the same defense with nobody attacking. ``undefended``: the same attack without
    the defense, in which it did something; where the defense is "none", the runs themselves. For an
    attack on messages of a protocol, of which there are none without the defense, it is the run
    with neither. A control that is not there is missing from the mapping.
    """

    attack: str
    defense: str
    runs: dict[int, RunRecord]
    attack_free: dict[int, RunRecord]
    undefended: dict[int, RunRecord]

    @property
    def attacks(self) -> tuple[str, ...]:
        """Names of the attacks that were run together."""
        return tuple(self.attack.split("+"))

    @property
    def controlled(self) -> list[int]:
        """Seeds for which both controls are there."""
        return sorted(self.runs.keys() & self.attack_free.keys() & self.undefended.keys())


def cells(records: Sequence[RunRecord]) -> list[Cell]:
    """Every attack on every defense in ``records``, sorted by attack and defense, undefended first.

    Runs whose configurations differ in more than attack, defense and seed are never put together;
    of two runs of the same configuration and seed the later counts.
    """
    grouped: dict[tuple[str, ...], dict[int, RunRecord]] = defaultdict(dict)
    controls = Controls(records)
    for record in records:
        if record.attack != NONE:
            grouped[record.attack, record.defense, *design_of(record)][record.seed] = record
    order = sorted(grouped, key=lambda key: (key[0], key[1] != NONE, *key[1:]))
    return [_cell(key[0], key[1], grouped[key], controls) for key in order]


def _cell(attack: str, defense: str, runs: dict[int, RunRecord], controls: Controls) -> Cell:
    attack_free: dict[int, RunRecord] = {}
    undefended: dict[int, RunRecord] = {}
    for seed, run in runs.items():
        if (control := controls.attack_free(run)) is not None:
            attack_free[seed] = control
        control = controls.undefended(run)
        if control is not None and control.engagement.attack_engaged:
            undefended[seed] = control
        elif control is None and _spoils_messages(run) and seed in attack_free:
            without = controls.undefended(attack_free[seed])
            undefended |= {} if without is None else {seed: without}
    return Cell(attack, defense, runs, attack_free, undefended)


def _spoils_messages(run: RunRecord) -> bool:
    """Whether all attacks of a run are on messages that there are in a protocol alone."""
    folders = [str(node.get(SELF, "")).split(".")[1:2] for _, node in run.config.get("attack", ())]
    return bool(folders) and all(folder == [MESSAGES] for folder in folders)
