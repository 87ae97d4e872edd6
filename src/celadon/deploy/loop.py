"""The loop: intent, step, result, arrow, until an outcome."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from celadon.deploy.finalize import finalize
from celadon.deploy.observe import observe
from celadon.deploy.prepare import prepare
from celadon.deploy.retreat import reject, return_
from celadon.deploy.run import Run
from celadon.deploy.states import ARROWS, RETREATS, Result
from celadon.deploy.switch import switch
from celadon.deploy.verify import verify
from celadon.events import Step, StepEnded, StepStarted
from celadon.model.errors import CeladonError, StepError
from celadon.model.plan import Outcome

STEPS: Mapping[Step, Callable[[Run], Result]] = MappingProxyType(
    {
        Step.PREPARE: prepare,
        Step.VERIFY: verify,
        Step.SWITCH: switch,
        Step.OBSERVE: observe,
        Step.FINALIZE: finalize,
        Step.REJECT: reject,
        Step.RETURN: return_,
    }
)


def drive(run: Run, *, start: Step = Step.PREPARE) -> Outcome:
    """Run steps from `start` to an outcome. Raises only for bugs; every expected failure is an arrow."""
    step: Step | Outcome = start
    while isinstance(step, Step):
        step = ARROWS[step, _take(run, step)]
    run.release_held()
    return step


def _take(run: Run, step: Step) -> Result:
    run.insistent = step in RETREATS
    began_s = run.ports.clock.now_s()
    try:
        run.note(StepStarted(step=step))
        result = STEPS[step](run)
    except (CeladonError, OSError) as error:
        result = _result_of(run, step, error)
    run.insistent = run.insistent or result is not Result.OK
    run.hold(
        StepEnded(
            step=step,
            result=result.value,
            duration_s=run.ports.clock.now_s() - began_s,
            reason="" if result is Result.OK else run.reason,
        )
    )
    return result


def _result_of(run: Run, step: Step, error: CeladonError | OSError) -> Result:
    """An error inside a step. In `switch` everything that can raise after the intent is inside the driver,
    whose errors have become values by now: what arrives here raised before the route was touched, or in
    recording that it moved, which is why it counts as unseen."""
    code = error.code if isinstance(error, CeladonError) else "os_error"
    next_command = error.next_command if isinstance(error, CeladonError) else "celadon status"
    if step is Step.FINALIZE or step in RETREATS:
        next_command = "celadon recover"
    run.blame(str(error), code=code, next_command=next_command)
    if isinstance(error, StepError) and error.code == "cancelled":
        run.ports.control.taken()
        return Result.ABORTED
    return Result.UNSEEN if step is Step.SWITCH and run.switch_is_intended else Result.FAILED
