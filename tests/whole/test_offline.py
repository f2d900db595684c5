"""Nothing contacts the network: a comparison runs where every connection but those within the
machine fails and is noted.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT
from tests.commands import besides_progress

# Python imports a module of this name when it starts, in the comparison's worker processes too.
GUARD = """
import os, socket

def outside(address):
    host = address[0] if isinstance(address, tuple) else address
    return host not in (None, "", "localhost", "127.0.0.1", "::1", b"localhost", b"127.0.0.1")

def guarded(name, at):
    original = getattr(at, name)
    def call(*arguments, **named):
        first = arguments[1] if at is socket.socket else (arguments[0] if arguments else None,)
        local = at is socket.socket and arguments[0].family == socket.AF_UNIX
        if not local and outside(first):
            with open(os.environ["NETWORK_LOG"], "a") as log:
                log.write(f"{name} {first}\\n")
            raise OSError(f"no network in this test: {first}")
        return original(*arguments, **named)
    setattr(at, name, call)

for name in ("connect", "connect_ex", "sendto"):
    guarded(name, socket.socket)
for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "create_connection"):
    guarded(name, socket)
"""


@pytest.fixture
def guarded(tmp_path: Path) -> dict[str, str]:
    """An environment in which Python processes have no network."""
    (tmp_path / "sitecustomize.py").write_text(GUARD)
    return os.environ | {
        "PYTHONPATH": os.pathsep.join((str(tmp_path), str(ROOT))),
        "NETWORK_LOG": str(tmp_path / "log"),
    }


def test_the_guard_notes_a_connection(guarded: dict[str, str]) -> None:
    program = "import urllib.request; urllib.request.urlopen('http://192.0.2.1/', timeout=1)"
    done = subprocess.run(
        [sys.executable, "-c", program], env=guarded, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "no network in this test" in done.stderr
    assert "192.0.2.1" in Path(guarded["NETWORK_LOG"]).read_text()


def test_a_comparison_over_two_processes_contacts_nobody(
    guarded: dict[str, str], tmp_path: Path
) -> None:
    words = [
        "consortium=heart4",
        "training.rounds=2",
        "seeds=1",
        "attacks=[sign_flip,label_flip,analytic_inversion]",
    ]
    defenses = [
        "defenses=[median,dp_record]",
        "dp.target_epsilon=null",
        "dp.noise_multiplier=1",
        "workers=2",
    ]
    command = [
        sys.executable,
        "-m",
        "sim.cli.command",
        "compare",
        *words,
        *defenses,
        f"hydra.run.dir={tmp_path / 'out'}",
    ]
    done = subprocess.run(command, cwd=tmp_path, env=guarded, capture_output=True, text=True)
    assert (done.returncode, besides_progress(done.stderr)) == (0, "")
    assert len((tmp_path / "out/results.csv").read_text().splitlines()) == 1 + 12
    assert (tmp_path / "out/report/index.html").exists()
    assert not Path(guarded["NETWORK_LOG"]).exists()


def test_nothing_is_written_to_the_home_folder(guarded: dict[str, str], tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    words = [
        "consortium=heart4",
        "training.rounds=1",
        "model=logistic",
        f"hydra.run.dir={tmp_path / 'out'}",
    ]
    command = [sys.executable, "-m", "sim.cli.command", "run", *words]
    places = {
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
        "FLWR_HOME": str(home / "flwr"),
    }
    done = subprocess.run(
        command, cwd=tmp_path, env=guarded | places, capture_output=True, text=True
    )
    assert (done.returncode, besides_progress(done.stderr)) == (0, "")
    # its cache of fonts
    left = [path for path in home.rglob("*") if path.is_file() and "matplotlib" not in path.parts]
    assert left == []
