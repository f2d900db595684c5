"""The templates of all pages."""

from __future__ import annotations

from functools import cache
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from reports import markup
from reports.text import glossary, safe, terms, words
from sim import titles
from sim.evidence import statement
from sim.evidence.controls import NONE

SCRIPT = "script.js"
WHOLE = 24  # signs of a name that a table never breaks


@cache
def environment() -> Environment:
    """The templates; every value in them is escaped, and a name that is not given is an error.

    What they give has marks around values, which ``page`` and ``part`` take away.
    """
    made = Environment(
        loader=PackageLoader("reports"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        finalize=_value,
    )
    made.globals["words"] = words
    made.globals["statement"] = statement
    made.filters["attack"] = attack
    made.filters["defense"] = defense
    made.filters["field"] = field
    return made


def _value(value: object) -> object:
    """What a template shows of a value: a text is shown safely, marked as no word of the page."""
    if type(value) is not str or not value:
        return value
    return safe.guarded(str(safe.shown(value)))


def attack(name: str, mark: str = "") -> Markup:
    """An attack in a table: its plain name with a mark, and below it the name that one types."""
    return _named(words.attack(name), name, mark)


def defense(name: str, mark: str = "") -> Markup:
    """A defense in a table: its plain name with a mark, and below it the name that one types."""
    return _named(words.defense(name), name, mark)


def field(name: str, source: str) -> Markup:
    """A field of a record in a table: its plain name, and below it the name that the data have."""
    return _named(words.field(source, name), name, "")


def _named(title: str, name: str, mark: str) -> Markup:
    shown = escape(_value(title + mark))
    if name in (title, NONE):
        return shown
    whole = 'class="whole" ' if len(name) <= WHOLE else ""
    typed = Markup(f'<span class="iv"><code {whole}data-key="{{0}}">{{1}}</code></span>')
    return shown + typed.format(safe.shown(name), _value(name))


def prepare(template: str) -> None:
    """Load what a page of this template is made of: the parts in its folder, titles and terms."""
    parts = template.partition(".")[0] + "/"
    made = environment()
    for name in made.list_templates(filter_func=lambda name: name.startswith(parts)):
        made.get_template(name)
    made.get_template(template)
    titles.prepare()
    terms.prepare()


def page(template: str, **values: object) -> str:
    """A whole page as HTML text: the template with the values, the script and dressed tables.

    Its own words lead to its glossary where they are first used.
    """
    made = environment().get_template(template)
    frame = {"script": Markup(script()), "policy": Markup(markup.policy(script()))}
    text = glossary.filled(made.render(**frame, **values), values)
    return markup.unbroken(markup.dressed(safe.unmarked(terms.linked(text))))


def part(template: str, **values: object) -> str:
    """A piece of a page as HTML text: the template with the values."""
    made = environment().get_template(template)
    return markup.unbroken(safe.unmarked(made.render(**values)))


@cache
def script() -> str:
    """The script that every page runs in a browser."""
    return (resources.files("reports") / "templates" / SCRIPT).read_text(encoding="utf-8")
