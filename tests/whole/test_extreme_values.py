"""Any number that a parameter of ``conf/`` may be set to ends in a record or in one line, at its
largest and at its least.
"""

from __future__ import annotations

import copy
import json
from contextlib import suppress
from dataclasses import fields
from functools import cache

import pytest

from sim import evidence, limits
from sim.errors import InputError
from sim.evidence import plausible
from sim.kinds import find
from sim.study import compose
from sim.study.experiment import Experiment, load
from sim.study.run import run_together
from tests.federation import experiment
from tests.toolbox import HAS_ART, OF_ART

BASE = (
    "consortium=synthetic", "consortium.n_hospitals=10", "consortium.n_records=20",
    "consortium.n_features=3", "model=logistic", "training.rounds=2", "training.local_steps=2",
    "training.batch_size=8",
)  # fmt: skip
DESIGNS = (
    ("adversary.n_hostile=2",),
    ("adversary.n_hostile=1",),
    ("adversary.n_hostile=2", "secagg=protocol"),
    ("model=mlp",),
    ("adversary.n_hostile=2", "aggregator.root=hospital_01"),
)
SHORT = {
    "inverting_gradients": ("attack.inverting_gradients.iterations=3",),
    "tableak": ("attack.tableak.iterations=2", "attack.tableak.refinements=1"),
}
LISTS = ("attack", "steps")
GROUPS = ("attack", "steps", "aggregator", "server_optimizer", "secagg", "dp", "hardening")
EXTREMES = (limits.LARGEST_FLOAT, -limits.LARGEST_FLOAT, 1e-37, 5e-324)


@pytest.fixture(autouse=True)
def _no_search_for_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Finding the noise for an epsilon, and the epsilon of a noise, takes seconds and is tested
    elsewhere.
    """
    monkeypatch.setattr("clients.accounting.calibrated", lambda *_: 1.0)
    monkeypatch.setattr("clients.accounting.spent", lambda *_: 1.0)


@cache
def composed(group: str, name: str) -> Experiment:
    word = f"{group}=[{name}]" if group in LISTS else f"{group}={name}"
    if name == "attribute_inference":  # hides a category
        return experiment("consortium=heart4", *BASE[4:], word)
    short = SHORT.get(name, ())
    for design in DESIGNS[:-1]:
        with suppress(InputError):
            return experiment(*BASE, word, *short, *design)
    return experiment(*BASE, word, *short, *DESIGNS[-1])


def extremes(group: str) -> tuple[list[Experiment], list[str]]:
    """The runs with one parameter of one plug-in of the group at an extreme value, and the reasons
    of those refused.
    """
    taken, refused = list[Experiment](), list[str]()
    for name in compose.options(group):
        if name == "none" or (name in OF_ART and not HAS_ART):
            continue
        config = {
            key: value for key, value in composed(group, name).config.items() if key != "label"
        }
        node = dict(config[group])[name] if group in LISTS else config[group]
        if "_target_" not in node:  # it stands for two others
            continue
        for field in fields(find(group, node["_target_"])):
            for value in EXTREMES:
                changed = copy.deepcopy(config)
                (dict(changed[group])[name] if group in LISTS else changed[group])[field.name] = (
                    value
                )
                try:
                    taken.append(load(changed, f"{name}.{field.name}={value:g}"))
                except InputError as error:
                    refused.append(str(error))
    return taken, refused


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("group", GROUPS)
def test_every_extreme_value_ends_in_a_record_or_in_one_line(group: str) -> None:
    taken, refused = extremes(group)
    assert refused
    assert all(line.isprintable() and len(line) < 400 for line in refused)
    for record in run_together(taken) if taken else []:
        assert plausible.implausible(record) is None, record.defense
        line = json.dumps(record.model_dump(mode="json"), allow_nan=False)
        assert evidence.RunRecord.model_validate_json(line) == record


@pytest.mark.parametrize("value", ["1e38", "1e308", "-1e308"])
@pytest.mark.parametrize(
    "word", ["attack.sign_flip.scale", "server_optimizer.lr", "aggregator.tau", "training.lr"]
)
def test_what_float32_cannot_hold_is_one_line(word: str, value: str) -> None:
    chosen = (
        "attack=[sign_flip]",
        "server_optimizer=fedadam",
        "aggregator=centered_clipping",
        "adversary.n_hostile=1",
    )
    with pytest.raises(InputError, match=r"expected a finite number of at most 1e\+37$") as refused:
        experiment(*BASE, *chosen, f"{word}={value}")
    assert str(refused.value).startswith(word)
