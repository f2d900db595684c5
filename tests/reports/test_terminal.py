"""Tables in the terminal."""

import re

from reports import page, terminal
from reports.analysis import tables
from tests.records import (
    make_isolation,
    make_privacy,
    make_record,
)
from tests.reports.reading import everything, grid, printed, row


def test_closing_table_shows_means_the_lowest_seed_losses_and_shares():
    text = printed(terminal.closing(everything()))
    cell = row(tables.cells(everything()), attack="sign_flip", defense="none")
    assert f"{cell['mean']:.3f} [{cell['lowest']:.3f}] 3/3!" in text
    assert "n/m: n of m seeds lost 0.05 or more of AUROC to the attack" in text
    assert "! harm is shown" in text
    assert "38 %" in text
    assert "no defense" in text


def test_closing_table_of_one_seed_has_no_lowest_seed_and_decides_nothing():
    records = [make_record(), make_record(attack="alie", figures={"auroc": 0.1})]
    text = printed(terminal.closing(records))
    assert "one seed decides nothing" in text
    assert "0.100 1/1?" in text
    assert "[" not in text


ATTACKS = [
    "none",
    "sign_flip",
    "alie_optimized",
    "aggregation_tailored",
    "backdoor+model_replacement",
    "min_max",
    "label_flip",
]


def test_closing_table_breaks_no_cell_at_eighty_columns():
    text = printed(
        terminal.closing(
            grid(attacks=ATTACKS, defenses=("none", "geometric_median", "krum+steps=[clip,nnm]"))
        )
    )
    assert len(re.findall(r"0\.\d{3} \[0\.\d{3}\]", text)) == 3 * len(ATTACKS)
    assert all(part in text for part in ("geometric_median", "krum+steps=[clip,nnm]"))
    assert max(map(len, text.splitlines())) <= 80


def test_closing_table_of_many_attacks_gives_the_worst_for_each_defense():
    attacks = ["none", *(f"attack_{i:02}" for i in range(20))]
    records = [
        make_record(attack=a, seed=s, figures={"auroc": 0.9 - 0.01 * i})
        for i, a in enumerate(attacks)
        for s in (0, 1)
    ]
    text = printed(terminal.closing(records))
    assert re.search(r"no defense +0\.900 \[0\.900\] +0\.700 \[0\.700\] 2/2! +attack_19 +16!", text)
    assert len(text.splitlines()) < 12


def test_idle_cells_are_marked_in_the_terminal():
    text = printed(
        terminal.closing([make_record(attack="alie", engagement={"attack_engaged": False})])
    )
    assert "0.850†" in text
    assert "† attack or defense did nothing" in text
    assert "†" not in printed(terminal.closing(everything()))


def test_run_table_states_when_an_attack_did_nothing():
    idle = make_record(
        attack="sign_flip", engagement={"attack_engaged": False, "attack_distance": 0.0}
    )
    assert "NO: it changed nothing (0)" in printed(terminal.run_table(idle))
    assert "yes (2)" in printed(
        terminal.run_table(make_record(attack="sign_flip", defense="krum", privacy=make_privacy()))
    )


def test_terminal_does_not_read_names_as_markup():
    assert "[red]x" in printed(terminal.closing([make_record(defense="[red]x")]))


def test_closing_table_counts_the_single_updates_that_an_attack_on_secure_aggregation_recovered():
    isolation = make_isolation(2)
    records = [make_record(), make_record(attack="collusion", isolation=isolation)]
    text = printed(terminal.closing(records))
    assert "2 of 5" in text
    assert "single" in text


def test_a_command_ends_with_the_sentences_of_the_page_and_what_to_do_next():
    records = everything()
    command = "wardround compare consortium=heart4"
    text = printed(terminal.ending(records, command))
    known = dict.fromkeys(page.MANIFEST) | {"command": command}
    values = page.content(records, known, show_reconstructions=False)
    flat = " ".join(text.split())
    for number, sentence in enumerate(values["answer"], 1):
        assert f"{number}. {sentence}" in flat
    assert f"- {values['acting'][0].name} ({values['acting'][0].urgent}): " in flat
    assert "threats not tested: the report has commands that test what can be." in flat
    assert flat.index("n/m: n of m seeds lost") < flat.index("The answer") < flat.index("Next")
    assert max(map(len, text.splitlines())) <= 80


def test_one_run_ends_with_its_table_and_the_same_sentences():
    record = make_record(attack="sign_flip")
    table = terminal.run_table(record)
    text = printed(terminal.ending([record], "wardround run", first=table))
    assert text.index("Brier score") < text.index("The answer") < text.index("Run the controls")


def test_lines_of_a_list_stand_under_their_first_and_break_no_word():
    long = "a" * 100
    (title, lines) = terminal.listed("Next", ["one two three", long], width=10)
    assert title.plain == "\nNext"
    assert lines.plain.split("\n") == ["- one two", "  three", f"- {long}"]
    assert terminal.listed("Next", []) == []
