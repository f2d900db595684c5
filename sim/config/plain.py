"""The values that a configuration may hold: plain, small, and naming nothing to resolve or call."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping

from sim.errors import InputError
from sim.limits import LARGEST_FLOAT
from sim.plugins import SELF

DEEPEST = 12  # levels of nesting
MOST_VALUES = 5_000  # in one configuration
LONGEST = 2_000  # characters of a text
LARGEST_INT = 2**63 - 1  # of a seed
LARGEST_COUNT = 1_000_000  # of a whole number that is a parameter of a plug-in
# to another key, as in ${training.lr}
REFERENCE = re.compile(r"\$\{(?!hydra\b)[A-Za-z_]\w*(?:\.\w+)*\}", re.ASCII)
SEVERAL_NUMBERS = "${adversary.n_hostile}"  # in a comparison a list, of which each cell has one
NAME = re.compile(r"[A-Za-z0-9_-]{1,100}", re.ASCII)
# groups of one plug-in
ONE = "consortium|model|aggregator|server_optimizer|secagg|dp|hardening|tracking"
SEVERAL = "attack|steps"  # groups of several
# the place of a plug-in's node
PLUGIN = re.compile(rf"(?:{ONE}|dp\.[\w-]+|(?:{SEVERAL})(?:\.[\w-]+|\[\d+\]\[1\]))", re.ASCII)


def check(key: str, values: object, largest: int = LARGEST_INT) -> None:
    """Raise ``InputError`` for the first value below ``key`` that is not plain.

    Plain are None, bool, int, float, str, and lists and mappings of these. Refused too: keys that
    are special to Hydra (``_args_``, ``_partial_``, ..., and ``_target_`` anywhere but at the top
    of a plug-in's node), interpolations, and values larger than any use of them. ``key`` is empty
    for a whole configuration.
    """
    for where, value in walk(key, values):
        if isinstance(value, Mapping):
            for name in value:
                _check_key(where, name)
        else:
            _check_leaf(where, value, largest)


def references(key: str, values: object) -> None:
    """Raise ``InputError`` for an interpolation below ``key`` that is no plain reference.

    A reference, as in ``${training.lr}``, is all of its value and leads to a single value: an
    interpolation that calls a resolver (``${oc.env:X}``), puts texts together or repeats whole
    parts is refused. Of one value alone (an override) it is not known where it leads.
    """
    whole = isinstance(values, Mapping) and not key
    for where, value in walk(key, values):
        if isinstance(value, str) and check_references(where, value) and whole:
            _check_leads(where, value, values)


def check_references(where: str, value: str) -> bool:
    """Whether a text is a reference.

    Raises ``InputError`` for any other interpolation, and for Hydra's own values.
    """
    if "${" not in value:
        return False
    if not REFERENCE.fullmatch(value):
        expected = "expected a value, or one reference ${KEY}"
        raise InputError(where, value, f"{expected}: a configuration reads nothing from outside")
    return True


def _check_leads(where: str, value: str, values: object) -> None:
    found = values
    for part in value[2:-1].split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    if isinstance(found, (Mapping, list)) and value != SEVERAL_NUMBERS:
        raise InputError(where, value, "expected a reference to a single value")


def walk(key: str, value: object) -> Iterator[tuple[str, object]]:
    """The value at ``key`` and all values below it, each with its place.

    Raises ``InputError`` where there are too many, or too deep.
    """
    waiting = [(key, value, 0)]
    count = 0
    while waiting:
        where, found, depth = waiting.pop()
        count += 1
        if count > MOST_VALUES:
            expected = f"expected at most {MOST_VALUES:,} values"
            raise InputError(key or "configuration", "...", expected)
        if depth > DEEPEST:
            raise InputError(where, "...", f"expected at most {DEEPEST} levels of nesting")
        yield where, found
        below = list[tuple[str, object]]()
        if isinstance(found, Mapping):
            dot = f"{where}." if where else ""
            below = [(f"{dot}{name}", part) for name, part in found.items()]
        elif isinstance(found, (list, tuple)):
            parts = enumerate(found[: MOST_VALUES + 1])
            below = [(f"{where}[{place}]", part) for place, part in parts]
        waiting += [(place, part, depth + 1) for place, part in reversed(below)]


def _check_key(where: str, name: object) -> None:
    if not isinstance(name, str):
        raise InputError(where or "configuration", name, "expected keys that are texts: quote it")
    place = f"{where}.{name}" if where else name
    if len(name) > LONGEST:
        raise InputError(place, "...", f"expected a key of at most {LONGEST:,} characters")
    is_class = name == SELF and PLUGIN.fullmatch(where)
    if name.startswith("_") and name.endswith("_") and not is_class:
        raise InputError(place, "...", f"expected no key like {name}, which is special to Hydra")


def _check_leaf(where: str, value: object, largest: int) -> None:
    if isinstance(value, str):
        if len(value) > LONGEST:
            raise InputError(where, value, f"expected at most {LONGEST:,} characters")
        if "${" in value:
            raise InputError(where, value, "expected a value without ${")
    elif isinstance(value, bool) or value is None or isinstance(value, (list, tuple)):
        return
    elif isinstance(value, int):
        if abs(value) > largest:
            raise InputError(where, value, f"expected a whole number of at most {largest}")
    elif isinstance(value, float):
        if not math.isfinite(value) or abs(value) > LARGEST_FLOAT:
            raise InputError(where, value, f"expected a finite number of at most {LARGEST_FLOAT:g}")
    else:
        expected = "expected a number, a text, a list or a mapping"
        raise InputError(where, type(value).__name__, expected)
