"""The controls of a run: the same run without its attack, and the same run without its defense.

Both share the seed, the data, the code and every value of the configuration that changes a result
and is not the attack's (the defense's) own: ``sim.config.groups`` states whose a value is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sim.config import groups
from sim.evidence.records import RunRecord

NONE: Final = "none"  # the name of no attack, and of no defense

Key = tuple[str, ...]


class Controls:
    """The controls among ``records``; of two runs that are one control the later counts."""

    def __init__(self, records: Iterable[RunRecord]) -> None:
        self._attack_free: dict[Key, RunRecord] = {}
        self._undefended: dict[Key, RunRecord] = {}
        for record in records:
            if record.attack == NONE:
                self._attack_free[_but_for_attack(record)] = record
            if record.defense == NONE:
                self._undefended[_but_for_defense(record)] = record

    def attack_free(self, run: RunRecord) -> RunRecord | None:
        """The run with the same defense in which nobody attacks; it may be the run itself."""
        return self._attack_free.get(_but_for_attack(run))

    def undefended(self, run: RunRecord) -> RunRecord | None:
        """The run with the same attack and no defense; it may be the run itself."""
        return self._undefended.get(_but_for_defense(run))


def design_of(run: RunRecord) -> Key:
    """One key for all runs that differ in nothing but the seed."""
    return _key(run, run.attack, run.defense, groups.canonical(groups.without(run.config, "run")))


def _but_for_attack(run: RunRecord) -> Key:
    return _key(run, *_draws(run), run.defense, run.without_attack)


def _but_for_defense(run: RunRecord) -> Key:
    return _key(run, *_draws(run), run.attack, run.without_defense)


def _draws(run: RunRecord) -> Key:
    """The seed, and the data that it draws."""
    return str(run.seed), run.data_hash


def _key(run: RunRecord, *parts: str) -> Key:
    return (run.consortium, str(run.n_hostile), run.code, *parts)
