"""Evidence made for tests: whole run records with one or two things changed. Their figures are inputs, not measurements."""

from __future__ import annotations

from typing import Any, TypeVar

from sim.config.groups import address_of
from sim.evidence import Conflict, Engagement, HospitalOutcome, Inverted, Outcome, Privacy, Recovered, RunRecord, Sight, Spent

Part = TypeVar("Part", Outcome, Engagement)

OUTCOME = Outcome(
    auroc=0.85, auprc=0.82, accuracy=0.78, sensitivity_at_90_specificity=0.55, brier=0.16,
    worst_hospital_auroc=0.74, worst_hospital="hospital_3", n_test=180, n_test_positive=80, min_class_rows=5,
)  # fmt: skip


def make_record(**changes: Any) -> RunRecord:
    """A complete record of six hospitals, four rounds, no attack and no defense, with ``changes`` to its fields.

    A field that is itself a piece of evidence (``outcome``, ``engagement``) may be given as a dict of what differs. Named attacks
    and defenses are engaged unless ``engagement`` says otherwise; ``run`` follows from attack, defense and seed. One
    hospital is hostile, also where it does not attack, as in real evidence; with another ``n_hostile`` it is part of ``run``.
    """
    attack, defense, seed = (changes.get(key, usual) for key, usual in (("attack", "none"), ("defense", "none"), ("seed", 0)))
    hostile = changes.get("hostile", [f"hospital_{i}" for i in range(changes.get("n_hostile", 1))])
    outcome = _changed(OUTCOME, changes.pop("outcome", {}))
    fields: dict[str, Any] = {
        "run": f"{attack}-{defense}-{seed}" + ("" if len(hostile) == 1 else f"-{len(hostile)}"), "consortium": "heart",
        "attack": attack, "defense": defense, "seed": seed,
        "n_hospitals": 6, "n_hostile": len(hostile), "hostile": hostile, "rounds": 4, "public": True, "adaptive": False,
        "data_source": "made for a test", "data_hash": "0" * 64, "code": "test",
        "config": {"seed": seed, "training": {"rounds": 4}, "report": {"material_drop": 0.05}},
        "outcome": outcome, "hospitals": make_hospitals(hostile),
        "engagement": _changed(engaged(attack, defense), changes.pop("engagement", {})), "screened": [], "skipped_rounds": [],
        "privacy": None, "inversion": None, "sight": [Sight(party="aggregator", sees="every hospital's update")],
        "conflicts": [], "curve": make_curve(4, 0.5 if outcome.auroc is None else outcome.auroc), "seconds": 1.5,
    }  # fmt: skip
    return RunRecord(**fields | changes)


def addressed(record: RunRecord) -> RunRecord:
    """The record as it may be read from a file: its configuration names its cell, and ``run`` is its address."""
    pairs = [[name, {}] for name in record.attack.split("+") if name != "none"]
    named = {"seed": record.seed, "label": record.defense, "attack": pairs, "adversary": {"n_hostile": record.n_hostile}}
    config = named | record.config
    return record.model_copy(update={"config": config, "run": address_of(config, record.data_hash, record.code)})


def engaged(attack: str, defense: str) -> Engagement:
    """Engagement in which everything that is there did something."""
    return Engagement(
        attack_engaged=None if attack == "none" else True,
        attack_distance=None if attack == "none" else 2.0,
        defense_engaged=None if defense == "none" else True,
        defense_distance=None if defense == "none" else 0.3,
    )


def make_hospitals(hostile: list[str]) -> list[HospitalOutcome]:
    """Six hospitals of falling size; the last has too few test patients for an AUROC."""
    return [
        HospitalOutcome(
            hostile=f"hospital_{i}" in hostile,
            hospital=f"hospital_{i}",
            origin=f"origin_{i // 2}",
            n_train=120 - 20 * i,
            n_test=36 - 6 * i,
            n_test_positive=16 - 3 * i,
            auroc=None if i == 5 else 0.88 - 0.03 * i,
            brier=0.15 + 0.01 * i,
            accuracy=0.8 - 0.02 * i,
        )
        for i in range(6)
    ]


def make_curve(rounds: int, auroc: float | None) -> dict[str, list[Any]]:
    """AUROC of the pooled test set after each round, rising to ``auroc``; empty where that is not defined."""
    if auroc is None:
        return {"round": [], "hospital": [], "metric": [], "value": []}
    return {
        "round": list(range(1, rounds + 1)),
        "hospital": ["all"] * rounds,
        "metric": ["auroc"] * rounds,
        "value": [max(0.0, auroc - 0.05 * (rounds - i)) for i in range(1, rounds + 1)],
    }


def make_inversion(n_recovered: int = 3, n_attacked: int = 8, *, gallery: bool = False) -> Inverted:
    """Reconstruction of ``n_recovered`` of ``n_attacked`` records; ``gallery`` adds one recovered and one missed record."""
    shown = [
        Recovered(hospital="hospital_0", exact=True, truth={"age": "63", "sex": "male"}, guess={"age": "63", "sex": "male"}),
        Recovered(hospital="hospital_0", exact=False, truth={"age": "41", "sex": "female"}, guess=None),
    ]
    return Inverted(
        attack="analytic_inversion", round=1, n_attacked=n_attacked, n_guesses=n_attacked, n_recovered=n_recovered,
        rate=n_recovered / n_attacked, max_relative_error=1e-4 if n_recovered else None, records_in_row=[n_attacked],
        gallery=shown if gallery else [],
    )  # fmt: skip


def make_privacy(epsilon: float = 8.0) -> Privacy:
    """Record-level differential privacy spent by two hospitals."""
    spent = [
        Spent(
            hospital=f"hospital_{i}", n_train=120 - 20 * i, epsilon=epsilon - i, noise_multiplier=0.9, sample_rate=0.1, steps=40
        )
        for i in range(2)
    ]
    return Privacy(
        unit="record", epsilon=epsilon, delta=1e-5, accountant="rdp", max_grad_norm=1.0, target_epsilon=epsilon, hospitals=spent
    )


def make_conflict(name: str = "secagg-robustness") -> Conflict:
    """A design conflict as a run records it."""
    return Conflict(id=name, between="secure aggregation, krum", text="the rule sees one row")


def _changed(part: Part, changes: Part | dict[str, Any]) -> Part:
    return part.model_copy(update=changes) if isinstance(changes, dict) else changes
