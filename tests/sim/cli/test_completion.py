"""The words that a shell is offered are those that the command takes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sim.cli.completion import SCRIPTS, candidates
from sim.config.choices import options
from sim.config.stated import keys
from sim.config.words import COMMANDS
from tests import ROOT
from tests.commands import wardround


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("wardround ", sorted(COMMANDS)),
        ("wardround comp", ["compare", "completion"]),
        ("wardround run att", ["attack="]),
        ("wardround run attack=sign_f", ["attack=sign_flip"]),
        ("wardround run attack=[alie,sign_f", ["attack=[alie,sign_flip"]),
        ("wardround compare attacks=[[backdoor,neuro", ["attacks=[[backdoor,neurotoxin"]),
        ("wardround run defense=median+dp_l", ["defense=median+dp_local"]),
        ("wardround compare attac", ["attack=", "attacks="]),
        ("wardround run attacks", []),
        ("wardround run server.absent=", ["server.absent=count_as_hostile", "server.absent=keep"]),
        ("wardround run training.optimizer=a", ["training.optimizer=adam"]),
        ("wardround run training.lr=", []),
        ("wardround run hydra/launcher=l", ["hydra/launcher=lockstep"]),
        ("wardround validate --p", ["--plan"]),
        ("wardround new ", ["attack", "rule"]),
        ("wardround list thr", ["threats"]),
        ("wardround report ", []),
        ("wardround nonsense ", []),
    ],
)  # fmt: skip
def test_a_line_goes_on_with_words_that_the_command_takes(line: str, expected: list[str]) -> None:
    assert candidates(line) == expected


def test_every_choice_is_offered() -> None:
    offered = candidates("wardround run defense=")
    assert offered == [f"defense={name}" for name in options("defense")]


def test_keys_are_those_of_the_file_with_its_comments() -> None:
    found = {key.name: key for key in keys("config.yaml")}
    assert found["server.on_spent"].default == "go_on"
    assert found["server.on_spent"].meaning.startswith("go_on | end: ")
    assert not [name for name in found if name.startswith(("hydra", "defaults"))]


def test_another_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert wardround("completion", "tcsh") == 2
    assert "expected one of bash, zsh, fish" in capsys.readouterr().err


@pytest.mark.parametrize("shell", SCRIPTS)
def test_its_script_is_one_that_the_shell_reads(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert wardround("completion", shell) == 0
    script = capsys.readouterr().out
    if (program := shutil.which(shell)) is not None:  # bash is everywhere, others may not be
        flag = "--no-execute" if shell == "fish" else "-n"
        done = subprocess.run([program, flag, "/dev/stdin"], input=script, text=True, check=False)
        assert done.returncode == 0


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("wardround compl", ["completion"]),
        ("wardround run attack=[alie,sign_f", ["[alie,sign_flip"]),
        ("wardround run consortium=heart", ["heart12", "heart4"]),
    ],
)
def test_bash_completes_what_follows_its_last_word_break(
    line: str, expected: list[str], tmp_path: Path
) -> None:
    program = tmp_path / "wardround"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m sim.cli.command "$@"\n')
    program.chmod(0o755)
    asked = 'eval "$(wardround completion bash)"; _wardround; printf "%s\\n" "${COMPREPLY[@]}"'
    done = subprocess.run(
        ["bash", "-c", asked],
        env=os.environ
        | {
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "COMP_LINE": line,
            "COMP_POINT": str(len(line)),
        },
        capture_output=True,
        text=True,
    )
    assert (done.stdout.splitlines(), done.stderr) == (expected, "")
