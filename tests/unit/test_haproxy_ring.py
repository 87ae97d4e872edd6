"""A burst in HAProxy's ring is read in batches."""

import socket
import threading
from pathlib import Path

from celadon.drivers.traffic.haproxy_ring import _BATCH_BYTES, _Reader

_LINE = b"x" * 999 + b"\n"
_LINES_COUNT = 20_000


def test_a_burst_comes_in_batches(tmp_path: Path) -> None:
    path = str(tmp_path / "admin.sock")
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen()

    def send() -> None:
        stream, _ = server.accept()
        stream.recv(100)
        stream.sendall(_LINE * _LINES_COUNT)
        stream.close()

    sender = threading.Thread(target=send)
    sender.start()
    reader = _Reader(path, ring="r", pid=1, earlier=())
    counts = []
    while not reader.ended:
        counts.append(len(reader.read_lines()))
    sender.join()
    reader.close()
    server.close()
    assert sum(counts) == _LINES_COUNT
    assert max(counts) * len(_LINE) <= _BATCH_BYTES + 262144
