"""Source inference: which hospital a record comes from, asked of an attack and scored."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.evidence import outcome
from sim.federation.observing import Findings
from sim.inference.asking import chosen, commonest, held_out, trained
from sim.inference.inquiry import Inquiry
from sim.probes import probe
from sim.types import Asked

PERMUTATIONS = 999
FEWEST = 2  # hospitals among which there is something to tell


def source(inquiry: Inquiry) -> Findings:
    """The success of a source inference, beside the success from the records alone.

    Asked about are the records that other hospitals trained on; the hospital of held-out records is
    known to the attacker. ``source_accuracy_alone``: of a classifier that learns from these without
    any access to a model, or of the commonest hospital, whichever is more. ``source_p_value``: the
    share of permutations of the true hospitals under which as many answers are right, among records
    that this classifier assigns alike, so that what it knows makes no answer right more often.
    """
    records, places = trained(inquiry)
    known, of_known = held_out(inquiry)
    names = inquiry.others
    n = len(records)
    accuracy = alone = p_value = None
    if n and len(known) and len(names) >= FEWEST:
        asked = Asked(
            question="source",
            choices=names,
            records=records,
            known=known,
            known_answers=tuple(of_known.tolist()),
        )
        answers = chosen(inquiry.answers(asked, n), inquiry.draws("ties"))
        both = [np.column_stack([one.features, one.labels]) for one in (known, records)]
        assigned = probe(both[0], of_known, len(names))(both[1]).argmax(axis=1)
        accuracy = float(np.mean(answers == places))
        alone = max(commonest(places), float(np.mean(assigned == places)))
        p_value = permuted(answers, places, assigned, inquiry.draws("permutations"))
    few = "there are fewer than two hospitals to tell apart, or no records"
    return Findings(
        [
            outcome("source_accuracy", accuracy, n, undefined=few),
            outcome("source_accuracy_alone", alone, n, undefined=few),
            outcome("source_p_value", p_value, n, undefined=few),
        ]
    )


def permuted(
    answers: NDArray[np.int64],
    places: NDArray[np.int64],
    strata: NDArray[np.int64],
    rng: np.random.Generator,
) -> float:
    """The share of permutations of ``places`` within ``strata`` with as many right answers.

    The order that was found counts as one of them, so that the share is never 0.
    """
    right = int((answers == places).sum())
    groups = [np.flatnonzero(strata == one) for one in np.unique(strata)]
    as_good = 1
    for _ in range(PERMUTATIONS):
        found = sum(int((answers[rows] == rng.permutation(places[rows])).sum()) for rows in groups)
        as_good += found >= right
    return as_good / (PERMUTATIONS + 1)
