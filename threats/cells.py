"""Runs put beside their controls: the same seed and data, once without the attack and once without the defense."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from sim.evidence import RunRecord

OF_ATTACK = ("attack", "adversary")
OF_DEFENSE = ("defense", "label", "aggregator", "steps", "secagg", "dp")
INCIDENTAL = ("seed", "engine", "report")  # what a run's result does not depend on, and the seed


Controls: TypeAlias = dict[tuple[str, ...], RunRecord]


@dataclass(frozen=True)
class Cell:
    """Runs of one attack on one defense that differ in nothing but the seed, with their controls, all by seed.

    ``without_attack``: the same defense with nobody attacking. ``without_defense``: the same attack, undefended, in which it did
    something; where the defense is "none", the runs themselves. What is not there is missing from the mapping.
    """

    attack: str
    defense: str
    runs: dict[int, RunRecord]
    without_attack: dict[int, RunRecord]
    without_defense: dict[int, RunRecord]

    @property
    def attacks(self) -> tuple[str, ...]:
        """Names of the attacks that were run together."""
        return tuple(self.attack.split("+"))

    @property
    def controlled(self) -> list[int]:
        """Seeds for which both controls are there."""
        return sorted(self.runs.keys() & self.without_attack.keys() & self.without_defense.keys())


def cells(records: Sequence[RunRecord]) -> list[Cell]:
    """Every attack on every defense in ``records``, in order of attack and defense, undefended first.

    Runs whose configurations differ in more than attack, defense and seed are never put together; of two runs of the same
    configuration and seed the later counts.
    """
    grouped: dict[tuple[str, str, str], dict[int, RunRecord]] = defaultdict(dict)
    quiet: Controls = {}
    bare: Controls = {}
    for record in records:
        if record.attack == "none":
            quiet[_pair(record, record.defense, OF_ATTACK)] = record
        else:
            grouped[record.attack, record.defense, _design(record)][record.seed] = record
            if record.defense == "none" and record.engagement.attack_engaged:
                bare[_pair(record, record.attack, OF_DEFENSE)] = record
    order = sorted(grouped, key=lambda key: (key[0], key[1] != "none", *key[1:]))
    return [_cell(attack, defense, grouped[attack, defense, design], quiet, bare) for attack, defense, design in order]


def _cell(attack: str, defense: str, runs: dict[int, RunRecord], quiet: Controls, bare: Controls) -> Cell:
    return Cell(attack, defense, runs, _matched(runs, quiet, defense, OF_ATTACK), _matched(runs, bare, attack, OF_DEFENSE))


def _matched(runs: dict[int, RunRecord], controls: Controls, shared: str, left_out: tuple[str, ...]) -> dict[int, RunRecord]:
    keys = {seed: _pair(run, shared, left_out) for seed, run in runs.items()}
    return {seed: controls[key] for seed, key in keys.items() if key in controls}


def _pair(record: RunRecord, shared: str, left_out: tuple[str, ...]) -> tuple[str, ...]:
    return str(record.seed), record.data_hash, shared, _design(record, left_out)


def _design(record: RunRecord, left_out: tuple[str, ...] = ()) -> str:
    kept = {key: value for key, value in record.config.items() if key not in (*INCIDENTAL, *left_out)}
    return json.dumps([record.consortium, record.code, kept], sort_keys=True)
