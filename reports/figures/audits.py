"""The figure of audits: lower bounds of epsilon beside the claim."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import polars as pl
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator

from reports.figures import style
from reports.figures.style import Width, sized
from reports.text import words

FORMS: Final[Mapping[str, tuple[str, str, str]]] = {  # form: color, marker, name
    "one_run": (style.BLUE, "o", "one-run audit"),
    "f_dp": (style.OCHRE, "D", "f-DP form"),
}
MOST_NAMED = 25  # seeds that get a tick each


@sized
def audit_bounds(found: pl.DataFrame, width: Width) -> Figure:
    """Lower bounds of epsilon (up) of each seed (across), by form, beside the claim.

    ``found``: columns seed, form, bound, claim, ceiling, confidence. An arrow goes up from each
    bound, for epsilon is at least that; the dotted line of a form is the most that it can show.
    """
    if found.is_empty():
        return style.nothing(width)
    seeds = sorted(found["seed"].unique())
    places = {seed: place for place, seed in enumerate(seeds)}
    figure = style.new_figure(width.inches, width.high(4.6 if width.narrow else 3.6))
    axes = figure.add_subplot()
    top = 1.15 * max(*found["bound"], *found["claim"], *found["ceiling"])
    for shift, (form, (color, marker, name)) in zip((-0.12, 0.12), FORMS.items(), strict=True):
        rows = list(found.filter(form=form).iter_rows(named=True))
        across = [places[row["seed"]] + shift for row in rows]
        up = [row["bound"] for row in rows]
        axes.errorbar(
            across, up, yerr=0.04 * top, lolims=True, fmt="none", ecolor=color, alpha=0.6, capsize=2
        )
        filled = [color if row["bound"] > row["claim"] else "white" for row in rows]
        axes.scatter(across, up, c=filled, edgecolors=color, marker=marker, s=34, zorder=3)
        axes.scatter(
            [], [], c=color, marker=marker, s=34, label=f"{name}: epsilon is at least this"
        )
        axes.axhline(rows[0]["ceiling"], color=color, linestyle=":", linewidth=1.2)
        axes.plot([], [], color=color, linestyle=":", label=f"most that the {name} can show")
    claim = max(found["claim"])
    axes.axhline(
        claim, color=style.BLACK, linewidth=1.4, label=f"claim: epsilon {words.epsilon(claim)}"
    )
    axes.set(
        xlabel="Seed of the audit (coins, batches and noise)",
        ylabel="Privacy loss, ε\n(filled: above the claim)",
        ylim=(-0.02 * top, top),
        xlim=(-0.6, len(seeds) - 0.4),
    )
    if len(seeds) <= MOST_NAMED:
        axes.xaxis.set_major_locator(FixedLocator(list(range(len(seeds)))))
        axes.set_xticks(range(len(seeds)), [str(seed) for seed in seeds])
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("Audit, in order of seeds")
    style.guide(axes, "y")
    figure.legend(loc="outside lower center", ncols=1 if width.narrow else 3)
    return figure
