"""Secrets in what other programs say: an app that cannot reach its database prints the URL it tried, a build prints its
environment. Their last words go into the journal, and from there to whoever follows; the values do not.

Masked are lines of the values of any kept release, from eight characters on, that `web.env` does not hold: shorter ones
are words like `true` and `production`, and nobody who puts a value into celadon.toml keeps it secret.
"""

import contextlib
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import msgspec

from celadon.events import Event
from celadon.host.environment import read_env
from celadon.host.layout import Layout
from celadon.host.text import escape_controls

_MASK = "***"
_SHORTEST = 8
_FOREIGN = ("reason", "head", "hint", "text", "detail", "output_tail", "log_tail")
"""Fields of events that have what somebody else said. No other is touched: a value may be the name of an event."""


class Masking:
    """`plain` are the values of today's `web.env`. Looks at the environments only for an event that has somebody's
    words, and keeps what it has read: those of a release that fails are gone before the last word about it."""

    def __init__(self, layout: Layout, *, plain: Callable[[], Collection[str]]) -> None:
        self._layout = layout
        self._plain = plain
        self._read_at: dict[Path, int] = {}
        self._values: set[str] = set()
        self._secrets: Sequence[str] | None = None

    def mask(self, event: Event) -> Event:
        said = {name: value for name in _FOREIGN if (value := getattr(event, name, None))}
        if not said:
            return event
        secrets = self._list_secrets()
        masked = {name: _mask(value, secrets) for name, value in said.items()}
        return event if masked == said else msgspec.structs.replace(event, **masked)

    def _list_secrets(self) -> Sequence[str]:
        """Longest first: one may be a part of another."""
        for path in self._layout.releases.glob("*/env"):
            with contextlib.suppress(OSError, ValueError):
                self._read(path)
        if self._secrets is None:
            secret = self._values - set(self._plain())
            lines = {escape_controls(line) for value in secret for line in value.splitlines()}
            self._secrets = sorted((line for line in lines if len(line) >= _SHORTEST), key=len, reverse=True)
        return self._secrets

    def _read(self, path: Path) -> None:
        changed_at = path.stat().st_mtime_ns
        if self._read_at.get(path) != changed_at:
            self._values.update(read_env(path).values())
            self._read_at[path], self._secrets = changed_at, None


def _mask(said: Any, secrets: Collection[str]) -> Any:
    if isinstance(said, tuple):
        return tuple(_mask(each, secrets) for each in said)
    if isinstance(said, str):
        for secret in secrets:
            said = said.replace(secret, _MASK)
    return said
