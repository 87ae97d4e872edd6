"""What a `server` block says about who comes to it, and where. Pure."""

import os
import re
from collections.abc import Sequence

from msgspec import Struct

from celadon.drivers.proxies.nginx_config import Directive, flatten, unquote

_LITERAL = re.compile(r"[A-Za-z0-9.-]+\Z")
_SPECIAL_IN_REGEX = re.compile(r"[\\.+*?()\[\]{}|^$]")
_HTTPS_PORT = 443


class Listening(Struct, frozen=True, kw_only=True):
    """One `listen` that a look can go to. `host` is an address of this machine."""

    host: str
    port: int
    tls: bool

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def read_names(server: Directive) -> tuple[str, ...]:
    """As written; what stands for no name is left out."""
    words = (word for line in flatten(server.block or ()) if line.name == "server_name" for word in line.args)
    return tuple(name for name in map(unquote, words) if name not in {"", "_"})


def choose_host(names: Sequence[str]) -> str | None:
    """A host that comes to the server: `localhost` where it has no name, None where only regular expressions say."""
    if not names:
        return "localhost"
    for name in names:
        host = "www" + name[1:] if name.startswith("*.") else name.removeprefix(".")
        if _LITERAL.match(host):
            return host
    return None


def choose_listening(server: Directive) -> Listening | None:
    """The one with TLS before the others, IPv4 before IPv6; None where no look could reach the site."""
    lines = [line for line in flatten(server.block or ()) if line.name == "listen" and line.args]
    all_tls = any(line.name == "ssl" and line.args == ("on",) for line in flatten(server.block or ()))
    if not lines:
        return Listening(host="127.0.0.1", port=80 if os.geteuid() == 0 else 8000, tls=all_tls)
    found = [listening for line in lines if (listening := _parse_listen(line.args, all_tls=all_tls))]
    return min(found, key=lambda each: (not each.tls, each.host.startswith("["), found.index(each)), default=None)


def render_site(host: str, listening: Listening) -> str:
    scheme, usual = ("https", _HTTPS_PORT) if listening.tls else ("http", 80)
    return f"{scheme}://{host}" + ("" if listening.port == usual else f":{listening.port}")


def choose_path(location: Directive) -> str:
    """Where the requests of a location begin; `/` where a regular expression or a name does not tell."""
    *modifier, word = map(unquote, location.args or ("/",))
    if word.startswith("@"):
        return "/"
    if modifier in (["~"], ["~*"]):
        literal = _SPECIAL_IN_REGEX.split(word.removeprefix("^"), maxsplit=1)[0] if word.startswith("^/") else ""
        return literal if literal and re.match(word, literal) else "/"
    return word if word.startswith("/") and not re.search(r"[\s#]", word) else "/"


def _parse_listen(words: Sequence[str], *, all_tls: bool) -> Listening | None:
    place, *marks = map(unquote, words)
    if place.startswith("unix:") or "quic" in marks or "proxy_protocol" in marks:
        return None
    host, colon, port = place.rpartition(":")
    if not colon or not port.isdigit() or place.endswith("]"):
        host, port = ("*", place) if place.isdigit() else (place, "80")
    reached = {"": "127.0.0.1", "*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "localhost": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - read, not bound
    return Listening(host=reached.get(host, host), port=int(port), tls=all_tls or "ssl" in marks)
