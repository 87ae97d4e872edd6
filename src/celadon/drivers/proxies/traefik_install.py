"""Putting an app's routes in place for Traefik: read back, tried, written, loaded, seen; or as it was before."""

from collections.abc import Mapping
from pathlib import Path

from celadon.drivers.proxies.accepted import merge_accepted
from celadon.drivers.proxies.edited import refuse_edits
from celadon.drivers.proxies.look import wait_until
from celadon.drivers.proxies.sealed import is_sealed, open_seal
from celadon.drivers.proxies.traefik_dynamic import (
    DynamicFile,
    describe_router,
    find_users,
    parse_document,
    read_dynamic,
)
from celadon.drivers.proxies.traefik_files import TraefikFiles, read_text
from celadon.drivers.proxies.traefik_look import TraefikLooks
from celadon.drivers.proxies.traefik_text import (
    RouteText,
    name_service,
    read_generation,
    render_route,
    stamp_generation,
)
from celadon.host.files import remove_durably
from celadon.host.layout import Layout
from celadon.host.look_mark import ensure_secret, read_secret
from celadon.model.address import Address, TcpAddress
from celadon.model.errors import StepError
from celadon.model.names import Slot
from celadon.model.settings import Settings

_Before = Mapping[Path, str | None]


class Installing:
    def __init__(self, layout: Layout, settings: Settings, *, files: TraefikFiles, looks: TraefikLooks) -> None:
        self._layout = layout
        self._settings = settings
        self._files = files
        self._looks = looks

    def render(self, *, edits: Mapping[Path, str] | None = None, salt: str = "") -> dict[Path, str]:
        """Every route's text. The routers of the user are part of them, read from the disk or from `edits`."""
        text = self._describe(self._read_users(edits), salt=salt)
        return {
            self._files.path_of(name): self._merge(self._files.path_of(name), render_route(text, name), name)
            for name in self._files.route_names()
        }

    def install(
        self,
        *,
        edits: Mapping[Path, str] | None = None,
        tried: Mapping[Path, str] | None = None,
        salt: str = "",
    ) -> bool:
        """`edits` are texts of the user's files to be read instead of those on the disk; `tried` those that the private
        Traefik is given, `edits` where they are None."""
        self._refuse_hand_edits()
        self._files.prepare()
        ensure_secret(self._layout.look_mark)
        if self._settings.proxy.preview:
            ensure_secret(self._layout.preview_secret)
        self._refuse_unrouted(edits)
        rendered = self.render(edits=edits, salt=salt)
        changed = {path: text for path, text in rendered.items() if read_text(path) != text}
        if not changed and self._files.link.is_symlink() and self.is_in_force():
            return False
        self._refuse_untaken(rendered, edits=tried or edits or {}, routers=self._name_users(edits))
        self._put_and_load(changed)
        return True

    def _merge(self, path: Path, text: str, name: str) -> str:
        """With what was accepted of an edit; then another text, which answers with a generation of its own."""
        merged = merge_accepted(self._layout, path, text)
        return merged if merged == text else stamp_generation(merged, name, app=self._settings.app)

    def is_in_force(self) -> bool:
        """The route that the pointer names answers, in the text that lies on the disk."""
        route = self._files.read_pointed()
        _, generation = self._files.read_route(route)
        return bool(generation) and self._looks.look_settled().names(route, generation=generation)

    def await_in_force(self) -> bool:
        self._files.nudge()
        return wait_until(self.is_in_force, timeout_s=self._settings.proxy.seen_timeout_s, pause_s=0.005)

    def _read_users(self, edits: Mapping[Path, str] | None) -> list[DynamicFile]:
        """Without ours: what they say follows from the others."""
        files = read_dynamic(self._files.directory, instead=edits)
        return [file for file in files if file.path != self._files.link]

    def _name_users(self, edits: Mapping[Path, str] | None) -> frozenset[str]:
        return frozenset(router.name for router in find_users(self._read_users(edits), self._settings.app))

    def _describe(self, files: list[DynamicFile], *, salt: str) -> RouteText:
        web = self._settings.web
        preview = self._settings.proxy.preview
        return RouteText(
            app=self._settings.app,
            blue=_port_of(web.address(Slot.BLUE)),
            green=_port_of(web.address(Slot.GREEN)),
            blue_more=tuple(map(_port_of, web.blue_more)),
            green_more=tuple(map(_port_of, web.green_more)),
            mark=read_secret(self._layout.look_mark),
            preview_secret=read_secret(self._layout.preview_secret) if preview else "",
            routers=tuple(describe_router(router, files) for router in find_users(files, self._settings.app)),
            salt=salt,
        )

    def _refuse_hand_edits(self) -> None:
        refuse_edits(self._layout, self.render())
        if self._files.is_displaced():
            what = f"{self._files.link} is a file that was edited by hand, not the link that celadon made"
            raise StepError(what, code="proxy_hand_edited", next_command="celadon check")

    def _refuse_unrouted(self, edits: Mapping[Path, str] | None) -> None:
        """Without a router that leads to it, a route cannot be seen."""
        if not self._name_users(edits):
            service = name_service(self._settings.app)
            raise StepError(
                f"no router in {self._files.directory} has the service {service}",
                code="proxy_not_included",
                next_command="celadon check",
            )

    def _refuse_untaken(
        self, rendered: Mapping[Path, str], *, edits: Mapping[Path, str], routers: frozenset[str]
    ) -> None:
        from celadon.drivers.proxies.traefik_private import Trial, try_routes

        texts = {path.parent.name: text for path, text in rendered.items()}
        generations = {name: read_generation(text, name=name) for name, text in texts.items()}
        self._refuse_unreadable(texts)
        why = try_routes(
            Trial(
                binary=self._settings.proxy.binary,
                directory=self._files.directory,
                path=self._files.link,
                texts=texts,
                answers={name: f"{name} {generation}" for name, generation in generations.items()},
                prefix=name_service(self._settings.app),
                routers=routers,
                entry_points=self._name_entry_points(),
                edits=edits,
            )
        )
        if why:
            raise StepError(why, code="proxy_config_refused", next_command="celadon check")

    def _refuse_unreadable(self, texts: Mapping[str, str]) -> None:
        """Read back: a merge of an accepted edit may have made something else of it."""
        service = name_service(self._settings.app)
        for name, text in texts.items():
            try:
                found = parse_document(open_seal(text), Path("route.yml"))
                whole = is_sealed(text) and service in found["http"]["services"] and read_generation(text, name=name)
            except (ValueError, KeyError, TypeError) as error:
                raise _unreadable(name, str(error)) from error
            if not whole:
                raise _unreadable(name, f"it has no service {service}, or no answer to a look")

    def _name_entry_points(self) -> list[str]:
        from celadon.drivers.proxies.traefik_check import read_running_static

        return list(read_running_static(self._settings).entry_points)

    def _put_and_load(self, changed: Mapping[Path, str]) -> None:
        before: _Before = {path: read_text(path) for path in changed}
        linked = self._files.link.is_symlink()
        self._files.put(changed)
        self._files.put_link()
        if self.await_in_force():
            return
        self._restore(before, linked=linked)
        proxy = self._settings.proxy
        raise StepError(
            f"{proxy.site} on {proxy.listen} is not answered by the route in {self._files.link}: "
            f"{self._looks.look().detail}",
            code="proxy_reload_refused",
            next_command="celadon check",
        )

    def _restore(self, before: _Before, *, linked: bool) -> None:
        if not linked:
            remove_durably(self._files.link)
        for path, text in before.items():
            if text is None:
                remove_durably(path)
            else:
                self._files.put({path: text})
        if linked:
            self._files.nudge()


def _port_of(address: Address) -> TcpAddress:
    """celadon.toml with sockets is refused for Traefik, so this is met by settings of another proxy only."""
    if isinstance(address, TcpAddress):
        return address
    raise StepError(
        f"Traefik cannot reach an app on a Unix socket ({address.path}); give it two ports",
        code="proxy_config_refused",
        next_command="celadon config",
    )


def _unreadable(name: str, why: str) -> StepError:
    return StepError(
        f"the route {name} does not read back as it was meant: {why}",
        code="proxy_config_refused",
        next_command="celadon check",
    )
