"""One access log of each format, with the lines that nginx 1.22, Caddy 2.11, HAProxy 2.6 and Traefik 3.7 write, and the
reader that the product takes for it. "With headers" is a log of Caddy's own, or of an older Celadon's snippet."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from uuid import UUID

from celadon.contracts.traffic import Traffic
from celadon.drivers.traffic.caddy_lines import CaddyLineParser
from celadon.drivers.traffic.haproxy_lines import HaproxyLineParser
from celadon.drivers.traffic.haproxy_log import FileTraffic
from celadon.drivers.traffic.json_lines import JsonLinesTraffic
from celadon.drivers.traffic.recognise import COMBINED, recognise
from celadon.drivers.traffic.traefik_lines import TraefikTraffic
from celadon.model.names import AppName, Slot

_AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
_BLUE = "127.0.0.1:8001"
_VARIETY_COUNT = 5000
_NOTHING: Mapping[str, object] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Format:
    name: str
    render: Callable[[int], str]
    open: Callable[[Path], Traffic]

    def render_block(self) -> Sequence[bytes]:
        """Lines that differ in client, path and time, as a site's do."""
        return [self.render(number).encode() + b"\n" for number in range(_VARIETY_COUNT)]


def list_formats() -> Iterator[Format]:
    yield Format(name="nginx JSON", render=_nginx, open=lambda path: JsonLinesTraffic(path, mark="secret"))
    yield Format(name="combined", render=_combined, open=_open_combined)
    yield Format(name="Caddy JSON", render=_caddy, open=_open_caddy)
    yield Format(name="Caddy, with headers", render=_caddy_with_headers, open=_open_caddy)
    yield Format(name="HAProxy", render=_haproxy, open=_open_haproxy)
    yield Format(name="Traefik JSON", render=_traefik, open=_open_traefik)
    yield Format(name="Traefik JSON, all its fields", render=_traefik_with_all, open=_open_traefik)


def _open_combined(path: Path) -> Traffic:
    found = recognise(COMBINED, slots={})
    assert found.parse is not None
    return JsonLinesTraffic(path, mark="", parse=found.parse, parse_block=found.parse_block)


def _open_caddy(path: Path) -> Traffic:
    parser = CaddyLineParser({_BLUE: Slot.BLUE})
    return JsonLinesTraffic(path, mark="secret", parse=parser.parse, parse_block=parser.parse_block)


def _open_haproxy(path: Path) -> Traffic:
    return FileTraffic(path, parser=HaproxyLineParser({"shop.blue": (Slot.BLUE, False)}))


def _open_traefik(path: Path) -> Traffic:
    return TraefikTraffic(path, app=AppName("shop"), slots={_BLUE: Slot.BLUE})


def _client(number: int) -> str:
    return f"203.0.{number % 7}.{number % 251}"


def _hex(number: int) -> str:
    return f"{number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128:032x}"


def _uuid(number: int) -> str:
    return str(UUID(_hex(number), version=4))


def _nginx(number: int) -> str:
    return json.dumps(
        {
            "slot": "blue",
            "status": "200",
            "upstream_status": "200",
            "request_time": f"0.{number % 1000:03}",
            "client": _client(number),
            "method": "GET",
            "uri": f"/products/{number}",
            "look": "",
            "pid": "4242",
            "upstream": _BLUE,
            "config": "0123456789ab",
            "msec": "1795573555.253",
            "request_id": _hex(number),
            "preview": "",
        },
        separators=(",", ":"),
    )


def _combined(number: int) -> str:
    return (
        f"{_client(number)} - - [25/Nov/2026:02:25:55 +0000] "
        f'"GET /products/{number}?page=2 HTTP/1.1" 200 5120 "https://shop.example/" "{_AGENT}"'
    )


def _caddy(number: int, *, asked: Mapping[str, object] = _NOTHING, answered: Mapping[str, object] = _NOTHING) -> str:
    """`asked` and `answered` are what our snippet leaves out."""
    line = {
        "level": "info",
        "ts": 1795573555.2539875,
        "logger": "http.log.access.celadon_shop",
        "msg": "handled request",
        "request": {
            "remote_ip": _client(number),
            "remote_port": "51234",
            "client_ip": _client(number),
            "proto": "HTTP/2.0",
            "method": "GET",
            "host": "shop.example",
            "uri": f"/products/{number}?page=2",
            **asked,
        },
        "bytes_read": 0,
        "user_id": "",
        "duration": 0.012 + number / 1e9,
        "size": 5120,
        "status": 200,
        **answered,
        "celadon_request": _uuid(number),
        "celadon_look": "",
        "celadon_generation": "0123456789ab",
        "celadon_upstream": _BLUE,
    }
    return json.dumps(line, separators=(",", ":"))


def _caddy_with_headers(number: int) -> str:
    asked = {
        "headers": {
            "User-Agent": [_AGENT],
            "Accept": ["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"],
            "Accept-Encoding": ["gzip, deflate, br, zstd"],
            "Accept-Language": ["en-US,en;q=0.5"],
            "Cookie": ["REDACTED"],
        },
        "tls": {
            "resumed": False,
            "version": 772,
            "cipher_suite": 4865,
            "proto": "h2",
            "server_name": "shop.example",
            "ech": False,
        },
    }
    answer = {"Server": ["Caddy"], "Via": ["1.1 Caddy"], "Content-Type": ["text/html"], "Content-Length": ["5120"]}
    return _caddy(number, asked=asked, answered={"resp_headers": answer})


def _haproxy(number: int) -> str:
    waited = 20 + number * 7 % 300
    return (
        f"<134>Nov 25 02:17:13 haproxy[321]: {_client(number)}:56872 [25/Nov/2026:02:25:55.002] web~ app/shop.blue "
        f"0/0/{number % 2}/{waited}/{waited + number % 3} 200 5120 {_uuid(number)} - - ---- 1/1/0/0/0 0/0 "
        f'"GET /products/{number}?page=2 HTTP/1.1"'
    )


def _traefik(number: int) -> str:
    """With the fields that docs/how-to/traefik.md keeps, and those that Traefik always writes."""
    line = {
        "ClientHost": _client(number),
        "DownstreamStatus": 200,
        "Duration": 12_300_000 + number,
        "OriginStatus": 200,
        "RequestCount": number,
        "RequestMethod": "GET",
        "RequestPath": f"/products/{number}?page=2",
        "RouterName": "shop@file",
        "ServiceAddr": _BLUE,
        "ServiceName": "celadon-shop@file",
        "StartUTC": "2026-11-25T02:25:55.00256295Z",
        "level": "info",
        "msg": "",
        "time": "2026-11-25T02:25:55Z",
    }
    return json.dumps(line, separators=(",", ":"))


def _traefik_with_all(number: int) -> str:
    line = {
        "ClientAddr": f"{_client(number)}:51234",
        "ClientHost": _client(number),
        "ClientPort": "51234",
        "ClientUsername": "-",
        "DownstreamContentSize": 5120,
        "DownstreamStatus": 200,
        "Duration": 12_300_000 + number,
        "OriginContentSize": 5120,
        "OriginDuration": 12_000_000 + number,
        "OriginStatus": 200,
        "Overhead": 300_000,
        "RequestAddr": "shop.example",
        "RequestContentSize": 0,
        "RequestCount": number,
        "RequestHost": "shop.example",
        "RequestMethod": "GET",
        "RequestPath": f"/products/{number}?page=2",
        "RequestPort": "-",
        "RequestProtocol": "HTTP/2.0",
        "RequestScheme": "https",
        "RetryAttempts": 0,
        "RouterName": "shop@file",
        "ServiceAddr": _BLUE,
        "ServiceName": "celadon-shop@file",
        "ServiceURL": f"http://{_BLUE}",
        "StartLocal": "2026-11-25T02:25:55.00256295Z",
        "StartUTC": "2026-11-25T02:25:55.00256295Z",
        "TLSCipher": "TLS_AES_128_GCM_SHA256",
        "TLSVersion": "1.3",
        "entryPointName": "websecure",
        "level": "info",
        "msg": "",
        "time": "2026-11-25T02:25:55Z",
    }
    return json.dumps(line, separators=(",", ":"))
