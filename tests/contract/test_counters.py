"""What real proxies count of their own accord, beside what visitors got."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from celadon.drivers.proxies.caddy_admin import ask_admin
from celadon.drivers.proxies.left_line import leave_line
from celadon.drivers.proxies.look import wait_until
from celadon.drivers.proxies.traefik_metrics import find_metrics, read_metrics
from celadon.drivers.proxies.traefik_static import read_static
from celadon.model.names import Slot
from celadon.model.settings import SwitchWay
from tests.contract.caddy_server import CADDIES, CaddyStage, JsonStage
from tests.contract.counter_promises import (
    CounterPromises,
    CountingSite,
    SlotCounterPromises,
    figures,
    open_counters,
    read,
    visit,
)
from tests.contract.haproxy_server import HAPROXY, HaproxyStage
from tests.contract.proxy_promises import ignore
from tests.contract.share_promises import STEPS
from tests.contract.single_visit import visit_as
from tests.contract.slot_server import free_port
from tests.contract.slot_stage import SlotStage
from tests.contract.traefik_server import TRAEFIK, TraefikStage

Open = Callable[..., CountingSite]
NEEDS_CADDY = pytest.mark.skipif(not all(Path(each).exists() for each in CADDIES.values()), reason="no caddy")
METRICS = {"2.6": "\tservers {\n\t\tmetrics\n\t}\n", "2.11": "\tmetrics\n"}
PER_HOST = "\tmetrics {\n\t\tper_host\n\t}\n"
CLIENT = "127.0.2.1"


@pytest.fixture
def stages() -> Iterator[list[SlotStage]]:
    """Whatever is put there is closed in the end."""
    stages: list[SlotStage] = []
    yield stages
    for stage in stages:
        stage.close()


def route(stage: Any, *, port: int, host: str = "other.example") -> CountingSite:
    """Blue is routed; another site answers at that port."""
    stage.proxy.install()
    assert stage.proxy.switch(Slot.BLUE, reached=ignore).seen
    return CountingSite(stage, lambda: visit_as(port, client=CLIENT, host=host)[0])


@pytest.mark.skipif(not Path(HAPROXY).exists(), reason="haproxy is not installed")
class TestHaproxy(SlotCounterPromises):
    """By server."""

    @pytest.fixture
    def site(self, tmp_path: Path, stages: list[SlotStage]) -> CountingSite:
        stage = HaproxyStage(tmp_path)
        stages.append(stage)
        port = free_port()
        frontend = f"\nfrontend other\n    bind 127.0.0.1:{port}\n    default_backend other\n"
        stage.write_main(neighbour=f"{frontend}\nbackend other\n    server green {stage.slots[Slot.GREEN].address}\n")
        return route(stage, port=port)

    def test_a_reload_begins_a_new_count_and_loses_nothing_after_it(self, site: CountingSite) -> None:
        counters = open_counters(site.stage)
        visit(site.stage, 200, 200, 200)
        assert figures(read(counters), Slot.BLUE) == (3, 0, 0)
        assert isinstance(site.stage, HaproxyStage)
        site.stage.reload()
        visit(site.stage, 200, 500)
        assert figures(read(counters), Slot.BLUE) == (2, 1, 0)

    def test_a_look_that_is_left_in_the_log_is_no_visitor(self, site: CountingSite) -> None:
        """It has a server of its own."""
        counters = open_counters(site.stage)
        assert leave_line(site.stage.layout, site.stage.settings.proxy)
        assert figures(read(counters), Slot.BLUE) == (0, 0, 0)


@pytest.fixture
def open_traefik(tmp_path: Path, stages: list[SlotStage]) -> Open:
    def open_it(prometheus: str) -> CountingSite:
        entry = f"  counts:\n    address: 127.0.0.1:{free_port()}\n"
        stage = TraefikStage(tmp_path, steps=STEPS, preview=True, entry=entry, more=prometheus)
        stages.append(stage)
        (stage.directory / "other.yml").write_text(
            "http:\n  routers:\n    other: {rule: Host(`other.example`), entryPoints: [web], service: other}\n"
            f"  services:\n    other: {{loadBalancer: {{servers: [{{url: 'http://{stage.slots[Slot.GREEN].address}'}}]}}}}\n"
        )
        return route(stage, port=stage.port)

    return open_it


@pytest.mark.skipif(not Path(TRAEFIK).exists(), reason="traefik is not installed")
class TestTraefik(SlotCounterPromises):
    """By service."""

    @pytest.fixture
    def site(self, open_traefik: Open) -> CountingSite:
        return open_traefik("metrics:\n  prometheus:\n    entryPoint: counts\n")

    @pytest.mark.parametrize(
        "prometheus", ["", "metrics:\n  prometheus:\n    entryPoint: counts\n    addServicesLabels: false\n"]
    )
    def test_one_that_does_not_count_by_service_tells_nothing(self, open_traefik: Open, prometheus: str) -> None:
        """None, not zero."""
        site = open_traefik(prometheus)
        counters = open_counters(site.stage)
        visit(site.stage, 200)
        assert counters.read() is None

    def test_what_is_cut_is_not_read_as_few_visitors(self, site: CountingSite) -> None:
        target = find_metrics(read_static(Path(site.stage.settings.proxy.config)))
        assert target is not None
        whole = read_metrics(target)
        with pytest.raises(ValueError, match=rf"200, {len(whole) // 2} bytes"):
            read_metrics(target, limit_bytes=len(whole) // 2)


@pytest.fixture
def open_caddy(tmp_path: Path, stages: list[SlotStage]) -> Open:
    """`beside`: the other site is one of the same server, else it has a port of its own."""

    def open_it(*, metrics: str, beside: bool = False, **knobs: Any) -> CountingSite:
        kind = knobs.pop("kind", CaddyStage)
        stage = kind(tmp_path, way=knobs.pop("way", SwitchWay.POINTER), metrics=metrics, **knobs)
        stages.append(stage)
        port, dial = stage.port if beside else free_port(), str(stage.slots[Slot.GREEN].address)
        proxy = {"handler": "reverse_proxy", "upstreams": [{"dial": dial}]}
        server = json.dumps({"listen": [f"127.0.0.1:{port}"], "routes": [{"handle": [proxy]}]})
        block = f"http://other.example:{port} {{\n\treverse_proxy {dial}\n}}\n"
        stage.write_main(neighbour=server if kind is JsonStage else block)
        return route(stage, port=port)

    return open_it


@NEEDS_CADDY
class TestCaddy(CounterPromises):
    """By server, or by host: both versions, both ways, both languages."""

    @pytest.fixture(params=["2.6", "2.11 beside", "2.11 json reload"])
    def site(self, request: pytest.FixtureRequest, open_caddy: Open) -> CountingSite:
        if request.param == "2.6":
            return open_caddy(caddy="2.6", metrics=METRICS["2.6"])
        if request.param == "2.11 beside":
            return open_caddy(metrics=PER_HOST, host="127.0.0.1", beside=True)
        return open_caddy(kind=JsonStage, metrics='"metrics": {},', way=SwitchWay.RELOAD)

    @pytest.mark.parametrize("why", ["off", "beside"])
    def test_one_that_does_not_count_or_counts_others_with_it_tells_nothing(self, open_caddy: Open, why: str) -> None:
        """None, not zero, and not somebody else's."""
        site = open_caddy(metrics=METRICS["2.11"] if why == "beside" else "", beside=why == "beside")
        counters = open_counters(site.stage)
        visit(site.stage, 200)
        assert counters.read() is None

    def test_while_a_share_is_given_nothing_is_told(self, open_caddy: Open) -> None:
        """Caddy does not count by slot; afterwards it counts for the slot that has all."""
        site = open_caddy(metrics=METRICS["2.11"], steps=STEPS)
        counters = open_counters(site.stage)
        site.stage.proxy.switch(Slot.GREEN, percent=50, reached=ignore)
        visit(site.stage, 500)
        assert counters.read() is None
        site.stage.proxy.switch(Slot.GREEN, reached=ignore)
        assert not counters.read()
        site.stage.visit()
        assert figures(read(counters), Slot.GREEN) == (1, 0, 0)

    def test_an_admin_api_on_a_port_is_asked_too(self, tmp_path: Path) -> None:
        """As whoever its owner lets in; what is cut, or not found, is an error."""
        address, config = f"localhost:{free_port()}", tmp_path / "caddy.json"
        config.write_text(json.dumps({"admin": {"listen": address, "enforce_origin": True}}))
        home = {"XDG_DATA_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "HOME": str(tmp_path)}
        with running(CADDIES["2.11"], config, env=home):
            ask = partial(ask_admin, address, until_s=time.monotonic() + 20)
            assert wait_until(lambda: answers(ask), timeout_s=20)
            assert b"enforce_origin" in ask("/config/", limit_bytes=1024)
            with pytest.raises(ValueError, match="200 for /config/, 10 bytes"):
                ask("/config/", limit_bytes=10)
            with pytest.raises(ValueError, match="404 for /none"):
                ask("/none", limit_bytes=1024)


@contextmanager
def running(binary: str, config: Path, *, env: dict[str, str]) -> Iterator[None]:
    process = subprocess.Popen(
        [binary, "run", "--config", str(config)], env=os.environ | env, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=20)


def answers(ask: Callable[..., bytes]) -> bool:
    try:
        return bool(ask("/config/", limit_bytes=1024))
    except OSError:
        return False
