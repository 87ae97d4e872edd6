"""An edit by hand, as the engine meets it in the instant before the switch."""

from pathlib import Path

from msgspec.structs import replace

from celadon.deploy.loop import drive
from celadon.deploy.run import Run
from celadon.model.names import OperationId, Slot
from celadon.model.plan import OperationKind, Outcome
from tests.fakes.world import World

ROUTE = Path("/etc/proxy/route.conf")


def deploy(world: World, release: int, *, kind: OperationKind = OperationKind.DEPLOY) -> tuple[Outcome, Run]:
    plan = replace(world.plan_deploy(release, operation=f"op{release}"), kind=kind)
    run = Run(plan=plan, ports=world.ports(OperationId(f"op{release}")))
    return drive(run), run


def test_a_deploy_does_not_switch_over_an_edit() -> None:
    """Rejected, traffic never moved, the file named."""
    world = World()
    assert deploy(world, 1)[0] is Outcome.DONE
    live = world.route
    world.edited = [ROUTE]
    outcome, run = deploy(world, 2)
    assert outcome is Outcome.REJECTED
    assert (run.code, str(ROUTE) in run.reason) == ("proxy_hand_edited", True)
    assert world.route is live


def test_a_rollback_does() -> None:
    """Traffic first."""
    world = World()
    assert deploy(world, 1)[0] is Outcome.DONE
    live = world.route
    assert isinstance(live, Slot)
    world.edited = [ROUTE]
    outcome, _ = deploy(world, 2, kind=OperationKind.ROLLBACK)
    assert outcome is Outcome.DONE
    assert world.route is live.other
