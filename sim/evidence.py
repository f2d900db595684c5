"""What a run leaves behind: one immutable record, addressed by its content, appended to ``evidence.jsonl``.

Reports, register and verdict read these records from files and nothing else.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator, Sequence
from io import BytesIO, StringIO
from pathlib import Path
from sys import intern
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from sim import files, sealed, spreadsheet
from sim.errors import InputError
from sim.plausible import implausible
from sim.study import address_of, shown

SCHEMA: Final = "wardround.evidence/2"  # a field that is new and may be absent changes no number

RESULT_COLUMNS = (
    "run", "consortium", "attack", "defense", "seed", "n_hospitals", "n_hostile", "rounds",
    "auroc", "auprc", "accuracy", "sensitivity_at_90_specificity", "brier", "worst_hospital_auroc",
    "attack_success", "attack_engaged", "defense_engaged", "epsilon", "delta",
    "reconstruction_rate", "membership_auc", "membership_tpr_at_1fpr", "seconds",
    "attack_success_kind", "false_trigger",
)  # fmt: skip


class Part(BaseModel):
    """Base of every piece of evidence: nothing unknown, nothing changed afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Outcome(Part):
    """Clinical quality of the final model on the test patients of all hospitals together.

    ``worst_hospital_auroc`` is the least AUROC among hospitals with at least ``min_class_rows`` test patients of each class;
    None if there is none. ``sensitivity_at_90_specificity``: share of the ill found when at most 10 % of the healthy are alarmed.

    A figure that is not defined is None, and ``undefined`` says why: AUROC, average precision and sensitivity need test patients
    of both classes, and no figure exists without test patients, without a trained model, or where a score is not finite.
    """

    auroc: float | None
    auprc: float | None
    accuracy: float | None
    sensitivity_at_90_specificity: float | None
    brier: float | None
    worst_hospital_auroc: float | None
    worst_hospital: str | None
    n_test: int
    n_test_positive: int
    min_class_rows: int
    undefined: str | None = None


class HospitalOutcome(Part):
    """The final model at one hospital; ``auroc`` is None below ``Outcome.min_class_rows`` test patients of a class.

    All three figures are None where the hospital has no test patients, and where ``Outcome`` has none.

    ``kept`` and ``distance``: what the rule keeps of the hospital's update and how far that is from the others', as
    ``sim.observers.influence`` measures them; None in runs with attacks, where the aggregator sees sums, and in evidence from
    before they were measured.
    """

    hospital: str
    origin: str
    hostile: bool
    n_train: int
    n_test: int
    n_test_positive: int
    auroc: float | None
    brier: float | None
    accuracy: float | None
    epsilon: float | None = None
    noise_multiplier: float | None = None
    kept: float | None = None
    distance: float | None = None


class Engagement(Part):
    """Proof that the attack and the defense did something, as relative distances.

    ``attack_distance``: mean over hostile hospitals and attacked rounds of |sent - honest| / |honest|; of a fault 1 where nothing
    usable was sent, else the larger of that and the relative change of the record count; for inversion the number of records
    attacked. With several attacks, the least of theirs. ``defense_distance``: mean over rounds of |aggregate - plain mean| /
    |plain mean| for rules and steps, 1 where they refused a round; for DP, |private - plain| / |plain| of one hospital's
    update in round 1; for secure aggregation the share of rows hidden.
    None: there is no attack (or no defense), or no update that is compared is finite; a distance also where one of them is not.
    """

    attack_engaged: bool | None
    attack_distance: float | None
    defense_engaged: bool | None
    defense_distance: float | None


class Screened(Part):
    """A reply that was not used."""

    round: int
    hospital: str
    reason: str


Cause = Literal["absent", "refused", "not_finite"]


class Skip(Part):
    """A round that ended without a new model: the weights stayed as they were.

    ``cause``: ``absent``, fewer usable replies than steps and rule need; ``refused``, enough of them, but a step or the rule
    refused these; ``not_finite``, float32 cannot hold the new weights. ``replies``: usable ones; ``needed``: the least number for
    which steps and rule work. ``hostile`` and ``honest``: the hospitals of which nothing usable came, by the simulator's truth.
    """

    round: int
    cause: Cause
    reason: str
    replies: int
    needed: int
    hostile: list[str]
    honest: list[str]


class Heard(Part):
    """How much a rule that selects or weighs hospitals listened to one of them.

    ``share``: of the aggregate, mean over rounds (an equal share is 1 / n_hospitals). ``left_out``: share of rounds in which it
    had less than a tenth of an equal share.
    """

    hospital: str
    hostile: bool
    share: float
    left_out: float


class Selection(Part):
    """Whom the rule left out, over all rounds in which it aggregated.

    ``precision``: hostile among those left out. ``recall``: left out among the hostile. ``wrongly_left_out``: left out among the
    honest. None where nobody is counted. Without an attack the hostile hospitals behave honestly: ``recall`` says nothing then.
    """

    rounds: int
    hospitals: list[Heard]
    precision: float | None
    recall: float | None
    wrongly_left_out: float | None


class Spent(Part):
    """Record-level differential privacy of one hospital, composed over all local steps of all rounds."""

    hospital: str
    n_train: int
    epsilon: float
    noise_multiplier: float
    sample_rate: float
    steps: int


class Privacy(Part):
    """``epsilon`` of the consortium: the maximum over hospitals (disjoint patients, parallel composition).

    ``not_covered``: sentences on what it says nothing about.
    """

    unit: str
    epsilon: float
    delta: float
    accountant: str
    max_grad_norm: float
    target_epsilon: float | None
    hospitals: list[Spent]
    not_covered: list[str] = []


class Recovered(Part):
    """One attacked record and the nearest guess, in the units of the fields. Only kept for public data."""

    hospital: str
    exact: bool
    truth: dict[str, str]
    guess: dict[str, str] | None


class Inverted(Part):
    """What reconstruction recovered in the attacked round.

    ``max_relative_error``: largest |guess - record| / |record| over recovered records (feature columns), None if none was.
    ``records_in_row``: how many records were summed in each row that the attacker saw.
    """

    attack: str
    round: int
    n_attacked: int
    n_guesses: int
    n_recovered: int
    rate: float
    max_relative_error: float | None
    records_in_row: list[int]
    gallery: list[Recovered]


class Planted(Part):
    """A backdoor in the final model: shares of the ``n`` test records not of the ``target`` class, once they bear the mark.

    ``success``: those that the model puts into the target class. ``false_trigger``: the same for the model of the same run
    without the attack, which was never shown the mark. None where ``n`` is 0 or a score is not finite.
    """

    attack: str
    target: int
    success: float | None
    false_trigger: float | None
    n: int


class Clipped(Part):
    """What a part of the defense that shortens updates did. Lengths are Euclidean and of the rows that the part saw.

    ``radius``: as configured, None where each round's median length is taken. ``shortened``: share of rows longer than the
    radius, over all rounds. ``median_length``: of the rows of a round, mean over rounds. ``longest``: of all rounds.
    """

    part: str
    radius: float | None
    rounds: int
    shortened: float
    median_length: float
    longest: float


class Sight(Part):
    """One line of who sees what: a party, what it can see in this design, and why."""

    party: str
    sees: str


class Conflict(Part):
    """Two parts of a design that work against each other."""

    id: str
    between: str
    text: str


class RunRecord(Part):
    """Everything that one run (one consortium, attack, defense, seed) leaves behind."""

    schema_: Literal["wardround.evidence/2"] = SCHEMA
    run: str
    consortium: str
    attack: str
    defense: str
    seed: int
    n_hospitals: int
    n_hostile: int
    hostile: list[str]
    rounds: int
    public: bool
    adaptive: bool
    data_source: str
    data_hash: str
    code: str
    config: dict[str, Any]
    outcome: Outcome
    hospitals: list[HospitalOutcome]
    engagement: Engagement
    screened: list[Screened]
    skipped_rounds: list[int]
    privacy: Privacy | None
    selection: Selection | None = None
    backdoor: Planted | None = None
    inversion: Inverted | None
    sight: list[Sight]
    conflicts: list[Conflict]
    curve: dict[str, list[Any]]  # columns round, hospital, metric, value; hospital "all" is the pooled test set
    seconds: float
    limit: int | None = None  # the largest number of hostile hospitals for which the defense is defined; None: no matter to it
    skips: list[Skip] = []  # what is known of each of ``skipped_rounds``; empty in evidence from before it was recorded
    absences: dict[str, list[str]] = {}  # by attack that is an absence of honest hospitals, those that it concerns
    data_notes: list[str] = []  # what a reader of the figures should know about the data
    not_finite_from: int | None = None  # first round in which an honest update, the new weights or a score overflowed float32
    disputed: list[Screened] = []  # what hospitals reported and nobody believed, though their updates were used
    clipped: list[Clipped] = []  # what each step or rule with a radius did, over all rounds

    @field_validator("curve")
    @classmethod
    def _share_names(cls, curve: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """Every name held once: as many strings as there are rows would be most of the memory of a large comparison."""
        return {key: [intern(one) if type(one) is str else one for one in column] for key, column in curve.items()}


EVIDENCE, RESULTS, ROUNDS, MANIFEST = "evidence.jsonl", "results.csv", "rounds.parquet", "manifest.json"
LONGEST_LINE: Final = 2**30  # bytes


def append(folder: Path, record: RunRecord) -> None:
    """Add one record to the end of the folder's evidence, chained to the one before, whole or not at all.

    Raises ``InputError`` if it cannot be written, and ``ValueError`` for a record that ``read`` would refuse.
    """
    if (found := implausible(record)) is not None:
        raise ValueError(f"{found[0]} of run {record.run}: {found[1]}")
    text = json.dumps(record.model_dump(mode="json"), sort_keys=True, allow_nan=False)
    files.append(folder / EVIDENCE, sealed.seal(text, head(folder)["hash"]))


def head(folder: Path) -> dict[str, Any]:
    """Where the folder's evidence ends: its size in ``bytes``, and the ``hash`` of its last line, which stands for all of it."""
    path = folder / EVIDENCE
    try:
        with os.fdopen(files.opened(path), "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - sealed.SEAL_BYTES))
            return {"bytes": size, "hash": sealed.last_hash(file.read())}
    except FileNotFoundError:
        return {"bytes": 0, "hash": sealed.FIRST}
    except (sealed.BrokenError, OSError) as error:
        raise InputError("folder", folder, f"expected evidence in {EVIDENCE}: {_reason(error)}") from None


def read(folder: Path) -> list[RunRecord]:
    """All whole records of a folder, in a fixed order, each run once. Raises ``InputError`` if there is no evidence.

    Each line must follow the line before, hold figures that a run can have, and bear the address of its configuration, data and
    code; ``manifest.json``, where it is there, must name a line of the chain. A last line that was cut off by an interruption is
    not evidence and is left out.
    """
    records: dict[str, RunRecord] = {}
    promised, size = _promised(folder), 0
    reached = promised is None
    previous = sealed.FIRST
    try:
        for number, line in enumerate(_lines(folder), 1):
            record, previous = _parse(folder, number, line, previous)
            records[record.run] = record
            size += len(line)
            reached = reached or promised == {"bytes": size, "hash": previous}
    except OSError as error:
        raise InputError("folder", folder, f"expected a folder with {EVIDENCE} ({_reason(error)})") from error
    if not reached:
        raise InputError("folder", folder, f"expected the {EVIDENCE} of which {MANIFEST} holds size and hash; it is another")
    return sorted(records.values(), key=lambda r: (r.consortium, r.attack, r.defense, r.n_hostile, r.seed, r.run))


def mend(folder: Path) -> None:
    """Cut an unfinished last line off the folder's evidence, so that the next record starts on a line of its own."""
    path = folder / EVIDENCE
    if path.exists() and path.is_file():
        with path.open("rb") as file:
            whole = _whole(file.fileno())
        if whole < path.stat().st_size:
            os.truncate(path, whole)  # in place: the whole records before it are never at risk


def _whole(number: int, step: int = 2**16) -> int:
    """How many bytes of an open file are whole lines."""
    end = os.fstat(number).st_size
    while end > 0:
        start = max(0, end - step)
        found = os.pread(number, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def _lines(folder: Path) -> Iterator[bytes]:
    """The whole lines, one by one: a large comparison leaves hundreds of megabytes."""
    with os.fdopen(files.opened(folder / EVIDENCE), "rb") as file:
        while line := file.readline(LONGEST_LINE):
            if line.endswith(b"\n"):
                yield line
            elif len(line) == LONGEST_LINE:
                raise OSError(0, f"a line of more than {LONGEST_LINE} bytes")


def _promised(folder: Path) -> dict[str, Any] | None:
    """Size and hash of the evidence as the folder's manifest has them; None if it does not say."""
    try:
        with os.fdopen(files.opened(folder / MANIFEST), "rb") as file:
            told = json.loads(file.read()).get("evidence")
    except (OSError, ValueError, AttributeError, RecursionError):
        return None  # whoever shows the manifest says what is wrong with it
    return {"bytes": told.get("bytes"), "hash": told.get("hash")} if isinstance(told, dict) else None


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)


def write_tables(folder: Path, records: Sequence[RunRecord]) -> None:
    """``results.csv`` and ``rounds.parquet`` from ``records``; each file is replaced as a whole."""
    files.replace(folder / RESULTS, _csv(results(records)))
    files.replace(folder / ROUNDS, _rounds(records))


def write_results(folder: Path, table: Sequence[dict[str, Any]]) -> None:
    """``results.csv`` from rows of ``results``, which may have more columns at their end."""
    files.replace(folder / RESULTS, _csv(table))


def results(records: Sequence[RunRecord]) -> list[dict[str, Any]]:
    """One row a run with the columns ``RESULT_COLUMNS``; None where a figure does not exist.

    ``attack_success`` is a rate in [0, 1]. For an inversion, the share of attacked records recovered. For a backdoor, the share
    of marked test records, not of the target class, that the final model puts into it. For other attacks on the model, whether
    the run lost at least ``report.material_drop`` AUROC against its control (same consortium, defense and seed, no attack): 1 or
    0, so that its mean over seeds is a success rate; 1 also where the attack left no model with finite scores and the control
    has an AUROC; None without that control. ``attack_success_kind`` says which of the three it is: ``records_recovered``,
    ``backdoor_success`` or ``material_loss``. ``false_trigger``: for a backdoor, the share that ``attack_success`` is to be read
    beside, that of the same run without the attack.
    """
    controls = {(r.consortium, r.defense, r.seed, r.n_hostile): r.outcome.auroc for r in records if r.attack == "none"}
    return [_row(record, controls.get((record.consortium, record.defense, record.seed, record.n_hostile))) for record in records]


def _row(record: RunRecord, control: float | None) -> dict[str, Any]:
    outcome = record.outcome.model_dump()
    row: dict[str, Any] = {
        **{
            name: getattr(record, name)
            for name in ("run", "consortium", "attack", "defense", "seed", "n_hospitals", "n_hostile", "rounds")
        },
        **{name: outcome[name] for name in RESULT_COLUMNS if name in outcome},
        "attack_success": attack_success(record, control),
        "attack_success_kind": attack_success_kind(record),
        "false_trigger": record.backdoor.false_trigger if record.backdoor else None,
        "attack_engaged": record.engagement.attack_engaged,
        "defense_engaged": record.engagement.defense_engaged,
        "epsilon": record.privacy.epsilon if record.privacy else None,
        "delta": record.privacy.delta if record.privacy else None,
        "reconstruction_rate": record.inversion.rate if record.inversion else None,
        "seconds": round(record.seconds, 3),
    }
    return {name: row.get(name) for name in RESULT_COLUMNS}


def attack_success(record: RunRecord, control: float | None) -> float | None:
    """Success rate of the run's attack, as ``results`` defines it. ``control``: AUROC of the run without the attack."""
    if record.attack == "none":
        return None
    if record.inversion is not None:
        return record.inversion.rate
    if record.backdoor is not None:
        return record.backdoor.success
    if control is None:
        return None
    if record.outcome.auroc is None:
        return 1.0
    return float(is_material(control - record.outcome.auroc, record.config["report"]["material_drop"]))


def attack_success_kind(record: RunRecord) -> str | None:
    """What ``attack_success`` is a rate of."""
    if record.attack == "none":
        return None
    if record.inversion is not None:
        return "records_recovered"
    return "material_loss" if record.backdoor is None else "backdoor_success"


def is_material(loss: float, drop: float) -> bool:
    """Whether ``loss`` is at least ``drop``; what rounding of the two scores takes off does not count."""
    return loss >= drop - 1e-9


def _rounds(records: Sequence[RunRecord]) -> bytes:
    import polars as pl  # workers import this module, and write no tables

    schema = {"run": pl.String, "round": pl.Int64, "hospital": pl.String, "metric": pl.String, "value": pl.Float64}
    frames = [pl.DataFrame({"run": [r.run] * len(r.curve["round"]), **r.curve}, schema=schema) for r in records]
    out = BytesIO()
    pl.concat([pl.DataFrame(schema=schema), *frames]).write_parquet(out)
    return out.getvalue()


def _parse(folder: Path, number: int, line: bytes, previous: str) -> tuple[RunRecord, str]:
    """The record of a line and the line's hash."""
    where = "line"
    try:
        content, own = sealed.opened(line, previous)
        record = RunRecord.model_validate_json(content, strict=True)
        if (found := implausible(record)) is not None:
            where, reason = found
        elif record.run != (expected := address_of(record.config, record.data_hash, record.code)):
            where, reason = "run", f"expected {expected}, the address of its configuration, data and code"
        else:
            return record, own
    except sealed.BrokenError as error:
        reason = str(error)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in problem["loc"]) or "record"
        reason = problem["msg"]
    raise InputError(f"{folder / EVIDENCE}:{number}", shown(where), f"not evidence of {SCHEMA}: {reason}")


def _csv(table: Sequence[dict[str, Any]]) -> bytes:
    out = StringIO(newline="")
    columns = list(table[0]) if table else list(RESULT_COLUMNS)
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writerows(spreadsheet.rows([{name: name for name in columns}, *table]))
    return out.getvalue().encode()
