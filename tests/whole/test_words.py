"""Retired words are gone: one word stands for one thing, and the words that once stood for it
beside it are not used.
"""

import ast
import re
import subprocess

import pytest

from tests import ROOT

RETIRED = {  # the word: the words that took its place
    "bare": "undefended, alone",
    "calm": "attack-free",
    "catalogue": "catalog",
    "curious": "aggregator, ReconstructionObserver",
    "examiner": "Evaluator",
    "foresee": "preview",
    "foreseen": "previewed",
    "foresees": "previews",
    "forged": "sent reply",
    "healthy": "without the condition",
    "heard": "hospital weight, received",
    "kept": "influence, stored, used",
    "planted": "backdoor outcome",
    "quiet": "attack-free, silent",
    "quietly": "silently",
    "said": "stated",
    "say": "state",
    "saying": "stating",
    "says": "states",
    "sight": "visibility",
    "told": "given, stated, distinguished",
    "trial": "FederatedRun",
    "trials": "federated runs",
    "twin": "copy, reference",
    "twins": "copies, references",
}
PACKAGES = ("sim", "clients", "aggregators", "attacks", "reports", "threats", "benchmarks")
# history, another's text, and the words themselves
NOT_READ = (
    "CHANGELOG.md",
    "LICENSE",
    "tests/browser/axe.LICENSE",
    "tests/browser/axe.min.js",
    "tests/threats/exports/sarif-2.1.0.json",
    "tests/whole/test_words.py",
)
SLOGAN = r"design on trial before it is deployed|Federated learning on trial"
STATISTICS = r"(?<![A-Za-z])[Tt]rials(?![A-Za-z])"  # Bernoulli trials
ALLOWED = {  # pattern of file names: what may stand in them. Each has its reason.
    # what the project does
    r"README\.md|docs/(index|reference/command-line)\.md|pyproject\.toml|sim/cli/command\.py"
    r"|reports/templates/index(/head)?\.html\.j2": SLOGAN,
    # the statistical term
    r"(tests/)?sim/evidence/((test_)?intervals|metrics)\.py"
    r"|threats/(findings|bounds|statements|criteria|losses|assessment|worksheet)\.py"
    r"|reports/(validation\.py|text/judged\.py|templates/verdict/(macros|stage_1|verdict)\.html\.j2)"
    r"|tests/(assessed|outsider|whole/test_named_designs|reports/test_judged)\.py"
    r"|tests/threats/test_(beside|bounds|criteria|assessment)"
    r"\.py": STATISTICS,
    # the statistical term, and the key of a design file that states how much is run
    r"(conf/design/\w+|threats/data/starter|tests/wrong_designs)\.yaml"
    r"|threats/(compared|consistency|system)\.py": (
        r"min_trials|of trials|many trials|\"trials\"|trial: (\{|Effort)"
    ),
    # the statistical term and that key, in the dictionary of files
    r"docs/files\.md": rf"{STATISTICS}|`trial`",
    # the statistical term, in the list of metrics
    r"docs/reference/metrics\.md": STATISTICS,
    # that key, where its use is explained
    r"docs/(tutorial|how-to/(validate-a-design|compare-designs))\.md": r"`trial(\.\w+)?`",
    # that key where the command and its tests read it
    r"sim/cli/verdicts\.py|sim/study/(validate|tried)\.py|threats/(runs|search)\.py|docs/threats\.md"
    r"|tests/(designs|threats/test_(runs|search)|sim/test_api|sim/cli/test_validate)\.py": (
        r"trial\.(seeds|first_seed|budget_minutes)|\"trial\": \{|trial=\{|min_trials"
    ),
    r"docs/threats\.md": r"trial\.first_seed",
    r"tests/hostile_designs\.(py|yaml)": r"trial[/.](seeds|budget_minutes)|min_trials",
    r"docs/rules\.md": "DeepSight",  # the name that its paper gave to a defense
    # the name of a stream, on which its draws depend
    r"sim/federation/adversary\.py": r'"foreseen"',
    # the name of a stream likewise
    r"sim/observers/influence\.py|tests/sim/observers/test_influence\.py": r'stream\((0, )?"kept"',
}
# A word ends where a letter of the other case begins, too, so that parts of identifiers are words.
WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def texts() -> dict[str, str]:
    """Tracked text files by name."""
    names = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    found = {}
    for name in names.split("\0"):
        if name and name not in NOT_READ and (ROOT / name).is_file():
            content = (ROOT / name).read_bytes()
            if b"\0" not in content:
                found[name] = content.decode("utf-8")
    return found


def retired(name: str, text: str) -> list[str]:
    """Places of retired words: file, line, the word, and what took its place."""
    allowed = "|".join(pattern for files, pattern in ALLOWED.items() if re.fullmatch(files, name))
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        left = re.sub(allowed, "", line) if allowed else line
        words = dict.fromkeys(word.lower() for word in WORDS.findall(left))
        found += [f"{name}:{number}: {word} ({RETIRED[word]})" for word in words if word in RETIRED]
    return found


def test_no_retired_word_is_in_any_tracked_text() -> None:
    files = texts()
    assert len(files) > 300
    assert [place for name, text in files.items() for place in retired(name, text)] == []


@pytest.mark.parametrize(
    "line",
    [
        "# It is told.",
        "n_kept = 3",
        "class CuriousObserver:",
        "TOLD",
        "_told()",
        "Twin",
        "firstKept",
    ],
)
def test_a_retired_word_is_found_wherever_it_stands(line: str) -> None:
    assert len(retired("sim/any.py", f"first\n{line}")) == 1


@pytest.mark.parametrize(
    "line", ["an insight", "essay", "keep", "barely", "trialing", "asked", "KEPTS"]
)
def test_a_word_is_a_whole_word(line: str) -> None:
    assert retired("sim/any.py", line) == []


@pytest.mark.parametrize("files", ALLOWED)
def test_what_is_allowed_is_needed(files: str) -> None:
    """Each allowed place holds a retired word that nothing else allows."""
    named = {name: text for name, text in texts().items() if re.fullmatch(files, name)}
    assert named
    for name, text in named.items():
        assert retired("sim/any.py", text), name


def packed(text: str) -> list[int]:
    """Numbers of lines that assign several values to several names at once, but for a swap."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple):
            given = sorted(ast.unparse(part) for part in node.value.elts)
            for target in node.targets:
                if isinstance(target, (ast.Tuple, ast.List)):
                    names = sorted(ast.unparse(part) for part in target.elts)
                    found += [node.lineno] * (names != given)
    return found


def test_a_line_of_our_packages_assigns_one_thing() -> None:
    python = {name: text for name, text in texts().items() if name.endswith(".py")}
    ours = {name: text for name, text in python.items() if name.split("/")[0] in PACKAGES}
    assert {name.split("/")[0] for name in ours} == set(PACKAGES)
    assert [f"{name}:{line}" for name, text in ours.items() for line in packed(text)] == []


@pytest.mark.parametrize(
    "line",
    ["a, b = 1, x", "a, (b, c) = 1, f()", "[a, b] = 1, 2", "x = a, b = 1, 2", "a, b = b, 1"],
)
def test_a_packed_assignment_is_found(line: str) -> None:
    assert packed(f"def f():\n    {line}\n") == [2]


@pytest.mark.parametrize(
    "line",
    ["a, b = f()", "a, b = b, a", "a = 1, 2", "a, *b = c", "a, b = c if d else e"],
)
def test_a_swap_and_one_thing_unpacked_are_fine(line: str) -> None:
    assert packed(line) == []
