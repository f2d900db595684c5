"""The browser, and the pages that it opens: each kind that there is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reports import difference, page, sweeps
from reports.audits import write
from sim import evidence
from sim.evidence import audits
from tests import studies
from tests.assessed import make_design
from tests.browser import opening
from tests.records import addressed, make_record, with_figures
from tests.reports.reading import grid
from tests.reports.test_validation import validated
from tests.sim.evidence.test_audits import made


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    with opening.browser() as found:
        yield found


@pytest.fixture(scope="session")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of seven hospitals under real attacks and defenses."""
    folder = tmp_path_factory.mktemp("comparison")
    records, manifest = studies.golden("breast7")
    (folder / "manifest.json").write_text(json.dumps(manifest))
    for record in records:
        evidence.append(folder, record)
    return page.write_report(folder, records)


@pytest.fixture(scope="session")
def verdict(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a design that was judged, beside that of its runs."""
    folder = tmp_path_factory.mktemp("verdict")
    validated(folder, make_design())
    return folder / "report" / "index.html"


@pytest.fixture(scope="session")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of audits of one claim."""
    folder = tmp_path_factory.mktemp("audit")
    for seed in range(3):
        audits.append(folder, made(seed, claim=6.0))
    return write(folder)


@pytest.fixture(scope="session")
def change(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of what differs between two comparisons."""
    folder = tmp_path_factory.mktemp("change")
    for place, scale in (("before", 0.0), ("after", 0.1)):
        (folder / place).mkdir()
        for record in grid():
            figures = {"auroc": (record.value("auroc") or 0.0) + scale}
            evidence.append(folder / place, addressed(with_figures(record, figures)))
    return difference.write(folder / "before", folder / "after")[0]


@pytest.fixture(scope="session")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of runs that differ in a number."""
    folder = tmp_path_factory.mktemp("sweep")
    for place, rate in enumerate((0.1, 0.2, 0.4)):
        config = {"training": {"rounds": 4, "learning_rate": rate}, "seed": 0}
        config |= {"report": {"material_drop": 0.05}}
        one = make_record(figures={"auroc": 0.9 - rate}, config=config)
        (folder / str(place)).mkdir()
        evidence.append(folder / str(place), addressed(one))
    return sweeps.write(folder)[0]
