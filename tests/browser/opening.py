"""A page opened in Chromium, what it asked for and stated on its console, and what axe finds on it.

Whoever builds a site checks it with the same functions: ``opened``, ``left``, ``serious`` and
``wider_than``.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

AXE = Path(__file__).parent / "axe.min.js"
REQUIRED = "BROWSER_TESTS"  # set to "required": without a browser these tests fail
LOCAL = ("file:", "data:", "blob:", "about:")
WIDTHS = (1280, 390)  # pixels of a desk and of a phone


@dataclass
class Opened:
    """A page with what it asked for, and all errors and messages of its console."""

    page: Any
    requests: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)


@contextmanager
def browser() -> Iterator[Any]:
    """Chromium without a window; the test is skipped, or fails if required, where there is none."""
    chromium = shutil.which("chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        sync_playwright = None
    if chromium is None or sync_playwright is None:
        missing = "Chromium (apt-get install chromium)" if chromium is None else "playwright"
        reason = f"a test in a browser needs {missing}; `make browser` runs it"
        if os.environ.get(REQUIRED) == "required":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as started:
        found = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield found
        found.close()


@contextmanager
def opened(
    browser: Any, address: Path | str, *, width: int = 1280, fragment: str = "", **context: Any
) -> Iterator[Opened]:
    """The page of a file or an address, in a context of its own that lets no request leave.

    ``context``: what Playwright's ``new_context`` takes, such as ``java_script_enabled``.
    """
    made = browser.new_context(viewport={"width": width, "height": 900}, **context)
    made.set_default_timeout(10_000)
    try:
        found = Opened(made.new_page())

        def route(asked: Any) -> None:
            found.requests.append(asked.request.url)
            if asked.request.url.startswith(LOCAL):
                asked.continue_()
            else:
                asked.abort()

        made.route("**/*", route)
        found.page.on("console", lambda message: found.messages.append(message.text))
        found.page.on("pageerror", lambda error: found.messages.append(str(error)))
        start = address.resolve().as_uri() if isinstance(address, Path) else address
        found.page.goto(start + fragment)
        yield found
    finally:
        made.close()


def left(found: Opened) -> list[str]:
    """The addresses outside the machine's files that a page asked for."""
    return [one for one in found.requests if not one.startswith(LOCAL)]


def serious(found: Opened) -> list[str]:
    """What axe finds serious or critical: the rule, how often, and an element.

    The page must be opened with ``bypass_csp``, as axe is a script that is not the page's own.
    """
    found.page.add_script_tag(path=str(AXE))
    result = found.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['id']} ({len(one['nodes'])}): {one['nodes'][0]['html'][:200]}"
        for one in result["violations"]
        if one["impact"] in ("serious", "critical")
    ]


def wider_than(found: Opened, width: int) -> list[str]:
    """The elements that make a page scroll sideways; empty where it does not."""
    if found.page.evaluate("document.documentElement.scrollWidth") <= width:
        return []
    reach = """width => [...document.querySelectorAll("body *")]
        .filter(one => one.getBoundingClientRect().right > width + 1)
        .filter(one => !one.parentElement.closest(".wide, figure > div"))
        .map(one => one.outerHTML.slice(0, 120)).slice(0, 5)"""
    shown: list[str] = found.page.evaluate(reach, width)
    return shown or ["the page"]
