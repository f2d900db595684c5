"""Plain values of a YAML text, with the line of each.

YAML is read as version 1.2 has it: no tags, no anchors, no key twice, and no number that another
reader would take for another one. Depth, number and length of values are bounded.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Final

import yaml
from pydantic import JsonValue

from sim.errors import cut
from threats.consistency import Place
from threats.problems import Problem

MOST_VALUES: Final = 20_000
DEEPEST: Final = 12  # levels of nesting
LONGEST: Final = 2_000  # characters of a text
LARGEST: Final = 1e37
DIGITS: Final = 18  # of a whole number

NULL: Final = re.compile(r"~|null|Null|NULL|")
TRUTH: Final = re.compile(r"true|True|TRUE|false|False|FALSE")
WHOLE: Final = re.compile(r"[-+]?(0|[1-9][0-9]*)", re.ASCII)
DECIMAL: Final = re.compile(
    r"[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?", re.ASCII
)
# what versions of YAML, or its readers, take for different numbers, and what is no finite number
DISPUTED: Final = re.compile(
    r"[-+]?(0[xob][0-9a-fA-F_]+|[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?|[0-9][0-9_]*(\.[0-9_]*)?"
    r"|\.[0-9_]+|\.(inf|Inf|INF)|\.(nan|NaN|NAN)|nan|inf|NaN|Infinity)([eE][-+]?[0-9]+)?",
    re.ASCII,
)


class PlainError(Exception):
    """The problem of a text, and its line."""

    def __init__(self, problem: Problem, line: int) -> None:
        self.problem = problem
        self.line = line


def parse(text: str) -> tuple[JsonValue, dict[Place, int]]:
    """The values of a YAML text, and the line of each, from 1. Raises ``PlainError``."""
    lines = dict[Place, int]()
    try:
        return _Parser(yaml.parse(text, Loader=yaml.SafeLoader), lines).document(), lines
    except yaml.reader.ReaderError as error:
        sign = f"U+{ord(text[error.position]):04X}"
        problem = Problem((), sign, "expected signs that can be printed")
        raise PlainError(problem, text.count("\n", 0, error.position) + 1) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        written = "".join(text.splitlines()[line - 1 : line]).strip()
        expected = f"expected YAML: {cut(str(error.problem or error.context), 100)}"
        raise PlainError(Problem((), written, expected), line) from error


class _Parser:
    """The values that events of YAML stand for, with the line of each."""

    def __init__(self, events: Iterator[yaml.Event], lines: dict[Place, int]) -> None:
        self.events = events
        self.lines = lines
        self.count = 0

    def document(self) -> JsonValue:
        """The value of the only document."""
        next(self.events)  # the start of the stream
        start = next(self.events)
        if isinstance(start, yaml.StreamEndEvent):
            return None
        assert isinstance(start, yaml.DocumentStartEvent)
        if start.version or start.tags:
            raise self._refused(start, (), "a directive", "expected YAML without directives (%)")
        value = self._value(next(self.events), ())
        next(self.events)  # the end of the document
        if not isinstance(end := next(self.events), yaml.StreamEndEvent):
            raise self._refused(end, (), "---", "expected one document")
        return value

    def _value(self, event: yaml.Event, place: Place) -> JsonValue:
        self._check(event, place)
        self.lines[place] = _line(event)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(place)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(place)
        assert isinstance(event, yaml.ScalarEvent)
        return self._scalar(event, place)

    def _mapping(self, place: Place) -> JsonValue:
        found = dict[str, JsonValue]()
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            self._check(event, place)
            if not isinstance(event, yaml.ScalarEvent):
                raise self._refused(event, place, "a key", "expected a key that is a text")
            key = self._scalar(event, place)
            if not isinstance(key, str):
                raise self._refused(
                    event, place, f"key {event.value}", "expected a key that is a text"
                )
            if key in found:
                first = self.lines[*place, key]
                raise self._refused(
                    event, (*place, key), "...", f"expected each key once; it is in line {first}"
                )
            found[key] = self._value(next(self.events), (*place, key))
            self.lines[*place, key] = _line(event)
        return found

    def _sequence(self, place: Place) -> JsonValue:
        found = list[JsonValue]()
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            found.append(self._value(event, (*place, len(found))))
        return found

    def _scalar(self, event: yaml.ScalarEvent, place: Place) -> JsonValue:
        text = event.value
        if len(text) > LONGEST:
            raise self._refused(event, place, text, f"expected at most {LONGEST:,} characters")
        odd = next((sign for sign in text if not sign.isprintable() and sign not in "\n\t"), None)
        if odd is not None:
            raise self._refused(event, place, text, f"expected no sign like U+{ord(odd):04X}")
        if event.style is not None:
            return text
        if NULL.fullmatch(text):
            return None
        if TRUTH.fullmatch(text):
            return text.lower() == "true"
        if WHOLE.fullmatch(text) and len(text) <= DIGITS:
            return int(text)
        if DECIMAL.fullmatch(text) and not WHOLE.fullmatch(text):
            if math.isfinite(value := float(text)) and abs(value) <= LARGEST:
                return value
            raise self._refused(event, place, text, f"expected a number of at most {LARGEST:g}")
        if DISPUTED.fullmatch(text):
            expected = f"expected a finite number in at most {DIGITS} decimal digits, or a text"
            raise self._refused(event, place, text, f"{expected} in quotes")
        return text

    def _check(self, event: yaml.Event, place: Place) -> None:
        """Refuse what is no plain value, before anything is put together."""
        self.count += 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            name = str(getattr(event, "anchor", ""))
            raise self._refused(event, place, name, "expected no anchors (&) and aliases (*)")
        if (tag := getattr(event, "tag", None)) is not None:
            raise self._refused(event, place, str(tag), "expected no tags (!)")
        if len(place) > DEEPEST:
            raise self._refused(event, place, "...", f"expected at most {DEEPEST} levels")
        if self.count > MOST_VALUES:
            raise self._refused(event, place, "...", f"expected at most {MOST_VALUES:,} values")

    def _refused(self, event: yaml.Event, place: Place, value: object, expected: str) -> PlainError:
        return PlainError(Problem(place, value, expected), _line(event))


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1
