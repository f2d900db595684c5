"""The evidence of audits of private training: a file of its own, chained like that of runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import Field, ValidationError, model_validator

from sim import files
from sim.config.groups import address_of
from sim.errors import InputError
from sim.evidence import sealed, store, study
from sim.evidence.outcomes import Part
from sim.evidence.store import MANIFEST, promised_by_manifest
from sim.types import Node

if TYPE_CHECKING:
    from sim.evidence.one_run import Bounds

AUDITS: Final = "audits.jsonl"
AUDIT_SCHEMA: Final = "wardround.audit.1"
LEAST: Final = 10  # canaries
MOST: Final = 1_000_000
MOST_GUESSES: Final = 10  # numbers of guesses
MOST_EPSILON: Final = 1e9  # more than any accountant states
MOST_SCORE: Final = 1e39  # more than float32 holds
LEAST_DELTA: Final = 1e-20
MOST_CONFIDENCE: Final = 1 - 1e-9
LONGEST: Final = 2_000  # characters of a name

Name = Annotated[str, Field(max_length=LONGEST)]
Count = Annotated[int, Field(lt=2**63)]
# what all audits of a folder have in common
OF_CLAIM: Final = (
    *("consortium", "hospital", "trained", "mechanism", "relation", "replaced", "delta", "claim"),
    *("steps", "n_records", "confidence", "guesses", "n_canaries"),
)

Finite = Annotated[float, Field(allow_inf_nan=False)]


class Audit(Part):
    """One audit: what was claimed, and the scores and coins of all canaries."""

    schema_: Literal["wardround.audit.1"]
    """The version of this form."""
    run: Name
    """The content address of configuration, data and code."""
    consortium: Name
    """The name of the consortium."""
    hospital: Name
    """The hospital whose training was audited."""
    seed: Count = Field(ge=0)
    """The seed from which all draws follow."""
    trained: Literal["alone", "together"]
    """By the hospital's own app ``alone``, or ``together`` with the batched training of
    comparisons.
    """
    mechanism: Name
    """The title of the plug-in for private training."""
    relation: Name
    """What neighbors differ in."""
    replaced: bool
    """Whether a canary that is not in has its opposite in its place."""
    delta: Finite = Field(ge=LEAST_DELTA, lt=1)
    """The delta of the claim."""
    claim: Finite = Field(ge=0, le=MOST_EPSILON)
    """The epsilon that the mechanism states for all rounds."""
    noise_multiplier: Finite = Field(ge=0)
    """The standard deviation of the noise over the greatest length of a gradient."""
    sample_rate: Finite = Field(gt=0, le=1)
    """The probability with which a step draws a record."""
    steps: Count = Field(ge=0)
    """The local steps of all rounds."""
    n_records: Count = Field(ge=1)
    """The hospital's records, canaries among them."""
    confidence: Finite = Field(gt=0.5, le=MOST_CONFIDENCE)
    """The confidence with which all bounds of the audit hold together."""
    guesses: tuple[Annotated[int, Field(ge=1)], ...] = Field(min_length=1, max_length=MOST_GUESSES)
    """The numbers of guesses, fixed before the coins."""
    coins: list[bool] = Field(min_length=LEAST, max_length=MOST)
    """Whether each canary was in, in the order of the canaries."""
    scores: list[Annotated[Finite, Field(ge=-MOST_SCORE, le=MOST_SCORE)]]
    """The score of each canary, in the same order."""
    config: Node
    """The whole configuration, resolved."""
    data_hash: str
    """The SHA-256 of the data as they were read."""
    code: str
    """12 hex digits of the source of simulator and plug-ins, and of their libraries' versions."""
    seconds: Finite = Field(ge=0)
    """The seconds that the audit took."""

    @model_validator(mode="after")
    def _one_score_each(self) -> Audit:
        if len(self.scores) != len(self.coins) or max(self.guesses) > len(self.coins):
            raise ValueError("expected a score for each coin, and no more guesses than coins")
        return self

    @property
    def n_canaries(self) -> int:
        """The number of canaries."""
        return len(self.coins)

    @cached_property
    def bounds(self) -> Bounds:
        """The lower bounds of epsilon, computed anew from scores and coins."""
        import numpy as np  # here and below: what shows nothing does without scipy

        from sim.evidence.one_run import bounds

        scores = np.array(self.scores)
        return bounds(scores, np.array(self.coins), self.guesses, self.delta, self.confidence)

    @property
    def exceeds(self) -> bool:
        """Whether a lower bound lies above the claim."""
        return max(self.bounds.one_run, self.bounds.f_dp) > self.claim


def refuting(n_audits: int, confidence: float) -> int:
    """The number of audits with bounds above the claim that refute it, of so many seeds.

    A true claim is exceeded so often with a probability of at most one minus ``confidence``.
    """
    from scipy.stats import binom

    chance = 1 - confidence
    for fewest in range(1, n_audits):
        if binom.sf(fewest - 1, n_audits, chance) <= chance:
            return fewest
    return n_audits


def is_refuted(audits: Sequence[Audit]) -> bool:
    """Whether the audits of one claim, one a seed, refute it."""
    exceeding = sum(one.exceeds for one in audits)
    return exceeding >= refuting(len(audits), audits[0].confidence)


def append(folder: Path, audit: Audit) -> None:
    """Add one audit to the end of the folder's evidence. Raises ``InputError`` if it cannot be."""
    text = json.dumps(audit.model_dump(mode="json"), sort_keys=True, allow_nan=False)
    files.append(folder / AUDITS, sealed.seal(text, head(folder)["hash"]))


def head(folder: Path) -> Node:
    """The end of a folder's audits: its size in ``bytes``, and the ``hash`` of its last line."""
    return store.head(folder, AUDITS)


def read(folder: Path) -> list[Audit]:
    """The audits of a folder in order of their seeds, each once.

    All must be of one claim. Each line must follow the line before, and bear the address of its
    configuration, data and code; ``manifest.json``, where it is there, must name a line of them.
    Raises ``InputError`` for a line that is none, or a folder without any.
    """
    path = folder / AUDITS
    found: dict[str, Audit] = {}
    promised = promised_by_manifest(folder, "audits")
    reached = promised is None
    size = 0
    previous = sealed.FIRST
    try:
        for number, line in enumerate(store.lines_of(path), 1):
            one, previous = _parsed(path, number, line, previous)
            found[one.run] = one
            size += len(line)
            reached = reached or promised == {"bytes": size, "hash": previous}
    except OSError as error:
        expected = f"expected a folder with {AUDITS} ({store.reason(error)})"
        raise InputError("folder", folder, expected) from error
    if not reached:
        expected = f"expected the {AUDITS} of which {MANIFEST} holds size and hash; it is another"
        raise InputError("folder", folder, expected)
    if not found:
        raise InputError("folder", folder, f"expected audits in {AUDITS}")
    if len({tuple(getattr(one, name) for name in OF_CLAIM) for one in found.values()}) > 1:
        raise InputError("folder", folder, f"expected audits of one claim in {AUDITS}")
    return sorted(found.values(), key=lambda one: (one.seed, one.run))


def _parsed(path: Path, number: int, line: bytes, previous: str) -> tuple[Audit, str]:
    """The audit of a line and the line's hash."""
    try:
        content, own = sealed.opened(line, previous)
        one = Audit.model_validate_json(content, strict=True)
    except sealed.BrokenError as error:
        raise _wrong(path, number, f"the chain does not hold: {error}") from error
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in problem["loc"]) or "audit"
        raise _wrong(path, number, f"{study.shown(where)}: {problem['msg']}") from error
    if one.run != address_of(one.config, one.data_hash, one.code):
        raise _wrong(path, number, "run: expected the address of its configuration")
    if one.seed != one.config.get("seed"):
        raise _wrong(path, number, "seed: expected that of its configuration")
    return one, own


def _wrong(path: Path, number: int, reason: str) -> InputError:
    return InputError(f"{path}:{number}", "line", f"not evidence of {AUDIT_SCHEMA}: {reason}")
