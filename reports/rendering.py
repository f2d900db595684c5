"""The templates of all pages."""

from __future__ import annotations

from functools import cache
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from reports import markup
from reports.text import glossary, safe, words
from sim.evidence import statement
from sim.evidence.controls import NONE

SCRIPT = "script.js"
WHOLE = 24  # signs of a name that a table never breaks


@cache
def environment() -> Environment:
    """The templates; every value in them is escaped, and a name that is not given is an error."""
    made = Environment(
        loader=PackageLoader("reports"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        finalize=safe.shown,
    )
    made.globals["words"] = words
    made.globals["statement"] = statement
    made.filters["attack"] = attack
    made.filters["defense"] = defense
    return made


def attack(name: str, mark: str = "") -> Markup:
    """An attack in a table: its plain name with a mark, and below it the name that one types."""
    return _named(words.attack(name), name, mark)


def defense(name: str, mark: str = "") -> Markup:
    """A defense in a table: its plain name with a mark, and below it the name that one types."""
    return _named(words.defense(name), name, mark)


def _named(title: str, name: str, mark: str) -> Markup:
    shown = escape(safe.shown(title + mark))
    if name in (title, NONE):
        return shown
    whole = ' class="whole"' if len(name) <= WHOLE else ""
    typed = Markup(f'<span class="iv"><code data-key="{{0}}"{whole}>{{0}}</code></span>')
    return shown + typed.format(safe.shown(name))


def page(template: str, **values: object) -> str:
    """A whole page as HTML text: the template with the values, the script and dressed tables."""
    made = environment().get_template(template)
    frame = {"script": Markup(script()), "policy": Markup(markup.policy(script()))}
    return markup.dressed(glossary.filled(made.render(**frame, **values), values))


@cache
def script() -> str:
    """The script that every page runs in a browser."""
    return (resources.files("reports") / "templates" / SCRIPT).read_text(encoding="utf-8")
