"""Step 1: the candidate's release on disk and its process in the idle slot. Traffic: live slot."""

from celadon.deploy.alone import runs_alone, stand_down
from celadon.deploy.assets import gather_assets
from celadon.deploy.baseline import gather_baseline
from celadon.deploy.hooks import pass_hook
from celadon.deploy.lingering import end_lingering
from celadon.deploy.pace import measure_pace
from celadon.deploy.release_command import run_release_command
from celadon.deploy.run import Run
from celadon.deploy.states import Result
from celadon.events import CandidateStarted, CandidateStarting, ReleaseChosen
from celadon.model.errors import StepError
from celadon.model.plan import Request
from celadon.model.release import Release


def prepare(run: Run) -> Result:
    if run.asked(Request.ABORT):
        return Result.ABORTED
    run.old_workers_may_be_told = False
    measure_pace(run)
    run.release = _obtain_release(run)
    run.ports.reached("prepared")
    if run.asked(Request.ABORT):
        return Result.ABORTED
    if not pass_hook(run, "pre_deploy"):
        return Result.FAILED
    gather_baseline(run)
    gather_assets(run)
    clear_idle_slot(run)
    if run.plan.live is not None and runs_alone(run):
        stand_down(run, run.plan.live, release=run.plan.live_release)
    result = run_release_command(run)
    if result is Result.OK:
        start_candidate(run)
    return result


def _obtain_release(run: Run) -> Release:
    plan, ports = run.plan, run.ports
    if plan.source is not None:
        return ports.releases.make(
            run.planned_number(),
            plan.source,
            settings=plan.settings,
            lead=plan.lead,
            live=plan.live_release,
            tell=run.note,
            reached=ports.reached,
            cancelled=run.abort_is_asked,
        )
    release = ports.releases.read(run.planned_number())
    differing = ports.releases.verify(release)
    if differing is not None:
        raise StepError(
            f"{release.label} is not what was built: {differing} differs from its manifest",
            code="release_altered",
            next_command="celadon releases",
        )
    run.note(ReleaseChosen(release=release.number))
    return release


def clear_idle_slot(run: Run) -> None:
    """Whatever an earlier deploy left in the idle slot ends, streams that had it linger too; somebody else's listener
    there is an error."""
    slot = run.plan.candidate
    end_lingering(run)
    if run.ports.runner.observe(slot).has_processes:
        run.ports.runner.stop(slot, grace_s=run.plan.settings.drain.stop_timeout_s)
    for address in run.addresses(slot):
        holders = run.ports.sockets.listening_pids(address)
        if holders is None or holders:
            who = "another user's process" if not holders else "pid " + ", ".join(map(str, sorted(holders)))
            raise StepError(
                f"{address} of slot {slot} is taken by {who}", code="address_taken", next_command="celadon config"
            )


def start_candidate(run: Run) -> None:
    slot, release = run.plan.candidate, run.candidate_release()
    run.note(CandidateStarting(slot=slot, release=release.number, address=", ".join(map(str, run.addresses(slot)))))
    run.ports.reached("before_start")
    view = run.ports.runner.start(slot, release)
    run.ports.reached("after_start")
    run.note(CandidateStarted(slot=slot, release=release.number, pid=view.pids[0] if view.pids else None))
