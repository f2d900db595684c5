"""A hospital trains by its own plan and policy: what it refuses, how that is recorded, and that
messages hold no secret.
"""

import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from flwr.app import ConfigRecord, Message, RecordDict

from attacks.inversion.analytic import AnalyticInversion
from clients.app import fit, hospital_app, together
from sim.datasets.encoding import matching
from sim.design.batches import sample_rate
from sim.design.plan import FederationPlan, read
from sim.design.refusals import REFUSED, SENTENCES
from sim.design.simulated import Simulated
from sim.design.site import PrivacyPolicy, Site, Source, added, after_a_round, spent
from sim.errors import InputError
from sim.evidence import RunRecord
from sim.federation import wire
from sim.federation.engines.local import LocalGrid
from sim.seeds import Key, key, stream
from sim.study.experiment import Experiment
from sim.study.run import FederatedRun, run, run_together
from sim.types import Observation, View
from tests.federation import experiment
from tests.searching import encodings

SMALL = ("consortium=heart4", "model=logistic", "training.rounds=2", "training.local_steps=2")
PRIVATE = ("dp=record", "dp.target_epsilon=null", "dp.noise_multiplier=1.0")
SEED = 7_340_918_273_645_111_999
NAMES = experiment(*SMALL).consortium.names

ENGINES: dict[str, Callable[[Experiment], RunRecord]] = {
    "lockstep": lambda design: run_together([design])[0],
    "one by one": lambda design: run(design, app=hospital_app),
}
each_engine = pytest.mark.parametrize("engine", ENGINES)


# --- what a policy refuses


@each_engine
def test_hospitals_whose_policy_wants_dp_refuse_a_plan_without_it_and_are_recorded_by_name(
    engine: str,
) -> None:
    record = ENGINES[engine](experiment(*SMALL, "policy.dp=true"))
    assert [(entry.round, entry.hospital) for entry in record.screened] == [
        (n, name) for n in (1, 2) for name in NAMES
    ]
    assert {entry.reason for entry in record.screened} == {REFUSED + SENTENCES["dp"]}
    assert record.skipped_rounds == [1, 2]
    assert record.value("auroc") is None


@each_engine
def test_where_one_hospital_refuses_the_others_go_on(engine: str) -> None:
    record = ENGINES[engine](experiment(*SMALL, "policy.dp=true", f"policy.hospitals=[{NAMES[1]}]"))
    assert {entry.hospital for entry in record.screened} == {NAMES[1]}
    assert record.skipped_rounds == []
    assert record.value("auroc") is not None


@each_engine
def test_a_rule_without_enough_of_those_who_accept_skips_its_rounds(engine: str) -> None:
    words = ("aggregator=trimmed_mean", "adversary.n_hostile=1", "policy.secagg=true")
    record = ENGINES[engine](
        experiment(*SMALL, *words, f"policy.hospitals=[{NAMES[0]},{NAMES[2]}]")
    )
    assert {entry.hospital for entry in record.screened} == {NAMES[0], NAMES[2]}
    assert {entry.reason for entry in record.screened} == {REFUSED + SENTENCES["secagg"]}
    assert record.skipped_rounds == [1, 2]


@each_engine
def test_a_hospital_refuses_a_smaller_group_than_its_policy_allows(engine: str) -> None:
    words = ("secagg=groups", "secagg.size=2", "policy.least_group=3")
    record = ENGINES[engine](experiment(*SMALL, *words, f"policy.hospitals=[{NAMES[1]}]"))
    reasons = {entry.hospital: entry.reason for entry in record.screened}
    assert reasons[NAMES[1]] == REFUSED + SENTENCES["group"]
    assert len(reasons) == 2  # the other one of its group would be left alone
    accepted = ("secagg=sum", "secagg.least=3", "policy.least_group=3")
    assert ENGINES[engine](experiment(*SMALL, *accepted)).screened == []


@each_engine
def test_a_round_that_would_spend_more_than_the_policy_allows_is_refused_by_name(
    engine: str,
) -> None:
    design = experiment(*SMALL, *PRIVATE)
    by_name = {site.name: spent(design.plan, len(site.records)) for site in design.truth.sites}
    ordered = sorted(by_name.values())
    between = (ordered[-2] + ordered[-1]) / 2
    record = ENGINES[engine](experiment(*SMALL, *PRIVATE, f"policy.max_epsilon={between}"))
    worst = max(by_name, key=lambda name: by_name[name])
    assert [(entry.round, entry.hospital, entry.reason) for entry in record.screened] == [
        (2, worst, REFUSED + SENTENCES["epsilon"])
    ]
    assert record.skipped_rounds == []
    assert record.privacy is not None
    site = design.truth.site(worst)
    of_one_round = after_a_round(design.plan, len(site.records), [])
    assert record.value("epsilon", worst) == pytest.approx(of_one_round)
    assert of_one_round < between
    assert record.value("epsilon") == pytest.approx(max(of_one_round, ordered[-2]))


@each_engine
def test_a_consortium_ends_where_it_is_to_end_with_the_first_spent_budget(engine: str) -> None:
    words = (*SMALL, *PRIVATE, "training.rounds=4")
    design = experiment(*words)
    site = max(design.truth.sites, key=lambda site: spent(design.plan, len(site.records)))
    history = list[tuple[float, float, int]]()
    two_rounds = 0.0
    for _ in range(2):
        two_rounds = after_a_round(design.plan, len(site.records), history)
        rate = sample_rate(len(site.records), design.plan.training)
        history = added(history, (1.0, rate, design.plan.training.steps(len(site.records))))
    budget = (f"policy.max_epsilon={two_rounds}", f"policy.hospitals=[{site.name}]")
    record = ENGINES[engine](experiment(*words, *budget, "server.on_spent=end"))
    # nobody is asked in round 4
    assert [(entry.round, entry.hospital) for entry in record.screened] == [(3, site.name)]
    assert record.skipped_rounds == [3, 4]
    assert {skip.cause for skip in record.skips} == {"spent"}
    assert {"the consortium ended in round 3" in skip.reason for skip in record.skips} == {True}
    assert record.privacy is not None
    rounds = {one.hospital: one.steps / 2 for one in record.privacy.hospitals}
    assert rounds == {name: 2 if name == site.name else 3 for name in NAMES}
    assert record.value("epsilon", site.name) == pytest.approx(two_rounds)
    assert record.config["server"]["on_spent"] == "end"
    goes_on = ENGINES[engine](experiment(*words, *budget))
    assert goes_on.skipped_rounds == []
    assert [entry.round for entry in goes_on.screened] == [3, 4]


@each_engine
def test_hospitals_that_all_refuse_a_private_plan_spend_nothing(engine: str) -> None:
    record = ENGINES[engine](experiment(*SMALL, *PRIVATE, "policy.max_epsilon=0.001"))
    assert {entry.reason for entry in record.screened} == {REFUSED + SENTENCES["epsilon"]}
    assert [record.value("epsilon", name) for name in (None, *NAMES)] == 5 * [0]
    assert record.privacy is not None
    assert {one.steps for one in record.privacy.hospitals} == {0}


@pytest.mark.parametrize(
    ("words", "policy", "reason"),
    [
        ([], PrivacyPolicy(), None),
        ([], PrivacyPolicy(dp=True), "dp"),
        ([], PrivacyPolicy(max_epsilon=1e6), "epsilon"),
        ([], PrivacyPolicy(secagg=True), "secagg"),
        (["secagg=sum"], PrivacyPolicy(secagg=True), None),
        ([], PrivacyPolicy(least_group=1), None),
        ([], PrivacyPolicy(least_group=2), "group"),
        (["secagg=sum"], PrivacyPolicy(least_group=2), None),
        (["secagg=sum"], PrivacyPolicy(least_group=3), "group"),  # a sum of 2 may be left
        (["secagg=sum", "secagg.least=3"], PrivacyPolicy(least_group=3), None),
        (["secagg=sum", "secagg.least=4"], PrivacyPolicy(least_group=5), "group"),
        (["secagg=groups", "secagg.size=2"], PrivacyPolicy(least_group=2), None),
        (["secagg=groups", "secagg.size=2"], PrivacyPolicy(least_group=3), "group"),
        (PRIVATE, PrivacyPolicy(dp=True, max_epsilon=1e3), None),
        (PRIVATE, PrivacyPolicy(dp=True, max_epsilon=1e-3), "epsilon"),
        (PRIVATE, PrivacyPolicy(dp=True, secagg=True), "secagg"),
    ],
)
def test_a_policy_states_which_plans_it_refuses(
    words: list[str], policy: PrivacyPolicy, reason: str | None
) -> None:
    assert policy.refusal(experiment(*SMALL, *words).plan, 100, []) == reason


def test_without_a_policy_of_its_own_a_hospital_asks_for_what_the_plan_promises() -> None:
    assert {site.policy for site in experiment(*SMALL).truth.sites} == {PrivacyPolicy()}
    promised = experiment(*SMALL, *PRIVATE, "secagg=sum")
    assert {site.policy for site in promised.truth.sites} == {PrivacyPolicy(dp=True, secagg=True)}
    assert "policy" not in promised.config


@pytest.mark.parametrize(
    ("word", "key"),
    [
        ("policy.hospitals=[nobody]", "policy.hospitals"),
        ("policy.max_epsilon=-1", "policy.max_epsilon"),
        ("policy.dp=maybe", "policy.dp"),
    ],
)
def test_a_policy_that_cannot_be_is_refused_before_round_1(word: str, key: str) -> None:
    with pytest.raises(InputError) as error:
        experiment(*SMALL, word)
    assert error.value.key == key


# --- what a task must be


def asked(
    design: Experiment,
    *,
    round_: int = 1,
    n_params: int | None = None,
    digest: str | None = None,
    weights: np.ndarray | None = None,
) -> Message:
    wire.enter_process()
    if weights is None:
        weights = np.zeros(
            design.plan.network.n_params if n_params is None else n_params, np.float32
        )
    return wire.ask(round_, weights, wire.settings(digest or design.plan.digest), [1])[0]


def replies(design: Experiment, message: Message) -> Iterator[str | None]:
    """Why the first hospital's reply to the message is not used, one by one and together with
    others.
    """
    contexts = [wire.context(1, 0), wire.context(1, 0)]
    alone = fit(design.source, message, contexts[0])
    (batched,) = together({1: design.source})([message], contexts[1:])
    for reply in (alone, batched):
        try:
            wire.read_report(reply, design.plan.network.n_params, 10**6)
            yield None
        except wire.UnusableError as error:
            yield str(error)


def test_a_hospital_trains_by_its_plan_and_refuses_every_other_task() -> None:
    design = experiment(*SMALL, *PRIVATE)
    assert list(replies(design, asked(design))) == [None, None]
    weaker = experiment(*SMALL).plan.digest
    for message, reason in (
        (asked(design, digest=weaker), "plan"),
        (asked(design, digest="0" * 64), "plan"),
        (asked(design, round_=3), "round"),
        (asked(design, round_=0), "round"),
        (asked(design, n_params=5), "weights"),
    ):
        assert list(replies(design, message)) == 2 * [REFUSED + SENTENCES[reason]]


@pytest.mark.parametrize("again", [1, 2])
def test_a_hospital_draws_its_noise_for_one_model_in_a_round(again: int) -> None:
    """Whoever saw the same noise on two updates would subtract it."""
    design = experiment(*SMALL, *PRIVATE)
    contexts = [wire.context(1, 0), wire.context(1, 0)]
    answers = together({1: design.source})
    other = np.ones(design.plan.network.n_params, np.float32)
    for message in (asked(design, round_=2), asked(design, round_=again, weights=other)):
        alone = fit(design.source, message, contexts[0])
        (batched,) = answers([message], contexts[1:])
    for reply in (alone, batched):
        with pytest.raises(wire.UnusableError, match=r"(again|same noise|later round)"):
            wire.read_report(reply, design.plan.network.n_params, 10**6)


def test_a_refusal_brings_no_words_of_the_hospital() -> None:
    design = experiment(*SMALL)
    message = asked(design)
    for words in (
        {"why": "patient 17 has it"},
        {"why": "dp", "more": "patient 17"},
        {"why": 3},
        {},
    ):
        content = RecordDict({wire.REFUSAL: ConfigRecord(words)})
        with pytest.raises(wire.UnusableError) as error:
            wire.read_report(
                Message(content, reply_to=message), design.plan.network.n_params, 10**6
            )
        assert not str(error.value).startswith(REFUSED)
        assert "patient" not in str(error.value)


# --- what messages hold


def stored(message: Message) -> bytes:
    """All that a message holds, metadata and content."""
    return pickle.dumps((vars(message.metadata), message.content))


@contextmanager
def captured() -> Iterator[list[bytes]]:
    """Every message to a hospital and every reply, in both directions of the grid."""
    found, inner = list[bytes](), LocalGrid.answer

    def answer(grid: LocalGrid, messages: Sequence[Message]) -> list[Message]:
        replies = inner(grid, messages)
        found.extend(map(stored, (*messages, *replies)))
        return replies

    with patch.object(LocalGrid, "answer", answer):
        yield found


def secrets(design: Experiment) -> set[int]:
    """The seed, and the secret of every key of the run."""
    keys = [
        design.aggregator_key,
        design.attack_plan.key,
        design.truth.key,
        *(site.key for site in design.truth.sites),
    ]
    return {design.settings.seed, *(one._secret for one in keys)}


def written(content: bytes, design: Experiment) -> list[bytes]:
    """The ways in which a secret of the run is in the content."""
    return [one for secret in secrets(design) for one in encodings(secret) if one in content]


@each_engine
@pytest.mark.parametrize("words", [PRIVATE, ("attack=[sign_flip,label_flip]", "defense=median")])
def test_no_message_of_a_run_holds_the_seed_or_a_key(engine: str, words: tuple[str, ...]) -> None:
    design = experiment(*SMALL, f"seed={SEED}", *words)
    with captured() as messages:
        ENGINES[engine](design)
    assert len(messages) >= 2 * 2 * 4
    assert not [one for message in messages for one in written(message, design)]


@pytest.mark.parametrize(
    "form",
    [int, str, "{:x}".format, lambda n: n.to_bytes(8, "big"), lambda n: n.to_bytes(8, "little")],
)
def test_the_search_finds_a_seed_that_is_in_a_message(form: Callable[[int], Any]) -> None:
    design = experiment(*SMALL, f"seed={SEED}")
    message = asked(design)
    message.content["more"] = ConfigRecord({"seed": form(SEED)})
    assert written(stored(message), design)


@each_engine
def test_a_message_holds_a_round_weights_and_the_digest_of_the_plan_and_nothing_else(
    engine: str,
) -> None:
    design, seen = experiment(*SMALL), list[Message]()
    read_task = wire.read_task
    with patch.object(
        wire, "read_task", lambda message: seen.append(message) or read_task(message)
    ):
        ENGINES[engine](design)
    for message in seen:
        assert set(message.content) == {wire.ARRAYS, wire.CONFIG}
        assert set(message.content[wire.ARRAYS]) == {wire.WEIGHTS}
        assert dict(message.content[wire.CONFIG])["plan"] == design.plan.digest
        assert set(message.content[wire.CONFIG]) == {"plan", "round"}


def aggregator_side(design: Experiment) -> list[bytes]:
    """What the aggregator of a run holds, as bytes: its terms, its memory, and its key."""
    aggregator = FederatedRun(design).aggregator
    return [
        pickle.dumps(part) for part in (aggregator.plan.terms, aggregator.state, aggregator.key)
    ]


def test_what_the_aggregator_holds_beside_its_own_key_gives_no_secret_away() -> None:
    design = experiment(*SMALL, *PRIVATE, f"seed={SEED}")
    terms, memory, _ = aggregator_side(design)
    assert not written(terms, design)
    assert not written(memory, design)


def test_the_aggregators_own_key_gives_no_other_secret_away() -> None:
    design = experiment(*SMALL, *PRIVATE, f"seed={SEED}")
    own = aggregator_side(design)[2]
    others = secrets(design) - {design.aggregator_key._secret}
    assert [one for one in encodings(design.aggregator_key._secret) if one in own]
    assert not [one for secret in others for one in encodings(secret) if one in own]


def test_no_key_leads_to_another_one() -> None:
    parties = [key(SEED, "aggregator"), key(SEED, "adversary"), key(SEED, "simulator")]
    parties += [key(SEED, "hospital", name) for name in ("a", "b")]
    draws = {one.stream("noise", 1).integers(2**63) for one in parties}
    assert len({one._secret for one in parties}) == len(draws) == len(parties)
    assert draws.isdisjoint(stream(SEED, "noise", 1, name).integers(2**63) for name in ("a", "b"))


def test_a_small_seed_is_found_by_trying_and_gives_every_key() -> None:
    """The first weights follow from the aggregator's key, and that follows from the seed."""
    design, tasks = experiment(*SMALL, "seed=7"), list[wire.Task]()
    read_task = wire.read_task
    with patch.object(
        wire, "read_task", lambda message: tasks.append(read_task(message)) or tasks[-1]
    ):
        run(design, app=hospital_app)
    by_seed = {n: design.plan.first_weights(key(n, "aggregator")) for n in range(20)}
    assert [n for n in by_seed if np.array_equal(by_seed[n], tasks[0].weights)] == [7]
    for site in design.truth.sites:
        assert key(7, "hospital", site.name) == site.key


def test_who_reads_all_messages_and_the_plan_cannot_redraw_the_noise() -> None:
    """Whoever has the hospital's key repeats its update to the last digit. No number of a message
    is such a key, or a seed that gives it.
    """
    design = experiment(*SMALL, *PRIVATE, f"seed={SEED}")
    message = asked(design)
    sent = wire.sent(fit(design.source, message, wire.context(1, 0)))
    source = design.source
    site = source.sites[0]

    def redrawn(by: Key) -> np.ndarray:
        guessed = replace(source, sites=(replace(site, key=by), *source.sites[1:]))
        return wire.sent(fit(guessed, message, wire.context(1, 0)))

    # which is what a message with the seed in it would give away
    assert np.array_equal(redrawn(site.key), sent)
    digest = bytes.fromhex(design.plan.digest)
    numbers = {0, 1, 2, int.from_bytes(digest, "big"), int.from_bytes(digest, "little")}
    numbers |= {
        int.from_bytes(digest[at : at + 8], order) % 2**63
        for at in range(0, 32, 8)
        for order in ("big", "little")
    }
    numbers |= {
        int(value) for value in vars(message.metadata).values() if type(value) in (int, float)
    }
    # which names no number that a key is made of
    assert read(design.plan.text).digest == design.plan.digest
    for number in numbers:
        for guess in (key(number, "hospital", site.name), replace(site.key, _secret=number)):
            assert not np.array_equal(redrawn(guess), sent)


# --- an aggregator that asks for other terms


ATTACKED = ("consortium=heart4", "training.rounds=2", *PRIVATE, "attack=[malicious_aggregator]")


@dataclass(frozen=True)
class Obedient:
    """The source of hospitals that take the plan which the aggregator names for their own, and have
    no policy.
    """

    plan: FederationPlan
    own: Simulated

    def site(self, partition: int, round_: int) -> Site:
        return replace(self.own.site(partition, round_), policy=PrivacyPolicy())


def obedient(design: Experiment) -> Obedient:
    return Obedient(design.attack_plan.demanded(design.plan), design.source)


@each_engine
def test_a_malicious_aggregator_is_stopped_by_hospitals_that_refuse_and_are_recorded(
    engine: str,
) -> None:
    record = ENGINES[engine](experiment(*ATTACKED))
    assert [(entry.round, entry.hospital) for entry in record.screened] == [
        (n, name) for n in (1, 2) for name in NAMES
    ]
    assert {entry.reason for entry in record.screened} == {REFUSED + SENTENCES["plan"]}
    assert record.skipped_rounds == [1, 2]
    assert record.engagement.attack_engaged
    assert record.value("epsilon") == 0


def test_hospitals_that_obey_a_malicious_aggregator_are_trained_without_privacy() -> None:
    design = experiment(*ATTACKED)
    record = run(design, app=lambda _: hospital_app(obedient(design)))
    assert record.screened == []
    assert record.skipped_rounds == []
    assert record.value("epsilon") > 0


def recovered(design: Experiment, source: Source, digest: str) -> list[bool]:
    """By hospital, whether the analytic inversion of its reply to the first round gives one of its
    records.
    """
    found, plan = list[bool](), design.plan
    weights = plan.first_weights(design.aggregator_key)
    for place, site in enumerate(design.truth.sites):
        message = asked(design, digest=digest, weights=weights)
        try:
            reply = fit(source, message, wire.context(place + 1, place))
            update = wire.read_report(reply, plan.network.n_params, 10**6).update
        except wire.UnusableError:
            found.append(False)
            continue
        seen = Observation(
            View(update[None], ((site.name,),)), weights, plan.network.layout, plan.columns
        )
        (guess,) = AnalyticInversion()(seen, stream(0, "inversion"))
        hits = (
            matching(plan.columns, record, guess.records).any() for record in site.records.features
        )
        found.append(len(guess.records) > 0 and any(hits))
    return found


def test_a_malicious_aggregator_reads_records_of_hospitals_that_obey_alone() -> None:
    design = experiment(*ATTACKED)
    digest = design.attack_plan.demanded(design.plan).digest
    assert sum(recovered(design, obedient(design), digest)) >= 3
    assert recovered(design, design.source, digest) == 4 * [False]
    # as agreed, the updates are noised
    assert recovered(design, design.source, design.plan.digest) == 4 * [False]


def test_what_leaves_the_terms_as_they_are_is_the_agreed_plan() -> None:
    words = ("attack.malicious_aggregator.dp=true", "attack.malicious_aggregator.local_steps=null")
    design = experiment(*ATTACKED, *words, "attack.malicious_aggregator.batch_size=null")
    assert design.attack_plan.demanded(design.plan).digest == design.plan.digest
    record = run_together([design])[0]
    assert record.screened == []
    assert not record.engagement.attack_engaged


@pytest.mark.parametrize("word", ["local_steps=0", "batch_size=-1", "batch_size=100000000"])
def test_a_malicious_aggregator_cannot_ask_for_what_no_plan_can_hold(word: str) -> None:
    with pytest.raises(InputError, match=word.partition("=")[0]):
        experiment(*ATTACKED, f"attack.malicious_aggregator.{word}")
