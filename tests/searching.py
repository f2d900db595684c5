"""The search for a secret in values and in bytes, however it is written down."""

from dataclasses import is_dataclass
from typing import Any

from pydantic import BaseModel


def reached(value: Any, seen: set[int]) -> list[Any]:
    """The value and everything that it holds, at any depth."""
    if id(value) in seen:
        return []
    seen.add(id(value))
    parts: list[Any] = []
    if is_dataclass(value) or isinstance(value, BaseModel):
        parts = list(vars(value).values()) if hasattr(value, "__dict__") else []
    elif isinstance(value, dict):
        parts = [*value.keys(), *value.values()]
    elif isinstance(value, (list, tuple, set, frozenset)):
        parts = list(value)
    return [value, *(found for part in parts for found in reached(part, seen))]


def encodings(number: int) -> list[bytes]:
    """A number as it may be written: decimal, hex, and bytes in both orders."""
    size = (number.bit_length() + 7) // 8
    texts = [str(number), f"{number:x}", f"{number:X}", f"{number:_}", f"{number:,}"]
    raw = [number.to_bytes(n, order) for n in {size, max(size, 8)} for order in ("little", "big")]
    return [*(text.encode() for text in texts), *raw, *(one.hex().encode() for one in raw)]
