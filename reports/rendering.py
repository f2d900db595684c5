"""The templates of all pages, and the manifest of the folder that a page is about."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from reports import markup
from reports.text import glossary, safe, words
from sim.errors import InputError
from sim.evidence import MANIFEST, statement
from sim.evidence.controls import NONE
from sim.types import Node

SCRIPT = "script.js"


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
    typed = Markup('<span class="iv"><code data-key="{0}">{0}</code></span>')
    return shown + typed.format(safe.shown(name))


def page(template: str, **values: object) -> str:
    """A whole page as HTML text: the template with the values, the script and dressed tables."""
    made = environment().get_template(template)
    frame = {"script": Markup(script()), "policy": Markup(markup.policy(script()))}
    return markup.dressed(glossary.filled(made.render(**frame, **values), values))


@cache
def script() -> str:
    """What every page runs in a browser."""
    return (resources.files("reports") / "templates" / SCRIPT).read_text(encoding="utf-8")


def manifest(folder: Path) -> Node:
    """The manifest of the folder, on how its evidence was made; empty where there is none.

    Raises ``InputError`` for a file that is no JSON object.
    """
    path = folder / MANIFEST
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise InputError(MANIFEST, f"line {error.lineno}", "expected JSON") from None
    if not isinstance(found, dict):
        raise InputError(MANIFEST, type(found).__name__, "expected one JSON object")
    return found
