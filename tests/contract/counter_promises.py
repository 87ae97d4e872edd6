"""What the counters of a proxy promise, beside what visitors got. A subclass gives the site, where blue is routed."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Protocol

from bench.load.oneshot import make_clients

from celadon.app.compose import COUNTERS
from celadon.contracts.counters import Counters
from celadon.contracts.proxy import Proxy
from celadon.drivers.proxies.headers import PREVIEW_HEADER
from celadon.host.layout import Layout
from celadon.host.look_mark import read_secret
from celadon.model.names import Slot
from celadon.model.observed import Counted
from celadon.model.settings import Settings
from tests.contract.proxy_promises import ignore
from tests.contract.slot_server import SlotServer


class CountingStage(Protocol):
    layout: Layout
    settings: Settings
    proxy: Proxy
    slots: dict[Slot, SlotServer]

    def visit(self) -> int: ...

    def ask(self, client: str, headers: dict[str, str] | None = None) -> tuple[int, str]: ...

    def stop(self) -> None: ...

    def start(self) -> None: ...


class CountingSite:
    """`visit_other` is a visit of another site behind the same proxy, to the address of the green slot."""

    def __init__(self, stage: CountingStage, visit_other: Callable[[], int]) -> None:
        self.stage = stage
        self.visit_other = visit_other


class CounterPromises:
    def test_every_answer_is_counted_once_and_by_its_kind(self, site: CountingSite) -> None:
        """Nothing of what came before; then what came since the last look."""
        visit(site.stage, 200, 500)
        counters = open_counters(site.stage)
        visit(site.stage, 200, 200, 302, 404, 500, 503)
        assert figures(read(counters), Slot.BLUE) == (6, 2, 1)
        visit(site.stage, 500)
        found = read(counters)
        assert figures(found, Slot.BLUE) == (1, 1, 0)
        assert figures(found, Slot.GREEN) == (0, 0, 0)
        assert found[Slot.BLUE].over_s > 0

    def test_a_visitor_who_got_the_proxys_own_error_counts_as_failed(self, site: CountingSite) -> None:
        """No slot answered it."""
        slot, counters = site.stage.slots[Slot.BLUE], open_counters(site.stage)
        slot.says = {"Connection": "close"}  # what is kept alive would outlive the slot
        site.stage.visit()
        read(counters)
        slot.close()
        assert site.stage.visit() in {502, 503}
        assert figures(read(counters), Slot.BLUE) == (1, 1, 0)

    def test_what_the_route_leads_to_after_a_switch_is_what_visitors_are_counted_for(self, site: CountingSite) -> None:
        """None of the new slot's visitors is one of the old one's, nor the other way round."""
        stage, counters = site.stage, open_counters(site.stage)
        visit(stage, 500)
        assert stage.proxy.switch(Slot.GREEN, reached=ignore).seen
        before = counters.read() or []
        assert not any(counted.failed_count for counted in before if counted.slot is Slot.GREEN)
        stage.visit()
        assert figures(read(counters), Slot.GREEN) == (1, 0, 0)
        assert figures(read(counters), Slot.BLUE) == (0, 0, 0)

    def test_what_another_site_answers_is_not_counted(self, site: CountingSite) -> None:
        """It may share the proxy, the entry point, the address of a slot."""
        counters = open_counters(site.stage)
        site.stage.slots[Slot.GREEN].status = 500
        assert site.visit_other() == 500
        visit(site.stage, 200)
        found = read(counters)
        assert figures(found, Slot.BLUE) == (1, 0, 0)
        assert figures(found, Slot.GREEN) == (0, 0, 0)

    def test_a_proxy_that_begins_to_count_anew_loses_nothing_after_it(self, site: CountingSite) -> None:
        """What is counted is what came, not less than nothing. A start may have been seen by a visit of its own."""
        counters = open_counters(site.stage)
        visit(site.stage, 200, 500, 500, 500)
        assert figures(read(counters), Slot.BLUE) == (4, 3, 0)
        site.stage.slots[Slot.BLUE].status = 200
        site.stage.stop()
        site.stage.start()
        visit(site.stage, 200, 500)
        assert figures(read(counters), Slot.BLUE) in {(2, 1, 0), (3, 1, 0)}

    def test_a_proxy_that_does_not_answer_tells_nothing(self, site: CountingSite) -> None:
        """None, not zero: nobody may take it for a quiet site."""
        counters = open_counters(site.stage)
        site.stage.stop()
        assert counters.read() is None


class SlotCounterPromises(CounterPromises):
    """Of a proxy that counts by slot. The stage's settings have the steps of `STEPS`, and `preview`."""

    def test_of_a_share_each_slot_is_counted_for_itself(self, site: CountingSite) -> None:
        """As its visitors got it."""
        stage, counters = site.stage, open_counters(site.stage)
        assert stage.proxy.switch(Slot.GREEN, percent=50, reached=ignore).seen
        stage.slots[Slot.GREEN].status = 500
        read(counters)
        got = Counter(stage.ask(client) for client in make_clients(40))
        found = read(counters)
        assert 0 < got[500, "green"] < 40
        assert figures(found, Slot.GREEN) == (got[500, "green"], got[500, "green"], 0)
        assert figures(found, Slot.BLUE) == (got[200, "blue"], 0, 0)

    def test_a_preview_is_no_visitor(self, site: CountingSite) -> None:
        """Whatever it gets, of the slot that is not live."""
        counters = open_counters(site.stage)
        site.stage.slots[Slot.GREEN].status = 500
        secret = read_secret(site.stage.layout.preview_secret)
        assert site.stage.ask("127.0.3.9", {PREVIEW_HEADER: secret}) == (500, "green")
        assert figures(read(counters), Slot.GREEN) == (0, 0, 0)


def open_counters(stage: CountingStage) -> Counters:
    return COUNTERS[stage.settings.proxy.kind](stage.layout, stage.settings)


def read(counters: Counters) -> dict[Slot, Counted]:
    counts = counters.read()
    assert counts is not None
    return {counted.slot: counted for counted in counts}


def figures(found: Mapping[Slot, Counted], slot: Slot) -> tuple[int, int, int]:
    """All, failed, by the client's fault. Zeros for a slot that nothing is told of."""
    counted = found.get(slot)
    return (0, 0, 0) if counted is None else (counted.requests_count, counted.failed_count, counted.client_errors_count)


def visit(stage: CountingStage, *statuses: int) -> None:
    for status in statuses:
        stage.slots[Slot.BLUE].status = status
        stage.visit()
