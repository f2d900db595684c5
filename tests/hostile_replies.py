"""The table of hostile replies: what one hospital's app may do in place of an honest answer, and a
part of the reason recorded.

Add a line to a table and it is tried on every path. An entry is a function of the message and the
context that the app is given; it returns anything, or raises. A table of contents states what the
honest reply holds instead.
"""

# An entry leaves unused what it is given; an entry is one line.

from __future__ import annotations

import asyncio
import functools
import io
import pickle
import signal
import tempfile
import types
import weakref
from collections import OrderedDict
from collections.abc import Callable
from copy import copy, deepcopy
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn
from unittest.mock import Mock

import numpy as np
import torch
from flwr.app import (
    Array,
    ArrayRecord,
    ConfigRecord,
    Context,
    Error,
    Message,
    Metadata,
    MetricRecord,
    RecordDict,
)
from numpy.typing import NDArray

from sim.errors import InputError, PluginError, RefusedError
from sim.federation import wire
from tests.federation import answer_drawn

Entry = Callable[[Message, Context], Any]
Update = NDArray[np.float32]
SURROGATE, ANSI, BIDI = "\ud800", "\x1b[2J\x1b[31mok", "\u202eevil"
NAMES = {
    "a surrogate": SURROGATE,
    "escapes": ANSI,
    "bidi controls": BIDI,
    "a line end": "a\nb",
    "a megabyte": "x" * 10**6,
}


class Raises:
    """An object of which every use raises; ``error`` is what."""

    error: type[BaseException] = KeyboardInterrupt

    def _raise(self, *_: Any) -> NoReturn:
        raise self.error("used")

    __repr__ = __str__ = __eq__ = __hash__ = __bool__ = __len__ = __iter__ = __index__ = (
        __float__
    ) = __int__ = _raise
    __getitem__ = __contains__ = __call__ = __lt__ = __format__ = __array__ = __reduce_ex__ = _raise
    __class__ = property(_raise)


class Whole(int):
    """A whole number that is another one when it is compared."""

    def __le__(self, _: Any) -> bool:
        return True


class Text(str):
    """A text that equals every other."""

    __slots__ = ()

    def __eq__(self, _: object) -> bool:
        return True

    __hash__ = str.__hash__


class Key:
    """A name with the hash of another one, that raises when it is compared."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __hash__(self) -> int:
        return hash(self.name)

    def __eq__(self, _: object) -> NoReturn:
        raise SystemExit("compared")


class Dict(dict[Any, Any]):
    """A mapping that raises when it is looked into."""

    def _raise(self, *_: Any) -> NoReturn:
        raise GeneratorExit

    get = keys = items = values = __getitem__ = __iter__ = __len__ = __contains__ = _raise


class Lying(np.ndarray):
    """An array of NaN that claims to be what was agreed."""

    def copy(self, *_: Any, **__: Any) -> Any:
        return np.zeros(len(self), np.float32)

    def __array_ufunc__(self, *_: Any, **__: Any) -> Any:
        return np.ones(len(self), bool)


class Bomb:
    """Pickled, an instruction to create the file ``place``."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.place,)


# --- how a reply is put together without Flower's checks


def made(kind: type, fields: dict[str, Any]) -> Any:
    """An object of exactly this type with exactly these attributes."""
    thing = object.__new__(kind)
    thing.__dict__.update(fields)
    return thing


def changed(thing: Any, **fields: Any) -> Any:
    """A copy of an object with some attributes replaced."""
    return made(type(thing), {**thing.__dict__, **fields})


def record(kind: type, data: Any) -> Any:
    return changed(kind(), _data=data)


def shared(values: Any) -> Any:
    """An array that came without being serialized."""
    return made(
        wire.SharedArray,
        {"values": values, "dtype": "float32", "shape": (1,), "stype": "numpy.ndarray"},
    )


def records(
    array: Any, count: Any = 50, name: Any = wire.UPDATE, metrics: dict[Any, Any] | None = None
) -> RecordDict:
    numbers = record(MetricRecord, {wire.COUNT: count, **(metrics or {})})
    return record(
        RecordDict, {wire.ARRAYS: record(ArrayRecord, {name: array}), wire.METRICS: numbers}
    )


def honest(message: Message, context: Context) -> Message:
    return answer_drawn(message, context)


def update_of(message: Message, context: Context) -> Update:
    return wire.read_report(
        honest(message, context), len(wire.read_task(message).weights), 50
    ).update


def holding(content: Callable[[Update], Any]) -> Entry:
    """Reply with this content in place of the update."""
    return lambda m, c: changed(honest(m, c), _content=content(update_of(m, c)))


# --- 1. the update, as it is in memory


def one(update: Update, at: int, value: float) -> Update:
    update = update.copy()
    update[at] = value
    return update


def masked(update: Update) -> Any:
    return np.ma.masked_invalid(one(update, 0, np.nan))


@lru_cache(maxsize=4)
def mapped(n: int) -> Any:
    with tempfile.NamedTemporaryFile() as file:
        file.write(bytes(4 * n))
        file.flush()
        return np.memmap(file.name, np.float32, "r", shape=(n,))


def objects(update: Update) -> Any:
    values = np.empty(len(update), object)
    for place in range(len(values)):
        values[place] = Raises()
    return values


VALUES: dict[str, tuple[Callable[[Update], Any], str]] = {
    "nan first": (lambda u: one(u, 0, np.nan), "values that are not finite"),
    "nan last": (lambda u: one(u, -1, np.nan), "values that are not finite"),
    "infinity": (lambda u: one(u, 1, np.inf), "values that are not finite"),
    "minus infinity": (lambda u: one(u, 1, -np.inf), "values that are not finite"),
    "all nan": (lambda u: np.full_like(u, np.nan), "values that are not finite"),
    "signaling nan": (
        lambda u: np.full(len(u), 0x7F800001, np.uint32).view(np.float32),
        "values that are not finite",
    ),
    "nan behind a mask": (masked, "type MaskedArray"),
    "a masked array of zeros": (lambda u: np.ma.zeros(len(u), np.float32), "type MaskedArray"),
    "a subclass that lies": (lambda u: np.full_like(u, np.nan).view(Lying), "type Lying"),
    "a matrix": (lambda u: np.matrix(u), "type matrix"),
    "an array of records": (lambda u: u.view(np.recarray), "type recarray"),
    "an array on disk": (lambda u: mapped(len(u)), "type memmap"),
    "characters": (lambda u: np.array(["a"] * len(u)).view(np.char.chararray), "type chararray"),
    "one value too many": (lambda u: np.append(u, u[:1]), "shape ("),
    "one value too few": (lambda u: u[:-1], "shape ("),
    "empty": (lambda u: u[:0], "shape (0,)"),
    "one row": (lambda u: u[None], "shape (1, "),
    "one column": (lambda u: u[:, None], "shape ("),
    "no dimension": (lambda u: u[:1].reshape(()), "shape ()"),
    "sixty dimensions": (lambda u: u.reshape(len(u), *[1] * 60), "shape ("),
    "a hundred million values": (
        lambda _u: np.broadcast_to(np.float32(1), 10**8),
        "shape (100000000,)",
    ),
    "an exbibyte of values": (
        lambda _u: np.broadcast_to(np.float32(1), 2**58),
        "shape (288230376151711744,)",
    ),
    "double precision": (lambda u: u.astype(np.float64), "dtype float64"),
    "half precision": (lambda u: u.astype(np.float16), "dtype float16"),
    "long double": (lambda u: u.astype(np.longdouble), "dtype float"),
    "whole numbers": (lambda u: u.astype(np.int64), "dtype int64"),
    "bytes": (lambda u: u.astype(np.int8), "dtype int8"),
    "truth values": (lambda u: u > 0, "dtype bool"),
    "complex": (lambda u: u.astype(np.complex64), "dtype complex64"),
    "other byte order": (lambda u: u.astype(">f4"), "dtype >f4"),
    "objects": (objects, "dtype object"),
    "structures": (
        lambda u: np.zeros(len(u), [(f"f{i}", "f4") for i in range(1000)]),
        "dtype |V4000",
    ),
    "moments": (lambda u: u.astype(np.int64).astype("M8[s]"), "dtype datetime64"),
    "texts": (lambda u: np.array(["x"] * len(u)), "dtype <U1"),
    "a list": (lambda u: u.tolist(), "expected an array"),
    "a tensor": (lambda u: torch.from_numpy(u), "type Tensor"),
    "nothing": (lambda _u: None, "the update is None"),
    "a text": (lambda _u: "update", "the update is update"),
    "a number": (lambda _u: 1.0, "the update is 1.0"),
    "a number of numpy": (lambda u: u[0], "type float32"),
    "a view of memory": (lambda u: memoryview(u), "type memoryview"),
    "raw bytes": (lambda u: u.tobytes(), "bytes, expected an array"),
    "an object that raises": (lambda _u: Raises(), "type Raises"),
}

# --- 2. the update, serialized


def npy(values: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, values, **options)
    return file.getvalue()


def headed(update: Update, version: int = 1, **header: Any) -> bytes:
    """The bytes of an update behind a header that states something else."""
    file = io.BytesIO()
    stated = {"descr": "<f4", "fortran_order": False, "shape": update.shape, **header}
    {1: np.lib.format.write_array_header_1_0, 2: np.lib.format.write_array_header_2_0}[version](
        file, stated
    )
    return file.getvalue() + update.tobytes()


@lru_cache(maxsize=1)
def bomb() -> bytes:
    """An archive of some kilobytes that unpacks to 40 megabytes."""
    file = io.BytesIO()
    np.savez_compressed(file, update=np.zeros(10**7, np.float32))
    return file.getvalue()


def archive(update: Update) -> bytes:
    file = io.BytesIO()
    np.savez(file, update)
    return file.getvalue()


def spoiled(update: Update) -> bytes:
    whole = bytearray(npy(update))
    whole[3] = 0
    return bytes(whole)


def pickled(_: Update) -> bytes:
    return pickle.dumps(Bomb(Path("flag-of-a-pickled-reply")))


def pickled_array(_: Update) -> bytes:
    return npy(np.array([Bomb(Path("flag-of-a-pickled-reply"))], dtype=object), allow_pickle=True)


class Bytes(bytes):
    """Bytes that claim a length of their own."""

    def __len__(self) -> int:
        return 0


UNDECODABLE = "the update cannot be decoded: "
BYTES: dict[str, tuple[Callable[[Update], Any], str]] = {
    "an archive": (archive, UNDECODABLE),
    "a bomb": (lambda _u: bomb(), UNDECODABLE),
    "a pickle": (pickled, UNDECODABLE),
    "a pickled array": (pickled_array, UNDECODABLE),
    "no bytes": (lambda _u: b"", UNDECODABLE + "0 bytes"),
    "half of the bytes": (lambda u: npy(u)[: len(npy(u)) // 2], UNDECODABLE),
    "one byte missing": (lambda u: npy(u)[:-1], UNDECODABLE),
    "one byte more": (lambda u: npy(u) + b"\0", UNDECODABLE),
    "no header": (lambda u: u.tobytes(), UNDECODABLE),
    "a header alone": (lambda u: npy(u)[:128], UNDECODABLE),
    "a spoiled header": (spoiled, UNDECODABLE),
    "a header of another version": (lambda u: headed(u, 2), UNDECODABLE),
    "a header of another shape": (lambda u: headed(u, shape=(1, len(u))), UNDECODABLE),
    "a header of 4 terabytes": (lambda u: headed(u, shape=(10**12,)), UNDECODABLE),
    "a header of half the values": (lambda u: headed(u, shape=(len(u) // 2,)), UNDECODABLE),
    "a header in Fortran's order": (lambda u: headed(u, fortran_order=True), UNDECODABLE),
    "a header of the other byte order": (lambda u: headed(u, descr=">f4"), UNDECODABLE),
    "a header of whole numbers": (lambda u: headed(u, descr="<i4"), UNDECODABLE),
    "a header of objects": (lambda u: headed(u, descr="|O"), UNDECODABLE),
    "double precision under another name": (lambda u: npy(u.astype(np.float64)), UNDECODABLE),
    "a megabyte of zeros": (lambda _u: bytes(10**6), UNDECODABLE + "1000000 bytes"),
    "nan, serialized": (lambda u: npy(one(u, 0, np.nan)), "values that are not finite"),
    "an editable array of bytes": (
        lambda u: bytearray(npy(u)),
        UNDECODABLE + "an object of type bytearray",
    ),
    "a view of bytes": (lambda u: memoryview(npy(u)), UNDECODABLE),
    "bytes of a kind of its own": (
        lambda u: Bytes(npy(u)),
        UNDECODABLE + "an object of type Bytes",
    ),
    "a text for bytes": (lambda _u: "\x93NUMPY", UNDECODABLE),
    "nothing for bytes": (lambda _u: None, UNDECODABLE + "None"),
    "an object for bytes": (lambda _u: Raises(), UNDECODABLE + "an object of type Raises"),
}


def described(**fields: Any) -> Entry:
    """The honest bytes with another description."""

    def content(update: Update) -> RecordDict:
        good = {
            "dtype": "float32",
            "shape": update.shape,
            "stype": "numpy.ndarray",
            "data": npy(update),
        }
        return records(made(Array, {**good, **fields}))

    return holding(content)


def undescribed(field: str) -> Entry:
    """The honest bytes without a part of their description."""

    def content(update: Update) -> RecordDict:
        array = Array(update)
        del array.__dict__[field]
        return records(array)

    return holding(content)


class OwnArray(Array):
    """An array that decodes itself."""

    def numpy(self) -> Any:
        raise SystemExit("decoded")


DESCRIPTIONS: dict[str, tuple[Entry, str]] = {
    "described as double precision": (
        described(dtype="float64"),
        "dtype float64, expected float32",
    ),
    "described as an object": (described(dtype=Raises()), "dtype an object of type Raises"),
    "described by a text that equals all": (
        described(dtype=Text("float64")),
        "dtype an object of type Text",
    ),
    "described as another shape": (described(shape=(3,)), "shape (3,), expected ("),
    "described as 4 terabytes": (described(shape=(10**12,)), "shape (1000000000000,), expected ("),
    "described as 10**400 values": (
        described(shape=(10**400,)),
        "shape (a whole number of 1329 bits,)",
    ),
    "described as minus one value": (described(shape=(-1,)), "shape (-1,)"),
    "described by a list": (described(shape=[5]), "shape [5]"),
    "described by a truth value": (described(shape=(True,)), "shape (True,)"),
    "described by a number of numpy": (
        described(shape=(np.int64(5),)),
        "shape (an object of type int64,)",
    ),
    "described by a whole number that equals all": (
        described(shape=(Whole(5),)),
        "shape (an object of type Whole,)",
    ),
    "described by a million dimensions": (described(shape=(1,) * 10**6), "and 999996 more)"),
    "described by objects": (described(shape=(Raises(),)), "shape (an object of type Raises,)"),
    "serialized by torch": (
        described(stype="torch"),
        "an array serialized as torch, expected numpy.ndarray",
    ),
    "serialized by nobody": (described(stype=None), "an array serialized as None"),
    "serialized with escapes": (described(stype=ANSI), r"an array serialized as \x1b[2J"),
    "without a dtype": (undescribed("dtype"), "dtype None"),
    "without a shape": (undescribed("shape"), "shape None"),
    "without bytes": (undescribed("data"), UNDECODABLE + "None"),
    "an array that decodes itself": (
        holding(lambda u: records(changed(made(OwnArray, vars(Array(u)))))),
        "the update is an object of type OwnArray",
    ),
    "an array of numpy, unwrapped": (
        holding(lambda u: records(u)),
        "the update is an object of type ndarray, expected Array",
    ),
    "a description by names that are none": (
        holding(lambda u: records(made(Array, {**vars(Array(u)), Key("another"): "float32"}))),
        "holds an object of type Key for a name",
    ),
}

# --- 3. the records


def many(n: int) -> Callable[[Update], RecordDict]:
    return lambda _u: record(RecordDict, {f"record {i}": ArrayRecord() for i in range(n)})


def with_arrays(data: Callable[[Update], Any]) -> Callable[[Update], RecordDict]:
    def content(update: Update) -> RecordDict:
        good = records(shared(update))
        return record(
            RecordDict, {**vars(good)["_data"], wire.ARRAYS: record(ArrayRecord, data(update))}
        )

    return content


def with_metrics(metrics: Any) -> Callable[[Update], RecordDict]:
    def content(update: Update) -> RecordDict:
        good = records(shared(update))
        return record(RecordDict, {**vars(good)["_data"], wire.METRICS: metrics})

    return content


def circular(_: Update) -> RecordDict:
    loop = record(RecordDict, {})
    vars(loop)["_data"].update({wire.ARRAYS: loop, wire.METRICS: loop})
    return loop


class OwnRecords(RecordDict):
    """Records of a kind of its own."""

    def __getitem__(self, _: Any) -> NoReturn:
        raise KeyboardInterrupt


class OwnMetrics(MetricRecord):
    """Numbers of a kind of its own."""


RECORDS: dict[str, tuple[Callable[[Update], Any], str]] = {
    "no records": (lambda _u: RecordDict(), "records [], expected arrays and metrics"),
    "no metrics": (
        lambda u: record(RecordDict, {wire.ARRAYS: wire.shared({wire.UPDATE: u})}),
        "records ['arrays'], expected",
    ),
    "no arrays": (
        lambda _u: record(RecordDict, {wire.METRICS: MetricRecord({wire.COUNT: 50})}),
        "records ['metrics'], expected",
    ),
    "records of other names": (
        lambda u: record(
            RecordDict,
            {"array": wire.shared({wire.UPDATE: u}), wire.METRICS: MetricRecord({wire.COUNT: 50})},
        ),
        "records ['array', 'metrics'], expected",
    ),
    "one record too many": (
        lambda u: record(RecordDict, {**vars(records(shared(u)))["_data"], "more": ConfigRecord()}),
        "records ['arrays', 'metrics', 'more'], expected",
    ),
    "ten thousand records": (many(10_000), "the content holds 10000 entries"),
    "records of swapped kinds": (
        lambda _u: record(
            RecordDict, {wire.ARRAYS: MetricRecord({wire.COUNT: 50}), wire.METRICS: ArrayRecord()}
        ),
        "arrays is an object of type MetricRecord, expected ArrayRecord",
    ),
    "settings for metrics": (
        with_metrics(ConfigRecord({wire.COUNT: 50})),
        "metrics is an object of type ConfigRecord",
    ),
    "metrics of a kind of its own": (
        with_metrics(OwnMetrics({wire.COUNT: 50})),
        "metrics is an object of type OwnMetrics",
    ),
    "nothing for metrics": (with_metrics(None), "metrics is None"),
    "a mapping for metrics": (with_metrics({wire.COUNT: 50}), "metrics is an object of type dict"),
    "an object for metrics": (with_metrics(Raises()), "metrics is an object of type Raises"),
    "records that hold themselves": (circular, "arrays is an object of type RecordDict"),
    "a mapping for content": (lambda u: {wire.ARRAYS: u}, "the content is an object of type dict"),
    "a text for content": (lambda _u: "content", "the content is content"),
    "an object for content": (lambda _u: Raises(), "the content is an object of type Raises"),
    "content of a kind of its own": (
        lambda u: made(OwnRecords, vars(records(shared(u)))),
        "the content is an object of type Own",
    ),
    "content that holds nothing": (lambda _u: made(RecordDict, {}), "the content holds None"),
    "content that holds a list": (lambda u: record(RecordDict, [u]), "the content holds"),
    "content that raises when looked into": (
        lambda _u: record(RecordDict, Dict()),
        "the content holds an object of type Dict",
    ),
    "names that raise when compared": (
        lambda u: record(RecordDict, {Key(wire.ARRAYS): u, Key(wire.METRICS): 1}),
        "the content holds an object of type Key for a name",
    ),
    "numbers for names": (lambda u: record(RecordDict, {1: u}), "the content holds 1 for a name"),
    "names that equal all": (
        lambda u: record(RecordDict, {Text("x"): u}),
        "the content holds an object of type Text for a name",
    ),
    "array of another name": (
        with_arrays(lambda u: {"weights": shared(u)}),
        "arrays ['weights'], expected update",
    ),
    "no array": (with_arrays(lambda _u: {}), "arrays [], expected update"),
    "one array too many": (
        with_arrays(lambda u: {wire.UPDATE: shared(u), "second": shared(u)}),
        "arrays ['update', 'second'], expected update",
    ),
    "ten thousand arrays": (
        with_arrays(lambda u: {f"{i}": shared(u) for i in range(10_000)}),
        "arrays holds 10000 entries",
    ),
    "arrays in a mapping of its own": (
        with_arrays(lambda u: Dict({wire.UPDATE: u})),
        "arrays holds an object of type Dict",
    ),
    **{
        f"array with {what} in its name": (
            lambda u, name=name: records(shared(u), name=name),
            "arrays ['",
        )
        for what, name in NAMES.items()
    },
}

# --- 4. numbers

COUNTS: dict[str, tuple[Any, str]] = {
    "10**5000 records": (10**5000, "reports a whole number of 16610 bits records"),
    "minus 10**5000 records": (-(10**5000), "reports a whole number of 16610 bits records"),
    "a billion records": (10**9, "reports 1000000000 records"),
    "minus one record": (-1, "reports -1 records"),
    "zero records": (0, "reports 0 records"),
    "two and a half records": (2.5, "reports 2.5 records"),
    "fifty records with a point": (50.0, "reports 50.0 records"),
    "nan records": (float("nan"), "reports nan records"),
    "infinitely many records": (float("inf"), "reports inf records"),
    "true records": (True, "reports True records"),
    "fifty records in words": ("50", "reports 50 records"),
    "records with escapes": (ANSI, r"reports \x1b[2J\x1b[31mok records"),
    "a list of counts": ([50, 50], "reports [50, 50] records"),
    "a million counts": ([50] * 10**6, "and 999996 more] records"),
    "a tuple of counts": ((50,), "reports (50,) records"),
    "no count": (None, "reports None records"),
    "a count that equals all": (Whole(-5), "reports an object of type Whole records"),
    "a count of numpy": (np.int64(50), "reports an object of type int64 records"),
    "an array of counts": (np.array([50]), "reports an object of type ndarray records"),
    "a decimal count": (Decimal(50), "reports an object of type Decimal records"),
    "a fraction of records": (Fraction(50), "reports an object of type Fraction records"),
    "complex records": (50 + 0j, "reports an object of type complex records"),
    "bytes of records": (b"50", "reports 2 bytes records"),
    "an object for records": (Raises(), "reports an object of type Raises records"),
}

NUMBERS: dict[str, tuple[dict[Any, Any], str]] = {
    "10**400": (
        {"loss": 10**400},
        "reports loss=a whole number of 1329 bits, expected a finite number",
    ),
    "epsilon of 10**400": ({"epsilon": 10**400}, "reports epsilon=a whole number of 1329 bits"),
    "nan": ({"loss": float("nan")}, "reports loss=nan"),
    "epsilon of nan": ({"epsilon": float("nan")}, "reports epsilon=nan"),
    "infinity": ({"loss": float("inf")}, "reports loss=inf"),
    "epsilon of infinity": ({"epsilon": float("-inf")}, "reports epsilon=-inf"),
    "a truth value": ({"loss": True}, "reports loss=True"),
    "a text": ({"loss": "low"}, "reports loss=low"),
    "a list": ({"loss": [1.0]}, "reports loss=[1.0]"),
    "a deep list": ({"loss": [[[[[1.0]]]]]}, "reports loss=[an object of type list]"),
    "nothing": ({"loss": None}, "reports loss=None"),
    "a float of numpy": ({"loss": np.float64(1)}, "reports loss=an object of type float64"),
    "an object": ({"loss": Raises()}, "reports loss=an object of type Raises"),
    "a hundred": ({f"loss {i}": 1.0 for i in range(100)}, "metrics holds 101 entries"),
    "names that are none": ({7: 1.0}, "metrics holds 7 for a name"),
    "names that raise": ({Key("loss"): 1.0}, "metrics holds an object of type Key for a name"),
    **{
        f"{what} in a name": ({name: 1.0}, "reports a number named ")
        for what, name in NAMES.items()
    },
}

# --- 5. what an app raises


class SilentError(Exception):
    """Raises where it is shown."""

    def __str__(self) -> str:
        raise KeyboardInterrupt

    __repr__ = __str__


class Meta(type):
    """A type that raises when it is asked for its name."""

    @property
    def __name__(cls) -> str:
        raise SystemExit

    def __repr__(cls) -> str:
        raise GeneratorExit

    __str__ = __repr__

    def __instancecheck__(cls, _: Any) -> bool:
        raise KeyboardInterrupt


class NamelessError(Exception, metaclass=Meta):
    """Of a type that raises."""


class Masked(BaseException):
    """Claims to be something else."""

    __class__ = property(lambda _self: KeyboardInterrupt)
    args = property(lambda _self: 1 / 0)


Long = type("x" * 10**6, (Exception,), {})
Colored = type(ANSI, (Exception,), {})


def endless(depth: int = 0) -> int:
    return endless(depth + 1) + 1


RAISED: dict[str, tuple[Callable[[], BaseException], str]] = {
    "two lines": (lambda: ValueError("two\nlines"), r"ValueError('two\nlines')"),
    "no memory": (MemoryError, "MemoryError()"),
    "a long text": (lambda: RecursionError("x" * 10**6), "RecursionError('xxxx"),
    "an exit": (lambda: SystemExit(3), "SystemExit(3)"),
    "an exit without a code": (SystemExit, "SystemExit()"),
    "an exit with escapes": (lambda: SystemExit(ANSI), r"SystemExit('\x1b[2J"),
    "an interrupt": (KeyboardInterrupt, "KeyboardInterrupt()"),
    "the end of a generator": (GeneratorExit, "GeneratorExit()"),
    "the end of an iteration": (lambda: StopIteration(1), "StopIteration(1)"),
    "a canceled task": (asyncio.CancelledError, "CancelledError()"),
    "an exception at the base": (lambda: BaseException("base"), "BaseException('base')"),
    "an exception that cannot be shown": (lambda: SilentError("x"), "SilentError('x')"),
    "an exception of a type that raises": (lambda: NamelessError("x"), "NamelessError('x')"),
    "an exception that lies about itself": (lambda: Masked("x"), "Masked('x')"),
    "a group": (lambda: ExceptionGroup("group", [ValueError()]), "ExceptionGroup('group'"),
    "a group at the base": (
        lambda: BaseExceptionGroup("g", [KeyboardInterrupt()]),
        "BaseExceptionGroup('g'",
    ),
    "a surrogate": (lambda: ValueError(SURROGATE), r"ValueError('\ud800')"),
    "escapes": (lambda: ValueError(ANSI), r"ValueError('\x1b[2J"),
    "bidi controls": (lambda: ValueError(BIDI), r"ValueError('\u202eevil')"),
    "markup": (lambda: ValueError("[/bold]<script>"), "ValueError('[/bold]<script>')"),
    "a type with a long name": (lambda: Long(1), "xxxx"),
    "a type with escapes in its name": (lambda: Colored(1), r"\x1b[2J"),
    "objects that raise": (
        lambda: ValueError(Raises(), Raises()),
        "ValueError(an object of type Raises, an object of",
    ),
    "a number that cannot be shown": (
        lambda: ValueError(10**5000),
        "ValueError(a whole number of 16610 bits)",
    ),
    "a million arguments": (
        lambda: ValueError(*range(10**6)),
        "ValueError(0, 1, 2, 3, and 999996 more)",
    ),
    "a text of a kind of its own": (
        lambda: ValueError(Text("x")),
        "ValueError(an object of type Text)",
    ),
    "nested arguments": (lambda: ValueError([[Raises()]]), "ValueError([an object of type list])"),
    "a missing file": (
        lambda: FileNotFoundError(2, "No such file", ANSI),
        "FileNotFoundError(2, 'No such file')",
    ),
    "our own word for wrong input": (lambda: InputError("seed", 1, "expected 2"), "InputError("),
    "our own word for a refusal": (lambda: RefusedError("no"), "RefusedError('no')"),
    "our own word for a plug-in's fault": (lambda: PluginError("a.B", "raised"), "PluginError("),
    "our own word for what is unusable": (
        lambda: wire.UnusableError("another hospital"),
        "UnusableError('another hospital')",
    ),
    "a warning": (lambda: UserWarning("x"), "UserWarning('x')"),
    "a division by zero": (ZeroDivisionError, "ZeroDivisionError()"),
}


def raising(error: Callable[[], BaseException]) -> Entry:
    def app(_message: Message, _context: Context) -> NoReturn:
        raise error()

    return app


# --- 6. what an app gives back


class OwnMessage(Message):
    """A message of a kind of its own."""


def coroutine(message: Message, context: Context) -> Any:
    async def app() -> Message:
        return honest(message, context)

    made = app()
    made.close()
    return made


def without(name: str) -> Entry:
    def app(message: Message, context: Context) -> Message:
        reply = copy(honest(message, context))
        del reply.__dict__[name]
        return reply

    return app


GIVEN: dict[str, tuple[Entry, str]] = {
    "nothing": (lambda _m, _c: None, "the reply is None"),
    "a text": (lambda _m, _c: "a reply", "the reply is a reply"),
    "a text with escapes": (lambda _m, _c: ANSI, r"the reply is \x1b[2J"),
    "records": (lambda _m, _c: RecordDict(), "the reply is an object of type RecordDict"),
    "a number": (lambda _m, _c: 10**5000, "the reply is a whole number of 16610 bits"),
    "an exception": (
        lambda _m, _c: KeyboardInterrupt("x"),
        "the reply is an object of type KeyboardInterrupt",
    ),
    "a class": (lambda _m, _c: Message, "the reply is an object of type type"),
    "a class that raises": (lambda _m, _c: NamelessError, "the reply is an object of type Meta"),
    "a list of replies": (
        lambda m, c: [honest(m, c)] * 2,
        "the reply is [an object of type Message",
    ),
    "a pair": (lambda m, c: (honest(m, c), c), "the reply is (an object of type Message, "),
    "a generator": (
        lambda m, c: (honest(m, c) for _ in range(2)),
        "the reply is an object of type generator",
    ),
    "a coroutine": (coroutine, "the reply is an object of type coroutine"),
    "an object that raises": (lambda _m, _c: Raises(), "the reply is an object of type Raises"),
    "an object like a message": (
        lambda m, c: types.SimpleNamespace(**vars(honest(m, c))),
        "type SimpleNamespace",
    ),
    "a message of a kind of its own": (
        lambda m, c: made(OwnMessage, vars(honest(m, c))),
        "type OwnMessage",
    ),
    "a message without anything": (lambda _m, _c: made(Message, {}), "the metadata is None"),
    "a message without content": (
        lambda m, c: changed(honest(m, c), _content=None),
        "the reply has no content",
    ),
    "a message without a place for content": (without("_content"), "the reply has no content"),
    "a message without metadata": (without("_metadata"), "the metadata is None"),
    "the message itself": (lambda m, _c: m, "sender "),
    "a message with a hundred attributes": (
        lambda m, c: changed(honest(m, c), **{f"more{i}": i for i in range(100)}),
        "the reply holds 10",
    ),
    "a new message": (lambda _m, _c: Message(RecordDict(), 1, "train"), "sender "),
}

# --- 7. in whose name


def signed(**fields: Any) -> Entry:
    """The honest reply with some of its metadata replaced."""

    def app(message: Message, context: Context) -> Message:
        reply = honest(message, context)
        return changed(reply, _metadata=changed(reply.metadata, **fields))

    return app


def readdressed(message: Message, context: Context) -> Message:
    """Edit the message that was given, so that the reply to it is from another node."""
    message.metadata.__dict__["_dst_node_id"] = 1
    return honest(message, context)


def readdressed_copy(message: Message, context: Context) -> Message:
    message = deepcopy(message)
    message.metadata.dst_node_id = 1
    return honest(message, context)


def renamed(message: Message, context: Context) -> Message:
    """Edit everything that was given."""
    context.__dict__["node_id"] = 1
    context.node_config[wire.PARTITION] = 0
    message.metadata.__dict__.update(_dst_node_id=1, _message_id="1")
    return honest(message, context)


class OwnMetadata(Metadata):
    """Metadata of a kind of its own."""


SIGNED: dict[str, tuple[Entry, str]] = {
    "another hospital's, by editing the message": (readdressed, "sender 1, expected "),
    "another hospital's, by editing a copy": (readdressed_copy, "sender 1, expected "),
    "another hospital's, by editing all": (renamed, "sender 1, expected "),
    "another hospital's": (signed(_src_node_id=1), "sender 1, expected "),
    "another hospital's and its message": (
        signed(_src_node_id=1, _reply_to_message_id="1"),
        "sender 1, expected ",
    ),
    "a node's that is not there": (signed(_src_node_id=10**9), "sender 1000000000, expected "),
    "no node's": (signed(_src_node_id=None), "sender None, expected "),
    "a text": (signed(_src_node_id="1"), "sender 1, expected "),
    "a truth value": (signed(_src_node_id=True), "sender True, expected "),
    "a fraction": (signed(_src_node_id=1.0), "sender 1.0, expected "),
    "10**5000": (signed(_src_node_id=10**5000), "sender a whole number of 16610 bits, expected "),
    "a number that equals all": (
        signed(_src_node_id=Whole(1)),
        "sender an object of type Whole, expected ",
    ),
    "an object that raises": (
        signed(_src_node_id=Raises()),
        "sender an object of type Raises, expected ",
    ),
    "to another node": (signed(_dst_node_id=2), "receiver 2, expected 1"),
    "of another run": (signed(_run_id=2), "run 2, expected 1"),
    "of a run that raises": (signed(_run_id=Raises()), "run an object of type Raises, expected 1"),
    "of no message": (signed(_reply_to_message_id=""), "reply to message , expected "),
    "of another message": (
        signed(_reply_to_message_id="99999"),
        "reply to message 99999, expected ",
    ),
    "of a message with escapes": (signed(_reply_to_message_id=ANSI), r"reply to message \x1b[2J"),
    "of a message with a surrogate": (
        signed(_reply_to_message_id=SURROGATE),
        r"reply to message \ud800",
    ),
    "of another kind": (signed(_message_type="query"), "message of type query, expected train"),
    "of a kind that equals all": (
        signed(_message_type=Text("query")),
        "message of type an object of type Text, expected train",
    ),
    "by metadata of a kind of its own": (
        lambda m, c: changed(
            honest(m, c), _metadata=made(OwnMetadata, vars(honest(m, c).metadata))
        ),
        "the metadata is an object of type OwnMetadata",
    ),
    "by a mapping": (
        lambda m, c: changed(honest(m, c), _metadata={}),
        "the metadata is an object of type dict",
    ),
    "by empty metadata": (
        lambda m, c: changed(honest(m, c), _metadata=made(Metadata, {})),
        "run None, expected 1",
    ),
    "by an object that raises": (
        lambda m, c: changed(honest(m, c), _metadata=Raises()),
        "the metadata is an object of type Raises",
    ),
}

# --- 8. errors that are replies


def failing(error: Any) -> Entry:
    return lambda m, c: changed(honest(m, c), _content=None, _error=error)


class OwnError(Error):
    """An error of a kind of its own."""


FAILED: dict[str, tuple[Entry, str]] = {
    "no reason": (failing(Error(1, None)), "no reason given"),
    "a reason with lines": (failing(Error(1, "a\nb")), r"a\nb"),
    "a long reason": (failing(Error(1, "x" * 10**6)), "xxxx"),
    "a reason with escapes": (failing(Error(1, ANSI)), r"\x1b[2J"),
    "a reason with bidi controls": (failing(Error(1, BIDI)), r"\u202eevil"),
    "a reason with a surrogate": (failing(Error(1, SURROGATE)), r"\ud800"),
    "a reason that raises": (failing(Error(1, Raises())), "an object of type Raises"),
    "a code that raises": (failing(Error(Raises(), "x")), "x"),
    "an error of a kind of its own": (
        failing(OwnError(1, "x")),
        "the error is an object of type OwnError",
    ),
    "a text": (failing("error"), "the error is error"),
    "an object that raises": (failing(Raises()), "the error is an object of type Raises"),
    "an error beside a good update": (
        lambda m, c: changed(honest(m, c), _error=Error(1, "both")),
        "both",
    ),
}

# --- 9. what an app does to what it is given, and objects that are more than they seem


class Equal(type):
    """A type that raises when it is compared or hashed."""

    def __eq__(cls, _: object) -> NoReturn:
        raise KeyboardInterrupt

    def __hash__(cls) -> NoReturn:
        raise KeyboardInterrupt


class Compared(metaclass=Equal):
    """Of a type that raises."""


def looked_into(thing: Any) -> Any:
    """The same thing with attributes that raise when they are looked into."""
    thing.__dict__ = Dict(thing.__dict__)
    return thing


def then_fails(change: Callable[[Message, Context], Any]) -> Entry:
    def app(message: Message, context: Context) -> NoReturn:
        change(message, context)
        raise ValueError("done")

    return app


def dressed(message: Message, context: Context) -> None:
    """Give the message and the context types of its own."""
    own = type("Own", (Context,), {"state": property(lambda _self: endless())})
    context.__class__, message.__class__ = own, OwnMessage


OTHER: dict[str, tuple[Entry, str]] = {
    "gives what cannot be compared": (
        lambda _m, _c: Compared(),
        "the reply is an object of type Compared",
    ),
    "reply that raises when looked into": (
        lambda m, c: looked_into(honest(m, c)),
        "the reply holds an object of type Dict",
    ),
    "metadata that raise when looked into": (
        lambda m, c: changed(honest(m, c), _metadata=looked_into(changed(honest(m, c).metadata))),
        "the metadata holds an object of type Dict",
    ),
    "array that raises when looked into": (
        holding(lambda u: records(looked_into(Array(u)))),
        "the update holds an object of type Dict",
    ),
    "shared array that raises when looked into": (
        holding(lambda u: records(looked_into(shared(u)))),
        "the update holds an object",
    ),
    "an array that decodes itself by an attribute": (
        holding(
            lambda u: records(made(Array, {**vars(Array(u)), "numpy": lambda: u, "data": b""}))
        ),
        UNDECODABLE + "0 bytes",
    ),
    "deletes all it is given": (
        then_fails(lambda m, c: (m.__dict__.clear(), c.__dict__.clear())),
        "ValueError('done')",
    ),
    "dresses all it is given": (then_fails(dressed), "ValueError('done')"),
    "deletes its state": (then_fails(lambda _m, c: c.__dict__.pop("state")), "ValueError('done')"),
    "ignores interrupts": (
        then_fails(lambda _m, _c: signal.signal(signal.SIGINT, signal.SIG_IGN)),
        "ValueError('done')",
    ),
    "makes numpy raise": (then_fails(lambda _m, _c: np.seterr(all="raise")), "ValueError('done')"),
    "a hundred thousand messages": (
        lambda m, c: [honest(m, c), *[m] * 10**5],
        "the reply is [an object of type Message, ",
    ),
    "an error that is false": (failing(False), "the error is False, expected Error"),
    "a stack of marks": (
        raising(lambda: ValueError("e" + "\u0301" * 1000)),
        r"ValueError('e\u0301\u0301",
    ),
}

# --- 8. what is like a reply from outside, refers to itself, or ends elsewhere


def own_list() -> list[Any]:
    """A list that holds itself."""
    found = list[Any]()
    found.append(found)
    return found


def like_a_message(message: Message, context: Context) -> Any:
    """An object that claims to be a message, with the parts of an honest one."""
    found = Mock(spec=Message)
    found.__dict__.update(vars(honest(message, context)))
    return found


def reclassed(update: Update) -> Any:
    """Records that were Flower's own when they were made."""
    content = records(shared(update))
    content.__class__ = OwnRecords
    return content


class SelfCausedError(ValueError):
    """An exception that is its own cause, with notes that are none."""

    def __init__(self) -> None:
        super().__init__(own_list())
        self.__cause__ = self.__context__ = self
        self.__notes__: Any = Raises()


def fields_of(update: Update) -> Any:
    return update.view([("value", "<f4")])


INVENTED: dict[str, tuple[Entry, str]] = {
    "an object that claims to be a message": (
        like_a_message,
        "the reply is an object of type Mock",
    ),
    "a proxy of a message": (
        lambda m, c: weakref.proxy(HELD.setdefault(id(m), honest(m, c))),
        "the reply is an object of type ",
    ),
    "a part of a function": (
        lambda m, c: functools.partial(honest, m, c),
        "the reply is an object of type partial",
    ),
    "a generator for content": (
        lambda m, c: changed(honest(m, c), _content=(_ for _ in ())),
        "the content is an object of ",
    ),
    "a generator for entries": (
        holding(lambda _u: record(RecordDict, (_ for _ in ()))),
        "the content holds an object ",
    ),
    "a view of entries": (
        holding(
            lambda u: record(RecordDict, types.MappingProxyType(vars(records(shared(u)))["_data"]))
        ),
        "the content holds an object of type mappingproxy",
    ),
    "entries with an order": (
        holding(lambda u: record(RecordDict, OrderedDict(vars(records(shared(u)))["_data"]))),
        "the content holds an object of type OrderedDict",
    ),
    "records of a kind that they were not made as": (
        holding(reclassed),
        "the content is an object of type OwnRecords",
    ),
    "a list that holds itself for a count": (
        holding(lambda u: records(shared(u), own_list())),
        "reports [an object of type list]",
    ),
    "a list that holds itself for a number": (
        holding(lambda u: records(shared(u), metrics={"loss": own_list()})),
        "reports loss=[an object of type list]",
    ),
    "a count with a sign alone": (
        holding(lambda u: records(shared(u), -0.0)),
        "reports -0.0 records",
    ),
    "a constant for a count": (
        holding(lambda u: records(shared(u), signal.SIGINT)),
        "reports an object of type Signals records",
    ),
    "a text of a hundred megabytes": (lambda _m, _c: "x" * 10**8, "the reply is xxxx"),
    "a text of null characters": (lambda _m, _c: "\0" * 1000, r"the reply is \x00"),
    "an update of one field": (
        holding(lambda u: records(shared(fields_of(u)))),
        "dtype |V4, expected float32",
    ),
    "an update of raw bytes in fours": (
        holding(lambda u: records(shared(u.view("V4")))),
        "dtype |V4, expected float32",
    ),
    "an update of texts of any length": (
        holding(lambda u: records(shared(np.array(["x"] * len(u), np.dtypes.StringDType())))),
        "dtype StringDType",
    ),
    "nan that is one number many times": (
        holding(lambda u: records(shared(np.broadcast_to(np.float32(np.nan), u.shape)))),
        "values that are not finite",
    ),
    "nan, last to first": (
        holding(lambda u: records(shared(one(u, 0, np.nan)[::-1]))),
        "values that are not finite",
    ),
    "nan with a sign": (
        holding(lambda u: records(shared(np.copysign(np.float32(np.nan), -u)))),
        "values that are not finite",
    ),
    "bytes with a comma less in their head": (
        holding(
            lambda u: records(
                made(Array, {**vars(Array(u)), "data": npy(u).replace(b", }", b"  }")})
            )
        ),
        UNDECODABLE,
    ),
    "an exception that is its own cause": (
        raising(SelfCausedError),
        "SelfCausedError([an object of type list])",
    ),
    "an exception thrown into a generator": (
        lambda _m, _c: (_ for _ in ()).throw(GeneratorExit("thrown")),
        "GeneratorExit('thrown')",
    ),
    "an answer to an answer": (
        lambda m, c: Message(
            honest(m, c).content,
            reply_to=changed(m, _metadata=changed(m.metadata, _message_id="0")),
        ),
        "reply to message 0, expected ",
    ),
    "an empty id of what it answers": (
        signed(_reply_to_message_id=""),
        "reply to message , expected ",
    ),
}
HELD = dict[int, Message]()  # messages that nothing else holds

HOSTILE: dict[str, tuple[Entry, str]] = {
    **{
        f"update: {name}": (holding(lambda u, v=v: records(shared(v(u)))), why)
        for name, (v, why) in VALUES.items()
    },
    **{
        f"bytes: {name}": (
            holding(lambda u, b=b: records(made(Array, {**vars(Array(u)), "data": b(u)}))),
            why,
        )
        for name, (b, why) in BYTES.items()
    },
    **{f"description: {name}": entry for name, entry in DESCRIPTIONS.items()},
    **{f"records: {name}": (holding(content), why) for name, (content, why) in RECORDS.items()},
    **{
        f"count: {name}": (holding(lambda u, n=n: records(shared(u), n)), why)
        for name, (n, why) in COUNTS.items()
    },
    **{
        f"number: {name}": (holding(lambda u, n=n: records(shared(u), metrics=n)), why)
        for name, (n, why) in NUMBERS.items()
    },
    **{f"raises: {name}": (raising(error), why) for name, (error, why) in RAISED.items()},
    "raises: itself, for ever": (lambda _m, _c: endless(), "RecursionError("),
    **{f"gives: {name}": entry for name, entry in GIVEN.items()},
    **{f"signed: {name}": entry for name, entry in SIGNED.items()},
    **{f"failed: {name}": entry for name, entry in FAILED.items()},
    **{f"other: {name}": entry for name, entry in OTHER.items()},
    **{f"invented: {name}": entry for name, entry in INVENTED.items()},
}
