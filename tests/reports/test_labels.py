"""Names in figures that have no room for them: cut between words, and never alike."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.figures import labels, style
from sim import titles
from sim.config.choices import options

WORDS = st.lists(
    st.sampled_from(["sign", "label", "flipping", "+", "of", "a", "rule_of"]), max_size=9
)
NAMES = st.lists(WORDS.map(" ".join).filter(bool), min_size=1, max_size=6)


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("sign flipping", "sign flipping"),
        ("sign flipping + label flipping", "sign... + label..."),
        ("Krum + norm clipping + median", "Krum + norm...median"),
        ("record-level DP + aggregation", "record-level DP..."),
        ("inner-product manipulation", "inner-product..."),
        ("backdoor with true labels", "backdoor...labels"),
        ("trimmed_mean+dp_record+secagg", "trimmed_mean+dp_..."),
        ("abcdefghijklmnopqrstuvwxyz", "abcdefghijkl...vwxyz"),
    ],
)
def test_a_name_is_cut_between_its_words(name: str, short: str) -> None:
    assert labels.shown(name, 20) == short
    assert style.PHONE.short(name) == short
    assert style.PAGE.short(name) == name


def test_what_distinguishes_two_names_stays() -> None:
    names = [f"a rule of many words with {one} in its very middle" for one in ("A", "B", "A")]
    assert labels.shortened(names, 20) == ["...with A in...", "...with B in...", "...with A in..."]
    assert labels.shortened(["x" * 30 + "a" + "x" * 30, "x" * 30 + "b" + "x" * 30], 20) == [
        "xxxxxxxxxx...xxxx (1)"[1:], "xxxxxxxxxx...xxxx (2)"[1:],
    ]  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(NAMES, st.integers(12, 40))
def test_no_two_names_are_shortened_to_one(names: list[str], longest: int) -> None:
    found = labels.shortened(names, longest)
    assert max(map(len, found)) <= longest
    assert len({*found}) == len({*names})
    for name, short in zip(names, found, strict=True):
        assert short == name or "..." in short


@pytest.mark.parametrize("group", ["attack", "defense"])
def test_names_of_the_project_are_cut_between_words_and_differ(group: str) -> None:
    named = {"attack": titles.attack, "defense": titles.defense}[group]
    names = [named(one) for one in options(group)]
    names += [f"{one} + {other}" for one, other in zip(names, reversed(names), strict=True)]
    found = labels.shortened(names, 20)
    assert len({*found}) == len({*names})
    assert sum(one.endswith(")") for one in found) < len(names) / 6
    for name, short in zip(names, found, strict=True):
        left = re.findall(r"[^ +.]+", "" if short.endswith(")") else short)
        assert set(left) <= {*re.findall(r"[^ +.]+", name)}, (name, short)
