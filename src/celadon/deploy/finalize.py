"""Step 5: bless, then retire the old slot, or leave it to its streams. From the bless on there is only forward.
Traffic: candidate."""

from celadon.deploy.hooks import run_hook
from celadon.deploy.lingering import retire_or_linger
from celadon.deploy.postflight import run_postflight
from celadon.deploy.retire import disable_boot
from celadon.deploy.run import Run
from celadon.deploy.states import Result
from celadon.deploy.workers import settle_workers
from celadon.events import Blessed, ReleasesPruned
from celadon.model.release import Fate


def finalize(run: Run) -> Result:
    """Idempotent as a whole: recovery runs it again from the start. The old slot is disabled at boot only
    after the bless."""
    plan, ports = run.plan, run.ports
    release = run.candidate_release()
    run.note(Blessed(slot=plan.candidate, release=release.number))
    ports.reached("blessed")
    ports.releases.mark(release, Fate.BLESSED)
    old = plan.candidate.other
    disable_boot(run, old)
    ports.reached("old_disabled")
    settle_workers(run, plan.candidate, release.number)
    retire_or_linger(run, old, release=plan.live_release)
    protected = {release.number} | ({plan.live_release} if plan.live_release is not None else set())
    ports.reached("pruning")
    pruned = ports.releases.prune(keep_count=plan.settings.keep_count, protected=protected)
    if pruned:
        run.note(ReleasesPruned(releases=tuple(pruned)))
    run_postflight(run, plan.candidate, release.number)
    run_hook(run, "post_deploy")
    ports.reached("idle")
    return Result.OK
