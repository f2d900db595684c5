"""Audits find training that claims more privacy than it gives, and let honest training pass."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
import pytest
from hydra import compose as hydra
from hydra import initialize_config_module

from sim import plugins
from sim.config.hydra_errors import one_line
from sim.errors import InputError
from sim.evidence.audits import Audit, is_refuted, refuting
from sim.study import audit, compose
from tests import ROOT

SMALL = ("consortium=heart4", "model.hidden=[16]", "training.rounds=6", "audit.canaries=250")
WEAK = ("plugins=[weak_privacy]", "dp._target_=weak_privacy.WeakNoise")
ADD_REMOVE = ("dp.relation=add_remove", "dp.nominal_records=80")


@pytest.fixture(autouse=True)
def chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package of faulty plug-ins is trusted."""
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "packages"))
    monkeypatch.setenv(plugins.CHOSEN, "weak_privacy")
    assert "weak_privacy" not in sys.stdlib_module_names


def audited(*words: str) -> list[Audit]:
    """The audits of ``wardround audit WORDS``."""
    with initialize_config_module("conf", version_base="1.3"), one_line():
        values = compose.resolved(hydra("audit", overrides=list(words)))
        return [audit.run(one) for one in audit.planned(values, words)]


@pytest.mark.parametrize("relation", [(), ADD_REMOVE], ids=["replace", "add_remove"])
@pytest.mark.parametrize("trained", ["alone", "together"])
def test_honest_training_is_not_refuted(relation: Sequence[str], trained: str) -> None:
    (found,) = audited(*SMALL, *relation, f"audit.trained={trained}", "dp.target_epsilon=2")
    assert found.claim == pytest.approx(2, rel=2e-3)
    assert not found.exceeds
    assert found.replaced == (not relation)
    assert found.bounds.f_dp < 2


@pytest.mark.parametrize("relation", [(), ADD_REMOVE], ids=["replace", "add_remove"])
def test_a_twentieth_of_the_noise_is_caught(relation: Sequence[str]) -> None:
    (found,) = audited(*SMALL, *WEAK, *relation, "+dp.share=0.05", "dp.target_epsilon=2")
    assert found.bounds.one_run > 2
    assert found.bounds.f_dp > 3
    assert is_refuted([found])


def test_no_noise_is_caught_by_the_f_dp_form_where_the_other_sees_nothing() -> None:
    (found,) = audited(*SMALL, *WEAK, "+dp.share=0", "dp.target_epsilon=4.5")
    assert found.bounds.one_run < 4.5 < found.bounds.f_dp


def test_both_ways_of_training_give_the_same_scores() -> None:
    words = (*SMALL, "dp.target_epsilon=5", "audit.hospital=va")
    (alone,) = audited(*words, "audit.trained=alone")
    (together,) = audited(*words, "audit.trained=together")
    assert alone.coins == together.coins
    np.testing.assert_allclose(alone.scores, together.scores, rtol=1e-3, atol=1e-6)


def test_a_plug_in_with_a_fault_is_caught_by_its_own_training_only() -> None:
    """Comparisons train with the batched code, which adds the noise that the plug-in states."""
    words = (*SMALL, *WEAK, "+dp.share=0.05", "dp.target_epsilon=2")
    (alone,) = audited(*words, "audit.trained=alone")
    (together,) = audited(*words, "audit.trained=together")
    assert alone.exceeds
    assert not together.exceeds


@pytest.mark.parametrize(("n_audits", "expected"), [(1, 1), (2, 2), (5, 2), (20, 4)])
def test_a_true_claim_is_refuted_in_one_of_twenty_studies_at_most(
    n_audits: int, expected: int
) -> None:
    assert refuting(n_audits, 0.95) == expected


WRONG = {  # words: what the line states
    ("dp=none",): "dp=none: expected private training of records, as in dp=record",
    ("dp=hospital",): "dp=HospitalDP: expected private training of records, as in dp=record",
    ("attack=[sign_flip]",): "attack=sign_flip: expected none: an audit attacks by itself",
    ("audit.hospital=mayo",): "audit.hospital=mayo: expected one of cleveland, hungary, ",
    (
        "audit.canaries=900",
    ): "audit.canaries=900: expected at most 593, the parameters of the model",
    ("audit.canaries=9",): "audit.canaries=9: expected greater than or equal to 10",
    ("audit.guesses=251",): "audit.guesses=251: expected at most 250, the canaries",
    ("audit.guesses=0",): "audit.guesses=0: expected greater than or equal to 1",
    ("audit.confidence=1",): "audit.confidence=1",
    ("audit.trained=ray",): "audit.trained=ray: expected 'alone' or 'together'",
    ("+audit.stray=1",): "audit.stray=1: unknown key",
    ("seeds=0",): "seeds=0: expected how many",
    ("dp.delta=0.0015", "audit.canaries=593"): "dp.delta=0.0015: expected less than 1/",
}


@pytest.mark.parametrize(("words", "expected"), WRONG.items(), ids=lambda one: str(one)[:40])
def test_a_wrong_word_is_refused_before_anything_runs(
    words: tuple[str, ...], expected: str
) -> None:
    with pytest.raises(InputError) as refused:
        audited(*SMALL, *words)
    assert str(refused.value).startswith(expected)
