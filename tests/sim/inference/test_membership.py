"""Who is asked about in a membership inference, how answers score, and the bound of privacy."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

from sim.errors import InputError, PluginError, UndefinedError
from sim.evidence import RunRecord, roc
from sim.evidence.plausible import implausible
from sim.inference import membership
from sim.inference.holdings import holdings
from sim.inference.inquiry import Inquiry
from sim.inference.membership import Candidates, candidates
from sim.seeds import stream
from sim.study.experiment import Experiment
from sim.study.run import run, subject
from sim.types import Asked, Holdings, Party, Question
from tests.federation import experiment

SHORT = ("consortium=heart4", "training.rounds=2")


@dataclass(frozen=True)
class Knowing:
    """An attack that is right about a share of the records, as no real one could be."""

    right: float = 1.0
    party: Party = "outsider_api"
    question: ClassVar[Question] = "membership"
    min_rows: ClassVar[int] = 1

    def watched(self, rounds: int) -> tuple[int, ...]:
        return ()

    def __call__(self, seen: Holdings, asked: Asked, rng: np.random.Generator) -> np.ndarray:
        assert asked.records is not None
        return rng.random((len(asked.records), 1))


def inquiry(of: Experiment, *, joined: tuple[int, ...] = (1, 2), party: Party = "outsider_api",
            own: str | None = None) -> Inquiry:  # fmt: skip
    whole = subject(of)
    weights = of.plan.first_weights(of.aggregator_key)
    mine = None if own is None else (own, whole.truth.site(own).records)
    seen = holdings(of.plan, party, (), weights, mine)
    rounds = dict.fromkeys(of.plan.hospitals, joined)
    return Inquiry("knowing", Knowing(party=party), seen, whole, rounds)


def knowing(of: Experiment, share: float) -> tuple[RunRecord, Candidates]:
    """The evidence of an attack that knows a ``share`` of the members, and guesses the rest."""
    asked = inquiry(of)
    found = candidates(asked)
    rng = stream(0, "knowing")
    scores = rng.random(len(found.records)) + (rng.random(len(found.records)) < share) * (
        found.is_member * 1.0
    )
    findings = membership.scored(asked, found, membership.shortened(scores))
    plain = run(experiment(*SHORT))
    return plain.model_copy(update={"membership": findings.details["membership"]}), found


def test_members_are_those_trained_on_and_others_are_held_out_records() -> None:
    of = experiment(*SHORT)
    found = candidates(inquiry(of))
    hospitals = of.consortium.hospitals
    assert found.is_member.sum() == sum(len(one.train) for one in hospitals)
    held_out = sum(len(one.test) for one in hospitals)
    assert 0 <= held_out - (~found.is_member).sum() <= 2  # two patients of the data are there twice
    for one in hospitals:
        own = found.hospitals == one.name
        rows = {row.tobytes() for row in found.records.features[own & found.is_member]}
        assert rows == {row.tobytes() for row in one.train.features}


def test_the_order_of_records_tells_nothing() -> None:
    found = candidates(inquiry(experiment(*SHORT)))
    places = np.arange(len(found.records), dtype=float)
    assert abs(roc.auc(places[found.is_member], places[~found.is_member]) - 0.5) < 0.06


def test_records_that_no_round_drew_are_no_members() -> None:
    few = ("training.local_steps=1", "training.batch_size=8")
    found = candidates(inquiry(experiment(*SHORT, *few)))
    assert 0 < found.is_member.sum() <= 4 * 2 * 8
    none = candidates(inquiry(experiment(*SHORT, *few), joined=()))
    assert not none.is_member.any()


def test_a_held_out_record_that_another_hospital_trained_on_is_not_asked_about() -> None:
    of = experiment("consortium=heart12", "training.rounds=1", "seed=3")
    trained = {row.tobytes() for one in of.consortium.hospitals for row in one.train.features}
    found = candidates(inquiry(of, joined=(1,)))
    others = found.records.features[~found.is_member]
    assert not any(row.tobytes() in trained for row in others)
    # a patient of hungary_3 is one of hungary_2 too
    own = next(one for one in of.consortium.hospitals if one.name == "hungary_3")
    asked = (~found.is_member & (found.hospitals == "hungary_3")).sum()
    assert asked == len(own.test) - 1


def test_nobody_asks_about_hostile_hospitals_or_the_own_one() -> None:
    hostile = experiment(*SHORT, "attack=[sign_flip]")
    (name,) = hostile.attack_plan.hostile
    assert name not in candidates(inquiry(hostile)).hospitals
    honest = experiment(*SHORT)
    assert name in candidates(inquiry(honest)).hospitals
    assert "va" not in candidates(inquiry(honest, party="hospital", own="va")).hospitals


def test_a_run_states_what_was_inferred_beside_its_null() -> None:
    found = run(experiment(*SHORT, "attack=[membership_loss]"))
    assert found.membership is not None
    assert (found.membership.attack, found.membership.party) == ("membership_loss", "outsider_api")
    for metric in ("membership_auc", "membership_advantage", "membership_tpr_at_1fpr"):
        assert found.value(metric) is not None
        assert found.value(f"{metric}_null") is not None
    assert found.outcome("membership_tpr_at_01fpr").undefined.startswith("of ")
    assert found.membership.bounds == []
    assert found.engagement.attack_engaged
    assert implausible(found) is None
    hospitals = {one.subject for one in found.outcomes if one.metric == "membership_auc"}
    assert hospitals == {None, *(one.hospital for one in found.hospitals)}


@pytest.mark.parametrize("metric", ["membership_auc", "membership_tpr_at_1fpr"])
def test_outcomes_that_do_not_fit_the_scores_are_noticed(metric: str) -> None:
    found = run(experiment(*SHORT, "attack=[membership_loss]"))
    edited = [
        one.model_copy(update={"value": 0.987}) if (one.metric, one.subject) == (metric, None)
        else one
        for one in found.outcomes
    ]  # fmt: skip
    problem = implausible(found.model_copy(update={"outcomes": tuple(edited)}))
    assert problem == (f"outcomes.{metric}", "expected what the scores of membership give")


def test_more_than_privacy_allows_is_recorded_as_exceeded() -> None:
    of = experiment(*SHORT, "dp=record", "dp.target_epsilon=1")
    honest, _ = knowing(of, 0.0)
    broken, _ = knowing(of, 0.5)
    assert [one.false_positives for one in honest.membership.bounds] == [0.1, 0.01, 0.001]
    assert not honest.membership.exceeds
    assert broken.membership.exceeds
    for one in (*honest.membership.bounds, *broken.membership.bounds):
        assert one.lowest <= one.true_positives
        assert one.false_positives <= one.bound <= one.allowed <= 1
        assert one.exceeded == (one.lowest > one.allowed)


def test_all_drawn_records_may_be_recognized_where_few_are_drawn_and_noise_is_small() -> None:
    """What is not known is then which records are drawn, and privacy is in that alone."""
    few = ("training.local_steps=1", "training.batch_size=8", "dp=record")
    of = experiment(*SHORT, *few, "dp.target_epsilon=null", "dp.noise_multiplier=0.1")
    found, asked = knowing(of, 1.0)
    assert asked.is_member.sum() < 100
    assert all(one.true_positives == 1 and one.bound < 0.35 for one in found.membership.bounds)
    assert all(one.lowest <= one.allowed for one in found.membership.bounds)
    assert not found.membership.exceeds


def test_the_bound_is_that_of_the_hospital_that_spends_the_most() -> None:
    of = experiment(*SHORT, "dp=record", "dp.target_epsilon=null", "dp.noise_multiplier=1")
    found = run(experiment(*SHORT, "dp=record", "dp.target_epsilon=null", "dp.noise_multiplier=1",
                           "attack=[membership_loss]"))  # fmt: skip
    spent = found.privacy.hospitals
    bounds = {one.false_positives: one.bound for one in found.membership.bounds}
    assert bounds[0.01] == max(one.tpr_at_1fpr for one in spent)
    assert bounds[0.001] == max(one.tpr_at_01fpr for one in spent)
    assert of.plan.dp is not None


def test_of_each_question_there_is_one_attack_in_a_run() -> None:
    with pytest.raises(UndefinedError, match="at most one inference of membership in a run"):
        experiment(*SHORT, "attack=[membership_loss,rmia]")


def test_an_attack_that_needs_more_rows_is_refused_before_round_1() -> None:
    expected = "attack.fedmia=FedMIA: expected at least 3 rows in the aggregator's view, not 1"
    with pytest.raises(InputError, match=expected.replace(".", r"\.")):
        experiment(*SHORT, "attack=[fedmia]", "secagg=sum")


def test_membership_and_poisoning_go_together() -> None:
    found = run(experiment(*SHORT, "attack=[sign_flip,membership_loss]"))
    assert found.attack == "sign_flip+membership_loss"
    assert found.value("membership_auc") is not None
    assert found.engagement.attack_engaged
    (name,) = found.hostile
    assert found.value("membership_auc", name) is None


def test_scores_of_a_wrong_form_are_the_attacks_fault() -> None:
    asked = inquiry(experiment(*SHORT))
    question = Asked("membership", ("member", "none"))
    with pytest.raises(PluginError, match="returned shape"):
        replace(asked, attack=_Wrong(1)).answers(question, 4)
    with pytest.raises(PluginError, match="not finite"):
        replace(asked, attack=_Wrong(2)).answers(question, 4)


@dataclass(frozen=True)
class _Wrong(Knowing):
    columns: int = 1

    def __init__(self, columns: int) -> None:
        object.__setattr__(self, "columns", columns)

    def __call__(self, seen: Holdings, asked: Asked, rng: np.random.Generator) -> np.ndarray:
        return np.full((4, self.columns), np.nan)
