"""Files that are whole or not there, and folders in which one command writes at a time."""

from __future__ import annotations

import errno
import fcntl
import json
import math
import os
import re
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from sim.errors import InputError
from sim.interrupts import finishing
from sim.types import Node

MOST_BYTES = 2**27  # of a file of JSON that stands beside evidence
LARGEST: Final = 2**63 - 1  # whole number of a file of JSON
SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")  # half a character, which UTF-8 has not
PART = ".part"  # how the name of a file ends that is not whole yet
# errors of file systems that have no locks
NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.EBADF, errno.EINVAL)


def replace(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Put ``content`` in the place of ``path``, whole or not at all.

    Not ``durable``: a power cut may leave a file that is not whole; the end of the process may not.
    Raises ``InputError`` that names the folder if the file cannot be written.
    """
    with finishing(), _named(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        number, beside = tempfile.mkstemp(PART, f".{path.name}.", path.parent)
        try:
            try:
                os.fchmod(number, 0o666 & ~_umask())
                _write(number, content, durable=durable)
            finally:
                os.close(number)
            os.replace(beside, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(beside)
            raise
        if durable:
            _sync(path.parent)


def all_or_none(key: str, contents: Mapping[Path, bytes]) -> list[Path]:
    """Write new files with their folders, all of them or none, and give their paths.

    Raises ``InputError`` of ``key``, before anything is written, for one that is there already.
    """
    for path in contents:
        if os.path.lexists(path):
            raise InputError(key, path, "expected a folder without this file")
    parents = {folder for path in contents for folder in path.parents}
    new = [folder for folder in parents if not os.path.lexists(folder)]
    done = list[Path]()
    try:
        for path, content in contents.items():
            replace(path, content)
            done.append(path)
    except BaseException:
        for path in done:
            with suppress(OSError):
                path.unlink()
        for folder in sorted(new, key=lambda one: len(one.parts), reverse=True):
            with suppress(OSError):
                folder.rmdir()
        raise
    return done


def append(path: Path, line: bytes) -> None:
    """Add ``line`` to the end of ``path``, whole or not at all, and on the disk when this returns.

    Raises ``InputError`` that names the folder if the line cannot be written; what was there before
    is still there then.
    """
    with finishing(), _named(path):
        number = _opened(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            before = os.fstat(number).st_size
            try:
                _write(number, line, durable=True)
            except BaseException:
                os.ftruncate(number, before)
                raise
        finally:
            os.close(number)
        if not before:
            _sync(path.parent)


def opened(path: Path) -> int:
    """A descriptor of ``path`` for reading, which must be a regular file: a pipe would never end.

    Raises ``OSError`` for anything else.
    """
    return _opened(path, os.O_RDONLY)


def content(path: Path, most: int = MOST_BYTES) -> bytes:
    """All bytes of a regular file, which may be anybody's.

    Raises ``OSError`` for anything else, and for a file of more than ``most`` bytes.
    """
    with os.fdopen(opened(path), "rb") as file:
        size = os.fstat(file.fileno()).st_size
        large = size > most
        found = b"" if large else file.read(size + 1)  # one more, for a file that grows meanwhile
    if large or len(found) > most:
        raise OSError(errno.EFBIG, f"more than {most:,} bytes", str(path))
    return found


def parsed(text: bytes) -> Node:
    """The JSON object in a file that anybody may have edited.

    Its numbers are finite, and whole ones have no more than 64 bits with their sign; its texts can
    be written. Raises ``ValueError`` for anything else, also for one that is nested too deep.
    """
    try:
        found = json.loads(text, parse_constant=_finite, parse_float=_finite, parse_int=_whole)
        if SURROGATE.search(text):
            json.dumps(found, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    except UnicodeError:
        raise ValueError("expected text in UTF-8") from None
    if not isinstance(found, dict):
        raise ValueError("expected one JSON object")
    return found


def leftovers(folder: Path) -> None:
    """Remove the files that a killed command left half-written in ``folder``."""
    with _named(folder / PART):
        for path in folder.glob(f".*{PART}"):
            path.unlink(missing_ok=True)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Nobody else enters ``folder`` while this block runs.

    The folder itself is locked, so that no file is left over. File systems without locks are not
    guarded. Raises ``InputError`` if somebody is in the folder already.
    """
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            expected = "expected a folder that no other command is writing in"
            raise InputError("hydra.run.dir", folder, expected) from None
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
        yield
    finally:
        os.close(number)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"expected finite numbers, and not {_shortened(text)}")
    return value


def _whole(text: str) -> int:
    if len(text) > len(str(-LARGEST)) or abs(value := int(text)) > LARGEST:
        raise ValueError(f"expected whole numbers of up to 64 bits, and not {_shortened(text)}")
    return value


def _shortened(text: str, most: int = 24) -> str:
    return text if len(text) <= most else f"{text[:most]}..."


def _opened(path: Path, flags: int) -> int:
    no_link = os.O_NOFOLLOW if flags & os.O_CREAT else 0
    number = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC | no_link, 0o666)
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return number


def _write(number: int, content: bytes, *, durable: bool) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(number, rest) :]
    if durable:
        os.fsync(number)


def _sync(folder: Path) -> None:
    """Make a new name last; file systems that cannot do that for a folder do it by themselves."""
    with suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """An ``OSError`` in this block becomes an ``InputError`` that names the folder of ``path``."""
    try:
        yield
    except OSError as error:
        name = "" if path.name == PART else f"{path.name}: "
        reason = error.strerror or type(error).__name__
        expected = f"expected a folder that can be written ({name}{reason})"
        raise InputError("folder", path.parent, expected) from error
