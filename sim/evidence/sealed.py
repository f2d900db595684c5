"""Lines of a file chained by hash: each ends with the line before's hash, and its own.

A line's own hash is over every byte before it. The chain shows that a line was changed, moved,
repeated, left out or brought from elsewhere. It cannot show that somebody wrote the whole file
anew; for that the last line's hash has to be compared with a copy that is somewhere else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Final

from sim.evidence.columns import Column

FIRST: Final = "0" * 64  # what the first line follows
_END: Final = re.compile(rb', "previous": "([0-9a-f]{64})", "hash": "([0-9a-f]{64})"\}\n\Z')
SEAL_BYTES: Final = len(b', "previous": "", "hash": ""}\n') + 2 * 64

TABLE: Final[Mapping[str, Column]] = {
    "previous": Column("text", "The hash of the line before; zeros in the first line."),
    "hash": Column("text", "The SHA-256 of all of the line before this key."),
}


class BrokenError(ValueError):
    """A line that does not belong where it is; the text states why."""


def seal(text: str, previous: str) -> bytes:
    """The line of one JSON object, which follows the line whose hash is ``previous``."""
    start = f'{text.removesuffix("}")}, "previous": "{previous}"'.encode()
    return start + f', "hash": "{sha256(start).hexdigest()}"}}\n'.encode()


def opened(line: bytes, previous: str) -> tuple[bytes, str]:
    """The JSON object in ``line`` without its seal, and the line's hash.

    Raises ``BrokenError`` unless the line follows the one whose hash is ``previous``, byte for byte
    as it was sealed.
    """
    found = _END.search(line, max(0, len(line) - SEAL_BYTES))
    if found is None:
        raise BrokenError("it does not end with the hashes that chain it to the line before")
    stated_previous, stated = (group.decode() for group in found.groups())
    if sha256(line[: len(line) - len(b', "hash": ""}\n') - 64]).hexdigest() != stated:
        raise BrokenError("its hash is not that of its content: it was changed")
    if stated_previous != previous:
        raise BrokenError(
            "it does not follow the line before: lines were changed, moved, left out or put in"
        )
    return line[: found.start()] + b"}", stated


def last_hash(tail: bytes) -> str:
    """The last line's hash, from the last ``SEAL_BYTES`` of a file; ``FIRST`` of an empty file."""
    if not tail:
        return FIRST
    if (found := _END.search(tail)) is None:
        raise BrokenError("its last line does not end with the hashes of a chain")
    return found[2].decode()
