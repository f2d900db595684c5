"""In what two records of the same run differ, field by field, whatever the order of keys and
whatever fields are called.

A field is named by its path, as in ``hospitals[va].auroc``. The tables below are all that a change
of the evidence has to touch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

# addresses, seals and times
NOT_COMPARED: Final = ("run", "code", "seconds", "schema_", "previous", "hash")
# pattern of a path of older evidence -> path of today's, as in re.sub
RENAMED: Final[Mapping[str, str]] = {}
# patterns of paths that only newer or only older evidence has
MAY_BE_MISSING: Final[tuple[str, ...]] = (
    r"access\[.*\].*",  # the visibility table
    r"conflicts\[groups-redraw\].*",
    r"isolation",
    r"membership",
    r"missing",  # how many replies may be
    r"noised",
    r"statements.*",  # of differential privacy
    r"config\.(server\.on_spent|dp\.records_per_patient)",
    r"config\.secagg\.agreement",
    r"unmasking",  # what it withstands
    r"outcomes\[(messages|bytes_sent|bytes_received),.*",
    r"outcomes\[(prevalence_error|reconstruction_rate_shuffled|image_).*",
    r"inversion\.images.*",  # where records are images
    r"unopened",  # shares that did not open, where there is a protocol of several trips
    r"config\.attack\[\d+\]\[1\]\.phase",  # of an absence
    r"config\.policy\.least_group",
    r"config\.training\.max_norm",
    r"config\.report\.by",
    r"provenance",  # whose patients the data are of
    r"form",  # what a patient's record is
)
# Patterns of paths of sentences whose words may change; what they are about is compared.
# who knows the seed: no message holds it any more
REWORDED: Final[tuple[str, ...]] = (
    r"privacy\.not_covered\[5\]",
    # they state the other choices with their numbers, and speak of groups as groups
    r"conflicts\[.*\]\.text",
    r"visibility\[.*\]\.sees",
    # it counts on aggregators that leave hospitals out, and on what hospitals report
    r"access\[.*\]\.after\..*",
)

# What names an item of a list; items without any of these go by their number.
NAMES: Final = ("hospital", "party", "id", "part", "metric", "subject", "round", "target")

# Between unlike processors. Seen where numpy, OpenBLAS and torch were held to AVX2 or to SSE on one
# machine: no number differed by more than 5e-6 of itself, no count, no choice of a rule and no
# AUROC differed at all. ``STEPS`` may still move by one patient where two scores are a last digit
# apart; a run that is another one cannot hide behind that, for its Brier scores and distances are
# held to ``CLOSE``.
CLOSE: Final = {"relative": 1e-4, "absolute": 1e-6}
STEPS: Final = re.compile(
    r"auroc|auprc|accuracy|sensitivity|success|false_trigger|reconstruction_rate"
)
ONE_PATIENT: Final = 0.05  # of the shares of patients and the areas of ``STEPS``

Paths = dict[str, Any]
Equal = Callable[[str, Any, Any], bool]


class Difference(NamedTuple):
    """One field of one run, with its values on both sides; ``ABSENT`` where a side has no such
    field.
    """

    run: str
    path: str
    one: Any
    other: Any


ABSENT: Final = "(absent)"


def exact(_: str, one: Any, other: Any) -> bool:
    """Whether two values are the same to the last digit."""
    return type(one) is type(other) and bool(one == other)


def close(path: str, one: Any, other: Any) -> bool:
    """Whether two values could be those of one run on unlike processors."""
    if not (isinstance(one, float) and isinstance(other, float)):
        return exact(path, one, other)
    gap = abs(one - other)
    return gap <= CLOSE["absolute"] + CLOSE["relative"] * abs(one) or (
        gap <= ONE_PATIENT and STEPS.search(path) is not None
    )


def differences(
    one: Mapping[str, Any], other: Mapping[str, Any], equal: Equal = exact
) -> Iterator[Difference]:
    """Every field in which the evidence of the runs of both, by name, is not ``equal``."""
    for run in [*one, *(name for name in other if name not in one)]:
        if run not in one or run not in other:
            yield Difference(
                run, "", *("(run)" if run in side else ABSENT for side in (one, other))
            )
            continue
        left, right = flat(one[run]), flat(other[run])
        for path in [*left, *(path for path in right if path not in left)]:
            pair = left.get(path, ABSENT), right.get(path, ABSENT)
            if ABSENT in pair and matches(MAY_BE_MISSING, path):
                continue
            if not equal(path, *pair) and not (ABSENT not in pair and matches(REWORDED, path)):
                yield Difference(run, path, *pair)


def flat(record: Mapping[str, Any]) -> Paths:
    """The fields of a record by their path, with today's names; ``curve`` by metric, hospital and
    round.
    """
    found = Paths()
    stated = {key: value for key, value in record.items() if key not in NOT_COMPARED}
    curve = stated.pop("curve", {})
    for path, value in _paths("", stated):
        found[renamed(path)] = value
    columns = (curve.get(key, ()) for key in ("metric", "hospital", "round", "value"))
    for metric, hospital, round_, value in zip(*columns, strict=True):
        found[renamed(f"curve.{metric}[{hospital}][{round_}]")] = value
    return found


def renamed(path: str, names: Mapping[str, str] = RENAMED) -> str:
    """The path under which today's evidence has what older evidence has under ``path``."""
    for old, new in names.items():
        path = re.sub(old, new, path)
    return path


def matches(patterns: tuple[str, ...], path: str) -> bool:
    """Whether one of the patterns is the whole path."""
    return any(re.fullmatch(pattern, path) for pattern in patterns)


def _paths(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _paths(f"{prefix}.{key}" if prefix else key, item)
    elif isinstance(value, list) and value:
        for name, item in zip(_names(value), value, strict=True):
            yield from _paths(f"{prefix}[{name}]", item)
    else:
        yield prefix, value.rpartition(".")[2] if prefix.endswith("_target_") else value


def _names(items: list[Any]) -> list[str]:
    """A name for each item of a list: what tells it from the others, else its number."""
    if all(isinstance(item, Mapping) for item in items):
        names = [",".join(str(item[key]) for key in NAMES if key in item) for item in items]
        if all(names) and len(set(names)) == len(names):
            return names
    return [str(number) for number in range(len(items))]
