"""The head of a page: whose patients, who ran it, and when."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from reports.text import words
from sim.evidence import RunRecord
from sim.types import Node

WHOSE = {
    "published": "published research data, no patient of yours",
    "synthetic": "made up by a program, no patient of anybody",
    "own": "your data: records of the consortium's own patients",
}
NOT_STATED = {
    True: "marked public, without stating whose patients they are",
    False: "not public, so take them for your own patients",
}


def whose(records: Sequence[RunRecord]) -> list[str]:
    """A sentence for each source of the patients of these runs, whose they are first."""
    sources: dict[tuple[str, str], None] = {}
    for record in records:
        stated = WHOSE.get(record.provenance or "", NOT_STATED[record.public])
        source = "" if record.provenance == "synthetic" else record.data_source
        sources.setdefault((stated, source), None)
    texts = [
        f"{stated[:1].upper()}{stated[1:]}{f' ({source})' if source else ''}."
        for stated, source in sources
    ]
    if len({stated for stated, _ in sources}) > 1:
        texts.insert(0, "These runs mix data of different kinds.")
    return texts


def by(records: Sequence[RunRecord]) -> str:
    """The person who ran the study, as ``report.by`` states; names no machine or account."""
    stated = (record.config.get("report", {}).get("by") for record in records)
    names = list(dict.fromkeys(str(name) for name in stated if name))
    return words.listed(names) if names else "not stated (report.by=NAME states it)"


def when(manifest: Node) -> str:
    """The day on which the command began, in words."""
    started = manifest.get("started")
    try:
        found = datetime.fromisoformat(str(started))
    except ValueError:
        return "not recorded"
    return f"{found.day} {found:%B %Y, %H:%M} UTC"
