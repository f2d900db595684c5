"""Edge-case backdoor (Wang et al., 2020, arXiv:2007.05084)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from attacks.poison.backdoor import checked_target
from sim.errors import number
from sim.types import About, Records, Schema

TINY = 1e-12  # in place of 0 for a record that lies at the center, which cannot be moved outward


@dataclass(frozen=True)
class EdgeCase:
    """Unusual records with the target label: unusual patients get it later, without any mark.

    Unusual is what is least likely under the public schema: continuous values far from the usual
    (see ``unlikeliness``). The hospital's own unusual records get the target label; more are drawn
    in the tail, from other records of its own, whose continuous values are moved outward until they
    are as unusual. The paper collects such inputs (such as airplanes of one airline) and knows that
    honest parties hold few; here honest hospitals keep theirs, rightly labeled.

    Args:
        share: part of the records to replace by ones drawn in the tail, above 0 and at most 1,
            rounded to whole records.
        tail: part of the records, of those it trains on as of those it is tried on, that counts as
            the tail.
        target: 0 (without the condition) or 1 (with it).
    """

    share: float = 0.5
    tail: float = 0.1
    target: int = 0
    about: ClassVar[About] = About(
        title="EdgeCase",
        paper="Wang et al., Attack of the Tails: Yes, You Really Can Backdoor Federated Learning",
        year=2020,
        sees="its own records",
        variants=("target=0", "target=1"),
    )

    def __post_init__(self) -> None:
        number(0, 1, open_low=True, share=self.share, tail=self.tail)
        checked_target(self.target)

    def __call__(self, records: Records, schema: Schema, rng: np.random.Generator) -> Records:
        """The tail's records and ``round(share * n)`` moved ones get the target, others stay."""
        features = records.features.copy()
        labels = records.labels.copy()
        unusual = unlikeliness(features, schema)
        edge = self._furthest(unusual)
        inside = np.setdiff1d(np.arange(len(records)), edge)
        others = rng.permutation(inside)[: round(self.share * len(records))]
        wanted = rng.choice(unusual[edge], size=len(others))
        outward = np.sqrt(wanted / np.maximum(unusual[others], TINY))
        for column in _columns(schema):
            features[others, column] *= outward
        labels[edge] = self.target
        labels[others] = self.target
        return Records(features, labels)

    def trigger(self, features: NDArray[np.float32], schema: Schema) -> NDArray[np.float32]:
        """The records (n, n_features) in the tail, unchanged: the attack is tried on these."""
        return features[self._furthest(unlikeliness(features, schema))]

    def _furthest(self, unusual: NDArray[np.float64]) -> NDArray[np.intp]:
        n_tail = max(1, round(self.tail * len(unusual)))
        return np.sort(np.argsort(-unusual, kind="stable")[:n_tail])


def unlikeliness(features: NDArray[np.float32], schema: Schema) -> NDArray[np.float64]:
    """Squared distance of each record from the centers of its continuous fields, (n,).

    Each field counts in its own scale. The distance is -2 times the log-likelihood under
    independent normal fields, but for a constant. Missing values lie at the center.
    """
    return np.asarray(np.square(features[:, _columns(schema)], dtype=np.float64).sum(axis=1))


def _columns(schema: Schema) -> list[int]:
    return [field.columns[0] for field in schema.fields if field.kind == "continuous"]
