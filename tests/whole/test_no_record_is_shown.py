"""Data that are not public: no value of a record reaches a message, the evidence, a table, the page
or the terminal.

Rare values are put into one patient's record, then everything that a run or a fault leaves behind
is searched for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from flwr.app import Context, Message

from aggregators.rules import median
from attacks.poison import label_flip
from reports.page import write_report
from reports.terminal import closing, run_table
from sim import evidence
from sim.cli import explain
from sim.cli.screen import Screen
from sim.config import build
from sim.datasets import heart
from sim.errors import InputError, PluginError
from sim.study import experiment as experiments
from sim.study.run import run, run_together
from tests.federation import experiment, finished

LEVEL, NUMBER, UNKNOWN = "zyxwvut", 7351.25, "qponmlk"
RARE = (LEVEL, UNKNOWN, "7351")
SMALL = ("consortium=heart4", "model=logistic", "training.rounds=2", "training.local_steps=1")
REAL, _ = heart._source()
PATIENT = 17  # of the table, from 0
Fields = Callable[[pl.DataFrame], pl.DataFrame]


def put(name: str, value: Any) -> Fields:
    """Another value in one field of one patient."""

    def change(frame: pl.DataFrame) -> pl.DataFrame:
        values: list[Any] = frame[name].to_list()
        values[PATIENT] = value
        kind = pl.String if isinstance(value, str) else None
        if kind is not None:
            values = [None if one is None else str(one) for one in values]
        return frame.with_columns(pl.Series(name, values, dtype=kind))

    return change


def everywhere(name: str, value: Any) -> Fields:
    return lambda frame: frame.with_columns(pl.lit(value).alias(name))


@pytest.fixture
def private(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Gives a function that makes heart4 data that are not public, with a rare level and number,
    and changed as asked.
    """
    made, real = heart.consortium, heart._source

    def change(
        fields: Fields = lambda frame: frame, source: Callable[[], Any] | None = None
    ) -> None:
        table, hospitals = real()
        levels = {**table.levels, "thal": (*table.levels["thal"], LEVEL)}
        with_rare = put("thal", LEVEL)(put("chol", NUMBER)(table.fields))
        changed = replace(table, fields=fields(with_rare), levels=levels)
        monkeypatch.setattr(heart, "_source", source or (lambda: (changed, hospitals)))
        monkeypatch.setattr(heart, "consortium", lambda *given, **_: made(*given, public=False))
        forget()

    yield change
    forget()


def forget() -> None:
    experiments._consortium.cache_clear()
    build._built_once.cache_clear()
    experiments.from_text.cache_clear()
    experiments._notes.cache_clear()


def check(text: str) -> None:
    assert [value for value in RARE if value in text] == []


@pytest.mark.parametrize(
    "attack", ["analytic_inversion", "backdoor", "edge_case", "feature_noise", "alie"]
)
def test_nothing_that_a_run_leaves_holds_a_value_of_a_record(
    attack: str, private: Callable[..., None], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    private()
    one = experiment(*SMALL, f"attack={attack}", "training.batch_size=4")
    assert not one.consortium.public
    record = run(one)
    evidence.append(tmp_path, record)
    evidence.write_tables(tmp_path, [record])
    write_report(tmp_path)
    explain.show([one], 1)
    Screen().print(run_table(record))
    Screen().print(closing([record]))
    shown = capfd.readouterr()
    check(shown.out + shown.err)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) >= 3
    for path in files:
        check(path.read_bytes().decode("utf-8", errors="replace"))


def test_the_search_finds_what_is_asked_for(private: Callable[..., None]) -> None:
    private()
    record = run(
        experiment(*SMALL, "attack=analytic_inversion", "report.show_reconstructions=true")
    )
    assert record.inversion is not None
    assert record.inversion.gallery
    one = experiment(*SMALL)
    assert LEVEL in str(one.consortium.schema)
    with pytest.raises(AssertionError):
        check(str(one.consortium.schema))


def raising(error: Callable[[], Exception]) -> Callable[[], Any]:
    def source() -> Any:
        raise error()

    return source


def computed(wrong: Callable[[], Any]) -> Callable[[], Any]:
    def source() -> Any:
        wrong()
        raise AssertionError

    return source


FIELDS: dict[str, Fields] = {
    "an unknown level": put("cp", UNKNOWN),
    "a level in other letters": put("sex", "Male " + UNKNOWN),
    "text where numbers are": put("trestbps", UNKNOWN),
    "a number with a unit": put("age", f"{NUMBER} years {UNKNOWN}"),
    "one value everywhere": everywhere("age", NUMBER),
    "almost one value everywhere": put("age", NUMBER + 1e-12),
    "infinity": put("age", float("inf")),
    "a list where numbers are": lambda frame: frame.with_columns(
        age=pl.Series([[UNKNOWN]] * len(frame))
    ),
}
SOURCES: dict[str, Callable[[], Any]] = {
    "its own words": raising(lambda: ValueError(f"patient {UNKNOWN} has chol {NUMBER}")),
    "a key": raising(lambda: KeyError(UNKNOWN)),
    "words of numpy": computed(lambda: np.array([UNKNOWN]).astype(np.float32)),
    "words of polars": computed(lambda: pl.Series([UNKNOWN]).cast(pl.Float64)),
    "words of Python": computed(lambda: float(UNKNOWN)),
    "words of a date": computed(lambda: pl.Series([UNKNOWN]).str.to_date("%Y")),
    "a record": raising(lambda: TypeError({"chol": NUMBER, "thal": UNKNOWN})),
    "its name": raising(lambda: FileNotFoundError(2, "no file", f"/records/{UNKNOWN}.csv")),
}


@pytest.mark.parametrize("fault", FIELDS)
def test_a_fault_in_a_field_is_named_without_its_value(
    fault: str, private: Callable[..., None]
) -> None:
    private(FIELDS[fault])
    if fault == "almost one value everywhere":
        experiment(*SMALL)
        return
    with pytest.raises(InputError) as raised:
        experiment(*SMALL)
    assert "field" in str(raised.value)
    # a level of the data dictionary is no value of a record
    check(str(raised.value).replace(f", {LEVEL}", ""))


@pytest.mark.parametrize("fault", SOURCES)
def test_what_a_data_set_raises_is_named_without_its_words(
    fault: str, private: Callable[..., None]
) -> None:
    private(source=SOURCES[fault])
    with pytest.raises(PluginError) as raised:
        experiment(*SMALL)
    check(str(raised.value))
    assert "heart.py:" in str(raised.value)
    assert "not shown" in str(raised.value)


@pytest.mark.parametrize("public", [False, True])
def test_what_an_attack_raises_over_records_is_quoted_only_if_they_are_public(
    public: bool, private: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    private()
    if public:
        monkeypatch.undo()
        forget()

    def fail(*_: Any, **__: Any) -> Any:
        raise ValueError(UNKNOWN)

    monkeypatch.setattr(label_flip, "Records", fail)
    with pytest.raises(PluginError) as raised:
        run(experiment(*SMALL, "attack=label_flip"))
    assert (UNKNOWN in str(raised.value)) == public


@pytest.mark.parametrize(
    "engine", [run, lambda one: run_together([one])[0]], ids=["alone", "in lockstep"]
)
def test_what_a_rule_raises_is_named_without_its_words(
    engine: Callable[..., Any], private: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    private()
    one = experiment(*SMALL, "aggregator=median")

    def fail(*_: Any, **__: Any) -> Any:
        raise ValueError(UNKNOWN)

    monkeypatch.setattr(median, "sorted_columns", fail)
    with pytest.raises(PluginError, match=r"median.py:\d+: its message is not shown") as raised:
        engine(one)
    check(str(raised.value))


@pytest.mark.parametrize(
    "error",
    [
        ValueError(UNKNOWN),
        KeyError(UNKNOWN, NUMBER),
        Exception({"chol": NUMBER}),
        SystemExit(UNKNOWN),
    ],
)
def test_the_words_of_a_hospitals_own_error_are_not_recorded(
    error: BaseException, private: Callable[..., None]
) -> None:
    private()

    def app(*_: Message | Context) -> Message:
        raise error

    screened = finished(experiment(*SMALL), app).log.screened
    assert screened
    for one in screened:
        check(one.reason)
        assert type(error).__name__ in one.reason
        assert "not shown" in one.reason
