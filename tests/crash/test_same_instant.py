"""Two deploys in the same instant, a hundred times."""

from collections import Counter
from pathlib import Path

import pytest

from celadon.app.order import write_order
from celadon.app.status import observe_status, read_recorded
from celadon.app.verbs import choose_source, order_of
from celadon.config.load import load_settings
from celadon.host.lock import AppLock
from celadon.model.plan import OperationKind
from tests.crash.killing import open_site_to_kill, start_warm
from tests.e2e.site import Site
from tests.e2e.site_proxies import NGINX

pytestmark = [
    pytest.mark.root,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not Path(NGINX).exists(), reason="nginx is not installed"),
]

PAIRS_COUNT = 100
BUSY = 12


def deploy_twice(site: Site) -> list[int]:
    """Exit codes of two that leave in the same instant, not one interpreter's start apart."""
    settings = load_settings(site.app / "celadon.toml", root=site.state).settings
    source = choose_source(settings, None)
    paths = [site.base / f"order-{number}" for number in range(2)]
    for number, path in enumerate(paths):
        order = order_of(site.layout, OperationKind.DEPLOY, lead=f"lead{number}", settings=settings, source=source)
        write_order(order, path)
    return start_warm().operate(paths, site.variables())


def test_two_deploys_in_the_same_instant_a_hundred_times(tmp_path: Path) -> None:
    """One does it, the other is told that it is busy; nobody waits, nothing is half done, no number is used twice."""
    with open_site_to_kill(tmp_path) as site:
        ended: Counter[tuple[int, ...]] = Counter()
        for number in range(PAIRS_COUNT):
            site.write_version(f"v{number}")
            ended[tuple(sorted(deploy_twice(site)))] += 1
            assert site.visit() == (200, f"v{number}")
            assert AppLock(site.layout.lock).holder() is None
        assert ended == {(0, BUSY): PAIRS_COUNT}
        assert observe_status(site.layout).interrupted is False
        blessed = read_recorded(site.layout).blessed
        assert blessed == sorted(set(blessed))
        assert len(blessed) == PAIRS_COUNT + 1
