"""What a record is, is stated by its data set and never read from the names of columns."""

import numpy as np
import pytest

from attacks.poison.backdoor import Backdoor
from sim.datasets.digits import Digits
from sim.datasets.encoding import decode, matching
from sim.errors import InputError
from sim.types import ImageSchema, Records, TableSchema
from tests.federation import experiment

COLOR = ImageSchema(height=2, width=3, channels=2, low=-1.0, high=3.0)


def test_every_data_set_states_what_a_record_is() -> None:
    tables = ["heart4", "heart12", "breast8", "synthetic"]
    found = [
        experiment(f"consortium={name}", "adversary.n_hostile=1").consortium.schema
        for name in tables
    ]
    assert {type(schema) for schema in found} == {TableSchema}
    assert Digits()(0).schema == ImageSchema(8, 8, channels=1, low=0.0, high=16.0)


def test_planes_lie_one_after_the_other_and_a_pixel_is_named_by_its_place() -> None:
    names = [field.name for field in COLOR.fields]
    assert names[:4] == ["pixel_0_0_0", "pixel_0_1_0", "pixel_0_2_0", "pixel_1_0_0"]
    assert names[6] == "pixel_0_0_1"
    assert [field.columns for field in COLOR.fields] == [(i,) for i in range(COLOR.n_features)]


def test_a_pixel_is_0_for_the_lowest_value_and_1_for_the_highest() -> None:
    row = np.linspace(0, 1, 12)
    shown = decode(COLOR, row)
    assert (float(shown["pixel_0_0_0"]), float(shown["pixel_1_2_1"])) == (-1.0, 3.0)
    assert matching(COLOR, row, row + np.array([[1e-6], [0.01]])).tolist() == [True, False]


def test_a_corner_holds_the_pixels_of_every_plane() -> None:
    columns = [field.columns[0] for field in COLOR.corner(1, 2)]
    assert columns == [4, 5, 10, 11]


def test_a_patch_marks_every_plane() -> None:
    marked = Backdoor(mark="patch:1x2:3").trigger(np.zeros((1, 12), np.float32), COLOR)
    expected = np.zeros((2, 2, 3))
    expected[:, 1, 1:] = 1
    np.testing.assert_array_equal(marked.reshape(2, 2, 3), expected)


def test_a_table_with_columns_named_as_pixels_is_a_table() -> None:
    fields = ImageSchema(2, 2, 1, 0.0, 1.0).fields
    records = Records(np.zeros((2, 4), np.float32), np.zeros(2, np.float32))
    with pytest.raises(InputError, match=r"^mark=patch:1x1:1: expected a consortium of images$"):
        Backdoor(mark="patch:1x1:1").trigger(records.features, TableSchema(fields, 4))
