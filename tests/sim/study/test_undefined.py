"""A cell that is not defined stays in the table with the reason, and all other cells run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reports import page
from reports.analysis import undefined
from tests.commands import ALONE, FAST, results, wardround

# defense or attack of a comparison -> words, and what its cells are stated to need
UNDEFINED = {
    "a rule that needs more rows": (["attacks=[sign_flip]", "defenses=[none,krum]"], "krum", "5"),
    "a rule under secure aggregation": (
        ["attacks=[sign_flip]", "defenses=[median,secagg+median]"], "secagg+median", "3",
    ),
    "a rule whose trusted hospital is not named": (
        ["attacks=[none]", "defenses=[none,fltrust]"], "fltrust", "",
    ),
    "an attack that needs more hostile": (
        ["attacks=[sign_flip,alie]", "defenses=[none,median]", "adversary.knowledge=colluders"],
        "alie", "2",
    ),
    "an attack that needs more knowledge": (
        ["attacks=[sign_flip,alie]", "defenses=[none]", "adversary.knowledge=own"],
        "alie", "at least colluders",
    ),
    "an attack on a loss that another defense has": (
        ["attacks=[sign_flip,constrain]", "defenses=[none,dp_record]"], "constrain", "dp=none",
    ),
    "an optimizer that private training does not have": (
        ["attacks=[none]", "defenses=[none,dp_record]", "training.optimizer=adam"],
        "dp_record", "sgd with dp=record",
    ),
    "two attacks that cannot run together": (
        ["attacks=[sign_flip,[backdoor,edge_case]]", "defenses=[none]"], "backdoor+edge_case", "",
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _map_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The heat map is the only figure drawn: its cells state what is not defined."""
    every = page.drawings
    monkeypatch.setattr(
        page,
        "drawings",
        lambda *given, **named: (one for one in every(*given, **named) if one[0] == "heat_map"),
    )


@pytest.mark.parametrize(("words", "name", "needs"), UNDEFINED.values(), ids=UNDEFINED)
def test_a_cell_that_is_not_defined_stays_in_the_table_and_the_others_run(
    words: list[str],
    name: str,
    needs: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "150")
    assert wardround("compare", *FAST, ALONE, "seeds=1", *words, f"hydra.run.dir={tmp_path}") == 0
    out = " ".join(capfd.readouterr().out.split())
    refused = json.loads((tmp_path / "manifest.json").read_text())["refused"]
    assert refused
    assert all(
        name in (cell["attack"], cell["defense"]) and cell["n_hostile"] is None for cell in refused
    )
    ran = {(row["attack"], row["defense"]) for row in results(tmp_path)}
    assert not ran & {(cell["attack"], cell["defense"]) for cell in refused}
    assert ("none", "none") in ran
    shown = f"not defined: needs {needs}" if needs else "not defined"
    assert shown in out
    assert f"({name}) is not defined" in out
    written = tmp_path / "report" / "index.html"
    assert shown in written.read_text()
    written.unlink()
    assert wardround("report", str(tmp_path)) == 0
    again = written.read_text()
    assert shown in again
    assert f"({name}) is not defined" in again


def test_explain_states_what_is_not_defined(capfd: pytest.CaptureFixture[str]) -> None:
    assert wardround("explain", *FAST, "attacks=[sign_flip]", "defenses=[none,krum,median]") == 0
    assert (
        "Krum (krum) is not defined: n_rows=4, n_hostile=1: Krum needs n_rows >= 2*n_hostile + 3 ="
        " 5" in " ".join(capfd.readouterr().out.split())
    )


@pytest.mark.parametrize(
    ("words", "stated"),
    [
        (
            ["defenses=[krum]"],
            "aggregator=Krum: n_rows=4, n_hostile=1: Krum needs n_rows >= 2*n_hostile + 3 = 5",
        ),
        (["defenses=[krum,secagg+median]", "attacks=[sign_flip]"], "aggregator=Krum: "),
        (
            ["defenses=[none]", "attacks=[alie]", "adversary.knowledge=own"],
            "adversary.knowledge=own: expected at least",
        ),
        (
            ["defenses=[none,median]", "attacks=[sign_flip]", "attack.sign_flip.scale=-1"],
            "attack.sign_flip.scale=-1: ",
        ),
        (["defenses=[none,dp_record]", "dp.delta=0.1"], "dp.delta=0.1: expected less than 1/"),
    ],
)
def test_a_comparison_of_which_nothing_asked_is_defined_or_with_a_wrong_value_is_refused(
    words: list[str], stated: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert (
        wardround("compare", *FAST, ALONE, "seeds=1", *words, f"hydra.run.dir={tmp_path}/out") == 2
    )
    err = capfd.readouterr().err
    assert err.startswith(f"wardround: {stated}")
    assert err.count("\n") == 1
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_comparison_over_numbers_leaves_out_those_for_which_a_part_is_not_defined(
    tmp_path: Path,
) -> None:
    words = (
        "attacks=[sign_flip]",
        "defenses=[median,krum]",
        "adversary.n_hostile=[0,1,2]",
        f"hydra.run.dir={tmp_path}",
    )
    assert wardround("compare", *FAST, ALONE, "seeds=1", *words) == 0
    refused = json.loads((tmp_path / "manifest.json").read_text())["refused"]
    found = {(cell["attack"], cell["defense"], cell["n_hostile"]) for cell in refused}
    attacks = ("none", "sign_flip")
    assert found == {
        (attack, name, n)
        for attack in attacks
        for name, n in (("krum", 1), ("krum", 2), ("median", 2))
    }
    ran = {(row["defense"], int(row["n_hostile"])) for row in results(tmp_path)}
    assert ran == {("none", 0), ("none", 1), ("none", 2), ("median", 0), ("median", 1), ("krum", 0)}


def test_a_sentence_names_what_is_not_defined() -> None:
    cells = [
        {
            "attack": attack,
            "defense": defense,
            "n_hostile": n,
            "part": part,
            "reason": f"needs {n}: x",
        }
        for attack, defense, n, part in (
            ("none", "krum", 2, "defense"),
            ("none", "krum", 1, "defense"),
            ("alie", "none", 1, "attack"),
            ("alie", "median", 1, "attack"),
        )
    ]
    assert undefined.sentences(cells) == [
        "Krum (krum) is not defined with n_hostile=1 to 2: needs 1: x",
        "Hidden shift (alie) is not defined under no defense and median with n_hostile=1:"
        " needs 1: x",
    ]
    assert undefined.cells(cells, 1)["alie", "median"] == "not defined: needs 1"
    assert ("none", "krum") not in undefined.cells(cells, 3)
