"""Tracking: finished runs are written to a store of the user's as well, where that is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

from sim import plugins
from sim.config.build import built
from sim.kinds import Tracking


def untracked(values: Mapping[str, object], folder: Path) -> str | None:
    """Track the runs of a folder if its configuration asks for it.

    Returns a line on why they are not in the store; None if they are, or nobody asked. The runs
    are on the disk already, and nothing that tracking does can lose them.
    """
    node = values.get("tracking")
    if not isinstance(node, dict):
        return None
    packages = tuple(plugins.hashed(values.get("plugins")))
    try:
        cast(Tracking, built("tracking", node, packages))(folder)
    except Exception as error:  # whatever it is, the runs stand
        reason = " ".join(str(error).split()) or type(error).__name__
        return f"not tracked, the results are in {folder}: {reason}"
    return None
