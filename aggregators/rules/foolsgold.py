"""FoolsGold (Fung et al., 2020, arXiv:1808.04866)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from aggregators.base import Remembering
from aggregators.linalg import blocks, cosines, products
from sim.errors import number, one_of
from sim.types import About, Vector, View

ROUNDING = 1e-9  # rows whose cosine is this close to 1 are alike
MOST = 1 - 1e-5  # the greatest value that the logit is taken of


@dataclass(frozen=True)
class Sums:
    """The sum (n_params,), in float64, of all rows of each group of hospitals."""

    rows: Mapping[tuple[str, ...], Vector]


@dataclass(frozen=True)
class Foolsgold(Remembering[Sums]):
    """The mean of rows that weigh the less, the more alike their sums over all rounds are.

    Sybils send much the same. Honest hospitals must differ more from each other than sybils do; a
    single hostile hospital is not held back at all. The sums are float64, right to about 1e-16 of
    the largest that they ever were. The paper's optional choice of indicative features is left out.
    Weights are brought to sum 1; where all are alike (cosines within 1e-9 of 1) the aggregate is
    zero.

    Args:
        confidence: how sharply weights part (kappa in the paper).
        variant: ``authors``: a hospital that resembles nobody has a likeness of 0, as in the
            authors' code; ``signed``: the greatest likeness may be negative, and pardons with its
            sign.
    """

    confidence: float = 1.0
    variant: Literal["authors", "signed"] = "authors"
    state: ClassVar[type] = Sums
    about: ClassVar[About] = About(
        title="Foolsgold",
        paper="Fung et al., The Limitations of Federated Learning in Sybil Settings",
        year=2020,
        sees="rows of the same hospitals in every round",
        limit="n_rows >= 2",
        cost="n²d",
        variants=("variant=signed",),
        promise=(
            "nothing but that rows which agree weigh little:"
            " a row unlike all others counts in full, however long"
        ),
    )

    def __post_init__(self) -> None:
        number(0, open_low=True, confidence=self.confidence)
        one_of(("authors", "signed"), variant=self.variant)

    @property
    def min_rows(self) -> int:
        """Least number of rows: likeness needs two."""
        return 2

    def remember(self, view: View, state: Sums | None) -> Sums:
        """The sums with this round's rows."""
        sums = {} if state is None else dict(state.rows)
        for group, row in zip(view.members, view.rows, strict=True):
            sums[group] = sums[group] + row if group in sums else row.astype(np.float64)
        return Sums(sums)

    def weigh_by(self, view: View, state: Sums, rng: np.random.Generator) -> NDArray[np.float64]:
        """Weights over their sum."""
        from scipy.special import logit

        gram = np.zeros((len(view.rows), len(view.rows)))
        for block in blocks(view.rows):
            gram += products(np.stack([state.rows[group][block] for group in view.members]))
        alike = cosines(gram)
        nobody = 0.0 if self.variant == "authors" else -np.inf
        np.fill_diagonal(alike, nobody)
        greatest = alike.max(axis=1)
        # Who resembles another less than that one resembles a third is pardoned in proportion.
        divisor = np.where(greatest == 0, 1.0, greatest)
        pardon = np.where(greatest > greatest[:, None], greatest[:, None] / divisor, 1.0)
        likeness = alike * pardon
        np.fill_diagonal(likeness, nobody)
        trust = np.clip(1 - likeness.max(axis=1), 0.0, 1.0)
        trust[trust < ROUNDING] = 0.0
        trust = np.minimum(trust / (trust.max() or 1.0), MOST)
        weights = np.clip(self.confidence * (logit(np.maximum(trust, 1 - MOST)) + 0.5), 0.0, 1.0)
        return np.asarray(weights / (weights.sum() or 1.0))
