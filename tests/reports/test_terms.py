"""A page's own words lead to its glossary where they are first used; nobody else's words do."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from reports import rendering
from reports.text import glossary, safe, terms
from tests.reports.reading import everything, html_of
from tests.reports.test_glossary import audited, compared, explained, swept
from tests.reports.test_hostile_names import study
from tests.reports.test_sweeps import SWEEPS

LINK = re.compile(r'<a class="term" href="#(?P<id>[^"]*)">(?P<word>.*?)</a>')
OUTSIDE = {"a", "button", "code", "pre", "summary", "h1", "h2", "h3", "h4", "th", "svg", "cite"}


class Outline(HTMLParser):
    """The links of a page, each with its target, its word and the elements that it is in."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.links = list[tuple[str, str, tuple[str, ...]]]()
        self._open = list[tuple[str, dict[str, str | None]]]()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "br", "input", "use", "link", "img", "hr"):
            self._open.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1][1].get("class") == "term":
            *outer, (_, attributes) = self._open
            self.links.append((str(attributes["href"]), data, tuple(tag for tag, _ in outer)))


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A page of each kind."""
    return {
        "comparison": html_of(everything()),
        "sweep": swept(SWEEPS["a number and seeds"][0]),
        "audit": audited(tmp_path_factory, 4.0),
        "difference": compared(tmp_path_factory),
    }


def test_each_kind_of_page_links_terms_to_their_entries_once(pages: dict[str, str]) -> None:
    least = {"comparison": 15, "sweep": 2, "audit": 5, "difference": 4}
    for name, page in pages.items():
        links = Outline(page).links
        targets = [target.removeprefix("#") for target, _, _ in links]
        assert len(targets) >= least[name], name
        assert len(set(targets)) == len(targets), name
        assert set(targets) <= set(re.findall(r'<dt id="([^"]*)"', page)), name
        for target, word, _ in links:
            (entry,) = (e for e in glossary.ENTRIES if f"#{glossary.anchor(e)}" == target)
            assert " ".join(word.casefold().split()) in entry.spellings, name


def test_no_heading_header_command_button_or_picture_has_such_a_link(pages: dict[str, str]) -> None:
    for name, page in pages.items():
        for _, word, outer in Outline(page).links:
            assert not OUTSIDE & set(outer), (name, word)
            assert set(terms.LINKED) & set(outer), (name, word)


def made(body: str, **values: object) -> str:
    """A small page with this body, a template, and a glossary."""
    place = f'<section id="words"><dl>{glossary.PLACE}</dl></section>'
    template = rendering.environment().from_string(f"<main>{body}{place}</main>")
    text = terms.linked(glossary.filled(template.render(**values), values))
    return safe.unmarked(text).partition("<section")[0]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("<p>A seed, and seeds.</p>", ["seed"]),
        ("<p>AUROC</p><p>AUROC</p>", ["AUROC"]),
        ("<h2>AUROC</h2><p><code>AUROC</code> <a href='#x'>AUROC</a> AUROC.</p>", ["AUROC"]),
        ("<table><tr><th>AUROC</th><td>seed</td></tr></table>", []),
        ("<table><caption>AUROC</caption></table>", ["AUROC"]),
        ("<p><button>AUROC</button><svg><text>AUROC</text></svg></p>", []),
        ("<p>Secure aggregation of an aggregator</p>", ["Secure aggregation", "aggregator"]),
        ("<p>It is measured directly; lockstepped</p>", []),
        ("<p>{{ name }}</p>", []),
        ("<p>{{ name }} and AUROC</p>", ["AUROC"]),
        ("<p>{{ name | attack }} by {{ name | defense }}: a seed</p>", ["seed"]),
        ("{% set all %}<p>{{ name }} AUROC</p>{% endset %}{{ all }}", ["AUROC"]),
    ],
)
def test_the_first_use_of_a_term_is_linked_and_no_value(body: str, words: list[str]) -> None:
    page = made(body, name="AUROC of a seed")
    assert [found["word"] for found in LINK.finditer(page)] == words


@pytest.mark.parametrize(
    "name",
    [
        *("secure aggregation", "Attack", "a seed", "</p><p>seed", "<a>seed</a>", "seed</main>"),
        *(f"x{safe.CLOSE}seed{safe.OPEN}", f"{safe.OPEN * 3}seed", f"{safe.CLOSE}</p><p>AUROC"),
        '<dt id="word-seed">',
    ],
)
def test_names_that_are_terms_or_marks_stay_text(name: str) -> None:
    plain = html_of(study("harmless"))
    page = html_of(study(name))
    assert safe.OPEN not in page
    assert safe.CLOSE not in page
    assert Outline(page).links == Outline(plain).links
    assert explained(page) >= explained(plain)
