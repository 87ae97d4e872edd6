"""The snippet that Caddy reads of an app, from typed values only. Pure.

The user's site block imports it. In the pointer way the upstream holds a placeholder that reads a file at each
request: the port, or the socket's path. Pooled connections, which Caddy keeps by address, so never stick to the slot
that was left. (The Caddyfile adapter takes a slash inside a placeholder for the end of a network's name and appends
`:80`, unless the network is named: hence `tcp/`.)
"""

from pathlib import Path

from msgspec import Struct

from celadon.drivers.proxies.headers import LOOK_HEADER
from celadon.drivers.proxies.sealed import digest, seal
from celadon.model.address import Address, SocketAddress
from celadon.model.names import AppName, Slot

_IDLE_S = 1
"""Idle connections to a slot that was left end after this long; the drain waits for them. Caddy's own default of two
minutes would make every drain run into its timeout."""


class SnippetText(Struct, frozen=True, kw_only=True):
    """`fixed` False: the pointer way, where `live` names the directory that holds the file `upstream`; of `upstream`
    only the kind counts then. `keep_streams_s`: how long WebSockets outlive a reload, in the way that reloads."""

    app: AppName
    live: Path
    access_log: Path
    upstream: Address
    fixed: bool
    keep_streams_s: int = 0


def render_snippet(text: SnippetText) -> str:
    """Ends with a newline, begins with the line by which a hand edit is found."""
    return seal(_render_body(text, generation=render_generation(text)), app=text.app)


def render_generation(text: SnippetText) -> str:
    """Names this rendering in every log line."""
    return digest(_render_body(text, generation=""))[:12]


def render_dial(address: Address) -> str:
    """As Caddy dials it."""
    return f"unix/{address.path}" if isinstance(address, SocketAddress) else str(address)


def render_pointed(address: Address) -> str:
    """What the file `upstream` of a slot holds: the part of the address that differs between slots."""
    return address.path if isinstance(address, SocketAddress) else str(address.port)


def render_logged(address: Address) -> str:
    """As `{http.reverse_proxy.upstream.hostport}` writes it into the log."""
    return address.path if isinstance(address, SocketAddress) else str(address)


def parse_slot_of(text: str, *, blue: Address, green: Address) -> Slot | None:
    """Which slot a snippet of the reload way names."""
    for slot, address in ((Slot.BLUE, blue), (Slot.GREEN, green)):
        if f"reverse_proxy {render_dial(address)} {{" in text:
            return slot
    return None


def _render_body(text: SnippetText, *, generation: str) -> str:
    upstream = render_dial(text.upstream) if text.fixed else _render_placeholder(text)
    return "\n".join(
        [
            f"log celadon_{text.app} {{",
            f"\toutput file {text.access_log} {{",
            "\t\tmode 0644",
            "\t\troll_size 64MiB",
            "\t\troll_keep 2",
            "\t}",
            "\tformat json",
            "}",
            "log_append celadon_upstream {http.reverse_proxy.upstream.hostport}",
            f'log_append celadon_generation "{generation}"',
            f"reverse_proxy {upstream} {{",
            f"\theader_up -{LOOK_HEADER}",
            "\ttransport http {",
            f"\t\tkeepalive {_IDLE_S}s",
            "\t}",
            *([f"\tstream_close_delay {text.keep_streams_s}s"] if text.fixed else []),
            "}",
            "",
        ]
    )


def _render_placeholder(text: SnippetText) -> str:
    pointed = f"{{file.{text.live}/upstream}}"
    return f"unix/{pointed}" if isinstance(text.upstream, SocketAddress) else f"tcp/{text.upstream.host}:{pointed}"
