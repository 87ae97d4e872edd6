"""The text of one app's route for Traefik's file provider. Pure: typed values in, one sealed YAML file out.

Everything that makes the route stands in one file, because Traefik takes a file as a whole or not at all: the
services, and the answer to a look that names them. Traefik runs each such file through Go's text/template before it
reads it, so no value with `{{` or `}}` in it is ever rendered.

Traefik counts by service (0022). So visitors reach a slot through the slot's own one, in a whole route as in a share,
and looks the same way; previews through another.

An underscore joins an app's name and a part, since an app may be called `shop-blue` but never `shop_blue`.
"""

import re
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from celadon.drivers.proxies.headers import LOOK_HEADER, OURS, PREVIEW_COOKIE, PREVIEW_HEADER, SLOT_HEADER
from celadon.drivers.proxies.sealed import digest, open_seal, seal
from celadon.model.address import TcpAddress
from celadon.model.errors import StepError
from celadon.model.names import AppName, Slot
from celadon.model.observed import WHOLE, Split

UNSET = "unset"
"""The route before the first switch: the services are known, and answer 503."""
_IDLE = "1s"
"""How long a pooled connection may outlive a switch: the old slot's connections are counted before it is stopped."""
_ATTEMPTS_COUNT = 10
"""Each asks the server whose turn it is. Visitors who come at once take turns too, so one may meet the same dead server
more than once."""
_GENERATION_DIGITS = 12
_SERVED = re.compile(rf"({UNSET}|(?:blue|green)(?:-[0-9]{{2}})?) ([0-9a-f]{{{_GENERATION_DIGITS}}})")
_TEMPLATE_MARKS = ("{{", "}}")


class UserRouter(Struct, frozen=True, kw_only=True):
    """What a router of the user's says, that ours beside it must say too. `look_middlewares` are those of its
    `middlewares` that a look passes: ones that change the request, not ones that refuse it. `priority` is the one that
    Traefik gives it. `tls_options` is None without TLS, empty for the default ones."""

    name: str
    rule: str
    entry_points: tuple[str, ...] = ()
    middlewares: tuple[str, ...] = ()
    look_middlewares: tuple[str, ...] = ()
    priority: int = 0
    tls_options: str | None = None


class RouteText(Struct, frozen=True, kw_only=True):
    """`mark` is what our own looks begin with, `preview_secret` is empty where there is no preview. Of two texts that
    differ in `salt` only each has a generation of its own."""

    app: AppName
    blue: TcpAddress
    green: TcpAddress
    mark: str
    blue_more: tuple[TcpAddress, ...] = ()
    green_more: tuple[TcpAddress, ...] = ()
    preview_secret: str = ""
    routers: tuple[UserRouter, ...] = ()
    salt: str = ""

    def addresses(self, slot: Slot) -> tuple[TcpAddress, ...]:
        """Of a slot's replicas."""
        return (self.blue, *self.blue_more) if slot is Slot.BLUE else (self.green, *self.green_more)


class Served(Struct, frozen=True, kw_only=True):
    """What the answer to a look names: a route, and the text that it stands in."""

    route: str
    generation: str

    @property
    def slot(self) -> Slot | None:
        return parse_route(self.route)[0]

    @property
    def split(self) -> Split | None:
        return parse_route(self.route)[1]


def name_service(app: AppName, slot: Slot | None = None) -> str:
    """The service that a user's router names, or a slot's own. The middleware of the same name takes our headers
    off."""
    return f"celadon-{app}" if slot is None else f"celadon-{app}_{slot}"


def name_look(app: AppName) -> str:
    """Begins the names of the routers of looks."""
    return f"celadon-{app}_look"


def name_preview(app: AppName) -> str:
    """Of the service of previews; begins the names of their routers."""
    return f"celadon-{app}_preview"


def parse_route(name: str) -> tuple[Slot | None, Split | None]:
    """The route by its name, as the pointer writes it: `blue`, or `green-05` while blue is the route."""
    word, dash, percent = name.partition("-")
    try:
        slot = Slot(word)
    except ValueError:
        return None, None
    return (slot.other, Split(slot=slot, percent=int(percent))) if dash else (slot, None)


def render_route(text: RouteText, name: str) -> str:
    """Sealed. Read back before it is given. Raises StepError for a value that Go's templates would take for theirs."""
    import yaml  # 20 ms, which no switch needs

    document = build_route(text, name)
    body: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=10_000)
    if any(mark in body for mark in _TEMPLATE_MARKS):
        raise _unsafe(text, "braces that Traefik takes for a template")
    if yaml.safe_load(body) != document:
        raise _unsafe(text, "a character that YAML does not give back")  # as U+0085
    return seal(body, app=text.app)


def _unsafe(text: RouteText, what: str) -> StepError:
    why = f"a router of {name_service(text.app)} has {what}"
    return StepError(why, code="proxy_text_unsafe", next_command="celadon check")


def build_route(text: RouteText, name: str) -> dict[str, Any]:
    """What `render_route` renders, as Traefik is to read it back."""
    generation = name_generation(text, name)
    return _build(text, name, answer=f"{name} {generation}")


def name_generation(text: RouteText, name: str) -> str:
    return digest(repr(_build(text, name, answer="")) + text.salt)[:_GENERATION_DIGITS]


def parse_served(header: str) -> Served | None:
    """None when it is not an answer of ours."""
    found = _SERVED.fullmatch(header)
    return Served(route=found[1], generation=found[2]) if found else None


def read_generation(body: str, *, name: str) -> str:
    """The generation that a rendered text answers with, found without reading it as YAML: on the way of a rollback.
    Empty when it has none."""
    found = re.search(rf"^ *{SLOT_HEADER}: {name} ([0-9a-f]{{{_GENERATION_DIGITS}}})$", body, re.MULTILINE)
    return found[1] if found else ""


def stamp_generation(text: str, name: str, *, app: AppName) -> str:
    """A sealed text that was changed after it was rendered, with the generation of what it says now."""
    body = open_seal(text)
    old = read_generation(body, name=name)
    return seal(body.replace(f"{name} {old}", f"{name} {digest(body)[:_GENERATION_DIGITS]}"), app=app) if old else text


def _build(text: RouteText, name: str, *, answer: str) -> dict[str, Any]:
    main = name_service(text.app)
    routers = dict(_build_routers(text, name))
    return {
        "http": {
            **({"routers": routers} if routers else {}),
            "services": {
                main: _build_main(text, name),
                **{name_service(text.app, slot): _build_service(text, text.addresses(slot)) for slot in Slot},
                **dict(_build_aside(text, name)),
            },
            "middlewares": {
                **_build_chain(text),
                name_look(text.app): {"headers": {"customResponseHeaders": {SLOT_HEADER: answer}}},
            },
            "serversTransports": {main: {"forwardingTimeouts": {"idleConnTimeout": _IDLE}}},
        }
    }


def _build_chain(text: RouteText) -> dict[str, Any]:
    """What takes our headers off; where a slot has several replicas it also asks another one where one refuses, before
    anything was sent to it."""
    main = name_service(text.app)
    stripping = {"headers": {"customRequestHeaders": dict.fromkeys(OURS, "")}}
    if not text.blue_more and not text.green_more:
        return {main: stripping}
    parts = {f"{main}_headers": stripping, f"{main}_retry": {"retry": {"attempts": _ATTEMPTS_COUNT}}}
    return {main: {"chain": {"middlewares": list(parts)}}, **parts}


def _build_main(text: RouteText, name: str) -> dict[str, Any]:
    slot, split = parse_route(name)
    if slot is None:
        return _build_service(text, ())
    if split is None:
        return {"weighted": {"services": [{"name": name_service(text.app, slot), "weight": WHOLE}]}}
    weights = {split.slot.other: WHOLE - split.percent, split.slot: split.percent}
    services = [{"name": name_service(text.app, each), "weight": weight} for each, weight in weights.items()]
    return {"highestRandomWeight": {"services": services}}


def _build_aside(text: RouteText, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The service of those who are no visitors."""
    slot, _ = parse_route(name)
    if text.routers and text.preview_secret and slot is not None:
        yield name_preview(text.app), _build_service(text, text.addresses(slot.other))


def _build_service(text: RouteText, addresses: tuple[TcpAddress, ...]) -> dict[str, Any]:
    servers = [{"url": f"http://{address}"} for address in addresses]
    return {"loadBalancer": {"serversTransport": name_service(text.app), "servers": servers}}


def _build_routers(text: RouteText, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    slot, split = parse_route(name)
    main = name_service(text.app)
    # a share is proven by who has no other: the slot that is given it
    looked_at = name_service(text.app, split.slot) if split is not None else main
    for number, router in enumerate(text.routers, start=1):
        chain = (main, *router.look_middlewares, name_look(text.app))
        rule = f"HeaderRegexp(`{LOOK_HEADER}`, `^{text.mark}[0-9a-f]+$`)"
        yield f"{name_look(text.app)}{number}", _build_router(router, rule, service=looked_at, chain=chain)
        if text.preview_secret and slot is not None:
            rule = _render_preview_rule(text.preview_secret)
            chain = (main, *(each for each in router.middlewares if each.removesuffix("@file") != main))
            yield (
                f"{name_preview(text.app)}{number}",
                _build_router(router, rule, service=name_preview(text.app), chain=chain),
            )


def _render_preview_rule(secret: str) -> str:
    cookie = f"HeaderRegexp(`Cookie`, `(^|;) *{PREVIEW_COOKIE}={secret} *(;|$)`)"
    return f"(Header(`{PREVIEW_HEADER}`, `{secret}`) || {cookie})"


def _build_router(router: UserRouter, rule: str, *, service: str, chain: tuple[str, ...]) -> dict[str, Any]:
    """Just before the user's own, so that it stands to all other routers as that one does."""
    tls: dict[str, Any] = {}
    if router.tls_options is not None:
        tls = {"tls": {"options": router.tls_options} if router.tls_options else {}}
    return {
        **({"entryPoints": list(router.entry_points)} if router.entry_points else {}),
        "rule": f"({router.rule}) && {rule}",
        "priority": router.priority + 1,
        "middlewares": list(chain),
        "service": service,
        **tls,
    }
