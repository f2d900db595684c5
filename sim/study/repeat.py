"""The command that repeats a folder's results, without the words that state where to write."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from sim.config import stacks
from sim.config.guard import FOREIGN
from sim.config.words import flags

# the folders of results, and the mode that -m sets
WHERE = ("hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir", "hydra.mode")
OF_SWEEPS = ("hydra/launcher", "hydra.launcher")  # keys that one job has no use for


def of_job(command: str, task: Sequence[str]) -> str:
    """The command of the job that Hydra is running; a job of a sweep is repeated alone.

    ``task``: the overrides of the job.
    """
    hydra = HydraConfig.get()
    given = OmegaConf.to_container(hydra.overrides.hydra)  # as written: not resolved
    left_out = (*WHERE, *OF_SWEEPS)
    words = [str(word) for word in given or () if not _is_one_of(str(word), left_out)]
    places = [source.path for source in hydra.runtime.config_sources if source.provider == FOREIGN]
    return _line(command, places[0] if places else None, [*task, *words])


def of_words(command: str, words: Sequence[str]) -> str:
    """The command that these words of a command line were."""
    given = flags(words)
    overrides = [word for word in given.overrides if not _is_one_of(word, WHERE)]
    mode = ["-m"] if given.multirun else []
    return _line(command, given.config_dir, [*mode, *overrides])


def _line(command: str, config_dir: str | None, words: Sequence[str]) -> str:
    folder = [] if config_dir is None else ["--config-dir", str(Path(config_dir).absolute())]
    return shlex.join(["wardround", command, *folder, *words])


def _is_one_of(word: str, keys: Sequence[str]) -> bool:
    key = stacks.key_of(word)
    return any(key == one or key.startswith(f"{one}.") for one in keys)
