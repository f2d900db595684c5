"""One look for every figure: colors for color-blind readers, and files equal byte for byte."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from html import escape
from io import BytesIO
from itertools import chain, cycle, zip_longest
from typing import Any, Concatenate, Final, Literal, ParamSpec, TypeVar, cast
from urllib.parse import quote, unquote

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from reports.figures import labels, renderers
from reports.figures.layout import Sheet
from reports.text import safe, words
from sim import titles

# After Okabe and Ito (2008), black for the undefended control. Their yellow is left out, and four
# are darker here: each has a contrast of 3 to white, and any two differ for color-blind readers as
# much as theirs (tests/reports/test_palette.py).
BLACK = "#000000"
OCHRE = "#B88B48"
SKY = "#2893FB"
GREEN = "#00A76F"
BLUE = "#0072B2"
VERMILION = "#D55E00"
PURPLE = "#B8578C"
COLORS = (BLUE, VERMILION, GREEN, OCHRE, PURPLE, SKY)
INK = "#222222"
SOFT = "#6B6B6B"
FAINT = "#DDDDDD"
FEW_DECADES = 300  # the factor up to which a logarithmic axis has numbers within decades
DPI = 200  # dots an inch of PNG files


@dataclass(frozen=True)
class Width:
    """The width in inches that a figure is drawn for, with the size in points of its usual text."""

    name: str
    inches: float
    size: float

    @property
    def narrow(self) -> bool:
        """Whether panels stand below each other, for there is no room for them side by side."""
        return self.inches < 5

    def high(self, inches: float) -> float:
        """The height here of what is ``inches`` high on the page."""
        return inches * self.size / PAGE.size

    def wrapped(self, text: str, share: float = 0.8) -> str:
        """The text in lines that take at most this share of the width."""
        return labels.wrapped(text, int(share * self.letters()))

    def letters(self) -> int:
        """The number of characters of usual text that are about as wide as the figure."""
        return int(self.inches * 72 / (0.56 * self.size))

    def named(self, name: str) -> str:
        """A name beside an axis: in at most two lines where the figure is narrow, else as it is."""
        if not self.narrow:
            return name
        lines = self.wrapped(labels.shown(name, 36), 0.4).split("\n")
        return "\n".join([lines[0], "".join(lines[1:])] if len(lines) > 1 else lines)

    def short(self, name: str) -> str:
        """A name in one line beside an axis: cut where the figure is narrow, else as it is."""
        return self.shortened([name])[0]

    def shortened(self, names: Sequence[str]) -> list[str]:
        """Names beside one axis as ``short`` has them; different ones stay different."""
        return labels.shortened(names, 20) if self.narrow else list(names)


PAGE: Final = Width("page", 9.6, 9.5)  # one inch is 96 pixels on the page
PHONE: Final = Width("phone", 3.6, 9.0)  # 346 pixels: a phone without the margins of the page
COLUMN: Final = Width("column", 3.5, 7.0)  # of a journal with two columns
FULL: Final = Width("full", 7.0, 8.0)  # both columns
WIDTHS: Final = (PAGE, PHONE, COLUMN, FULL)
WIDTH = PAGE.inches

Make = Callable[[Width], Figure]

RC: dict[Any, Any] = {
    "font.family": [labels.FAMILY],
    "font.size": 9.5,
    "axes.labelsize": "medium",
    "axes.titlesize": "medium",
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titley": 1.0,  # else matplotlib looks for a place above ticks, which are below here
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.grid": False,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "legend.fontsize": "medium",
    "svg.fonttype": "path",
    "pdf.fonttype": 42,  # TrueType, whole glyphs that can be searched and edited
    "hatch.linewidth": 0.5,
}

Dashes = Literal["-", "--", ":", "-."]
Look = tuple[str, Dashes]  # color, line style


def looks(defenses: Sequence[str]) -> dict[str, Look]:
    """A color and line style for each defense, the same for the same defenses in the same order."""
    others = [name for name in defenses if name != "none"]
    kinds: tuple[Dashes, ...] = ("-", "--", ":", "-.")
    styles = (kind for kind in cycle(kinds) for _ in COLORS)
    chosen = zip(cycle(COLORS), styles, strict=False)
    control: dict[str, Look] = {"none": (BLACK, "-")}
    return control | dict(zip(others, chosen, strict=False))


def new_figure(width: float, height: float) -> Figure:
    """A figure of the given size in inches that lays itself out; belongs to no global state."""
    return Sheet(width, height)


def nothing(width: Width) -> Figure:
    """The figure of a table without a row that can be drawn."""
    figure = Figure(figsize=(width.inches, width.high(0.5)))
    figure.text(0.5, 0.5, "nothing to draw", ha="center", va="center", color=SOFT)
    return figure


def ink_on(face: tuple[float, float, float]) -> str:
    """The color of text on a face (red, green, blue): black or white, which is seen better."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in face]
    light = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return BLACK if light > 0.179 else "white"  # the light with which both have the same contrast


def guide(axes: Axes, axis: Literal["x", "y", "both"] = "both") -> None:
    """Faint grid lines behind the data along ``axis``."""
    axes.set_axisbelow(True)
    axes.grid(True, axis=axis)


def without_ticks(axes: Axes, axis: Literal["x", "y", "both"] = "both") -> None:
    """Labels along ``axis`` without lines beside them; those of no length would be drawn too."""
    axes.tick_params(axis=axis, length=0, left=False, bottom=False, top=False, right=False)


def logarithmic(axes: Axes, axis: Literal["x", "y", "both"]) -> None:
    """A logarithmic scale of what is drawn, with plain numbers: 0.2, 1,000."""
    for one in (axes.xaxis, axes.yaxis) if axis == "both" else (getattr(axes, f"{axis}axis"),):
        getattr(axes, f"set_{one.axis_name}scale")("log")
        low, high = one.get_view_interval()
        subs = (1.0,) if high > FEW_DECADES * low else (1.0, 2.0, 5.0)
        one.set_major_locator(LogLocator(subs=subs))
        one.set_major_formatter(FuncFormatter(plainly))
        one.set_minor_formatter(NullFormatter())


def plainly(value: float, _: object = None) -> str:
    """A number beside an axis."""
    return f"{value:,.12g}" if value >= 1 else f"{value:g}"


def line(
    axes: Axes, x: Sequence[float], y: Sequence[float], *, only: str = "", **look: object
) -> list[Line2D]:
    """A line through points, as ``axes.plot`` draws it but sooner: it looks for no units.

    ``only``: the marker of points without a line between them.
    """
    if only:
        look = {"marker": only, "linestyle": "", **look}
    made = Line2D(x, y, **cast(dict[str, Any], look))
    axes.add_line(made)
    cast(Any, axes).autoscale(None)  # leaves on what is on; missing in matplotlib's types
    return [made]


def spread(places: Sequence[float], gap: float) -> list[float]:
    """``places`` moved apart until neighbors are ``gap`` apart, in the order given.

    Where places crowd, their mean stays.
    """
    order = sorted(range(len(places)), key=lambda i: places[i])
    blocks: list[tuple[float, list[int]]] = []  # touching labels: their center, and who they are
    for i in order:
        blocks.append((places[i], [i]))
        while (
            len(blocks) > 1
            and blocks[-1][0] - blocks[-2][0] < gap * (len(blocks[-1][1]) + len(blocks[-2][1])) / 2
        ):
            right, later = blocks.pop()
            left, earlier = blocks.pop()
            both = earlier + later
            blocks.append(((left * len(earlier) + right * len(later)) / len(both), both))
    moved = [0.0] * len(places)
    for center, members in blocks:
        for rank, i in enumerate(members):
            moved[i] = center + gap * (rank - (len(members) - 1) / 2)
    return moved


P = ParamSpec("P")
T = TypeVar("T")


def sized(
    make: Callable[Concatenate[T, Width, P], Figure],
) -> Callable[Concatenate[T, Width, P], Figure]:
    """The maker of a figure, given this look at the width asked for, and a figure laid out."""

    @wraps(make)
    def made(table: T, width: Width, /, *args: P.args, **named: P.kwargs) -> Figure:
        with mpl.rc_context(RC | {"font.size": width.size}):
            figure = make(table, width, *args, **named)
            finish(figure)
        return figure

    return made


def mark(
    artists: Artist | Iterable[Artist], attack: str = "", defense: str = "", hospital: str = ""
) -> None:
    """Have an SVG state the attack, defense and hospital that these artists show.

    Each is a group with the attributes ``data-attack``, ``data-defense`` and ``data-hospital``.
    """
    gid = "|".join(("mark", *map(_quoted, (attack, defense, hospital))))
    for artist in (artists,) if isinstance(artists, Artist) else artists:
        artist.set_gid(gid)


def _quoted(name: str) -> str:
    return quote(name, safe="", errors="surrogatepass").replace(".", "%2E")  # see ``DIGITS``


TAG: Final = re.compile(r"<[^>]*>")
ID: Final = re.compile(r' id="([^"]*)"')
REFERENCE: Final = re.compile(r'(href="#|url\(#)([^")]*)')
DIGITS: Final = re.compile(r"(\.\d\d)\d+")  # of lengths, beyond a hundredth of a point
NAMESPACE: Final = re.compile(r' xmlns(:\w+)?="[^"]*"')
BETWEEN: Final = "\0"  # between tags: a sign that XML cannot have
UNTURNED: Final = re.compile(r' transform="rotate\(-0 [^"]*\)"')
FONT: Final = re.compile(rf"font: (?:(\w+) )?([\d.]+)px '{labels.FAMILY}'")
FAMILY: Final = re.compile(rf"font-family: '{labels.FAMILY}'(?:; |(?=\"))")  # since matplotlib 3.11
FONTS: Final = f"'{labels.FAMILY}', Verdana, sans-serif"  # of the same widths, then any


def finish(figure: Figure) -> None:
    """Set the texts and the layout of a figure of ``new_figure``, once for all its files."""
    if isinstance(figure, Sheet) and not figure.is_arranged:
        labels.fit(figure)
        figure.set_dpi(DPI)


def prepare() -> None:
    """Load what every figure is drawn with."""
    blank = new_figure(1, 1)
    blank.add_subplot()
    svg(blank, "blank")


def svg(figure: Figure, name: str) -> str:
    """The figure as an ``<svg>`` element for a page, whose ids all start with ``name``.

    It has no dates, links or namespaces. Text is text, in a font of the reader's.
    """
    text = _svg(figure, name, "none")
    start = f'<svg style="font-family: {FONTS}" '
    text = text[text.index("<svg") :].replace("<svg ", start, 1)
    between = TAG.split(text)
    return "".join(chain(*zip_longest(between, _lean(TAG.findall(text), name), fillvalue="")))


def inline(make: Make, name: str) -> str:
    """A figure as markup of a page: drawn for a screen, and for a phone, which shows that alone."""
    return both(drawn(make, name, PAGE), drawn(make, name, PHONE))


def drawn(make: Make, name: str, width: Width) -> str:
    """One of the two pictures of a figure that ``both`` takes."""
    return svg(make(width), name if width == PAGE else f"{name}-{width.name}")


def both(wide: str, phone: str) -> str:
    """A figure as markup of a page, from its pictures for ``PAGE`` and ``PHONE``."""
    return f'<div class="on-page">{wide}</div><div class="on-phone">{phone}</div>'


def titled(more: titles.Titles, make: Make, width: Width) -> Figure:
    """A figure in which choices of the user have the plain names ``more``."""
    with titles.known(more):
        return make(width)


def svg_file(figure: Figure) -> bytes:
    """The figure as an SVG file whose text is drawn as shapes, so that no reader needs the font."""
    return ID.sub(_unmarked, _svg(figure, "figure", "path")).encode()


def pdf(figure: Figure) -> bytes:
    """The figure as a PDF file with its fonts, without date or program name."""
    out = BytesIO()
    with mpl.rc_context(RC):
        finish(figure)
        nothing = dict.fromkeys(("Creator", "Producer", "CreationDate"))
        figure.savefig(out, format="pdf", metadata=nothing)
    return out.getvalue()


def png(figure: Figure, dots: int = DPI) -> bytes:
    """The figure as a PNG file of so many dots an inch, without date or program name."""
    out = BytesIO()
    quick = {"compress_level": 1}  # of 9: two thirds of the time, a seventh more bytes
    with mpl.rc_context(RC):
        finish(figure)
        figure.savefig(out, format="png", dpi=dots, metadata={"Software": None}, pil_kwargs=quick)
    return out.getvalue()


def paper_png(figure: Figure) -> bytes:
    """The figure as a PNG file with as many dots as journals ask for."""
    return png(figure, 300)


def _svg(figure: Figure, salt: str, font: Literal["none", "path"]) -> str:
    with mpl.rc_context(RC | {"svg.hashsalt": salt, "svg.fonttype": font}):
        finish(figure)
        text = renderers.svg(figure)
    return re.sub(r"\s*<metadata>.*?</metadata>", "", text, flags=re.DOTALL)


def _unmarked(id_: re.Match[str]) -> str:
    return "" if id_[1].startswith("mark|") else id_[0]


def _lean(tags: Sequence[str], name: str) -> list[str]:
    """Tags of an SVG with ids and references under a name, and without what a page lacks.

    All are changed together, which takes a third of the time.
    """
    text = BETWEEN.join(tags)
    used = {target for _, target in REFERENCE.findall(text)}
    text = UNTURNED.sub("", DIGITS.sub(r"\1", NAMESPACE.sub("", text)))
    text = FONT.sub(lambda font: f"font-size: {font[2]}px" + _weight(font[1]), text)
    text = FAMILY.sub("", text)
    text = REFERENCE.sub(rf"\g<1>{name}-\g<2>", text.replace("xlink:href", "href"))
    return ID.sub(lambda found: _identified(found[1], name, used), text).split(BETWEEN)


def _weight(weight: str | None) -> str:
    return "" if weight is None else f"; font-weight: {weight}"


def _identified(id_: str, name: str, used: Container[str]) -> str:
    """What a tag states in place of its id."""
    if id_.startswith("mark|"):
        kinds = zip(("attack", "defense", "hospital"), id_.split("|")[1:], strict=True)
        shown = ((kind, str(safe.shown(unquote(of, errors="surrogatepass")))) for kind, of in kinds)
        return "".join(f' data-{kind}="{escape(of)}"' for kind, of in shown if of)
    return f' id="{name}-{id_}"' if id_ in used else ""


def columns(width: Width, most: int = 4) -> int:
    """The number of names of defenses that a legend has side by side."""
    return 2 if width.narrow else most


def legend_of_defenses(
    figure: Figure, defenses: Sequence[str], looks: Mapping[str, Look], width: Width, n: int = 4
) -> None:
    """Name the lines of defenses below the panels, in the order of their looks."""
    drawn = [name for name in looks if name in set(defenses)]
    lines = [
        Line2D([], [], color=looks[name][0], linestyle=looks[name][1], linewidth=1.8)
        for name in drawn
    ]
    legend = figure.legend(
        lines,
        [width.named(words.defense(name)) for name in drawn],
        loc="outside lower center",
        ncols=min(columns(width, n), len(drawn)),
        handlelength=2.6,
    )
    for name, line, text in zip(drawn, legend.get_lines(), legend.get_texts(), strict=True):
        mark((line, text), defense=name)
