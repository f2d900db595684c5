"""What readers do with a page: open it from disk, sort, filter, link, copy, use keys, a phone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reports.text import words
from tests.browser.opening import WIDTHS, opened, serious, wider_than

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

PAGES = ("comparison", "verdict", "sweep", "audit", "change")
PAPER = 688  # pixels of a line of A4 between the margins of the style sheet
HEADS_ALONE = """() => [...document.querySelectorAll("table")].filter(one => one.checkVisibility())
    .flatMap(table => [...table.tHead?.rows[0].cells ?? []]
    .filter(head => head.checkVisibility() && head.textContent.trim())
    .filter(head => {
        const cells = [...table.tBodies].flatMap(body => [...body.rows])
            .map(row => row.cells[head.cellIndex]).filter(Boolean);
        const filled = text => cells.some(one => text(one).trim());
        return filled(one => one.textContent) && !filled(one => one.innerText);
    })
    .map(head => `${table.caption.textContent}: ${head.textContent}`))"""
STRONG = """all => all.filter(one => getComputedStyle(one).opacity > .5)
    .map(one => [one.dataset.attack, one.dataset.defense].filter(Boolean).join(" "))"""


@pytest.fixture(params=PAGES)
def each(request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize("width", WIDTHS)
def test_a_page_opens_from_disk_without_an_error_a_request_or_scrolling_sideways(
    browser: Any, each: Path, width: int
) -> None:
    with opened(browser, each, width=width) as found:
        assert found.requests == [each.resolve().as_uri()]
        assert found.messages == []
        assert wider_than(found, width) == []
        found.page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        assert wider_than(found, width) == []


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light")])
def test_axe_finds_nothing_serious(browser: Any, each: Path, width: int, scheme: str) -> None:
    with opened(browser, each, width=width, color_scheme=scheme, bypass_csp=True) as found:
        found.page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        assert serious(found) == []


def test_axe_would_find_what_is_wrong(browser: Any, sweep: Path) -> None:
    with opened(browser, sweep, bypass_csp=True) as found:
        found.page.evaluate("document.querySelector('h1').style.color = '#fafafa'")
        assert [one.split()[0] for one in serious(found)] == ["color-contrast"]


def test_every_table_has_a_caption_and_its_headers_a_scope(browser: Any, each: Path) -> None:
    with opened(browser, each, java_script_enabled=False) as found:
        tables = found.page.locator("table")
        assert tables.count() > 1
        assert tables.filter(has_not=found.page.locator("caption")).count() == 0
        assert found.page.locator("th:not([scope])").count() == 0
        assert found.page.locator("tbody tr:not([id])").count() == 0


def test_a_click_on_a_header_sorts_by_value_and_states_it(browser: Any, comparison: Path) -> None:
    with opened(browser, comparison) as found:
        table = found.page.locator("#attacks-table")
        found.page.locator("details", has=table).first.evaluate("one => one.open = true")
        head = table.get_by_role("columnheader", name="AUROC", exact=True)
        place = head.evaluate("one => one.cellIndex")
        column = f"rows => rows.map(row => row.cells[{place}].dataset.value)"
        rows = table.locator("tbody tr")
        for order in ("ascending", "descending"):
            head.get_by_role("button").click()
            values = [float(one) for one in rows.evaluate_all(column) if one is not None]
            assert len(values) > 10
            assert values == sorted(values, reverse=order == "descending")
            assert head.get_attribute("aria-sort") == order
        assert table.locator("th[aria-sort]").count() == 1
        assert "Sorted by AUROC" in found.page.locator(".live").inner_text()


def test_a_search_in_a_table_hides_the_rows_that_do_not_match(
    browser: Any, comparison: Path
) -> None:
    with opened(browser, comparison) as found:
        table = found.page.locator("#attacks-table")
        section = found.page.locator("details", has=table).first
        section.evaluate("one => one.open = true")
        n_all = table.locator("tbody tr:visible").count()
        section.get_by_label("Search the table").fill("sign_flip  median")
        shown = table.locator("tbody tr:visible").all_text_contents()
        assert 0 < len(shown) < n_all
        assert [one for one in shown if not ("sign_flip" in one and "median" in one)] == []


def test_the_filters_act_on_every_table_and_on_the_figures(browser: Any, comparison: Path) -> None:
    with opened(browser, comparison) as found:
        found.page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        bar = found.page.get_by_role("form", name="Filters of the whole page")
        bar.get_by_label("Attack").select_option("sign_flip")
        bar.get_by_label("Defense").select_option("median")
        rows = found.page.locator("tr[data-attack][data-defense]:visible")
        assert rows.count() > 0
        assert set(rows.evaluate_all("all => all.map(one => one.dataset.attack)")) == {"sign_flip"}
        assert set(rows.evaluate_all("all => all.map(one => one.dataset.defense)")) == {"median"}
        drawn = found.page.locator("#fig-heat_map .on-page [data-attack][data-defense]")
        strong = drawn.evaluate_all(STRONG)
        assert drawn.count() > len(strong)
        assert set(strong) == {"sign_flip median"}
        of_defenses = found.page.locator("#fig-tradeoff .on-page [data-defense]")
        assert of_defenses.count() > len(of_defenses.evaluate_all(STRONG)) > 0
        bar.get_by_role("button", name="Show all").click()
        found.page.wait_for_selector("main :is(.hidden, .faded)", state="detached")


def test_light_and_dark_follow_the_system_and_the_button(browser: Any, each: Path) -> None:
    shade = "getComputedStyle(document.body).backgroundColor"
    with opened(browser, each, color_scheme="dark") as found:
        dark = found.page.evaluate(shade)
        button = found.page.get_by_role("button", name="Dark colors")
        assert button.get_attribute("aria-pressed") == "true"
        button.click()
        light = found.page.evaluate(shade)
        assert (light, button.get_attribute("aria-pressed")) == ("rgb(255, 255, 255)", "false")
        assert sum(map(int, dark[4:-1].split(","))) < 120
        assert found.page.evaluate("Object.keys({...localStorage, ...sessionStorage})") == []


def test_a_link_to_a_row_opens_what_it_is_in_and_marks_it(browser: Any, comparison: Path) -> None:
    with opened(browser, comparison, java_script_enabled=False) as found:
        row = found.page.locator("#attacks-table tbody tr").nth(7)
        name = row.get_attribute("id")
        assert not row.is_visible()
    with opened(browser, comparison, fragment=f"#{name}") as found:
        row = found.page.locator(f"[id='{name}']")
        assert row.is_visible()
        box = row.bounding_box()
        assert 0 < box["y"] < 900
        other = found.page.locator("#attacks-table tbody tr").nth(3)
        back = "one => getComputedStyle(one).backgroundColor"
        assert row.evaluate(back) != other.evaluate(back)


def test_every_figure_row_and_section_has_a_link_of_its_own(browser: Any, each: Path) -> None:
    with opened(browser, each, java_script_enabled=False) as found:
        links = "all => all.map(one => one.getAttribute('href').slice(1))"
        linked = set(found.page.locator("a.here").evaluate_all(links))
        ids = "all => all.map(one => one.id)"
        named = found.page.locator("tbody tr, figure, section:has(> :is(h2, h3):first-child)")
        assert set(named.evaluate_all(ids)) <= linked
        assert found.page.locator("tbody tr").count() > 3
        assert linked <= set(found.page.locator("[id]").evaluate_all(ids))


def test_the_keyboard_reaches_the_contents_a_table_and_its_cells(
    browser: Any, comparison: Path
) -> None:
    at = "document.activeElement"
    with opened(browser, comparison) as found:
        keys = found.page.keyboard
        keys.press("Tab")
        assert found.page.evaluate(f"{at}.textContent") == "Skip to the contents"
        assert found.page.locator(".skip").bounding_box()["x"] >= 0
        keys.press("Enter")
        assert found.page.evaluate(f"{at}.id") == "main"
        found.page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        head = found.page.locator("#attacks-table thead button").nth(3)
        head.focus()
        keys.press("Enter")
        assert found.page.locator("#attacks-table th[aria-sort]").inner_text() == "AUROC"
        assert head.evaluate("one => getComputedStyle(one).outlineStyle") == "solid"
        found.page.locator("#attacks-table tbody [tabindex='0']").focus()
        keys.press("ArrowDown")
        keys.press("ArrowRight")
        row, cell = found.page.evaluate(f"[{at}.parentElement.rowIndex, {at}.cellIndex]")
        assert (row, cell) == (2, 1)
        found.page.wait_for_selector("#tip:not(.hidden)")
        assert found.page.evaluate(f"{at}.getAttribute('aria-describedby')") == "tip"
        keys.press("Escape")
        assert not found.page.locator("#tip").is_visible()


@pytest.mark.parametrize("place", ["#attacks-table tr{} td >> nth=2", "#fig-heat_map svg {}"])
def test_a_tip_states_value_interval_worst_seed_seeds_and_runs(
    browser: Any, comparison: Path, place: str
) -> None:
    with opened(browser, comparison) as found:
        found.page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        about = "[data-attack='sign_flip'][data-defense='median']"
        place_of = found.page.locator(place.format(about)).first
        place_of.scroll_into_view_if_needed()
        if "svg" in place:  # the text of a cell lies on it
            place_of.dispatch_event("pointerover", {"bubbles": True})
        else:
            place_of.hover()
        tip = found.page.locator("#tip")
        tip.wait_for(state="visible")
        text = tip.inner_text()
        assert text.startswith(f"{words.attack('sign_flip')} under {words.defense('median')}")
        for part in ("AUROC 0.", " to ", "Lowest seed 0.", " seeds", " runs: "):
            assert part in text


def test_a_button_copies_a_command(browser: Any, comparison: Path) -> None:
    allowed = ["clipboard-read", "clipboard-write"]
    with opened(browser, comparison, permissions=allowed) as found:
        code = found.page.locator("#repeat pre code")
        button = found.page.locator("#repeat pre").get_by_role("button", name="Copy: wardround")
        button.click()
        button.get_by_text("Copied").wait_for()
        assert found.page.evaluate("navigator.clipboard.readText()") == code.inner_text().strip()


def test_without_javascript_everything_is_there(browser: Any, each: Path) -> None:
    shown = "document.getElementById('main').textContent"
    with opened(browser, each, java_script_enabled=False) as found:
        alone = " ".join(found.page.locator("main").text_content().split())
        assert found.page.locator("main button, main select, main input").count() == 0
        summaries = found.page.locator("summary")
        if summaries.count():
            summaries.first.click()
            assert found.page.locator("details").first.get_attribute("open") is not None
    with opened(browser, each) as found:
        assert len(found.page.evaluate(shown)) >= len(alone)


def test_on_paper_there_are_no_controls_and_details_are_open(
    browser: Any, comparison: Path
) -> None:
    with opened(browser, comparison) as found:
        found.page.emulate_media(media="print")
        assert not found.page.locator(".bar, .tools, .copy, .skip").filter(visible=True).count()
        pdf = found.page.pdf(prefer_css_page_size=True)
        assert pdf.startswith(b"%PDF")


def test_on_paper_tables_fit_no_head_is_left_alone_and_none_has_a_button(
    browser: Any, each: Path
) -> None:
    with opened(browser, each, width=PAPER) as found:
        found.page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        found.page.emulate_media(media="print")
        assert wider_than(found, PAPER) == []
        assert found.page.evaluate(HEADS_ALONE) == []
        # Chromium repeats a head on the next page only if it holds no box of a button
        display = "all => [...new Set(all.map(one => getComputedStyle(one).display))]"
        assert found.page.locator("thead .sort").evaluate_all(display) in ([], ["contents"])


def test_on_paper_a_verdict_has_no_pages_of_hashes(browser: Any, verdict: Path) -> None:
    with opened(browser, verdict) as found:
        assert found.page.locator(".made").count() > 1
        found.page.emulate_media(media="print")
        hashes = found.page.locator(".made, details.links, table.runs")
        assert not hashes.filter(visible=True).count()
        assert found.page.locator(".on-paper").filter(visible=True).count() == 2


def test_arrow_keys_lead_from_cell_to_cell_of_a_figure(browser: Any, comparison: Path) -> None:
    with opened(browser, comparison) as found:
        start = found.page.locator("#fig-heat_map .on-page [tabindex='0']")
        assert start.count() == 1
        start.focus()
        names = [start.evaluate("one => ({...one.dataset})")]
        for key in ("ArrowDown", "ArrowRight"):
            found.page.keyboard.press(key)
            names.append(found.page.evaluate("({...document.activeElement.dataset})"))
        first, below, right = ((one["attack"], one["defense"]) for one in names)
        assert first[0] == below[0]
        assert first[1] != below[1] == right[1]
        assert right[0] != below[0]
        found.page.locator("#tip").wait_for(state="visible")
        stated = found.page.evaluate("document.activeElement.getAttribute('aria-label')")
        assert words.defense(right[1]) in stated


def test_a_term_leads_by_the_keyboard_to_its_entry_and_moves_no_text(
    browser: Any, each: Path
) -> None:
    with opened(browser, each) as found:
        link = found.page.locator("main a.term").first
        target = link.get_attribute("href")
        paragraph = link.locator("xpath=..")
        before = paragraph.bounding_box()
        link.focus()
        assert link.evaluate("one => one.matches(':focus-visible')")
        assert paragraph.bounding_box()["height"] == before["height"]
        found.page.keyboard.press("Enter")
        entry = found.page.locator(f"dt[id='{target[1:]}']")
        assert entry.is_visible()
        assert 0 <= entry.bounding_box()["y"] < 900
        assert found.page.locator("button a.term, code a.term, :is(h1, h2, h3) a.term").count() == 0
