"""A proxy under measurement: a contract suite's stage, with slots that are fast and run in processes of their own."""

import contextlib
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import msgspec
from msgspec import structs
from tests.contract.slot_server import SlotServer

from bench.load.running import RunningLoad, start_load
from bench.prober import DistantProber
from celadon.app.compose import make_proxy
from celadon.contracts.proxy import Proxy
from celadon.host.layout import Layout
from celadon.host.look_http import parse_look_target
from celadon.host.sockets import KernelSockets
from celadon.model.address import Address, SocketAddress, TcpAddress
from celadon.model.names import Slot
from celadon.model.observed import Switched
from celadon.model.settings import Settings, SwitchSettings

_ROOT = Path(__file__).parents[2]
_START_TIMEOUT_S = 10.0


class Stage(Protocol):
    """What the contract suites' stages have in common."""

    port: int
    layout: Layout
    settings: Settings
    slots: dict[Slot, SlotServer]

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def close(self) -> None: ...


class Killable(Protocol):
    def kill(self) -> None: ...


class StandError(Exception):
    """What is to be measured did not do its part."""


@dataclass(frozen=True, kw_only=True)
class Stand:
    """`site` is the Host that visitors ask for. `started` are who must not outlive it, whatever is raised."""

    stage: Stage
    proxy: Proxy
    settings: Settings
    started: list[Killable] = field(default_factory=list)

    @property
    def site(self) -> str:
        return parse_look_target(site=self.settings.proxy.site, listen=self.settings.proxy.listen, path="/").host

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.stage.port}"

    def switch(self, to: Slot, *, percent: int = 100) -> Switched:
        """Raises StandError when it is not seen."""
        switched = self.proxy.switch(to, percent=percent, reached=lambda _: None)
        if not switched.seen:
            raise StandError(switched.reason)
        return switched

    def start_load(self, *, port: int = 0, think_ms: float = 2.0, **counts: int) -> RunningLoad:
        """Of the kinds that `counts` does not name there are none. `port`: through a relay, or to another site."""
        kinds = {"keepalive": 0, "oneshot": 0, "posts": 0, "websockets": 0, "streams": 0} | counts
        load = start_load(f"127.0.0.1:{port or self.stage.port}", site=self.site, think_ms=think_ms, **kinds)
        self.started.append(load)
        return load

    def start_prober(self) -> DistantProber:
        prober = DistantProber(self.address, self.site, scratch=self.stage.layout.home)
        self.started.append(prober)
        return prober

    def read_orders(self) -> Counter[str]:
        """How often each POST was kept, asked of the slots themselves."""
        kept: Counter[str] = Counter()
        for slot in Slot:
            kept.update(_read_orders(self.settings.web.address(slot)))
        return kept

    def proxy_pids(self) -> frozenset[int]:
        """All processes that take the site's connections."""
        return KernelSockets().listening_pids(TcpAddress(port=self.stage.port)) or frozenset()


@contextlib.contextmanager
def open_stand(
    open_stage: Callable[[Path], Stage],
    *,
    steps: tuple[int, ...] = (100,),
    prepare: Callable[[Stage], None] | None = None,
    installs: bool = True,
) -> Iterator[Stand]:
    """Blue is live. `prepare` writes the site's configuration before the route is installed."""
    with tempfile.TemporaryDirectory(prefix="celadon-bench-") as base:
        Path(base).chmod(0o755)
        started: list[Killable] = []
        stage = open_stage(Path(base))
        try:
            _replace_slots(stage, started)
            if prepare is not None:
                prepare(stage)
            settings = structs.replace(stage.settings, switch=SwitchSettings(steps=steps))
            stand = Stand(stage=stage, proxy=make_proxy(stage.layout, settings), settings=settings, started=started)
            if installs:
                stand.proxy.install()
                stand.switch(Slot.BLUE)
            yield stand
        finally:
            for each in started:
                each.kill()
            stage.close()


class _RunningSlot:
    def __init__(self, slot: Slot, address: Address) -> None:
        words = [sys.executable, "-m", "bench.load.slot", slot.value, _place(address)]
        self._process = subprocess.Popen(words, cwd=_ROOT)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


def _replace_slots(stage: Stage, started: list[Killable]) -> None:
    for slot, server in stage.slots.items():
        server.close()
        started.append(_RunningSlot(slot, server.address))
    for server in stage.slots.values():
        await_listening(server.address)


def _place(address: Address) -> str:
    return address.path if isinstance(address, SocketAddress) else str(address)


def connect(address: Address) -> socket.socket:
    if isinstance(address, TcpAddress):
        return socket.create_connection((address.host, address.port), timeout=5)
    stream = socket.socket(socket.AF_UNIX)
    stream.settimeout(5)
    stream.connect(address.path)
    return stream


def await_listening(address: Address) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while True:
        try:
            connect(address).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)


def _read_orders(address: Address) -> dict[str, int]:
    with connect(address) as stream:
        stream.sendall(b"GET /orders HTTP/1.1\r\nHost: slot\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: stream.recv(1 << 20), b""))
    return msgspec.json.decode(answer.partition(b"\r\n\r\n")[2], type=dict[str, int])
