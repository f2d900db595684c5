"""Powers, levels of knowledge, classes of assets and metrics have plain names and a sentence."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, get_args

import pytest

from sim.evidence.metrics import METRICS, _plain, plain
from sim.titles import Title
from sim.types import LEVELS
from threats import named
from threats.powers import AssetClass, Power

SENTENCE = re.compile(r"[A-Z][^.:;_]*(\d\.\d[^.:;_]*)?\.")
GROUPS: dict[str, tuple[Callable[[Any], Title], Iterable[str]]] = {
    "powers": (named.power, get_args(Power)),
    "knowledge": (named.knowledge, LEVELS),
    "assets": (named.asset, get_args(AssetClass)),
}


@pytest.mark.parametrize("group", GROUPS)
def test_each_has_a_name_of_its_own_and_a_sentence(group: str) -> None:
    of, names = GROUPS[group]
    found = [of(name) for name in names]
    assert set(named._all()[group]) == set(names)
    assert len({one.title for one in found}) == len(found)
    for one in found:
        assert "_" not in one.title
        assert one.title[0].islower()
        assert SENTENCE.fullmatch(one.plain), one.plain


def test_each_metric_has_a_sentence_and_a_name_without_low_lines() -> None:
    assert _plain().keys() == METRICS.keys()
    assert len(set(_plain().values())) == len(METRICS)
    for name, metric in METRICS.items():
        assert "_" not in metric.text
        assert SENTENCE.fullmatch(plain(name)), plain(name)
        assert len(plain(name)) <= 140
