"""The command that repeats what a folder holds: every flag and override that matters, and none that says where to write."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import OmegaConf

from sim import stacks

WHERE = ("hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir", "hydra.mode")  # where results are written, and what -m sets
OF_SWEEPS = ("hydra/launcher", "hydra.launcher", "hydra/sweeper", "hydra.sweeper")  # what one job has no need of


def of_job(command: str, task: Sequence[str]) -> str:
    """The command of the job that Hydra is running; ``task``: its overrides. A job of a sweep is repeated alone."""
    hydra = HydraConfig.get()
    left = WHERE if hydra.mode == RunMode.RUN else (*WHERE, *OF_SWEEPS)
    given = OmegaConf.to_container(hydra.overrides.hydra)  # as written: not resolved
    words = [str(word) for word in given or () if not _is_one_of(str(word), left)]
    places = [source.path for source in hydra.runtime.config_sources if source.provider == "command-line"]
    return _line(command, places[0] if places else None, [*task, *words])


def of_words(command: str, words: Sequence[str]) -> str:
    """The command that these words of a command line were."""
    given = get_args_parser().parse_args(list(words))
    overrides = [word for word in given.overrides if not _is_one_of(word, WHERE)]
    return _line(command, given.config_dir, [*(["-m"] if given.multirun else []), *overrides])


def _line(command: str, config_dir: str | None, words: Sequence[str]) -> str:
    flags = [] if config_dir is None else ["--config-dir", str(Path(config_dir).absolute())]
    return shlex.join(["wardround", command, *flags, *words])


def _is_one_of(word: str, keys: Sequence[str]) -> bool:
    key = stacks.key_of(word)
    return any(key == one or key.startswith(f"{one}.") for one in keys)
