"""Several apps behind one nginx: none touches another's files, none waits for another, none undoes another."""

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from celadon.drivers.proxies.look import wait_until
from celadon.model.names import AppName, Slot
from celadon.model.observed import Effect, Switched
from celadon.model.settings import SwitchWay
from tests.contract.nginx_pair import APPS, NGINX, NginxPair
from tests.contract.proxy_promises import ignore

pytestmark = [pytest.mark.root, pytest.mark.skipif(not Path(NGINX).exists(), reason="nginx is not installed")]

SHOP, BLOG = APPS


@pytest.fixture(params=[SwitchWay.POINTER, SwitchWay.SYMLINK, SwitchWay.INCLUDE])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NginxPair]:
    made = NginxPair(tmp_path, way=request.param)
    made.write_main()
    yield made
    made.close()


def at_once(pair: NginxPair, act: Callable[[AppName], object]) -> None:
    """Both apps, each by a driver of its own."""
    del pair
    with ThreadPoolExecutor(len(APPS)) as pool:
        for _ in pool.map(act, APPS):
            pass


def install(pair: NginxPair) -> None:
    for app in APPS:
        pair.driver(app).install()
        pair.driver(app).switch(Slot.BLUE, reached=ignore)


def test_two_apps_are_installed_at_once(pair: NginxPair) -> None:
    """One reload may serve both."""
    installed = {}

    def act(app: AppName) -> None:
        installed[app] = pair.driver(app).install()

    at_once(pair, act)
    assert installed == {SHOP: True, BLOG: True}
    assert [pair.driver(app).install() for app in APPS] == [False, False]


@pytest.mark.parametrize("pair", [SwitchWay.SYMLINK, SwitchWay.INCLUDE], indirect=True)
def test_a_reload_that_met_half_of_anothers_files_is_asked_for_again(pair: NginxPair) -> None:
    """nginx reads one of them before they are put in place and the next one after: it refuses what is valid."""
    install(pair)
    route, log = pair.directory / BLOG / "route.conf", pair.base / "error.log"
    whole = route.read_text()

    def reached(point: str) -> None:
        if point == "before_reload":
            route.write_text(f"{whole}access_log /dev/null unheard_of;\n")
        if point == "after_reload":
            assert wait_until(lambda: "unheard_of" in log.read_text(), timeout_s=10.0)
            route.write_text(whole)

    switched = pair.driver(SHOP).switch(Slot.GREEN, reached=reached)
    assert switched.seen, switched.reason
    assert (pair.driver(SHOP).observe().slot, pair.driver(BLOG).observe().slot) == (Slot.GREEN, Slot.BLUE)


def test_two_apps_switch_at_once_and_no_visitor_notices(pair: NginxPair) -> None:
    """Twenty switches each: every one is seen, and each app is where it was sent."""
    install(pair)
    switched: list[Switched] = []

    def act(app: AppName) -> None:
        for to in [Slot.GREEN, Slot.BLUE] * 10:
            switched.append(pair.driver(app).switch(to, reached=ignore))
            assert pair.driver(app).observe().slot is to

    with pair.visitors(SHOP) as shoppers, pair.visitors(BLOG) as readers:
        at_once(pair, act)
    assert [each.reason for each in switched if not each.seen] == []
    assert len(switched) == 40
    assert shoppers.failures + readers.failures + shoppers.lost + readers.lost == []
    assert min(shoppers.count, readers.count) > 50


def test_a_switch_touches_no_file_of_another_app(pair: NginxPair) -> None:
    """Nor does an install, nor a hand edit there stop it."""
    install(pair)
    route = pair.directory / BLOG / "route.conf"
    route.write_text(route.read_text() + "proxy_read_timeout 5s;\n")
    before = pair.texts(BLOG)
    assert pair.driver(SHOP).install() is False
    assert pair.driver(SHOP).switch(Slot.GREEN, reached=ignore).seen
    assert pair.texts(BLOG) == before
    assert (pair.driver(SHOP).observe().slot, pair.driver(BLOG).observe().slot) == (Slot.GREEN, Slot.BLUE)


def test_putting_back_one_app_leaves_the_other_where_it_is(pair: NginxPair) -> None:
    """A reload is refused for both while somebody holds a port; what had moved before stays moved."""
    install(pair)
    assert pair.driver(BLOG).switch(Slot.GREEN, reached=ignore).seen
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        pair.write_main(more=f"server {{ listen 127.0.0.1:{holder.getsockname()[1]}; }}")
        refused: dict[AppName, Switched] = {}

        def act(app: AppName) -> None:
            to = {SHOP: Slot.GREEN, BLOG: Slot.BLUE}[app]
            refused[app] = pair.driver(app).switch(to, reached=ignore)

        at_once(pair, act)
    moved = pair.way is SwitchWay.POINTER
    assert {each.effect for each in refused.values()} == {Effect.MOVED if moved else Effect.NONE}
    expected = (Slot.GREEN, Slot.BLUE) if moved else (Slot.BLUE, Slot.GREEN)
    assert (pair.driver(SHOP).observe().slot, pair.driver(BLOG).observe().slot) == expected
    assert {pair.driver(app).observe().disagreement for app in APPS} == {""}
    pair.write_main()
    assert [pair.driver(app).switch(to.other, reached=ignore).seen for app, to in zip(APPS, expected, strict=True)] == [
        True,
        True,
    ]
