"""Tables of docs/rules.md: ``python -m benchmarks.claims promises``, ``variants`` or ``far``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
from omegaconf import OmegaConf

from aggregators.rules.krum import LEFT_OUT, Variant, krum_scores
from benchmarks.rules import CONF
from sim.config.build import build
from sim.seeds import stream
from sim.types import Rule, View

N_ROWS = 11
N_HOSTILE = 2
N_PARAMS = 40
DISTANCE = 1e6
DRAWS = 200
DIRECTIONS = ("agreeing", "independent", "independent, one ten times as far")
VARIANTS: tuple[Variant, ...] = tuple(variant for variant in LEFT_OUT if variant != "paper")


def plugins(group: str) -> dict[str, Any]:
    """Every rule or step by name, against ``N_HOSTILE`` hostile; the last hospital is trusted."""
    made = {}
    adversary = {"n_hostile": N_HOSTILE}
    for path in sorted((CONF / group).glob("*.yaml")):
        whole = OmegaConf.create({"adversary": adversary, "node": OmegaConf.load(path)})
        node: Any = OmegaConf.to_container(whole, resolve=True)
        if "_target_" in node["node"]:
            made[path.stem] = cast(Any, build(group, node["node"]))
    return {
        name: replace(one, root=f"h{N_ROWS - 1:02}") if hasattr(one, "root") else one
        for name, one in made.items()
    }


def promises() -> Iterator[Sequence[str]]:
    """Each rule and step, and what it promises."""
    yield "name", "promise"
    for group in ("aggregator", "steps"):
        for name, plugin in plugins(group).items():
            yield f"`{name}`", plugin.about.promise


def differing(n_draws: int) -> dict[str, float]:
    """Share of draws in which a variant of Krum takes another row than the paper's.

    A draw: 10 normal rows of 50 entries, 2 hostile.
    """
    others = dict.fromkeys(VARIANTS, 0)
    for seed in range(n_draws):
        rows = np.random.default_rng(seed).normal(size=(10, 50))
        chosen = krum_scores(rows, 2, "paper").argmin()
        for variant in VARIANTS:
            others[variant] += int(krum_scores(rows, 2, variant).argmin() != chosen)
    return {variant: count / n_draws for variant, count in others.items()}


def variants() -> Iterator[Sequence[str]]:
    """Krum's variants, and how often each takes another row."""
    yield "variant", "another row in 10,000 draws"
    yield from ((f"`{variant}`", f"{share:.1%}") for variant, share in differing(10_000).items())


def far_rows(seed: int, directions: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Normal rows, of which the first ``N_HOSTILE`` are ``DISTANCE`` times as long or more."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(N_ROWS, N_PARAMS))
    if directions == "agreeing":
        rows[:N_HOSTILE] = rows[0]
    if directions.endswith("as far"):
        rows[0] *= 10
    rows[:N_HOSTILE] *= DISTANCE
    return rows


def moved(rule: Rule, directions: str, n_draws: int = DRAWS) -> int:
    """Number of draws in which far rows move the rule farther from the honest mean than allowed.

    Allowed is the geometric median's bound.
    """
    count = 0
    for seed in range(n_draws):
        rows = far_rows(seed, directions)
        honest = rows[N_HOSTILE:]
        center = honest.mean(axis=0)
        radius = np.linalg.norm(honest - center, axis=1).max()
        names = tuple((f"h{i:02}",) for i in range(N_ROWS))
        view = View(rows, names, np.ones(N_ROWS), np.zeros(N_PARAMS))
        bound = 2 * (N_ROWS - N_HOSTILE) / (N_ROWS - 2 * N_HOSTILE) * radius
        count += int(np.linalg.norm(rule(view, stream(0, "rule")) - center) > bound)
    return count


def far() -> Iterator[Sequence[str]]:
    """The rules that two far rows of eleven move, and in how many draws."""
    yield ("rule", *DIRECTIONS)
    for name, rule in plugins("aggregator").items():
        counts = [moved(rule, directions) for directions in DIRECTIONS]
        if any(counts):
            yield (f"`{name}`", *(f"{count} of {DRAWS}" for count in counts))


TABLES: dict[str, Callable[[], Iterable[Sequence[str]]]] = {
    "promises": promises,
    "variants": variants,
    "far": far,
}


def markdown(lines: Iterable[Sequence[str]]) -> str:
    """A head and lines as a table."""
    head, *rest = lines
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rest))


if __name__ == "__main__":
    for word in sys.argv[1:] or TABLES:
        print(markdown(TABLES[word]()), end="\n\n")
