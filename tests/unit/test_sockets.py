"""What the kernel says about an address."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from celadon.host.sockets import KernelSockets
from celadon.host.tcp_sockets import TcpState, list_tcp, read_tcp
from celadon.model.address import SocketAddress, TcpAddress

SOCKETS = KernelSockets()


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_tcp_listener_is_known_by_pid_and_user_and_its_connections_are_counted(family: socket.AddressFamily) -> None:
    """IPv4 and IPv6; a closed connection no longer counts."""
    host = "127.0.0.1" if family == socket.AF_INET else "::1"
    with socket.create_server((host, 0), family=family) as listener:
        port = listener.getsockname()[1]
        address = TcpAddress(port=port, host=host)
        assert SOCKETS.listening_pids(address) == frozenset({os.getpid()})
        assert SOCKETS.listening_uids(address) == frozenset({os.geteuid()})
        assert SOCKETS.connections_count(address) == 0
        with socket.create_connection((host, port)) as client:
            accepted, _ = listener.accept()
            assert SOCKETS.connections_count(address) == 1
            accepted.close()
            client.close()
        assert SOCKETS.connections_count(address) == 0
    assert SOCKETS.listening_pids(address) == frozenset()
    assert SOCKETS.listening_uids(address) == frozenset()


_BUSY = """
import os, socket
with socket.create_server(("127.0.0.1", 0)) as listener:
    os.dup2(listener.fileno(), 60)
    print(listener.getsockname()[1], flush=True)
while True:
    for opened in [os.open("/dev/null", os.O_RDONLY) for _ in range(20)]:
        os.close(opened)
"""


def test_a_listener_that_opens_and_closes_other_files_is_known_all_the_same() -> None:
    """As any busy server does: a descriptor that is gone when it is looked at hides no other one."""
    with subprocess.Popen([sys.executable, "-c", _BUSY], stdout=subprocess.PIPE, text=True) as busy:
        try:
            address = TcpAddress(port=int((busy.stdout or sys.stdin).readline()))
            assert all(SOCKETS.is_held(address, by=[busy.pid]) for _ in range(300))
        finally:
            busy.kill()


def test_the_kernels_answer_is_that_of_its_table() -> None:
    """Asked or read, the same sockets: a listener, both ends of a connection, one that has ended."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        for ended in (True, False):
            client = socket.create_connection(("127.0.0.1", port))
            accepted, _ = listener.accept()
            if ended:
                accepted.close()
                client.close()
        asked = list_tcp(port, frozenset(TcpState))
        read = list(read_tcp(port))
        client.close()
        accepted.close()
    assert sorted(found.state for found in asked) == [TcpState.ESTABLISHED, TcpState.TIME_WAIT, TcpState.LISTEN]
    assert sorted(asked, key=str) == sorted(read, key=str)


def test_a_unix_listener_is_known_by_pid_and_its_connections_are_counted(tmp_path: Path) -> None:
    """By its path."""
    address = SocketAddress(str(tmp_path / "app.sock"))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address.path)
        listener.listen()
        assert SOCKETS.listening_pids(address) == frozenset({os.getpid()})
        assert SOCKETS.connections_count(address) == 0
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(address.path)
            accepted, _ = listener.accept()
            assert SOCKETS.connections_count(address) == 1
            accepted.close()
        assert SOCKETS.connections_count(address) == 0


def test_a_neighbouring_port_is_not_taken_for_it() -> None:
    """Ports are compared whole."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert SOCKETS.listening_pids(TcpAddress(port=port % 1000)) != frozenset({os.getpid()})


def test_a_listener_is_known_to_be_held_by_one_of_a_few_processes() -> None:
    """And not by others."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = TcpAddress(port=listener.getsockname()[1])
        assert SOCKETS.is_held(address, by=[1, os.getpid()])
        assert not SOCKETS.is_held(address, by=[1])
    assert not SOCKETS.is_held(address, by=[os.getpid()])
