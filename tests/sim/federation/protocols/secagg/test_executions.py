"""A plan that is executed twice, and a model that is sent twice: what they show, and what stops it.

Each attack is shown to read a single update where nothing stops it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from clients.app import hospital_app
from clients.journal import FileJournal
from sim.design.plan import FederationPlan
from sim.design.refusals import REFUSED, SENTENCES
from sim.design.site import Site
from sim.federation.conversation import Concluded
from sim.federation.driver import Parties, Roster, drive
from sim.federation.engines.local import LocalGrid
from sim.federation.protocols.secagg import agreement, masks, shamir
from sim.federation.protocols.secagg.terms import digest_of, of_round
from sim.federation.rounds import Weights
from sim.seeds import key
from sim.study.experiment import Experiment
from tests.federation import experiment
from tests.secagg import Rehearsal, plan_of, total_of, why

PLAN = plan_of()
VICTIM = PLAN.hospitals[5]
PLACE = PLAN.places[VICTIM]
FIRST = b"first"
SECOND = b"second"


def recovered(one: Rehearsal) -> bytes | None:
    """The victim's secret of which the last trip of a round gave shares."""
    plan = one.plan
    given = {
        plan.places[name]: one.replied("unmask", name)["shares"]
        for kind, name in one.replies
        if kind == "unmask"
    }
    at = (
        PLACE * shamir.BYTES
    )  # all answer, so shares stand in order, each hospital's own at the end
    shares = {
        place: packed[at : at + shamir.BYTES] if place > PLACE else packed[at - shamir.BYTES : at]
        for place, packed in given.items()
        if place != PLACE
    }
    chosen = dict(list(shares.items())[: of_round(plan, 1, plan.secagg.parameters).threshold])  # type: ignore[attr-defined]
    return shamir.combined(tuple(place + 1 for place in chosen), list(chosen.values()))


def read_from(present: Rehearsal, absent: Rehearsal) -> NDArray[np.uint32] | None:
    """The victim's update from an execution in which it is there and one in which it is not.

    The one gives shares of the seed of its own mask, the other of its key for masks.
    """
    plan = present.plan
    assert present.round().view is not None
    assert absent.round().view is not None
    seed = recovered(present)
    private = recovered(absent)
    if seed is None or private is None:
        return None
    purpose = of_round(plan, 1, plan.secagg.parameters).mask_purpose(  # type: ignore[attr-defined]
        digest_of(np.zeros(present.n_params, np.float32))
    )
    left = present.replied("train", VICTIM)["masked"] - masks.mask(seed, present.n_params)
    for name, place in plan.places.items():
        if name != VICTIM:
            other = present.replied("keys", name)["keys"][32:]
            shared = masks.mask(agreement.agreed(private, other, purpose), present.n_params)
            left = left - shared if place > PLACE else left + shared
    found: NDArray[np.uint32] = left
    return found


def is_read(first: bytes, second: bytes) -> bool:
    present = Rehearsal(PLAN, nonce=first)
    absent = Rehearsal(PLAN, nonce=second, vanish={VICTIM: "train"})
    found = read_from(present, absent)
    return found is not None and np.array_equal(found, present.total([VICTIM]))


def test_two_executions_with_the_same_secrets_give_an_update_away() -> None:
    assert is_read(b"", b"")
    assert is_read(FIRST, FIRST)


def test_two_executions_with_secrets_of_their_own_do_not() -> None:
    assert not is_read(FIRST, SECOND)


def test_the_key_of_an_execution_signs_as_the_enrolled_one_and_draws_anew() -> None:
    own = key(3, "hospital", "a")
    once, again = own.renewed(FIRST), own.renewed(SECOND)
    assert once == own.renewed(FIRST)
    assert once.lasting == again.lasting == once.renewed(SECOND).lasting == own.lasting
    assert len({one.secret("seed") for one in (own, once, again)}) == 3
    assert len({one.stream("batches").integers(1 << 40) for one in (own, once, again)}) == 3
    assert "first" not in repr(once)


# --- a hospital that remembers the plans that it has begun


def test_a_plan_is_begun_once_by_whoever_shares_the_file(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path / "begun")
    nonce = journal.begin("a" * 64)
    assert nonce is not None
    assert len(nonce) == 32
    assert FileJournal(journal.path).begin("a" * 64) is None
    other = journal.begin("b" * 64)
    assert other not in (None, nonce)


def test_nothing_is_begun_where_the_file_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="begun"):
        FileJournal(tmp_path / "no folder" / "begun").begin("a" * 64)


class Deployed:
    """The source of hospitals that remember what they have begun, or do not."""

    def __init__(self, design: Experiment, journals: Path | None) -> None:
        self.design = design
        self.journals = journals

    @property
    def plan(self) -> FederationPlan:
        return self.design.plan

    def site(self, partition: int, round_: int) -> Site:
        own = self.design.truth.sites[partition]
        journal = None if self.journals is None else FileJournal(self.journals / own.name)
        return replace(own, journal=journal)


class Executed(Parties):
    """One execution of a design, in which the aggregator leaves out hospitals; its views."""

    def __init__(self, design: Experiment, journals: Path | None, absent: tuple[str, ...] = ()):
        first = design.plan.first_weights(design.aggregator_key)
        whole = Roster.numbered(design.consortium.names, 1)
        nodes = {name: node for name, node in whole.nodes.items() if name not in absent}
        roster = Roster(nodes, dict.fromkeys(absent, "left out"))
        attack = design.attack_plan
        super().__init__(design.plan, attack, design.aggregator_key, first, roster, [])
        self.ends = list[Concluded]()
        app = hospital_app(Deployed(design, journals))
        apps = dict.fromkeys(nodes.values(), app)
        places = {node: whole.nodes[name] - 1 for name, node in nodes.items()}
        drive([self], LocalGrid(apps, places), lambda _: None)

    def conclude(self, number: int, end: Concluded) -> None:
        self.ends.append(end)
        super().conclude(number, end)

    @property
    def sum(self) -> Weights | None:
        """The sum of the first round."""
        view = self.ends[0].view
        return None if view is None else view.rows[0] * len(view.members[0])


STEADY = (
    *("consortium=heart4", "training.rounds=2", "training.batch_size=1000", "secagg=protocol"),
    *("adversary.n_hostile=0", "secagg.bits=24"),
)


def difference(journals: Path | None) -> tuple[float, Executed]:
    """How far the difference of sums of two executions is from the update of the one left out."""
    design = experiment(*STEADY)
    absent = design.consortium.names[:1]
    whole = Executed(design, journals)
    alone = experiment(*STEADY[:3], *STEADY[4:5], "secagg=none")
    (update,) = [
        row
        for row, group in zip(*_rows(Executed(alone, None)), strict=True)
        if group == tuple(absent)
    ]
    other = Executed(design, journals, tuple(absent))
    if whole.sum is None or other.sum is None:
        return float("inf"), other
    gap = whole.sum - other.sum - update
    return float(np.linalg.norm(gap) / np.linalg.norm(update)), other


def _rows(one: Executed) -> tuple[Weights, tuple[tuple[str, ...], ...]]:
    view = one.ends[0].view
    assert view is not None
    return view.rows, view.members


def test_the_sums_of_two_executions_differ_by_the_update_of_whoever_is_left_out() -> None:
    error, _ = difference(None)
    assert error < 1e-3  # what rounding to whole steps makes of the update


def test_a_hospital_that_remembers_its_plans_takes_part_in_one_execution(tmp_path: Path) -> None:
    error, second = difference(tmp_path)
    assert error == float("inf")
    for end in second.ends:
        asked = {name: why(end, name) for name in end.screened}
        begun = f"keys: {SENTENCES['begun']}"
        assert {reason for reason in asked.values() if "left out" not in reason} == {begun}
    other = experiment(*STEADY, "training.lr=0.05")
    assert Executed(other, tmp_path).sum is not None


def test_trips_of_one_execution_have_one_key_and_those_of_another_have_another(
    tmp_path: Path,
) -> None:
    design = experiment(*STEADY)
    paths = [tmp_path / str(i) for i in range(2)]
    for path in paths:
        path.mkdir()
    sums = [Executed(design, path) for path in paths]
    assert all(end.view is not None and not end.screened for one in sums for end in one.ends)


# --- the same model in two rounds


@pytest.mark.parametrize("consistency", ["true", "false"])
def test_a_model_that_is_sent_twice_gives_an_update_away_and_is_refused(consistency: str) -> None:
    def twice(one_sum: str) -> tuple[Rehearsal, Concluded, Concluded]:
        words = (f"secagg.one_sum={one_sum}", f"secagg.consistency={consistency}")
        one = Rehearsal(plan_of(*words), is_steady=True)
        first = one.round(1)
        one.vanish = {VICTIM: "train"}
        return one, first, one.round(2, of_model=1)

    one, first, second = twice("false")
    left = total_of(one.plan, first) - total_of(one.plan, second)
    truth = one.total([VICTIM])
    apart = (left - truth).view(np.int32)
    assert np.abs(apart).max() <= len(PLAN.hospitals)  # what rounding draws anew in each round
    assert np.abs(truth.view(np.int32)).mean() > 1000

    one, first, second = twice("true")
    assert first.view is not None
    assert second.view is None
    named = {name: why(second, name) for name in second.screened if name != VICTIM}
    assert set(named.values()) == {f"unmask: {SENTENCES['repeated']}"}
    assert len(named) == 11


def test_the_same_sum_of_a_model_is_unmasked_again_and_later_models_too() -> None:
    one = Rehearsal(PLAN)
    assert one.round(1).view is not None
    assert one.round(2, of_model=1).screened == {}
    one.vanish = {VICTIM: "train"}
    assert one.round(3).view is not None


def test_a_round_that_ends_before_it_unmasks_binds_nobody_to_its_hospitals() -> None:
    one = Rehearsal(PLAN, vanish=dict.fromkeys(PLAN.hospitals[:5], "train"))
    assert one.round(1).view is None
    one.vanish = {}
    assert one.round(2, of_model=1).screened == {}


def test_a_model_that_is_nearly_the_same_is_not_recognized() -> None:
    """Why the table states what an aggregator derives over two rounds, as the docs do."""
    one = Rehearsal(PLAN, is_steady=True)
    first = one.round(1)
    one.vanish = {VICTIM: "train"}
    second = one.round(2)  # of another model, and hospitals train as before
    left = (total_of(PLAN, first) - total_of(PLAN, second)).view(np.int32)
    assert np.abs(left - one.total([VICTIM]).view(np.int32)).max() <= len(PLAN.hospitals)
    assert REFUSED not in str(second.screened)
