"""Places where plug-ins are named: ``conf/``, and packages that the user of this machine chose.

A package is chosen with ``plugins=[PACKAGE]`` and trusted, because it was named on purpose: in a
process and in the processes that it starts. A message or a file of somebody else can ask for one,
but cannot choose one.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from sim.errors import InputError

CONF = Path(__file__).resolve().parents[1] / "conf"
SELF = "_target_"  # the key of a configuration that names a plug-in's class
CHOSEN = "WARDROUND_PLUGINS"  # environment variable: names of the packages, joined with commas
MOST = 20
OURS = ("sim", "clients", "aggregators", "attacks", "threats", "reports", "conf")


def choose(packages: Iterable[str]) -> None:
    """Trust these packages in this process and in those that it starts."""
    os.environ[CHOSEN] = ",".join(sorted({*chosen(), *packages}))


def chosen() -> tuple[str, ...]:
    """Names of the packages that this process trusts."""
    return tuple(name for name in os.environ.get(CHOSEN, "").split(",") if name)


def require(package: str) -> None:
    """Raise ``InputError`` unless the package was chosen on this machine."""
    if package not in chosen():
        expected = "expected a package that was chosen on this machine with plugins=[PACKAGE]"
        raise InputError("plugins", package, expected)


def hashed(packages: object) -> dict[str, str]:
    """The name of each package with the hash of its source, from names or from such pairs.

    Raises ``InputError`` for a name that is no package of the user, or whose source here has
    another hash.
    """
    given = packages if isinstance(packages, Mapping) else _listed(packages)
    found = {name: source_hash(name) for name in given}
    for name, digest in given.items():
        if digest not in ("", found[name]):
            expected = f"expected {found[name]}, the hash of the package's source here"
            raise InputError(f"plugins.{name}", digest, expected)
    return found


def _listed(packages: object) -> dict[str, str]:
    listed = [] if packages is None else packages
    if (
        not isinstance(listed, (list, tuple))
        or len(listed) > MOST
        or not all(isinstance(name, str) for name in listed)
    ):
        expected = f"expected a list of at most {MOST} names of packages, as in [my_package]"
        raise InputError("plugins", packages, expected)
    return dict.fromkeys(listed, "")


@cache
def source_hash(package: str) -> str:
    """The hash of a package's Python source, 16 hex digits; the package is not imported for it."""
    is_name = re.fullmatch(r"[A-Za-z_]\w*", package, re.ASCII)
    if not is_name or package in OURS or package in sys.stdlib_module_names:
        raise InputError("plugins", package, "expected the name of a package of your own")
    require(package)
    spec = find_spec(package)
    if spec is None or not spec.origin or Path(spec.origin).name != "__init__.py":
        expected = "expected a package with an __init__.py, installed or on PYTHONPATH"
        raise InputError("plugins", package, expected)
    root = Path(spec.origin).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(f"{path.relative_to(root)}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]
