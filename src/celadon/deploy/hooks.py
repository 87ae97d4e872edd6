"""The user's commands around the steps, with what they are told."""

from celadon.deploy.run import Run


def run_hook(run: Run, hook: str) -> bool:
    """False, with the run's reason set, when a command failed."""
    plan = run.plan
    variables = {
        "CELADON_APP": plan.app,
        "CELADON_SLOT": plan.candidate.value,
        "CELADON_ADDRESS": str(run.address(plan.candidate)),
        "CELADON_RELEASE": f"r{plan.release}" if plan.release is not None else "",
        "CELADON_PREVIOUS": f"r{plan.live_release}" if plan.live_release is not None else "",
        "CELADON_LEAD": plan.lead,
        "CELADON_OPERATION": plan.operation,
    }
    for ran in run.ports.hooks.run(hook, release=run.release, variables=variables):
        run.note(ran)
        if ran.exit_code != 0:
            run.blame(f"hook {hook} `{ran.command}` exited with {ran.exit_code}", code="hook_failed")
            return False
    return True
