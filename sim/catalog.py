"""``wardround list``: what there is to choose from, one line each, with the paper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml
from hydra.utils import get_class
from rich.console import Console
from rich.table import Table

from sim.compose import CONF, options
from sim.errors import InputError
from sim.types import About
from threats.catalogue import load as load_threats

GROUPS = ("attack", "defense", "aggregator", "steps", "server_optimizer", "secagg", "dp", "consortium", "model", "threats")


def show(words: Sequence[str]) -> None:
    """Print the tables of the named groups, or of all."""
    for word in words:
        if word not in GROUPS:
            raise InputError("GROUP", word, f"expected one of {', '.join(GROUPS)}")
    console = Console()
    for group in words or GROUPS:
        console.print(_threats() if group == "threats" else _group(group))


def _group(group: str) -> Table:
    table = _table(group, ("name", "what it is", "needs", "paper"))
    for name in options(group):
        table.add_row(name, *_described(group, name))
    return table


def _described(group: str, name: str) -> tuple[str, str, str]:
    if group == "defense":
        return _preset(name), "", ""
    target = _target(yaml.safe_load((CONF / group / f"{name}.yaml").read_text(encoding="utf-8")))
    if target is None:
        return "nothing", "", ""
    found: Any = get_class(target)
    line = (found.__doc__ or "").strip().splitlines()[0]
    about: About | None = getattr(found, "about", None)
    if about is None:
        return line, "", ""
    needs = about.limit or (f"knowledge: {about.needs}" if group == "attack" and "inversion" not in target else about.sees)
    return line, needs, f"{about.paper} ({about.year})"


def _preset(name: str) -> str:
    node = yaml.safe_load((CONF / "defense" / f"{name}.yaml").read_text(encoding="utf-8"))
    parts = [f"{key.removeprefix('override /')}={value}" for item in node.get("defaults", []) for key, value in item.items()]
    return ", ".join(parts) or "plain mean"


def _target(node: Any) -> str | None:
    if not isinstance(node, dict):
        return None
    inner = (_target(value) for value in node.values() if isinstance(value, dict))
    return node.get("_target_") or next((target for target in inner if target), None)


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
