"""The evidence of audits of private training: a file of its own, chained like that of runs."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import Field, ValidationError, model_validator

from sim import files
from sim.config.groups import address_of
from sim.errors import InputError
from sim.evidence import sealed
from sim.evidence.outcomes import Part
from sim.evidence.store import MANIFEST, promised_by_manifest
from sim.types import Node

if TYPE_CHECKING:
    from sim.evidence.one_run import Bounds

AUDITS: Final = "audits.jsonl"
AUDIT_SCHEMA: Final = "wardround.audit.1"
LEAST: Final = 10  # canaries
MOST: Final = 1_000_000

Finite = Annotated[float, Field(allow_inf_nan=False)]


class Audit(Part):
    """One audit: what was claimed, and the scores and coins of all canaries.

    ``run``: the content address of configuration, data and code. ``trained``: by the hospital's own
    app ``alone``, or ``together`` with the batched training of comparisons. ``mechanism``: title of
    the plug-in. ``claim``: the epsilon that it states for all rounds at ``delta``. ``replaced``:
    whether a canary that is not in has its opposite in its place. ``guesses``: numbers of guesses,
    fixed before the coins. ``coins`` and ``scores``: in the order of the canaries.
    """

    schema_: Literal["wardround.audit.1"]
    run: str
    consortium: str
    hospital: str
    seed: int = Field(ge=0)
    trained: Literal["alone", "together"]
    mechanism: str
    relation: str
    replaced: bool
    delta: Finite = Field(gt=0, lt=1)
    claim: Finite = Field(ge=0)
    noise_multiplier: Finite = Field(ge=0)
    sample_rate: Finite = Field(gt=0, le=1)
    steps: int = Field(ge=0)
    n_records: int = Field(ge=1)
    confidence: Finite = Field(gt=0.5, lt=1)
    guesses: tuple[Annotated[int, Field(ge=1)], ...] = Field(min_length=1)
    coins: list[bool] = Field(min_length=LEAST, max_length=MOST)
    scores: list[Finite]
    config: Node
    data_hash: str
    code: str
    seconds: Finite = Field(ge=0)

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
    path = folder / AUDITS
    if not path.exists():
        return {"bytes": 0, "hash": sealed.FIRST}
    size = path.stat().st_size
    previous = sealed.FIRST
    for line in _lines(path):
        previous = sealed.opened(line, previous)[1]
    return {"bytes": size, "hash": previous}


def read(folder: Path) -> list[Audit]:
    """The audits of a folder in order of their seeds, each once.

    Each line must follow the line before, and bear the address of its configuration, data and code;
    ``manifest.json``, where it is there, must name a line of them. Raises ``InputError`` for a line
    that is none, or a folder without any.
    """
    path = folder / AUDITS
    found: dict[str, Audit] = {}
    promised = promised_by_manifest(folder, "audits")
    reached = promised is None
    size = 0
    previous = sealed.FIRST
    if not path.exists():
        raise InputError("folder", folder, f"expected a folder with {AUDITS}")
    for number, line in enumerate(_lines(path), 1):
        try:
            content, previous = sealed.opened(line, previous)
            one = Audit.model_validate_json(content)
        except sealed.BrokenError as error:
            raise _wrong(path, number, f"the chain does not hold: {error}") from error
        except ValidationError as error:
            problem = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in problem["loc"]) or "audit"
            raise _wrong(path, number, f"{where}: {problem['msg']}") from error
        if one.run != address_of(one.config, one.data_hash, one.code):
            raise _wrong(path, number, "run: expected the address of its configuration")
        found[one.run] = one
        size += len(line)
        reached = reached or promised == {"bytes": size, "hash": previous}
    if not reached:
        expected = f"expected the {AUDITS} of which {MANIFEST} holds size and hash; it is another"
        raise InputError("folder", folder, expected)
    if not found:
        raise InputError("folder", folder, f"expected audits in {AUDITS}")
    return sorted(found.values(), key=lambda one: (one.seed, one.run))


def _lines(path: Path) -> list[bytes]:
    with os.fdopen(files.opened(path), "rb") as file:
        return [line for line in file.read().splitlines(keepends=True) if line.endswith(b"\n")]


def _wrong(path: Path, number: int, reason: str) -> InputError:
    return InputError(f"{path}:{number}", "line", f"not evidence of {AUDIT_SCHEMA}: {reason}")
