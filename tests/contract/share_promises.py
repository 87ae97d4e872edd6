"""What a driver promises that can give the candidate a share of the traffic. A subclass gives the stage, whose settings
have the steps 5, 25, 50 and 100 %."""

from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from bench.load.oneshot import make_clients

from celadon.contracts.proxy import Proxy
from celadon.model.names import Slot
from celadon.model.observed import Effect, Hit, Split
from tests.contract.proxy_promises import Load, ignore, read_hits

STEPS = (5, 25, 50, 100)


class ShareStage(Protocol):
    """`ask` is one request of the client at that address: status and body, which is the slot's name. `sticky`: the
    proxy keeps a client where it is."""

    proxy: Proxy
    sticky: bool

    def ask(self, client: str, headers: dict[str, str] | None = None) -> tuple[int, str]: ...

    def visitors(self) -> AbstractContextManager[Load]: ...

    def stop(self) -> None: ...

    def start(self) -> None: ...


class SharePromises:
    def test_a_share_is_seen_observed_and_given(self, stage: ShareStage) -> None:
        """The old slot stays the route; the candidate gets about what was asked for."""
        self._begin(stage)
        for percent in (5, 25, 50):
            switched = stage.proxy.switch(Slot.GREEN, percent=percent, reached=ignore)
            assert (switched.seen, switched.effect, switched.reason) == (True, Effect.MOVED, "")
            view = stage.proxy.observe()
            assert (view.slot, view.split, view.seen) == (Slot.BLUE, Split(slot=Slot.GREEN, percent=percent), True)
            counted = Counter(ask_all(stage, make_clients(600)))
            assert set(counted) <= {"blue", "green"}
            assert abs(counted["green"] / 6 - percent) < 7, counted

    def test_the_whole_follows_a_share_and_the_way_back_ends_it(self, stage: ShareStage) -> None:
        """One move each: no instant at which a third thing is true."""
        self._begin(stage)
        for to in (Slot.GREEN, Slot.BLUE):
            stage.proxy.switch(to, percent=25, reached=ignore)
            assert stage.proxy.switch(to, reached=ignore).seen
            assert (stage.proxy.observe().slot, stage.proxy.observe().split) == (to, None)
            assert set(ask_all(stage, make_clients(200))) == {to.value}
        stage.proxy.switch(Slot.GREEN, percent=50, reached=ignore)
        assert stage.proxy.switch(Slot.BLUE, reached=ignore).seen
        assert (stage.proxy.observe().slot, stage.proxy.observe().split) == (Slot.BLUE, None)
        assert set(ask_all(stage, make_clients(200))) == {"blue"}

    def test_a_client_stays_where_it_is_while_the_share_grows(self, stage: ShareStage) -> None:
        """Nobody sees the site change twice."""
        if not stage.sticky:
            return
        self._begin(stage)
        clients = make_clients(200)
        before: set[str] = set()
        for percent in (5, 25, 50, 100):
            stage.proxy.switch(Slot.GREEN, percent=percent, reached=ignore)
            on_green = {client for client in clients if stage.ask(client)[1] == "green"}
            assert on_green == {client for client in clients if stage.ask(client)[1] == "green"}
            assert before <= on_green
            before = on_green

    def test_a_restarted_proxy_gives_the_share_that_it_gave(self, stage: ShareStage) -> None:
        """What is on disk is the route."""
        self._begin(stage)
        stage.proxy.switch(Slot.GREEN, percent=25, reached=ignore)
        stage.stop()
        view = stage.proxy.observe()
        assert (view.slot, view.split, view.seen) == (Slot.BLUE, Split(slot=Slot.GREEN, percent=25), False)
        stage.start()
        view = stage.proxy.observe()
        assert (view.slot, view.split, view.seen) == (Slot.BLUE, Split(slot=Slot.GREEN, percent=25), True)
        counted = Counter(ask_all(stage, make_clients(400)))
        assert 50 < counted["green"] < 150

    def test_traffic_names_the_slot_of_each_request(self, stage: ShareStage) -> None:
        """The window counts the candidate's requests and the old slot's apart."""
        self._begin(stage)
        stage.proxy.switch(Slot.GREEN, percent=50, reached=ignore)
        traffic = stage.proxy.traffic()
        asked = Counter(ask_all(stage, make_clients(40)))
        hits: list[Hit] = []
        while len(hits) < 40 and (more := read_hits(traffic)):
            hits += [hit for hit in more if not hit.look]
        traffic.close()
        assert Counter(hit.slot.value for hit in hits if hit.slot) == asked

    def test_steps_under_load_fail_no_request(self, stage: ShareStage) -> None:
        """Nor do they close a connection."""
        self._begin(stage)
        with stage.visitors() as load:
            for to in [Slot.GREEN, Slot.BLUE] * 3:
                for percent in STEPS:
                    assert stage.proxy.switch(to, percent=percent, reached=ignore).seen
                    load.await_more(5)
        assert (load.failures, load.lost, load.closed_count) == ([], [], 0)

    def _begin(self, stage: ShareStage) -> None:
        stage.proxy.install()
        assert stage.proxy.switch(Slot.BLUE, reached=ignore).seen


def ask_all(stage: ShareStage, clients: Sequence[str]) -> list[str]:
    answers = [stage.ask(client) for client in clients]
    assert {status for status, _ in answers} == {200}
    return [body for _, body in answers]
