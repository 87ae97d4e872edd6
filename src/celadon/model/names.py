"""The names everything else is keyed by: app, slot, release, operation.

Rendered proxy and unit text is made from these; that is why their alphabets are narrow.
"""

import re
from enum import StrEnum
from typing import NewType

AppName = NewType("AppName", str)
ReleaseNumber = NewType("ReleaseNumber", int)
OperationId = NewType("OperationId", str)

APP_NAME_PATTERN = r"^[a-z][a-z0-9-]{0,31}$"
_APP_NAME = re.compile(APP_NAME_PATTERN + r"\Z")
_RELEASE_LABEL = re.compile(r"r([1-9][0-9]{0,8})\Z")


class Slot(StrEnum):
    """One of the two places of an app. Each has an address of its own for life."""

    BLUE = "blue"
    GREEN = "green"

    @property
    def other(self) -> "Slot":
        return Slot.GREEN if self is Slot.BLUE else Slot.BLUE


def parse_app_name(text: str) -> AppName:
    """Raises ValueError when `text` is not 1 to 32 of `a-z0-9-` starting with a letter."""
    if not _APP_NAME.match(text):
        raise ValueError(f"{text!r} is not a name: {APP_NAME_PATTERN}")
    return AppName(text)


def parse_release_label(text: str) -> ReleaseNumber:
    """`r42` (or `42`) → 42. Raises ValueError otherwise."""
    found = _RELEASE_LABEL.match(text if text.startswith("r") else f"r{text}")
    if not found:
        raise ValueError(f"{text!r} is not a release: r1, r2, …")
    return ReleaseNumber(int(found.group(1)))


def render_release_label(number: int) -> str:
    return f"r{number}"
