"""Attacks on the final model, and checks of it before it leaves, beside what needs no attack."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from sim import feasible, returned
from sim.evidence import Outcome, outcome
from sim.federation.observing import Ended, Findings, Round, Subject
from sim.federation.rounds import Weights
from sim.models.released import ReleasedModel
from sim.types import Evasion, Extraction, Records, ReleaseCheck, Released, Room

COPY_EPOCHS = 100  # passes over its own records of a party that asks nobody


@dataclass(frozen=True)
class Nothing:
    """Nothing is counted during the run."""


class FinalModelObserver:
    """The observer of the run's attacks on the final model, on test records of all hospitals."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.state = Nothing()

    def start(self, weights: Weights) -> None:
        """There is no final model before round 1."""

    def round(self, seen: Round) -> None:
        """The final model is there after the last round."""

    def findings(self, ended: Ended) -> Findings:
        """The outcomes of evasion, extraction and release check, of those that there are."""
        attack = self.subject.attack
        kinds = [attack.of_kind(kind) for kind in ("evasion", "extraction", "release")]
        if not any(kinds):
            return Findings()
        held = ReleasedModel(self.subject.plan.network, ended.weights)
        hospitals = self.subject.truth.consortium.hospitals
        test = _pooled([hospital.test for hospital in hospitals])
        found = list[Outcome]()
        for name, evasion in attack.of_kind("evasion").items():
            found += self._evaded(name, evasion, held, test)
        for name, extraction in attack.of_kind("extraction").items():
            found += self._extracted(name, extraction, held, test)
        for check in attack.of_kind("release").values():
            found += self._checked(check, held, test)
        return Findings(found)

    def _evaded(self, name: str, attack: Evasion, held: Released, test: Records) -> list[Outcome]:
        """The share of rightly decided test records that are decided wrongly after the changes.

        A change that could not be made counts as a failure.
        """
        schema = self.subject.plan.columns
        sites = self.subject.truth.sites
        right = test.take(_decided(held, test.features) == (test.labels > 0.5))
        share = blind = None
        if len(right):
            seen = _pooled([site.records for site in sites])
            space = attack.room(schema, right.features, seen)
            made = attack(held, right, space, self.subject.attack.key.stream("attack", name))
            made = returned.array(attack, made, right.features.shape)
            draws = self.subject.attack.key.stream("attack", name, "random changes")
            random = feasible.at_random(space, right.features, attack.levels, draws)
            share, blind = (
                float(np.mean(self._is_evaded(attack, held, right, space, one)))
                for one in (made, random)
            )
        nobody = "no test record is decided rightly"
        return [
            outcome("evasion_success", share, len(right), undefined=nobody),
            outcome("evasion_success_random", blind, len(right), undefined=nobody),
        ]

    def _is_evaded(
        self,
        attack: Evasion,
        held: Released,
        right: Records,
        space: Room,
        made: NDArray[np.floating],
    ) -> NDArray[np.bool_]:
        schema = self.subject.plan.columns
        possible = feasible.is_possible(schema, right.features, made, space, attack.levels)
        turned = _decided(held, made) != (right.labels > 0.5)
        return np.asarray(possible & turned)

    def _extracted(
        self, name: str, attack: Extraction, held: Released, test: Records
    ) -> list[Outcome]:
        """The agreement of the copy with the final model on test records that nobody asked about.

        Half of the test records, drawn by name, are the attacker's own patients. Beside it stands
        what needs no answer: a model that the attacker trains on these patients' own labels, or one
        decision for all, whichever agrees more.
        """
        key = self.subject.attack.key
        order = key.stream("attack", name, "own patients").permutation(len(test))
        own = test.take(order[: len(order) // 2])
        asked = test.take(order[len(order) // 2 :])
        agreement = alone = None
        if len(own) and len(asked):
            schema = self.subject.plan.columns
            truth = _decided(held, asked.features)
            copied = attack(held, schema, own, key.stream("attack", name))
            agreement = float(np.mean(_decided(copied, asked.features) == truth))
            draws = key.stream("attack", name, "without answers")
            mine = held.taught(own.features, own.labels, COPY_EPOCHS, draws)
            constant = float(max(truth.mean(), 1 - truth.mean()))
            alone = max(constant, float(np.mean(_decided(mine, asked.features) == truth)))
        few = "there are fewer than 2 test records"
        return [
            outcome("extraction_agreement", agreement, len(asked), undefined=few),
            outcome("extraction_agreement_alone", alone, len(asked), undefined=few),
        ]

    def _checked(self, check: ReleaseCheck, held: Released, test: Records) -> list[Outcome]:
        """The figures of a release check."""
        plan = self.subject.plan
        sites = self.subject.truth.sites
        trained = [(site.records, expit(held.logits(site.records.features))) for site in sites]
        unseen = test, expit(held.logits(test.features))
        counts = [plan.counted(len(site.records)) for site in sites]
        found = check(trained, unseen, plan.columns, plan.network.n_params, counts)
        n = found.n_records
        each = zip(sites, counts, found.freedom, found.small_groups, found.groups, strict=True)
        nobody = "there are no test records"
        return [
            outcome("residual_freedom", found.freedom_of_all, n),
            outcome("least_sharing", found.least_sharing, n),
            outcome("singled_out", found.singled_out, n),
            outcome("class_disclosed", found.disclosed, n),
            outcome(
                "class_disclosed_unseen", found.disclosed_unseen, found.n_unseen, undefined=nobody
            ),
            outcome("small_groups", sum(found.small_groups), sum(found.groups)),
            *(
                one
                for site, count, freedom, small, groups in each
                for one in (
                    outcome("residual_freedom", freedom, count, hospital=site.name),
                    outcome("small_groups", small, groups, hospital=site.name),
                )
            ),
        ]


def _pooled(records: list[Records]) -> Records:
    return Records(
        np.concatenate([one.features for one in records]),
        np.concatenate([one.labels for one in records]),
    )


def _decided(held: Released, features: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Whether the model decides for the condition, (n,)."""
    return np.asarray(held.logits(features) > 0)
