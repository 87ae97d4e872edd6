"""Asking in a thread of its own."""

import threading
import time
from collections.abc import Iterator
from functools import partial

import pytest

from celadon.drivers.probes.asking import ThreadAsking
from celadon.model.address import Address, TcpAddress
from celadon.model.observed import Answer

SLOT = TcpAddress(port=8101)


class GatedProbe:
    """Answers when `gate` is open."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.asked_count = 0

    def ask(self, address: Address, *, timeout_s: float) -> Answer:
        assert address == SLOT
        self.asked_count += 1
        ok = self.gate.wait(timeout_s)
        return Answer(ok=ok, latency_ms=1.0, reason="" if ok else "no answer")

    def describe(self) -> str:
        return "a gate"


@pytest.fixture
def probe() -> Iterator[GatedProbe]:
    probe = GatedProbe()
    yield probe
    probe.gate.set()


def wait_for_count(asking: ThreadAsking, count: int) -> list[Answer]:
    answers: list[Answer] = []
    until = time.monotonic() + 10
    while len(answers) < count and time.monotonic() < until:
        answers += asking.take()
        time.sleep(0.005)
    return answers


def test_every_answer_is_taken_once(probe: GatedProbe) -> None:
    probe.gate.set()
    asking = ThreadAsking(partial(probe.ask, SLOT, timeout_s=1.0), interval_s=0.01)
    answers = wait_for_count(asking, 5)
    asking.close()
    time.sleep(0.2)  # the question under way ends by itself
    answers += asking.take()
    assert len(answers) == probe.asked_count >= 5
    assert all(answer.ok for answer in answers)


def test_a_slot_that_hangs_holds_nobody_up_and_is_a_no(probe: GatedProbe) -> None:
    asking = ThreadAsking(partial(probe.ask, SLOT, timeout_s=0.2), interval_s=0.01)
    assert list(asking.take()) == []
    [first, *_] = wait_for_count(asking, 1)
    asking.close()
    assert (first.ok, first.reason) == (False, "no answer")


def test_the_end_does_not_wait_for_a_slot_that_hangs(probe: GatedProbe) -> None:
    """A verdict stands; the route goes back at once."""
    asking = ThreadAsking(partial(probe.ask, SLOT, timeout_s=5.0), interval_s=0.01)
    asking.close()
    assert list(asking.take()) == []


def test_nobody_is_asked_after_the_end(probe: GatedProbe) -> None:
    probe.gate.set()
    asking = ThreadAsking(partial(probe.ask, SLOT, timeout_s=1.0), interval_s=0.01)
    wait_for_count(asking, 1)
    asking.close()
    asked_count = probe.asked_count
    time.sleep(0.1)
    assert probe.asked_count <= asked_count + 1


def test_a_hurry_does_not_wait_for_the_usual_time(probe: GatedProbe) -> None:
    probe.gate.set()
    asking = ThreadAsking(partial(probe.ask, SLOT, timeout_s=1.0), interval_s=60.0)
    assert len(wait_for_count(asking, 1)) == 1
    asking.hurry()
    assert len(wait_for_count(asking, 1)) == 1
    asking.close()


def test_in_a_hurry_it_is_asked_four_times_as_often(probe: GatedProbe) -> None:
    """Five answers would else take four seconds."""
    probe.gate.set()
    asking = ThreadAsking(partial(probe.ask, SLOT, timeout_s=1.0), interval_s=1.0)
    asking.hurry()
    began_s = time.monotonic()
    wait_for_count(asking, 5)
    assert time.monotonic() - began_s < 3.5
    asking.close()
