"""Records that questions are about, and records that an attacker knows whole beside them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sim.inference.inquiry import Inquiry
from sim.types import Records


def trained(inquiry: Inquiry) -> tuple[Records, NDArray[np.int64]]:
    """The records that other hospitals trained on, mixed, with the place of each one's hospital."""
    truth = inquiry.subject.truth
    own = [truth.site(name).records.take(inquiry.trained_on(name)) for name in inquiry.others]
    return _mixed(own, inquiry.draws("order"), _width(inquiry))


def held_out(inquiry: Inquiry, most: int | None = None) -> tuple[Records, NDArray[np.int64]]:
    """Up to ``most`` records that nobody trained on, of the hospitals that are asked about."""
    tests = {one.name: one.test for one in inquiry.subject.truth.consortium.hospitals}
    own = [tests[name] for name in inquiry.others]
    records, places = _mixed(own, inquiry.draws("known"), _width(inquiry))
    return records.take(slice(None, most)), places[:most]


def known(inquiry: Inquiry) -> Records:
    """The records that the attacker knows whole: a hospital its own, others some held-out ones."""
    if inquiry.seen.own is not None:
        return inquiry.seen.own[1]
    return held_out(inquiry, int(getattr(inquiry.attack, "known", 0)))[0]


def chosen(scores: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """The choice with the largest score of each question, (n,); of equal ones any."""
    noise = rng.random(scores.shape)
    is_best = scores == scores.max(axis=1, keepdims=True)
    return np.asarray(np.where(is_best, noise, -1.0).argmax(axis=1), dtype=np.int64)


def commonest(places: NDArray[np.int64]) -> float:
    """The share of the commonest answer, which needs no attack."""
    return float(np.bincount(places).max() / len(places))


def _width(inquiry: Inquiry) -> int:
    return inquiry.subject.plan.columns.n_features


def _mixed(
    own: Sequence[Records], rng: np.random.Generator, width: int
) -> tuple[Records, NDArray[np.int64]]:
    features = np.concatenate([np.zeros((0, width), np.float32), *(one.features for one in own)])
    labels = np.concatenate([np.zeros(0, np.float32), *(one.labels for one in own)])
    places = np.repeat(np.arange(len(own)), [len(one) for one in own])
    order = rng.permutation(len(labels))
    return Records(features, labels).take(order), places[order]
