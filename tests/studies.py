"""Ten small sets of results, each with something that a report has to state right. Their figures
are inputs, not measurements.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sim.evidence import Cause, Outcome, RunRecord, Screened, Skip, outcome
from tests.records import (
    make_curve,
    make_inversion,
    make_record,
    make_selection,
    with_figures,
    with_outcomes,
)

GOLDEN = Path(__file__).parent / "golden"
ALONE = (0.90, 0.91, 0.89)  # AUROC with nobody attacking, by seed
FIGURES = (
    "auroc", "auprc", "accuracy", "sensitivity_at_90_specificity", "brier", "worst_hospital_auroc",
)  # fmt: skip
NOT_FINITE = dict.fromkeys(FIGURES) | {
    "undefined": "the scores of 180 of 180 test patients are not finite"
}
UNTRAINED = dict.fromkeys(FIGURES) | {
    "undefined": "no round gave a new model, so there is no trained model to score"
}

Losses = Mapping[tuple[str, str], Sequence[float | None]]


def golden(name: str) -> tuple[list[RunRecord], dict[str, Any]]:
    """The records and the manifest of a comparison that was run, with no more of its curves than
    reports draw.
    """
    first, *lines = (
        gzip.decompress((GOLDEN / f"{name}.jsonl.gz").read_bytes()).decode().splitlines()
    )
    return [RunRecord.model_validate_json(line) for line in lines], json.loads(first)


def losses(
    found: Losses, controls: Sequence[float] = ALONE, costs: Mapping[str, float] | None = None
) -> list[RunRecord]:
    """Runs of each attack and defense that lost so much AUROC, by seed, against their controls;
    None: no AUROC at the end.

    ``costs``: what a defense takes off AUROC with nobody attacking.
    """
    paid = dict(costs or {})
    records = []
    for defense in dict.fromkeys(["none", *(name for _, name in found)]):
        before = [value - paid.get(defense, 0.0) for value in controls]
        records += [
            make_record(defense=defense, seed=s, figures={"auroc": value})
            for s, value in enumerate(before)
        ]
        for (attack, name), lost in found.items():
            if name == defense:
                after = [None if loss is None else before[s] - loss for s, loss in enumerate(lost)]
                records += [
                    _ended(attack, defense, seed, value) for seed, value in enumerate(after)
                ]
    return records


def _ended(attack: str, defense: str, seed: int, auroc: float | None) -> RunRecord:
    if auroc is not None:
        return make_record(attack=attack, defense=defense, seed=seed, figures={"auroc": auroc})
    curve = make_curve(2, 0.8)
    return make_record(attack=attack, defense=defense, seed=seed, figures=NOT_FINITE, curve=curve)


def all_harmed() -> list[RunRecord]:
    """Every attack takes at least 0.06 in every seed, one of them very unequal amounts."""
    return losses(
        {("sign_flip", d): (0.2, 0.84, 0.06) for d in ("none", "median")}
        | {("alie", "none"): (0.1, 0.11, 0.12)}
    )


def one_harmed() -> list[RunRecord]:
    """One attack takes 0.3, the other next to nothing; the median holds against both."""
    small = (0.001, 0.0, 0.002)
    cells = {("sign_flip", "none"): (0.3, 0.31, 0.29), ("alie", "none"): small}
    return losses(cells | {("sign_flip", "median"): small, ("alie", "median"): small})


def bimodal() -> list[RunRecord]:
    """Krum falls in one seed of three."""
    return losses(
        {("fang_krum", "none"): (0.0, 0.001, 0.0), ("fang_krum", "krum"): (0.0, 0.7, 0.0)}
    )


def ties() -> list[RunRecord]:
    """Two defenses that do equally well; krum takes one hospital, and costs AUROC."""
    close = {("alie", "krum"): (0.01, 0.0, 0.03), ("alie", "median"): (0.0, 0.03, 0.01)}
    records = losses({("alie", "none"): (0.4, 0.41, 0.39), **close}, costs={"krum": 0.02})
    return [with_outcomes(r, _one_of(6)) if r.defense == "krum" else r for r in records]


def backdoor_only() -> list[RunRecord]:
    """A backdoor that leaves AUROC as it is: 0.9 of the marked without a defense, near false
    triggers under krum.
    """
    found = {"none": (0.9, 0.92, 0.94), "median": (0.3, 0.4, 0.5), "krum": (0.05, 0.06, 0.05)}
    records = [
        r for r in losses({("backdoor", d): (0.0, 0.001, 0.0) for d in found}) if r.attack == "none"
    ]
    return records + [
        make_record(
            attack="backdoor", defense=d, seed=s, figures={"auroc": ALONE[s]},
            backdoor=(value, 0.05, 400),
        )
        for d, values in found.items() for s, value in enumerate(values)
    ]  # fmt: skip


def undefined() -> list[RunRecord]:
    """One seed's model has no AUROC under attack; the others lost nothing."""
    return losses({("ipm", "none"): (0.0, None, 0.0), ("ipm", "median"): (0.0, 0.001, 0.0)})


def skipped() -> list[RunRecord]:
    """Rounds skipped in one seed of an attack because replies were missing, and a control of which
    all were.
    """
    records = losses(
        {("malformed", "none"): (0.0, 0.001, 0.0), ("malformed", "krum"): (0.1, 0.0, 0.0)}
    )
    return [_stopped(r) for r in records]


def _stopped(record: RunRecord) -> RunRecord:
    if (record.attack, record.defense, record.seed) == ("malformed", "krum", 0):
        return _skipping(record, [2, 3], "absent", ["hospital_0"], ["hospital_4"])
    if (record.attack, record.defense, record.seed) == ("none", "krum", 2):
        untrained = with_figures(record, UNTRAINED).model_copy(
            update={"curve": make_curve(4, None)}
        )
        return _skipping(untrained, [1, 2, 3, 4], "not_finite", [], [])
    return record


def _skipping(
    record: RunRecord, rounds: list[int], cause: Cause, hostile: list[str], honest: list[str]
) -> RunRecord:
    replies = 6 - len(hostile + honest)
    skips = [
        Skip(
            round=n,
            cause=cause,
            reason="made for a test",
            replies=replies,
            needed=5,
            hostile=hostile,
            honest=honest,
        )
        for n in rounds
    ]
    share = outcome("rounds_skipped", len(rounds) / record.rounds, record.rounds)
    return with_outcomes(record, [share]).model_copy(
        update={"skipped_rounds": rounds, "skips": skips}
    )


def broken_down() -> list[RunRecord]:
    """Training that ends below guessing from round 3 on, in every seed."""
    records = losses({("ipm", "none"): (0.8, 0.8, 0.8), ("ipm", "median"): (0.0, 0.001, 0.0)})
    curve = {"round": [1, 2, 3, 4], "hospital": ["all"] * 4, "metric": ["auroc"] * 4}
    return [
        (
            r.model_copy(update={"curve": curve | {"value": [0.8, 0.7, 0.2, 0.1]}})
            if (r.attack, r.defense) == ("ipm", "none")
            else r
        )
        for r in records
    ]


def reconstruction_only() -> list[RunRecord]:
    """An attack that reads, recovers all without a defense and nothing from a sum; no attack on the
    model.
    """
    records = [make_record(defense=d, seed=s) for d in ("none", "secagg") for s in range(3)]
    return records + [
        make_record(attack="analytic_inversion", defense=d, seed=s, inversion=make_inversion(n, 8))
        for d, n in (("none", 8), ("secagg", 0)) for s in range(3)
    ]  # fmt: skip


def nothing() -> list[RunRecord]:
    """No attack, no defense, one seed, and one reply that was not used."""
    return [make_record(screened=[Screened(round=1, hospital="hospital_1", reason="no reply")])]


def _one_of(n: int) -> list[Outcome]:
    """Whom a rule that takes one hospital took."""
    weights = [float(i == 1) for i in range(n)]
    return make_selection(
        weights, [1 - one for one in weights], recall=None, precision=None, honest_left_out=5 / 6
    )


STUDIES: dict[str, Callable[[], list[RunRecord]]] = {
    "all harmed": all_harmed, "one harmed": one_harmed, "bimodal": bimodal, "ties": ties,
    "backdoor only": backdoor_only, "undefined": undefined, "skipped": skipped,
    "broken down": broken_down, "reconstruction only": reconstruction_only, "nothing": nothing,
}  # fmt: skip
