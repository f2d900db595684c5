"""Verdict and register as files: they follow from the evidence, name its head, and judge nobody."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim import evidence
from sim.cli.command import main
from sim.config.choices import options
from sim.errors import InputError
from sim.evidence import EVIDENCE, MANIFEST, RunRecord
from tests.assessed import CATALOG, assessed, make_design, make_values, pairs, recovered
from tests.records import addressed, make_conflict
from threats import claims, problems, verdict
from threats.assessment import Assessment, Plan, assess
from threats.claims import CLAIMS, Planned
from threats.verdict import REGISTER, TABLE, VERDICT

NEEDED = {("THR-BYZ", "hostile"): ("sign_flip",), ("THR-GI", "reader"): ("analytic_inversion",)}
PLAN = Plan(needed=NEEDED)
SMALL = [0.01, 0.02, 0.0, 0.015, 0.01]
FORBIDDEN = re.compile(r"\b(compliant|compliance|breach\w*|safe|safely)\b", re.IGNORECASE)
PHRASE = "breach_worksheet"  # the law's own term, as a key of verdict.json
PLANNED = [Planned("THR-BYZ", "hostile", "robust", "sign_flip")]


def filled(folder: Path, records: Iterable[RunRecord]) -> Assessment:
    """An assessment of evidence that lies in a folder, with its files."""
    for record in records:
        evidence.append(folder, addressed(record))
    made = assess(make_design(), CATALOG, evidence.chain(folder), PLAN, claims.stated(folder))
    verdict.write(folder, made, CATALOG)
    return made


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def all_texts(made: Assessment) -> str:
    """Everything that is written of an assessment."""
    parts = (verdict.verdict_json(made, CATALOG), verdict.register_json(made))
    return json.dumps(parts) + verdict.register_csv(made).decode()


# Files


def test_every_run_that_a_row_names_is_a_line_of_the_evidence(tmp_path: Path) -> None:
    filled(tmp_path, [*pairs("sign_flip", SMALL), *recovered([0] * 6)])
    lines = {
        found["run"]: found["hash"]
        for found in map(json.loads, (tmp_path / EVIDENCE).read_text().splitlines())
    }
    register = read_json(tmp_path / REGISTER)
    sources = [source for row in register["rows"] for source in row["sources"]]
    sources += [
        source for one in register["statements"] for source in (*one["runs"], *one["controls"])
    ]
    assert len({source["run"] for source in sources}) == len(lines)
    assert all(lines[source["run"]] == source["line"] for source in sources)
    statements = {one["id"] for one in register["statements"]}
    assert {id_ for row in register["rows"] for id_ in row["evidence"]} == statements
    assert len(statements) == 4
    criteria = read_json(tmp_path / VERDICT)["criteria"]
    assert all(
        lines[run["run"]] == run["line"]
        for one in criteria
        for tried in one["tried"]
        for run in tried["runs"]
    )


def test_the_verdict_names_the_head_of_the_chain(tmp_path: Path) -> None:
    filled(tmp_path, pairs("sign_flip", SMALL))
    stated = read_json(tmp_path / VERDICT)["evidence"]
    assert {key: stated[key] for key in ("bytes", "hash")} == evidence.head(tmp_path)
    assert stated["runs"] == 20
    assert read_json(tmp_path / REGISTER)["evidence"] == stated


def test_a_verdict_is_sentences_each_with_figure_n_bound_and_runs() -> None:
    made = assessed([*pairs("sign_flip", SMALL), *recovered([0] * 8)], plan=PLAN)
    first, loss, read, counts, *risks, hash_, notice = verdict.summary(made)
    assert first == (
        "The design Made for a test, version 1, with the stack robust, meets its criteria: 2 of 2"
        " are met."
    )
    for text, seeds in ((loss, "5 seeds"), (read, "8 seeds, 128 attacked records")):
        assert seeds in text
        assert re.search(r"was \d\.\d{3}, with 95 % confidence at most \d\.\d{3} \(", text)
        assert re.search(r"runs [0-9a-f]{16}, ", text)
    assert counts.startswith("The register has ")
    assert risks[0].startswith("Byzantine updates (THR-BYZ/hospital/hostile/robust): The risk that")
    assert made.head in hash_
    assert notice == verdict.NOTICE


@pytest.mark.parametrize(
    ("losses", "words"),
    [
        ([0.3] * 5, "does not meet its criteria: its only criterion is not met"),
        ([0.0] * 4, "Whether the design Made for a test, version 1, with the stack robust, meets"),
    ],
)
def test_a_verdict_states_first_what_is_not_met_and_what_is_not_decided(
    losses: list[float], words: str
) -> None:
    design = make_design(acceptance=make_values()["acceptance"][:1])
    assert words in verdict.summary(assessed(pairs("sign_flip", losses), design, plan=PLAN))[0]


def test_the_register_as_a_table_has_a_line_for_each_row_and_no_formula() -> None:
    values = make_values()
    values["adversaries"][0]["role"] = "=1+1"
    decided = {"decision": "accept", "by": "=HYPERLINK(1)", "date": "2026-01-01"}
    values["decisions"] = [
        {"row": "THR-BYZ/hospital/hostile/robust", **decided, "expires": "2099-01-01"}
    ]
    made = assessed(pairs("sign_flip", SMALL), problems.design(values), plan=PLAN)
    table = list(csv.DictReader(io.StringIO(verdict.register_csv(made).decode())))
    assert [line["id"] for line in table] == [row.id for row in made.rows]
    byzantine = next(line for line in table if line["threat"] == "THR-BYZ")
    assert byzantine["decided_by"] == "'=HYPERLINK(1)"
    assert byzantine["adjusted_risk"] == "moderate"
    assert len(byzantine["runs"].split()) == 20
    assert not [cell for line in table for cell in line.values() if cell[:1] in "=+-@" and cell]


def test_outcomes_of_the_framework_are_answered_by_parts_of_the_assessment() -> None:
    found = verdict.verdict_json(assessed([]), CATALOG)["ai_rmf"]
    assert {one["id"] for one in found} >= {"MAP 1.5", "MEASURE 1.1", "MANAGE 1.3"}
    assert all(one["title"] and one["by"] for one in found)


# Words


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.floats(-0.1, 0.5)), max_size=7),
    st.lists(st.integers(0, 16), max_size=6),
    st.booleans(),
)
def test_no_verdict_has_a_word_that_only_people_may_use(
    losses: list[float | None], counts: list[int], conflict: bool
) -> None:
    conflicts = [make_conflict()] if conflict else []
    records = pairs("sign_flip", losses, conflicts=conflicts) + recovered(counts)
    made = assessed(records, plan=PLAN)
    assert not FORBIDDEN.search(all_texts(made).replace(PHRASE, ""))


def test_the_fixed_phrase_stands_once() -> None:
    assert json.dumps(verdict.verdict_json(assessed([]), CATALOG)).count(PHRASE) == 1


# The chain


def drop_last(lines: list[bytes]) -> list[bytes]:
    return lines[:-1]


def drop_seed(lines: list[bytes]) -> list[bytes]:
    return [line for line in lines if b'"seed": 1,' not in line]


def drop_all(_: list[bytes]) -> list[bytes]:
    return []


EDITS: dict[str, tuple[Callable[[list[bytes]], list[bytes]], str]] = {
    "a run": (
        lambda lines: [*lines[:3], *lines[4:]],
        "the chain does not hold: it does not follow",
    ),
    "a seed": (drop_seed, "the chain does not hold: it does not follow the line before"),
    "the last run": (drop_last, "no line of it has the hash that the verdict names"),
    "all runs": (drop_all, "no line of it has the hash that the verdict names"),
    "a changed run": (
        lambda lines: [lines[0].replace(b"0.85", b"0.95", 1), *lines[1:]],
        "the chain does not hold: its hash is not that of its content: it was changed",
    ),
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_report_states_that_the_chain_does_not_hold(
    edit: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    filled(tmp_path, pairs("sign_flip", SMALL))
    change, reason = EDITS[edit]
    path = tmp_path / EVIDENCE
    path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))
    before = sorted(tmp_path.iterdir())
    assert main(["report", str(tmp_path)]) == 2
    error = capfd.readouterr().err
    assert reason in error
    assert error.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


def test_a_report_of_evidence_that_grew_after_the_verdict_is_made(tmp_path: Path) -> None:
    filled(tmp_path, pairs("sign_flip", SMALL))
    for record in recovered([0] * 2):
        if record.attack != "none":
            evidence.append(tmp_path, addressed(record))
    verdict.check(tmp_path, evidence.chain(tmp_path))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"evidence": {}}', "[" * 100_000])
def test_a_verdict_that_names_no_evidence_is_refused(text: str, tmp_path: Path) -> None:
    filled(tmp_path, pairs("sign_flip", SMALL))
    (tmp_path / VERDICT).write_text(text)
    with pytest.raises(InputError, match=r"expected a verdict\.json that names its evidence"):
        verdict.check(tmp_path, evidence.chain(tmp_path))


def test_a_folder_without_a_verdict_needs_none(tmp_path: Path) -> None:
    evidence.append(tmp_path, addressed(pairs("sign_flip", [0.0])[0]))
    verdict.check(tmp_path, evidence.chain(tmp_path))
    assert not (tmp_path / MANIFEST).exists()
    assert not (tmp_path / TABLE).exists()


# Claims


def stated(folder: Path) -> None:
    texts = claims.texts(make_design(), CATALOG, PLANNED, drop=0.05)
    claims.state(folder, make_design(), texts)


def whens(made: Assessment) -> set[str]:
    found = {one.stated for one in made.statements if one.claim.stack == "robust"}
    return found | {one.stated for one in made.criteria if one.tried}


def test_claims_are_stated_before_the_runs_or_they_are_not(tmp_path: Path) -> None:
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    for folder in (first, second, third):
        folder.mkdir()
    stated(first)
    assert whens(filled(first, pairs("sign_flip", SMALL))) == {"before the runs"}
    assert whens(filled(second, pairs("sign_flip", SMALL))) == {"not stated"}
    filled(third, pairs("sign_flip", SMALL))
    stated(third)
    assert whens(filled(third, [])) == {"after the runs"}


def test_a_criterion_that_is_changed_after_the_runs_was_not_stated_before_them(
    tmp_path: Path,
) -> None:
    stated(tmp_path)
    filled(tmp_path, pairs("sign_flip", SMALL))
    acceptance = make_values()["acceptance"]
    acceptance[0]["loss_at_most"] = 0.2
    changed = make_design(acceptance=acceptance)
    claims.state(tmp_path, changed, claims.texts(changed, CATALOG, PLANNED, drop=0.05))
    chain, known = evidence.chain(tmp_path), claims.stated(tmp_path)
    made = assess(changed, CATALOG, chain, PLAN, known)
    assert made.criteria[0].stated == "after the runs"
    assert "Criterion accuracy was not stated before its runs." in made.questions
    assert {one.stated for one in made.statements if one.claim.stack == "robust"} == {
        "before the runs"
    }


def test_a_claim_is_stated_once(tmp_path: Path) -> None:
    stated(tmp_path)
    before = (tmp_path / CLAIMS).read_bytes()
    stated(tmp_path)
    assert (tmp_path / CLAIMS).read_bytes() == before
    texts = [json.loads(line)["text"] for line in before.splitlines()]
    assert "accuracy: the mean loss of AUROC is at most 0.05 under THR-BYZ by hostile" in texts
    assert (
        "With the stack robust, sign flipping by hostile lowers the AUROC by 0.05 or more in at"
        " least 5 % of runs."
    ) in texts


def test_an_edited_claim_is_noticed_and_a_half_written_one_is_none(tmp_path: Path) -> None:
    stated(tmp_path)
    path = tmp_path / CLAIMS
    whole, n = path.read_bytes(), len(claims.stated(tmp_path))
    path.write_bytes(whole + b'{"id": "CL-')
    assert len(claims.stated(tmp_path)) == n
    stated(tmp_path)
    assert path.read_bytes() == whole
    path.write_bytes(whole.replace(b"0.05", b"0.50", 1))
    with pytest.raises(InputError, match=r"claims\.jsonl:1=line: not a claim: its hash is not"):
        claims.stated(tmp_path)
    path.write_bytes(b"".join(whole.splitlines(keepends=True)[1:]))
    with pytest.raises(InputError, match=r"claims\.jsonl:1=line: not a claim: it does not follow"):
        claims.stated(tmp_path)


def test_a_row_of_the_register_states_each_provision_in_full(tmp_path: Path) -> None:
    filled(tmp_path, recovered([0] * 8))
    (row,) = [one for one in read_json(tmp_path / REGISTER)["rows"] if one["threat"] == "THR-GI"]
    titles = {one.id: one.title for one in CATALOG.taxonomies.hipaa.entries}
    wanted = CATALOG.threat("THR-GI").hipaa
    assert [one["cite"] for one in row["hipaa"]] == [one.cite for one in wanted]
    for found, one in zip(row["hipaa"], wanted, strict=True):
        assert found == {
            "cite": one.cite,
            "title": titles[one.cite],
            "relevance": one.relevance,
            "condition": one.condition,
            "why": one.why,
        }
    with (tmp_path / TABLE).open(newline="") as file:
        (line,) = [one for one in csv.DictReader(file) if one["threat"] == "THR-GI"]
    assert line["hipaa"] == "; ".join(f"{one.cite} ({one.relevance})" for one in wanted)
    assert line["hipaa_titles"] == " | ".join(f"{one.cite}: {titles[one.cite]}" for one in wanted)
    assert line["hipaa_reasons"] == " | ".join(f"{one.cite}: {one.why}" for one in wanted)
    conditional = [one for one in wanted if one.condition]
    assert conditional
    assert line["hipaa_conditions"] == " | ".join(
        f"{one.cite}: {one.condition}" for one in conditional
    )


def test_no_stored_sentence_has_a_typed_name_or_a_number_of_another_form() -> None:
    losses = [0.1, 0.2, 0.0, 0.0, 0.0]
    made = assessed([*pairs("sign_flip", losses), *recovered([3] * 8)])
    texts = [
        *verdict.summary(made),
        *(row.text for row in made.rows),
        *(reason for row in made.rows for reason in row.reasons),
        *(text for one in made.statements for text in (one.text, one.claim.text, *one.limits)),
        *(one.text for criterion in made.criteria for one in criterion.tried),
    ]
    names = {name for name in options("attack") if "_" in name}
    for text in texts:
        words = set(re.findall(r"[\w.]+", text))
        assert not names & words, text
        assert not re.search(r"\d%|(?<![\w.])-\d|-0\.000", text), text
