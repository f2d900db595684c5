"""A consortium's own images are read for what they are; errors are one line without a value."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from sim.datasets import checks
from sim.datasets.npz import OwnImages
from sim.errors import InputError
from sim.types import Consortium, ImageSchema
from tests import ROOT
from tests.commands import wardround

SECRET = "zyxwvut"
Arrays = dict[str, Any]


def digits(n: int = 120, first: int = 0) -> Arrays:
    images, labels = load_digits(return_X_y=True)
    some = slice(first, first + n)
    return {"images": images[some].reshape(-1, 8, 8).astype(np.uint8), "labels": labels[some] % 2}


def saved(path: Path, **arrays: NDArray[Any]) -> Path:
    np.savez(path, **arrays)
    return path


def made(path: Path, **more: Any) -> Consortium:
    found = OwnImages(**{"path": str(path), "positive": 1, **more})(0)
    checks.check(found)
    return found


def test_files_of_images_run_and_one_file_holds_the_same(tmp_path: Path) -> None:
    place = tmp_path / "files"
    place.mkdir()
    for number in range(4):
        saved(place / f"scanner {number}.npz", **digits(60 + number, 100 * number))
    words = (
        "consortium=npz",
        f"consortium.path={place}",
        "consortium.positive=1",
        "model=logistic",
    )
    more = ("training.rounds=2", "training.local_steps=1", f"hydra.run.dir={tmp_path}/out")
    assert wardround("run", *words, *more, "attack=sign_flip") == 0
    record = json.loads((tmp_path / "out/evidence.jsonl").read_text().splitlines()[0])
    assert not record["public"]
    assert [one["hospital"] for one in record["hospitals"]] == [f"scanner {i}" for i in range(4)]
    parts = [digits(60 + number, 100 * number) for number in range(4)]
    names = [f"scanner {number}" for number in range(4) for _ in range(60 + number)]
    joined = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    one = saved(tmp_path / "one.npz", **joined, site=np.array(names))
    for by_file, by_name in zip(
        made(place).hospitals, made(one, hospital="site").hospitals, strict=True
    ):
        np.testing.assert_array_equal(by_file.train.features, by_name.train.features)
        np.testing.assert_array_equal(by_file.train.labels, by_name.train.labels)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("channels", [None, 1, 3])
def test_pixels_are_those_of_the_file(channels: int | None, kind: type, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    shape = (40, 5, 6) if channels is None else (40, 5, 6, channels)
    images = rng.integers(0, 256, size=shape)
    largest = {np.uint8: 255, np.uint16: 65535}.get(kind, 1)
    content = (images / 255 if largest == 1 else images).astype(kind)
    path = saved(tmp_path / "x.npz", images=content, labels=np.arange(40) % 2)
    found = made(path, partition="equal", n_hospitals=2)
    schema = found.schema
    assert isinstance(schema, ImageSchema)
    assert (schema.height, schema.width, schema.channels) == (5, 6, channels or 1)
    assert (schema.low, schema.high) == (0, largest)
    rows = [p.features for h in found.hospitals for p in (h.train, h.test)]
    features = np.concatenate(rows)
    flat = (content if channels else content[..., None]).transpose(0, 3, 1, 2).reshape(40, -1)
    expected = (flat / largest).astype(np.float32)
    order = np.lexsort(expected.T), np.lexsort(features.T)
    np.testing.assert_allclose(features[order[1]], expected[order[0]], rtol=1e-6)


@pytest.mark.parametrize(
    ("labels", "given"),
    [
        (np.array(["sick", "well"] * 30), {"positive": "sick"}),
        (np.array([b"sick", b"well"] * 30), {"positive": "sick"}),
        (np.array([True, False] * 30), {"positive": True}),
        (np.arange(60.0), {"positive": None, "positive_from": 30}),
    ],
)
def test_labels_of_any_plain_kind(
    labels: NDArray[Any], given: dict[str, Any], tmp_path: Path
) -> None:
    path = saved(tmp_path / "x.npz", images=digits(60)["images"], labels=labels)
    found = made(path, partition="equal", n_hospitals=2, **given)
    assert found.notes == (
        "30 of 60 patients are with the condition, from 50% to 50% of a hospital.",
    )


class Runs:
    """What runs code where it is unpickled."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.write_text, (Path("/tmp/own_images_ran"), SECRET)


def archive(*members: tuple[str, bytes]) -> Callable[[Path], Path]:
    def write(tmp_path: Path) -> Path:
        with zipfile.ZipFile(
            tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1
        ) as file:
            for name, content in members:
                file.writestr(name, content)
        return tmp_path / "x.npz"

    return write


def npy(array: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def with_arrays(**changes: Any) -> Callable[[Path], Path]:
    return lambda tmp_path: saved(tmp_path / "x.npz", **{**digits(), **changes})


def raw(content: bytes) -> Callable[[Path], Path]:
    def write(tmp_path: Path) -> Path:
        (tmp_path / "x.npz").write_bytes(content)
        return tmp_path / "x.npz"

    return write


def cut(tmp_path: Path) -> Path:
    path = with_arrays()(tmp_path)
    return raw(path.read_bytes()[:-50])(tmp_path)


def bomb(tmp_path: Path) -> Path:
    much = npy(np.zeros(60_000_000, np.uint8))
    return archive(*((f"a{i}.npy", much) for i in range(17)))(tmp_path)


IMAGES = npy(digits()["images"])
HEAD = npy(np.zeros((2, 2, 2), np.uint8))
TOO_MANY = HEAD.replace(b"(2, 2, 2), }", b"(2000000000, 2, 2), }")[: len(HEAD) + 9]
WRONG: dict[str, tuple[Callable[[Path], Path], dict[str, Any], str]] = {
    "no archive": (raw(b"images" + SECRET.encode()), {}, "bytes that are no arrays"),
    "a pickle": (raw(pickle.dumps(Runs())), {}, "bytes that are no arrays"),
    "an array of objects": (
        with_arrays(extra=np.array([Runs(), None], dtype=object)),
        {},
        "an array of objects: expected arrays of numbers and of texts",
    ),
    "an array of records": (
        with_arrays(extra=np.zeros(3, dtype=[("a", "i4")])),
        {},
        "an array of objects",
    ),
    "a file that is cut off": (cut, {}, "bytes that are no arrays"),
    "a bomb": (
        bomb,
        {},
        "17 arrays of 1,020 MB when unpacked: expected at most",
    ),
    "many arrays": (
        archive(*((f"a{i}.npy", HEAD) for i in range(101))),
        {},
        "101 arrays of 0 MB when unpacked",
    ),
    "a head that lies": (archive(("images.npy", TOO_MANY)), {}, "path x.npz="),
    "a member that is no array": (archive(("images.npy", b"no array")), {}, "no arrays"),
    "an array of an escape": (archive(("\x1b[2J.npy", HEAD)), {}, "the name of array 1"),
    "no images": (
        lambda p: saved(p / "x.npz", image=digits()["images"], labels=digits()["labels"]),
        {},
        "images=images: expected a column of the data, which have 2; did you mean image?",
    ),
    "no labels": (
        lambda p: saved(p / "x.npz", images=digits()["images"]),
        {},
        "label=labels: expected a column of the data, which have 1",
    ),
    "flat images": (with_arrays(images=np.zeros((120, 64), np.uint8)), {}, "uint8 of 2 dimensions"),
    "images of other numbers": (with_arrays(images=np.zeros((120, 8, 8), np.int32)), {}, "int32"),
    "images of texts": (with_arrays(images=np.full((120, 8, 8), SECRET)), {}, "of 3 dimensions"),
    "images beyond 1": (
        with_arrays(images=np.full((120, 8, 8), 735124906.0)),
        {},
        "7,680 values are not from 0 to 1, or no numbers",
    ),
    "images that are no numbers": (
        with_arrays(images=np.full((120, 8, 8), np.nan)),
        {},
        "7,680 values are not from 0 to 1, or no numbers",
    ),
    "too few labels": (with_arrays(labels=np.zeros(119)), {}, "label=shape (119,) in x: expected"),
    "a third label": (with_arrays(labels=np.arange(120) % 3), {}, "positive=2 other labels"),
    "a label that is none": (
        with_arrays(labels=np.where(np.arange(120) < 3, np.nan, np.arange(120) % 2)),
        {},
        "label=no label in 3 of 120 lines",
    ),
    "labels of patients": (
        with_arrays(labels=np.array([SECRET, "735124906"] * 60)),
        {},
        "positive=2 other labels beside it",
    ),
    "hospitals of patients": (
        with_arrays(site=np.array([f"{SECRET}{i}" for i in range(120)])),
        {"hospital": "site", "partition": None},
        "120 of 120 names in column site are of fewer than 5 lines",
    ),
    "no hospitals": (with_arrays(), {"partition": None}, "hospital=nothing: expected"),
    "too many hospitals": (with_arrays(), {"n_hospitals": 50}, "min_rows=10: expected less"),
    "no positive": (with_arrays(), {"positive": None}, "positive=nothing: expected"),
    "another ending": (lambda p: with_arrays()(p).rename(p / "x.npy"), {}, "ends with .npz"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_one_line_and_runs_nothing(case: str, tmp_path: Path) -> None:
    write, given, expected = WRONG[case]
    path = write(tmp_path)
    with pytest.raises(InputError) as refusal:
        made(path, **{"partition": "equal", "n_hospitals": 4, **given})
    text = str(refusal.value)
    assert expected in text
    assert len(text) < 300
    assert "\n" not in text
    assert SECRET not in text
    assert "735124906" not in text
    assert not Path("/tmp/own_images_ran").exists()


def test_images_of_several_sizes_are_refused(tmp_path: Path) -> None:
    place = tmp_path / "files"
    place.mkdir()
    saved(place / "a.npz", **digits())
    saved(place / "b.npz", **{**digits(), "images": digits()["images"][:, :7]})
    with pytest.raises(InputError, match="images=2 forms in 2 files: expected images of one size"):
        made(place)


def test_the_file_of_the_choice_states_every_parameter_as_it_is_by_default() -> None:
    node = yaml.safe_load((ROOT / "conf/consortium/npz.yaml").read_text(encoding="utf-8"))
    stated = node["consortium"]
    assert stated.pop("_target_") == f"{OwnImages.__module__}.{OwnImages.__qualname__}"
    default = OwnImages(positive=1)
    assert {name: getattr(default, name) for name in stated} == {**stated, "positive": 1}
    assert node["adversary"] == {"n_hostile": None}
