"""A consortium's own files: no value of a patient reaches what a command leaves or prints.

Rare texts and numbers are put into every kind of cell, also into cells that are refused, then all
that a command leaves is searched for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from sim.datasets import checks
from sim.datasets.csv import OwnTables
from sim.errors import InputError
from sim.types import Consortium
from tests import own_data
from tests.commands import wardround
from tests.own_data import HEADER, LABEL

pytestmark = pytest.mark.xdist_group("own records")

TEXT, NUMBER = "zyxwvut", "735124906"
RARE = (TEXT, NUMBER, "735,124,906", "7.35125", "7.351e", "735.1")  # also rounded
PATIENT = 17
INFERRING = (
    "membership_loss,attribute_inference,source_inference,property_inference,structural_risk"
)
COLUMNS = ("Site", *HEADER)
CELLS = {
    "a text": TEXT,
    "a number": NUMBER,
    "a number with a point": f"{NUMBER}.25",
    "a number with a comma": f"{NUMBER},25",
    "a negative number": f"-{NUMBER}",
    "a number with a unit": f"{NUMBER} mg",
    "a number that float64 cannot hold": f"{NUMBER}e400",
    "a date": f"2019-01-11 {TEXT}",
    "many words": f"{TEXT} was seen {NUMBER} times by us",
    "a line end": f"{TEXT}\n{NUMBER}",
    "a quote": f'{TEXT}" {NUMBER}',
    "an escape": f"{TEXT}\x1b[2J",
    "a NUL": f"{TEXT}\0{NUMBER}",
    "markup": f"<b>{TEXT}</b>",
    "a formula": f'=cmd|"{TEXT}"',
    "a template": "{{" + TEXT + "}}${" + TEXT + "}",
    "half a character": f"{TEXT}\x81",
    "a long text": TEXT * 200,
    "a longer text": TEXT * 20_000,
    "no label": f"M {TEXT}",
}
OPTIONS: dict[str, dict[str, object]] = {
    "as it is": {},
    "taken in": {
        "numbers": ["MRN", "Area"],
        "categories": ["Notes", "texture %"],
        "dates": ["Visit"],
        "levels": [["Menopause", "pre", "post"]],
    },
    "left out": {"leave_out": ["Mean Radius (µm)", "Menopause"]},
    "sorted": {"negative": "B", "categories": ["MRN"]},
}


def found(text: str) -> list[str]:
    return [one for one in RARE if one in text]


def write(path: Path, columns: Sequence[int], value: str) -> None:
    """The file with ``value`` in these cells of one patient."""

    def change(rows: list[list[str]]) -> None:
        for column in columns:
            rows[PATIENT][column] = value

    own_data.single(path, change)
    if "\x81" in value:
        content = path.read_text(encoding="utf-8").replace("\x81", "~~")
        path.write_bytes(content.encode("cp1252").replace(b"~~", b"\x81"))


def shown(consortium: Consortium) -> str:
    """All that a consortium holds beside its records."""
    texts = [consortium.name, consortium.source, consortium.columns, checks.notes(consortium)]
    return str([*texts, consortium.names, consortium.schema])


@pytest.mark.parametrize("column", range(len(COLUMNS)), ids=COLUMNS)
def test_no_cell_reaches_what_is_known_of_the_data_or_a_refusal(
    column: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "all.csv"
    outcomes = set[bool]()
    for value in CELLS.values():
        write(path, [column], value)
        for options in OPTIONS.values():
            given = {"label": "Diagnosis", "positive": "M", "hospital": "Site", **options}
            try:
                made = OwnTables(path=str(path), **given)(0)  # type: ignore[arg-type]
                checks.check(made)
                text = shown(made)
                outcomes.add(True)
            except InputError as error:
                text = str(error)
                assert len(text) < 300
                assert "\n" not in text
                outcomes.add(False)
            assert found(text) == []
    assert False in outcomes
    err = capfd.readouterr()
    assert found(err.out + err.err) == []


def test_the_search_finds_what_is_asked_for(tmp_path: Path) -> None:
    write(tmp_path / "all.csv", [5], TEXT)
    levels = [["Menopause", "pre", "post", TEXT]]  # which the user names, and so may be shown
    made = OwnTables(str(tmp_path / "all.csv"), "Site", "Diagnosis", "M", levels=levels)(0)
    assert found(shown(made)) == [TEXT]
    assert any(found(row) for row in (tmp_path / "all.csv").read_text().splitlines())


def test_nothing_that_a_command_leaves_holds_a_cell(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "all.csv"

    def change(rows: list[list[str]]) -> None:
        rows[PATIENT][1:8] = [TEXT, NUMBER, f"{NUMBER}.5", NUMBER, TEXT, TEXT, TEXT]

    own_data.single(path, change)
    out = tmp_path / "out"
    words = (*LABEL, f"consortium.path={path}", "consortium.hospital=Site", "model=logistic")
    more = ("training.rounds=2", "training.local_steps=1", "training.batch_size=4")
    attacks = f"attacks=[[analytic_inversion,backdoor,{INFERRING}],tableak]"
    searched = ("attack.tableak.iterations=3", "attack.tableak.ensemble=2")
    lists = (attacks, *searched, "defenses=[median]", "workers=1", "seeds=1")
    assert wardround("explain", *words, *more) == 0
    with pytest.MonkeyPatch.context() as patch:  # the page that is searched is that of report
        patch.setattr("reports.page.drawings", lambda *_, **__: iter(()))
        assert wardround("compare", *words, *more, *lists, f"hydra.run.dir={out}") == 0
    assert wardround("report", str(out)) == 0
    screen = capfd.readouterr()
    assert "Mean Radius" in screen.err
    assert found(screen.out + screen.err) == []
    files = [one for one in out.rglob("*") if one.is_file()]
    assert len(files) >= 6
    for one in files:
        assert found(one.read_bytes().decode("utf-8", errors="replace")) == []


def with_rare(path: Path) -> Path:
    """The file of all hospitals, with rare values in every column of one patient but the label."""

    def change(rows: list[list[str]]) -> None:
        rows[PATIENT][1:8] = [TEXT, NUMBER, f"{NUMBER}.5", NUMBER, TEXT, TEXT, TEXT]

    return own_data.single(path, change)


def starter(folder: Path, n_seeds: int = 3, **options: object) -> tuple[str, ...]:
    """The words of ``validate`` for the starter on records with rare values, to run in seconds."""
    assert wardround("init", str(folder)) == 0
    given = {"path": with_rare(folder / "all.csv"), "hospital": "Site", **options}
    own = [f"consortium.{key}={value}" for key, value in given.items()]
    small = ("training.rounds=2", "training.local_steps=1", "training.batch_size=4", "workers=1")
    words = (f"consortium={folder / 'design.yaml'}", *LABEL[1:], *own, *small)
    return (*words, f"seeds={n_seeds}", f"hydra.run.dir={folder / 'out'}")


TAKEN_IN = {
    "categories": '["Notes","MRN"]',
    "numbers": '["Area"]',
    "levels": '[["Menopause","pre","post"]]',
}


@pytest.mark.usefixtures("steps")
@pytest.mark.parametrize("options", [{}, TAKEN_IN], ids=["as it is", "taken in"])
def test_no_verdict_of_own_data_holds_a_cell(
    options: dict[str, object],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    # three seeds decide criteria, and one leaves them open; figures are made of evidence, which is
    # searched in both
    n_seeds = 1 if options else 3
    if options:
        request.getfixturevalue("undrawn")
    words = starter(tmp_path, n_seeds, **options)
    assert wardround("validate", *words, "--plan") == 0
    with pytest.MonkeyPatch.context() as patch:  # the pages that are searched are those of report
        patch.setattr("reports.page.write_report", lambda folder, *_, **__: folder / "index.html")
        patch.setattr("reports.validation.makers", lambda _: iter(()))
        assert wardround("validate", *words, "search.minutes=0.01") in (0, 1)
        assert wardround("validate", *words, "--json") in (0, 1)
    assert wardround("report", str(tmp_path / "out")) == 0
    screen = capfd.readouterr()
    assert "Mean Radius" in screen.err
    assert found(screen.out + screen.err) == []
    files = [one for one in (tmp_path / "out").rglob("*") if one.is_file()]
    assert {"verdict.json", "register.csv", "results.sarif", "index.html", "dfd.mmd"} <= {
        one.name for one in files
    }
    assert any(one.is_relative_to(tmp_path / "out" / "search") for one in files)
    for one in files:
        assert found(one.read_bytes().decode("utf-8", errors="replace")) == []


PLACES = (  # where something of ours fails over records
    "sim.datasets.own_columns._number",
    "sim.datasets.own_labels.Classes.of",
    "sim.datasets.csv.split",
    "sim.datasets.checks.check",
    "sim.datasets.checks.notes",
    "sim.observers.evaluation.Evaluator.scored",
)


@pytest.mark.parametrize("place", PLACES)
def test_a_fault_of_our_own_is_named_without_its_words(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    words = starter(tmp_path)

    def fail(*_: object, **__: object) -> None:
        raise ValueError(f"{TEXT} has {NUMBER}")

    monkeypatch.setattr(place, fail)
    assert wardround("validate", *words) == 70
    screen = capfd.readouterr()
    assert "ValueError at " in screen.err
    assert found(screen.out + screen.err) == []
