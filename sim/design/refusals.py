"""Why a hospital may refuse to train: a fixed list, so a refusal carries no words of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

Refusal = Literal["plan", "round", "weights", "dp", "epsilon", "secagg", "group"]
REFUSED: Final = "the hospital refuses to train: "  # how the reason of a refusal starts
SENTENCES: Final[Mapping[str, str]] = {
    "plan": "the task is of another plan than the one agreed on",
    "round": "the plan has no such round",
    "weights": "these are not the weights of the plan's model",
    "dp": "its policy asks for record-level differential privacy, and the plan has none",
    "epsilon": "the plan spends a larger epsilon than its policy allows",
    "secagg": "its policy asks for secure aggregation, and the plan has none",
    "group": "its policy asks for more hospitals in a sum than the plan promises",
}
