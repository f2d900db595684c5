"""The plan of a command's words: its overrides, and the experiments that they ask for."""

from __future__ import annotations

from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from sim import limits
from sim.config.overrides import unforced
from sim.study import compose
from sim.study.compose import Refused
from sim.study.experiment import Experiment
from sim.types import Node


def overrides() -> list[str]:
    """The overrides of the current job, as they were given."""
    words = OmegaConf.to_container(HydraConfig.get().overrides.task)
    return [unforced(str(word)) for word in words or ()]


def planned(values: Node) -> tuple[list[Experiment], list[Refused]]:
    """The experiments of a comparison with these ``values``, and the cells that are left out."""
    words = overrides()
    attacks = compose.names("attacks", values.get("attacks") or ["none"])
    defenses = compose.names("defenses", values.get("defenses") or ["none"])
    compose.only_lists(words)
    numbers = compose.hostile_numbers(values["adversary"]["n_hostile"])
    seeds = compose.seeds(values.get("seeds"), values.get("seed"))
    limits.check_runs((len(attacks) + 1) * (len(defenses) + 1) * len(numbers or [0]), len(seeds))
    return compose.planned(words, compose.cells(attacks, defenses, numbers, words), seeds)
