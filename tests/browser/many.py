"""A comparison of as many runs as are asked for, made from one that was run, without training."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from sim.evidence import Outcome, RunRecord


def many(
    records: Sequence[RunRecord], n_attacks: int, n_defenses: int, n_seeds: int
) -> list[RunRecord]:
    """Attacks x defenses x seeds: each a copy of a run of ``records`` with other scores.

    The controls are among the attacks and the defenses.
    """
    random = Random(0)
    by_cell = dict[tuple[str, str], list[RunRecord]]()
    for record in records:
        by_cell.setdefault((record.attack, record.defense), []).append(record)
    attacks = list(dict.fromkeys(attack for attack, _ in by_cell))
    defenses = list(dict.fromkeys(defense for _, defense in by_cell))
    found = list[RunRecord]()
    for a in range(n_attacks):
        for d in range(n_defenses):
            of = by_cell[attacks[a % len(attacks)], defenses[d % len(defenses)]]
            names = (_name(attacks, a), _name(defenses, d))
            found += [
                _copy(of[s % len(of)], *names, s, len(found) + s, random) for s in range(n_seeds)
            ]
    return found


def _name(names: Sequence[str], place: int) -> str:
    again, which = divmod(place, len(names))
    return names[which] if not again else f"{names[which]}_{again + 1}"


def _copy(
    record: RunRecord, attack: str, defense: str, seed: int, place: int, random: Random
) -> RunRecord:
    shift = random.uniform(-0.02, 0.02)
    changes: dict[str, object] = {
        "attack": attack,
        "defense": defense,
        "seed": seed,
        "run": f"{place:016x}",
        "config": record.config | {"seed": seed},
        "outcomes": tuple(_shifted(one, shift) for one in record.outcomes),
    }
    return record.model_copy(update=changes)


def _shifted(one: Outcome, shift: float) -> Outcome:
    if one.value is None or one.metric not in ("auroc", "worst_hospital_auroc", "brier"):
        return one
    return one.model_copy(update={"value": min(1.0, max(0.0, one.value + shift))})
