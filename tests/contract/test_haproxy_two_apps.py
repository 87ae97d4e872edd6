"""Several apps behind one HAProxy: none touches another's files, none waits for another, none undoes another."""

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from celadon.drivers.proxies.hold import hold_configuration
from celadon.drivers.proxies.sealed import open_seal, seal
from celadon.host.pointer import read_pointer
from celadon.model.names import AppName, Slot
from celadon.model.observed import Effect, Switched
from celadon.model.settings import SwitchWay
from tests.contract.haproxy_pair import APPS, BLOG, SHOP, HaproxyPair
from tests.contract.proxy_promises import ignore


@pytest.fixture(params=[SwitchWay.POINTER, SwitchWay.RELOAD])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[HaproxyPair]:
    made = HaproxyPair(tmp_path, way=request.param)
    yield made
    made.close()


def at_once(act: Callable[[AppName], object]) -> None:
    """For both apps, each by a driver of its own."""
    with ThreadPoolExecutor(len(APPS)) as pool:
        for _ in pool.map(act, APPS):
            pass


def install(pair: HaproxyPair) -> None:
    for app in APPS:
        pair.driver(app).install()
        pair.driver(app).switch(Slot.BLUE, reached=ignore)


def age(pair: HaproxyPair, app: AppName) -> None:
    """As an earlier celadon wrote it, so that an install has something to do."""
    path = pair.directory / f"{app}.cfg"
    path.write_text(seal(open_seal(path.read_text()).replace("retries 1", "retries 2"), app=app))


def test_two_apps_are_installed_at_once_under_load(pair: HaproxyPair) -> None:
    """Each sees its own text loaded, and a neighbour's reloads fail no request."""
    install(pair)
    for app in APPS:
        age(pair, app)
    installed: dict[AppName, bool] = {}

    def act(app: AppName) -> None:
        installed[app] = pair.driver(app).install()

    with pair.visitors(SHOP) as shoppers, pair.visitors(BLOG) as readers:
        shoppers.await_more(10)
        at_once(act)
        readers.await_more(10)
    assert installed == {SHOP: True, BLOG: True}
    assert [pair.driver(app).install() for app in APPS] == [False, False]
    assert shoppers.failures + readers.failures + shoppers.lost + readers.lost == []


def test_two_apps_switch_at_once_and_no_visitor_notices(pair: HaproxyPair) -> None:
    """Twenty switches each: every one is seen, and each app is where it was sent."""
    install(pair)
    switched: list[Switched] = []

    def act(app: AppName) -> None:
        for to in [Slot.GREEN, Slot.BLUE] * 10:
            switched.append(pair.driver(app).switch(to, reached=ignore))
            view = pair.driver(app).observe()
            assert (view.slot, view.disagreement) == (to, "")

    with pair.visitors(SHOP) as shoppers, pair.visitors(BLOG) as readers:
        at_once(act)
    assert [each.reason for each in switched if not each.seen] == []
    assert len(switched) == 40
    assert shoppers.failures + readers.failures + shoppers.lost + readers.lost == []
    assert min(shoppers.count, readers.count) > 50


def test_one_installs_while_the_other_switches(pair: HaproxyPair) -> None:
    """A reload that began before the pointer moved brings the earlier number back; a switch outlasts it."""
    install(pair)
    switched: list[Switched] = []

    def act(app: AppName) -> None:
        for to in [Slot.GREEN, Slot.BLUE] * 3:
            if app == BLOG:
                age(pair, BLOG)
                assert pair.driver(BLOG).install()
            else:
                switched.append(pair.driver(SHOP).switch(to, reached=ignore))
                assert pair.driver(SHOP).observe().slot is to

    with pair.visitors(SHOP) as shoppers:
        at_once(act)
    assert [each.reason for each in switched if not each.seen] == []
    assert shoppers.failures + shoppers.lost == []
    view = pair.driver(SHOP).observe()
    assert (view.slot, view.disagreement, pair.driver(BLOG).observe().slot) == (Slot.BLUE, "", Slot.BLUE)


def test_nothing_is_loaded_while_another_app_holds_the_configuration(pair: HaproxyPair) -> None:
    """Else one's text, put back, would take what the other has just seen loaded with it. A route that is a number
    waits for nobody."""
    install(pair)
    passed: list[str] = []
    with ThreadPoolExecutor() as pool:
        with hold_configuration(pair.settings(SHOP).proxy):
            switching = pool.submit(pair.driver(SHOP).switch, Slot.GREEN, reached=passed.append)
            if pair.way is SwitchWay.POINTER:
                assert switching.result(20).seen
            else:
                with pytest.raises(TimeoutError):
                    switching.result(0.5)
                assert passed == []
        assert switching.result(20).seen


def test_a_switch_touches_no_file_of_another_app(pair: HaproxyPair) -> None:
    """Nor does an install, nor a hand edit there stop it."""
    install(pair)
    route = pair.directory / f"{BLOG}.cfg"
    route.write_text(route.read_text().replace("retries 1", "retries 2"))
    before = read_all(pair, BLOG)
    assert pair.driver(SHOP).install() is False
    assert pair.driver(SHOP).switch(Slot.GREEN, reached=ignore).seen
    assert read_all(pair, BLOG) == before
    assert (pair.driver(SHOP).observe().slot, pair.driver(BLOG).observe().slot) == (Slot.GREEN, Slot.BLUE)


def test_putting_back_one_app_leaves_the_other_where_it_is(pair: HaproxyPair) -> None:
    """Reloads are refused while somebody holds a port; who does not reload goes on."""
    install(pair)
    assert pair.driver(BLOG).switch(Slot.GREEN, reached=ignore).seen
    with socket.create_server(("127.0.0.1", 0)) as taken:
        pair.write_main(more=f"    bind 127.0.0.1:{taken.getsockname()[1]}\n")
        effects: dict[AppName, Effect] = {}

        def act(app: AppName) -> None:
            to = {SHOP: Slot.GREEN, BLOG: Slot.BLUE}[app]
            effects[app] = pair.driver(app).switch(to, reached=ignore).effect

        at_once(act)
    moved = pair.way is SwitchWay.POINTER
    assert set(effects.values()) == {Effect.MOVED if moved else Effect.NONE}
    expected = {SHOP: Slot.GREEN if moved else Slot.BLUE, BLOG: Slot.BLUE if moved else Slot.GREEN}
    assert {app: pair.driver(app).observe().slot for app in APPS} == expected
    assert {app: read_pointer(pair.layout(app).pointer) for app in APPS} == expected
    pair.write_main()
    assert all(pair.driver(app).switch(expected[app].other, reached=ignore).seen for app in APPS)


def read_all(pair: HaproxyPair, app: AppName) -> dict[Path, bytes]:
    """Its configuration and all that is its own."""
    files = [pair.directory / f"{app}.cfg", *(each for each in pair.layout(app).home.rglob("*") if each.is_file())]
    return {path: path.read_bytes() for path in files}
