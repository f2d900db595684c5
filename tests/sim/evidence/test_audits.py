"""Audits are stored as a chain, read back checked, and their bounds follow from what is stored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sim.config.groups import address_of
from sim.errors import InputError
from sim.evidence import audits
from sim.evidence.audits import Audit
from sim.evidence.one_run import bounds
from sim.seeds import stream


def made(seed: int = 0, claim: float = 2.0, shift: float = 3.0) -> Audit:
    rng = stream(seed, "audit")
    coins = rng.random(100) < 0.5
    scores = coins * shift + rng.normal(size=100)
    config = {"seed": seed}
    return Audit(
        schema_=audits.AUDIT_SCHEMA,
        run=address_of(config, "data", "code"),
        consortium="heart4",
        hospital="va",
        seed=seed,
        trained="alone",
        mechanism="Record-level DP",
        relation="replace",
        replaced=True,
        delta=1e-5,
        claim=claim,
        noise_multiplier=1.0,
        sample_rate=0.1,
        steps=200,
        n_records=140,
        confidence=0.95,
        guesses=(95, 50, 20),
        coins=coins.tolist(),
        scores=scores.tolist(),
        config=config,
        data_hash="data",
        code="code",
        seconds=1.0,
    )


def test_audits_are_read_back_in_order_of_seeds(tmp_path: Path) -> None:
    written = [made(2), made(0), made(1)]
    for one in written:
        audits.append(tmp_path, one)
    assert audits.read(tmp_path) == sorted(written, key=lambda one: one.seed)


def test_bounds_are_those_of_scores_and_coins() -> None:
    one = made()
    expected = bounds(np.array(one.scores), np.array(one.coins), (95, 50, 20), 1e-5, 0.95)
    assert one.bounds == expected
    assert one.exceeds == (max(expected.one_run, expected.f_dp) > 2)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('"claim": 2.0', '"claim": 9.0', "its hash is not that of its content"),
        ('"coins": [', '"coins": [true, ', "its hash is not that of its content"),
    ],
)
def test_a_changed_line_is_refused(tmp_path: Path, old: str, new: str, expected: str) -> None:
    audits.append(tmp_path, made())
    path = tmp_path / audits.AUDITS
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(InputError, match=expected):
        audits.read(tmp_path)


def test_a_line_that_was_taken_out_is_noticed(tmp_path: Path) -> None:
    for seed in range(3):
        audits.append(tmp_path, made(seed))
    path = tmp_path / audits.AUDITS
    lines = path.read_text().splitlines(keepends=True)
    path.write_text(lines[0] + lines[2])
    with pytest.raises(InputError, match="does not follow the line before"):
        audits.read(tmp_path)
    path.write_text(lines[0] + lines[1])
    head = audits.head(tmp_path)
    (tmp_path / "manifest.json").write_text(
        f'{{"audits": {{"bytes": 1, "hash": "{head["hash"]}"}}}}'
    )
    with pytest.raises(InputError, match="it is another"):
        audits.read(tmp_path)


@pytest.mark.parametrize(
    "change", [{"scores": [1.0] * 99}, {"guesses": (101,)}, {"scores": [float("nan")] * 100}]
)
def test_an_audit_that_cannot_be_is_none(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"expected a score for each coin|finite number"):
        Audit.model_validate({**made().model_dump(), **change})


def test_a_folder_without_audits_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a folder with audits\.jsonl"):
        audits.read(tmp_path)
    (tmp_path / audits.AUDITS).write_text("")
    with pytest.raises(InputError, match="expected audits in"):
        audits.read(tmp_path)
