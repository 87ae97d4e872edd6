"""Which sites a Traefik serves from its file provider, and which of them could be handed over. Reads only.

What other providers define (labels of containers, Kubernetes) is not in any file and is not seen here.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from celadon.contracts.adoption import FoundSite
from celadon.drivers.proxies.traefik_dynamic import DynamicFile, Named, find_named, read_dynamic
from celadon.drivers.proxies.traefik_edit import Change, edit_routers, find_line
from celadon.drivers.proxies.traefik_static import EntryPoint, StaticConfig, read_static
from celadon.model.address import TcpAddress

_HOST = re.compile(r"(?<![A-Za-z])Host\(([^)]*)\)")
_PATH = re.compile(r"(?<![A-Za-z])Path(?:Prefix)?\(`([^`]*)`")
_WORD = re.compile(r"[`\"]([^`\"]+)[`\"]")
_LOOPBACK = frozenset({"127.0.0.1", "localhost"})
_HARMLESS = frozenset({"servers", "passHostHeader"})
_BY_HAND = (
    "in router {router} of {path}:\n    middlewares: [celadon-APP]   # at the end of those that are there\n"
    "    service: celadon-APP"
)


class Site(Struct, frozen=True, kw_only=True):
    """A router with what was found of it."""

    router: Named
    found: FoundSite


class TraefikSites:
    """Implements contracts.adoption.SiteFinder."""

    def __init__(self, config: Path, binary: str) -> None:
        del binary  # nothing here is judged by Traefik itself: it judges nothing
        self._config = config

    def find_sites(self) -> Sequence[FoundSite]:
        return [site.found for site in find_sites(read_static(self._config))]


def find_sites(static: StaticConfig) -> Sequence[Site]:
    """In the order of the files' names; routers that go through a route of ours are not among them."""
    watched = Path(static.directory or static.filename)
    files = read_dynamic(watched) if static.directory else _read_one(watched) if static.filename else []
    found = _Finding(static, files)
    return [*found.http(), *found.others()]


def _read_one(path: Path) -> Sequence[DynamicFile]:
    return [file for file in read_dynamic(path.parent) if file.path == path]


class _Finding:
    def __init__(self, static: StaticConfig, files: Sequence[DynamicFile]) -> None:
        self._static = static
        self._files = files
        self._services = find_named(files, "services")
        self._broken = next((file for file in files if file.why), None)

    def http(self) -> Iterator[Site]:
        for router in find_named(self._files, "routers").values():
            service = str(router.body.get("service", ""))
            if service.endswith("@internal") or service.startswith("celadon-"):
                continue
            upstream, reason = self._judge(router, service)
            yield Site(router=router, found=self._describe(router, upstream, reason))

    def others(self) -> Iterator[Site]:
        for file in (each for each in self._files if each.templated):
            site = FoundSite(where=f"{file.path}:1", names=(), site="", listen="", reason="it is a template of Go's")
            yield Site(router=Named(name="", file=file, body={}), found=site)
        for protocol in ("tcp", "udp"):
            for router in find_named(self._files, "routers", protocol=protocol).values():
                line = find_line(router.file.text, router.file.path, router.name, protocol=protocol)
                where, reason = (
                    f"{router.file.path}:{line}",
                    f"{router.name} is a {protocol} router; only http has looks",
                )
                names = tuple(_WORD.findall(str(router.body.get("rule", ""))))
                yield Site(router=router, found=FoundSite(where=where, names=names, site="", listen="", reason=reason))

    def _describe(self, router: Named, upstream: TcpAddress | None, reason: str) -> FoundSite:
        rule = str(router.body.get("rule", ""))
        path = _PATH.search(rule)
        names = tuple(name for part in _HOST.findall(rule) for name in _WORD.findall(part))
        site, listen = self._place(router, names)
        line = find_line(router.file.text, router.file.path, router.name)
        return FoundSite(
            where=f"{router.file.path}:{line}",
            names=names,
            site=site,
            listen=listen,
            directory=self._static.directory,
            path=path[1] if path else "/",
            upstream=upstream,
            reason=reason,
            by_hand=_BY_HAND.format(router=router.name, path=router.file.path) if reason else "",
        )

    def _place(self, router: Named, names: Sequence[str]) -> tuple[str, str]:
        """`proxy.site` and `proxy.listen`."""
        entry = next(iter(self._entry_points(router).values()), None)
        if entry is None:
            return "", ""
        host, _, port = entry.address.split("/")[0].rpartition(":")
        host = "127.0.0.1" if host in {"", "0.0.0.0", "[::]"} else host  # noqa: S104 - where it listens already
        tls = "tls" in router.body or entry.tls
        scheme, usual = ("https", "443") if tls else ("http", "80")
        name = names[0] if names else host
        return f"{scheme}://{name}" + ("" if port == usual else f":{port}"), f"{host}:{port}"

    def _entry_points(self, router: Named) -> dict[str, EntryPoint]:
        all_of_them = {name: entry for name, entry in self._static.entry_points.items() if name != "traefik"}
        wanted = [str(name) for name in router.body.get("entryPoints") or ()]
        if wanted:
            return {name: all_of_them[name] for name in wanted if name in all_of_them}
        return {name: entry for name, entry in all_of_them.items() if entry.default} or all_of_them

    def _judge(self, router: Named, service: str) -> tuple[TcpAddress | None, str]:
        """Where the requests go, and why it cannot be handed over."""
        name, _, provider = service.partition("@")
        if provider not in {"", "file"}:
            return None, f"its service {service} is not in a file, but comes from {provider}"
        if name not in self._services:
            return None, f"its service {name or '(none)'} is defined in no file that can be read"
        upstream, reason = judge_service(self._services[name].body)
        return upstream, reason or self._judge_router(router)

    def _judge_router(self, router: Named) -> str:
        if not self._static.directory:
            return f"Traefik reads one file, {self._static.filename}: a route needs providers.file.directory"
        if not self._static.watch:
            return f"Traefik does not watch {self._static.directory} (providers.file.watch)"
        if self._broken is not None:
            return f"Traefik takes no change while it cannot read {self._broken.why}"
        if str(router.body.get("ruleSyntax", self._static.rule_syntax)) == "v2":
            return "its rule is in the syntax of Traefik 2 (ruleSyntax)"
        if not self._entry_points(router):
            return "it is on no entry point that the static configuration has"
        change = Change(router=router.name, service="celadon-x", added="celadon-x")
        if edit_routers(router.file.text, router.file.path, [change]) is None:
            return "its text cannot be edited safely (an anchor, a merge or an inline table)"
        return ""


def judge_service(body: Mapping[str, Any]) -> tuple[TcpAddress | None, str]:
    kind = next(iter(body), "nothing")
    balancer = body.get("loadBalancer")
    if not isinstance(balancer, dict):
        return None, f"its service is {kind}, not one loadBalancer"
    servers = balancer.get("servers") or []
    if len(servers) != 1:
        return None, f"its service has {len(servers)} servers"
    url = str(servers[0].get("url", "")) if isinstance(servers[0], dict) else ""
    upstream = parse_upstream(url)
    if upstream is None:
        return None, f"its server {url} is not one plain http port of 127.0.0.1"
    more = [name for name in balancer if name not in _HARMLESS] + [name for name in servers[0] if name != "url"]
    if more or balancer.get("passHostHeader", True) is not True:
        return (
            upstream,
            f"its service has {more[0] if more else 'passHostHeader: false'}, which the route would not have",
        )
    return upstream, ""


def parse_upstream(url: str) -> TcpAddress | None:
    """None for what is not `http://` and a port on this machine, or has a path."""
    try:
        parts = urlsplit(url)
        port = parts.port or 80
    except ValueError:
        return None
    plain = parts.scheme == "http" and parts.path in {"", "/"} and not parts.query and parts.username is None
    return TcpAddress(port=port) if plain and parts.hostname in _LOOPBACK else None
