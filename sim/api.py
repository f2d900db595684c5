"""The interface of notebooks: the commands as functions that return frames and figures.

>>> from sim.api import compare, read, run, validate
>>> found = compare("consortium=heart4", {"model": "logistic", "training.rounds": 2},
...                 attacks=["sign_flip"], defenses=["median"], seeds=1, workers=1)
>>> found.results.select("attack", "defense", "seed").rows()
[('none', 'median', 0), ('none', 'none', 0), ('sign_flip', 'median', 0), ('sign_flip', 'none', 0)]
>>> sorted(found.figures())
['convergence', 'heat_map', 'hospital_costs', 'hospital_effects', 'hospital_scores', 'tradeoff']

An override is a word as on the command line (``"training.rounds=2"``), or a key and a value: in a
mapping, or as a keyword where the key has no dot. Flags are for the command line alone. Without a
``folder`` nothing is left on the disk; with one, the call leaves there what the command leaves, and
the same call goes on from it.

Wrong input raises ``InputError`` with the command's one line. Nothing that is global in the process
(Hydra, environment, warnings, threads of torch) is changed by a call. Calls work in any thread, and
wait for one another; an interrupt reaches the main thread alone. Several workers are processes that
import the main script, as ``multiprocessing`` does: a script calls from below
``if __name__ == "__main__":``; notebooks need nothing.
"""

from __future__ import annotations

import json
import math
import os
import re
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray
from omegaconf import DictConfig

from sim import evidence, files, plugins
from sim.config import foreign
from sim.config import words as given
from sim.config.hydra_errors import one_line
from sim.config.overrides import forced
from sim.config.words import VALIDATE, flags, key_of
from sim.errors import InputError
from sim.evidence import Chain, RunRecord, configured, tables
from sim.evidence.manifest import manifest_of
from sim.inference import alone
from sim.inference.alone import Audit
from sim.spelling import written
from sim.study import compare as comparing
from sim.study import compose, designs, jobs, repeat, results, sharing, tracking
from sim.study import validate as validating
from sim.study.access import undefended
from sim.study.apart import apart
from sim.study.compose import Refused
from sim.study.experiment import Experiment
from sim.study.plans import overrides as of_job
from sim.study.plans import planned
from sim.study.tried import needed_by
from sim.types import Node
from threats import verdict
from threats.assessment import RegisterRow

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from reports.difference import Difference
    from reports.notebook import Shown
    from reports.sweeps import Sweep

Override: TypeAlias = str | Mapping[str, object]
Place: TypeAlias = str | os.PathLike[str]
Frame: TypeAlias = Literal["runs", "rounds", "outcomes"]

NAME: Final = re.compile(r"[A-Za-z_][\w+.-]*", re.ASCII)  # a text that needs no quotes
CONSTANTS: Final = ("null", "true", "false", "nan", "inf")  # names that are no texts
FALSE_POSITIVES: Final = (0.01, 0.1)  # rates at which an audit shows what is recognized
CRITERION: Final = (
    *("id", "threat", "adversary", "metric", "over", "bound", "limit", "alpha", "outcome"),
    *("decisive", "text"),
)


class _Shows(Protocol):
    """The part of an IPython printer that is used here."""

    def text(self, written: str, /) -> None: ...


class _Showing:
    """A value that shows itself: as HTML in a notebook, as text in a terminal."""

    def _shown(self) -> Shown:
        raise NotImplementedError

    def __str__(self) -> str:
        from reports import notebook  # here and below: a call without a page needs no reports

        return notebook.text(self._shown())

    def _repr_html_(self) -> str:
        from reports import notebook

        return notebook.html(self._shown())

    def _repr_pretty_(self, printer: _Shows, cycle: bool) -> None:
        printer.text(str(self))


@dataclass(frozen=True, repr=False)
class Results(_Showing):
    """The results of runs: those of a folder, also those that an earlier call made there.

    ``folder``: where it is; None if it was not asked for. ``records``: the evidence, one a run.
    ``manifest``: how it was made (command, versions, seconds, cells that are not defined).

    A notebook shows it as sentences and a table, and so does ``print``.
    """

    folder: Path | None
    records: tuple[RunRecord, ...]
    manifest: Node

    @property
    def results(self) -> pl.DataFrame:
        """One row a run, with the columns of ``results.csv``."""
        schema = tables.frame_schema(tables.RESULTS_TABLE)
        return pl.DataFrame(tables.results(self.records), schema=schema)

    @property
    def rounds(self) -> pl.DataFrame:
        """One row a figure of a round: run, round, hospital, metric, value."""
        return tables.rounds(self.records)

    @property
    def outcomes(self) -> pl.DataFrame:
        """One row an outcome: run, metric, scope, subject, value, undefined, n, unit, basis."""
        return configured.outcomes(self.records)

    def frame(self, of: Frame = "runs", *, all: bool = False) -> pl.DataFrame:
        """``results``, ``rounds`` or ``outcomes`` with the values that the runs were made with.

        Each value of the configuration that differs between the runs has a typed column with its
        dotted key, ``training.lr``; with ``all`` every value has one. The class of a part is in the
        column with the name of the part, ``aggregator``. They stand behind the columns that name
        the run.

        >>> slow = run({"training.rounds": 1, "training.lr": 0.01}, consortium="heart4")
        >>> fast = run({"training.rounds": 1, "training.lr": 0.1}, consortium="heart4")
        >>> together(slow, fast).frame().select("attack", "training.lr", "rounds").rows()
        [('none', 0.01, 1), ('none', 0.1, 1)]
        """
        results = self.results
        rest = results.columns[len(tables.OF_RECORD) :]
        runs = results.select(tables.OF_RECORD).with_columns(
            configured.columns(self.records, every=all)
        )
        if of == "runs":
            return runs.hstack(results.select(rest))
        if of not in get_args(Frame):
            raise InputError("of", of, f"expected one of {', '.join(get_args(Frame))}")
        return runs.drop("rounds").join(getattr(self, of), on="run", maintain_order="right")

    def figures(self) -> dict[str, Figure]:
        """The figures of the report by name, drawn anew; those that the runs have data for."""
        from reports import page

        return page.figures(self.records, self.manifest)

    def __repr__(self) -> str:
        """One line; ``print`` shows more."""
        parts = {
            "attacks": sorted({one.attack for one in self.records}),
            "defenses": sorted({one.defense for one in self.records}),
            "seeds": sorted({one.seed for one in self.records}),
            "folder": None if self.folder is None else str(self.folder),
        }
        of = ", ".join(f"{name}={value!r}" for name, value in parts.items())
        return f"<{type(self).__name__}: {len(self.records)} runs, {of}>"

    def _shown(self) -> Shown:
        from reports import notebook

        return notebook.of_runs(self.records, self.manifest, self.folder)


@dataclass(frozen=True, repr=False)
class Swept(Results):
    """Runs of several folders or calls, which may differ in any value."""

    def figures(self) -> dict[str, Figure]:
        """The figure of a sweep, drawn anew: each metric against what differs."""
        from reports import sweeps
        from reports.figures import style

        return {"sweep": sweeps.draw(self._sweep, style.PAGE)}

    @property
    def _sweep(self) -> Sweep:
        from reports import sweeps

        return sweeps.Sweep(self.records, [""] * len(self.records))

    def _shown(self) -> Shown:
        from reports import notebook

        return notebook.of_sweep(self._sweep, self.folder)


@dataclass(frozen=True, repr=False)
class Validated(Results):
    """A design that was tried. ``verdict`` and ``register``: what the files of these names hold."""

    verdict: Node
    rows: tuple[RegisterRow, ...]

    @property
    def outcome(self) -> str:
        """The verdict in a word: ``met``, ``not_met`` or ``inconclusive``."""
        return str(self.verdict["outcome"])

    @property
    def summary(self) -> list[str]:
        """The verdict in sentences."""
        return list(self.verdict["summary"])

    @property
    def criteria(self) -> pl.DataFrame:
        """One row a criterion, with its outcome and the attack that decides it."""
        schema = dict.fromkeys(CRITERION, pl.String()) | {
            "limit": pl.Float64(),
            "alpha": pl.Float64(),
        }
        judged = [{name: one[name] for name in CRITERION} for one in self.verdict["criteria"]]
        return pl.DataFrame(judged, schema=schema)

    @property
    def register(self) -> pl.DataFrame:
        """One row a threat to an element by an adversary, with the columns of ``register.csv``."""
        return pl.DataFrame([verdict.cells(row) for row in self.rows], infer_schema_length=None)

    def _shown(self) -> Shown:
        from reports import notebook

        return notebook.of_verdict(self.records, self.verdict, self.folder)


@dataclass(frozen=True, eq=False, repr=False)
class Audited(_Showing, Audit):
    """The findings about one hospital's own records in the common models.

    No record's score is shown.
    """

    def __repr__(self) -> str:
        """One line; ``print`` shows more."""
        return f"<Audited: {self.attack!r} at {self.hospital!r}, AUC {self.auc:.3f}>"

    def _shown(self) -> Shown:
        from reports import notebook

        numbers = (len(self.members), len(self.others))
        found = {rate: self.recognized(rate) for rate in FALSE_POSITIVES}
        return notebook.of_audit(self.hospital, self.attack, numbers, self.auc, found)


def run(
    *overrides: Override,
    folder: Place | None = None,
    config_dir: Place | None = None,
    **values: object,
) -> Results:
    """One run, as ``wardround run`` makes it. Raises ``InputError``.

    ``config_dir``: a folder with choices of your own, as ``--config-dir`` takes it.

    >>> once = run({"training.rounds": 1}, consortium="heart4", attack=["sign_flip"], seed=3)
    >>> once.results.select("attack", "seed", "rounds").rows()
    [('sign_flip', 3, 1)]
    """

    def task(config: DictConfig) -> None:
        start = time.perf_counter()
        values = compose.resolved(config)
        experiment = compose.checked(values, of_job())
        _check_tracking(values, folder)
        _made(_Asked("run", values, [experiment], (), 1, start), folder is not None)

    return _commanded("run", _words(overrides, values), folder, config_dir, task)


def compare(
    *overrides: Override,
    folder: Place | None = None,
    config_dir: Place | None = None,
    **values: object,
) -> Results:
    """Attacks x defenses x seeds, as ``wardround compare`` makes them. Raises ``InputError``.

    ``config_dir``: as for ``run``.
    """

    def task(config: DictConfig) -> None:
        start = time.perf_counter()
        values = compose.resolved(config)
        sharing.n_workers(values.get("workers"), n_runs=1)  # refused before all are planned
        experiments, refused = planned(values)
        _check_tracking(values, folder)
        workers = sharing.n_workers(values.get("workers"), len(experiments))
        _made(_Asked("compare", values, experiments, refused, workers, start), folder is not None)

    return _commanded("compare", _words(overrides, values), folder, config_dir, task)


def validate(
    design: Place, *overrides: Override, folder: Place | None = None, **values: object
) -> Validated:
    """A design against its criteria, as ``wardround validate`` tries it. Raises ``InputError``.

    ``design``: the path of a design file, or the name of a design. A ``folder`` also takes what a
    search with ``{"search.minutes": N}`` finds, as ``search.json``.
    """
    start = time.perf_counter()
    words = [f"consortium={os.fspath(design)}", *_words(overrides, values)]
    with apart(), one_line(), _place(folder) as place:
        asked = given.validation(words)
        chosen = flags(asked.words)
        plugins.choose(given.chosen(asked.words))
        file = designs.read(os.fspath(design), chosen.overrides)

        def task(config: DictConfig) -> None:
            resolved = compose.resolved(config)
            minutes = validating.search_minutes(resolved)
            tried = needed_by(file, resolved)
            made = results.results_folder()
            validating.check_folder(made, file)
            command = validating.command_of(asked)
            pages = _NO_PAGES if folder is None else _PAGES
            validating.validated(tried, made, resolved, command, start, minutes, pages, _uncounted)

        jobs.one(VALIDATE, flags(list(validating.of_hydra(file, asked.words))), task, place)
        found = _read(place, None if folder is None else place)
    assert isinstance(found, Validated)
    return found


def audit(
    *overrides: Override, hospital: str, models: NDArray[np.floating], **values: object
) -> Audited:
    """An audit of one hospital's own records against the common models; no partner takes part.

    ``overrides``: the agreed plan, with the one attack to try (``attack=["lira"]``), and the
    consortium's data: the hospital's own are enough. Of other hospitals nothing is used.
    ``models`` (n_rounds + 1, n_params): what the hospital received, the first model and that of
    each round. Shadow models train as the plan has it, on this hospital's records alone.

    Raises ``InputError`` that names the first wrong value.
    """
    made = list[Experiment]()

    def task(config: DictConfig) -> None:
        made.append(compose.checked(compose.resolved(config), of_job()))

    words = _words(overrides, values)
    with apart(), one_line(), _place(None) as place:
        given.check(words)
        plugins.choose(given.chosen(words))
        jobs.one("config", flags(words), task, place)
    (whole,) = made
    attacks = list(whole.attack_plan.of_kind("inference").items())
    if len(attacks) != 1 or attacks[0][1].question != "membership":
        expected = "expected one inference of membership"
        raise InputError("attack", list(whole.attack_plan.attacks), expected)
    found = [one for one in whole.consortium.hospitals if one.name == hospital]
    if not found:
        raise InputError("hospital", hospital, f"expected one of {', '.join(whole.plan.hospitals)}")
    plan = replace(undefended(whole.plan), dp=whole.plan.dp)
    draws = whole.attack_plan.key.stream("audit", hospital)
    records = (found[0].train, found[0].test)
    found_out = alone.audit(plan, hospital, records, models, *attacks[0], draws)
    return Audited(found_out.hospital, found_out.attack, found_out.members, found_out.others)


def together(*found: Results) -> Swept:
    """The different runs of several results, as one: of a loop over values of the configuration.

    Raises ``InputError`` without any run.
    """
    records = {one.run: one for results in found for one in results.records}
    if not records:
        raise InputError("together", "no runs", "expected results with at least one run")
    return Swept(None, tuple(records.values()), {})


def difference(before: Place, after: Place) -> Difference:
    """The difference between two folders, as ``wardround report BEFORE AFTER`` states it.

    ``changes`` of the result is a frame with a row for each figure of a cell that both have, and
    ``summary`` the sentences; nothing is written. Raises ``InputError`` where the folders are no
    such pair.
    """
    from reports.difference import read as compared

    return compared(Path(before).absolute(), Path(after).absolute())


def read(folder: Place) -> Results:
    """The results of a command or a call in a folder; ``Validated`` if it was ``validate``.

    A folder of such folders, as a sweep with ``-m`` leaves it, gives all their runs, as ``Swept``.

    The evidence is checked: the chain of its lines, the figures, the addresses of runs, and that
    manifest, verdict and register stand on it. Raises ``InputError`` where one does not hold.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     made = run({"training.rounds": 1}, consortium="heart4", folder=folder)
    ...     read(folder).results.equals(made.results)
    True
    """
    place = Path(folder).absolute()
    if not (place / evidence.EVIDENCE).exists() and any(place.rglob(evidence.EVIDENCE)):
        from reports import sweeps

        found = together(*(_read(one, one) for one in sweeps.places(place)))
        return replace(found, folder=place, manifest=manifest_of(place))
    return _read(place, place)


def _read(place: Path, folder: Path | None) -> Results:
    chain = evidence.chain(place)
    verdict.check(place, chain)
    manifest = manifest_of(place)
    stated = _json(place, verdict.VERDICT)
    register = _json(place, verdict.REGISTER)
    if stated is None or register is None:
        return Results(folder, chain.records, manifest)
    try:
        if stated["schema"] != verdict.VERDICT_SCHEMA or not chain.has(register["evidence"]):
            raise ValueError("they stand on other evidence, or are of another version")
        rows = tuple(RegisterRow.model_validate_json(json.dumps(row)) for row in register["rows"])
    except (ValueError, KeyError, TypeError) as error:
        expected = f"expected a {verdict.VERDICT} and a {verdict.REGISTER} of validate"
        reason = str(error).splitlines()[0]
        raise InputError("folder", place, f"{expected}: {reason}") from None
    return Validated(folder, chain.records, manifest, stated, rows)


def _json(place: Path, name: str) -> Node | None:
    """The object of a file of a folder; None without the file."""
    try:
        return files.parsed(files.content(place / name))
    except FileNotFoundError:
        return None
    except OSError as error:
        expected = f"expected {name} to be a file ({error.strerror})"
        raise InputError("folder", place, expected) from None
    except ValueError as error:
        expected = f"expected one JSON object in {name} ({error})"
        raise InputError("folder", place, expected) from None


def _commanded(
    command: str,
    words: list[str],
    folder: Place | None,
    config_dir: Place | None,
    task: Callable[[DictConfig], None],
) -> Results:
    with apart(), one_line(), _place(folder) as place:
        given.check(words)
        plugins.choose(given.chosen(words))
        of_command = words if command == "run" else [*map(forced, words)]
        if config_dir is not None:
            own = str(Path(config_dir).absolute())
            foreign.check(own)
            of_command = [*of_command, "--config-dir", own]
        config_name = "config" if command == "run" else command
        jobs.one(config_name, flags(of_command), task, place)
        return _read(place, None if folder is None else place)


def _check_tracking(values: Node, folder: Place | None) -> None:
    """Refuse to track what nobody keeps: a store has the files of the folder, too."""
    if values.get("tracking") is not None and folder is None:
        raise InputError("tracking", "a store", "expected folder=PATH for the results, too")


@contextmanager
def _place(folder: Place | None) -> Iterator[Path]:
    """The folder of the results, or one that is there in this block alone."""
    if folder is not None:
        yield Path(folder).absolute()
        return
    with TemporaryDirectory(prefix="wardround-") as made:
        yield Path(made)


@dataclass(frozen=True)
class _Asked:
    """The runs that a command asks for, and when it began."""

    command: str
    values: Node
    experiments: Sequence[Experiment]
    refused: Sequence[Refused]
    workers: int
    start: float


def _made(asked: _Asked, with_page: bool) -> None:
    """Leave in the job's folder what the command leaves there."""
    folder = results.results_folder()
    with comparing.entered(folder, asked.experiments) as held:
        results.write_config(folder, asked.values)
        made = comparing.finish(asked.experiments, folder, asked.workers, lambda _: None, held)
        line = repeat.of_job(asked.command, of_job())
        everything = results.write_tables(line, folder, made, held, asked.start, asked.refused)
        if with_page:
            _page(folder, made, everything)
        if (why := tracking.untracked(asked.values, folder)) is not None:
            warnings.warn(why, stacklevel=2)


def _page(
    folder: Path,
    records: Sequence[RunRecord],
    everything: Sequence[RunRecord],
    *,
    of_design: bool = False,
) -> Path:
    from reports.page import INDEX, RUNS, write_report

    shown = all(record.shows_reconstructions for record in records)
    name = RUNS if of_design else INDEX
    return write_report(folder, everything, name=name, show_reconstructions=shown)


def _page_of_verdict(folder: Path, chain: Chain) -> Path:
    from reports.validation import write_validation

    return write_validation(folder, chain)


def _no_page(folder: Path, *_: object) -> Path:
    """Leave out the page of a folder that nobody will see."""
    return folder


_PAGES: Final = validating.Pages(partial(_page, of_design=True), _page_of_verdict)
_NO_PAGES: Final = validating.Pages(_no_page, _no_page)


def _uncounted(_: int) -> AbstractContextManager[Callable[[], None]]:
    return nullcontext(lambda: None)


def _words(overrides: Sequence[Override], values: Mapping[str, object]) -> list[str]:
    """The overrides as words of the command line."""
    found = list[str]()
    for one in (*overrides, values):
        if isinstance(one, str):
            found.append(one)
        elif isinstance(one, Mapping):
            found += [_word(key, value) for key, value in one.items()]
        else:
            raise InputError("override", one, "expected a word or a mapping of keys to values")
    for word in found:
        if word.startswith("-"):
            raise InputError("flags", word, "expected none here; they are for the command line")
        if key_of(word).partition(".")[0].partition("/")[0] == "hydra":
            raise InputError(key_of(word), word, "expected folder=PATH in its place")
    return found


def _word(key: object, value: object) -> str:
    if not isinstance(key, str):
        raise InputError("override", key, "expected a key that is a text, as in training.lr")
    return f"{key}={_spelled(key, value)}"


def _spelled(key: str, value: object) -> str:
    """A value as Hydra reads it back."""
    if isinstance(value, os.PathLike):
        return _spelled(key, os.fspath(value))
    if isinstance(value, str) and NAME.fullmatch(value) and value.lower() not in CONSTANTS:
        return value
    if isinstance(value, list | tuple | range):
        return f"[{','.join(_spelled(key, part) for part in value)}]"
    if value is None or isinstance(value, str | int):
        return written(value)
    if isinstance(value, float) and math.isfinite(value):
        return written(value)
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        return written(json.loads(_plain(key, value)))
    raise InputError(key, value, "expected a text, number, truth value, None, list or mapping")


def _plain(key: str, value: Mapping[str, object]) -> str:
    try:
        return json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise InputError(key, value, "expected a mapping to plain values") from None
