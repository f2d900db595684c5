"""The columns of the files that the tool writes, each described where it is defined."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """A column of a table or a key of an object: its type in words, and what it means.

    ``unit``: empty where there is none. ``empty``: when there is no value; empty if there always
    is one.
    """

    kind: str
    text: str
    unit: str = ""
    empty: str = ""
