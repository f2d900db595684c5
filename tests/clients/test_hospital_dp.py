"""Hospital-level privacy: the epsilon that is claimed is that of the noise that is really added."""

import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dp_accounting
import numpy as np
import pytest
from dp_accounting.pld import privacy_loss_distribution
from dp_accounting.rdp import RdpAccountant
from scipy.optimize import brentq
from scipy.special import log_ndtr, ndtr

from clients.accounting import Terms, spent
from clients.app import hospital_app
from clients.hospital_dp import HospitalDP
from clients.local_dp import LocalDP
from reports.text.findings import outweighed
from sim.errors import InputError, UndefinedError
from sim.evidence import RunRecord
from sim.federation.observing import Ended, Findings, Round, Subject
from sim.federation.rounds import Weights
from sim.kinds import Averaging
from sim.seeds import stream
from sim.study.experiment import Experiment
from sim.study.run import run, run_together
from sim.types import View
from tests.federation import experiment, plan

DELTA = 1e-5
SMALL = ("consortium=heart4", "model=logistic", "training.rounds=3", "training.local_steps=2")
HOSPITALS = (304, 293, 123, 200)  # records of heart4's
FOUR = Averaging(
    n_hospitals=4, n_params=30, rounds=20, least=1, is_mean=True, hides=False, masked=False, step=0
)
MASKED = Averaging(
    n_hospitals=4,
    n_params=4417,
    rounds=20,
    least=3,
    is_mean=True,
    hides=True,
    masked=True,
    step=2.0**-20,
)
ENGINES: dict[str, Callable[..., RunRecord]] = {
    "lockstep": lambda design, **more: run_together([design], **more)[0],
    "one by one": lambda design, **more: run(design, app=hospital_app, **more),
}
each_engine = pytest.mark.parametrize("engine", ENGINES)


def private(**changes: Any) -> HospitalDP:
    """Hospital-level privacy with noise of 10, and other values where they are given."""
    given = {"target_epsilon": None, "noise_multiplier": 10.0, "clip": 1.0, "delta": DELTA}
    return HospitalDP(**{**given, **changes})


def gaussian(mu: float, delta: float = DELTA) -> float:
    """Epsilon of Gaussians of deviation 1 that are ``mu`` apart (Balle and Wang 2018)."""

    def excess(epsilon: float) -> float:
        other = log_ndtr(-epsilon / mu - mu / 2)
        return float(ndtr(-epsilon / mu + mu / 2) - math.exp(epsilon + other) - delta)

    return float(brentq(excess, 0, 200))


@dataclass
class Nothing:
    """No state."""


class Watch:
    """An observer that holds all rounds."""

    seen: list[Round]

    def __init__(self, _: Subject) -> None:
        self.state = Nothing()  # of which nothing is stored
        self.seen = []

    def start(self, weights: Weights) -> None:
        """Nothing."""

    def round(self, seen: Round) -> None:
        """Hold the round."""
        self.seen.append(seen)

    def findings(self, ended: Ended) -> Findings:
        """Nothing."""
        return Findings()


def watched(design: Experiment, engine: str = "lockstep") -> tuple[RunRecord, list[Round]]:
    """The record of a run, and its rounds."""
    watches = list[Watch]()

    def watch(subject: Subject) -> Watch:
        watches.append(Watch(subject))
        return watches[-1]

    record = ENGINES[engine](design, observers=(watch,))
    return record, watches[0].seen


# --- what is claimed


def test_full_participation_spends_what_the_closed_form_states() -> None:
    found = private().epsilon(FOUR, 20)
    assert found == pytest.approx(1.760, abs=0.005)
    assert found == pytest.approx(gaussian(math.sqrt(20) / 10), rel=1e-3)
    twice = private(relation="replace").epsilon(FOUR, 20)
    assert twice == pytest.approx(gaussian(2 * math.sqrt(20) / 10), rel=1e-3)


@pytest.mark.parametrize("target", [0.1, 1.0, 8.0])
@pytest.mark.parametrize("noise", ["server", "distributed"])
def test_a_target_is_met_and_hardly_undercut(target: float, noise: str) -> None:
    dp = private(target_epsilon=target, noise_multiplier=None, noise=noise)
    averaging = FOUR if noise == "server" else MASKED
    assert target * 0.995 <= dp.epsilon(averaging, 20) <= target


def test_unequal_weights_are_accounted_for_with_the_largest() -> None:
    """Flower divides the noise by the number of hospitals, and averages by record counts."""
    dp = private()
    largest = max(HOSPITALS) / sum(HOSPITALS)
    deviation = dp.deviation(FOUR, 1.0, largest)
    true = gaussian(math.sqrt(20) * largest / deviation)
    assert dp.epsilon(FOUR, 20) == pytest.approx(true, rel=1e-3)
    flowers = 10.0 * 1.0 / len(HOSPITALS)
    assert gaussian(math.sqrt(20) * (1 / len(HOSPITALS)) / flowers) == pytest.approx(1.76, abs=0.01)
    assert gaussian(math.sqrt(20) * largest / flowers) == pytest.approx(2.40, abs=0.01)


@pytest.mark.parametrize("weighting", ["uniform", "count"])
def test_a_run_adds_noise_for_its_largest_weight(weighting: str) -> None:
    noise = ("dp=hospital", "dp.target_epsilon=null", "dp.noise_multiplier=10", "dp.clip=0.2")
    words = (*SMALL, *noise, f"aggregator.weighting={weighting}", "training.rounds=20")
    record, rounds = watched(experiment(*words))
    assert record.value("hospital_epsilon") == pytest.approx(1.760, abs=0.005)
    for seen in rounds:
        shares = seen.aggregated.shares
        released = seen.aggregated.released
        assert shares is not None
        assert released is not None
        largest = max(shares.values())
        assert (largest > 0.3) == (weighting == "count")
        mu = math.sqrt(20) * 0.2 * largest / released.deviation
        assert gaussian(mu) == pytest.approx(1.760, abs=0.005)


@pytest.mark.parametrize("relation", ["zero_out", "replace"])
@pytest.mark.parametrize("honest", [1.0, 0.7])
def test_distributed_noise_spends_what_an_accountant_of_the_discrete_mechanism_states(
    relation: str, honest: float
) -> None:
    dp = private(noise="distributed", honest=honest, relation=relation)
    n_honest = math.floor(honest * MASKED.least)
    own = (
        dp.deviation(MASKED, 1.0, 1 / 4) * 4 / math.sqrt(4) / MASKED.step
    )  # a hospital's, in steps
    moved = 1.0 / MASKED.step + math.sqrt(MASKED.n_params)
    moved *= 2 if relation == "replace" else 1
    claimed = dp.epsilon(MASKED, 20)
    # discrete Gaussians are as concentrated as Gaussians (Canonne et al. 2020, Theorem 4)
    rho = moved**2 / (2 * n_honest * own**2)
    orders = (1 + np.geomspace(1e-3, 1e4, 2000)).tolist()
    accountant = RdpAccountant(orders)
    accountant.compose(dp_accounting.ZCDpEvent(rho), 20)
    assert claimed == pytest.approx(accountant.get_epsilon(DELTA), rel=1e-3)
    # where one coordinate moves, the losses of the discrete mechanism themselves; smaller, as all
    # that Renyi divergences tell is a bound
    scale = 100
    one = privacy_loss_distribution.from_discrete_gaussian_mechanism(
        math.sqrt(n_honest) * own / moved * scale, sensitivity=scale
    )
    exact = one.self_compose(20).get_epsilon_for_delta(DELTA)
    assert 0.85 * claimed < exact < claimed


def test_fewer_honest_hospitals_make_each_add_more() -> None:
    shares = [
        private(noise="distributed", honest=honest).deviation(MASKED, 1.0, 1 / 4)
        for honest in (1.0, 0.67, 0.34)
    ]
    assert shares[1] == pytest.approx(shares[0] * math.sqrt(3 / 2))
    assert shares[2] == pytest.approx(shares[0] * math.sqrt(3))


# --- what is done


def test_the_aggregator_clips_what_hostile_hospitals_send() -> None:
    rows = stream(0, "test").normal(size=(4, 30)).astype(np.float32) * [[1e-3], [1], [50], [1e6]]
    members = tuple((name,) for name in "abcd")
    view = private().clipped(View(rows, members), 2.0)
    lengths = np.linalg.norm(view.rows, axis=1)
    assert lengths[0] == pytest.approx(np.linalg.norm(rows[0]))
    assert lengths[1:] == pytest.approx([2.0, 2.0, 2.0])


@each_engine
def test_the_noise_has_the_deviation_that_is_stated(engine: str) -> None:
    words = ("consortium=heart4", "training.rounds=1", "dp=hospital", "dp.target_epsilon=null")
    means = list[np.ndarray]()
    for multiplier in (0.02, 3.02):
        design = experiment(*words, f"dp.noise_multiplier={multiplier}", "dp.clip=0.05")
        _, (seen,) = watched(design, engine)
        released = seen.aggregated.released
        assert released is not None
        assert released.view is not None
        means.append(released.view.rows[0])
        assert np.array_equal(seen.aggregated.aggregate, released.view.rows[0])
        assert seen.readable is released.view
    noise = means[1] - means[0]
    assert noise.std() == pytest.approx(3.0 * 0.05 / 4, rel=0.05)
    assert np.linalg.norm(means[0] - noise * 0.02 / 3) <= 0.05


def test_shares_of_noise_add_up_to_the_deviation_that_is_stated() -> None:
    words = ("consortium=heart4", "training.rounds=1", "secagg=protocol", "dp=hospital")
    more = ("dp.noise=distributed", "dp.target_epsilon=null", "dp.clip=0.05")
    means = list[np.ndarray]()
    deviations = list[float]()
    for multiplier in (1e-3, 3.0):
        design = experiment(*words, *more, f"dp.noise_multiplier={multiplier}")
        record, (seen,) = watched(design)
        assert seen.aggregated.view is not None
        means.append(seen.aggregated.view.rows[0])
        assert record.noised is not None
        deviations += record.noised.deviation
    noise = means[1] - means[0]
    assert noise.std() == pytest.approx(deviations[1], rel=0.05)
    # three of at least three add theirs; four did
    assert deviations[1] == pytest.approx(3.0 * 0.05 * math.sqrt(4 / 3) / 4, rel=0.01)
    assert record.engagement.defense_engaged


def test_the_noise_of_each_round_and_run_is_another() -> None:
    words = (*SMALL, "dp=hospital", "dp.clip=1e-10")
    _, rounds = watched(experiment(*words))
    _, others = watched(experiment(*words, "seed=1"))
    noises = [seen.aggregated.aggregate for seen in (*rounds, *others)]
    angles = np.corrcoef(np.array(noises))
    assert np.abs(angles[~np.eye(len(noises), dtype=bool)]).max() < 0.7
    assert len({noise.tobytes() for noise in noises if noise is not None}) == len(noises)


def test_both_engines_release_the_same() -> None:
    design = experiment(*SMALL, "dp=hospital")
    both = [watched(design, engine)[1][-1].after for engine in ENGINES]
    assert both[0] == pytest.approx(both[1], abs=1e-5)


# --- the clip that follows a quantile


@pytest.mark.parametrize("start", [0.1, 10.0])
@pytest.mark.parametrize("quantile", [0.5, 0.8])
def test_the_clip_reaches_its_quantile_from_both_sides(start: float, quantile: float) -> None:
    """Flower's moves away from it: from 0.1 to 0.00025, from 10 to 4034."""
    lengths = np.linspace(0.5, 1.25, 24)
    rows = np.zeros((24, 30))
    rows[:, 0] = lengths
    view = View(rows, tuple((str(i),) for i in range(24)))
    dp = private(clip=start, quantile=quantile, noise_multiplier=0.1)
    clip = start
    for number in range(60):
        clip = dp.following(clip, view, FOUR, stream(0, "count", number))
    assert clip == pytest.approx(np.quantile(lengths, quantile), rel=0.1)


@pytest.mark.parametrize("start", [0.1, 10.0])
def test_in_a_run_the_clip_reaches_the_median_length(start: float) -> None:
    words = ("consortium=heart12", "model=logistic", "training.rounds=60", "dp=hospital")
    noise = ("dp.target_epsilon=null", "dp.noise_multiplier=0.1", "training.lr=0.05")
    clip = (f"dp.clip={start}", "dp.quantile=0.5")
    record, rounds = watched(experiment(*words, *noise, *clip))
    assert record.noised is not None
    assert record.noised.clip[0] == start
    last = rounds[-1].aggregated.view
    assert last is not None
    medians = [
        float(np.median(np.linalg.norm(seen.aggregated.view.rows, axis=1)))
        for seen in rounds[-10:]
        if seen.aggregated.view is not None
    ]
    assert record.noised.clip[-1] == pytest.approx(np.mean(medians), rel=0.1)


def test_counts_and_means_together_spend_what_is_claimed() -> None:
    """Both are Gaussian: their precisions add up (Andrew et al. 2021, Theorem 1)."""
    dp = private(quantile=0.5, count_share=0.3)
    of_mean = 1 / (dp.deviation(FOUR, 1.0, 0.25) / 0.25)
    # a count of halves above and below moves by a half
    of_count = 0.5 / (10.0 / (2 * math.sqrt(0.3)))
    assert math.hypot(of_mean, of_count) == pytest.approx(1 / 10.0)


@pytest.mark.parametrize(("relation", "instead", "moved"), [("zero_out", 0, 1), ("replace", 9, 2)])
def test_counts_of_neighbors_differ_by_no_more_than_is_accounted_for(
    relation: str, instead: float, moved: float
) -> None:
    """All updates are on one side of the clip, and one is zero instead, or on the other side."""
    dp = private(quantile=0.5, count_share=0.3, noise_multiplier=0.1, relation=relation)
    deviation = 0.1 / (2 * math.sqrt(0.3))
    counts = list[float]()
    for length in (instead, 0.5 if relation == "replace" else 9):
        lengths = np.array([length, 0.5, 0.5, 9, 9])
        view = View(lengths[:, None] * np.eye(5, 30), tuple((name,) for name in "abcde"))
        clip = dp.following(1.0, view, FOUR, stream(0, "count"))
        counts.append(5 * (0.5 - math.log(clip) / 0.2))
    of_count = abs(counts[0] - counts[1]) / deviation
    of_mean = moved / (dp.deviation(FOUR, 1.0, 0.25) / 0.25)
    assert math.hypot(of_mean, of_count) == pytest.approx(moved / 0.1)


# --- what a hospital does itself


def test_one_message_keeps_to_its_epsilon_and_many_compose() -> None:
    dp = LocalDP(message_epsilon=1.0, noise_multiplier=None, clip=0.5, delta=DELTA)
    noise = dp.noise_of(FOUR)
    assert gaussian(2 / noise) == pytest.approx(1.0, rel=1e-6)
    classic = 2 * math.sqrt(2 * math.log(1.25 / DELTA))  # what holds up to an epsilon of 1
    assert noise < classic
    assert dp.epsilon(FOUR, 20) == pytest.approx(gaussian(2 * math.sqrt(20) / noise), rel=2e-3)
    given = LocalDP(message_epsilon=None, noise_multiplier=noise, clip=0.5, delta=DELTA)
    assert given.single_epsilon == pytest.approx(1.0, rel=2e-3)


@each_engine
def test_what_a_hospital_sends_is_clipped_and_noised_before_any_rule(engine: str) -> None:
    words = ("consortium=heart4", "training.rounds=1", "dp=local", "aggregator=median")
    noise = ("dp.message_epsilon=null", "dp.clip=0.05")
    rows = list[np.ndarray]()
    for multiplier in (0.02, 2.02):
        design = experiment(*words, *noise, f"dp.noise_multiplier={multiplier}")
        record, (seen,) = watched(design, engine)
        assert seen.aggregated.view is not None
        rows.append(seen.aggregated.view.rows.astype(np.float64))
    noises = rows[1] - rows[0]
    assert np.linalg.norm(rows[0] - noises * 0.01, axis=1).max() <= 0.05 * (1 + 1e-4)
    assert noises.std(axis=1) == pytest.approx(4 * [2.0 * 0.05], rel=0.05)
    assert np.abs(np.corrcoef(noises)[np.triu_indices(4, 1)]).max() < 0.1
    assert record.engagement.defense_engaged
    assert record.value("hospital_epsilon") is not None
    assert {one.unit for one in record.statements} == {"hospital", "hospital's message"}


def test_hostile_hospitals_neither_clip_nor_noise_what_they_send() -> None:
    words = ("consortium=heart4", "training.rounds=1", "dp=local", "dp.clip=1e-3")
    attack = ("attack=[label_flip]", "adversary.n_hostile=1")
    design = experiment(*words, *attack)
    _, (seen,) = watched(design)
    view = seen.aggregated.view
    assert view is not None
    _, (plain,) = watched(experiment(*words[:2], *attack))
    assert plain.aggregated.view is not None
    hostile = design.attack_plan.hostile[0]
    at = [group for (group,) in view.members].index(hostile)
    assert np.array_equal(view.rows[at], plain.aggregated.view.rows[at])
    assert not np.array_equal(view.rows[at - 1], plain.aggregated.view.rows[at - 1])


# --- what is stated


def test_records_and_hospitals_stand_side_by_side() -> None:
    words = (*SMALL, "dp=record_hospital", "dp.record.target_epsilon=4")
    record = run_together([experiment(*words)])[0]
    by_unit = {one.unit: one for one in record.statements}
    assert set(by_unit) == {"record", "hospital"}
    assert by_unit["record"].epsilon == record.value("epsilon") == pytest.approx(4, rel=2e-3)
    assert by_unit["hospital"].epsilon == record.value("hospital_epsilon")
    assert by_unit["hospital"].epsilon == pytest.approx(8, rel=2e-3)
    assert {one.delta for one in record.statements} == {DELTA}
    assert "trusted" in by_unit["hospital"].against
    ratio = record.value("noise_ratio")
    assert ratio is not None
    assert ratio > 1


@pytest.mark.parametrize(
    ("words", "sees"),
    [
        (("dp=hospital",), "trusted to add it"),
        (("dp=hospital", "dp.noise=distributed", "secagg=protocol"), "a share of noise from each"),
        (("dp=local",), "clipped and noised as a whole in the hospital"),
    ],
)
def test_who_sees_updates_without_noise_is_stated(words: tuple[str, ...], sees: str) -> None:
    record = run_together([experiment(*SMALL, *words)])[0]
    lines = {one.party: one.sees for one in record.visibility}
    assert sees in lines["the aggregator"]
    cells = {one.party: one.after for one in record.access}
    assert cells["a hospital"]["sum of all"] == "derives, noised"
    of_aggregator = {
        "server": ("sees", "derives"),
        "distributed": ("derives over 2 rounds, noised", "sees, noised"),
        "hospital": ("sees, noised", "derives, noised"),
    }
    update, whole = of_aggregator[experiment(*SMALL, *words).plan.update_dp.place]
    assert cells["the aggregator"]["single update"] == update
    assert cells["the aggregator"]["sum of all"] == whole


# --- what is refused


REFUSED: dict[str, tuple[str, ...]] = {
    "dp.target_epsilon=0: expected a number of at least 0.001": (
        "dp=hospital",
        "dp.target_epsilon=0",
    ),
    "dp.clip=0: expected a number of at least 1e-10": ("dp=hospital", "dp.clip=0"),
    "dp.clip=100000000000.0: expected a number of at least 1e-10 and at most 1e+10": (
        "dp=hospital",
        "dp.clip=1e11",
    ),
    "dp.clip=-1: expected a number of at least 1e-10": ("dp=local", "dp.clip=-1"),
    "dp.delta=0.25: expected less than 1/4": ("dp=hospital", "dp.delta=0.25"),
    "dp.delta=0.3: expected less than 1/4": ("dp=local", "dp.delta=0.3"),
    "dp.message_epsilon=0: expected a number": ("dp=local", "dp.message_epsilon=0"),
    "dp.server_trusted=False: expected true with noise=server": (
        "dp=hospital",
        "secagg=sum",
        "dp.server_trusted=false",
    ),
    "dp.noise=distributed: expected secagg=protocol": ("dp=hospital", "dp.noise=distributed"),
    "dp.quantile=0.5: expected null with secure aggregation": (
        "dp=hospital",
        "secagg=sum",
        "dp.quantile=0.5",
    ),
    "dp.quantile=0.5: expected null with noise=distributed": (
        "dp=hospital",
        "secagg=protocol",
        "dp.noise=distributed",
        "dp.quantile=0.5",
    ),
    "dp.honest=0.1: expected at least 1/3": (
        "dp=hospital",
        "secagg=protocol",
        "dp.noise=distributed",
        "dp.honest=0.1",
    ),
    "dp.clip=1000: expected less noise, or coarser steps": (
        "dp=hospital",
        "secagg=protocol",
        "dp.noise=distributed",
        "dp.clip=1000",
    ),
    "dp=HospitalDP: expected aggregator=mean and no steps": ("dp=hospital", "aggregator=median"),
    "dp=HospitalDP: expected aggregator=mean and no steps: noise": (
        "dp=hospital",
        "steps=[normalize]",
    ),
    "dp.quantile=1: expected a number above 0 and below 1": ("dp=hospital", "dp.quantile=1"),
    "dp.noise_multiplier=None: expected exactly one": ("dp=hospital", "dp.target_epsilon=null"),
    "dp.noise_multiplier=2: expected exactly one": ("dp=local", "dp.noise_multiplier=2"),
}


@pytest.mark.parametrize("stated", REFUSED)
def test_what_cannot_be_promised_is_refused_before_round_1(stated: str) -> None:
    with pytest.raises(InputError) as refused:
        experiment(*SMALL, *REFUSED[stated])
    assert str(refused.value).startswith(stated)


def test_other_designs_may_allow_what_a_comparison_leaves_out() -> None:
    with pytest.raises(UndefinedError):
        experiment(*SMALL, "dp=hospital", "aggregator=median")


@each_engine
def test_a_run_that_leaves_float32_is_recorded_and_not_lost(engine: str) -> None:
    record = ENGINES[engine](experiment(*SMALL, "dp=hospital", "model=mlp", "training.lr=1e36"))
    assert record.not_finite_from is not None
    assert record.value("hospital_epsilon") is not None
    assert len(record.statements) == 1


def test_the_report_states_what_noise_of_few_hospitals_leaves() -> None:
    words = ["consortium=heart4", "model=logistic", "training.rounds=10", "dp.clip=0.05"]
    records = run_together(plan(words, ["none"], ["none", "dp_hospital"]))
    by_defense = {record.defense: record for record in records}
    noised = by_defense["dp_hospital"]
    ratio = noised.value("noise_ratio")
    left, whole = noised.value("auroc"), by_defense["none"].value("auroc")
    assert ratio is not None
    (text,) = outweighed(records)
    assert text.startswith("Hospital-level DP spends ε = 8.00 of a whole hospital")
    assert f"noise {ratio:.3g} times as long as the longest mean of 4 updates" in text
    assert f"AUROC {left:.3f} against {whole:.3f} without a defense" in text
    assert outweighed([by_defense["none"]]) == []


# --- records of four hospitals


def test_twenty_rounds_on_heart4_spend_most_in_the_smallest_hospital() -> None:
    words = ("consortium=heart4", "model=logistic", "training.rounds=20", "training.batch_size=32")
    noise = ("dp=record", "dp.target_epsilon=null", "dp.noise_multiplier=1.0")
    nearly_all = ("consortium.test_fraction=0.013",)
    record = run_together([experiment(*words, *noise, *nearly_all)])[0]
    assert record.privacy is not None
    of_records = Terms("add_remove", DELTA)
    found = {
        one.hospital: spent(((one.noise_multiplier, one.sample_rate, one.steps),), of_records)
        for one in record.privacy.hospitals
    }
    stated = {"cleveland": 9.97, "hungary": 9.97, "va": 12.14, "switzerland": 16.29}
    assert found == pytest.approx(stated, rel=0.01)
    worst = max(found, key=lambda name: record.value("epsilon", name) or 0)
    assert worst == "switzerland"
    assert record.value("epsilon", worst) == record.value("epsilon")


@pytest.mark.parametrize("words", [("dp=hospital", "dp.delta=0.25"), ("dp=local", "dp.clip=0")])
def test_the_command_line_ends_with_one_line_and_code_2(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    command = [sys.executable, "-m", "sim.cli.command", "run", *SMALL, *words]
    ended = subprocess.run(
        [*command, f"hydra.run.dir={folder}"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
    assert not folder.exists()
