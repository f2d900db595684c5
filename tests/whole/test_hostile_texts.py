"""Texts of others that may be there: each stands in every output as it is, and acts in none.

Every free text of a design, every name of a hospital, a column and a level is hostile, and the
command ``validate`` makes all that it leaves of it.
"""

from __future__ import annotations

import csv
import io
import json
import re
from contextlib import redirect_stderr, redirect_stdout
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import pytest
import yaml

from sim.evidence.spreadsheet import FORMULA
from tests import ROOT, designs, own_data
from tests.commands import ALONE, wardround
from tests.hostile_words import Watch
from tests.reports.reading import without_scripts
from tests.threats.exports.test_exports import SCHEMA, is_number, texts
from threats import exports

# one process makes what all tests of this file look at
pytestmark = pytest.mark.xdist_group("hostile texts")

NAMES = (
    "<script>alert(1)</script>",
    "</style></title><img src=x onerror=alert(1)>",
    '"><svg/onload=alert(1)>',
    '=HYPERLINK("http://x","y")',
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(1)",
    "[bold red]text[/] [link=file:///etc/passwd]y[/link]",
    "[x](javascript:alert(1)) ![y](http://z) **w** `v` # _u_",
    "{{ 7*7 }} {% include '/etc/passwd' %} ${oc.env:HOME}",
    "%s %(x)s {0} {0.__class__}",
    "$\\frac{1}{$ \\input{x}",
    "a\"b'c`d\\",
    'x; y | z --> w["v"] %% click a "javascript:b"',
    "\N{HEBREW LETTER ALEF}\N{ARABIC LETTER BEH} \N{GRINNING FACE} e\u0301",
    "null",
    "&lt;b&gt; &#60;i&#62; &amp;",
    "http://x/?a=<b>&c=d#e",
    "<!-- <![CDATA[ ]]> -->",
    "../../etc/passwd",
)
OF_HOSPITALS = tuple(name for name in NAMES if "${" not in name and name != "null")  # of hospitals
LINKS = ("#", "https://", "runs.html", "data:image/png;base64,")
COLUMNS = ("=1+1", "<b>age</b>", "[red]sex", '@label "x"')
LEVELS = ("<i>f</i>", "=m()")


class Acts(Watch):
    """What is done beside reading and writing below a folder."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = "/"

    def _forbidden(self, event: str, values: tuple[Any, ...]) -> bool:
        below = str(values[0]).startswith(self.folder) if values else False
        return not (below and event in ("open", *self.ALONE)) and super()._forbidden(event, values)


def hostile(folder: Path, turn: int) -> Path:
    """A design with another text in each of its free texts, beside records with others."""
    texts_ = iter(NAMES[turn:] + NAMES[:turn])
    made = designs.values(
        acceptance=[designs.criterion(id=id_) for id_ in ("a", "CON", "nul.txt")],
    )
    made["meta"] |= {key: next(texts_) for key in ("name", "owner", "jurisdiction", "notes")}
    question = {"id": "q", "text": next(texts_), "status": "confirmed", "by": next(texts_)}
    made["legal"] = [question]
    made["assets"] += [{"id": "u", "class": "model_update", "phi": "no", "hospital": next(texts_)}]
    for component in made["components"]:
        component["tech"] = next(texts_)
    channel = {"protocol": next(texts_), "tls": "none", "mutual": False}
    flow = {"id": "circle", "from": "server", "to": "server", "carries": ["u"]}
    made["flows"] = [flow | {"channel": channel}]
    (adversary,) = made["adversaries"]
    adversary["role"] = next(texts_)
    adversary["initiation"] |= {"rationale": next(texts_), "declared_by": next(texts_)}
    made["impact"] = {"ratified_by": next(texts_)}
    decision = {"decision": "accept", "date": "2026-01-01", "expires": "2027-01-01"}
    made["decisions"] = [decision | {"row": "verdict", "by": next(texts_)}]
    chosen = {
        "path": "records.csv", "hospital": "Site", "label": COLUMNS[3], "positive": "1",
        "levels": [[COLUMNS[2], *LEVELS]],
    }  # fmt: skip
    made["federation"] = {
        "consortium": {"csv": chosen}, "model": "logistic", "training": {"rounds": 2},
        "adversary": {"n_hostile": 1, "knowledge": "own"},
    }  # fmt: skip
    sites = (OF_HOSPITALS[turn:] + OF_HOSPITALS[:turn])[:7]
    (folder / "records.csv").write_text(records(sites), encoding="utf-8")
    path = folder / "design.yaml"
    path.write_text(yaml.safe_dump(made, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path


def records(sites: tuple[str, ...]) -> str:
    """A table of patients of these hospitals, under hostile names."""
    content = io.StringIO()
    rows = csv.writer(content, quoting=csv.QUOTE_ALL)
    rows.writerow(("Site", *COLUMNS))
    for place, site in enumerate(sites):
        for number, line in enumerate(own_data.LINES.splitlines()[1:31]):
            age, sex, sick = line.split(",")
            value = f"{number * 7 % 11 + place}.25"
            rows.writerow((site, value, age, LEVELS[sex == "m"], sick))
    return content.getvalue()


class Page(HTMLParser):
    """The elements, attributes, links and texts of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags = set[str]()
        self.attributes = set[str]()
        self.links = set[str]()
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        links = ("href", "src", "action", "xlink:href", "data", "formaction")
        self.links |= {value or "" for name, value in attrs if name in links}

    def handle_data(self, data: str) -> None:
        self.text += data


class Left(NamedTuple):
    """What a command leaves in its folder, prints and does."""

    folder: Path
    name: str
    printed: str
    acts: list[str]

    def read(self, name: str) -> str:
        return (self.folder / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def acts(tmp_path_factory: pytest.TempPathFactory) -> Acts:
    """A hook that is off, after a command that has loaded all that it loads."""
    folder = tmp_path_factory.mktemp("loaded")
    words = ("validate", f"consortium={hostile(folder, 0)}", ALONE)
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        assert wardround(*words, f"hydra.run.dir={folder / 'out'}") in (0, 1)
    return Acts()


@pytest.fixture(scope="module", params=[0, 7, 13])
def left(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, acts: Acts
) -> Left:
    """What is left of a hostile design; at each turn other texts stand in other places."""
    folder = tmp_path_factory.mktemp("hostile")
    path = hostile(folder, request.param)
    printed = io.StringIO()
    with redirect_stdout(printed), redirect_stderr(printed):
        acts.folder, acts.seen, acts.on = str(folder), [], True
        code = wardround("validate", f"consortium={path}", ALONE, f"hydra.run.dir={folder / 'out'}")
        acts.on = False
    assert code in (0, 1), printed.getvalue()
    return Left(folder / "out", NAMES[request.param], printed.getvalue(), acts.seen)


def test_nothing_is_done_but_to_write_the_folder(left: Left) -> None:
    version = rf"subprocess.Popen \('git', \['git', '-C', '{ROOT}', "
    a_name = r"compile \(b'\w+', '<string>'\)"  # of a type that is looked up
    assert [act for act in left.acts if not re.match(f"{version}|{a_name}", act)] == []
    assert {path.name for path in left.folder.parent.iterdir()} == {
        "design.yaml", "records.csv", "out",
    }  # fmt: skip


def test_the_terminal_shows_texts_and_obeys_none(left: Left) -> None:
    assert left.printed.replace("\n", "").isprintable()
    assert left.name in " ".join(left.printed.split())


def test_the_pages_show_texts_and_run_none(left: Left) -> None:
    paths = sorted(left.folder.rglob("*.html"))
    assert [path.name for path in paths] == ["index.html", "runs.html"]
    pages = [Page(without_scripts(path.read_text(encoding="utf-8"))) for path in paths]
    assert left.name in " ".join(pages[0].text.split())
    for page in pages:
        assert not {"script", "img", "iframe", "object", "embed", "base", "form"} & page.tags
        assert not [name for name in page.attributes if name.startswith("on")]
        assert not [link for link in page.links if not link.startswith(LINKS)]
    for path in left.folder.rglob("*.svg"):
        tags = {one.tag.rpartition("}")[2] for one in ElementTree.parse(path).iter()}
        assert not {"script", "foreignObject", "image", "a"} & tags


def test_no_cell_is_a_formula(left: Left) -> None:
    for name in ("register.csv", "results.csv"):
        rows = list(csv.reader(left.read(name).splitlines(keepends=True)))
        assert len({len(row) for row in rows}) == 1
        cells = [cell for row in rows for cell in row]
        assert [one for one in cells if one.startswith(FORMULA) and not is_number(one)] == []


def test_exports_hold_texts_as_texts(left: Left) -> None:
    for name in (exports.OSCAL, exports.SARIF, exports.CYCLONEDX):
        content = left.read(f"exports/{name}")
        assert content.isascii()
        assert not set("<>&\x1b") & set(content)
        for text in texts(json.loads(content)):
            assert text.isprintable()
            assert is_number(text) or not text.startswith(FORMULA)
    log = json.loads(left.read(f"exports/{exports.SARIF}"))
    assert [error.message for error in SCHEMA.iter_errors(log)] == []


def test_the_diagram_is_one_of_lines_that_it_knows(left: Left) -> None:
    lines = left.read("report/dfd.mmd").splitlines()
    assert lines[0].startswith("flowchart")
    assert not [line for line in lines if re.search(r"<|-->.*>|^\s*(click|%%)|url\(", line)]


def test_files_of_values_are_read_back_with_the_same_texts(left: Left) -> None:
    for path in left.folder.rglob("*.json*"):
        for line in left.read(str(path)).splitlines() if path.suffix == ".jsonl" else ():
            json.loads(line)
        if path.suffix == ".json":
            json.loads(left.read(str(path)))
    held = json.loads(left.read("design.json"))["design"]
    assert held["meta"]["name"] == left.name
    config = yaml.safe_load(left.read("config.yaml"))
    assert config["consortium"]["label"] == COLUMNS[3]
    assert config["consortium"]["levels"] == [[COLUMNS[2], *LEVELS]]
    record = json.loads(left.read("evidence.jsonl").splitlines()[0])
    assert {one["hospital"] for one in record["hospitals"]} <= set(OF_HOSPITALS)


ATTACKS = "tableak,membership_loss,attribute_inference,source_inference,structural_risk"
SMALL = (
    "model=logistic", "training.rounds=2", "training.local_steps=1", "training.batch_size=4",
    "dp.record.delta=1e-3",
)  # fmt: skip
COMMANDS = {
    "compare": (
        f"attacks=[[{ATTACKS}]]", "defenses=[none,dp_record_hospital]", "seeds=1", ALONE,
        "attack.tableak.iterations=3", "attack.tableak.ensemble=2", "adversary.n_hostile=1",
        "report.show_reconstructions=true", *SMALL,
    ),
    "audit": ("audit.canaries=10", "dp=record", "model.hidden=[4]", *SMALL[1:-1]),
}  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_pages_of_inferences_and_audits_show_names_and_run_none(
    command: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    sites = OF_HOSPITALS[:3] + OF_HOSPITALS[7:12]
    (tmp_path / "records.csv").write_text(records(sites), encoding="utf-8")
    own = (
        "consortium=csv",
        f"consortium.path={tmp_path / 'records.csv'}",
        "consortium.hospital=Site",
        f"consortium.label={COLUMNS[3]!r}",
        "consortium.positive='1'",
        f"consortium.levels={json.dumps([[COLUMNS[2], *LEVELS]])}",
    )
    folder = tmp_path / "out"
    code = wardround(command, *own, *COMMANDS[command], f"hydra.run.dir={folder}")
    screen = capfd.readouterr()
    assert code == 0, screen.err
    assert (screen.out + screen.err).replace("\n", "").isprintable()
    text = (folder / "report" / "index.html").read_text(encoding="utf-8")
    page = Page(without_scripts(text))
    named = sites if command == "compare" else [min(sites)]
    assert [name for name in named if name not in page.text] == []
    assert not {"script", "img", "iframe", "object", "embed", "base", "form"} & page.tags
    assert not [name for name in page.attributes if name.startswith("on")]
