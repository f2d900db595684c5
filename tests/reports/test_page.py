"""The page: every part is there, it loads nothing, shows no patient, and states what is missing."""

import json
import os
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markupsafe import escape

from reports import page, sections
from reports.analysis import backdoors, costs, leaks, membership, tables, weights
from sim import evidence
from sim.errors import InputError
from sim.evidence import (
    Access,
    Recovered,
    RunRecord,
    Screened,
    Visibility,
    sealed,
)
from tests.records import (
    addressed,
    make_conflict,
    make_fields,
    make_hospitals,
    make_images,
    make_inversion,
    make_record,
)
from tests.reports.reading import everything, grid, html_of, text_of, without_scripts

FORBIDDEN = re.compile(r"\b(safe|safely|safety|compliant|compliance|breach\w*)\b", re.IGNORECASE)
SECRET = {"age": "SECRET-63", "sex": "SECRET-male"}


@pytest.fixture
def folder(tmp_path):
    def make(records, manifest=None):
        for record in records:
            evidence.append(tmp_path, addressed(record))
        if manifest is not None:
            (tmp_path / "manifest.json").write_text(json.dumps(manifest))
        return tmp_path

    return make


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A folder with every part, and its report."""
    where = tmp_path_factory.mktemp("whole")
    for record in everything():
        evidence.append(where, addressed(record))
    (where / "manifest.json").write_text(
        json.dumps({"command": "wardround compare seeds=3", "versions": {"flwr": "1.41.0"}})
    )
    page.write_report(where)
    return where


@pytest.mark.usefixtures("undrawn")
def test_the_page_takes_the_order_of_the_manifest(folder):
    where = folder(
        grid(attacks=("none", "alie", "zero"), seeds=2),
        {"attacks": ["none", "zero", "alie"], "defenses": ["none", "krum"]},
    )
    text = text_of(page.write_report(where).read_text())
    assert "Attacks tried: canceling updates (zero) and hidden shift (alie)." in text


def test_visibility_and_conflicts_name_the_designs_that_have_them():
    clear, summed, hostile = (
        Visibility(party=p, sees=s)
        for p, s in (("aggregator", "updates"), ("aggregator", "a sum"), ("hostile", "all"))
    )
    records = [
        make_record(visibility=[clear, hostile]),
        make_record(defense="krum", visibility=[clear, hostile]),
        make_record(defense="sum", visibility=[summed, hostile], conflicts=[make_conflict()]),
    ]
    assert sections.visibility(records) == [
        {"party": "aggregator", "sees": "updates", "defenses": ["no defense", "Krum"]},
        {"party": "aggregator", "sees": "a sum", "defenses": ["secure aggregation"]},
        {"party": "hostile", "sees": "all", "defenses": ["every design"]},
    ]
    assert [one["defenses"] for one in sections.conflicts(records)] == [["secure aggregation"]]


def test_visibility_tables_state_what_a_defense_changes_once_for_all_designs_that_do():
    clear = {"single update": "sees", "sum of all": "derives"}
    hidden = {"single update": "no", "sum of all": "sees"}
    without = [Access(party="the aggregator", before=clear, after=clear)]
    with_sum = [Access(party="the aggregator", before=clear, after=hidden)]
    records = [
        make_record(access=without),
        make_record(defense="krum", access=without),
        make_record(defense="sum", access=with_sum),
        make_record(defense="old"),
    ]
    assets = ["single update", "sum of all"]
    assert sections.access(records) == [
        {
            "assets": assets,
            "rows": {"the aggregator": ["sees", "derives"]},
            "defenses": ["no defense", "Krum"],
        },
        {
            "assets": assets,
            "rows": {"the aggregator": ["sees -> no", "derives -> sees"]},
            "defenses": ["secure aggregation"],
        },
    ]
    html = html_of(records)
    assert ">sees → no</td>" in html
    assert ">derives → sees</td>" in html


def test_gallery_shows_equal_reconstructions_once():
    inversion = make_inversion(gallery=True)
    other = make_inversion(gallery=inversion[0].gallery[1:])
    stolen = {"none": inversion, "krum": inversion, "sum": other}
    records = [
        make_record(attack="analytic_inversion", defense=d, seed=s, inversion=i)
        for d, i in stolen.items()
        for s in range(2)
    ]
    groups = sections.gallery(records, show_reconstructions=False)
    assert [group["defenses"] for group in groups] == [
        ["no defense", "Krum"],
        ["secure aggregation"],
    ]


def test_settings_are_those_that_all_runs_share():
    records = [
        make_record(seed=s, config={"seed": s, "training": {"rounds": 4, "lr": 0.1}})
        for s in range(2)
    ]
    assert sections.settings(records) == {"training.rounds": "4", "training.lr": "0.1"}


def test_page_has_every_part_and_its_figures(whole):
    html = (whole / "report" / "index.html").read_text()
    pictures = set(re.findall(r'id="fig-([^"]*)"', html))
    assert not (whole / "report" / "figures").exists()
    assert pictures == {
        "heat_map",
        "tradeoff",
        "hospital_effects",
        "hospital_scores",
        "convergence",
        "reconstruction",
        "leakage",
        "gallery",
        "privacy_spent",
        "privacy_utility",
    }
    sections = (
        "answer",
        "attacks",
        "tradeoff",
        "hospitals",
        "convergence",
        "reconstruction",
        "privacy",
        "visibility",
        "threats",
        "limits",
        "repeat",
    )
    assert all(f'<section id="{name}"' in html or f'id="{name}">' in html for name in sections)
    assert "wardround compare seeds=3" in html
    assert "flwr 1.41.0" in html
    assert not list(whole.rglob("*.part"))


class Links(HTMLParser):
    """Collects what a page would load or run."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.ids: list[str] = []
        self.targets: list[str] = []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag in ("script", "link", "iframe", "img", "object", "embed"):
            self.loaded.append(tag)
        self.loaded += [
            value
            for key, value in attrs
            if key in ("src", "srcset", "data") or key.startswith("on")
        ]
        self.ids += [given["id"]] if "id" in given else []
        self.targets += [given[key] for key in ("href", "xlink:href") if key in given]


def test_page_is_self_contained_and_its_links_stay_inside(whole):
    html = without_scripts((whole / "report" / "index.html").read_text())
    links = Links()
    links.feed(html)
    assert links.loaded == []
    assert "@import" not in html
    assert not re.search(r"url\((?!#)", html)
    assert "http" not in html
    assert len(links.ids) == len(set(links.ids))
    inside = {target for target in links.targets if not target.startswith("data:image/png;base64,")}
    assert {target.removeprefix("#") for target in inside} <= set(links.ids)
    assert all(target.startswith("#") for target in inside)


def test_same_evidence_gives_the_same_bytes(whole):
    written = whole / "report" / "index.html"
    before = written.read_bytes()
    assert page.write_report(whole) == written
    assert written.read_bytes() == before
    assert page.write_report(whole, evidence.read(whole)) == written
    assert written.read_bytes() == before


def test_page_never_states_what_a_simulation_cannot_know(whole):
    pages = [
        (whole / "report" / "index.html").read_text(),
        html_of([make_record(attack="sign_flip")]),
        html_of([make_record()]),
    ]
    assert [FORBIDDEN.findall(text_of(html)) for html in pages] == [[], [], []]


def secret_records(**changes) -> list[RunRecord]:
    shown = [Recovered(hospital="hospital_0", exact=True, truth=SECRET, guess=SECRET)]
    inversion = make_inversion(gallery=shown)
    return [
        make_record(attack="analytic_inversion", inversion=inversion, seed=s, **changes)
        for s in range(2)
    ]


@pytest.mark.usefixtures("undrawn")
def test_reconstructions_of_data_that_is_not_public_are_scores_only(folder):
    where = folder(secret_records(public=False))
    html = page.write_report(where).read_text()
    assert "SECRET" not in html
    assert "not marked public" in html
    assert "38\N{NO-BREAK SPACE}%" in html


@pytest.mark.usefixtures("undrawn")
def test_reconstructions_are_shown_for_public_data_or_on_demand(folder, tmp_path):
    where = folder(secret_records(public=False))
    html = page.write_report(where, show_reconstructions=True).read_text()
    assert "SECRET-63" in html
    assert "Handle it like the records themselves" in html
    other = tmp_path / "public"
    other.mkdir()
    for record in secret_records(public=True):
        evidence.append(other, addressed(record))
    html = page.write_report(other).read_text()
    assert "SECRET-63" in html
    assert "Handle it like" not in html


@pytest.mark.usefixtures("undrawn")
def test_images_are_scored_beside_those_that_need_no_attack():
    records = [
        make_record(attack="dlg", inversion=make_images(6, 8), seed=s, public=False)
        for s in range(2)
    ]
    text = text_of(html_of(records))
    assert "an image with a mean squared error below 0.005" in text
    for row in (
        "nearest guess 16 0.025 32.5 0.95",
        "nearest guess from a shuffled update 16 0.2 7.0 0.01",
        "mean color 16 0.01 20.0 0.20",
        "random pixels 16 0.25 6.0 -0.01",
    ):
        assert row in " ".join(text.split())


@pytest.mark.usefixtures("undrawn")
def test_each_field_is_scored_beside_rows_that_need_no_attack_with_what_the_attacker_can_tell():
    records = [
        make_record(attack="tableak", inversion=make_fields(), seed=s, public=False)
        for s in range(2)
    ]
    text = " ".join(text_of(html_of(records)).split())
    assert "table inversion tableak no defense age 8 75 % 0.80 25 % 50 % 50 %" in text
    assert "table inversion tableak no defense sex 8 100 % \N{EN DASH} 50 % 50 % 0 %" in text
    assert "88 % of the fields of 8 attacked records were guessed right, 38 % from shuffled" in text
    assert "All fields of 6 records were right; 4 were singled out" in text
    assert "surest, 100 % were right, of the other half 75 %" in text


@pytest.mark.usefixtures("undrawn")
def test_a_page_without_scores_of_fields_has_no_table_of_them():
    assert "Which fields the attacker knows" not in html_of([make_record(inversion=make_images())])


@pytest.mark.usefixtures("undrawn")
def test_defenses_under_which_an_attacker_knows_the_same_fields_share_a_sentence():
    same = [
        make_record(attack="tableak", defense=name, inversion=make_fields(), public=False)
        for name in ("none", "median", "krum")
    ]
    text = " ".join(text_of(html_of(same)).split())
    assert text.count("were guessed right") == 1
    assert "with no defense, under median and under Krum: 88 % of the fields" in text


def test_page_escapes_hostile_names():
    evil = "<script>alert(1)</script>"
    hospitals = [
        one.model_copy(update={"hospital": evil if i == 0 else one.hospital})
        for i, one in enumerate(make_hospitals([]))
    ]
    more = {
        "hospitals": hospitals,
        "visibility": [Visibility(party=evil, sees=evil)],
        "access": [Access(party=evil, before={evil: evil}, after={evil: "no"})],
        "data_source": evil,
        "config": {evil: evil, "report": {"material_drop": 0.05}},
    }
    more["screened"] = [Screened(round=1, hospital=evil, reason=evil)]
    records = [make_record(defense=d, seed=s, **more) for d in ("none", "krum") for s in range(2)]
    html = html_of(records, command=evil, machine=evil)
    assert "<script" not in without_scripts(html)
    assert "&lt;script&gt;" in html


@pytest.mark.usefixtures("undrawn")
def test_single_run_states_that_nothing_is_concluded(folder):
    html = text_of(page.write_report(folder([make_record(attack="sign_flip")])).read_text())
    assert "Controls are missing" in html
    assert "Nothing is concluded" in html
    assert "0.850" in html
    assert "No run trained with differential privacy" in html
    assert "The command is not recorded." in html


def test_untested_threats_stay_on_the_page():
    html = html_of(grid())
    assert html.count('class="status not_tested"') > 5
    assert "no run of it in this evidence" in html
    assert "Membership inference" in html


def test_idle_defense_is_stated_at_the_top():
    idle = {"none": {}, "clip": {"defense_engaged": False}}
    records = [
        make_record(defense=d, seed=s, engagement=change)
        for d, change in idle.items()
        for s in range(2)
    ]
    html = text_of(html_of(records))
    assert "2 runs of no attack against norm clipping: the defense did nothing" in html
    assert html.index("the defense did nothing") < html.index("What was asked")


def test_many_hospitals_are_cut_to_the_hardest_hit_and_it_is_stated():
    def crowd(worse):
        names = [f"site_{i:03}" for i in range(100)]
        hospitals = [make_hospitals([])[0].model_copy(update={"hospital": name}) for name in names]
        brier = {name: 0.1 + 0.001 * i * worse for i, name in enumerate(names)}
        return {"hospitals": hospitals, "of_hospitals": {"brier": brier}}

    records = [
        make_record(defense=d, seed=s, **crowd(d != "none"))
        for d in ("none", "krum")
        for s in range(2)
    ]
    html = html_of(records)
    assert "site_099" in html
    assert "76 more are in the evidence" in html
    assert ">site_010<" not in html


def test_evidence_of_another_schema_is_refused_in_one_line(folder):
    where = folder([make_record()])
    path = where / evidence.EVIDENCE
    line = path.read_text().replace(evidence.SCHEMA, "wardround.evidence/1")
    path.write_bytes(sealed.seal(line.partition(', "previous"')[0] + "}", sealed.FIRST))
    with pytest.raises(InputError) as refusal:
        page.write_report(where)
    assert (
        str(refusal.value)
        == f"{path}:1=schema_: not evidence of wardround.evidence/3: it was written as"
        " wardround.evidence/1 by another version of the code (test), which can read it"
    )


def test_a_record_keeps_of_its_curve_what_reports_draw():
    rows = [
        (r, h, m, 0.1 * r)
        for r in (1, 2)
        for h in ("hospital_0", "all")
        for m in ("auroc", "brier")
    ]
    columns = dict(zip(tables.CURVE_COLUMNS, map(list, zip(*rows, strict=True)), strict=True))
    record = tables.pooled(make_record(curve=columns))
    assert record.curve == {
        "round": [1, 2],
        "hospital": ["all"] * 2,
        "metric": ["auroc"] * 2,
        "value": [0.1, 0.2],
    }
    assert tables.pooled(make_record(curve={})).curve == {}


def test_designs_that_lost_the_same_replies_share_a_row():
    lost = [Screened(round=1, hospital="hospital_1", reason="not finite")]
    records = [make_record(attack="x", defense=d, screened=lost) for d in ("none", "krum")]
    assert [row["defenses"] for row in sections.screened(records)] == [["every design"]]
    records.append(make_record(attack="x", defense="median", screened=2 * lost))
    assert [(row["n"], row["defenses"]) for row in sections.screened(records)] == [
        (2, ["median"]),
        (1, ["no defense", "Krum"]),
    ]


def test_broken_manifest_is_refused_by_name(folder):
    where = folder([make_record()])
    (where / "manifest.json").write_text("{")
    with pytest.raises(InputError, match=r"manifest\.json"):
        page.write_report(where)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[" * 100_000 + "]" * 100_000, "JSON"),
        ("9" * 5_000, "JSON"),
        ("\udcff", "JSON"),
        ('{"command": 1.5}', "command"),
        ('{"versions": "x"}', "versions"),
        ('{"machine": [1]}', "machine"),
        ('{"seconds": NaN}', "NaN"),
        ('{"attacks": [[]]}', "attacks.0"),
        ('{"refused": [{"attack": "a", "defense": "b", "reason": "c"}]}', "refused.0.n_hostile"),
    ],
)
def test_a_manifest_of_anybody_is_refused_by_its_key(folder, text, named):
    where = folder([make_record()])
    (where / "manifest.json").write_text(text, errors="surrogateescape")
    with pytest.raises(InputError, match=rf"manifest\.json.*{named}"):
        page.write_report(where)


@pytest.mark.parametrize("command", ["curl x", "wardround 'compare", ["sh", "-c", "x"], "'a b'"])
def test_no_page_has_a_command_of_another_program(folder, command):
    where = folder([make_record()], {"command": command})
    with pytest.raises(InputError, match=r"manifest\.json: command"):
        page.write_report(where)


@pytest.mark.usefixtures("undrawn")
def test_the_command_of_a_manifest_runs_nothing_else(folder):
    repeated = "wardround compare 'seeds=3;' '$(id)' 'report.by=\"a b\"' 'attacks=[alie]'"
    for stated in ("wardround compare seeds=3; $(id) 'report.by=\"a b\"' attacks=[alie]", repeated):
        where = folder([make_record()], {"command": stated})
        (where / "evidence.jsonl").unlink()
        folder([make_record()])
        assert escape(repeated) in page.write_report(where).read_text()


def test_a_manifest_that_is_no_file_is_refused(folder):
    where = folder([make_record()])
    os.mkfifo(where / "manifest.json")
    with pytest.raises(InputError, match=r"manifest\.json"):
        page.write_report(where)


def test_report_of_an_empty_folder_is_refused(tmp_path: Path):
    with pytest.raises(InputError):
        page.write_report(tmp_path)


ORDER = (
    *("answer", "readers", "broken", "next", "asked", "tradeoff", "visibility", "attacks"),
    *("convergence", "hospitals", "patients", "reconstruction", "privacy", "threats", "hipaa"),
    *("costs", "runs", "screened", "limits", "repeat", "words"),
)


def test_the_parts_stand_in_their_order_and_the_contents_follow(whole):
    html = without_scripts((whole / "report" / "index.html").read_text())
    sections = re.findall(r'<section[^>]* id="([\w-]+)"', html)
    assert [name for name in sections if name in ORDER] == list(ORDER)
    (contents,) = re.findall(r"<nav.*?</nav>", html, re.DOTALL)
    entries = re.findall(r'<a href="#([\w-]+)">(.*?)</a>', contents)
    assert [place for place, _ in entries] == sections[sections.index("asked") :]
    for place, title in entries:
        part = html[html.index(f'id="{place}"') :]
        (heading,) = re.findall(r"<h2[^>]*>(.*?)(?:<a|</h2>)", part, re.DOTALL)[:1]
        assert heading.strip() == title


@pytest.mark.usefixtures("undrawn")
def test_the_head_states_when_who_and_whose(folder):
    config = {"seed": 0, "training": {}, "report": {"material_drop": 0.05, "by": "A. <Example>"}}
    records = [make_record(config=config, provenance="published", data_source="UCI X")]
    where = folder(records, {"started": "2026-11-26T22:41:40Z"})
    html = page.write_report(where).read_text()
    head = " ".join(text_of(html).partition("The answer in five")[0].split())
    assert "Date 26 November 2026, 22:41 UTC Run by A. &lt;Example&gt;" in head
    assert "Data Published research data, no patient of yours (UCI X)." in head


@pytest.mark.usefixtures("undrawn")
def test_the_head_names_nobody_and_no_day_that_is_not_stated(folder):
    html = page.write_report(folder([make_record()], {"started": "soon"})).read_text()
    head = " ".join(text_of(html).partition("The answer in five")[0].split())
    assert "Date not recorded Run by not stated (report.by=NAME states it)" in head


class Blank:
    """A blank in place of each picture."""

    def __init__(self):
        self.asked = []

    def ask(self, *one):
        self.asked.append(one)

    def answers(self):
        return ["" for _ in self.asked]


def test_a_page_makes_each_frame_of_the_same_runs_once(folder, monkeypatch):
    made = Counter()

    def counting(name, make):
        def counted(records, *more):
            metric = [one for one in more if isinstance(one, str)]
            made[name, tuple(record.run for record in records), *metric] += 1
            return make(records, *more)

        return counted

    of_tables = ("cells", "tradeoff", "hospital_effects", "inversions", "spent")
    others = ((backdoors, "backdoors"), (backdoors, "ranked"), (weights, "selections"))
    others += ((costs, "costs"), (leaks, "leaks"), (membership, "cells"))
    parts = [*((tables, name) for name in of_tables), *others]
    for module, name in parts:
        full = f"{module.__name__}.{name}"
        monkeypatch.setattr(module, name, counting(full, getattr(module, name)))
    page.write_report(folder(everything()), drawing=Blank())
    assert {name for name, *_ in made} == {f"{module.__name__}.{name}" for module, name in parts}
    assert set(made.values()) == {1}
