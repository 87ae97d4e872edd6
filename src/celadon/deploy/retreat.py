"""The two ways out: reject (traffic never moved) and return (the route goes back first)."""

import contextlib

from celadon.deploy.alone import runs_alone, stand_down, tell_served
from celadon.deploy.hooks import run_hook
from celadon.deploy.lingering import lingers
from celadon.deploy.postflight import run_postflight
from celadon.deploy.release_command import end_release_command
from celadon.deploy.replicas import ask_until_yes
from celadon.deploy.retire import disable_boot, retire
from celadon.deploy.route import move_route
from celadon.deploy.run import Run
from celadon.deploy.states import Result
from celadon.deploy.switch import enable_boot
from celadon.deploy.verify import ask_slot
from celadon.deploy.workers import settle_workers
from celadon.events import CandidateKept, Repaired, SwitchIntended
from celadon.model.errors import StepError
from celadon.model.names import ReleaseNumber, Slot
from celadon.model.observed import Effect, SlotStatus
from celadon.model.release import Fate
from celadon.model.settings import ReadinessSettings


def reject(run: Run) -> Result:
    """Stop the candidate and keep what it left. Nothing here touches the route, nor streams of an older release that
    linger where the candidate never came to."""
    candidate = run.plan.candidate
    disable_boot(run, candidate)
    if run.ports.proxy.observe().reaches(candidate):
        run.blame(
            f"the proxy routes to {candidate}, which should never have had traffic",
            code="route_astray",
            next_command="celadon check",
        )
        return Result.FAILED
    end_release_command(run, candidate)
    if not lingers(run, candidate):
        run.ports.runner.stop(candidate, grace_s=run.plan.settings.drain.stop_timeout_s)
    run.ports.reached("candidate_stopped")
    if runs_alone(run) and not _bring_back(run):
        return Result.FAILED
    run_hook(run, "on_failure")
    _keep(run)
    return Result.OK


def _bring_back(run: Run) -> bool:
    """The old slot serves again where the route has led all the time; False with the run's reason set."""
    live, release = run.plan.live, run.plan.live_release
    if live is None or release is None:
        return True
    if not ensure_ready(run, live, release=release):
        _blame_old(run, live, where=f"the route stays on {live}, and nobody answers")
        return False
    enable_boot(run, live)
    run.ports.reached("old_started")
    if run.down_since_s is None:
        return True
    switched = run.ports.proxy.switch(live, reached=run.ports.reached)
    if not switched.seen and switched.effect is not Effect.AT_REST:
        run.blame(switched.reason, code="switch_not_seen", next_command="celadon check")
        return False
    tell_served(run, live, release=release)
    return True


def return_(run: Run) -> Result:
    """The route back to the old slot, then the candidate stops. Without an old slot, or with one that cannot
    be made ready, the candidate keeps the traffic it has: a sick answer is better than none. A proxy that does not
    run (this may be the boot, before it) has nothing to show: the route on its disk counts."""
    plan = run.plan
    if plan.live is None or plan.live_release is None:
        run.blame("there is no older release to return to", code="nothing_to_return_to", next_command="celadon deploy")
        return Result.FAILED
    if not _make_old_ready(run, plan.live, release=plan.live_release):
        _blame_old(run, plan.live, where=f"the route stays on {plan.candidate}")
        return Result.FAILED
    run.ports.reached("old_started")
    if lingers(run, plan.live):
        _take_up_again(run, plan.live, release=plan.live_release)
    switched = move_route(run, plan.live, release=plan.live_release)
    if not switched.seen and switched.effect is not Effect.AT_REST:
        return Result.FAILED
    run.lingering = None
    tell_served(run, plan.live, release=plan.live_release)
    run.ports.reached("pointer_back")
    disable_boot(run, plan.candidate)
    settle_workers(run, plan.live, plan.live_release, wake=run.old_workers_may_be_told)
    retire(run, plan.candidate, release=plan.release)
    run.ports.reached("candidate_stopped")
    _complete(run, plan.live, release=plan.live_release)
    run_hook(run, "on_failure")
    _keep(run)
    run_postflight(run, plan.live, plan.live_release)
    return Result.OK


def _take_up_again(run: Run, slot: Slot, *, release: ReleaseNumber) -> None:
    """Unlike what is hot in a window, what lingers is not started at boot; and the other one was live for good."""
    enable_boot(run, slot)
    run.note(SwitchIntended(from_slot=slot.other, to_slot=slot, to_release=release))
    run.ports.reached("switch_recorded")


def _make_old_ready(run: Run, live: Slot, *, release: ReleaseNumber) -> bool:
    """It is hot, or the candidate, which cannot run beside it, ends first. Where the old one does not come up again
    then the candidate is started once more: a sick answer is better than none."""
    if not runs_alone(run):
        return _has_answer(run, live, release=release) or ensure_ready(run, live, release=release)
    candidate, number = run.plan.candidate, run.plan.release
    stand_down(run, candidate, release=number)
    if ensure_ready(run, live, release=release):
        enable_boot(run, live)
        return True
    stand_down(run, live, release=release)
    if ensure_ready(run, candidate, release=number) and number is not None:
        tell_served(run, candidate, release=number)
    return False


def _has_answer(run: Run, live: Slot, *, release: ReleaseNumber) -> bool:
    """Of several replicas one is enough to go back to: the others may have died in the window, and are started again
    when the route is back."""
    addresses = run.addresses(live)
    if len(addresses) == 1:
        return False
    readiness = _read_readiness(run, release)
    ask = run.ports.make_probe(live, readiness).ask
    view = run.ports.runner.observe(live)
    held = [each for each in addresses if run.ports.sockets.is_held(each, by=view.pids)]
    return ask_until_yes(ask, held, timeout_s=readiness.max_latency_s)


def _complete(run: Run, live: Slot, *, release: ReleaseNumber) -> None:
    """Replicas of the old slot that do not run begin again."""
    view = run.ports.runner.observe(live)
    if view.pids and view.status is not SlotStatus.RUNNING:
        run.note(Repaired(what="live_slot_completed", slot=live, detail=view.exit_reason))
        run.ports.runner.start(live, run.ports.releases.read(release))


def _blame_old(run: Run, live: Slot, *, where: str) -> None:
    run.blame(
        f"the old slot {live} is not ready: {where}",
        code="old_not_ready",
        next_command=f"celadon logs --slot {live}",
    )


def ensure_ready(run: Run, slot: Slot, *, release: ReleaseNumber | None) -> bool:
    """A hot slot answers at once, and one yes is enough to go back to what was serving before. One that does
    not run (the machine was restarted) is started with `release` and asked until the readiness deadline."""
    readiness = _read_readiness(run, release)
    answer, view = ask_slot(run, slot, readiness=readiness)
    if answer.ok or view.status is SlotStatus.RUNNING:
        return answer.ok or _await_ready(run, slot, readiness)
    if release is None:
        return False
    run.ports.runner.start(slot, run.ports.releases.read(release))
    enable_boot(run, slot)
    return _await_ready(run, slot, readiness)


def _read_readiness(run: Run, release: ReleaseNumber | None) -> ReadinessSettings:
    """Its own: the candidate's may ask for what only the candidate has. A release that cannot be read is asked that
    all the same."""
    try:
        settings = run.ports.releases.read(release).manifest.settings if release is not None else run.plan.settings
    except (StepError, OSError):
        settings = run.plan.settings
    return settings.readiness


def _await_ready(run: Run, slot: Slot, settings: ReadinessSettings) -> bool:
    clock = run.ports.clock
    until_s = clock.now_s() + settings.deadline_s
    while clock.now_s() < until_s:
        answer, view = ask_slot(run, slot, readiness=settings)
        if answer.ok:
            return True
        if view.status is SlotStatus.EXITED:
            return False
        clock.wait(settings.interval_s)
    return False


def _keep(run: Run) -> None:
    """Nothing here may stand in the way back: a disk that takes no mark leaves the release as it is. The one that is
    live, and could not be restarted, did not fail: its variables are needed as they are."""
    if run.plan.release == run.plan.live_release:
        return
    with contextlib.suppress(StepError, OSError):
        release = run.candidate_release()
        if release.fate is None:
            run.ports.releases.mark(release, Fate.FAILED)
            run.note(CandidateKept(release=release.number, path=str(release.path)))
