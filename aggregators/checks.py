"""Reasons to refuse: too few rows, hidden record counts, a trusted hospital without a row."""

from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from sim.errors import RefusedError
from sim.types import About, View

HIDDEN = "; secure aggregation leaves {n_rows} of {n_hospitals} rows to see"


class Documented(Protocol):
    """A rule or step with its data sheet."""

    about: ClassVar[About]


class Limited(Documented, Protocol):
    """A rule or step that needs a number of rows, ``min_rows``."""

    @property
    def min_rows(self) -> int: ...


class Against(Documented, Protocol):
    """A rule that withstands ``n_hostile`` rows; ``weighting``: by what it weighs rows."""

    @property
    def n_hostile(self) -> int: ...

    @property
    def weighting(self) -> str: ...


class Rooted(Documented, Protocol):
    """A rule that trusts one hospital, ``root``, by name; None where none is named."""

    @property
    def root(self) -> str | None: ...


def refusal(part: Limited, n_rows: int, n_hospitals: int) -> str | None:
    """The reason why a part cannot work on ``n_rows`` rows of ``n_hospitals``, or None."""
    title = part.about.title
    if n_rows >= part.min_rows:
        if getattr(part, "root", "") is None:
            return f"root=null: {title} needs the name of the trusted hospital"
        return None
    n_hostile = getattr(part, "n_hostile", None)
    given = f"n_rows={n_rows}"
    needed = part.about.limit
    if n_hostile is not None:
        given = f"{given}, n_hostile={n_hostile}"
        needed = f"{needed} = {part.min_rows}"
    hidden = HIDDEN.format(n_rows=n_rows, n_hospitals=n_hospitals) if n_rows < n_hospitals else ""
    return f"{given}: {title} needs {needed}{hidden}"


def enough(rule: Limited, view: View) -> None:
    """Raise ``RefusedError`` if ``view`` has fewer rows than ``rule`` needs.

    >>> from aggregators.rules.krum import Krum
    >>> enough(Krum(n_hostile=2), View(np.zeros((3, 4)), (("a",), ("b",), ("c",))))
    Traceback (most recent call last):
        ...
    sim.errors.RefusedError: n_rows=3, n_hostile=2: Krum needs n_rows >= 2*n_hostile + 3 = 7
    """
    text = refusal(rule, len(view.rows), sum(map(len, view.members)))
    if text is not None:
        raise RefusedError(text)


def record_counts(rule: Documented, view: View) -> NDArray[np.float64]:
    """The weights of the rows, (n_rows,).

    Raises ``RefusedError`` where they are hidden, negative or all zero.
    """
    title = rule.about.title
    if view.weights is None:
        raise RefusedError(
            f"weighting=count: {title} needs record counts,"
            " and this party does not learn record counts"
        )
    if view.weights.min() < 0 or not view.weights.sum() > 0:
        raise RefusedError(
            f"weights={view.weights.tolist()}: {title} needs record counts of at least 0"
            " and a sum above 0"
        )
    return view.weights


def minority(rule: Against, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """The weights of the rows, (n_rows,), if the ``n_hostile`` heaviest weigh less than half.

    Raises ``RefusedError`` if not.
    """
    heaviest = np.sort(weights)[len(weights) - rule.n_hostile :].sum()
    total = weights.sum()
    if heaviest >= total / 2:
        given = f"n_rows={len(weights)}, n_hostile={rule.n_hostile}, weighting={rule.weighting}"
        needed = (
            "needs the n_hostile heaviest rows to weigh less than half;"
            f" they weigh {heaviest:g} of {total:g}"
        )
        raise RefusedError(f"{given}: {rule.about.title} {needed}")
    return weights


def root_row(rule: Rooted, view: View) -> int:
    """Number of the row that is the update of hospital ``rule.root`` alone.

    Raises ``RefusedError`` if there is none.
    """
    if (rule.root,) not in view.members:
        names = ", ".join(group[0] for group in view.members if len(group) == 1) or "none"
        raise RefusedError(
            f"root={rule.root}: {rule.about.title} needs a hospital with a row of its own: {names}"
        )
    return view.members.index((rule.root,))
