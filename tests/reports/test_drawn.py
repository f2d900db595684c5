"""What figures draw: values, labels, limits and order, at every width, never pixels."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import unquote

import numpy as np
import polars as pl
import pytest
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from reports import page
from reports.analysis import backdoors, breakdown, leaks, tables, weights
from reports.figures import charts, multiples, privacy, risk, style
from reports.figures.audits import audit_bounds
from reports.figures.changes import changes
from reports.figures.curves import membership
from reports.figures.gallery import gallery
from reports.figures.heat_map import heat_map
from reports.figures.style import COLUMN, FULL, PAGE, PHONE, WIDTHS, Width
from sim.evidence import RunRecord
from tests import studies
from tests.records import make_inversion, make_privacy, make_record, make_selection
from threats.levels import LEVELS

NARROW: Final = (PHONE, COLUMN)
LOOKS: Final = style.looks(["none", "rule_a", "dp"])
every_width = pytest.mark.parametrize("width", WIDTHS, ids=lambda width: width.name)

Names = tuple[str, str, str]  # attack, defense and hospital


def named(artist: Artist) -> Names | None:
    """What an artist states that it shows."""
    kind, *names = str(artist.get_gid() or "").split("|")
    if kind != "mark":
        return None
    attack, defense, hospital = map(unquote, names)
    return attack, defense, hospital


def points(axes: Axes) -> dict[Names, list[tuple[float, float]]]:
    """The single points that axes draw, by what they show."""
    found = dict[Names, list[tuple[float, float]]]()
    for line in axes.get_lines():
        x = np.asarray(line.get_xdata(), float)
        names = named(line)
        if names is not None and len(x) == 1:
            y = np.asarray(line.get_ydata(), float)
            found.setdefault(names, []).append((round(float(x[0]), 6), round(float(y[0]), 6)))
    return found


def spans(axes: Axes, along: str = "x") -> dict[Names, list[tuple[float, ...]]]:
    """The ends of the bars that axes draw across, or up, by what they show."""
    found = dict[Names, list[tuple[float, ...]]]()
    for line in axes.get_lines():
        ends = getattr(line, f"get_{along}data")()
        x = [round(float(value), 6) for value in np.asarray(ends, float)]
        names = named(line)
        if names is not None and len(x) == 2 and x[0] != x[1]:
            found.setdefault(names, []).append(tuple(x))
    return found


def labels(axes: Axes, which: str) -> list[str]:
    return [label.get_text() for label in getattr(axes, f"get_{which}ticklabels")()]


def study() -> list[RunRecord]:
    """Two attacks that send, one that reads, and three defenses, of which one is private."""
    drops = {("attack_b", "none"): 0.4, ("attack_b", "rule_a"): 0.02, ("attack_a", "rule_a"): 0.1}
    records = [
        make_record(
            attack=attack,
            defense=defense,
            seed=seed,
            figures={"auroc": 0.9 - 0.01 * seed - drops.get((attack, defense), 0.0)},
            privacy=make_privacy() if defense == "dp" else None,
            of_hospitals={
                "auroc": {
                    f"hospital_{i}": 0.85 - 0.02 * i - drops.get((attack, defense), 0.0)
                    for i in range(6)
                },
                "brier": {f"hospital_{i}": 0.1 + 0.01 * i * (defense != "none") for i in range(6)},
            },
        )
        for attack in ("none", "attack_b", "attack_a")
        for defense in ("none", "rule_a", "dp")
        for seed in range(2)
    ]
    return records + [
        make_record(
            attack="read", defense=d, seed=s, inversion=make_inversion(4 - 2 * k, 8, attack="read")
        )
        for k, d in enumerate(("none", "rule_a"))
        for s in range(2)
    ]


@pytest.fixture(scope="module")
def made() -> dict[tuple[str, str], Figure]:
    """Every figure of the study, at every width."""
    makers = list(page.drawings(study()))
    return {(name, width.name): make(width) for name, make in makers for width in WIDTHS}


@every_width
def test_a_figure_has_the_width_and_the_text_that_it_was_asked_for(
    width: Width, made: dict[tuple[str, str], Figure]
) -> None:
    ours = {name: figure for (name, of), figure in made.items() if of == width.name}
    assert len(ours) >= 7
    for name, figure in ours.items():
        inches = figure.get_size_inches()[0]
        alone = 0.7 * width.inches  # one panel of lines
        assert inches in (pytest.approx(width.inches), pytest.approx(alone)) or width == PAGE, name
        sizes = {text.get_fontsize() for text in figure.findobj(Text) if text.get_text()}
        assert max(sizes) <= 1.1 * width.size, name
        assert min(sizes) >= min(5.0, 0.63 * width.size), name


@every_width
def test_no_text_leaves_its_figure(width: Width, made: dict[tuple[str, str], Figure]) -> None:
    for (name, of), figure in made.items():
        if of != width.name:
            continue
        renderer = FigureCanvasAgg(figure).get_renderer()
        figure.draw_without_rendering()  # which places what is in legends
        whole = figure.bbox.padded(2)
        for text in shown_texts(figure):
            box = text.get_window_extent(renderer)
            assert whole.containsx(box.x0), (name, text.get_text())
            assert whole.containsx(box.x1), (name, text.get_text())
            assert whole.containsy(box.y0), (name, text.get_text())
            assert whole.containsy(box.y1), (name, text.get_text())


def shown_texts(figure: Figure) -> list[Text]:
    """The texts that are drawn: of the ticks of axes those within its limits."""
    hidden = set[Text]()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                if not low <= tick.get_loc() <= high or not axes.get_visible():
                    hidden |= {tick.label1, tick.label2}
    return [
        text
        for text in figure.findobj(Text)
        if isinstance(text, Text) and text.get_visible() and text.get_text().strip()
        if text not in hidden
    ]


TRADEOFF: Final = pl.DataFrame(
    {
        "defense": ["none", "rule_a", "dp"],
        "attack": ["attack_b", "attack_a", "attack_b"],
        "epsilon": [None, None, 8.0],
        "utility": [0.90, 0.85, 0.80],
        "utility_low": [0.88, 0.84, None],
        "utility_high": [0.92, 0.86, None],
        "worst": [0.50, 0.80, 0.60],
        "worst_low": [0.40, 0.78, None],
        "worst_high": [0.60, 0.82, None],
        "worst_lowest": [0.45, 0.79, 0.60],
        "n_undefined": [0, 1, 0],
    }
)


@pytest.mark.parametrize("width", [PAGE, FULL])
def test_the_tradeoff_has_a_point_a_defense_its_intervals_and_the_front(width: Width) -> None:
    (axes,) = charts.tradeoff(TRADEOFF, width).axes
    drawn = points(axes)
    assert drawn["", "none", ""] == [(0.9, 0.5), (0.9, 0.45)]
    assert drawn["", "rule_a", ""] == [(0.85, 0.8), (0.85, 0.79)]
    assert drawn["", "dp", ""] == [(0.8, 0.6), (0.8, 0.6)]
    assert spans(axes) == {("", "none", ""): [(0.88, 0.92)], ("", "rule_a", ""): [(0.84, 0.86)]}
    (front,) = [line for line in axes.get_lines() if line.get_label() == "Pareto front"]
    assert [list(front.get_xdata()), list(front.get_ydata())] == [[0.85, 0.9], [0.8, 0.5]]
    assert {named(text): text.get_text() for text in axes.texts if named(text)} == {
        ("", "none", ""): "no defense (attack_b)",
        ("", "rule_a", ""): "rule_a\N{DOUBLE DAGGER} (attack_a)",
        ("", "dp", ""): "dp (attack_b, ε = 8.00)",
    }
    assert axes.get_xlabel() == "AUROC with nobody attacking (right is better)"
    assert axes.get_xlim()[0] < 0.8 < 0.92 < axes.get_xlim()[1]
    assert axes.get_ylim()[0] < 0.4 < 0.82 < axes.get_ylim()[1]


@pytest.mark.parametrize("width", NARROW)
def test_a_narrow_tradeoff_has_a_line_a_defense_in_order_and_the_front_in_bold(
    width: Width,
) -> None:
    (axes,) = charts.tradeoff(TRADEOFF, width).axes
    assert labels(axes, "y") == [
        "rule_a\N{DOUBLE DAGGER}\nattack_a",
        "dp, ε = 8.00\nattack_b",
        "no defense\nattack_b",
    ]
    bold = [label.get_fontweight() == "bold" for label in axes.get_yticklabels()]
    assert bold == [True, False, True]
    assert points(axes)["", "rule_a", ""] == [(0.85, 0.0), (0.8, 0.0), (0.79, 0.0)]
    assert spans(axes)["", "none", ""] == [(0.5, 0.9), (0.88, 0.92), (0.4, 0.6)]


@pytest.mark.parametrize(
    ("means", "front"),
    [
        ({"a": (0.9, 0.5)}, {"a"}),
        ({"a": (0.9, 0.5), "b": (0.9, 0.5)}, {"a", "b"}),  # equal ones beat nobody
        ({"a": (0.9, 0.5), "b": (0.9, 0.6)}, {"b"}),
        ({"a": (0.9, 0.5), "b": (0.8, 0.6), "c": (0.85, 0.4)}, {"a", "b"}),
    ],
)
def test_the_front_is_of_those_that_no_other_beats(
    means: dict[str, tuple[float, float]], front: set[str]
) -> None:
    frame = pl.DataFrame(
        [{"defense": name, "utility": x, "worst": y} for name, (x, y) in means.items()]
    )
    assert charts.front(frame) == front


def cells_of(figure: Figure) -> dict[Names, list[str]]:
    """The lines of text of each cell."""
    found = dict[Names, list[str]]()
    for axes in figure.axes:
        for text in axes.texts:
            if (names := named(text)) is not None:
                found.setdefault(names, []).append(text.get_text())
    return found


@every_width
def test_the_heat_map_has_a_cell_for_each_attack_and_defense(width: Width) -> None:
    records = tables.one_study(study())
    acting = tables.cells(records).filter(~pl.col("reads_only"))
    read = leaks.leaks(records)
    figure = heat_map(acting, width, marked=backdoors.backdoors(records), read=read)
    cells = cells_of(figure)
    attacks = ("none", "attack_b", "attack_a")
    assert set(cells) == {(a, d, "") for a in attacks for d in ("none", "rule_a", "dp")} | {
        ("read", d, "") for d in ("none", "rule_a")
    }
    roomy = width in (PAGE, FULL)
    assert cells["attack_b", "none", ""] == (
        ["0.495", "lowest 0.490", "2 of 2 lost"] if roomy else [".495", "\N{DOWNWARDS ARROW}.490"]
    )
    assert cells["read", "none", ""][0] == "50 %"
    faces = {
        named(patch): patch.get_facecolor()
        for axes in figure.axes
        for patch in axes.patches
        if named(patch) is not None and patch.get_fill()
    }
    assert sum(faces["attack_b", "none", ""][:3]) < sum(faces["none", "none", ""][:3])
    names = {"no attack", "attack_b", "attack_a", "read"}
    across = {name for axes in figure.axes for name in labels(axes, "x")}
    down = {name for axes in figure.axes for name in labels(axes, "y")}
    assert names <= across or names <= down


@pytest.mark.parametrize("width", [*NARROW, FULL])
def test_many_attacks_and_defenses_stand_in_panels_below_each_other(width: Width) -> None:
    names = [f"defense_{i}" for i in range(12)]
    records = [
        make_record(attack=a, defense=d, figures={"auroc": 0.5 + 0.01 * i})
        for a in ("none", *(f"attack_{i}" for i in range(16)))
        for i, d in enumerate(("none", *names))
    ]
    records = tables.one_study(records)
    figure = heat_map(tables.cells(records), width, marked=backdoors.backdoors(records))
    cells = cells_of(figure)
    assert len(cells) == 17 * 13
    assert cells["attack_3", "defense_11", ""][0] == ".620"
    *panels, _ = figure.axes
    assert [name for axes in panels for name in labels(axes, "x")] == ["no defense", *names]
    assert all(labels(axes, "y")[:2] == ["no attack", "attack_0"] for axes in panels)


@every_width
def test_convergence_shades_the_rounds_in_which_the_attack_acts(width: Width) -> None:
    rounds = list(range(6))
    rows = [
        {"attack": a, "defense": d, "round": n, "n": 2, "mean": m, "low": m - 0.1, "high": m + 0.1}
        | {"acting": a == "attack_a" and n in (2, 3, 5)}
        for a, d, start in (
            ("none", "none", 0.5),
            ("attack_a", "none", 0.6),
            ("attack_a", "rule_a", 0.7),
        )
        for n in rounds
        for m in [start + 0.01 * n]
    ]
    figure = multiples.convergence(pl.DataFrame(rows), width, LOOKS)
    alone, attacked = (axes for axes in figure.axes if axes.get_visible())
    assert [axes.get_title(loc="left") for axes in (alone, attacked)] == ["no attack", "attack_a"]
    assert len(alone.patches) == 0
    shaded = [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in attacked.patches]
    assert shaded == [(1.5, 3.5), (4.5, 5.5)]
    lines = {named(line): line for line in attacked.get_lines()}
    assert set(lines) == {("attack_a", "none", ""), ("attack_a", "rule_a", "")}
    np.testing.assert_allclose(
        lines["attack_a", "rule_a", ""].get_ydata(), [0.7 + 0.01 * n for n in rounds]
    )
    assert [named(band) for band in attacked.collections] == list(lines)
    assert len({axes.get_subplotspec().colspan.start for axes in (alone, attacked)}) == (
        1 if width.narrow else 2
    )
    assert legend(figure) == ["no defense", "rule_a"]


def legend(figure: Figure) -> list[str]:
    (found,) = figure.legends
    return [text.get_text() for text in found.get_texts()]


SCHEDULES: Final[dict[str, tuple[dict[str, Any], dict[str, Any], list[int]]]] = {
    "always": ({}, {}, [1, 2, 3, 4]),
    "from and to": ({"adversary": {"first_round": 2, "last_round": 3, "every": 1}}, {}, [2, 3]),
    "every second": ({"adversary": {"first_round": 1, "last_round": None, "every": 2}}, {}, [1, 3]),
    "only absent": (
        {
            "adversary": {"first_round": 1, "last_round": None, "every": 1},
            "attack": [["away", {"first_round": 3, "last_round": None}]],
        },
        {"attack": "away", "absences": {"away": ["hospital_1"]}},
        [3, 4],
    ),
    "nobody": ({}, {"attack": "none"}, []),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_an_attack_acts_in_the_rounds_of_its_schedule(name: str) -> None:
    config, more, rounds = SCHEDULES[name]
    record = make_record(**{"attack": "attack_b"} | more)
    record = record.model_copy(update={"config": record.config | config})
    found = tables.curves([record])
    assert found.filter("acting")["round"].to_list() == rounds


@every_width
def test_breakdown_lines_have_a_point_for_each_number_of_hostile_hospitals(width: Width) -> None:
    rows = [
        {"attack": a, "defense": d, "n_hostile": n, "mean": 0.9 - 0.1 * n * (d == "none")}
        | {"mean_low": 0.8 - 0.1 * n, "mean_high": 0.95}
        for a, d, numbers in (
            ("none", "none", (0,)),
            ("attack_a", "none", (1, 2)),
            ("attack_a", "rule_a", (1,)),
        )
        for n in numbers
    ]
    table = pl.DataFrame(rows).with_columns(mean_n=pl.lit(2))
    figure = multiples.breakdown(table, width, LOOKS, {"rule_a": 2})
    panel = next(axes for axes in figure.axes if axes.get_title(loc="left") == "attack_a")
    none = [
        line
        for line in panel.get_lines()
        if named(line) == ("attack_a", "none", "") and line.get_marker() == "o"
    ]
    np.testing.assert_allclose(none[0].get_ydata(), [0.9, 0.8, 0.7])
    assert [round(float(x)) for x in none[0].get_xdata()] == [0, 1, 2]
    squares = [line for line in panel.get_lines() if line.get_marker() == "s"]
    assert [named(line) for line in squares] == [("attack_a", "rule_a", "")]
    assert panel.get_xlabel() == "Hostile hospitals"
    assert panel.get_ylim()[0] >= 0


@every_width
def test_scores_of_hospitals_are_joined_from_nobody_attacking_to_the_attack(width: Width) -> None:
    records = study()
    scores = tables.hospital_scores(records, tables.tradeoff(records))
    assert scores["attack"].unique().sort().to_list() == ["attack_a", "attack_b"]
    figure = multiples.hospital_scores(scores, width)
    by_title = {axes.get_title(loc="left"): axes for axes in figure.axes if axes.get_visible()}
    assert set(by_title) == {"no defense\nattack_b", "rule_a\nattack_a", "dp\nattack_b"}
    axes = by_title["no defense\nattack_b"]
    assert [label.replace("\n", "") for label in labels(axes, "y")] == [
        f"hospital_{i}" for i in order(records)
    ]
    place = order(records).index(2)
    assert points(axes)["attack_b", "none", "hospital_2"] == [(0.41, float(place))]
    assert spans(axes)["attack_b", "none", "hospital_2"] == [(0.81, 0.41)]
    colors = {named(line): line.get_color() for line in axes.get_lines()}
    assert colors["attack_b", "none", "hospital_2"] == style.VERMILION  # no interval holds 0
    alone = by_title["dp\nattack_b"]
    assert {line.get_color() for line in alone.get_lines()} == {style.BLUE}


def order(records: Sequence[RunRecord]) -> list[int]:
    """The numbers of hospitals from the largest on."""
    facts = sorted(records[0].hospitals, key=lambda one: (-one.n_train, one.hospital))
    return [int(one.hospital.removeprefix("hospital_")) for one in facts]


SELECTED: Final = pl.DataFrame(
    {
        "attack": ["attack_a", "attack_b", "attack_a"],
        "defense": ["rule_a", "rule_a", "rule_b"],
        "recall": [0.5, 1.0, 0.0],
        "recall_low": [0.4, None, None],
        "recall_high": [0.6, None, None],
        "precision": [0.25, 0.75, None],
        "precision_low": [0.2, None, None],
        "precision_high": [0.3, None, None],
    }
)


@every_width
def test_detection_has_recall_and_precision_of_each_attack_beside_chance(width: Width) -> None:
    figure = multiples.detection(SELECTED, width, 0.2)
    rule_a, rule_b = (axes for axes in figure.axes if axes.get_visible())
    assert points(rule_a) == {
        ("attack_a", "rule_a", ""): [(0.5, -0.15), (0.25, 0.15)],
        ("attack_b", "rule_a", ""): [(1.0, 0.85), (0.75, 1.15)],
    }
    assert points(rule_b) == {("attack_a", "rule_b", ""): [(0.0, -0.15)]}
    assert spans(rule_a) == {("attack_a", "rule_a", ""): [(0.4, 0.6), (0.2, 0.3)]}
    assert all(list(axes.get_lines()[0].get_xdata()) == [0.2, 0.2] for axes in (rule_a, rule_b))
    assert labels(rule_a, "y") == ["attack_a", "attack_b"]
    assert rule_a.get_xlim() == (-0.04, 1.04)
    assert [name.split(":")[0] for name in legend(figure)[:2]] == [
        "recall",
        "precision",
    ]


def test_only_defenses_that_left_somebody_out_are_drawn_as_detecting() -> None:
    records = [
        make_record(
            attack=attack,
            defense=defense,
            seed=seed,
            more=make_selection([0.5], [left], precision=found),
        )
        for attack in ("none", "attack_a")
        for defense, left, found in (("rule_a", 0.5, 0.25), ("none", 0.0, None))
        for seed in range(2)
    ]
    left_out = weights.leaving_out(weights.selections(records))
    assert left_out.select("attack", "defense").rows() == [("attack_a", "rule_a")]


INVERSIONS: Final = pl.DataFrame(
    [
        {"attack": "dlg", "defense": d, "rate": r, "rate_low": r / 2, "rate_high": r + 0.1}
        | {"summed": n}
        for d, r, n in (("none", 0.5, 8.0), ("rule_a", 0.25, 64.0), ("dp", 0.1, None))
    ]
)


@every_width
def test_reconstruction_has_each_share_by_defense(width: Width) -> None:
    (axes,) = charts.reconstruction(INVERSIONS, width, LOOKS).axes
    assert points(axes) == {
        ("dlg", "none", ""): [(0.5, 0.0)],
        ("dlg", "rule_a", ""): [(0.25, 1.0)],
        ("dlg", "dp", ""): [(0.1, 2.0)],
    }
    assert spans(axes)["dlg", "none", ""] == [(0.25, 0.6)]
    assert labels(axes, "y") == ["no defense", "rule_a", "dp"]
    assert axes.get_xlabel() == "Attacked records recovered"
    assert axes.get_xlim() == pytest.approx((-0.04 * 0.72, 1.04 * 0.72))


@every_width
def test_leakage_has_each_share_against_the_size_of_its_group(width: Width) -> None:
    figure = charts.leakage(INVERSIONS, width, LOOKS)
    (axes,) = figure.axes
    assert points(axes) == {
        ("dlg", "none", ""): [(8.0, 0.5)],
        ("dlg", "rule_a", ""): [(64.0, 0.25)],
    }
    assert spans(axes, "y") == {
        ("dlg", "none", ""): [(0.25, 0.6)],
        ("dlg", "rule_a", ""): [(0.125, 0.35)],
    }
    assert axes.get_xscale() == "log"
    assert axes.get_ylim() == pytest.approx((-0.04 * 0.72, 1.04 * 0.72))
    assert "Records summed in one row" in axes.get_xlabel().replace("\n", " ")
    assert axes.get_ylabel() == "Attacked records recovered"
    assert legend(figure) == ["no defense", "rule_a"]


@every_width
def test_defenses_at_one_place_of_leakage_are_rings_around_each_other(width: Width) -> None:
    first = INVERSIONS.filter(defense="none")
    both = pl.concat([first, first.with_columns(defense=pl.lit("rule_a"))])
    figure = charts.leakage(both, width, LOOKS)
    sizes = [
        line.get_markersize() for line in figure.axes[0].get_lines() if len(line.get_xdata()) == 1
    ]
    assert sizes == [charts.POINT + charts.RING, charts.POINT]
    (names,) = figure.legends
    assert {line.get_markersize() for line in names.get_lines()} == {charts.POINT}


def test_a_study_without_sizes_of_groups_has_no_figure_of_leakage() -> None:
    def names(rows: list[int]) -> set[str]:
        read = make_inversion(2, 8, attack="read", records_in_row=rows)
        records = [make_record(), make_record(attack="read", inversion=read)]
        return set(dict(page.drawings(records))) & {"reconstruction", "leakage"}

    assert names([8]) == {"reconstruction", "leakage"}
    assert names([]) == {"reconstruction"}


@every_width
def test_privacy_spent_has_a_point_for_each_hospital_in_both_panels(width: Width) -> None:
    spent = pl.DataFrame(
        {
            "defense": ["dp", "dp"],
            "hospital": ["a", "b"],
            "n_train": [10, 40],
            "epsilon": [8.0, 2.0],
            "noise_multiplier": [1.0, 1.5],
        }
    )
    epsilon, noise = charts.privacy_spent(spent, width, LOOKS).axes
    assert points(epsilon) == {("", "dp", "a"): [(10.0, 8.0)], ("", "dp", "b"): [(40.0, 2.0)]}
    assert points(noise) == {("", "dp", "a"): [(10.0, 1.0)], ("", "dp", "b"): [(40.0, 1.5)]}
    assert epsilon.get_ylim() == (0, pytest.approx(8.8))
    assert "ε" in epsilon.get_ylabel()


def test_the_price_of_privacy_is_read_from_runs_without_an_attack() -> None:
    found = tables.privacy_utility(study())
    pooled = found.filter(hospital="all")
    assert dict(pooled.select("defense", "epsilon").iter_rows()) == {
        "none": float("inf"),
        "dp": pytest.approx(8.0),
    }
    assert pooled["auroc"].to_list() == pytest.approx([0.895, 0.895])
    assert found["hospital"].n_unique() == 7
    without = [record for record in study() if record.defense != "dp"]
    assert tables.privacy_utility(without).is_empty()


@every_width
def test_the_price_of_privacy_has_a_place_for_each_defense_from_strict_to_none(
    width: Width,
) -> None:
    figure = privacy.privacy_utility(tables.privacy_utility(study()), width)
    (axes,) = figure.axes
    assert labels(axes, "x") == ["8.00\ndp", "∞\nno defense"]
    black = [bars for bars in axes.containers if bars.get_label() == "all patients"]
    np.testing.assert_allclose(np.asarray(black[0].lines[0].get_ydata(), float), [0.895, 0.895])
    assert legend(figure)[0] == "all patients"


RISKS: Final = pl.DataFrame(
    [
        (2, "Leak", "aggregator", "high", "high", "low", "high"),
        (1, "Flip", "hospital", "very_high", "moderate", "very_high", "moderate"),
        (2, "Leak", "hospital", None, None, "very_low", "very_low"),
    ],
    schema=risk.RISK,
    orient="row",
)


@every_width
def test_the_risk_matrix_has_each_threat_in_its_cell_and_an_arrow_where_it_moves(
    width: Width,
) -> None:
    figure = risk.risk_matrix(RISKS, width)
    (axes,) = figure.axes
    signs = {
        (text.get_text(), text.get_color()): cell(text.get_position())
        for text in axes.texts
        if text.get_zorder() == 5
    }
    assert signs == {
        ("1", "white"): ("very_high", "moderate"),
        ("2a", style.INK): ("high", "high"),
        ("2a", "white"): ("low", "high"),
        ("2b", "white"): ("very_low", "very_low"),
    }
    (arrow,) = [text for text in axes.texts if getattr(text, "arrow_patch", None)]
    assert cell(arrow.xy) == ("low", "high")
    assert cell(arrow.get_position()) == ("high", "high")
    levels = [text.get_text() for text in axes.texts if text.get_zorder() == 1]
    assert len(levels) == len(axes.patches) - 1 == 25 or len(levels) == 25
    assert levels[4 * 5 : 5 * 5] == ["low", "moderate", "high", "very high", "very high"]
    assert [name.replace("\n", " ") for name in labels(axes, "x")] == [
        level.replace("_", " ") for level in LEVELS
    ]
    assert [name.replace("\n", " ") for name in legend(figure)[2:]] == [
        "1  Flip, by hospital",
        "2a  Leak, by aggregator",
        "2b  Leak, by hospital",
    ]


def cell(place: tuple[float, float]) -> tuple[str, str]:
    """Likelihood and impact of a place."""
    across, up = (round(value) for value in place)
    return LEVELS[up], LEVELS[across]


def test_marks_of_one_cell_stand_apart() -> None:
    row = (1, "a", "b", "low", "high", "low", "low")
    crowd = pl.DataFrame([row] * 14, schema=risk.RISK, orient="row")
    (axes,) = risk.risk_matrix(crowd, PAGE).axes
    places = [text.get_position() for text in axes.texts if text.get_zorder() == 5]
    assert len(set(places)) == len(places) == 28
    assert {cell(place) for place in places} == {("low", "high"), ("low", "low")}


def test_marks_of_eight_threats_in_a_cell_do_not_overlap_on_a_phone() -> None:
    row = (1, "a", "b", None, None, "moderate", "very_high")
    crowd = pl.DataFrame([row] * 8, schema=risk.RISK, orient="row")
    figure = risk.risk_matrix(crowd, PHONE)
    (axes,) = figure.axes
    marks = [line for line in axes.get_lines() if line.get_marker() == "o"]
    at = [axes.transData.transform(line.get_xydata()[0]) * 72 / figure.dpi for line in marks]
    apart = [math.dist(one, other) for one, other in itertools.combinations(at, 2)]
    assert len(at) == 8
    assert min(apart) >= marks[0].get_markersize()


EMPTY: Final[dict[str, Callable[[Width], Figure]]] = {
    "tradeoff": lambda width: charts.tradeoff(TRADEOFF.clear(), width),
    "hospital_costs": lambda width: charts.hospital_costs(pl.DataFrame(), width),
    "reconstruction": lambda width: charts.reconstruction(
        pl.DataFrame(schema=["rate", "summed"]), width, LOOKS
    ),
    "leakage": lambda width: charts.leakage(pl.DataFrame(schema=["rate", "summed"]), width, LOOKS),
    "privacy_spent": lambda width: charts.privacy_spent(pl.DataFrame(), width, LOOKS),
    "hospital_effects": lambda width: multiples.hospital_effects(pl.DataFrame(), width),
    "convergence": lambda width: multiples.convergence(pl.DataFrame(), width, LOOKS),
    "breakdown": lambda width: multiples.breakdown(
        pl.DataFrame(schema={"mean": pl.Float64}), width, LOOKS, {}
    ),
    "hospital_scores": lambda width: multiples.hospital_scores(pl.DataFrame(), width),
    "detection": lambda width: multiples.detection(SELECTED.clear(), width, 0.2),
    "privacy_utility": lambda width: privacy.privacy_utility(pl.DataFrame(), width),
    "clip_over_rounds": lambda width: privacy.clip_over_rounds(pl.DataFrame(), width),
    "audit_bounds": lambda width: audit_bounds(pl.DataFrame(), width),
    "changes": lambda width: changes(pl.DataFrame(), width),
    "risk_matrix": lambda width: risk.risk_matrix(RISKS.clear(), width),
    "membership": lambda width: membership([], width, LOOKS),
    "gallery": lambda width: gallery([], width),
    "heat_map": lambda width: heat_map(
        tables.cells([]), width, marked=backdoors.backdoors([]), undefined={}, read=[]
    ),
}


@pytest.mark.parametrize("name", EMPTY)
def test_a_table_without_rows_is_drawn_as_nothing(name: str) -> None:
    for width in (PAGE, PHONE):
        figure = EMPTY[name](width)
        assert [text.get_text() for text in figure.findobj(Text)] == ["nothing to draw"]
        assert style.svg(figure, name).startswith("<svg")


@pytest.mark.parametrize("width", [PAGE, PHONE])
def test_one_run_and_runs_without_an_auroc_are_drawn(width: Width) -> None:
    alone = dict(page.drawings([make_record()]))
    lost = [make_record(), make_record(attack="x", figures={"auroc": None, "brier": None})]
    for makers in (alone, dict(page.drawings(lost))):
        for name, make in makers.items():
            assert "not" in style.svg(make(width), name) or make(width).axes
    (line,) = [
        line
        for axes in alone["convergence"](width).axes
        for line in axes.get_lines()
        if named(line) == ("none", "none", "")
    ]
    assert list(np.asarray(line.get_xdata())) == [1, 2, 3, 4]


def test_a_real_comparison_has_every_point_of_its_tables() -> None:
    records, manifest = studies.golden("breast7")
    ordered = tables.one_study(records, manifest["attacks"], manifest["defenses"])
    tradeoff = tables.tradeoff(ordered)
    (axes,) = charts.tradeoff(tradeoff, PAGE).axes
    for row in tradeoff.iter_rows(named=True):
        first, *_ = points(axes)["", row["defense"], ""]
        assert first == (round(row["utility"], 6), round(row["worst"], 6))
    assert len([one for one in axes.get_lines() if isinstance(one, Line2D)]) >= len(tradeoff)
    if len(breakdown.numbers(ordered)) == 1:
        assert "breakdown" not in dict(page.drawings(ordered, manifest["refused"] or ()))
