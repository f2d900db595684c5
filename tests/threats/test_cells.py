"""Runs beside their controls, also where an attack needs the defense to be there at all."""

from __future__ import annotations

from sim.study.run import run_together
from tests.federation import plan
from threats.catalog import Measured
from threats.cells import Cell, cells
from threats.findings import counted_seeds, doubts

SMALL = ["consortium=heart4", "model=logistic", "training.rounds=2", "adversary.n_hostile=1"]
SKIPPED = Measured(metric="rounds_skipped", harm="higher", control="attack_free")


def tampered(*words: str) -> Cell:
    """Share tampering against the protocol, beside all that a comparison runs."""
    asked = [*SMALL, *words]
    made = plan(asked, ["none", "share_tampering"], ["none", "secagg_protocol"], 3)
    (found,) = cells(run_together(made))
    return found


def test_an_attack_on_messages_has_the_run_with_neither_for_its_undefended_control() -> None:
    found = tampered("attack.share_tampering.what=committed")
    assert (found.attack, found.defense) == ("share_tampering", "secagg_protocol")
    assert found.controlled == [0, 1, 2]
    assert {(one.attack, one.defense) for one in found.undefended.values()} == {("none", "none")}
    assert counted_seeds(found, SKIPPED) == [0, 1, 2]
    assert doubts(found, SKIPPED) == []
    assert {one.value("rounds_skipped") for one in found.runs.values()} == {1.0}
    assert {one.value("rounds_skipped") for one in found.undefended.values()} == {0.0}


def test_without_the_check_that_finds_them_wrong_shares_cost_the_model_and_no_round() -> None:
    found = tampered("secagg.committed=false")
    lost = Measured(metric="auroc", harm="lower", control="attack_free")
    assert doubts(found, SKIPPED) == []
    assert {one.value("rounds_skipped") for one in found.runs.values()} == {0.0}
    assert {len(one.screened) for one in found.runs.values()} == {0}
    assert counted_seeds(found, lost) == [0, 1, 2]
