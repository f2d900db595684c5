"""The one table of what each part of a configuration belongs to, and what follows from it.

Addresses, controls, folders that are completed later, labels of defenses, explanations and sweeps
read this table and keep no list of their own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from sim.types import Node  # with numpy, which ``--help`` does without

Part = Literal["study", "attack", "defense", "run", "nothing"]

BELONGS: Final[Mapping[str, Part]] = {
    "consortium": "study",
    "model": "study",
    "training": "study",
    "adversary": "study",  # but for the number of hostile hospitals, which belongs to the run
    "server": "study",
    "policy": "study",
    "metrics": "study",
    "plugins": "study",
    "attack": "attack",
    "label": "defense",
    "defense": "defense",
    "aggregator": "defense",
    "steps": "defense",
    "server_optimizer": "defense",
    "secagg": "defense",
    "dp": "defense",
    "hardening": "defense",
    "seed": "run",
    "engine": "nothing",  # engines and devices give the same figures to rounding
    "device": "nothing",
    "report": "nothing",
    "tracking": "nothing",
}
# keys of compare and explain: how many runs, and where
OF_COMMANDS: Final = ("attacks", "defenses", "seeds", "workers")
OF_THE_RUN: Final = "n_hostile"  # of the adversary, and of whatever is set to the adversary's
NAMES_OF_A_DEFENSE: Final = ("label", "defense")
STACK: Final = tuple(  # groups that a defense is a preset over
    key for key, part in BELONGS.items() if part == "defense" and key not in NAMES_OF_A_DEFENSE
)


def of(config: Mapping[str, object], *parts: Part) -> Node:
    """The values of ``config`` that belong to one of ``parts``; an unknown key is the study's."""
    return {key: value for key, value in config.items() if BELONGS.get(key, "study") in parts}


def without(config: Mapping[str, object], *parts: Part) -> Node:
    """The values of ``config`` that change a result and belong to none of ``parts``."""
    left_out = (*parts, "nothing")
    return {
        key: value for key, value in config.items() if BELONGS.get(key, "study") not in left_out
    }


def address_of(config: Mapping[str, object], data_hash: str, code: str) -> str:
    """The content address of a run: 16 hex digits of its configuration, its data and the code."""
    text = "\n".join((canonical(without(config)), data_hash, code))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def canonical(value: object) -> str:
    """One text for one value of JSON."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
