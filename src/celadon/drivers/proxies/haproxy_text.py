"""The text that HAProxy reads of an app, from typed values only. Pure.

The route is one number, `green`, in a map that HAProxy reads through the pointer when it starts and reloads, and that
one command on the runtime socket changes: of 100,000 buckets of clients those below it go to green. So a share is
exact, a client stays where it is while the share grows, and the same move ends it. The last digit tells which slot is
the route while the traffic is shared; it moves a hundred-thousandth of the clients.

No server has a weight, and of the rules for visitors one alone holds: HAProxy passes over a `use-server` whose server
is in maintenance, to the next that holds. So a request goes where the route says or nowhere. No health check, no
redispatch and no server put into maintenance by hand can send a visitor to the other slot. What a slot may have begun
to work on is not sent again (`retry-on conn-failure`): an order would be placed twice.
"""

import re
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from celadon.drivers.proxies.headers import LOGGED, LOOK_HEADER, OURS_BEGIN, PREVIEW_COOKIE, PREVIEW_HEADER, SLOT_HEADER
from celadon.drivers.proxies.sealed import digest, seal
from celadon.host.layout import Layout
from celadon.host.pointer import live_path
from celadon.model.address import Address, SocketAddress
from celadon.model.errors import StepError
from celadon.model.names import AppName, Slot
from celadon.model.observed import Split
from celadon.model.settings import Settings

LOG_FORMAT = (
    "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %ID %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r"
)
"""`option httplog` with an id before the first thing that a visitor has written: a captured cookie goes into the log as
it was sent, quotes and all (2.6)."""
NAMES_REQUESTS = ("unique-id-format %[uuid()]", f'log-format "{LOG_FORMAT}"')
"""The lines of a frontend by which HAProxy, and no visitor, gives each request its id."""
UNSET = -1
"""No request goes to a slot."""
MAP = "haproxy.map"
KEY = "green"
_PLAIN_PATH = re.compile(r"/[A-Za-z0-9/._+@-]*\Z")
_BUCKETS = 100_000
_BLUE_IS_ROUTE, _GREEN_IS_ROUTE = 1, 2


class RouteText(Struct, frozen=True, kw_only=True):
    """`extra` is what each server line has besides, checked words such as `maxconn 200`."""

    app: AppName
    map: Path
    look_mark: Path
    preview: Path | None
    blue: Address
    green: Address
    extra: str = ""


class Told(Struct, frozen=True, kw_only=True):
    """What the route answers to a look. `slot` is the server that was asked, None where none was."""

    slot: Slot | None
    value: int
    generation: str


def make_text(layout: Layout, settings: Settings) -> RouteText:
    """Raises StepError for a path that would be more than one word of a configuration."""
    sockets = [slot.path for slot in (settings.web.blue, settings.web.green) if isinstance(slot, SocketAddress)]
    for path in (str(layout.home), *sockets):
        if not _PLAIN_PATH.match(path):
            raise StepError(
                f"{path!r} cannot stand in haproxy's configuration: letters, digits and /._+@- only",
                code="proxy_path_refused",
                next_command="celadon check",
            )
    return RouteText(
        app=layout.app,
        map=live_path(layout.pointer) / MAP,
        look_mark=layout.look_mark,
        preview=layout.preview_secret if settings.proxy.preview else None,
        blue=settings.web.blue,
        green=settings.web.green,
    )


def render_file(text: RouteText) -> str:
    """A whole file, for a further `-f`."""
    body = f"{render_ring(text.app)}\nbackend {backend_name(text.app)}\n{render_lines(text)}"
    return seal(body, app=text.app)


def render_ring(app: AppName) -> str:
    """Where the log lines of a frontend wait for who reads them; without a reader the oldest go."""
    return f"ring {ring_name(app)}\n    format raw\n    maxlen 8192\n    size 1048576\n"


def render_lines(text: RouteText) -> str:
    """The lines of a backend by which it has the route."""
    return "".join(f"    {line}\n" for line in _lines(text, generation=render_generation(text)))


def render_generation(text: RouteText) -> str:
    """Names this rendering in every answer to a look."""
    return digest("\n".join(_lines(replace(text, extra=""), generation="")))[:12]


def render_value(to: Slot, percent: int) -> int:
    green = percent if to is Slot.GREEN else 100 - percent
    route = _BLUE_IS_ROUTE if to is Slot.GREEN else _GREEN_IS_ROUTE
    return green * (_BUCKETS // 100) + (0 if percent == 100 else route)


def parse_value(value: int) -> tuple[Slot | None, Split | None]:
    """The slot that is the route and the share of the other. The reverse of `render_value`."""
    if value < 0:
        return None, None
    percent, route = divmod(value, _BUCKETS // 100)
    if route == _BLUE_IS_ROUTE:
        return Slot.BLUE, Split(slot=Slot.GREEN, percent=percent)
    if route == _GREEN_IS_ROUTE:
        return Slot.GREEN, Split(slot=Slot.BLUE, percent=100 - percent)
    return (Slot.GREEN if value >= _BUCKETS else Slot.BLUE), None


def render_map(value: int) -> str:
    return f"{KEY} {value}\n"


def backend_name(app: AppName) -> str:
    return f"celadon_{app}"


def ring_name(app: AppName) -> str:
    return f"celadon_{app}"


def server_name(app: AppName, slot: Slot, *, aside: bool = False) -> str:
    """An app's name has no dot, so no two apps share one. `aside`: requests that are no visitor's."""
    return f"{app}.{slot.value}.aside" if aside else f"{app}.{slot.value}"


def parse_told(header: str, *, app: AppName) -> Told | None:
    """Of the slot header's value, which is as `_lines` has it."""
    value, _, rest = header.partition(" ")
    generation, _, server = rest.partition(" ")
    names = {server_name(app, slot, aside=aside): slot for slot in Slot for aside in (False, True)}
    try:
        return Told(slot=names.get(server), value=int(value), generation=generation)
    except ValueError:
        return None


def render_address(address: Address) -> str:
    return f"unix@{address.path}" if isinstance(address, SocketAddress) else str(address)


def _lines(text: RouteText, *, generation: str) -> list[str]:
    look = "{ var(txn.celadon_look) -m found }"
    at, below = "var(txn.celadon) -m int", f"src,xxh32(0),mod({_BUCKETS}),sub(txn.celadon) -m int lt 0"
    blue, green = (server_name(text.app, slot) for slot in Slot)
    not_aside = "!{ var(txn.celadon_aside) -m found }"
    return [
        "mode http",
        "no option redispatch",
        "retries 1",
        "retry-on conn-failure",
        f"http-request set-var(txn.celadon) str({KEY}),map_str_int({text.map},{UNSET})",
        f"http-request set-var(txn.celadon_look) int(1) if {{ req.hdr({LOOK_HEADER}) -m beg -f {text.look_mark} }}",
        f"http-request set-var(txn.celadon_aside) int(1) if {look} {{ req.hdr({LOOK_HEADER}) -m sub {LOGGED} }}",
        *_preview_lines(text),
        f"http-request set-log-level silent if {look} {not_aside}",
        f"http-request del-header {OURS_BEGIN} -m beg",
        f"http-response del-header {SLOT_HEADER}",
        f'http-after-response set-header {SLOT_HEADER} "%[var(txn.celadon)] {generation} %[srv_name]" if {look}',
        f"use-server {blue} if {{ {at} eq 0 }} {not_aside}",
        f"use-server {green} if {{ {at} gt 0 }} {not_aside} {{ {below} }}",
        f"use-server {blue} if {{ {at} gt 0 }} {not_aside} !{{ {below} }}",
        *_aside_lines(text.app, at=at),
        *_server_lines(text),
    ]


def _preview_lines(text: RouteText) -> list[str]:
    if text.preview is None:
        return []
    mark, secret = "http-request set-var(txn.celadon_aside) int(2)", f"-m str -f {text.preview}"
    return [
        f"{mark} if {{ req.hdr({PREVIEW_HEADER}) {secret} }}",
        f"{mark} if {{ req.cook({PREVIEW_COOKIE}) {secret} }}",
    ]


def _aside_lines(app: AppName, *, at: str) -> list[str]:
    """1 is a look that is logged and goes where the route is, 2 a preview, which goes to the other slot. While the
    traffic is shared the route is told by the last digit."""
    blue, green = (server_name(app, slot, aside=True) for slot in Slot)
    aside = "var(txn.celadon_aside) -m int"
    digit = f"var(txn.celadon),mod({_BUCKETS // 100}) -m int"
    on_green = [f"{{ {at} eq {_BUCKETS} }}", f"{{ {at} ge 0 }} {{ {digit} eq {_GREEN_IS_ROUTE} }}"]
    return [
        *(f"use-server {green} if {{ {aside} eq 1 }} {each}" for each in on_green),
        f"use-server {blue} if {{ {aside} eq 1 }} {{ {at} ge 0 }}",
        *(f"use-server {blue} if {{ {aside} eq 2 }} {each}" for each in on_green),
        f"use-server {green} if {{ {aside} eq 2 }} {{ {at} ge 0 }}",
    ]


def _server_lines(text: RouteText) -> list[str]:
    """What the user's `default-server` may say of checks, TLS and the PROXY protocol is not meant for these. Idle
    connections to a slot that was left end within a second or two; the drain waits for them."""
    fixed = "weight 0 no-check no-agent-check no-backup no-ssl no-send-proxy no-send-proxy-v2 pool-purge-delay 1s"
    extra = f" {text.extra}" if text.extra else ""
    return [
        f"server {server_name(text.app, slot, aside=aside)} "
        f"{render_address(text.blue if slot is Slot.BLUE else text.green)} {fixed}{extra}"
        for aside in (False, True)
        for slot in Slot
    ]
