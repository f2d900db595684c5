"""The dictionary of every file that the tool writes: ``python -m reports.dictionary``.

It is made from the code: columns of tables are described where they are defined, fields of JSON in
the docstring of their class, or in a text below the field.
"""

from __future__ import annotations

import ast
import datetime
import inspect
import re
import textwrap
import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Final, Literal, NamedTuple

from pydantic import BaseModel, RootModel

from reports import tracking
from reports.page import INDEX, RUNS
from reports.validation import DIAGRAM
from sim import evidence
from sim.evidence import audits, manifest, sealed, tables
from sim.evidence.audits import Audit
from sim.evidence.columns import Column
from sim.evidence.metrics import METRICS, Range
from threats import claims, exports, stored, verdict
from threats.applicability import Excluded
from threats.assessment import DecisionField, RegisterRow
from threats.criteria import Judged
from threats.exports import oscal
from threats.statements import Statement
from threats.stored import Step
from threats.system import Design
from threats.worksheet import Worksheet

PLAIN: Final[Mapping[object, str]] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    datetime.date: "date",
}


PLURAL: Final = {"text": "texts", "whole number": "whole numbers", "number": "numbers"}
CODE: Final = re.compile(r"``([^`]+)``")


class Field(NamedTuple):
    """A field of an object, as the dictionary states it."""

    name: str
    kind: str
    text: str


@dataclass(frozen=True)
class File:
    """A file of a folder: who writes it, what it is, and its columns or the objects in it.

    ``models``: of the objects in it, with those inside them.
    """

    name: str
    by: str
    text: str
    columns: Mapping[str, Column] | None = None
    models: tuple[type[BaseModel], ...] = ()


RUNNING: Final = "run, compare, validate"
FILES: Final = (
    File("config.yaml", f"{RUNNING}, audit", "The whole configuration, resolved."),
    File(
        evidence.MANIFEST,
        f"{RUNNING}, audit, a sweep",
        "How the evidence was made: one JSON object.",
        manifest.TABLE,
    ),
    File(
        evidence.EVIDENCE,
        RUNNING,
        "One line a run: a JSON object, chained to the line before by its hash.",
        sealed.TABLE,
        (evidence.RunRecord,),
    ),
    File(
        tables.RESULTS,
        f"{RUNNING}, report",
        "One row a run. New columns are added at the end alone; an empty cell is no figure, not 0."
        " A sweep's table (`-m`) has a column more for each key that differs, by its dotted name.",
        tables.RESULTS_TABLE,
    ),
    File(
        tables.ROUNDS,
        f"{RUNNING}, report",
        "One row a figure of a round.",
        tables.ROUNDS_TABLE,
    ),
    File(
        audits.AUDITS,
        "audit",
        "One line an audit: a JSON object, chained to the line before by its hash.",
        sealed.TABLE,
        (Audit,),
    ),
    File(
        stored.DESIGN,
        "validate",
        "The design that was tried: one JSON object. The file that `wardround init` writes explains"
        " its keys, too.",
        stored.DESIGN_TABLE,
        (Design,),
    ),
    File(
        claims.CLAIMS,
        "validate",
        "What was claimed before the runs: one line a claim, chained by its hash.",
        claims.TABLE,
    ),
    File(
        verdict.VERDICT,
        "validate",
        "The verdict: one JSON object. A dot leads into an object, or into each of a list.",
        verdict.VERDICT_TABLE,
        (Judged, DecisionField, Worksheet),
    ),
    File(
        verdict.REGISTER,
        "validate",
        "The threat register: one JSON object.",
        verdict.REGISTER_KEYS,
        (RegisterRow, Statement, Excluded),
    ),
    File(
        verdict.TABLE,
        "validate, report",
        "The threat register as a table, one row a threat to an element by an adversary, or a"
        " conflict. Lists are joined.",
        verdict.REGISTER_TABLE,
    ),
    File(
        stored.SEARCH,
        "validate with search.minutes",
        "The search for the smallest change that meets all criteria: one JSON object. The runs of"
        " each change are in folders below `search/`.",
        stored.SEARCH_TABLE,
        (Step,),
    ),
    File(
        f"{exports.FOLDER}/{exports.OSCAL}",
        "validate, report",
        f"The assessment as OSCAL assessment results {oscal.VERSION}, as its schema describes"
        " them.",
    ),
    File(
        f"{exports.FOLDER}/{exports.SARIF}",
        "validate, report",
        "The register as SARIF 2.1.0, as its schema describes it.",
    ),
    File(
        f"{exports.FOLDER}/{exports.CYCLONEDX}",
        "validate, report",
        "The assessment as a CycloneDX 1.7 bill of materials of the model, as its schema describes"
        " it.",
    ),
    File(f"report/{INDEX}", f"{RUNNING}, audit, report", "The report: one self-contained page."),
    File(f"report/{RUNS}", "validate, report", "The page of all runs of a design's verdict."),
    File(f"report/{DIAGRAM}", "validate, report", "The data flow diagram as text for Mermaid."),
    File(
        tracking.STORE,
        "run, compare with tracking=mlflow",
        "The runs in an MLflow store: an SQLite file in MLflow's own form.",
    ),
    File(
        f"{tracking.ARTIFACTS}/",
        "run, compare with tracking=mlflow",
        "Copies of evidence, tables and report that belong to that store.",
    ),
    File("report/difference.html", "report", "What differs from another folder, given before it."),
    File(
        "report/figures/",
        "report with --figures",
        "The figures of the page as files: `NAME_column` is 3.5 inches wide, `NAME_full` 7.",
    ),
)
START: Final = """# Files and columns

Made from the code: `python -m reports.dictionary > docs/files.md`. A test fails where it is stale.

A folder of results holds the files below. A command writes each file whole, or adds whole lines to
it. In JSON a value that does not exist is `null`; in CSV its cell is empty; in Parquet it is null.
In CSV a text that a spreadsheet would take for a formula has `'` before it.
"""


def document() -> str:
    """The dictionary as Markdown."""
    parts = [START, _table(("File", "Written by", "What it is"), map(_listed, FILES))]
    for one in FILES:
        if one.columns is not None:
            parts += [f"## {one.name}\n", f"{one.text}\n", _of_columns(one.columns, one.name)]
        for model in _objects(one):
            parts += [f"### {one.name}: {model.__name__}\n", f"{_about(model)}\n"]
            parts.append(_of_model(model, one.name))
        if one.name == tables.ROUNDS:
            parts += ["## Metrics of outcomes\n", METRICS_ARE, _of_metrics()]
    return "\n".join(parts)


METRICS_ARE: Final = """An outcome in `evidence.jsonl` and a row of `rounds.parquet` name one of
these. Harm: the direction in which a change is for the worse. The last column states what `n` of
an outcome counts.
"""


def _objects(file: File) -> list[type[BaseModel]]:
    """The models of the objects in a file, each once."""
    found = dict.fromkeys(file.models)
    for one in file.models:
        found |= dict.fromkeys(inside(one))
    return list(found)


def _listed(file: File) -> tuple[str, ...]:
    has_part = file.columns is not None
    name = f"[`{file.name}`](#{anchor(file.name)})" if has_part else f"`{file.name}`"
    return name, file.by, file.text


def _of_columns(columns: Mapping[str, Column], file: str) -> str:
    known = {model.__name__ for one in FILES if one.name == file for model in _objects(one)}
    head = ("Column" if file.endswith((".csv", ".parquet")) else "Key", "Type", "Unit")
    rows = (
        (f"`{name}`", _linked(one.kind, known, file), one.unit, one.text, one.empty)
        for name, one in columns.items()
    )
    return _table((*head, "Meaning", "Empty"), rows)


def _linked(kind: str, known: set[str], file: str) -> str:
    """A type in words, with a link for each object that the file's part describes."""
    return " ".join(
        f"[{word}](#{anchor(f'{file}: {word}')})" if word in known else word
        for word in kind.split(" ")
    )


def _of_model(model: type[BaseModel], file: str) -> str:
    rows = ((f"`{one.name}`", one.kind, one.text) for one in fields(model, file))
    return _table(("Field", "Type", "Meaning"), rows)


def _of_metrics() -> str:
    rows = (
        (f"`{name}`", one.text, one.unit, _range(one.range), one.harm, one.counted or "nothing")
        for name, one in METRICS.items()
    )
    return _table(("Metric", "Meaning", "Unit", "Range", "Harm", "`n` counts"), rows)


def _range(ends: Range) -> str:
    low, high = (f"{round(end, 3):g}".replace("inf", "∞") for end in ends)
    return f"{low} to {high}"


def _about(model: type[BaseModel]) -> str:
    """What a model is: its docstring, without its heading's code marks."""
    return _marked(inspect.cleandoc(model.__doc__ or ""))


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in lines)


def _cell(text: str) -> str:
    return _marked(text).replace("|", "\\|")


def _marked(text: str) -> str:
    return re.sub(r"\bNone\b", "null", CODE.sub(r"`\1`", text))


def anchor(heading: str) -> str:
    """The anchor that Markdown gives a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@cache
def described(model: type[BaseModel]) -> Mapping[str, str]:
    """The text below each field of a model that has one."""
    found = dict[str, str]()
    for one in reversed(model.__mro__):
        if issubclass(one, BaseModel) and one is not BaseModel:
            (node,) = ast.parse(textwrap.dedent(inspect.getsource(one))).body
            assert isinstance(node, ast.ClassDef)
            found |= dict(_below(node))
    return {name: text for name, text in found.items() if name in model.model_fields}


def fields(model: type[BaseModel], file: str) -> list[Field]:
    """The fields of a model in a file, with their types in words."""
    hints = typing.get_type_hints(model)
    texts = described(model)
    return [
        Field(info.alias or name, _kind(hints[name], file), texts.get(name, ""))
        for name, info in model.model_fields.items()
    ]


def inside(model: type[BaseModel]) -> list[type[BaseModel]]:
    """The models that the fields of a model hold, at any depth, each once, in order."""
    found = dict[type[BaseModel], None]()
    _collect(model, found)
    return [one for one in found if one is not model]


def _collect(part: object, found: dict[type[BaseModel], None]) -> None:
    if isinstance(part, type) and issubclass(part, BaseModel):
        if part not in found and not issubclass(part, RootModel):
            found[part] = None
            for hint in typing.get_type_hints(part).values():
                _collect(hint, found)
        return
    for one in typing.get_args(part):
        _collect(one, found)


def _below(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    """The texts that stand below fields."""
    for field, after in zip(node.body, node.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
        ):
            yield field.target.id, " ".join(str(after.value.value).split())


def _kind(hint: object, file: str) -> str:
    """A type in words."""
    origin = typing.get_origin(hint)
    given = typing.get_args(hint)
    if origin is Annotated:
        return _kind(given[0], file)
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in given)
    if origin in (typing.Union, types.UnionType):
        parts = [_kind(one, file) for one in given if one is not type(None)]
        return ", ".join([*parts, *(["or null"] if type(None) in given else [])])
    if origin in (list, tuple):
        kinds = dict.fromkeys(_kind(one, file) for one in given if one is not Ellipsis)
        return f"list of {' and '.join(PLURAL.get(kind, kind) for kind in kinds)}"
    if origin is dict:
        return f"by name: {_kind(given[1], file)}"
    if isinstance(hint, type) and issubclass(hint, RootModel):
        return _kind(hint.model_fields["root"].annotation, file)
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return f"[{hint.__name__}](#{anchor(f'{file}: {hint.__name__}')})"
    return PLAIN.get(hint, "any value")


if __name__ == "__main__":
    print(document(), end="")
