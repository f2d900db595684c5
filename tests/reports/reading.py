"""Studies for tests of reports, and pages, tables and terminal output as these tests read them."""

import json
import re
from io import StringIO

from rich.console import Console

from reports import markup, page, rendering
from reports.analysis import tables
from sim.evidence import (
    Conflict,
    RunRecord,
    Screened,
)
from tests.records import (
    make_inversion,
    make_privacy,
    make_record,
)


def grid(
    attacks=("none", "sign_flip"), defenses=("none", "krum"), seeds=3, **changes
) -> list[RunRecord]:
    """Attacks x defenses x seeds; without a defense ``sign_flip`` lowers AUROC by 0.3, 0.32, 0.34,
    ...
    """
    return [
        make_record(attack=a, defense=d, seed=s, figures={"auroc": auroc(a, d, s)}, **changes)
        for a in attacks
        for d in defenses
        for s in range(seeds)
    ]


def auroc(attack: str, defense: str, seed: int) -> float:
    hit = attack != "none" and defense == "none"
    return 0.8 + 0.01 * seed - (0.3 + 0.02 * seed) * hit


def everything() -> list[RunRecord]:
    """A study with every part that a page can have."""
    inversion = make_inversion(gallery=True)
    parts = {
        "privacy": make_privacy(),
        "conflicts": [
            Conflict(id="x", between="noise and utility", text="noise hides attackers too")
        ],
        "screened": [Screened(round=2, hospital="hospital_1", reason="not finite")],
        "skipped_rounds": [2],
    }
    read = [make_record(attack="analytic_inversion", seed=s, inversion=inversion) for s in range(3)]
    hidden = make_inversion(0, 64)
    read += [
        make_record(attack="analytic_inversion", defense="sum", seed=s, inversion=hidden)
        for s in range(3)
    ]
    return grid(defenses=("none", "krum")) + grid(defenses=("dp",), **parts) + read


def html_of(records, **manifest) -> str:
    """The page without its figures."""
    known = dict.fromkeys(page.MANIFEST) | manifest
    ordered = tables.one_study(records)
    return page.render(page.content(ordered, known, show_reconstructions=False), {})


def without_scripts(html: str) -> str:
    """The page without its policy, its one script and its data, which hold no markup."""
    script = rendering.script()
    own = (f"<script>{script}</script>", f' content="{markup.policy(script)}"')
    assert [html.count(one) for one in own] == [1, 1]
    html = html.replace('<meta http-equiv="Content-Security-Policy"' + own[1] + ">", "")
    data = re.findall(r'<script type="application/json" id="\w+">(.*?)</script>', html, re.DOTALL)
    assert all(json.loads(one) is not None and not set("<>&") & set(one) for one in data)
    return re.sub(
        r'<script type="application/json" id="\w+">.*?</script>',
        "",
        html.replace(own[0], ""),
        flags=re.DOTALL,
    )


def text_of(html: str) -> str:
    unseen = r"<style>.*?</style>|<svg.*?</svg>|<script.*?</script>"
    html = re.sub(r'<a class="term"[^>]*>(.*?)</a>', r"\1", html)
    return re.sub(r"<[^>]*>", " ", re.sub(unseen, " ", html, flags=re.DOTALL))


def row(frame, **where):
    (found,) = frame.filter(**where).rows(named=True)
    return found


def printed(table, width=80) -> str:
    console = Console(file=StringIO(), width=width, highlight=False)
    console.print(table)
    return console.file.getvalue()
