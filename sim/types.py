"""The few shapes in which the whole simulator speaks, and the Protocols that need numpy only.

A plug-in is a frozen dataclass with ``__call__`` in a file of its own; its parameters are its
fields, ``about`` is its data sheet. Nothing here knows Flower, Hydra or torch; the Protocols that
do are in ``sim.kinds``.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import (
    Any,
    ClassVar,
    Literal,
    NamedTuple,
    Protocol,
    TypeAlias,
    TypeVar,
    runtime_checkable,
)

import numpy as np
from numpy.typing import NDArray

# (n_rows, n_params): trained weights minus received weights, never weights
Updates: TypeAlias = NDArray[np.floating]
Vector: TypeAlias = NDArray[np.floating]  # (n_params,)
Batch: TypeAlias = NDArray[np.int64]  # row numbers of a hospital's records
Members: TypeAlias = tuple[tuple[str, ...], ...]  # names of the hospitals of each group
# (name, shape) of each parameter, in the order of the vector
Layout: TypeAlias = tuple[tuple[str, tuple[int, ...]], ...]
# (noise multiplier, sample rate, steps), Opacus's own form
History: TypeAlias = list[tuple[float, float, int]]

# Plain values by name, as YAML and JSON hold them at any depth: numbers, texts, lists, and mappings
# of these. Their form is checked where they are read (``sim.config``, ``sim.evidence.records``).
Node: TypeAlias = dict[str, Any]
# One row of a table: a value for each column. The table's schema states of which type each is.
TableRow: TypeAlias = dict[str, Any]

Level = Literal["own", "colluders", "updates", "updates_and_rule"]
# from least to most knowledge
LEVELS: tuple[Level, ...] = ("own", "colluders", "updates", "updates_and_rule")
AttackKind: TypeAlias = Literal[
    "poison",
    "training",
    "byzantine",
    "faults",
    "messages",
    "inversion",
    "inference",
    "isolation",
    "aggregator",
    "protocol",
    "evasion",
    "extraction",
    "release",
]
# they need no hostile hospital
BY_AGGREGATOR: tuple[AttackKind, ...] = (
    "inversion",
    "inference",
    "isolation",
    "aggregator",
    "protocol",
    "evasion",
    "extraction",
    "release",
)
Question: TypeAlias = Literal["membership", "source", "attribute", "prevalence"]
Party: TypeAlias = Literal["aggregator", "hospital", "outsider", "outsider_api"]
# who may infer something from a run: the aggregator; a hospital, from the common models; whoever
# gets the weights of the final model; whoever can only ask it
PARTIES: tuple[Party, ...] = ("aggregator", "hospital", "outsider", "outsider_api")
Absent = Literal["keep", "count_as_hostile"]  # the effect of a missing reply: sim.design.quorum


@dataclass(frozen=True)
class About:
    """The data sheet of a plug-in: where it is from and what it needs.

    ``needs`` and ``uses`` are the least and the most knowledge an attack can work with
    (``LEVELS``); rules leave them out. ``limit`` states what a rule needs of ``n_rows`` and
    ``n_hostile``, as printed in a refusal, and ``cost`` how its time grows with n rows and d
    parameters. ``sees`` states in words what the plug-in must be able to see. ``variants``: other
    values of its parameters that stand for other definitions. ``promise``: what a rule or step that
    is not refused promises about hostile rows, and what it does not.
    """

    title: str
    paper: str
    year: int
    sees: str = ""
    limit: str = ""
    cost: str = ""
    needs: Level = "own"
    uses: Level = "own"
    variants: tuple[str, ...] = ()
    promise: str = ""


@dataclass(frozen=True, eq=False)
class Records:
    """The records of one hospital: ``features`` (n, n_features) and ``labels`` (n,), both float32.

    A label is 0 or 1. Records are equal only to themselves.
    """

    features: NDArray[np.float32]
    labels: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: NDArray[np.integer | np.bool_] | slice) -> Records:
        """The records at the given row numbers.

        >>> records = Records(np.zeros((3, 2), np.float32), np.array([0, 1, 1], np.float32))
        >>> records.take(np.array([0, 2])).labels
        array([0., 1.], dtype=float32)
        """
        return Records(self.features[rows], self.labels[rows])


@dataclass(frozen=True)
class Field:
    """The layout of one clinical field in the feature columns.

    A continuous field is one standardized column, ``value = center + scale * column``; ``missing``
    is the column that flags an absent value (None if the field is never absent). A categorical
    field is one 0/1 column per level, in order.
    """

    name: str
    kind: Literal["continuous", "categorical"]
    columns: tuple[int, ...]
    levels: tuple[str, ...] = ()
    center: float = 0.0
    scale: float = 1.0
    unit: str = ""
    missing: int | None = None


@dataclass(frozen=True)
class TableSchema:
    """The form of records that are rows of a table. ``n_features`` counts feature columns."""

    fields: tuple[Field, ...]
    n_features: int


@dataclass(frozen=True)
class ImageSchema:
    """The form of records that are images of ``channels`` planes of ``height`` x ``width`` pixels.

    The feature columns of an image are its planes one after the other, each row by row. A pixel's
    value lies from ``low`` to ``high`` in the units of the data, and from 0 to 1 in its column.

    >>> schema = ImageSchema(height=8, width=8, channels=1, low=0.0, high=16.0)
    >>> schema.n_features, schema.fields[9].name
    (64, 'pixel_1_1')
    """

    height: int
    width: int
    channels: int
    low: float
    high: float

    @property
    def n_features(self) -> int:
        """The number of pixels of an image, those of all planes."""
        return self.channels * self.height * self.width

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """Each pixel as a continuous field, in the order of the columns.

        Its name is ``pixel_ROW_COLUMN``, and ``pixel_ROW_COLUMN_CHANNEL`` with several channels.
        """
        places = list(product(range(self.channels), range(self.height), range(self.width)))
        several = self.channels > 1
        names = [
            f"pixel_{row}_{column}_{channel}" if several else f"pixel_{row}_{column}"
            for channel, row, column in places
        ]
        scale = self.high - self.low
        return tuple(
            Field(name, "continuous", (at,), center=self.low, scale=scale)
            for at, name in enumerate(names)
        )

    def corner(self, height: int, width: int) -> tuple[Field, ...]:
        """The pixels of the lower right ``height`` rows by ``width`` columns, of all planes."""
        inside = np.zeros((self.channels, self.height, self.width), dtype=bool)
        inside[:, self.height - height :, self.width - width :] = True
        return tuple(self.fields[at] for at in np.flatnonzero(inside))


Schema: TypeAlias = TableSchema | ImageSchema


@dataclass(frozen=True)
class View:
    """The view of a party on one round: the one input of rules, steps and aggregators' attacks.

    ``rows`` (n_rows, n_params): each the average of the updates of a group of hospitals (a sum
    divided by its public size). Without secure aggregation a group is one hospital; with it nothing
    finer exists. ``members`` names the hospitals of each row. ``weights`` (n_rows,) are capped
    record counts if the party learns them, else None. ``model`` (n_params,) are the weights that
    the aggregator sent out this round, None where they are not given.
    """

    rows: Updates
    members: Members
    weights: NDArray[np.float64] | None = None
    model: Vector | None = field(default=None, compare=False)

    @property
    def sizes(self) -> NDArray[np.int64]:
        """The number of hospitals behind each row, (n_rows,).

        >>> View(np.zeros((2, 4)), (("a", "b"), ("c",))).sizes
        array([2, 1])
        """
        return np.array([len(group) for group in self.members], dtype=np.int64)


@dataclass(frozen=True)
class Knowledge:
    """The knowledge with which hostile hospitals choose what to send, of the level declared.

    ``own`` (n, n_params): what they would send if honest (n = 1 at level ``own``, else all hostile
    hospitals). ``others``: the honest hospitals' updates, from level ``updates`` on. ``defense``,
    at level ``updates_and_rule``: what the aggregate would be if the hostile hospitals sent these
    rows, (n, n_params) -> (n_params,), with secure aggregation, steps, rule and their states as
    they are, and random draws of its own. ``model``: the weights sent out in this round.
    ``n_hospitals``, ``n_hostile``, ``model`` and ``round`` are public.
    """

    own: Updates
    n_hospitals: int
    n_hostile: int
    others: Updates | None = None
    defense: Callable[[Updates], Vector] | None = None
    model: Vector | None = None
    round: int = 1


@dataclass(frozen=True)
class Reply:
    """The reply that a hostile hospital would have sent.

    ``update``: (n_params,) float32. ``count``: the number of its records.
    """

    update: Vector
    count: int
    round: int = 1


@dataclass(frozen=True)
class SentReply:
    """The reply that a hostile hospital sends instead, in which nothing has to be as agreed.

    ``update`` may have any dtype and shape, and is None if nothing is sent; ``array`` may be any
    name.
    """

    update: NDArray[np.generic] | None
    count: float
    array: str = "update"


@dataclass(frozen=True)
class Demand:
    """The demand of an aggregator on hospitals in every round, beside training its weights.

    ``dp``: that they protect records as agreed. ``local_steps``: batches of a round, None for whole
    passes over the records; ``batch_size``: records of a batch.
    """

    dp: bool
    local_steps: int | None
    batch_size: int


# gradients with respect to updates (n_tries, n_params) -> with respect to features and labels
Pullback: TypeAlias = "Callable[[Updates], tuple[NDArray[np.floating], NDArray[np.floating]]]"


class LocalTraining(Protocol):
    """A round of a hospital's training on records of one's own choice, which any party can repeat.

    Model, weights and training values are known to all parties. ``features`` are
    (n_tries, n, n_features) and ``labels`` (n_tries, n), from 0 to 1, for several tries at once;
    batches are taken in the order of the records, and the records are shared out evenly to
    ``n_hospitals``, whose updates are averaged. All is of the features' precision.
    """

    def __call__(
        self, features: NDArray[np.floating], labels: NDArray[np.floating], n_hospitals: int = 1
    ) -> Updates:
        """The update of each try, (n_tries, n_params)."""
        ...

    def traced(
        self, features: NDArray[np.floating], labels: NDArray[np.floating], n_hospitals: int = 1
    ) -> tuple[Updates, Pullback]:
        """The updates, and the function that gives the derivatives of what is made of them."""
        ...


@dataclass(frozen=True)
class Observation:
    """All that an aggregator which follows the protocol holds, and may read, after one round.

    ``model`` (n_params,): the weights that it sent out. ``training``: of hospitals on these
    weights, None where it cannot be repeated. ``n_records``: how many records are behind each row
    of the view by the training values and the reported counts, None where these do not tell.
    """

    view: View
    model: Vector
    layout: Layout
    schema: Schema
    training: LocalTraining | None = None
    n_records: tuple[int | None, ...] = ()


@dataclass(frozen=True, eq=False)
class Guess:
    """The guess of an inversion on the records behind one row of a view.

    ``records`` (n_guesses, n_features): the best supported first. ``prevalence``: the share of
    records with the condition, None where it is not guessed. ``certainty`` (n_guesses, n_fields):
    how sure the attacker is of each field of the schema, from 0 to 1, None where it cannot tell.
    """

    records: NDArray[np.floating]
    prevalence: float | None = None
    certainty: NDArray[np.floating] | None = None


@dataclass(frozen=True)
class Traffic:
    """The exchange of one hospital in a round: messages of both ways, and bytes of each way.

    Bytes are those of the arrays, texts and numbers in the messages; each message has an envelope
    beside them, with the round, the plan's digest and whatever Flower adds.
    """

    messages: int
    sent: int
    received: int


@dataclass(frozen=True)
class Pooled:
    """All that an aggregator, and the hospitals that collude with it, hold after one round.

    ``view``: what the aggregator saw, following the protocol. ``own``: the update (n_params,) that
    each colluding hospital uploaded, by name; empty where none colludes. ``steps``: on how many
    batches each hospital trains in a round, by name; empty where record counts are not public.
    """

    view: View
    own: Mapping[str, Vector]
    round: int
    steps: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Isolated:
    """The rows that an attack has worked out of hidden updates, in one round.

    ``view``: rows over fewer hospitals than the aggregator is meant to see. ``known`` (n_params,):
    which entries of the rows were worked out, and the others are 0; None: all of them.
    ``estimates``: rows of single hospitals that no sum determines, by what else is public; None
    where nothing is.
    """

    view: View
    known: NDArray[np.bool_] | None = None
    estimates: View | None = None


Given = TypeVar("Given", contravariant=True)
Result = TypeVar("Result", covariant=True)
OwnState = TypeVar("OwnState")


class Stateful(Protocol[Given, Result, OwnState]):
    """A plug-in with a value that lasts from round to round, of the frozen type ``state``.

    The fields of ``state`` are numbers, texts, arrays, and tuples and mappings of these. Nobody
    edits a state: whoever works with the plug-in hands the last one in and takes the next one, or
    drops it and asks again.
    """

    state: ClassVar[type]

    @abstractmethod
    def advance(
        self, given: Given, state: OwnState | None, rng: np.random.Generator, /
    ) -> tuple[Result, OwnState]:
        """The result and the next state. ``state``: the last one, None in the first round."""

    def __call__(self, given: Given, rng: np.random.Generator, /) -> Result:
        """The result of a first round."""
        return self.advance(given, None, rng)[0]


@runtime_checkable
class Rule(Protocol):
    """An aggregation rule: view -> aggregated update (n_params,); it refuses too few rows.

    ``min_rows``: the least number of rows that it takes.
    """

    about: ClassVar[About]

    @property
    def min_rows(self) -> int: ...

    def __call__(self, view: View, rng: np.random.Generator, /) -> Vector: ...


@runtime_checkable
class Step(Protocol):
    """A step transforms a view before the rule; its rows may stand for other groups."""

    about: ClassVar[About]

    def __call__(self, view: View, rng: np.random.Generator, /) -> View: ...


@runtime_checkable
class ServerOptimizer(Protocol):
    """A server optimizer: the aggregate (n_params,) -> the step of the model (n_params,)."""

    about: ClassVar[About]

    def __call__(self, aggregate: Vector, rng: np.random.Generator, /) -> Vector: ...


@dataclass(frozen=True)
class Roll:
    """The hospitals of a plan, as all parties know them.

    ``hospitals``: names, sorted. ``sizes``: their record counts where hospitals publish them, else
    None.
    """

    hospitals: tuple[str, ...]
    sizes: tuple[int, ...] | None = None


class Quantizing(Protocol):
    """Updates in whole steps, which are added up exactly. ``step``: the unit, above 0."""

    @property
    def step(self) -> float: ...

    def refusal(self, n_hospitals: int) -> str | None:
        """The reason why the sum of so many hospitals could overflow; None if it cannot."""
        ...

    def rounded(
        self, updates: Updates, noise: Sequence[NDArray[np.floating]] | None
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Updates (n, n_params) in whole steps, and how many coordinates of each were clipped.

        ``noise``: of each update the draws of stochastic rounding, (n_params,) in [0, 1); None: to
        the nearest step.
        """
        ...

    def value(self, total: NDArray[np.float64], n: int) -> NDArray[np.float64]:
        """The mean of ``n`` updates whose sum in whole steps is ``total``."""
        ...


@runtime_checkable
class SecureAggregation(Protocol):
    """A secure aggregation: hospitals -> the groups of which the aggregator sees averages alone.

    Each hospital is in one group. ``least``: the usable updates that a group must have; a group
    with fewer is left out of the round. ``quantization``: None where updates are added up as they
    are. ``is_redrawn``: whether groups differ from round to round; then each round's are drawn with
    a ``rng`` of its own, which everybody can repeat. ``by_records``: whether groups depend on
    record counts, which hospitals publish then.
    """

    about: ClassVar[About]

    @property
    def least(self) -> int: ...

    @property
    def quantization(self) -> Quantizing | None: ...

    @property
    def is_redrawn(self) -> bool: ...

    @property
    def by_records(self) -> bool: ...

    def __call__(self, roll: Roll, rng: np.random.Generator, /) -> Members: ...


@dataclass(frozen=True)
class Aggregate:
    """The result of a pipeline for one view.

    ``move`` (n_params,): the step of the model. ``shares`` (n_rows,): of each row of the view in
    the aggregate, None for a rule that works on each coordinate by itself. ``states``: of the
    pipeline's parts after this round.
    """

    move: Vector
    shares: NDArray[np.float64] | None
    states: tuple[object, ...]


# the rule's aggregate, and the share of each row in it -> what leaves the aggregator
Release: TypeAlias = Callable[[Vector, NDArray[np.float64] | None], Vector]


class Pipeline(Protocol):
    """The work of an aggregator on a view: steps, a rule, and an optimizer or none, in a row.

    It is no plug-in but made of three kinds of them; design, aggregator and observers work with it
    without importing it. ``rule``: its aggregation rule. ``states``: of its parts after the last
    round, none in the first.
    """

    @property
    def rule(self) -> Rule: ...

    @property
    def parts(self) -> tuple[Step | Rule | ServerOptimizer | None, ...]:
        """Steps, rule and optimizer (None where there is none), in the order of their states."""
        ...

    @property
    def withstands(self) -> int | None:
        """The least number of hostile rows that a step or the rule is given; None if none is."""
        ...

    def refusal(self, n_rows: int, n_hospitals: int) -> str | None:
        """The reason why a part cannot work on these numbers; None if all parts can.

        ``n_rows`` rows stand for ``n_hospitals`` hospitals.
        """
        ...

    def most_hostile(self, n_rows: int, n_hospitals: int) -> int | None:
        """The most hostile hospitals for which steps and rule are defined; None for any number."""
        ...

    def without(self, n_missing: int) -> Pipeline:
        """The pipeline that counts ``n_missing`` hospitals without a usable reply as hostile."""
        ...

    def without_optimizer(self) -> Pipeline:
        """The pipeline whose step of the model is the aggregate itself."""
        ...

    def run(
        self,
        view: View,
        rng: np.random.Generator,
        states: Sequence[object] = (),
        release: Release | None = None,
    ) -> Aggregate:
        """The aggregate of a view. ``release``: what is done to the rule's result.

        Raises ``RefusedError`` where a step or the rule does, or the result is not finite.
        """
        ...

    def check(self, view: View, rng: np.random.Generator) -> None:
        """Raise ``PluginError`` for the part that fails on a harmless view.

        It fails if it gives something of a wrong form, or not finite.
        """
        ...

    def __call__(
        self, view: View, rng: np.random.Generator, states: Sequence[object] = ()
    ) -> Vector:
        """The step of the model, (n_params,), finite or not.

        Raises ``RefusedError`` where a step or the rule does.
        """
        ...


@runtime_checkable
class Poison(Protocol):
    """A poison: a hostile hospital's training records -> the records it trains on instead."""

    about: ClassVar[About]

    def __call__(self, records: Records, schema: Schema, rng: np.random.Generator) -> Records: ...


@runtime_checkable
class Backdoor(Poison, Protocol):
    """A poison whose success is counted: how often the model gives ``target`` to a marked record.

    ``target`` is 0 or 1. ``trigger`` is given test records that are not of the target class, and
    returns them marked, or those that need no mark.
    """

    target: int

    def trigger(self, features: NDArray[np.float32], schema: Schema) -> NDArray[np.float32]: ...


@runtime_checkable
class Divided(Poison, Protocol):
    """A poison in parts: each hostile hospital uses one of its own, ``part(rank, schema)``.

    ``rank``: the number of the hospital, counted from 0 in order of names.
    """

    def part(self, rank: int, schema: Schema) -> Poison: ...


@runtime_checkable
class Byzantine(Protocol):
    """A Byzantine attack: knowledge -> what hostile hospitals send, (len(known.own), n_params)."""

    about: ClassVar[About]

    def __call__(self, known: Knowledge, rng: np.random.Generator, /) -> Updates: ...


@runtime_checkable
class Fault(Protocol):
    """A fault: the reply of a hostile hospital -> what it sends instead."""

    about: ClassVar[About]

    def __call__(self, reply: Reply, rng: np.random.Generator, /) -> SentReply: ...


@runtime_checkable
class Absence(Protocol):
    """An absence: honest hospitals whose replies do not arrive, by a schedule of its own.

    It needs no hostile hospital. ``concerned`` names the hospitals, sorted, once a run; it raises
    ``InputError`` where there are none. ``away`` decides for one of them in one round. ``phase``:
    the kind of trip in which it vanishes; then it is away for the rest of the round.
    """

    about: ClassVar[About]

    @property
    def phase(self) -> str: ...

    def concerned(
        self, hospitals: Sequence[Hospital], hostile: Sequence[str], rng: np.random.Generator
    ) -> tuple[str, ...]: ...

    def away(self, round_: int, rng: np.random.Generator) -> bool: ...


@runtime_checkable
class AggregatorAttack(Protocol):
    """An attack by the aggregator: its honest demand on hospitals -> its demand instead."""

    about: ClassVar[About]

    def __call__(self, demand: Demand) -> Demand: ...


@runtime_checkable
class Inversion(Protocol):
    """An inversion: an observation -> a guess for each row of the view."""

    about: ClassVar[About]

    def __call__(self, seen: Observation, rng: np.random.Generator) -> list[Guess]: ...


class Look(NamedTuple):
    """Updates that a search computes: so often, each time of ``n_tries`` with ``n_records`` each.

    The records of a try are shared out to ``n_hospitals``.
    """

    n_tries: int
    n_records: int
    n_hospitals: int
    evaluations: int


@runtime_checkable
class Searching(Protocol):
    """An inversion that searches, and states how much: ``looks`` behind rows of a view.

    ``rows``: the numbers of records and of hospitals of each. This is for estimates of time alone.
    """

    def looks(self, rows: Sequence[tuple[int, int]]) -> Sequence[Look]: ...


@runtime_checkable
class Shadowing(Protocol):
    """An attack that trains models of its own: as much as so many federations take.

    ``rounds`` and ``n_hospitals``: of the run. This is for estimates of time alone.
    """

    def trainings(self, rounds: int, n_hospitals: int) -> float: ...


@runtime_checkable
class Trying(Protocol):
    """An attack that tries the aggregation ``tries`` times a round before it chooses what to send.

    This is for estimates of time alone.
    """

    @property
    def tries(self) -> int: ...


class Pass(NamedTuple):
    """Records that a model works on, ``n_records`` at a time and so many ``times``.

    ``work``: it answers, its gradients are computed, or a model of its network is trained on them.
    """

    work: Literal["answers", "gradients", "training"]
    n_records: int
    times: int


@runtime_checkable
class Passing(Protocol):
    """An attack on the final model that states how much it asks of it, for estimates of time alone.

    ``n_records``: test records of all hospitals.
    """

    def passes(self, schema: Schema, n_records: int) -> Sequence[Pass]: ...


@runtime_checkable
class Isolation(Protocol):
    """An attack on sums of updates: what is pooled after a round -> rows over fewer hospitals.

    ``colludes``: whether hostile hospitals take part in it.
    """

    about: ClassVar[About]
    colludes: ClassVar[bool]

    def __call__(self, pooled: Pooled, rng: np.random.Generator, /) -> Isolated: ...


class AgreedModel(Protocol):
    """The agreed model and training, which any party that knows the plan can repeat for itself."""

    def logits(self, weights: Updates, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """The logits (n_models, n) of n records by each of the models ``weights``."""
        ...

    def gradients(self, weights: Vector, records: Records) -> Updates:
        """The gradient of each record's loss with respect to ``weights``, (n, n_params)."""
        ...

    def trained(
        self,
        records: Records,
        hospitals: Sequence[str],
        used: NDArray[np.bool_],
        rng: np.random.Generator,
    ) -> Updates:
        """The final models (n_models, n_params) of federations of the attacker's own making.

        ``hospitals``: of each of n records, where it lies. ``used`` (n_models, n): the records on
        which each of the federations trains, all rounds by the plan and nobody hostile in it.
        """
        ...

    def updates(
        self,
        weights: Vector,
        records: Records,
        drawn: Sequence[NDArray[np.int64]],
        rng: np.random.Generator,
    ) -> Updates:
        """The updates (n, n_params) of hospitals of the attacker's own making, in one round.

        Each trains ``weights`` by the plan on the records at its rows of ``drawn``.
        """
        ...


@dataclass(frozen=True, eq=False)
class SeenRound:
    """One round as a party has seen it.

    ``before`` and ``after`` (n_params,): the weights sent out, and the new ones. ``view``: of the
    updates, None where there was none; of a hospital, one row: the step of the common model.
    """

    number: int
    before: Vector
    after: Vector
    view: View | None


@dataclass(frozen=True, eq=False)
class Holdings:
    """All that a party holds after a run, and what it can compute of it without anybody else.

    ``outputs``: asks the final model for the logits (n,) of ``features`` (n, n_features), which is
    all that an ``outsider_api`` holds. ``final`` (n_params,): its weights. ``rounds``: those that
    the attack watches and the party sees. ``own``: a hospital's own name and records.
    """

    party: Party
    schema: Schema
    layout: Layout
    model: AgreedModel
    outputs: Callable[[NDArray[np.float32]], NDArray[np.float64]]
    final: Vector | None = None
    rounds: tuple[SeenRound, ...] = ()
    own: tuple[str, Records] | None = None


@dataclass(frozen=True, eq=False)
class Asked:
    """Questions of one kind, n of them, that an inference attack answers with scores.

    ``choices``: the possible answers, the same for each question. ``hospitals``: the hospital that
    each question is about, empty where that is what is asked. ``records``: the n records in
    question, as far as the attacker knows them; None for questions about hospitals.

    ``known``: records that the attacker knows whole, with the places of their answers among the
    choices.

    - ``membership``: was the record trained on by the hospital? One choice, ``member``; ``share``
      is the share of the asked records for which that is so, which the attacker knows.
    - ``source``: which hospital trained on the record? The choices are hospitals.
    - ``attribute``: which level has the record's ``hidden`` field? Its columns are 0.
    - ``prevalence``: what share of a hospital's records has the condition, or of all records where
      no hospital is named? One choice, ``share``.
    """

    question: Question
    choices: tuple[str, ...]
    hospitals: tuple[str, ...] = ()
    records: Records | None = None
    share: float | None = None
    hidden: Field | None = None
    known: Records | None = None
    known_answers: tuple[int, ...] = ()


@runtime_checkable
class Inference(Protocol):
    """An inference attack: what a party holds after a run -> scores of answers to questions.

    The scores are (n_questions, n_choices), finite, higher for a likelier answer; for a share they
    are the guess itself. ``party``: who attacks. ``min_rows``: the rows that an aggregator has to
    see for it. ``watched``: the numbers of the rounds that the attack looks at, in a run of so
    many; a party that sees no rounds has none of them all the same.
    """

    about: ClassVar[About]
    question: ClassVar[Question]
    min_rows: ClassVar[int]

    @property
    def party(self) -> Party: ...

    def watched(self, rounds: int) -> Sequence[int]: ...

    def __call__(
        self, seen: Holdings, asked: Asked, rng: np.random.Generator
    ) -> NDArray[np.float64]: ...


@dataclass(frozen=True)
class Structure:
    """The findings of a check of a final model before any attack, by hospital in order of names.

    ``freedom``: records beyond parameters, of each hospital and of all. ``n_records`` and
    ``n_unseen``: records that were trained on, and others. ``least_sharing``: the fewest training
    records with one predicted score. ``singled_out``, ``disclosed``: shares of training records;
    ``disclosed_unseen`` of the others, None without any. ``groups`` and ``small_groups``: of each
    hospital, how many groups have records, and how many of them too few.
    """

    freedom: tuple[int, ...]
    freedom_of_all: int
    n_records: int
    n_unseen: int
    least_sharing: int
    singled_out: float
    disclosed: float
    disclosed_unseen: float | None
    groups: tuple[int, ...]
    small_groups: tuple[int, ...]


class Released(Protocol):
    """A final model in the hands of somebody who has its weights, or can ask it."""

    def logits(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """The logits (n,) of ``features`` (n, n_features): all that a party has that can ask."""
        ...

    def gradients(
        self, features: NDArray[np.floating], labels: NDArray[np.floating]
    ) -> NDArray[np.float64]:
        """The gradient of each record's loss with respect to its own columns, (n, n_features)."""
        ...

    def taught(
        self,
        features: NDArray[np.floating],
        shares: NDArray[np.floating],
        epochs: int,
        rng: np.random.Generator,
    ) -> Released:
        """A new model of the same architecture, trained on ``shares`` (n,) from 0 to 1."""
        ...


@dataclass(frozen=True, eq=False)
class Room:
    """The changes of some records that can be made.

    ``low`` and ``high`` (n, n_features): the least and the largest value of each column; equal
    where it cannot be moved. ``levels``: the columns of each categorical field of which another
    level can be set.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    levels: tuple[tuple[int, ...], ...]


@runtime_checkable
class Evasion(Protocol):
    """An evasion: records -> features that the final model shall decide otherwise.

    ``room``: what can be changed of ``features`` (n, n_features), where ``seen`` shows the limits
    of the data. ``levels``: categorical fields that may be changed at once. Of a call's result a
    record counts only where it could be made of the true one.
    """

    about: ClassVar[About]

    @property
    def levels(self) -> int: ...

    def room(self, schema: Schema, features: NDArray[np.floating], seen: Records, /) -> Room: ...

    def __call__(
        self, held: Released, records: Records, space: Room, rng: np.random.Generator, /
    ) -> NDArray[np.floating]: ...


@runtime_checkable
class Extraction(Protocol):
    """An extraction: answers of the final model -> a copy of it.

    ``own``: the attacker's own records.
    """

    about: ClassVar[About]

    def __call__(
        self, held: Released, schema: Schema, own: Records, rng: np.random.Generator, /
    ) -> Released: ...


@runtime_checkable
class ReleaseCheck(Protocol):
    """A check of a final model before it leaves: its predictions -> figures.

    ``trained``: of each hospital the records and their predicted probabilities (n,); ``unseen``:
    those of records that were not trained on. ``counts``: the stated number of each hospital's
    records.
    """

    about: ClassVar[About]

    def __call__(
        self,
        trained: Sequence[tuple[Records, NDArray[np.floating]]],
        unseen: tuple[Records, NDArray[np.floating]],
        schema: Schema,
        n_params: int,
        counts: Sequence[int],
        /,
    ) -> Structure: ...


@dataclass(frozen=True)
class Hospital:
    """The records of one hospital.

    ``origin``: the real hospital that they come from (its own name if not split).
    """

    name: str
    origin: str
    train: Records
    test: Records


@dataclass(frozen=True)
class SourceColumn:
    """A column of a consortium's own data, and what it was taken for.

    ``used``: whether it is a field of a record. ``absent``: patients without a value. ``levels``:
    of a category, how many.
    """

    name: str
    kind: str
    used: bool
    absent: int
    levels: int
    note: str


# whose patients a data set holds: of published research, made up by a program, the user's own
Provenance = Literal["published", "synthetic", "own"]


@dataclass(frozen=True)
class Consortium:
    """The hospitals of a consortium, in order of their names.

    ``public``: whether a report may show records. ``data_hash``: sha256 of the source.
    ``provenance``: whose patients they are, None where the data set does not state it.
    ``columns``: of own data, what was found in it. ``notes``: what a reader of the figures should
    know.
    """

    name: str
    hospitals: tuple[Hospital, ...]
    schema: Schema
    public: bool
    data_hash: str
    source: str = field(default="")
    provenance: Provenance | None = None
    columns: tuple[SourceColumn, ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.hospitals)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the hospitals, sorted."""
        return tuple(hospital.name for hospital in self.hospitals)


class DataSet(Protocol):
    """A source of hospitals. Its splits draw from streams named by hospital, in any order."""

    def __call__(self, seed: int) -> Consortium: ...
