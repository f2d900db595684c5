"""A design whose rule needs more than its view holds is refused with the choices that would do."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import product

import pytest

from sim.design import options
from sim.design.options import Option
from sim.errors import InputError, UndefinedError
from sim.study.visibility import conflicts
from tests.federation import experiment

HEART = ("consortium=heart12", "model=logistic", "training.rounds=1", "adversary.n_hostile=1")
CHOICE = re.compile(r"(secagg=[^:]+): (\d+) rows?, withstands (\d+) hostile hospitals?, ([^;]+)")


def refused(*words: str) -> str:
    with pytest.raises(UndefinedError) as error:
        experiment(*HEART, *words)
    return str(error.value)


@pytest.mark.parametrize("secagg", ["sum", "protocol"])
def test_a_refusal_names_the_conflict_and_what_would_do_with_its_numbers(secagg: str) -> None:
    assert refused(f"secagg={secagg}", "aggregator=krum") == (
        "aggregator=Krum: n_rows=1, n_hostile=1: Krum needs n_rows >= 2*n_hostile + 3 = 5;"
        " secure aggregation leaves 1 of 12 rows to see; what would do: secagg=groups"
        " secagg.size=2: 6 rows, withstands 1 hostile hospital, sums of about 108 records;"
        " secagg=none: 12 rows, withstands 4 hostile hospitals, each hospital's own update"
    )


@pytest.mark.parametrize("secagg", ["secagg=sum", "secagg=groups secagg.size=6"])
@pytest.mark.parametrize("rule", ["krum", "median", "multi_krum"])
def test_each_choice_that_is_named_works_up_to_its_number_and_no_further(
    rule: str, secagg: str
) -> None:
    words = (f"aggregator={rule}", "adversary.n_hostile=1")
    found = CHOICE.findall(refused(*secagg.split(), *words))
    assert found
    for chosen, n_rows, withstands, _ in found:
        most = int(withstands)
        works = experiment(*HEART, *words, *chosen.split(), f"adversary.n_hostile={most}")
        assert len(works.plan.groups(1)) == int(n_rows)
        with pytest.raises(InputError):
            experiment(*HEART, *words, *chosen.split(), f"adversary.n_hostile={most + 1}")


@pytest.mark.parametrize(("rule", "n_hostile"), product(["krum", "median", "bulyan"], [1, 2, 5]))
def test_no_choice_that_works_is_left_out(rule: str, n_hostile: int) -> None:
    words = (f"aggregator={rule}", f"adversary.n_hostile={n_hostile}")
    text = refused("secagg=sum", *words)
    works = [size for size in (2, 3, 4, 6) if _runs(*words, f"secagg.size={size}")]
    found = CHOICE.findall(text)
    assert [int(one[-1]) for one, *_ in found if one != "secagg=none"] == works[::-1][:3]
    assert ("secagg=none" in text) == _runs(*words, secagg="none")
    assert ("; no other choice of secagg would do" in text) == (not found)


def _runs(*words: str, secagg: str = "groups") -> bool:
    try:
        experiment(*HEART, f"secagg={secagg}", *words)
    except UndefinedError:
        return False
    return True


def test_where_a_hospital_asks_for_secure_aggregation_none_is_no_choice() -> None:
    text = refused("secagg=sum", "aggregator=median", "policy.secagg=true")
    assert "secagg.size=4: 3 rows, withstands 1 hostile hospital" in text
    assert "secagg=none" not in text


def test_where_a_hospital_asks_for_larger_groups_smaller_ones_are_no_choice() -> None:
    words = ("aggregator=median", "policy.least_group=4")
    text = refused("secagg=sum", *words)
    (found,) = CHOICE.findall(text)
    assert found[:3] == ("secagg=groups secagg.size=4 secagg.least=4", "3", "1")
    design = experiment(*HEART, *words, *found[0].split())
    for site in design.truth.sites:
        assert site.policy.refusal(design.plan, len(site.records)) is None


@pytest.mark.parametrize(
    ("words", "start"),
    [
        (("aggregator.weighting=count",), "aggregator=Mean: weighting=count: Mean needs record"),
        (("aggregator=fltrust", "aggregator.root=va_1"), "aggregator=Fltrust: n_rows=1: "),
        (("steps=[nnm]", "aggregator=median"), "aggregator=Median: n_rows=1, n_hostile=1: Nnm "),
    ],
)
def test_whatever_the_view_lacks_the_choices_that_hold_it_are_named(
    words: tuple[str, ...], start: str
) -> None:
    text = refused("secagg=sum", *words)
    assert text.startswith(start)
    assert "secagg=none: 12 rows, " in text


def test_without_secure_aggregation_there_is_nothing_to_choose() -> None:
    text = refused("aggregator=krum", "adversary.n_hostile=5")
    assert text == (
        "aggregator=Krum: n_rows=12, n_hostile=5: Krum needs n_rows >= 2*n_hostile + 3 = 13"
    )


def test_of_many_group_sizes_the_ends_and_the_middle_are_named() -> None:
    def option(size: int) -> Option:
        return Option(f"size={size}", 60 // size, size, 1, None)

    named: Callable[[str], list[str]] = re.compile(r"size=\d+").findall
    assert named(options.sentence([option(size) for size in (9, 8, 7, 5, 4, 1)])) == [
        "size=9", "size=7", "size=4", "size=1",
    ]  # fmt: skip


# --- the same in the design's conflicts


def texts(*words: str) -> dict[str, str]:
    return {one.id: one.text for one in conflicts(experiment(*HEART, *words))}


def test_the_conflict_of_groups_speaks_of_groups_and_names_the_other_choices() -> None:
    text = texts("secagg=groups", "secagg.size=3", "aggregator=median")["secagg-robustness"]
    assert text == (
        "The aggregator sees 4 sums of 3 hospitals each, so no rule can tell a hostile hospital's"
        " update from those that it is added to; one hostile hospital spoils its whole group."
        " Other choices: secagg=groups secagg.size=4: 3 rows, withstands 1 hostile hospital, sums"
        " of about 216 records; secagg=groups secagg.size=2: 6 rows, withstands 2 hostile"
        " hospitals, sums of about 108 records; secagg=none: 12 rows, withstands 5 hostile"
        " hospitals, each hospital's own update."
    )
    summed = texts("secagg=sum")["secagg-robustness"]
    assert summed.startswith("The aggregator sees a sum only")
    assert "secagg.size=2: 6 rows, no rule withstands more than 2 hostile hospitals" in summed


@pytest.mark.parametrize(
    ("n_hospitals", "secagg", "each_other"),
    [(2, "sum", True), (2, "groups", True), (2, "none", False), (3, "sum", False)],
)
def test_two_hospitals_under_a_sum_read_each_other(
    n_hospitals: int, secagg: str, each_other: bool
) -> None:
    words = ["consortium=synthetic", f"consortium.n_hospitals={n_hospitals}", f"secagg={secagg}"]
    if secagg == "groups":
        words.append("secagg.size=2")
    assert ("secagg-two" in texts(*words, "adversary.n_hostile=0")) == each_other
