"""A page explains every term that it uses, and no other."""

from __future__ import annotations

import re
from typing import Any

import pytest

from reports import difference, sweeps
from reports.audits import write
from reports.sweeps import Sweep
from reports.text import glossary
from sim.evidence.audits import append
from tests.assessed import make_design
from tests.reports.reading import everything, html_of
from tests.reports.test_differences import put, runs
from tests.reports.test_sweeps import SWEEPS
from tests.reports.test_validation import validated
from tests.sim.evidence.test_audits import made as make_audit
from tests.studies import STUDIES

# Terms of the field with all their spellings, and the entry that explains each. This list was made
# by reading pages, and not from the entries.
TERMS = {
    r"aggregators?": "Aggregator",
    r"updates?": "Update",
    r"rounds?": "Round",
    r"attacks?": "Attack",
    r"adversar(y|ies)": "Adversary",
    r"hostile|honest": "Hostile, honest",
    r"defenses?|stacks?": "Defense",
    r"aggregation rules?": "Rule, step",
    r"secure aggregation": "Secure aggregation",
    r"quanti[sz](ed|ation)": "Quantization",
    r"controls?": "Control",
    r"AUROC": "AUROC",
    r"average precision|AUPRC": "Average precision, AUPRC",
    r"sensitivity|specificity": "Sensitivity, specificity",
    r"Brier( score)?": "Brier score",
    r"seeds?": "Seed",
    r"(95 % )?intervals?": "95 % interval",
    r"one-sided": "One-sided bound",
    r"harm(ed|s)?|material(ly)?": "Harm",
    r"not decided|inconclusive": "Not decided",
    r"distinguished": "Distinguished",
    r"percentage points|points beyond": "Points",
    r"engaged|did nothing": "Engaged",
    r"adapt(ed|ive)?|knew (the|each) defense": "Adapted",
    r"influence|equal shares?": "Influence",
    r"recall|precision": "Recall, precision",
    r"breakdown points?|breaks down": "Breakdown point",
    r"pareto( front)?": "Pareto front",
    r"backdoors?|marked": "Backdoor, mark",
    r"false[ -]triggers?": "False trigger",
    r"differential privacy|DP": "Differential privacy, DP",
    r"epsilon|delta|ε|δ": "ε, δ",
    r"noise multiplier": "Noise multiplier",
    r"reconstruct(ed|ion)|recovered": "Reconstruction",
    r"membership|AUC": "Membership",
    r"false positives?|TPR|FPR": "False positives",
    r"LiRA": "LiRA",
    r"null|shuffled": "Null",
    r"EMR|exact match": "EMR",
    r"MSE|PSNR|SSIM": "MSE, PSNR, SSIM",
    r"evidence": "Evidence",
    r"threats?|register": "Threat, register",
    r"measured": "Measured",
    r"literature only|not tested|not testable": (
        "Literature only, not tested, not testable by simulation"
    ),
    r"criteri(on|a)|verdict": "Criterion, verdict",
    r"claims?": "Claim",
    r"grades?": "Grade",
    r"very low|very high|moderate": "Level",
    r"initiation|adverse impact": "Initiation, adverse impact, likelihood, impact, risk",
    r"powers": "Power",
    r"STRIDE": "STRIDE",
    r"LINDDUN": "LINDDUN",
    r"PASTA": "PASTA",
    r"OWASP|AISVS": "OWASP, AISVS",
    r"ATLAS": "ATLAS",
    r"NIST": "NIST",
    r"HIPAA|45 CFR": "HIPAA",
    r"direct|indirect|conditional|contextual": (
        "Relevance: direct, indirect, conditional, contextual"
    ),
    r"business associates?": "Business associate",
    r"lockstep": "Lockstep",
    r"SHA-256|hash(es)?": "SHA-256, hash",
    r"canar(y|ies)": "Canary",
    r"one-run audit|f-DP( form)?": "One-run audit, f-DP form",
    r"clip(ped|ping( norm)?)?": "Clipping",
    r"sampling rate": "Sampling rate",
}
WORDS = re.compile(r'<section id="words">.*?</section>', re.DOTALL)


def explained(page: str) -> set[str]:
    terms = re.findall(r'<dt id="word-[^"]*">(.*?)</dt>', page)
    return {" ".join(term.split()) for term in terms}


def stated(page: str) -> str:
    """What a page reads outside its glossary, in small letters."""
    return glossary.read(WORDS.sub("", page))


def missing(page: str) -> set[str]:
    """Terms of the field that a page uses and does not explain."""
    text = stated(page)
    entries = explained(page)
    return {
        entry
        for pattern, entry in TERMS.items()
        if entry not in entries and re.search(rf"(?<!\w)({pattern.casefold()})(?!\w)", text)
    }


def unused(page: str) -> set[str]:
    """Entries whose terms neither the page nor another entry uses."""
    text = stated(page)
    entries = [entry for entry in glossary.ENTRIES if entry.term in explained(page)]
    found = set()
    for entry in entries:
        others = " ".join(other.text.casefold() for other in entries if other is not entry)
        if not any(
            re.search(rf"(?<!\w){re.escape(one)}(?!\w)", f"{text} {others}")
            for one in entry.spellings
        ):
            found.add(entry.term)
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Pages by name: of made studies, of every part that a page can have, and of each kind."""
    folder = tmp_path_factory.mktemp("verdict")
    validated(folder, make_design())
    verdict = (folder / "report" / "index.html").read_text(encoding="utf-8")
    pages = {name: html_of(study()) for name, study in STUDIES.items()}
    pages |= {f"sweep of {name}": swept(records) for name, (records, *_) in SWEEPS.items()}
    audits = {f"audit, {claim}": audited(tmp_path_factory, claim) for claim in (0.1, 4.0, 6.0)}
    more = {"everything": html_of(everything()), "verdict": verdict}
    return pages | audits | more | {"difference": compared(tmp_path_factory)}


def swept(records: list[Any]) -> str:
    """The page of a sweep."""
    places = [str(place) for place in range(len(records))]
    return sweeps.render(Sweep(records, places), {"command": "wardround run -m"}, "<svg></svg>")


def audited(tmp_path_factory: pytest.TempPathFactory, claim: float) -> str:
    """The page of audits of a claim."""
    folder = tmp_path_factory.mktemp("audit")
    for seed in range(3):
        append(folder, make_audit(seed, claim=claim))
    return write(folder).read_text(encoding="utf-8")


def compared(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of two folders."""
    folders = [tmp_path_factory.mktemp(name) for name in ("before", "after")]
    put(folders[0], runs([0.5, 0.51, 0.52]))
    put(folders[1], runs([0.8, 0.81, 0.82]))
    return difference.render(difference.read(*folders), folders[1])


def test_every_term_that_a_page_uses_is_explained_on_it(made: dict[str, str]) -> None:
    assert {name: missing(page) for name, page in made.items() if missing(page)} == {}


def test_every_entry_is_used_on_its_page(made: dict[str, str]) -> None:
    assert {name: unused(page) for name, page in made.items() if unused(page)} == {}


def test_an_entry_comes_and_goes_with_its_term(made: dict[str, str]) -> None:
    assert "Reconstruction" in explained(made["everything"])
    assert "LINDDUN" not in explained(made["everything"])
    assert "Canary" not in explained(made["everything"])


def test_each_letter_of_stride_and_each_word_of_relevance_is_explained() -> None:
    texts = {entry.term: entry.text for entry in glossary.ENTRIES}
    kinds = ("S spoofing", "T tampering", "R repudiation", "I information disclosure")
    assert all(kind in texts["STRIDE"] for kind in (*kinds, "D denial", "E elevation"))
    relevance = texts["Relevance: direct, indirect, conditional, contextual"]
    assert all(f"{word}:" in relevance for word in ("Direct", "Indirect", "Conditional"))


def test_entries_are_found_by_one_term_each_and_every_listed_term_has_one() -> None:
    terms = [entry.term for entry in glossary.ENTRIES]
    assert len(set(terms)) == len(terms)
    assert set(TERMS.values()) <= set(terms)
    anchors = [glossary.anchor(entry) for entry in glossary.ENTRIES]
    assert len(set(anchors)) == len(anchors)
    spellings = [one for entry in glossary.ENTRIES for one in entry.spellings]
    assert all(one == one.casefold() for one in spellings)


@pytest.mark.parametrize(
    ("page", "terms"),
    [
        ("<p>A PSNR of 3</p>", {"MSE, PSNR, SSIM"}),
        ("<pre>psnr</pre><code>psnr</code><svg>psnr</svg><p psnr='1'>x</p>", set()),
        ("<p>lockstepped</p>", set()),
        ("<p>&epsilon; = 3</p>", {"ε, δ"}),
    ],
)
def test_a_term_is_a_whole_word_that_people_read(page: str, terms: set[str]) -> None:
    found = {entry.term for entry in glossary.used(glossary.read(page))}
    assert terms <= found
    assert bool(terms) == bool(found)
