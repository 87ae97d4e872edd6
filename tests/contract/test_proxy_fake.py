import pytest

from tests.contract.proxy_promises import ProxyPromises
from tests.fakes.proxy import FakeProxy


class FakeStage:
    def __init__(self, *, reloads: bool) -> None:
        self.proxy = FakeProxy(reloads=reloads)
        self.reloads = reloads

    def visit(self) -> int:
        self.proxy.serve()
        return 200

    def stop(self) -> None:
        self.proxy.running = False

    def start(self) -> None:
        self.proxy.running = True


@pytest.fixture(params=[False, True], ids=["pointer", "reload"])
def stage(request: pytest.FixtureRequest) -> FakeStage:
    return FakeStage(reloads=request.param)


class TestFakeProxy(ProxyPromises):
    """The fake keeps what the drivers promise; the engine's tests stand on it."""
