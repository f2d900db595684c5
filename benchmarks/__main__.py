"""Run benchmarks, print them, and write JSON and a figure of each to ``outputs/bench``."""

from __future__ import annotations

import argparse
import json
import pkgutil
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType

import matplotlib as mpl
from rich.table import Table

import benchmarks
from benchmarks.tools import Result, machine
from reports.figures.style import RC, new_figure, png
from sim.cli.screen import Screen
from sim.devices import one_thread


@one_thread()
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmarks named, or all."""
    known = found()
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"one of {', '.join(known)}; all if none is named"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a few seconds each: shows that they work, measures little",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("outputs/bench"), help="folder to write to"
    )
    given = parser.parse_args(arguments)
    if unknown := set(given.names) - known.keys():
        parser.error(
            f"no benchmark named {', '.join(sorted(unknown))}; expected one of {', '.join(known)}"
        )
    for name in given.names or known:
        show(name, run(name, known[name], given.quick, given.out))


def found() -> dict[str, ModuleType]:
    """Every benchmark by name."""
    names = [info.name for info in pkgutil.iter_modules(benchmarks.__path__)]
    modules = {name: import_module(f"benchmarks.{name}") for name in names if name != "__main__"}
    return {name: module for name, module in modules.items() if hasattr(module, "measure")}


def run(name: str, module: ModuleType, quick: bool, out: Path) -> Result:
    """Measure, and write ``NAME.json`` and ``NAME.png``."""
    result: Result = {**module.measure(quick), "quick": quick, "machine": machine()}
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    with mpl.rc_context(RC):
        figure = new_figure(6.4, 3.2)
        axes = figure.subplots()
        axes.set_title(result["title"])
        module.draw(result, axes)
        (out / f"{name}.png").write_bytes(png(figure))
    return result


def show(name: str, result: Result) -> None:
    """Print a result's rows and ratios."""
    columns = list(dict.fromkeys(key for row in result["rows"] for key in row))
    table = Table(*columns, title=f"{name}: {result['title']}", title_justify="left")
    for row in result["rows"]:
        table.add_row(*(_shown(row.get(column)) for column in columns))
    console = Screen()
    console.print(table)
    for ratio, value in result["ratios"].items():
        console.print(f"{ratio}: {_shown(value)}")


def _shown(value: object) -> str:
    return "" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
