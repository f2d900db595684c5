"""Design files become designs, or one line: file, line, key, value and what was expected."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from sim.config import groups, settings
from sim.errors import InputError
from sim.training import Training
from tests import ROOT
from tests.commands import wardround
from threats import consistency, design_files, plain_yaml, problems, system
from threats.design_files import DesignFile
from threats.powers import FITS
from threats.system import Design

STARTER = Path(design_files.__file__).parent / "data" / "starter.yaml"
SMALL = """\
schema: wardround.design/1
meta: {name: small, version: 1, owner: somebody}
federation:
  consortium: heart4
  training: {rounds: 2}
assets:
  - {id: update, class: model_update, phi: yes}
zones: [{id: site, kind: hospital}]
components:
  - {id: hospital, dfd: process, zone: site, role: hospital_client, holds: [update]}
  - {id: network, dfd: process, zone: site, role: other}
flows:
  - {id: upload, from: hospital, to: network, carries: [update], \
channel: {protocol: grpc, tls: "1.3", mutual: true}}
adversaries:
  - id: insider
    role: a hospital
    at: [hospital]
    powers: [modify_update]
    initiation: {level: low, rationale: rare}
stacks:
  - {id: robust, defense: median+clip, values: {steps.clip.max_norm: 1.5}, \
controls: [{id: FLM-01, enforced_by: site}]}
declared: robust
releases:
  - {what: final_model, to: [insider, network], control: FLM-06}
acceptance:
  - {id: loss, threat: THR-BYZ, adversary: insider, metric: auroc, \
over: mean, loss_at_most: 0.05, min_seeds: 5}
decisions:
  - {row: verdict, decision: accept, by: Ann, date: 2026-01-01, expires: 2027-01-01}
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test is alone in a folder."""
    monkeypatch.chdir(tmp_path)


def read(text: str) -> DesignFile:
    Path("d.yaml").write_text(text, encoding="utf-8")
    return design_files.read(Path("d.yaml"))


def refused(path: str) -> str:
    """The line with which a file is refused."""
    with pytest.raises(InputError) as raised:
        design_files.read(Path(path))
    line = str(raised.value)
    assert line.isprintable()
    assert len(line) < 300
    return line


def put(old: str, new: str) -> str:
    """The small design with one part of its text replaced."""
    assert SMALL.count(old) == 1, old
    return SMALL.replace(old, new)


# --- what is read


@pytest.mark.parametrize("name", design_files.named())
def test_a_named_design_is_read(name: str) -> None:
    design = design_files.read(design_files.find(name)).design
    assert Design.model_validate_json(design.model_dump_json(by_alias=True)) == design
    assert design.stack(design.declared).id == design.declared


def test_the_named_designs_are_three_and_each_has_its_own_digest() -> None:
    found = [design_files.read(design_files.find(name)).design for name in design_files.named()]
    assert design_files.named() == ["heart12_hardened", "heart12_secagg_krum", "heart4_open"]
    assert len({design.digest for design in found}) == 3
    assert [design.stack(design.declared).defense for design in found] == [
        "dp_record+geometric_median",
        "secagg+krum",
        "none",
    ]


def test_a_design_has_the_values_of_its_file_and_each_value_its_line() -> None:
    found = read(SMALL)
    design = found.design
    assert design.federation.consortium.name == "heart4"
    assert design.federation.training == {"rounds": 2}
    assert design.assets[0].phi == "yes"
    assert design.flows[0].from_ == "hospital"
    assert design.acceptance[0].bound == ("loss_at_most", 0.05)
    assert str(design.decisions[0].expires) == "2027-01-01"
    assert design.adversary("insider").initiation.declared_by is None
    assert design.component("network").role == "other"
    assert design.asset("update").class_ == "model_update"
    lines = SMALL.splitlines()
    assert lines[found.lines["acceptance", 0, "metric"] - 1].startswith("  - {id: loss")
    assert lines[found.lines["adversaries", 0, "powers"] - 1].startswith("    powers:")


def test_the_undefended_stack_is_in_every_design() -> None:
    design = read(SMALL).design
    assert design.stack("undefended").defense == "none"
    assert read(put("declared: robust", "declared: undefended")).design.declared
    with pytest.raises(KeyError):
        design.stack("nothing")


def test_the_digest_is_that_of_what_a_design_states_and_not_of_its_form() -> None:
    one = read(SMALL).design
    spaced = SMALL.replace("heart4", '"heart4"  # quoted').replace("version: 1", "version: +1")
    assert read(spaced).design.digest == one.digest
    assert read("\ufeff" + SMALL).design.digest == one.digest
    assert read(put("rounds: 2", "rounds: 3")).design.digest != one.digest
    assert re.fullmatch("[0-9a-f]{64}", one.digest)


def test_a_design_is_frozen() -> None:
    design = read(SMALL).design
    with pytest.raises(ValidationError):
        design.meta.name = "other"  # type: ignore[misc]


def test_values_that_are_read_in_python_are_refused_by_key() -> None:
    values = json.loads(json.dumps(plain_yaml.parse(SMALL)[0]))
    assert problems.design(values).meta.name == "small"
    values["acceptance"][0]["adversary"] = "insidr"
    expected = r"^acceptance\[0\]\.adversary=insidr: expected .*did you mean insider\?"
    with pytest.raises(InputError, match=expected):
        problems.design(values)


def test_a_design_is_found_by_name_or_by_path() -> None:
    assert design_files.find("heart4_open").name == "heart4_open.yaml"
    assert design_files.find("mine/design.yml") == Path("mine/design.yml")
    with pytest.raises(InputError, match=r"consortium=heart4_opn: .*did you mean heart4_open\?"):
        design_files.find("heart4_opn")


# --- what is refused: part of the small design, what is put there, the line, and how it is refused

WRONG: dict[str, tuple[str, str, int, str]] = {
    case["case"]: (case["old"], case["new"], case["line"], case["refused"])
    for case in yaml.safe_load((ROOT / "tests" / "wrong_designs.yaml").read_text("utf-8"))
}
LARGE: dict[str, tuple[str, str, int, str]] = {
    "huge number": (
        "version: 1",
        "version: " + "9" * 400,
        2,
        "expected a finite number in at most 18 decimal digits",
    ),
    "deep": ("rounds: 2", "rounds: " + "[" * 5000 + "]" * 5000, 5, "expected at most 12 levels"),
    "long text": ("name: small", "name: " + "x" * 5000, 2, "expected at most 2,000 characters"),
    "many values": (
        "holds: [update]",
        "holds: [" + "u," * 30000 + "]",
        10,
        "expected at most 20,000 values",
    ),
}


@pytest.mark.parametrize("case", [*WRONG, *LARGE])
def test_what_is_wrong_is_refused_in_one_line_with_its_line_key_value_and_what_was_expected(
    case: str,
) -> None:
    old, new, line, expected = (WRONG | LARGE)[case]
    Path("d.yaml").write_text(put(old, new), encoding="utf-8")
    found = refused("d.yaml")
    assert found.startswith(f"d.yaml:{line}: "), found
    assert expected in found
    assert not Path("CANARY").exists()


def test_the_cases_are_many_and_each_is_refused_for_a_reason_of_its_own() -> None:
    assert len(WRONG) >= 85
    assert len({expected for *_, expected in WRONG.values()}) > 70


# --- files that are no design: what is made, and how it is refused

BOMB = "a: &a [x, x]\n" + "".join(
    f"{new}: &{new} [*{old}, *{old}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "nothing": (Path.exists, "expected a regular file that can be read (No such file"),
    "folder": (lambda path: path.mkdir(), "expected a regular file that can be read (not"),
    "pipe": (os.mkfifo, "expected a regular file that can be read (not a regular file)"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "(not a regular file)"),
    "link to itself": (lambda path: path.symlink_to(path), "expected a regular file"),
    "100 MB in one line": (
        lambda path: (path.touch(), os.truncate(path, 10**8)),
        "expected at most 256,000 bytes",
    ),
    "empty": (lambda path: path.touch(), "design=None: "),
    "UTF-16": (lambda path: path.write_text(SMALL, encoding="utf-16"), "byte 0xff: expected"),
    "Latin-1": (
        lambda path: path.write_bytes(b"schema: x\nmeta: {name: caf\xe9}\n"),
        ":2=byte 0xe9: expected a text in UTF-8",
    ),
    "null bytes": (
        lambda path: path.write_bytes(b"schema: x\n\0\n"),
        ":2: design=U+0000: expected signs that can be printed",
    ),
    "list": (lambda path: path.write_text("- 1\n"), ":1: design=[1]: expected "),
    "text": (lambda path: path.write_text("hello\n"), ":1: design=hello: expected "),
    "aliases that double": (lambda path: path.write_text(BOMB), ":1: a=a: expected no anchors"),
    "brackets": (lambda path: path.write_text("[" * 200_000), "expected at most 12 levels"),
    "question marks": (lambda path: path.write_text("? " * 100_000), ":1: design="),
    "dashes": (lambda path: path.write_text("- " * 100_000), "expected at most 12 levels"),
    "one long word": (lambda path: path.write_text("x" * 250_000), "at most 2,000 characters"),
    "program": (lambda path: path.write_bytes(b"\x7fELF\x02\x01\x01"), "design=U+007F: expected"),
}  # fmt: skip


@pytest.mark.parametrize("case", FILES)
def test_what_is_no_design_is_refused_at_once(case: str) -> None:
    make, expected = FILES[case]
    make(Path("d.yaml"))
    found = refused("d.yaml")
    assert expected in found, found


def test_a_path_that_no_file_can_have_is_refused() -> None:
    assert "expected a regular file that can be read (embedded null" in refused("a\0b.yaml")
    assert "expected a regular file that can be read (File name too" in refused("x" * 5000)


# --- the owner's records


def own(path: str) -> str:
    return put("consortium: heart4", f"consortium: {{csv: {{path: {path}, label: y}}}}")


def test_records_are_found_below_the_folder_of_the_design(tmp_path: Path) -> None:
    found = read(own("data"))
    with pytest.raises(InputError, match=r":4: .*csv.path=data: expected a file or folder that is"):
        found.data()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").touch()
    assert found.data() == tmp_path / "data"
    assert read(SMALL).data() is None


@pytest.mark.parametrize("where", ["data", "data/a.csv"])
def test_a_link_leads_to_no_records_elsewhere(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = tmp_path / "in"
    inside.mkdir()
    secret = tmp_path / "secret"
    secret.mkdir()
    if where == "data":
        (inside / "data").symlink_to(secret)
    else:
        (inside / "data").mkdir()
        (inside / "data" / "a.csv").symlink_to(secret)
    monkeypatch.chdir(inside)
    with pytest.raises(InputError, match=r"csv.path=data: a link leads elsewhere; expected a path"):
        read(own("data")).data()


def test_what_is_wrong_later_has_its_line_too() -> None:
    error = read(SMALL).refusal(("stacks", 0, "defense", "x"), "median", "expected less")
    assert str(error).endswith("d.yaml:21: stacks[0].defense.x=median: expected less")


# --- what is stated twice is the same


def test_the_values_that_a_design_sets_are_those_of_a_configuration() -> None:
    assert tuple(consistency.PARTS) == tuple(groups.STACK)
    assert set(system.Hostile.model_fields) == set(settings.Adversary.model_fields)
    assert "rounds" in Training.model_fields
    assert set(FITS) == set(system.Power.__args__)  # type: ignore[attr-defined]


# --- the JSON Schema


def as_json(path: Path) -> Any:
    return plain_yaml.parse(path.read_text(encoding="utf-8"))[0]


@pytest.mark.parametrize(
    "path",
    [STARTER, *(design_files.find(name) for name in design_files.named())],
    ids=lambda path: path.stem,
)
def test_the_schema_takes_the_starter_and_the_named_designs(path: Path) -> None:
    Draft202012Validator.check_schema(system.schema())
    Draft202012Validator(system.schema()).validate(as_json(path))


@pytest.mark.parametrize(
    "case",
    ["unknown key", "missing key", "another schema", "truth for a number", "number for a text",
     "markup in an id", "unknown power", "empty list", "two consortia", "form of a defense",
     "large alpha"],
)  # fmt: skip
def test_the_schema_refuses_what_an_editor_can_see(case: str) -> None:
    old, new, *_ = WRONG[case]
    values = plain_yaml.parse(put(old, new))[0]
    assert not Draft202012Validator(system.schema()).is_valid(values)


# --- wardround init


def test_init_writes_a_design_that_is_read_with_its_records(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert wardround("init", str(tmp_path / "new")) == 0
    written = [Path(line) for line in capfd.readouterr().out.splitlines()]
    assert sorted(written) == sorted((tmp_path / "new").iterdir())
    found = design_files.read(tmp_path / "new" / "design.yaml")
    assert found.data() == tmp_path / "new" / "made_up_patients.csv"
    assert found.path in written


@pytest.mark.parametrize("there", ["design.yaml", "made_up_patients.csv"])
def test_init_overwrites_nothing_and_leaves_nothing_half_written(
    there: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / there).symlink_to("nowhere")
    assert wardround("init", str(tmp_path)) == 2
    line = f"wardround: init={tmp_path / there}: expected a folder without this file\n"
    assert capfd.readouterr().err == line
    assert [path.name for path in tmp_path.iterdir()] == [there]


def test_init_leaves_nothing_where_the_second_file_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sim import files

    whole = files.replace

    def replace(path: Path, content: bytes) -> None:
        if path.suffix == ".csv":
            raise InputError("folder", path.parent, "expected a folder that can be written")
        whole(path, content)

    monkeypatch.setattr(files, "replace", replace)
    assert wardround("init", str(tmp_path)) == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [(), ("a", "b"), ("--schem",), ("",), ("--schema", "a")])
def test_init_takes_one_folder(words: tuple[str, ...], capfd: pytest.CaptureFixture[str]) -> None:
    assert wardround("init", *words) == 2
    assert capfd.readouterr().err.endswith(": expected one folder, or --schema\n")


def test_init_into_a_file_is_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert wardround("init", str(tmp_path / "file")) == 2
    assert capfd.readouterr().err.count("\n") == 1


def test_init_prints_the_schema(capfd: pytest.CaptureFixture[str]) -> None:
    assert wardround("init", "--schema") == 0
    assert json.loads(capfd.readouterr().out) == system.schema()
