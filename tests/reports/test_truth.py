"""What page, terminal and figure state of results, read sentence by sentence: two comparisons that
were run, ten made ones.
"""

from __future__ import annotations

import html
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import matplotlib as mpl
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from reports import page, terminal
from reports.analysis import backdoors, tables
from reports.figures import style
from reports.figures.heat_map import heat_map
from sim import titles
from sim.config.choices import options
from sim.evidence import RunRecord
from tests.records import make_record
from tests.reports.reading import printed
from tests.studies import GOLDEN, STUDIES, golden, losses

MADE = sorted(STUDIES)
STATED = yaml.safe_load((GOLDEN / "stated.yaml").read_text("utf-8"))
RUN = ("breast7", "backdoors")
NO_HARM = re.compile(
    r"no (material )?(harm|loss)|not harm|harmless|no seed lost|no attack tried|0 of \d+ (seeds"
    r" )?lost|0/\d|not reached|withstand"
    r"|not distinguished from no defense|within the interval|does no ",
    re.IGNORECASE,
)
BEST = re.compile(r"\bbest\b", re.IGNORECASE)
MINUS = "\N{MINUS SIGN}"


@cache
def study(name: str) -> tuple[tuple[RunRecord, ...], str]:
    """The records of a study, and its page with an empty picture in the place of the heat map."""
    records, manifest = golden(name) if name in RUN else (STUDIES[name](), {})
    ordered = tables.one_study(records, manifest.get("attacks", ()), manifest.get("defenses", ()))
    return tuple(ordered), page_of(ordered, manifest)


def page_of(records: Sequence[RunRecord], manifest: dict[str, Any] | None = None) -> str:
    known = dict.fromkeys(page.MANIFEST) | (manifest or {})
    svg = style.svg(Figure(figsize=(1, 1)), "heat_map")
    values = page.content(records, known, show_reconstructions=False)
    return page.render(values, {"heat_map": svg})


def plain(markup: str) -> str:
    text = re.sub(
        r"<style>.*?</style>|<svg.*?</svg>|<script.*?</script>", " ", markup, flags=re.DOTALL
    )
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", text)).replace("\xa0", " ").split())


def section(markup: str, name: str) -> str:
    found = re.search(rf'<section[^>]*id="{name}".*?</section>', markup, re.DOTALL)
    return found[0] if found else ""


def answers(markup: str) -> dict[str, list[str]]:
    """What was found: topic -> sentences."""
    pairs = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", section(markup, "answer"), re.DOTALL)
    return {plain(topic): sentences(plain(text)) for topic, text in pairs}


def sentences(text: str) -> list[str]:
    return re.split(r"(?<=\.) (?=[A-Z]|[a-z_+]+ (?:with no defense|under|recovered|spends))", text)


def items(markup: str, name: str) -> list[str]:
    return [plain(one) for one in re.findall(r"<li>(.*?)</li>", section(markup, name), re.DOTALL)]


def rows(markup: str, name: str) -> list[list[str]]:
    """The cells of every table row of a section; of two names the one that one types."""
    bodies = re.findall(r"<tbody>(.*?)</tbody>", section(markup, name), re.DOTALL)
    lines = [line for body in bodies for line in re.findall(r"<tr.*?</tr>", body, re.DOTALL)]
    small = r'[^<>]*<span class="iv"><code[^>]*? data-key="(.*?)">.*?</code></span>'
    typed = [re.sub(small, r"\1", line) for line in lines]
    cells = r"<t[dh]\b.*?</t[dh]>"
    return [[plain(cell) for cell in re.findall(cells, line, re.DOTALL)] for line in typed]


def everything_stated(markup: str) -> list[str]:
    """Every sentence that depends on the results, and every cell of a table with results; not what
    explains a table.
    """
    texts = (
        [text for lines in answers(markup).values() for text in lines]
        + items(markup, "answer")
        + items(markup, "broken")
        + items(markup, "cautions")
    )
    names = ("attacks", "backdoors", "breakdown", "hospitals")
    texts += [cell for name in names for line in rows(markup, name) for cell in line]
    return texts + [
        line[3]
        for line in rows(markup, "threats")
        if len(line) == 5 and line[2] in ("measured", "inconclusive")
    ]


# The comparisons that were run


@pytest.mark.parametrize("name", [*RUN, *MADE])
def test_what_was_found_is_stated_sentence_by_sentence(name: str) -> None:
    assert answers(study(name)[1]) == STATED[name]["found"]


@pytest.mark.parametrize("name", [*RUN, *MADE])
def test_no_plain_name_begins_with_a_capital_after_a_colon(name: str) -> None:
    firsts = {
        one.title[:1].upper() + one.title[1:]
        for group in ("attack", "defense")
        for key in options(group)
        if (one := titles.of(group, key)) is not None and one.title[:1].islower()
    }
    after = re.compile(rf": (?:{'|'.join(map(re.escape, sorted(firsts)))})\b")
    found = [text for text in everything_stated(study(name)[1]) if after.search(text)]
    assert found == []


@pytest.mark.parametrize("name", [*RUN, *MADE])
def test_training_that_broke_down_comes_first_with_its_rounds(name: str) -> None:
    markup = study(name)[1]
    assert items(markup, "broken") == STATED[name]["broken"]
    if STATED[name]["broken"]:
        assert markup.index('href="#broken"') < markup.index(items(markup, "answer")[0][:20])
        assert markup.index('id="broken"') < markup.index('id="next"')


@pytest.mark.parametrize("name", [*RUN, *MADE])
def test_the_terminal_states_the_same(name: str) -> None:
    text = printed(terminal.closing(study(name)[0]))
    assert [line.rstrip() for line in text.strip("\n").split("\n")] == STATED[name][
        "terminal"
    ].strip("\n").split("\n")
    assert max(map(len, text.splitlines())) <= 80


def test_every_seed_of_a_ruinous_attack_is_counted_and_nothing_calls_it_harmless() -> None:
    text = " ".join(answers(study("breast7")[1])["Without a defense"])
    assert (
        "Sign flipping with no defense harms the model: in each of 3 seeds AUROC fell by at least"
        " 0.248"
        " (3 of 3 lost" in text
    )
    assert "the lowest seed ends at 0.050" in text
    assert "not decided with 3 seeds" in text
    assert "not distinguished from no defense" not in plain(study("breast7")[1])
    cell = next(
        line
        for line in rows(study("breast7")[1], "attacks")
        if line[:2] == ["sign_flip", "no defense"]
    )
    assert cell[4:9] == [
        "0.050",
        f"{MINUS}0.497 {MINUS}1.000 to +0.008",
        f"{MINUS}0.948",
        "3 of 3",
        "harmed",
    ]


def test_backdoors_are_ranked_by_success_and_the_cost_of_the_best_stands_in_its_sentence() -> None:
    first, worse = answers(study("backdoors")[1])["Best against backdoors"]
    assert first.startswith("Of the defenses tried, Krum (")
    assert "a round uses the updates of 1 of 12 hospitals" in first
    assert re.findall(r"(\w+(?: \w+)?) \(\+", worse) == ["trimmed mean", "SignGuard", "no defense"]
    assert [line[0] for line in rows(study("backdoors")[1], "backdoors")[:4]] == [
        "krum",
        "trimmed_mean",
        "signguard",
        "no defense",
    ]
    assert "Best defense tried" not in answers(study("backdoors")[1])


def test_a_model_that_an_attack_leaves_without_an_auroc_in_every_seed_is_harmed() -> None:
    records = losses({("ipm", "none"): (None, None, None), ("ipm", "krum"): (0.3, None, 0.2)})
    found = answers(page_of(records))
    assert (
        found["Without a defense"][0]
        == "Inner-product manipulation with no defense harms the model: in each of 3 seeds it"
        " left one without an AUROC."
    )
    assert found["Under the defenses"][0].startswith(
        "Harm is shown under Krum (inner-product manipulation: 3 of 3 seeds lost 0.05 or more, 1"
        " of them left"
    )
    assert [line[7:9] for line in rows(page_of(records), "attacks") if line[0] == "ipm"] == [
        ["3 of 3", "harmed"]
    ] * 2
    text = printed(terminal.closing(records))
    assert "not defined 3/3!‡" in text
    assert "0.645 [0.600] 3/3!‡" in text


def test_one_hospital_is_stated_to_pay_most_where_it_is_distinguished_from_all_others() -> None:
    def spoilt(by: dict[str, float], seed: int) -> dict[str, dict[str, float]]:
        names = [f"hospital_{i}" for i in range(6)]
        return {
            "brier": {
                name: 0.15 + 0.01 * i + by.get(name, 0.001 * seed) for i, name in enumerate(names)
            }
        }

    def price(second: float) -> str:
        runs = [make_record(seed=s, of_hospitals=spoilt({}, 0)) for s in range(3)]
        by = [{"hospital_4": 0.2 + 0.01 * s, "hospital_1": second} for s in range(3)]
        runs += [
            make_record(defense="krum", seed=s, of_hospitals=spoilt(by[s], s)) for s in range(3)
        ]
        return " ".join(answers(page_of(runs))["Largest price"])

    assert (
        "Krum costs one hospital most: the Brier score (lower is better) of hospital_4 changes by"
        " +0.210" in price(0.1)
    )
    assert "it is not distinguished from hospital_1." in price(0.2)


def test_defenses_that_cost_a_hospital_the_same_are_named_together() -> None:
    def spoilt(by: float) -> dict[str, dict[str, float]]:
        return {"brier": {"hospital_4": 0.19 + by}}

    def price(median: float) -> str:
        costs = {"none": 0.0, "krum": 0.2, "median": median}
        runs = [
            make_record(defense=d, seed=s, of_hospitals=spoilt(by))
            for d, by in costs.items()
            for s in range(3)
        ]
        return " ".join(answers(page_of(runs))["Largest price"])

    assert "and as much is seen under median (hospital_4)" in price(0.2)
    assert "median" not in price(0.19)


# What holds for every page


@pytest.mark.parametrize("name", [*RUN, *MADE])
def test_every_interval_on_the_page_is_in_order_and_inside_the_range_of_its_figure(
    name: str,
) -> None:
    text = plain(study(name)[1]).replace(MINUS, "-")
    spans = re.findall(r"([+-]?\d+\.\d{3}) to ([+-]?\d+\.\d{3})", text)
    assert spans or name == "nothing"
    for low, high in spans:
        least = -1 if low[0] in "+-" or high[0] in "+-" or low == high == "0.000" else 0
        assert least <= float(low) <= float(high) <= 1, (low, high)
    for low, high in re.findall(r"([+-]?\d+\.\d) to ([+-]?\d+\.\d)(?!\d| %)", text):
        assert -100 <= float(low) <= float(high) <= 100
    for low, high in re.findall(r"([\d.]+) % to ([\d.]+) %", text):
        assert 0 <= float(low) <= float(high) <= 100


@pytest.mark.parametrize("name", [*RUN, *MADE])
def test_no_page_calls_a_defense_best_that_ties(name: str) -> None:
    for lines in answers(study(name)[1]).values():
        for line in lines:
            if BEST.search(line):
                assert (
                    line.startswith("No best defense is shown:")
                    or "does best and is distinguished from every other" in line
                )


@pytest.mark.parametrize("name", [*RUN, *MADE])
def test_the_table_counts_the_seeds_that_lost_as_the_records_have_it(name: str) -> None:
    records, markup = study(name)
    trained = [r for r in records if not (r.attack == "none" and len(r.skipped_rounds) == r.rounds)]
    score = {(r.attack, r.defense, r.seed): r.value("auroc") for r in trained}
    lost: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for (attack, defense, seed), value in score.items():
        control = score.get(("none", defense, seed))
        if attack != "none" and control is not None:
            lost[attack, defense].append(value is None or control - value >= 0.05 - 1e-9)
    counted = 0
    for line in rows(markup, "attacks"):
        cell = (line[0], "none" if line[1].startswith("no defense") else line[1])
        if line[0] != "no attack":
            assert line[7] == f"{sum(lost[cell])} of {len(lost[cell])}"
            assert (line[8] == "harmed") >= (all(lost[cell]) and len(lost[cell]) > 1)
            counted += 1
    assert counted or name in ("backdoors", "backdoor only", "reconstruction only", "nothing")


@pytest.mark.parametrize("name", [*RUN, *MADE])
def test_a_hospital_pays_most_only_where_it_is_distinguished_from_all_others(name: str) -> None:
    records, markup = study(name)
    hit = tables.worst_hit(tables.hospital_effects(records))
    apart = any(not row["alike"] for row in hit.iter_rows(named=True))
    assert apart or "costs one hospital most" not in plain(markup)


# Whenever every seed fell by a material share


@st.composite
def all_fallen(draw: st.DrawFn) -> list[RunRecord]:
    """One or two attacks on one or two defenses that cost every seed a material share; perhaps one
    is a backdoor too.
    """
    n = draw(st.integers(1, 5))
    records = []
    for defense in ("none", "median")[: draw(st.integers(1, 2))]:
        controls = draw(st.lists(st.floats(0.6, 1.0), min_size=n, max_size=n))
        records += [
            make_record(defense=defense, seed=s, figures={"auroc": value})
            for s, value in enumerate(controls)
        ]
        for attack in ("sign_flip", "backdoor")[: draw(st.integers(1, 2))]:
            lost = draw(st.lists(st.floats(0.05, 0.6), min_size=n, max_size=n))
            mark = (draw(st.floats(0.2, 1.0)), 0.1, 60)
            records += [
                make_record(
                    attack=attack,
                    defense=defense,
                    seed=s,
                    figures={"auroc": controls[s] - value},
                    backdoor=mark if attack == "backdoor" else None,
                )
                for s, value in enumerate(lost)
            ]
    return tables.one_study(records)


SLOW = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@SLOW
@given(all_fallen())
def test_where_every_seed_fell_materially_neither_page_nor_terminal_shows_no_harm(
    records: list[RunRecord],
) -> None:
    markup = page_of(records)
    stated = [*everything_stated(markup), *printed(terminal.closing(records)).splitlines()]
    assert [text for text in stated if NO_HARM.search(text)] == []
    n, drawn = (
        len({record.seed for record in records}),
        tables.cells(records).filter(attack="sign_flip"),
    )
    verdict = "harmed" if n > 1 else "not decided with 1 seed"
    cells = [line for line in rows(markup, "attacks") if line[0] == "sign_flip"]
    assert [(line[7], line[8]) for line in cells] == [(f"{n} of {n}", verdict)] * len(drawn)


@settings(SLOW, max_examples=6)
@given(all_fallen())
def test_where_every_seed_fell_materially_every_attacked_cell_of_the_map_is_framed(
    records: list[RunRecord],
) -> None:
    cells, marked = tables.cells(records), backdoors.backdoors(records)
    figure = heat_map(cells, style.PAGE, marked)
    red = [
        p
        for p in figure.axes[0].patches
        if mpl.colors.to_hex(p.get_edgecolor()) == style.VERMILION.lower()
    ]
    attacked = len(cells.filter(cells["attack"] != "none"))
    assert len(red) == attacked + len(marked)
    texts = {text.get_text() for text in figure.axes[0].texts}
    assert not any(NO_HARM.search(text) for text in texts)


def test_the_pattern_for_no_harm_finds_the_sentences_that_it_is_for() -> None:
    found = list(_harmless())
    assert len(found) > 3
    assert all(NO_HARM.search(text) for text in found)


def _harmless() -> Iterator[str]:
    """Sentences and cells of studies in which some attack did nothing to speak of."""
    yield "No attack tried lowered AUROC beyond what differs from seed to seed"
    yield "Seed by seed it is not distinguished from no defense, secagg and median."
    for name in ("one harmed", "bimodal"):
        yield from (
            text
            for text in everything_stated(study(name)[1])
            if "no loss" in text or "within the interval" in text
        )


def test_captions_fit_the_figure_of_a_page_and_that_of_a_phone() -> None:
    records, _ = study("ties")
    values = page.content(records, dict.fromkeys(page.MANIFEST), show_reconstructions=False)
    empty = style.svg(Figure(figsize=(1, 1)), "tradeoff")
    text = page.render(values, {"tradeoff": empty})
    assert '<span class="on-page">Each point is a defense.' in text
    assert '<span class="on-phone">Each line is a defense,' in text
