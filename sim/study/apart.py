"""A call from a session that goes on: what is global in a process is after it as it was before."""

from __future__ import annotations

import gc
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock
from typing import Final

from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.version import VersionBase
from omegaconf.basecontainer import BaseContainer

from sim.config import stacks
from sim.plugins import CHOSEN
from sim.study import designs, experiment, processes

ONE: Final = RLock()  # Hydra's state belongs to the process: calls of other threads wait
OWN: Final = (ConfigStore, GlobalHydra, HydraConfig, VersionBase)  # singletons that a call has anew
OF_HYDRA: Final = ("hydra", "_dummy_empty_config_.yaml")  # what Hydra itself stores in ConfigStore


@contextmanager
def apart() -> Iterator[None]:
    """Hydra, chosen packages, warnings and processes are after this block as they were before.

    Data are read anew in it. One thread at a time is in such a block. Raises ``InputError`` in a
    worker process that imports its starter's script.
    """
    processes.check_main()
    with (
        ONE,
        _hydra(),
        _packages(),
        _collection(),
        processes.lent(),
        warnings.catch_warnings(),
    ):
        experiment.forget()
        designs.forget()
        yield


@contextmanager
def _hydra() -> Iterator[None]:
    """Hydra as new in this block, without what the session has initialized or registered."""
    singletons = Singleton._instances
    resolvers = BaseContainer._resolvers
    made = set(stacks.MADE)
    stored = ConfigStore.instance().repo
    Singleton._instances = {kind: one for kind, one in singletons.items() if kind not in OWN}
    BaseContainer._resolvers = dict(resolvers)
    stacks.MADE.clear()
    ConfigStore.instance().repo = {name: stored[name] for name in OF_HYDRA}
    try:
        yield
    finally:
        Singleton._instances = singletons
        BaseContainer._resolvers = resolvers
        stacks.MADE.clear()
        stacks.MADE.update(made)


@contextmanager
def _packages() -> Iterator[None]:
    """The packages that ``plugins=`` chooses in this block are trusted in it alone."""
    before = os.environ.get(CHOSEN)
    try:
        yield
    finally:
        os.environ.pop(CHOSEN, None)
        if before is not None:
            os.environ[CHOSEN] = before


@contextmanager
def _collection() -> Iterator[None]:
    """What the session keeps from Python's search for cycles stays so; runs end that for all."""
    frozen = gc.get_freeze_count()
    try:
        yield
    finally:
        if frozen:
            gc.freeze()
