"""What the commands did with a table of hostile cases, each given to them by a program."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests import ROOT

Answers = dict[tuple[str, str], dict[str, Any]]  # by kind and name of the case


def answered(folder: Path, program: str) -> Answers:
    """What the commands did, case after case, in one process under an audit hook.

    ``program``: a module that prints a line of JSON for each of its cases, and works in ``folder``.
    """
    done = subprocess.run(
        [sys.executable, "-B", "-m", program, str(folder)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = map(json.loads, done.stdout.splitlines())
    return {(line["kind"], line["name"]): line for line in lines}
