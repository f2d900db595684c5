"""Configurations as Hydra composes them, with the files of each choice composed once in a process.

Hydra takes a tenth of a second for the files that words choose, and little for the values that they
set, so that words with other values start from what is composed. Each file of a package is read
once for all.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Sequence
from copy import copy
from dataclasses import replace
from functools import cache, lru_cache

from hydra import compose
from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra._internal.config_repository import ConfigRepository
from hydra._internal.core_plugins.importlib_resources_config_source import (
    ImportlibResourcesConfigSource,
)
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import ConfigCompositionException
from hydra.plugins.config_source import ConfigResult, ConfigSource
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from sim.config.copies import copied
from sim.plugins import CONF

OWN_FOLDERS = ("hydra.run.dir", "hydra.sweep.dir")  # the values of Hydra that change no other one
OF_HYDRA = "hydra/"  # what the groups of Hydra's own part begin with
# words that take away the files of Hydra's own part, where nobody needs it
WITHOUT_HYDRA = tuple(
    f"~{OF_HYDRA}{group}"
    for group in (
        *("help", "hydra_help", "hydra_logging", "job_logging"),
        *("launcher", "output", "sweeper"),
    )
)


def composed(config_name: str, words: Sequence[str], *, with_hydra: bool = False) -> DictConfig:
    """The configuration that ``hydra.compose`` makes of these words; Hydra must be initialized.

    ``with_hydra``: with Hydra's own part. Raises Hydra's errors.
    """
    source = places(words)
    parsed = [_parsed(word) for word in words]
    if isinstance(source, tuple) and all(_is_plain(one) for one in parsed):
        chosen = tuple(_line(one) for one in parsed if _chooses(one))
        config = _of_choices(source, config_name, chosen, with_hydra)
        if _has_set(config, [one for one in parsed if not _chooses(one)]):
            return _noted(config, parsed) if with_hydra else config
    reading_once(GlobalHydra.instance().config_loader())
    return compose(config_name, overrides=list(words), return_hydra_config=with_hydra)


def places(words: Sequence[str]) -> Hashable:
    """The places that Hydra composes from, if all are in packages, whose files stay as they are.

    A folder of the user may hold other files in the next command, which has another loader: then it
    is that loader.
    """
    loader = GlobalHydra.instance().config_loader()
    found = tuple(str(one.path) for one in loader.get_search_path().get_path())
    in_packages = all(place.startswith(("pkg://", "structured://")) for place in found)
    more = any("searchpath" in word for word in words)
    return found if in_packages and not more else loader


@lru_cache(maxsize=1024)
def _parsed(word: str) -> Override:
    """An override as Hydra reads it. Nobody may edit it."""
    (one,) = OverridesParser.create().parse_overrides([word])
    return one


def _of_choices(
    source: Hashable, config_name: str, choices: tuple[str, ...], with_hydra: bool
) -> DictConfig:
    """The configuration of the words that choose files, for the caller to edit."""
    if not with_hydra and not any(OF_HYDRA in word for word in choices):
        return copied(_made(source, config_name, (*choices, *WITHOUT_HYDRA), False))
    config = copied(_made(source, config_name, choices, True))
    if not with_hydra:
        with open_dict(config):
            del config["hydra"]
    return config


@lru_cache(maxsize=256)
def _made(
    _source: Hashable, config_name: str, choices: tuple[str, ...], with_hydra: bool
) -> DictConfig:
    """The configuration that Hydra composes. Nobody may edit it."""
    reading_once(GlobalHydra.instance().config_loader())
    return compose(config_name, overrides=list(choices), return_hydra_config=with_hydra)


def reading_once(loader: ConfigLoader) -> ConfigLoader:
    """The loader, which reads each file of a package once in a process from here on."""
    assert isinstance(loader, ConfigLoaderImpl)
    if not isinstance(loader.repository, ReadOnceRepository):
        loader.repository = ReadOnceRepository(loader.repository)
    return loader


class ReadOnceRepository(ConfigRepository):
    """The sources of files of another repository; a package's files are read once in a process.

    Hydra copies its repository for each composition to put in other sources. A copy of this one
    has the same sources, for nothing is done with them but reading: not all of what Hydra stores.
    """

    def __init__(self, repository: ConfigRepository) -> None:
        self.sources = [_reading_once(one) for one in repository.get_sources()]

    def __deepcopy__(self, _memo: object) -> ReadOnceRepository:
        return copy(self)


class ReadOnce(ImportlibResourcesConfigSource):
    """A package as a source of files, each of which is read once in a process."""

    def load_config(self, config_path: str) -> ConfigResult:
        """The file with this name; nothing that is done with it reaches the next one."""
        found = _read(self.provider, self.full_path(), config_path)
        return replace(found, config=copied(found.config), header=dict(found.header))


def _reading_once(source: ConfigSource) -> ConfigSource:
    is_to_read = source.scheme() == ReadOnce.scheme() and not isinstance(source, ReadOnce)
    return ReadOnce(source.provider, source.full_path()) if is_to_read else source


@cache
def _read(provider: str, place: str, config_path: str) -> ConfigResult:
    return ImportlibResourcesConfigSource(provider, place).load_config(config_path)


def _is_plain(one: Override) -> bool:
    """Whether an override does no more than choose a file or set a value of the configuration."""
    of_hydra = one.is_hydra_override() and one.key_or_group not in OWN_FOLDERS
    return not one.is_sweep_override() and one.package is None and (not of_hydra or _chooses(one))


def _chooses(one: Override) -> bool:
    """Whether an override chooses a file, or takes a choice away; others set a value."""
    key = one.key_or_group
    is_group = key.startswith("hydra/") or (CONF / key).is_dir()
    return is_group and not isinstance(one.value(), dict)


def _has_set(config: DictConfig, values: list[Override]) -> bool:
    """Set these values in the configuration; False where Hydra refuses one, for its own reason."""
    try:
        ConfigLoaderImpl._apply_overrides_to_config(values, config)
    except (ConfigCompositionException, OmegaConfBaseException):
        return False
    return True


def _noted(config: DictConfig, parsed: Sequence[Override]) -> DictConfig:
    """The configuration with all words in Hydra's own part, in their order."""
    own = [one for one in parsed if not one.is_hydra_override()]
    with open_dict(config.hydra):
        config.hydra.overrides.hydra = [_line(one) for one in parsed if one.is_hydra_override()]
        config.hydra.overrides.task = [_line(one) for one in own]
        config.hydra.runtime.cwd = os.getcwd()
        config.hydra.job.override_dirname = _folder_name(config, own)
    return config


def _folder_name(config: DictConfig, own: list[Override]) -> str:
    how = OmegaConf.to_container(config.hydra.job.config.override_dirname)
    assert isinstance(how, dict)
    return get_overrides_dirname(own, how["exclude_keys"], how["item_sep"], how["kv_sep"])


def _line(one: Override) -> str:
    assert one.input_line is not None
    return one.input_line
