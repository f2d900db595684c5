"""What attacks that read found: in the heat map, in the terminal and in the findings."""

import pytest

from reports import terminal
from reports.analysis import leaks, membership, tables
from reports.analysis.backdoors import backdoors
from reports.analysis.seen import Seen
from reports.figures import style
from reports.figures.heat_map import ROOMY, heat_map
from reports.text import findings, words
from tests.records import make_inversion, make_record
from tests.reports.reading import printed
from tests.reports.test_membership import inferred


def study(defenses=("none", "secagg"), seeds=3):
    """Nobody, an inversion and membership inference, which finds less under a defense."""
    records = [make_record(defense=d, seed=s) for d in defenses for s in range(seeds)]
    for defense in defenses:
        few = 3 if defense == "none" else 0
        for seed in range(seeds):
            inversion = make_inversion(few + seed * (few > 0), 8, n_shuffled=1)
            records += [
                make_record(
                    attack="analytic_inversion", defense=defense, seed=seed, inversion=inversion
                ),
                inferred(seed, defense, 1.0 if defense == "none" else 0.0),
            ]
    return records


def drawn(records):
    acting = tables.cells(records).filter(reads_only=False)
    figure = heat_map(acting, style.PAGE, marked=backdoors(records), read=leaks.leaks(records))
    figure.canvas.draw()
    return figure


def words_in(figure):
    axes = figure.axes[0]
    return [text.get_text() for text in [*axes.texts, *axes.get_xticklabels()]]


def test_what_was_read_is_stated_over_seeds_with_the_most_and_its_null():
    records = study()
    found = {(one.attack, one.defense): one for one in leaks.leaks(records)}
    read = found["analytic_inversion", "none"]
    assert (read.value, read.most) == (pytest.approx(12 / 24), pytest.approx(5 / 8))
    assert read.null == pytest.approx(1 / 8)
    assert read.level == read.value
    areas = {one.defense: one for one in membership.cells(records)}
    for defense, cell in areas.items():
        one = found["lira", defense]
        assert (one.value, one.null) == (cell.auc.value, pytest.approx(cell.null.value))
        assert one.most >= one.value
        assert one.level == pytest.approx(max(0.0, 2 * cell.auc.value - 1))


def test_the_lines_of_a_cell_stand_inside_it_in_the_widest_map_with_room_for_them():
    attacks = [f"x{place}" for place in range((ROOMY - 3) // 2)]
    fallen = [
        make_record(attack=attack, seed=seed, figures={"auroc": 0.3}, backdoor=(0.95, 0.05))
        for attack in attacks
        for seed in range(3)
    ]
    figure = drawn([*study(("none", "secagg_groups+median+clip")), *fallen])
    axes = figure.axes[0]
    cells = [one for one in axes.patches if one.get_fill() and one.get_width() == 1]
    width = min(cell.get_window_extent().width for cell in cells)
    lines = [
        text for text in axes.texts if text.get_text().startswith(("lowest", "highest", "3 of 3"))
    ]
    assert len(lines) > ROOMY
    assert max(text.get_window_extent().width for text in lines) < 0.95 * width  # within its frame


def test_the_heat_map_has_what_was_read_beside_the_model():
    figure = drawn(study())
    texts = words_in(figure)
    assert {
        "analytic inversion",
        "membership by LiRA",
        "50 %",
        "most 63 %",
        "shuffled 13 %",
    } <= set(texts)
    (area,) = [one for one in leaks.leaks(study()) if (one.attack, one.defense) == ("lira", "none")]
    assert {f"{area.value:.3f}", f"highest {area.most:.3f}", f"null {area.null:.3f}"} <= set(texts)
    strip = figure.axes[-1]
    assert strip.get_ylabel() == "Read: share of records recovered\nor AUC of membership"
    assert strip.get_yticklabels()[0].get_text() == "0 %\n0.5"


def test_small_cells_state_what_was_read_and_the_most():
    many = [make_record(attack=f"attack_{i}") for i in range(ROOMY)]
    texts = words_in(drawn([*study(("none",)), *many]))
    assert {"50 %", "\N{UPWARDS ARROW}63"} <= set(texts)


def test_a_study_without_reading_attacks_has_no_scale_for_them():
    records = [make_record(attack=a, seed=s) for a in ("none", "alie") for s in range(2)]
    assert len(drawn(records).axes) == 2


def test_the_terminal_states_the_area_beside_its_null():
    text = printed(terminal.closing(study()))
    (area,) = [one for one in leaks.leaks(study()) if (one.attack, one.defense) == ("lira", "none")]
    (line,) = [line for line in text.splitlines() if line.startswith(words.attack("lira"))][:1]
    assert line.split()[-3:] == [f"{area.value:.3f}", f"{area.most:.3f}", f"{area.null:.3f}"]
    assert "0.5 is guessing" in text
    assert max(map(len, text.splitlines())) <= 80


def test_the_terminal_sums_up_what_many_attacks_read():
    many = [make_record(attack=f"attack_{i:02}", seed=s) for i in range(20) for s in range(3)]
    text = printed(terminal.closing([*study(), *many]))
    assert "50 %" in text
    assert "null: that where nothing is to find" in text
    assert "worst of 0" not in printed(terminal.closing(study()))


def test_findings_tell_who_can_be_recognized_and_whether_it_is_more_than_guessing():
    (first, second) = findings.members(membership.cells(study()))
    assert first.startswith("Membership by LiRA, by whoever may ask the final model, tells records")
    assert "where there is nothing to find" in first
    assert "at 1 % false positives" in first
    assert "not decided" not in first
    assert second.startswith("The same attack has 0.")
    assert second.endswith("under secure aggregation.")
    guessed = [inferred(seed, "none", 0.0) for seed in range(3)]
    (text,) = findings.members(membership.cells(guessed))
    assert "whether that is more than guessing is not decided with 3 seeds" in text
    topics = [one.topic for one in findings.found(Seen(study()))]
    assert "Who was a patient" in topics
