"""Designs and evidence made for tests. Their figures are inputs, not measurements."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sim.evidence import Chain, Line, RunRecord
from tests.records import addressed, make_inversion, make_record
from threats import problems
from threats.assessment import Assessment, assess
from threats.catalog import load
from threats.system import Design

DESIGNS = Path(__file__).parents[1] / "conf" / "design"
CATALOG = load()
STACK = "median"
LOSS: Mapping[str, Any] = {
    "id": "accuracy", "threat": "THR-BYZ", "adversary": "hostile", "metric": "auroc",
    "over": "mean", "loss_at_most": 0.05, "min_seeds": 5,
}  # fmt: skip
READ: Mapping[str, Any] = {
    "id": "read", "threat": "THR-GI", "adversary": "reader", "metric": "reconstruction_rate",
    "over": "rate", "at_most": 0.05, "min_trials": 59,
}  # fmt: skip


def make_values(**changes: Any) -> dict[str, Any]:
    """The values of a design with one hostile hospital, an aggregator that reads, and a median."""
    values: dict[str, Any] = {
        "schema": "wardround.design/1",
        "meta": {"name": "Made for a test", "version": 1, "owner": "tests"},
        "federation": {"consortium": "heart12", "model": "logistic"},
        "legal": [{"id": "law", "text": "Updates are records.", "status": "unconfirmed"}],
        "assets": [
            {"id": "patients", "class": "phi_dataset", "phi": "yes", "records": 400},
            {"id": "update", "class": "model_update", "phi": "assumed_yes"},
            {"id": "model", "class": "global_model", "phi": "no"},
        ],
        "zones": [{"id": "site", "kind": "hospital"}, {"id": "center", "kind": "operator"}],
        "components": [
            {"id": "records", "dfd": "store", "zone": "site", "role": "data_store",
             "holds": ["patients"]},
            {"id": "hospital", "dfd": "process", "zone": "site", "role": "hospital_client",
             "holds": ["update", "model"]},
            {"id": "aggregator", "dfd": "process", "zone": "center", "role": "aggregator",
             "holds": ["update", "model"]},
        ],
        "flows": [{"id": "upload", "from": "hospital", "to": "aggregator", "carries": ["update"]}],
        "adversaries": [
            {"id": "hostile", "role": "a hospital", "at": ["hospital"],
             "powers": ["modify_update"],
             "initiation": {"level": "moderate", "rationale": "for a test"}},
            {"id": "reader", "role": "the operator", "at": ["aggregator"],
             "powers": ["see_individual_updates", "see_global_model"],
             "initiation": {"level": "moderate", "rationale": "for a test"}},
        ],
        "stacks": [{"id": "robust", "defense": STACK,
                    "controls": [{"id": "FLM-01", "enforced_by": "app"}]}],
        "declared": "robust",
        "acceptance": [dict(LOSS), dict(READ)],
    }  # fmt: skip
    return values | copy.deepcopy(changes)


def make_design(**changes: Any) -> Design:
    """The design of ``make_values``."""
    return problems.design(make_values(**changes))


def pairs(
    attack: str,
    losses: Sequence[float | None],
    defense: str = STACK,
    undefended: float = 0.3,
    **changes: Any,
) -> list[RunRecord]:
    """Runs of one attack with their controls, by what each seed lost of the pooled AUROC.

    None: the attack left no figure. ``undefended``: the loss without the defense.
    """
    made = []
    for seed, loss in enumerate(losses):
        for label, cost in (("none", undefended), (defense, loss)):
            made.append(make_record(seed=seed, defense=label, **changes))
            after = None if cost is None else 0.85 - cost
            figures = {"auroc": after, "worst_hospital_auroc": None if after is None else 0.76}
            if after is None:
                figures |= {"undefined": "no finite score"}
            made.append(
                make_record(seed=seed, attack=attack, defense=label, figures=figures, **changes)
            )
    return made


def recovered(
    counts: Sequence[int],
    n: int | Sequence[int] = 16,
    undefended: int = 8,
    defense: str = STACK,
) -> list[RunRecord]:
    """Runs of a reconstruction with their controls: how many of ``n`` records each seed lost.

    ``n``: of every seed, or of each; of the undefended control at most all are lost.
    """
    made = []
    sizes = [n] * len(counts) if isinstance(n, int) else n
    for seed, (count, size) in enumerate(zip(counts, sizes, strict=True)):
        for label, found in (("none", min(undefended, size)), (defense, count)):
            made.append(make_record(seed=seed, defense=label))
            made.append(
                make_record(
                    seed=seed,
                    attack="analytic_inversion",
                    defense=label,
                    inversion=make_inversion(found, size),
                )
            )
    return made


def make_chain(records: Iterable[RunRecord]) -> Chain:
    """Evidence in memory: each run once, each with a line."""
    unique = {record.run: record for record in map(addressed, records)}
    lines, starts, head = {}, 0, "0" * 64
    for run in unique:
        head = hashlib.sha256((head + run).encode()).hexdigest()
        lines[run] = Line(len(lines) + 1, head, starts, starts + 100)
        starts += 100
    return Chain(tuple(unique.values()), lines, starts, head)


def assessed(
    records: Iterable[RunRecord], design: Design | None = None, **given: Any
) -> Assessment:
    """What these records show of a design."""
    return assess(design or make_design(), CATALOG, make_chain(records), **given)
