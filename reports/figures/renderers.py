"""Renderers of figures, which measure each text once for all figures, and write SVG.

Matplotlib measures a text anew for each figure and for each file of it, and reads the height of its
letters out of the font's file each time that the text is placed.
"""

from __future__ import annotations

from functools import lru_cache
from io import StringIO
from typing import Any, Final, cast

from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_mixed import MixedModeRenderer
from matplotlib.backends.backend_svg import RendererSVG
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.textpath import TextToPath

POINTS: Final = 72  # dots an inch while a figure is measured or written as SVG: lengths are points
DOTS: Final = 100  # an inch of those parts of an SVG that are pictures of dots
MOST_TEXTS: Final = 4096  # that are remembered
PATHS: Final = TextToPath()
NOTHING: Final = dict.fromkeys(("Creator", "Date", "Format", "Type"))  # of a file's metadata

Lengths = tuple[float, float, float]


class _Measuring:
    """The measures of texts as SVG files have them."""

    def get_text_width_height_descent(self, s: str, prop: FontProperties, ismath: Any) -> Lengths:
        """Width, height and descent of a text in points."""
        if ismath:
            return PATHS.get_text_width_height_descent(s, prop, ismath)
        scale = prop.get_size_in_points() / PATHS.FONT_SCALE
        width, height, descent = _lengths(s, _of_scale(prop))
        return width * scale, height * scale, descent * scale

    def _get_font_height_metrics(self, prop: FontProperties) -> Lengths:
        """Ascent, descent and gap between lines in points, which matplotlib asks for by this name.

        Without this method it takes the same figures from the font each time.
        """
        units, gap, ascent, descent = _heights(_of_scale(prop))
        scale = prop.get_size_in_points() / units
        return ascent * scale, -descent * scale, gap * scale


class Ruler(_Measuring, RendererBase):
    """Measures texts, and draws nothing."""


class _Svg(_Measuring, RendererSVG):
    """Writes SVG."""


# One for all figures, which have many texts alike: matplotlib remembers what each has measured.
RULER: Final = Ruler()


def svg(figure: Figure) -> str:
    """The figure as an SVG file without date or program name, as its ``savefig`` would write it."""
    out = StringIO()
    dots = figure.dpi
    width, height = figure.get_size_inches()
    figure.set_dpi(POINTS)
    size = (width * POINTS, height * POINTS)
    writer = cast(Any, _Svg)(*size, out, image_dpi=DOTS, metadata=NOTHING)
    parts = (one for axes in figure.axes for one in axes.get_children())
    if any(one.get_rasterized() for one in parts):
        figure.draw(cast(Any, MixedModeRenderer)(figure, width, height, DOTS, writer))
    else:
        figure.draw(writer)
    writer.finalize()
    figure.set_dpi(dots)
    return out.getvalue()


def _of_scale(prop: FontProperties) -> FontProperties:
    """The same font at the size at which texts are measured."""
    found = prop.copy()
    found.set_size(PATHS.FONT_SCALE)
    return found


@lru_cache(MOST_TEXTS)
def _lengths(text: str, font: FontProperties) -> Lengths:
    return PATHS.get_text_width_height_descent(text, font, False)


@lru_cache(MOST_TEXTS)
def _heights(font: FontProperties) -> tuple[float, float, float, float]:
    """Units of an em, and in them the gap between lines, ascent and (negative) descent."""
    tables: Any = get_font(findfont(font)).get_sfnt_table
    found = tables("OS/2")
    gap, ascent, descent = (found[f"sTypo{name}"] for name in ("LineGap", "Ascender", "Descender"))
    return tables("head")["unitsPerEm"], gap, ascent, descent
