"""The user's hooks: shell commands, in the release's tree, as the app's user."""

import os
import pwd
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from celadon.events import HookRan
from celadon.host.environment import read_env
from celadon.host.layout import Layout
from celadon.host.text import escape_controls
from celadon.model.release import Release
from celadon.model.settings import Settings

_TIMED_OUT = 124
_TAIL_LINES_COUNT = 20


class ShellHooks:
    def __init__(self, settings: Settings, layout: Layout) -> None:
        self._settings = settings
        self._layout = layout

    def run(self, hook: str, *, release: Release | None, variables: Mapping[str, str]) -> Sequence[HookRan]:
        commands: tuple[str, ...] = getattr(self._settings.hooks, hook)
        ran: list[HookRan] = []
        for command in commands:
            ran.append(self._run(hook, command, release=release, variables=variables))
            if ran[-1].exit_code != 0:
                break
        return ran

    def _run(self, hook: str, command: str, *, release: Release | None, variables: Mapping[str, str]) -> HookRan:
        began = time.monotonic()
        own = read_env(release.path / "env") if release is not None else {}
        process = self._spawn(command, release, {"PATH": "/usr/local/bin:/usr/bin:/bin", **own, **variables})
        try:
            output, _ = process.communicate(timeout=self._settings.hooks.timeout_s)
            exit_code = process.returncode
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            exit_code = _TIMED_OUT
        return HookRan(
            hook=hook,
            command=command,
            exit_code=exit_code,
            duration_s=time.monotonic() - began,
            output_tail=tuple(map(escape_controls, output.splitlines()[-_TAIL_LINES_COUNT:])),
        )

    def _spawn(self, command: str, release: Release | None, variables: Mapping[str, str]) -> "subprocess.Popen[str]":
        user = self._settings.user
        drop = pwd.getpwnam(user) if user is not None and os.geteuid() == 0 else None
        return subprocess.Popen(
            ["/bin/sh", "-c", command],
            cwd=release.tree if release is not None and release.tree.is_dir() else Path("/"),
            env=dict(variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            user=drop.pw_uid if drop else None,
            group=drop.pw_gid if drop else None,
            extra_groups=os.getgrouplist(drop.pw_name, drop.pw_gid) if drop else None,
        )
