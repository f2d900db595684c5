"""The page of a design's validation: everything on it, reachable, escaped, and the same again."""

from __future__ import annotations

import json
import re
from decimal import ROUND_HALF_UP, Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from reports import dfd, page
from reports.analysis import changes
from reports.figures import style
from reports.figures.changes import LOOKS
from reports.figures.changes import changes as draw_changes
from reports.validation import write_validation
from sim import evidence
from sim.errors import InputError
from tests.assessed import CATALOG, make_design, make_values, pairs, recovered
from tests.records import addressed
from tests.reports.reading import without_scripts
from threats import problems, stored, verdict
from threats.applicability import LETTERS
from threats.assessment import Assessment, assess
from threats.system import Design

HOSTILE = "</style><script>alert(1)</script><b onclick='x'>&amp;\N{RIGHT-TO-LEFT OVERRIDE}abc"
VOID = ("meta", "br", "input", "img", "hr")


class Page(HTMLParser):
    """The elements of a page: ids, links, and text by the id of the element around it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.inside: dict[str, list[str]] = {}
        self.links_in: dict[str, list[str]] = {}
        self.text = ""
        self._open: list[tuple[str, str | None]] = []
        self.feed(text)
        assert not self._open, "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self.attributes |= given.keys()
        if (id_ := given.get("id")) is not None:
            self.ids.append(id_)
            self.inside[id_], self.links_in[id_] = [], []
        if tag == "a" and (href := given.get("href")) is not None:
            self.links.append(href)
            for _, one in [*self._open, (tag, id_)]:
                if one is not None:
                    self.links_in[one].append(href)
        if tag not in VOID:
            self._open.append((tag, id_))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = dict(attrs)
        if (id_ := given.get("id")) is not None:
            self.ids.append(id_)
        if (href := given.get("href")) is not None:
            self.links.append(href)

    def handle_endtag(self, tag: str) -> None:
        opened, _ = self._open.pop()
        assert opened == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        for _, id_ in self._open:
            if id_ is not None:
                self.inside[id_].append(data)

    def of(self, id_: str) -> str:
        """The text of the element with this id, on one line."""
        return " ".join("".join(self.inside[id_]).split())


def validated(folder: Path, design: Design, **given: Any) -> Assessment:
    """A folder as ``wardround validate`` leaves it, of runs of two threats, with its page."""
    records = [*pairs("sign_flip", [0.2] * 5), *pairs("alie", [0.01] * 5), *recovered([1] * 5)]
    for record in {one.run: one for one in map(addressed, records)}.values():
        evidence.append(folder, record)
    chain = evidence.chain(folder)
    found = assess(design, CATALOG, chain, **given)
    stored.write_design(folder, design)
    verdict.write(folder, found, CATALOG)
    write_validation(folder, chain)
    return found


def read(folder: Path) -> Page:
    """The page of a folder."""
    return Page((folder / "report" / "index.html").read_text(encoding="utf-8"))


def test_the_files_of_a_folder_give_the_assessment_back(tmp_path: Path) -> None:
    """What is read back is what was written, to the last field."""
    design = make_design()
    found = validated(tmp_path, design)
    again = stored.read(tmp_path, evidence.chain(tmp_path))
    assert again.assessment == found
    assert again.design == design


def test_each_row_leads_to_its_lines_of_evidence(tmp_path: Path) -> None:
    """Each row's id is an anchor in a part of the page that links to each of its runs; each run
    stands there once with the hash of its line; no link leads nowhere.
    """
    found = validated(tmp_path, make_design())
    shown = read(tmp_path)
    assert len(shown.ids) == len(set(shown.ids))
    assert {one[1:] for one in shown.links if one[0] == "#"} <= set(shown.ids)
    lines = evidence.chain(tmp_path).lines
    assert len(lines) > 20
    for run, line in lines.items():
        assert line.hash[:16] in shown.of(f"run-{run}")
    for row in found.rows:
        assert row.id in shown.ids
        around = f"row-{row.threat}-{row.adversary}" if row.kind == "threat" else row.id
        links = set(shown.links_in[around])
        assert {f"#run-{one.run}" for one in row.sources} <= links
        assert not set(re.findall("#run-[^ ]+", " ".join(links))) - {
            f"#run-{one.run}" for one in row.sources
        }
        if row.kind == "threat":
            assert row.id in shown.of(around)
            assert row.status.replace("_", " ") in shown.of(around)
            assert row.residual in shown.of(around)
    for made in found.statements:
        assert made.claim.text in shown.of(made.id)
        assert {f"#run-{one.run}" for one in made.runs} <= set(shown.links_in[made.id])


def test_it_begins_with_every_criterion(tmp_path: Path) -> None:
    """Verdict, criteria with figure, bounds, number and outcome, then what to do, then PASTA."""
    found = validated(tmp_path, make_design())
    shown = read(tmp_path)
    parts = ["verdict", "next", *(f"stage-{number}" for number in range(1, 8)), "runs"]
    assert [id_ for id_ in shown.ids if id_ in parts] == parts
    assert {one.outcome for one in found.criteria} >= {"not_met"}
    for one in found.criteria:
        line = shown.of(f"criterion-{one.id}")
        tried = next(tried for tried in one.tried if tried.attack == one.decisive)
        figure, lower, upper = (
            Decimal(repr(value)).quantize(Decimal("0.001"), ROUND_HALF_UP)
            for value in (tried.figure, tried.lower, tried.upper)
        )
        assert f"{figure}" in line
        assert f"{lower} to {upper}" in line
        assert f"{len(tried.seeds)} seeds" in line
        assert {"met": "met", "not_met": "not met", "inconclusive": "not decided"}[
            one.outcome
        ] in line
        assert one.text in " ".join(shown.text.split())
    for question in found.questions:
        assert question in " ".join(shown.text.split())


def test_what_was_not_tested_is_stated_with_its_reason(tmp_path: Path) -> None:
    """Each row that is not measured stands in what to do next, with each of its reasons."""
    found = validated(tmp_path, make_design())
    text = read(tmp_path).of("next")
    open_ = [row for row in found.rows if row.kind == "threat" and row.status != "measured"]
    assert len(open_) > 3
    for row in open_:
        assert row.name in text
        for reason in row.reasons:
            assert " ".join(reason.split()) in text
    acting = [row for row in found.rows if row.color == "red"]
    assert acting
    for row in acting:
        assert f"#row-{row.threat}-{row.adversary}" in read(tmp_path).links_in["next"]


def test_the_diagram_has_each_element_once_with_its_threats(tmp_path: Path) -> None:
    """Each component and flow is drawn once, with a number for each threat to it, and no others."""
    design = make_design()
    found = validated(tmp_path, design)
    shown = read(tmp_path)
    elements = [one.id for one in design.components] + [one.id for one in design.flows]
    drawn = [id_ for id_ in shown.ids if id_.startswith("dfd-")]
    assert sorted(drawn) == sorted(f"dfd-{id_}" for id_ in elements)
    for id_ in elements:
        assert id_ in shown.of(f"dfd-{id_}")
        named = {row.threat for row in found.rows if row.element == id_}
        leads = {link.split("-", 1)[1] for link in shown.links_in[f"dfd-{id_}"]}
        assert {"-".join(lead.split("-")[:2]) for lead in leads} == named
    text = (tmp_path / "report" / "dfd.mmd").read_text(encoding="utf-8")
    for id_ in elements:
        assert len(re.findall(rf'"{re.escape(id_)}[ "(:]', text)) == 1
    for zone in design.zones:
        assert f"{zone.id} ({zone.kind})" in text


def test_boxes_lie_apart_and_flows_end_at_them() -> None:
    """Components of a larger design do not overlap, lie in their zones, and flows touch both."""
    values = make_values()
    values["zones"] += [{"id": f"z{n}", "kind": "hospital"} for n in range(3)]
    values["zones"] += [{"id": "net", "kind": "wan"}, {"id": "open", "kind": "public"}]
    for n in range(3):
        values["components"].append(
            {"id": f"h{n}", "dfd": "process", "zone": f"z{n}", "role": "other"}
        )
        values["flows"] += [
            {"id": f"up{n}", "from": f"h{n}", "to": "aggregator", "carries": ["update"]},
            {"id": f"down{n}", "from": "aggregator", "to": f"h{n}", "carries": ["model"]},
        ]
    values["components"] += [
        {"id": "relay", "dfd": "process", "zone": "net", "role": "other"},
        {"id": "person", "dfd": "actor", "zone": "open", "role": "user"},
    ]
    values["flows"] += [
        {"id": "far", "from": "records", "to": "person", "carries": ["model"]},
        {"id": "itself", "from": "relay", "to": "relay", "carries": ["model"]},
        {"id": "over", "from": "h0", "to": "h1", "carries": ["model"]},
        {"id": "back", "from": "hospital", "to": "records", "carries": ["model"]},
    ]
    design = problems.design(values)
    drawn = dfd.drawing(design, {})
    boxes = {box.id: box for box in drawn.components}
    zones = {box.id: box for box in drawn.zones}
    for one in design.components:
        box, zone = boxes[one.id], zones[one.zone]
        assert zone.x < box.x
        assert box.x + box.width < zone.x + zone.width
        assert zone.y < box.y
        assert box.y + box.height < zone.y + zone.height
    for several in (drawn.components, drawn.zones):
        for place, a in enumerate(several):
            for b in several[place + 1 :]:
                beside = a.x + a.width <= b.x or b.x + b.width <= a.x
                assert beside or a.y + a.height <= b.y or b.y + b.height <= a.y
    assert [arrow.id for arrow in drawn.flows] == [flow.id for flow in design.flows]
    for arrow, flow in zip(drawn.flows, design.flows, strict=True):
        for (x, y), end in ((arrow.points[0], flow.from_), (arrow.points[-1], flow.to)):
            box = boxes[end]
            assert box.x <= x <= box.x + box.width
            assert box.y <= y <= box.y + box.height
        for x, y in arrow.points:
            assert 0 <= x <= drawn.width
            assert 0 <= y <= drawn.height


def test_stride_has_the_letters_of_each_kind(tmp_path: Path) -> None:
    """A cell has the rows with its letter; cells of letters that a kind does not have are shaded.

    One part of the design is not of the kind that its threats strike.
    """
    values = make_values()
    values["components"][1]["dfd"] = "actor"
    design = problems.design(values)
    found = validated(tmp_path, design)
    text = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    table = text.split('<table class="stride"')[1].split("</table>")[0]
    lines = table.split('<a href="#dfd-')[1:]
    kinds = {one.id: one.dfd for one in design.components} | {
        one.id: "flow" for one in design.flows
    }
    assert len(lines) == len(kinds)
    for line in lines:
        id_ = line.split('"')[0]
        cells = line.split("<td")[2:]  # behind the kind of the element
        assert len(cells) == 6
        for letter, cell in zip("STRIDE", cells, strict=True):
            assert ('class="off"' in cell) == (letter not in LETTERS[kinds[id_]])
            linked = {one.split("-by-")[0] for one in re.findall("#row-(THR-[A-Z]+)", cell)}
            rows = [row for row in found.rows if row.element == id_ and letter in row.stride]
            assert linked == {row.threat for row in rows}
            assert all((letter in row.stride_beyond) == ("off" in cell) for row in rows)
    assert "Is hospital a actor?" not in text
    assert any("Is hospital an actor?" in one for one in found.questions)


def test_names_of_anybody_are_text(tmp_path: Path) -> None:
    """Markup, script and signs that turn text around are shown and do nothing."""
    values = make_values()
    values["meta"] |= {"name": HOSTILE, "owner": HOSTILE, "notes": HOSTILE}
    values["legal"][0]["text"] = HOSTILE
    values["components"][1]["tech"] = HOSTILE
    values["adversaries"][0]["role"] = HOSTILE
    values["adversaries"][0]["initiation"]["rationale"] = HOSTILE
    values["flows"][0]["channel"] = {"protocol": HOSTILE, "tls": "none", "mutual": False}
    validated(tmp_path, problems.design(values))
    text = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    shown = Page(without_scripts(text))
    assert shown.text.count("<script>alert(1)</script>") >= 6
    assert "script" not in shown.tags
    assert "onclick" not in shown.attributes
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in text
    diagram = (tmp_path / "report" / "dfd.mmd").read_text(encoding="utf-8")
    assert "<" not in diagram


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    """The page follows from the files alone."""
    validated(tmp_path, make_design())
    path = tmp_path / "report" / "index.html"
    first = path.read_bytes()
    write_validation(tmp_path, evidence.chain(tmp_path))
    assert path.read_bytes() == first


def test_no_verdict_of_the_law_stands_on_it(tmp_path: Path) -> None:
    """The words of a legal verdict are not on the page, but in the name of the worksheet."""
    validated(tmp_path, make_design())
    html = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    text = without_scripts(html).lower()
    assert len(re.findall("breach", text)) == len(re.findall("breach worksheet", text)) > 0
    assert not re.search(r"complian|\bsafe\b|\bunsafe\b", text)


def test_nothing_is_loaded_from_elsewhere(tmp_path: Path) -> None:
    """The page has its own script and no address but its anchors and the page of all runs."""
    validated(tmp_path, make_design())
    html = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    shown = Page(without_scripts(html))
    assert not {"script", "link", "iframe", "img"} & set(shown.tags)
    elsewhere = {one.partition("#")[0] for one in shown.links if not one.startswith("#")}
    assert elsewhere == {page.RUNS}


@pytest.mark.parametrize("name", ["design.json", "verdict.json", "register.json"])
def test_files_that_do_not_belong_together_are_refused(tmp_path: Path, name: str) -> None:
    """Another design's file, one that is broken and one that is missing give no page."""
    validated(tmp_path, make_design())
    path = tmp_path / name
    before = (tmp_path / "report" / "index.html").read_bytes()
    other = path.read_text(encoding="utf-8").replace(make_design().digest, "0" * 64)
    for content in (other, "[]", "{}", "{", "[" * 100_000):
        path.write_text(content, encoding="utf-8")
        with pytest.raises(InputError):
            write_validation(tmp_path, evidence.chain(tmp_path))
    path.unlink()
    with pytest.raises(InputError):
        write_validation(tmp_path, evidence.chain(tmp_path))
    assert (tmp_path / "report" / "index.html").read_bytes() == before


def test_a_row_whose_run_is_not_there_is_refused(tmp_path: Path) -> None:
    """A run that no line has, and a hash of another line, give no page."""
    validated(tmp_path, make_design())
    path = tmp_path / "register.json"
    text = path.read_text(encoding="utf-8")
    run = next(one["sources"][0] for one in json.loads(text)["rows"] if one["sources"])
    for old, new in ((run["run"], "f" * len(run["run"])), (run["line"], "0" * 64)):
        path.write_text(text.replace(old, new), encoding="utf-8")
        with pytest.raises(InputError, match=evidence.EVIDENCE):
            write_validation(tmp_path, evidence.chain(tmp_path))


def test_evidence_that_was_cut_gives_no_page(tmp_path: Path) -> None:
    """A folder whose last line was left out is refused."""
    validated(tmp_path, make_design())
    path = tmp_path / evidence.EVIDENCE
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    with pytest.raises(InputError, match="lines were left out"):
        write_validation(tmp_path, evidence.chain(tmp_path))


def test_a_design_without_anything_measured_has_a_page(tmp_path: Path) -> None:
    """Runs of no attack that counts: every criterion is not decided, and each has its reason."""
    design = make_design()
    for record in {one.run: one for one in map(addressed, pairs("sign_flip", [0.2]))}.values():
        evidence.append(tmp_path, record)
    chain = evidence.chain(tmp_path)
    found = assess(design, CATALOG, chain)
    assert found.criteria
    stored.write_design(tmp_path, design)
    verdict.write(tmp_path, found, CATALOG)
    write_validation(tmp_path, chain)
    text = read(tmp_path).of("verdict")
    for one in found.criteria:
        assert one.outcome == "inconclusive"
        for reason in one.reasons:
            assert reason in text


def step(change: str, state: str, figure: float | None = None, **more: Any) -> dict[str, Any]:
    """A change that reaches this loss of ``accuracy``, of which at most 0.05 is asked."""
    met = {"met": "met", "not_met": "not_met"}.get(state, "inconclusive")
    reached = {
        "id": "accuracy", "outcome": met, "under": "alie", "figure": figure,
        "lower": None if figure is None else figure - 0.01,
        "upper": None if figure is None else figure + 0.02,
        "beyond": None if figure is None else max(0.0, figure - 0.05),
    }  # fmt: skip
    head = {"cost": "one rule", "seeds": 5, "reason": "", "folder": "search/x"}
    criteria = [] if state in ("undefined", "untried") else [reached]
    return {**head, "change": change, "state": state, "criteria": criteria, **more}


def search_of(design: Design, smallest: list[str]) -> dict[str, Any]:
    """A search with a change of each state."""
    steps = [
        step("a rule that is not defined", "undefined", reason="no rows"),
        step("<i>the rule krum", "not_met", 0.175),
        step("the rule median", "inconclusive", 0.04),
        step("the rule mean", "left_out", 0.3, seeds=2),
        step("a clip of 9", "unfinished", None, seeds=2, cost="one number"),
        step("one hospital more", "untried", cost="one hospital more", seeds=0),
        *(step(name, "met", 0.01, cost="one number") for name in smallest),
    ]
    return {
        "schema": "wardround.search/1",
        "design": {"name": design.meta.name, "sha256": design.digest},
        "complete": True,
        "summary": ["<b>In short.", "5 of 6 changes were tried."],
        "smallest": smallest,
        "in_the_way": [] if smallest else ["accuracy"],
        "changes": steps,
    }


@pytest.mark.parametrize("smallest", [["a clip of 1"], []])
def test_a_search_for_the_smallest_change_is_shown(tmp_path: Path, smallest: list[str]) -> None:
    """The summary, the figure, each change that was judged, and why others were not."""
    design = make_design()
    validated(tmp_path, design)
    path = tmp_path / stored.SEARCH
    path.write_text(json.dumps(search_of(design, smallest)), encoding="utf-8")
    write_validation(tmp_path, evidence.chain(tmp_path))
    text = read(tmp_path).of("next")
    assert "<b>In short. 5 of 6 changes were tried." in text
    assert "<i>the rule krum" in text
    assert "0.175 under hidden shift" in text
    assert "a rule that is not defined (one rule) makes no design that can be run: no rows" in text
    assert not (tmp_path / "report" / "figures").exists()
    assert 'id="fig-search"' in (tmp_path / "report" / "index.html").read_text(encoding="utf-8")


def test_a_search_without_a_change_that_was_judged_has_no_figure(tmp_path: Path) -> None:
    design = make_design()
    validated(tmp_path, design)
    values = search_of(design, []) | {"changes": [step("a", "untried")]}
    (tmp_path / stored.SEARCH).write_text(json.dumps(values), encoding="utf-8")
    write_validation(tmp_path, evidence.chain(tmp_path))
    assert "5 of 6 changes were tried." in read(tmp_path).of("next")
    assert 'id="fig-search"' not in (tmp_path / "report" / "index.html").read_text("utf-8")


def candidates(found: Assessment, values: dict[str, Any]) -> pl.DataFrame:
    keys = stored.Searched.model_fields
    searched = stored.Searched.model_validate({key: values[key] for key in keys})
    return changes.candidates(found, searched)


def test_candidates_are_the_design_and_its_changes_by_cost_and_nearness(tmp_path: Path) -> None:
    """A row a change and criterion; figures and misses only where a seed has one."""
    design = make_design()
    validated(tmp_path, design)
    found = stored.read(tmp_path, evidence.chain(tmp_path)).assessment
    frame = candidates(found, search_of(design, ["a clip of 1"]))
    assert frame["change"].unique(maintain_order=True).to_list() == [
        changes.DESIGN, "a clip of 1", "a clip of 9", "the rule median", "<i>the rule krum",
        "the rule mean", "a rule that is not defined", "one hospital more",
    ]  # fmt: skip
    assert len(frame) == 8 * len(found.criteria)
    ours = frame.filter(criterion="accuracy").rows_by_key("change", named=True, unique=True)
    krum = ours["<i>the rule krum"]
    assert (krum["figure"], krum["bound"], krum["limit"]) == (0.175, "loss_at_most", 0.05)
    assert krum["beyond"] == pytest.approx(0.125)
    assert ours["a clip of 9"]["beyond"] is None
    design_row = ours[changes.DESIGN]
    (judged,) = [one for one in found.criteria if one.id == "accuracy"]
    assert judged.shown is not None
    assert design_row["figure"] == judged.shown.figure


def test_the_figure_of_a_search_shows_limits_states_and_what_was_tried(tmp_path: Path) -> None:
    """A panel a criterion, heads with counts, a mark for each change with a figure."""
    design = make_design()
    validated(tmp_path, design)
    found = stored.read(tmp_path, evidence.chain(tmp_path)).assessment
    figure = draw_changes(candidates(found, search_of(design, ["a clip of 1"])), style.PAGE)
    panels = {axes.get_title(loc="left"): axes for axes in figure.axes}
    assert panels.keys() == {one.id for one in found.criteria}
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == [
        changes.DESIGN, "one number: 2 of 2 tried", "a clip of 1", "a clip of 9 (2 seeds)",
        "one rule: 3 of 4 tried", "the rule median", "<i>the rule krum", "the rule mean (2 seeds)",
        "one hospital more: 0 of 1 tried",
    ]  # fmt: skip
    accuracy = panels["accuracy"]
    assert accuracy.get_xlabel() == "loss: at most 0.05"
    marks = {
        (float(line.get_xdata()[0]), int(line.get_ydata()[0]))
        for line in accuracy.get_lines()
        if line.get_marker() != "None"
    }
    assert {(0.01, 2), (0.04, 5), (0.175, 6), (0.3, 7)} < marks
    assert len(marks) == 5
    (legend,) = figure.legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert texts == [look.text for look in LOOKS.values()]


def test_of_many_changes_and_criteria_the_figure_states_what_it_leaves_out(tmp_path: Path) -> None:
    design = make_design()
    validated(tmp_path, design)
    found = stored.read(tmp_path, evidence.chain(tmp_path)).assessment
    many = [step(f"change {n}", "left_out", 0.1 + n / 100) for n in range(40)]
    frame = candidates(found, search_of(design, []) | {"changes": many})
    room = changes.chosen(frame)
    assert list(room.changes) == [f"change {n}" for n in range(changes.MOST_CHANGES)]
    assert room.left_out == [f"{40 - changes.MOST_CHANGES} changes further away"]
    drawn = [
        label.get_text() for label in draw_changes(frame, style.PAGE).axes[0].get_yticklabels()
    ]
    assert len(drawn) == changes.MOST_CHANGES + 2  # the design, and the head


def test_a_search_of_another_design_is_refused(tmp_path: Path) -> None:
    """A search is shown with the design that it was made for alone."""
    design = make_design()
    validated(tmp_path, design)
    values = search_of(design, [])
    for wrong in (values | {"design": {"sha256": "0" * 64}}, {}, values | {"changes": 1}):
        (tmp_path / stored.SEARCH).write_text(json.dumps(wrong), encoding="utf-8")
        with pytest.raises(InputError, match=stored.SEARCH):
            write_validation(tmp_path, evidence.chain(tmp_path))
