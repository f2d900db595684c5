"""Config node -> object, for our own packages only."""

from collections.abc import Mapping
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate

from sim.errors import InputError

OURS = ("aggregators.", "attacks.", "clients.", "sim.")


def build(key: str, node: Mapping[str, Any]) -> Any:
    """Make the object that ``node`` describes; ``key`` names the node in an error.

    Raises ``InputError`` for a ``_target_`` outside this project, an unknown or missing parameter, or a refused value.
    """
    target = str(node.get("_target_", ""))
    if not target.startswith(OURS):
        raise InputError(f"{key}._target_", target or None, f"expected a name starting with {', '.join(OURS)}")
    try:
        return instantiate(dict(node), _convert_="all")
    except InstantiationException as error:
        raise _as_input_error(key, node, error) from error


def _as_input_error(key: str, node: Mapping[str, Any], error: Exception) -> InputError:
    cause = error.__cause__
    if isinstance(cause, InputError):
        return InputError(f"{key}.{cause.key}", cause.value, cause.expected)
    parameters = {name: value for name, value in node.items() if name != "_target_"}
    reason = str(cause or error).splitlines()[0]
    return InputError(key, parameters, reason)
