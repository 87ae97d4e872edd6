"""The running nginx: its master, its workers, and what it said when it refused a reload."""

import os
import re
import signal
from pathlib import Path

from celadon.drivers.proxies.nginx_config import Config, flatten, read_config, unquote
from celadon.host.children import read_children, read_title
from celadon.host.tail import LineTail

_SHUTTING_DOWN = "worker process is shutting down"
_WORKER = "nginx: worker process"
BIND_FAILED = "bind() to "
_REFUSED = re.compile(rb"\[(?:emerg|alert|crit)\] \d+#\d+: (.*)")


class NginxProcess:
    """One nginx, found by the pid file that its configuration names."""

    def __init__(self, *, binary: str, config: Path) -> None:
        self._binary = binary
        self._config = config

    def read_master_pid(self) -> int | None:
        """None when no nginx runs with this configuration."""
        try:
            pid = int(self._path_of("pid", read_config(self._config)).read_text())
        except (OSError, ValueError):
            return None
        return pid if read_title(pid).startswith("nginx: master process") else None

    def reload(self) -> None:
        """Ask the master to. Returns before anything has happened. Raises ProcessLookupError when none runs."""
        pid = self.read_master_pid()
        if pid is None:
            raise ProcessLookupError(f"no nginx runs with {self._config}")
        os.kill(pid, signal.SIGHUP)

    def read_working(self) -> frozenset[int]:
        """Workers that take new connections."""
        return frozenset(pid for pid, title in self._workers().items() if _SHUTTING_DOWN not in title)

    def count_lingering(self) -> int:
        """Workers that finish what they have on an earlier configuration."""
        return sum(_SHUTTING_DOWN in title for title in self._workers().values())

    def watch_refusals(self) -> "Refusals":
        return Refusals(self._path_of("error_log", read_config(self._config)))

    def _workers(self) -> dict[int, str]:
        pid = self.read_master_pid()
        children = read_children(pid) if pid else {}
        return {child: title for child, title in children.items() if title.startswith(_WORKER)}

    def _path_of(self, directive: str, config: Config) -> Path:
        for found in flatten(config.directives):
            if found.name == directive and found.args:
                path = Path(unquote(found.args[0]))
                return path if path.is_absolute() else Path(self._built_in("prefix")) / path
        return Path(self._built_in({"pid": "pid-path", "error_log": "error-log-path"}[directive]))

    def _built_in(self, option: str) -> str:
        """What nginx was configured with when it was built. 3 ms, so asked only where the configuration is silent."""
        from celadon.host.commands import run_command

        said = run_command([self._binary, "-V"], timeout_s=10.0).output
        found = re.search(rf"--{option}=(\S+)", said)
        return found.group(1) if found else "/nonexistent"


class Refusals:
    """What the master logs when it will not take a configuration, from now on. A listen that is taken is tried five
    times over 2.5 s, so a failed bind alone is no refusal yet; its words are the ones worth telling."""

    def __init__(self, error_log: Path) -> None:
        self._tail = LineTail(error_log)
        self._first = ""
        self._final = False

    def look(self) -> str:
        """nginx's own words once it has refused, empty until then."""
        for line in self._tail.read_lines():
            found = _REFUSED.search(line)
            if found:
                self._first = self._first or found.group(1).decode(errors="replace")
                self._final = self._final or not found.group(1).startswith(BIND_FAILED.encode())
        return self._first if self._final else ""

    def forget(self) -> None:
        """What was said so far."""
        self._first, self._final = "", False

    def close(self) -> None:
        self._tail.close()
