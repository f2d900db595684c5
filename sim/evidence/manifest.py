"""The origin of a result: code, versions, machine, command; and what a folder states of it."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shlex
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, FiniteFloat, JsonValue, ValidationError

from sim import files
from sim.errors import InputError
from sim.evidence.columns import Column
from sim.evidence.store import MANIFEST
from sim.types import Node

ROOT = Path(__file__).resolve().parents[2]
CODE = ("sim", "clients", "aggregators", "attacks")  # what a run's numbers can depend on
COMPUTE = (
    "cryptography", "dp-accounting", "flwr", "hydra-core", "numpy", "omegaconf", "opacus",
    "polars", "pydantic", "scikit-learn", "scipy", "torch",
)  # fmt: skip
DEPENDENCIES = (
    "flwr", "torch", "opacus", "dp-accounting", "numpy", "scipy", "scikit-learn", "hydra-core",
    "pydantic", "polars", "matplotlib",
)  # fmt: skip

MOST_BYTES: Final = 2**24  # of a manifest; that of the largest comparison has some 8 million
NO_COMPARISON = "of audits and of sweeps"
TABLE: Final[Mapping[str, Column]] = {
    "command": Column("text", "The command that repeats it."),
    "started": Column("text", "When the command began, in Coordinated Universal Time."),
    "code": Column("text", "12 hex digits of the code and of its libraries' versions."),
    "commit": Column(
        "text",
        "The commit of the checkout, with `+` if files differ from it.",
        "",
        "outside a checkout",
    ),
    "versions": Column("object", "The versions of the libraries, by name."),
    "python": Column("text", "The version of Python."),
    "machine": Column("text", "System, processor and number of cores."),
    "seconds": Column("number", "The time that the command took.", "seconds"),
    "attacks": Column("list of texts", "The attacks, in the order asked for.", "", NO_COMPARISON),
    "defenses": Column("list of texts", "The defenses, in the order asked for.", "", NO_COMPARISON),
    "refused": Column(
        "list of objects",
        "Each attack and defense that is not defined together, and why.",
        "",
        NO_COMPARISON,
    ),
    "titles": Column(
        "object", "The plain names of a user's own attacks and defenses.", "", NO_COMPARISON
    ),
    "evidence": Column(
        "object", "How long `evidence.jsonl` was (`bytes`), and its last `hash`.", "", NO_COMPARISON
    ),
    "audits": Column("object", "The same of `audits.jsonl`.", "", "of anything but audits"),
}


class _Refused(BaseModel):
    """A cell that did not run."""

    model_config = ConfigDict(strict=True)

    attack: str
    defense: str
    n_hostile: int | None
    reason: str
    part: Literal["attack", "defense"] = "defense"


class _Stated(BaseModel):
    """The types of what a page shows of a manifest; no key has to be there."""

    model_config = ConfigDict(strict=True)

    command: str | list[str] | None = None
    commit: str | None = None
    versions: dict[str, str] | None = None
    python: str | None = None
    machine: str | dict[str, JsonValue] | None = None
    seconds: FiniteFloat | None = None
    attacks: list[str] | None = None
    defenses: list[str] | None = None
    refused: list[_Refused] | None = None


def manifest_of(folder: Path) -> Node:
    """The values in the manifest of a folder, whoever wrote it; empty where there is none.

    Its command is one of this program, quoted so that a shell that is given it runs nothing else.
    Raises ``InputError`` for a file that is no JSON object, for another command, and for a value of
    another type than a page can show.
    """
    try:
        found = files.parsed(files.content(folder / MANIFEST, MOST_BYTES))
    except FileNotFoundError:
        return {}
    except json.JSONDecodeError as error:
        raise InputError(MANIFEST, f"line {error.lineno}", "expected JSON") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        expected = f"expected a file of JSON that can be read ({reason})"
        raise InputError(MANIFEST, folder / MANIFEST, expected) from None
    try:
        _Stated.model_validate(found)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        place = ".".join(map(str, problem["loc"]))
        expected = f"expected it as it was written ({problem['msg']})"
        raise InputError(f"{MANIFEST}: {place}", problem["input"], expected) from None
    if command := found.get("command"):
        found["command"] = _quoted(command)
    return found


def _quoted(command: str | list[str]) -> str:
    try:
        words = shlex.split(command) if isinstance(command, str) else command
    except ValueError:
        words = []
    if words[:1] != ["wardround"]:
        raise InputError(f"{MANIFEST}: command", command, "expected a command of wardround")
    return shlex.join(words)


@lru_cache(maxsize=1)
def code_version() -> str:
    """12 hex digits of the source of simulator and plug-ins, and of their libraries' versions."""
    digest = hashlib.sha256()
    for package in CODE:
        for path in sorted((ROOT / package).rglob("*.py")):
            digest.update(f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
    for name in COMPUTE:
        digest.update(f"{name}=={version(name)}\n".encode())
    return digest.hexdigest()[:12]


def manifest(command: str, seconds: float) -> Node:
    """The values of ``manifest.json`` for a folder's evidence. ``command`` repeats it."""
    started = datetime.now(UTC) - timedelta(seconds=seconds)
    return {
        "command": command,
        "started": started.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "code": code_version(),
        "commit": _commit(),
        "versions": dict(_versions()),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "seconds": round(seconds, 1),
    }


@lru_cache(maxsize=1)
def _versions() -> Mapping[str, str]:
    """The libraries' versions by name."""
    return {name: version(name) for name in DEPENDENCIES}


def _commit() -> str | None:
    """The commit of a checkout, with ``+`` if files differ from it; None outside a checkout."""
    git = ["git", "-C", str(ROOT)]
    try:
        head = subprocess.run(
            [*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True
        )
        changed = subprocess.run(
            [*git, "status", "--porcelain"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")
