"""What a proxy driver promises of slots that have two replicas each. A subclass gives the stage."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from celadon.contracts.traffic import Traffic
from celadon.model.names import Slot
from celadon.model.observed import Hit
from tests.contract.proxy_promises import ProxyStage, ignore, read_hits
from tests.contract.slot_server import SlotServer

VISITS_COUNT = 40


class ReplicaStage(ProxyStage, Protocol):
    """`slots` are the first replicas, `more` the second ones."""

    slots: Mapping[Slot, SlotServer]
    more: Mapping[Slot, Sequence[SlotServer]]


def visit_often(stage: ReplicaStage, traffic: Traffic) -> list[Hit]:
    """Visitors' hits."""
    assert {stage.visit() for _ in range(VISITS_COUNT)} == {200}
    hits: list[Hit] = []
    while len(hits) < VISITS_COUNT and (more := read_hits(traffic)):
        hits += [hit for hit in more if not hit.look]
    return hits


class ReplicaPromises:
    def test_every_replica_has_its_part_and_every_line_is_the_slots(self, stage: ReplicaStage) -> None:
        """There and back: those of the routed slot alone, and a line tells the slot, whichever replica answered."""
        stage.proxy.install()
        for to in (Slot.GREEN, Slot.BLUE):
            assert stage.proxy.switch(to, reached=ignore).seen
            assert stage.proxy.observe().slot is to
            servers = [stage.slots[to], *stage.more[to]]
            others = [stage.slots[to.other], *stage.more[to.other]]
            before = [server.asked_count for server in (*servers, *others)]
            traffic = stage.proxy.traffic()
            hits = visit_often(stage, traffic)
            traffic.close()
            assert [hit.slot for hit in hits] == [to] * VISITS_COUNT
            after = [server.asked_count for server in (*servers, *others)]
            gained = [now - then for now, then in zip(after, before, strict=True)]
            assert min(gained[:2]) >= VISITS_COUNT // 4, gained
            assert gained[2:] == [0, 0]

    def test_a_switch_between_replicas_loses_no_request(self, stage: ReplicaStage) -> None:
        """Under load, three times."""
        stage.proxy.install()
        stage.proxy.switch(Slot.BLUE, reached=ignore)
        with stage.visitors() as load:
            for to in (Slot.GREEN, Slot.BLUE, Slot.GREEN):
                load.await_more(50)
                assert stage.proxy.switch(to, reached=ignore).seen
            load.await_more(50)
        assert load.failures == []
        assert stage.loses or load.lost == []

    def test_a_replica_that_refuses_costs_no_visitor_an_answer(self, stage: ReplicaStage) -> None:
        """Another one is asked, and a switch there, which may be the way back, is seen."""
        stage.proxy.install()
        stage.proxy.switch(Slot.BLUE, reached=ignore)
        [second] = stage.more[Slot.GREEN]
        second.close()
        assert stage.proxy.switch(Slot.GREEN, reached=ignore).seen
        assert {stage.visit() for _ in range(VISITS_COUNT)} == {200}
        assert second.asked_count == 0
