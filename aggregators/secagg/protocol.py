"""SecAgg+ in messages (Bonawitz et al., 2017; the graph of neighbors by Bell et al., 2020)."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from aggregators.secagg.base import Adding
from sim.errors import RefusedError, whole
from sim.federation.protocols.secagg import trips
from sim.federation.protocols.secagg.terms import Parameters
from sim.types import About, Members, Roll, Traffic

if TYPE_CHECKING:
    from sim.design.plan import FederationPlan
    from sim.federation.conversation import Conversation
    from sim.federation.protocols.secagg.hospital import SecAggHospital
    from sim.federation.rounds import Weights


@dataclass(frozen=True)
class SecAggPlus(Adding):
    """The sum of masked updates, which hospitals unmask together; every hospital counts the same.

    Args:
        least: updates that the sum must have, where the threshold asks for fewer.
        threshold: how many of the hospitals that hold shares of a secret it takes to recover it;
            more than half of them. None: two thirds of them, rounded up.
        neighbors: with how many others each hospital shares masks and secrets; None: with all.
        clip: coordinates of an update are clipped to this absolute value, and counted.
        bits: bits of a quantized coordinate, with its sign.
        signed_keys: whether hospitals sign their public keys with the key of their enrolment.
        consistency: whether hospitals state which model they trained, and who took part, and
            agree on it before they unmask.
        committed: whether shares are held to what their senders have committed to.
        one_sum: whether hospitals that have unmasked a sum of what was trained from a model refuse
            to unmask another one of the same model.
    """

    threshold: int | None = None
    neighbors: int | None = None
    signed_keys: bool = True
    consistency: bool = True
    committed: bool = True
    one_sum: bool = True
    about: ClassVar[About] = About(
        title="SecAggPlus",
        paper="Bell et al., Secure Single-Server Aggregation with (Poly)Logarithmic Overhead",
        year=2020,
        sees="the sum over all hospitals, of masked updates",
        cost="n*neighbors*d",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        whole(2, threshold=2 if self.threshold is None else self.threshold)
        whole(1, neighbors=1 if self.neighbors is None else self.neighbors)

    @cached_property
    def parameters(self) -> Parameters:
        """The parameters, as both halves of the protocol have them."""
        return Parameters(
            quantization=self.quantization,
            threshold=self.threshold,
            neighbors=self.neighbors,
            signed_keys=self.signed_keys,
            consistency=self.consistency,
            committed=self.committed,
            one_sum=self.one_sum,
        )

    @property
    def enrolls(self) -> bool:
        """Whether hospitals sign anything, for which the plan needs their verification keys."""
        return self.signed_keys or self.consistency

    @property
    def is_clear(self) -> bool:
        """Never."""
        return False

    @property
    def trips(self) -> tuple[str, ...]:
        """The kinds of the trips of a round, in their order."""
        return (
            trips.KEYS,
            trips.SHARES,
            trips.UPLOAD,
            *((trips.AGREE,) if self.consistency else ()),
            trips.UNMASK,
        )

    @cached_property
    def hospital(self) -> "SecAggHospital":
        """The hospital's half."""
        from sim.federation.protocols.secagg.hospital import SecAggHospital

        return SecAggHospital(self.parameters)

    def round(self, plan: "FederationPlan", number: int, model: "Weights") -> "Conversation":
        """The aggregator's half of a round."""
        from sim.federation.protocols.secagg.aggregator import SecAggAggregator

        return SecAggAggregator(self.parameters, plan, number, model).conversation()

    def __call__(self, roll: Roll, rng: np.random.Generator) -> Members:
        """All hospitals in one group.

        Raises ``RefusedError`` where the protocol cannot work for so many.
        """
        if (reason := self.parameters.refusal(len(roll.hospitals))) is not None:
            raise RefusedError(reason)
        return (roll.hospitals,)

    def traffic(self, plan: "FederationPlan") -> Traffic:
        """The traffic of a hospital in a round in which all hospitals answer every trip."""
        return self.parameters.traffic(len(plan.hospitals), plan.network.n_params)

    def threshold_of(self, n_hospitals: int) -> int:
        """The updates that a sum of ``n_hospitals`` must have: as many as unmask a secret."""
        return self.parameters.threshold_of(n_hospitals)
