"""The user's commands around the steps, with what they are told."""

from celadon.deploy.run import Run
from celadon.events import HookRan


def pass_hook(run: Run, hook: str) -> bool:
    """A hook that decides: False, with the run's reason set, when a command failed."""
    failed = run_hook(run, hook)
    if failed is not None:
        run.blame(
            f"hook {hook} `{failed.command}` exited with {failed.exit_code}",
            code="hook_failed",
            next_command="celadon config",
        )
    return failed is None


def run_hook(run: Run, hook: str) -> HookRan | None:
    """A hook that only tells: what failed is recorded and returned, and nothing follows from it."""
    run.ports.reached(f"before_{hook}")
    ran = run.ports.hooks.run(hook, release=run.release, variables=_variables(run))
    run.ports.reached(f"after_{hook}")
    for each in ran:
        run.note(each)
    return next((each for each in ran if each.exit_code != 0), None)


def _variables(run: Run) -> dict[str, str]:
    plan = run.plan
    return {
        "CELADON_APP": plan.app,
        "CELADON_SLOT": plan.candidate.value,
        "CELADON_ADDRESS": str(run.address(plan.candidate)),
        "CELADON_RELEASE": f"r{plan.release}" if plan.release is not None else "",
        "CELADON_PREVIOUS": f"r{plan.live_release}" if plan.live_release is not None else "",
        "CELADON_LEAD": plan.lead,
        "CELADON_OPERATION": plan.operation,
    }
