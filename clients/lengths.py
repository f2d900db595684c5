"""The length of an update, and the bound that a hospital keeps to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def shortened(update: NDArray[np.float32], max_norm: float) -> NDArray[np.float32]:
    """The update in its direction, no longer than ``max_norm``; as it is where not finite."""
    length = float(np.linalg.norm(update.astype(np.float64)))
    if not max_norm < length < np.inf:
        return update
    return (update * (max_norm / length)).astype(np.float32)
