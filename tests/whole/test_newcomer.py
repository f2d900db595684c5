"""A newcomer's own tables go from ``init`` to a verdict; only lines that name them are edited."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_diabetes

from tests import own_data
from tests.commands import ALONE, wardround

SIZES = (160, 100, 70, 50, 30, 20, 12)
HEADER = (
    "Pat.-Nr.", "Age (y)", "S/E/X", "B M I", "BP [mmHg]", "s1;tc", "Comment", "1-yr progression",
)  # fmt: skip
# a test takes seconds, and looks at no change that would help
SMALL = (
    "training.rounds=2", "training.local_steps=1", "seeds=3", "search.minutes=0.01", ALONE,
)  # fmt: skip


def diabetes(folder: Path) -> None:
    """The patients of scikit-learn's diabetes data, in a file for each of seven hospitals."""
    source = load_diabetes(scaled=False)
    patients = iter(zip(source.data[:, :5], source.target, strict=True))
    folder.mkdir()
    for number, size in enumerate(SIZES):
        german = number == 2
        content = io.StringIO()
        rows = csv.writer(content, delimiter=";" if german else ",")
        rows.writerow(HEADER)
        for at in range(size):
            cells = _cells(f"{number}{at:03}", *next(patients))
            rows.writerow([one.replace(".", ",") for one in cells] if german else cells)
        encoding = "cp1252" if german else "utf-8-sig"
        path = folder / f"Praxis {number + 1}.csv"
        path.write_bytes(content.getvalue().encode(encoding))


def _cells(number: str, values: NDArray[np.float64], progression: float) -> list[str]:
    age, sex, bmi, pressure, cholesterol = values
    missing = int(number) % 9 == 0
    note = f'phoned on Monday, "fine"\nwill come again in {int(number) % 30} weeks'
    return [
        f"D{number}", f"{age:.0f}", "fm"[int(sex) - 1], f"{bmi:.1f}", f"{pressure:.2f}",
        "N/A" if missing else f"{cholesterol:.1f}", note, f"{progression:.0f}",
    ]  # fmt: skip


def edited(path: Path) -> None:
    """The starter with the lines changed that name the data, as its comments ask."""
    text = path.read_text(encoding="utf-8")
    for old, new in (
        ("      hospital: hospital ", "      # hospital: hospital "),
        ("path: made_up_patients.csv", "path: hospitals"),
        ("label: readmitted", "label: Diagnosis"),
        ('positive: "yes"', "positive: M"),
    ):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")


def stated(folder: Path) -> tuple[str, ...]:
    """The same on the command line, where nothing is edited at all."""
    return (
        f"consortium.path={folder / 'hospitals'}",
        "consortium.hospital=null",
        "consortium.label='1-yr progression'",
        "consortium.positive=null",
        "consortium.positive_from=140",
    )


@pytest.mark.usefixtures("steps")
@pytest.mark.parametrize("source", ["breast cancer", "diabetes"])
def test_a_newcomer_comes_to_a_verdict(
    source: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    assert wardround("init", str(tmp_path)) == 0
    words: tuple[str, ...] = ()
    if source == "diabetes":
        request.getfixturevalue("undrawn")  # the other source has its figures drawn
        diabetes(tmp_path / "hospitals")
        words = stated(tmp_path)
    else:
        own_data.folder(tmp_path / "hospitals")
        edited(tmp_path / "design.yaml")
    out = tmp_path / "out"
    design = f"consortium={tmp_path / 'design.yaml'}"
    code = wardround("validate", design, *words, *SMALL, f"hydra.run.dir={out}")
    printed = capfd.readouterr()
    assert code in (0, 1), printed.err
    assert "decimal comma" in printed.err
    verdict = json.loads((out / "verdict.json").read_text(encoding="utf-8"))
    assert (verdict["outcome"] == "met") == (code == 0)
    assert {one["id"] for one in verdict["criteria"]} == {
        "accuracy-under-attack", "wrong-labels", "no-patient-read",
    }  # fmt: skip
    assert (out / "report" / "index.html").stat().st_size > 10_000
    record = json.loads((out / "evidence.jsonl").read_text(encoding="utf-8").splitlines()[0])
    sizes = [one["n_train"] for one in record["hospitals"]]
    assert len(sizes) == 7
    assert max(sizes) > 8 * min(sizes)
    assert not record["public"]
