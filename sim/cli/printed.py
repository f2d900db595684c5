"""Results as one JSON object on standard output, for programs: docs/json.md sketches each form."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sim.evidence import RunRecord
    from sim.types import Node

RESULTS: Final = "wardround.results/1"  # the form of what run and compare print


def show(values: Mapping[str, object]) -> None:
    """Print one JSON object."""
    print(json.dumps(values, indent=2, allow_nan=False, default=str))


def of_runs(
    records: Sequence[RunRecord], command: str, page: Path, refused: Sequence[Node] = ()
) -> Node:
    """The closing summary of a command of runs: its answer, the next steps, and a row for each run.

    ``command``: the one that repeats it. ``refused``: the cells that did not run.
    """
    from reports import story  # here: ``list`` does without these
    from reports.analysis import breakdown, broken, tables
    from reports.analysis.seen import Seen
    from sim import evidence
    from sim.evidence.tables import results

    ordered = tables.one_study(records)
    top = story.top(
        ordered, Seen(breakdown.in_focus(ordered)), {"command": command, "refused": refused}
    )
    return {
        "schema": RESULTS,
        "command": command,
        "folder": str(page.parent.parent),
        "report": str(page),
        "first": broken.first(ordered),
        "answer": top.answer,
        "next": [
            {"urgency": one.urgent, "name": one.name, "text": one.text, "command": one.command}
            for one in top.acting
        ],
        "untested": [
            {
                "threat": one.threat.id,
                "name": one.threat.name,
                "attacks": list(one.attacks),
                "command": one.command,
                "install": one.install or None,
                "reason": one.reason or None,
                "partly": one.partly,
            }
            for one in top.untested
        ],
        "refused": list(refused),
        "runs": results(evidence.ordered(records)),
    }


def of_folder(folder: Path, page: Path) -> Node:
    """The place of the page of a folder of several studies or of audits."""
    return {"schema": RESULTS, "folder": str(folder), "report": str(page)}
