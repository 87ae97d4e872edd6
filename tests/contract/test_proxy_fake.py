from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.contract.proxy_promises import ProxyPromises
from tests.fakes.proxy import FakeProxy


class FakeVisitors:
    def __init__(self, proxy: FakeProxy) -> None:
        self._proxy = proxy
        self.failures: list[str] = []
        self.lost: list[str] = []
        self.closed_count = self.count = 0

    def await_more(self, count: int) -> None:
        self._proxy.serve(count=count)
        self.count += count


class FakeStage:
    def __init__(self, *, reloads: bool) -> None:
        self.proxy = FakeProxy(reloads=reloads)
        self.reloads = reloads
        self.loses = False

    def visit(self) -> int:
        self.proxy.serve()
        return 200

    @contextmanager
    def visitors(self) -> Iterator["FakeVisitors"]:
        yield FakeVisitors(self.proxy)

    def reload_count(self) -> int:
        return 0

    def app_headers(self) -> set[str]:
        return set()

    def stop(self) -> None:
        self.proxy.running = False

    def start(self) -> None:
        self.proxy.running = True


@pytest.fixture(params=[False, True], ids=["pointer", "reload"])
def stage(request: pytest.FixtureRequest) -> FakeStage:
    return FakeStage(reloads=request.param)


class TestFakeProxy(ProxyPromises):
    """The fake keeps what the drivers promise; the engine's tests stand on it."""
