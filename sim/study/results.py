"""The files of a command's folder beside the evidence: configuration, tables and manifest."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import yaml
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig

from sim import evidence, files, titles
from sim.config.guard import FOREIGN
from sim.evidence import RunRecord
from sim.evidence.manifest import manifest
from sim.study.compose import Refused
from sim.types import Node


def place() -> Path:
    """The folder of the current job's results."""
    return Path(HydraConfig.get().runtime.output_dir)


def results_folder() -> Path:
    """The folder of the current job's results, which is made if it is not there."""
    folder = place()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write_config(folder: Path, values: Node) -> None:
    """Write the resolved configuration of a command into its folder."""
    files.replace(folder / "config.yaml", yaml.safe_dump(values, sort_keys=False).encode())


def write_manifest(folder: Path, facts: Mapping[str, object]) -> None:
    """Write the facts about how a folder's evidence was made."""
    files.replace(folder / evidence.MANIFEST, (json.dumps(facts, indent=2) + "\n").encode())


def write_tables(
    command: str,
    folder: Path,
    records: Sequence[RunRecord],
    held: Mapping[str, RunRecord],
    start: float,
    refused: Sequence[Refused] = (),
) -> list[RunRecord]:
    """Write tables and manifest of a folder whose evidence is complete; returns all its records.

    ``command`` repeats it. ``held``: the records of runs of earlier commands, as they were read;
    they stay in the tables. The records that this command made are not read back.
    """
    new = {record.run: record for record in records}
    everything = evidence.ordered({**held, **new}.values())
    evidence.write_tables(folder, everything)
    facts = manifest(command, time.perf_counter() - start)
    runs = [*records, *everything]
    facts["attacks"] = list(dict.fromkeys(record.attack for record in runs))
    facts["defenses"] = list(dict.fromkeys(record.defense for record in runs))
    facts["refused"] = [asdict(cell) for cell in refused]
    facts["titles"] = _titles_of_user(facts["attacks"], facts["defenses"])
    facts["evidence"] = evidence.head(folder)
    write_manifest(folder, facts)
    return everything


def _titles_of_user(attacks: Sequence[str], defenses: Sequence[str]) -> Node:
    """Plain names of choices of the user, from the folder of ``--config-dir``, where there is one.

    A report reads evidence and manifest alone, so that it finds them nowhere else.
    """
    hydra = GlobalHydra.instance()
    sources = hydra.config_loader().get_sources() if hydra.is_initialized() else []
    names = {"attack": attacks, "defense": defenses}
    found: Node = {}
    for folder in (source.path for source in sources if source.provider == FOREIGN):
        found = titles.of_user(Path(folder), names)
    return found
