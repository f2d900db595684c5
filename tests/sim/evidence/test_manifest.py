"""The manifest names the commit of the code, and states if files differ from it."""

import subprocess
from pathlib import Path

import pytest

from sim.evidence import manifest


def git(folder: Path, *words: str) -> str:
    settings = "-c user.name=test -c user.email=test -c core.hooksPath=/dev/null"
    return subprocess.run(
        ["git", "-C", str(folder), *settings.split(), *words],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


def test_the_commit_of_a_checkout_is_named_and_marked_where_files_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest, "ROOT", tmp_path)
    monkeypatch.setattr(manifest, "code_version", lambda: "0" * 12)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert manifest.manifest("run", 1.0)["commit"] is None
    git(tmp_path, "init", "-q")
    (tmp_path / "code.py").touch()
    git(tmp_path, "add", "code.py")
    git(tmp_path, "commit", "-q", "-m", "first")
    commit = git(tmp_path, "rev-parse", "HEAD")[:12]
    assert manifest.manifest("run", 1.0)["commit"] == commit
    (tmp_path / "code.py").write_text("changed = True\n")
    assert manifest.manifest("run", 1.0)["commit"] == f"{commit}+"
