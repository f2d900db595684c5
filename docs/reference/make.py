"""Make the pages of the reference from the code: ``python -m docs.reference.make``.

A test compares the pages with what this module gives, so that none of them is older than the code.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import FunctionType
from typing import Any, Final

import yaml
from hydra.utils import get_class

from reports import figures, sweeps
from sim import api, titles
from sim.cli import command, init, listing, main, new
from sim.config.choices import options
from sim.config.settings import ORDERED
from sim.config.stated import keys
from sim.evidence.metrics import BASES, METRICS
from sim.plugins import CONF
from sim.study.facts import facts
from threats.catalog import Threat
from threats.catalog import load as load_threats

HERE: Final = Path(__file__).parent
NOTE: Final = "*Made from the code by `python -m docs.reference.make`.*"
PARTS: Final = {  # of a defense: the heading of each group
    "aggregator": "Aggregation rules",
    "steps": "Steps before the rule",
    "server_optimizer": "Server optimizers",
    "secagg": "Secure aggregation",
    "dp": "Differential privacy",
    "hardening": "Hardening of training",
}
FACTS: Final = {  # labels of `wardround list`, as a reference states them
    "kind": "Kind",
    "knowledge": "Least knowledge",
    "needs": "Limit",
    "promise": "Promise",
    "sees": "Sees",
    "cost": "Cost",
    "variants": "Variants",
    "paper": "Paper",
}
LEVELS: Final = {  # files of values, in the order in which they are read
    "config.yaml": "Every command",
    "training/default.yaml": "Training",
    "adversary/default.yaml": "The adversary",
    "compare.yaml": "`compare`",
    "validate.yaml": "`validate`",
    "audit.yaml": "`audit`",
}


def pages() -> dict[str, str]:
    """The text of each page by its file's name."""
    return {name: made() for name, made in PAGES.items()}


def _command_line() -> str:
    usages = {
        "Overview": command.USAGE,
        "validate": main.VALIDATE_USAGE,
        "report": main.REPORT_USAGE,
        "init": init.USAGE,
        "new": new.USAGE,
        "list": listing.USAGE,
    }
    parts = [
        "`wardround COMMAND --help` prints the same; `run`, `compare`, `explain` and `audit`"
        " print all choices and values.",
        "What stands in square brackets may be left out.",
    ]
    for title, usage in usages.items():
        parts += [f"## {title}", f"```text\n{usage.strip()}\n```"]
    return _page("The command line", parts)


def _configuration() -> str:
    parts = [
        "A value is set as `KEY=VALUE`, a group's choice as `GROUP=NAME`. The keys of a choice"
        " are on the pages of [attacks](attacks.md), [defenses](defenses.md) and"
        " [consortia and models](consortia.md).",
        "## Groups",
        _table(
            ("group", "choices"),
            [
                (_code(group), ", ".join(map(_code, options(group))))
                for group in sorted(path.name for path in CONF.iterdir() if _is_group(path))
            ],
        ),
    ]
    for file, title in LEVELS.items():
        folder = file.partition("/")[0] if "/" in file else ""
        rows = [(f"{folder}.{key.name}".strip("."), key.default, key.meaning) for key in keys(file)]
        parts += [f"## {title}", _table(("key", "default", "meaning"), map(_key_row, rows))]
    return _page("Keys of the configuration", parts)


def _is_group(path: Path) -> bool:
    return path.is_dir() and path.name not in ("hydra", "design", "__pycache__")


def _key_row(row: tuple[str, str, str]) -> tuple[str, ...]:
    return _code(row[0]), _code(row[1]), _cell(row[2])


def _attacks() -> str:
    names = [name for name in options("attack") if name != "none"]
    kinds = dict[str, list[str]]()
    for name in names:
        kinds.setdefault(facts("attack", name)["kind"], []).append(name)
    parts = [
        "A value of an attack is set as `attack.NAME.KEY=VALUE`. What each attack does and found"
        " is in [attacks](../attacks.md) and [what updates and models tell](../inference.md)."
    ]
    for kind in sorted(kinds):
        parts.append(f"## {kind.capitalize()}")
        for name in kinds[kind]:
            parts += _choice("attack", name)
    return _page("List of attacks", parts)


def _defenses() -> str:
    parts = [
        "A defense is a name for parts that work together. Each part can also be chosen on its own,"
        " as `GROUP=NAME`, and defenses stack with `+`. What rules promise, and where they break"
        " down, is in [aggregation rules and steps](../rules.md).",
        "## Names",
        _table(
            ("defense", "plain name", "stands for"),
            [
                (_code(name), titles.defense(name), _code(listing.stands_for(name)))
                for name in options("defense")
            ],
        ),
    ]
    for group, title in PARTS.items():
        parts += [f"## {title}", f"Chosen with `{_chosen(group)}`."]
        for name in options(group):
            if name != "none":
                parts += _choice(group, name)
    return _page("List of defenses and their parts", parts)


def _chosen(group: str) -> str:
    return f"{group}=[NAME]" if group in ORDERED else f"{group}=NAME"


def _consortia() -> str:
    parts = [
        "Where the records come from, and what is trained on them. [The data](../data.md) has more"
        " about each."
    ]
    for group, title in (("consortium", "Consortia"), ("model", "Models")):
        parts += [f"## {title}", f"Chosen with `{group}=NAME`."]
        for name in options(group):
            parts += _choice(group, name)
    return _page("List of consortia and models", parts)


def _metrics() -> str:
    rows = [
        (
            _code(name),
            _cell(metric.text),
            _cell(metric.unit),
            metric.harm,
            " ".join(metric.scopes),
            _code(metric.null) if metric.null else "",
            metric.basis,
        )
        for name, metric in sorted(METRICS.items())
    ]
    heads = (
        "metric",
        "what it is",
        "unit",
        "harm is",
        "measured of",
        "beside what is found without the attack",
        "interval",
    )
    parts = [
        "Outcomes of a run, claims and criteria name these. Harm is the direction in which a figure"
        " is worse.",
        _table(heads, rows),
        "## Intervals",
        _table(("basis", "what it is"), [(name, _cell(text)) for name, text in BASES.items()]),
    ]
    return _page("List of metrics", parts)


def _threats() -> str:
    parts = [
        "What a row of the register states, and how it gets its status, is in"
        " [threats](../threats.md).",
        _table(
            ("id", "threat", "attacks that try it", "metrics", "where no run tried it"),
            map(_threat_row, load_threats().threats),
        ),
    ]
    return _page("List of threats", parts)


def _threat_row(threat: Threat) -> tuple[str, ...]:
    return (
        threat.id,
        _cell(threat.name),
        ", ".join(map(_code, threat.attacks)),
        ", ".join(_code(one.metric) for one in threat.metrics),
        threat.untested.status.replace("_", " "),
    )


def _api() -> str:
    found = {name: getattr(api, name) for name in vars(api) if not name.startswith("_")}
    ours = {
        name: one for name, one in found.items() if getattr(one, "__module__", "") == api.__name__
    }
    functions = {name: one for name, one in ours.items() if isinstance(one, FunctionType)}
    values = {name: one for name, one in ours.items() if isinstance(one, type) and one.__doc__}
    parts = ["The module `sim.api`. [From a notebook](../notebook.md) shows it at work."]
    for name, function in functions.items():
        parts += [f"## {name}", f"```text\n{name}{_signature(function)}\n```", *_prose(function)]
    for name, value in values.items():
        parts += [f"## {name}", *_prose(value)]
        rows = [
            (_code(of), _first(one))
            for of, one in vars(value).items()
            if not of.startswith("_") and isinstance(one, property | FunctionType) and one.__doc__
        ]
        if rows:
            parts.append(_table(("has", "what it is"), rows))
    return _page("Functions for notebooks", parts)


def _figures() -> str:
    parts = [
        "`wardround report DIR --figures pdf|svg|png` writes those that the folder has data for,"
        " 3.5 and 7 inches wide; `figures()` of a result gives them in a notebook. Where one"
        " subject takes several figures, these are numbered from 2 on."
    ]
    rows = []
    for module in iter_modules(figures.__path__, f"{figures.__name__}."):
        for name, one in vars(import_module(module.name)).items():
            own = isinstance(one, FunctionType) and one.__module__ == module.name
            if own and hasattr(one, "__wrapped__"):
                rows.append((_code(name), _first(one)))
    rows.append((_code(sweeps.FIGURE), _first(sweeps.draw)))
    return _page("Figures", [*parts, _table(("figure", "what it draws"), sorted(rows))])


def _signature(function: FunctionType) -> str:
    text = str(inspect.signature(function))
    return (
        text.replace("'", "") if len(text) < 100 else text.replace("'", "").replace(", ", ",\n    ")
    )


def _prose(documented: object) -> Iterator[str]:
    """The paragraphs of a docstring, without its examples."""
    for paragraph in re.split(r"\n\n+", inspect.getdoc(documented) or ""):
        if not paragraph.startswith(">>>"):
            yield _cell(paragraph)


def _choice(group: str, name: str) -> list[str]:
    """The part of a page about one choice: what it is, its values, its data sheet."""
    known = dict(facts(group, name))
    parts = [f"### {name}", f"**{_cell(known.pop('title'))}**: {_cell(known.pop('does'))}"]
    if not known:
        both = re.search(r"^# (Both: .*)$", _text(f"{group}/{name}.yaml"), re.MULTILINE)
        return [*parts, both[1]] if both else parts
    parts.append(_cell(known.pop("is")))
    meanings = _meanings(group, name)
    rows = [
        (_code(key), _code(value), _cell(meanings.get(key, "")))
        for key, value in (
            one.split("=", 1) for one in known.pop("defaults", "").split("  ") if one
        )
    ]
    if rows:
        parts.append(_table(("key", "default", "meaning"), rows))
    sheet = [f"- {FACTS[label]}: {_listed(label, text)}" for label, text in known.items()]
    return [*parts, "\n".join(sheet)] if sheet else parts


def _text(file: str) -> str:
    return (CONF / file).read_text(encoding="utf-8")


def _listed(label: str, text: str) -> str:
    return ", ".join(map(_code, text.split("  "))) if label == "variants" else _cell(text)


def _meanings(group: str, name: str) -> dict[str, str]:
    """What each value of a choice means: the comment beside it, or else the docstring's line."""
    file = f"{group}/{name}.yaml"
    found: Any = get_class(_target(yaml.safe_load((CONF / file).read_text(encoding="utf-8"))))
    stated = dict[str, str]()
    for base in reversed(found.__mro__):
        stated |= _arguments(inspect.cleandoc(base.__doc__ or ""))
    commented = {key.name.rpartition(".")[2]: key.meaning for key in keys(file) if key.meaning}
    return stated | commented


def _target(node: Mapping[str, Any]) -> str:
    if "_target_" in node:
        return str(node["_target_"])
    return next(_target(value) for value in node.values() if isinstance(value, dict))


def _arguments(doc: str) -> dict[str, str]:
    """The lines of a docstring's ``Args:`` by the name of the argument."""
    _, _, after = doc.partition("Args:\n")
    section = re.split(r"\n(?=\S)", after)[0]
    found = re.findall(r"(?m)^    (\w+(?:, \w+)*): ((?:.*)(?:\n {6,}.*)*)", section)
    return {name: re.sub(r"\s+", " ", text) for names, text in found for name in names.split(", ")}


def _page(title: str, parts: Iterable[str]) -> str:
    return "\n\n".join([f"# {title}", NOTE, *parts]) + "\n"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _code(text: str) -> str:
    return f"`{text.replace('|', chr(92) + '|')}`" if text else ""


def _cell(text: str) -> str:
    """A text of the code as Markdown: on one line, its names as code, no sign taken for markup."""
    pieces = re.split(r"``(.+?)``", re.sub(r"\s+", " ", text).strip())
    plain = [re.sub(r"([|*<\[\]])", r"\\\1", piece) for piece in pieces[::2]]
    named = [_code(piece) for piece in pieces[1::2]]
    return "".join(one + other for one, other in zip(plain, [*named, ""], strict=True))


def _first(documented: object) -> str:
    return _cell((inspect.getdoc(documented) or "").split("\n\n")[0])


PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "command-line.md": _command_line,
    "configuration.md": _configuration,
    "attacks.md": _attacks,
    "defenses.md": _defenses,
    "consortia.md": _consortia,
    "metrics.md": _metrics,
    "threats.md": _threats,
    "figures.md": _figures,
    "api.md": _api,
}

if __name__ == "__main__":
    for name, text in pages().items():
        (HERE / name).write_text(text, encoding="utf-8")
