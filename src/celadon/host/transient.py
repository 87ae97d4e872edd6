"""A process of ours as a transient systemd unit: it outlives the session that a logout may end."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from celadon.host.commands import Completed, run_command
from celadon.host.units import Systemctl

_SYSTEMD_RUNS = Path("/run/systemd/system")
_OF_ENGINES = frozenset(
    {"DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "CONTAINER_HOST", "CONTAINERS_CONF", "CONTAINERS_STORAGE_CONF"}
)
_TIMEOUT_S = 30.0
_ALIVE = frozenset({"active", "activating", "deactivating", "reloading"})


def systemd_runs() -> bool:
    return _SYSTEMD_RUNS.is_dir()


def is_transient_alive(name: str) -> bool:
    """From the instant that systemd took it. False where systemd does not say."""
    done = Systemctl(user_manager=os.geteuid() != 0).call("is-active", f"{name}.service")
    return done.stdout.strip() in _ALIVE


def start_transient(name: str, argv: Sequence[str], *, log: Path, properties: Sequence[str]) -> Completed:
    """Returns when it has started. What it starts itself is left alone when it ends."""
    scope = [] if os.geteuid() == 0 else ["--user"]
    kept = (f"StandardError=append:{log}", "KillMode=process", "KillSignal=SIGKILL", *properties)
    return run_command(
        [
            "systemd-run",
            *scope,
            "--collect",
            "--quiet",
            f"--unit={name}",
            *(f"--property={each}" for each in kept),
            f"--setenv=PYTHONPATH={os.pathsep.join(sys.path)}",
            f"--setenv=PATH={os.environ.get('PATH', '/usr/sbin:/usr/bin:/sbin:/bin')}",
            *(f"--setenv={key}={value}" for key, value in os.environ.items() if _is_passed(key)),
            *argv,
        ],
        timeout_s=_TIMEOUT_S,
    )


def _is_passed(name: str) -> bool:
    """What is ours, and what says where the caller's Docker or Podman is, and its unit's credentials. No other: argv is
    no place for a secret."""
    return name.startswith("CELADON_") or name in {*_OF_ENGINES, "CREDENTIALS_DIRECTORY"}
