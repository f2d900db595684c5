"""A configuration is values: whoever wrote it, it runs, reads and writes nothing, and what cannot
be is refused soon.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sim import kinds, plugins
from sim.cli import command
from sim.config import words
from sim.config.build import build
from sim.errors import InputError
from sim.study.experiment import from_text
from tests import ROOT, hostile_words
from tests.answers import Answers, answered
from tests.federation import experiment

# one process makes what all tests of this file look at
pytestmark = pytest.mark.xdist_group("configurations")

FAST = ("consortium=heart4", "training.rounds=1", "model=logistic")
CASES = hostile_words.names()
# seconds of the processor; seconds on a machine that is busy with other things
PROMISED, PATIENCE = 10, 120


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """What the command did with each case, one after the other in a process under an audit hook."""
    return answered(tmp_path_factory.mktemp("hostile"), "tests.hostile_words")


def test_the_tables_are_as_large_as_they_claim() -> None:
    assert len(CASES) == len(set(CASES))
    assert len(hostile_words.WORDS) + len(hostile_words.FILES) >= 60
    assert len(hostile_words.WRONG) >= 40


@pytest.mark.parametrize("case", CASES, ids=[f"{kind}-{name[:60]}" for kind, name in CASES])
def test_it_is_refused_in_one_line_and_nothing_is_run_or_written(
    case: tuple[str, str], answers: Answers
) -> None:
    answer = answers[case]
    assert (answer["code"], answer["out"]) == (2, "")
    assert answer["err"].startswith("wardround: ")
    assert answer["err"].count("\n") == 1
    assert len(answer["err"]) < 300
    assert (answer["seen"], answer["left"], answer["canary"]) == ([], [], False)
    assert hostile_words.SECRET not in answer["err"]
    assert "PosixPath(" not in answer["err"]
    assert answer["seconds"]["cpu"] < PROMISED
    assert answer["seconds"]["wall"] < PATIENCE


CIRCLES = {
    "itself": "attack/evil",
    "two that lead to each other": "attack/b",
    "a circle beside what is chosen": "attack/a",
}


@pytest.mark.parametrize(("case", "place"), CIRCLES.items(), ids=CIRCLES.keys())
def test_defaults_that_lead_back_to_their_file_are_reported_with_its_name(
    case: str, place: str, answers: Answers
) -> None:
    lines = answers["file", case]["err"]
    assert f"/{place}.yaml: its defaults lead back to it ({place} -> " in lines
    assert lines.endswith(f"-> {place}); expected defaults that end\n")


ACTS = """
import os, socket, subprocess, sys
from tests.hostile_words import Watch

acts = (
    lambda: exec("1"),
    lambda: os.mkdir(sys.argv[1] + "/x"),
    lambda: open(sys.argv[1] + "/y", "w"),
    lambda: subprocess.run(["true"]),
    lambda: socket.socket(),
    lambda: os.system("true"),
)
watch = Watch()
watch.on = True
for act in acts:
    watch.seen = []
    act()
    print(bool(watch.seen))
"""


def test_the_audit_hook_sees_what_it_is_there_for(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ACTS, str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
    )
    assert done.stdout.decode().split() == ["True"] * 6


MESSAGES = {  # what an aggregator may write into its message in place of the configuration
    "a target to call": lambda c: c["aggregator"].update(_target_="os.mkdir", path="canary"),
    "a target in a parameter": (
        lambda c: c["aggregator"].update(weighting={"_target_": "os.mkdir", "path": "canary"})
    ),
    "a target in a list": (
        lambda c: c["consortium"].update(leave_out=[{"_target_": "os.mkdir", "path": "canary"}])
    ),
    "arguments": lambda c: c["aggregator"].update(_args_=["canary"]),
    "another kind": lambda c: c["model"].update(_target_="aggregators.rules.mean.Mean"),
    "a package": lambda c: c.update(
        plugins={"antigravity": ""}, aggregator={"_target_": "antigravity.geohash"}
    ),
    "a package of ours": lambda c: c.update(plugins={"sim": ""}),
    "an installed package": lambda c: c.update(plugins={"numpy": ""}),
    "no pairs": lambda c: c.update(attack=3),
    "pairs of another form": lambda c: c.update(attack=[["a"], 5]),
    "a path as a name": lambda c: c.update(
        attack=[["../x", {"_target_": "attacks.byzantine.zero.Zero"}]]
    ),
    "text with a reference": lambda c: c.update(device="${oc.env:HOME}"),
    "many hospitals": lambda c: c.update(
        consortium={"_target_": "sim.datasets.synthetic.Synthetic", "n_hospitals": 10**8}
    ),
    "many steps": lambda c: c["training"].update(local_steps=10**11),
    "a huge number": lambda c: c.update(seed=10**400),
    "a wide model": lambda c: c.update(
        model={"_target_": "sim.models.mlp.MLP", "hidden": [10**6, 10**6]}
    ),
    "deep lists": lambda c: c.update(device=json.loads("[" * 500 + "]" * 500)),
    "no model": lambda c: c.pop("model"),
    "a stray key": lambda c: c.update(hydra={"callbacks": {}}),
}


@pytest.mark.parametrize("edit", MESSAGES.values(), ids=MESSAGES.keys())
def test_a_hospital_refuses_a_message_that_is_more_than_a_configuration(
    edit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = json.loads(experiment(*FAST).text)
    edit(config)
    with pytest.raises(InputError):
        from_text(json.dumps(config))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text",
    ["", "[]", "3", "{}", '{"label": 1}', "[" * 100_000, "x" * 2_000_000, '{"label": "a"}', "NaN"],
)
def test_a_hospital_refuses_a_message_that_is_no_configuration(text: str) -> None:
    with pytest.raises(InputError):
        from_text(text)


def test_every_plugin_of_conf_is_found_as_its_kind_and_as_no_other() -> None:
    for group in kinds.GROUPS:
        assert kinds.targets(group)
        for target in kinds.targets(group):
            assert kinds.find(f"{group}.x", target).__name__ == target.rpartition(".")[2]
            for other in set(kinds.GROUPS) - {group}:
                if target not in kinds.targets(other):
                    with pytest.raises(InputError, match="expected a plug-in of the group"):
                        kinds.find(f"{other}.x", target)


PLUGIN = '''
from dataclasses import dataclass
from typing import ClassVar
from sim.types import About

@dataclass(frozen=True)
class Half:
    """Half of the mean."""
    factor: float = 0.5
    about: ClassVar[About] = About(title="Half", paper="none", year=2026)

    @property
    def min_rows(self) -> int:
        return 1

    def __call__(self, view, rng):
        return self.factor * view.rows.mean(axis=0)

@dataclass(frozen=True)
class Failing(Half):
    def __call__(self, view, rng):
        return view.nothing_of_this_name

@dataclass(frozen=True)
class Late(Half):
    def __call__(self, view, rng):
        return view.later if view.rows.shape[1] > 5 else super().__call__(view, rng)

@dataclass(frozen=True)
class Forgetful(Half):
    def advance(self, view, state, rng):
        return self(view, rng), state

@dataclass
class Thawed:
    factor: float = 0.5

def half():
    return Half()
'''


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A package of a user with a rule, where Python finds it; nobody has chosen it yet."""
    (tmp_path / "own_rules_7").mkdir()
    (tmp_path / "own_rules_7" / "__init__.py").write_text("")
    (tmp_path / "own_rules_7" / "half.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv(plugins.CHOSEN, "")
    monkeypatch.chdir(tmp_path)
    plugins.source_hash.cache_clear()
    yield "own_rules_7"
    plugins.source_hash.cache_clear()
    for name in [name for name in sys.modules if name.startswith("own_rules_7")]:
        del sys.modules[name]


def test_a_rule_of_the_users_own_package_runs_and_its_hash_is_recorded(
    package: str, tmp_path: Path
) -> None:
    rule = (f"aggregator._target_={package}.half.Half", "~aggregator.weighting")
    assert command.main(["run", *FAST, *rule, "hydra.run.dir=out"]) == 2  # not chosen
    assert command.main(["run", *FAST, f"plugins=[{package}]", *rule, "hydra.run.dir=out"]) == 0
    config = json.loads((tmp_path / "out/evidence.jsonl").read_text())["config"]
    assert config["plugins"] == {package: plugins.source_hash(package)}
    assert config["aggregator"]["_target_"] == f"{package}.half.Half"


def test_a_hospital_takes_a_package_only_if_it_is_chosen_there_with_the_same_source(
    package: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plugins.choose([package])
    node = {"_target_": f"{package}.half.Half"}
    config = json.loads(experiment(*FAST).text) | {
        "aggregator": node,
        "plugins": plugins.hashed([package]),
    }
    assert type(from_text(json.dumps(config)).plan.chain.rule).__name__ == "Half"
    (tmp_path / package / "half.py").write_text(PLUGIN + "\n# changed\n")
    plugins.source_hash.cache_clear()
    with pytest.raises(
        InputError, match=rf"^plugins\.{package}=.*the hash of the package's source here"
    ):
        from_text(json.dumps({**config, "seed": 1}))
    monkeypatch.setenv(plugins.CHOSEN, "")
    plugins.source_hash.cache_clear()
    with pytest.raises(InputError, match="chosen on this machine"):
        from_text(json.dumps({**config, "seed": 2}))


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("half.Thawed", "a frozen dataclass"),
        ("half.Forgetful", "a dataclass as its attribute state"),
        ("half.half", "a dataclass in the module that defines it"),
        ("half.dataclass", "a dataclass in the module that defines it"),
        ("half.About", "a dataclass in the module that defines it"),
        ("nothing.Half", "a module that is there"),
    ],
)
def test_only_a_frozen_dataclass_of_the_users_package_is_a_plugin(
    package: str, target: str, expected: str
) -> None:
    plugins.choose([package])
    with pytest.raises(InputError, match=expected):
        build("aggregator", {"_target_": f"{package}.{target}"}, [package])


def test_a_plugin_of_another_form_is_refused(package: str) -> None:
    plugins.choose([package])
    for group in ("model", "consortium", "secagg", "dp"):
        with pytest.raises(InputError, match="expected the form"):
            build(group, {"_target_": f"{package}.half.Half"}, [package])


def test_a_fault_of_a_plugin_is_code_70_with_its_type_file_and_line(
    package: str, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words_ = (
        f"plugins=[{package}]",
        f"aggregator._target_={package}.half.Failing",
        "~aggregator.weighting",
    )
    assert command.main(["run", *FAST, *words_, "hydra.run.dir=out"]) == 70
    err = capfd.readouterr().err
    line = PLUGIN.splitlines().index("        return view.nothing_of_this_name") + 1
    assert err.startswith(
        f"wardround: the plug-in {package}.half.Failing raised AttributeError at "
    )
    assert f"own_rules_7/half.py:{line}: " in err
    assert "please report" in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "verb", [["run"], ["compare", "attacks=[sign_flip]", "defenses=[none]", "seeds=1"]]
)
def test_a_fault_of_a_plugin_in_a_run_is_code_70_in_one_line_too(
    verb: list[str], package: str, capfd: pytest.CaptureFixture[str]
) -> None:
    words_ = (
        f"plugins=[{package}]",
        f"aggregator._target_={package}.half.Late",
        "~aggregator.weighting",
    )
    assert command.main([*verb, *FAST, *words_, "hydra.run.dir=out"]) == 70
    err = capfd.readouterr().err
    line = next(place for place, text in enumerate(PLUGIN.splitlines(), 1) if "view.later" in text)
    lines = [text for text in err.splitlines() if "wardround: " in text]
    assert len(lines) == 1
    assert lines[0].startswith(
        f"wardround: the plug-in {package}.half.Late raised AttributeError at "
    )
    assert f"own_rules_7/half.py:{line}: " in lines[0]
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "error",
    [ValueError("x"), KeyError("x"), OSError("x"), AssertionError(), RecursionError("y\nz")],
)
def test_a_fault_of_the_program_is_never_reported_as_wrong_input(
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sim.study.compare.finish", fail)
    assert command.main(["run", *FAST]) == 70
    err = capfd.readouterr().err
    assert err.startswith(
        f"wardround: internal error {type(error).__name__} at whole/test_configurations.py:"
    )
    assert err.count("\n") == 1


OWN = {
    "attack/quarter.yaml": (
        "# @package attack.quarter\n_target_: attacks.byzantine.sign_flip.SignFlip\nscale: 0.25\n"
    ),
    "consortium/two.yaml": (
        "# @package _global_\ndefaults:\n  - heart4\n  - override /model: logistic\n  - _self_\n"
        "consortium:\n  leave_out: [ca]\ntraining:\n  rounds: 1\n"
    ),
    "README.md": "# mine",
}


def test_a_folder_of_configurations_adds_choices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in OWN.items():
        path = tmp_path / "mine" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert (
        command.main(
            ["run", "--config-dir", "mine", "attack=[quarter]", *FAST, "hydra.run.dir=out"]
        )
        == 0
    )
    assert json.loads((tmp_path / "out/evidence.jsonl").read_text())["attack"] == "quarter"
    assert command.main(["run", "-cd", "mine", "consortium=two", "hydra.run.dir=two"]) == 0
    record = json.loads((tmp_path / "two/evidence.jsonl").read_text())
    assert (record["rounds"], record["config"]["consortium"]["leave_out"]) == (1, ["ca"])


def test_a_sweep_with_a_wrong_job_runs_none_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = list[object]()
    monkeypatch.setattr("sim.study.compare.finish", lambda *_: ran.append(1))
    for launcher in ("basic", "lockstep"):
        assert command.main(["run", "-m", *FAST, "seed=0,x", f"hydra/launcher={launcher}"]) == 2
    assert ran == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("word", ["dance", "runn", "--nope", "-m"])
def test_a_typo_is_answered_before_any_library_is_imported(word: str) -> None:
    program = (
        "import sys; from sim.cli.command import main; code = main(sys.argv[1:])\n"
        "print(code, 'numpy' in sys.modules, 'hydra' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, word], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "2 False False\n"


def test_every_flag_and_key_that_is_offered_is_taken() -> None:
    words.check(
        [
            "-m",
            "seed=0,1",
            "hydra.sweep.dir=out/${now:%Y-%m-%d}",
            "hydra.sweep.subdir=${hydra.job.num}-${seed}",
        ]
    )
    words.check(
        [
            "hydra/launcher=lockstep",
            "hydra.launcher.workers=2",
            "hydra.run.dir='a b'",
            "--cfg",
            "job",
            "--resolve",
        ]
    )
    words.check(
        [
            "plugins=[a,b]",
            "++x.y-z.0=1",
            "~seed",
            "training.lr=${server.weight_cap}",
            "--config-dir",
            "x",
            "-h",
        ]
    )
    assert words.chosen(["plugins=[a, b]", "++plugins=c", "seed=1"]) == ("a", "b", "c")


NAMED_AS_ANOTHER = {
    "defense=[trimmed_mean,none]": "expected one name",
    "consortium=[heart4,heart12]": "expected one name",
    "defense.name=median": "expected defense=NAME",
    "attack=[sign_flip] attack.sign_flip._target_=attacks.byzantine.zero.Zero": (
        "stands for another attack"
    ),
}


@pytest.mark.parametrize(
    ("words_", "stated"), NAMED_AS_ANOTHER.items(), ids=NAMED_AS_ANOTHER.keys()
)
def test_no_run_goes_by_the_name_of_another(
    words_: str,
    stated: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command.main(["run", *FAST, *words_.split(" "), "hydra.run.dir=out"]) == 2
    assert stated in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_defense_file_goes_by_its_own_name_and_has_no_key_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine" / "defense").mkdir(parents=True)
    for text in ("defense:\n  name: krum\n", "defense: {}\n", "defense:\n  name: x\n  name: x\n"):
        (tmp_path / "mine" / "defense" / "x.yaml").write_text(f"# @package _global_\n{text}")
        assert (
            command.main(["run", "--config-dir", "mine", *FAST, "defense=x", "hydra.run.dir=out"])
            == 2
        )
        assert capfd.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out").exists()


MEDIAN = "aggregator._target_=aggregators.rules.median.Median"


@pytest.mark.parametrize(
    ("words_", "label"),
    [
        ("defense=median+clip ~steps.clip", "median+clip+~steps.clip"),
        (
            f"{MEDIAN} ~aggregator.weighting +aggregator.n_hostile=1",
            f"none+{MEDIAN}+~aggregator.weighting",
        ),
    ],
)
def test_a_defense_with_a_part_taken_or_put_in_its_place_states_it(
    words_: str, label: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command.main(["run", *FAST, *words_.split(" "), "hydra.run.dir=out"]) == 0
    assert json.loads((tmp_path / "out/evidence.jsonl").read_text())["defense"] == label


@pytest.mark.parametrize("folder", ["foo", "design"])
def test_a_folder_that_is_no_group_reaches_none_of_hydras_values(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine" / folder).mkdir(parents=True)
    text = "# @package _global_\nhydra:\n  run:\n    dir: elsewhere\n"
    (tmp_path / "mine" / folder / "x.yaml").write_text(text)
    assert command.main(["run", "--config-dir", "mine", *FAST, f"+{folder}=x"]) == 2
    assert f"--config-dir=mine/{folder}: expected DIR/GROUP/NAME.yaml" in capfd.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
