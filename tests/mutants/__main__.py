"""Mutation testing: a fixed sample of small changes of the code, which tests should notice.

    python -m tests.mutants            draw the sample, record which test runs which line, try all
    python -m tests.mutants --list     only show the sample

With ``--recording DIR`` both the records and what became of each mutant are left in a folder, and
used when the command is called again: the work can be done in parts.

Everything happens in copies of the working tree, in a temporary folder. A mutant is *killed* if a
test fails, or runs far beyond its normal time (*timeout*); it *survived* if all chosen tests pass,
or if no test runs its line (*no tests*). A survivor that ``docs/mutants.md`` lists with a reason,
by the text that is printed here, is marked so; it counts as not killed all the same.

Exit code 0 if the share of killed mutants is reached and every survivor is listed, else 1.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import queue
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.mutants import plugin
from tests.mutants.changes import Mutant, sample
from tests.mutants.forking import Forker
from tests.mutants.recording import Recording, copy, environment, file_of, record, words

ROOT = Path(__file__).parents[2]
MUTATED = ("aggregators", "attacks", "sim/evidence", "sim/federation", "threats")
LISTED = ROOT / "docs" / "mutants.md"
SIZE = 200
SEED = 0
LEAST = 0.9  # share of the sample that must be killed
FIRST = 5.0  # seconds of the tests that are tried first, and
FIRST_FILES = 4  # the most files that they come from: most mutants die here
BUDGET = 120.0  # normal seconds of all tests that are tried on one mutant
PATIENCE = (60.0, 8.0)  # with a test: so many seconds, and so many times its file's longest
OUTCOMES = ("killed", "timeout", "survived", "no tests")
TRIED = "tried.jsonl"  # in the folder of records: a line for each attempt
NO_TESTS_COLLECTED = 5  # pytest's exit code


@dataclass(frozen=True)
class Tried:
    """What became of one mutant."""

    mutant: Mutant
    outcome: str
    seconds: float
    by: str  # the test that failed, or that was running

    @property
    def is_killed(self) -> bool:
        """Whether the tests noticed it."""
        return self.outcome in ("killed", "timeout")

    @property
    def text(self) -> str:
        """Its file and change, as a page lists it."""
        return f"`{self.mutant.path}` {self.mutant.change}"

    def line(self) -> str:
        """The attempt as a line of JSON."""
        stated = {
            "mutant": digest(self.mutant),
            "change": self.text,
            "outcome": self.outcome,
            "seconds": round(self.seconds, 1),
            "by": self.by,
        }
        return json.dumps(stated, ensure_ascii=False) + "\n"


def digest(mutant: Mutant) -> str:
    """What a mutant is known by from call to call: a hash of its file's path and changed code."""
    return hashlib.sha256(f"{mutant.path}\n{mutant.mutated}".encode()).hexdigest()


def earlier(path: Path, mutants: Sequence[Mutant]) -> dict[str, Tried]:
    """What became of these mutants in earlier calls, by their digest; the last attempt counts."""
    known = {digest(mutant): mutant for mutant in mutants}
    found = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        stated = json.loads(line)
        if (name := stated["mutant"]) in known:
            found[name] = Tried(known[name], stated["outcome"], stated["seconds"], stated["by"])
    return found


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutants",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--size", type=int, default=SIZE, help="mutants in the sample")
    parser.add_argument("--seed", type=int, default=SEED, help="another sample")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--budget", type=float, default=BUDGET, help="seconds of tests a mutant")
    parser.add_argument("--only", default="", metavar="PATH", help="of the sample, these files'")
    parser.add_argument("--list", action="store_true", help="only show the sample")
    parser.add_argument(
        "--recording", type=Path, metavar="DIR", help="where the records are, or will be left"
    )
    parser.add_argument(
        "--record",
        nargs="+",
        metavar="PATH",
        help="record these tests (files or folders), in addition to what is recorded",
    )
    parser.add_argument(
        "--again", action="store_true", help="try those again that survived in earlier calls"
    )
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        trees = [Path(folder) / f"tree{i}" for i in range(given.jobs)]
        for tree in trees:
            copy(ROOT, tree)
        mutants, n_places = sample(trees[0], MUTATED, given.size, given.seed)
        print(f"{n_places} places can be changed; {len(mutants)} of them are, seed {given.seed}.")
        mutants = [mutant for mutant in mutants if mutant.path.startswith(given.only)]
        if given.list:
            for mutant in mutants:
                print(f"{mutant.path}:{mutant.line}  {mutant.change}")
            return 0
        records = given.recording or Path(folder) / "records"
        if given.record or not list(records.glob("tests*.json")):
            started = time.monotonic()
            record(trees, records.resolve(), given.record or ("tests",))
            print(f"Recorded the tests in {time.monotonic() - started:.0f} s.", flush=True)
        found = earlier(records / TRIED, mutants)
        if given.again:
            found = {name: tried for name, tried in found.items() if tried.is_killed}
        new = [mutant for mutant in mutants if digest(mutant) not in found]
        print(f"{len(mutants) - len(new)} were tried in earlier calls.", flush=True)
        recording = Recording.read(records, trees[0])
        with open(records / TRIED, "a") as lines:
            for tried in try_all(new, recording, trees, given.budget):
                lines.write(tried.line())
                lines.flush()
                found[digest(tried.mutant)] = tried
        return show([found[digest(mutant)] for mutant in mutants])


def try_all(
    mutants: Sequence[Mutant], recording: Recording, trees: Sequence[Path], budget: float
) -> Iterator[Tried]:
    """What became of each mutant, each tree trying one at a time."""
    free: queue.SimpleQueue[Forker] = queue.SimpleQueue()

    def one(mutant: Mutant) -> Tried:
        forker = free.get()
        try:
            tried = attempt(mutant, recording, forker, budget)
        finally:
            free.put(forker)
        where = f"{mutant.path}:{mutant.line}"
        print(
            f"{tried.outcome:9}{tried.seconds:6.1f} s  {where}  {mutant.change}  {tried.by}",
            flush=True,
        )
        return tried

    with ThreadPoolExecutor(len(trees)) as pool, contextlib.ExitStack() as closed:
        for tree in trees:
            free.put(closed.enter_context(contextlib.closing(Forker(tree, environment(tree)))))
        yield from pool.map(one, mutants)


def attempt(mutant: Mutant, recording: Recording, forker: Forker, budget: float) -> Tried:
    """Change the tree, run the tests that could notice, and change it back.

    A test that fails, or does not end, on the unchanged code too has noticed nothing: it is left
    out, and the others are tried again.
    """
    started = time.monotonic()
    names = recording.tests(mutant)
    outcome, by = "no tests", ""
    while names:
        with _changed(forker.tree / mutant.path, mutant):
            outcome, by = _first_to_notice(chosen(names, recording, budget), recording, forker)
        if by not in names or run(forker, [by], recording)[0] == "survived":
            break
        print(f"         fails without a mutant: {by}", flush=True)
        names.remove(by)
        outcome, by = "no tests", ""
    return Tried(mutant, outcome, time.monotonic() - started, by)


def _first_to_notice(
    parts: Iterable[list[str]], recording: Recording, forker: Forker
) -> tuple[str, str]:
    outcome, by = "no tests", ""
    for tests in filter(None, parts):
        outcome, by = run(forker, tests, recording)
        if outcome != "survived":
            break
    return outcome, by


def patience(name: str, recording: Recording) -> float:
    """After how many seconds a test takes too long: it may compute what others share."""
    return PATIENCE[0] + PATIENCE[1] * recording.longest[file_of(name)]


@contextlib.contextmanager
def _changed(path: Path, mutant: Mutant) -> Iterator[None]:
    _write(path, mutant.mutated)
    try:
        yield
    finally:
        _write(path, mutant.source)


def _write(path: Path, source: str) -> None:
    path.write_text(source)
    for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*"):
        compiled.unlink()  # one of the same second and size would hide the change


def chosen(
    names: Sequence[str], recording: Recording, budget: float
) -> tuple[list[str], list[str]]:
    """The tests to try first, from few files, and then the others within the budget."""
    first: list[str] = []
    rest: list[str] = []
    files: dict[str, list[str]] = {}  # where each file's tests went
    spent = 0.0
    spent_first = 0.0
    for name in names:
        file = file_of(name)
        seconds = recording.seconds[name]
        if file not in files:
            seconds = max(seconds, recording.shared[file])
        if spent + seconds > budget and files:
            continue
        spent += seconds
        n_first = sum(part is first for part in files.values())
        is_quick = spent_first + seconds <= FIRST and n_first < FIRST_FILES
        part = files.setdefault(file, first if is_quick else rest)
        if part is first and spent_first + seconds <= FIRST:
            spent_first += seconds
            first.append(name)
        else:
            rest.append(name)
    return first, rest


def run(forker: Forker, tests: Sequence[str], recording: Recording) -> tuple[str, str]:
    """Run tests in a tree until one fails: the outcome, and the test or how pytest ended."""
    limits = {name: patience(name, recording) for name in tests}
    with tempfile.TemporaryDirectory(dir=forker.tree.parent) as folder:
        path = Path(folder) / "tests.json"
        path.write_text(json.dumps(limits))
        files = sorted({file_of(name) for name in tests})
        code = forker.run(
            words("-x", "--tb=no", "-p", "no:cacheprovider", f"--basetemp={folder}/tmp", *files),
            {plugin.TESTS: str(path)},
            Path(folder) / "output.txt",
        )
        last = path.with_suffix(plugin.LAST)
        by = last.read_text() if last.exists() else f"pytest ended with {code}"
    if code == -signal.SIGALRM:
        return "timeout", by
    if code == 0:
        return "survived", ""
    if code == NO_TESTS_COLLECTED:
        return "no tests", "none of the recorded names is left"
    return "killed", by


def show(tried: Sequence[Tried]) -> int:
    """Print the table and the survivors; returns the exit code."""
    print(f"\n{'':24}{'mutants':>9}" + "".join(f"{name:>10}" for name in OUTCOMES))
    for package in (*MUTATED, ""):
        counts = Counter(one.outcome for one in tried if one.mutant.path.startswith(package))
        cells = "".join(f"{counts[name]:10}" for name in OUTCOMES)
        print(f"{package or 'all':24}{sum(counts.values()):9}{cells}")
    killed = sum(one.is_killed for one in tried)
    page = LISTED.read_text() if LISTED.exists() else ""
    unlisted = 0
    print(f"\n{killed} of {len(tried)} killed: {killed / max(1, len(tried)):.1%}.")
    for one in tried:
        if not one.is_killed:
            listed = one.text in page
            unlisted += not listed
            print(f"{'listed' if listed else 'NOT LISTED'}  line {one.mutant.line}: {one.text}")
    return int(killed < LEAST * len(tried) or unlisted > 0)


if __name__ == "__main__":
    sys.exit(main())
