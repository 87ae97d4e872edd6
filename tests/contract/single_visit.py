"""One request of one client, told apart by its address: all of 127/8 is this machine's."""

import socket

from tests.contract.visitors import read_answer


def visit_as(
    port: int,
    *,
    client: str,
    host: str = "shop.example",
    headers: dict[str, str] | None = None,
    path: str = "/",
) -> tuple[int, str]:
    """Status and body. `client` is an address such as 127.0.1.7."""
    given = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{given}\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=5, source_address=(client, 0)) as stream:
        stream.sendall(request.encode())
        return read_answer(stream)
