"""Designs, records and words of others that are refused, and a program that gives them to the
commands ``validate``, ``init`` and ``run`` under a hook.

``python -m tests.hostile_designs FOLDER`` prints one line of JSON for each: exit code, output,
seconds, and what was done.
"""

from __future__ import annotations

import gc
import io
import json
import os
import shutil
import signal
import sys
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from copy import deepcopy
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any
from unittest import mock

import numpy as np
import polars as pl
import yaml
from numpy.typing import NDArray

from tests import designs, own_data
from tests.designs import criterion
from tests.hostile_words import SECRET, VARIABLE, Watch
from tests.threats import test_design_files as small

PATIENT = "zyxwvut"  # a part of a patient's line
PATIENCE = 120  # seconds after which a case is given up
CALLED = {"_target_": "os.mkdir", "path": "CANARY"}
RESOLVED = f"${{oc.env:{VARIABLE}}}"
ROWS = own_data.LINES.splitlines()[1:]
HEAD = own_data.LINES.splitlines()[0]
TABLE: Mapping[str, Any] = {"path": "data", "label": "sick", "positive": "1"}
GOOD = {
    "a.csv": own_data.LINES,
    "b.csv": own_data.LINES + "30.5,f,1\n",
    "d.csv": own_data.LINES + "31.5,f,1\n",
}

Make = Callable[[], Sequence[str] | None]  # makes what is hostile in this folder; the words, if odd
# a large content is made when its case is run: who reads the names of cases does not pay for it
Content = str | bytes | Callable[[], str | bytes]


def put(name: str, content: Content) -> None:
    """A file with its folder."""
    path, found = Path(name), content() if callable(content) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(found.encode() if isinstance(found, str) else found)


def changed(place: str, value: Any, **more: Any) -> Make:
    """A design with another value at ``place``, as ``federation/training`` or ``assets/0/id``."""

    def make() -> None:
        made = deepcopy(designs.values(**more))
        *path, last = place.split("/")
        found: Any = made
        for part in path:
            found = found[int(part)] if part.isdecimal() else found.setdefault(part, {})
        found[int(last) if last.isdecimal() else last] = value
        put("design.yaml", yaml.dump(made, Dumper=Plain, sort_keys=False, allow_unicode=True))

    return make


class Plain(yaml.SafeDumper):
    """Writes what is there twice twice."""

    def ignore_aliases(self, _: Any) -> bool:
        return True


def of(name: str, **values: Any) -> Make:
    """A design of another consortium, with these values."""
    return changed("federation/consortium", {name: values})


def tables(**values: Any) -> Make:
    """A design of own records, with these values of it."""
    return of("csv", **{**TABLE, **values})


def asks(**changes: Any) -> Make:
    return changed("acceptance/0", criterion(**changes))


def text(old: str, new: str) -> Make:
    """A design with a part of its text replaced."""

    def make() -> None:
        found = yaml.safe_dump(designs.values(), sort_keys=False)
        assert found.count(old) == 1, old
        put("design.yaml", found.replace(old, new))

    return make


def reviewed(day: str) -> Make:
    return text("owner: nobody", f"owner: nobody\n  reviewed: {day}")


def own(consortium: str = "csv", **values: Any) -> None:
    """A design of its owner's own records; None takes a value of it away."""
    chosen = {key: value for key, value in {**TABLE, **values}.items() if value is not None}
    designs.write(Path(), federation={"consortium": {consortium: chosen}})


def files(contents: Mapping[str, Content], **values: Any) -> Make:
    """A design of its owner's own records, and a folder of these files."""

    def make() -> None:
        own(**values)
        for name, content in contents.items():
            put(f"data/{name}", content)

    return make


def table(rows: Sequence[str] = ROWS, head: str = HEAD) -> str:
    return "\n".join([head, *rows]) + "\n"


def beside(content: Content, name: str = "c.csv", **values: Any) -> Make:
    """Good files, and another one."""
    return files({**GOOD, name: content}, **values)


def single(content: Content, name: str = "all.csv", **values: Any) -> Make:
    """One file, which the design names."""
    return files({name: content}, path=f"data/{name}", **values)


def shared(*rows: str) -> Make:
    """One file, whose patients are shared out, with more lines."""
    return single(table([*ROWS, *rows]), partition="equal", n_hospitals=3)


def sited(*rows: str) -> Make:
    """One file with a column that names the hospital, with more lines."""
    whole = [f"{row},{'ABC'[n % 3]}" for n, row in enumerate(ROWS)]
    return single(table([*whole, *rows], f"{HEAD},site"), hospital="site")


def done(act: Callable[[], object] = lambda: None, **values: Any) -> Make:
    """A design of good files, and something done beside them."""

    def make() -> None:
        files(GOOD, **values)()
        act()

    return make


def link(name: str, to: str) -> Callable[[], None]:
    return lambda: Path(name).symlink_to(to)


def asked(*words: str, act: Callable[[], object] = lambda: None) -> Make:
    """A good design and words beside it."""

    def make() -> Sequence[str]:
        designs.write(Path())
        act()
        return ["validate", "consortium=design.yaml", *words]

    return make


def given(*words: str, act: Callable[[], object] = lambda: None) -> Make:
    """A good design of own records, and the words of a command."""

    def make() -> Sequence[str]:
        files(GOOD)()
        act()
        return words

    return make


def of_records(*words: str) -> Make:
    """A good design of own records and words beside it."""
    return given("validate", "consortium=design.yaml", *words)


def run_of(path: str, act: Callable[[], object] = lambda: None) -> Make:
    label = ("consortium.label=sick", "consortium.positive=1")
    return given("run", "consortium=csv", f"consortium.path={path}", *label, act=act)


def pickled() -> bytes:
    class Runs:
        def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
            return os.mkdir, ("CANARY",)

    content = io.BytesIO()
    labels = np.array([Runs()] * 40, dtype=object)
    np.savez(content, images=np.zeros((40, 2, 2), np.uint8), labels=labels)
    return content.getvalue()


def saved(**arrays: NDArray[Any]) -> bytes:
    content = io.BytesIO()
    np.savez(content, **arrays)
    return content.getvalue()


def zipped(members: Mapping[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, inside in members.items():
            archive.writestr(name, inside)
    return content.getvalue()


def array(head: str) -> bytes:
    """A file of numpy whose head states what it likes."""
    line = head.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(line).to_bytes(2, "little") + line


def parquet(frame: pl.DataFrame) -> bytes:
    content = io.BytesIO()
    frame.write_parquet(content)
    return content.getvalue()


LARGER = "{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999, 2, 2)}"
IMAGES: Mapping[str, Any] = {"consortium": "npz", "label": None, "positive": 1}


def images(content: Content) -> Make:
    return single(content, "all.npz", **IMAGES)


READS: Mapping[str, Any] = {
    "id": "reads", "threat": "THR-GI", "adversary": "hostile", "metric": "reconstruction_rate",
    "over": "rate", "at_most": 0.05, "min_trials": 2**31 - 1,
}  # fmt: skip
READER = {"at": ["server"], "powers": ["see_individual_updates"]}

DESIGNS: dict[str, Make] = {
    # what would be called, resolved or chosen
    "a consortium that is called": changed("federation/consortium", {"_target_": CALLED}),
    "a consortium with a target": of("csv", **CALLED),
    "a value that is called": of("synthetic", shift=CALLED),
    "a list that is called": changed("federation/model", {"mlp": {"hidden": [[CALLED]]}}),
    "training that is called": changed("federation/training", CALLED),
    "arguments": changed("federation/training", {"_args_": ["CANARY"]}),
    "a partial call": changed("federation/model", {"mlp": {"_partial_": True}}),
    "a variable": changed("federation/training/lr", RESOLVED),
    "a variable in a list": of("heart4", leave_out=[RESOLVED]),
    "a variable in a path": tables(path=RESOLVED),
    "a variable in a label": tables(label=RESOLVED),
    "a reference": changed("federation/training/lr", "${seed}"),
    "a variable in a stack": changed("stacks/0/values", {"aggregator.weighting": RESOLVED}),
    "a target of a stack": changed("stacks/0/values", {"aggregator._target_": "os.mkdir"}),
    "a target below a stack": changed("stacks/0/values", {"steps.clip._target_": "os.system"}),
    "a class of a stack": changed("stacks/0/values", {"aggregator.__class__": "x"}),
    "arguments of a stack": changed("stacks/0/values", {"dp._args_": ["CANARY"]}),
    "a new part of a stack": changed("stacks/0/values", {"aggregator.nope": 1}),
    "a part of a stack that is no value": changed("stacks/0/values", {"aggregator": "krum"}),
    "a stack that sets Hydra": changed("stacks/0/values", {"hydra.run.dir": "CANARY"}),
    "a stack that sets the seed": changed("stacks/0/values", {"seed": 1}),
    "two keys in one": changed("stacks/0/values", {"aggregator.x=1,hydra.run.dir": "CANARY"}),
    "a key with a line end": changed("stacks/0/values", {"aggregator.x\nplugins": "[os]"}),
    "a stack by path": changed("stacks/0/defense", "../attack/zero"),
    "plugins": changed("federation/plugins", ["os"]),
    "plugins at the top": changed("plugins", ["os"]),
    "plugins of training": changed("federation/training/plugins", ["os"]),
    "Hydra": changed("hydra", {"run": {"dir": "CANARY"}}),
    "Hydra in the federation": changed("federation/hydra", {"run": {"dir": "CANARY"}}),
    "Hydra in training": changed("federation/training", {"hydra.run.dir": "CANARY"}),
    "defaults": changed("defaults", [{"/attack": "zero"}]),
    "a package": of("heart4@hydra"),
    # a value that would be more than one value
    "an override in a value": changed("federation/training/lr", "0.1 hydra.run.dir=CANARY"),
    "an override after a comma": changed("federation/training/lr", "0.1,plugins=[os]"),
    "an override after a line end": changed("federation/training/lr", "0.1\nplugins=[os]"),
    "a sweep": changed("federation/training/rounds", "1,2"),
    "a choice": changed("federation/training/rounds", "choice(1,2)"),
    "a range": changed("federation/training/rounds", "range(1,1000000000)"),
    "a quote that ends": of("heart4", leave_out=["x'],hydra.run.dir=['CANARY"]),
    "a backslash at the end": of("heart4", leave_out=["x\\"]),
    "a mapping in a value": of("heart4", sites={"va": {}}),
    "an odd key in a value": of("heart4", sites={"a=b,c: {d}": 1}),
    "a key that turns text around": of("heart4", sites={"\u202e\u200b": 1}),
    # choices that lead elsewhere
    "another design": changed("federation/consortium", "heart4_open"),
    "itself": changed("federation/consortium", "design.yaml"),
    "itself as records": tables(path="design.yaml"),
    "its folder as records": tables(path="."),
    "no consortium": changed("federation/consortium", ""),
    "a model by path": changed("federation/model", "../attack/zero"),
    "a model that is none": changed("federation/model", "zero"),
    "records at home": tables(path="~/data"),
    "records without end": tables(path="/dev/zero"),
    "records of the process": tables(path="/proc/self/environ"),
    "records on another machine": tables(path="http://localhost/x.csv"),
    "records upwards": tables(path="data/../../data"),
    "records of Windows": tables(path="..\\..\\data"),
    "a list of records": tables(path=["a.csv", "/etc/passwd"]),
    "records in no place": tables(path=""),
    # numbers
    "a million rounds": changed("federation/training/rounds", 10**12),
    "a billion hospitals": of("synthetic", n_hospitals=10**9),
    "hospitals beyond measure": of("synthetic", size_spread=3.0, n_records=10**7),
    "layers beyond measure": changed("federation/model", {"mlp": {"hidden": [10**9]}}),
    "more hostile than there are": changed("federation/adversary/n_hostile", 100),
    "a negative number": changed("federation/adversary/n_hostile", -1),
    "2,000 digits": text("version: 1\n", f"version: {'9' * 1999}\n"),
    "5,000 digits": text("version: 1\n", f"version: {'9' * 5000}\n"),
    "a learning rate that is no number": text("rounds: 8", "lr: .nan"),
    "an infinite learning rate": text("rounds: 8", "lr: .inf"),
    "a negative bound": asks(at_least=-1),
    "a negative loss": asks(at_least=None, loss_at_most=-0.1),
    "a negative alpha": asks(alpha=-0.05),
    "seeds without end": asks(min_seeds=2**31 - 1),
    "records without end to read": changed("acceptance", [READS], adversary=READER),
    "no seeds": changed("trial/seeds", 0),
    "no minutes": changed("trial/budget_minutes", 0),
    # what does not hold together
    "an unknown metric": asks(metric="happiness"),
    "an unknown threat": asks(threat="THR-XX"),
    "markup in a threat": asks(threat="THR-<script>"),
    "powers that nobody declares": asks(threat="THR-BYZ"),
    "two adversaries of one name": changed("adversaries", designs.values()["adversaries"] * 2),
    "names equal up to case": changed("zones/0/id", "Records"),
    "a stack of its own name": changed("stacks/0/id", "UNDEFENDED"),
    "a contradiction": changed("stacks/0/defense", "secagg+krum"),
    "one defense twice": changed("stacks/0/defense", "median+median"),
    "25 defenses": changed("stacks/0/defense", "+".join(["median"] * 25)),
    "no such day": reviewed("2026-02-30"),
    "a year 0": reviewed("0000-01-01"),
    "a year of five digits": reviewed("10000-01-01"),
    "a time for a day": reviewed("2026-01-01T25:00:00"),
    "seconds for a day": reviewed("1e15"),
    # signs
    "an escape of a terminal": text("owner: nobody", 'owner: "a\\e[2Jb"'),
    "a NUL": text("owner: nobody", 'owner: "a\\0b"'),
    "half a character": text("owner: nobody", 'owner: "\\uD800"'),
    "a sign that turns text around": changed("meta/owner", "a\u202eb"),
    "a sign without a width": changed("meta/owner", "a\u200bb"),
    "another line end": changed("meta/owner", "a\u2028b"),
    "letters that look alike": changed("declared", "r\u043ebust"),
}

RECORDS: dict[str, Make] = {
    "no label in a line": shared("30.5,f,"),
    "a label that is no number": shared("30.5,f,nan"),
    "a third label": shared("30.5,f,2"),
    "infinity": shared("inf,f,1"),
    "a number that float64 cannot hold": shared("1e400,f,1"),
    "a number that float32 cannot hold": shared("1e300,f,1"),
    "one class": single(table([f"{row[:-1]}1" for row in ROWS]), partition="equal", n_hospitals=3),
    "an empty hospital": beside(""),
    "a hospital of a first line": beside(table([])),
    "a hospital of empty lines": beside(table([",,", ",,"])),
    "a hospital of few": beside(table(ROWS[:4])),
    "one hospital alone": files({"a.csv": table()}),
    "no records": files({"a.txt.bak": table()}),
    "the same file twice": beside(table()),
    "no hospital in a line": sited("30.5,f,1,"),
    "a patient as a hospital": sited(f"30.5,f,1,{PATIENT}"),
    "a hospital that has an escape": sited(*["30.5,f,1,A\x1b[2J"] * 20),
    "a hospital of markup that ends nowhere": sited(*["30.5,f,1,\u202e<b>"] * 20),
    "hospitals equal up to case": sited(*(f"{row},{'abc'[n % 3]}" for n, row in enumerate(ROWS))),
    "files equal up to case": beside(table(ROWS[:50]), "A.csv"),
    "files of one name": beside(table(ROWS[:50]), "a.tsv"),
    "a hospital with an escape": beside(table(ROWS[:50]), "b\x1b[2J.csv"),
    "a hospital that turns text around": beside(table(ROWS[:50]), "b\u202e.csv"),
    "a hospital without a width": beside(table(ROWS[:50]), "\u200b.csv"),
    "a hospital with a line end": beside(table(ROWS[:50]), "b\nc.csv"),
    "a hospital in no encoding": beside(table(ROWS[:50]), os.fsdecode(b"\xff.csv")),
    "a hospital of 200 letters": beside(table(ROWS[:50]), "b" * 200 + ".csv"),
    "a column that has an escape": beside(table(ROWS[:50], "age,sex,si\x1b[2Jck")),
    "a column that turns text around": beside(table(ROWS[:50], "age,se\u202ex,sick")),
    "columns of one name": beside(table(ROWS[:50], "age,age,sick")),
    "no column": beside("sick\n1\n"),
    "no names of columns": beside(table(ROWS[:50], "30,20,10")),
    "a million columns": beside(lambda: ",".join(["x"] * 10**6) + "\n" + ",".join(["1"] * 10**6)),
    "100 MB in one line": beside(lambda: b"x" * 10**8),
    "100 MB in one cell": beside(lambda: table(ROWS[:50]) + '"' + "x" * 10**8),
    "quotes alone": beside('"' * 10**6),
    "separators alone": beside("," * 10**6),
    "line ends alone": beside("\n" * 10**6),
    "a quote that does not end": beside(table([*ROWS[:50], '30,"f,1', "30,f,1"])),
    "a line too long": beside(table([*ROWS[:50], f"30,f,1,{PATIENT}"])),
    "NUL": beside(table([*ROWS[:50], "3\x000,f,1"])),
    "UTF-16 without a mark": beside(table(ROWS[:50]).encode("utf-16-le")),
    "no encoding": beside(table(ROWS[:50]).encode() + b"\x81\xff,f,1\n"),
    "another encoding": beside(table(ROWS[:50]).encode() + b"30,\xe9,1\n", encoding="utf-8"),
    "an encoding that is none": beside(table(ROWS[:50]), encoding="rot13"),
    "an archive": beside(zipped({"b.csv": table(ROWS[:50]).encode()})),
    "a program": beside(b"\x7fELF\x02\x01\x01" + bytes(1000)),
    "a picture": beside(b"\x89PNG\r\n\x1a\n" + bytes(1000)),
    "a page": beside("<html><script>alert(1)</script></html>"),
    "a folder for a file": done(lambda: Path("data/c.csv").mkdir()),
    "a pipe among the files": done(lambda: os.mkfifo("data/c.csv")),
    "a pipe for all": done(lambda: os.mkfifo("pipe.csv"), path="pipe.csv"),
    "a link to a device": done(link("data/c.csv", "/dev/zero")),
    "a link to the process": done(link("data/c.csv", "/proc/self/environ")),
    "a link to itself": done(link("data/c.csv", "c.csv")),
    "a link upwards": done(link("more", ".."), path="more"),
    "a link to a good file": done(link("data/c.csv", "a.csv")),
    "a folder that is not there": done(path="date"),
    "a label that is no column": done(label="sik"),
    "a label with markup": done(label="<b>sick</b>"),
    "a label that is a list": done(label=["sick"]),
    "a positive that nobody has": done(positive="2"),
    "a positive that is called": done(positive=CALLED),
    "a hospital that is no column": done(hospital="site"),
    "levels that are none": done(levels=[["sex"]]),
    "levels without a column": done(levels=[[]]),
    "a column in two lists": done(numbers=["age"], dates=["age"]),
    "patients by the billion": done(min_rows=10**9),
    "a fraction of none": done(test_fraction=0),
    "a fraction of all": done(test_fraction=1),
    "a separator of two": done(separator=",,"),
    "bytes that are no Parquet": beside(b"PAR1" + bytes(100) + b"PAR1", "c.parquet"),
    "Parquet that is cut off": beside(
        parquet(pl.DataFrame({"age": [1.0] * 50}))[:-20], "c.parquet"
    ),
    "Parquet of another name": beside(table(ROWS[:50]), "c.parquet"),
    "Parquet of two lines a cell": beside(
        lambda: parquet(pl.select(x=pl.repeat(1, 30_000_000, dtype=pl.Int8), y=1)), "c.parquet"
    ),
    "arrays of objects": images(pickled()),
    "bytes that are no arrays": images(b"PK\x03\x04" + bytes(100)),
    "an archive of nothing": images(zipped({})),
    "arrays with a path": images(zipped({"../../CANARY.npy": b"x"})),
    "an array larger than it is": images(zipped({"images.npy": array(LARGER)})),
    "an array with a program in its head": images(
        zipped({"images.npy": array("__import__('os').mkdir('CANARY')")})
    ),
    "images that are no numbers": images(
        saved(images=np.full((40, 2, 2), "x"), labels=np.arange(40) % 2)
    ),
    "images without a label": images(saved(images=np.zeros((40, 2, 2), np.uint8))),
    "images of no size": images(saved(images=np.zeros((40, 0, 2)), labels=np.arange(40) % 2)),
    "images that are not finite": images(
        saved(images=np.full((40, 2, 2), np.nan), labels=np.arange(40) % 2)
    ),
    "an archive that grows": images(lambda: zipped({"images.npy": bytes(1_200_000_000)})),
}

WORDS: dict[str, Make] = {
    "a design that is a folder": given("validate", "consortium=data"),
    "a folder that ends like a design": given(
        "validate", "consortium=d.yaml", act=lambda: Path("d.yaml").mkdir()
    ),
    "a design that is a pipe": given(
        "validate", "consortium=d.yaml", act=lambda: os.mkfifo("d.yaml")
    ),
    "a design without end": given("validate", "consortium=d.yaml", act=link("d.yaml", "/dev/zero")),
    "a design of the process": given(
        "validate", "consortium=d.yaml", act=link("d.yaml", "/proc/self/environ")
    ),
    "a design that cannot be read": given(
        "validate", "consortium=d.yaml", act=link("d.yaml", "/proc/self/mem")
    ),
    "a file of the system": given("validate", "consortium=/etc/passwd"),
    "no design": given("validate"),
    "an empty design": given("validate", "consortium="),
    "a design by reference": given("validate", f"consortium={RESOLVED}.yaml"),
    "a design at home": given("validate", "consortium=~/nothing/design.yaml"),
    "a design with an escape": given("validate", "consortium=a\x1b[2J.yaml"),
    "a design with a NUL": given("validate", "consortium=a\0.yaml"),
    "a long design": given("validate", f"consortium={'x' * 9000}.yaml"),
    "two designs": asked("consortium=heart4_open"),
    "a design in a list": given("validate", "consortium=[heart4_open]"),
    "a design that is added": given("validate", "+consortium=heart4_open"),
    "a value that is called": asked("training.lr={_target_: os.mkdir, path: CANARY}"),
    "a target": asked("training._target_=os.mkdir"),
    "a new value": asked("++training.x=1"),
    "a value taken away": asked("~training.lr"),
    "values to sweep": asked("training.rounds=1,2"),
    "a choice of values": asked("training.rounds=choice(1,2)"),
    "a range of values": asked("training.rounds=range(1,10)"),
    "a number of another consortium": asked("consortium.sites=1"),
    "a path of no own records": asked("consortium.path=data"),
    "a package": asked("plugins=[os]"),
    "a package that is none": asked("plugins=[no_such_package]"),
    "a launcher": asked("hydra/launcher=lockstep"),
    "a folder of configurations": asked("--config-dir", "/tmp"),
    "minutes that are no number": asked("search.minutes=nan"),
    "minutes without end": asked("search.minutes=inf"),
    "seeds by the billion": asked("seeds=1000000000"),
    "seeds below 0": asked("seeds=[-1]"),
    "more runs than there may be": given("validate", "consortium=heart4_open", "seeds=9999"),
    "a results folder that is a file": asked("hydra.run.dir=design.yaml"),
    "a results folder below a file": asked("hydra.run.dir=design.yaml/out"),
    "a results folder that is a pipe": asked("hydra.run.dir=out", act=lambda: os.mkfifo("out")),
    "a results folder of the system": asked("hydra.run.dir=/proc/self/out"),
    "records without end": of_records("consortium.path=/dev/zero"),
    "records of the process": of_records("consortium.path=/proc/self/environ"),
    "records by reference": of_records(f"consortium.path={RESOLVED}"),
    "records that are called": of_records("consortium.path={_target_: os.mkdir, path: CANARY}"),
    "records that are a list of numbers": of_records("consortium.path=[1]"),
    "records in a list that does not end": of_records("consortium.path=[a.csv"),
    "no such records": of_records("consortium.path=nothing"),
    "a label of two": of_records("consortium.label=sick,sex"),
    "a run of no path": given(
        "run", "consortium=csv", "consortium.label=sick", "consortium.positive=1"
    ),
    "a run of a design": given("run", "consortium=design.yaml"),
    "a run without end": run_of("/dev/zero"),
    "a run of a pipe": run_of("p.csv", lambda: os.mkfifo("p.csv")),
    "a run of a file that cannot be read": run_of("p.csv", link("p.csv", "/proc/self/mem")),
    "init into a file": given("init", "design.yaml"),
    "init below a file": given("init", "design.yaml/x"),
    "init beside a design": given("init", "."),
    "init into a folder of the system": given("init", "/proc/self/x"),
    "init with a NUL": given("init", "a\0b"),
    "init into a long name": given("init", "x" * 300),
    "init with a flag": given("init", "--nope"),
    "new of no kind": given("new", "rules", "mine", "x"),
    "new without a folder": given("new", "rule", "mine"),
    "new with a path as its name": given("new", "rule", "../mine", "x"),
    "new with a word of Python as its name": given("new", "attack", "lambda", "x"),
    "new with a long name": given("new", "attack", "x" * 41, "x"),
    "new with a name that is taken": given("new", "rule", "krum", "x"),
    "new into a file": given("new", "rule", "mine", "design.yaml"),
    "new into a folder that cannot be shown": given("new", "rule", "mine", "a\u202eb"),
}
# names of cases that try to make the folder that they name
MAKE_A_FOLDER = ("a results folder", "init", "new")


def cases() -> dict[tuple[str, str], Make]:
    """Every case by kind and name: what is made, in an empty folder."""
    found = {("design", name): make for name, make in DESIGNS.items()}
    found |= {("records", name): make for name, make in RECORDS.items()}
    found |= {("words", name): make for name, make in WORDS.items()}
    for name, (old, new, *_) in (small.WRONG | small.LARGE).items():
        found["small", name] = _small(old, new)
    for name, (make, _) in small.FILES.items():
        found["file", name] = _file(make)
    return found


def _small(old: str, new: str) -> Make:
    return lambda: put("design.yaml", small.put(old, new))


def _file(make: Callable[[Path], object]) -> Make:
    def made() -> None:
        make(Path("design.yaml"))

    return made


class GivenUpError(BaseException):
    """A case that does not end."""


def give_up(*_: int | FrameType | None) -> None:
    raise GivenUpError


def state(folder: Path) -> list[str]:
    """Names, kinds and sizes of all that is below a folder."""
    found = list[str]()
    for path in sorted(folder.rglob("*")):
        about = path.lstat()
        found.append(f"{str(path)!a} {about.st_mode} {about.st_size} {about.st_mtime_ns}")
    return found


def main(folder: Path) -> None:
    """Give all cases to the command in this process, after it has loaded all that it loads."""
    from tests.commands import wardround

    os.environ[VARIABLE] = SECRET
    signal.signal(signal.SIGALRM, give_up)
    os.chdir(folder)
    for module in ("sim.cli.listing", "sim.cli.validate", "sim.cli.init", "reports.validation"):
        import_module(module)  # which commands load when they need them
    files(GOOD)()
    with (
        redirect_stdout(io.StringIO()),
        redirect_stderr(io.StringIO()),
        mock.patch("reports.page.drawings", return_value=()),
    ):
        wardround("validate", "consortium=design.yaml", "--plan")
        wardround("validate", "consortium=heart4_open", "workers=1", "seeds=1", "training.rounds=1")
    watch = Watch()
    for number, ((kind, name), make) in enumerate(cases().items()):
        place = folder / str(number)
        place.mkdir()
        os.chdir(place)
        words = make() or ["validate", "consortium=design.yaml"]
        before = state(place)
        out, err, watch.seen = io.StringIO(), io.StringIO(), list[str]()
        start = time.perf_counter()
        worked = time.process_time()
        with redirect_stdout(out), redirect_stderr(err):
            signal.alarm(PATIENCE)
            watch.on = True
            try:
                code: Any = wardround(*words, *(["workers=1"] if words[0] == "validate" else []))
            except BaseException as error:
                code = repr(error)
            watch.on = False
            signal.alarm(0)
        seconds = {"wall": time.perf_counter() - start, "cpu": time.process_time() - worked}
        left = sorted(set(state(place)) ^ set(before))
        printed = {"out": out.getvalue(), "err": err.getvalue(), "seen": watch.seen, "left": left}
        more = {"seconds": seconds, "canary": any(folder.rglob("CANARY*"))}
        print(json.dumps({"kind": kind, "name": name, "code": code} | printed | more), flush=True)
        os.chdir(folder)
        shutil.rmtree(place)


if __name__ == "__main__":
    gc.set_threshold(20_000)  # Python's search for garbage, as in tests/conftest.py
    main(Path(sys.argv[1]))
