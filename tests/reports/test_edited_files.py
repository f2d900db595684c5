"""Files of a folder that somebody edited: each ends in one line, and nothing is written."""

from __future__ import annotations

import ast
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sim import files
from sim.cli.command import main
from sim.evidence import sealed
from tests.assessed import make_design
from tests.reports.test_validation import search_of, validated
from threats import claims

ROOT = Path(files.__file__).resolve().parents[1]
NAMES = ("design.json", "verdict.json", "register.json", "search.json", "manifest.json")
NO_NUMBERS = ("NaN", "-Infinity", "1e999", "9" * 30, "9" * 5000, '"\\ud800"')
CLAIM = '{"design": "x", "evidence": {"bytes": 0, "hash": "0"}, "id": "CL-1", "text": "a claim"}'


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every file of a design's verdict, but for the pages."""
    folder = tmp_path_factory.mktemp("whole")
    design = make_design()
    validated(folder, design)
    shutil.rmtree(folder / "report")
    values = {
        "search.json": search_of(design, ["a clip of 1"]),
        "manifest.json": {"command": "wardround validate design=x", "seconds": 3.5},
    }
    for name, value in values.items():
        (folder / name).write_text(json.dumps(value), encoding="utf-8")
    (folder / claims.CLAIMS).write_bytes(sealed.seal(CLAIM, sealed.FIRST))
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "folder"))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(one): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


def numbers(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of all numbers in a value of JSON."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield from numbers(one, (*place, key))
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from numbers(one, (*place, index))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield place


def with_text(value: Any, place: tuple[Any, ...], text: str) -> str:
    """A value of JSON as text, in which this stands in one place."""
    node = value
    for key in place[:-1]:
        node = node[key]
    node[place[-1]] = "(here)"
    return json.dumps(value).replace('"(here)"', text)


def refused(folder: Path, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    """The folder has no report: one line names the file, and no file is new or changed."""
    before = contents(folder)
    assert main(["report", str(folder)]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert name in err
    assert len(err) < 500
    assert contents(folder) == before


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text", NO_NUMBERS, ids=lambda text: text[:9])
def test_a_number_that_no_figure_is_ends_in_one_line(
    name: str, text: str, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    stated = json.loads((folder / name).read_bytes())
    places = list(numbers(stated))
    for place in (places[0], places[len(places) // 2], places[-1]):
        made = with_text(json.loads((folder / name).read_bytes()), place, text)
        (folder / name).write_text(made, encoding="utf-8")
        refused(folder, name, capfd)
        (folder / name).write_text(json.dumps(stated), encoding="utf-8")


@pytest.mark.parametrize("text", NO_NUMBERS, ids=lambda text: text[:9])
def test_a_claim_with_such_a_number_ends_in_one_line(
    text: str, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    made = with_text(json.loads(CLAIM), ("evidence", "bytes"), text)
    (folder / claims.CLAIMS).write_bytes(sealed.seal(made, sealed.FIRST))
    refused(folder, claims.CLAIMS, capfd)


def test_a_folder_that_nobody_edited_has_a_report(folder: Path) -> None:
    """Also of runs whose configuration does not state whether to show reconstructions."""
    assert main(["report", str(folder)]) == 0


@pytest.mark.parametrize(
    "text",
    ["1e308", "-1e-320", str(files.LARGEST), str(-files.LARGEST), "0", "true", "null", '"NaN"',
     '"\\u00e9"', '"\\ud83d\\ude00"'],
)  # fmt: skip
def test_what_is_a_number_or_a_text_is_read(text: str) -> None:
    assert files.parsed(f'{{"a": {text}}}'.encode()) == {"a": json.loads(text)}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[1]", "expected one JSON object"),
        ('{"a": NaN}', "expected finite numbers, and not NaN"),
        ('{"a": [1e400]}', "expected finite numbers, and not 1e400"),
        (f'{{"a": {files.LARGEST + 1}}}', "whole numbers of up to 64 bits, and not 92233"),
        ('{"a": "\\udc00"}', "expected text in UTF-8"),
        ('{"\\udc00": 1}', "expected text in UTF-8"),
        ("[" * 100_000, "it is nested too deep"),
        ("", "Expecting value"),
    ],
)
def test_anything_else_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as error:
        files.parsed(text.encode())
    assert len(str(error.value)) < 100


def test_json_that_stands_beside_evidence_is_read_in_one_way() -> None:
    """No file of a folder is parsed with numbers that are none."""
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for package in ("sim", "threats", "reports")
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("json.loads", "json.load")
        if "files." in ast.unparse(node)
    ]
    assert found == []
