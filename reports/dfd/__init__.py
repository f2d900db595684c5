"""The data flow diagram of a design: zones as columns, components by their kind, flows as arrows.

Every element stands once, with the numbers of the threats to it. ``drawing`` gives positions in
pixels that a template draws; ``mermaid`` gives the same diagram as text.
"""

from __future__ import annotations

from reports.dfd.layout import Layout
from reports.dfd.shapes import Badges, Drawing
from reports.text.safe import shown
from threats.system import Design


def drawing(design: Design, badges: Badges) -> Drawing:
    """The diagram of a design; ``badges``: threats by element."""
    return Layout(design, badges).drawing()


def mermaid(design: Design, badges: Badges) -> str:
    """The diagram as text of Mermaid; every sign of a name that could act is written as a code."""
    names = {one.id: f"c{number}" for number, one in enumerate(design.components, 1)}
    shapes = {"actor": ("[", "]"), "process": ("([", "])"), "store": ("[(", ")]")}
    lines = ["flowchart LR"]
    for number, zone in enumerate(design.zones, 1):
        lines.append(f'  subgraph z{number}["{_coded(f"{zone.id} ({zone.kind})")}"]')
        for one in design.components:
            if one.zone == zone.id:
                start, end = shapes[one.dfd]
                lines.append(f'    {names[one.id]}{start}"{_entry(one.id, badges)}"{end}')
        lines.append("  end")
    for flow in design.flows:
        text = f"{_entry(flow.id, badges)}: {_coded(', '.join(flow.carries))}"
        lines.append(f'  {names[flow.from_]} -->|"{text}"| {names[flow.to]}')
    return "\n".join(lines) + "\n"


def _entry(id_: str, badges: Badges) -> str:
    numbers = ", ".join(str(badge.number) for badge in badges.get(id_, ()))
    return _coded(f"{id_} ({numbers})" if numbers else id_)


def _coded(text: str) -> str:
    plain = str(shown(text))
    return "".join(
        sign if sign.isascii() and (sign.isalnum() or sign in " _.,:()-") else f"#{ord(sign)};"
        for sign in plain
    )
