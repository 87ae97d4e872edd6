"""The snippets that Caddy reads of an app, from typed values only. Pure.

The user's site block imports them. In the pointer way a `file` matcher looks at each request whether the pointer's
directory holds green's mark: two upstreams with fixed addresses, one `lstat` between them. Pooled connections, which
Caddy keeps by address, so never stick to the slot that was left. A share is a pool of a hundred places, each of which
reads its slot's address from a file (`{file.…}`): Caddy chooses the place by a hash of the client's address.

What Caddy before 2.8 lacks (`log NAME`, `log_append`, `{file.…}`, `stream_close_delay`) is written otherwise there or
left out: our fields travel in the one field of its access log that a `map` can fill, `user_id`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from celadon.drivers.proxies.headers import LOOK_HEADER, OURS, PREVIEW_COOKIE, PREVIEW_HEADER
from celadon.drivers.proxies.sealed import digest, seal
from celadon.model.address import Address, SocketAddress
from celadon.model.names import AppName, Slot

_IDLE_S = 1
"""Idle connections to a slot that was left end after this long; the drain waits for them. Caddy's own default of two
minutes would make every drain run into its timeout."""
_TRY_AGAIN_MS = 1
_PASSED_OVER_S = 1
"""A replica that refused. Not longer: the next release may be there by then."""
PLACES_COUNT = 100
"""Of a share: one for each hundredth."""
GREEN_MARK = "green"
ON_GREEN_MARK = "on-green"
SHARE_MARK = "share"
ROUTE_FILE = "route"
"""Files in a route's directory: all goes to green; green is the route; it is a share; the route's name."""
_HOSTILE = re.compile(r"[\x00-\x20\x7f{}`\"\\#$]|\s")
"""What Caddy's lexer or replacer would take for more than itself. A state directory has none of it."""
_SOURCES = ("preview-header", "preview-cookie")
_UPSTREAM = "{http.reverse_proxy.upstream.hostport}"
_REQUEST_ID = "{http.request.uuid}"
_LEFT_OUT = ("request>headers", "request>tls", "resp_headers", "uuid")
"""Of a log line. `uuid` is what Caddy writes by itself where the placeholder is used."""


class SnippetText(Struct, frozen=True, kw_only=True):
    """`fixed` None: the pointer way, where `live` names the directory that is asked. `options`: a file of
    subdirectives of `reverse_proxy` that the site's owner keeps. `keep_streams_s`: how long WebSockets outlive a
    reload, in the way that reloads. `secret`: of the preview; empty without one. `recent`: see caddy_version."""

    app: AppName
    live: Path
    access_log: Path
    blue: Address
    green: Address
    blue_more: Sequence[Address] = ()
    green_more: Sequence[Address] = ()
    fixed: Slot | None = None
    options: Path | None = None
    keep_streams_s: int = 0
    shares: bool = False
    secret: str = ""
    recent: bool = True

    def addresses(self, slot: Slot) -> Sequence[Address]:
        """Of a slot's replicas."""
        return (self.blue, *self.blue_more) if slot is Slot.BLUE else (self.green, *self.green_more)


def render_route(text: SnippetText, *, generation: str) -> str:
    """The handlers, for wherever in a site the route stands. Ends with a newline, begins with the lines by which a hand
    edit is found. `generation` names the text in every log line."""
    return seal(_render_route_body(text, generation=generation), app=text.app)


def render_log(text: SnippetText) -> str:
    """The access log, which Caddy takes at a site's own level only."""
    return seal("\n".join([*_render_log(text), ""]), app=text.app)


def render_snippet(text: SnippetText, *, log: Path, route: Path) -> str:
    """Both, for a site whose route stands at its own level."""
    return seal(f"import {_word(log)}\nimport {_word(route)}\n", app=text.app)


def render_generation(texts: Iterable[str]) -> str:
    """Of what is put in place, rendered with an empty generation."""
    return digest("\n".join(texts))[:12]


def render_dial(address: Address) -> str:
    """As Caddy dials it."""
    return f"unix/{_word(address.path)}" if isinstance(address, SocketAddress) else str(address)


def render_dials(addresses: Sequence[Address]) -> str:
    return " ".join(map(render_dial, addresses))


def render_logged(address: Address) -> str:
    """As `{http.reverse_proxy.upstream.hostport}` writes it into the log."""
    return address.path if isinstance(address, SocketAddress) else str(address)


def render_place(address: Address) -> str:
    """What the file of a share's place holds: the part of the address that differs between slots."""
    return address.path if isinstance(address, SocketAddress) else str(address.port)


def parse_slot_of(text: str, slots: Mapping[Address, Slot]) -> Slot | None:
    """Which slot a snippet of the reload way names: its one `reverse_proxy` that stands at no indentation."""
    for address, slot in slots.items():
        if f"\nreverse_proxy {render_dial(address)} " in text:
            return slot
    return None


def _word(value: object) -> str:
    """One word of a Caddyfile. Raises ValueError."""
    text = str(value)
    if not text or _HOSTILE.search(text):
        raise ValueError(f"{text!r} cannot stand in a Caddyfile")
    return text


def _render_route_body(text: SnippetText, *, generation: str) -> str:
    """All that Caddy sorts stands in its order. Every upstream is a plain `reverse_proxy`, none in a `route` of ours:
    what the site answers itself, or sends elsewhere by a path, goes first, as it did before."""
    lines = [
        *_render_matchers(text),
        *_render_fields(text, generation=generation),
        *_render_previews(text),
        *_render_share(text),
        *_render_slots(text),
    ]
    return "\n".join([*lines, ""])


def _render_log(text: SnippetText) -> Iterable[str]:
    yield f"log celadon_{text.app} {{" if text.recent else "log {"
    yield f"\toutput file {_word(text.access_log)} {{"
    if text.recent:
        yield "\t\tmode 0644"
    yield from ("\t\troll_size 64MiB", "\t\troll_keep 2", "\t}")
    yield from _render_format(text)
    yield "}"


def _render_format(text: SnippetText) -> Sequence[str]:
    """The log can be read by others, so it must not hold the secret of the preview. Who reads it needs no header: with
    a browser's in them the lines are four times as long. One log a site, the owner's too, keeps its headers."""
    left_out = _LEFT_OUT if text.recent else (f"request>headers>{PREVIEW_HEADER}",) if text.secret else ()
    if not left_out:
        return ["\tformat json"]
    deletions = [f"\t\t\t{field} delete" for field in left_out]
    return ["\tformat filter {", "\t\twrap json", "\t\tfields {", *deletions, "\t\t}", "\t}"]


def _render_fields(text: SnippetText, *, generation: str) -> Iterable[str]:
    previews = [f"@{_matcher(text, source)}" for source in _SOURCES] if text.secret else []
    if text.recent:
        yield f"log_append celadon_upstream {_UPSTREAM}"
        yield f'log_append celadon_generation "{generation}"'
        yield f"log_append celadon_look {{http.request.header.{LOOK_HEADER}}}"
        yield f"log_append celadon_request {_REQUEST_ID}"
        yield from (f"log_append {preview} celadon_preview yes" for preview in previews)
        if text.shares:
            yield f"log_append @{_matcher(text, SHARE_MARK)} celadon_route {{file.{_word(text.live)}/{ROUTE_FILE}}}"
    else:
        yield from (f"vars {preview} celadon_preview yes" for preview in previews)
        told = f"celadon {generation} {_UPSTREAM} {{http.vars.celadon_preview}} {_REQUEST_ID}"
        yield from ("map {http.request.method} {http.auth.user.id} {", f'\tdefault "{told}"', "}")


def _render_matchers(text: SnippetText) -> Iterable[str]:
    pointed = text.fixed is None
    if pointed:
        yield from _render_matcher(text, GREEN_MARK, _file(text, GREEN_MARK))
    for source in _SOURCES if text.secret else ():
        asks = _asks_preview(text, source)
        yield from _render_matcher(text, source, [asks])
        if pointed:
            yield from _render_matcher(text, f"{source}-{ON_GREEN_MARK}", [asks, *_file(text, ON_GREEN_MARK)])
    if text.shares:
        yield from _render_matcher(text, SHARE_MARK, _file(text, SHARE_MARK))


def _asks_preview(text: SnippetText, source: str) -> str:
    if source == _SOURCES[0]:
        return f"header {PREVIEW_HEADER} {text.secret}"
    return rf"header_regexp Cookie `(?:^|;\s*){PREVIEW_COOKIE}={text.secret}\s*(?:;|$)`"


def _file(text: SnippetText, mark: str) -> Sequence[str]:
    return ["file {", f"\troot {_word(text.live)}", f"\ttry_files {mark}", "}"]


def _render_matcher(text: SnippetText, name: str, lines: Sequence[str]) -> Sequence[str]:
    return [f"@{_matcher(text, name)} {{", *_indent(lines), "}"]


def _matcher(text: SnippetText, name: str) -> str:
    return f"celadon-{text.app}-{name}"


def _render_previews(text: SnippetText) -> Iterable[str]:
    for source in _SOURCES if text.secret else ():
        if text.fixed is None:
            on_green = _matcher(text, f"{source}-{ON_GREEN_MARK}")
            yield from _render_slot(text, Slot.BLUE, matcher=f"@{on_green} ")
        idle = (text.fixed or Slot.BLUE).other
        yield from _render_slot(text, idle, matcher=f"@{_matcher(text, source)} ")


def _render_share(text: SnippetText) -> Iterable[str]:
    if text.shares:
        places = " ".join(_render_placeholder(text, name) for name in place_names())
        yield from _render_proxy(text, f"@{_matcher(text, SHARE_MARK)} {places}", "lb_policy client_ip_hash")


def place_names() -> Sequence[str]:
    return [f"{index:02d}" for index in range(PLACES_COUNT)]


def _render_placeholder(text: SnippetText, name: str) -> str:
    """The Caddyfile adapter takes a slash inside a placeholder for the end of a network's name and appends `:80`,
    unless the network is named: hence `tcp/`."""
    pointed = f"{{file.{_word(text.live)}/{name}}}"
    return f"unix/{pointed}" if isinstance(text.blue, SocketAddress) else f"tcp/{text.blue.host}:{pointed}"


def _render_slots(text: SnippetText) -> Iterable[str]:
    if text.fixed is not None:
        delay = [f"stream_close_delay {text.keep_streams_s}s"] if text.recent else []
        yield from _render_slot(text, text.fixed, *delay)
    else:
        yield from _render_slot(text, Slot.GREEN, matcher=f"@{_matcher(text, GREEN_MARK)} ")
        yield from _render_slot(text, Slot.BLUE)


def _render_slot(text: SnippetText, slot: Slot, *more: str, matcher: str = "") -> Iterable[str]:
    """Of several replicas one that refuses is passed over, and asked again a second later: no visitor meets it."""
    addresses = text.addresses(slot)
    several = [
        "lb_policy round_robin",
        f"lb_retries {len(addresses)}",
        f"lb_try_interval {_TRY_AGAIN_MS}ms",
        f"fail_duration {_PASSED_OVER_S}s",
    ]
    yield from _render_proxy(
        text, f"{matcher}{render_dials(addresses)}", *(several if len(addresses) > 1 else ()), *more
    )


def _render_proxy(text: SnippetText, upstreams: str, *more: str) -> Iterable[str]:
    yield f"reverse_proxy {upstreams} {{"
    if text.options is not None:
        yield f"\timport {_word(text.options)}"
    yield from (f"\theader_up -{header}" for header in OURS)
    yield from ("\ttransport http {", f"\t\tkeepalive {_IDLE_S}s", "\t}")
    yield from _indent(more)
    yield "}"


def _indent(lines: Iterable[str]) -> Iterable[str]:
    return (f"\t{line}" for line in lines)
