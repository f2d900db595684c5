"""What secure aggregation exchanges, and shares that did not open, in the report."""

from reports.analysis import traffic
from sim.evidence import Unopened, outcome
from tests.records import make_record
from tests.reports.reading import html_of

FIGURES = [outcome("messages", 10), outcome("bytes_sent", 19966), outcome("bytes_received", 21654)]
WITHSTANDS = ["4 of 12 may vanish"]
SHARES = [Unopened(round=n, sender="hospital_1", receiver="hospital_2") for n in (1, 2)]


def test_a_defense_that_states_no_traffic_has_no_row() -> None:
    assert traffic.rows([make_record()]) == []
    records = [make_record(), make_record(defense="protocol", more=FIGURES, unmasking=WITHSTANDS)]
    assert traffic.rows([*records, *records]) == [
        {
            "defense": "protocol",
            "messages": 10,
            "bytes_sent": 19966,
            "bytes_received": 21654,
            "texts": ["4 of 12 may vanish."],
        }
    ]


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
    html = html_of([make_record(defense="protocol", more=FIGURES, unopened=SHARES)])
    assert "What secure aggregation exchanges" in html
    assert '<td class="n">19,966</td>' in html
    assert "2 shares did not open" in html
    assert "4 of 12 may vanish." in html_of([make_record(more=FIGURES, unmasking=WITHSTANDS)])
    assert "What secure aggregation exchanges" not in html_of([make_record()])
