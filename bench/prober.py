"""One visitor who asks as fast as it can, on a fresh connection each time, and writes down who answered when.

`python -m bench.prober HOST:PORT SITE STOP_FILE OUTPUT` is one in a process of its own, which shares no interpreter
with what it times.
"""

import json
import re
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

_VERSION = re.compile(rb"X-Version: (\S+)", re.IGNORECASE)
_ROOT = Path(__file__).parents[1]


@dataclass
class Seen:
    """`answers` are (sent_at, answered_at, version) in order; monotonic seconds. Version '' is a failure."""

    answers: list[tuple[float, float, str]] = field(default_factory=list)

    def first_new_ms(self, version: str, *, decided_at: float) -> float:
        """From the decision to the first answer of `version`."""
        return next((at - decided_at) * 1000 for _, at, who in self.answers if at > decided_at and who == version)

    def last_old_ms(self, version: str, *, decided_at: float, until: float | None = None) -> float:
        """From the decision to the last request sent that somebody else than `version` answered; 0 when none.
        `until`: the next decision, whose answers are not this one's."""
        late = [
            sent - decided_at
            for sent, at, who in self.answers
            if sent > decided_at and (until is None or at < until) and who not in {version, ""}
        ]
        return max(late, default=0.0) * 1000


def ask(address: tuple[str, int], site: str) -> tuple[float, float, str]:
    request = f"GET / HTTP/1.1\r\nHost: {site}\r\nConnection: close\r\n\r\n".encode()
    sent_at = time.monotonic()
    try:
        with socket.create_connection(address, timeout=10) as connection:
            connection.sendall(request)
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
    except OSError:
        return sent_at, time.monotonic(), ""
    found = _VERSION.search(answer)
    return sent_at, time.monotonic(), found[1].decode() if found and b" 200 " in answer[:20] else ""


class DistantProber:
    """In a process of its own."""

    def __init__(self, address: str, site: str, *, scratch: Path) -> None:
        self._stop, self._output = scratch / "prober-stop", scratch / "prober.json"
        for path in (self._stop, self._output):
            path.unlink(missing_ok=True)
        words = [sys.executable, "-m", "bench.prober", address, site, str(self._stop), str(self._output)]
        self._process = subprocess.Popen(words, cwd=_ROOT)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def stop(self) -> Seen:
        self._stop.touch()
        if self._process.wait(timeout=30) != 0:
            raise RuntimeError(f"the prober exited with {self._process.returncode}")
        return Seen([(sent, at, who) for sent, at, who in json.loads(self._output.read_text())])


def main(words: list[str]) -> None:
    place, site, stop, output = words
    host, _, port = place.rpartition(":")
    answers: list[tuple[float, float, str]] = []
    while len(answers) % 16 or not Path(stop).exists():
        answers.append(ask((host, int(port)), site))
    Path(output).write_text(json.dumps(answers))


if __name__ == "__main__":
    main(sys.argv[1:])
