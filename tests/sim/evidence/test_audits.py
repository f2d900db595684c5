"""Audits are stored as a chain, read back checked, and their bounds follow from what is stored."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sim.config.groups import address_of
from sim.errors import InputError
from sim.evidence import audits, sealed
from sim.evidence.audits import Audit
from sim.evidence.one_run import bounds
from sim.seeds import stream
from tests.commands import wardround


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


EDITS: dict[str, dict[str, object]] = {
    "claim as text": {"claim": "2.0"},
    "claim true": {"claim": True},
    "claim below 0": {"claim": -1.0},
    "claim beyond any": {"claim": 1e300},
    "claim not a number": {"claim": float("nan")},
    "a delta of almost nothing": {"delta": 5e-324},
    "as good as certain": {"confidence": 0.9999999999999999},
    "guesses by the thousand": {"guesses": [1] * 5000},
    "guesses true": {"guesses": [True]},
    "scores beyond float32": {"scores": [1e308] * 100},
    "coins as numbers": {"coins": [1] * 100},
    "few canaries": {"scores": [0.0] * 9, "coins": [True] * 9, "guesses": [5]},
    "a seed of 400 digits": {"seed": 10**400},
    "another seed": {"seed": 7},
    "records of 400 digits": {"n_records": 10**400},
    "steps of 400 digits": {"steps": 10**400},
    "a name without end": {"hospital": "x" * 100_000},
    "a lone surrogate": {"hospital": "\ud800"},
    "a list for a configuration": {"config": []},
    "another configuration": {"config": {"seed": 1, "x": 1}},
    "other data": {"data_hash": "x"},
    "other code": {"code": "x"},
    "another form": {"schema_": "wardround.audit.2"},
    "a key more": {"x": 1},
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_an_edit_that_is_chained_anew_is_one_line(
    edit: dict[str, object], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    previous = sealed.FIRST
    content = b""
    for values in (made(0).model_dump(mode="json"), made(1).model_dump(mode="json") | edit):
        content += sealed.seal(json.dumps(values, sort_keys=True), previous)
        previous = sealed.last_hash(content[-sealed.SEAL_BYTES :])
    path = tmp_path / audits.AUDITS
    path.write_bytes(content)
    assert wardround("report", str(tmp_path)) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert "audits.jsonl:2=line: not evidence of wardround.audit.1: " in line
    assert len(line) < 300
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("kind", ["folder", "pipe", "device", "dangling link"])
def test_what_is_no_file_is_refused_before_anything_runs(
    kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / audits.AUDITS
    make: dict[str, Callable[[], None]] = {
        "folder": path.mkdir,
        "pipe": lambda: os.mkfifo(path),
        "device": lambda: path.symlink_to("/dev/zero"),
        "dangling link": lambda: path.symlink_to(tmp_path / "nowhere"),
    }
    make[kind]()
    small = ("consortium=heart4", "model=logistic", "training.rounds=1", "audit.canaries=10")
    for words in (("audit", *small, f"hydra.run.dir={tmp_path}"), ("report", str(tmp_path))):
        assert wardround(*words) == 2
        assert capfd.readouterr().err.count("\n") == 1
    assert list(tmp_path.iterdir()) == [path]


def test_a_large_claim_is_shown(tmp_path: Path) -> None:
    audits.append(tmp_path, made(claim=audits.MOST_EPSILON))
    assert wardround("report", str(tmp_path)) == 0


def test_a_folder_without_audits_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a folder with audits\.jsonl"):
        audits.read(tmp_path)
    (tmp_path / audits.AUDITS).write_text("")
    with pytest.raises(InputError, match="expected audits in"):
        audits.read(tmp_path)
