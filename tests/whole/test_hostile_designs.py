"""Designs, records and words of others: nothing is run, read or written by them, whoever made them,
and what cannot be is refused in one line, at once.
"""

from __future__ import annotations

import pytest
import yaml

from tests import ROOT, hostile_designs
from tests.answers import Answers, answered
from tests.hostile_words import SECRET
from tests.threats import test_design_files as small

# one process makes what all tests of this file look at
pytestmark = pytest.mark.xdist_group("hostile designs")

CASES = [*hostile_designs.cases()]
KEYS: dict[str, dict[str, str]] = yaml.safe_load(
    (ROOT / "tests" / "hostile_designs.yaml").read_text("utf-8")
)
# what a refusal has in it: for designs of tests/threats/test_design_files.py as stated there
WORDED = {name: case[3] for name, case in (small.WRONG | small.LARGE).items()}
REFUSED = {
    **{(kind, name): f"{key}=" for kind, keys in KEYS.items() for name, key in keys.items()},
    **{("small", name): expected for name, expected in WORDED.items()},
    **{("file", name): expected for name, (_, expected) in small.FILES.items()},
}
PROMISED = 10  # seconds of the processor


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """What the commands did with each case, one after the other in a process under a hook."""
    return answered(tmp_path_factory.mktemp("hostile"), "tests.hostile_designs")


def test_the_tables_are_as_large_as_they_claim() -> None:
    assert set(CASES) == set(REFUSED)
    assert all(len(table) >= 50 for table in (hostile_designs.DESIGNS, hostile_designs.RECORDS))


@pytest.mark.parametrize("case", CASES, ids=[f"{kind}-{name}" for kind, name in CASES])
def test_it_is_refused_in_one_line_and_nothing_is_run_or_written(
    case: tuple[str, str], answers: Answers
) -> None:
    answer = answers[case]
    assert (answer["code"], answer["out"]) == (2, "")
    assert answer["err"].startswith("wardround: ")
    assert answer["err"][:-1].isprintable()
    assert answer["err"][-1] == "\n"
    assert len(answer["err"]) < 400
    assert REFUSED[case] in answer["err"]
    seen = answer["seen"]
    if case[1].startswith(hostile_designs.MAKE_A_FOLDER):
        seen = [one for one in seen if not one.startswith("os.mkdir ")]
    assert (seen, answer["left"], answer["canary"]) == ([], [], False)
    assert SECRET not in answer["err"]
    assert hostile_designs.PATIENT not in answer["err"]
    assert answer["seconds"]["cpu"] < PROMISED
