"""Panels of figures stand where matplotlib's constrained layout would place them."""

from collections.abc import Callable

import numpy as np
import pytest
from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.text import Text

from reports.figures import labels
from reports.figures.layout import RULER, Sheet
from reports.figures.style import DPI, RC, logarithmic, new_figure

Draw = Callable[[Figure], None]


def grid(figure: Figure) -> None:
    """Panels of unequal size with titles, ticks and labels, a legend and a label of all."""
    panels = figure.subplots(2, 2, sharex=True, width_ratios=(2, 1), height_ratios=(3, 2))
    for number, axes in enumerate(panels.flat):
        axes.plot((0, 1), (0, 10.0**number), label=f"line {number}")
        axes.set_xticks((0, 0.5, 1))
        axes.set_yticks((0, 10.0**number))
        axes.set_title(f"panel {number}\nof four")
    panels[1, 0].set_ylabel("a label\nof two lines")
    figure.legend(loc="outside upper center", ncols=4)
    figure.supxlabel("what is across")


def beside(figure: Figure) -> None:
    """One panel with a label above, a text beside it, and a legend on the right."""
    axes = figure.add_subplot()
    axes.plot((0, 1), (0, 1), label="a line")
    axes.set_xticks((0, 1), ("first", "last"), rotation=30, ha="left")
    axes.set(xlabel="above", ylabel="left")
    axes.xaxis.set_label_position("top")
    axes.xaxis.tick_top()
    axes.text(1.02, 0.5, "beside the panel", transform=axes.transAxes)
    figure.legend(loc="outside right upper")


def lone(figure: Figure) -> None:
    """A panel whose neighbor is not drawn, and a legend below both."""
    first, second = figure.subplots(1, 2)
    first.barh((0, 1), (1, 2), label="a bar")
    first.set_yticks((0, 1), ("a long name of a line", "b"))
    first.set_xlabel("below")
    second.set_visible(False)
    figure.legend(loc="outside lower left")


@pytest.mark.parametrize("draw", [grid, beside, lone])
def test_panels_stand_where_matplotlib_would_place_them(draw: Draw) -> None:
    with rc_context(RC):
        ours = Sheet(7, 5)
        theirs = Figure((7, 5), dpi=DPI, layout=ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.05))
        for figure in (ours, theirs):
            draw(figure)
        assert ours.arrange()
        theirs.draw_without_rendering()
        ours.draw_without_rendering()
    pairs = list(zip(ours.axes, theirs.axes, strict=True))
    for mine, other in pairs:
        if mine.get_visible():
            assert np.allclose(bounds(mine), bounds(other), atol=0.012)
            for one, same in ((mine.xaxis, other.xaxis), (mine.yaxis, other.yaxis)):
                if one.label.get_text():
                    assert np.allclose(place(one, ours), place(same, theirs), atol=0.01)


def bounds(axes: Axes) -> tuple[float, ...]:
    return tuple(axes.get_position().bounds)


def place(axis: Axis, figure: Figure) -> tuple[float, ...]:
    """The middle of an axis's label as shares of its figure."""
    box = axis.label.get_window_extent().transformed(figure.transFigure.inverted())
    return ((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2)


def test_slanted_names_stay_within_a_figure_whose_panel_shrinks() -> None:
    figure = Sheet(3.6, 4)
    axes = figure.add_subplot()
    axes.set_yticks((0, 1), ("a name that takes half of it", "b"))
    names = ("short", "a longer name of a column")
    axes.set_xticks((0, 0.9), names, rotation=40, rotation_mode="anchor", ha="left")
    axes.xaxis.tick_top()
    axes.set(xlim=(-0.5, 1.5), ylim=(-0.5, 1.5))
    assert figure.arrange()
    assert axes.get_position().width < 0.4
    for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        box = label.get_window_extent(RULER)
        assert box.x0 > -2
        assert box.x1 < figure.bbox.width + 2


def test_names_are_cut_until_something_is_left_for_the_panels() -> None:
    with rc_context(RC):
        figure = Sheet(3, 2)
        axes = figure.add_subplot()
        axes.set_yticks((0, 1), ("m" * 70, "b"))
        assert not figure.arrange()
        labels.fit(figure)
    assert figure.is_arranged
    assert axes.get_position().width > 0
    assert 10 < len(axes.get_yticklabels()[0].get_text()) < 50


def test_titles_of_panels_side_by_side_stay_within_their_columns() -> None:
    with rc_context(RC):
        figure = Sheet(3.6, 2)
        left, right = figure.subplots(1, 2)
        left.set_title("a title that is wider than its panel\nshort")
        right.set_title("another one that ends beyond the figure")
        assert figure.arrange()
        ends = (right.bbox.x0, figure.bbox.width)
        for axes, end in zip((left, right), ends, strict=True):
            (title,) = (one for one in axes.get_children() if is_title(one))
            assert axes.bbox.x0 <= title.get_window_extent(RULER).x1 < end


def test_a_title_that_has_room_keeps_its_size() -> None:
    with rc_context(RC):
        figure = Sheet(3.6, 2)
        for axes in figure.subplots(1, 2):
            axes.set_title("short")
        assert figure.arrange()
        sizes = {
            one.get_fontsize()
            for axes in figure.axes
            for one in axes.get_children()
            if is_title(one)
        }
    assert sizes == {RC["font.size"]}


def is_title(artist: Artist) -> bool:
    return isinstance(artist, Text) and bool(artist.get_text())


def test_a_legend_beside_the_panels_is_no_wider_than_the_figure() -> None:
    with rc_context(RC):
        figure = Sheet(3.6, 3)
        axes = figure.add_subplot()
        for number in range(4):
            axes.plot(
                (0, 1), (0, number), label=f"a name that is longer than half a phone {number}"
            )
        legend = figure.legend(loc="outside lower center", ncols=2)
        assert legend.get_window_extent(RULER).width > figure.bbox.width
        assert figure.arrange()
        box = legend.get_window_extent(RULER)
    assert 0 <= box.x0 < box.x1 <= figure.bbox.width


@pytest.mark.parametrize(
    ("loc", "anchor"), [("upper center", (0.5, -0.2)), ("upper left", (1.0, 1.0))]
)
def test_a_legend_that_stands_beside_its_own_panel_is_within_the_figure(
    loc: str, anchor: tuple[float, float]
) -> None:
    with rc_context(RC):
        figure = Sheet(9.6, 3.6)
        for axes in figure.subplots(1, 2):
            for number in range(3):
                axes.plot((0, 1), (0, number), label=f"the line of number {number}")
            axes.set_xlabel("below")
            axes.legend(loc=loc, bbox_to_anchor=anchor)
        assert figure.arrange()
        for axes in figure.axes:
            box = axes.get_legend().get_window_extent(RULER)
            assert figure.bbox.x0 - 1 < box.x0 < box.x1 < figure.bbox.x1 + 1
            assert figure.bbox.y0 - 1 < box.y0 < box.y1 < figure.bbox.y1 + 1


def test_numbers_beside_a_logarithmic_axis_are_plain_and_few() -> None:
    with rc_context(RC):
        figure = new_figure(6.4, 3.2)
        axes = figure.subplots()
        axes.plot((0.02, 0.3), (1, 100_000))
        logarithmic(axes, "both")
        across, up = (
            {label.get_text() for label in axis.get_ticklabels(which="both")}
            for axis in (axes.xaxis, axes.yaxis)
        )
    assert {"0.02", "0.05", "0.1", "0.2"} <= across
    assert {"1", "10", "1,000", "100,000"} <= up
    assert len(up) <= 9
    assert not any("$" in text for text in across | up)
