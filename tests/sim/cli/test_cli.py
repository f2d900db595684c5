"""The command line: wrong input is one line that names key, value and what was expected, code 2,
and nothing is written.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from pathlib import Path

import pytest
from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from sim.cli.command import main
from sim.errors import InputError
from sim.plugins import CONF
from sim.study import processes
from sim.study.compare import enter_worker
from sim.study.compose import resolved
from sim.study.experiment import load
from tests import ROOT
from tests.commands import besides_progress

FAST = ("consortium=heart4", "training.rounds=1", "model=logistic")
Call = Callable[..., int]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Call]:
    """``wardround WORDS`` in this process and an empty folder, with Hydra new before and after."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["wardround"])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")

    def wardround(*words: str) -> int:
        GlobalHydra.instance().clear()
        HydraConfig.instance().cfg = None
        return main(list(words))

    yield wardround
    GlobalHydra.instance().clear()


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


WRONG = {  # words: what the line states after "wardround: "
    "run attack=nope": "attack=nope: expected one of ",
    "run steps=[nope]": "steps=nope: expected one of ",
    "compare attacks=[nope] defenses=[none]": "attack=nope: expected one of ",
    "compare attack=sign_flip": "attack=sign_flip: expected attacks=[...] in a comparison",
    "compare attack=[sign_flip,alie]": "attack=[sign_flip,alie]: expected"
        " attacks=[[sign_flip,alie]], which run together, in a comparison",
    "run attacks=[sign_flip,alie]": "attacks=[sign_flip,alie]: expected attack=[sign_flip,alie] in"
        " a run, which runs them together; wardround compare attacks=[sign_flip,alie] runs one ",
    "run attack=sign_flip,alie": "attack=sign_flip,alie: expected attack=[sign_flip,alie] in a run",
    "run attack=sign_flip+alie": "attack=sign_flip+alie: expected [sign_flip,alie], attacks that"
        " run together, or attacks=[[sign_flip,alie]] in a comparison",
    "compare attacks=[none] defenses=[nope]": "defense=nope: expected one of ",
    "compare attacks=[] defenses=[none] seeds=[]": "seeds=[]: expected how many",
    "compare attacks=[3] defenses=[none]": "attacks=[3]: expected a list of names",
    "run training.lrr=1": "training.lrr=1: unknown key, did you mean training.lr?",
    "compare attack.alie.scale=3 attacks=[alie] defenses=[none]":
        "attack.alie.scale=3: unknown key in each of the 2 cells",
    "compare dp.target_epsilonn=3 attacks=[none] defenses=[none]":
        "dp.target_epsilonn=3: unknown key in each of the 1 cells",
    "run +stray=1": "stray=1: unknown key",
    "run +training.lr=1": "training.lr=1: Could not append to config. An item is already at",
    "run ~seed": "seed=",
    "compare ~seed attacks=[none] defenses=[none]": "seed=None: expected a whole number",
    "run adversary.n_hostile=4": "adversary.n_hostile=4: expected fewer than n_hospitals=4",
    "run training.lr=fast": "training.lr=fast: expected a valid number",
    "run training.lr=${nope}": "training.lr=",
    "run training.lr=1,2": "training.lr=1,2: Ambiguous value",
    "run training.lr=[1": "override=training.lr=[1: cannot be read: ",
    "run training": "override=training: cannot be read: ",
    "run consortium.sites.mayo=1": "consortium.sites.mayo=1: unknown key",
    "run attack=[sign_flip,nope]": "attack=nope: expected one of ",
    "run attack=": "attack=: expected one of ",
    "run consortium=mayo": "consortium=mayo: expected one of breast8, ",
    "run trainning.lr=1": "trainning.lr=1: unknown key, did you mean training.lr?",
    "run adversary.nhostile=1":
        "adversary.nhostile=1: unknown key, did you mean adversary.n_hostile?",
    "run +training.stray=1": "training.stray=1: unknown key",
    "run +aggregator.stray=1": "aggregator.stray=1: unknown key; Mean has weighting",
    "run ~training.lr": "training.lr=",
    "run training=3": "",
    "run --nope": "flags=--nope: unrecognized arguments: --nope",
    "compare -m --nope=3": "flags=-m --nope=3: unrecognized arguments: --nope=3",
    "run --cfg nope": "flags=--cfg: argument --cfg/-c: invalid choice: 'nope' (choose from ",
    "run consortium.sites.va=100": "consortium.sites.va=100: expected ",
    "run consortium._target_=os.system":
        "consortium._target_=os.system: expected one that wardround list consortium shows, ",
    "run defense=krum":
        "aggregator=Krum: n_rows=4, n_hostile=1: Krum needs n_rows >= 2*n_hostile + 3 = 5",
    "compare seeds=0 attacks=[none] defenses=[none]":
        "seeds=0: expected how many (at least 1) or a list of different seeds",
    "compare seeds=true attacks=[none] defenses=[none]": "seeds=True: expected how many",
    "compare seeds=[1,1] attacks=[none] defenses=[none]": "seeds=[1, 1]: expected how many",
    "compare seed=x attacks=[none] defenses=[none]": "seed=x: expected a whole number",
    "compare workers=0 attacks=[none] defenses=[none]":
        "workers=0: expected auto or a whole number of at least 1",
    "compare workers=true attacks=[none] defenses=[none]":
        "workers=True: expected auto or a whole number",
    "compare workers=two attacks=[none] defenses=[none]":
        "workers=two: expected auto or a whole number",
}  # fmt: skip

REFUSED = {  # overrides of a run: the text of the refusal, which becomes that line
    "attack=alie adversary.n_hostile=1 adversary.knowledge=colluders":
        "attack.alie=ALIE: n_known=1: ALIE needs 2 ",
    "adversary.n_hostile=-1": "adversary.n_hostile=-1: expected greater than or equal to 0",
    "adversary.n_hostile=0 attack=[sign_flip]":
        "adversary.n_hostile=0: expected at least 1 hostile hospital",
    "adversary.knowledge=own attack=[alie]":
        "adversary.knowledge=own: expected at least colluders for attack=alie",
    "adversary.placement=center":
        "adversary.placement=center: expected 'random', 'largest' or 'smallest'",
    "training.lr=-1": "training.lr=-1: expected greater than 0",
    "training.lr=nan": "training.lr=nan: expected ",
    "training.lr=inf": "training.lr=inf: expected ",
    "training.rounds=many": "training.rounds=many: expected a valid integer",
    "training.rounds=2.0": "training.rounds=2.0: expected a valid integer",
    "training.rounds=true": "training.rounds=True: expected a valid integer",
    "training.rounds=0": "training.rounds=0: expected greater than or equal to 1",
    "training.rounds=null": "training.rounds=None: expected a valid integer",
    "training.lr=true": "training.lr=True: expected a valid number",
    "seed=true": "seed=True: expected a valid integer",
    "seed=-1": "seed=-1: expected greater than or equal to 0",
    "seed=9223372036854775808": "seed=9223372036854775808: expected ",
    "model=mlp model.hidden=[]": "model.len(hidden)=0: expected a whole number of at least 1",
    "aggregator._target_=sim.nope.Rule": "aggregator._target_=sim.nope.Rule: expected one that ",
    "aggregator=median secagg=sum":
        "aggregator=Median: n_rows=1, n_hostile=1: Median needs n_rows >= 2*n_hostile + 1 = 3; "
        "secure aggregation leaves 1 of 4 rows to see; what would do: secagg=none: 4 rows, "
        "withstands 1 hostile hospital, each hospital's own update",
    "dp=record training.optimizer=adam": "training.optimizer=adam: expected sgd with dp=record",
    "dp=record dp.delta=0.1": "dp.delta=0.1: expected less than 1/",
    "dp=record dp.target_epsilon=null":
        "dp.noise_multiplier=None: expected exactly one of target_epsilon and ",
    "dp=record dp.noise_multiplier=1":
        "dp.noise_multiplier=1: expected exactly one of target_epsilon and ",
    "dp=record dp.target_epsilon=0": "dp.target_epsilon=0: expected a number of at least 0.001",
    "attack=[analytic_inversion] attack.analytic_inversion.round=9":
        "attack.analytic_inversion.round=9: expected at most training.rounds=1",
    "attack=[sign_flip] attack.sign_flip.scale=.nan":
        "attack.sign_flip.scale=nan: expected a finite number",
    "server.weight_cap=0.5": "server.weight_cap=0.5: expected greater than or equal to 1",
    "report.material_drop=2": "report.material_drop=2: expected less than or equal to 1",
}  # fmt: skip


@pytest.mark.parametrize(("words", "stated"), WRONG.items(), ids=WRONG.keys())
def test_wrong_input_is_one_line_with_key_value_and_expectation(
    words: str, stated: str, call: Call, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    command, *rest = words.split()
    assert call(command, *FAST, *rest, f"hydra.run.dir={tmp_path / 'out'}") == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith(f"wardround: {stated}")
    assert err.count("\n") == 1
    assert err.endswith("\n")
    assert files(tmp_path) == []


@lru_cache
def composed(*choices: str) -> DictConfig:
    with initialize_config_module("conf", version_base="1.3"):
        return compose("config", overrides=[*FAST, *choices])


@pytest.mark.parametrize(("words", "stated"), REFUSED.items(), ids=REFUSED.keys())
def test_a_wrong_value_is_refused_with_key_value_and_expectation(words: str, stated: str) -> None:
    choices = [word for word in words.split() if (CONF / word.partition("=")[0]).is_dir()]
    values = OmegaConf.from_dotlist([word for word in words.split() if word not in choices])
    with pytest.raises(InputError) as refusal:
        load(resolved(OmegaConf.merge(composed(*choices), values)))
    assert str(refusal.value).startswith(stated)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["dance"],
            "wardround: command=dance: expected one of run, compare, explain, audit, validate,"
            " init, new, list, report, completion\n",
        ),
        (["list", "hospitalls"], "wardround: list=hospitalls: expected one of attack, "),
        (["report"], "wardround: DIR=nothing: expected at least one folder with evidence.jsonl\n"),
        (["report", "nowhere"], "wardround: folder="),
        (["report", "a", "b", "c"], "wardround: DIR=3 folders: expected one, whose report is "),
        (["report", "a", "b", "--jsn"], "wardround: flags=--jsn: expected --figures FORMATS, "),
        (["report", "a", "--json"], "wardround: folder="),
        (["report", "a", "--out=x"], "wardround: flags=--out: expected two folders with it, "),
        (["report", "a", "b", "--figures=gif"], "wardround: --figures=gif: expected pdf, svg, png"),
        (["report", "a", "b", "--out"], "wardround: --out=nothing: expected a folder\n"),
        (["report", "a", "b", "--out", "--json"], "wardround: --out=--json: expected a folder\n"),
        (["report", "--out=a", "--out=b"], "wardround: --out=2 times: expected it once\n"),
        (["report", "nowhere", "elsewhere"], "wardround: folder=nowhere: expected a folder with "),
    ],
)
def test_a_wrong_command_or_argument_is_one_line(
    words: list[str], line: str, call: Call, capfd: pytest.CaptureFixture[str]
) -> None:
    assert call(*words) == 2
    assert (err := capfd.readouterr().err).startswith(line)
    assert err.count("\n") == 1


@pytest.mark.parametrize("command", ["run", "compare"])
def test_a_folder_that_cannot_be_written_is_named(
    command: str, call: Call, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("not a folder")
    lists = ["attacks=[none]", "defenses=[none]"] if command == "compare" else []
    assert call(command, *FAST, *lists, f"hydra.run.dir={tmp_path / 'file' / 'out'}") == 2
    line = (
        f"wardround: hydra.run.dir={tmp_path / 'file' / 'out'}: expected a folder that can be"
        " written (Not a directory)\n"
    )
    assert capfd.readouterr().err == line
    assert (tmp_path / "file").read_text() == "not a folder"


def test_wrong_input_is_one_line_in_a_process_of_its_own_which_loads_no_reports(
    tmp_path: Path,
) -> None:
    words = ["compare", "consortium=heart4", "attacks=[nope]", "defenses=[none]"]
    call = (
        "import sys; from sim.cli.command import main; code = main(sys.argv[1:]); print('reports'"
        " in sys.modules); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", call, *words],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stdout == "False\n"
    assert done.stderr.startswith("wardround: attack=nope: expected one of ")
    assert done.stderr.count("\n") == 1
    assert files(tmp_path) == []


def test_run_leaves_what_it_promises(
    call: Call, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert call("run", *FAST, f"hydra.run.dir={tmp_path / 'out'}") == 0
    left = {str(path.relative_to(tmp_path / "out")) for path in files(tmp_path / "out")}
    promised = {
        "config.yaml",
        "manifest.json",
        "evidence.jsonl",
        "rounds.parquet",
        "results.csv",
        "report/index.html",
    }
    assert promised <= left
    out, err = capfd.readouterr()
    assert "AUROC" in out
    assert besides_progress(err) == ""


@pytest.mark.usefixtures("undrawn")
def test_runs_without_a_folder_go_to_outputs_under_the_name_of_the_command(
    call: Call, tmp_path: Path
) -> None:
    assert call("run", *FAST) == 0
    assert [path.parent.parent for path in files(tmp_path) if path.name == "evidence.jsonl"] == [
        tmp_path / "outputs/run"
    ]


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("order", [["-m", "seed=0,1"], ["seed=0,1", "-m"]])
def test_a_sweep_runs_each_of_its_jobs(order: list[str], call: Call, tmp_path: Path) -> None:
    assert (
        call(
            "run", *(order if order[0] == "-m" else []), *FAST, *([] if order[0] == "-m" else order)
        )
        == 0
    )
    assert len([path for path in files(tmp_path) if path.name == "evidence.jsonl"]) == 2


def test_explain_writes_nothing_and_tells_who_sees_what(
    call: Call, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["attacks=[sign_flip]", "defenses=[median,secagg]"]
    assert call("explain", *FAST, *words) == 0
    out = " ".join(capfd.readouterr().out.split())
    assert "6 runs" in out
    assert "4 updates, one for each hospital" in out
    assert "1 sum of 4 updates" in out
    assert "sees -> no" in out
    assert "Secure aggregation is simulated here" in out
    assert "Updates are rounded to steps of 9.5e-07 for sums, which is no protection" in out
    assert "Conflict of secure aggregation and robust aggregation" in out
    assert files(tmp_path) == []


def test_list_shows_every_file_of_every_group(
    call: Call, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert call("list") == 0
    words = capfd.readouterr().out.split()
    for group in (
        "attack",
        "defense",
        "aggregator",
        "steps",
        "secagg",
        "dp",
        "hardening",
        "consortium",
        "model",
    ):
        assert {path.stem for path in (CONF / group).glob("*.yaml")} <= set(words)


def test_report_rebuilds_what_was_there(call: Call, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    assert call("run", *FAST, f"hydra.run.dir={folder}") == 0
    before = (folder / "results.csv").read_bytes()
    for name in ("results.csv", "rounds.parquet", "report/index.html"):
        (folder / name).unlink()
    assert call("report", str(folder)) == 0
    assert (folder / "results.csv").read_bytes() == before
    assert (folder / "report/index.html").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("words", "shown"),
    [(["--help"], "wardround compare"), ([], "wardround compare"), (["--version"], "wardround 0.")],
)
def test_help_and_version_are_printed(
    words: list[str], shown: str, call: Call, capfd: pytest.CaptureFixture[str]
) -> None:
    assert call(*words) == 0
    assert shown in capfd.readouterr().out


def test_help_waits_for_no_library() -> None:
    program = (
        "import sys; from sim.cli.command import main\n"
        "main(['--help']); sys.exit('numpy' in sys.modules)"
    )
    words = [sys.executable, "-c", program]
    assert subprocess.run(words, cwd=ROOT, stdout=subprocess.DEVNULL).returncode == 0


@pytest.mark.parametrize(
    ("words", "early"),
    [
        (["compare", "seeds=1"], True),
        (["compare", "workers=1"], False),
        (["compare", "++workers=1"], False),
        (["compare", "-cd", "docs"], True),
        (["compare", "--cfg", "job"], False),
        (["compare", "--cfg=job"], False),
        (["run", "seed=1"], False),
    ],
)
def test_workers_are_prepared_before_libraries_are_imported_where_they_will_be_needed(
    words: list[str], early: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = list[str]()
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("sim.study.processes.n_cores", lambda: 2)
    monkeypatch.setattr("sim.study.processes.warm_up", lambda: started.append("workers"))
    monkeypatch.setattr("sim.cli.main.run_command", lambda _: started.append("command"))
    monkeypatch.setattr("sim.study.processes.stop", lambda: None)
    main(words)
    assert started == [*(["workers"] if early else []), "command"]


def test_workers_get_the_environment_that_was_set_after_the_process_they_are_forked_from() -> None:
    processes.warm_up()
    environment = {"CUDA_VISIBLE_DEVICES": "7"}  # as Hydra's hydra.job.env_set does
    with ProcessPoolExecutor(
        1, processes.PROCESSES, initializer=enter_worker, initargs=({}, environment)
    ) as pool:
        assert pool.submit(os.getenv, "CUDA_VISIBLE_DEVICES").result() == "7"


@pytest.mark.usefixtures("undrawn")
def test_what_was_just_run_is_not_read_back(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim.evidence.read", None)
    assert call("run", *FAST) == 0


def test_interrupted_is_130(
    call: Call, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sim.study.run.advance", interrupt)
    assert call("run", *FAST) == 130
    assert capfd.readouterr().err.startswith("Interrupted. ")
