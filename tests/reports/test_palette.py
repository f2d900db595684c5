"""Colors of figures: seen on white, and distinct for readers who see fewer colors than others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from reports.figures import multiples, risk, style
from reports.figures.changes import LOOKS
from reports.figures.gallery import RIGHT, WRONG

Colors = NDArray[np.float64]

# Machado, Oliveira and Fernandes (2009), table 1, of linear red, green and blue: readers without
# cones for long, middle and short waves
LACKING: Final[Mapping[str, Sequence[Sequence[float]]]] = {
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}
XYZ: Final = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
WHITE: Final = np.array([0.95047, 1.0, 1.08883])
OKABE_ITO: Final = ("#000000", "#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9")
LINES: Final = (style.BLACK, *style.COLORS)


def linear(colors: Sequence[str]) -> Colors:
    values = np.array([to_rgb(color) for color in colors])
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(colors: Colors) -> Colors:
    """CIELAB of linear colors, under D65."""
    share = colors @ XYZ.T / WHITE
    root = np.where(share > (6 / 29) ** 3, np.cbrt(share), share / (3 * (6 / 29) ** 2) + 4 / 29)
    red = 500 * (root[:, 0] - root[:, 1])
    return np.stack([116 * root[:, 1] - 16, red, 200 * (root[:, 1] - root[:, 2])], axis=-1)


def seen(colors: Sequence[str]) -> Iterator[Colors]:
    """The colors in CIELAB as readers with three kinds of cones see them, and with two."""
    light = linear(colors)
    yield lab(light)
    for matrix in LACKING.values():
        yield lab(np.clip(light @ np.array(matrix).T, 0, 1))


def least_distance(colors: Sequence[str]) -> float:
    pairs = np.triu_indices(len(colors), 1)
    return min(
        float(np.linalg.norm(one[pairs[0]] - one[pairs[1]], axis=-1).min()) for one in seen(colors)
    )


def contrast(first: str, second: str) -> float:
    """The contrast of two colors as WCAG 2.2 has it."""
    low, high = sorted(float(linear([color])[0] @ XYZ[1]) + 0.05 for color in (first, second))
    return high / low


def test_the_simulation_gives_what_is_known_of_it() -> None:
    np.testing.assert_allclose(lab(linear(["#FFFFFF"]))[0], [100, 0, 0], atol=0.01)
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21.0)
    assert least_distance(["#FF0000", "#00FF00"]) < least_distance(["#0000FF", "#FFFF00"])
    for matrix in LACKING.values():
        np.testing.assert_allclose(np.sum(matrix, axis=1), 1.0, atol=1e-5)


def test_lines_are_as_distinct_for_every_reader_as_those_of_okabe_and_ito() -> None:
    assert least_distance(LINES) >= least_distance(OKABE_ITO) > 16


@pytest.mark.parametrize("color", [*LINES, style.INK, style.SOFT])
def test_lines_and_text_are_seen_on_white_which_is_the_ground_of_every_figure(color: str) -> None:
    assert style.RC["figure.facecolor"] == "white"
    assert contrast(color, "#FFFFFF") >= 3
    if color in (style.INK, style.SOFT):
        assert contrast(color, "#FFFFFF") >= 4.5


@pytest.mark.parametrize("name", ["cividis", "cividis_r"])
def test_text_on_every_cell_of_the_heat_map_is_seen(name: str) -> None:
    for level in np.linspace(0, 1, 101):
        face = mpl.colormaps[name](level)[:3]
        ink = mpl.colors.to_hex(style.ink_on(face))
        assert contrast(mpl.colors.to_hex(face), ink) >= 4.5


def test_levels_of_risk_are_in_order_also_without_color_and_bear_text() -> None:
    shades = list(risk.SHADES.values())
    for one in seen(shades):
        assert np.all(np.diff(one[:, 0]) < -5)
    assert all(contrast(shade, style.INK) >= 4.5 for shade in shades)
    assert all(contrast(shade, style.INK) >= 3 for shade in (RIGHT, WRONG))


def test_what_is_right_is_darker_than_what_is_wrong_for_every_reader() -> None:
    for right, wrong in seen([RIGHT, WRONG]):
        assert right[0] < wrong[0] - 8


def test_states_and_kinds_differ_in_more_than_color() -> None:
    looks = [(look.marker, look.filled, look.color) for look in LOOKS.values()]
    assert len(set(looks)) == len(looks)
    assert len({marker for _, marker, _ in multiples.FOUND.values()}) == len(multiples.FOUND)
    assert least_distance([color for color, _, _ in multiples.FOUND.values()]) > 16
