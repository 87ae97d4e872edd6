"""Which sites run on this machine already, behind which proxy: for a first celadon.toml."""

import pwd
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from celadon.app.compose import FINDERS
from celadon.config.guess import GuessedSite
from celadon.config.table import PROXY_DEFAULTS
from celadon.contracts.adoption import FoundSite
from celadon.host.processes import read_arguments, read_directory, read_owner
from celadon.host.sockets import KernelSockets
from celadon.host.units import find_keeper
from celadon.model.address import TcpAddress
from celadon.model.errors import RefusedError, StepError, UsageError
from celadon.model.settings import ProxyKind


class Where(Struct, frozen=True, kw_only=True):
    """A proxy to look at; what is None is its default."""

    proxy: ProxyKind | None = None
    config: str | None = None
    binary: str | None = None


class _Seen(Struct, frozen=True, kw_only=True):
    proxy: ProxyKind
    config: str
    binary: str
    site: FoundSite


def parse_proxy(text: str | None) -> ProxyKind | None:
    """Raises UsageError with the kinds that there are."""
    if text is None:
        return None
    try:
        return ProxyKind(text)
    except ValueError as error:
        kinds = ", ".join(ProxyKind)
        raise UsageError(
            f"{text!r} is not a proxy: {kinds}", code="proxy_unknown", next_command="celadon init"
        ) from error


def discover_site(where: Where, *, named: str | None) -> GuessedSite:
    """The one site that could be adopted, or the one for the host `named`. Raises RefusedError with all that were
    seen."""
    seen = list(_look(where))
    wanted = [each for each in seen if _runs(each.site) and (named is None or named in each.site.names)]
    apps = {each.site.upstream for each in wanted}
    if len(apps) != 1:
        told = "several could be" if apps else "none could be"
        raise RefusedError(
            f"{told} adopted:\n" + ("\n".join(map(_describe, seen)) or "  no proxy with a site was found here"),
            code="no_such_site" if not apps else "several_sites",
            next_command="celadon init --adopt --site HOST" if apps else "celadon init",
        )
    return _guess(wanted[0])


def _look(where: Where) -> Iterator[_Seen]:
    for kind, find in FINDERS.items():
        if where.proxy not in {None, kind}:
            continue
        config = where.config or PROXY_DEFAULTS[kind]["config"]
        binary = where.binary or PROXY_DEFAULTS[kind]["binary"]
        if Path(config).exists():
            try:
                for site in find(Path(config), binary).find_sites():
                    yield _Seen(proxy=kind, config=config, binary=binary, site=site)
            except StepError:
                if where.proxy is kind:
                    raise


def _runs(site: FoundSite) -> bool:
    return not site.reason and isinstance(site.upstream, TcpAddress) and bool(_listeners(site.upstream))


def _listeners(address: TcpAddress) -> Sequence[int]:
    return sorted(KernelSockets().listening_pids(address) or ())


def _describe(seen: _Seen) -> str:
    site = seen.site
    why = site.reason
    if not why and not isinstance(site.upstream, TcpAddress):
        why = "its app listens on a socket of its own; celadon's slots listen on theirs: let it listen on a port"
    if not why and not _runs(site):
        why = f"nobody whom you may see listens on {site.upstream}"
    return f"  {site.where}: {', '.join(site.names) or 'any host'} {site.path} → {site.upstream or '?'}" + (
        f": {why}" if why else ""
    )


def _guess(seen: _Seen) -> GuessedSite:
    site = seen.site
    assert isinstance(site.upstream, TcpAddress)  # noqa: S101  _runs has said so
    pid = _listeners(site.upstream)[0]
    owner = read_owner(pid)
    return GuessedSite(
        proxy=seen.proxy,
        config=seen.config,
        binary=seen.binary,
        site=site.site,
        listen=site.listen,
        directory=site.directory,
        port=site.upstream.port,
        command=render_command(read_arguments(pid), port=site.upstream.port, directory=read_directory(pid)),
        user=pwd.getpwuid(owner.uid).pw_name if owner is not None and owner.uid else "",
        systemd=bool(find_keeper(pid).unit),
    )


def render_command(arguments: Sequence[str], *, port: int, directory: str) -> str:
    """Pure. As the next releases are to be started: in their own tree, on `$PORT`."""
    own = [argument.removeprefix(f"{directory}/") if directory != "/" else argument for argument in arguments]
    written = re.compile(rf"(?<!\d){port}(?!\d)")
    return " ".join(written.sub("$PORT", shlex.quote(argument)) for argument in own)
