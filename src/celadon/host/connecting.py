"""A connection to a slot, wherever it listens."""

import socket

from celadon.model.address import Address, SocketAddress, TcpAddress


def connect(address: Address, timeout_s: float) -> socket.socket:
    """Raises OSError."""
    match address:
        case TcpAddress(host=host, port=port):
            return socket.create_connection((host, port), timeout=timeout_s)
        case SocketAddress(path=path):
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(timeout_s)
            try:
                connection.connect(path)
            except OSError:
                connection.close()
                raise
            return connection
