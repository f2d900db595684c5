"""Structural risk of a model, without any shadow model (Jefferson et al., 2022, GRAIMATTER).

Trusted research environments ask for these figures before a model may leave, as SACRO-ML does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from sim.errors import number, whole
from sim.types import About, Records, Schema, Structure

Scores = NDArray[np.floating]  # (n,) predicted probabilities of the condition


@dataclass(frozen=True)
class StructuralRisk:
    """Degrees of freedom, anonymity of predictions, disclosed classes and small groups.

    - Residual degrees of freedom: training records beyond the model's parameters.
    - Anonymity: how many training records have the same predicted score. A record is singled out if
      fewer than ``least`` do.
    - Class disclosure: training records whose class the model states rightly with ``certainty``.
    - Small groups: groups of a hospital's training records with 1 to ``least`` - 1 of them.

    None of them proves that a patient can be recognized, and good figures do not prove the
    contrary: they show what to look at.

    Args:
        least: records that a group or a score must have.
        digits: decimal places to which predictions are released; null: all that there are.
        certainty: predicted probability of a class from which it counts as disclosed.
    """

    least: int = 10
    digits: int | None = 2
    certainty: float = 0.95
    about: ClassVar[About] = About(
        title="StructuralRisk",
        paper="Jefferson et al., GRAIMATTER: disclosure control of trained models; SACRO-ML",
        year=2022,
        sees="the training records and their predictions: it is made by those who hold both",
        variants=("digits=null: predictions with all their digits",),
    )

    def __post_init__(self) -> None:
        whole(1, least=self.least)
        if self.digits is not None:
            whole(0, 15, digits=self.digits)
        number(0.5, 1, certainty=self.certainty)

    def __call__(
        self,
        trained: Sequence[tuple[Records, Scores]],
        unseen: tuple[Records, Scores],
        schema: Schema,
        n_params: int,
        counts: Sequence[int],
    ) -> Structure:
        """The figures of a model with ``n_params`` parameters.

        ``trained``: of each hospital, the records and their predicted probabilities. ``unseen``:
        records of the same hospitals that were not trained on. ``counts``: the stated number of
        each hospital's records.
        """
        records = [of for of, _ in trained]
        scores = np.concatenate([of for _, of in trained])
        labels = np.concatenate([of.labels for of in records])
        alike = sharing(scores, self.digits)
        sizes = [list(group_sizes(of, schema)) for of in records]
        return Structure(
            freedom=tuple(residual_freedom(count, n_params) for count in counts),
            freedom_of_all=residual_freedom(sum(counts), n_params),
            n_records=sum(counts),
            n_unseen=len(unseen[0]),
            least_sharing=int(alike.min()),
            singled_out=float(np.mean(alike < self.least)),
            disclosed=float(disclosed(scores, labels, self.certainty).mean()),
            disclosed_unseen=float(disclosed(unseen[1], unseen[0].labels, self.certainty).mean())
            if len(unseen[0])
            else None,
            groups=tuple(len(of) for of in sizes),
            small_groups=tuple(small(of, self.least) for of in sizes),
        )


def residual_freedom(n_records: int, n_params: int) -> int:
    """The records beyond the parameters of a model; below 0 it has more parameters than records.

    >>> residual_freedom(200, 30)
    170
    """
    return n_records - n_params


def sharing(scores: Scores, digits: int | None = None) -> NDArray[np.int64]:
    """The number of records that have each record's predicted score, itself counted, (n,).

    ``digits``: decimal places to which predictions are released; None: all that float64 holds.

    >>> sharing(np.array([0.11, 0.12, 0.7]), 1).tolist()
    [2, 2, 1]
    """
    released = scores.astype(np.float64)
    if digits is not None:
        released = np.round(released, digits)
    _, kinds, counts = np.unique(released, return_inverse=True, return_counts=True)
    return np.asarray(counts[kinds], dtype=np.int64)


def disclosed(scores: Scores, labels: NDArray[np.floating], certainty: float) -> NDArray[np.bool_]:
    """The mask of records whose class the model states rightly with this ``certainty``, (n,).

    >>> disclosed(np.array([0.995, 0.995, 0.001]), np.array([1.0, 0.0, 0.0]), 0.99).tolist()
    [True, False, True]
    """
    stated = np.where(labels > 0.5, scores, 1 - scores)
    return np.asarray(stated >= certainty, dtype=np.bool_)


def group_sizes(records: Records, schema: Schema) -> Iterator[int]:
    """The sizes of a hospital's groups that have records.

    Groups are: all records; those with and those without the condition; of each categorical field
    those of a level; of each field that may be absent those without a value.
    """
    with_condition = records.labels > 0.5
    groups = [np.ones(len(records), dtype=np.bool_), with_condition, ~with_condition]
    for field in schema.fields:
        if field.kind == "categorical":
            groups += [records.features[:, column] > 0.5 for column in field.columns]
        elif field.missing is not None:
            groups.append(records.features[:, field.missing] > 0.5)
    for group in groups:
        if size := int(group.sum()):
            yield size


def small(sizes: Sequence[int], least: int) -> int:
    """The number of groups with fewer than ``least`` records.

    >>> small([3, 10, 9], 10)
    2
    """
    return sum(size < least for size in sizes)
