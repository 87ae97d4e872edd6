"""Docker or Podman, by its command line: one call is 20 to 40 ms."""

import os
import time
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from celadon.host.commands import Completed, run_command
from celadon.model.errors import StepError

_CALL_TIMEOUT_S = 60.0
_PATIENCE_S = 15.0
_ASK_EVERY_S = 0.2
_ENDED = 124
_NOBODY = "Cannot connect to the Docker daemon"
_CUT = "error during connect"


class Engine(Struct, frozen=True):
    """`program` is `docker` or `podman`. Where its daemon or its storage is, its own environment variables say."""

    program: str

    def call(
        self,
        *words: str,
        timeout_s: float = _CALL_TIMEOUT_S,
        patience_s: float = _PATIENCE_S,
        stdin: str | None = None,
        merged: bool = False,
        cwd: Path | None = None,
        more: Mapping[str, str] | None = None,
    ) -> Completed:
        """With `more` variables than our own. A daemon that is being restarted is waited for, up to `patience_s`.
        Raises StepError (`engine_silent`) when nobody answers: silence must not be read as `nothing is there`."""
        until_s = time.monotonic() + patience_s
        argv, env = [self.program, *words], {**os.environ, **more} if more else None
        done = run_command(argv, timeout_s=timeout_s, stdin=stdin, merged=merged, cwd=cwd, env=env)
        while _NOBODY in done.output and not done.ok and time.monotonic() < until_s:
            time.sleep(_ASK_EVERY_S)
            done = run_command(argv, timeout_s=timeout_s, stdin=stdin, merged=merged, cwd=cwd, env=env)
        if done.exit_code == _ENDED or (not done.ok and self._is_silent(done)):
            raise StepError(
                f"{self.program} {words[0]}: no answer: {done.output}",
                code="engine_silent",
                next_command="systemctl status docker" if self.program == "docker" else "podman info",
            )
        return done

    def require(self, *words: str, code: str, timeout_s: float = _CALL_TIMEOUT_S, stdin: str | None = None) -> str:
        """What it printed. Raises StepError with the engine's own words."""
        done = self.call(*words, timeout_s=timeout_s, stdin=stdin)
        if not done.ok:
            raise StepError(f"{self.program} {words[0]}: {done.output}", code=code, next_command="celadon logs")
        return done.stdout

    def _is_silent(self, done: Completed) -> bool:
        return any(sign in done.output for sign in (_NOBODY, _CUT, f"No such file or directory: '{self.program}'"))
