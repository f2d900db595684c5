"""The plans that a hospital has begun, in a file of its own."""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

NONCE: Final = 32  # random bytes of an execution


@dataclass(frozen=True)
class FileJournal:
    """A journal in the file ``path``, one digest a line; processes of one hospital may share it."""

    path: Path

    def begin(self, plan: str) -> bytes | None:
        """Random bytes of a new execution of the plan with this digest; None: it was begun.

        The digest is on disk before this returns. Raises ``OSError`` where the file cannot be
        written, so that nothing is begun then.
        """
        with open(self.path, "a+", encoding="ascii") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # until it is closed
            file.seek(0)
            if plan in file.read().split():
                return None
            file.write(f"{plan}\n")
            file.flush()
            os.fsync(file.fileno())
        return os.urandom(NONCE)
