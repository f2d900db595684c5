"""Configurations that try to run, read, write or never end, and a program that gives them to the
command under a hook.

``python -m tests.hostile_words FOLDER`` prints one line of JSON for each: exit code, output,
seconds, and what was done.
"""

from __future__ import annotations

import gc
import io
import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import Any

from tests import ROOT

SECRET = "the-value-of-a-variable-that-nobody-may-see"
VARIABLE = "WARDROUND_TEST_SECRET"
CANARY = "CANARY"  # in a word: a path outside the run's folder, which nothing may make
FAST = ("consortium=heart4", "training.rounds=1", "model=logistic")
MAKE = "{_target_: os.mkdir, path: CANARY}"
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [*{old}, *{old}, *{old}, *{old}, *{old}, *{old}, *{old}, *{old}, *{old}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)

WORDS: tuple[str, ...] = (
    # a node that names something to call, at any depth, under any key
    "explain aggregator.weighting={_target_: os.getcwd}",
    f"explain aggregator.weighting={MAKE}",
    f"run model=mlp model.hidden=[{MAKE}]",
    f"run model=mlp model.hidden=[[[{MAKE}]]]",
    f"run consortium.leave_out=[{{x: {MAKE}}}]",
    f"run consortium.sites.va={MAKE}",
    f"run ++consortium.sites={{va: 1, x: {MAKE}}}",
    f"run attack=[sign_flip] attack.sign_flip.scale={MAKE}",
    (
        "run attack=[sign_flip] attack.sign_flip.scale={_target_: sympy.sympify, a:"
        " \"__import__('os').mkdir('CANARY')\"}"
    ),
    "run dp=record dp.delta={_target_: builtins.eval, _args_: [\"open('CANARY', 'w')\"]}",
    "run aggregator._target_=os.mkdir ++aggregator.path=CANARY ~aggregator.weighting",
    "run aggregator._target_=builtins.exec",
    "run aggregator._target_=antigravity.geohash",
    "run aggregator._target_=subprocess.run ++aggregator.args=[touch,CANARY]",
    "run ++aggregator._args_=[CANARY]",
    "run ++aggregator._partial_=true",
    "run ++aggregator._recursive_=true",
    "run ++aggregator._convert_=all",
    "run ++aggregator.__class__=x",
    "run ++attack.evil={_target_: os.mkdir, path: CANARY}",
    "run ++steps.evil={_target_: subprocess.run, args: [touch, CANARY]}",
    f"run ++server_optimizer={MAKE}",
    f"run ++model={MAKE}",
    "run ++secagg._target_=os.system ++secagg.command='touch CANARY'",
    f"run ++training={MAKE}",
    f"run ++training.rounds={MAKE}",
    "run ++server._target_=os.mkdir",
    f"run adversary.n_hostile={MAKE}",
    f"run seed={MAKE}",
    f"run ++defense.name={MAKE}",
    "run consortium._target_=sim.datasets.table.Table",
    "run aggregator._target_=aggregators.checks.refusal",
    "run aggregator._target_=aggregators.rules.median.np.save",
    "run aggregator._target_=sim.study.run.get_object",
    "run model._target_=clients.dp_sgd.RecordDP",
    "run aggregator._target_=.os.system",
    "run aggregator._target_=os.\uff53ystem",
    "run aggregator._target_=[os.system]",
    f"compare attacks=[{MAKE}] defenses=[none] workers=1",
    f"explain attacks=[sign_flip] attack.sign_flip.scale=[[{MAKE}]]",
    "run -m seed=0,1 ++aggregator.x={_target_: os.getcwd}",
    "run plugins=[os]",
    "run plugins=[../x]",
    "run plugins=[antigravity] aggregator._target_=antigravity.geohash",
    # what Hydra itself acts on
    f"run +hydra.callbacks.x={MAKE}",
    f"run ++hydra.callbacks={{x: {MAKE}}}",
    "run +hydra/callbacks=evil",
    "run hydra/job_logging=default",
    "run hydra/hydra_logging=default",
    "run ++hydra.job_logging.handlers.file={class: logging.FileHandler, filename: CANARY}",
    "run hydra.job_logging.root.handlers=[file]",
    "run ++hydra.job.env_set.HYDRA_DISABLE=1",
    f"run hydra.job.env_copy=[{VARIABLE}]",
    "run hydra.job.chdir=true",
    "run hydra.job.name=../x",
    "run hydra.output_subdir=CANARY",
    "run hydra.mode=MULTIRUN",
    "run hydra.verbose=true",
    "run hydra/launcher=joblib -m seed=0,1",
    "run hydra.launcher._target_=os.mkdir -m seed=0,1",
    "run hydra/sweeper=evil",
    "run hydra.sweeper._target_=os.mkdir -m seed=0,1",
    "run +hydra.sweeper.params={seed: '0,1'} -m",
    "run hydra.searchpath=[file://FOLDER]",
    "run hydra.searchpath=[pkg://os]",
    "run ~hydra.run",
    "run ~hydra",
    "run hydra={}",
    "run HYDRA.run.dir=x",
    "run hydra/env=default",
    "run hydra@x=y",
    "run hydra/help=default --help",
    "run hydra.help.template=x --help",
    "run hydra.run.dir={_target_: os.mkdir}",
    "run \uff48ydra.callbacks.x=1",
    "run hydra\uff0ecallbacks=1",
    "run hydra\u200b.callbacks=1",
    "run ++ hydra.callbacks=1",
    "run +++hydra.callbacks=1",
    "run --config-dir pkg://os",
    "run --config-dir /dev/stdin",
    "run --experimental-rerun=FOLDER/evil.pickle",
    "run --experimental-re=FOLDER/evil.pickle",
    "run --experimental=FOLDER/evil.pickle",
    "run --config-path FOLDER",
    "run -cp FOLDER",
    "run --config-name ../evil",
    "run -cn evil",
    "run --config-d FOLDER",
    "run --shell-completion install=bash",
    "run -sc install=bash",
    "run --info",
    "run --hydra-help",
    "run --package hydra --cfg all",
    # names that are paths, or that put a part elsewhere
    "run attack=['../consortium/heart4']",
    "run attack=[../consortium/heart4]",
    "run attack=../consortium/heart4",
    "run 'attack=/etc/passwd'",
    "run defense=../model/mlp",
    "run consortium='../attack/none'",
    "run steps=['../../evil']",
    "run model=.",
    "run attack=[sign_flip.yaml]",
    "run attack=['sign_flip@hydra.callbacks']",
    "run attack@hydra.callbacks=sign_flip",
    "run +attack@training=sign_flip",
    "run +consortium@attack.x=heart4",
    "run defense@_global_=none",
    "run attack/../consortium=heart4",
    "run attack=${defense.name}",
    "run attack=[sign_flip] ~attack.sign_flip",
    "run attack=[sign_flip] attack.sign_flip=null",
    "compare attacks=['../consortium/heart4'] defenses=[none] workers=1",
    "compare attacks=[[sign_flip,'../consortium/heart4']] defenses=[none] workers=1",
    "compare attacks=[none] defenses=['../model/mlp'] workers=1",
    "compare attacks=[none] defenses=['median+../model/mlp'] workers=1",
    "run -m attack=choice(none,'../consortium/heart4')",
    "run -m attack=[none],[../consortium/heart4]",
    "run -m attack=choice(\"'../consortium/heart4'\")",
    "run defense.name=../../CANARY",
    "run ++plugins.sim=1",
    "list ../attack",
    # values that read what is outside
    f"run device=${{oc.env:{VARIABLE}}}",
    f"run device=$\\{{oc.env:{VARIABLE}\\}}",
    f"run 'device=\"${{oc.env:{VARIABLE}}}\"'",
    f"run attack=[backdoor] attack.backdoor.mark=${{oc.env:{VARIABLE}}}",
    f"run ++defense.name=${{oc.env:{VARIABLE},x}}",
    f"run ++defense.name=${{oc.decode:${{oc.env:{VARIABLE}}}}}",
    f"run defense.name=a${{oc.env:{VARIABLE}}}b",
    "run defense.name=${oc.create:{a: 1}}",
    "run defense.name=${oc.select:hydra.runtime.cwd}",
    "run defense.name=${oc.dict.keys:training}",
    "run defense.name=${hydra:runtime.cwd}",
    "run defense.name=${hydra.runtime.cwd}",
    "run defense.name=${now:%Y}",
    "run defense.name=${python_version:}",
    "run defense.name=${${device}}",
    "run defense.name=${training}",
    "run defense.name='${device}${device}'",
    f"run hydra.run.dir=${{oc.env:{VARIABLE}}}",
    "run hydra.run.dir=${hydra:runtime.cwd}/x",
    "run hydra.run.dir=${hydra.runtime.config_sources}",
    f"run -m seed=0,1 hydra.sweep.subdir=${{oc.env:{VARIABLE}}}",
    f"run -m device=cpu,${{oc.env:{VARIABLE}}}",
    f"compare attacks=[${{oc.env:{VARIABLE}}}] defenses=[none] workers=1",
    f"run --cfg job --resolve defense.name=${{oc.env:{VARIABLE}}}",
    f"run --help --resolve defense.name=${{oc.env:{VARIABLE}}}",
)

NODE = "_target_: attacks.byzantine.zero.Zero\n"
EVIL = "_target_: os.mkdir\npath: CANARY\n"
OWN = "# @package attack.evil\n"
GLOBAL = "# @package _global_\n"
# case: what the folder of --config-dir holds
FILES: dict[str, dict[str, str | bytes | Callable[[Path], None]]] = {
    "target of a plug-in": {"attack/evil.yaml": f"{OWN}{EVIL}"},
    "target in a parameter": {"attack/evil.yaml": f"{OWN}{NODE}of: {MAKE}\n"},
    "target in a list in a list": {"attack/evil.yaml": f"{OWN}{NODE}of: [[{MAKE}]]\n"},
    "another kind": {"attack/evil.yaml": OWN + "_target_: aggregators.rules.mean.Mean\n"},
    "special key": {"attack/evil.yaml": f"{OWN}{NODE}_args_: [CANARY]\n"},
    "callbacks": {"attack/evil.yaml": f"{GLOBAL}hydra:\n  callbacks:\n    x: {MAKE}\n"},
    "callbacks by package": {"attack/evil.yaml": f"# @package hydra.callbacks.x\n{EVIL}"},
    "package in the first line of two": {
        "attack/evil.yaml": f"{OWN}# @package hydra.callbacks.x\n{EVIL}",
    },
    "package after another line end": {
        "attack/evil.yaml": f"# x\u2028# @package hydra.callbacks.x\n{EVIL}",
    },
    "package of training": {"attack/evil.yaml": "# @package training\nlr: 100\n"},
    "environment": {"attack/evil.yaml": GLOBAL + "hydra:\n  job:\n    env_set: {X: '1'}\n"},
    "primary configuration": {"config.yaml": f"hydra:\n  callbacks:\n    x: {MAKE}\n"},
    "folder of Hydra": {"hydra/launcher/basic.yaml": EVIL},
    "logging of Hydra": {"hydra/job_logging/none.yaml": "root: null\n"},
    "defaults with Hydra": {
        "attack/evil.yaml": GLOBAL + "defaults:\n  - override /hydra/job_logging: default\n",
    },
    "defaults with a path": {
        "attack/evil.yaml": GLOBAL + "defaults:\n  - /attack: ../consortium/heart4\n",
    },
    "defaults with a package": {
        "attack/evil.yaml": "defaults:\n  - /defense@hydra.callbacks: none\n",
    },
    "defaults with a reference": {"attack/evil.yaml": "defaults:\n  - /defense: ${oc.env:X}\n"},
    "defaults of another form": {"attack/evil.yaml": "defaults: {a: 1}\n"},
    "search path": {"attack/evil.yaml": GLOBAL + "hydra:\n  searchpath: [file:///tmp]\n"},
    "packages": {"attack/evil.yaml": GLOBAL + "plugins: [antigravity]\n"},
    "variable": {"attack/evil.yaml": f"{OWN}{NODE}of: ${{oc.env:{VARIABLE}}}\n"},
    "name of the project": {"defense/median.yaml": GLOBAL + "defense:\n  name: median\n"},
    "no attack": {"attack/evil.yaml": "# @package attack\n{}\n"},
    "object": {"attack/evil.yaml": f"{OWN}{NODE}of: !!python/object/apply:os.mkdir [CANARY]\n"},
    "path by tag": {
        "attack/evil.yaml": f"{NODE}of: !!python/object/apply:pathlib.PosixPath [CANARY]\n",
    },
    "binary by tag": {"attack/evil.yaml": f"{NODE}of: !!binary aGVsbG8=\n"},
    "aliases": {"attack/evil.yaml": BOMB},
    "merge key": {"attack/evil.yaml": "a: &a {x: 1}\nb:\n  <<: *a\n"},
    "references that double": {
        "attack/evil.yaml": OWN + NODE + "a0: {x: 1}\n"
        + "".join(
            f"a{n + 1}: {{x: '${{attack.evil.a{n}}}', y: '${{attack.evil.a{n}}}'}}\n"
            for n in range(39)
        )
    },
    "deep": {"attack/evil.yaml": "a: " + "[" * 5_000 + "]" * 5_000},
    "large": {"attack/evil.yaml": lambda path: os.truncate(path, 10**9)},
    "many values": {"attack/evil.yaml": "a: [" + "1," * 20_000 + "]"},
    "long key": {"attack/evil.yaml": "? " + "k" * 5_000 + "\n: 1\n"},
    "pipe": {"attack/evil.yaml": lambda path: (path.unlink(), os.mkfifo(path))[1]},
    "link": {"attack/evil.yaml": lambda path: (path.unlink(), path.symlink_to("/etc/passwd"))[1]},
    "link of a folder": {
        "x": lambda path: (path.unlink(), (path.parent / "attack").symlink_to("/etc"))[1],
    },
    "folder as a file": {"attack/evil.yaml": lambda path: (path.unlink(), path.mkdir())[1]},
    "malformed": {"attack/evil.yaml": "a: [1\nb: }"},
    "tabs": {"attack/evil.yaml": "a:\n\t- 1\n"},
    "no text": {"attack/evil.yaml": b"\xff\xfe\x00\x01"},
    "null bytes": {"attack/evil.yaml": b"a: \x00\n"},
    "no mapping": {"attack/evil.yaml": "- 1\n- 2\n"},
    "number as a key": {"attack/evil.yaml": OWN + "1: 2\n"},
    "huge number": {"attack/evil.yaml": OWN + "x: " + "9" * 5_000},
    "two ends": {"attack/evil.yaml": "a: 1\n---\nb: 2\n"},
    "another ending": {"attack/evil.yml": NODE},
    "choices of a comparison": {"attack/evil.yaml": GLOBAL + "attacks: ['../consortium/heart4']\n"},
    "itself": {"attack/evil.yaml": GLOBAL + "defaults: [evil]\n"},
    "itself by its group": {"attack/evil.yaml": GLOBAL + "defaults: [{/attack: [evil]}]\n"},
    "two that lead to each other": {
        "attack/evil.yaml": "defaults: [b]\n",
        "attack/b.yaml": "defaults: [evil]\n",
    },
    "a circle across groups": {
        "attack/evil.yaml": "defaults: [{/model: m}]\n",
        "model/m.yaml": "defaults: [{/attack: evil}]\n",
    },
    "a circle beside what is chosen": {
        "attack/evil.yaml": NODE, "attack/a.yaml": "defaults: [a]\n",
    },
    "a circle of 400": {
        "attack/evil.yaml": "defaults: [n0]\n",
        **{f"attack/n{n}.yaml": f"defaults: [n{(n + 1) % 400}]\n" for n in range(400)},
    },
    "a text for defaults": {"attack/evil.yaml": "defaults: evil\n"},
    "reference to itself": {"attack/evil.yaml": f"{OWN}{NODE}of: ${{attack.evil.of}}\n"},
    "reference to its parent": {"attack/evil.yaml": f"{OWN}{NODE}of: ${{attack}}\n"},
    "optional defaults": {"attack/evil.yaml": GLOBAL + "defaults: [{optional /attack: evil}]\n"},
    "a list of attacks": {"attack/evil.yaml": GLOBAL + "attack: [1, 2]\n"},
    "missing value": {"attack/evil.yaml": f"{OWN}{NODE}of: ???\n"},
    "boolean as a key": {"attack/evil.yaml": OWN + "on: 1\n"},
    "no number": {"attack/evil.yaml": f"{OWN}{NODE}of: .nan\n"},
    "brackets": {"attack/evil.yaml": "[" * 99_000},
    "question marks": {"attack/evil.yaml": "? " * 49_000},
    "folder in a group": {"attack/sub/evil.yaml": NODE},
}  # fmt: skip

WRONG: tuple[str, ...] = (
    # numbers that nothing can compute with
    "run training.lr=1e308",
    "run training.lr=1e38",
    "run training.proximal=1e300",
    "run attack=[sign_flip] attack.sign_flip.scale=1e308",
    "run attack=[sign_flip] attack.sign_flip.scale=-1e308",
    "run aggregator=centered_clipping aggregator.tau=1e308",
    "run dp=record dp.max_grad_norm=1e300",
    "run seed=999999999999999999999999999999",
    "run seed=" + "9" * 5_000,
    "run seed=1e400",
    "run training.lr=1e-400",
    # sizes that never end, or fit nowhere
    "run consortium=synthetic consortium.n_hospitals=100000000",
    "run consortium=synthetic consortium.n_records=10000000000",
    "run consortium=synthetic consortium.n_features=1000000000",
    "run consortium.sites.va=100000000",
    "run consortium=digits consortium.n_hospitals=100000000",
    "run consortium=breast8 consortium.n_hospitals=100000000",
    "run training.local_steps=100000000000",
    "run training.local_epochs=100000000000",
    "run training.batch_size=100000000000",
    "run training.rounds=100000000000",
    "run training.rounds=100000 training.local_steps=1000000",
    "run dp=record training.local_steps=1000000 training.rounds=1000",
    "run model=mlp ++model.hidden=[1000000000]",
    "run model=mlp model.hidden=[1000000000000,1000000000000]",
    "run model=mlp model.hidden=[99999999999999999999999]",
    "run model=mlp model.hidden=[" + ",".join(["1"] * 60) + "]",
    "run model=mlp model.hidden=[" + ",".join(["1"] * 4_000) + "]",
    "compare attacks=[none] defenses=[none] workers=1 adversary.n_hostile=["
    + ",".join(map(str, range(100_000)))
    + "]",
    "compare attacks=[none] defenses=[none] workers=1 seeds=1000000000",
    (
        "compare attacks=[sign_flip,alie,ipm,zero,random] defenses=[median,krum,mean,rfa] workers=1"
        " seeds=10000"
    ),
    "run -m seed=range(0,100000000000)",
    "run -m seed=range(0,1000) training.rounds=range(1,1000)",
    "run -m seed=shuffle(range(0,100000000000))",
    "run defense.name=" + "x" * 100_000,
    "run attack=" + "x" * 3_000,
    "run training.lrr=" + "9" * 3_000,
    "run " + "x" * 3_000 + "=1",
    "run ++attack={" * 1 + "{a: " * 2_000 + "1" + "}" * 2_001,
    "run training.lr=" + "[" * 3_000 + "]" * 3_000,
    "run " + " ".join(["training.lr=1"] * 1_000),
    # parts of other kinds, and other types
    "run model._target_=aggregators.rules.mean.Mean",
    "run aggregator._target_=attacks.byzantine.zero.Zero",
    "run aggregator._target_=aggregators.steps.nnm.Nnm",
    "run steps=[clip] steps.clip._target_=aggregators.rules.mean.Mean",
    "run consortium._target_=sim.models.mlp.MLP",
    "run model=mlp model.hidden=5",
    "run model=mlp model.hidden=[true]",
    "run model=mlp model.hidden={a: 1}",
    "run consortium.sites=5",
    "run attack=[backdoor] attack.backdoor.mark=[1]",
    "run aggregator.weighting=[uniform]",
    "run ++aggregator.about=x",
    "run ++attack={sign_flip: 3}",
    "run ++attack.sign_flip=3",
    "run ++steps=[1,2]",
    "run ++attack.x={}",
    "run ++defense=3",
    "run ++training=null",
    "run ~model",
    # audits
    "audit audit.canaries=nan",
    "audit audit.canaries=1000000",
    "audit audit.canaries=10 audit.guesses=11",
    f"audit audit.hospital={MAKE}",
    "audit audit.hospital=<script>",
    "audit audit=null",
    "audit ~audit",
    "audit ++audit._target_=os.mkdir",
    "audit audit.canaries=10 seeds=1000000",
    "audit audit.canaries=10 attack=[sign_flip]",
    "audit audit.canaries=10 dp=hospital",
    # privacy of whole updates, and several mechanisms
    "run dp=hospital dp.clip=0",
    f"run dp=hospital dp.clip={MAKE}",
    "run dp=hospital dp.delta=0.25",
    "run dp=hospital dp.quantile=1",
    "run dp=hospital dp.noise=distributed secagg=protocol dp.honest=0",
    "run dp=hospital dp.noise=distributed secagg=protocol dp.honest=0.1",
    "run dp=local dp.delta=0.3",
    "run dp=record_hospital dp.record._target_=clients.hospital_dp.HospitalDP",
    f"run dp=record_local ++dp.local={MAKE}",
    "run server.on_spent=[end]",
    "run policy.no_imprint=3",
    "run policy.hospitals=[nope]",
    "run secagg=protocol secagg.one_sum=null",
    # attacks that would never end, or have nothing to work on
    "run attack=[lira] attack.lira.models=100000",
    "run attack=[lira] attack.lira.models=1000 training.rounds=100000 model=mlp",
    "run attack=[lira] attack.lira.models=1024 model=mlp model.hidden=[3000,3000]",
    "run attack=[fedmia] secagg=sum",
    "run attack=[tableak] attack.tableak.ensemble=1000000",
    "run attack=[property_inference] attack.property_inference.known=1",
    "run attack=[attribute_inference] attack.attribute_inference.field=nope",
    "run attack=[evasion] attack.evasion.steps=1000000",
    "run attack=[extraction] attack.extraction.epochs=1000000",
    "run attack=[extraction] attack.extraction.queries=1000000",
    # a sweep with one wrong job; words that Hydra cannot read; commands that are none
    "run -m seed=0,x",
    "run -m training.rounds=1,0",
    "run -m attack=none,nope",
    "compare -m seed=0,x attacks=[none] defenses=[none] workers=1",
    "run -m seed=0,1 hydra/launcher=lockstep training.rounds=1,x",
    "compare -m seed=0,1 hydra/launcher=lockstep attacks=[none] defenses=[none] workers=1",
    "run hydra.run.dir=/tmp/a=b",
    "run hydra.run.dir=/tmp/käse",
    "run hydra.run.dir=",
    "run training.lr=\x00",
    "run training.lr=\x1b[31m",
    "run training.lr=",
    "run =1",
    "run ==",
    "run ++=1",
    "runn",
    "compar attacks=[none]",
    "lst",
    "repot x",
)


def names() -> list[tuple[str, str]]:
    """Kind and name of every case."""
    wrong = [("wrong", f"{number} {line[:60]}") for number, line in enumerate(WRONG)]
    return [("hostile", line) for line in WORDS] + wrong + [("file", name) for name in FILES]


def split(line: str) -> list[str]:
    """Words of a line, separated by one space before a key or a flag."""
    words = list[str]()
    for part in line.split(" "):
        starts = not words or part.startswith(("-", "~")) or "=" in part.split("{")[0]
        if starts or (len(words) == 1 and "=" not in line):
            words.append(part.strip("'") if part.startswith("'") else part)
        else:
            words[-1] += f" {part}"
    return words


class Watch:
    """What Python's audit events report while it is on: code made or run, files written, processes,
    sockets.
    """

    ALONE = (
        "os.system",
        "os.exec",
        "os.posix_spawn",
        "os.spawn",
        "os.mkdir",
        "os.remove",
        "os.rename",
        "os.link",
        "os.symlink",
    )
    PREFIXES = ("socket.", "subprocess.", "ctypes.", "shutil.", "pickle.", "webbrowser.", "urllib.")

    def __init__(self) -> None:
        self.on = False
        self.seen = list[str]()
        self.ours = tuple(
            {
                sys.prefix,
                sys.base_prefix,
                str(Path(os.__file__).parent),
                str(ROOT),
            }
        )
        sys.addaudithook(self)

    def __call__(self, event: str, values: tuple[Any, ...]) -> None:
        if self.on and self._forbidden(event, values):
            self.seen.append(f"{event} {values}"[:200])

    def _forbidden(self, event: str, values: tuple[Any, ...]) -> bool:
        if event == "open":
            mode, flags = values[1], values[2]
            return bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)) or (
                isinstance(mode, str) and mode[0] in "wax"
            )
        caller = sys._getframe(2).f_globals.get("__name__") if event in ("exec", "compile") else ""
        if caller in ("typing", "dataclasses") or (event == "compile" and caller == "ast"):
            return False  # an annotation or a method of a class of ours; a text that is not run
        if event == "exec":
            return not str(values[0].co_filename).startswith((*self.ours, "<frozen"))
        if event == "compile":
            return not os.fsdecode(values[1] or "").startswith(self.ours)
        return event in self.ALONE or event.startswith(self.PREFIXES)


def entries(folder: Path) -> list[tuple[str, str, list[str]]]:
    """Kind, name and words of every case; the folders of ``--config-dir`` are made here."""
    canary = str(folder / "canary")
    made = [(*name, split(line)) for name, line in zip(names(), (*WORDS, *WRONG), strict=False)]
    for name, files in FILES.items():
        place = folder / "given" / name.replace(" ", "-")
        for path, content in files.items():
            file = place / path
            file.parent.mkdir(parents=True, exist_ok=True)
            data = (
                b""
                if callable(content)
                else content.encode()
                if isinstance(content, str)
                else content
            )
            file.write_bytes(data.replace(b"CANARY", canary.encode()))
            if callable(content):
                content(file)
        made.append(("file", name, ["run", "--config-dir", str(place), "attack=[evil]"]))
    (folder / "evil.pickle").write_bytes(b"cos\nmkdir\n(V" + canary.encode() + b"\ntR.")
    (folder / "evil.yaml").write_text(f"x: {MAKE}".replace(CANARY, canary))
    replaced = [
        (kind, name, [w.replace("FOLDER", str(folder)).replace(CANARY, canary) for w in words])
        for kind, name, words in made
    ]
    return [(kind, name, [words[0], *_fast(words), *words[1:]]) for kind, name, words in replaced]


def _fast(words: list[str]) -> list[str]:
    """Overrides that make a run small, where the case does not state them itself."""
    if words[0] not in ("run", "compare", "explain", "audit"):
        return []
    return [
        word
        for word in FAST
        if not any(own.lstrip("+~").startswith(word.split("=")[0] + "=") for own in words)
    ]


def main(folder: Path) -> None:
    """Give all cases to the command in this process, after it has loaded all that it loads."""
    from sim import kinds
    from sim.cli import command

    os.environ[VARIABLE] = SECRET
    (folder / "run").mkdir()
    os.chdir(folder / "run")
    for module in (
        "sim.cli.listing",
        "sim.cli.explain",
        "sim.cli.tasks",
        "sim.cli.audit",
        "reports.page",
        "reports.sweeps",
    ):
        import_module(module)  # which commands load when they need them
    cases, watch = entries(folder), Watch()
    with redirect_stdout(io.StringIO()):
        command.main(["explain", *FAST])
        command.main(["explain", *FAST, "dp=record_hospital"])
        for group in kinds.GROUPS:
            for target in kinds.targets(group):
                assert kinds.find(f"{group}.x", target).__name__ in target
    for kind, name, words in cases:
        out, err, watch.seen = io.StringIO(), io.StringIO(), list[str]()
        start, worked = time.perf_counter(), time.process_time()
        with redirect_stdout(out), redirect_stderr(err):
            watch.on = True
            try:
                code: Any = command.main(words)
            except BaseException as error:
                code = repr(error)
            watch.on = False
        seconds = {"wall": time.perf_counter() - start, "cpu": time.process_time() - worked}
        left = sorted(str(path) for path in Path().rglob("*"))
        for path in Path().iterdir():
            shutil.rmtree(path)
        printed = {"out": out.getvalue(), "err": err.getvalue(), "seen": watch.seen, "left": left}
        more = {"seconds": seconds, "canary": (folder / "canary").exists()}
        print(json.dumps({"kind": kind, "name": name, "code": code} | printed | more), flush=True)


if __name__ == "__main__":
    gc.set_threshold(20_000)  # Python's search for garbage, as in tests/conftest.py
    main(Path(sys.argv[1]))
