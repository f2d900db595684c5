"""Figures as text of a page and as files: what marks state, formats, fonts, and the same bytes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from matplotlib.figure import Figure
from PIL import Image

from reports import page
from reports.figures import files, style
from reports.figures.style import PAGE, PHONE, Width
from sim import evidence
from sim.errors import InputError
from tests.commands import wardround
from tests.records import addressed
from tests.reports.reading import grid
from tests.reports.test_hostile_names import study

HOSTILE = (
    "$x$ [bold] \N{HEBREW LETTER ALEF}\N{ARABIC LETTER BEH} \N{GRINNING FACE}",
    "x" * 300,
    '</g><script>\'"&|1.23456 url(#y) id="z"',
)
SVG = "{http://www.w3.org/2000/svg}"


def one(width: Width) -> Figure:
    """A figure of one marked point, with text."""
    figure = style.new_figure(width.inches, 1.5)
    axes = figure.add_subplot()
    style.mark(axes.plot([1.0], [2.0], "o"), "alie", "krum", "va 1.2345")
    axes.set(xlabel="across", title="$5 [x]")
    style.finish(figure)
    return figure


class Read(HTMLParser):
    """What a page has: data attributes, ids and references, tags and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.marks = list[dict[str, str]]()
        self.ids = list[str]()
        self.tags = set[str]()
        self.texts = list[str]()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.tags.add(tag)
        if "id" in found:
            self.ids.append(found["id"])
        data = {name: value for name, value in found.items() if name.startswith("data-")}
        if data:
            self.marks.append(data)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_an_svg_of_a_page_states_what_its_marks_show_and_has_text_as_text() -> None:
    text = style.svg(one(PAGE), "it")
    read = Read(text)
    assert read.marks == [
        {"data-attack": "alie", "data-defense": "krum", "data-hospital": "va 1.2345"}
    ]
    assert {"across", "$5 [x]"} <= set(read.texts)
    assert "Verdana" in text
    assert all(id_.startswith("it-") for id_ in read.ids)
    assert set(re.findall(r'(?:href="#|url\(#)([^")]*)', text)) == set(read.ids)
    assert not re.search(r"\.\d{3}", re.sub(r'data-\w+="[^"]*"', "", text))
    assert "xmlns" not in text


def test_a_figure_of_a_page_is_drawn_for_a_screen_and_for_a_phone() -> None:
    text = style.inline(one, "it")
    wide, phone = re.findall(r'<div class="on-(page|phone)"><svg[^>]*? width="([\d.]+)pt"', text)
    assert wide == ("page", f"{72 * PAGE.inches:g}")
    assert phone == ("phone", f"{72 * PHONE.inches:g}")
    ids = Read(text).ids
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.filterwarnings("error")
def test_hostile_names_are_text_in_narrow_figures(name: str) -> None:
    records = study(name)
    found = dict(page.drawings(records))
    assert {"heat_map", "tradeoff", "hospital_effects", "privacy_spent"} <= set(found)
    for title, make in found.items():
        text = style.svg(make(PHONE), title)
        assert text.count("font-family") == 1  # of all texts, which have none of their own
        read = Read(text)
        assert not read.tags - {
            *("svg", "g", "path", "text", "tspan", "rect", "use", "defs", "clippath", "style"),
            *("image", "pattern"),
        }
        ElementTree.fromstring(text.replace("href=", "data-of="))
        shown = {value for mark in read.marks for value in mark.values()}
        assert shown <= {name, "none", "reads", *(f"hospital_{i}" for i in range(6))}
    assert style.svg_file(found["heat_map"](style.COLUMN)).startswith(b"<?xml")
    heat = Read(style.svg(found["heat_map"](PAGE), "heat"))
    assert {mark["data-attack"] for mark in heat.marks if "data-attack" in mark} >= {name, "none"}


def test_files_are_written_in_each_format_at_both_widths_and_drawn_once_a_width(
    tmp_path: Path,
) -> None:
    drawn = list[str]()

    def make(width: Width) -> Figure:
        drawn.append(width.name)
        return one(width)

    written = files.write(tmp_path, [("it", make)], ("pdf", "svg", "png"))
    assert drawn == ["column", "full"]
    place = tmp_path / "report" / "figures"
    assert sorted(written) == sorted(place.iterdir())
    assert {path.name for path in written} == {
        f"it_{width}.{format_}" for width in drawn for format_ in ("pdf", "svg", "png")
    }
    for width in (style.COLUMN, style.FULL):
        with Image.open(place / f"it_{width.name}.png") as image:
            assert image.size == (round(300 * width.inches), 450)
        root = ElementTree.fromstring((place / f"it_{width.name}.svg").read_bytes())
        assert root.get("width") == f"{72 * width.inches:g}pt"
        assert root.find(f".//{SVG}text") is None  # shapes, which need no font
        assert root.find(f".//{SVG}path") is not None
        pdf = (place / f"it_{width.name}.pdf").read_bytes()
        assert b"/FontFile2" in pdf  # TrueType, embedded
        assert b"/Type3" not in pdf
        assert f"/MediaBox [ 0 0 {72 * width.inches:g} 108 ]".encode() in pdf
        assert not re.search(rb"/CreationDate|/Producer|/Creator", pdf)


def test_files_are_the_same_bytes_in_another_process() -> None:
    code = (
        "import hashlib, sys; sys.path.insert(0, '.')\n"
        "from reports.figures import style\n"
        "figure = style.new_figure(3.5, 1.5)\n"
        "axes = figure.add_subplot()\n"
        "axes.fill_between([0, 1], [0, 1], [1, 2], hatch='/')\n"
        "axes.set(xlabel='a name, and \\u03b5')\n"
        "parts = [style.pdf(figure), style.svg_file(figure), style.png(figure)]\n"
        "parts.append(style.svg(figure, 'x').encode())\n"
        "print([hashlib.sha256(part).hexdigest() for part in parts])\n"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [("pdf", ("pdf",)), ("svg,png", ("svg", "png")), ("png,png", ("png",))],
)
def test_formats_are_named_by_comma(text: str, expected: tuple[str, ...]) -> None:
    assert files.formats(text) == expected


@pytest.mark.parametrize("text", ["", "gif", "pdf,", "PDF", "pdf svg", "../x"])
def test_what_is_no_format_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="expected pdf, svg, png, or several by comma"):
        files.formats(text)


def test_report_writes_figures_where_it_is_asked_for_them(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = {"material_drop": 0.05, "show_reconstructions": False}
    for record in grid(seeds=2):
        config = record.config | {"report": settings}
        evidence.append(tmp_path, addressed(record.model_copy(update={"config": config})))
    assert wardround("report", "--figures=svg", str(tmp_path)) == 0
    names = {path.name for path in (tmp_path / "report" / "figures").iterdir()}
    assert {"heat_map_column.svg", "heat_map_full.svg", "tradeoff_full.svg"} <= names
    assert all(name.endswith(("_column.svg", "_full.svg")) for name in names)
    assert f"Figures: {len(names)} files" in capfd.readouterr().out
    for words in (["--figures"], ["--figures", "gif", str(tmp_path)], ["--figures", "pdf"]):
        assert wardround("report", *words) == 2
        assert len(capfd.readouterr().err.splitlines()) == 1
