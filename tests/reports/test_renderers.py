"""Figures are the bytes that matplotlib's own renderer would give, only sooner."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from matplotlib import rc_context
from matplotlib.backend_bases import RendererBase
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextToPath

from reports import page
from reports.figures import labels, renderers, style
from reports.figures.layout import Sheet
from reports.figures.renderers import RULER
from reports.figures.style import PAGE, RC
from tests.reports.reading import everything


def saved(figure: Figure) -> str:
    """The figure as matplotlib itself writes it."""
    out = StringIO()
    figure.savefig(out, format="svg", dpi=renderers.DOTS, metadata=renderers.NOTHING)
    return out.getvalue()


def various(figure: Figure) -> None:
    """Panels with shared, hidden, logarithmic and slanted axes, pictures, hatches and marks."""
    panels = figure.subplots(2, 3, sharey="row", sharex="col")
    for number, axes in enumerate(panels[0]):
        axes.plot((1, 10, 1000), (1e-7, 3e-7, 9e-7), marker="o")
        axes.set(xscale="log", title=f"panel {number}\nof three")
        style.guide(axes)
    panels[0, 1].yaxis.set_visible(False)
    panels[0, 2].axvspan(3, 30, hatch="///", alpha=0.3)
    names = ("one", "another name", "a third")
    panels[1, 0].set_xticks((10, 100, 1000), names, rotation=40, rotation_mode="anchor")
    panels[1, 0].set_yticks((0, 1, 2), names, fontsize="small")
    for label in panels[1, 0].get_yticklabels():
        label.set_fontweight("bold")
        style.mark(label, attack=label.get_text())
    style.without_ticks(panels[1, 0], "y")
    panels[1, 1].imshow([[0, 1], [1, 0]], aspect="auto", extent=(1, 1000, 0, 2))
    panels[1, 1].text(1.2, 1.5, "a text", bbox={"facecolor": "white"})
    panels[1, 2].pcolormesh([[0, 1], [1, 0]], rasterized=True)
    figure.supxlabel("what is across")


def one_line(figure: Figure) -> None:
    """One panel, whose axes state a factor of all labels."""
    axes = figure.add_subplot()
    axes.plot((0, 1), (1e7, 1.000001e7), label="a line")
    axes.set(xlabel="across", ylabel="up\nin two lines")
    figure.legend(loc="outside right upper")


@pytest.mark.parametrize("draw", [various, one_line])
def test_a_figure_is_what_matplotlib_would_write(draw: Callable[[Figure], None]) -> None:
    with rc_context(RC | {"svg.hashsalt": "x", "svg.fonttype": "none"}):
        figure = Sheet(7, 5)
        draw(figure)
        labels.fit(figure)
        assert renderers.svg(figure) == saved(figure)


def test_the_figures_of_a_page_are_what_matplotlib_would_write(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn = dict(page.drawings(everything()))
    ours = {name: style.svg(make(PAGE), name) for name, make in drawn.items()}
    monkeypatch.setattr(renderers, "svg", saved)
    assert {name: style.svg(make(PAGE), name) for name, make in drawn.items()} == ours


class Measuring(RendererBase):
    """Measures each text by itself, and leaves the height of a line to matplotlib."""

    def get_text_width_height_descent(
        self, s: str, prop: FontProperties, ismath: Any
    ) -> tuple[float, float, float]:
        """Width, height and descent of a text in points."""
        return TextToPath().get_text_width_height_descent(s, prop, ismath)


@pytest.mark.parametrize("text", ["a", "0.81", "Tjgy, and more", "two\nlines", "$5 or\n\nthree"])
@pytest.mark.parametrize("weight", ["normal", "bold"])
@pytest.mark.parametrize("size", [6.3, 9.5, 30])
def test_a_text_is_as_large_as_matplotlib_measures_it(size: float, weight: str, text: str) -> None:
    font = FontProperties(family=[labels.FAMILY], size=size, weight=weight)
    figure = Figure(dpi=renderers.POINTS)
    one = figure.text(0.5, 0.5, text, fontproperties=font, parse_math=False)
    wanted = one.get_window_extent(Measuring()).bounds
    for _ in range(2):
        assert one.get_window_extent(RULER).bounds == pytest.approx(wanted, rel=1e-12)


def test_a_font_that_changes_is_measured_anew() -> None:
    font = FontProperties(family=[labels.FAMILY], size=10)
    width = RULER.get_text_width_height_descent("a text", font, False)[0]
    font.set_weight("bold")
    assert RULER.get_text_width_height_descent("a text", font, False)[0] > 1.05 * width
    font.set_size(20)
    assert RULER.get_text_width_height_descent("a text", font, False)[0] > 2.1 * width
