"""A small shop: pages, orders in SQLite, a slow download, an echo WebSocket. Standard library only.

Listens on $HOST:$PORT, 127.0.0.1 by default, or on $LISTEN_SOCKET. SIGTERM: no new connections, what is in flight is
answered, then out. SHOP_BROKEN makes a bad release of it: `health` is never ready, `errors` fails one page in three,
`search` one search in five, `books` shows the orders once and never again, `exit` does not start, `dies` ends after its
first page (as many seconds as `data/dies_after_s` says, else three), `slow` answers late, `sluggish` searches three
times as long, `abrupt` drops what is in flight at SIGTERM, `later` fails every page once there is a file `data/later`,
`hangs` does so too and leaves `/health` unanswered from then on. While there is a file `data/trouble`, every answer of
every release fails, as when its database is down. `/bug` always fails.
"""

import base64
import contextlib
import functools
import hashlib
import itertools
import os
import signal
import socket
import sqlite3
import sys
import threading
import time
from pathlib import Path

HERE = Path(__file__).parent
VERSION = (HERE / "VERSION").read_text().strip()
BROKEN = (HERE / "BROKEN").read_text().strip() if (HERE / "BROKEN").exists() else os.environ.get("SHOP_BROKEN", "")
DATABASE = os.environ.get("SHOP_DATABASE", str(HERE / "data" / "shop.db"))
WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
GOING_AWAY = b"\x88\x02\x03\xe9"
"""A close frame with code 1001."""
STREAM_CHUNKS_COUNT = 40
STREAM_EVERY_S = 0.05
SEARCH_S = 0.15 if BROKEN == "sluggish" else 0.05
PUBLIC = HERE / "public"
TROUBLE = HERE / "data" / "trouble"
DIES_AFTER = HERE / "data" / "dies_after_s"
LATER = HERE / "data" / "later"
HANGS_S = 60.0
BEGIN_WELL = {"later", "hangs"}

in_flight = itertools.count()
stopping = threading.Event()
busy_lock = threading.Lock()
busy_count = 0
websockets: set[socket.socket] = set()


def open_database() -> sqlite3.Connection:
    connection = sqlite3.connect(DATABASE, timeout=10, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("CREATE TABLE IF NOT EXISTS orders (id TEXT NOT NULL)")
    return connection


def serve_connection(connection: socket.socket) -> None:
    """Requests of one client, until it or we close. Counted while one is being answered."""
    database: sqlite3.Connection | None = None
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1) if connection.family == socket.AF_INET else None
    stream = connection.makefile("rb")
    try:
        while True:
            head = read_head(stream)
            if head is None:
                return
            with Busy():
                database = database or open_database()
                if not answer(connection, stream, head, database):
                    return
    except sqlite3.Error as error:
        sys.stderr.write(f"database: {error}\n")
        with contextlib.suppress(OSError):
            reply(connection, 503, "the books are closed\n", keep=False)
    except OSError:
        return
    finally:
        stream.close()
        connection.close()
        if database is not None:
            database.close()


class Busy:
    def __enter__(self) -> None:
        global busy_count  # noqa: PLW0603
        with busy_lock:
            busy_count += 1

    def __exit__(self, *_: object) -> None:
        global busy_count  # noqa: PLW0603
        with busy_lock:
            busy_count -= 1


def read_head(stream) -> tuple[str, str, dict[str, str]] | None:  # noqa: ANN001
    line = stream.readline(8192).decode("latin-1").split()
    if len(line) != 3:
        return None
    headers = {}
    while (raw := stream.readline(8192)) not in (b"\r\n", b"\n", b""):
        name, _, value = raw.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    return line[0], line[1], headers


def answer(connection: socket.socket, stream, head: tuple[str, str, dict[str, str]], database) -> bool:  # noqa: ANN001, C901, PLR0912
    """False when the connection is to be closed."""
    method, path, headers = head
    body = stream.read(int(headers.get("content-length", 0)))
    keep = headers.get("connection", "").lower() != "close"
    if BROKEN == "slow":
        time.sleep(0.5)
    if TROUBLE.exists():
        reply(connection, 503, "the books are closed\n", keep=keep)
        return keep
    match method, path.partition("?")[0]:
        case "GET", "/health":
            answer_health(connection, database, keep=keep)
        case "GET", "/":
            failing = (BROKEN == "errors" and next(in_flight) % 3 == 0) or (BROKEN in BEGIN_WELL and LATER.exists())
            reply(connection, 500 if failing else 200, f"<h1>Shop {VERSION}</h1>\n", keep=keep, kind="text/html")
            if BROKEN == "dies":
                end_soon()
        case "GET", "/search":
            time.sleep(SEARCH_S)
            failing = BROKEN == "search" and next(in_flight) % 5 == 0
            reply(connection, 500 if failing else 200, "nothing found\n", keep=keep)
        case "GET", "/bug":
            reply(connection, 500, "division by zero\n", keep=keep)
        case "POST", "/orders":
            database.execute("INSERT INTO orders VALUES (?)", (body.decode()[:200],))
            reply(connection, 201, "stored\n", keep=keep)
        case "GET", "/orders":
            rows = database.execute("SELECT id FROM orders").fetchall()
            lost = BROKEN == "books" and next(in_flight) > 0
            text = "the books are lost\n" if lost else "".join(f"{row[0]}\n" for row in rows)
            reply(connection, 500 if lost else 200, text, keep=keep)
        case "GET", "/stream":
            send_stream(connection)
            return False
        case "GET", "/ws" if "sec-websocket-key" in headers:
            echo_websocket(connection, stream, headers["sec-websocket-key"])
            return False
        case "GET", asset if asset.startswith("/assets/"):
            answer_asset(connection, PUBLIC / asset[1:], keep=keep)
        case _:
            reply(connection, 404, "not found\n", keep=keep)
    return keep


def answer_health(connection: socket.socket, database: sqlite3.Connection, *, keep: bool) -> None:
    if BROKEN == "hangs" and LATER.exists():
        stopping.wait(HANGS_S)
    database.execute("SELECT count(*) FROM orders").fetchone()
    healthy = BROKEN != "health"
    reply(connection, 200 if healthy else 503, "ok\n" if healthy else "the shop is closed\n", keep=keep)


def answer_asset(connection: socket.socket, path: Path, *, keep: bool) -> None:
    there = path.resolve().is_relative_to(PUBLIC.resolve()) and path.is_file()
    reply(connection, 200 if there else 404, path.read_text() if there else "not found\n", keep=keep)


@functools.cache
def end_soon() -> None:
    after_s = float(DIES_AFTER.read_text()) if DIES_AFTER.exists() else 3.0
    threading.Timer(after_s, os._exit, (1,)).start()


def reply(connection: socket.socket, status: int, text: str, *, keep: bool, kind: str = "text/plain") -> None:
    body = text.encode()
    keep = keep and not stopping.is_set()
    head = (
        f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nX-Version: {VERSION}\r\n"
        f"Connection: {'keep-alive' if keep else 'close'}\r\n\r\n"
    )
    connection.sendall(head.encode() + body)


def send_stream(connection: socket.socket) -> None:
    """A slow download of known length: a cut one is noticed."""
    chunk = b"x" * 1024
    size = len(chunk) * STREAM_CHUNKS_COUNT
    head = f"HTTP/1.1 200 X\r\nContent-Length: {size}\r\nX-Version: {VERSION}\r\nConnection: close\r\n\r\n"
    connection.sendall(head.encode())
    for _ in range(STREAM_CHUNKS_COUNT):
        connection.sendall(chunk)
        time.sleep(STREAM_EVERY_S)


def echo_websocket(connection: socket.socket, stream, key: str) -> None:  # noqa: ANN001
    """Small text frames, one by one, until the client closes."""
    accept = base64.b64encode(hashlib.sha1(key.encode() + WEBSOCKET_GUID).digest()).decode()  # noqa: S324  RFC 6455
    head = "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    connection.sendall(f"{head}Sec-WebSocket-Accept: {accept}\r\n\r\n".encode())
    websockets.add(connection)
    try:
        echo_frames(connection, stream)
    finally:
        websockets.discard(connection)


def echo_frames(connection: socket.socket, stream) -> None:  # noqa: ANN001
    while len(start := stream.read(2)) == 2:
        length = start[1] & 0x7F
        mask = stream.read(4)
        text = bytes(byte ^ mask[index % 4] for index, byte in enumerate(stream.read(length)))
        if start[0] & 0x0F == 8:
            return
        connection.sendall(bytes([0x81, len(text)]) + text)


def listen() -> socket.socket:
    if path := os.environ.get("LISTEN_SOCKET"):
        listener = socket.socket(socket.AF_UNIX)
        Path(path).unlink(missing_ok=True)
        listener.bind(path)
        Path(path).chmod(0o666)
    else:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((os.environ.get("HOST", "127.0.0.1"), int(os.environ["PORT"])))
    listener.listen(1024)
    return listener


def serve_in_thread(connection: socket.socket) -> threading.Thread:
    connection.settimeout(None)
    thread = threading.Thread(target=serve_connection, args=(connection,), daemon=True)
    thread.start()
    return thread


def stop_gracefully(listener: socket.socket, *, within_s: float = 8.0) -> None:
    """Take what the kernel has queued, answer what is in flight, leave."""
    listener.settimeout(0)
    queued = []
    with contextlib.suppress(OSError):
        while True:
            queued.append(serve_in_thread(listener.accept()[0]))
    listener.close()
    for websocket in list(websockets):
        websocket.sendall(GOING_AWAY)
    until = time.monotonic() + within_s
    for thread in queued:
        thread.join(max(0.0, until - time.monotonic()))
    while busy_count and time.monotonic() < until:
        time.sleep(0.01)
    os._exit(0)


def main() -> int:
    if BROKEN == "exit":
        sys.stderr.write("cannot find the config of the shop\n")
        return 3
    Path(DATABASE).parent.mkdir(parents=True, exist_ok=True)
    # Held open: the last connection to close would take the write-ahead log away under the other slot's feet.
    keeper = open_database()  # noqa: F841
    listener = listen()
    if BROKEN != "abrupt":
        signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    listener.settimeout(0.05)
    sys.stderr.write(f"shop {VERSION} listens\n")
    while not stopping.is_set():
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            continue
        serve_in_thread(connection)
    stop_gracefully(listener)
    return 0


if __name__ == "__main__":
    sys.exit(main())
