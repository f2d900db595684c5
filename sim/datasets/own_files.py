"""The files of a consortium's own data, read once and whole, as bytes that nobody has looked into.

Nothing about a file is taken on trust: a folder, a pipe, a link inside a folder, a file that is too
large or that changes while it is read is refused in one line. No message quotes what is in a file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from sim import files
from sim.errors import InputError

MOST_BYTES = 1_000_000_000  # of all files together
MOST_FILES = 10_000  # in a folder, or in a list


@dataclass(frozen=True)
class Source:
    """One file: ``name`` without its ending, ``kind`` its ending in small letters (``csv``)."""

    name: str
    kind: str
    content: bytes = field(repr=False, compare=False)
    digest: str


@dataclass(frozen=True)
class Sources:
    """The files of a consortium, in order of their names.

    ``alone``: they are one file that was named, and not a file per hospital. ``digest``: sha256 of
    names and contents; of a file alone the name does not count. Equal where the files are equal.
    """

    files: tuple[Source, ...]
    alone: bool

    @property
    def digest(self) -> str:
        """64 hex digits."""
        whole = sha256()
        for one in self.files:
            whole.update(f"{'' if self.alone else ascii(one.name)}\n{one.digest}\n".encode())
        return whole.hexdigest()


def check_names(sources: Sources) -> None:
    """Refuse two files of one name, as ``a.csv`` and ``a.tsv``, where each is a hospital."""
    seen = set[str]()
    for one in sources.files:
        if one.name in seen:
            raise InputError("path", one.name, "expected a name for each hospital, and two have it")
        seen.add(one.name)


def read(path: str | Sequence[str] | None, kinds: Sequence[str]) -> Sources:
    """The files that ``path`` names: a file, a folder of files, or a list of files.

    Of a folder those whose names end with one of ``kinds`` are read; hidden files and subfolders
    are not. Raises ``InputError``.
    """
    if not path or not all([path] if isinstance(path, str) else path):
        raise InputError(
            "path", "nothing", "expected a file, a folder of files, or a list of files"
        )
    if isinstance(path, str):
        place = _checked(path)
        if place.is_dir():
            found = [_source(one, follow=False) for one in _inside(place, kinds)]
            return _together(found, alone=False)
        return _together([_source(place, follow=True, kinds=kinds)], alone=True)
    if len(path) > MOST_FILES:
        raise InputError("path", f"{len(path):,} files", f"expected at most {MOST_FILES:,}")
    named = [_source(_checked(one), follow=True, kinds=kinds) for one in path]
    return _together(named, alone=len(named) == 1)


def _checked(path: str) -> Path:
    if not path.isprintable():
        raise _unprintable(path)
    return Path(path)


def _unprintable(path: str) -> InputError:
    return InputError("path", ascii(path), "expected a path of printable characters")


def _inside(folder: Path, kinds: Sequence[str]) -> Iterator[Path]:
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise _unreadable(folder, error) from None
    wanted = [name for name in names if _kind(name) in kinds and not name.startswith(".")]
    if not wanted:
        raise InputError("path", folder, f"expected files that end with {_endings(kinds)} in it")
    if len(wanted) > MOST_FILES:
        shown = f"{len(wanted):,} files"
        raise InputError("path", shown, f"expected at most {MOST_FILES:,} in a folder")
    for name in wanted:
        if not name.isprintable():
            raise _unprintable(name)
    yield from (folder / name for name in wanted)


def _together(found: Sequence[Source], *, alone: bool) -> Sources:
    ordered = sorted(found, key=lambda one: one.name)
    total = sum(len(one.content) for one in ordered)
    if total > MOST_BYTES:
        shown = f"{total / 1e6:,.0f} MB in {len(ordered)} files"
        raise InputError("path", shown, f"expected at most {MOST_BYTES / 1e6:,.0f} MB")
    seen = dict[str, str]()
    for one in ordered:
        if len(one.name) > 100:
            raise InputError("path", one.name, "expected file names of at most 100 characters")
        if one.digest in seen:
            expected = "expected a file for each hospital, and these two hold the same bytes"
            raise InputError("path", f"{seen[one.digest]}, {one.name}", expected)
        seen[one.digest] = one.name
    return Sources(tuple(ordered), alone)


def _source(path: Path, *, follow: bool, kinds: Sequence[str] = ()) -> Source:
    """The content of a regular file. It is opened first and looked at then, so nothing can be put
    in its place in between.
    """
    if kinds and _kind(path.name) not in kinds and path.exists() and not path.is_dir():
        raise InputError("path", path, f"expected a file that ends with {_endings(kinds)}")
    if not follow and path.is_symlink():
        raise InputError("path", path, "expected files in the folder, and this is a link")
    try:
        number = files.opened(path)
    except OSError as error:
        raise _unreadable(path, error) from None
    with os.fdopen(number, "rb") as file:
        before = os.fstat(number)
        if before.st_size > MOST_BYTES:
            shown = f"{before.st_size / 1e6:,.0f} MB in {path.name}"
            raise InputError("path", shown, f"expected at most {MOST_BYTES / 1e6:,.0f} MB")
        try:
            content = file.read(MOST_BYTES + 1)
        except OSError as error:
            raise _unreadable(path, error) from None
        after = os.fstat(number)
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise InputError("path", path, "expected a file that does not change while it is read")
    if not content:
        raise InputError("path", path, "expected a file that is not empty")
    return Source(path.stem, _kind(path.name), content, sha256(content).hexdigest())


def _unreadable(path: Path, error: OSError) -> InputError:
    reason = error.strerror or type(error).__name__
    return InputError("path", path, f"expected a regular file that can be read ({reason})")


def _kind(name: str) -> str:
    return name.rpartition(".")[2].lower() if "." in name else ""


def _endings(kinds: Sequence[str]) -> str:
    return ", ".join(f".{kind}" for kind in kinds)
