"""`[processes.release]`: the app's own one-off in the new release (a migration, say), before the candidate starts.
Traffic: live slot."""

from typing import Final

from celadon.deploy.run import Run
from celadon.deploy.states import Result
from celadon.events import ReleaseCommandRan, ReleaseCommandStarted
from celadon.model.names import Slot
from celadon.model.observed import SlotStatus, SlotView
from celadon.model.plan import Request
from celadon.model.processes import RELEASE, ReleaseCommand

_LOOK_EVERY_S: Final = 0.05
_KEPT_LINES_COUNT: Final = 1000
_TOLD_LINES_COUNT: Final = 20


def run_release_command(run: Run) -> Result:
    """OK where there is none, and for a release that was made before: its command has had its turn. Blocks for its
    timeout at most; nothing of it is left afterwards, however it ended."""
    settings, release = run.plan.settings.release, run.candidate_release()
    if settings is None or run.plan.source is None:
        return Result.OK
    ports, slot = run.ports, run.plan.candidate
    runner = ports.runner_of(RELEASE)
    began_s = ports.clock.now_s()
    run.note(ReleaseCommandStarted(release=release.number, command=settings.told, timeout_s=settings.timeout_s))
    ports.reached("before_release_command")
    runner.start(slot, release)
    ports.reached("release_command_started")
    result, reason = _await_end(run, settings, until_s=began_s + settings.timeout_s)
    view = runner.observe(slot)
    lines = runner.tail(slot, lines_count=_KEPT_LINES_COUNT)
    end_release_command(run, slot)
    kept_at = ports.releases.keep_output(release, lines)
    run.note(
        ReleaseCommandRan(
            release=release.number,
            command=settings.told,
            exit_code=view.exit_code if view.status is SlotStatus.EXITED else None,
            duration_s=ports.clock.now_s() - began_s,
            reason=reason,
            output_tail=tuple(lines[-_TOLD_LINES_COUNT:]),
        )
    )
    ports.reached("release_command_ended")
    if result is Result.FAILED:
        last = f": {lines[-1]}" if lines else ""
        run.blame(
            f"the release command `{settings.told}` {reason}{last}",
            code="release_command_failed",
            next_command=f"less {kept_at}",
        )
    return result


def end_release_command(run: Run, slot: Slot) -> None:
    """With all that it started. Idempotent; also after a death in the middle of it."""
    if run.plan.settings.release is not None:
        run.ports.runner_of(RELEASE).stop(slot, grace_s=run.plan.settings.drain.stop_timeout_s)


def _await_end(run: Run, settings: ReleaseCommand, *, until_s: float) -> tuple[Result, str]:
    """With the reason of what is not OK."""
    runner, clock = run.ports.runner_of(RELEASE), run.ports.clock
    while (view := runner.observe(run.plan.candidate)).status is SlotStatus.RUNNING:
        if run.asked(Request.ABORT):
            return Result.ABORTED, "was aborted"
        if clock.now_s() >= until_s:
            return Result.FAILED, f"was not done within {settings.timeout_s:g} s"
        clock.wait(_LOOK_EVERY_S)
    if view.status is SlotStatus.EXITED and view.exit_code == 0:
        return Result.OK, ""
    return Result.FAILED, _describe_end(view)


def _describe_end(view: SlotView) -> str:
    if view.exit_code is None or view.exit_code < 0:
        return f"ended: {view.exit_reason or 'nobody knows how'}"
    return f"exited with {view.exit_code}" + (f" ({view.exit_reason})" if view.killed_for_memory else "")
