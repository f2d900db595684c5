"""The dictionary of files: nothing that is written is missing, nothing in it is without a text."""

from __future__ import annotations

import json
import re
import typing
from pathlib import Path
from types import NoneType

import pytest
from pydantic import BaseModel

from reports import dictionary
from sim import evidence
from sim.evidence import tables
from sim.evidence.columns import Column
from sim.evidence.tables import frame_schema
from tests import ROOT
from tests.described import undescribed
from tests.studies import golden

MODELS = sorted(
    {
        model
        for file in dictionary.FILES
        for one in file.models
        for model in (one, *dictionary.inside(one))
    },
    key=lambda model: f"{model.__module__}.{model.__name__}",
)


def optional(model: type[BaseModel]) -> set[str]:
    hints = typing.get_type_hints(model)
    return {name for name in model.model_fields if NoneType in typing.get_args(hints[name])}


def test_the_page_is_what_the_code_states() -> None:
    found = (ROOT / "docs/files.md").read_text(encoding="utf-8")
    assert found == dictionary.document(), "python -m reports.dictionary > docs/files.md"


def test_there_are_as_many_objects_as_the_files_hold() -> None:
    assert len(MODELS) > 60


@pytest.mark.parametrize("model", MODELS, ids=lambda model: f"{model.__module__}.{model.__name__}")
def test_every_field_has_a_text_that_states_when_it_is_null(model: type[BaseModel]) -> None:
    texts = dictionary.described(model)
    assert set(texts) == set(model.model_fields)
    assert all(text.endswith((".", "...")) for text in texts.values())
    assert {name for name, text in texts.items() if re.search(r"\bNone\b", text)} == optional(model)


@pytest.mark.parametrize("file", [one for one in dictionary.FILES if one.columns], ids=str)
def test_every_column_has_a_type_and_a_text(file: dictionary.File) -> None:
    assert file.columns
    for column in file.columns.values():
        assert column.kind
        assert column.text.endswith(".")
        assert not column.empty.endswith(".")


def test_links_of_the_page_lead_to_a_part_of_it() -> None:
    text = dictionary.document()
    anchors = {dictionary.anchor(one) for one in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}
    links = re.findall(r"\]\(#([^)]+)\)", text)
    assert len(links) > 60
    assert set(links) <= anchors


def test_a_bar_in_a_text_stays_in_its_cell() -> None:
    cells = [line for line in dictionary.document().splitlines() if line.startswith("| ")]
    widths = {len(re.findall(r"(?<!\\)\|", line)) for line in cells}
    assert widths == {4, 6, 7}


def test_columns_that_are_never_empty_are_filled_in_real_results() -> None:
    records, _ = golden("backdoors")
    rows = tables.results(records)
    for name, column in tables.RESULTS_TABLE.items():
        if not column.empty:
            assert all(row[name] is not None for row in rows), name
    assert not tables.ROUNDS_TABLE["value"].empty
    assert tables.rounds(records)["value"].is_not_null().all()


def test_a_type_of_a_table_is_that_of_its_frame() -> None:
    records, _ = golden("backdoors")
    schema = frame_schema(tables.RESULTS_TABLE)
    assert list(schema) == list(evidence.RESULT_COLUMNS)
    assert tables.rounds(records).schema == frame_schema(tables.ROUNDS_TABLE)
    with pytest.raises(KeyError):
        frame_schema({"x": Column("wrong", "A column.")})


def test_what_is_not_described_is_found(tmp_path: Path) -> None:
    (tmp_path / "results.csv").write_text("run,novel\n")
    (tmp_path / "manifest.json").write_text(json.dumps({"command": "", "more": {"a": 1}}))
    (tmp_path / "notes.txt").touch()
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "index.html").touch()
    assert undescribed(tmp_path) == ["manifest.json: more.a", "notes.txt", "results.csv: novel"]
