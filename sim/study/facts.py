"""The facts about each choice of a group, as its plug-in or its configuration states them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import yaml
from hydra.utils import get_class

from sim import titles
from sim.plugins import CONF
from sim.types import BY_AGGREGATOR, About


@cache
def facts(group: str, name: str) -> dict[str, str]:
    """The facts about one choice, by label, that its plug-in or its configuration states.

    ``title``: its plain name, and ``does``: the sentence that goes with it.
    """
    node = _plugin(yaml.safe_load((CONF / group / f"{name}.yaml").read_text(encoding="utf-8")))
    title = titles.of(group, name)
    named = {} if title is None else {"title": title.title, "does": title.plain}
    if node is None:
        return named or {"is": "nothing"}
    found: Any = get_class(node["_target_"])
    about: About | None = getattr(found, "about", None)
    defaults = [f"{key}={_shown(value)}" for key, value in node.items() if key != "_target_"]
    stated = {
        **named,
        "is": (found.__doc__ or "").strip().splitlines()[0].replace("``", ""),
        "defaults": "  ".join(defaults),
    }
    if about is not None:
        stated |= _sheet(about, "" if group != "attack" else node["_target_"].split(".")[1])
        others = [variant for variant in about.variants if variant not in defaults]
        stated["variants"] = "  ".join(others)
    return {label: text for label, text in stated.items() if text}


def _sheet(about: About, kind: str) -> dict[str, str]:
    """The data sheet by label; ``kind``: that of an attack, else empty.

    An attack by a hospital states the least knowledge, everything else its limit or what it sees.
    """
    by_hospital = bool(kind) and kind not in BY_AGGREGATOR
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
    if "_target_" in node:
        return node
    return next((found for value in node.values() if (found := _plugin(value))), None)
