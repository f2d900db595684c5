"""Where models train: the processor, or a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING

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
        raise InputError("device", name, "expected auto or cpu, because torch finds no CUDA GPU here")
    return torch.device("cuda" if found and name != "cpu" else "cpu")


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute on one thread of the processor: on small models more of them only wait."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def float32_convolutions() -> Iterator[None]:
    """Let a GPU convolve in float32, in the same order at each call; by default it rounds to TF32."""
    import torch

    with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
        yield
