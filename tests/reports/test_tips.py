"""What stands beside a cell: its value, interval, worst seed, seeds and runs, as JSON in a page."""

from __future__ import annotations

import json

from reports import page, tips
from reports.text import words
from tests.records import make_record
from tests.reports.reading import everything, grid

MANIFEST = dict.fromkeys(page.MANIFEST)


def stated(records) -> dict[tuple[str, str, str], tuple[str, list[str]]]:
    values = page.content(records, MANIFEST, show_reconstructions=False)
    return {tuple(one[:3]): (one[3], one[4]) for one in json.loads(str(values["tips"]))}


def test_a_cell_states_value_interval_worst_seed_seeds_and_runs() -> None:
    title, lines = stated(grid())["sign_flip", "none", ""]
    assert title == f"{words.attack('sign_flip')} with no defense"
    auroc, lowest, change, seeds, runs = lines
    assert auroc.startswith("AUROC 0.490 (0.4")
    assert lowest == "Lowest seed 0.480"
    assert change.startswith("Change by the attack \N{MINUS SIGN}0.320 (")
    assert seeds == "3 seeds"
    assert runs == "3 runs: sign_flip-none-0 sign_flip-none-1 sign_flip-none-2"


def test_an_attack_that_reads_states_what_it_recovered() -> None:
    found = stated(everything())
    _, lines = found["analytic_inversion", "none", ""]
    assert lines[0] == "Records recovered 38\N{NO-BREAK SPACE}%"
    assert lines[-1].startswith("3 runs: ")


def test_a_backdoor_states_its_success_first() -> None:
    records = [
        make_record(
            attack=attack, seed=seed, **({"backdoor": (0.9, 0.1)} if attack != "none" else {})
        )
        for attack in ("none", "backdoor")
        for seed in (0, 1)
    ]
    _, lines = stated(records)["backdoor", "none", ""]
    assert lines[0].startswith("Success beyond false triggers +80.0 points (")
    assert lines[2] == "It worked in 2 of 2 seeds"


def test_a_hospital_states_what_a_defense_changes_there() -> None:
    title, lines = stated(grid())["", "krum", "hospital_1"]
    assert title == f"hospital_1 under {words.defense('krum')}, nobody attacking"
    assert lines[0].startswith("Change of Brier score 0.000 (")
    assert lines[2].startswith("3 seeds, ")


def test_the_runs_of_a_large_cell_are_counted() -> None:
    _, lines = stated(grid(seeds=20))["none", "none", ""]
    assert lines[-1].startswith("20 runs: none-none-0 ")
    assert lines[-1].endswith("none-none-11 and others")


def test_no_name_ends_the_data_or_acts_on_other_text() -> None:
    bad = "</script><b>&\u202eabc"
    text = str(tips.data([tips.Tip(bad, bad, bad, bad, (bad,))]))
    assert not set("<>&") & set(text)
    assert text.isascii()
    (one,) = json.loads(text)
    assert {*one[:4], *one[4]} == {"</script><b>&\\u202eabc"}
