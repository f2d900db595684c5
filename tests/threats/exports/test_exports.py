"""The exports are valid by the models and schemas of others, follow from the assessment, claim no
more than it does, and keep whatever a design has in its texts inert.

``sarif-2.1.0.json`` is the schema of the npm package ``@microsoft/jest-sarif`` 1.0.0-beta.0. The
validators of OSCAL and CycloneDX are those of ``make exports``.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft4Validator

from sim import evidence
from sim.evidence import RunRecord
from sim.evidence.spreadsheet import FORMULA, cell
from tests.assessed import CATALOG, make_chain, make_design, make_values, pairs, recovered
from tests.records import addressed, make_conflict, make_hospitals
from tests.threats.test_verdict import FORBIDDEN, PLAN, SMALL
from threats import exports, problems
from threats.assessment import Assessment, assess
from threats.exports import cyclonedx, oscal, sarif
from threats.exports.values import content, inert
from threats.system import Design

SCHEMA = Draft4Validator(json.loads((Path(__file__).parent / "sarif-2.1.0.json").read_text()))
NAMES = {exports.OSCAL, exports.SARIF, exports.CYCLONEDX}
CATEGORY = '"Non-compliance"'  # what LINDDUN calls one of its categories
DAY = datetime.date(2026, 11, 26)
ROW = "THR-BYZ/hospital/hostile/robust"
WORST = {
    "id": "worst", "threat": "THR-BYZ", "adversary": "hostile", "metric": "auroc",
    "over": "worst_hospital", "loss_at_most": 0.05, "min_seeds": 5,
}  # fmt: skip

HOSTILE = {
    "a script": "<script>alert(1)</script>",
    "an end of a page": "]]></script><img src=x onerror=alert(1)>&amp;",
    "a formula": '=HYPERLINK("http://x")',
    "a call": "@SUM(1)",
    "a plus": "+1+1",
    "a full-width formula": "\uff1d1+1",
    "a link": "[x](javascript:alert(1)) ![y](http://z) {0} {{ insert: param, x }}",
    "a control": "a\x1b[31m\x00\x07b\tc",
    "a right to left override": "a\u202eb\u2028c\ufeff",
    "spaces": "   ",
    "spaces around": "\t =1 ",
    "long": "x" * 200,
    "signs": "\U0001f4a5 é \\ \" ' ` * _ ~ ^ #",
}  # fmt: skip


def made(
    records: Iterable[RunRecord], design: Design | None = None
) -> tuple[Assessment, dict[str, bytes]]:
    """An assessment of the records, and its exports by name."""
    chosen = design or make_design()
    chain = make_chain(records)
    assessment = assess(chosen, CATALOG, chain, PLAN, on=DAY)
    found = {
        exports.OSCAL: oscal.document(chosen, assessment, CATALOG),
        exports.SARIF: sarif.document(chosen, assessment, CATALOG),
        exports.CYCLONEDX: cyclonedx.document(chosen, assessment, CATALOG, chain),
    }
    return assessment, {name: content(document) for name, document in found.items()}


def several() -> list[RunRecord]:
    """Evidence with a threat that is measured, one that is not decided, and a conflict."""
    conflicts = [make_conflict()]
    return [*pairs("sign_flip", SMALL, conflicts=conflicts), *recovered([0] * 6)]


def hostile_design(text: str) -> Design:
    """A design that has a text wherever it may have one."""
    values = make_values()
    values["meta"] |= {"name": text, "owner": text, "jurisdiction": text, "notes": text}
    values["legal"][0]["text"] = text
    for component in values["components"]:
        component["tech"] = text
    for adversary in values["adversaries"]:
        adversary["role"] = text
        adversary["initiation"] |= {"rationale": text, "declared_by": text}
    values["impact"] = {"ratified_by": text}
    values["acceptance"].append(WORST)
    decision = {"row": ROW, "decision": "accept", "by": text, "date": "2026-01-01"}
    values["decisions"] = [decision | {"expires": "2099-01-01"}]
    return problems.design(values)


def hostile_records(name: str) -> list[RunRecord]:
    """Evidence of hospitals all of which have this name, and a number."""
    facts = [
        one.model_copy(update={"hospital": f"{name}{number}"})
        for number, one in enumerate(make_hospitals(["hospital_0"]))
    ]
    return pairs("sign_flip", SMALL, hospitals=facts, hostile=[f"{name}0"])


def texts(value: Any) -> Iterator[str]:
    """Every text in a value of JSON."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from texts(part)


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Every mapping in a value of JSON."""
    if isinstance(value, dict):
        yield value
        for part in value.values():
            yield from nodes(part)
    elif isinstance(value, list):
        for part in value:
            yield from nodes(part)


def is_number(text: str) -> bool:
    return re.fullmatch(r"-?\d+(\.\d+)?(e[-+]\d+)?", text) is not None


def result(found: dict[str, bytes]) -> dict[str, Any]:
    return json.loads(found[exports.OSCAL])["assessment-results"]["results"][0]


def run(found: dict[str, bytes]) -> dict[str, Any]:
    return json.loads(found[exports.SARIF])["runs"][0]


def bill(found: dict[str, bytes]) -> dict[str, Any]:
    return json.loads(found[exports.CYCLONEDX])


def keyed(results: Iterable[dict[str, Any]], key: str) -> dict[str, dict[str, Any]]:
    """SARIF results by a property that not all have."""
    return {one["properties"][key]: one for one in results if key in one["properties"]}


# Validators


@pytest.fixture(scope="module")
def of_oscal() -> Callable[[bytes], object]:
    """The model of OSCAL assessment results of ``compliance-trestle``."""
    models = pytest.importorskip("trestle.oscal.assessment_results", reason="make exports")
    read: Callable[[bytes], object] = models.Model.model_validate_json
    return read


@pytest.fixture(scope="module")
def of_cyclonedx() -> Callable[[bytes], None]:
    """The strict schema of CycloneDX 1.7."""
    validation = pytest.importorskip("cyclonedx.validation.json", reason="make exports")
    versions = pytest.importorskip("cyclonedx.schema", reason="make exports")
    validator = validation.JsonStrictValidator(versions.SchemaVersion.V1_7)

    def check(file: bytes) -> None:
        assert validator.validate_str(file.decode()) is None

    return check


CASES: dict[str, Callable[[], list[RunRecord]]] = {
    "several": several,
    "nothing": list,
    "no figure": lambda: pairs("sign_flip", [None] * 5),
    "harm": lambda: pairs("sign_flip", [0.3] * 5),
}


@pytest.mark.parametrize("case", CASES)
def test_sarif_is_valid_by_its_schema(case: str) -> None:
    log = json.loads(made(CASES[case]())[1][exports.SARIF])
    assert [error.message for error in SCHEMA.iter_errors(log)] == []


@pytest.mark.parametrize("case", CASES)
def test_oscal_is_valid_by_its_models(case: str, of_oscal: Callable[[bytes], object]) -> None:
    of_oscal(made(CASES[case]())[1][exports.OSCAL])


@pytest.mark.parametrize("case", CASES)
def test_cyclonedx_is_valid_by_its_schema(case: str, of_cyclonedx: Callable[[bytes], None]) -> None:
    of_cyclonedx(made(CASES[case]())[1][exports.CYCLONEDX])


def test_the_validators_notice_what_is_wrong(
    of_oscal: Callable[[bytes], object], of_cyclonedx: Callable[[bytes], None]
) -> None:
    _, found = made(several())
    with pytest.raises(ValueError, match="valid URL"):
        of_oscal(
            found[exports.OSCAL].replace(b'"id": "https://atlas.mitre.org/techniques/', b'"id": "')
        )
    with pytest.raises(AssertionError):
        of_cyclonedx(found[exports.CYCLONEDX].replace(b'"counterEvidence"', b'"counterevidence"'))
    log = json.loads(found[exports.SARIF].replace(b'"notApplicable"', b'"inapplicable"'))
    assert list(SCHEMA.iter_errors(log))


# References


def test_every_reference_of_oscal_leads_to_a_part_of_it() -> None:
    _, found = made(several())
    document = json.loads(found[exports.OSCAL])
    known = [node["uuid"] for node in nodes(document) if "uuid" in node]
    assert len(known) == len(set(known))
    named = {
        value
        for node in nodes(document)
        for key, value in node.items()
        if key.endswith("-uuid") and isinstance(value, str)
    }
    assert named
    assert named <= set(known)
    results = document["assessment-results"]
    assert results["import-ap"]["href"][1:] in known
    objectives = {
        part["id"]
        for one in results["local-definitions"]["objectives-and-methods"]
        for part in one["parts"]
    }
    assert {one["target"]["target-id"] for one in result(found)["findings"]} == objectives


def test_every_index_of_sarif_leads_to_what_it_names() -> None:
    _, found = made(several())
    log = run(found)
    rules = log["tool"]["driver"]["rules"]
    assert {rule["id"] for rule in rules} >= {one.id for one in CATALOG.threats}
    for one in log["results"]:
        assert rules[one["ruleIndex"]]["id"] == one["ruleId"]
        for place in (at for where in one.get("locations", []) for at in where["logicalLocations"]):
            element = log["logicalLocations"][place["index"]]
            assert element["fullyQualifiedName"] == place["fullyQualifiedName"]
    for rule in rules:
        for target in (one["target"] for one in rule.get("relationships", [])):
            taxonomy = log["taxonomies"][target["toolComponent"]["index"]]
            assert taxonomy["name"] == target["toolComponent"]["name"]
            assert taxonomy["taxa"][target["index"]]["id"] == target["id"]
    guids = [one["guid"] for one in log["results"]]
    assert len(guids) == len(set(guids))


def test_every_reference_of_cyclonedx_leads_to_a_part_of_it() -> None:
    document = bill(made(several())[1])
    known = [node["bom-ref"] for node in nodes(document) if "bom-ref" in node]
    assert len(known) == len(set(known))
    stated = document["declarations"]
    named = [one["target"] for one in stated["claims"]]
    named += [
        ref
        for one in (*stated["claims"], *stated["attestations"][0]["map"])
        for key in ("evidence", "counterEvidence", "claims", "counterClaims")
        for ref in one.get(key, [])
    ]
    named += [one["requirement"] for one in stated["attestations"][0]["map"]]
    assert set(named) <= set(known)
    assert {"design", "CR-"} <= {name if name == "design" else name[:3] for name in named}


def test_every_line_of_evidence_that_is_named_is_there(tmp_path: Path) -> None:
    for record in several():
        evidence.append(tmp_path, addressed(record))
    chain = evidence.chain(tmp_path)
    design = make_design()
    exports.write(tmp_path, design, assess(design, CATALOG, chain, PLAN), CATALOG, chain)
    hashes = {one.hash for one in chain.lines.values()}
    assert {path.name for path in (tmp_path / exports.FOLDER).iterdir()} == NAMES
    for name in NAMES:
        document = json.loads((tmp_path / exports.FOLDER / name).read_text())
        named = [text for text in texts(document) if text.startswith("../evidence.jsonl#")]
        assert named
        assert {text.partition("#")[2] for text in named} == hashes
    for one in json.loads((tmp_path / "exports" / exports.OSCAL).read_text())["assessment-results"][
        "results"
    ][0]["observations"]:
        assert one["methods"] == ["TEST"]
        assert one["relevant-evidence"]


def test_threats_are_pages_of_atlas_and_what_is_only_similar_is_a_link() -> None:
    _, found = made(several())
    risks = {one["title"].split(" (")[1]: one for one in result(found)["risks"]}
    inversion = next(one for title, one in risks.items() if title.startswith("THR-GI/"))
    byzantine = next(one for title, one in risks.items() if title.startswith("THR-BYZ/"))
    near = [one for one in CATALOG.threat("THR-GI").atlas if one.fit == "near"]
    assert near
    assert {one["href"].rpartition("/")[2] for one in inversion["links"]} == {
        one.id for one in near
    }
    direct = [one.id for one in CATALOG.threat("THR-BYZ").atlas if one.fit == "direct"]
    assert [one["id"] for one in byzantine.get("threat-ids", [])] == [
        f"https://atlas.mitre.org/techniques/{id_}" for id_ in direct
    ]


# What is claimed


@settings(max_examples=10, deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.floats(-0.1, 0.5)), max_size=7),
    st.lists(st.integers(0, 16), max_size=6),
)
def test_no_export_claims_more_than_the_assessment(
    losses: list[float | None], counts: list[int]
) -> None:
    assessment, found = made([*pairs("sign_flip", losses), *recovered(counts)])
    rows = keyed(run(found)["results"], "row")
    for row in assessment.rows:
        one = rows[row.id]
        assert (one["kind"] == "pass") == (row.color == "green")
        assert (one["kind"] == "fail") == (
            row.color == "red" or (row.color == "amber" and row.status == "measured")
        )
        assert one["level"] == {"red": "error", "green": "none", "gray": "none"}.get(
            row.color, "warning" if one["kind"] == "fail" else "none"
        )
    criteria = keyed(run(found)["results"], "criterion")
    findings = {one["target"]["target-id"]: one for one in result(found)["findings"]}
    judged = {
        one["requirement"]: one for one in bill(found)["declarations"]["attestations"][0]["map"]
    }
    for criterion in assessment.criteria:
        met = criterion.outcome == "met"
        assert (criteria[criterion.id]["kind"] == "pass") == met
        assert (findings[criterion.id]["target"]["status"]["state"] == "satisfied") == met
        score = judged[f"criterion/{criterion.id}"].get("conformance", {}).get("score")
        assert score == {"met": 1, "not_met": 0, "inconclusive": None}[criterion.outcome]
    claims = {one["bom-ref"]: one for one in bill(found)["declarations"]["claims"]}
    for statement in assessment.statements:
        one = claims[f"{statement.claim.id}/{statement.id}"]
        assert ("evidence" in one) == (statement.result == "supports")
        assert ("counterEvidence" in one) == (statement.result == "refutes")
    for file in found.values():
        assert not FORBIDDEN.search(file.decode().replace(CATEGORY, "", 1))


def test_a_risk_has_levels_before_and_after_the_controls() -> None:
    assessment, found = made(several())
    row = next(one for one in assessment.rows if one.id == ROW)
    risk = next(one for one in result(found)["risks"] if ROW in one["title"])
    levels = {
        (facet["name"], *(prop["value"] for prop in facet["props"])): facet["value"]
        for one in risk["characterizations"]
        for facet in one["facets"]
    }
    assert row.initial is not None
    assert row.adjusted is not None
    assert levels["risk", "initial", "upper"] == row.initial.upper.risk.replace("_", " ")
    assert levels["risk", "adjusted", "upper"] == row.adjusted.upper.risk.replace("_", " ")
    assert levels["likelihood", "adjusted", "lower"] == row.adjusted.lower.likelihood.replace(
        "_", " "
    )
    assert levels["impact", "adjusted", "upper"] == row.adjusted.upper.impact.replace("_", " ")
    untested = [one for one in result(found)["risks"] if "characterizations" not in one]
    assert len(untested) == len([one for one in assessment.rows if one.adjusted is None])


def test_a_model_card_has_the_figures_of_the_runs() -> None:
    metrics = bill(made(several())[1])["metadata"]["component"]["modelCard"][
        "quantitativeAnalysis"
    ]["performanceMetrics"]
    found = {(one["type"], one["slice"].split(":")[0]): one for one in metrics}
    free = found["auroc", "attack-free, stack robust, mean of 6 runs"]
    assert free["value"] == "0.85"
    assert free["confidenceInterval"] == {"lowerBound": "0.85", "upperBound": "0.85"}
    loss = found["loss of auroc", "criterion accuracy"]
    assert float(loss["value"]) == pytest.approx(sum(SMALL) / len(SMALL))
    assert float(loss["confidenceInterval"]["upperBound"]) > float(loss["value"])
    tried = found[
        "rate of success of the attack",
        "analytic_inversion by reader (THR-GI), stack undefended",
    ]
    assert float(tried["value"]) == 0.5


def test_a_row_fails_by_its_risk_and_passes_only_if_that_was_measured() -> None:
    kinds = {}
    for case in CASES.values():
        assessment, found = made(case())
        results = keyed(run(found)["results"], "row")
        for row in assessment.rows:
            kinds[row.color, row.status] = tuple(results[row.id][key] for key in ("kind", "level"))
    assert kinds == {
        ("red", "measured"): ("fail", "error"),
        ("amber", "measured"): ("fail", "warning"),
        ("green", "measured"): ("pass", "none"),
        ("gray", "not_tested"): ("open", "none"),
        ("gray", "not_testable_by_simulation"): ("review", "none"),
        ("gray", "literature_only"): ("review", "none"),
    }


def test_a_reason_that_a_threat_does_not_apply_is_a_result_of_its_own() -> None:
    assessment, found = made(several())
    inapplicable = [one for one in run(found)["results"] if one["kind"] == "notApplicable"]
    assert [one["properties"]["code"] for one in inapplicable] == [
        one.code for one in assessment.excluded
    ]
    assert inapplicable


# The same evidence gives the same bytes


def test_an_export_follows_from_its_assessment() -> None:
    _, first = made(several())
    _, again = made(several())
    assert first == again
    _, more = made([*several(), *recovered([0] * 7)])
    one, other = (json.loads(found[exports.OSCAL]) for found in (first, more))
    assert one["assessment-results"]["uuid"] != other["assessment-results"]["uuid"]
    titles = [
        {risk["title"]: risk["uuid"] for risk in result(found)["risks"]} for found in (first, more)
    ]
    assert titles[0] == titles[1]
    assert bill(first)["serialNumber"] != bill(more)["serialNumber"]
    assert bill(first)["metadata"]["timestamp"].startswith(DAY.isoformat())


# Texts of a design


@pytest.mark.parametrize("number", ["-0.25", "+1e9", "0"])
def test_a_number_stays_a_number_and_what_only_looks_like_one_is_text(number: str) -> None:
    assert inert({"bound": [number, f" {number}"]}) == {"bound": [number, cell(number)]}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_text_of_a_design_is_text_and_nothing_else(name: str) -> None:
    _, found = made(hostile_records(HOSTILE[name]), hostile_design(HOSTILE[name]))
    for file in found.values():
        assert file.isascii()
        assert not set(b"<>&\x00\x1b") & set(file)
        for text in texts(json.loads(file)):
            assert text.isprintable()
            assert text.strip() == text != ""
            assert is_number(text) or not text.startswith(FORMULA)
    log = json.loads(found[exports.SARIF])
    assert [error.message for error in SCHEMA.iter_errors(log)] == []


@pytest.mark.parametrize("name", HOSTILE)
def test_a_text_of_a_design_leaves_oscal_and_cyclonedx_valid(
    name: str, of_oscal: Callable[[bytes], object], of_cyclonedx: Callable[[bytes], None]
) -> None:
    _, found = made(hostile_records(HOSTILE[name]), hostile_design(HOSTILE[name]))
    of_oscal(found[exports.OSCAL])
    of_cyclonedx(found[exports.CYCLONEDX])


def test_a_long_name_of_a_hospital_stays_whole() -> None:
    name = "h" * 300
    _, found = made(hostile_records(name), hostile_design("x"))
    assert any(name in text for text in texts(bill(found)))


def test_no_markup_of_a_name_is_left_in_oscal_and_sarif() -> None:
    text = "<b>[x](javascript:y)</b> {0} {{ insert: param, z }} **w** `v`"
    _, found = made(several(), hostile_design(text))
    title = json.loads(found[exports.OSCAL])["assessment-results"]["metadata"]["title"]
    assert title == (
        r"Assessment of &lt;b&gt;\[x\](javascript:y)&lt;/b&gt; \{0\}"
        r" \{\{ insert: param, z \}\} \*\*w\*\* \`v\`, version 1"
    )
    message = sarif.message(text)
    assert message == r"<b>\[x\](javascript:y)</b> {{0}} {{{{ insert: param, z }}}} **w** `v`"
