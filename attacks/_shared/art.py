"""A model as a classifier of the Adversarial Robustness Toolbox (ART), which need not be installed.

Nothing of ART is imported before it is asked for.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sim.errors import UndefinedError

if TYPE_CHECKING:
    from art.estimators import BaseEstimator

    from sim.types import Released

NEEDED = ("art", "packaging")  # ART imports the second without asking for it


def require(title: str) -> None:
    """Refuse an attack whose toolbox is not installed. Raises ``UndefinedError``."""
    if any(find_spec(name) is None for name in NEEDED):
        expected = (
            "it needs the Adversarial Robustness Toolbox, which is not installed"
            " (pip install 'wardround[art]')"
        )
        raise UndefinedError("_target_", title, expected)


def classifier(held: Released, n_features: int, epochs: int = 1, seed: int = 0) -> BaseEstimator:
    """The model as a classifier of two classes, by index: without and with the condition.

    ``epochs`` and ``seed``: of the training with which ``fit`` replaces the model.
    """
    return _kind()(held, n_features, epochs, seed)


@cache
def _kind() -> type:
    """The class of our classifiers; it is made at the first call, for its bases are ART's."""
    from art.estimators import BaseEstimator, LossGradientsMixin
    from art.estimators.classification import ClassifierMixin

    class Classifier(LossGradientsMixin, ClassifierMixin, BaseEstimator):  # type: ignore[misc]
        """A released model between ART's calls and ours."""

        estimator_params = BaseEstimator.estimator_params

        def __init__(self, held: Released, n_features: int, epochs: int, seed: int) -> None:
            super().__init__(model=held, clip_values=None)
            self.held = held
            self.n_features = n_features
            self.epochs = epochs
            self.seed = seed
            self.nb_classes = 2

        @property
        def input_shape(self) -> tuple[int, ...]:
            return (self.n_features,)

        def predict(
            self, x: NDArray[np.floating], batch_size: int = 128, **_: object
        ) -> NDArray[np.float32]:
            """Probabilities (n, 2)."""
            # ART shuffles by a generator that nobody seeds, and order changes the last digit
            order = np.lexsort(x.T)
            logits = np.empty(len(x))
            logits[order] = self.held.logits(x[order])
            share = 1 / (1 + np.exp(-np.clip(logits, -60, 60)))
            return np.stack([1 - share, share], axis=1).astype(np.float32)

        def loss_gradient(
            self, x: NDArray[np.floating], y: NDArray[np.floating], **_: object
        ) -> NDArray[np.float32]:
            """The gradient of the loss, (n, n_features); ``y`` (n, 2) or class numbers (n,)."""
            labels = y[:, 1] if y.ndim == 2 else y
            return self.held.gradients(x, labels.astype(np.float64)).astype(np.float32)

        def fit(self, x: NDArray[np.floating], y: NDArray[np.floating], **_: object) -> None:
            """Train a model anew on probabilities (n, 2), whatever order they come in."""
            order = np.lexsort(x.T)
            rng = np.random.default_rng(self.seed)
            self.held = self.held.taught(x[order], y[order, 1], self.epochs, rng)

    return Classifier
