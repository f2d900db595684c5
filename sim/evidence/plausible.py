"""What no run can have measured: figures out of their range, and figures that contradict each other."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel

if TYPE_CHECKING:
    from sim.evidence.records import RunRecord

Range = tuple[float, float]
SHARE: Final[Range] = (0.0, 1.0)
PART: Final[Range] = (-1e-6, 1 + 1e-6)  # a share that is a sum of rounded ones
POSITIVE: Final[Range] = (0.0, math.inf)
ANY: Final[Range] = (-math.inf, math.inf)

RANGES: Final[Mapping[str, Range]] = {
    **dict.fromkeys(("auroc", "auprc", "accuracy", "sensitivity_at_90_specificity", "brier", "worst_hospital_auroc"), SHARE),
    **dict.fromkeys(("left_out", "precision", "recall", "wrongly_left_out", "rate", "success", "false_trigger"), SHARE),
    **dict.fromkeys(("sample_rate", "delta", "target", "shortened"), SHARE),
    "share": PART,
    **dict.fromkeys(("n_hospitals", "n_hostile", "n_train", "n_test", "n_test_positive", "min_class_rows"), POSITIVE),
    **dict.fromkeys(("n", "n_attacked", "n_guesses", "n_recovered", "records_in_row", "steps"), POSITIVE),
    **dict.fromkeys(("seed", "rounds", "round", "skipped_rounds", "seconds"), POSITIVE),
    **dict.fromkeys(("epsilon", "target_epsilon", "noise_multiplier", "max_grad_norm"), POSITIVE),
    **dict.fromkeys(("distance", "attack_distance", "defense_distance", "max_relative_error"), POSITIVE),
    **dict.fromkeys(("radius", "median_length", "longest", "replies", "needed"), POSITIVE),
    "not_finite_from": (1.0, math.inf),
    "limit": (-1.0, math.inf),  # of a rule that is not defined at all
    "kept": ANY,
}
CURVE = ("round", "hospital", "metric", "value")
SHARES_BY_ROUND = {"auroc", "brier", "accuracy", "backdoor"}
LARGEST = 2**63  # of whole numbers; seeds are below it


def implausible(record: RunRecord) -> tuple[str, str] | None:
    """The key of the first figure that no run can have, and what was expected of it; None if there is none."""
    return next((found for look in (_ranges, _curve, _contradictions) for found in look(record)), None)


def _ranges(record: RunRecord) -> Iterator[tuple[str, str]]:
    for key, value in _numbers(record, ""):
        low, high = RANGES.get(key.rpartition(".")[2], ANY)
        if isinstance(value, int) and abs(value) >= LARGEST:
            yield key, "expected a whole number of less than 64 bits"
        elif not math.isfinite(value) or not low <= value <= high:
            yield key, _expected(low, high)


def _expected(low: float, high: float) -> str:
    if math.isinf(low):
        return "expected a finite number"
    return f"expected a number of at least {max(0.0, low):g}" + ("" if math.isinf(high) else f" and at most {min(1.0, high):g}")


def _numbers(part: BaseModel, prefix: str) -> Iterator[tuple[str, int | float]]:
    """Every number in a piece of evidence by its dotted key; those of the configuration and the curve are not figures."""
    for name, value in part.__dict__.items():
        for item in value if type(value) in (list, tuple) else (value,):
            if type(item) in (int, float):
                yield f"{prefix}{name}", item
            elif isinstance(item, BaseModel):
                yield from _numbers(item, f"{prefix}{name}.")


def _curve(record: RunRecord) -> Iterator[tuple[str, str]]:
    columns = record.curve
    if not columns:
        return
    if sorted(columns) != sorted(CURVE) or len({len(column) for column in columns.values()}) != 1:
        yield "curve", f"expected the columns {', '.join(CURVE)}, equally long"
        return
    rounds, values = columns["round"], [value for value in columns["value"] if value is not None]
    if not all(type(one) is int for one in rounds) or not _within(rounds, 0, record.rounds):
        yield "curve.round", f"expected whole numbers from 0 to {record.rounds}"
    if not all(type(one) is str for column in ("hospital", "metric") for one in columns[column]):
        yield "curve", "expected names of hospitals and metrics"
    elif not all(type(one) in (int, float) for one in values) or not all(map(math.isfinite, values)):
        yield "curve.value", "expected finite numbers"
    elif set(columns["metric"]) <= SHARES_BY_ROUND and not _within(values, 0, 1):
        yield "curve.value", "expected numbers of at least 0 and at most 1"


def _within(values: Sequence[float], low: float, high: float) -> bool:
    return not values or (min(values) >= low and max(values) <= high)


def _contradictions(record: RunRecord) -> Iterator[tuple[str, str]]:
    for key, told, value in _repeated(record.config):
        if getattr(record, key) != value:
            yield key, f"expected {value!r:.60}, which is config.{told}"
    if len(record.hostile) != record.n_hostile:
        yield "hostile", f"expected as many names as n_hostile={record.n_hostile}"
    if len(record.hospitals) != record.n_hospitals:
        yield "hospitals", f"expected n_hospitals={record.n_hospitals} of them"
    tested = [(record.outcome.n_test_positive, record.outcome.n_test)]
    for positive, n_test in [*tested, *((one.n_test_positive, one.n_test) for one in record.hospitals)]:
        if positive > n_test:
            yield "n_test_positive", f"expected at most n_test={n_test}"
    if any(not 1 <= round_ <= record.rounds for round_ in (*record.skipped_rounds, *(lost.round for lost in record.screened))):
        yield "round", f"expected at most rounds={record.rounds}"
    if record.privacy is not None and any(one.epsilon > record.privacy.epsilon for one in record.privacy.hospitals):
        yield "privacy.epsilon", "expected no less than that of any hospital"
    if record.inversion is not None and record.inversion.n_recovered > record.inversion.n_attacked:
        yield "inversion.n_recovered", f"expected at most n_attacked={record.inversion.n_attacked}"


def _repeated(config: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """What a record repeats of its configuration: the record's key, the configuration's, and the value."""
    plain = {"seed": "seed", "defense": "label", "n_hostile": "adversary.n_hostile", "rounds": "training.rounds"}
    for key, dotted in plain.items():
        value: Any = config
        for part in dotted.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        if value is not None:
            yield key, dotted, value
    if isinstance(config.get("attack"), list):
        names = [pair[0] for pair in config["attack"] if isinstance(pair, list) and pair]
        yield "attack", "attack", "+".join(map(str, names)) or "none"
