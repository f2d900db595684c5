"""The command that a report prints repeats it: run as a shell splits it, in another folder, it
gives the same results.
"""

from __future__ import annotations

import json
import os
import re
from html import unescape
from pathlib import Path

import pytest

from tests.commands import ALONE, FAST, LOCKSTEP, results, shell, wardround

pytestmark = pytest.mark.usefixtures("undrawn")

OWN = (
    "# @package _global_\n"
    "defaults:\n  - override /aggregator: trimmed_mean\n"
    "defense:\n  name: wary\n"
)
SPOKEN = [
    "attacks=[sign_flip, [label_flip,sign_flip]]",
    "defenses=[none,'median + clip',krum]",
    "seeds=[3,1]",
]
COMMANDS = {
    "a run": ["run", *FAST, "attack=[sign_flip]", "attack.sign_flip.scale=3", "defense=median"],
    "spaces and quotes": [
        "run", *FAST, "attack=[backdoor, label_flip]", "defense='median + clip'",
        'attack.backdoor.mark="chol:800"',
    ],
    "a stack and a value": [
        "run", *FAST, "attack=[sign_flip]", "defense=median+clip", "++steps.clip.max_norm=0.05",
    ],
    "an own preset": ["run", "--config-dir", "own", *FAST, "defense=wary"],
    "a comparison": ["compare", *FAST, ALONE, *SPOKEN, "attack.sign_flip.scale=2"],
    "a comparison with an own preset": [
        "compare", "--config-dir=own", *FAST, ALONE, "attacks=[none]", "defenses=[wary,clip+wary]",
        "seeds=1", "+steps.clip.max_norm=0.05",
    ],
    "numbers of hostile hospitals": [
        "compare", *FAST, ALONE, "attacks=[sign_flip]", "defenses=[median]", "seeds=1",
        "adversary.n_hostile=[0,1]",
    ],
    "a sweep": ["run", "-m", *FAST, "training.lr=0.02,0.1"],
    "a sweep in lockstep": [
        "run", "-m", *LOCKSTEP, *FAST, "attack=[none],[sign_flip]", "model.hidden=[4],[8,4]",
        "model=mlp",
    ],
    "a sweep with an own preset": [
        "run", "--config-dir", "own", "-m", *FAST, "defense=none,wary,clip+wary",
    ],
}  # fmt: skip


def printed(folder: Path) -> str:
    """The command of the page, which is that of the manifest."""
    page = (folder / "report" / "index.html").read_text(encoding="utf-8")
    command = unescape(
        re.findall(r'id="repeat">.*?<pre><code>(.*?)</code></pre>', page, re.DOTALL)[0]
    )
    assert command == json.loads((folder / "manifest.json").read_text())["command"]
    return command


def outcome(folder: Path) -> list[dict[str, str]]:
    return sorted(results(folder), key=lambda row: row["run"])


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_the_printed_command_gives_the_same_results_in_another_folder(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "first" / "own" / "defense").mkdir(parents=True)
    (tmp_path / "first" / "own" / "defense" / "wary.yaml").write_text(OWN)
    (tmp_path / "second").mkdir()
    monkeypatch.chdir(tmp_path / "first")
    where = "hydra.sweep.dir" if "-m" in words else "hydra.run.dir"
    assert wardround(*(word.format(os.getcwd()) for word in words), f"{where}=out") == 0
    command = printed(tmp_path / "first" / "out")
    monkeypatch.chdir(tmp_path / "second")
    assert shell(command, f"{where}=again") == 0
    assert outcome(tmp_path / "second" / "again") == outcome(tmp_path / "first" / "out")
    if "-m" in words:
        one = json.loads((tmp_path / "first" / "out" / "1" / "manifest.json").read_text())[
            "command"
        ]
        assert shell(one, "hydra.run.dir=one") == 0
        assert outcome(tmp_path / "second" / "one") == outcome(tmp_path / "first" / "out" / "1")


def test_the_printed_command_holds_nothing_of_where_results_were_written(tmp_path: Path) -> None:
    assert wardround("run", *FAST, f"hydra.run.dir={tmp_path}") == 0
    assert printed(tmp_path) == f"wardround run {' '.join(FAST)}"
