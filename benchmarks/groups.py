"""What groups of secure aggregation give away, and what attacks do to the model, by their size."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes

from benchmarks.tools import Result, Row, experiments
from reports.figures.style import BLUE, GREEN, PURPLE, SKY, SOFT, VERMILION, guide
from sim.design.overlap import left_out, overlap
from sim.errors import InputError
from sim.evidence import RunRecord
from sim.evidence.intervals import Interval, clustered_rate_interval, mean_interval
from sim.evidence.metrics import SHARE
from sim.study.run import run_together

SIZES = (1, 2, 3, 4, 6, 12)  # of twelve hospitals; 1: no secure aggregation, 12: one sum
ATTACKS = ("sign_flip", "gaussian", "random", "ipm", "alie")
RULES = ("mean", "median")
# one record a hospital is what inversion works best on
READ = ("training.rounds=1", "training.local_steps=1", "training.batch_size=1")
FINE = ("secagg.clip=0.25", "secagg.bits=24")  # coarser steps keep it from reading sums
# few training records a hospital, gone through often, are what membership inference works best on
SMALL = (
    "consortium=heart4",
    "consortium.sites={cleveland: 7, va: 5}",
    "consortium.test_fraction=0.5",
    "model.hidden=[256]",
    "training.local_epochs=5",
    "adversary.n_hostile=0",
)
MEMBERSHIP = ("gradient_cosine", "fedmia")


def measure(quick: bool) -> Result:
    """Records that an inversion of the view recovers, and the AUROC under the worst attack.

    One of the twelve hospitals of heart12 is hostile. The worst attack is that with the lowest mean
    AUROC over seeds; its interval does not know that it was chosen. A rule is left out where it is
    not defined for one hostile row.

    Rows with an "inference" are of membership inference on twelve small hospitals, beside its null;
    an attack is left out where it is not defined for so few rows of the view.
    """
    sizes = (1, 3, 12) if quick else SIZES
    attacks = ATTACKS[:2] if quick else ATTACKS
    n_seeds = 2 if quick else 10
    rows = list[Row]()
    for size in sizes:
        read = _recovered(size, n_seeds)
        for rule in RULES:
            found = _under_attack(size, rule, attacks, n_seeds, 2 if quick else 40)
            if found is not None:
                rows.append({"group size": size, **read, "rule": rule, **found})
    worst = {row["group size"]: row["recovered"] for row in rows}
    ratios = {f"records recovered, groups of {size}": share for size, share in worst.items()}
    for size in sizes:
        for attack in MEMBERSHIP:
            known = inferred(size, attack, n_seeds, 2 if quick else 20)
            if known is not None:
                rows.append({"group size": size, "inference": attack, **known})
                ratios[f"membership AUC of {attack}, groups of {size}"] = known["membership AUC"]
    return {"title": "Leakage and robustness by group size", "rows": rows, "ratios": ratios}


def _words(size: int) -> list[str]:
    return ["consortium=heart12", *_sums(size)]


def _sums(size: int) -> list[str]:
    """The words that let the aggregator see sums of ``size`` of twelve hospitals."""
    secagg = {1: ["secagg=none"], 12: ["secagg=sum"]}
    return secagg.get(size, ["secagg=groups", f"secagg.size={size}"])


def _recovered(size: int, n_seeds: int) -> Row:
    """The share of the records of a round that an inversion of the aggregator's view recovers."""
    words = [*_words(size), *READ, *(FINE if size > 1 else ()), "adversary.n_hostile=0"]
    records = [
        record
        for record in run_together(experiments(words, ["analytic_inversion"], n_seeds))
        if record.attack != "none"
    ]
    rates = [record.n_recovered / record.n_attacked for record in records]
    interval = clustered_rate_interval(rates, [record.n_attacked for record in records])
    plan = experiments([*_words(size), "adversary.n_hostile=0"])[0].plan
    redrawn = overlap(plan)
    return {
        "rows": len(plan.groups(1)),
        "recovered": sum(rates) / len(rates),
        **_bounds("recovered", interval),
        "rounds until sums determine updates": None if redrawn is None else redrawn.first,
        "and where a hospital is left out": left_out(plan),
    }


def _under_attack(
    size: int, rule: str, attacks: Sequence[str], n_seeds: int, rounds: int
) -> Row | None:
    """The AUROC without attack and under the worst one; None where the rule is not defined."""
    words = [*_words(size), f"aggregator={rule}", "adversary.n_hostile=1"]
    try:
        runs = experiments([*words, f"training.rounds={rounds}"], attacks, n_seeds)
    except InputError:
        return None
    scores: dict[str, list[float]] = {}
    for record in run_together(runs):
        scores.setdefault(record.attack, []).append(_value(record, "auroc"))
    means = {name: sum(values) / len(values) for name, values in scores.items()}
    free = means.pop("none")
    worst = min(means, key=lambda name: means[name])
    return {
        "attack-free": free,
        "worst attack": worst,
        "AUROC": means[worst],
        **_bounds("AUROC", mean_interval(scores[worst], SHARE)),
    }


def inferred(size: int, attack: str, n_seeds: int, rounds: int) -> Row | None:
    """The AUC of a membership inference by the aggregator, and its null, over all asked records.

    None where the attack is not defined for the rows of the view.
    """
    words = [*SMALL, *_sums(size), f"training.rounds={rounds}"]
    try:
        runs = experiments(words, [attack], n_seeds)
    except InputError:
        return None
    records = [record for record in run_together(runs) if record.attack != "none"]
    found: Row = {"rows": len(runs[0].plan.groups(1))}
    for name, metric in (
        ("membership AUC", "membership_auc"),
        ("null AUC", "membership_auc_null"),
    ):
        values = [_value(record, metric) for record in records]
        found[name] = sum(values) / len(values)
        found |= _bounds(name, mean_interval(values, SHARE))
    return found


def _value(record: RunRecord, metric: str) -> float:
    value = record.value(metric)
    assert value is not None
    return value


def _bounds(name: str, interval: Interval | None) -> Row:
    assert interval is not None
    return {f"{name} from": interval.low, f"{name} to": interval.high}


def draw(result: Result, axes: Axes) -> None:
    """Records recovered and AUROC under the worst attack by rule; beside it membership inference.

    Intervals are 95 %.
    """
    figure = axes.get_figure(root=True)
    place = axes.get_subplotspec()
    assert figure is not None
    assert place is not None
    figure.set_size_inches(9.6, 3.6)
    panels = place.subgridspec(1, 2)
    axes.set_subplotspec(panels[0])
    beside = figure.add_subplot(panels[1])
    rows = result["rows"]
    sizes = sorted({row["group size"] for row in rows})
    once = [row for row in rows if row.get("rule") == RULES[0]]
    _line(axes, once, sizes, "recovered", VERMILION, "records recovered from the view", "s")
    for rule, color, mark in zip(RULES, (BLUE, GREEN), "o^", strict=True):
        chosen = [row for row in rows if row.get("rule") == rule]
        _line(axes, chosen, sizes, "AUROC", color, f"AUROC under the worst attack, {rule}", mark)
    axes.set_ylim(-0.02, 1.02)
    for attack, color, mark in zip(MEMBERSHIP, (PURPLE, SKY), "Dv", strict=True):
        chosen = [row for row in rows if row.get("inference") == attack]
        _line(beside, chosen, sizes, "membership AUC", color, f"AUC of {attack}", mark)
    chosen = [row for row in rows if row.get("inference") == MEMBERSHIP[0]]
    _line(beside, chosen, sizes, "null AUC", SOFT, f"null of {MEMBERSHIP[0]}", ".")
    beside.set_title("Membership inference by group size")
    for panel in (axes, beside):
        panel.set_xticks(range(len(sizes)), [str(size) for size in sizes])
        panel.set_xlabel("hospitals in a group (1: no secure aggregation, 12: one sum)")
        guide(panel, "y")
        panel.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=1, fontsize=8)


def _line(
    axes: Axes,
    rows: Sequence[Row],
    sizes: Sequence[int],
    name: str,
    color: str,
    label: str,
    mark: str,
) -> None:
    at = [sizes.index(row["group size"]) for row in rows]
    values = [row[name] for row in rows]
    below = [row[name] - row[f"{name} from"] for row in rows]
    above = [row[f"{name} to"] - row[name] for row in rows]
    axes.errorbar(at, values, (below, above), fmt=f"{mark}-", color=color, capsize=3, label=label)
