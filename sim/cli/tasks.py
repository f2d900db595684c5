"""The tasks of the commands that run something or make a report: run, compare and report."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from omegaconf import DictConfig
from rich.text import Text

from sim import evidence
from sim.cli import printed
from sim.cli.progress import progress
from sim.cli.screen import Screen
from sim.evidence import Chain, RunRecord, audits
from sim.evidence.manifest import code_version, manifest, manifest_of
from sim.study import (
    compare,
    compose,
    jobs,
    launcher,
    processes,
    repeat,
    results,
    sharing,
    tracking,
)
from sim.study.aside import aside
from sim.study.compose import Refused
from sim.study.experiment import Experiment, address
from sim.study.plans import overrides, planned
from sim.types import Node

if TYPE_CHECKING:
    from reports.page import Drawing
    from threats.assessment import Assessment
    from threats.system import Design


def run(config: DictConfig, *, as_json: bool = False) -> None:
    """One run. ``as_json``: print its result for programs alone."""
    values = compose.resolved(config)
    start = time.perf_counter()
    experiment = compose.checked(values, overrides())
    folder = results.results_folder()
    search_for_cycles()
    show_own(experiment)
    with compare.entered(folder, [experiment]) as held:
        results.write_config(folder, values)
        if (ready := launcher.ready(experiment)) is not None and ready.run not in held:
            evidence.append(folder, ready)
            held[ready.run] = ready
        with progress("Training", experiment.settings.training.rounds, "rounds") as step:
            one = [experiment]
            (record,) = compare.finish(one, folder, 1, lambda _: None, held, lambda _: step())
        command = repeat.of_job("run", overrides())
        shown = finish(command, folder, [record], held, start)
        track(values, folder)
    if as_json:
        printed.show(printed.of_runs([record], command, shown))
        return
    from reports.terminal import ending, run_table  # here and below: refused words need no reports

    console = Screen()
    console.print(ending([record], command, first=run_table(record), width=console.width))
    print_place(shown)


def comparison(config: DictConfig, *, as_json: bool = False) -> None:
    """A comparison: attacks x defenses x seeds. ``as_json``: as for ``run``."""
    start = time.perf_counter()
    values = compose.resolved(config)
    if sharing.n_workers(values.get("workers"), n_runs=2) > 1:
        processes.warm_up()
    experiments, refused = planned(values)
    folder = results.results_folder()
    search_for_cycles()
    workers = sharing.n_workers(values.get("workers"), len(experiments))
    show_own(experiments[0])
    with compare.entered(folder, experiments) as held, ExitStack() as until_drawn:
        results.write_config(folder, values)
        drawing: list[Drawing] = []

        def prepare() -> None:
            drawing.append(until_drawn.enter_context(_prepared()))

        with progress("Comparing", len(experiments), "runs") as step:
            records = compare.finish(
                experiments, folder, workers, lambda _: step(), held, meanwhile=prepare
            )
        command = repeat.of_job("compare", overrides())
        shown = finish(command, folder, records, held, start, refused, *drawing)
        track(values, folder)
    if as_json:
        printed.show(printed.of_runs(records, command, shown, [asdict(cell) for cell in refused]))
        return
    from reports.terminal import ending

    console = Screen()
    cells = [asdict(cell) for cell in refused]
    console.print(ending(records, command, cells, width=console.width))
    print_place(shown)


def track(values: Node, folder: Path) -> None:
    """Track the runs of a folder if that is asked for, and print a line where it did not work."""
    line = tracking.untracked(values, folder)
    if line is not None:
        Screen(stderr=True).print(Text(line), soft_wrap=True)


def search_for_cycles() -> None:
    """Let Python search for cycles again if it does not, but not among what is there already."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


@contextmanager
def _unsearched() -> Iterator[None]:
    """Python does not search for cycles in this block, whose objects are many and mostly stay."""
    gc.disable()
    try:
        yield
    finally:
        search_for_cycles()


@contextmanager
def _prepared() -> Iterator[Drawing]:
    """A process that draws with this one until the block ends; both have loaded what that takes.

    Loading takes a second or two.
    """
    with _unsearched():
        from reports.figures import style
        from reports.page import prepare

    with aside(style.drawn, style.prepare) as drawing:
        with _unsearched():
            prepare()
        yield drawing


def end_sweep(folder: Path, command: str, start: float) -> None:
    """Write and print the report of a sweep, of those jobs that left evidence."""
    from reports import sweeps

    if sweeps.places(folder):
        results.write_manifest(folder, manifest(command, time.perf_counter() - start))
        page, sweep = sweeps.write(folder)
        Screen().print(sweeps.table(sweep))
        print_place(page)


def report(place: str, figures: str | None, *, as_json: bool = False) -> None:
    """Rebuild the report of a folder from its evidence, if that and its verdict hold.

    Of a design's verdict also what follows from it: exports and the register as a table.
    ``figures``: formats in which figures are written as files, None for none. ``as_json``: print
    its result for programs alone. Raises ``InputError`` for a format that is none.
    """
    from reports import sweeps
    from reports.figures import files
    from threats import catalog, exports, stored, verdict

    folder = Path(place)
    formats = () if figures is None else files.formats(figures)
    search_for_cycles()
    values = Node()
    if (folder / audits.AUDITS).exists():
        made = page_of_audits(folder)
    elif _holds_runs(folder):
        made = sweeps.write(folder)[0]
    else:
        chain = evidence.chain(folder)
        verdict.check(folder, chain)
        manifest_of(folder)
        found = stored.read(folder, chain) if stored.held(folder) else None
        evidence.write_tables(folder, chain.records)  # all that is read of the folder holds
        if found is not None:
            known = catalog.load()
            exports.write(folder, found.design, found.assessment, known, chain)
            verdict.write_table(folder, found.assessment)
            page(folder, chain.records, chain.records, of_design=True)
            made = page_of_verdict(folder, chain)
            values = verdict.verdict_json(found.assessment, known)
        else:
            made = page(folder, chain.records, chain.records)
            values = _values(folder, chain, made) if as_json else values
    if as_json:
        printed.show(values or printed.of_folder(folder, made))
    else:
        print_place(made)
        write_figures(folder, formats)


def _values(folder: Path, chain: Chain, page: Path) -> Node:
    """What ``report`` prints of a folder of runs, for programs."""
    from reports.analysis import tables
    from reports.text import commands

    facts = manifest_of(folder)
    refused = facts.get("refused") or ()
    listed = (facts.get(key) or () for key in ("attacks", "defenses"))
    ordered = tables.one_study(chain.records, *listed)  # as on the page
    return printed.of_runs(ordered, commands.given(facts), page, refused)


def difference(
    before: str, after: str, out: str | None, figures: str | None, *, as_json: bool
) -> None:
    """Write the page of what differs between two folders, and print it as sentences or as JSON.

    ``figures``: formats in which its figure is written as files, None for none.
    """
    from reports.difference import makers, write
    from reports.figures import files

    formats = () if figures is None else files.formats(figures)
    search_for_cycles()
    place, found = write(Path(before), Path(after), None if out is None else Path(out))
    files.into(place.parent / "figures", makers(found), formats)
    if as_json:
        printed.show(found.json)
        return
    screen = Screen()
    for text in found.summary:
        screen.print(text)
    print_place(place)


def _holds_runs(folder: Path) -> bool:
    """Whether a folder has no evidence of its own, and folders below it have."""
    return not (folder / evidence.EVIDENCE).exists() and any(folder.rglob(evidence.EVIDENCE))


def show_own(experiment: Experiment) -> None:
    """Print how a consortium's own data were read, before anything runs."""
    if not experiment.consortium.public:
        from sim.cli.explain import show_data

        show_data(Screen(stderr=True), experiment)


def finish(
    command: str,
    folder: Path,
    records: Sequence[RunRecord],
    held: Mapping[str, RunRecord],
    start: float,
    refused: Sequence[Refused] = (),
    drawing: Drawing | None = None,
) -> Path:
    """Write tables, manifest and report of a folder; returns the page. See ``write_tables``."""
    everything = results.write_tables(command, folder, records, held, start, refused)
    return page(folder, records, everything, drawing=drawing)


def page(
    folder: Path,
    records: Sequence[RunRecord],
    everything: Sequence[RunRecord],
    *,
    of_design: bool = False,
    drawing: Drawing | None = None,
) -> Path:
    """Write the page of all runs of a folder. ``records``: those that the command asked for.

    ``of_design``: the first page of the folder is that of a design's verdict. ``drawing``: who
    draws; None: this process and one that is started for it.
    """
    with _unsearched():
        from reports.figures import style
        from reports.page import INDEX, RUNS, write_report

        shown = all(record.shows_reconstructions for record in records)
        name = RUNS if of_design else INDEX
        with nullcontext(drawing) if drawing is not None else aside(style.drawn) as drawn:
            return write_report(
                folder, everything, name=name, show_reconstructions=shown, drawing=drawn
            )


def write_figures(folder: Path, formats: Sequence[str]) -> None:
    """Write the figures of a folder's report as files in these formats, and print where they are.

    Raises ``InputError`` if a file cannot be written.
    """
    if not formats:
        return
    from reports import audits as of_audits
    from reports import page, sweeps, validation
    from reports.figures import files
    from threats import stored

    if (folder / audits.AUDITS).exists():
        makers = list(of_audits.makers(folder))
    elif _holds_runs(folder):
        makers = list(sweeps.makers(folder))
    else:
        chain = evidence.chain(folder)
        shown = all(record.shows_reconstructions for record in chain.records)
        facts = manifest_of(folder)
        makers = list(page.makers(chain.records, facts, show_reconstructions=shown))
        if stored.held(folder):
            makers += validation.makers(stored.read(folder, chain))
    written = files.write(folder, makers, formats)
    where = str(folder / "report" / "figures")
    Screen().print(Text.assemble(f"Figures: {len(written)} files in ", (where, "bold")))


def page_of_verdict(folder: Path, chain: Chain) -> Path:
    """The page of a design's verdict, written from the files of its folder."""
    from reports.validation import write_validation

    return write_validation(folder, chain)


def page_of_audits(folder: Path) -> Path:
    """The page of audits, written from the files of their folder."""
    from reports.audits import write

    return write(folder)


def print_answer(design: Design, assessment: Assessment, records: Sequence[RunRecord]) -> None:
    """Print the five sentences at the top of a verdict's page."""
    from reports import story
    from reports.terminal import listed

    screen = Screen()
    answer = story.answer_of_verdict(design, assessment, records)
    for text in listed("The answer", answer, screen.width, numbered=True):
        screen.print(text)


def print_place(page: Path) -> None:
    """Print where a report is."""
    shown = page.relative_to(Path.cwd()) if page.is_relative_to(Path.cwd()) else page
    Screen().print(Text.assemble("Report: ", (str(shown), "bold")), soft_wrap=True)


def _check_run(config: DictConfig) -> launcher.Job:
    experiment = compose.checked(compose.resolved(config), overrides())
    held = {record.run for record in compare.held(results.place(), [experiment])}
    return launcher.Job(experiment, address(experiment, code_version()) in held)


def _check_comparison(config: DictConfig) -> None:
    compare.held(results.place(), planned(compose.resolved(config))[0])


def _lockstep(checked: Sequence[object], config: DictConfig) -> Iterator[int]:
    """The order of ``hydra/launcher=lockstep``, which runs the jobs before their tasks begin."""
    search_for_cycles()
    found = cast(Sequence[launcher.Job], checked)  # what ``_check_run`` gives
    yield from launcher.lockstep(found, config)


def command(name: str, *, as_json: bool) -> jobs.Command:
    """The command ``run`` or ``compare``; ``as_json``: it prints the result for programs alone."""
    if name == "run":
        launchers = jobs.BASIC | {"lockstep": _lockstep}
        return jobs.Command(partial(run, as_json=as_json), _check_run, launchers)
    return jobs.Command(partial(comparison, as_json=as_json), _check_comparison, jobs.BASIC)
