"""``wardround audit``: exit codes, what it leaves, and that nothing is run twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sim import plugins
from sim.study import audit
from tests import ROOT
from tests.commands import wardround
from tests.described import undescribed

SMALL = (
    "consortium=heart4", "model=logistic", "training.rounds=2", "audit.canaries=20",
    "dp.target_epsilon=2",
)  # fmt: skip
LOUD = ("consortium=heart4", "model.hidden=[16]", "training.rounds=4", "audit.canaries=250")
WEAK = ("plugins=[weak_privacy]", "dp._target_=weak_privacy.WeakNoise", "+dp.share=0.05")


def test_an_audit_leaves_evidence_configuration_manifest_and_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "out"
    assert wardround("audit", *SMALL, "seeds=2", f"hydra.run.dir={folder}") == 0
    printed = capsys.readouterr().out
    assert "Not refuted: in 0 of 2 audits" in " ".join(printed.split())
    names = {path.name for path in folder.iterdir()}
    assert names == {"audits.jsonl", "config.yaml", "manifest.json", "report"}
    assert undescribed(folder) == []
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["command"].startswith("wardround audit consortium=heart4")
    lines = [json.loads(line) for line in (folder / "audits.jsonl").read_text().splitlines()]
    assert manifest["audits"]["hash"] == lines[-1]["hash"]
    assert [line["hospital"] for line in lines] == ["switzerland", "switzerland"]
    assert lines[0]["coins"] != lines[1]["coins"]


def test_the_same_command_runs_nothing_again_and_more_seeds_run_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = f"hydra.run.dir={tmp_path / 'out'}"
    assert wardround("audit", *SMALL, where) == 0
    stored = (tmp_path / "out" / "audits.jsonl").read_bytes()
    ran = list[int]()
    run = audit.run
    monkeypatch.setattr(
        audit, "run", lambda one: ran.append(one.experiment.settings.seed) or run(one)
    )
    assert wardround("audit", *SMALL, "seeds=2", where) == 0
    assert ran == [1]
    assert (tmp_path / "out" / "audits.jsonl").read_bytes().startswith(stored)


def test_a_refuted_claim_is_exit_code_1_and_json_is_all_that_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "packages"))
    monkeypatch.setenv(plugins.CHOSEN, "")
    where = f"hydra.run.dir={tmp_path / 'out'}"
    assert wardround("audit", *LOUD, *WEAK, "dp.target_epsilon=2", "--json", where) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["refuted"]
    assert found["audits"][0]["f_dp"] > found["audits"][0]["claim"]
    assert found["ceiling"]["one_run"] >= found["audits"][0]["one_run"]


def test_the_report_is_made_again_from_the_evidence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "out"
    assert wardround("audit", *SMALL, f"hydra.run.dir={folder}") == 0
    page = folder / "report" / "index.html"
    before = page.read_bytes()
    page.unlink()
    assert wardround("report", str(folder)) == 0
    assert page.read_bytes() == before
    text = (folder / "audits.jsonl").read_text()
    (folder / "audits.jsonl").write_text(text.replace('"claim": 1.9', '"claim": 2.9', 1))
    capsys.readouterr()
    assert wardround("report", str(folder)) == 2
    assert "its hash is not that of its content" in capsys.readouterr().err


def test_a_folder_takes_audits_of_one_claim_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = f"hydra.run.dir={tmp_path / 'out'}"
    assert wardround("audit", *SMALL, where) == 0
    assert wardround("audit", *SMALL, "dp.delta=1e-6", where) == 2
    assert "holds audits with another dp.delta" in capsys.readouterr().err
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "evidence.jsonl").write_text("")
    assert wardround("audit", *SMALL, f"hydra.run.dir={tmp_path / 'runs'}") == 2
    assert "holds runs; expected a new folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("-m",), "flags=-m: expected none here; seeds=N makes several audits"),
        (("--plan",), "flags=--plan: unrecognized arguments: --plan"),
        (("audit.hospital=mayo",), "audit.hospital=mayo: expected one of cleveland"),
        (("audits=3",), "audits=3: unknown key"),
    ],
)
def test_wrong_words_are_one_line_and_leave_nothing(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    expected: str,
) -> None:
    folder = tmp_path / "out"
    assert wardround("audit", *SMALL, *words, f"hydra.run.dir={folder}") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"wardround: {expected}")
    assert not folder.exists()


def test_help_and_configuration_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert wardround("audit", "--help") == 0
    assert "canaries: 1000" in capsys.readouterr().out
    assert wardround("audit", "--cfg", "job", "--json") == 0
    assert "hospital: null" in capsys.readouterr().out
