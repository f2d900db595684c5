"""``wardround list``: what there is to choose from, as the plug-ins and their configuration state it."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml
from hydra.utils import get_class
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sim.choices import CONF, options
from sim.errors import InputError
from sim.experiment import ORDERED
from sim.types import About
from threats.catalogue import load as load_threats

GROUPS = ("attack", "defense", "aggregator", "steps", "server_optimizer", "secagg", "dp", "consortium", "model", "threats")
IN_HEADING = ("kind", "knowledge")  # facts that stand beside the name
INDENT, LABEL = 2, 9  # columns before a line's label, and of the label


def show(words: Sequence[str]) -> None:
    """Print what the named groups, or all, offer."""
    for word in words:
        if word not in GROUPS:
            raise InputError("GROUP", word, f"expected one of {', '.join(GROUPS)}")
    console = Console(highlight=False)
    for group in words or GROUPS:
        if group in ("defense", "threats"):
            console.print(_presets() if group == "defense" else _threats())
        else:
            for line in _plugins(group, console.width):
                console.print(line, soft_wrap=True)


def _plugins(group: str, width: int) -> Iterator[Text]:
    """A heading, then for each choice of a group its name and a block of labeled lines, none longer than ``width``."""
    key = f"{group}.NAME" if group in ORDERED else group
    yield Text.assemble((group, "bold"), f"  (set a value with {key}.KEY=VALUE)")
    for name in options(group):
        known = facts(group, name)
        yield Text.assemble((name, "bold"), *(f"  {label}: {known.pop(label)}" for label in IN_HEADING if label in known))
        for label, text in known.items():
            lines = textwrap.wrap(text, width - INDENT - LABEL, break_long_words=False, break_on_hyphens=False)
            for place, line in enumerate(lines):
                yield Text.assemble(" " * INDENT, (f"{'' if place else label:{LABEL}}", "dim"), line)


def facts(group: str, name: str) -> dict[str, str]:
    """What there is to know of one choice of a group, by label; nothing that its plug-in or configuration does not state."""
    node = _plugin(yaml.safe_load((CONF / group / f"{name}.yaml").read_text(encoding="utf-8")))
    if node is None:
        return {"is": "nothing"}
    found: Any = get_class(node["_target_"])
    about: About | None = getattr(found, "about", None)
    defaults = [f"{key}={_shown(value)}" for key, value in node.items() if key != "_target_"]
    stated = {"is": (found.__doc__ or "").strip().splitlines()[0].replace("``", ""), "defaults": "  ".join(defaults)}
    if about is not None:
        stated |= _sheet(about, "" if group != "attack" else node["_target_"].split(".")[1])
        stated["variants"] = "  ".join(variant for variant in about.variants if variant not in defaults)
    return {label: text for label, text in stated.items() if text}


def _sheet(about: About, kind: str) -> dict[str, str]:
    """What a data sheet says; an attack by a hospital states the least knowledge, everything else its limit or what it sees."""
    by_hospital = bool(kind) and kind != "inversion"
    return {
        "kind": kind,
        "knowledge": about.needs if by_hospital else "",
        "needs": about.limit,
        "promise": about.promise,
        "sees": "" if about.limit else about.sees,
        "cost": about.cost,
        "variants": "",
        "paper": f"{about.paper} ({about.year})",
    }


def _shown(value: Any) -> str:
    """A value as it is written on the command line."""
    if isinstance(value, str) and value.startswith("${"):
        return value.removeprefix("${").removesuffix("}")
    return value if isinstance(value, str) and value else json.dumps(value, separators=(",", ":"))


def _plugin(node: Any) -> Mapping[str, Any] | None:
    """The first part of a configuration that describes a plug-in."""
    if not isinstance(node, dict):
        return None
    return node if "_target_" in node else next((found for value in node.values() if (found := _plugin(value))), None)


def _presets() -> Table:
    table = _table("defense", ("name", "stands for"))
    for name in options("defense"):
        node = yaml.safe_load((CONF / "defense" / f"{name}.yaml").read_text(encoding="utf-8"))
        parts = [f"{key.removeprefix('override /')}={value}" for item in node.get("defaults", []) for key, value in item.items()]
        table.add_row(name, Text(" ".join(parts) or "plain mean"))
    return table


def _threats() -> Table:
    table = _table("threats", ("id", "threat", "attacks", "when not run"))
    for threat in load_threats().threats:
        table.add_row(threat.id, threat.name, ", ".join(threat.attacks), threat.untested.status.replace("_", " "))
    return table


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
