"""Where a slot listens: a loopback TCP port or a Unix socket."""

from msgspec import Struct


class TcpAddress(Struct, frozen=True, tag="tcp"):
    port: int
    host: str = "127.0.0.1"

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def variables(self) -> dict[str, str]:
        """What tells an app to listen here."""
        return {"PORT": str(self.port), "HOST": self.host}


class SocketAddress(Struct, frozen=True, tag="socket"):
    """`path` is absolute and at most 107 bytes, the limit of `sun_path`."""

    path: str

    def __str__(self) -> str:
        return f"unix:{self.path}"

    @property
    def variables(self) -> dict[str, str]:
        """What tells an app to listen here."""
        return {"LISTEN_SOCKET": self.path}


Address = TcpAddress | SocketAddress
