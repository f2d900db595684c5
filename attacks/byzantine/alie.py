"""A Little Is Enough (Baruch et al., 2019, arXiv:1902.06156)."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from attacks._shared.honest import deviation, mean, repeated
from attacks._shared.spread import at_least_two
from sim.errors import InputError, RefusedError, number, one_of
from sim.types import About, Knowledge, Updates


@dataclass(frozen=True)
class ALIE:
    """All send ``mean + sign * z * standard deviation``: a shift that hides in the known updates.

    The updates known are the honest ones where the adversary sees them, else what the hostile
    hospitals would have sent. For few attackers (n even and f <= 2) the paper's ``z`` is not above
    0, and the attack then hardly moves the mean.

    Args:
        z: ``paper`` for the paper's normal quantile of ``(n-f-s)/(n-f)`` with ``s =
            floor(n/2+1)-f`` supporters, for ``n`` hospitals and ``f`` hostile ones; or a fixed
            number (1.5 in common code).
        sign: direction of the shift, -1 or 1.
        deviation: ``population`` (authors' code) or ``sample`` standard deviation.
    """

    z: float | Literal["paper"] = "paper"
    sign: Literal[-1, 1] = -1
    deviation: Literal["population", "sample"] = "population"
    about: ClassVar[About] = About(
        title="ALIE",
        paper="Baruch et al., A Little Is Enough: Circumventing Defenses For Distributed Learning",
        year=2019,
        sees="honest updates, or the updates of two or more colluding hospitals",
        needs="colluders",
        uses="updates",
        variants=(
            "z=paper",
            "z=1.5",
            "sign=-1",
            "sign=1",
            "deviation=population",
            "deviation=sample",
        ),
    )

    def __post_init__(self) -> None:
        if self.z != "paper":
            number(0, z=self.z)
        if self.sign not in (-1, 1):
            raise InputError("sign", self.sign, "expected -1 or 1")
        one_of(("population", "sample"), deviation=self.deviation)

    def __call__(self, known: Knowledge, rng: np.random.Generator) -> Updates:
        """The rows that the hostile hospitals send, (len(known.own), n_params), float64.

        Raises ``RefusedError`` for fewer than two known updates, and where the paper's quantile
        does not exist.
        """
        rows = at_least_two(self, known)
        spread = deviation(rows, ddof=int(self.deviation == "sample"))
        z = paper_z(known.n_hospitals, known.n_hostile) if self.z == "paper" else self.z
        return repeated(mean(rows) + self.sign * z * spread, known)


def paper_z(n_hospitals: int, n_hostile: int) -> float:
    """The paper's ``z``, a normal quantile.

    Raises ``RefusedError`` where it is infinite: fewer than 3 hospitals, or a hostile majority.
    """
    from scipy.special import ndtri

    supporters = n_hospitals // 2 + 1 - n_hostile
    honest = n_hospitals - n_hostile
    if not 0 < supporters < honest:
        raise RefusedError(
            f"n_hospitals={n_hospitals}, n_hostile={n_hostile}: ALIE with z=paper needs"
            f" n_hospitals >= 3 and n_hostile <= floor(n_hospitals/2) = {n_hospitals // 2};"
            " give z a number"
        )
    return float(ndtri((honest - supporters) / honest))
