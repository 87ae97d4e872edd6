"""A site behind Traefik, handed over and back.

Traefik takes its directory as a whole, so what was taken is told by our own file: it is written once more after the
user's with another generation, and when a look answers with that one, Traefik has read the directory with the user's
edit in it.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from celadon.contracts.adoption import Edit, FoundSite
from celadon.drivers.proxies.look import wait_until
from celadon.drivers.proxies.traefik_dynamic import Named, find_named, find_users, read_dynamic
from celadon.drivers.proxies.traefik_edit import Change, edit_address, edit_routers
from celadon.drivers.proxies.traefik_files import TraefikFiles
from celadon.drivers.proxies.traefik_install import Installing
from celadon.drivers.proxies.traefik_look import TraefikLooks
from celadon.drivers.proxies.traefik_sites import find_sites, judge_service, parse_upstream
from celadon.drivers.proxies.traefik_static import read_static
from celadon.drivers.proxies.traefik_text import name_service
from celadon.host.files import remove_durably, replace_text, write_atomic
from celadon.host.layout import Layout
from celadon.host.look_http import parse_look_target
from celadon.host.pointer import is_pointed, move_pointer
from celadon.model.address import TcpAddress
from celadon.model.errors import StepError
from celadon.model.names import Slot
from celadon.model.settings import Settings

_ADOPTING = "being adopted"
_EJECTING = "being ejected"


class TraefikAdoption:
    """Implements contracts.adoption.Adoption."""

    def __init__(self, layout: Layout, settings: Settings) -> None:
        self._layout = layout
        self._settings = settings
        self._service = name_service(settings.app)
        target = parse_look_target(site=settings.proxy.site, listen=settings.proxy.listen, path="/")
        listen = TcpAddress(host=target.address[0], port=target.address[1])
        self._files = TraefikFiles(layout, settings, listen=listen)
        self._looks = TraefikLooks(layout, settings.proxy)
        self._installing = Installing(layout, settings, files=self._files, looks=self._looks)

    def propose(self, found: Sequence[FoundSite]) -> Sequence[Edit]:
        present = {site.found: site.router for site in find_sites(read_static(Path(self._settings.proxy.config)))}
        changes: dict[Path, list[Change]] = {}
        for site in found:
            if site not in present or site.reason:
                raise _changed(site.where)
            router = present[site]
            change = Change(router=router.name, service=self._service, added=self._service)
            changes.setdefault(router.file.path, []).append(change)
        return [self._edit(path, each) for path, each in changes.items()]

    def adopt(self, edits: Sequence[Edit], *, live: Slot) -> None:
        self._files.prepare()
        if not is_pointed(self._layout.pointer, live):
            move_pointer(self._layout.pointer, live)
        self._refuse_stale(edits)
        after = {edit.path: edit.after for edit in edits if edit.after is not None}
        linked = self._files.link.is_symlink()
        if any(_read(edit.path) != edit.after for edit in edits):
            self._installing.install(edits=after, salt=_ADOPTING)
        try:
            _put(edits)
            self._installing.install()
        except (StepError, OSError):
            self._take_back(edits, linked=linked)
            raise

    def propose_eject(self, live: Slot) -> Sequence[Edit]:
        files = [file for file in read_dynamic(self._files.directory) if file.path != self._files.link]
        routers = find_users(files, self._settings.app)
        texts = {router.file.path: router.file.text for router in routers}
        service, made = self._plain_service(find_named(files, "services"), live=live, texts=texts)
        edits = [] if made is None else [made]
        for path in {router.file.path for router in routers}:
            changes = [
                Change(router=router.name, service=service, removed=self._service)
                for router in routers
                if router.file.path == path
            ]
            edited = edit_routers(texts[path], path, changes)
            if edited is None:
                raise StepError(
                    f"{path} cannot be edited safely; in its routers: service: {service}",
                    code="site_not_understood",
                    next_command="celadon eject  # when it is changed by hand",
                )
            before = _read(path)
            edits = [edit for edit in edits if edit.path != path]
            edits.append(Edit(path=path, before=before, after=edited))
        return [*edits, Edit(path=self._files.link, before=_read(self._files.link), after=None)]

    def eject(self, edits: Sequence[Edit], *, live: Slot) -> None:
        del live  # the edits have its address
        theirs = [edit for edit in edits if edit.path != self._files.link]
        if not self._files.link.is_symlink() and all(_read(edit.path) == edit.after for edit in theirs):
            return
        self._refuse_stale(theirs)
        before = {edit.path: edit.before for edit in theirs if edit.before is not None}
        try:
            _put(theirs)
            after = {edit.path: edit.after for edit in theirs if edit.after is not None}
            self._installing.install(edits=before, salt=_EJECTING, tried=after)
        except (StepError, OSError):
            self._take_back(theirs, linked=True)
            raise
        remove_durably(self._files.link)
        timeout_s = self._settings.proxy.seen_timeout_s
        if not wait_until(lambda: self._looks.look().served is None, timeout_s=timeout_s, pause_s=0.01):
            raise StepError(
                f"Traefik still has the route of {self._files.link}, which is gone",
                code="proxy_reload_refused",
                next_command="celadon check",
            )

    def _edit(self, path: Path, changes: Sequence[Change]) -> Edit:
        before = _read(path)
        edited = None if before is None else edit_routers(before, path, changes)
        if edited is None:
            raise _changed(str(path))
        return Edit(path=path, before=before, after=edited)

    def _plain_service(
        self, services: Mapping[str, Named], *, live: Slot, texts: dict[Path, str]
    ) -> tuple[str, Edit | None]:
        """The one that the user had, sent to the live address; or a new one in a file of its own. `texts` are changed
        where they are the user's."""
        wanted = self._settings.web.address(live)
        for name, service in self._find_own(services):
            url = str(service.body["loadBalancer"]["servers"][0]["url"])
            path = service.file.path
            text = texts.get(path, service.file.text)
            new = url if parse_upstream(url) == wanted else f"http://{wanted}"
            edited = text if new == url else edit_address(text, path, name, old=url, new=new)
            if edited is None:
                continue
            if path in texts:
                texts[path] = edited
                return name, None
            return name, None if edited == text else Edit(path=path, before=text, after=edited)
        name = next(each for each in (self._settings.app, f"{self._settings.app}_app") if each not in services)
        text = f'http:\n  services:\n    {name}:\n      loadBalancer:\n        servers:\n          - url: "http://{wanted}"\n'
        return name, Edit(path=self._files.directory / f"{self._settings.app}-service.yml", before=None, after=text)

    def _find_own(self, services: Mapping[str, Named]) -> Iterator[tuple[str, Named]]:
        slots = {self._settings.web.address(slot) for slot in Slot}
        for name, service in services.items():
            upstream, reason = judge_service(service.body)
            if upstream in slots and not reason:
                yield name, service

    def _refuse_stale(self, edits: Sequence[Edit]) -> None:
        for edit in edits:
            if _read(edit.path) not in {edit.before, edit.after}:
                raise _changed(str(edit.path))

    def _take_back(self, edits: Sequence[Edit], *, linked: bool) -> None:
        """The user's first: while they name our services, ours must be there."""
        _put([Edit(path=edit.path, before=edit.after, after=edit.before) for edit in edits])
        if not linked:
            remove_durably(self._files.link)


def _put(edits: Sequence[Edit]) -> None:
    for edit in edits:
        if edit.after is None:
            remove_durably(edit.path)
        elif edit.path.exists():
            replace_text(edit.path, edit.after)
        else:
            write_atomic(edit.path, edit.after)


def _read(path: Path) -> str | None:
    """With its line ends as they are."""
    try:
        return path.read_bytes().decode(errors="surrogateescape")
    except OSError:
        return None


def _changed(where: str) -> StepError:
    return StepError(f"{where} has changed meanwhile", code="site_changed", next_command="celadon adopt")
