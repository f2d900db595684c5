"""A design in words of the configuration: what Hydra reads back is what the design states."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.errors import InputError
from sim.study import designs
from tests import designs as small
from tests.sim.test_spelling import read_back


def test_what_the_command_line_sets_is_part_of_the_design(tmp_path: Path) -> None:
    path = str(small.write(tmp_path))
    plain = designs.read(path, [])
    asked = designs.read(path, ["training.rounds=2", "consortium.n_records=40", "device=cpu"])
    assert asked.design.federation.training["rounds"] == 2
    assert asked.design.federation.consortium.values["n_records"] == 40
    assert asked.design.digest != plain.design.digest
    assert {"training.rounds=2", "consortium.n_records=40", "device=cpu"} <= set(asked.words)
    assert "device=cpu" in asked.of(plain.design).words


def test_several_values_of_the_consortium_all_count(tmp_path: Path) -> None:
    words = ["consortium.n_records=40", "consortium.n_features=3", "consortium.shift=0.5"]
    asked = designs.read(str(small.write(tmp_path)), words)
    values = asked.design.federation.consortium.values
    assert (values["n_records"], values["n_features"], values["shift"]) == (40, 3, 0.5)
    assert set(words) <= set(asked.words)


def test_own_records_are_one_path_or_a_list_of_paths(tmp_path: Path) -> None:
    own = {"csv": {"path": "data", "label": "sick"}}
    path = str(small.write(tmp_path, federation={"consortium": own}))
    for word, places in (
        ("consortium.path=a b/x (2).csv", "a b/x (2).csv"),
        ("consortium.path=[a.csv,b/c.csv]", ["a.csv", "b/c.csv"]),
    ):
        (found,) = [one for one in designs.read(path, [word]).words if "consortium.path=" in one]
        here = places if isinstance(places, list) else [places]
        expected = [str(Path(place).resolve()) for place in here]
        value = read_back(found.partition("=")[2])
        assert value == (expected if isinstance(places, list) else expected[0])


@pytest.mark.parametrize(
    ("word", "key"), [("adversary.placement=center", "placement"), ("adversary.stray=1", "stray")]
)
def test_a_wrong_value_on_the_command_line_is_refused(tmp_path: Path, word: str, key: str) -> None:
    path = str(small.write(tmp_path))
    with pytest.raises(InputError) as refused:
        designs.read(path, [word])
    assert key in str(refused.value)
