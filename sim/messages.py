"""The plain values of a round's messages, which protocols write and attacks on them read or change.

Nothing here knows Flower: ``sim.federation.wire`` carries these values in its messages.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import ClassVar, NamedTuple, Never, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from sim.seeds import Key
from sim.types import About, Inversion, Isolated, Layout, Node, Records, Schema, Vector, View

Value: TypeAlias = (
    bool | int | float | str | bytes | list[int] | list[float] | list[str] | list[bytes]
)
EMPTY: Mapping[str, Never] = MappingProxyType({})
TRAIN = "train"  # the kind of a trip in which hospitals train and upload


class UnusableError(ValueError):
    """A reply that must not enter the aggregate; the text is the reason."""


class Content(NamedTuple):
    """Arrays, numbers and other plain values of a message, each by name."""

    arrays: Mapping[str, NDArray[np.generic]] = EMPTY
    numbers: Mapping[str, int | float] = EMPTY
    values: Mapping[str, Value] = EMPTY


NOTHING = Content()


@dataclass(frozen=True)
class Report:
    """A hospital's usable reply: update (n_params,) float32, record count, and other numbers."""

    update: NDArray[np.float32]
    count: int
    numbers: dict[str, float]


@dataclass(frozen=True)
class Entry:
    """The form of a value: exactly of type ``kind`` and of at most ``most``.

    ``most``: characters or bytes, or the largest absolute number. ``most_entries``: where it is
    given, the value is a list of at most so many of these.
    """

    kind: type[bool] | type[int] | type[float] | type[str] | type[bytes]
    most: float
    most_entries: int | None = None


@dataclass(frozen=True, eq=False)
class Form:
    """The form of a usable answer: exactly these arrays, by dtype and shape, and these values.

    ``numbers``: whether it may report numbers beside them, of any names.
    """

    arrays: Mapping[str, tuple[str, tuple[int, ...]]] = field(default_factory=dict)
    values: Mapping[str, Entry] = field(default_factory=dict)
    numbers: bool = False


@dataclass(frozen=True, eq=False)
class Trip:
    """A question of the aggregator to some hospitals at once.

    ``kind``: the name under which the hospital's half knows the trip. ``hospitals``: whom it asks.
    ``model`` (n_params,): the weights that they train for it; None: nothing is trained. ``common``:
    what each of them is sent. ``each``: what single ones are sent beside that, by name. ``models``:
    the weights that single ones are sent instead of ``model``, by name; only an attack sends any.
    """

    kind: str
    hospitals: tuple[str, ...]
    model: NDArray[np.float32] | None = None
    common: Content = NOTHING
    each: Mapping[str, Content] = field(default_factory=dict)
    models: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Concluded:
    """The end of a round's conversation.

    ``view``: what the aggregator is left to see; None where that is nothing, for ``reason``.
    ``usable``: the hospitals of which something usable came, in order of names. ``screened``: the
    others, and those of which a later answer was not usable though the update is in the view, and
    why. ``reported``: numbers that hospitals state beside their updates. ``unopened``: pairs of
    hospitals of which the second could not use what the first one sent it through the aggregator;
    which of the two is at fault, nobody can tell. ``isolated``: what an attack on the protocol has
    worked out beyond the view; None without one.
    """

    view: View | None
    usable: tuple[str, ...] = ()
    screened: Mapping[str, str] = field(default_factory=dict)
    reported: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    reason: str = "no usable reply"
    unopened: Sequence[tuple[str, str]] = ()
    isolated: Isolated | None = None


class Arrival(Protocol):
    """The message that arrived of one hospital in one trip.

    Each method raises ``UnusableError`` without it.
    """

    def content(self, form: Form) -> Content:
        """The usable content, of an agreed form."""
        ...

    def report(self, n_params: int, max_records: int) -> Report:
        """The usable update and record count."""
        ...


Replies: TypeAlias = Mapping[str, Arrival]  # of each hospital asked, in order of their names
Talk: TypeAlias = Generator[Trip, Replies, Concluded]  # the aggregator's half of a round


@dataclass(frozen=True, eq=False)
class Stage:
    """The knowledge of an attack of the aggregator when a round begins.

    ``hospitals``: of the plan, in its order. ``model`` (n_params,): the weights of the round.
    ``layout``: of its parameters. ``schema``: of a record. ``digest``: of the plan. ``secagg``: the
    agreed parameters of secure aggregation. ``step``: the unit in which updates are added up.
    ``keys`` and ``records``: of the hospitals that collude; from the keys their secrets follow.
    """

    number: int
    hospitals: tuple[str, ...]
    model: NDArray[np.float32]
    layout: Layout
    schema: Schema
    digest: str = ""
    secagg: Node = field(default_factory=dict)
    step: float = 1.0
    keys: Mapping[str, Key] = field(default_factory=dict)
    records: Mapping[str, Records] = field(default_factory=dict)


@runtime_checkable
class Crafting(Inversion, Protocol):
    """An inversion by an aggregator that sends out a model of its own in the attacked round.

    The aggregator reads what hospitals train from that model, then throws it away. ``round``: the
    attacked one.
    """

    @property
    def round(self) -> int: ...

    def crafted(self, stage: Stage, rng: np.random.Generator, /) -> Vector:
        """The weights (n_params,) that it sends in place of the round's."""
        ...


@runtime_checkable
class MessageFault(Protocol):
    """A fault of a hostile hospital in a protocol: its answer in a trip of a kind -> another one.

    Answers are of all kinds of trips; what is given back for others is the answer itself.
    """

    about: ClassVar[About]

    def __call__(self, kind: str, answer: Content, rng: np.random.Generator, /) -> Content: ...


@runtime_checkable
class ProtocolAttack(Protocol):
    """An attack on a protocol by the aggregator: its half of a round -> what it does instead.

    The attack carries on the honest half, ``talk``, changes what this asks, reads what arrives, and
    returns how the round ended with what it has worked out (``Concluded.isolated``). ``colludes``:
    whether hostile hospitals take part in it.
    """

    about: ClassVar[About]
    colludes: ClassVar[bool]

    def __call__(self, talk: Talk, stage: Stage, rng: np.random.Generator) -> Talk: ...
