"""Tracking of finished runs in MLflow, by a process of its own that sends nothing anywhere else."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from sim.errors import InputError
from sim.names import TRACKED

STORE: Final = "mlflow.db"
ARTIFACTS: Final = "mlartifacts"
MAGIC: Final = b"SQLite format 3\0"
NAME: Final = re.compile(r"[\w. -]{1,200}", re.ASCII)
SERVER: Final = re.compile(r"https?://[A-Za-z0-9.-]{1,253}(:\d{1,5})?(/[\w.-]+)*/?", re.ASCII)
ROOT: Final = Path(__file__).resolve().parents[1]
# MLflow and its parts ask the network for nothing but the store, and tell nobody of their use.
SILENT: Final = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}
ENDED: Final = "tracking ended with code {}: {}"


class NotTrackedError(Exception):
    """The runs are there, and the store does not have them; the text states why."""


@dataclass(frozen=True)
class MLflow:
    """The runs of a folder in an MLflow store, each with its parameters, figures and tags.

    Args:
        experiment: the name of the experiment in the store.
        store: an SQLite file below the working folder; None: ``mlflow.db`` beside the results.
        server: the address of a server in place of a file.
        remote: whether a server may be sent what is tracked.
    """

    experiment: str = "wardround"
    store: str | None = None
    server: str | None = None
    remote: bool = False

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.experiment):
            expected = "expected a name of letters, digits, spaces, . _ and -"
            raise InputError("experiment", self.experiment, expected)
        if self.server is not None:
            self._check_server(self.server)
        if self.store is not None:
            _check_store(self.store)
        if find_spec("mlflow") is None:
            raise InputError("tracking", "mlflow", "needs MLflow: pip install 'wardround[mlflow]'")

    def _check_server(self, server: str) -> None:
        if self.store is not None:
            raise InputError("server", server, "expected a store or a server, and not both")
        if not SERVER.fullmatch(server):
            expected = "expected http://HOST:PORT or https://HOST:PORT, and nothing else in it"
            raise InputError("server", server, expected)
        if not self.remote:
            expected = "expected remote=true, too: what is tracked leaves this machine"
            raise InputError("server", server, expected)

    def __call__(self, folder: Path) -> None:
        """Track the runs of a folder of results. Raises ``NotTrackedError`` with the reason."""
        place = folder.absolute()
        store = place / STORE if self.store is None else Path(self.store).absolute()
        if self.server is None and "?" in str(store):  # an address of SQLite ends there
            raise NotTrackedError(f"expected a path without ? for the store, and it is {store}")
        asked = {
            "folder": str(place),
            "experiment": self.experiment,
            "uri": self.server or f"sqlite:///{store}",
            "artifacts": None if self.server else (store.parent / ARTIFACTS).as_uri(),
        }
        known = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
        path = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
        done = subprocess.run(
            [sys.executable, "-m", TRACKED],
            input=json.dumps(asked),
            env={**known, **SILENT, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            lines = done.stderr.strip().splitlines() or ["no reason given"]
            raise NotTrackedError(ENDED.format(done.returncode, lines[-1][:300]))


def _check_store(store: str) -> None:
    """Refuse a file that is no SQLite database, or that is not below the working folder."""
    path = Path(store)
    here = Path.cwd().resolve()
    if path.suffix != ".db" or not store.isprintable() or "?" in store:
        raise InputError(
            "store", store, "expected the path of an SQLite file, as in runs/mlflow.db"
        )
    if path.is_symlink() or not path.resolve().is_relative_to(here):
        raise InputError("store", store, f"expected a file below {here}, and no link to one")
    if path.exists() and (not path.is_file() or path.open("rb").read(len(MAGIC)) != MAGIC):
        raise InputError("store", store, "expected an SQLite file, or none yet")
