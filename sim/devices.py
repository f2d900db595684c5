"""The place where models train: the processor, on how many threads of it, or a GPU."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING

from threadpoolctl import ThreadpoolController

from sim.errors import InputError

if TYPE_CHECKING:
    import torch


@lru_cache(maxsize=3)
def device(name: str) -> torch.device:
    """The torch device of ``device=name``; ``auto`` is a CUDA GPU if there is one.

    Raises ``InputError`` for a GPU that is not there.
    """
    import torch

    found = torch.cuda.is_available()
    if name == "cuda" and not found:
        expected = "expected auto or cpu, because torch finds no CUDA GPU here"
        raise InputError("device", name, expected)
    return torch.device("cuda" if found and name != "cpu" else "cpu")


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch, BLAS and OpenMP compute on one thread of the processor each inside this block.

    The models are small: more threads only wait for each other, and take the cores from other runs.
    Digits depend on how a product is shared out, so they are the same wherever a run is started
    from. Blocks may be nested; after each of them the numbers of threads are as before it.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with _libraries(len(sys.modules)).limit(limits=1):
            yield
    finally:
        torch.set_num_threads(before)


@lru_cache(maxsize=1)
def _libraries(_n_modules: int) -> ThreadpoolController:
    """The libraries with threads of their own, searched again once more modules are imported.

    The search takes milliseconds.
    """
    return ThreadpoolController()


@contextmanager
def float32_convolutions() -> Iterator[None]:
    """A GPU convolves in float32 inside this block, in one order; by default it rounds to TF32."""
    import torch

    with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
        yield
