"""The text that nginx reads of an app, from typed values only. Pure.

http.conf goes into the `http` block, route.conf into the site's `location`. Why these lines:

- `open_file_cache off`: the user's global cache kept answering `if (-f …)` from memory for its `valid` time;
  `disable_symlinks off` because the pointer is one.
- one upstream a slot, chosen by name, without keep-alive: pooled connections stuck to the old slot for 3.5 s.
- the slot in the log line is the very variable that chose the upstream; the digest says which generation of
  this text the answering worker runs with.
- never `add_header`: one in a location drops all inherited ones.
"""

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from celadon.drivers.proxies.headers import LOOK_HEADER
from celadon.drivers.proxies.sealed import digest, seal
from celadon.model.address import Address, SocketAddress
from celadon.model.names import AppName, Slot
from celadon.model.settings import SwitchWay


class RouteText(Struct, frozen=True, kw_only=True):
    """All that the text is made of. `kept_logs` are the arguments of the `access_log` directives in effect where
    the route is included; a location's own would replace them, so they are repeated."""

    app: AppName
    way: SwitchWay
    blue: Address
    green: Address
    directory: Path
    live: Path
    access_log: Path
    kept_logs: Sequence[Sequence[str]] = ()

    @property
    def id(self) -> str:
        return self.app.replace("-", "_")

    def address(self, slot: Slot) -> Address:
        return self.blue if slot is Slot.BLUE else self.green


def render_generation(text: RouteText) -> str:
    """Names this rendering in every log line."""
    return digest(_render_http_body(text, generation="") + _render_route_body(text))[:12]


def render_http(text: RouteText) -> str:
    return seal(_render_http_body(text, generation=render_generation(text)), app=text.app)


def render_route(text: RouteText) -> str:
    return seal(_render_route_body(text), app=text.app)


def render_upstream(text: RouteText, slot: Slot | None) -> str:
    """The file of the ways that reload: one upstream, and the slot's name for the log. None: no route yet; blue is
    then asked, and the log names no slot."""
    address = text.address(slot or Slot.BLUE)
    return seal(
        f'map "" $celadon_slot_{text.id} {{ default "{slot.value if slot else ""}"; }}\n'
        f"upstream celadon_{text.id} {{ server {_render_server(address)}; }}\n",
        app=text.app,
    )


def parse_upstream_slot(text: str) -> Slot | None:
    for slot in Slot:
        if f'{{ default "{slot.value}"; }}' in text:
            return slot
    return None


def _render_http_body(text: RouteText, *, generation: str) -> str:
    return (
        _render_log_format(text, generation)
        + f"map $http_upgrade $celadon_connection_{text.id} {{ default upgrade; '' close; }}\n"
        + _render_upstreams(text)
    )


def _render_log_format(text: RouteText, generation: str) -> str:
    fields = {
        "slot": f"$celadon_slot_{text.id}",
        "status": "$status",
        "upstream_status": "$upstream_status",
        "request_time": "$request_time",
        "client": "$remote_addr",
        "method": "$request_method",
        "uri": "$uri",
        "look": f"$http_{LOOK_HEADER.lower().replace('-', '_')}",
        "pid": "$pid",
        "upstream": "$upstream_addr",
        "config": generation,
    }
    inside = ",".join(f'"{name}":"{value}"' for name, value in fields.items())
    return f"log_format celadon_{text.id} escape=json '{{{inside}}}';\n"


def _render_upstreams(text: RouteText) -> str:
    match text.way:
        case SwitchWay.POINTER:
            return "".join(
                f"upstream celadon_{text.id}_{slot.value} {{ server {_render_server(text.address(slot))}; }}\n"
                for slot in Slot
            )
        case SwitchWay.SYMLINK:
            return f"include {text.directory}/current.conf;\n"
        case SwitchWay.INCLUDE | SwitchWay.RELOAD:
            return f"include {text.directory}/upstream.conf;\n"


def _render_server(address: Address) -> str:
    return f"unix:{address.path}" if isinstance(address, SocketAddress) else str(address)


def _render_route_body(text: RouteText) -> str:
    return "\n".join([*_render_choice(text), *_render_headers(text), *_render_logs(text)]) + "\n"


def _render_choice(text: RouteText) -> list[str]:
    slot = f"$celadon_slot_{text.id}"
    if text.way is not SwitchWay.POINTER:
        return [f"proxy_pass http://celadon_{text.id};"]
    return [
        "open_file_cache off;",
        "disable_symlinks off;",
        f"set {slot} blue;",
        f"if (-f {text.live}/green) {{ set {slot} green; }}",
        f"proxy_pass http://celadon_{text.id}_{slot};",
    ]


def _render_headers(text: RouteText) -> list[str]:
    headers = {
        "Host": "$http_host",
        "X-Real-IP": "$remote_addr",
        "X-Forwarded-For": "$proxy_add_x_forwarded_for",
        "X-Forwarded-Proto": "$scheme",
        "X-Forwarded-Host": "$http_host",
        "X-Forwarded-Port": "$server_port",
        "Upgrade": "$http_upgrade",
        "Connection": f"$celadon_connection_{text.id}",
        LOOK_HEADER: '""',
    }
    return ["proxy_http_version 1.1;", *(f"proxy_set_header {name} {value};" for name, value in headers.items())]


def _render_logs(text: RouteText) -> list[str]:
    kept = [f"access_log {' '.join(words)};" for words in text.kept_logs]
    return [f"access_log {text.access_log} celadon_{text.id};", *kept]
