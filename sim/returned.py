"""Checks of the results of plug-ins, where they are taken over: a wrong form names its plug-in.

Each function gives back the value that it was given. It raises ``PluginError`` for a form that no
plug-in of the kind may return, and ``NotFiniteError`` where values of the right form are not
finite.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from sim.errors import NotFiniteError, PluginError
from sim.types import Guess, Isolated, Look, Members, Pass, Records, Schema, Stateful, View
from sim.untrusted import described, type_name

T = TypeVar("T")


def instance(plugin: object, value: object, kind: type[T]) -> T:
    """A value that is a ``kind``."""
    if not isinstance(value, kind):
        raise wrong(plugin, f"an object of type {type_name(type(value))}", kind.__name__)
    return value


def array(plugin: object, value: object, shape: tuple[int, ...]) -> NDArray[np.floating]:
    """An array of floats of ``shape``."""
    if not isinstance(value, np.ndarray):
        raise wrong(plugin, described(value), f"an array of shape {shape}")
    if value.shape != shape:
        raise wrong(plugin, f"shape {described(value.shape)}", f"shape {shape}")
    if value.dtype.kind != "f":
        raise wrong(plugin, f"dtype {value.dtype.str}", "floats")
    return value


def view(plugin: object, value: object, n_params: int) -> View:
    """A view whose rows have ``n_params`` values."""
    seen = instance(plugin, value, View)
    array(plugin, seen.rows, (len(seen.members), n_params))
    return seen


def isolated(plugin: object, value: object, n_params: int) -> Isolated:
    """The rows of ``n_params`` values that an attack has worked out."""
    found = instance(plugin, value, Isolated)
    view(plugin, found.view, n_params)
    if found.estimates is not None:
        view(plugin, instance(plugin, found.estimates, View), n_params)
    known = found.known
    if known is not None and (known.shape != (n_params,) or known.dtype != np.bool_):
        form = f"known of {known.dtype} with shape {described(known.shape)}"
        raise wrong(plugin, form, f"one bool for each of {n_params} parameters")
    return found


def groups(plugin: object, value: object, hospitals: Sequence[str]) -> Members:
    """Groups with each of the ``hospitals`` once, and no empty one."""
    found = instance(plugin, value, tuple)
    names = [name for group in found for name in instance(plugin, group, tuple)]
    if sorted(map(str, names)) != sorted(hospitals) or not all(found):
        raise wrong(plugin, described(value), "groups with each hospital once")
    return found


def records(plugin: object, value: object, n_features: int) -> Records:
    """Records made of others: at least one, float32, with ``n_features`` features."""
    found = instance(plugin, value, Records)
    labels = found.labels
    if not isinstance(labels, np.ndarray) or labels.ndim != 1 or not len(labels):
        form = described(getattr(labels, "shape", labels))
        raise wrong(plugin, f"labels {form}", "one label a record, at least one record")
    for part, shape in ((found.features, (len(labels), n_features)), (labels, labels.shape)):
        if array(plugin, part, shape).dtype != np.float32:
            raise wrong(plugin, f"dtype {part.dtype}", "float32")
    return found


def guesses(plugin: object, value: object, n_rows: int, schema: Schema) -> list[Guess]:
    """A guess of an inversion for each of ``n_rows`` rows."""
    if not isinstance(value, list) or len(value) != n_rows:
        raise wrong(plugin, described(value), f"a list of {n_rows} guesses")
    for one in value:
        guess = instance(plugin, one, Guess)
        n_guesses = len(guess.records)
        array(plugin, guess.records, (n_guesses, schema.n_features))
        share = guess.prevalence
        if share is not None and not (isinstance(share, float) and 0 <= share <= 1):
            raise wrong(plugin, f"the share {described(share)}", "one from 0 to 1")
        sure = guess.certainty
        if sure is not None:
            array(plugin, sure, (n_guesses, len(schema.fields)))
            if not ((sure >= 0) & (sure <= 1)).all():
                raise wrong(plugin, "a certainty", "each from 0 to 1")
    return value


def scores(plugin: object, value: object, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Finite scores of an inference attack, (n_questions, n_choices)."""
    found = array(plugin, value, shape).astype(np.float64)
    if not np.isfinite(found).all():
        raise wrong(plugin, "scores that are not finite", "finite ones")
    return found


def amount(plugin: object, value: object) -> float:
    """A finite number of at least 0."""
    if not isinstance(value, int | float | np.integer | np.floating) or not 0 <= value < math.inf:
        raise wrong(plugin, described(value), "a finite number of at least 0")
    return float(value)


def looks(plugin: object, value: object) -> Sequence[Look]:
    """The computations of an attack that searches, each part in whole numbers of at least 1."""
    if not isinstance(value, list | tuple):
        raise wrong(plugin, described(value), "a list of Look")
    for look in value:
        parts = instance(plugin, look, Look)
        if not all(isinstance(part, int | np.integer) and part >= 1 for part in parts):
            raise wrong(plugin, described(tuple(look)), "a Look of whole numbers of at least 1")
    return value


def passes(plugin: object, value: object) -> Sequence[Pass]:
    """The work that an attack asks of a final model, each part in whole numbers of at least 0."""
    if not isinstance(value, list | tuple):
        raise wrong(plugin, described(value), "a list of Pass")
    for one in value:
        work, *numbers = instance(plugin, one, Pass)
        known = work in ("answers", "gradients", "training")
        if not known or not all(isinstance(n, int | np.integer) and n >= 0 for n in numbers):
            raise wrong(plugin, described(tuple(one)), "a Pass of whole numbers of at least 0")
    return value


def with_state(plugin: Stateful[object, object, object], value: object) -> tuple[object, object]:
    """A result with the next state of a plug-in that keeps one."""
    if not isinstance(value, tuple) or len(value) != 2:
        raise wrong(plugin, described(value), "a result and a state")
    if type(value[1]) is not plugin.state:
        raise wrong(plugin, f"a state of type {type_name(type(value[1]))}", plugin.state.__name__)
    return value


def finite(plugin: object, values: NDArray[np.floating]) -> NDArray[np.floating]:
    """Values that are finite."""
    if not np.isfinite(values).all():
        raise NotFiniteError(name(plugin))
    return values


def wrong(plugin: object, found: str, expected: str) -> PluginError:
    """The fault of a plug-in that returned ``found``."""
    return PluginError(name(plugin), f"returned {found}, expected {expected}")


def name(plugin: object) -> str:
    """The name by which a configuration knows a plug-in: that of its class."""
    kind = type(plugin)
    return f"{kind.__module__}.{kind.__qualname__}"
