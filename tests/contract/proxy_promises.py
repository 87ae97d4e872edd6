"""What every proxy driver promises, the fake too. A subclass gives the stage."""

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from celadon.contracts.proxy import Proxy
from celadon.contracts.traffic import Traffic
from celadon.model.names import Slot
from celadon.model.observed import Effect, FindingLevel, Hit

POINTER_POINTS = ["before_pointer", "after_pointer"]
RELOAD_POINTS = ["validated", *POINTER_POINTS, "before_reload", "after_reload"]


class Load(Protocol):
    """Visitors who do not retry, on a connection kept alive and on one a request. `failures` are wrong answers, `lost`
    fresh connections without an answer; `closed_count`: the kept connection was closed under a request."""

    failures: list[str]
    lost: list[str]
    closed_count: int
    count: int

    def await_more(self, count: int) -> None: ...


class ProxyStage(Protocol):
    """A proxy with both slots answering behind it. `visit` is one request of a visitor: its status. `stop` and
    `start` are those of its service. `app_headers` are the names of all headers that the slots were sent. `loses`: the
    program itself loses connections at a reload, whoever asks for it."""

    proxy: Proxy
    reloads: bool
    loses: bool

    def visit(self) -> int: ...

    def visitors(self) -> AbstractContextManager[Load]: ...

    def reload_count(self) -> int: ...

    def app_headers(self) -> set[str]: ...

    def stop(self) -> None: ...

    def start(self) -> None: ...


def ignore(point: str) -> None:
    """For switches whose points do not matter."""


class ProxyPromises:
    def test_a_check_of_a_good_site_finds_no_problem(self, stage: ProxyStage) -> None:
        """PROBLEM refuses a deploy, so a good site must have none."""
        assert [found for found in stage.proxy.check() if found.level is FindingLevel.PROBLEM] == []

    def test_rendering_is_deterministic(self, stage: ProxyStage) -> None:
        """The same settings give the same bytes, each file ended by a newline."""
        assert stage.proxy.render() == stage.proxy.render()
        assert all(file.text.endswith("\n") and file.path.is_absolute() for file in stage.proxy.render())

    def test_a_second_install_changes_nothing(self, stage: ProxyStage) -> None:
        """install is idempotent and says so."""
        stage.proxy.install()
        assert stage.proxy.install() is False

    def test_before_the_first_switch_no_route_is_set(self, stage: ProxyStage) -> None:
        """An installed proxy that was never switched routes to no slot by name."""
        stage.proxy.install()
        assert stage.proxy.observe().slot is None

    def test_a_switch_is_seen_and_observed(self, stage: ProxyStage) -> None:
        """After each switch the proxy answers as the slot asked for, there and back."""
        stage.proxy.install()
        for to in (Slot.BLUE, Slot.GREEN, Slot.BLUE):
            switched = stage.proxy.switch(to, reached=ignore)
            assert (switched.to, switched.seen, switched.effect, switched.reason) == (to, True, Effect.MOVED, "")
            assert switched.moved_ms <= switched.seen_ms <= switched.settled_ms
            view = stage.proxy.observe()
            assert (view.slot, view.seen) == (to, True)

    def test_a_switch_names_the_points_it_passes(self, stage: ProxyStage) -> None:
        """The crash suite kills at these points, so each is passed, in order."""
        stage.proxy.install()
        passed: list[str] = []
        stage.proxy.switch(Slot.GREEN, reached=passed.append)
        assert passed == (RELOAD_POINTS if stage.reloads else POINTER_POINTS)

    def test_a_switch_to_the_routed_slot_is_seen_at_once(self, stage: ProxyStage) -> None:
        """Recovery switches without asking first."""
        stage.proxy.install()
        stage.proxy.switch(Slot.GREEN, reached=ignore)
        switched = stage.proxy.switch(Slot.GREEN, reached=ignore)
        assert (switched.seen, switched.effect) == (True, Effect.MOVED)

    def test_a_stopped_proxy_starts_with_the_route_that_it_was_given(self, stage: ProxyStage) -> None:
        """At boot recovery moves the route before the proxy runs: said at once, and true afterwards."""
        stage.proxy.install()
        stage.proxy.switch(Slot.GREEN, reached=ignore)
        stage.stop()
        switched = stage.proxy.switch(Slot.BLUE, reached=ignore)
        assert (switched.seen, switched.effect) == (False, Effect.AT_REST)
        assert (stage.proxy.observe().slot, stage.proxy.observe().seen) == (Slot.BLUE, False)
        stage.start()
        assert (stage.proxy.observe().slot, stage.proxy.observe().seen) == (Slot.BLUE, True)

    def test_switches_under_load_fail_no_request(self, stage: ProxyStage) -> None:
        """The claim of the product. A way that does not reload closes no connection either, and reloads nothing; one
        that does takes longer, and is asked half as often."""
        stage.proxy.install()
        stage.proxy.switch(Slot.BLUE, reached=ignore)
        reloads = stage.reload_count()
        with stage.visitors() as load:
            for to in [Slot.GREEN, Slot.BLUE] * (5 if stage.reloads else 10):
                assert stage.proxy.switch(to, reached=ignore).seen
                load.await_more(10)
        assert load.failures == []
        assert stage.loses or load.lost == []
        assert load.count >= 100
        assert stage.reloads or (load.closed_count, stage.reload_count()) == (0, reloads)

    def test_a_look_is_between_us_and_the_proxy(self, stage: ProxyStage) -> None:
        """The app never sees its header."""
        stage.proxy.install()
        stage.proxy.switch(Slot.GREEN, reached=ignore)
        stage.proxy.observe()
        assert "x-celadon-look" not in stage.app_headers()

    def test_traffic_names_the_slot_that_answered(self, stage: ProxyStage) -> None:
        """A reader starts at the present end and gives each request once, with an id of its own; what was before it is
        there to be looked up, with its time."""
        began_s = time.time()
        stage.proxy.install()
        stage.proxy.switch(Slot.GREEN, reached=ignore)
        earlier = stage.proxy.traffic()
        stage.visit()
        assert len(read_hits(earlier)) == 1
        earlier.close()
        traffic = stage.proxy.traffic()
        assert stage.visit() == 200
        hits = read_hits(traffic)
        assert [(hit.slot, hit.status, hit.look) for hit in hits] == [(Slot.GREEN, 200, "")]
        assert traffic.read() == []
        assert traffic.unreadable_count == 0
        past = [timed for part in traffic.past(since_s=began_s - 60, is_over=lambda: False) for timed in part]
        assert [(hit.slot, hit.status) for _, hit in past if not hit.look] == [(Slot.GREEN, 200)] * 2
        first, second = (hit.request_id for _, hit in past if not hit.look)
        assert second == hits[0].request_id
        assert first not in {"", second}
        assert all(began_s - 1 <= at_s <= time.time() for at_s, _ in past)
        assert list(traffic.past(since_s=began_s - 60, is_over=lambda: True)) == []
        traffic.close()


def read_hits(traffic: Traffic) -> Sequence[Hit]:
    """The next hits; a proxy writes its log a moment after the answer."""
    deadline = time.monotonic() + 5
    while not (hits := traffic.read()) and time.monotonic() < deadline:
        time.sleep(0.001)
    return hits
