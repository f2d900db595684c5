"""The gallery draws truth, guess and baseline, of public data alone."""

from __future__ import annotations

from matplotlib.colors import to_hex

from reports import page, sections
from reports.figures import style
from reports.figures.gallery import RIGHT, WRONG, gallery
from reports.figures.layout import POINTS, RULER
from sim.evidence import Recovered
from tests.records import make_inversion, make_record

ROW = Recovered(
    hospital="hospital_0",
    exact=False,
    truth={"age": "63", "sex": "male"},
    guess={"age": "62.4", "sex": "female"},
    baseline={"age": "51", "sex": "male"},
    right=["age"],
    baseline_right=["sex"],
)
UNREAD = ROW.model_copy(update={"guess": None, "right": []})


def pixels(values: list[int]) -> dict[str, str]:
    return {f"pixel_{at // 2}_{at % 2}": str(value) for at, value in enumerate(values)}


IMAGE = Recovered(
    hospital="hospital_1",
    exact=True,
    truth=pixels([0, 8, 16, 4]),
    guess=pixels([0, 8, 16, 3]),
    baseline=pixels([7, 7, 7, 7]),
)


def shown(*records: Recovered, public: bool = True, show: bool = False, **changes) -> list:
    inversion = make_inversion(gallery=list(records), **changes)
    run = make_record(attack="tableak", inversion=inversion, public=public)
    return sections.gallery([run], show_reconstructions=show)


def test_fields_are_written_out_and_colored_by_what_is_right() -> None:
    left = gallery(shown(ROW), style.PAGE).axes[0]
    texts = [one.get_text() for one in left.texts]
    for text in ("age", "63", "62.4", "51", "sex", "male", "female", "Truth", "Nearest guess"):
        assert text in texts
    colors = [to_hex(one.get_facecolor()).upper() for one in left.patches]
    # age: guess, typical row; sex: guess, typical row
    assert colors == [RIGHT, WRONG, WRONG, RIGHT]
    assert left.get_title(loc="left") == "hospital_0, table inversion: not recovered\nno defense"
    unread = gallery(shown(UNREAD), style.PAGE).axes[0]
    assert [one.get_text() for one in unread.texts].count("none") == 2


def test_a_long_value_does_not_touch_the_name_of_its_field() -> None:
    one = ROW.model_copy(
        update={
            "truth": {
                "a long depression of ST under exercise": "1",
                "thallium": "reversible defect",
            }
        }
    )
    figure = gallery(shown(one, one), style.PAGE)
    figure.set_dpi(POINTS)
    of_one = figure.axes[0]
    name, value = (
        text.get_window_extent(RULER)
        for wanted in ("thallium", "reversible defect")
        for text in of_one.texts
        if text.get_text() == wanted
    )
    assert value.x0 - name.x1 > 0.3 * value.height


def test_images_are_drawn_as_images_in_their_own_range() -> None:
    figure = gallery(shown(IMAGE, pixels=(0.0, 16.0)), style.PAGE)
    drawn = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    assert [one.tolist() for one in drawn] == [
        [[0.0, 0.5], [1.0, 0.25]],
        [[0.0, 0.5], [1.0, 3 / 16]],
        [[7 / 16] * 2] * 2,
    ]
    titles = [axes.get_title() for axes in figure.axes if axes.images]
    assert titles == [
        "Truth",
        "hospital_1, table inversion: recovered\nno defense\nNearest guess",
        "Needs no attack",
    ]


def test_records_of_data_that_is_not_public_are_drawn_on_demand_alone() -> None:
    inversion = make_inversion(gallery=[ROW])
    secret = [make_record(attack="tableak", inversion=inversion, public=False)]
    public = [make_record(attack="tableak", inversion=inversion)]
    assert "gallery" not in page.draw(secret)
    assert "gallery" in page.draw(secret, show_reconstructions=True)
    assert "gallery" in page.draw(public)
    assert "gallery" not in page.draw([make_record(attack="tableak", inversion=make_inversion())])
