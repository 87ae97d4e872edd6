"""How quickly the live slot answers before anything is done to the machine. Traffic: live slot."""

from contextlib import closing

from celadon.deploy.run import Run
from celadon.deploy.running_journeys import find_old_release
from celadon.model.plan import FORWARD

_ANSWERS_COUNT = 5
_ENOUGH_COUNT = 3
_LONGEST_S = 0.5
_LOOK_EVERY_S = 0.05


def measure_pace(run: Run) -> None:
    """Before a build or the candidate's start may slow both slots down: in the window the old slot is then as slow from
    the first answer on as it ever gets, and only what it took before says so. Blocks for 0.4 s, at most 0.5."""
    old, live = find_old_release(run), run.plan.live
    if old is None or live is None or run.plan.kind not in FORWARD:
        return
    clock = run.ports.clock
    until_s = clock.now_s() + _LONGEST_S
    took_ms: list[float] = []
    with closing(run.ports.ask_on(live, old.manifest.settings.readiness)) as asking:
        asking.hurry()
        while len(took_ms) < _ANSWERS_COUNT and clock.now_s() < until_s:
            took_ms += [answer.latency_ms for answer in asking.take()]
            clock.wait(_LOOK_EVERY_S)
    if len(took_ms) >= _ENOUGH_COUNT:
        run.pace_ms = sorted(took_ms)[len(took_ms) // 2]
