"""What to do next: rows to act on in their order, and commands for what was not tested."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import pytest
import rich
import yaml
from hydra import initialize_config_module

from reports import sections, terminal
from reports.analysis.seen import Seen
from reports.text import commands, steps
from reports.text.steps import Untested
from sim.config import words as of_command_line
from sim.errors import InputError
from sim.evidence import RunRecord
from sim.study import compose
from tests.records import make_record
from threats import catalog, register

# by command: what the records of its runs are, and how many hospitals are hostile
STUDIES = {
    "wardround run consortium=heart4 attack=[alie] defense=median seed=7 training.lr=0.05": (
        "table",
        1,
    ),
}
MORE = {
    "wardround compare": ("table", 3),
    "wardround compare consortium=digits model=lenet attacks=[dlg]": ("image", 2),
    "wardround compare consortium=heart4 attacks=[none,alie] defenses=[median] attack.alie.z=1": (
        "table",
        1,
    ),
    "wardround compare consortium=ihc4 model=cnn": ("image", 1),
    "wardround compare consortium=synthetic consortium.n_hospitals=8 seeds=5": ("table", 1),
}
NEED_MORE = {"analytic_inversion", "imprint", "attribute_inference"}  # a model or a field


def untested(command: str, records: Sequence[RunRecord]) -> list[Untested]:
    known = catalog.load()
    threats = sections.threats(register.register(records, known))
    return steps.untested(records, threats, known, {"command": command})


def study(form: str, n_hostile: int) -> list[RunRecord]:
    """Runs with and without an attack, of which nothing is decided."""
    return [
        make_record(attack=a, seed=s, form=form, n_hostile=n_hostile, figures={"auroc": x})
        for a, values in (("none", (0.9, 0.9)), ("alie", (0.89, 0.7)))
        for s, x in enumerate(values)
    ]


def parsed(command: str) -> tuple[list[str], dict[str, list[str]]]:
    """The words of a comparison's command beside its lists, and the lists."""
    wardround, name, *given = shlex.split(command)
    assert (wardround, name) == ("wardround", "compare")
    of_command_line.check(given)
    lists = {"attacks": ["none"], "defenses": ["none"]}
    split = [word.partition("=") for word in given]
    lists |= {key: yaml.safe_load(value) for key, _, value in split if key in lists}
    return [word for word in given if word.partition("=")[0] not in (*lists, "seeds")], lists


def planned(command: str) -> tuple[int, list[str]]:
    """How many experiments a command makes with one seed, and the attacks that it leaves out."""
    overrides, lists = parsed(command)
    cells = compose.cells(lists["attacks"], lists["defenses"], None, overrides)
    made, refused = compose.planned(overrides, cells, [0])
    return len(made), [one.attack for one in refused]


def check_commands(command: str, form: str, n_hostile: int) -> None:
    records = study(form, n_hostile)
    found = untested(command, records)
    together = steps.all_at_once(found, records, {"command": command})
    assert together is not None
    with initialize_config_module("conf", version_base="1.3"):
        n_made, refused = planned(together)
        assert n_made > 20
        assert set(refused) <= NEED_MORE
        alone = [one for one in found if one.command]
        assert len(alone) > 10
        for one in alone:
            assert one.command is not None
            overrides, lists = parsed(one.command)
            assert lists["attacks"] == list(one.attacks)
            if one.install:
                with pytest.raises(
                    InputError, match="the Adversarial Robustness Toolbox, which is not installed"
                ):
                    planned(one.command)
                continue
            assert not set(one.attacks) <= set(refused)
            if one.partly or overrides != parsed(together)[0]:
                assert planned(one.command)[0] > 1, one.command
        (more,) = [step.command for step in steps.act(Seen(records), {"command": command})]
        assert more is not None
        assert "seeds=10" in shlex.split(more)
        assert planned(more)[0] > 0


@pytest.mark.parametrize(("command", "of"), STUDIES.items())
def test_every_command_that_a_page_gives_makes_runs(command: str, of: tuple[str, int]) -> None:
    check_commands(command, *of)


@pytest.mark.parametrize(
    ("given", "expected"),
    [("[median]", "[none,median]"), ("[median,none]", "[median,none]"), ("none", "none")],
)
def test_no_defense_stands_once_in_a_command_that_asks_for_it(given: str, expected: str) -> None:
    command = f"wardround compare defenses={given} seeds=2"
    asked = commands.comparing(command, ["collusion"], undefended=True)
    assert asked is not None
    assert f"defenses={expected}" in shlex.split(asked)


@pytest.mark.slow
@pytest.mark.parametrize(("command", "of"), MORE.items())
def test_commands_of_other_studies_make_runs_too(command: str, of: tuple[str, int]) -> None:
    check_commands(command, *of)


def harmed(attack: str, defenses: Sequence[str]) -> list[RunRecord]:
    """Runs of which harm is shown under each of the defenses."""
    return [
        make_record(attack=a, defense=d, seed=s, figures={"auroc": x})
        for a, x in (("none", 0.9), (attack, 0.5))
        for d in defenses
        for s in range(3)
    ]


@pytest.mark.parametrize(
    ("command", "attack", "expected"),
    [
        (
            "wardround compare attacks=[alie] defenses=[none] attack.alie.z=1 attack.ipm.scale=1",
            "alie",
            "wardround compare attack.alie.z=1 'attacks=[alie]'",
        ),
        (
            "wardround run attack=[alie] seed=4",
            "alie",
            "wardround compare 'attacks=[alie]' seeds=3",
        ),
        (
            "wardround compare attacks=[[backdoor,model_replacement]] seeds=3",
            "backdoor+model_replacement",
            "wardround compare seeds=3 'attacks=[[backdoor,model_replacement]]'",
        ),
    ],
)
def test_where_no_defense_was_tried_a_step_states_it_and_gives_the_command_that_tries_some(
    command: str, attack: str, expected: str
) -> None:
    (step,) = steps.act(Seen(harmed(attack, ["none"])), {"command": command})
    assert step.urgent == "no defense was tried"
    assert step.text.endswith("No defense was run against it.")
    assert step.command == expected
    assert "defenses" not in step.command  # those that a comparison has by itself
    (after,) = steps.act(Seen(harmed(attack, ["none", "wall"])), {"command": command})
    assert after.urgent == "nothing tried is shown to hold it"
    assert after.command is None
    assert "No defense was run" not in after.text


def test_the_terminal_prints_the_command_of_a_step(capsys: pytest.CaptureFixture[str]) -> None:
    ended = terminal.ending(harmed("alie", ["none"]), "wardround compare attacks=[alie]")
    rich.print(ended)
    text = " ".join(capsys.readouterr().out.split())
    assert "(no defense was tried): " in text
    assert "The command: wardround compare 'attacks=[alie]'" in text
