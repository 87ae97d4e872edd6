"""The HAProxy driver against a real HAProxy."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from celadon.model.settings import SwitchWay
from tests.contract.haproxy_server import HaproxyStage
from tests.contract.preview_promises import PreviewPromises
from tests.contract.proxy_promises import ProxyPromises
from tests.contract.share_promises import SharePromises

MakeStage = Callable[..., HaproxyStage]


@pytest.fixture
def make_stage(tmp_path: Path) -> Iterator[MakeStage]:
    made: list[HaproxyStage] = []

    def make(way: SwitchWay = SwitchWay.POINTER, **knobs: bool) -> HaproxyStage:
        made.append(HaproxyStage(tmp_path / f"h{len(made)}", way=way, **knobs))
        return made[-1]

    yield make
    for stage in made:
        stage.close()


@pytest.fixture(params=["pointer", "pointer-sockets", "reload"])
def stage(request: pytest.FixtureRequest, make_stage: MakeStage) -> HaproxyStage:
    way, _, kind = request.param.partition("-")
    return make_stage(SwitchWay(way), sockets=kind == "sockets")


class TestHaproxy(ProxyPromises):
    """Both ways keep the promises, for ports and for sockets."""


class TestShares(SharePromises):
    @pytest.fixture(params=["ports", "sockets"])
    def stage(self, request: pytest.FixtureRequest, make_stage: MakeStage) -> HaproxyStage:
        return make_stage(sockets=request.param == "sockets")


class TestPreview(PreviewPromises):
    @pytest.fixture
    def stage(self, make_stage: MakeStage) -> HaproxyStage:
        return make_stage()
