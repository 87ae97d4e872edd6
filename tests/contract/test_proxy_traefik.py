"""The Traefik driver against a real Traefik."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.contract.preview_promises import PreviewPromises
from tests.contract.proxy_promises import ProxyPromises
from tests.contract.share_promises import STEPS, SharePromises
from tests.contract.traefik_server import TraefikStage

MakeStage = Callable[..., TraefikStage]


@pytest.fixture
def make_stage(tmp_path: Path) -> Iterator[MakeStage]:
    made: list[TraefikStage] = []

    def make(**knobs: object) -> TraefikStage:
        made.append(TraefikStage(tmp_path / f"traefik{len(made)}", **knobs))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for stage in made:
        stage.close()


class TestTraefik(ProxyPromises):
    """With either format of its access log."""

    @pytest.fixture(params=["json", "common"])
    def stage(self, request: pytest.FixtureRequest, make_stage: MakeStage) -> TraefikStage:
        return make_stage(json=request.param == "json")


class TestTraefikShares(SharePromises):
    """By the client's address, with weights."""

    @pytest.fixture
    def stage(self, make_stage: MakeStage) -> TraefikStage:
        return make_stage(steps=STEPS)


class TestTraefikPreview(PreviewPromises):
    """By two routers of ours beside the user's."""

    @pytest.fixture
    def stage(self, make_stage: MakeStage) -> TraefikStage:
        return make_stage(preview=True)
