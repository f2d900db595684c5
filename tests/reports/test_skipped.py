"""Rounds that were skipped come first, with the reason, who was missing and what it means; the
register counts them.
"""

from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from reports import page, terminal
from reports.analysis import broken, skipped
from reports.text import findings
from sim.evidence import RunRecord, Screened, Skip
from tests.records import make_curve, make_record
from tests.reports.reading import html_of
from tests.studies import UNTRAINED
from tests.threats.reading import row_of, rows_of
from threats.catalog import load
from threats.register import register

HOSTILE, HONEST = ["hospital_0"], ["hospital_4", "hospital_5"]


def make_skip(round_: int, **changes: Any) -> Skip:
    fields: dict[str, Any] = {
        "round": round_, "cause": "absent", "reason": "n_rows=5, n_hostile=2: Krum needs 7",
        "replies": 5, "needed": 7, "hostile": HOSTILE, "honest": [],
    }  # fmt: skip
    return Skip(**fields | changes)


def stopped(
    *skips: Skip, attack: str = "dropout", defense: str = "krum", **changes: Any
) -> RunRecord:
    rounds = [skip.round for skip in skips]
    return make_record(
        attack=attack, defense=defense, skips=list(skips), skipped_rounds=rounds, **changes
    )


def sound(**changes: Any) -> RunRecord:
    return make_record(**{"attack": "dropout", "defense": "krum", **changes})


def printed(part: Any) -> str:
    console = Console(width=200, record=True, file=StringIO())
    console.print(part)
    return console.export_text()


def test_nothing_is_stated_where_no_round_was_skipped() -> None:
    assert skipped.sentences([sound(), make_record()]) == []
    assert skipped.column([sound()]) == ""


@pytest.mark.parametrize(
    ("skips", "sentence"),
    [
        (
            [make_skip(1), make_skip(3, replies=4)],
            (
                "Hostile dropout under Krum: 2 of 8 rounds skipped (in 1 of 2 runs, the first in"
                " round 1),"
                " because 4 to 5 usable replies arrived where at least 7 must. Missing or unusable"
                " were replies of hostile hospitals only, which stopped the training that way."
            ),
        ),
        (
            [make_skip(1, hostile=[], honest=HONEST)],
            (
                "Hostile dropout under Krum: 1 of 8 rounds skipped (in 1 of 2 runs, the first in"
                " round 1), "
                "because 5 usable replies arrived where at "
                "least 7 must. Missing or unusable were replies of honest hospitals only."
            ),
        ),
        (
            [make_skip(1), make_skip(2, honest=HONEST), make_skip(3, hostile=[], honest=HONEST)],
            (
                "Hostile dropout under Krum: 3 of 8 rounds skipped (in 1 of 2 runs, the first in"
                " round 1),"
                " because 5 usable replies arrived where at least 7 must. Missing or unusable were"
                " replies of hostile hospitals only, which stopped the training that way (in 1"
                " round); honest hospitals only (in 1 round); hostile and honest hospitals (in 1"
                " round)."
            ),
        ),
        (
            [make_skip(1, cause="refused", reason="root=a: none", hostile=[], honest=["a"])],
            (
                "Hostile dropout under Krum: 1 of 8 rounds skipped (in 1 of 2 runs, the first in"
                " round 1), "
                "because the aggregation refused what arrived "
                "(root=a: none). Missing or unusable were replies of honest hospitals only."
            ),
        ),
        (
            [
                make_skip(i, cause="refused", reason=f"they weigh {i} of 9", hostile=[])
                for i in (5, 6)
            ],
            (
                "Hostile dropout under Krum: 2 of 8 rounds skipped (in 1 of 2 runs, the first in"
                " round 5), "
                "because the aggregation refused what arrived "
                "(for example they weigh 5 of 9)."
            ),
        ),
        (
            [
                make_skip(1, cause="not_finite", hostile=[]),
                make_skip(2, cause="not_finite", hostile=[]),
                make_skip(3),
            ],
            (
                "Hostile dropout under Krum: 3 of 8 rounds skipped (in 1 of 2 runs, the first in"
                " round 1),"
                " 2 because the new weights were beyond what float32 can hold; 1 because 5 usable"
                " replies arrived where at least 7 must. Missing or unusable were replies of"
                " hostile hospitals only, which stopped the training that way (in 1 round)."
            ),
        ),
    ],
)
def test_a_sentence_states_how_many_rounds_why_and_who_was_missing(
    skips: list[Skip], sentence: str
) -> None:
    assert skipped.sentences([stopped(*skips), sound(seed=1)]) == [sentence, skipped.MEANING]


def test_the_most_frequent_reason_is_stated_and_nobody_is_blamed_without_an_attack() -> None:
    everybody = make_skip(2, replies=0, needed=1, honest=HONEST)
    lost = [
        Screened(round=2, hospital=name, reason="values that are not finite")
        for name in (*HOSTILE, *HONEST)
    ]
    early = [Screened(round=1, hospital=str(i), reason="no reply") for i in range(9)]
    text, _ = skipped.sentences(
        [stopped(everybody, attack="none", defense="none", screened=[*lost, *early])]
    )
    assert (
        text
        == "No attack with no defense: 1 of 4 rounds skipped (round 2), because no usable reply"
        " arrived where at least 1 must. Replies were missing or unusable although no hospital"
        " attacked; the most frequent reason: values that are not finite."
    )


def test_evidence_from_before_the_reasons_were_recorded_is_not_given_one() -> None:
    text, _ = skipped.sentences([make_record(skipped_rounds=[1, 2, 3])])
    assert (
        text
        == "No attack with no defense: 3 of 4 rounds skipped (rounds 1 to 3), for reasons that this"
        " evidence does not hold."
    )


def test_of_many_cells_those_that_lost_most_are_named_and_the_rest_counted() -> None:
    records = [stopped(*map(make_skip, range(1, 2 + (i > 2))), attack=f"a{i}") for i in range(9)]
    *named, rest, meaning = skipped.sentences(records)
    assert [text.split()[0] for text in named] == ["a3", "a4", "a5", "a6", "a7"]
    assert (rest, meaning) == (
        "5 rounds more were skipped with 4 others of attack and defense.",
        skipped.MEANING,
    )


def test_the_column_counts_skipped_rounds_of_all_rounds() -> None:
    assert skipped.column([stopped(make_skip(1)), sound(seed=1)]) == "1 of 8"
    assert skipped.column([stopped(*map(make_skip, range(1, 5)))]) == "4 of 4"


def test_skipped_rounds_stand_first_on_the_page_and_in_the_terminal() -> None:
    records = [
        make_record(),
        make_record(defense="krum"),
        sound(defense="none"),
        stopped(make_skip(1), make_skip(2)),
    ]
    known = dict.fromkeys(page.MANIFEST)
    html = page.render(page.content(records, known, show_reconstructions=False), {})
    first = skipped.sentences(records)[0]
    assert html.index('href="#broken"') < html.index("<li>")
    assert html.index(first) < html.index("What to do next")
    text = printed(terminal.closing(records))
    assert text.index(first[:60]) < text.index("AUROC; one seed")
    assert skipped.MEANING[:40] in text
    (row,) = [line for line in text.splitlines() if line.startswith("krum")]
    assert row.split()[-3:] == ["2", "of", "8"]
    assert printed(terminal.run_table(records[-1])).count("skipped (rounds 1 to 2)") == 1
    assert html.count("skipped (in 1 of 1 run") + html.count("skipped (rounds 1 to 2)") == 1
    assert "skipped" not in printed(terminal.closing([sound(), make_record()]))


def test_of_a_run_that_skipped_every_round_no_figure_is_stated_and_each_fact_once() -> None:
    curve = make_curve(4, 0.65)  # evidence has the scores of the starting weights, round by round
    everything = stopped(*map(make_skip, range(1, 5)), figures=UNTRAINED, curve=curve)
    assert skipped.sentences([everything])[1:] == []
    assert broken.first([everything])[1:] == [
        "Hostile dropout under Krum: seed 0, no round gave a new model, so that no figure is"
        " defined and"
        " means leave it out."
    ]
    assert "convergence" in page.draw([sound()])
    assert "convergence" not in page.draw([everything])
    known = dict.fromkeys(page.MANIFEST)
    html = page.render(page.content([everything], known, show_reconstructions=False), {})
    assert (
        html.count("gave a new model, so that no figure")
        == html.count("4 of 4 rounds skipped")
        == 1
    )
    assert "AUROC is not defined in" not in html
    assert "model trained in fewer rounds" not in html
    text = printed(terminal.run_table(everything))
    assert "no round gave a new model, so that" in text
    assert "not defined, because" not in text


# --- the register


def study(*skips: Skip, seeds: int = 3, attack: str = "dropout") -> list[RunRecord]:
    controls = [
        make_record(seed=seed, defense=defense)
        for seed in range(seeds)
        for defense in ("none", "krum")
    ]
    undefended = [make_record(seed=seed, attack=attack) for seed in range(seeds)]
    return [
        *controls,
        *undefended,
        *(stopped(*skips, seed=seed, attack=attack) for seed in range(seeds)),
    ]


def test_the_availability_row_counts_skipped_rounds_beside_those_without_the_attack() -> None:
    row = row_of(study(make_skip(1), make_skip(4)), "THR-AV", "krum")
    assert (row.status, row.stride) == ("measured", ("D",))
    assert any(cite.startswith("45 CFR 164.308(a)(7)(i)") for cite in row.hipaa)
    assert (
        row.finding
        == "With hostile dropout, 6 of 12 rounds were skipped (50 %; by seed 50 % to 50 %, 3"
        " seeds); 0"
        " of 12 rounds in the same runs without the attack. Replies of hostile hospitals were"
        " missing in 6 of the skipped rounds."
    )
    assert (
        row_of(study(), "THR-AV", "krum").finding
        == "With hostile dropout, 0 of 12 rounds were skipped (0 %; by seed 0 % to 0 %, 3 seeds);"
        " 0 of"
        " 12 rounds in the same runs without the attack."
    )


def test_rounds_that_are_skipped_without_the_attack_too_are_stated_beside() -> None:
    records = study(make_skip(1))
    lost = [
        make_record(defense="krum", skipped_rounds=[2, 3]) if r.run == "none-krum-0" else r
        for r in records
    ]
    assert (
        "; 2 of 12 rounds in the same runs without the attack."
        in row_of(lost, "THR-AV", "krum").finding
    )


@pytest.mark.parametrize(
    "records",
    [
        [],
        study(make_skip(1), seeds=1),
        [record for record in study(make_skip(1)) if record.attack != "none"],
        [record for record in study(make_skip(1)) if record.defense != "none"],
        study(make_skip(1), attack="sign_flip"),
    ],
)
def test_the_availability_row_is_never_measured_without_runs_and_their_controls(
    records: list[RunRecord],
) -> None:
    rows = rows_of(records, "THR-AV")
    assert rows
    assert all(row.status != "measured" or row.defense == "none" for row in rows)
    assert all(not row.finding for row in rows if row.status != "measured")
    assert records or [row.status for row in rows] == ["not_tested"]


def test_two_runs_show_harm_where_each_has_more_skipped_rounds_than_its_control() -> None:
    records = study(make_skip(1), seeds=2)
    row = row_of(records, "THR-AV", "krum")
    assert (row.status, row.shown) == ("measured", "harm")
    one = [
        sound(seed=1) if (r.attack, r.defense, r.seed) == ("dropout", "krum", 1) else r
        for r in records
    ]
    assert row_of(one, "THR-AV", "krum").shown == "not_decided"


@pytest.mark.parametrize(
    ("attack", "absences", "words"),
    [
        ("dropout", {}, "dropout by 1 of 6 hospitals changed"),
        (
            "honest_absence",
            {"honest_absence": HONEST},
            "Absent honest hospitals (2 of 6 hospitals) changed",
        ),
        (
            "dropout+honest_absence",
            {"honest_absence": HONEST},
            "by 1 of 6 hospitals, with up to 2 honest ones absent, changed",
        ),
    ],
)
def test_an_absence_of_honest_hospitals_is_not_put_down_to_hostile_ones(
    attack: str, absences: dict[str, list[str]], words: str
) -> None:
    records = [
        r.model_copy(
            update={
                "absences": absences if r.attack != "none" else {},
                "config": {**r.config, "attack": []},
            }
        )
        for r in study(attack=attack)
    ]
    assert words in row_of(records, "THR-DOS", "krum").finding
    attacking = [text for text in findings.asked(records) if "attack." in text]
    assert bool(attacking) == (attack != "honest_absence")


def test_every_fault_that_can_stop_rounds_is_evidence_for_the_availability_row() -> None:
    (threat,) = [threat for threat in load().threats if threat.id == "THR-AV"]
    assert {"dropout", "straggler", "malformed", "honest_absence"} <= set(threat.attacks)
    assert {row.status for row in register([], load()) if row.id == "THR-AV"} == {"not_tested"}


def test_the_page_states_how_many_replies_may_be_missing_by_design() -> None:
    spare = "4 of 6 may be missing in a round"
    records = [
        make_record(missing=spare),
        make_record(defense="median", missing=spare),
        make_record(defense="krum", missing="none may be"),
    ]
    html = html_of(records)
    assert f"<li>no defense and median: {spare}.</li>" in html
    assert "<li>Krum: none may be.</li>" in html
    assert "Replies that may be missing" not in html_of([make_record()])
