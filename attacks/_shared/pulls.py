"""Records beside updates: where a record pulls the model, and which row its hospital is in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sim.types import AgreedModel, Members, Records, Updates, Vector

AT_ONCE = 256  # records whose gradients are held
SHORTEST = 1e-30  # a length that is taken for one


def cosines(
    model: AgreedModel, weights: Vector, rows: Updates, records: Records
) -> NDArray[np.float64]:
    """The cosine of each row with the step down each record's loss at ``weights``.

    (n_rows, n), 0 for a row or a gradient of zeros.
    """
    lengths = np.maximum(np.linalg.norm(rows.astype(np.float64), axis=1), SHORTEST)
    directions = rows / lengths[:, None]
    found = np.empty((len(rows), len(records)))
    for at in range(0, len(records), AT_ONCE):
        pulls = model.gradients(weights, records.take(slice(at, at + AT_ONCE)))
        sizes = np.maximum(np.linalg.norm(pulls.astype(np.float64), axis=1), SHORTEST)
        found[:, at : at + AT_ONCE] = -(directions @ pulls.T) / sizes
    return found


def own_rows(members: Members, hospitals: Sequence[str]) -> NDArray[np.int64]:
    """The row that holds each of ``hospitals``, -1 where none does."""
    places = {name: row for row, group in enumerate(members) for name in group}
    return np.array([places.get(name, -1) for name in hospitals], dtype=np.int64)
