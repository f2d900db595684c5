"""What an audit of private training can and cannot see, by claim and by how wrong the noise is."""

from __future__ import annotations

from matplotlib.axes import Axes

from benchmarks.tools import Result, Row
from reports.figures.style import BLACK, BLUE, OCHRE, SOFT, guide
from sim.evidence.one_run import ceiling, counts, expected

CLAIMS = (0.5, 1.0, 2.0, 3.4, 5.0, 8.0, 10.0)
FACTORS = (1, 2, 10)  # times that the noise is too small
DELTA = 1e-5
CONFIDENCE = 0.95


def measure(quick: bool) -> Result:
    """Bounds to expect of Gaussian noise, by claim, with 1000 canaries (200 if ``quick``)."""
    m = 200 if quick else 1000
    numbers = counts(m)
    rows = list[Row]()
    for claim in CLAIMS:
        for factor in FACTORS:
            found = expected(claim, factor, m, numbers, DELTA, CONFIDENCE)
            rows.append(
                {
                    "claim": claim,
                    "noise too small by": factor,
                    "one-run": found.one_run,
                    "f-DP form": found.f_dp,
                    "seen by": _seen(claim, found.one_run, found.f_dp),
                }
            )
    most = ceiling(m, numbers, DELTA, CONFIDENCE)
    ratios = {"most that the one-run audit shows": most.one_run, "the f-DP form": most.f_dp}
    return {"title": f"Audits with {m} canaries", "rows": rows, "ratios": ratios}


def _seen(claim: float, one_run: float, f_dp: float) -> str:
    if one_run > claim:
        return "both"
    return "f-DP form" if f_dp > claim else "neither"


def draw(result: Result, axes: Axes) -> None:
    """Bounds to expect beside the claim; above the diagonal the claim is refuted."""
    top = 1.1 * max(row["f-DP form"] for row in result["rows"])
    for form, color in (("one-run", BLUE), ("f-DP form", OCHRE)):
        for factor, dashes in zip(FACTORS, (":", "--", "-"), strict=True):
            rows = [row for row in result["rows"] if row["noise too small by"] == factor]
            label = f"{form}, noise as claimed" if factor == 1 else f"{form}, noise / {factor}"
            axes.plot(
                [row["claim"] for row in rows],
                [row[form] for row in rows],
                color=color,
                linestyle=dashes,
                marker=".",
                label=label,
            )
    axes.plot([0, top], [0, top], color=BLACK, linewidth=1)
    axes.annotate("above: refuted", (0.62 * top, 0.68 * top), color=SOFT, rotation=25, fontsize=8)
    axes.set(
        xlabel="Claimed epsilon",
        ylabel="Epsilon is at least",
        xlim=(0, 1.02 * max(CLAIMS)),
        ylim=(0, top),
    )
    guide(axes)
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=7.5)
