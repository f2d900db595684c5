"""A folder of configurations that somebody else may have written (``--config-dir``), checked before
Hydra reads any of it.

It offers further choices of the project's groups, ``DIR/GROUP/NAME.yaml``, and nothing else. A file
may set values and choose parts of the project by name. It can neither replace a choice of the
project, nor reach Hydra's own values, nor name a class of anything but the project and the packages
of ``plugins=``.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from sim.config.choices import groups
from sim.config.plain import DEEPEST, LONGEST, MOST_VALUES, NAME, check_references
from sim.errors import InputError, cut
from sim.plugins import CONF, SELF

MOST_FILES, MOST_BYTES = 500, 100_000  # in the folder; of one file
HEADER = re.compile(r"#\s*@package\s+(\S+)\s*$")
FOR_USERS = ("plugins", "hydra")  # keys for the command line alone


def check(folder: str) -> None:
    """Raise ``InputError`` for the first thing in ``folder`` that a folder of configurations may
    not have.
    """
    root, included = Path(folder), dict[str, list[str]]()
    if not root.is_dir():
        raise InputError("--config-dir", root, "expected a folder")
    for number, path in enumerate(_entries(root)):
        if number >= MOST_FILES:
            raise InputError(
                "--config-dir",
                root,
                f"expected a folder of at most {MOST_FILES} files, with configurations only",
            )
        if path.suffix in (".yaml", ".yml"):
            place = f"{path.parent.name}/{path.stem}"
            included[place] = _included(path.parent.name, _check_file(root, path).get("defaults"))
    _check_ends(root, included)


def _included(group: str, defaults: Any) -> list[str]:
    """The choices, ``GROUP/NAME``, that a checked list of defaults puts into its own file; an
    override puts none there.
    """
    found = list[str]()
    for item in defaults or ():
        if isinstance(item, str):
            found.append(f"{group}/{item}")
            continue
        for key, names in item.items():
            if not key.startswith("override"):
                found += [
                    f"{key.lstrip('/')}/{name}"
                    for name in (names if isinstance(names, list) else [names])
                ]
    return found


def _check_ends(root: Path, included: Mapping[str, Sequence[str]]) -> None:
    """Refuse defaults that lead back to their own file. ``included``: the choices of each file of
    the folder.
    """
    ended = set[str]()
    for start in included:
        path = [start]
        waiting = [iter(included[start])]
        while waiting:
            following = next(waiting[-1], None)
            if following is None:
                waiting.pop()
                ended.add(path.pop())
            elif following in path:
                circle = " -> ".join([*path[path.index(following) :], following])
                expected = (
                    f"its defaults lead back to it ({cut(circle)}); expected defaults that end"
                )
                raise InputError("--config-dir", root / f"{following}.yaml", expected)
            elif following in included and following not in ended:
                path.append(following)
                waiting.append(iter(included[following]))


def _entries(root: Path) -> Iterator[Path]:
    """What Hydra can reach by the name of one of the project's groups, and what it would read by
    itself.
    """
    for entry in sorted(os.scandir(root), key=lambda entry: entry.name):
        if entry.name == "hydra":
            raise InputError(
                "--config-dir", root / "hydra", "not offered, because Hydra acts on it"
            )
        yield root / entry.name
        if entry.name not in groups() and _holds_choices(entry):
            raise InputError(
                "--config-dir",
                root / entry.name,
                f"expected DIR/GROUP/NAME.yaml, with GROUP one of {', '.join(groups())}",
            )
        if entry.name in groups():
            if entry.is_symlink() or not entry.is_dir():
                raise InputError(
                    "--config-dir", root / entry.name, "expected a folder, and no link to one"
                )
            yield from sorted(Path(entry.path).iterdir())


def _holds_choices(entry: os.DirEntry[str]) -> bool:
    """Whether Hydra would find choices in a folder, which ``+FOLDER=NAME`` then reads."""
    return entry.is_dir() and any(
        name.endswith((".yaml", ".yml")) for name in os.listdir(entry.path)
    )


def _check_file(root: Path, path: Path) -> dict[str, Any]:
    """What the file holds. Raises ``InputError`` for what no file of the folder may hold."""
    relative = path.relative_to(root)
    if len(relative.parts) != 2 or path.suffix != ".yaml" or not NAME.fullmatch(path.stem):
        raise InputError(
            "--config-dir",
            path,
            f"expected DIR/GROUP/NAME.yaml, with GROUP one of {', '.join(groups())}",
        )
    group = relative.parts[0]
    if (CONF / group / path.name).exists():
        raise InputError(
            "--config-dir",
            path,
            f"expected another name, because {group}={path.stem} is the project's own",
        )
    text = _text(path)
    _check_header(path, group, text)
    top = _loaded(path, text)
    if top is not None and not isinstance(top, dict):
        raise InputError("--config-dir", path, "expected a mapping of keys and values")
    _check_values(path, "", top or {})
    return top or {}


def _text(path: Path) -> str:
    """The text of a regular file of at most ``MOST_BYTES``: nothing else is opened."""
    try:
        found = os.lstat(path)
        if not stat.S_ISREG(found.st_mode) or found.st_size > MOST_BYTES:
            raise InputError(
                "--config-dir",
                path,
                f"expected a regular file (no link) of at most {MOST_BYTES:,} bytes",
            )
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            return file.read(MOST_BYTES + 1).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            "--config-dir", path, f"expected a file in UTF-8 that can be read ({error})"
        ) from error


def _check_header(path: Path, group: str, text: str) -> None:
    """The package that a file states is its own group, or everything."""
    stated = [found[1] for line in text.splitlines() if (found := HEADER.match(line))]
    allowed = (group, f"{group}.{path.stem}", "_global_", "_group_")
    for package in stated:
        if package not in allowed:
            raise InputError(
                "--config-dir",
                path,
                f"states @package {cut(package)}; expected one of {', '.join(allowed)}",
            )
    if len(stated) != len(re.findall(r"@package", text)):
        raise InputError(
            "--config-dir", path, "expected @package only in a line of its own: # @package NAME"
        )


def _loaded(path: Path, text: str) -> Any:
    """What the YAML means. Aliases and tags are refused while it is read, before anything is put
    together.
    """
    depth = count = 0
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            count += 1
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(
                event, yaml.CollectionEndEvent
            )
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                raise InputError(
                    "--config-dir", path, "expected YAML without anchors (&) and aliases (*)"
                )
            if getattr(event, "tag", None):
                raise InputError(
                    "--config-dir",
                    path,
                    f"expected YAML without tags, and has {cut(str(getattr(event, 'tag', '')))}",
                )
            if count > 2 * MOST_VALUES or depth > DEEPEST:
                raise InputError(
                    "--config-dir",
                    path,
                    f"expected at most {MOST_VALUES:,} values and {DEEPEST} levels of nesting",
                )
        return yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        raise InputError(
            "--config-dir",
            path,
            f"expected YAML{where}: {cut(str(getattr(error, 'problem', None) or error))}",
        ) from error


class _Loader(yaml.SafeLoader):
    """Plain values only, and no key twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A mapping. Raises ``ConstructorError`` for a key that is there twice."""
        found = super().construct_mapping(node, deep)
        if len(found) != len(node.value):
            raise yaml.constructor.ConstructorError(
                None, None, "a key that is there twice", node.start_mark
            )
        return found


def _check_values(path: Path, key: str, node: Any) -> None:
    if isinstance(node, dict):
        for name, value in node.items():
            _check_key(path, key, name)
            if name == "defaults" and not key:
                _check_defaults(path, value)
            else:
                _check_values(path, f"{key}.{name}" if key else name, value)
    elif isinstance(node, list):
        for value in node:
            _check_values(path, key, value)
    elif isinstance(node, str):
        if len(node) > LONGEST:
            raise InputError(
                "--config-dir",
                path,
                f"{key} has {len(node)} characters; expected at most {LONGEST:,}",
            )
        check_references(f"--config-dir {path}, {key}", node)


def _check_key(path: Path, key: str, name: Any) -> None:
    if not isinstance(name, str):
        raise InputError(
            "--config-dir",
            path,
            f"has the key {cut(repr(name))} in {key or 'its top'}; expected a text: quote it",
        )
    if name in FOR_USERS and not key:
        raise InputError("--config-dir", path, f"sets {name}, which only the command line can")
    if "." in name or "@" in name or "/" in name or len(name) > LONGEST:
        raise InputError("--config-dir", path, f"has the key {cut(name)}; expected a name")
    if name.startswith("_") and name.endswith("_") and name != SELF:
        raise InputError(
            "--config-dir", path, f"has the key {cut(name)}, which is special to Hydra"
        )


def _check_defaults(path: Path, listed: Any) -> None:
    """A list of ``_self_``, ``GROUP: NAME`` and ``override /GROUP: NAME``, with lists of names
    where several can be chosen.
    """
    if not isinstance(listed, list):
        raise InputError(
            "--config-dir", path, f"has {cut(repr(listed))} for its defaults; expected a list"
        )
    for item in listed:
        # _self_, or another file of the same group
        if isinstance(item, str) and NAME.fullmatch(item):
            continue
        pairs = item.items() if isinstance(item, dict) else [(item, None)]
        for key, value in pairs:
            group = re.sub(r"^(override\s+)?/?", "", key) if isinstance(key, str) else ""
            names = value if isinstance(value, list) else [value]
            if group not in groups() or not all(
                isinstance(name, str) and NAME.fullmatch(name) for name in names
            ):
                raise InputError(
                    "--config-dir",
                    path,
                    f"has {cut(str(item))} among its defaults; expected override /GROUP: NAME",
                )
