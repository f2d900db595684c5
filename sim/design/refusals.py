"""The reasons for which a hospital may refuse a trip: a fixed list, without words of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

Refusal = Literal[
    "plan",
    "round",
    "weights",
    "imprint",
    "dp",
    "epsilon",
    "secagg",
    "group",
    "over",
    "again",
    "begun",
    "phase",
    "form",
    "peers",
    "few",
    "key",
    "signature",
    "survivors",
    "agreement",
    "repeated",
    "model",
    "not_finite",
]
REFUSED: Final = "the hospital refuses: "  # how the reason of a refusal starts
SENTENCES: Final[Mapping[str, str]] = {
    "plan": "the task is of another plan than the one agreed on",
    "round": "the plan has no such round",
    "weights": "these are not the weights of the plan's model",
    "imprint": "neurons of the model's first layer look in one direction, as of an imprint",
    "dp": "its policy asks for record-level differential privacy, and the plan has none",
    "epsilon": "one more round would spend a larger epsilon than its policy allows",
    "secagg": "its policy asks for secure aggregation, and the plan has none",
    "group": "its policy asks for more hospitals in a sum than the plan promises",
    "over": "it has answered in a later round already",
    "again": "it has trained in this round, and would draw the same noise for another model",
    "begun": "it has begun this plan before, in another execution",
    "phase": "it answers each trip of a round once, in their order, and this is not the next one",
    "form": "the message is not of the form that was agreed on",
    "peers": "these are not hospitals that it shares secrets with in this round",
    "few": "fewer hospitals take part than the threshold asks for",
    "key": "a public key gives the same secret to everybody",
    "signature": "a public key is not signed by the hospital that it is stated to be of",
    "survivors": "the hospitals whose updates are stated to have arrived cannot be these",
    "agreement": "fewer hospitals than the threshold state the same model and the same arrivals",
    "repeated": "it has unmasked another sum of what was trained from the same model",
    "model": "no more than half of the hospitals have signed the model that it was sent",
    "not_finite": "its update has values that are not finite",
}
# those before anything is trained, whatever the protocol
UNTRAINED: Final = {
    SENTENCES[why]
    for why in (
        *("plan", "round", "weights", "imprint", "dp", "epsilon", "secagg", "group", "over"),
        "begun",
    )
}
