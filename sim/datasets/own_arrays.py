"""The arrays of an ``.npz`` file, as numpy writes it with ``savez``; nothing in it is ever run."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Mapping
from typing import IO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from sim.datasets.own_files import MOST_BYTES, Source
from sim.errors import InputError

MOST_ARRAYS = 100
LONGEST_HEAD = 10_000  # bytes that state form and type of an array
PLAIN = "buifUS"  # kinds of numbers and texts: an array of objects could run anything

Array = NDArray[np.generic]


def arrays(source: Source) -> Mapping[str, Array]:
    """The arrays of a file by name.

    Raises ``InputError`` for what is no such file, for arrays of objects, and for what would be
    larger than its head states or than ``MOST_BYTES`` in all.
    """
    place = f"path {source.name}.{source.kind}"
    try:
        with zipfile.ZipFile(io.BytesIO(source.content)) as archive:
            members = archive.infolist()
            total = sum(one.file_size for one in members)
            if len(members) > MOST_ARRAYS or total > MOST_BYTES:
                shown = f"{len(members):,} arrays of {total / 1e6:,.0f} MB when unpacked"
                expected = f"expected at most {MOST_ARRAYS} and {MOST_BYTES / 1e6:,.0f} MB"
                raise InputError(place, shown, expected)
            found = dict[str, Array]()
            for one in members:
                name = one.filename.removesuffix(".npy")
                if name in found or not name.isprintable() or len(name) > 100:
                    shown = f"the name of array {len(found) + 1}"
                    raise InputError(place, shown, "expected different names that can be printed")
                with archive.open(one) as file:
                    found[name] = _array(place, file, one.file_size)
            return found
    except InputError:
        raise
    except Exception:  # whatever the bytes make of the libraries that read them
        expected = "expected arrays as numpy.savez writes them"
        raise InputError(place, "bytes that are no arrays", expected) from None


def _array(place: str, file: IO[bytes], size: int) -> Array:
    version = npy.read_magic(file)
    if version == (1, 0):
        shape, by_column, kind = npy.read_array_header_1_0(file, max_header_size=LONGEST_HEAD)
    else:
        shape, by_column, kind = npy.read_array_header_2_0(file, max_header_size=LONGEST_HEAD)
    if kind.hasobject or kind.kind not in PLAIN:
        raise InputError(place, "an array of objects", "expected arrays of numbers and of texts")
    n = math.prod(shape)
    if n < 0 or n * kind.itemsize > size:
        raise InputError(place, "an array that is cut off", "expected all of its values")
    values = np.frombuffer(file.read(n * kind.itemsize), dtype=kind)
    return values.reshape(shape, order="F" if by_column else "C")
