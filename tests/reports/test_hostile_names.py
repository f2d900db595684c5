"""Names of anybody in figures, tables, pages and files: shown as they are, never read as
mathematics, markup or a formula.
"""

from __future__ import annotations

import ast
import csv
import re
import warnings
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from unicodedata import category

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from reports import page
from reports.figures import labels, style
from reports.terminal import closing, run_table
from sim import evidence
from sim.cli.screen import Screen
from sim.evidence import RunRecord, spreadsheet
from tests.records import make_hospitals, make_inversion, make_privacy, make_record

NAMES = (
    "$", "$x$", "$\\frac{$", "a$b_c^d", "_hidden", "^", "\\", "\\alpha", "{}", "%s %d {0}", "a\nb",
    "x" * 300, "\n" * 300, "\N{GRINNING FACE}", "\N{HEBREW LETTER ALEF}\N{HEBREW LETTER BET}",
    "\N{ARABIC LETTER BEH}", "\u202eabc", "a\u0301", "\u4e2d\u6587", "\x1b[31mred", "\x07", "\r",
    "\t", "[bold]", "[/]", "[sign_flip]", ":warning:", "<b>", "&amp;", "'\"", "=1+1", "+1", "-1",
    "@a", "\x85", "\u2028", "\U0010ffff",
)  # fmt: skip


def study(*names: str) -> list[RunRecord]:
    """Attacks, defenses and hospitals with these names, over two seeds."""
    return [
        _record(names, attack, defense, seed)
        for attack in ("none", *names, "reads")
        for defense in ("none", *names)
        for seed in (0, 1)
    ]


def _record(names: Sequence[str], attack: str, defense: str, seed: int) -> RunRecord:
    hospitals = make_hospitals(["hospital_0"])
    named = [
        one.model_copy(update={"hospital": name})
        for one, name in zip(hospitals[1:], names, strict=False)
    ]
    return make_record(
        attack=attack,
        defense=defense,
        seed=seed,
        run=f"{[attack, defense, seed]}",
        hospitals=[hospitals[0], *named, *hospitals[1 + len(named) :]],
        privacy=None if defense == "none" else make_privacy(),
        inversion=make_inversion() if attack == "reads" else None,
    )


def texts(figure: Figure) -> list[str]:
    figure.draw_without_rendering()
    return [
        text.get_text() for text in figure.findobj(Text) if text.get_visible() and text.get_text()
    ]


@pytest.mark.parametrize("part", range(6))
def test_figures_show_every_name_sign_by_sign_and_without_a_warning(part: int) -> None:
    names = NAMES[part::6]
    drawn = page.draw(study(*names))
    assert {"privacy_spent", "heat_map"} <= set(drawn)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for title, figure in drawn.items():
            assert style.svg(figure, title).startswith("<svg")
    spent, cells = texts(drawn["privacy_spent"]), texts(drawn["heat_map"])
    for name in names:
        if len(name) < 100 and name.strip():
            assert labels.shown(name) in spent
            assert labels.shown(name) in cells


def test_a_name_is_shown_so_that_a_figure_has_room_and_the_font_has_every_sign() -> None:
    shown = {name: labels.shown(name) for name in NAMES}
    assert all(shown[name] == name for name in ("$x$", "_hidden", "\\alpha"))
    assert (
        shown["\N{GRINNING FACE}"] == "\N{GRINNING FACE}" or shown["\N{GRINNING FACE}"] == "U+1F600"
    )
    assert shown["\u4e2d\u6587"] == "U+4E2DU+6587"
    assert shown["\x1b[31mred"] == "U+001B[31mred"
    assert shown["\u202eabc"] == "U+202Eabc"
    assert all(len(line) <= labels.LONGEST for text in shown.values() for line in text.split("\n"))
    assert all(text.count("\n") < labels.MOST_LINES for text in shown.values())
    assert len(set(shown.values())) == len(NAMES)


def test_the_projects_own_words_in_figures_are_never_cut() -> None:
    for figure in page.draw(study("median")).values():
        before = texts(figure)
        labels.plain(figure)
        assert texts(figure) == before


@pytest.mark.parametrize("width", [20, 40, 60, 80, 200])
def test_a_table_shows_every_cell_whole_at_every_width(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    records = study("trimmed_mean+dp_record")
    screen = Screen()
    screen.print(closing(records, [], screen.width))
    screen.print(run_table(records[-1]))
    shown = capsys.readouterr().out
    assert "\N{HORIZONTAL ELLIPSIS}" not in shown
    assert all(len(line) <= width for line in shown.splitlines())
    found = set(re.split(r"[\s\u2502\u2503]+", shown))
    assert {"0.760", "(hospital_4)", "0.160", "8.00"} <= found
    assert {"0.850", "0.850±.000"} & found
    if width >= 40:
        assert "trimmed_mean+dp_record" in shown or {"trimmed_", "mean+dp_", "record"} <= found


def test_the_terminal_shows_every_name_and_obeys_none(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "1000")
    for name in NAMES:
        Screen().print(closing(study(name), [], 1000))
        Screen().print(run_table(study(name)[-1]))
        shown = capsys.readouterr().out
        assert all(sign.isprintable() or sign == "\n" for sign in shown), name
        if name.isprintable():
            assert "".join(name.split()) in "".join(shown.split())


def test_a_text_cell_of_a_csv_file_is_never_a_formula_and_numbers_stay_numbers(
    tmp_path: Path,
) -> None:
    risky = ["=1+1", "+1", "-1", "@a", "=cmd|' /C calc'!A0", "-2+3", "\uff1d1", "=a\r\nb", '=",",1']
    evidence.write_tables(
        tmp_path, [make_record(attack=name, figures={"auroc": 0.25}) for name in risky]
    )
    with (tmp_path / evidence.RESULTS).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["attack"] for row in rows} == {
        "'" + name.replace("\r\n", "\\r\\n") for name in risky
    }
    assert {row["auroc"] for row in rows} == {"0.25"}
    assert {row["n_hostile"] for row in rows} == {"1"}


def test_every_name_is_one_cell_of_a_csv_file(tmp_path: Path) -> None:
    evidence.write_tables(
        tmp_path, [make_record(attack=name, run=str(place)) for place, name in enumerate(NAMES)]
    )
    text = (tmp_path / evidence.RESULTS).read_bytes().decode("utf-8")
    assert "\r" not in text
    assert text.endswith("\n")
    assert len(text.splitlines()) == len(NAMES) + 1
    rows = list(csv.DictReader(StringIO(text)))
    assert {row["attack"] for row in rows} == {spreadsheet.cell(name) for name in NAMES}
    assert not any(row["attack"].startswith(("=", "+", "-", "@")) for row in rows)


@pytest.mark.parametrize("number", [-1, -0.5, 0, 1e-300, True, None])
def test_a_number_of_a_csv_file_stays_a_number(number: float | None) -> None:
    assert spreadsheet.cell(number) is number


def test_the_page_shows_every_name_and_none_acts_on_the_text_around_it() -> None:
    names = [*NAMES, "\u2066a", "\u200b"]
    records = [
        make_record(attack=attack, defense=name)
        for name in ("none", *names)
        for attack in ("none", "alie")
    ]
    manifest = dict.fromkeys(page.MANIFEST) | {
        "command": "a\ud800" + "".join(names),
        "machine": "\u202e",
        "python": "\x1b[2J",
    }
    shown = (
        page.render(page.content(records, manifest, show_reconstructions=False), {})
        .encode("utf-8")
        .decode("utf-8")
    )
    assert {sign for sign in shown if category(sign) in ("Cc", "Cf", "Cs", "Zl", "Zp")} == {"\n"}
    assert all(
        text in shown
        for text in ("a\\ud800", "[sign_flip]", "&lt;b&gt;", "\\x1b[31mred", "\\u202eabc", "$x$")
    )


def test_every_page_is_made_with_the_check_of_its_text() -> None:
    made = [
        node
        for path in Path(page.__file__).parent.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Environment"
    ]
    assert made
    assert all({"finalize", "autoescape"} <= {key.arg for key in node.keywords} for node in made)
