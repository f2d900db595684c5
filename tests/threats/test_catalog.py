"""The catalog of threats points only at ids that exist, and passes no judgement."""

from __future__ import annotations

import copy
import re
from importlib import resources
from typing import Any

import pytest
import yaml

from sim.errors import InputError
from tests import ROOT
from tests.threats.reading import CATALOG, NEVER_STATED
from threats.catalog import FILES, check, provisions

ATTACKS = ROOT / "conf" / "attack"
DATA = resources.files("threats") / "data"
PARSED = {key: yaml.safe_load((DATA / name).read_text("utf-8")) for key, name in FILES.items()}


def parsed() -> dict[str, Any]:
    return copy.deepcopy(PARSED)


def test_every_id_of_the_catalog_resolves() -> None:
    assert len(check(parsed()).threats) == 23


@pytest.mark.parametrize(
    ("key", "value", "list_name"),
    [
        ("stride", ["X"], "STRIDE"),
        ("linddun", ["Z"], "LINDDUN"),
        ("owasp", ["ML11:2023"], "OWASP"),
        ("nist_aml", ["NISTAML.099"], "NIST AI 100-2"),
        ("ai_rmf", ["MEASURE 9.9"], "NIST AI 100-1"),
        ("mitigations", ["FLM-99"], "Mitigations"),
        ("aisvs", ["11.2.99"], "OWASP Artificial Intelligence Security Verification Standard 1.0"),
        ("atlas", [{"id": "AML.T9999", "fit": "near"}], "MITRE ATLAS 5.6.1"),
        ("hipaa", [{"cite": "45 CFR 164.999", "relevance": "direct", "why": "-"}], "HIPAA"),
    ],
)
def test_an_id_that_no_taxonomy_has_is_refused_by_name(
    key: str, value: list[Any], list_name: str
) -> None:
    data = parsed()
    data["threats"][0][key] = value
    unknown = value[0] if isinstance(value[0], str) else next(iter(value[0].values()))
    with pytest.raises(InputError) as refused:
        check(data)
    assert f"threats.THR-LF.{key}={unknown}: expected an id of {list_name}" in str(refused.value)


@pytest.mark.parametrize(
    ("which", "key"),
    [
        ("threats", "threats.id=THR-LF"),
        ("conflicts", "conflicts.id=secagg-robustness"),
        ("attacks", "attacks.id=label_flip"),
        ("answers", "answers.id=GOVERN 1.3"),
    ],
)
def test_a_repeated_id_is_refused(which: str, key: str) -> None:
    data = parsed()
    data[which].append(copy.deepcopy(data[which][0]))
    with pytest.raises(InputError, match=f"^{key}: expected each id once, found 2"):
        check(data)


def test_a_repeated_id_of_a_taxonomy_is_refused() -> None:
    data = parsed()
    entries = data["taxonomies"]["atlas"]["entries"]
    entries.append(entries[0])
    with pytest.raises(InputError, match=r"^taxonomies.atlas.id=AML.T0005: "):
        check(data)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"severity": "high"}, "threats.0.severity"),
        ({"atlas": []}, "threats.THR-LF.unmapped"),
        ({"metrics": []}, "threats.THR-LF.metrics"),
        (
            {"metrics": [{"metric": "auroc", "harm": "higher", "control": "attack_free"}]},
            "threats.THR-LF.metrics.harm",
        ),
        ({"where": []}, "threats.0.where"),
        (
            {"metrics": [{"metric": "charm", "harm": "lower", "control": "attack_free"}]},
            "threats.THR-LF.metrics",
        ),
        (
            {"metrics": [{"metric": "auroc", "harm": "lower", "control": "other"}]},
            "threats.0.metrics.0.control",
        ),
    ],
)
def test_a_threat_with_an_unknown_key_or_something_left_unsaid_is_refused(
    changes: dict[str, Any], key: str
) -> None:
    data = parsed()
    data["threats"][0] |= changes
    with pytest.raises(InputError, match=f"^{re.escape(key)}="):
        check(data)


def test_a_conflict_names_mitigations_that_exist() -> None:
    data = parsed()
    data["conflicts"][0]["mitigations"] = ["FLM-77"]
    with pytest.raises(InputError, match=r"^conflicts.secagg-robustness.mitigations=FLM-77: "):
        check(data)


def test_taxonomies_hold_what_is_referred_to_and_the_whole_short_lists() -> None:
    lists = CATALOG.taxonomies
    assert [
        len(lists.stride.entries),
        len(lists.linddun.entries),
        len(lists.pasta.entries),
        len(lists.owasp.entries),
    ] == [
        6,
        7,
        7,
        10,
    ]
    threats = CATALOG.threats
    assert lists.atlas.ids == {technique.id for threat in threats for technique in threat.atlas}
    assert lists.hipaa.ids == {provision.cite for threat in threats for provision in threat.hipaa}
    assert lists.nist_aml.ids == {name for threat in threats for name in threat.nist_aml}
    answered = {answer.id for answer in CATALOG.answers}
    named = {name for threat in threats for name in threat.ai_rmf}
    assert lists.ai_rmf.ids == named | answered
    assert not named & answered
    assert lists.aisvs.ids == {name for threat in threats for name in threat.aisvs}
    assert lists.mitigations.ids == {name for threat in threats for name in threat.mitigations}


def test_only_our_own_mitigations_are_unverified_and_they_state_it() -> None:
    for name, taxonomy in CATALOG.taxonomies:
        for entry in taxonomy.entries:
            ours = name == "mitigations"
            assert (entry.verified, entry.read_in == "ours", entry.id.startswith("FLM-")) == (
                not ours,
                ours,
                ours,
            )


def test_owasp_ml03_is_inversion_and_ml05_is_theft() -> None:
    titles = {entry.id: entry.title for entry in CATALOG.taxonomies.owasp.entries}
    assert (titles["ML03:2023"], titles["ML05:2023"]) == ("Model Inversion Attack", "Model Theft")
    threats = {threat.id: threat for threat in CATALOG.threats}
    assert threats["THR-GI"].owasp == ("ML03:2023",)
    assert threats["THR-ME"].owasp == ("ML05:2023",)


def test_atlas_ids_have_a_name_in_the_pinned_release_and_known_renames_are_listed() -> None:
    atlas = CATALOG.taxonomies.atlas
    assert atlas.release == "5.6.1"
    assert all(re.fullmatch(r"AML\.T\d{4}(\.\d{3})?", entry.id) for entry in atlas.entries)
    assert all((": " in entry.title) == (entry.id.count(".") == 2) for entry in atlas.entries)
    later = {entry.id: (entry.title, entry.renamed) for entry in atlas.entries if entry.renamed}
    assert later == {"AML.T0020": ("Poison Training Data", {"2026.09": "Training Data Poisoning"})}


def test_titles_drift_between_releases_of_atlas_only_where_the_catalog_has_the_rename() -> None:
    later: dict[str, str] = yaml.safe_load(
        (ROOT / "tests" / "threats" / "atlas_2026_09.yaml").read_text()
    )
    ours = {entry.id: entry for entry in CATALOG.taxonomies.atlas.entries}
    assert later.keys() == ours.keys()
    drifted = {id_: title for id_, title in later.items() if title != ours[id_].title}
    listed = {id_: one.renamed["2026.09"] for id_, one in ours.items() if one.renamed}
    assert drifted == listed == {"AML.T0020": "Training Data Poisoning"}


def test_subtechniques_of_one_technique_share_its_name() -> None:
    parents: dict[str, set[str]] = {}
    for entry in CATALOG.taxonomies.atlas.entries:
        parents.setdefault(entry.id[:9], set()).add(entry.title.split(": ")[0])
    assert all(len(names) == 1 for names in parents.values())


def test_no_technique_is_claimed_to_be_about_gradients() -> None:
    for threat in CATALOG.threats:
        assert all(
            technique.fit == "near" for technique in threat.atlas if technique.id == "AML.T0024.001"
        )


def test_attacks_of_the_project_and_of_the_catalog_are_the_same() -> None:
    configured = {path.stem for path in ATTACKS.glob("*.yaml")} - {"none"}
    assert configured == {name for threat in CATALOG.threats for name in threat.attacks}


def test_an_attack_that_no_threat_claims_is_refused() -> None:
    data = parsed()
    data["attacks"].append({"name": "new_attack", "powers": [["modify_update"]]})
    with pytest.raises(InputError, match=r"^catalog.attacks=new_attack: expected an attack that a"):
        check(data)


def test_an_attack_whose_powers_nobody_stated_is_refused() -> None:
    data = parsed()
    data["attacks"] = [one for one in data["attacks"] if one["name"] != "zero"]
    with pytest.raises(InputError, match=r"^threats.THR-BYZ.attacks=zero: expected an attack who"):
        check(data)


def test_a_threat_with_attacks_takes_its_powers_from_them() -> None:
    data = parsed()
    data["threats"][0]["powers"] = [["control_labels"]]
    with pytest.raises(InputError, match=r"^threats.THR-LF.powers="):
        check(data)
    dropout = CATALOG.powers_of(CATALOG.threat("THR-DOS"))
    assert dropout == (("modify_update",), ("drop_nodes",))
    assert CATALOG.powers_of(CATALOG.threat("THR-EAV")) == (("network_on_path",),)


def test_a_power_that_no_design_has_is_refused() -> None:
    data = parsed()
    data["attacks"][0]["powers"] = [["magic"]]
    with pytest.raises(InputError, match=r"^attacks.0.powers.0.0=magic"):
        check(data)


def test_the_catalog_passes_no_judgement() -> None:
    texts = [
        text
        for threat in CATALOG.threats
        for text in (threat.plain, *(provision.why for provision in threat.hipaa))
    ]
    texts += [clash.text for clash in CATALOG.conflicts]
    texts += [answer.by for answer in CATALOG.answers]
    texts += [entry.title for entry in CATALOG.taxonomies.aisvs.entries]
    assert not [text for text in texts if NEVER_STATED.search(text)]


def test_a_conditional_provision_states_its_condition_and_no_other_has_one() -> None:
    given = [one for threat in CATALOG.threats for one in threat.hipaa]
    assert all(bool(one.condition) == (one.relevance == "conditional") for one in given)
    assert not any(re.match(r"(only )?(if|where)\b", one.condition or one.why) for one in given)


def test_provisions_of_a_threat_have_their_titles() -> None:
    titles = {entry.id: entry.title for entry in CATALOG.taxonomies.hipaa.entries}
    for threat in CATALOG.threats:
        cited = provisions(threat, CATALOG)
        assert [(one.cite, one.title) for one in cited] == [
            (one.cite, titles[one.cite]) for one in threat.hipaa
        ]
