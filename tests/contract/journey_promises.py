"""What every kind of journey promises. A subclass gives the stage."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar, Protocol

from celadon.contracts.journeys import Journeys
from celadon.model.address import TcpAddress
from celadon.model.journeys import Journey
from celadon.model.names import Slot
from celadon.model.observed import Answer
from celadon.model.place import Place
from tests.fakes.world import make_release


class JourneyStage(Protocol):
    """`make` gives a journey that asks for the page `{run}`, where `{run}` is its own marker, and passes when it says
    `well`."""

    journeys: Journeys

    def make(self, *, timeout_s: float) -> Journey: ...


class App(BaseHTTPRequestHandler):
    """Says `text` with `status` after `wait_s`."""

    status: ClassVar[int] = 200
    text: ClassVar[bytes] = b"well"
    wait_s: ClassVar[float] = 0.0
    paths: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        type(self).paths.append(self.path)
        time.sleep(self.wait_s)
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.text)))
        self.end_headers()
        self.wfile.write(self.text)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def serving(**how: object) -> Iterator[tuple[Place, list[str]]]:
    """A slot where an app answers so; and what it was asked for."""
    paths: list[str] = []
    app = type("App", (App,), {"paths": paths, **how})
    with ThreadingHTTPServer(("127.0.0.1", 0), app) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield _green(server.server_address[1]), paths
        server.shutdown()


def _green(port: int) -> Place:
    return Place(slot=Slot.GREEN, address=TcpAddress(port=port), release=make_release(2))


class JourneyPromises:
    def _ask(self, stage: JourneyStage, place: Place, *, timeout_s: float = 20.0) -> Answer:
        return stage.journeys.ask(stage.make(timeout_s=timeout_s), place)

    def test_an_app_that_answers_well_passes(self, stage: JourneyStage) -> None:
        """With how long it took, and no reason."""
        with serving() as (place, paths):
            answer = self._ask(stage, place)
        assert (answer.ok, answer.reason, len(paths)) == (True, "", 1)
        assert answer.latency_ms > 0

    def test_a_failure_has_its_reason(self, stage: JourneyStage) -> None:
        """Of a status, of a page."""
        for how in ({"status": 500}, {"text": b"sick"}):
            with serving(**how) as (place, _):
                answer = self._ask(stage, place)
            assert not answer.ok
            assert answer.reason

    def test_nothing_that_listens_is_a_no_and_no_error(self, stage: JourneyStage) -> None:
        """As an app that is gone."""
        answer = self._ask(stage, _green(1))
        assert (answer.ok, bool(answer.reason)) == (False, True)

    def test_an_app_that_hangs_is_a_no_when_the_time_is_over(self, stage: JourneyStage) -> None:
        """Not later."""
        with serving(wait_s=3.0) as (place, _):
            began_s = time.monotonic()
            answer = self._ask(stage, place, timeout_s=0.5)
            assert time.monotonic() - began_s < 2.0
        assert not answer.ok
        assert "0.5 s" in answer.reason

    def test_every_run_has_a_marker_of_its_own(self, stage: JourneyStage) -> None:
        """So that what it made can be found."""
        with serving() as (place, paths):
            assert self._ask(stage, place).ok
            assert self._ask(stage, place).ok
        assert len(set(paths)) == 2
        assert all(path.startswith("/celadon") for path in paths)

    def test_two_runs_at_a_time_are_not_in_each_others_way(self, stage: JourneyStage) -> None:
        """The window runs them in threads."""
        answers: list[Answer] = []
        with serving(wait_s=0.2) as (place, paths):
            threads = [threading.Thread(target=lambda: answers.append(self._ask(stage, place))) for _ in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert [answer.reason for answer in answers] == [""] * 3
        assert len(set(paths)) == 3
