"""The documentation's site opens from disk, loads nothing from elsewhere, and all can use it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag

import pytest

from tests import ROOT
from tests.browser.opening import REQUIRED, WIDTHS, left, opened, serious, wider_than

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser-docs")]

DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
SOURCES = [path.relative_to(ROOT) for path in DOCUMENTS if path.name != "README.md"]
TYPICAL = ("docs/index", "docs/tutorial", "docs/attacks", "docs/reference/defenses", "search")


class Parts(HTMLParser):
    """The ids of a page, and where its links lead."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids = set[str]()
        self.links = list[str]()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.ids.add(value)
            if name in ("href", "src") and value:
                self.links.append(value)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as ``make docs`` builds it: a warning is an error."""
    if find_spec("sphinx") is None:
        reason = "the site is built by Sphinx; `make browser` installs it"
        if os.environ.get(REQUIRED) == "required":
            pytest.fail(reason)
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-n", "-c", "docs"]
    made = subprocess.run(
        [*command, "-d", str(folder / "doctrees"), ".", str(folder / "site")],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert (made.returncode, made.stderr) == (0, "")
    return folder / "site"


def test_every_document_is_a_page(site: Path) -> None:
    assert [path for path in SOURCES if not (site / path.with_suffix(".html")).is_file()] == []


def test_every_link_leads_to_a_page_and_a_place_on_it(site: Path) -> None:
    pages = [site / path.with_suffix(".html") for path in (*SOURCES, Path("index"), Path("search"))]
    parts = {path: Parts(path.read_text(encoding="utf-8")) for path in pages}
    lost = []
    for path, found in parts.items():
        for link in found.links:
            place, fragment = urldefrag(link)
            if re.match(r"[a-z]+:", link):
                continue
            leads = (path.parent / unquote(place.partition("?")[0])).resolve() if place else path
            known = parts[leads].ids if leads in parts else None
            if not leads.exists() or (fragment and known is not None and fragment not in known):
                lost.append(f"{path.relative_to(site)}: {link}")
    assert lost == []
    assert sum(len(found.links) for found in parts.values()) > 1000


@pytest.mark.parametrize("source", SOURCES, ids=str)
def test_a_page_loads_nothing_from_elsewhere_and_has_no_barrier(
    browser: Any, site: Path, source: Path
) -> None:
    page = site / source.with_suffix(".html")
    with opened(browser, page, width=390, color_scheme="dark") as found:
        assert left(found) == []
        of_theme = "[PST]: "  # what the theme notes, such as a change of colors
        assert [one for one in found.messages if not one.startswith(of_theme)] == []
        assert wider_than(found, 390) == []
        assert serious(found) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", TYPICAL)
def test_typical_pages_are_usable_in_every_form(
    browser: Any, site: Path, name: str, width: int, scheme: str
) -> None:
    with opened(browser, site / f"{name}.html", width=width, color_scheme=scheme) as found:
        assert left(found) == []
        assert wider_than(found, width) == []
        assert serious(found) == []


def test_the_first_page_leads_to_the_documentation(browser: Any, site: Path) -> None:
    with opened(browser, site / "index.html") as found:
        found.page.wait_for_url("**/docs/index.html")
        assert "Tutorial" in found.page.locator("main").inner_text()


def test_the_search_works_from_disk(browser: Any, site: Path) -> None:
    with opened(browser, site / "search.html", fragment="?q=krum") as found:
        found.page.wait_for_selector("#search-results li")
        assert left(found) == []
        assert "Aggregation rules" in found.page.locator("#search-results").inner_text()


def test_without_a_script_text_and_navigation_are_there(browser: Any, site: Path) -> None:
    page = site / "docs/how-to/install.html"
    with opened(browser, page, java_script_enabled=False) as found:
        assert found.page.locator("main h1").inner_text().startswith("Install it")
        assert found.page.locator("nav a", has_text="Your own data").count() > 0
