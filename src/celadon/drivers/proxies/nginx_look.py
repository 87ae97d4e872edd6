"""Looking through nginx: the route's own log line tells which slot answered, by which worker, under which text."""

import time
from collections.abc import Sequence
from itertools import cycle

from celadon.drivers.proxies.headers import LOOK_HEADER, SLOT_HEADER
from celadon.drivers.proxies.look import Sight, Watched, wait_until, watch_until
from celadon.drivers.traffic.json_lines import LogLine, parse_log_line, parse_slot
from celadon.host.layout import Layout
from celadon.host.look_http import ask_look, is_refused, parse_look_target
from celadon.host.look_mark import new_look, read_secret
from celadon.host.reserve import yield_reserve
from celadon.host.tail import LineTail
from celadon.model.names import Slot
from celadon.model.settings import ProxySettings

LOOK_TIMEOUT_S = 3.0
_LOG_LINE_TIMEOUT_S = 1.0


class NginxLooks:
    def __init__(self, layout: Layout, proxy: ProxySettings) -> None:
        self._layout = layout
        self._proxy = proxy
        self._target = parse_look_target(site=proxy.site, listen=proxy.listen, path=proxy.look_path)

    def look(self, timeout_s: float = LOOK_TIMEOUT_S, *, bucket: str = "") -> Sight:
        """One, on a fresh connection, as a client of `bucket` where one is given. Never raises for what nginx or the
        app does."""
        deadline = time.monotonic() + timeout_s
        mark = read_secret(self._layout.look_mark)
        nonce = new_look(mark)
        headers = {LOOK_HEADER: nonce} | ({SLOT_HEADER: mark + bucket} if bucket else {})
        yield_reserve(self._layout.reserve)
        log = LineTail(self._layout.access_log)
        try:
            status = ask_look(self._target, headers=headers, timeout_s=timeout_s)
            line = _await_line(log, nonce, timeout_s=min(_LOG_LINE_TIMEOUT_S, max(0.0, deadline - time.monotonic())))
        except OSError as error:
            return Sight(slot=None, detail=f"{self._proxy.listen} did not answer: {error}")
        finally:
            log.close()
        if line is None:
            detail = (
                f"{self._proxy.site} answered {status} for {self._proxy.look_path}, but not by this app's route: "
                f"{self._layout.access_log} has no line of it"
            )
            return Sight(slot=None, status=status, detail=detail)
        return Sight(
            slot=parse_slot(line.slot),
            status=status,
            detail=f"{status} from {line.upstream or 'no slot'}",
            worker=int(line.pid),
            config=line.config,
        )

    def watch(self, to: Slot, *, timeout_s: float) -> Watched:
        return watch_until(
            self.look,
            lambda sight: sight.answered_by(to),
            sick=lambda sight: sight.failed_by(to),
            count=self._proxy.looks_count,
            timeout_s=timeout_s,
        )

    def watch_buckets(self, expected: Sequence[tuple[str, Slot]], *, timeout_s: float) -> Watched:
        """Until each bucket, in turn, is answered by its slot."""
        turns = cycle(expected)
        slot = expected[0][1]

        def look(timeout_s: float) -> Sight:
            nonlocal slot
            bucket, slot = next(turns)
            return self.look(timeout_s, bucket=bucket)

        return watch_until(
            look,
            lambda sight: sight.answered_by(slot),
            count=max(self._proxy.looks_count, len(expected)),
            timeout_s=timeout_s,
        )

    def watch_generation(self, generation: str) -> Watched:
        """Until the rendered text of that name answers."""
        return watch_until(
            self.look,
            lambda sight: sight.config == generation or _hides_in_error_page(sight),
            count=self._proxy.looks_count,
            timeout_s=self._proxy.seen_timeout_s,
        )

    def ask(self) -> int | None:
        """The status of one answer, whoever gave it; None: nothing answered."""
        try:
            return ask_look(self._target, headers={}, timeout_s=LOOK_TIMEOUT_S)
        except OSError:
            return None

    def is_refused(self) -> bool:
        return is_refused(self._target)


def _hides_in_error_page(sight: Sight) -> bool:
    """Before the first release runs nginx itself answers 502, and an `error_page` of the site then logs elsewhere."""
    return sight.worker is None and sight.status in {502, 503, 504}


def _await_line(log: LineTail, nonce: str, *, timeout_s: float) -> LogLine | None:
    """nginx writes the line when the request is done, a moment after the answer has arrived."""
    found: list[LogLine] = []
    wanted = nonce.encode()

    def arrived() -> bool:
        lines = (parse_log_line(line) for line in log.read_lines() if wanted in line)
        found.extend(line for line in lines if line is not None and line.look == nonce)
        return bool(found)

    return found[0] if wait_until(arrived, timeout_s=timeout_s) else None
