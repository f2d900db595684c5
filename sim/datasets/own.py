"""The common part of a consortium's own data, tables and images: files, condition, hospitals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from sim.datasets.own_hospitals import Sharing
from sim.datasets.own_labels import Classes, Values
from sim.errors import InputError, number


@dataclass(frozen=True)
class Own:
    """The parameters of a consortium's own data, whatever a record is.

    ``path``: a file, a folder with a file per hospital, or a list of files. ``hospital``: the
    column that names the hospital; without it each file of several is a hospital, and one file is
    shared out (``partition``: ``equal``, ``size`` or ``dirichlet``) to ``n_hospitals``. ``label``:
    the column of the condition; ``positive``: its values of patients with it, ``negative``: of
    those without, where there are several; or ``positive_from``: the least number with it.
    ``column`` is the word for a column in messages.
    """

    column: ClassVar[str] = "column"

    path: str | Sequence[str] | None = None
    hospital: str | None = None
    label: str | None = None
    positive: Values = None
    negative: Values = None
    positive_from: float | None = None
    partition: str | None = None
    n_hospitals: int = 8
    alpha: float = 0.5
    min_rows: int = 10
    test_fraction: float = 0.3

    def __post_init__(self) -> None:
        if not self.label:
            expected = f"expected the {self.column} with the condition"
            raise InputError("label", "nothing", expected)
        _ = self.classes, self.sharing  # which check their own
        number(0, 0.9, open_low=True, test_fraction=self.test_fraction)

    @property
    def classes(self) -> Classes:
        """The two classes of the label."""
        return Classes(self.positive, self.negative, self.positive_from)

    @property
    def sharing(self) -> Sharing:
        """The rule by which records are shared out to the hospitals."""
        return Sharing(self.hospital, self.partition, self.n_hospitals, self.alpha, self.min_rows)
