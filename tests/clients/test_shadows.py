"""A federation of an attacker's own making trains as the real one does."""

import numpy as np
import pytest

from clients.shadows import trained
from sim.seeds import stream
from sim.study.experiment import Experiment
from sim.types import Records
from tests.federation import experiment, finished


def pool(of: Experiment) -> tuple[Records, list[str]]:
    sites = of.truth.sites
    features = np.concatenate([site.records.features for site in sites])
    labels = np.concatenate([site.records.labels for site in sites])
    names = [site.name for site in sites for _ in range(len(site.records))]
    return Records(features, labels), names


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("aggregator=median",),
        ("training.max_norm=0.05",),
        ("server_optimizer=fedadam",),
        ("secagg=sum",),
        ("hardening=adversarial", "hardening.share=1.0", "model=logistic"),
    ],
)
def test_of_the_same_records_and_start_it_ends_where_the_run_ends(words: tuple[str, ...]) -> None:
    # one batch holds all records of a hospital, so that no draw is left but the first weights
    of = experiment("consortium=heart4", "training.rounds=3", "training.batch_size=400", *words)
    records, names = pool(of)
    used = np.ones((1, len(records)), dtype=bool)
    (model,) = trained(of.plan, records, names, used, of.aggregator_key.stream("model"))
    ended = finished(of)
    assert np.abs(model - ended.initial).max() > 0.01
    np.testing.assert_allclose(model, ended.weights, atol=2e-5)


def test_a_federation_trains_on_its_own_records_alone() -> None:
    of = experiment("consortium=heart4", "training.rounds=2", "training.batch_size=400")
    records, names = pool(of)
    used = np.zeros((3, len(records)), dtype=bool)
    used[0, ::2] = True
    used[1] = [name == "va" for name in names]
    models = trained(of.plan, records, names, used, stream(3, "shadows"))
    others = Records(records.features.copy(), records.labels.copy())
    others.features[1::2] += 1
    again = trained(of.plan, others, names, used[:1], stream(3, "shadows"))
    first = of.plan.network.initialize(stream(3, "shadows"))
    assert np.abs(models[0] - first).max() > 0.01
    assert models.shape == (3, of.plan.network.n_params)
    assert len({model.tobytes() for model in models}) == 3
    np.testing.assert_array_equal(again.shape, (1, of.plan.network.n_params))
    only = trained(of.plan, records, names, used[:1], stream(3, "shadows"))
    np.testing.assert_array_equal(again, only)


def test_private_federations_are_clipped_and_noised() -> None:
    words = ("consortium=heart4", "training.rounds=1", "dp=record", "dp.target_epsilon=0.1")
    of = experiment(*words)
    records, names = pool(of)
    used = stream(0, "used").random((2, len(records))) < 0.5
    plain = experiment(*words[:2]).plan
    noisy = trained(of.plan, records, names, used, stream(1, "shadows"))
    clear = trained(plain, records, names, used, stream(1, "shadows"))
    first = of.plan.network.initialize(stream(1, "shadows"))
    moved, usual = (np.linalg.norm(one[0] - first) for one in (noisy, clear))
    assert moved > 2 * usual
