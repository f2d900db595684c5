"""Edits of evidence: each is noticed, in one line that states where, or is harmless, for it changes
nothing that is read.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import pytest

from sim import evidence
from sim.cli.command import main
from sim.config.groups import address_of
from sim.errors import InputError
from sim.evidence import (
    EVIDENCE,
    Membership,
    Part,
    Recovered,
    RunRecord,
    outcome,
    plausible,
    roc,
    sealed,
)
from sim.evidence.metrics import BASES, METRICS
from sim.evidence.plausible import RANGES
from tests.records import (
    addressed,
    make_fields,
    make_images,
    make_inversion,
    make_privacy,
    make_record,
    with_outcomes,
)

Lines = list[bytes]
Edit = Callable[[Lines], bytes]


def records() -> list[RunRecord]:
    return [
        addressed(
            make_record(seed=seed, attack=attack, privacy=make_privacy(), inversion=make_images())
        )
        for seed in range(2)
        for attack in ("none", "x")
    ]


def written(folder: Path, made: Sequence[RunRecord]) -> Lines:
    folder.mkdir(exist_ok=True)
    for record in made:
        evidence.append(folder, record)
    return (folder / EVIDENCE).read_bytes().splitlines(keepends=True)


def put(*keys: Any, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(record: dict[str, Any]) -> None:
        node: Any = record
        for key in keys[:-1]:
            node = node[key]
        node[keys[-1]] = value

    return change


def figure(
    metric: str, value: Any, *, subject: str | None = None, key: str = "value"
) -> Callable[[dict[str, Any]], None]:
    """Another ``key`` of one outcome."""

    def change(record: dict[str, Any]) -> None:
        (one,) = [
            one
            for one in record["outcomes"]
            if (one["metric"], one["subject"]) == (metric, subject)
        ]
        one[key] = value

    return change


def added(**changes: Any) -> Callable[[dict[str, Any]], None]:
    """One outcome more: the pooled AUROC with ``changes``."""

    def change(record: dict[str, Any]) -> None:
        (first,) = [
            one for one in record["outcomes"] if (one["metric"], one["subject"]) == ("auroc", None)
        ]
        record["outcomes"].append(first | changes)

    return change


def without(metric: str) -> Callable[[dict[str, Any]], None]:
    def change(record: dict[str, Any]) -> None:
        record["outcomes"] = [one for one in record["outcomes"] if one["metric"] != metric]

    return change


def rewritten(change: Callable[[dict[str, Any]], Any], *, address: bool = False) -> Edit:
    """The second record changed, and the whole file chained anew, as somebody who knows the format
    would do it.
    """

    def edit(lines: Lines) -> bytes:
        previous, out = sealed.FIRST, b""
        for number, line in enumerate(lines):
            record = json.loads(line)
            del record["previous"], record["hash"]
            if number == 1:
                change(record)
                if address:
                    record["run"] = address_of(
                        record["config"], record["data_hash"], record["code"]
                    )
            sealed_line = sealed.seal(json.dumps(record, sort_keys=True), previous)
            previous = json.loads(sealed_line)["hash"]
            out += sealed_line
        return out

    return edit


def replaced(old: bytes, new: bytes) -> Edit:
    def edit(lines: Lines) -> bytes:
        assert old in lines[1]
        return b"".join([lines[0], lines[1].replace(old, new, 1), *lines[2:]])

    return edit


def text(change: Callable[[str], str]) -> Edit:
    return lambda lines: b"".join([lines[0], change(lines[1].decode()).encode(), *lines[2:]])


def reparsed(**how: Any) -> Edit:
    return text(lambda line: json.dumps(json.loads(line), **how) + "\n")


PLAIN: dict[str, Edit] = {  # edits of the file as it is, hashes untouched
    "a better auroc": replaced(b'"value": 0.85', b'"value": 0.95'),
    "an impossible auroc": replaced(b'"value": 0.85', b'"value": 7.5'),
    "another attack": replaced(b'"attack": "x"', b'"attack": "y"'),
    "another code": replaced(b'"code": "test"', b'"code": "best"'),
    "another seed": replaced(b'"seed": 0', b'"seed": 9'),
    "another run": replaced(b'"run": "', b'"run": "0'),
    "one digit more": replaced(b'"value": 0.16', b'"value": 0.160'),
    "a space more": replaced(b'"value": 0.16', b'"value":  0.16'),
    "other key order": text(
        lambda line: json.dumps(dict(reversed(json.loads(line).items()))) + "\n"
    ),
    "compact": reparsed(separators=(",", ":")),
    "indented": reparsed(indent=1),
    "hash of zeros": text(lambda line: re.sub(r'"hash": "\w+"', f'"hash": "{"0" * 64}"', line)),
    "previous of zeros": text(
        lambda line: re.sub(r'"previous": "\w+"', f'"previous": "{"0" * 64}"', line)
    ),
    "no hash": text(lambda line: line.partition(', "previous"')[0] + "}\n"),
    "upper-case hash": text(lambda line: line[:-67] + line[-67:].upper()),
    "reordered": lambda lines: b"".join([lines[1], lines[0], *lines[2:]]),
    "duplicated": lambda lines: b"".join([*lines[:2], lines[1], *lines[2:]]),
    "duplicated at the end": lambda lines: b"".join([*lines, lines[-1]]),
    "left out": lambda lines: b"".join([lines[0], *lines[2:]]),
    "first left out": lambda lines: b"".join(lines[1:]),
    "cut in the middle": lambda lines: b"".join([lines[0], lines[1][:200], *lines[2:]]),
    "two lines joined": lambda lines: b"".join([lines[0], lines[1].rstrip(b"\n"), *lines[2:]]),
    "CRLF": lambda lines: b"".join(lines).replace(b"\n", b"\r\n"),
    "BOM": lambda lines: b"\xef\xbb\xbf" + b"".join(lines),
    "UTF-16": lambda lines: b"".join(lines).decode().encode("utf-16"),
    "NUL bytes": replaced(b'"attack": "x"', b'"attack": "\x00"'),
    "zeros at the end": lambda lines: b"".join(lines) + b"\0" * 100 + b"\n",
    "blank line": lambda lines: b"".join([lines[0], b"\n", *lines[1:]]),
    "comment": lambda lines: b"// fine\n" + b"".join(lines),
    "deep nesting": lambda lines: b"".join([lines[0], b"[" * 200_000 + b"\n", *lines[1:]]),
    "long line": lambda lines: b"".join([lines[0], b"x" * 30_000_000 + b"\n", *lines[1:]]),
    "an array of lines": lambda lines: b"[" + b",".join(line.strip() for line in lines) + b"]\n",
    "key twice": replaced(b'"seed": 0', b'"seed": 0, "seed": 0'),
}
# edits of somebody who chains the file anew; most also give the record its new address
AND_CHAINED: dict[str, Edit] = {
    "auroc of 7.5": rewritten(figure("auroc", 7.5)),
    "negative auroc": rewritten(figure("auroc", -0.1, subject="hospital_0")),
    "auroc as text": rewritten(figure("auroc", "0.9")),
    "auroc true": rewritten(figure("auroc", True)),
    "auroc a list": rewritten(figure("auroc", [0.9])),
    "NaN": rewritten(figure("auroc", float("nan"))),
    "infinite": rewritten(put("seconds", value=float("inf"))),
    "infinite distance": rewritten(figure("attack_distance", float("inf"))),
    "1e999": (
        lambda lines: rewritten(put("seconds", value=123456789.5))(lines).replace(
            b"123456789.5", b"1e999"
        )
    ),
    "an outcome of 1e999": (
        lambda lines: rewritten(figure("attack_distance", 123456789.5))(lines).replace(
            b"123456789.5", b"1e999"
        )
    ),
    "count as float": rewritten(figure("auroc", 126.5, key="n")),
    "negative count": rewritten(figure("epsilon", -1, key="n")),
    "giant count": rewritten(figure("epsilon", 10**400, key="n")),
    "count of 2**64": rewritten(put("hospitals", 1, "n_train", value=2**64)),
    "no count": rewritten(figure("auroc", None, key="n")),
    "a count of nothing": rewritten(figure("attack_distance", 3, key="n")),
    "more test patients than there are": rewritten(figure("brier", 127, key="n")),
    "more with the condition than patients": rewritten(
        put("hospitals", 0, "n_test_positive", value=1000)
    ),
    "negative epsilon": rewritten(figure("epsilon", -5.0)),
    "epsilon below a hospital's": rewritten(figure("epsilon", 0.1)),
    "rate above 1": rewritten(figure("reconstruction_rate", 1.5)),
    "a part of a record recovered": rewritten(figure("reconstruction_rate", 0.3)),
    "more attacked than were in the rows": rewritten(figure("reconstruction_rate", 16, key="n")),
    "a worst hospital that is not the worst": rewritten(figure("worst_hospital_auroc", 0.8)),
    "a hospital below the worst": rewritten(figure("auroc", 0.5, subject="hospital_2")),
    "a metric that nobody knows": rewritten(added(metric="charm")),
    "an outcome twice": rewritten(added()),
    "an outcome of a hospital that is not there": rewritten(
        added(scope="hospital", subject="hospital_9")
    ),
    "an outcome of a hospital without its name": rewritten(
        figure("auroc", "hospital", key="scope")
    ),
    "a hospital's name for the consortium": rewritten(figure("auroc", "hospital_0", key="subject")),
    "an outcome of a scope that its metric does not have": rewritten(
        added(metric="auprc", unit="share", scope="hospital", subject="hospital_0", n=36)
    ),
    "a scope that nobody knows": rewritten(figure("auroc", "planet", key="scope")),
    "another unit": rewritten(figure("auroc", "percent", key="unit")),
    "another basis": rewritten(figure("auroc", "none", key="basis")),
    "no value and no reason": rewritten(figure("auroc", None)),
    "a value and a reason": rewritten(figure("auroc", "because", key="undefined")),
    "an empty reason": rewritten(
        lambda record: (figure("auroc", None)(record), figure("auroc", "", key="undefined")(record))
    ),
    "fewer rounds skipped than are listed": rewritten(put("skipped_rounds", value=[2])),
    "rounds skipped that are not listed": rewritten(figure("rounds_skipped", 0.25)),
    "privacy without an epsilon": rewritten(without("epsilon")),
    "an epsilon without privacy": rewritten(put("privacy", value=None)),
    "a reconstruction without its rate": rewritten(without("reconstruction_rate")),
    "a score of one image more": rewritten(
        lambda record: record["inversion"]["images"]["random"]["ssim"].append(0.0)
    ),
    "an image of a hospital that is not there": rewritten(
        put("inversion", "images", "hospital", 0, value="hospital_9")
    ),
    "an image recovered that does not count": rewritten(
        lambda record: (
            put("inversion", "images", "guess", "ssim", 0, value=0.7)(record),
            figure("image_ssim", 0.91875)(record),
        )
    ),
    "another mean of images": rewritten(figure("image_psnr", 24.0)),
    "a gain that is not that of the images": rewritten(
        put("inversion", "images", "mean_color", "mse", 7, value=0.5)
    ),
    "means of images without images": rewritten(put("inversion", "images", value=None)),
    "images without their means": rewritten(without("image_gain")),
    "an error of nothing": rewritten(put("inversion", "images", "shuffled", "mse", 0, value=0.0)),
    "a similarity above 1": rewritten(put("inversion", "images", "guess", "ssim", 0, value=1.1)),
    "a backdoor without a success": rewritten(put("backdoor", value={"attack": "x", "target": 0})),
    "outcomes as before": rewritten(put("outcome", value={"auroc": 0.9})),
    "no outcomes": rewritten(lambda record: record.pop("outcomes")),
    "outcomes a mapping": rewritten(put("outcomes", value={"auroc": 0.9})),
    "negative seconds": rewritten(put("seconds", value=-1.0)),
    "another attack's name": rewritten(put("attack", value="none"), address=True),
    "another defense's name": rewritten(put("defense", value="krum"), address=True),
    "another seed's number": rewritten(put("seed", value=5), address=True),
    "another number of hostile hospitals": rewritten(put("n_hostile", value=3), address=True),
    "nobody hostile": rewritten(put("hostile", value=[]), address=True),
    "other rounds": rewritten(put("rounds", value=400), address=True),
    "fewer hospitals": rewritten(put("n_hospitals", value=3), address=True),
    "another address": rewritten(put("run", value="0123456789abcdef")),
    "address of other code": rewritten(put("code", value="other")),
    "address of other data": rewritten(put("data_hash", value="1" * 64)),
    "address of other values": rewritten(put("config", "training", value={"rounds": 4, "lr": 9})),
    "another schema": rewritten(put("schema_", value="wardround.evidence/1")),
    "a schema of somebody else": rewritten(put("schema_", value="x")),
    "no schema": rewritten(lambda record: record.pop("schema_")),
    "unknown key": rewritten(put("extra", value=1)),
    "missing key": rewritten(lambda record: record.pop("seed")),
    "round after the last": rewritten(put("skipped_rounds", value=[99])),
    "curve of other length": rewritten(put("curve", "value", value=[0.5])),
    "curve out of range": rewritten(put("curve", "value", value=[0.5, 0.6, 0.7, 80.5])),
    "curve of text": rewritten(put("curve", "value", value=["a"] * 4)),
    "curve's round": rewritten(put("curve", "round", value=[1, 2, 3, 10**30])),
    "curve's columns": rewritten(put("curve", value={"x": [1]})),
    "config a list": rewritten(put("config", value=[])),
    "deep config": rewritten(put("config", value=json.loads("[" * 400 + "]" * 400))),
    "name with a lone surrogate": rewritten(put("data_source", value="\ud800")),
}


@pytest.mark.parametrize(
    "edit", [*PLAIN.values(), *AND_CHAINED.values()], ids=[*PLAIN, *AND_CHAINED]
)
def test_an_edit_is_noticed_in_one_line_that_states_where(
    edit: Edit, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / EVIDENCE
    path.write_bytes(edit(written(tmp_path, records())))
    with pytest.raises(
        InputError, match=r"evidence\.jsonl:\d=.*not evidence of wardround\.evidence/3: "
    ) as error:
        evidence.read(tmp_path)
    assert len(str(error.value).splitlines()) == 1
    assert len(str(error.value)) < 300 + len(str(tmp_path))
    before = path.read_bytes()
    assert main(["report", str(tmp_path)]) == 2
    assert capfd.readouterr().err.count("\n") == 1
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == before


HARMLESS: dict[str, Edit] = {
    "nothing": b"".join,
    "a last line that is cut off": lambda lines: b"".join(lines) + lines[-1][:100],
    "chained anew without a change": rewritten(lambda _: None),
    "half a byte order at the end": lambda lines: b"".join(lines) + b"\xff",
}


@pytest.mark.parametrize("edit", HARMLESS.values(), ids=HARMLESS.keys())
def test_a_harmless_edit_changes_nothing_that_is_read(edit: Edit, tmp_path: Path) -> None:
    lines = written(tmp_path, records())
    whole = evidence.read(tmp_path)
    (tmp_path / EVIDENCE).write_bytes(edit(lines))
    assert evidence.read(tmp_path) == whole
    assert len(whole) == 4


def test_a_line_of_another_folder_is_noticed(tmp_path: Path) -> None:
    ours, theirs = (
        written(tmp_path / name, made) for name, made in (("a", records()), ("b", records()[1:]))
    )
    (tmp_path / "a" / EVIDENCE).write_bytes(b"".join([*ours, theirs[-1]]))
    with pytest.raises(
        InputError, match=r"evidence\.jsonl:5=line: .*it does not follow the line before"
    ):
        evidence.read(tmp_path / "a")


@pytest.mark.parametrize(
    "edit",
    [rewritten(figure("accuracy", 0.999)), lambda lines: b"".join(lines[:-1]), lambda _: b""],
    ids=["all chained anew", "last line left out", "emptied"],
)
def test_what_a_chain_cannot_show_is_noticed_by_the_hash_in_the_manifest(
    edit: Edit, tmp_path: Path
) -> None:
    lines = written(tmp_path, records())
    (tmp_path / evidence.MANIFEST).write_text(json.dumps({"evidence": evidence.head(tmp_path)}))
    assert len(evidence.read(tmp_path)) == 4
    (tmp_path / EVIDENCE).write_bytes(edit(lines))
    with pytest.raises(
        InputError,
        match=r"evidence\.jsonl of which manifest\.json holds size and hash; it is another$",
    ):
        evidence.read(tmp_path)


def test_a_folder_without_evidence_has_a_head_of_no_bytes(tmp_path: Path) -> None:
    assert evidence.head(tmp_path) == {"bytes": 0, "hash": sealed.FIRST}


@pytest.mark.parametrize(("seed", "is_plausible"), [(2**63 - 1, True), (2**63, False)])
def test_a_seed_has_less_than_64_bits(seed: int, is_plausible: bool) -> None:
    assert (plausible.implausible(make_record(seed=seed)) is None) == is_plausible


def test_evidence_that_grew_after_its_manifest_is_read(tmp_path: Path) -> None:
    written(tmp_path, records()[:2])
    (tmp_path / evidence.MANIFEST).write_text(json.dumps({"evidence": evidence.head(tmp_path)}))
    written(tmp_path, records()[2:])
    assert len(evidence.read(tmp_path)) == 4


def test_evidence_of_other_code_is_read_with_the_address_that_it_had(tmp_path: Path) -> None:
    made = addressed(make_record(code="0" * 12))
    evidence.append(tmp_path, made)
    assert evidence.read(tmp_path) == [made]


@pytest.mark.parametrize("kind", ["folder", "pipe", "device", "dangling link", "link to a device"])
def test_what_is_no_file_is_refused_at_once(kind: str, tmp_path: Path) -> None:
    path = tmp_path / EVIDENCE
    make: dict[str, Callable[[], None]] = {
        "folder": path.mkdir,
        "pipe": lambda: os.mkfifo(path),
        "device": lambda: path.symlink_to("/dev/zero"),
        "dangling link": lambda: path.symlink_to(tmp_path / "nowhere"),
        "link to a device": lambda: path.symlink_to("/dev/full"),
    }
    make[kind]()
    with pytest.raises(InputError, match="folder="):
        evidence.read(tmp_path)
    with pytest.raises(InputError, match="folder="):
        evidence.append(tmp_path, records()[0])
    assert not (tmp_path / "nowhere").exists()


def test_figures_that_could_not_be_read_again_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError,
        match=r"outcomes\.auroc of run .*: expected a number of at least 0 and at most 1",
    ):
        evidence.append(tmp_path, addressed(make_record(figures={"auroc": 1.5})))
    assert list(tmp_path.iterdir()) == []


def numbers(part: type[Part]) -> set[str]:
    """Names of all figures that a piece of evidence and its parts may hold."""
    found = set[str]()
    for name, field in part.model_fields.items():
        todo = [field.annotation]
        while todo:
            kind: Any = todo.pop()
            if get_origin(kind) in (list, tuple, Union, UnionType):
                todo += get_args(kind)
            elif kind in (int, float):
                found.add(name)
            elif isinstance(kind, type) and issubclass(kind, Part):
                found |= numbers(kind)
    return found


def test_every_figure_of_evidence_has_a_range() -> None:
    assert numbers(RunRecord) == RANGES.keys(), (
        "name the range of each figure in sim/evidence/plausible.py"
    )


def test_evidence_of_another_version_is_refused_in_one_line_that_states_which_version_wrote_it(
    tmp_path: Path,
) -> None:
    path = tmp_path / EVIDENCE
    old = rewritten(put("schema_", value="wardround.evidence/2"))
    path.write_bytes(old(written(tmp_path, records())))
    reason = (
        r"it was written as wardround\.evidence/2 by another version of the code \(test\), which"
        r" can read it$"
    )
    with pytest.raises(
        InputError,
        match=rf"evidence\.jsonl:2=schema_: not evidence of wardround\.evidence/3: {reason}",
    ):
        evidence.read(tmp_path)


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_is_held_to_its_range_its_unit_and_its_scopes(name: str) -> None:
    metric = METRICS[name]
    low, high = metric.range
    assert low < high
    assert metric.text
    assert metric.unit
    assert metric.basis in BASES
    made = addressed(make_record(attack="x"))
    for value, fits in ((low - 1, math.isinf(low)), (high + 1, math.isinf(high)), (0.5, True)):
        if math.isfinite(value):
            hospital = None if "consortium" in metric.scopes else "hospital_0"
            found = outcome(name, value, 126 if metric.counted else None, hospital=hospital)
            reasons = [key for key, _ in plausible._outcomes(with_outcomes(made, [found]))]
            assert (reasons == []) == fits


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if metric.counted])
def test_a_figure_of_none_of_what_it_counts_is_refused(name: str) -> None:
    hospital = None if "consortium" in METRICS[name].scopes else "hospital_0"
    made = addressed(make_record(attack="x"))
    for value, n, fits in ((0.5, 0, False), (None, 0, True), (0.5, 1, True)):
        found = outcome(name, value, n, hospital=hospital, undefined="" if value else "none of it")
        reasons = [key for key, _ in plausible._outcomes(with_outcomes(made, [found]))]
        assert (reasons == []) == fits


@pytest.mark.parametrize("n", [1, 7, 1000])
def test_reading_is_linear_in_bytes_also_of_a_line_without_an_end(n: int, tmp_path: Path) -> None:
    made = records()[0]
    evidence.append(tmp_path, made)
    with (tmp_path / EVIDENCE).open("ab") as file:
        file.write(b"x" * n * 1000)
    assert evidence.read(tmp_path) == [made]
    evidence.mend(tmp_path)
    assert evidence.read(tmp_path) == [made]
    assert (tmp_path / EVIDENCE).read_bytes().count(b"\n") == 1


def rows_of_fields() -> RunRecord:
    return make_record(attack="x", inversion=make_fields())


@pytest.mark.parametrize(
    ("part", "values", "key"),
    [
        ("right", [1.0, 1.0, 1.0], "inversion.fields"),
        ("right", [1.0, 1.0, 0.5, 0.5], "outcomes.feature_accuracy"),
        ("singled_out", [True, True, True, False], "outcomes.singled_out_rate"),
        ("exact", [True, True, False, True], "inversion.fields.exact"),
    ],
)
def test_scores_of_fields_agree_with_their_outcomes(
    part: str, values: list[float], key: str
) -> None:
    record = rows_of_fields()
    assert plausible.implausible(record) is None
    assert record.inversion is not None
    fields = record.inversion.fields
    assert fields is not None
    guess = fields.guess.model_copy(update={part: values})
    inversion = record.inversion.model_copy(
        update={"fields": fields.model_copy(update={"guess": guess})}
    )
    found = plausible.implausible(record.model_copy(update={"inversion": inversion}))
    assert found is not None
    assert found[0] == key


def test_outcomes_of_fields_need_their_scores() -> None:
    record = rows_of_fields()
    assert record.inversion is not None
    inversion = record.inversion.model_copy(update={"fields": None})
    found = plausible.implausible(record.model_copy(update={"inversion": inversion}))
    assert found == ("outcomes.feature_accuracy", "expected it together with inversion.fields")


MEMBERS, OTHERS = [0.2, 0.6, 0.9], [0.1, 0.4]


def inferred(**changes: Any) -> RunRecord:
    """A record of a membership inference, with ``changes`` to its details."""
    found = {
        "membership_auc": outcome("membership_auc", roc.auc(MEMBERS, OTHERS), 5),
        "membership_advantage": outcome("membership_advantage", 2 / 3, 5),
    }
    details = {"members": MEMBERS, "others": OTHERS, "bounds": [], "party": "aggregator"}
    held = Membership.model_validate({"attack": "x", "rounds": []} | details | changes)
    return make_record(attack="x", membership=held, more=list(found.values()))


def of_bound(**changes: Any) -> dict[str, Any]:
    """What private training allows at a rate of 10 %, with ``changes``."""
    usual = {
        "false_positives": 0.1, "bound": 0.2, "true_positives": 2 / 3, "lowest": 0.1,
        "highest": 0.8, "allowed": 0.9, "exceeded": False,
    }  # fmt: skip
    return usual | changes


def test_scores_of_membership_that_agree_are_plausible() -> None:
    assert plausible.implausible(inferred(bounds=[of_bound()])) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"members": []},
        {"others": []},
        {"members": [], "others": []},
        {"members": [0.9, 0.6, 0.2]},
        {"members": [0.2, 0.6, 0.6, 0.9]},
        {"others": [0.1, 0.7]},
        {"members": [0.2, 0.6, math.nan]},
        {"bounds": [of_bound(true_positives=0.5)]},
        {"bounds": [of_bound(lowest=0.7)]},
        {"bounds": [of_bound(exceeded=True)]},
    ],
    ids=str,
)
def test_scores_of_membership_that_do_not_agree_are_refused(changes: dict[str, Any]) -> None:
    assert plausible.implausible(inferred(**changes)) is not None


@pytest.mark.parametrize(
    "cells",
    [
        {"pixel_0_0": "x"},
        {"pixel_999999_999999": "1"},
        {"pixel_0_0": "1", "pixel_1_1": "1"},
        {"age": "63"},
        {},
    ],
    ids=str,
)
def test_what_cannot_be_drawn_as_an_image_is_refused(cells: dict[str, str]) -> None:
    one = Recovered(hospital="hospital_0", exact=False, truth=cells, guess=None)
    fine = one.model_copy(update={"truth": {"pixel_0_0": "0.5"}})
    for shown, fits in ((fine, True), (one, False)):
        inversion = make_inversion(gallery=[shown], pixels=(0.0, 1.0))
        found = plausible.implausible(make_record(attack="x", inversion=inversion))
        assert (found is None) == fits


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *((key, "x") for key in (*plausible.PARTS, *plausible.PAIRS)),
        *((key, None) for key in (*plausible.ALWAYS, *plausible.PAIRS)),
        ("plugins", 1.5),
        ("adversary", {"every": 0}),
        ("adversary", {"first_round": None}),
        ("attack", [["late", {"last_round": "x"}]]),
        ("defense", {"name": 1}),
    ],
)
def test_a_configuration_of_another_form_is_no_evidence(key: str, value: object) -> None:
    record = make_record()
    assert plausible.implausible(record) is None
    edited = record.model_copy(update={"config": {**record.config, key: value}})
    found = plausible.implausible(edited)
    assert found is not None
    assert found[0].startswith(f"config.{key}") or key == "attack"
