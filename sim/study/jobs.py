"""The jobs of a command: Hydra composes their configurations, and nothing else of Hydra runs.

``hydra.main`` would act on what a configuration states of callbacks, logging, environment
variables, launchers and sweepers. A job here is its composed configuration, the folder that
``hydra.run.dir`` or ``hydra.sweep.dir`` names, and a call of the command. All jobs of a sweep are
composed and checked before the first one runs.
"""

from __future__ import annotations

import itertools
import math
import os
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hydra import version
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, open_dict

from sim.config import guard, mappings, stacks
from sim.config.choices import groups, options
from sim.config.composition import composed
from sim.config.copies import copied
from sim.config.words import LAUNCHER
from sim.errors import InputError

MOST_JOBS = 10_000  # of a sweep

Task = Callable[[DictConfig], None]
Check = Callable[[DictConfig], object]  # raises InputError; what it returns goes to the launcher
# the numbers of jobs in the order in which they can run
Order = Callable[[Sequence[object], DictConfig], Iterable[int]]


@dataclass(frozen=True)
class Command:
    """One command: the task for a configuration, the check of one, and its launchers by name."""

    task: Task
    check: Check
    launchers: Mapping[str, Order]


def described(config_name: str, asked: Namespace) -> str:
    """The configuration that the words describe, and what there is to choose (``--help``)."""
    with _hydra(asked.config_dir):
        config = _composed(config_name, [_line(one) for one in _parsed(asked)])
        head = f"{_offered()}\nValues (set any with KEY=VALUE):\n\n" if asked.help else ""
        shown = OmegaConf.masked_copy(config, ["hydra"]) if asked.cfg == "hydra" else config
        with open_dict(shown):
            if asked.cfg != "hydra" and asked.cfg != "all":
                del shown["hydra"]
        return head + OmegaConf.to_yaml(shown, resolve=asked.resolve)


def main(config_name: str, asked: Namespace, command: Command) -> Path | None:
    """Run the task for the configuration of the words, or for each job of a sweep (``-m``).

    Returns the folder of a sweep, else None. The words, and the folder of ``--config-dir``, are
    checked already (``sim.config.words``, ``sim.config.foreign``). Raises ``InputError`` before any
    job runs if one of them is wrong.
    """
    if not asked.multirun:
        one(config_name, asked, command.task)
        return None
    with _hydra(asked.config_dir):
        return _sweep(config_name, _parsed(asked), command)


def one(config_name: str, asked: Namespace, task: Task, folder: Path | None = None) -> None:
    """Run the task for the configuration of the words, which ask for no sweep.

    ``folder``: of its results, in place of the one that the configuration names.
    """
    with _hydra(asked.config_dir):
        config = _composed(config_name, [_line(word) for word in _parsed(asked)])
        place = str(config.hydra.run.dir) if folder is None else str(folder)
        with _current(config, place) as own:
            task(own)


def _parsed(asked: Namespace) -> list[Override]:
    found = guard.parsed(asked.overrides)
    stacks.make_asked(found)
    return found


def _sweep(config_name: str, parsed: Sequence[Override], command: Command) -> Path:
    configs = list[DictConfig]()
    checked = list[object]()
    for number, words in enumerate(_jobs(parsed)):
        config = _composed(config_name, words)
        with open_dict(config):
            config.hydra.job.num = number
            config.hydra.job.id = str(number)
        if configs:  # the same time in the names of all folders
            OmegaConf.copy_cache(from_config=configs[0], to_config=config)
        configs.append(config)
        with _current(config, _folder(config)) as own:
            checked.append(command.check(own))
    launcher = configs[0].hydra.runtime.choices[LAUNCHER]
    if launcher not in command.launchers:
        expected = f"expected {' or '.join(command.launchers)} with this command"
        raise InputError(LAUNCHER, launcher, expected)
    for number in command.launchers[launcher](checked, configs[0]):
        with _current(configs[number], _folder(configs[number])) as own:
            command.task(own)
    return Path(configs[0].hydra.sweep.dir).absolute()


def one_by_one(checked: Sequence[object], _: DictConfig) -> Iterable[int]:
    """The order of ``hydra/launcher=basic``."""
    return range(len(checked))


BASIC: Final[dict[str, Order]] = {"basic": one_by_one}


def _jobs(parsed: Sequence[Override]) -> Iterator[list[str]]:
    """The words of each job of a sweep."""
    choices = [
        list(itertools.islice(one.sweep_string_iterator(), MOST_JOBS + 1))
        if one.is_sweep_override()
        else []
        for one in parsed
    ]
    if math.prod(max(1, len(values)) for values in choices) > MOST_JOBS:
        asked = " ".join(_line(one) for one in parsed)
        raise InputError("-m", asked, f"expected a sweep of at most {MOST_JOBS:,} jobs")
    words = [
        [f"{one.get_key_element()}={value}" for value in values] if values else [_line(one)]
        for one, values in zip(parsed, choices, strict=True)
    ]
    yield from (list(job) for job in itertools.product(*words))


def _composed(config_name: str, words: list[str]) -> DictConfig:
    with guard.hydra_errors():
        config = composed(config_name, words, with_hydra=True)
    guard.check(config, words)
    mappings.replace(config, words)
    return config


def _folder(config: DictConfig) -> str:
    return os.path.join(str(config.hydra.sweep.dir), str(config.hydra.sweep.subdir))


def _line(one: Override) -> str:
    assert one.input_line is not None
    return one.input_line


@contextmanager
def _hydra(config_dir: str | None) -> Iterator[None]:
    """Hydra on ``conf``, and after it on a folder of further choices."""
    version.setbase("1.3")
    path = create_config_search_path("pkg://conf")
    if config_dir is not None:
        folder = f"file://{os.path.abspath(config_dir)}"
        path.prepend(provider=guard.FOREIGN, path=folder, anchor=SearchPathQuery(provider="schema"))
    GlobalHydra.instance().clear()
    Hydra.create_main_hydra2(task_name="wardround", config_search_path=path)
    try:
        yield
    finally:
        GlobalHydra.instance().clear()


@contextmanager
def _current(config: DictConfig, folder: str) -> Iterator[DictConfig]:
    """The configuration without Hydra's own part, which ``HydraConfig.get()`` gives in this block.

    ``folder`` is its ``runtime.output_dir``.
    """
    before = HydraConfig.instance().cfg
    OmegaConf.set_readonly(config.hydra, False)
    with open_dict(config):
        config.hydra.runtime.output_dir = os.path.abspath(folder)
    HydraConfig.instance().set_config(config)
    own = copied(config)
    with open_dict(own):
        del own["hydra"]
    try:
        yield own
    except OSError as error:
        raise _of_folder(error, os.path.abspath(folder)) from error
    finally:
        HydraConfig.instance().cfg = before


def _of_folder(error: OSError, folder: str) -> Exception:
    """The error as wrong input, if the folder is what it is about; else the error itself."""
    about = os.path.abspath(error.filename) if isinstance(error.filename, str) else folder
    if error.errno is None or os.path.commonpath([about, folder]) not in (about, folder):
        return error
    expected = f"expected a folder that can be written ({error.strerror})"
    return InputError("hydra.run.dir", Path(about), expected)


def _offered() -> str:
    lines = [f"  {group}: {', '.join(options(group))}" for group in groups()]
    return "\n".join(["Choices (set with GROUP=NAME):\n", *lines])
