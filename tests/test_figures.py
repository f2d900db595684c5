import re
from itertools import pairwise

import matplotlib as mpl
import pytest
from matplotlib import _pylab_helpers

from reports import figures, style, tables
from tests.records import make_hospitals, make_inversion, make_privacy, make_record


def study(seeds=3, n_attacks=2, n_defenses=3):
    """Attacks x defenses x seeds, and an attack that reads; ``defense_0`` is private."""
    attacks = ["none", *(f"attack_{i}" for i in range(n_attacks - 1))]
    defenses = ["none", *(f"defense_{i}" for i in range(n_defenses - 1))]
    cells = [(i, j, s) for i in range(n_attacks) for j in range(n_defenses) for s in range(seeds)]
    return [one_run(attacks[i], defenses[j], s, 0.9 - 0.05 * i - 0.01 * j - 0.004 * s, j) for i, j, s in cells] + [
        make_record(attack="read", defense=d, seed=s, inversion=reading(k))
        for k, d in enumerate(defenses, 1)
        for s in range(seeds)
    ]


def one_run(attack, defense, seed, auroc, place):
    privacy = make_privacy() if place == 1 else None
    return make_record(
        attack=attack, defense=defense, seed=seed, outcome={"auroc": auroc}, privacy=privacy, hospitals=worse(place)
    )


def reading(k):
    return make_inversion(k, 8).model_copy(update={"attack": "read", "records_in_row": [8 * k]})


def worse(by):
    return [one.model_copy(update={"brier": one.brier + 0.01 * by * i}) for i, one in enumerate(make_hospitals([]))]


def draw(name, records):
    looks = style.looks(list(dict.fromkeys(record.defense for record in records)))
    if name == "heat_map":
        return figures.heat_map(tables.cells(records).filter(reads_only=False))
    if name in ("tradeoff", "hospital_effects"):
        return getattr(figures, name)(getattr(tables, name)(records))
    frames = {"convergence": tables.curves, "reconstruction": tables.inversions, "privacy_spent": tables.spent}
    return getattr(figures, name)(frames[name](records), looks)


NAMES = ("heat_map", "tradeoff", "hospital_effects", "convergence", "reconstruction", "privacy_spent")


def words_in(figure):
    figure.draw_without_rendering()
    return [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")) if text.get_visible()]


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("name", NAMES)
def test_figures_label_their_axes(name, seeds):
    figure = draw(name, study(seeds))
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert shown
    labels = {text for axes in shown for text in (axes.get_xlabel(), axes.get_ylabel())} | {figure.get_supxlabel()}
    assert labels - {""}
    assert all(axes.get_xlabel() or axes.get_ylabel() or axes.get_title() or axes.get_title(loc="left") for axes in shown)


@pytest.mark.parametrize("name", NAMES)
def test_figures_come_out_the_same_twice_and_hold_no_links(name):
    first, second = (style.svg(draw(name, study()), name) for _ in range(2))
    assert first == second
    assert first.startswith("<svg")
    assert "http" not in first
    assert set(re.findall(r'(?:href="#|url\(#)([^")]*)', first)) <= set(re.findall(r'\bid="([^"]*)"', first))


@pytest.mark.parametrize("name", NAMES)
def test_drawing_leaves_matplotlib_as_it_was(name):
    before = dict(mpl.rcParams)
    draw(name, study())
    assert dict(mpl.rcParams) == before
    assert _pylab_helpers.Gcf.figs == {}


def test_heat_map_writes_every_mean_its_interval_and_marks_idle_cells():
    records = [
        make_record(attack="x", seed=s, outcome={"auroc": a}, engagement={"attack_engaged": False})
        for s, a in enumerate((0.7, 0.8, 0.9))
    ]
    texts = words_in(figures.heat_map(tables.cells([*records, make_record(defense="y", outcome={"auroc": 0.123})])))
    assert "0.800 †" in texts
    assert "0.55\N{EN DASH}1.05" in texts  # 0.8 ± 4.302653 * 0.1 / sqrt(3)
    assert {"0.123", "one seed"} <= set(texts)


def test_tradeoff_names_defense_worst_attack_and_epsilon():
    texts = words_in(draw("tradeoff", study()))
    assert "defense_0 (attack_0, ε = 8.00)" in texts
    assert "no defense (attack_0)" in texts


def test_tradeoff_draws_no_interval_for_one_seed():
    def bars(seeds):
        return [
            line
            for line in draw("tradeoff", study(seeds)).axes[0].lines
            if len(line.get_xdata()) == 2 and line.get_linestyle() == "-"
        ]

    assert len(bars(3)) == 6
    assert bars(1) == []


def test_worst_hit_hospital_is_marked():
    axes = draw("hospital_effects", study()).axes[0]
    marked = [line for line in axes.lines if line.get_marker() == "D"]
    assert len(marked) == 1
    assert axes.get_yticklabels()[int(marked[0].get_ydata()[0])].get_text() == "hospital_5"


def test_hospital_effects_draw_at_most_the_hardest_hit():
    def crowd(slope):
        return [
            make_hospitals([])[0].model_copy(update={"hospital": f"site_{i:03}", "brier": 0.1 + slope * i}) for i in range(60)
        ]

    records = [make_record(defense=d, seed=s, hospitals=crowd(0.001 * (d != "none"))) for d in ("none", "x") for s in range(2)]
    names = [text.get_text() for text in draw("hospital_effects", records).axes[0].get_yticklabels()]
    assert names == [f"site_{i:03}" for i in range(60 - figures.MOST_HOSPITALS, 60)]


@pytest.mark.parametrize("n_attacks", [1, 2, 4, 5])
def test_convergence_has_a_panel_for_each_attack(n_attacks):
    figure = draw("convergence", study(n_attacks=n_attacks))
    titles = [axes.get_title(loc="left") for axes in figure.axes if axes.get_visible()]
    assert titles == ["no attack", *(f"attack_{i}" for i in range(n_attacks - 1))]


def test_many_defenses_get_looks_of_their_own():
    looks = style.looks(["none", *(f"d{i}" for i in range(20))])
    assert len(set(looks.values())) == 21
    assert looks["none"] == (style.BLACK, "-")


@pytest.mark.parametrize("places", [[0.5] * 5, [0.1, 0.9], [0.3, 0.31, 0.32, 0.9], [0.9, 0.1, 0.11], []])
def test_spread_keeps_order_and_distance(places):
    moved = style.spread(places, 0.1)
    ordered = [moved[i] for i in sorted(range(len(places)), key=lambda i: places[i])]
    assert all(b - a >= 0.1 - 1e-12 for a, b in pairwise(ordered))
    assert sum(moved) == pytest.approx(sum(places))


def test_spread_leaves_places_that_are_far_apart():
    assert style.spread([0.1, 0.5, 0.9], 0.1) == [0.1, 0.5, 0.9]
