"""The consortium of small images: whole, each image once, both classes everywhere, and refused
where it cannot be shared out.
"""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from sim.datasets.digits import Digits
from sim.errors import InputError


def test_every_image_is_at_one_hospital_once_with_its_parity() -> None:
    images, digits = load_digits(return_X_y=True)
    made = Digits()(0)
    parts = [part for hospital in made.hospitals for part in (hospital.train, hospital.test)]
    found = np.column_stack(
        [
            np.concatenate([p.features for p in parts]) * 16,
            np.concatenate([p.labels for p in parts]),
        ]
    )
    expected = np.column_stack([images, digits % 2])
    np.testing.assert_array_equal(found[np.lexsort(found.T)], expected[np.lexsort(expected.T)])
    assert (made.name, made.public, len(made)) == ("digits8", True, 8)


def test_both_classes_are_dealt_evenly() -> None:
    shares = [
        np.mean(part.labels)
        for hospital in Digits()(3).hospitals
        for part in (hospital.train, hospital.test)
    ]
    assert max(shares) - min(shares) < 0.03


def test_a_pixel_is_found_where_its_name_places_it() -> None:
    made = Digits()(0)
    by_name = {field.name: field for field in made.schema.fields}
    assert by_name["pixel_3_5"].columns == (29,)
    assert made.schema.fields[-1].name == "pixel_7_7"
    assert max(float(hospital.train.features.max()) for hospital in made.hospitals) == 1.0


@pytest.mark.parametrize("arguments", [{"n_hospitals": 0}, {"test_fraction": 0.95}])
def test_wrong_parameters_are_refused_by_name(arguments: dict[str, float]) -> None:
    ((key, value),) = arguments.items()
    with pytest.raises(InputError, match=f"^{key}={value}: expected"):
        Digits(**arguments)


def test_more_hospitals_than_images_can_be_split_for_are_refused() -> None:
    with pytest.raises(
        InputError,
        match=r"^n_hospitals=1500: expected fewer, for each to train and test on 2 images$",
    ):
        Digits(n_hospitals=1500)(0)
