"""The unit that recovers by itself: at boot before the proxy starts, and when a deploy's own unit was killed."""

import os
import sys
from pathlib import Path

from celadon.host.commands import run_command
from celadon.host.files import write_atomic
from celadon.model.errors import StepError

RECOVERY_UNIT = "celadon-recover.service"
_PROXIES = "nginx.service caddy.service haproxy.service traefik.service"
_TIMEOUT_S = 300
_CALL_TIMEOUT_S = 30.0


def default_units(*, user_manager: bool) -> Path:
    """Where unit files of one's own go."""
    if not user_manager:
        return Path("/etc/systemd/system")
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd" / "user"


def render_recovery_unit(*, python: str, search_path: str, root: Path, user_manager: bool) -> str:
    """Pure. `search_path` is PYTHONPATH, empty where the interpreter finds celadon by itself."""
    environment = {"CELADON_ROOT": str(root), **({"PYTHONPATH": search_path} if search_path else {})}
    return "\n".join(
        [
            "# Written by celadon: what `celadon recover` does by hand, at boot and after a killed deploy.",
            "[Unit]",
            "Description=celadon recover, for every app",
            "After=local-fs.target network.target",
            f"Before={_PROXIES}",
            "",
            "[Service]",
            "Type=oneshot",
            *(f'Environment="{name}={_escape(value)}"' for name, value in environment.items()),
            f"ExecStart={_escape(python)} -m celadon.cli.main recover --all",
            f"TimeoutStartSec={_TIMEOUT_S}",
            "",
            "[Install]",
            f"WantedBy={'default.target' if user_manager else 'multi-user.target'}",
            "",
        ]
    )


def ensure_recovery_unit(*, user_manager: bool, root: Path) -> None:
    """Idempotent; 0.1 ms when it is in place. Raises StepError (`boot_not_set`)."""
    path = default_units(user_manager=user_manager) / RECOVERY_UNIT
    text = render_recovery_unit(
        python=sys.executable, search_path=os.environ.get("PYTHONPATH", ""), root=root, user_manager=user_manager
    )
    if path.exists() and path.read_text() == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, text)
    scope = ["--user"] if user_manager else []
    for words in (["daemon-reload"], ["enable", "--quiet", RECOVERY_UNIT]):
        done = run_command(["systemctl", *scope, *words], timeout_s=_CALL_TIMEOUT_S)
        if not done.ok:
            raise StepError(
                f"systemctl {' '.join(words)}: {done.output}",
                code="boot_not_set",
                next_command=f"systemctl status {RECOVERY_UNIT}",
            )


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
