"""The one refusal that all rules share: too few rows."""

from sim.errors import RefusedError
from sim.types import Rule, View

HIDDEN = (
    "; secure aggregation leaves {n_rows} of {n_hospitals} rows to see: groups of hospitals instead of one sum would give "
    "more rows, robust against fewer attackers, and would leak the sums of small groups"
)


def refusal(rule: Rule, n_rows: int, n_hospitals: int) -> str | None:
    """Why ``rule`` cannot work on ``n_rows`` rows that stand for ``n_hospitals`` hospitals; None if it can."""
    if n_rows >= rule.min_rows:
        return None
    n_hostile = getattr(rule, "n_hostile", None)
    given, needed = f"n_rows={n_rows}", rule.about.limit
    if n_hostile is not None:
        given, needed = f"{given}, n_hostile={n_hostile}", f"{needed} = {rule.min_rows}"
    hidden = HIDDEN.format(n_rows=n_rows, n_hospitals=n_hospitals) if n_rows < n_hospitals else ""
    return f"{given}: {rule.about.title} needs {needed}{hidden}"


def enough(rule: Rule, view: View) -> None:
    """Raise ``RefusedError`` if ``view`` has fewer rows than ``rule`` needs."""
    text = refusal(rule, len(view.rows), int(view.sizes.sum()))
    if text is not None:
        raise RefusedError(text)
