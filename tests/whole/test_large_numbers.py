"""Whatever whole number a configuration states, it is answered soon: every parameter of every
plug-in, and the run's own.
"""

from __future__ import annotations

import re
import time
from dataclasses import fields
from pathlib import Path

import pytest
from pydantic import BaseModel

from sim import errors, kinds, limits
from sim.config import plain
from sim.errors import InputError
from sim.plugins import CONF
from sim.study.experiment import Settings
from tests.commands import wardround

SECONDS = 10.0  # of the processor, until the command has answered
LARGEST = plain.LARGEST_COUNT
WORDS = ("training.rounds=3", "model=logistic", "adversary.knowledge=updates_and_rule")
SEVERAL = ("attack", "steps")


def of_plugins() -> list[tuple[str, ...]]:
    """For every whole number among the parameters of every plug-in: the choice of the plug-in, and
    the number set.
    """
    found = list[tuple[str, ...]]()
    for group in kinds.GROUPS:
        for path in sorted((CONF / group).glob("*.yaml")):
            for target in re.findall(r"^\s*_target_: ([\w.]+)\s*$", path.read_text(), re.MULTILINE):
                place, choice = (
                    (f"{group}.{path.stem}", f"[{path.stem}]")
                    if group in SEVERAL
                    else (group, path.stem)
                )
                found += [
                    (f"{group}={choice}", f"++{place}.{field.name}={_value(str(field.type))}")
                    for field in fields(kinds.find(f"{group}.x", target))
                    if field.init and re.search(r"\bint\b", str(field.type))
                ]
    return found


def _value(kind: str) -> str:
    if "Mapping" in kind:
        return f"{{va: {LARGEST}}}"
    return f"[{LARGEST}]" if "list" in kind else str(LARGEST)


def of_runs(form: type[BaseModel] = Settings, place: str = "") -> list[tuple[str, ...]]:
    """For every whole number among the values of a run: the number set as high as it is taken."""
    found = list[tuple[str, ...]]()
    for name, field in form.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found += of_runs(field.annotation, f"{place}{name}.")
        elif field.annotation in (int, int | None):
            most = [
                value
                for part in field.metadata
                for key in ("le", "lt")
                if (value := getattr(part, key, None))
            ]
            found.append((f"{place}{name}={min([plain.LARGEST_INT, *most])}",))
    return found


TOGETHER: tuple[tuple[str, ...], ...] = (
    ("dp=record", "training.local_steps=1000000"),
    ("dp=record", "training.local_epochs=100000"),
    ("dp=record", "training.rounds=100000"),
    ("dp=record", "training.rounds=100000"),
    ("training.rounds=100000", "training.local_steps=1000"),
    ("model=mlp", "model.hidden=[4000,4000]", "training.batch_size=1000000"),
    ("consortium=synthetic", "consortium.n_hospitals=3000", "consortium.n_records=40"),
    (
        "consortium=synthetic",
        "consortium.n_hospitals=2",
        "consortium.n_records=1000000",
        "consortium.n_features=10",
    ),
    (
        "consortium=synthetic",
        "consortium.n_hospitals=2",
        "consortium.n_records=100000",
        "model=mlp",
        "model.hidden=[100000]",
        "training.batch_size=100000",
    ),
    (
        "consortium=synthetic",
        "consortium.n_hospitals=60",
        "adversary.n_hostile=29",
        "aggregator=smea",
    ),
    (
        "consortium=synthetic",
        "consortium.n_hospitals=60",
        "adversary.n_hostile=29",
        "aggregator=mda",
    ),
)
CASES = [*of_plugins(), *of_runs(), *TOGETHER]


def test_the_table_has_every_kind_of_number() -> None:
    words = " ".join(word for case in CASES for word in case)
    for key in (
        "evals",
        "iterations",
        "steps",
        "max_steps",
        "n_hostile",
        "hidden",
        "sites",
        "delay",
        "warm_up",
        "seed",
        "rounds",
    ):
        assert re.search(rf"\b{key}=", words)
    assert len(CASES) > 60


def _beside(case: tuple[str, ...]) -> list[str]:
    """The words of ``WORDS`` that a case does not set itself."""
    keys = {word.split("=")[0] for word in case}
    return [word for word in WORDS if word.split("=")[0] not in keys]


@pytest.mark.parametrize("case", CASES, ids=" ".join)
def test_it_is_answered_soon(
    case: tuple[str, ...], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    start = time.process_time()
    code = wardround(
        "explain",
        *_beside(case),
        *case,
        f"hydra.run.dir={tmp_path}/x",
    )
    assert time.process_time() - start < SECONDS
    err = capfd.readouterr().err
    assert (code, err) == (0, "") or (
        code == 2 and err.startswith("wardround: ") and err.count("\n") == 1
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("case", of_plugins(), ids=" ".join)
def test_what_is_larger_than_any_number_taken_is_refused_by_its_key(
    case: tuple[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    choice, word = case
    assert (
        wardround("explain", *_beside(case), choice, word.replace(str(LARGEST), str(LARGEST + 1)))
        == 2
    )
    assert capfd.readouterr().err.endswith(
        f"={LARGEST + 1}: expected a whole number of at most {LARGEST}\n"
    )


# searches of one attacked round
SEARCHES = ("++attack.inverting_gradients.", "++attack.tableak.")


def test_what_is_repeated_within_a_round_is_bounded() -> None:
    for group, word in of_plugins():
        key = word.rpartition(".")[2].partition("=")[0]
        if key in ("evals", "iterations") or word.startswith("++aggregator.steps="):
            most = limits.MOST_STEPS if word.startswith(SEARCHES) else limits.REPEATS
            more, fewer = (word.replace(str(LARGEST), str(n)) for n in (most + 1, most))
            assert wardround("explain", *WORDS, group, more) == 2
            assert wardround("explain", *WORDS, group, fewer) == 0


@pytest.mark.parametrize("value", [2, 11, True, 2.0, "3", None])
def test_a_whole_number_outside_its_range_is_named_with_it(value: object) -> None:
    with pytest.raises(
        InputError, match=r"^n=.*: expected a whole number of at least 3 and at most 1,000$"
    ):
        errors.whole(3, 1000, n=value if value != 11 else 1001)  # type: ignore[arg-type]
    errors.whole(3, 1000, n=3)
    errors.whole(3, 1000, n=1000)
