"""What a running Caddy counts, and how it is configured, asked of its admin API. Reads only."""

import time
from collections.abc import Sequence

import msgspec

from celadon.drivers.proxies.caddy_admin import ask_admin
from celadon.drivers.proxies.caddy_config import find_admin, read_config
from celadon.drivers.proxies.caddy_files import SnippetFiles
from celadon.drivers.proxies.caddy_json_check import read_admin
from celadon.drivers.proxies.caddy_json_text import JsonError
from celadon.drivers.proxies.caddy_series import find_series
from celadon.drivers.proxies.caddy_text import render_dial
from celadon.drivers.proxies.caddy_tokens import CaddyfileError
from celadon.drivers.traffic.caddy_counters import CaddySeries
from celadon.host.layout import Layout
from celadon.host.pointer import live_path, read_split
from celadon.model.names import Slot
from celadon.model.settings import Settings

_TIMEOUT_S = 0.5
_LIMIT_BYTES = 16 * 1024 * 1024


class CaddyMetrics:
    """Of one app. Each call blocks for half a second at most, 4 ms mostly; raises OSError and ValueError."""

    def __init__(self, layout: Layout, settings: Settings, *, files: SnippetFiles, admin: str) -> None:
        self._pointer = layout.pointer
        self._files = files
        self._admin = admin
        self._host = settings.proxy.site.partition("://")[2].partition("/")[0].lower()
        self._places = f"{{file.{live_path(self._pointer)}/"
        self._dials = frozenset(map(render_dial, settings.web.slots))

    def read_route(self) -> Slot | None:
        """Whose all visitors are; None while they are shared."""
        return None if read_split(self._pointer) is not None else self._files.read_route()

    def read(self) -> tuple[Sequence[CaddySeries], str]:
        """Which series are the app's, none where it has none of its own, and all of them."""
        until_s = time.monotonic() + _TIMEOUT_S
        try:
            config = msgspec.json.decode(self._ask("/config/", until_s=until_s))
        except msgspec.DecodeError as error:
            raise ValueError(f"{self._admin}: {error}") from error
        series = find_series(config, host=self._host, dials=self._dials, places=self._places)
        return series, self._ask("/metrics", until_s=until_s).decode() if series else ""

    def _ask(self, path: str, *, until_s: float) -> bytes:
        return ask_admin(self._admin, path, until_s=until_s, limit_bytes=_LIMIT_BYTES)


def find_metrics(layout: Layout, settings: Settings, *, files: SnippetFiles) -> CaddyMetrics | None:
    """None where Caddy has no admin API, or it is not known where."""
    try:
        admin = settings.proxy.admin or (
            read_admin(files.json) if files.json is not None else find_admin(read_config(files.main))
        )
    except (OSError, ValueError, CaddyfileError, JsonError):
        return None
    return None if admin == "off" else CaddyMetrics(layout, settings, files=files, admin=admin)
