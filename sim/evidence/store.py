"""The file of evidence: records are appended, chained one to the next, and read back checked."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from sim import files
from sim.config.groups import address_of
from sim.errors import InputError
from sim.evidence import sealed
from sim.evidence.plausible import implausible
from sim.evidence.records import SCHEMA, RunRecord
from sim.evidence.study import shown
from sim.types import Node

EVIDENCE: Final = "evidence.jsonl"
MANIFEST: Final = "manifest.json"
LONGEST_LINE: Final = 2**30  # bytes
PIECE: Final = 2**20  # bytes of a line that are read at a time
RUN_KEY: Final = b'"run": "'  # the last of a line: its keys are sorted, and quotes in texts escaped
RUN: Final = re.compile(rb'"run": "([0-9a-f]{16})"')


def append(folder: Path, record: RunRecord) -> None:
    """Add one record to the end of the folder's evidence, whole or not at all.

    Raises ``InputError`` if it cannot be written, and ``ValueError`` for a record that ``read``
    would refuse.
    """
    if (found := implausible(record)) is not None:
        raise ValueError(f"{found[0]} of run {record.run}: {found[1]}")
    text = json.dumps(record.model_dump(mode="json"), sort_keys=True, allow_nan=False)
    files.append(folder / EVIDENCE, sealed.seal(text, head(folder)["hash"]))


def head(folder: Path, name: str = EVIDENCE) -> Node:
    """The end of a folder's evidence: its size in ``bytes``, and the ``hash`` of its last line.

    The hash stands for all of the evidence. ``name``: of the file that holds it.
    """
    path = folder / name
    try:
        with os.fdopen(files.opened(path), "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - sealed.SEAL_BYTES))
            return {"bytes": size, "hash": sealed.last_hash(file.read(sealed.SEAL_BYTES))}
    except FileNotFoundError:
        return {"bytes": 0, "hash": sealed.FIRST}
    except (sealed.BrokenError, OSError) as error:
        raise InputError(
            "folder", folder, f"expected evidence in {name}: {reason(error)}"
        ) from None


@dataclass(frozen=True)
class Line:
    """The place of a run in the evidence: the ``number`` of its line, from 1 on, and its ``hash``.

    ``starts`` and ``ends``: the bytes between which it stands.
    """

    number: int
    hash: str
    starts: int
    ends: int


@dataclass(frozen=True)
class Chain:
    """The evidence of a folder: its records in a fixed order, each run once, and where each is.

    ``bytes`` and ``hash`` are those of the chain's head, which stands for all of it.
    """

    records: tuple[RunRecord, ...]
    lines: Mapping[str, Line]
    bytes: int
    hash: str

    def has(self, head: Node) -> bool:
        """Whether a ``head`` that was stated at some time is that of a line of this evidence."""
        ends = [(line.ends, line.hash) for line in self.lines.values()]
        return (head["bytes"], head["hash"]) in [(0, sealed.FIRST), *ends]


def read(folder: Path) -> list[RunRecord]:
    """All whole records of a folder, in a fixed order, each run once; see ``chain``."""
    return list(chain(folder).records)


def chain(folder: Path) -> Chain:
    """The evidence of a folder, checked.

    Each line must follow the line before, hold figures that a run can have, and bear the address of
    its configuration, data and code; ``manifest.json``, where it is there, must name a line of the
    chain. A last line that was cut off by an interruption is not evidence and is left out. Raises
    ``InputError`` if there is no evidence.
    """
    records: dict[str, RunRecord] = {}
    promised = promised_by_manifest(folder, "evidence")
    lines: dict[str, Line] = {}
    size = 0
    reached = promised is None
    previous = sealed.FIRST
    try:
        for number, line in enumerate(lines_of(folder / EVIDENCE), 1):
            record, previous = _parse(folder, number, line, previous)
            records[record.run] = record
            lines[record.run] = Line(number, previous, size, size + len(line))
            size += len(line)
            reached = reached or promised == {"bytes": size, "hash": previous}
    except OSError as error:
        raise InputError(
            "folder", folder, f"expected a folder with {EVIDENCE} ({reason(error)})"
        ) from error
    if not reached:
        expected = f"expected the {EVIDENCE} of which {MANIFEST} holds size and hash; it is another"
        raise InputError("folder", folder, expected)
    return Chain(tuple(ordered(records.values())), lines, size, previous)


def located(folder: Path) -> dict[str, Line]:
    """The place of each run in a folder's evidence, as its lines state it; ``chain`` checks them.

    Raises ``InputError`` if there is no evidence.
    """
    found = dict[str, Line]()
    size = 0
    try:
        for number, line in enumerate(lines_of(folder / EVIDENCE), 1):
            own = sealed.last_hash(line[-sealed.SEAL_BYTES :])
            if (run := RUN.search(line, line.rfind(RUN_KEY))) is not None:
                found[run[1].decode()] = Line(number, own, size, size + len(line))
            size += len(line)
    except (OSError, sealed.BrokenError) as error:
        expected = f"expected a folder with {EVIDENCE} ({reason(error)})"
        raise InputError("folder", folder, expected) from error
    return found


def ordered(records: Iterable[RunRecord]) -> list[RunRecord]:
    """The records in the order in which ``read`` gives those of a folder."""
    return sorted(records, key=_place)


def _place(one: RunRecord) -> tuple[str, str, str, int, int, str]:
    """The key of a record in the order of a folder."""
    return one.consortium, one.attack, one.defense, one.n_hostile, one.seed, one.run


def mend(folder: Path, name: str = EVIDENCE) -> None:
    """Cut an unfinished last line off a file of the folder, so that the next one starts a line."""
    path = folder / name
    if path.exists() and path.is_file():
        with path.open("rb") as file:
            whole = _whole(file.fileno())
        if whole < path.stat().st_size:
            os.truncate(path, whole)  # in place: the whole records before it are never at risk


def _whole(number: int, step: int = 2**16) -> int:
    """How many bytes of an open file are whole lines."""
    end = os.fstat(number).st_size
    while end > 0:
        start = max(0, end - step)
        found = os.pread(number, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def lines_of(path: Path) -> Iterator[bytes]:
    """The whole lines of a file, one by one: a large comparison leaves hundreds of megabytes.

    Of a long line that is no JSON object only the start: a file with a hole may be of any size.
    Raises ``OSError`` for what is no file, and for a line that does not end.
    """
    with os.fdopen(files.opened(path), "rb") as file:
        while piece := file.readline(PIECE):
            line = [piece]
            while len(piece) == PIECE and not piece.endswith(b"\n"):
                if not line[0].startswith(b"{") or b"\0" in piece:
                    yield piece  # which no reader takes for a line
                    return
                piece = file.readline(PIECE)
                line.append(piece)
                if sum(map(len, line)) > LONGEST_LINE:
                    raise OSError(0, f"a line of more than {LONGEST_LINE:,} bytes")
            if piece.endswith(b"\n"):
                yield b"".join(line)


def promised_by_manifest(folder: Path, evidence: str) -> Node | None:
    """Size and hash of a kind of evidence by the folder's manifest; None where it has neither."""
    try:
        stated = files.parsed(files.content(folder / MANIFEST)).get(evidence)
    except (OSError, ValueError):
        return None  # whoever shows the manifest states what is wrong with it
    if not isinstance(stated, dict):
        return None
    return {"bytes": stated.get("bytes"), "hash": stated.get("hash")}


def reason(error: Exception) -> str:
    """The reason why a file cannot be used, without its name."""
    return str(getattr(error, "strerror", None) or error)


def _of_other_version(content: bytes) -> str | None:
    """The refusal of a line that another version of this program wrote; None of this one's line."""
    try:
        stated = json.loads(content)
    except (ValueError, RecursionError):
        return None
    if not isinstance(stated, dict):
        return None
    schema = stated.get("schema_")
    if not isinstance(schema, str) or not schema.startswith("wardround.") or schema == SCHEMA:
        return None
    writer = f"another version of the code ({shown(stated.get('code'))})"
    return f"it was written as {shown(schema)} by {writer}, which can read it"


def _parse(folder: Path, number: int, line: bytes, previous: str) -> tuple[RunRecord, str]:
    """The record of a line and the line's hash."""
    where = "line"
    try:
        content, own = sealed.opened(line, previous)
        record = RunRecord.model_validate_json(content, strict=True)
        if (found := implausible(record)) is not None:
            where, reason = found
        elif record.run != (expected := address_of(record.config, record.data_hash, record.code)):
            where = "run"
            reason = f"expected {expected}, the address of its configuration, data and code"
        else:
            return record, own
    except sealed.BrokenError as error:
        reason = f"the chain does not hold: {error}"
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in problem["loc"]) or "record"
        reason = _of_other_version(content) or problem["msg"]
    raise InputError(
        f"{folder / EVIDENCE}:{number}", shown(where), f"not evidence of {SCHEMA}: {reason}"
    )
