"""Names of anybody stand in a live page as text: no script of theirs runs, no element is theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reports import page
from reports.text import safe
from sim import evidence
from tests.assessed import make_values
from tests.browser.opening import WIDTHS, left, opened, wider_than
from tests.records import addressed, make_hospitals, make_record
from tests.reports.test_validation import validated
from threats import problems

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

MARK = "globalThis.ran = true"
NAMES = (
    f"<script>{MARK}</script>",
    f"</script><script>{MARK}</script>",
    f'"><img src=x onerror="{MARK}">',
    f"'\"`<svg/onload={MARK}>",
    f"javascript:{MARK}",
    "</table></style></details>",
    "<!-- <![CDATA[ ]]> -->",
    "\N{RIGHT-TO-LEFT OVERRIDE}abc\N{HEBREW LETTER ALEF}\N{ARABIC LETTER BEH}",
    "x" * 300,
    "\N{GRINNING FACE}",
    "$\\frac{a}{b}$",
    "[bold]a[/bold]",
    "&lt;b&gt;",
)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of attacks, defenses and hospitals with these names."""
    folder = tmp_path_factory.mktemp("hostile")
    hospitals = [
        one.model_copy(update={"hospital": name})
        for one, name in zip(make_hospitals([NAMES[0]]), NAMES, strict=False)
    ]
    names = ("none", *NAMES)
    cells = [
        (attack, defense) for attack in names for defense in names if "none" in (attack, defense)
    ]
    for attack, defense in [*cells, (NAMES[0], NAMES[1])]:
        one = make_record(attack=attack, defense=defense, hostile=[NAMES[0]], hospitals=hospitals)
        evidence.append(folder, addressed(one))
    return page.write_report(folder)


@pytest.fixture(scope="module")
def design(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a verdict on a design with these names in its texts."""
    folder = tmp_path_factory.mktemp("design")
    values = make_values()
    values["meta"] |= {"name": NAMES[1], "owner": NAMES[2], "notes": " ".join(NAMES)}
    values["components"][1]["tech"] = NAMES[3]
    values["adversaries"][0]["role"] = NAMES[0]
    validated(folder, problems.design(values))
    return folder / "report" / "index.html"


@pytest.mark.parametrize("which", ["hostile", "design"])
@pytest.mark.parametrize("width", WIDTHS)
def test_names_are_text_of_a_live_page(
    browser: Any, request: pytest.FixtureRequest, which: str, width: int
) -> None:
    with opened(browser, request.getfixturevalue(which), width=width) as found:
        live = found.page
        live.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        for cell in live.locator("tbody th:visible").all()[:10]:
            cell.dispatch_event("pointerover", {"bubbles": True})
        assert live.evaluate("globalThis.ran") is None
        assert left(found) == []
        assert found.messages == []
        assert live.locator("main :is(img, iframe, object, embed, script)").count() == 0
        assert wider_than(found, width) == []
        text = live.locator("main").text_content()
        shown = NAMES if which == "hostile" else NAMES[:4]
        assert [name for name in shown if str(safe.shown(name)) not in text] == []


def test_the_policy_of_a_page_stops_a_script_that_is_not_its_own(
    browser: Any, hostile: Path
) -> None:
    with opened(browser, hostile) as found:
        found.page.evaluate(
            """mark => {
                const script = document.createElement("script");
                script.textContent = mark;
                document.body.append(script);
            }""",
            MARK,
        )
        assert found.page.evaluate("globalThis.ran") is None
        assert any("Content Security Policy" in one for one in found.messages)


def test_a_filter_finds_a_hostile_name(browser: Any, hostile: Path) -> None:
    with opened(browser, hostile) as found:
        found.page.locator(".bar [name=attack]").select_option(NAMES[0])
        found.page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        rows = found.page.locator("tr[data-attack]:visible")
        assert rows.count() > 1
        assert set(rows.evaluate_all("all => all.map(one => one.dataset.attack)")) == {NAMES[0]}
