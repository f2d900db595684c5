"""The constraint of constrain-and-scale (Bagdasaryan et al., 2020, arXiv:1807.00459)."""

from dataclasses import dataclass
from typing import ClassVar

from sim.errors import number
from sim.training import Training
from sim.types import About


@dataclass(frozen=True)
class Constrain:
    """Training with a price on the distance from the received model, so that harm stands out less.

    The loss is ``alpha`` times the loss on records plus ``1 - alpha`` times the squared distance
    from the received model. Joined with a poison and ``model_replacement`` it is the paper's
    constrain-and-scale. The paper leaves the second part of its loss open; here it is the squared
    Euclidean distance, whose gradient is that of FedProx with another weight.

    Args:
        alpha: weight of the loss on records, above 0 and at most 1, where nothing is constrained.
    """

    alpha: float = 0.5
    about: ClassVar[About] = About(
        title="Constrain",
        paper="Bagdasaryan et al., How To Backdoor Federated Learning",
        year=2020,
        sees="its own records and the received model",
    )

    def __post_init__(self) -> None:
        number(0, 1, open_low=True, alpha=self.alpha)

    def __call__(self, training: Training) -> Training:
        """The same with another step and another proximal term, which replaces the honest one.

        Plain descent follows alpha * (gradient + mu * way) in steps of ``lr`` for mu = 2 (1 -
        alpha) / alpha. Adam's steps do not grow with the loss (but for its epsilon), so that its
        ``lr`` stays.
        """
        lr = training.lr * self.alpha if training.optimizer == "sgd" else training.lr
        return training.model_copy(update={"lr": lr, "proximal": 2 * (1 - self.alpha) / self.alpha})
