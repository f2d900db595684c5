"""Looks into things that a hospital made: only exactly Flower's and Python's own types are read.

So no code of the hospital's runs here; of any other type, nothing but its name is used. All raise
``UnusableError`` for a thing that is not as agreed.
"""

from __future__ import annotations

import math
from functools import lru_cache
from io import BytesIO
from typing import Any

import numpy as np
from flwr.app import (
    Array,
    ArrayRecord,
    ConfigRecord,
    Error,
    Message,
    Metadata,
    MetricRecord,
    RecordDict,
)
from numpy.typing import NDArray

from sim.federation.wire.flower import NPY, SharedArray
from sim.messages import Entry, UnusableError, Value
from sim.untrusted import LARGEST_BITS, MOST_CHARACTERS, described

MOST_ENTRIES = 64  # of a record or an object in a reply; an honest one has 12


def attributes(thing: object, kind: type, what: str) -> dict[str, object]:
    """The attributes of a thing that is exactly a ``kind``."""
    if type(thing) is not kind:
        raise UnusableError(f"{what} is {described(thing)}, expected {kind.__name__}")
    return _plain(thing.__dict__, what)


def entries_of(
    record: object, kind: type[RecordDict | ArrayRecord | ConfigRecord | MetricRecord], what: str
) -> dict[str, object]:
    """The entries of a record that is exactly a ``kind``."""
    return _plain(attributes(record, kind, what).get("_data"), what)


def _plain(entries: object, what: str) -> dict[str, object]:
    """``entries``, once a look-up in them runs nobody's code: few, by names of exactly str."""
    if type(entries) is not dict:
        raise UnusableError(f"{what} holds {described(entries)}, expected names and values")
    if len(entries) > MOST_ENTRIES:
        raise UnusableError(f"{what} holds {len(entries)} entries, expected at most {MOST_ENTRIES}")
    for name in entries:
        if type(name) is not str:
            raise UnusableError(f"{what} holds {described(name)} for a name")
    return entries


def metadata_in(reply: object) -> dict[str, object]:
    """The metadata of a reply, by the names that Flower has for them."""
    message = attributes(reply, Message, "the reply")
    return attributes(message.get("_metadata"), Metadata, "the metadata")


def reason_in(error: object) -> str:
    """The reason that an error reply states."""
    reason = attributes(error, Error, "the error").get("_reason")
    return "no reason given" if reason is None else described(reason)


def array_in(
    array: object, dtype: str, shape: tuple[int, ...], what: str, has: str = ""
) -> NDArray[np.generic]:
    """A copy of an array that is exactly of ``dtype`` and ``shape``, serialized or not.

    The form is checked before anything is decoded. ``has``: how a reason starts that states dtype
    or shape.
    """
    agreed = np.dtype(dtype)
    if type(array) is not SharedArray:
        return _decoded(attributes(array, Array, what), agreed, shape, what, has)
    values = attributes(array, SharedArray, what).get("values")
    if type(values) is not np.ndarray:
        raise UnusableError(f"{what} is {described(values)}, expected an array of numpy")
    if values.dtype is agreed and values.shape == shape:
        return values.copy()
    stated = values.dtype.str if values.dtype.names else str(values.dtype)
    _check_form(stated, values.shape, agreed, shape, has)
    plain = np.empty(shape, agreed)  # of the plain dtype, whatever else the one that came carries
    plain[...] = values
    return plain


def _decoded(
    fields: dict[str, object], agreed: np.dtype[Any], shape: tuple[int, ...], what: str, has: str
) -> NDArray[Any]:
    """The array that exactly agreed bytes are, without a decoder that more could be asked of."""
    _check_form(fields.get("dtype"), fields.get("shape"), agreed, shape, has)
    stype = fields.get("stype")
    if type(stype) is not str or stype != NPY:
        raise UnusableError(f"an array serialized as {described(stype)}, expected {NPY}")
    data = fields.get("data")
    head = _npy_head(agreed.str, shape)
    n_bytes = len(head) + agreed.itemsize * math.prod(shape)
    if type(data) is not bytes or len(data) != n_bytes or not data.startswith(head):
        expected = f"expected {n_bytes} that begin as .npy of its form"
        raise UnusableError(f"{what} cannot be decoded: {described(data)}, {expected}")
    return np.frombuffer(data, agreed, offset=len(head)).reshape(shape).copy()


def _check_form(
    dtype: object, shape: object, agreed: np.dtype[Any], expected: tuple[int, ...], has: str
) -> None:
    if type(dtype) is not str or dtype != agreed.name:
        raise UnusableError(f"{has}dtype {described(dtype)}, expected {agreed.name}")
    if type(shape) is not tuple or any(type(n) is not int for n in shape) or shape != expected:
        raise UnusableError(f"{has}shape {described(shape)}, expected {expected}")


@lru_cache(maxsize=32)
def _npy_head(descr: str, shape: tuple[int, ...]) -> bytes:
    """The bytes that numpy writes before the values of an array."""
    file = BytesIO()
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue()


def number_in(name: str, value: object) -> float:
    """A finite number that a hospital reports under a printable name."""
    if len(name) > MOST_CHARACTERS or not name.isprintable():
        expected = f"expected at most {MOST_CHARACTERS} printable characters"
        raise UnusableError(f"reports a number named {described(name)}, {expected}")
    if type(value) is float or (type(value) is int and value.bit_length() <= LARGEST_BITS):
        number = float(value)
        if math.isfinite(number):
            return number
    raise UnusableError(f"reports {described(name)}={described(value)}, expected a finite number")


def value_in(name: str, value: object, entry: Entry) -> Value:
    """A value that is exactly as ``entry`` asks; a list is copied."""
    if entry.most_entries is None:
        if _fits(value, entry):
            plain: Any = value
            one: Value = plain
            return one
        kind = entry.kind.__name__
    else:
        short = type(value) is list and len(value) <= entry.most_entries
        given: Any = value
        if short and all(_fits(part, entry) for part in given):
            return list(given)
        kind = f"a list of at most {entry.most_entries} {entry.kind.__name__}"
    raise UnusableError(
        f"value {name} is {described(value)}, expected {kind} of at most {entry.most:g}"
    )


def _fits(value: object, entry: Entry) -> bool:
    if type(value) is not entry.kind:
        return False
    if isinstance(value, (str, bytes)):
        return len(value) <= entry.most
    if isinstance(value, int) and value.bit_length() > LARGEST_BITS:
        return False
    return isinstance(value, (int, float)) and math.isfinite(value) and abs(value) <= entry.most
