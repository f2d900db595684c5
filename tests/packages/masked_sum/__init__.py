"""A toy secure aggregation of three trips, for tests: keys, masked updates, masks of the hospitals
that vanished.

It is carried out like a real one, but nothing is secret in it: the keys travel as they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from sim.design.plan import FederationPlan
from sim.errors import RefusedError
from sim.federation.conversation import Answer, Asked, Conversation, screened
from sim.federation.rounds import Weights
from sim.federation.wire import Content, Entry, Form, Report
from sim.messages import Concluded, Trip
from sim.types import About, Members, Roll, Updates, View

RING = np.dtype(np.uint32)  # updates are added up modulo 2^32
SCALE = 2**16  # steps a unit: values beyond +-2^15 would wrap around
KEY = Form(values={"key": Entry(int, 2**31)})


def quantized(update: NDArray[np.floating]) -> NDArray[np.uint32]:
    """The update in the ring, in two's complement."""
    return np.round(update.astype(np.float64) * SCALE).astype(np.int64).astype(RING)


def mean_of(total: NDArray[np.uint32], n: int) -> NDArray[np.float64]:
    """The mean of ``n`` updates of which the ring holds the sum."""
    return total.astype(np.int32) / SCALE / n


@dataclass(frozen=True)
class MaskedHospital:
    """The hospital's half."""

    def answer(self, asked: Asked, update: Report | None) -> Answer:
        """Each kind of trip once a round, in order; anything else is refused."""
        if asked.kind == "keys":
            key = int(asked.key.stream("toy-key", asked.number).integers(2**31))
            return Answer(Content(values={"key": key}), Content(values={"own": key}))
        if asked.kind == "train" and update is not None:
            peers, keys = asked.content.values["peers"], asked.content.values["keys"]
            if asked.held.values.get("own") != dict(zip(peers, keys, strict=True)).get(
                asked.hospital
            ):
                raise RefusedError("the list of keys does not hold this hospital's own")
            held = Content(values={"peers": peers, "keys": keys})
            total = quantized(update.update) + self._masks(
                asked, peers, keys, peers, len(update.update)
            )
            return Answer(Content(arrays={"masked": total}), held)
        if asked.kind == "unmask":
            peers, gone = asked.held.values.get("peers", []), asked.content.values["gone"]
            if not {*gone} <= {*peers} - {asked.hospital}:
                raise RefusedError(f"asked for masks of {gone}")
            n_params = asked.content.values["n_params"]
            masks = self._masks(asked, peers, asked.held.values["keys"], gone, n_params)
            return Answer(Content(arrays={"masks": masks}))
        raise RefusedError(f"no trip {asked.kind}")

    def _masks(
        self,
        asked: Asked,
        peers: Sequence[str],
        keys: Sequence[int],
        others: Sequence[str],
        n_params: int,
    ) -> NDArray[np.uint32]:
        """The sum of the masks that this hospital shares with ``others``, which cancel in the sum
        over all of them.
        """
        total, known = np.zeros(n_params, RING), dict(zip(peers, keys, strict=True))
        for other in others:
            if other == asked.hospital:
                continue
            low, high = sorted((asked.hospital, other))
            rng = np.random.default_rng([known[low], known[high], asked.number])
            mask = rng.integers(0, 2**32, n_params, dtype=RING)
            total = total + mask if asked.hospital == low else total - mask
        return total


@dataclass(frozen=True)
class ToNearest:
    """The same quantization, of updates that somebody else adds up."""

    step: float = 1 / SCALE

    def refusal(self, n_hospitals: int) -> str | None:
        """None: nobody is to rely on a toy."""
        return None

    def rounded(
        self, updates: Updates, noise: Sequence[NDArray[np.floating]] | None
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        steps = [quantized(update).astype(np.int32) for update in updates]
        return np.array(steps, np.float64), np.zeros(len(updates), np.int64)

    def value(self, total: NDArray[np.float64], n: int) -> NDArray[np.float64]:
        return total / SCALE / n


@dataclass(frozen=True)
class ClearSum:
    """The same sum, worked out by whoever holds all updates."""

    about: ClassVar[About] = About(
        title="MaskedSum", paper="none", year=2026, sees="the sum over all hospitals"
    )
    quantization: ClassVar[ToNearest] = ToNearest()
    is_redrawn: ClassVar[bool] = False
    by_records: ClassVar[bool] = False
    least: int = 2

    def __call__(self, roll: Roll, rng: np.random.Generator) -> Members:
        """All hospitals in one group."""
        return (roll.hospitals,)


@dataclass(frozen=True)
class MaskedSum(ClearSum):
    """The aggregator's half. ``least``: hospitals whose masked updates it needs."""

    @property
    def is_clear(self) -> bool:
        """Never."""
        return False

    @property
    def hospital(self) -> MaskedHospital:
        """The other half."""
        return MaskedHospital()

    def round(self, plan: FederationPlan, number: int, model: Weights) -> Conversation:
        """Three trips. Whoever is unusable in one is not asked in the next."""
        n_params, refused = len(model), dict[str, str]()
        replies = yield Trip("keys", plan.hospitals)
        keys, lost = screened(replies, lambda arrived: arrived.content(KEY).values["key"])
        refused |= {name: f"keys: {reason}" for name, reason in lost.items()}
        if len(keys) < self.least:
            return Concluded(None, (), refused, reason="too few keys")
        peers = tuple(keys)
        common = Content(values={"peers": list(peers), "keys": list(keys.values())})
        replies = yield Trip("train", peers, model, common)
        form = Form(arrays={"masked": (RING.name, (n_params,))})
        masked, lost = screened(replies, lambda arrived: arrived.content(form).arrays["masked"])
        refused |= {name: f"train: {reason}" for name, reason in lost.items()}
        if len(masked) < self.least:
            return Concluded(None, (), refused, reason="too few masked updates")
        gone = [name for name in peers if name not in masked]
        replies = yield Trip(
            "unmask", tuple(masked), None, Content(values={"gone": gone, "n_params": n_params})
        )
        form = Form(arrays={"masks": (RING.name, (n_params,))})
        masks, lost = screened(replies, lambda arrived: arrived.content(form).arrays["masks"])
        refused |= {name: f"unmask: {reason}" for name, reason in lost.items()}
        if lost:
            return Concluded(None, tuple(masks), refused, reason="masks are missing")
        total = np.zeros(n_params, RING)
        for name, update in masked.items():
            total += update - masks[name]
        return Concluded(
            View(mean_of(total, len(masked))[None], (tuple(masked),), None), tuple(masked), refused
        )
