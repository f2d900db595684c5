"""Output in every encoding, width and kind of stream: no traceback, no lost run, no cut figure;
files are always UTF-8.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from functools import cache
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest
from rich.table import Table
from rich.text import Text

from reports.terminal import closing, run_table
from sim.cli import brackets, explain, listing, streams
from sim.cli.command import main
from sim.cli.screen import Screen
from tests import ROOT
from tests.commands import besides_progress
from tests.federation import experiment
from tests.records import make_inversion, make_privacy, make_record

FOLDERS = ("sim", "clients", "aggregators", "attacks", "reports", "threats", "benchmarks")
CODE = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
PLAIN = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C", "LANG": "C"}
LOCALES: dict[str, dict[str, str]] = {
    "cp1252": {"PYTHONIOENCODING": "cp1252"},
    "cp437": {"PYTHONIOENCODING": "cp437"},
    "cp850": {"PYTHONIOENCODING": "cp850"},
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
    "ascii, strict": {"PYTHONIOENCODING": "ascii:strict"},
    "utf-16": {"PYTHONIOENCODING": "utf-16"},
    "ebcdic": {"PYTHONIOENCODING": "cp037"},
    "shift_jis": {"PYTHONIOENCODING": "shift_jis"},
    "the locale C": {"LANG": "C"},
    "the locale C without UTF-8": PLAIN,
    "POSIX": PLAIN | {"LC_ALL": "POSIX"},
    "an unknown locale": {"LC_ALL": "xx_YY.nope", "PYTHONUTF8": "0"},
    "no color": {"NO_COLOR": "1"},
    "forced color": {"FORCE_COLOR": "1"},
    "a dumb terminal": {"TERM": "dumb"},
    "no terminal at all": {"TERM": ""},
    "20 columns": {"COLUMNS": "20"},
    "1 column": {"COLUMNS": "1"},
    "0 columns": {"COLUMNS": "0"},
    "columns that are no number": {"COLUMNS": "wide"},
    "a billion columns": {"COLUMNS": "1000000000"},
}
ENCODINGS = (
    "utf-8",
    "cp1252",
    "cp437",
    "latin-1",
    "ascii",
    "utf-16",
    "cp037",
    "shift_jis",
    "koi8-r",
    "big5",
    "utf-7",
    "iso8859-15",
)
USUAL = (
    "PYTHONIOENCODING",
    "PYTHONUTF8",
    "PYTHONCOERCECLOCALE",
    "LANG",
    "LC_ALL",
    "COLUMNS",
    "TERM",
    "NO_COLOR",
    "FORCE_COLOR",
)
SIGNS = (
    "ε ± † ‡ \N{EN DASH} \N{MINUS SIGN} → ≤ … é ü ß 漢字 😀 אב \udcff \x1b[31m [bold] [/] :smile:"
    " \\ $x$"
)
SMALL_COMMAND = f"""
import sys
from sim.cli import streams
@streams.settled
def command(_):
    from rich.table import Table
    from sim.cli.screen import Screen
    table = Table("name", "value", title={SIGNS!a})
    table.add_row({SIGNS!a}, "0.850")
    Screen().print({SIGNS!a}, table)
    print({SIGNS!a}, file=sys.stderr)
    print({SIGNS!a})
    return 3
sys.exit(command())
"""
COMMAND = "import sys; from sim.cli.command import main; sys.exit(main())"
FAST = ("consortium=heart4", "training.rounds=1", "model=logistic", "workers=1")


def called(
    code: str, *words: str, changes: dict[str, str] | None = None, end: str = ""
) -> subprocess.CompletedProcess[bytes]:
    """Python's ``-c code words`` in a process of its own; ``end`` is what a shell makes of its
    streams.
    """
    env = (
        {key: value for key, value in os.environ.items() if key not in USUAL}
        | {"PYTHONPATH": str(ROOT)}
        | (changes or {})
    )
    words = ("bash", sys.executable, "-c", code, *words)
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", f'"$@" {end}', *words],
        env=env,
        capture_output=True,
        timeout=180,
    )


def test_the_table_has_many_streams_and_locales() -> None:
    assert len(LOCALES) >= 20
    assert len(ENCODINGS) >= 10


@pytest.mark.parametrize("locale", LOCALES)
def test_output_in_every_locale_ends_in_no_traceback_and_keeps_the_exit_code(locale: str) -> None:
    done = called(SMALL_COMMAND, changes=LOCALES[locale])
    assert done.returncode == 3
    assert b"Traceback" not in done.stdout + done.stderr
    encoding = LOCALES[locale].get("PYTHONIOENCODING", "utf-8").partition(":")[0]
    shown, errors = done.stdout.decode(encoding), done.stderr.decode(encoding)
    assert "0.850" in shown
    assert "$x$" in errors
    assert all(text in " ".join(shown.split()) for text in ("[bold]", "[/]", ":smile:"))


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ("| head -c 0", 0),
        (">&-", 0),
        ("2>&-", 0),
        (">&- 2>&- <&-", 0),
        ("2>&1 | true", 0),
        (">/dev/null", 0),
        (">/dev/full", 74),
    ],
)
def test_a_closed_or_full_stream_loses_no_work_and_is_no_traceback(
    end: str, code: int, tmp_path: Path
) -> None:
    work = f"""
import sys
from sim.cli import streams
@streams.settled
def command(_):
    for i in range(20000):
        print("line", i)
    print("error", file=sys.stderr, flush=True)
    with open({str(tmp_path / "done")!r}, "x") as file:
        file.write("whole")
    print("end")
    return 0
sys.exit(command())
"""
    done = called(work, end=end)
    assert done.returncode == code
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr
    assert (tmp_path / "done").read_text() == "whole"
    assert (b"cannot be written" in done.stderr) == (code != 0)


def test_what_an_encoding_lacks_is_its_nearest_or_an_escape() -> None:
    assert (
        "ε ± † \N{MINUS SIGN} 漢 é".encode("ascii", streams.ERRORS) == b"eps +/- # - \\u6f22 \\xe9"
    )
    assert "ε ± †".encode("cp1252", streams.ERRORS) == "eps ± †".encode("cp1252")
    assert "ε\udcff".encode("utf-8", streams.ERRORS) == "ε".encode() + b"\\udcff"
    assert all(
        nearest.isascii() and not sign.isascii() for sign, nearest in streams.NEAREST.items()
    )


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Gives a function that renders all that the commands print into an encoding and reads it
    again.
    """

    def write(encoding: str) -> str:
        held = BytesIO()
        with TextIOWrapper(held, encoding=encoding, errors=streams.ERRORS) as file:
            monkeypatch.setattr(sys, "stdout", file)
            _everything()
            file.flush()
            monkeypatch.undo()
            return held.getvalue().decode(encoding)

    return write


def _everything() -> None:
    record = make_record(
        attack="alie", defense="dp_record", privacy=make_privacy(), inversion=make_inversion()
    )
    listing.show([])
    explain.show([experiment(*FAST[:3], "dp=record", "aggregator=median")], 1)
    Screen().print(run_table(record))
    Screen().print(closing([make_record(), record, make_record(seed=1)]))
    assert main(["--help"]) == 0


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_all_that_the_commands_print_can_be_written_in_every_encoding(
    encoding: str, written: Callable[[str], str]
) -> None:
    shown = written(encoding)
    assert "Yin et al." in shown
    assert "wardround compare" in shown
    assert "8.00" in shown


@pytest.mark.parametrize("width", [1, 20, 40, 60, 80, 200])
def test_no_figure_is_cut_at_any_width(
    width: int, written: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    shown = written("utf-8")
    assert "\N{HORIZONTAL ELLIPSIS}" not in shown
    found = set(re.split(r"[\s\u2502\u2503]+", shown))
    assert {"0.760", "(hospital_4)", "8.00"} <= found
    if width >= 40:
        assert "aggregation_tailored," in found


def test_a_table_that_does_not_fit_is_a_list_with_every_cell(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = Table(box=None)
    for header in ("defense", "alie", "sign_flip"):
        table.add_column(Text(header), no_wrap=True)
    table.add_row(Text("median"), Text("0.812 [0.765 to 0.844]"), Text("0.7"))
    for columns, expected in ((80, 2), (30, 3)):
        monkeypatch.setenv("COLUMNS", str(columns))
        Screen().print(table)
        shown = capsys.readouterr().out
        assert len(shown.splitlines()) == expected
        assert "[0.765 to 0.844]" in shown
    assert shown == "median\n  alie: 0.812 [0.765 to 0.844]\n  sign_flip: 0.7\n"


@cache
def parsed() -> tuple[list[ast.ClassDef], dict[str, list[tuple[str, ast.Call]]]]:
    """All classes of the project's code, and all calls by name of function, with their files."""
    classes = list[ast.ClassDef]()
    found = defaultdict[str, list[tuple[str, ast.Call]]](list)
    for path in CODE:
        file = path.relative_to(ROOT).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                classes.append(node)
            elif isinstance(node, ast.Call):
                name = getattr(node.func, "id", getattr(node.func, "attr", None))
                found[str(name)].append((file, node))
    return classes, found


def calls(name: str) -> list[tuple[str, ast.Call]]:
    """All calls of a function or method of this name in the project's code, with the file."""
    return parsed()[1][name]


def test_everything_is_printed_through_one_screen_without_markup() -> None:
    # a notebook's text is a string and goes to no stream
    assert {file for file, _ in calls("Console")} == {"reports/notebook.py"}
    assert {file for file, _ in calls("from_markup")} == set()
    assert [
        node.name
        for node in parsed()[0]
        if any(getattr(base, "id", "") == "Console" for base in node.bases)
    ] == ["Screen"]
    columns = calls("TextColumn")
    assert columns
    assert all(any(key.arg == "markup" for key in node.keywords) for _, node in columns)
    printing = {
        file
        for file, node in calls("print")
        if isinstance(node.func, ast.Name) and file.startswith("sim/")
    }
    assert printing <= {
        "sim/cli/audit.py",
        "sim/cli/command.py",
        "sim/cli/completion.py",
        "sim/cli/new.py",
        "sim/cli/printed.py",
        "sim/cli/streams.py",
        "sim/cli/main.py",
        "sim/cli/failures.py",
        "sim/cli/init.py",
        "sim/cli/validate.py",
        "sim/study/checkpoints.py",
    }


def test_every_text_file_is_opened_as_utf_8() -> None:
    wrong = [
        f"{file}:{node.lineno}"
        for name in ("read_text", "write_text", "open")
        for file, node in calls(name)
        if not file.startswith("benchmarks/")
        if not (_states_encoding(node) or _is_binary(node) or _opens_no_file(node))
    ]
    assert wrong == []


def _states_encoding(node: ast.Call) -> bool:
    given = [*node.args, *(key.value for key in node.keywords if key.arg == "encoding")]
    return any(isinstance(one, ast.Constant) and one.value in ("utf-8", "ascii") for one in given)


def _is_binary(node: ast.Call) -> bool:
    return any(isinstance(one, ast.Constant) and "b" in str(one.value) for one in node.args)


def _opens_no_file(node: ast.Call) -> bool:
    return (
        isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in ("os", "Image", "archive")
    )


@pytest.mark.usefixtures("undrawn")  # in this process; the one that is looked at is another
def test_a_finished_comparison_in_another_encoding_ends_with_0_and_its_files_are_utf_8(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("compare", *FAST, "attacks=[alie,", "sign_flip]", "defenses=[dp_record]", "seeds=1")
    folder = tmp_path / "[bold] $x$ ü"
    changes = {"PYTHONIOENCODING": "cp1252", "COLUMNS": "30"}
    done = called(COMMAND, *words, f"hydra.run.dir='{folder}'", changes=changes, end="| head -1")
    assert (done.returncode, besides_progress(done.stderr.decode("cp1252"))) == (0, "")
    assert done.stdout.decode("cp1252").count("\n") == 1
    for name in (
        "config.yaml",
        "manifest.json",
        "results.csv",
        "evidence.jsonl",
        "report/index.html",
    ):
        content = (folder / name).read_bytes()
        assert "\r" not in content.decode("utf-8")
        assert content.rstrip(b"\n") == content.rstrip()
    assert main(["report", str(folder)]) == 0
    assert "[bold] $x$ ü/report/index.html" in " ".join(capsys.readouterr().out.split())


SPLIT = {
    "attacks=[alie, min_max]": "attacks=[alie, min_max]",
    "attacks=[alie, min_max , mimic] seed=1": "attacks=[alie, min_max , mimic]|seed=1",
    "attacks=[[alie, mimic], none] -m": "attacks=[[alie, mimic], none]|-m",
    "+a={b: 1, c: 2} seed=1": "+a={b: 1, c: 2}|seed=1",
    "attacks=[alie seed=1 ]": "attacks=[alie|seed=1|]",
    "attacks=[alie, -m min_max]": "attacks=[alie,|-m|min_max]",
    "attacks=[alie,": "attacks=[alie,",
    "attacks=[alie] min_max]": "attacks=[alie]|min_max]",
    "attacks=[alie, min_max]]": "attacks=[alie,|min_max]]",
    "a='[' b=']'": "a='['|b=']'",
    "list [krum": "list|[krum",
}


@pytest.mark.parametrize("words", SPLIT)
def test_a_list_that_a_shell_took_apart_is_put_together(words: str) -> None:
    assert "|".join(brackets.joined(words.split(" "))) == SPLIT[words]


FOUND = {
    "attacks": ("alie", "sign_flip"),
    "attack": ("alie", "sign_flip"),
    "defenses": ("dp_record",),
    "consortia": ("heart4",),
    "krum": ("fang_krum", "multi_krum", "Blanchard"),
    "KRUM": ("fang_krum",),
    "Byzantine": ("sign_flip",),
    "THR-BD": ("edge_case",),
    "Blanchard": ("krum",),
    "--help": ("wardround list WORD",),
    "-h": ("wardround list WORD",),
}


@pytest.mark.parametrize("word", FOUND)
def test_list_finds_groups_by_each_of_their_names_and_choices_by_any_word(
    word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["list", word]) == 0
    shown = capsys.readouterr().out
    assert all(text in shown for text in FOUND[word])


def test_a_search_shows_fewer_than_everything(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "krum"]) == 0
    some = capsys.readouterr().out
    assert main(["list"]) == 0
    assert 0 < len(some) < len(capsys.readouterr().out) / 3
    assert "choices with 'krum'" in some


NEAREST = {
    "krumm": "krum",
    "atack": "attack",
    "defence": "defense",
    "sign_flp": "sign_flip",
    "hart4": "heart4",
    "consortiums": "consort",
}


@pytest.mark.parametrize("word", [*NEAREST, "qqqqqqq", "", " ", "[[", "\x1b[31m", "x" * 100_000])
def test_a_word_that_occurs_nowhere_is_one_line_with_the_nearest_name(
    word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if word == "consortiums":
        assert main(["list", word]) == 0
        return
    assert main(["list", "krum", word]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert shown.err.startswith("wardround: list=")
    assert NEAREST.get(word, "") in shown.err
    assert ("did you mean" in shown.err) == (word in NEAREST)


@pytest.mark.parametrize("word", ["--help", "-h"])
def test_report_tells_how_it_is_called(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", word]) == 0
    assert "wardround report BEFORE AFTER" in capsys.readouterr().out
