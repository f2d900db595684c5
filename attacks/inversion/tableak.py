"""Rows of tables found by matching the direction of their update (Vero et al., 2023, ICML)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from attacks._shared.descent import descend
from attacks._shared.matching import MOST_RECORDS, Search, cosine, searched, searches
from attacks._shared.relaxed import Relaxation
from sim.errors import RefusedError, number, whole
from sim.limits import MOST_STEPS, REPEATS
from sim.types import About, Field, Guess, Look, Observation, TableSchema

SHRINKS = {5 / 8: 0.3, 7 / 8: 0.1}  # share of the iterations -> length of the steps from there on
FINEST = 0.03  # standard deviations of members that agree as far as counts
APART = 1e6  # a distance that no two records have
LONGEST_STEP = 10.0
WIDEST = 1000.0  # standard deviations
MEMORY = 50  # steps that L-BFGS remembers

Values = NDArray[np.floating]


@dataclass(frozen=True)
class TabLeak:
    """TabLeak: records of mixed columns whose training would move the model as it was observed.

    Levels are relaxed by a softmax and continuous values by a sigmoid; one minus the cosine of the
    updates is made small by Adam on the signs of the gradient, for an ensemble from other first
    records at once. Each member is projected to records that a patient can have and judged by its
    update again; the records of all members are laid beside those of the best one, and pooled: the
    mean of the levels, the median of the continuous values, which are then refined. How far the
    members agree tells the attacker which fields it knows. The cosine knows no length, so that
    clipping hides nothing. Labels come from the update of the last bias, or from a share of records
    with the condition that is known. Of several batches the attacker knows the order.

    Args:
        round: round whose updates are attacked, from 1.
        iterations: steps of Adam.
        ensemble: members, from other first records.
        lr: length of the first steps, in free values.
        bound: largest continuous value in standard deviations, null for any.
        refinements: most updates that are computed to refine the pooled records.
        most_records: behind a row that is searched; among more, few are found.
        prevalence: share of records with the condition behind each row, null if it is not known.
    """

    round: int = 1
    iterations: int = 1500
    ensemble: int = 10
    lr: float = 0.06
    bound: float | None = 6.0
    refinements: int = 200
    most_records: int = 32
    prevalence: float | None = None
    about: ClassVar[About] = About(
        title="TabLeak",
        paper="Vero et al., TabLeak: Tabular Data Leakage in Federated Learning",
        year=2023,
        sees=(
            "updates or their sums, the model, the training values, counts of records, the public"
            " schema of a record"
        ),
        variants=("ensemble=1: one try", "bound=null: continuous values are not relaxed"),
    )

    def __post_init__(self) -> None:
        whole(1, round=self.round)
        whole(1, MOST_STEPS, iterations=self.iterations)
        whole(1, REPEATS, ensemble=self.ensemble)
        whole(0, REPEATS, refinements=self.refinements)
        whole(1, MOST_RECORDS, most_records=self.most_records)
        number(0, LONGEST_STEP, open_low=True, lr=self.lr)
        if self.bound is not None:
            number(0, WIDEST, open_low=True, bound=self.bound)
        if self.prevalence is not None:
            number(0, 1, prevalence=self.prevalence)

    def __call__(self, seen: Observation, rng: np.random.Generator) -> list[Guess]:
        """The guess of each row of the view; without records where nothing can be searched.

        Raises:
            RefusedError: records are images.
        """
        if not isinstance(seen.schema, TableSchema):
            raise RefusedError("consortium: TabLeak needs records that are rows of a table")
        relaxation = Relaxation.of(seen.schema, self.bound)
        nothing = np.zeros((0, seen.schema.n_features))
        return [
            Guess(nothing)
            if search is None or len(search.labels) > self.most_records
            else self._found(search, relaxation, rng)
            for search in searches(seen, rng, self.prevalence)
        ]

    def looks(self, rows: Sequence[tuple[int, int]]) -> list[Look]:
        """The amount that is searched behind rows of so many records and hospitals."""
        found = searched(rows, self.most_records)
        each = ((self.ensemble, self.iterations + 1), (1, self.refinements))
        return [Look(tries, n, k, times) for n, k in found for tries, times in each if times]

    def _found(self, search: Search, relaxation: Relaxation, rng: np.random.Generator) -> Guess:
        shape = (self.ensemble, len(search.labels), search.schema.n_features)
        labels = np.broadcast_to(search.labels, shape[:2])
        of = cosine(np.broadcast_to(search.update, (self.ensemble, len(search.update))))

        def slope(free: Values) -> Values:
            records = relaxation.records(free)
            _, by_records, _ = search.mismatch(records, labels, of)
            return relaxation.pulled_back(free, records, by_records)

        members = relaxation.records(descend(rng.uniform(-1, 1, shape), slope, self._rates()))
        mismatch, _, _ = search.mismatch(relaxation.projected(members), labels, of)
        best = members[np.nan_to_num(mismatch, nan=np.inf).argmin()]
        beside = np.array([_aligned(one, best, search.labels, relaxation) for one in members])
        pooled = beside.mean(axis=0)
        pooled[:, relaxation.numbers] = np.median(beside[..., relaxation.numbers], axis=0)
        records = self._refined(relaxation.projected(pooled), search, relaxation)
        sure = None if self.ensemble == 1 else certainty(beside, search.schema.fields)
        return Guess(records, float(search.labels.mean()), sure)

    def _rates(self) -> list[float]:
        done = np.arange(self.iterations) / self.iterations
        shares = np.ones(self.iterations)
        for start, share in SHRINKS.items():
            shares[done >= start] = share
        return [float(rate) for rate in self.lr * shares]

    def _refined(self, records: Values, search: Search, relaxation: Relaxation) -> Values:
        """The records with their continuous values searched on; levels and flags stay."""
        from scipy.optimize import minimize

        free = relaxation.is_free(records)
        if not self.refinements or not free.any():
            return records
        of = cosine(search.update[None])
        found = records.copy()

        def mismatch(values: Values) -> tuple[float, Values]:
            found[free] = values
            value, by_records, _ = search.mismatch(found[None], search.labels[None], of)
            return float(value[0]), by_records[0][free]

        options = {
            "maxcor": MEMORY,
            "maxfun": self.refinements,
            "maxiter": self.refinements,
            "ftol": 0.0,
            "gtol": 0.0,
        }
        bounds = None if self.bound is None else [(-self.bound, self.bound)] * int(free.sum())
        start = records[free]
        found[free] = minimize(
            mismatch, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options
        ).x
        return found


def _aligned(member: Values, best: Values, labels: Values, relaxation: Relaxation) -> Values:
    """The records of a member in the order of those of the best one that they are nearest to.

    Records of another label are never laid beside each other.
    """
    from scipy.optimize import linear_sum_assignment

    gaps = np.minimum(np.abs(best[:, None] - member[None]), 1.0) @ relaxation.weights
    gaps += APART * (labels[:, None] != labels[None])
    return np.asarray(member[linear_sum_assignment(gaps)[1]])


def certainty(members: Values, fields: Sequence[Field]) -> Values:
    """The agreement of the members (n, n_records, n_features) on each field, (n_records, n_fields).

    It is 1 less the entropy of the members' mean over that of ignorance: uniform levels, or a
    normal distribution of 1 standard deviation, counted down to ``FINEST``. A field that can be
    absent is as sure as the less sure of its value and its flag.
    """
    found = [_of_field(members, field) for field in fields]
    return np.stack(found, axis=1)


def _of_field(members: Values, field: Field) -> Values:
    columns = list(field.columns)
    if field.kind == "categorical":
        return _of_levels(members[..., columns].mean(axis=0))
    spread = np.maximum(members[..., columns[0]].std(axis=0), FINEST)
    sure = np.clip(np.log(spread) / np.log(FINEST), 0, 1)
    if field.missing is None:
        return np.asarray(sure)
    absent = members[..., field.missing].mean(axis=0)
    return np.asarray(np.minimum(sure, _of_levels(np.stack([absent, 1 - absent], axis=1))))


def _of_levels(shares: Values) -> Values:
    """1 less the entropy of shares (n_records, n_levels) over that of equal ones."""
    if shares.shape[1] == 1:
        return np.ones(len(shares))
    safe = np.maximum(shares, np.finfo(np.float64).tiny)
    entropy = -(shares * np.log(safe)).sum(axis=1)
    return np.asarray(np.clip(1 - entropy / np.log(shares.shape[1]), 0, 1))
