"""The Caddy driver where Caddy's configuration is JSON."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from celadon.model.settings import SwitchWay
from tests.contract.caddy_server import JsonStage
from tests.contract.preview_promises import PreviewPromises
from tests.contract.proxy_promises import ProxyPromises
from tests.contract.share_promises import STEPS, SharePromises

MakeStage = Callable[..., JsonStage]


@pytest.fixture
def make_stage(tmp_path: Path) -> Iterator[MakeStage]:
    made: list[JsonStage] = []

    def make(way: SwitchWay = SwitchWay.POINTER, **knobs: Any) -> JsonStage:
        made.append(JsonStage(tmp_path / f"caddy{len(made)}", way=way, **knobs))
        return made[-1]

    yield make
    for stage in made:
        stage.close()


@pytest.fixture(params=[f"{caddy} {way}" for caddy in ("2.11", "2.6") for way in ("pointer", "reload")])
def stage(request: pytest.FixtureRequest, make_stage: MakeStage) -> JsonStage:
    caddy, _, way = request.param.partition(" ")
    return make_stage(SwitchWay(way), caddy=caddy)


class TestJson(ProxyPromises):
    """Both ways, both versions."""


class TestShares(SharePromises):
    @pytest.fixture
    def stage(self, make_stage: MakeStage) -> JsonStage:
        return make_stage(steps=STEPS)


class TestPreview(PreviewPromises):
    @pytest.fixture(params=["pointer", "reload"])
    def stage(self, request: pytest.FixtureRequest, make_stage: MakeStage) -> JsonStage:
        return make_stage(SwitchWay(request.param), preview=True)
