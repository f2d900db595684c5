"""Claims that are written down before the runs, in a chained file that names the evidence so far.

A run whose line lies behind that evidence was made after the claim. The file cannot show that it
was written anew as a whole; for that its last hash has to be compared with a copy elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from sim import evidence, files
from sim.errors import InputError
from sim.evidence import sealed
from sim.evidence.columns import Column
from threats.catalog import Catalog
from threats.criteria import claimed
from threats.statements import claim
from threats.system import Design

CLAIMS: Final = "claims.jsonl"
TABLE: Final[Mapping[str, Column]] = {
    "id": Column("text", "The claim's id, which follows from its content."),
    "text": Column("text", "The claim in words."),
    "design": Column("text", "The hash of the design."),
    "evidence.bytes": Column("whole number", "How long the evidence was when it was claimed."),
    "evidence.hash": Column("text", "The hash of the evidence's last line then."),
    **sealed.TABLE,
}


class Planned(NamedTuple):
    """An attack that shall be run for a threat: by which adversary, on which stack."""

    threat: str
    adversary: str
    stack: str
    attack: str


def texts(
    design: Design, catalog: Catalog, planned: Iterable[Planned], drop: float
) -> dict[str, str]:
    """The claims of a design as texts, by id: of each planned attack, and of each criterion.

    ``drop``: the loss that counts as material in the runs. Of a threat with several metrics each is
    claimed, for nobody knows before the runs which of them they have.
    """
    found = {}
    for one in planned:
        threat = catalog.threat(one.threat)
        for measured in threat.metrics:
            adversary = design.adversary(one.adversary)
            made = claim(threat, adversary, one.stack, one.attack, measured, drop)
            found[made.id] = made.text
    return found | dict(claimed(criterion) for criterion in design.acceptance)


def state(folder: Path, design: Design, claims: Mapping[str, str]) -> None:
    """Write down the claims that the folder does not have yet, with the head of its evidence.

    A claim that is there is not stated again: it was stated when it was.
    """
    evidence.mend(folder, CLAIMS)
    known = stated(folder)
    head = evidence.head(folder)
    path = folder / CLAIMS
    lines = _lines(path)
    previous = sealed.last_hash(lines[-1][-sealed.SEAL_BYTES :] if lines else b"")
    content = b""
    for id_, text in claims.items():
        if id_ not in known:
            made = {"id": id_, "text": text, "design": design.digest, "evidence": head}
            line = sealed.seal(json.dumps(made, sort_keys=True), previous)
            previous = sealed.last_hash(line[-sealed.SEAL_BYTES :])
            content += line
    if content:
        files.append(path, content)


def stated(folder: Path) -> dict[str, int]:
    """The bytes of evidence that there were when each claim of a folder was stated.

    Raises ``InputError`` if the file is no chain of claims.
    """
    found: dict[str, int] = {}
    previous = sealed.FIRST
    for number, line in enumerate(_lines(folder / CLAIMS), 1):
        try:
            content, previous = sealed.opened(line, previous)
            made = files.parsed(content)
            found.setdefault(str(made["id"]), int(made["evidence"]["bytes"]))
        except (ValueError, KeyError, TypeError) as error:
            reason = str(error) if isinstance(error, ValueError) else "it is no claim"
            where = f"{folder / CLAIMS}:{number}"
            raise InputError(where, "line", f"not a claim: {reason}") from None
    return found


def _lines(path: Path) -> list[bytes]:
    """The whole lines of a file; none of a file that is not there."""
    try:
        content = files.content(path)
    except FileNotFoundError:
        return []
    except OSError as error:
        expected = f"expected {CLAIMS} to be a file ({error.strerror})"
        raise InputError("folder", path.parent, expected) from error
    return [line + b"\n" for line in content.split(b"\n")[:-1]]
