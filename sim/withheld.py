"""Words of errors that may quote a record are not shown unless the data are known to be public."""

from __future__ import annotations

import re

FAILED = "the hospital's app failed: "  # starts a reason with the words of a hospital's own error
NOT_SHOWN = (
    "its message is not shown, for it may quote records, and the data are not known to be public"
)
KIND = re.compile(r"([A-Za-z_]\w{0,60})\(", re.ASCII)


def reason(text: str, *, public: bool) -> str:
    """The reason why a reply was not used, without the words of an app's error.

    Only the type of the exception is left, unless the data are ``public``.
    """
    if public or not text.startswith(FAILED):
        return text
    kind = KIND.match(text.removeprefix(FAILED))
    return f"{FAILED}{kind[1] if kind else 'an error'}; {NOT_SHOWN}"
