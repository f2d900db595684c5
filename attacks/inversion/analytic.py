"""Records read off the first linear layer's update (Phong et al., 2018, IACR ePrint 2017/715)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from attacks._shared.candidates import grouped, plausible
from attacks._shared.labels import prevalences
from attacks._shared.layers import first_layer
from sim.errors import number, whole
from sim.types import About, Guess, Observation, Vector


@dataclass(frozen=True)
class AnalyticInversion:
    """Each neuron's weight update over its bias update: a record, if a single one has moved it.

    A hospital of one record is read exactly, also after many SGD steps; so is each record of a
    larger sum that alone activates some ReLU neuron. Everything else is a mixture of records, used
    only if it looks like a record (see ``plausible``). After Adam the quotients are wrong in the
    continuous fields. Noise on the updates leaves no guess where records have 0/1 columns, and
    wrong guesses elsewhere. The share of records with the condition is guessed beside them.

    Args:
        round: round whose updates are attacked, from 1.
        threshold: least bias update that is used, relative to the largest of the row.
    """

    round: int = 1
    threshold: float = 1e-4
    about: ClassVar[About] = About(
        title="AnalyticInversion",
        paper=(
            "Phong et al., Privacy-Preserving Deep Learning via Additively Homomorphic Encryption"
        ),
        year=2018,
        sees="updates or their sums, the layout of the model, the public schema of a record",
    )

    def __post_init__(self) -> None:
        whole(1, round=self.round)
        number(0, 1, open_low=True, threshold=self.threshold)

    def __call__(self, seen: Observation, rng: np.random.Generator) -> list[Guess]:
        """The guess of each row of the view.

        Raises:
            RefusedError: the model does not start with a linear layer with a bias on the features
                of the schema.
        """
        weight, bias = first_layer(seen.layout, seen.schema.n_features, self.about.title)
        shares = prevalences(seen, rng)
        found = []
        for row, share in zip(seen.view.rows.astype(np.float64), shares, strict=True):
            quotients = plausible(self._quotients(row[weight], row[bias]), seen.schema)
            found.append(Guess(grouped(quotients), share))
        return found

    def _quotients(self, weight: Vector, bias: Vector) -> NDArray[np.float64]:
        """Weight update over bias update of each neuron that moved, the most moved first.

        The quotients have the shape (n_moved, n_features).
        """
        size = np.abs(bias)
        order = np.argsort(-size, kind="stable")
        moved = order[size[order] > max(self.threshold * size.max(), np.finfo(np.float64).tiny)]
        return np.asarray(weight.reshape(len(bias), -1)[moved] / bias[moved, None])
