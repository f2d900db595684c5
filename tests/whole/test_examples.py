"""The examples of the documentation: each script runs, and its page is what it shows."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType

import pytest
from PIL import Image

from tests import ROOT

FOLDER = ROOT / "docs/examples"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "run")
SMALL = {"ROUNDS": 1, "SEEDS": 1, "HOSTILE": [0, 1], "BUDGETS": [8.0]}
LINKED = re.compile(r"\((images/[\w.]+)\)")


def _made() -> ModuleType:
    spec = spec_from_file_location("examples_run", FOLDER / "run.py")
    assert spec is not None
    assert spec.loader is not None
    made = module_from_spec(spec)
    sys.modules[spec.name] = made
    spec.loader.exec_module(made)
    return made


make = _made()


@pytest.fixture(autouse=True)
def path_of_modules() -> Iterator[None]:
    """Where Python looks for modules is afterwards as it was."""
    before = list(sys.path)
    yield
    sys.path[:] = before


def page(name: str) -> str:
    return (FOLDER / f"{name}.md").read_text(encoding="utf-8")


def test_the_gallery_lists_every_example() -> None:
    listed = re.findall(r"\((\w+)\.md\)", page("index"))
    assert sorted(listed) == NAMES == sorted(make.EXAMPLES)


@pytest.mark.parametrize("name", NAMES)
def test_an_example_runs(name: str) -> None:
    """With few rounds and seeds; its figures need no more."""
    text, figures = make.page(name, make.run(name, SMALL))
    assert figures
    assert text.startswith("# ")
    assert "Output:" in text


@pytest.mark.parametrize("name", NAMES)
def test_a_page_has_the_code_and_the_texts_of_its_script(name: str) -> None:
    stored = page(name)
    for cell in make.cells((FOLDER / f"{name}.py").read_text(encoding="utf-8")):
        assert (cell.source if cell.is_text else make.block("python", cell.source)) in stored


@pytest.mark.parametrize("name", NAMES)
def test_figures_of_a_page_are_there_and_no_others(name: str) -> None:
    linked = LINKED.findall(page(name))
    assert linked
    assert sorted(linked) == sorted(
        path.relative_to(FOLDER).as_posix() for path in FOLDER.glob(f"images/{name}_*.png")
    )
    for file in linked:
        with Image.open(FOLDER / file) as picture:
            assert min(picture.size) > 300


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_what_its_script_shows(name: str) -> None:
    text, _ = make.page(name, make.run(name))
    assert text == page(name), f"python docs/examples/run.py {name}"


def test_constants_are_replaced_and_nothing_else() -> None:
    source = "ROUNDS = 40\nrounds = 3\nprint(ROUNDS)\n"
    assert make.with_values(source, {"ROUNDS": 2}) == "ROUNDS = 2\nrounds = 3\nprint(ROUNDS)\n"


def test_an_example_takes_no_file_of_another_place() -> None:
    for name in NAMES:
        source = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
        assert not re.search(r"open\(|/tmp|https?://", source), name
