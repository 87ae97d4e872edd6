"""Load in a process of its own, so that what is measured does not wait for who measures."""

import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from bench.load.client import Tally

_ROOT = Path(__file__).parents[2]


class RunningLoad:
    def __init__(self, process: "subprocess.Popen[bytes]", directory: Path) -> None:
        self._process = process
        self._directory = directory

    def count(self) -> int:
        """Requests so far, 20 ms ago at most."""
        try:
            return int((self._directory / "progress").read_text() or 0)
        except FileNotFoundError:
            return 0

    def stop(self) -> Tally:
        """Ends the load after what is in flight; blocks for the slowest download, about 2 s."""
        (self._directory / "stop").touch()
        return self.await_end(timeout_s=60.0)

    def await_end(self, *, timeout_s: float) -> Tally:
        """Of a load that was given a number of requests."""
        if self._process.wait(timeout=timeout_s) != 0:
            raise RuntimeError(f"the load client exited with {self._process.returncode}")
        found = json.loads((self._directory / "tally.json").read_text())
        return Tally(**{**found, "versions": Counter(found["versions"]), "faults": Counter(found["faults"])})

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


def start_load(address: str, *, site: str, think_ms: float = 2.0, **counts: int) -> RunningLoad:
    """`counts`: keepalive, oneshot, posts, websockets, streams; `requests` ends it by itself;
    `addresses`: that one-shot requests come from."""
    directory = Path(tempfile.mkdtemp(prefix="celadon-load-"))
    words = [f"--{kind}={count}" for kind, count in counts.items()]
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "bench.load",
            f"--address={address}",
            f"--site={site}",
            f"--stop-file={directory / 'stop'}",
            f"--output={directory / 'tally.json'}",
            f"--think-ms={think_ms}",
            *words,
        ],
        cwd=_ROOT,
    )
    return RunningLoad(process, directory)
