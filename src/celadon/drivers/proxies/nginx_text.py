"""The text that nginx reads of an app, from typed values only. Pure.

http.conf goes into the `http` block, route.conf into the site's `location`. Why these lines:

- `open_file_cache off`: the user's global cache kept answering `if (-f …)` from memory for its `valid` time;
  `disable_symlinks off` because the pointer is one.
- one upstream a slot, chosen by name, without keep-alive: pooled connections stuck to the old slot for 3.5 s.
- the slot in the log line is the very variable that chose the upstream; the digest says which generation of
  this text the answering worker runs with.
- never `add_header`: one in a location drops all inherited ones.
- one `-f` a request, whatever is asked for: its last word is `green`, or the client's bucket where the candidate may
  get a share, or `preview` (nginx_marks); it is always one of our own words, never one of a client's.
- where the owner's lines say which Host the app is told, they say all the headers; ours are only taken off.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec import Struct

from celadon.drivers.proxies.headers import LOOK_HEADER, OURS, PREVIEW_COOKIE, PREVIEW_HEADER, SLOT_HEADER
from celadon.drivers.proxies.nginx_marks import BUCKETS, GREEN, PREVIEW, edges_of, name_bucket
from celadon.drivers.proxies.sealed import digest, seal
from celadon.model.address import Address, SocketAddress
from celadon.model.errors import StepError
from celadon.model.names import AppName, Slot
from celadon.model.settings import SwitchWay

_NO_WORD = re.compile(r"[\s;{}\"'\\$#*?\[\]\x00-\x1f\x7f]")


class RouteText(Struct, frozen=True, kw_only=True):
    """All that the text is made of. `kept_logs` and `kept_headers` are the arguments of the `access_log` and
    `proxy_set_header` directives in effect where the route is included; a location's own would replace them, so they
    are repeated. `own` are the directives and (in lower case) headers that its location sets itself: never a second
    time. `shares` are percents; `mark` and `preview` are secrets, empty: none."""

    app: AppName
    way: SwitchWay
    blue: Sequence[Address]
    green: Sequence[Address]
    directory: Path
    live: Path
    access_log: Path
    kept_logs: Sequence[Sequence[str]] = ()
    kept_headers: Sequence[Sequence[str]] = ()
    own: frozenset[str] = frozenset()
    owner_decides: bool = False
    shares: tuple[int, ...] = ()
    mark: str = ""
    preview: str = ""
    has_preview: bool = False

    def __post_init__(self) -> None:
        """Raises StepError for a path that nginx would read as more than one word, or as a variable."""
        sockets = [Path(slot.path) for slot in (*self.blue, *self.green) if isinstance(slot, SocketAddress)]
        for path in (self.directory, self.live, self.access_log, *sockets):
            if _NO_WORD.search(str(path)):
                raise StepError(
                    f"{str(path)!r} cannot stand in nginx's configuration",
                    code="path_refused",
                    next_command="celadon check",
                )

    @property
    def id(self) -> str:
        return self.app.replace("-", "_")

    def addresses(self, slot: Slot) -> Sequence[Address]:
        return self.blue if slot is Slot.BLUE else self.green


def render_generation(texts: Iterable[str]) -> str:
    """Names these texts, in every log line; of http.conf the one without a generation."""
    return digest("".join(texts))[:12]


def render_http(text: RouteText, *, generation: str) -> str:
    return seal(_render_http_body(text, generation=generation), app=text.app)


def render_route(text: RouteText) -> str:
    return seal(_render_route_body(text), app=text.app)


def render_upstream(text: RouteText, slot: Slot | None) -> str:
    """The file of the ways that reload: one upstream, and the slot's name for the log. None: no route yet; blue is
    then asked, and the log names no slot."""
    live = slot or Slot.BLUE
    word = f'default "{slot.value if slot else ""}";'
    upstream = f"upstream celadon_{text.id} {{ {_render_servers(text, live)} }}\n"
    if not text.has_preview:
        return seal(f'map "" $celadon_slot_{text.id} {{ {word} }}\n{upstream}', app=text.app)
    return seal(
        f'map $celadon_preview_{text.id} $celadon_slot_{text.id} {{ {word} 1 "{live.other.value}"; }}\n{upstream}'
        f"upstream celadon_{text.id}_preview {{ {_render_servers(text, live.other)} }}\n",
        app=text.app,
    )


def parse_upstream_slot(text: str) -> Slot | None:
    for slot in Slot:
        if f'{{ default "{slot.value}";' in text:
            return slot
    return None


def _render_http_body(text: RouteText, *, generation: str) -> str:
    return (
        _render_log_format(text, generation)
        + render_connection(text)
        + "".join(f"{line}\n" for line in [*_render_preview(text), *_render_shares(text), *_render_asked(text)])
        + _render_upstreams(text)
    )


def render_connection(text: RouteText) -> str:
    return f"map $http_upgrade $celadon_connection_{text.id} {{ default upgrade; '' close; }}\n"


def _render_log_format(text: RouteText, generation: str) -> str:
    fields = {
        "slot": f"$celadon_slot_{text.id}",
        "status": "$status",
        "upstream_status": "$upstream_status",
        "request_time": "$request_time",
        "client": "$remote_addr",
        "method": "$request_method",
        "uri": "$uri",
        "look": _variable(LOOK_HEADER),
        "pid": "$pid",
        "upstream": "$upstream_addr",
        "config": generation,
        "msec": "$msec",
        "request_id": "$request_id",
    }
    if text.has_preview:
        fields["preview"] = f"$celadon_preview_{text.id}"
    inside = ",".join(f'"{name}":"{value}"' for name, value in fields.items())
    return f"log_format celadon_{text.id} escape=json '{{{inside}}}';\n"


def _render_preview(text: RouteText) -> list[str]:
    """nginx has no variable for a cookie with a dash in its name. Without captures a regular expression leaves the
    site's `$1` alone."""
    if not text.has_preview:
        return []
    cookie = f'"~(?:^|;) *{PREVIEW_COOKIE}={text.preview} *(?:;|$)" 1; ' if text.preview else ""
    header = f'"{text.preview}" 1; ' if text.preview else ""
    return [
        f'map $http_cookie $celadon_cookie_{text.id} {{ default ""; {cookie}}}',
        f"map {_variable(PREVIEW_HEADER)} $celadon_preview_{text.id} {{ default $celadon_cookie_{text.id}; {header}}}",
    ]


def _render_shares(text: RouteText) -> list[str]:
    """A look says which bucket it is of, so that it sees where a share begins and ends. The app's name is in the key:
    the first of one app's clients are not the first of another's."""
    if not text.shares:
        return []
    *most, last = (name_bucket(number) for number in range(BUCKETS))
    buckets = " ".join(f"1% {name};" for name in most)
    asked = "".join(f'"{text.mark}{name}" {name}; ' for name in edges_of(text.shares) if text.mark)
    return [
        f'split_clients "${{remote_addr}}{text.app}" $celadon_client_{text.id} {{ {buckets} * {last}; }}',
        f"map {_variable(SLOT_HEADER)} $celadon_bucket_{text.id} {{ default $celadon_client_{text.id}; {asked}}}",
    ]


def _render_asked(text: RouteText) -> list[str]:
    """What the preview changes: the file that is asked for, or the upstream."""
    if not text.has_preview:
        return []
    words = (_asked(text), PREVIEW) if text.way is SwitchWay.POINTER else ('""', "_preview")
    made = "file" if text.way is SwitchWay.POINTER else "suffix"
    return [
        f"map $celadon_preview_{text.id} $celadon_{made}_{text.id} {{ default {words[0]}; 1 {words[1]}; }}",
    ]


def _asked(text: RouteText) -> str:
    return f"$celadon_bucket_{text.id}" if text.shares else GREEN


def _variable(header: str) -> str:
    return f"$http_{header.lower().replace('-', '_')}"


def _render_upstreams(text: RouteText) -> str:
    match text.way:
        case SwitchWay.POINTER:
            return "".join(
                f"upstream celadon_{text.id}_{slot.value} {{ {_render_servers(text, slot)} }}\n" for slot in Slot
            )
        case SwitchWay.SYMLINK:
            return f"include {text.directory}/current.conf;\n"
        case SwitchWay.INCLUDE | SwitchWay.RELOAD:
            return f"include {text.directory}/upstream.conf;\n"


def _render_servers(text: RouteText, slot: Slot) -> str:
    """nginx asks the next server where one refuses, or breaks off what may be asked twice. Without `max_fails=0` it
    would then leave that one out for 10 s, and where it leaves out all of a slot there is no answer but 502, even when
    they have begun again."""
    addresses = text.addresses(slot)
    marks = " max_fails=0" if len(addresses) > 1 else ""
    return " ".join(f"server {_render_server(address)}{marks};" for address in addresses)


def _render_server(address: Address) -> str:
    return f"unix:{address.path}" if isinstance(address, SocketAddress) else str(address)


def _render_route_body(text: RouteText) -> str:
    return "\n".join([*_render_choice(text), *_render_headers(text), *_render_logs(text)]) + "\n"


def _render_choice(text: RouteText) -> list[str]:
    slot = f"$celadon_slot_{text.id}"
    if text.way is not SwitchWay.POINTER:
        suffix = f"$celadon_suffix_{text.id}" if text.has_preview else ""
        return [f"proxy_pass http://celadon_{text.id}{suffix};"]
    asked = f"$celadon_file_{text.id}" if text.has_preview else _asked(text)
    return [
        "open_file_cache off;",
        "disable_symlinks off;",
        f"set {slot} blue;",
        f"if (-f {text.live}/{asked}) {{ set {slot} green; }}",
        f"proxy_pass http://celadon_{text.id}_{slot};",
    ]


def _render_headers(text: RouteText) -> list[str]:
    stripped = [f'proxy_set_header {name} "";' for name in OURS]
    kept = [f"proxy_set_header {' '.join(words)};" for words in text.kept_headers]
    if text.owner_decides:
        return [*kept, *stripped]
    version = [] if "proxy_http_version" in text.own else ["proxy_http_version 1.1;"]
    return [*version, *render_plain_headers(text), *kept, *stripped]


def render_plain_headers(text: RouteText) -> list[str]:
    """What an app is told where its owner says nothing."""
    headers = {
        "Host": "$http_host",
        "X-Real-IP": "$remote_addr",
        "X-Forwarded-For": "$proxy_add_x_forwarded_for",
        "X-Forwarded-Proto": "$scheme",
        "X-Forwarded-Host": "$http_host",
        "X-Forwarded-Port": "$server_port",
        "Upgrade": "$http_upgrade",
        "Connection": f"$celadon_connection_{text.id}",
    }
    named = {*text.own, *(words[0].lower() for words in text.kept_headers)}
    return [f"proxy_set_header {name} {value};" for name, value in headers.items() if name.lower() not in named]


def _render_logs(text: RouteText) -> list[str]:
    kept = [f"access_log {' '.join(words)};" for words in text.kept_logs]
    return [f"access_log {text.access_log} celadon_{text.id};", *kept]
