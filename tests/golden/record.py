"""Golden runs, run: the evidence that each of them leaves, by name.

Runs in lockstep go through the command that ``pyproject.toml`` installs and the ``evidence.jsonl``
that it writes, so that this file knows nothing of the code behind them; those that ask hospital by
hospital go through ``tests.golden.adapter``.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import platform
import tempfile
import tomllib
from collections.abc import Callable, Collection, Iterator
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra

from tests.golden.cases import BY_HOSPITAL, COMMANDS

ROOT = Path(__file__).parents[2]
LIBRARIES = ("flwr", "numpy", "opacus", "scikit-learn", "scipy", "torch")

Evidence = dict[str, Any]


def runs(only: Collection[str] = ()) -> dict[str, Evidence]:
    """The evidence of golden runs: by command, attack and defense, or by ``hospital`` and name.

    ``only``: of these commands, and of these names of ``hospital``; of all where it is empty.
    """
    found = dict[str, Evidence]()
    for name, words in COMMANDS.items():
        if not only or name in only:
            found |= {
                f"{name}/{record['attack']}/{record['defense']}": record
                for record in _lockstep(words)
            }
    by_hospital = import_module("tests.golden.adapter").by_hospital
    for name, words in BY_HOSPITAL.items():
        if not only or f"hospital/{name}" in only:
            found[f"hospital/{name}"] = by_hospital(words.split())
    return found


def machine() -> dict[str, str]:
    """What digits depend on beside the code: the processor, as the libraries see it, and the
    libraries.
    """
    return {
        "processor": _processor(),
        "python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
    }


def write(path: Path, runs: dict[str, Evidence]) -> None:
    """Write, compressed, one line of JSON for the machine, then one a run; floats keep all their
    digits.
    """
    lines = [
        {"machine": machine()},
        *({"name": name, "evidence": record} for name, record in runs.items()),
    ]
    text = "".join(f"{json.dumps(line, separators=(',', ':'))}\n" for line in lines)
    path.write_bytes(gzip.compress(text.encode(), mtime=0))


def read(path: Path) -> tuple[dict[str, str], dict[str, Evidence]]:
    """The machine and the runs of a file of ``write``."""
    first, *rest = map(json.loads, gzip.decompress(path.read_bytes()).splitlines())
    return first["machine"], {line["name"]: line["evidence"] for line in rest}


def _lockstep(words: str) -> list[Evidence]:
    """What one command leaves in its folder."""
    with tempfile.TemporaryDirectory() as folder:
        printed = io.StringIO()
        with (
            contextlib.redirect_stdout(printed),
            contextlib.redirect_stderr(printed),
            _new_hydra(),
            _no_pages(),
        ):
            code = _command()([*words.split(), f"hydra.run.dir={folder}"])
        if code:
            raise RuntimeError(f"wardround {words} ended with {code}:\n{printed.getvalue()}")
        lines = (Path(folder) / "evidence.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def _command() -> Callable[[list[str]], int]:
    """The function behind ``wardround``, by the name that the package gives it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    module, _, name = project["project"]["scripts"]["wardround"].partition(":")
    command: Callable[[list[str]], int] = getattr(import_module(module), name)
    return command


@contextlib.contextmanager
def _new_hydra() -> Iterator[None]:
    GlobalHydra.instance().clear()
    try:
        yield
    finally:
        GlobalHydra.instance().clear()


def _no_pages() -> contextlib.AbstractContextManager[None]:
    """Leave out what is not compared, if the commit's adapter knows how."""
    adapter = import_module("tests.golden.adapter")
    found: Callable[[], contextlib.AbstractContextManager[None]] = getattr(
        adapter, "no_pages", contextlib.nullcontext
    )
    return found()


def _processor() -> str:
    """Name and abilities of the processor, for by these the libraries choose how they multiply."""
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8").split("\n\n")[0]
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    facts = {
        key.strip(): value.strip()
        for key, _, value in (line.partition(":") for line in text.splitlines())
    }
    known = [facts.get(key, "") for key in ("model name", "cpu family", "model", "stepping")]
    flags = facts.get("flags", facts.get("Features", ""))
    return " ".join([platform.machine(), *known, hashlib.sha256(flags.encode()).hexdigest()[:8]])
