"""A small design of hospitals that do not exist, with what a test changes of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

HOSPITALS = 7
# small, and large enough for a rule to hold against one hospital
FEDERATION: Mapping[str, Any] = {
    "consortium": {
        "synthetic": {"n_hospitals": HOSPITALS, "n_records": 100, "n_features": 4, "shift": 0.0}
    },
    "model": "logistic",
    "training": {"rounds": 8},
    "adversary": {"n_hostile": 1, "knowledge": "own"},
}
LABELS = ["control_labels"]  # the powers of an adversary who can do label_flip alone


def criterion(**changes: Any) -> dict[str, Any]:
    """A criterion that honest training meets and that is about ``label_flip``."""
    return {
        "id": "accuracy", "threat": "THR-LF", "adversary": "hostile", "metric": "auroc",
        "over": "mean", "at_least": 0.5, "min_seeds": 3,
    } | changes  # fmt: skip


def values(**changes: Any) -> dict[str, Any]:
    """A whole design that one attack is run for, on three seeds. ``powers``: of its adversary."""
    powers = changes.pop("powers", LABELS)
    adversary = {
        "id": "hostile", "role": "a hospital", "at": ["hospital", "records"],
        "powers": powers, "knowledge": "own",
        "initiation": {"level": "low", "rationale": "made for a test"},
    } | changes.pop("adversary", {})  # fmt: skip
    parts = ["hospital", "hospital_client", "records", "data_store", "server", "aggregator"]
    return {
        "schema": "wardround.design/1",
        "meta": {"name": "made for a test", "version": 1, "owner": "nobody"},
        "federation": {**FEDERATION, **changes.pop("federation", {})},
        "assets": [{"id": "patients", "class": "phi_dataset", "phi": "no"}],
        "zones": [{"id": "site", "kind": "hospital"}],
        "components": [
            {"id": id_, "dfd": "process", "zone": "site", "role": role}
            for id_, role in zip(parts[::2], parts[1::2], strict=True)
        ],
        "adversaries": [adversary],
        "stacks": [{"id": "robust", "defense": "median"}],
        "declared": "robust",
        "acceptance": [criterion()],
        "trial": {"seeds": 3},
    } | changes


def write(folder: Path, **changes: Any) -> Path:
    """The file of a design, in ``folder``."""
    path = folder / "design.yaml"
    path.write_text(yaml.safe_dump(values(**changes), sort_keys=False), encoding="utf-8")
    return path
