"""No file of an evidence folder, whoever wrote it, is read beyond a stated size."""

from __future__ import annotations

import ast
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from sim import api, evidence, files
from sim.errors import InputError
from sim.evidence import audits, manifest, store
from sim.study import checkpoints
from tests.records import addressed, make_record
from threats import claims, stored, verdict

ROOT = Path(files.__file__).resolve().parents[1]
HOLE = 2**42  # bytes that a file states and no disk holds


def hole(path: Path) -> None:
    """A file of ``HOLE`` bytes of zeros, which takes no room."""
    with path.open("wb") as file:
        file.truncate(HOLE)


@pytest.mark.parametrize("n", [1, 10])
def test_a_file_of_the_largest_size_is_read_whole(n: int, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * n)
    assert files.content(path, n) == b"x" * n
    with pytest.raises(OSError, match=f"more than {n - 1:,} bytes"):
        files.content(path, n - 1)


READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "manifest": (evidence.MANIFEST, manifest.manifest_of),
    "claims": (claims.CLAIMS, claims.stated),
    "verdict": (verdict.VERDICT, api.read),
    "design": (stored.DESIGN, lambda folder: stored.read(folder, evidence.chain(folder))),
    "named head": (verdict.VERDICT, verdict._named_head),
}


@pytest.mark.parametrize("name", READERS)
def test_a_file_that_is_too_large_is_refused_in_one_line_that_states_the_limit(
    name: str, tmp_path: Path
) -> None:
    file, read = READERS[name]
    evidence.append(tmp_path, addressed(make_record()))
    if file == verdict.VERDICT:
        (tmp_path / verdict.REGISTER).write_text("{}", encoding="utf-8")
    hole(tmp_path / file)
    with pytest.raises(InputError, match=r"more than [\d,]+ bytes") as refused:
        read(tmp_path)
    assert file in str(refused.value)
    assert "\n" not in str(refused.value)


def test_evidence_is_read_beside_a_manifest_that_is_too_large(tmp_path: Path) -> None:
    evidence.append(tmp_path, addressed(make_record()))
    hole(tmp_path / evidence.MANIFEST)
    assert store.promised_by_manifest(tmp_path, "evidence") is None
    assert len(evidence.read(tmp_path)) == 1


@pytest.mark.parametrize("name", [evidence.EVIDENCE, audits.AUDITS])
@pytest.mark.parametrize("start", [b"", b'{"attack": "'])
def test_a_line_with_a_hole_is_refused_before_it_is_read(
    name: str, start: bytes, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(start)
    with path.open("r+b") as file:
        file.truncate(HOLE)
    reader = evidence.read if name == evidence.EVIDENCE else audits.read
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=r"jsonl:1=.*does not end with the hashes") as one:
            reader(tmp_path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 10 * store.PIECE
    assert "\n" not in str(one.value)


def test_progress_with_a_hole_is_left_aside_before_it_is_read(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with (tmp_path / "a.state").open("wb") as file:
        file.truncate(2**27)
    tracemalloc.start()
    try:
        assert checkpoints.states(tmp_path) == {}
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**22
    assert "is not used (it is not whole)" in capfd.readouterr().err


def test_a_line_of_many_pieces_is_read_whole_and_one_beyond_the_limit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(2):
        evidence.append(tmp_path, addressed(make_record(seed=seed)))
    path = tmp_path / evidence.EVIDENCE
    lines = path.read_bytes().splitlines(keepends=True)
    longest = max(map(len, lines))
    for piece in (1, 7, len(lines[0]) - 1, len(lines[0]), longest, longest + 1):
        monkeypatch.setattr(store, "PIECE", piece)
        monkeypatch.setattr(store, "LONGEST_LINE", longest)
        assert list(store.lines_of(path)) == lines
        monkeypatch.setattr(store, "LONGEST_LINE", longest - 1)
        if piece < longest:
            with pytest.raises(OSError, match=f"a line of more than {longest - 1:,} bytes"):
                list(store.lines_of(path))


def calls_without_limit(source: str) -> list[str]:
    """Calls that read a whole file, however long it is, from one that anybody may have written."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            handle = ast.unparse(node.func.value)
            if node.func.attr in ("read", "readlines") and not node.args and handle == "file":
                found.append(ast.unparse(node))
    return found


def test_whatever_opens_a_file_of_a_folder_states_how_much_of_it_is_read() -> None:
    assert calls_without_limit("with files.opened(path) as file:\n    file.read()") != []
    found = {
        str(path.relative_to(ROOT)): calls
        for package in ("sim", "threats", "reports")
        for path in (ROOT / package).rglob("*.py")
        if "files.opened" in (text := path.read_text(encoding="utf-8"))
        if (calls := calls_without_limit(text))
    }
    assert found == {}
