"""Real deaths behind Caddy, HAProxy and Traefik, which are told by the pointer; nginx's stands in test_real_kills.py.

Only the points where a switch acts, from the enabled boot to the switch that was seen, and one on either side of the
bless. Between the death and the recovery the proxy's own configuration is valid and a visitor is answered.
"""

from collections.abc import Iterator

import pytest
from bench.load.running import RunningLoad

from tests.crash.killing import open_site_to_kill
from tests.crash.test_real_kills_ways import BY_POINTER, assert_dies_well, start_light_load, stop_load
from tests.e2e.site import Site

pytestmark = pytest.mark.root


@pytest.fixture(scope="module", params=["caddy", "haproxy", "traefik"])
def pointed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One that is told by its pointer."""
    with open_site_to_kill(tmp_path_factory.mktemp("kills"), proxy=request.param) as opened:
        yield opened


@pytest.fixture(scope="module")
def pointed_load(pointed: Site) -> Iterator[RunningLoad]:
    """Not one request failed, not one connection was closed."""
    running = start_light_load(pointed)
    yield running
    tally = stop_load(pointed, running)
    assert (tally.failed, tally.closed) == (0, 0), dict(tally.faults)


@pytest.mark.parametrize("point", BY_POINTER)
def test_a_death_in_a_switch_by_pointer_is_recovered(pointed: Site, pointed_load: RunningLoad, point: str) -> None:
    """As with nginx's."""
    assert_dies_well(pointed, point)
