"""The one part of the golden runs that knows the simulator's code: a run of which each hospital is
asked by itself, and commands that write no page.
"""

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from hydra import initialize_config_module

from clients.app import hospital_app
from sim.study import compose
from sim.study.run import run


def by_hospital(words: Sequence[str]) -> dict[str, Any]:
    """The evidence of ``wardround run WORDS``, where Flower's strategy asks one hospital after the
    other through its app.
    """
    with initialize_config_module("conf", version_base="1.3"):
        experiment = compose.single(list(words))
    record: dict[str, Any] = json.loads(run(experiment, app=hospital_app).model_dump_json())
    return record


@contextlib.contextmanager
def no_pages() -> Iterator[None]:
    """Leave out the pages of commands, which take more time than the runs and are not compared."""
    with mock.patch("reports.page.write_report", lambda folder, *_, **__: Path(folder) / "none"):
        yield
