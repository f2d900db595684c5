import pickle
import re
from itertools import pairwise

import matplotlib as mpl
import pytest
from matplotlib import _pylab_helpers

from reports.analysis import backdoors, breakdown, tables
from reports.figures import charts, multiples, style
from reports.figures.heat_map import ROOMY, heat_map
from tests.records import make_hospitals, make_inversion, make_privacy, make_record


def study(seeds=3, n_attacks=2, n_defenses=3):
    """Attacks x defenses x seeds, and an attack that reads; ``defense_0`` is private."""
    attacks = ["none", *(f"attack_{i}" for i in range(n_attacks - 1))]
    defenses = ["none", *(f"defense_{i}" for i in range(n_defenses - 1))]
    cells = [(i, j, s) for i in range(n_attacks) for j in range(n_defenses) for s in range(seeds)]
    return [
        one_run(attacks[i], defenses[j], s, 0.9 - 0.05 * i - 0.01 * j - 0.004 * s, j)
        for i, j, s in cells
    ] + [
        make_record(attack="read", defense=d, seed=s, inversion=reading(k))
        for k, d in enumerate(defenses, 1)
        for s in range(seeds)
    ]


def one_run(attack, defense, seed, auroc, place):
    privacy = make_privacy() if place == 1 else None
    return make_record(
        attack=attack,
        defense=defense,
        seed=seed,
        figures={"auroc": auroc},
        privacy=privacy,
        of_hospitals=worse(place),
    )


def reading(k):
    return make_inversion(k, 8, attack="read", records_in_row=[8 * k])


def worse(by):
    return {"brier": {f"hospital_{i}": 0.15 + 0.01 * i + 0.01 * by * i for i in range(6)}}


def draw_all(name, records):
    """Every figure of that name."""
    looks = style.looks(list(dict.fromkeys(record.defense for record in records)))
    width = style.PAGE
    makers = {
        "heat_map": lambda: [drawn_map(records, tables.cells(records).filter(reads_only=False))],
        "tradeoff": lambda: [charts.tradeoff(tables.tradeoff(records), width)],
        "hospital_effects": lambda: in_parts(
            multiples.hospital_effects, tables.hospital_effects(records), multiples.MOST_EFFECTS
        ),
        "convergence": lambda: in_parts(multiples.convergence, tables.curves(records), looks=looks),
        "breakdown": lambda: in_parts(
            multiples.breakdown, breakdown.by_number(records), looks=looks, limits={"defense_0": 4}
        ),
        "reconstruction": lambda: [charts.reconstruction(tables.inversions(records), width, looks)],
        "leakage": lambda: [charts.leakage(tables.inversions(records), width, looks)],
        "privacy_spent": lambda: [charts.privacy_spent(tables.spent(records), width, looks)],
    }
    return makers[name]()


def in_parts(make, frame, most=0, **named):
    parts = multiples.parts(frame, most)
    return [make(frame, style.PAGE, defenses=part, **named) for part in parts]


def draw(name, records):
    (figure,) = draw_all(name, records)
    return figure


NAMES = (
    "heat_map",
    "tradeoff",
    "hospital_effects",
    "convergence",
    "breakdown",
    "reconstruction",
    "leakage",
    "privacy_spent",
)


def words_in(figure):
    figure.draw_without_rendering()
    return [
        text.get_text()
        for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))
        if text.get_visible()
    ]


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("name", NAMES)
def test_figures_label_their_axes(name, seeds):
    figure = draw(name, study(seeds))
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert shown
    labels = {text for axes in shown for text in (axes.get_xlabel(), axes.get_ylabel())} | {
        figure.get_supxlabel()
    }
    assert labels - {""}
    assert all(
        axes.get_xlabel() or axes.get_ylabel() or axes.get_title() or axes.get_title(loc="left")
        for axes in shown
    )


@pytest.mark.parametrize("name", NAMES)
def test_figures_come_out_the_same_twice_and_hold_no_links(name):
    first, second = (style.svg(draw(name, study()), name) for _ in range(2))
    assert first == second
    assert first.startswith("<svg")
    assert "http" not in first
    assert set(re.findall(r'(?:href="#|url\(#)([^")]*)', first)) <= set(
        re.findall(r'\bid="([^"]*)"', first)
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_finished_figure_gives_the_same_file_in_another_process(name):
    figure = draw(name, study())
    style.finish(figure)
    assert style.png(pickle.loads(pickle.dumps(figure))) == style.png(figure)


@pytest.mark.parametrize("name", NAMES)
def test_drawing_leaves_matplotlib_as_it_was(name):
    before = dict(mpl.rcParams)
    draw(name, study())
    assert dict(mpl.rcParams) == before
    assert _pylab_helpers.Gcf.figs == {}


def drawn_map(records, cells=None, width=style.PAGE):
    shown = tables.cells(records) if cells is None else cells
    return heat_map(shown, width, marked=backdoors.backdoors(records))


def test_heat_map_writes_every_mean_its_worst_seed_and_its_losses_and_marks_idle_cells():
    records = [
        make_record(attack="x", seed=s, figures={"auroc": a}, engagement={"attack_engaged": False})
        for s, a in enumerate((0.7, 0.8, 0.9))
    ]
    records += [make_record(seed=s, figures={"auroc": 0.85}) for s in range(3)]
    texts = words_in(drawn_map([*records, make_record(defense="y", figures={"auroc": 0.123})]))
    assert {"0.800 †", "lowest 0.700", "2 of 3 lost"} <= set(texts)
    assert {"0.123", "one seed"} <= set(texts)


def red_frames(figure):
    """(place across, place down, whether it is dashed) of every red frame."""
    patches = [
        patch
        for patch in figure.axes[0].patches
        if mpl.colors.to_hex(patch.get_edgecolor()) == style.VERMILION.lower()
    ]
    return {
        (
            round(patch.get_x() + 0.45),
            round(patch.get_y() + 0.44),
            patch.get_linestyle() not in ("-", "solid"),
        )
        for patch in patches
    }


def test_cells_in_which_every_seed_lost_are_framed_and_cells_in_which_some_did_are_dashed():
    losses = {"all": (0.06, 0.9, 0.06), "some": (0.0, 0.0, 0.3), "few": (0.001, 0.0, 0.0)}
    records = [make_record(seed=s, figures={"auroc": 0.95}) for s in range(3)]
    records += [
        make_record(attack=a, seed=s, figures={"auroc": 0.95 - x})
        for a, xs in losses.items()
        for s, x in enumerate(xs)
    ]
    assert red_frames(drawn_map(records)) == {(1, 0, False), (2, 0, True)}


def marked(success, seeds=3):
    return [
        make_record(attack="backdoor", seed=s, backdoor=(success, 0.1, 50)) for s in range(seeds)
    ]


def test_the_heat_map_states_backdoors_in_points_beyond_false_triggers_and_not_in_auroc():
    figure = drawn_map(
        [*(make_record(seed=s, figures={"auroc": 0.86}) for s in range(3)), *marked(0.75)]
    )
    texts = words_in(figure)
    assert {"+65.0", "most +65.0", "3 of 3 worked"} <= set(texts)
    assert "0.850" not in texts  # the AUROC of the attacked runs
    assert any("beyond" in text for text in texts)
    assert len(red_frames(figure)) == 1


def test_a_cell_without_a_figure_is_drawn_as_not_defined():
    records = [make_record(), make_record(attack="x", figures={"auroc": None})]
    assert {"not", "defined ‡", "1 of 1 lost"} <= set(words_in(drawn_map(records)))


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
        names = [f"site_{i:03}" for i in range(60)]
        hospitals = [make_hospitals([])[0].model_copy(update={"hospital": name}) for name in names]
        return {
            "hospitals": hospitals,
            "of_hospitals": {"brier": {name: 0.1 + slope * i for i, name in enumerate(names)}},
        }

    records = [
        make_record(defense=d, seed=s, **crowd(0.001 * (d != "none")))
        for d in ("none", "x")
        for s in range(2)
    ]
    names = [
        text.get_text() for text in draw("hospital_effects", records).axes[0].get_yticklabels()
    ]
    assert names == [f"site_{i:03}" for i in range(60 - multiples.MOST_HOSPITALS, 60)]


def many(n_attacks, n_defenses):
    return study(seeds=2, n_attacks=n_attacks, n_defenses=n_defenses)


def test_many_attacks_make_small_cells_that_still_state_mean_and_worst_seed():
    texts = words_in(draw("heat_map", many(ROOMY + 1, 2)))
    assert ".898" in texts
    assert "\N{DOWNWARDS ARROW}.896" in texts
    assert not any("lost" in text for text in texts)


def test_attacks_that_knew_the_defense_are_starred():
    records = [make_record(attack=a, adaptive=a == "fang") for a in ("none", "fang", "alie")]
    texts = words_in(draw("heat_map", records))
    assert {"no attack", "counter-trend push *", "hidden shift"} <= set(texts)


def test_many_defenses_are_ranked_by_what_the_worst_attack_leaves():
    figure = draw("tradeoff", many(2, charts.MOST_POINTS + 1))
    names = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert names == [
        "no defense",
        "defense_0, ε = 8.00",
        *(f"defense_{i}" for i in range(1, charts.MOST_POINTS)),
    ]
    assert words_in(figure).count("attack_0") == len(names)


@pytest.mark.parametrize("name", ["convergence", "breakdown"])
def test_many_defenses_are_drawn_in_several_figures_each_beside_the_control(name):
    drawn = draw_all(name, many(2, 2 * multiples.MOST_LINES + 2))
    legends = [[text.get_text() for text in figure.legends[0].get_texts()] for figure in drawn]
    assert len(drawn) == 3
    assert all(
        names[0] == "no defense" and len(names) <= multiples.MOST_LINES + 1 for names in legends
    )
    assert [name for names in legends for name in names[1:]] == [
        f"defense_{i}" for i in range(2 * multiples.MOST_LINES + 1)
    ]


def test_effects_of_many_defenses_share_hospitals_and_scale_over_several_figures():
    drawn = draw_all("hospital_effects", many(1, multiples.MOST_EFFECTS + 2))
    first, second = (figure.axes[0] for figure in drawn)
    assert first.get_xlim() == second.get_xlim()
    assert [t.get_text() for t in first.get_yticklabels()] == [
        t.get_text() for t in second.get_yticklabels()
    ]


@pytest.mark.parametrize(
    ("n", "most", "sizes"),
    [(0, 3, []), (1, 3, [1]), (3, 3, [3]), (4, 3, [2, 2]), (25, 8, [6, 6, 6, 7])],
)
def test_batches_are_few_even_and_in_order(n, most, sizes):
    parts = multiples.batches([str(i) for i in range(n)], most)
    assert [len(part) for part in parts] == sizes
    assert [name for part in parts for name in part] == [str(i) for i in range(n)]


def hostile(n, attack, defense):
    return [
        make_record(
            attack=attack, defense=defense, n_hostile=n, seed=s, figures={"auroc": 0.9 - 0.1 * n}
        )
        for s in range(2)
    ]


def test_breakdown_lines_start_where_nobody_is_hostile_and_mark_the_limit_of_the_rule():
    cells = [
        (0, "none", "x"),
        *(
            (n, a, d)
            for n in (1, 2)
            for a in ("none", "alie")
            for d in ("x", "y")
            if (n, d) != (2, "x")
        ),
    ]
    table = breakdown.by_number([record for cell in cells for record in hostile(*cell)])
    figure = multiples.breakdown(table, style.PAGE, style.looks(["x", "y"]), {"x": 2})
    panel = next(axes for axes in figure.axes if axes.get_title(loc="left") == "hidden shift")
    lines = {line.get_color(): line for line in panel.lines if line.get_marker() == "o"}
    assert list(lines[style.BLUE].get_ydata()) == pytest.approx([0.9, 0.8])
    assert list(lines[style.VERMILION].get_ydata()) == pytest.approx([0.8, 0.7])
    (limit,) = (line for line in panel.lines if line.get_marker() == "s")
    assert (limit.get_color(), round(float(limit.get_xdata()[0]))) == (style.BLUE, 1)


@pytest.mark.parametrize("n_attacks", [1, 2, 4, 5])
def test_convergence_has_a_panel_for_each_attack(n_attacks):
    figure = draw("convergence", study(n_attacks=n_attacks))
    titles = [axes.get_title(loc="left") for axes in figure.axes if axes.get_visible()]
    assert titles == ["no attack", *(f"attack_{i}" for i in range(n_attacks - 1))]


def test_many_defenses_get_looks_of_their_own():
    looks = style.looks(["none", *(f"d{i}" for i in range(20))])
    assert len(set(looks.values())) == 21
    assert looks["none"] == (style.BLACK, "-")


@pytest.mark.parametrize(
    "places", [[0.5] * 5, [0.1, 0.9], [0.3, 0.31, 0.32, 0.9], [0.9, 0.1, 0.11], []]
)
def test_spread_keeps_order_and_distance(places):
    moved = style.spread(places, 0.1)
    ordered = [moved[i] for i in sorted(range(len(places)), key=lambda i: places[i])]
    assert all(b - a >= 0.1 - 1e-12 for a, b in pairwise(ordered))
    assert sum(moved) == pytest.approx(sum(places))


def test_spread_leaves_places_that_are_far_apart():
    assert style.spread([0.1, 0.5, 0.9], 0.1) == [0.1, 0.5, 0.9]
