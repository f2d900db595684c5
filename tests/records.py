"""Evidence made for tests: whole run records with one or two things changed. Their figures are
inputs, not measurements.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sim.config.groups import address_of
from sim.evidence import (
    SCHEMA,
    Agreement,
    BackdoorGoal,
    Conflict,
    Engagement,
    FieldScores,
    HospitalFacts,
    ImageScores,
    Inverted,
    Isolating,
    Likeness,
    OfField,
    Outcome,
    Privacy,
    Recovered,
    RunRecord,
    Spent,
    Visibility,
    outcome,
)

FIGURES: Mapping[str, float] = {
    "auroc": 0.85, "auprc": 0.82, "accuracy": 0.78, "sensitivity_at_90_specificity": 0.55,
    "brier": 0.16, "worst_hospital_auroc": 0.76,
}  # fmt: skip
WHY = "made for a test"


def make_record(**changes: Any) -> RunRecord:
    """A complete record of six hospitals, four rounds, no attack and no defense, with ``changes``
    to its fields.

    ``figures`` change outcomes of the consortium: a value by metric, None for one that is not
    defined, and ``undefined``: why. ``of_hospitals`` does the same by metric and hospital.
    ``more``: outcomes besides those. ``engagement`` may be given as a dict of what differs.
    ``backdoor``: success and false-trigger rate of a mark, and on how many records (40).
    ``inversion``: what ``make_inversion`` returns, ``isolation``: of ``make_isolation``, and
    ``privacy``: of ``make_privacy``. Named
    attacks and defenses are engaged unless ``engagement`` states otherwise; ``run`` follows from
    attack, defense and seed. One hospital is hostile, also where it does not attack, as in real
    evidence; with another ``n_hostile`` it is part of ``run``.
    """
    attack, defense, seed = (
        changes.get(key, usual)
        for key, usual in (("attack", "none"), ("defense", "none"), ("seed", 0))
    )
    hostile = changes.get("hostile", [f"hospital_{i}" for i in range(changes.get("n_hostile", 1))])
    figures = dict(changes.pop("figures", {}))
    why = figures.pop("undefined", WHY)
    facts = changes.get("hospitals", make_hospitals(hostile))
    details, more = _details(attack, changes)
    skipped, rounds = changes.get("skipped_rounds", []), changes.get("rounds", 4)
    share = outcome("rounds_skipped", len(skipped) / rounds, rounds)
    clinical = make_outcomes(facts, figures, changes.pop("of_hospitals", {}), why)
    did, distances = make_engagement(attack, defense, changes.pop("engagement", {}))
    auroc = figures.get("auroc", FIGURES["auroc"])
    fields: dict[str, Any] = {
        "schema_": SCHEMA,
        "run": f"{attack}-{defense}-{seed}" + ("" if len(hostile) == 1 else f"-{len(hostile)}"),
        "consortium": "heart", "attack": attack, "defense": defense, "seed": seed,
        "n_hospitals": len(facts), "n_hostile": len(hostile), "hostile": hostile, "rounds": 4,
        "public": True, "adaptive": False, "data_source": "made for a test", "data_hash": "0" * 64,
        "code": "test",
        "config": {"seed": seed, "training": {"rounds": 4}, "report": {"material_drop": 0.05}},
        "outcomes": (share, *clinical, *distances, *more, *changes.pop("more", ())),
        "hospitals": facts, "engagement": did, "screened": [], "skipped_rounds": [], "skips": [],
        "absences": {}, "limit": None, "data_notes": [], "not_finite_from": None, "disputed": [],
        "clipped": [],
        "visibility": [Visibility(party="aggregator", sees="every hospital's update")],
        "conflicts": [], "curve": make_curve(4, 0.5 if auroc is None else auroc), "seconds": 1.5,
    }  # fmt: skip
    return RunRecord(**fields | details | changes)


def with_figures(record: RunRecord, figures: Mapping[str, Any]) -> RunRecord:
    """The record with other values of the consortium's outcomes, as ``make_record`` takes them."""
    undefined = figures.get("undefined", WHY)
    outcomes = [
        (
            one.model_copy(
                update={
                    "value": figures[one.metric],
                    "undefined": undefined if figures[one.metric] is None else None,
                }
            )
            if one.subject is None and one.metric in figures
            else one
        )
        for one in record.outcomes
    ]
    return record.model_copy(update={"outcomes": tuple(outcomes)})


def with_outcomes(record: RunRecord, outcomes: Iterable[Outcome]) -> RunRecord:
    """The record with more outcomes, in place of those of the same metric and subject."""
    new = {(one.metric, one.subject): one for one in outcomes}
    others = [one for one in record.outcomes if (one.metric, one.subject) not in new]
    return record.model_copy(update={"outcomes": (*others, *new.values())})


def addressed(record: RunRecord) -> RunRecord:
    """The record as it may be read from a file: its configuration names its cell, and ``run`` is
    its address.
    """
    pairs = [[name, {}] for name in record.attack.split("+") if name != "none"]
    named = {
        "seed": record.seed,
        "label": record.defense,
        "attack": pairs,
        "adversary": {"n_hostile": record.n_hostile},
    }
    config = named | record.config
    return record.model_copy(
        update={"config": config, "run": address_of(config, record.data_hash, record.code)}
    )


def make_engagement(
    attack: str, defense: str, changes: Mapping[str, Any]
) -> tuple[Engagement, list[Outcome]]:
    """Engagement in which everything that is there did something, but for ``changes``, and the
    distances behind it.
    """
    usual = {
        "attack_engaged": None if attack == "none" else True,
        "attack_distance": None if attack == "none" else 2.0,
        "defense_engaged": None if defense == "none" else True,
        "defense_distance": None if defense == "none" else 0.3,
    }
    found = usual | dict(changes)
    metrics = [f"{part}_distance" for part in ("attack", "defense")]
    distances = [outcome(metric, found[metric]) for metric in metrics if found[metric] is not None]
    return (
        Engagement(
            attack_engaged=found["attack_engaged"], defense_engaged=found["defense_engaged"]
        ),
        distances,
    )


def make_hospitals(hostile: list[str]) -> list[HospitalFacts]:
    """Six hospitals of falling size; the last has few test patients."""
    return [
        HospitalFacts(
            hostile=f"hospital_{i}" in hostile,
            hospital=f"hospital_{i}",
            origin=f"origin_{i // 2}",
            n_train=120 - 20 * i,
            n_test=36 - 6 * i,
            n_test_positive=16 - 3 * i,
        )
        for i in range(6)
    ]


def make_outcomes(
    facts: list[HospitalFacts],
    figures: Mapping[str, float | None],
    of_hospitals: Mapping[str, Mapping[str, float | None]],
    undefined: str,
) -> list[Outcome]:
    """Clinical outcomes, pooled and at each hospital; a sixth hospital has too few test patients
    for an AUROC.
    """
    n_test = sum(one.n_test for one in facts)
    pooled = [
        outcome(name, value, n_test, undefined=undefined)
        for name, value in (FIGURES | dict(figures)).items()
    ]
    each = []
    for i, one in enumerate(facts):
        usual = {
            "auroc": None if i == 5 else 0.88 - 0.03 * i,
            "brier": 0.15 + 0.01 * i,
            "accuracy": 0.8 - 0.02 * i,
        }
        for metric, value in usual.items():
            found = of_hospitals.get(metric, {}).get(one.hospital, value)
            each.append(
                outcome(
                    metric,
                    found,
                    one.n_test,
                    hospital=one.hospital,
                    undefined="too few test patients",
                )
            )
    return pooled + each


def make_curve(rounds: int, auroc: float | None) -> dict[str, list[Any]]:
    """AUROC of the pooled test set after each round, rising to ``auroc``; empty where that is not
    defined.
    """
    if auroc is None:
        return {"round": [], "hospital": [], "metric": [], "value": []}
    return {
        "round": list(range(1, rounds + 1)),
        "hospital": ["all"] * rounds,
        "metric": ["auroc"] * rounds,
        "value": [max(0.0, auroc - 0.05 * (rounds - i)) for i in range(1, rounds + 1)],
    }


Inversion = tuple[Inverted, list[Outcome]]


def make_inversion(
    n_recovered: int = 3,
    n_attacked: int = 8,
    *,
    n_shuffled: int = 0,
    gallery: bool | list[Recovered] = False,
    **changes: Any,
) -> Inversion:
    """Reconstruction of ``n_recovered`` of ``n_attacked`` records, by an attack that may have
    another name, and its outcomes.

    ``gallery`` adds one recovered and one missed record, or those that are given; ``changes`` to
    the details.
    """
    shown = [
        Recovered(
            hospital="hospital_0",
            exact=True,
            truth={"age": "63", "sex": "male"},
            guess={"age": "63", "sex": "male"},
        ),
        Recovered(
            hospital="hospital_0", exact=False, truth={"age": "41", "sex": "female"}, guess=None
        ),
    ]
    listed = gallery if isinstance(gallery, list) else shown if gallery else []
    details = Inverted(
        attack="analytic_inversion",
        round=1,
        n_guesses=n_attacked,
        records_in_row=[n_attacked],
        gallery=listed,
    ).model_copy(update=changes)
    error = outcome(
        "reconstruction_error",
        1e-4 if n_recovered else None,
        n_recovered,
        undefined="no record was recovered",
    )
    null = outcome("reconstruction_rate_shuffled", n_shuffled / n_attacked, n_attacked)
    rate = outcome("reconstruction_rate", n_recovered / n_attacked, n_attacked)
    return details, [rate, error, null]


def make_images(n_recovered: int = 3, n_attacked: int = 8) -> Inversion:
    """Reconstruction of ``n_recovered`` of a hospital's ``n_attacked`` images, and its outcomes."""
    n_missed = n_attacked - n_recovered
    scores = ImageScores(
        hospital=["hospital_0"] * n_attacked,
        guess=Likeness(mse=[1e-4] * n_recovered + [0.1] * n_missed, ssim=[0.95] * n_attacked),
        shuffled=Likeness(mse=[0.2] * n_attacked, ssim=[0.01] * n_attacked),
        mean_color=Likeness(mse=[0.01] * n_attacked, ssim=[0.2] * n_attacked),
        random=Likeness(mse=[0.25] * n_attacked, ssim=[-0.01] * n_attacked),
    )
    figures = {
        "image_mse": scores.guess.mse,
        "image_psnr": scores.guess.psnr,
        "image_ssim": scores.guess.ssim,
        "image_gain": scores.gain,
    }
    details, outcomes = make_inversion(n_recovered, n_attacked, images=scores)
    means = [outcome(name, sum(of) / n_attacked, n_attacked) for name, of in figures.items()]
    return details, [*outcomes, *means]


def make_fields() -> Inversion:
    """Reconstruction of four rows of two fields, of which one has ``age`` wrong, and outcomes."""

    def agreement(age: list[bool], sex: list[bool], singled_out: list[bool]) -> Agreement:
        pairs = list(zip(age, sex, strict=True))
        return Agreement(
            right=[(one + other) / 2 for one, other in pairs],
            exact=[one and other for one, other in pairs],
            singled_out=singled_out,
        )

    yes, no = [True] * 4, [False] * 4
    half = [True, True, False, False]
    scores = FieldScores(
        hospital=["hospital_0"] * 4,
        guess=agreement([True, True, True, False], yes, half),
        shuffled=agreement([True, False, False, False], half, no),
        random=agreement(half, half, no),
        typical=agreement(half, no, no),
        fields=[
            OfField(field="age", certainty=0.8, guess=0.75, shuffled=0.25, random=0.5, typical=0.5),
            OfField(field="sex", certainty=None, guess=1, shuffled=0.5, random=0.5, typical=0),
        ],
        surest=1.0,
        least_sure=0.75,
    )
    figures = {
        "feature_accuracy": 0.875,
        "feature_accuracy_shuffled": 0.375,
        "exact_match_rate": 0.75,
        "exact_match_rate_shuffled": 0.25,
        "singled_out_rate": 0.5,
        "singled_out_rate_shuffled": 0.0,
        "feature_gain": 0.375,
    }
    details, outcomes = make_inversion(3, 4, fields=scores)
    return details, [*outcomes, *(outcome(name, value, 4) for name, value in figures.items())]


Isolation = tuple[Isolating, list[Outcome]]


def make_isolation(
    n_recovered: int = 0,
    n_honest: int = 5,
    *,
    attack: str = "collusion",
    error: float | None = None,
    smallest: int | None = 5,
    colluding: Sequence[str] = ("hospital_0",),
) -> Isolation:
    """An attack on secure aggregation that recovered so many updates, and its outcomes."""
    details = Isolating(attack=attack, reads_only=True, colluding=list(colluding))
    why = "it was not worked out"
    return details, [
        outcome("updates_recovered", n_recovered / n_honest, n_honest),
        outcome("update_error", error, undefined=why),
        outcome("smallest_sum", smallest, undefined=why),
    ]


Spending = tuple[Privacy, list[Outcome]]


def make_privacy(epsilon: float = 8.0) -> Spending:
    """Record-level differential privacy spent by two hospitals, and its outcomes."""
    sizes = {f"hospital_{i}": 120 - 20 * i for i in range(2)}
    spent = [
        Spent(
            hospital=name,
            n_train=n,
            noise_multiplier=0.9,
            sample_rate=0.1,
            steps=40,
            advantage=0.5,
            tpr_at_1fpr=0.1,
            tpr_at_01fpr=0.02,
        )
        for name, n in sizes.items()
    ]
    details = Privacy(
        unit="record",
        relation="replace",
        nominal_records=None,
        sampling="Poisson",
        delta=1e-5,
        accountant="privacy loss distributions",
        max_grad_norm=1.0,
        target_epsilon=epsilon,
        hospitals=spent,
        not_covered=[],
    )
    each = [
        outcome("epsilon", epsilon - i, n, hospital=name)
        for i, (name, n) in enumerate(sizes.items())
    ]
    return details, [outcome("epsilon", epsilon, sum(sizes.values())), *each]


def make_mark(success: float | None, false_trigger: float | None, n: int = 40) -> list[Outcome]:
    """The outcomes of a backdoor on ``n`` marked records."""
    why = "a score of a marked record is not finite"
    return [
        outcome("backdoor_success", success, n, undefined=why),
        outcome("false_trigger_rate", false_trigger, n, undefined=why),
    ]


def make_conflict(name: str = "secagg-robustness") -> Conflict:
    """A design conflict as a run records it."""
    return Conflict(id=name, between="secure aggregation, krum", text="the rule sees one row")


def _details(attack: str, changes: dict[str, Any]) -> tuple[dict[str, Any], list[Outcome]]:
    """The details that go with outcomes, taken out of ``changes``, and these outcomes."""
    found: list[Outcome] = []
    details: dict[str, Any] = {"privacy": None, "inversion": None, "backdoor": None}
    for key in ("privacy", "inversion", "isolation"):
        given = changes.pop(key, None)
        if given is not None:
            details[key], outcomes = given
            found += outcomes
    mark = changes.pop("backdoor", None)
    if mark is not None:
        details["backdoor"] = BackdoorGoal(attack=attack, target=0)
        found += make_mark(*mark)
    return details, found


def make_selection(
    weights: Iterable[float],
    left_out: Iterable[float],
    *,
    recall: float | None = 0.5,
    precision: float | None = 0.25,
    honest_left_out: float | None = 0.5,
) -> list[Outcome]:
    """The outcomes of a rule that weighs hospitals, over four rounds."""
    pairs = enumerate(zip(weights, left_out, strict=True))
    each = {
        f"hospital_{i}": {"hospital_weight": weight, "left_out": out} for i, (weight, out) in pairs
    }
    of_all = {
        "selection_recall": recall,
        "selection_precision": precision,
        "honest_left_out": honest_left_out,
    }
    return [
        outcome(metric, value, 4, undefined="nobody is counted") for metric, value in of_all.items()
    ] + [
        outcome(metric, value, 4, hospital=name)
        for name, found in each.items()
        for metric, value in found.items()
    ]
