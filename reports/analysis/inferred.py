"""The success of attacks on the finished model, beside what needs no attack."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from reports.text import words
from sim.evidence import RunRecord, intervals
from sim.evidence.metrics import METRICS
from sim.types import TableRow

# the figure, and the metric of what needs no attack
BESIDE: Final = {
    metric: known.null
    for metric, known in METRICS.items()
    if metric
    in (
        "property_found",
        "source_accuracy",
        "attribute_accuracy",
        "evasion_success",
        "extraction_agreement",
        "class_disclosed",
    )
}
# figures that stand for themselves
PLAIN: Final = (
    *("property_error", "property_error_alone", "source_p_value"),
    *("residual_freedom", "least_sharing", "singled_out", "small_groups"),
)
PARTIES: Final[Mapping[str, str]] = {
    "aggregator": "the aggregator, from what it sees of updates",
    "hospital": "another hospital, from the common models",
    "outsider": "whoever gets the weights of the final model",
    "outsider_api": "whoever can ask the final model",
}
# by the folder of an attack without a party of its own
BY_KIND: Final[Mapping[str, str]] = {
    "evasion": "whoever has the weights and can change a record",
    "extraction": "whoever can ask the final model",
    "release": "nobody: a check by those who hold the records",
}


def rows(records: Sequence[RunRecord]) -> list[TableRow]:
    """One row for each figure of an attack and a defense, means over ``n_seeds``.

    ``value`` with ``low`` and ``high``; ``alone``: without an attack; ``excess`` of the first over
    the second, with ``excess_low`` and ``excess_high``, seed by seed; ``n``: what one seed counts,
    at least. Intervals are None below two seeds.
    """
    return [
        row
        for (attack, defense), group in _cells(records).items()
        for metric, null in BESIDE.items()
        if null is not None and (row := _row(attack, defense, group, metric, null)) is not None
    ]


def plain(records: Sequence[RunRecord]) -> list[TableRow]:
    """One row for each figure that has nothing beside it: mean, least and most over seeds."""
    found = list[TableRow]()
    for (attack, defense), group in _cells(records).items():
        for metric in PLAIN:
            values = [value for one in group if (value := one.value(metric)) is not None]
            if values:
                found.append(
                    {
                        **_named(attack, defense, group, metric),
                        "unit": METRICS[metric].unit,
                        "mean": sum(values) / len(values),
                        "least": min(values),
                        "most": max(values),
                        "n_seeds": len(values),
                    }
                )
    return found


def _cells(records: Sequence[RunRecord]) -> dict[tuple[str, str], list[RunRecord]]:
    """The runs that have one of the figures, by attack and defense."""
    found: dict[tuple[str, str], list[RunRecord]] = {}
    for record in records:
        if any(record.has(metric) for metric in (*BESIDE, *PLAIN)):
            found.setdefault((record.attack, record.defense), []).append(record)
    return found


def _row(
    attack: str, defense: str, group: Sequence[RunRecord], metric: str, null: str
) -> TableRow | None:
    pairs = [
        (value, alone, outcome.n or 0)
        for one in group
        if (outcome := one.outcome(metric)) is not None
        and (value := outcome.value) is not None
        and (alone := one.value(null)) is not None
    ]
    if not pairs:
        return None
    values = [value for value, _, _ in pairs]
    others = [other for _, other, _ in pairs]
    sizes = [n for _, _, n in pairs]
    nothing = [0.0] * len(values)
    of_value = intervals.excess_interval(values, nothing, sizes)
    of_excess = intervals.excess_interval(values, others, sizes)
    mean = sum(values) / len(values)
    return {
        **_named(attack, defense, group, metric),
        "value": mean,
        "low": None if of_value is None else max(0.0, of_value.low),
        "high": None if of_value is None else of_value.high,
        "alone": sum(others) / len(others),
        "alone_is": METRICS[null].text,
        "excess": mean - sum(others) / len(others),
        "excess_low": None if of_excess is None else of_excess.low,
        "excess_high": None if of_excess is None else of_excess.high,
        "n": min(sizes),
        "counted": METRICS[metric].counted,
        "n_seeds": len(values),
    }


def _named(attack: str, defense: str, group: Sequence[RunRecord], metric: str) -> TableRow:
    by = list(dict.fromkeys(_by(group[0], metric)))
    hidden = _hidden(group[0]) if metric == "attribute_accuracy" else ""
    return {
        "attack": attack,
        "defense": defense,
        "figure": f"{METRICS[metric].text}{hidden}",
        "by": "; ".join(by),
    }


def _hidden(record: RunRecord) -> str:
    """The hidden field that an attack is configured to infer, in brackets; empty without one."""
    nodes = [node for _, node in record.config.get("attack", ()) if isinstance(node, dict)]
    names = [str(node["field"]) for node in nodes if node.get("field")]
    return f" ({words.listed(words.field(record.data_source, name) for name in names)})" * any(
        names
    )


def _by(record: RunRecord, metric: str) -> Iterator[str]:
    """Who could do it, of the run's attacks that have this figure."""
    for _, node in record.config.get("attack", ()):
        parts = str(node.get("_target_", "")).split(".")
        kind = parts[1] if len(parts) > 2 else ""
        if kind and _has(kind, parts[2], metric):
            yield PARTIES.get(str(node.get("party", "")), BY_KIND.get(kind, ""))


def _has(kind: str, module: str, metric: str) -> bool:
    """Whether an attack of a folder and a module gives a metric, by the words of their names."""
    word = metric.partition("_")[0]
    if kind in BY_KIND:
        of_release = ("class", "residual", "least", "singled", "small")
        return word == kind or (kind == "release" and word in of_release)
    return kind == "inference" and module.startswith(word)
