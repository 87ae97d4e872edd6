"""The user's hooks: shell commands, in the release's tree, as the app's user."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from celadon.events import HookRan
from celadon.host.environment import USUAL_PATH, read_env
from celadon.host.layout import Layout
from celadon.host.shell import run_shell
from celadon.model.release import Release
from celadon.model.settings import Settings


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
        own = read_env(release.path / "env") if release is not None else {}
        done = run_shell(
            command,
            cwd=release.tree if release is not None and release.tree.is_dir() else Path("/"),
            env={"PATH": USUAL_PATH, **own, **variables},
            user=self._settings.user,
            timeout_s=self._settings.hooks.timeout_s,
        )
        return HookRan(
            hook=hook,
            command=command,
            exit_code=done.exit_code,
            duration_s=done.duration_s,
            output_tail=done.output_tail,
        )
