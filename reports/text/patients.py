"""Sentences on which patients the results of runs are about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reports.analysis import membership
from reports.analysis.seen import Seen
from reports.text import words
from sim.evidence import RunRecord
from sim.evidence.controls import NONE, Controls

LEAST = 0.0005  # a change that three digits show


def sentences(seen: Seen) -> list[str]:
    """Sentences on the patients: those scored, those whose records were read, and those harmed."""
    return [
        *_tested(seen.records),
        *_hit(seen),
        *_attacked(seen.records),
        *_asked(seen.asked),
    ]


def _tested(records: Sequence[RunRecord]) -> Iterator[str]:
    """The patients behind every score."""
    first = records[0]
    own = [one.hospital for one in first.hospitals if first.value("auroc", one.hospital) is None]
    n_train = sum(one.n_train for one in first.hospitals)
    seed = f" with seed {first.seed}" if len({one.seed for one in records}) > 1 else ""
    yield (
        f"Scores are about {words.count(first.n_test, 'test patient')} of all"
        f" {words.count(first.n_hospitals, 'hospital')}{seed}, of whom {first.n_test_positive:,}"
        f" have the condition; the model is trained on {words.count(n_train, 'other record')}."
    )
    if own:
        yield (
            f"No AUROC of its own is stated for the patients of {words.some(own)}: too few of them"
            " are with, or without, the condition."
        )


def _hit(seen: Seen) -> Iterator[str]:
    """The hospitals whose patients the worst attack with no defense harms most."""
    judged = seen.attacked.filter(defense=NONE).drop_nulls("harm").sort("harm", maintain_order=True)
    if judged.is_empty():
        return
    attack = judged.row(0, named=True)["attack"]
    changes = _changes(seen.records, attack)
    worse = {name: change for name, change in changes.items() if change >= LEAST}
    if not worse:
        return
    name = max(worse, key=lambda one: worse[one])
    yield (
        f"Under {words.attack(attack)} with no defense the mean Brier score (lower is better) rises"
        f" for the patients of {len(worse)} of {words.count(len(changes), 'hospital')}, most for"
        f" those of {name} ({words.change(worse[name])}); the largest of so many leans high."
    )


def _changes(records: Sequence[RunRecord], attack: str) -> dict[str, float]:
    """The mean change of each hospital's Brier score by an attack with no defense."""
    controls = Controls(records)
    found: dict[str, list[float]] = {}
    for record in records:
        if (record.attack, record.defense) != (attack, NONE):
            continue
        control = controls.attack_free(record)
        for one in record.hospitals if control is not None else ():
            after = record.value("brier", one.hospital)
            before = None if control is None else control.value("brier", one.hospital)
            if after is not None and before is not None:
                found.setdefault(one.hospital, []).append(after - before)
    return {name: sum(values) / len(values) for name, values in found.items()}


def _attacked(records: Sequence[RunRecord]) -> Iterator[str]:
    """The patients whose training records an attack tried to recover."""
    inverted = [record for record in records if record.inversion is not None]
    if not inverted:
        return
    n_attacked = sum(record.n_attacked for record in inverted)
    n_recovered = sum(record.n_recovered for record in inverted)
    of = dict.fromkeys(
        one.hospital
        for record in inverted
        if record.inversion is not None
        for one in record.inversion.gallery
        if one.exact
    )
    where = f", among them of {words.some(of)}" if of else ""
    yield (
        f"Attacks tried to recover training records of patients of honest hospitals {n_attacked:,}"
        f" times over all designs and seeds, and did so {words.count(n_recovered, 'time')}{where}."
    )


def _asked(cells: Sequence[membership.Cell]) -> Iterator[str]:
    """The patients of whom an attack asked whether they were trained on."""
    if not cells:
        return
    most = max(cells, key=lambda cell: cell.n_members)
    yield (
        f"Membership was asked of {words.count(most.n_members, 'record')} that honest hospitals"
        f" trained on and {most.n_others:,} held-out records of the same hospitals"
        f" ({words.attack(most.attack)}, over all seeds)."
    )
