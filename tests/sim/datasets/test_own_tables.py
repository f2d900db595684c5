"""A consortium's own tables, as hospitals write them, are read for what they are, and run."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

from sim.datasets.csv import OwnTables
from sim.errors import InputError
from sim.study.experiment import from_text
from sim.types import Consortium
from tests import ROOT, own_data
from tests.commands import wardround
from tests.federation import experiment
from tests.own_data import LABEL, SIZES

FAST = ("model=logistic", "training.rounds=2", "training.local_steps=1")


def made(path: Path | str | list[str], **more: object) -> Consortium:
    given = {"label": "Diagnosis", "positive": "M", **more}
    return OwnTables(path=path if isinstance(path, list) else str(path), **given)(0)


def kinds(consortium: Consortium) -> dict[str, str]:
    return {one.name: one.kind for one in consortium.columns}


@pytest.fixture(scope="module")
def clinics(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return own_data.folder(tmp_path_factory.mktemp("own") / "clinics")


# --- the whole path


def test_a_folder_of_files_runs_and_is_shown_before(
    clinics: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = f"hydra.run.dir={tmp_path}/out"
    words = (*LABEL, f"consortium.path={clinics}", *FAST)
    assert wardround("run", *words, "attack=sign_flip", "aggregator=krum", out) == 0
    err = capfd.readouterr().err
    for shown in ("identifier", "number", "category", "text", "left out", "36 codes taken"):
        assert shown in err
    record = json.loads((tmp_path / "out/evidence.jsonl").read_text().splitlines()[0])
    assert not record["public"]
    assert record["n_hostile"] == 1  # a quarter of seven
    assert record["config"]["aggregator"]["n_hostile"] == 1
    assert [one["hospital"] for one in record["hospitals"]] == [f"Clinic {x}" for x in "ABCDEFG"]
    assert [one["n_train"] + one["n_test"] for one in record["hospitals"]] == list(SIZES)
    assert any("3 of 7 columns are left out: MRN, Notes, Visit." in t for t in record["data_notes"])
    assert any(
        "1 of 7 files read as cp1252, separator ;, decimal comma." in t
        for t in record["data_notes"]
    )
    assert wardround("explain", *words) == 0
    assert "Mean Radius" in capfd.readouterr().out


@pytest.mark.usefixtures("undrawn")
def test_a_comparison_in_several_processes_reads_the_same_files(
    clinics: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(clinics.parent)
    words = (*LABEL, "consortium.path=clinics", *FAST, f"hydra.run.dir={tmp_path}/out")
    lists = ("attacks=[sign_flip]", "defenses=[median]", "seeds=2", "workers=2")
    assert wardround("compare", *words, *lists) == 0
    lines = (tmp_path / "out/evidence.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert len(records) == 8
    assert len({record["data_hash"] for record in records}) == 1


def test_data_that_change_between_processes_are_refused(tmp_path: Path) -> None:
    path = own_data.single(tmp_path / "all.csv")
    words = (*LABEL, f"consortium.path={path}", "consortium.hospital=Site", *FAST)
    one = experiment(*words)
    assert from_text(one.text).config == one.config
    from_text.cache_clear()
    changed = own_data.single(path, lambda rows: rows[0].__setitem__(2, "12.5"))
    from sim.study import experiment as experiments

    experiments._consortium.cache_clear()  # as in another process
    assert changed == path
    with pytest.raises(InputError, match=r"^consortium=data [0-9a-f]{12}: .* the data changed$"):
        from_text(one.text)


# --- what is read


def test_files_and_one_file_and_parquet_hold_the_same_patients(
    clinics: Path, tmp_path: Path
) -> None:
    by_file = made(clinics)
    one = made(own_data.single(tmp_path / "all.csv"), hospital="Site")
    frame = pl.read_csv(tmp_path / "all.csv", infer_schema=False)
    frame = frame.with_columns(
        pl.col("Area").cast(pl.Int32), pl.col("texture %").cast(pl.Float32, strict=False)
    )
    frame.write_parquet(tmp_path / "all.parquet")
    parquet = made(tmp_path / "all.parquet", hospital="Site")
    assert by_file.names == one.names == parquet.names
    assert kinds(by_file) == kinds(one) == kinds(parquet)
    for name in ("train", "test"):
        for own, other, third in zip(
            by_file.hospitals, one.hospitals, parquet.hospitals, strict=True
        ):
            rows = getattr(own, name)
            np.testing.assert_array_equal(rows.labels, getattr(other, name).labels)
            np.testing.assert_array_equal(rows.features, getattr(other, name).features)
            np.testing.assert_allclose(rows.features, getattr(third, name).features, atol=1e-5)
    assert len({by_file.data_hash, one.data_hash, parquet.data_hash}) == 3
    assert not any((by_file.public, one.public, parquet.public))


def test_values_are_those_of_the_file(clinics: Path) -> None:
    found = made(clinics)
    field = found.schema.fields[0]
    german = found.hospitals[1]
    records = np.concatenate([german.train.features[:, 0], german.test.features[:, 0]])
    values = np.sort(field.center + field.scale * records.astype(np.float64))
    expected = np.sort([float(row[1]) for row in own_data.rows()[1]])
    np.testing.assert_allclose(values, expected, rtol=1e-5)
    assert (
        sum(
            hospital.train.labels.sum() + hospital.test.labels.sum() for hospital in found.hospitals
        )
        == 212
    )


FORMS: dict[str, bytes] = {
    "utf-8 with a mark": b"\xef\xbb\xbf" + own_data.LINES.encode(),
    "utf-16": own_data.LINES.encode("utf-16"),
    "semicolons": own_data.LINES.replace(",", ";").encode(),
    "tabs": own_data.LINES.replace(",", "\t").encode(),
    "bars": own_data.LINES.replace(",", "|").encode(),
    "decimal commas": own_data.LINES.replace(",", ";").replace(".", ",").encode(),
    "decimal commas in quotes": re.sub(r"(\d+)\.5", r'"\1,5"', own_data.LINES).encode(),
    "lines of Windows": own_data.LINES.replace("\n", "\r\n").encode(),
    "lines of an old Macintosh": own_data.LINES.replace("\n", "\r").encode(),
    "empty lines": own_data.LINES.replace("\n", "\n\n").encode(),
    "spaces": own_data.LINES.replace(",", " , ").encode(),
    "no last line end": own_data.LINES.rstrip("\n").encode(),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_a_file_make_no_difference(form: str, tmp_path: Path) -> None:
    for name, content in (("plain", own_data.LINES.encode()), ("other", FORMS[form])):
        (tmp_path / f"{name}.csv").write_bytes(content)
    one, other = (
        made(tmp_path / f"{name}.csv", label="sick", positive=1, partition="equal", n_hospitals=3)
        for name in ("plain", "other")
    )
    assert kinds(one) == kinds(other) == {"age": "number", "sex": "category"}
    for a, b in zip(one.hospitals, other.hospitals, strict=True):
        np.testing.assert_array_equal(a.train.features, b.train.features)
        np.testing.assert_array_equal(a.train.labels, b.train.labels)


MARKS: dict[str, tuple[str, list[str], dict[str, object], float | None]] = {
    "points": (",", ["14.06", "1.5"], {}, 14.06),
    "points of three digits": (",", ["14.062", "1.500"], {}, 14.062),
    "points and thousands": (",", ["1,234.5", "2,345"], {}, 2345),
    "commas": (";", ["14,06", "1,5"], {}, 14.06),
    "commas of three digits": (";", ["14,062", "1,500"], {}, 14.062),
    "commas and thousands": (";", ["1.234,5", "2.345"], {}, 2345),
    "commas between commas": (",", ["14,06", "1,5"], {}, 14.06),
    "either between commas": (",", ["14,062", "1,500"], {}, None),
    "either between semicolons": (";", ["14.062", "1.500"], {}, None),
    "either, stated as a point": (",", ["14,062", "1,500"], {"decimal": "."}, 14062),
    "either, stated as a comma": (",", ["14,062", "1,500"], {"decimal": ","}, 14.062),
    "points, stated as thousands": (";", ["14.062", "1.500"], {"decimal": ","}, 14062),
}


@pytest.mark.parametrize("case", MARKS)
def test_a_mark_is_never_taken_for_another(case: str, tmp_path: Path) -> None:
    separator, cells, given, value = MARKS[case]
    path = tmp_path / "marks.csv"
    lines = [["x", "sick"], *([cells[i % 2], str(i // 2 % 2)] for i in range(60))]
    path.write_text(own_data.text(lines, separator))
    if value is None:
        with pytest.raises(InputError, match="none that shows what the mark stands for: expected"):
            one(path, **given)
        return
    found = one(path, **given)
    (field,) = found.schema.fields
    most = max(float(hospital.train.features.max()) for hospital in found.hospitals)
    assert field.center + field.scale * most == pytest.approx(value, rel=1e-5)


def table(tmp_path: Path, **columns: list[str]) -> Path:
    path = tmp_path / "one.csv"
    n = len(next(iter(columns.values())))
    every = {**columns, "sick": [str(i % 2) for i in range(n)]}
    lines = [list(every), *map(list, zip(*every.values(), strict=True))]
    path.write_text(own_data.text(lines), encoding="utf-8")
    return path


def one(path: Path, **more: object) -> Consortium:
    return made(path, label="sick", positive=1, partition="equal", n_hospitals=2, **more)


N = range(60)
COLUMNS: dict[str, tuple[str, list[str], str]] = {
    "whole numbers": ("x", [str(i % 7) for i in N], "number"),
    "numbers with exponents": ("x", [f"{i}e-3" for i in N], "number"),
    "numbers with gaps": ("x", [str(i % 7) if i % 4 else "" for i in N], "number"),
    "numbers with units": ("x", [f"{i} mg" if i == 3 else str(i + 0.5) for i in N], "mixed"),
    "texts of a few kinds": ("x", ["abc"[i % 3] for i in N], "category"),
    "a few patients differ": ("x", ["ab"[i < 4] for i in N], "constant"),
    "one number": ("x", ["0.1"] * 60, "constant"),
    "numbers that differ by rounding": ("x", [f"0.1{'0' * 15}{i % 2}" for i in N], "constant"),
    "nothing": ("x", [""] * 60, "empty"),
    "four values": ("x", ["1.5" if i < 4 else "" for i in N], "empty"),
    "dates": ("x", [f"2020-01-{1 + i % 28:02d}" for i in N], "date"),
    "dates and times": ("x", [f"{1 + i % 28}.1.2020 12:30" for i in N], "date"),
    "free text": ("x", [f"the patient was seen {i % 9} times" for i in N], "text"),
    "surnames": ("x", [f"Sur{chr(97 + i % 26)}{chr(97 + i // 26)}" for i in N], "identifier"),
    "record numbers": ("x", [f"AB-{100000 + i}" for i in N], "identifier"),
    "addresses": ("x", [f"a{i % 9}@b.org" for i in N], "identifier"),
    "telephones": ("x", [f"+49 30 12345{i % 9}67" for i in N], "identifier"),
    "numbers that count patients": ("x", [str(1 + i) for i in N], "identifier"),
    "long numbers": ("x", [str(7_000_001 + 7919 * i) for i in N], "identifier"),
    "an identifying name": ("Patient_ID", [str(i % 7) for i in N], "identifier"),
    "another": ("dateOfBirth", [str(1950 + i % 7) for i in N], "identifier"),
    "a name like one": ("birth weight", [str(3000 + i % 17) for i in N], "number"),
    "many texts": ("x", [f"t{i % 40}" for i in N], "many levels"),
}


@pytest.mark.parametrize("case", COLUMNS)
def test_the_kind_of_a_column_is_found(case: str, tmp_path: Path) -> None:
    name, cells, kind = COLUMNS[case]
    found = one(table(tmp_path, **{"age": [str(i % 50) for i in N], name: cells}))
    assert kinds(found)[name] == kind
    used = kind in ("number", "category")
    assert (name in [field.name for field in found.schema.fields]) == used
    assert next(c for c in found.columns if c.name == name).used == used


def test_what_is_asked_goes_before_what_is_found(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        id=[str(1 + i) for i in N],
        code=[str(i % 4) for i in N],
        day=[f"2020-01-{1 + i % 28:02d}" for i in N],
        sex=["mf"[i % 2] for i in N],
        age=[str(i % 50) for i in N],
    )
    found = one(
        path,
        numbers=["id"],
        categories=["code"],
        dates=["day"],
        leave_out=["age"],
        levels=[["sex", "f", "m"]],
    )
    by_name = {field.name: field for field in found.schema.fields}
    assert list(by_name) == ["id", "code", "day", "sex"]
    assert by_name["code"].levels == ("level_1", "level_2", "level_3", "level_4")
    assert by_name["sex"].levels == ("f", "m")
    assert by_name["day"].center == pytest.approx(18275, abs=15)  # 14 January 2020
    assert by_name["day"].unit == "days since 1970"


def test_levels_that_few_patients_have_are_one_and_no_level_is_named(tmp_path: Path) -> None:
    cells = ["zyxwvut" if i == 7 else "rare" if i < 4 else "common"[: 5 + i % 2] for i in N]
    found = one(table(tmp_path, age=[str(i % 50) for i in N], x=cells))
    field = found.schema.fields[1]
    assert field.levels == ("level_1", "level_2", "other")
    everyone = np.concatenate([p.features for h in found.hospitals for p in (h.train, h.test)])
    assert everyone[:, field.columns[2]].sum() == 5
    assert next(c.note for c in found.columns if c.name == "x") == "2 levels in other"


def test_codes_for_no_value_are_found_only_where_no_number_is_negative(tmp_path: Path) -> None:
    found = one(
        table(
            tmp_path,
            a=[str(i % 50) if i % 6 else "-9" for i in N],
            b=[str(i % 50 - 20) if i % 6 else "-9" for i in N],
            c=[str(i % 50) if i % 6 else "777" for i in N],
        ),
        missing=["NA", -9, 777],
    )
    assert {c.name: c.absent for c in found.columns} == {"a": 10, "b": 0, "c": 10}


def test_columns_of_several_files_are_joined_by_name(tmp_path: Path) -> None:
    place = tmp_path / "files"
    place.mkdir()
    lines = own_data.LINES.splitlines()[1:]
    (place / "a.csv").write_text("Age,Sex,Sick\n" + "\n".join(lines[:30]))
    swapped = [",".join(reversed(line.split(","))) for line in lines[30:]]
    (place / "b.csv").write_text("sick,sex, AGE \n" + "\n".join(swapped))
    (place / "c.csv").write_text("sick,age\n" + "\n".join(f"{i % 2},{i}" for i in range(20)))
    found = made(place, label="Sick", positive=1)
    assert kinds(found) == {"Age": "number", "Sex": "category"}
    assert [len(h.train) + len(h.test) for h in found.hospitals] == [30, 30, 20]
    assert next(c.absent for c in found.columns if c.name == "Sex") == 20
    assert "1 columns are not in all 3 files; there they are absent." in found.notes


# --- labels


def labeled(tmp_path: Path, labels: list[str]) -> Path:
    path = tmp_path / "labeled.csv"
    lines = [["age", "out"], *([str(i % 50), label] for i, label in enumerate(labels))]
    path.write_text(own_data.text(lines))
    return path


@pytest.mark.parametrize(
    ("labels", "given", "n_positive"),
    [
        (["M", "B"] * 30, {"positive": "M"}, 30),
        (["M", "B", "C"] * 20, {"positive": ["M", "C"]}, 40),
        (["M", "B", "C"] * 20, {"positive": "M", "negative": ["B", "C"]}, 20),
        (["1", "0", "1.0"] * 20, {"positive": 1}, 40),
        (["True", "FALSE"] * 30, {"positive": True}, 30),
        ([str(i) for i in range(60)], {"positive_from": 40}, 20),
    ],
)
def test_what_counts_as_positive(
    labels: list[str], given: dict[str, object], n_positive: int, tmp_path: Path
) -> None:
    path = labeled(tmp_path, labels)
    own = OwnTables(path=str(path), label="out", partition="equal", n_hospitals=2, **given)
    found = own(0)
    parts = [part for hospital in found.hospitals for part in (hospital.train, hospital.test)]
    assert sum(part.labels.sum() for part in parts) == n_positive
    assert found.notes[-1].startswith(f"{n_positive} of 60 patients are with the condition")


# --- sharing out


@pytest.mark.parametrize("way", ["equal", "size", "dirichlet"])
def test_one_file_is_shared_out(way: str, tmp_path: Path) -> None:
    path = own_data.single(tmp_path / "all.csv")
    found = made(path, partition=way, n_hospitals=5, min_rows=20, leave_out=["Site"])
    sizes = [len(h.train) + len(h.test) for h in found.hospitals]
    assert sum(sizes) == 569
    assert min(sizes) >= 20
    assert found.name == "csv5"
    shares = [np.concatenate([h.train.labels, h.test.labels]).mean() for h in found.hospitals]
    assert (max(shares) - min(shares) < 0.05) == (way != "dirichlet")
    assert (max(sizes) - min(sizes) <= 1) == (way == "equal")


def test_the_file_of_the_choice_states_every_parameter_as_it_is_by_default() -> None:
    node = yaml.safe_load((ROOT / "conf/consortium/csv.yaml").read_text(encoding="utf-8"))
    stated = node["consortium"]
    assert stated.pop("_target_") == f"{OwnTables.__module__}.{OwnTables.__qualname__}"
    default = asdict(OwnTables(label="x", positive=1)) | {"label": None, "positive": None}
    assert {key: _plain(value) for key, value in default.items()} == stated
    assert node["adversary"] == {"n_hostile": None}


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


@pytest.mark.parametrize(("n", "expected"), [(2, 0), (3, 1), (4, 1), (7, 1), (8, 2), (12, 3)])
def test_a_quarter_of_the_hospitals_are_hostile_unless_stated(
    n: int, expected: int, tmp_path: Path
) -> None:
    path = own_data.single(tmp_path / "all.csv")
    words = (*LABEL, f"consortium.path={path}", "consortium.partition=equal", *FAST)
    words = (*words, f"consortium.n_hospitals={n}", "consortium.leave_out=[Site]")
    assert experiment(*words).settings.adversary.n_hostile == expected
    assert experiment(*words, "adversary.n_hostile=0").settings.adversary.n_hostile == 0


def test_a_column_that_is_the_label_in_other_words_is_noted(tmp_path: Path) -> None:
    labels = ["ill" if i % 2 else "well" for i in N]
    found = one(
        table(tmp_path, age=[str(i % 50) for i in N], outcome=labels, x=["abc"[i % 3] for i in N])
    )
    assert (
        "Each value of these columns goes with one label, as if they were it: outcome."
        in found.notes
    )
