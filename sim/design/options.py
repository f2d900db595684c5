"""The choices of secure aggregation with which a plan's steps and rule would work, in numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, cast

import numpy as np

from sim.config.build import built
from sim.design.views import averages
from sim.errors import PluginError, RefusedError
from sim.names import CLEAR, GROUPS
from sim.plugins import SELF
from sim.seeds import stream
from sim.types import Node, SecureAggregation

if TYPE_CHECKING:
    from sim.design.plan import FederationPlan

FEWEST: Final = 2  # hospitals of a sum
SHOWN: Final = 3  # group sizes that a sentence lists


@dataclass(frozen=True)
class Option:
    """A choice of secure aggregation, and what steps and rule would have to work on.

    ``words``: as on the command line. ``size``: hospitals of the smallest row. ``withstands``: the
    most hostile hospitals for which steps and rule are defined on these rows; None where they take
    no such number. ``n_records``: training records behind a row, on average; None if not known.
    """

    words: str
    n_rows: int
    size: int
    withstands: int | None
    n_records: int | None

    @property
    def text(self) -> str:
        """The option with its numbers."""
        rows = "1 row" if self.n_rows == 1 else f"{self.n_rows} rows"
        seen = f"sums of {self.size} hospitals" if self.size > 1 else "each hospital's own update"
        if self.n_records is not None and self.size > 1:
            seen = f"sums of about {self.n_records} records"
        return f"{self.words}: {rows}, {self._against}, {seen}"

    @property
    def _against(self) -> str:
        if self.withstands is None:
            most = (self.n_rows - 1) // 2  # no rule can where half of the rows are hostile
            return f"no rule withstands more than {_hostile(most)}"
        return f"withstands {_hostile(self.withstands)}"


def _hostile(number: int) -> str:
    return "1 hostile hospital" if number == 1 else f"{number} hostile hospitals"


def refusal(plan: FederationPlan) -> str | None:
    """The reason why steps or rule cannot work on the plan's view; None if they can.

    It is found by limits, then by tries on small updates. Raises ``PluginError`` for a part that
    fails on them.
    """
    names = plan.hospitals
    text = plan.quorum.refusal(len(names))
    if text is not None:
        return text
    counts = np.ones(len(names))
    small = stream(0, "check").normal(size=(len(names), 3)).astype(np.float32)
    try:
        for rows in (0 * small, small):
            view = averages(plan.groups(1), plan.secagg.least, names, rows, counts)
            plan.chain.check(replace(view, model=rows[0]), stream(0, "check"))
    except RefusedError as error:
        return str(error)
    return None


def options(
    plan: FederationPlan, sizes: Sequence[int] = (), least_group: int = 1
) -> tuple[Option, ...]:
    """The other choices that would work, from the largest groups to single hospitals.

    ``sizes``: record counts of the hospitals, empty if not known. ``least_group``: the smallest
    group that all hospitals accept.
    """
    found = list[Option]()
    n_hospitals = len(plan.hospitals)
    known = sum(sizes) if sizes else None
    for words, secagg in _choices(plan, least_group):
        other = replace(plan, secagg=secagg)
        try:
            if secagg == plan.secagg or refusal(other) is not None:
                continue
        except (PluginError, RefusedError):
            continue
        groups = other.groups(1)
        n_rows = len(groups)
        withstands = plan.chain.most_hostile(n_rows, n_hospitals)
        n_records = None if known is None else round(known / n_rows)
        found.append(Option(words, n_rows, min(map(len, groups)), withstands, n_records))
    return tuple(found)


def sentence(found: Sequence[Option]) -> str:
    """The options in one line; of many group sizes the ends and the middle."""
    grouped = [one for one in found if one.size > 1]
    if len(grouped) > SHOWN:
        grouped = [grouped[0], grouped[len(grouped) // 2], grouped[-1]]
    return "; ".join(one.text for one in [*grouped, *(one for one in found if one.size == 1)])


def explained(
    text: str, plan: FederationPlan, sizes: Sequence[int] = (), least_group: int = 1
) -> str:
    """The refusal ``text`` with the options that would work, where the plan hides updates."""
    if not plan.is_hiding:
        return text
    found = options(plan, sizes, least_group)
    if not found:
        return f"{text}; no other choice of secagg would do"
    return f"{text}; what would do: {sentence(found)}"


def _choices(plan: FederationPlan, least_group: int) -> Iterator[tuple[str, SecureAggregation]]:
    """Groups of each size, the largest first, and none, as far as hospitals accept them."""
    n_hospitals = len(plan.hospitals)
    packages = tuple(plan.terms.plugins)
    for n_groups in range(2, n_hospitals // 2 + 1):
        size = n_hospitals // n_groups
        if n_hospitals // size == n_groups and size >= least_group:
            node = _grouped(plan.terms.secagg, size, least_group)
            words = [f"secagg.{key}={node[key]}" for key in ("size", "least") if key in node]
            grouped = cast(SecureAggregation, built("secagg", node, packages))
            yield " ".join(["secagg=groups", *words[: 2 if least_group > FEWEST else 1]]), grouped
    if least_group <= 1:
        yield "secagg=none", cast(SecureAggregation, built("secagg", {SELF: CLEAR}, packages))


def _grouped(node: Node, size: int, least_group: int) -> Node:
    """The node of groups of a size: the plan's own where it has groups, else the usual ones."""
    own = node if node.get(SELF) == GROUPS else {SELF: GROUPS}
    least = max(least_group, min(int(own.get("least", FEWEST)), size))
    return {**own, "size": size, "least": least}
