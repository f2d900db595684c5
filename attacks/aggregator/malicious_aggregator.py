"""An aggregator that asks for other terms than agreed (after Boenisch et al., 2023, EuroS&P)."""

from dataclasses import dataclass
from typing import ClassVar

from sim.errors import whole
from sim.types import About, Demand


@dataclass(frozen=True)
class MaliciousAggregator:
    """An aggregator that asks for training without protection, on so few records that they show.

    The paper's server switches protections off and chooses what hospitals train on; this one
    changes the agreed terms and leaves the weights alone. It gains something only from hospitals
    that do whatever a message asks: those of this project train by their own copy of the plan and
    refuse a task of another one.

    Args:
        dp: whether records still get the record-level DP that was agreed on.
        local_steps: batches of a round; None: as agreed.
        batch_size: records of a batch; None: as agreed.
    """

    dp: bool = False
    local_steps: int | None = 1
    batch_size: int | None = 1
    about: ClassVar[About] = About(
        title="MaliciousAggregator",
        paper=(
            "Boenisch et al., Reconstructing Individual Data Points in Federated Learning Hardened"
            " with DP and SecAgg"
        ),
        year=2023,
        sees="what the aggregator sees; it changes what hospitals are asked",
    )

    def __post_init__(self) -> None:
        for name in ("local_steps", "batch_size"):
            if getattr(self, name) is not None:
                whole(1, **{name: getattr(self, name)})

    def __call__(self, demand: Demand) -> Demand:
        return Demand(
            dp=demand.dp and self.dp,
            local_steps=demand.local_steps if self.local_steps is None else self.local_steps,
            batch_size=demand.batch_size if self.batch_size is None else self.batch_size,
        )
