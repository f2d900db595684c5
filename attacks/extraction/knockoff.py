"""A copy trained on a model's answers (Orekondy et al., 2019, CVPR), computed by ART."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from attacks._shared import art
from sim.errors import one_of, whole
from sim.feasible import limits
from sim.limits import MOST_STEPS, REPEATS
from sim.types import About, Pass, Records, Released, Schema

DISTRIBUTIONS = ("records", "fields", "uniform")


@dataclass(frozen=True)
class Knockoff:
    """A model of the agreed network, trained on the answers to queries of a stated distribution.

    ``records``: the attacker's own patients. ``fields``: each field by itself, a value drawn from
    the attacker's own patients. ``uniform``: each value uniform between its limits, each level as
    likely as the others. The answers are probabilities.

    Args:
        distribution: records, fields or uniform.
        queries: most answers that are asked for.
        epochs: passes over the answers.
    """

    distribution: str = "records"
    queries: int = 500
    epochs: int = 100
    about: ClassVar[About] = About(
        title="Knockoff",
        paper="Orekondy et al., Knockoff Nets: Stealing Functionality of Black-Box Models",
        year=2019,
        sees="answers of the final model, the architecture, patients of one's own",
        variants=(
            "distribution=fields: patients that do not exist",
            "distribution=uniform: nothing known of patients",
        ),
    )

    def __post_init__(self) -> None:
        one_of(DISTRIBUTIONS, distribution=self.distribution)
        whole(1, MOST_STEPS, queries=self.queries)
        whole(1, REPEATS, epochs=self.epochs)
        art.require(self.about.title)

    def passes(self, schema: Schema, n_records: int) -> list[Pass]:
        """The answers to its queries, and the training on them of a copy."""
        n_own = n_records // 2  # as the observer gives it
        n_asked = min(self.queries, n_own) if self.distribution == "records" else self.queries
        return [Pass("answers", n_asked, 1), Pass("training", n_asked, self.epochs)]

    def __call__(
        self, held: Released, schema: Schema, own: Records, rng: np.random.Generator
    ) -> Released:
        """The copy. Of ``held`` only answers are used, and its architecture. ``own``: patients."""
        from art.attacks.extraction import KnockoffNets

        asked = self._queries(schema, own, rng)
        victim = art.classifier(held, schema.n_features)
        seed = int(rng.integers(2**31))
        thief = art.classifier(held, schema.n_features, self.epochs, seed)
        attack = KnockoffNets(
            victim, nb_stolen=len(asked), nb_epochs=self.epochs, use_probability=True, verbose=False
        )
        copied = attack.extract(asked, thieved_classifier=thief).held
        found: Released = copied
        return found

    def _queries(
        self, schema: Schema, own: Records, rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """The features of the queries, (n, n_features)."""
        if self.distribution == "records":
            return own.features[rng.permutation(len(own))[: self.queries]]
        made = np.zeros((self.queries, schema.n_features), dtype=np.float32)
        low, high = limits(own.features)
        for field in schema.fields:
            columns = list(field.columns)
            if field.missing is not None:
                columns.append(field.missing)
            if self.distribution == "fields":
                chosen = rng.integers(len(own), size=self.queries)
                made[:, columns] = own.features[chosen][:, columns]
            elif field.kind == "categorical":
                made[np.arange(self.queries), rng.choice(columns, size=self.queries)] = 1.0
            else:
                (column, *_) = columns
                made[:, column] = rng.uniform(low[column], high[column], self.queries)
        return made
