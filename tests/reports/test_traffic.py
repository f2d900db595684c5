"""What secure aggregation exchanges, and shares that did not open, in the report."""

from typing import Any

import pytest

from reports.analysis import traffic
from sim.evidence import Conflict, RunRecord, Unopened, outcome
from tests.records import make_record
from tests.reports.reading import html_of

FIGURES = [outcome("messages", 10), outcome("bytes_sent", 19966), outcome("bytes_received", 21654)]
WITHSTANDS = ["4 of 12 may vanish"]
SHARES = [Unopened(round=n, sender="hospital_1", receiver="hospital_2") for n in (1, 2)]


PLAIN = [outcome("messages", 2), outcome("bytes_sent", 17676), outcome("bytes_received", 17668)]
HIDING = [Conflict(id="secagg-robustness", between="two parts", text="They conflict.")]


def masked(**changes: Any) -> RunRecord:
    """A run under the protocol."""
    return make_record(**{"defense": "protocol", "more": FIGURES, "conflicts": HIDING, **changes})


def test_no_defense_and_those_with_secure_aggregation_have_a_row() -> None:
    plain = [make_record(more=PLAIN), make_record(defense="median", more=PLAIN)]
    assert traffic.rows(plain) == []
    records = [
        masked(unmasking=WITHSTANDS, seconds=1.2, rounds=10, seed=0),
        masked(unmasking=WITHSTANDS, seconds=3.6, rounds=10, seed=1),
        masked(unmasking=WITHSTANDS, seconds=99.0, attack="sign_flip"),
    ]
    n_hospitals = records[0].n_hospitals
    first, second = traffic.rows([*plain, *records])
    assert (first["defense"], first["messages"], first["texts"]) == ("none", 2, [])
    assert second == {
        "defense": "protocol",
        "messages": 10,
        "bytes_sent": 19966,
        "bytes_received": 21654,
        "milliseconds": pytest.approx(240 / n_hospitals),
        "texts": ["4 of 12 may vanish."],
    }
    (attacked,) = traffic.rows(records[2:])
    assert attacked["milliseconds"] is None


def test_shares_that_did_not_open_are_stated_without_blame() -> None:
    assert traffic.unopened([make_record()]) == []
    (text,) = traffic.unopened([make_record(attack="sign_flip", unopened=SHARES)])
    assert "2 shares did not open (from hospital_1 to hospital_2)" in text
    assert text.endswith("Whether sender or receiver was at fault, nobody can tell.")
    many = [
        Unopened(round=1, sender="hospital_0", receiver=f"hospital_{i}") for i in range(1, 6)
    ] + [Unopened(round=1, sender="hospital_1", receiver=f"hospital_{i}") for i in range(2, 6)]
    (text,) = traffic.unopened([make_record(unopened=many)])
    assert "and 1 more pairs" in text


def test_the_page_shows_both() -> None:
    html = html_of([masked(unopened=SHARES, seconds=1.0)])
    assert "What secure aggregation exchanges and takes" in html
    assert ">Milliseconds</th>" in html
    assert ">19,966</td>" in html
    assert "2 shares did not open" in html
    assert "4 of 12 may vanish." in html_of([masked(unmasking=WITHSTANDS)])
    assert "What secure aggregation exchanges" not in html_of([make_record(more=PLAIN)])
