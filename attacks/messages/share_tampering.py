"""Wrong shares of secrets, so that masks cannot be removed (after Bell et al., 2020)."""

from dataclasses import dataclass
from typing import ClassVar, Final, Literal, get_args

import numpy as np

from sim.errors import one_of
from sim.federation.protocols.secagg import trips
from sim.federation.protocols.secagg.terms import DIGEST
from sim.messages import Content
from sim.types import About

What = Literal["given", "sealed", "committed"]
ENTRIES: Final[dict[What, str]] = {
    "given": trips.SHARED,
    "sealed": trips.SEALED,
    "committed": trips.COMMITMENTS,
}


@dataclass(frozen=True)
class ShareTampering:
    """Bytes that are wrong where hospitals share out secrets and give shares to unmask a sum.

    Each hostile hospital does it. As long as enough right shares are left, the sum is exact and
    wrong ones are found; with fewer the round has no sum, and no wrong one.

    Args:
        what: ``given``, shares of others' secrets in the last trip; ``sealed``, the shares of its
            own secrets, which then nobody can open; ``committed``, what it commits its own mask to,
            which then cannot be removed.
    """

    what: What = "given"
    about: ClassVar[About] = About(
        title="ShareTampering",
        paper=(
            "Bell et al., Secure Single-Server Aggregation with (Poly)Logarithmic Overhead, which"
            " states what a hospital may be trusted with"
        ),
        year=2020,
        sees="its own messages",
        variants=("what=sealed", "what=committed"),
    )

    def __post_init__(self) -> None:
        one_of(get_args(What), what=self.what)

    def __call__(self, kind: str, answer: Content, rng: np.random.Generator, /) -> Content:
        """The answer with random bytes in the part that is tampered with."""
        name = ENTRIES[self.what]
        sent = answer.values.get(name)
        if not isinstance(sent, bytes):
            return answer
        n_right = len(sent) - DIGEST if self.what == "committed" else 0
        wrong = sent[:n_right] + rng.bytes(len(sent) - n_right)
        return answer._replace(values={**answer.values, name: wrong})
