"""The runs of a study: their order, and what a single run is and did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sim.errors import InputError
from sim.evidence import RunRecord
from sim.types import Node, TableRow

CURVE_COLUMNS = ("round", "hospital", "metric", "value")
# folders of attacks that begin after the last round
FINISHED = (["inference"], ["evasion"], ["extraction"], ["release"])


def one_study(
    records: Sequence[RunRecord], attacks: Sequence[str] = (), defenses: Sequence[str] = ()
) -> list[RunRecord]:
    """The records with controls first, then in the order of ``attacks`` and ``defenses``.

    Records of other attacks and defenses come last, in the order given. Raises ``InputError``
    unless all can be compared. That takes one consortium, one number of rounds, and one run for an
    attack, defense, number of hostile hospitals and seed.
    """
    if not records:
        raise InputError("evidence.jsonl", "no runs", "expected at least one finished run")
    for key in ("consortium", "n_hospitals", "rounds"):
        values = {getattr(record, key) for record in records}
        if len(values) > 1:
            shown = ", ".join(map(str, sorted(values)))
            raise InputError(key, shown, "expected one value in all runs of a report")
    counts = Counter((r.attack, r.defense, r.n_hostile, r.seed) for r in records)
    repeated = [cell for cell, n in counts.items() if n > 1]
    if repeated:
        expected = (
            "expected one run for an attack, defense, n_hostile and seed;"
            " other settings need a folder of their own"
        )
        raise InputError("evidence.jsonl", " x ".join(map(str, repeated[0])), expected)
    first = _places(["none", *attacks])
    second = _places(["none", *defenses])
    return sorted(
        records,
        key=lambda one: (
            first.get(one.attack, len(first)),
            second.get(one.defense, len(second)),
        ),
    )


def pooled(record: RunRecord) -> RunRecord:
    """The record with no more of its curve than reports draw, the AUROC on all test patients.

    Most of a record is its curve.
    """
    lines = [(round_, "all", "auroc", value) for round_, value in course(record)]
    columns = map(list, zip(*lines, strict=True))
    return record.model_copy(update={"curve": dict(zip(CURVE_COLUMNS, columns, strict=False))})


def course(record: RunRecord) -> list[tuple[int, float | None]]:
    """The AUROC on all test patients by round."""
    curve = (record.curve.get(name, []) for name in CURVE_COLUMNS)
    return [
        (round_, value)
        for round_, hospital, metric, value in zip(*curve, strict=True)
        if metric == "auroc" and hospital == "all"
    ]


def material_drop(records: Sequence[RunRecord]) -> float:
    """The loss of AUROC that counts as material in a study, as its configuration states."""
    return float(records[0].config["report"]["material_drop"])


def reads_only(record: RunRecord) -> bool:
    """Whether the run's attacks only read and send nothing, so that its model is unattacked."""
    reading = set[str]()
    if record.inversion is not None:
        reading.add(record.inversion.attack)
    if record.membership is not None:
        reading.add(record.membership.attack)
    if record.isolation is not None and record.isolation.reads_only:
        reading.add(record.isolation.attack)
    for name, node in record.config.get("attack", ()):
        if str(node.get("_target_", "")).split(".")[1:2] in FINISHED:
            reading.add(name)
    return reading != set() and set(record.attack.split("+")) <= reading


def hostile_act(record: RunRecord) -> bool:
    """Whether hostile hospitals do something in the run.

    They do not where an attack only reads, or honest hospitals are only absent.
    """
    return (
        record.attack != "none"
        and not reads_only(record)
        and not set(record.attack.split("+")) <= set(record.absences)
    )


def acting(record: RunRecord, rounds: Sequence[int]) -> list[bool]:
    """Whether an attack that changes what is sent acts in each of the rounds, by its schedule."""
    if record.attack == "none" or reads_only(record):
        return [False] * len(rounds)
    nodes = dict(record.config.get("attack", ()))
    adversary = record.config.get("adversary", {})
    absent = [nodes.get(name, {}) for name in record.absences]
    hostile = [adversary] if hostile_act(record) else []
    schedules = [*hostile, *absent]
    return [any(_within(schedule, round_) for schedule in schedules) for round_ in rounds]


def _within(schedule: Node, round_: int) -> bool:
    first = schedule.get("first_round", 1)
    last = schedule.get("last_round")
    ended = last is not None and round_ > last
    return bool(round_ >= first and not ended and (round_ - first) % schedule.get("every", 1) == 0)


def idle(record: RunRecord) -> list[str]:
    """The parts of a run, ``attack`` or ``defense``, that did nothing."""
    engaged = {
        "attack": record.engagement.attack_engaged,
        "defense": record.engagement.defense_engaged,
    }
    return [what for what, did in engaged.items() if did is False]


def why_undefined(record: RunRecord) -> str:
    """The reason why a run has no AUROC."""
    found = record.outcome("auroc")
    return (found.undefined if found else None) or "it was not measured"


def cell(record: RunRecord) -> TableRow:
    """Attack, defense and seed of a run."""
    return {"attack": record.attack, "defense": record.defense, "seed": record.seed}


def _places(names: Sequence[str]) -> dict[str, int]:
    return {name: place for place, name in enumerate(dict.fromkeys(names))}
