"""A comparison of as many runs as are asked for, made from one that was run, without training."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from sim.evidence import Outcome, RunRecord
from tests.records import addressed


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
    attacks = _names([attack for attack, _ in by_cell], n_attacks)
    defenses = _names([defense for _, defense in by_cell], n_defenses)
    return [
        _copy(of[seed % len(of)], attack, defense, seed, random)
        for attack, known in attacks.items()
        for defense, of in ((name, by_cell[known, one]) for name, one in defenses.items())
        for seed in range(n_seeds)
    ]


def _names(known: Sequence[str], n: int) -> dict[str, str]:
    """So many names: the control, then the others in turn with a number, and which each is."""
    others = [name for name in dict.fromkeys(known) if name != "none"]
    found = {"none": "none"}
    for place in range(n - 1):
        again, which = divmod(place, len(others))
        found[f"{others[which]}_{again + 1}" if again else others[which]] = others[which]
    return found


def _copy(record: RunRecord, attack: str, defense: str, seed: int, random: Random) -> RunRecord:
    shift = random.uniform(-0.02, 0.02)
    config = record.config | {"seed": seed, "label": defense}
    config["attack"] = [] if attack == "none" else [[attack, config["attack"][0][1]]]
    changes: dict[str, object] = {
        "attack": attack,
        "defense": defense,
        "seed": seed,
        "config": config,
        "outcomes": tuple(_shifted(one, shift) for one in record.outcomes),
    }
    return addressed(record.model_copy(update=changes))


def _shifted(one: Outcome, shift: float) -> Outcome:
    if one.value is None or one.metric not in ("auroc", "worst_hospital_auroc", "brier"):
        return one
    return one.model_copy(update={"value": min(1.0, max(0.0, one.value + shift))})
