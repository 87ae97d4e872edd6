"""Before anything is started or stopped: what pages of the last releases ask for is where the proxy finds it."""

from celadon.deploy.run import Run
from celadon.events import CheckFound
from celadon.model.errors import StepError
from celadon.model.observed import FindingLevel
from celadon.model.plan import FORWARD


def gather_assets(run: Run) -> None:
    """A deploy that cannot is rejected; a way back goes on, and says so. Raises StepError, OSError."""
    protected = [run.plan.live_release] if run.plan.live_release is not None else []
    try:
        gathered = run.ports.assets.gather(run.planned_number(), protected=protected)
    except (StepError, OSError) as error:
        if run.plan.kind in FORWARD:
            raise
        run.note(CheckFound(level=FindingLevel.WARNING, subject="assets", text=str(error)))
        return
    if gathered is not None:
        run.note(gathered)
        run.ports.reached("assets_gathered")
