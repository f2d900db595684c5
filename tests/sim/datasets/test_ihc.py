"""The consortium of stained tissue: disjoint tiles of one picture, the stain that makes the label,
and sites that stain unlike.
"""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import pytest

from sim.datasets import ihc
from sim.datasets.ihc import Immunohistochemistry, amounts, columns, stained
from sim.errors import InputError

PLAIN = Immunohistochemistry(stain_shift=0.0)


def stored() -> dict[str, np.ndarray]:
    with np.load(str(files("sim.datasets.data") / "ihc_tiles.npz")) as arrays:
        return dict(arrays)


def test_tiles_are_disjoint_textured_and_each_at_one_site() -> None:
    found = stored()
    places = set(zip(found["row"].tolist(), found["column"].tolist(), strict=True))
    assert len(places) == len(found["images"]) == 239
    assert max(map(max, places)) < 16
    assert ((found["images"] / 255).std(axis=(1, 2)).mean(axis=1) > 0.06).all()
    made = PLAIN(0)
    parts = [part for hospital in made.hospitals for part in (hospital.train, hospital.test)]
    rows = {row.tobytes() for part in parts for row in part.features}
    assert sum(map(len, parts)) == len(rows) == 239
    assert rows == {row.tobytes() for row in columns(stained(found["images"], np.ones(3)))}
    assert (made.name, made.public, len(made)) == ("ihc4", True, 4)


def test_a_pixel_absorbs_by_the_stains_that_are_in_it() -> None:
    given = np.array([0.3, 0.1, 0.5])
    pixel = 255 * 10 ** -(given @ ihc.STAINS)
    np.testing.assert_allclose(amounts(pixel), given, atol=1e-12)
    np.testing.assert_allclose(amounts(np.full(3, 255.0)), 0.0, atol=1e-12)


def test_the_label_is_whether_a_tile_is_browner_than_half_of_them() -> None:
    made = PLAIN(3)
    parts = [part for hospital in made.hospitals for part in (hospital.train, hospital.test)]
    features = np.concatenate([part.features for part in parts])
    labels = np.concatenate([part.labels for part in parts])
    images = np.moveaxis(255 * features.reshape(-1, 3, 32, 32), 1, 3)
    brown = amounts(images)[..., 2].mean(axis=(1, 2))
    assert labels.sum() == 119
    assert brown[labels == 1].min() >= brown[labels == 0].max() - 1e-4


def test_every_site_tests_patients_of_both_classes_enough_for_an_auroc_of_its_own() -> None:
    for seed in range(5):
        for hospital in Immunohistochemistry()(seed).hospitals:
            n_positive = hospital.test.labels.sum()
            assert min(n_positive, len(hospital.test) - n_positive) >= 5


def test_sites_stain_unlike_and_keep_their_labels() -> None:
    plain, shifted = (made(0).hospitals for made in (PLAIN, Immunohistochemistry(0.3)))
    ratios = []
    for one, other in zip(plain, shifted, strict=True):
        np.testing.assert_array_equal(one.train.labels, other.train.labels)
        means = [h.train.features.reshape(-1, 3, 1024).mean(axis=(0, 2)) for h in (one, other)]
        ratios.append(means[1] / means[0])
        assert 0 <= other.train.features.min() <= other.train.features.max() <= 1
    assert np.ptp(ratios, axis=0).max() > 0.05


def test_without_a_shift_the_stain_is_as_in_the_picture() -> None:
    images = stored()["images"]
    assert np.abs(stained(images, np.ones(3)) - images).max() <= 1  # a 0 absorbs without end


@pytest.mark.parametrize("arguments", [{"stain_shift": -0.1}, {"test_fraction": 0.95}])
def test_wrong_parameters_are_refused_by_name(arguments: dict[str, float]) -> None:
    ((key, value),) = arguments.items()
    with pytest.raises(InputError, match=f"^{key}={value}: expected"):
        Immunohistochemistry(**arguments)
