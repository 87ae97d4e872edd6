"""What a switch costs and what it breaks: by proxy and way, beside the bare rename in the same run."""

import tempfile
import time
from pathlib import Path
from statistics import median

from tests.e2e.site import Site, open_site

from bench.prober import Prober
from bench.tables import render_table, spread
from celadon.app.compose import make_proxy
from celadon.app.inforce import require_in_force
from celadon.host.pointer import move_pointer, read_pointer
from celadon.model.names import Slot

WAYS = (
    ("nginx", "pointer", False),
    ("nginx", "pointer", True),
    ("nginx", "symlink", False),
    ("nginx", "include", False),
    ("caddy", "pointer", False),
    ("caddy", "pointer", True),
    ("caddy", "reload", False),
)
_BETWEEN_S = 0.05


def run(*, switches: int) -> str:
    return "\n".join([_run_zero(switches=switches), _run_latency(switches=max(20, switches // 4))])


def _open(base: str, proxy: str, way: str, *, sockets: bool):  # type: ignore[no-untyped-def]  # noqa: ANN202
    return open_site(Path(base), proxy=proxy, way=way, sockets=sockets)


def _start_both(site: Site) -> None:
    """v1 in blue and v2 in green, both running."""
    config = site.app / "celadon.toml"
    config.write_text(config.read_text().replace("[observe]", '[observe]\nbless = "manual"'))
    done = site.deploy("v2")
    if done.code != 20:
        raise RuntimeError(done.output)


def _run_zero(*, switches: int) -> str:
    rows = []
    for proxy, way, sockets in WAYS:
        with tempfile.TemporaryDirectory() as base, _open(base, proxy, way, sockets=sockets) as site:
            _start_both(site)
            driver = make_proxy(site.layout, require_in_force(site.layout))
            load = site.start_load(keepalive=6, oneshot=3, posts=3, websockets=4, streams=2, think_ms=2.0)
            time.sleep(1.0)
            seen = []
            for _ in range(switches):
                to = driver.observe().slot
                switched = driver.switch((to or Slot.BLUE).other, reached=lambda _: None)
                if not switched.seen:
                    raise RuntimeError(switched.reason)
                seen.append(switched.seen_ms)
                time.sleep(_BETWEEN_S)
            tally = load.stop()
            lost = len(site.lost_orders(tally))
            name = f"{proxy} {way}{' (sockets)' if sockets else ''}"
            rows.append((name, switches, tally.requests, tally.failed, tally.closed, tally.cut, lost, spread(seen)))
    head = ("proxy, way", "switches", "requests", "failed", "closed", "cut", "lost writes", "seen ms median / max")
    return render_table("Zero: what switches break under load (no retries)", head, rows)


def _run_latency(*, switches: int) -> str:
    rows = []
    for proxy, way, sockets in WAYS:
        with tempfile.TemporaryDirectory() as base, _open(base, proxy, way, sockets=sockets) as site:
            _start_both(site)
            driver = make_proxy(site.layout, require_in_force(site.layout))
            new, old = _measure(site, switches, move=lambda to, proxy=driver: proxy.switch(to, reached=lambda _: None))
            name = f"{proxy} {way}{' (sockets)' if sockets else ''}"
            if way != "pointer":
                rows.append((name, switches, spread(new), spread(old), "-", "-"))
                continue
            bare_new, _ = _measure(site, switches, move=lambda to, site=site: move_pointer(site.layout.pointer, to))
            ratio = f"{median(new) / median(bare_new):.2f}"
            rows.append((name, switches, spread(new), spread(old), spread(bare_new), ratio))
    head = ("proxy, way", "switches", "first new ms", "last old ms", "bare rename: first new ms", "ratio")
    return render_table("Switch: decision to first new and last old answer, median / max", head, rows)


def _measure(site: Site, switches: int, *, move) -> tuple[list[float], list[float]]:  # type: ignore[no-untyped-def]  # noqa: ANN001
    new, old = [], []
    with Prober(("127.0.0.1", site.port), "shop.example") as prober:
        time.sleep(0.2)
        for _ in range(switches):
            to = (read_pointer(site.layout.pointer) or Slot.BLUE).other
            decided_at = time.monotonic()
            move(to)
            time.sleep(0.15)
            version = "v1" if to is Slot.BLUE else "v2"
            new.append(prober.first_new_ms(version, decided_at=decided_at))
            old.append(prober.last_old_ms(version, decided_at=decided_at))
    return new, old
