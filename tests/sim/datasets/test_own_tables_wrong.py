"""What is wrong in a consortium's own files is refused in one line that shows no patient."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from sim.datasets import checks, own_files
from sim.datasets.csv import OwnTables
from sim.errors import InputError
from tests import own_data
from tests.commands import wardround
from tests.own_data import LABEL, LINES, RARE


def csv_of(content: str | bytes) -> Callable[[Path], Path]:
    def write(tmp_path: Path) -> Path:
        path = tmp_path / "wrong.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def changed(number: int, column: int, value: str) -> Callable[[Path], Path]:
    """The file of all hospitals with one cell of one patient changed."""
    return lambda tmp_path: own_data.single(
        tmp_path / "all.csv", lambda rows: rows[number].__setitem__(column, value)
    )


def everywhere(column: int, value: Callable[[int], str]) -> Callable[[Path], Path]:
    def change(rows: list[list[str]]) -> None:
        for number, row in enumerate(rows):
            row[column] = value(number)

    return lambda tmp_path: own_data.single(tmp_path / "all.csv", change)


def made_folder(
    *names: str, content: Callable[[int], str] = lambda i: LINES + f"{i},f,0\n"
) -> Callable[[Path], Path]:
    def write(tmp_path: Path) -> Path:
        place = tmp_path / "files"
        place.mkdir()
        for number, name in enumerate(names):
            (place / name).write_text(content(number))
        return place

    return write


def pipe(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "pipe.csv")
    return tmp_path / "pipe.csv"


def huge(tmp_path: Path) -> Path:
    with (tmp_path / "huge.csv").open("wb") as file:
        file.truncate(own_files.MOST_BYTES + 1)
    return tmp_path / "huge.csv"


def link(tmp_path: Path) -> Path:
    place = made_folder("a.csv", "b.csv")(tmp_path)
    (place / "c.csv").symlink_to("/etc/passwd")
    return place


def loop(tmp_path: Path) -> Path:
    (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
    return tmp_path / "loop.csv"


def bomb(tmp_path: Path) -> Path:
    frame = pl.select(
        x=pl.repeat(1, 30_000_000, dtype=pl.Int8), y=pl.repeat(2, 30_000_000, dtype=pl.Int8)
    )
    frame.write_parquet(tmp_path / "bomb.parquet")
    return tmp_path / "bomb.parquet"


def long_texts(tmp_path: Path) -> Path:
    frame = pl.select(x=pl.repeat("a" * 1_000_000, 2_000), sick=pl.repeat("1", 2_000))
    frame.write_parquet(tmp_path / "long.parquet", statistics=False)
    return tmp_path / "long.parquet"


SECRET = "zyxwvut"
SITE: dict[str, object] = {"hospital": "Site"}
SICK: dict[str, object] = {"label": "sick", "positive": 1, "partition": "equal", "n_hospitals": 2}
WRONG: dict[str, tuple[Callable[[Path], Path], dict[str, object], str]] = {
    "no such file": (
        lambda p: p / "none.csv",
        {},
        "expected a regular file that can be read (No such file",
    ),
    "a folder without files": (lambda p: p, {}, "expected files that end with .csv, .tsv"),
    "a pipe": (pipe, {}, "expected a regular file that can be read"),
    "a device": (lambda _: Path("/dev/zero"), {}, "expected a file that ends with"),
    "a huge file": (huge, {}, "path=1,000 MB in huge.csv: expected at most 1,000 MB"),
    "a link in a folder": (link, {}, "expected files in the folder, and this is a link"),
    "a link to itself": (loop, {}, "expected a regular file that can be read"),
    "another ending": (
        lambda p: csv_of(LINES)(p).rename(p / "x.exe"),
        {},
        "expected a file that ends with",
    ),
    "no ending": (lambda p: csv_of(LINES)(p).rename(p / "x"), {}, "expected a file that ends with"),
    "a path with an escape": (
        lambda p: p / "a\x1b[2J.csv",
        {},
        "expected a path of printable characters",
    ),
    "an empty file": (csv_of(""), {}, "expected a file that is not empty"),
    "a first line alone": (csv_of("a,b\n"), {}, "no patients: expected lines after the first one"),
    "empty lines alone": (csv_of("a,b\n,\n,\n"), {}, "no patients: expected"),
    "NUL characters": (csv_of(LINES + "1,\0,0\n"), {}, "NUL characters: expected text"),
    "UTF-16 without a mark": (
        csv_of(LINES.encode("utf-16-le")),
        {},
        "NUL characters: expected text",
    ),
    "another encoding": (
        csv_of(LINES.encode() + b"1,\x81,0\n"),
        {},
        "bytes that are no text: expected text in utf-8 or cp1252",
    ),
    "not in the encoding stated": (
        csv_of(b"\xff\xfe\x00\xd8a\x00"),
        {"encoding": "utf-16"},
        "bytes that are no text: expected text in utf-16",
    ),
    "no separator": (csv_of("a\n1\n2\n"), {}, "one cell in its first line: expected two cells"),
    "a line too long": (
        csv_of(LINES + f"1,f,0,{SECRET}\n"),
        {},
        "4 cells in the line that ends as number 62: expected 3",
    ),
    "a line too short": (
        csv_of(LINES + f"{SECRET},0\n"),
        {},
        "2 cells in the line that ends as number 62: expected 3",
    ),
    "a quote that does not close": (
        csv_of(LINES + f'1,"{SECRET},0\n2,f,0\n'),
        {},
        "cells in the line that ends as number 63",
    ),
    "a quote inside": (
        csv_of(LINES + f'1,{SECRET}"x,0\n2,x"y,0\n'),
        {},
        "cells that run into one another: expected a quoted cell",
    ),
    "a cell of a megabyte": (
        csv_of(LINES + "1," + SECRET * 30_000 + ",0\n"),
        {},
        "line 62: expected cells of at most 131,072",
    ),
    "a million columns": (
        csv_of(",".join(["x"] * 1_000_000) + "\n" + ",".join(["1"] * 1_000_000)),
        {},
        "expected at most 250,000 characters, and 2,000 columns",
    ),
    "columns of one name": (csv_of("a,b,a\n1,2,3\n"), {}, "columns 1 and 3 have one name"),
    "a long name of a column": (
        csv_of(f"a,{'b' * 101}\n1,2\n"),
        {},
        "the name of column 2: expected at most 100",
    ),
    "a name with an escape": (csv_of("a,b\x1b[2J\n1,2\n"), {}, "the name of column 2: expected"),
    "no names": (
        csv_of(f"{SECRET},7351,1\n" + LINES.partition("\n")[2]),
        {},
        "column 2 of the first line is a number",
    ),
    "no names but texts": (
        csv_of(f"{SECRET},f,yes\n" + f"{SECRET}s,f,no\n" * 30),
        {},
        "1 cells of the first line stand in their columns too",
    ),
    "no path": (lambda _: Path(), {"path": None}, "path=nothing: expected a file, a folder"),
    "no label": (csv_of(LINES), {"label": None}, "label=nothing: expected the column"),
    "a label that is no column": (
        csv_of(LINES),
        {**SICK, "label": "Sic"},
        "label=Sic: expected a column of the data, which have 3; did you mean sick?",
    ),
    "a label like no column": (
        csv_of(LINES),
        {**SICK, "label": "outcome"},
        "label=outcome: expected a column of the data, which have 3",
    ),
    "a hospital that is no column": (
        changed(0, 0, "Clinic A"),
        {"hospital": "site"},
        "hospital=site: expected a column of the data, which have 9; did you mean Site?",
    ),
    "a hospital that is the label": (
        csv_of(LINES),
        {"label": "sick", "hospital": "sick", "positive": 1},
        "label=sick: expected another column",
    ),
    "no hospital": (
        csv_of(LINES),
        {"label": "sick", "positive": 1},
        "hospital=nothing: expected the column that names the hospital",
    ),
    "a partition of files": (
        made_folder("a.csv", "b.csv"),
        SICK,
        "partition=equal: expected none, because each file",
    ),
    "a partition beside hospitals": (
        changed(0, 0, "Clinic A"),
        {**SITE, "partition": "size"},
        "partition=size: expected none, because hospital=Site",
    ),
    "no positive": (
        csv_of(LINES),
        {**SICK, "positive": None},
        "positive=nothing: expected the label",
    ),
    "a positive that nobody has": (
        changed(0, 0, "Clinic A"),
        {**SITE, "positive": "X"},
        "positive=2 other labels beside it: expected one",
    ),
    "a third label": (changed(3, 8, SECRET), SITE, "positive=2 other labels beside it"),
    "a label in neither": (
        changed(3, 8, SECRET),
        {**SITE, "negative": "B"},
        "negative=1 labels in neither positive nor negative, 0 in both",
    ),
    "no label in a line": (changed(3, 8, ""), SITE, "label=no label in 1 of 569 lines"),
    "no number among labels": (
        changed(3, 8, SECRET),
        {**SITE, "positive": None, "positive_from": 3},
        "positive_from=no number in 569 of 569 labels",
    ),
    "one class": (everywhere(8, lambda _: "M"), SITE, "negative=no label of 569 is negative"),
    "no hospital in a line": (changed(3, 0, ""), SITE, "hospital=no hospital in 1 of 569 lines"),
    "a patient in the column of hospitals": (
        changed(3, 0, SECRET),
        SITE,
        "hospital=1 of 8 names in column Site are of fewer than 5 lines",
    ),
    "a column of patients for hospitals": (
        everywhere(0, lambda i: f"{SECRET}{i}"),
        SITE,
        "hospital=569 of 569 names in column Site are of fewer than 5",
    ),
    "a small hospital": (
        everywhere(0, lambda i: "Tiny" if i < 7 else "Big"),
        SITE,
        "hospital=7 patients of Tiny, the first of 1 so small: expected at least min_rows=10",
    ),
    "a long name of a hospital": (
        everywhere(0, lambda i: "x" * 300 if i < 50 else "y"),
        SITE,
        "hospital=50 names are too long",
    ),
    "hospitals equal up to case": (
        everywhere(0, lambda i: ["Mercy", "MERCY"][i % 2]),
        SITE,
        "hospital name=Mercy: expected each name once",
    ),
    "a hospital by the name of all": (
        everywhere(0, lambda i: ["all", "b"][i % 2]),
        SITE,
        "hospital name=all: expected another",
    ),
    "a hospital with an escape": (
        everywhere(0, lambda i: ["a\x1b[2J", "b"][i % 2]),
        SITE,
        r"hospital name='a\x1b[2J': expected printable",
    ),
    "an empty hospital": (
        made_folder("a.csv", "b.csv", content=lambda i: LINES if i else "age,sex,sick\n"),
        {"label": "sick", "positive": 1},
        "path a.csv=no patients",
    ),
    "one file twice": (
        made_folder("a.csv", "b.csv", content=lambda _: LINES),
        {"label": "sick", "positive": 1},
        "path=a, b: expected a file for each hospital, and these two hold the same bytes",
    ),
    "a number that is infinite": (
        changed(3, 4, "inf"),
        SITE,
        "column Area=1 of 569 cells are infinite or no number",
    ),
    "a number that is none": (
        changed(3, 4, SECRET),
        {**SITE, "numbers": ["Area"]},
        "numbers Area=1 of 569 cells are no numbers",
    ),
    "dates that are none": (
        changed(3, 7, SECRET),
        {**SITE, "dates": ["Visit"]},
        "dates Visit=cells in no one form",
    ),
    "too many levels": (
        changed(0, 0, "Clinic A"),
        {**SITE, "categories": ["MRN"], "levels": [["MRN", *(f"l{i}" for i in range(400))]]},
        "categories MRN=400 levels",
    ),
    "a level of a name that is taken": (
        csv_of(LINES),
        {**SICK, "levels": [["sex", "f", "other"]]},
        "levels.sex=2 names: expected two different names",
    ),
    "a list of no column": (
        csv_of(LINES),
        {**SICK, "numbers": ["Agee"]},
        "numbers=Agee: expected a column of the data, which have 2; did you mean age?",
    ),
    "a column in two lists": (
        csv_of(LINES),
        {**SICK, "numbers": ["age"], "leave_out": ["age"]},
        "leave_out=age: expected it in one list, and it is in numbers",
    ),
    "nothing left": (
        csv_of(LINES),
        {**SICK, "leave_out": ["age", "sex"]},
        "columns=2 columns left out",
    ),
    "no Parquet": (
        lambda p: csv_of(LINES)(p).rename(p / "x.parquet"),
        {},
        "bytes that are no Parquet",
    ),
    "a Parquet of too many cells": (
        bomb,
        {},
        "30,000,000 lines of 2 cells: expected at most 50,000,000",
    ),
    "a Parquet of long texts": (
        long_texts,
        {},
        "2,000 MB when unpacked: expected at most 1,000 MB",
    ),
    "too few patients": (
        csv_of(LINES),
        {**SICK, "n_hospitals": 20},
        "min_rows=10: expected less for 20 hospitals of 60 patients",
    ),
    "another separator": (csv_of(LINES), {"separator": "x"}, "separator=x: expected one of auto"),
    "another decimal": (csv_of(LINES), {"decimal": "x"}, "decimal=x: expected one of auto"),
    "another way": (csv_of(LINES), {"partition": "x"}, "partition=x: expected one of equal"),
}


def checked(given: dict[str, object]) -> None:
    checks.check(OwnTables(**given)(0))  # type: ignore[arg-type]


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_one_line_without_a_patient(case: str, tmp_path: Path) -> None:
    write, given, expected = WRONG[case]
    path = write(tmp_path)
    with pytest.raises(InputError) as refusal:
        checked({"path": str(path), "label": "Diagnosis", "positive": "M", **given})
    text = str(refusal.value)
    assert expected in text
    assert len(text) < 300
    assert "\n" not in text
    assert not any(one in text for one in RARE)


def test_a_file_that_changes_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = csv_of(LINES)(tmp_path)

    class Changing(io.BufferedReader):
        def read(self, size: int | None = -1) -> bytes:
            content = super().read(size)
            path.write_text(LINES + "1,f,0\n")
            return content

    monkeypatch.setattr(own_files.os, "fdopen", lambda one, _: Changing(io.FileIO(one)))
    with pytest.raises(InputError, match="expected a file that does not change while it is read"):
        own_files.read(str(path), ("csv",))


def test_wrong_data_end_a_command_with_2_and_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = changed(3, 8, SECRET)(tmp_path)
    words = (*LABEL, f"consortium.path={path}", "consortium.hospital=Site")
    for command in ("run", "explain", "compare"):
        assert wardround(command, *words, f"hydra.run.dir={tmp_path}/out") == 2
        shown = capfd.readouterr()
        assert shown.out == ""
        (line,) = shown.err.splitlines()
        assert line.startswith("wardround: consortium.positive=2 other labels beside it")
    assert not (tmp_path / "out").exists()
