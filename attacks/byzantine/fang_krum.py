"""Local model poisoning directed at Krum (Fang et al., 2020, arXiv:1911.11815)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from attacks._shared.directions import signs
from attacks._shared.honest import Cloud, cloud, repeated, seen
from sim.errors import RefusedError, number
from sim.types import About, Knowledge, Updates, Vector


@dataclass(frozen=True)
class FangKrum:
    """All send ``-strength * sign(honest mean)``, as strong as Krum still takes for the best row.

    The search starts from the paper's upper bound and halves until Krum would choose the row, or
    the strength is below ``least``. All hostile rows are equal (the paper's epsilon is 0 here) and
    the honest updates are known (the paper's full knowledge).

    Args:
        least: strength below which the search ends (1e-5 in the paper).
    """

    least: float = 1e-5
    about: ClassVar[About] = About(
        title="FangKrum",
        paper="Fang et al., Local Model Poisoning Attacks to Byzantine-Robust Federated Learning",
        year=2020,
        sees="honest updates; that the rule is Krum is assumed",
        needs="updates",
        uses="updates",
    )

    def __post_init__(self) -> None:
        number(0, open_low=True, least=self.least)

    def __call__(self, known: Knowledge, rng: np.random.Generator) -> Updates:
        """The rows that the hostile hospitals send, (len(known.own), n_params), float64.

        Raises ``RefusedError`` where Krum's own limit leaves no neighbor to count.
        """
        rows = seen(known)
        f = len(known.own)
        n_others = len(rows) - f - 1  # honest neighbors Krum counts for a row with f - 1 equals
        if n_others < 1:
            raise RefusedError(
                f"n_honest={len(rows)}, n_hostile={f}:"
                f" FangKrum needs n_honest >= n_hostile + 2 = {f + 2}"
            )
        around = cloud(rows, lambda block: np.vstack([-signs(block), block.center]), n_pushes=2)
        push = around.pushes[0]
        between = np.sqrt(around.squared_distances)
        strength = _highest(between, np.sqrt(_gaps(around, 0.0)), n_others, push.size)
        while strength >= self.least and not _chosen(between, _gaps(around, strength), f):
            strength /= 2
        return repeated(strength * push, known)


def _highest(between: Updates, lengths: Vector, n_others: int, n_params: int) -> float:
    """The paper's upper bound of the strength, from distances and lengths of the honest rows."""
    nearest = np.sort(between, axis=1)[:, 1 : len(between) - 1]
    return float((nearest.sum(axis=1).min() / n_others + lengths.max()) / np.sqrt(n_params))


def _gaps(rows: Cloud, strength: float) -> Vector:
    """Squared distance of every honest row from ``strength`` times the push.

    The first of the two pushes is the push, the second the rows' center.
    """
    push, center = rows.pushes
    apart = strength**2 * (push @ push) - 2 * strength * (push @ center) + center @ center
    offsets = strength * rows.offsets[0] - rows.offsets[1]
    return np.asarray(np.maximum(np.diag(rows.products) - 2 * offsets + apart, 0))


def _chosen(between: Updates, gaps: Vector, f: int) -> bool:
    """Whether Krum prefers ``f`` equal rows at squared distances ``gaps`` to every honest row."""
    n_neighbors = len(gaps) - 2
    crafted = np.sort(np.append(np.zeros(f - 1), gaps))[:n_neighbors].sum()
    others = np.where(np.eye(len(between), dtype=bool), np.inf, between**2)
    to_all = np.sort(np.hstack([others, np.tile(gaps[:, None], f)]), axis=1)
    return bool(crafted < to_all[:, :n_neighbors].sum(axis=1).min())
