"""Model agreement in the plain round: hospitals upload only what most have trained alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sim.design.plan import FederationPlan
from sim.design.refusals import SENTENCES
from sim.federation import wire
from sim.federation.conversation import Asked, TripRefusedError
from sim.federation.protocols.agreed import (
    AGREED,
    MODEL,
    SIGNATURE,
    SIGNATURES,
    SIGNERS,
    UPDATE,
    UPLOAD,
)
from sim.federation.protocols.plain import PLAIN, protocol_of
from sim.messages import Content, Report
from sim.seeds import key
from sim.study.run import run
from tests.federation import experiment

WORDS = ("consortium=heart4", "training.rounds=3", "secagg=sum", "adversary.n_hostile=1")
AGREEING = (*WORDS, "secagg.agreement=true")
MODEL_SENT = np.arange(4, dtype=np.float32)
TRAINED = Report(np.ones(4, np.float32), 7, {"epsilon": 1.5})


@pytest.fixture(scope="module")
def plan() -> FederationPlan:
    return experiment(*AGREEING).plan


def asked(plan: FederationPlan, place: int, kind: str = "train", **changes: Any) -> Asked:
    """A trip as it reaches a hospital."""
    name = plan.hospitals[place]
    own = key(0, "hospital", name)
    found = Asked(kind, name, 1, plan, Content(), Content(), own, MODEL_SENT)
    return found._replace(**changes)


def signature(plan: FederationPlan, place: int, **changes: Any) -> bytes:
    """What a hospital answers to the first trip."""
    answered = AGREED.hospital.answer(asked(plan, place, **changes), TRAINED)
    found = answered.content.values[SIGNATURE]
    assert isinstance(found, bytes)
    return found


def upload(plan: FederationPlan, signers: object, signatures: object) -> Content:
    """What hospital 0 uploads when these signatures are passed on."""
    held = AGREED.hospital.answer(asked(plan, 0), TRAINED).held
    content: Any = Content(values={SIGNERS: signers, SIGNATURES: signatures})
    return AGREED.hospital.answer(asked(plan, 0, UPLOAD, content=content, held=held), None).content


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(TripRefusedError) as refused:
        act()
    return refused.value.why


def test_only_a_plan_with_agreement_has_it_and_its_trips(plan: FederationPlan) -> None:
    plain = experiment(*WORDS).plan
    assert protocol_of(plain) is PLAIN
    assert protocol_of(plan) is AGREED
    assert (plain.trips, plan.trips) == (("train",), AGREED.trips)
    assert plain.terms.enrolled == {}
    assert plan.terms.enrolled.keys() == {*plan.hospitals}


@pytest.mark.parametrize("words", [(), ("attack=[sign_flip]",), ("attack=[dropout]",)])
def test_agreement_changes_no_figure_of_a_round_in_which_all_are_sent_the_same(
    words: tuple[str, ...],
) -> None:
    plain = run(experiment(*WORDS, *words))
    agreed = run(experiment(*AGREEING, *words))
    exchanged = {"messages", "bytes_sent", "bytes_received"}
    found, expected = (
        [one for one in record.outcomes if one.metric not in exchanged]
        for record in (agreed, plain)
    )
    assert found == expected
    assert agreed.curve == plain.curve
    assert agreed.skipped_rounds == plain.skipped_rounds


def test_a_hospital_uploads_what_it_trained_once_most_have_signed(plan: FederationPlan) -> None:
    signers = [1, 2]
    content = upload(plan, signers, b"".join(signature(plan, one) for one in signers))
    np.testing.assert_array_equal(content.arrays[UPDATE], TRAINED.update)
    assert content.numbers["num-examples"] == 7
    assert content.numbers["epsilon"] == 1.5


def test_too_few_signatures_or_such_under_something_else_are_refused(plan: FederationPlan) -> None:
    two = [1, 2]
    other = {"model": MODEL_SENT + 1}

    def passed_on(signers: list[int], *each: bytes) -> Callable[[], object]:
        return lambda: upload(plan, signers, b"".join(each))

    right = [signature(plan, one) for one in two]
    cases = {
        "none": passed_on([]),
        "one of four, with its own half of them": passed_on([1], right[0]),
        "of another model": passed_on(two, *(signature(plan, one, **other) for one in two)),
        "of another round": passed_on(two, *(signature(plan, one, number=2) for one in two)),
        "of each other": passed_on(two, *reversed(right)),
        "its own": passed_on([0, 1], signature(plan, 0), right[0]),
        "invented": passed_on(two, bytes(64), bytes(64)),
    }
    assert {name: refusal(act) for name, act in cases.items()} == dict.fromkeys(cases, "model")


def test_messages_of_another_form_are_refused(plan: FederationPlan) -> None:
    right = signature(plan, 1)
    forms: dict[str, tuple[object, object]] = {
        "form": ([1, 2], right),
        "peers": ([1, 1], right + right),
    }
    for why, (signers, signatures) in forms.items():
        assert refusal(lambda a=signers, b=signatures: upload(plan, a, b)) == why
    for signers, signatures in ((None, right), ([1], "text"), ([True], right), (["1"], right)):
        assert refusal(lambda a=signers, b=signatures: upload(plan, a, b)) == "form"
    for place in (-1, 4, 10**9):
        assert refusal(lambda at=place: upload(plan, [at], right)) == "peers"


def test_trips_out_of_order_are_refused(plan: FederationPlan) -> None:
    half = AGREED.hospital
    assert refusal(lambda: half.answer(asked(plan, 0, UPLOAD), None)) == "phase"
    assert refusal(lambda: half.answer(asked(plan, 0, "other"), None)) == "phase"
    assert refusal(lambda: half.answer(asked(plan, 0), None)) == "phase"
    held = half.answer(asked(plan, 0), TRAINED).held
    assert held.values[MODEL]
    assert set(SENTENCES) >= {"model", "phase", "form", "peers"}


def test_the_aggregator_leaves_out_who_signed_another_model(plan: FederationPlan) -> None:
    talk = AGREED.round(plan, 1, MODEL_SENT)
    trip = next(talk)
    assert trip.hospitals == plan.hospitals

    class Signed:
        def __init__(self, place: int, model: Any) -> None:
            self.values = {SIGNATURE: signature(plan, place, model=model)}

        def content(self, form: wire.Form) -> Content:
            return Content(values=self.values)

    models = [MODEL_SENT, MODEL_SENT, MODEL_SENT + 1, MODEL_SENT]
    replies: Any = {name: Signed(place, models[place]) for place, name in enumerate(plan.hospitals)}
    following = talk.send(replies)
    assert following.hospitals == tuple(plan.hospitals[place] for place in (0, 1, 3))
    with pytest.raises(StopIteration) as end:
        talk.send({})
    assert end.value.value.screened == {
        plan.hospitals[2]: "its signature is not under the model that it was sent"
    }


def test_a_plan_cannot_hide_that_it_has_agreement(plan: FederationPlan) -> None:
    without = replace(plan, terms=experiment(*WORDS).plan.terms)
    assert plan.digest != without.digest


def test_a_hospital_signs_one_model_a_round_and_uploads_once(plan: FederationPlan) -> None:
    other = MODEL_SENT + 1
    held = AGREED.hospital.answer(asked(plan, 0), TRAINED).held
    again = asked(plan, 0, held=held, model=other)
    assert refusal(lambda: AGREED.hospital.answer(again, TRAINED)) == "phase"
    signed = [signature(plan, place) for place in range(3)]
    passed_on = Content(values={SIGNERS: [0, 1, 2], SIGNATURES: b"".join(signed)})
    to_upload = asked(plan, 0, UPLOAD, content=passed_on, held=held)
    held = AGREED.hospital.answer(to_upload, None).held
    again = asked(plan, 0, held=held, model=other)
    assert refusal(lambda: AGREED.hospital.answer(again, TRAINED)) == "phase"
    assert refusal(lambda: AGREED.hospital.answer(to_upload._replace(held=held), None)) == "phase"
