"""One visitor who asks as fast as it can, on a fresh connection each time, and writes down who answered when."""

import re
import socket
import threading
import time
from dataclasses import dataclass, field

_VERSION = re.compile(rb"X-Version: (\S+)")


@dataclass
class Prober:
    """`seen` holds (sent_at, answered_at, version) in order; monotonic seconds. Version '' is a failure."""

    address: tuple[str, int]
    site: str
    seen: list[tuple[float, float, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Prober":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        request = f"GET / HTTP/1.1\r\nHost: {self.site}\r\nConnection: close\r\n\r\n".encode()
        while not self._done.is_set():
            sent_at = time.monotonic()
            self.seen.append((sent_at, *self._ask(request)))

    def _ask(self, request: bytes) -> tuple[float, str]:
        try:
            with socket.create_connection(self.address, timeout=10) as connection:
                connection.sendall(request)
                answer = b"".join(iter(lambda: connection.recv(65536), b""))
        except OSError:
            return time.monotonic(), ""
        found = _VERSION.search(answer)
        return time.monotonic(), found.group(1).decode() if found and b" 200 " in answer[:20] else ""

    def first_new_ms(self, version: str, *, decided_at: float) -> float:
        """From the decision to the first answer of `version`."""
        return next((at - decided_at) * 1000 for _, at, who in self.seen if at > decided_at and who == version)

    def last_old_ms(self, version: str, *, decided_at: float) -> float:
        """From the decision to the last request sent that somebody else than `version` answered; 0 when none."""
        late = [sent - decided_at for sent, _, who in self.seen if sent > decided_at and who not in {version, ""}]
        return max(late, default=0.0) * 1000
