"""Which handlers of a JSON configuration could be adopted, and why the others could not."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec import Struct
from msgspec.structs import replace

from celadon.contracts.adoption import FoundSite
from celadon.drivers.proxies import caddy_json_text as jt
from celadon.drivers.proxies.caddy_command import last_words
from celadon.drivers.proxies.caddy_disk import read_exactly
from celadon.drivers.proxies.caddy_json_place import SERVERS, find_hosts, find_log_reasons, is_handler
from celadon.drivers.proxies.caddy_json_route import render_marker
from celadon.drivers.proxies.caddy_sites import parse_upstream
from celadon.drivers.proxies.caddy_stage import judge_staged
from celadon.drivers.proxies.caddy_version import ask_version
from celadon.model.address import Address
from celadon.model.errors import StepError
from celadon.model.names import AppName
from celadon.model.settings import ProxyKind, ProxySettings

KEPT_KEYS = frozenset({
    "headers", "flush_interval", "request_buffers", "response_buffers", "buffer_requests", "buffer_responses",
    "max_buffer_size", "trusted_proxies",
})  # fmt: skip
"""Of `reverse_proxy`: they mean the same in each of our own."""
_ANY = AppName("app")
_LISTEN = re.compile(r"(?:tcp[46]?/)?(?P<host>\[[^\]]*\]|[^:/\[]*):(?P<port>\d+)(?:-\d+)?")
_EVERYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - read, not bound


class JsonPlace(Struct, frozen=True, kw_only=True):
    """One `reverse_proxy`. `said` is its object."""

    path: jt.Path
    node: jt.Node
    said: Mapping[str, object]
    hosts: tuple[str, ...]
    found: FoundSite

    @property
    def options(self) -> dict[str, object]:
        return {key: value for key, value in self.said.items() if key in KEPT_KEYS}


class JsonSites:
    """Implements contracts.adoption.SiteFinder for a configuration in JSON."""

    def __init__(self, config: Path, binary: str) -> None:
        self._config = config
        self._binary = binary

    def find_sites(self) -> Sequence[FoundSite]:
        proxy = ProxySettings(
            kind=ProxyKind.CADDY, site="", listen="", directory="", config=str(self._config), binary=self._binary
        )
        with TemporaryDirectory(prefix="celadon-") as scratch:
            judged = judge_staged(proxy, {}, scratch=Path(scratch))
        if not judged.ok:
            raise StepError(last_words(judged), code="proxy_config_refused", next_command="celadon init")
        recent = ask_version(self._binary).recent
        return [each.found for each in find_json_places(self._config, recent=recent)]


def find_json_places(config: Path, *, recent: bool) -> list[JsonPlace]:
    """In the order of the file. Raises StepError."""
    try:
        text = read_exactly(config)
        return list(_find(config, text, jt.parse_json(text), recent=recent))
    except (OSError, jt.JsonError) as error:
        raise StepError(f"{config}: {error}", code="proxy_config_unread", next_command="celadon init") from error


def _find(config: Path, text: str, root: jt.Node, *, recent: bool) -> Iterator[JsonPlace]:
    for path, node in jt.walk(root):
        if path[:3] != SERVERS or not is_handler(path) or _is_ours(text, root, path):
            continue
        said = jt.value_of(text, node)
        if isinstance(said, dict) and said.get("handler") == "reverse_proxy":
            hosts = find_hosts(text, root, path)
            where = f"{config}:{jt.line_of(text, node.start)}"
            found = _describe(text, root, path, said=said, hosts=hosts, where=where)
            marked = text[: node.start] + render_marker(_ANY) + text[node.end :]
            reasons = (*_find_reasons(path, said, hosts, found), *find_log_reasons(marked, _ANY, recent=recent))
            yield JsonPlace(path=path, node=node, said=said, hosts=hosts, found=_refuse(found, reasons))


def _is_ours(text: str, root: jt.Node, path: jt.Path) -> bool:
    ids = (jt.value_of(text, root.get(*path[:length], "@id")) for length in range(len(path) + 1))
    return any(str(each).startswith("celadon_") for each in ids)


def _refuse(found: FoundSite, reasons: Sequence[str]) -> FoundSite:
    if not reasons:
        return found
    return replace(found, reason=reasons[0], by_hand=render_marker(AppName("<app>")))


def _describe(
    text: str, root: jt.Node, path: jt.Path, *, said: Mapping[str, object], hosts: Sequence[str], where: str
) -> FoundSite:
    http = _object(text, root.get("apps", "http"))
    server = _object(text, root.get(*path[:4]))
    host, port = _read_listen(server, http)
    plain = not _has_tls(server, hosts) or port == str(http.get("http_port") or 80)
    scheme, usual = ("http", "80") if plain else ("https", "443")
    name = next((each for each in hosts if "*" not in each), host)
    return FoundSite(
        where=where,
        names=tuple(hosts),
        site=f"{scheme}://{name}{'' if port == usual else f':{port}'}",
        listen=f"{host}:{port}",
        path=_find_path(text, root, path),
        upstream=find_json_upstream(said),
    )


def _object(text: str, node: jt.Node | None) -> Mapping[str, object]:
    said = jt.value_of(text, node)
    return said if isinstance(said, dict) else {}


def _read_listen(server: Mapping[str, object], http: Mapping[str, object]) -> tuple[str, str]:
    """Where it is to be reached from this machine."""
    listen = server.get("listen")
    for each in listen if isinstance(listen, list) else ():
        match = _LISTEN.fullmatch(str(each))
        if match is not None:
            host = _EVERYWHERE.get(match["host"], match["host"])
            return host, match["port"]
    return "127.0.0.1", str(http.get("https_port") or 443)


def _has_tls(server: Mapping[str, object], hosts: Sequence[str]) -> bool:
    """Said, or by Caddy's own automatic HTTPS, which is for routes that name hosts."""
    automatic = server.get("automatic_https")
    said = automatic if isinstance(automatic, dict) else {}
    skipped = said.get("skip")
    left = [host for host in hosts if not (isinstance(skipped, list) and host in skipped)]
    return bool(server.get("tls_connection_policies") or (left and not said.get("disable")))


def find_json_upstream(said: Mapping[str, object]) -> Address | None:
    """The one address on this machine that all goes to."""
    upstreams = said.get("upstreams")
    if not isinstance(upstreams, list) or len(upstreams) != 1 or set(upstreams[0]) != {"dial"}:
        return None
    return parse_upstream(str(upstreams[0]["dial"]))


def _find_reasons(path: jt.Path, said: Mapping[str, object], hosts: Sequence[str], found: FoundSite) -> Iterator[str]:
    strange = [key for key in path[4:] if isinstance(key, str) and key not in {"routes", "handle"}]
    if strange:
        yield f"it stands in {strange[0]}"
    upstreams = said.get("upstreams")
    if not isinstance(upstreams, list) or len(upstreams) != 1:
        yield f"reverse_proxy has {len(upstreams) if isinstance(upstreams, list) else 0} upstreams"
    elif found.upstream is None:
        yield f"{upstreams[0].get('dial')} is not one plain address on this machine"
    for key in said.keys() - KEPT_KEYS - {"handler", "upstreams"}:
        yield f"reverse_proxy has {key}: it stays yours"
    if hosts and all("*" in each or "{" in each for each in hosts):
        yield f"{', '.join(hosts)} names no host to look for"
    if not hosts and found.site.startswith("https:"):
        yield "its route names no host to look for"


def _find_path(text: str, root: jt.Node, path: jt.Path) -> str:
    """The URL path that its requests begin with."""
    for length in range(len(path), 0, -1):
        matchers = jt.value_of(text, root.get(*path[:length], "match"))
        for each in matchers if isinstance(matchers, list) else ():
            paths = [str(named) for named in each.get("path", ())]
            if paths:
                return paths[0].removesuffix("*") or "/"
    return "/"
