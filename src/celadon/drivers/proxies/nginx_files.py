"""An app's files in nginx's configuration: what they are to say, which of them names the route, how it is replaced."""

import os
from collections.abc import Mapping
from pathlib import Path

from celadon.drivers.proxies.accepted import merge_accepted
from celadon.drivers.proxies.edited import keep_edit
from celadon.drivers.proxies.nginx_config import Config, read_config
from celadon.drivers.proxies.nginx_inherit import find_kept_headers, find_kept_logs, find_own, owner_decides
from celadon.drivers.proxies.nginx_marks import prepare_marks
from celadon.drivers.proxies.nginx_text import (
    RouteText,
    parse_upstream_slot,
    render_generation,
    render_http,
    render_route,
    render_upstream,
)
from celadon.drivers.traffic.json_lines import parse_slot
from celadon.host.files import read_text, remove_durably, sync_directory, write_atomic
from celadon.host.layout import Layout
from celadon.host.look_mark import ensure_secret, read_secret
from celadon.host.pointer import live_path, move_pointer, prepare_pointer, read_pointer
from celadon.model.errors import StepError
from celadon.model.names import Slot
from celadon.model.observed import WHOLE
from celadon.model.settings import Settings, SwitchWay

_STATE_NAMES = ("current.conf", "upstream.conf", "blue.conf", "green.conf", "none.conf")


class RouteFiles:
    """One app's. The way `reload` is taken as `include`."""

    def __init__(self, layout: Layout, settings: Settings) -> None:
        self._layout = layout
        self._settings = settings
        self._way = settings.proxy.switch
        self.main = Path(settings.proxy.config)
        self.directory = Path(settings.proxy.directory) / settings.app

    def render(self, *, instead: Mapping[Path, str] | None = None) -> dict[Path, str]:
        """Every file that an install puts in place; `instead` are files of the owner's as they are going to be."""
        text = self.text(instead)
        files = {"http.conf": render_http(text, generation=self._generation(text)), "route.conf": render_route(text)}
        match self._way:
            case SwitchWay.SYMLINK:
                files |= {f"{slot.value}.conf": render_upstream(text, slot) for slot in Slot}
                files |= {"none.conf": render_upstream(text, None)}
            case SwitchWay.INCLUDE | SwitchWay.RELOAD:
                for slot in Slot:  # an accepted edit that only one slot's text can take would fail at the switch
                    self._merge({self.directory / "upstream.conf": render_upstream(text, slot)})
                files |= {"upstream.conf": render_upstream(text, self.read_route())}
            case SwitchWay.POINTER:
                pass
        return self._merge({self.directory / name: content for name, content in files.items()})

    def generation(self, *, instead: Mapping[Path, str] | None = None) -> str:
        """Names the text that `render` gives, accepted edits among it."""
        return self._generation(self.text(instead))

    @property
    def names_route_in_pointer(self) -> bool:
        return self._way is SwitchWay.POINTER

    def read_route(self) -> Slot | None:
        """What the way's own file names; the pointer is kept in step and stands in where that file is not."""
        match self._way:
            case SwitchWay.SYMLINK if (link := self.directory / "current.conf").is_symlink():
                return parse_slot(link.readlink().stem)
            case SwitchWay.INCLUDE | SwitchWay.RELOAD if text := read_text(self.directory / "upstream.conf"):
                return parse_upstream_slot(text)
            case _:
                return read_pointer(self._layout.pointer)

    def render_state(self, slot: Slot | None, *, instead: Mapping[Path, str] | None = None) -> dict[Path, str]:
        """The file that names the route, as nginx would read it; none in the pointer way."""
        match self._way:
            case SwitchWay.POINTER:
                return {}
            case SwitchWay.SYMLINK:
                named = self.directory / f"{slot.value if slot else 'none'}.conf"
                text = self._merge_if_possible(named, render_upstream(self.text(instead), slot))
                return {self.directory / "current.conf": text}
            case SwitchWay.INCLUDE | SwitchWay.RELOAD:
                path = self.directory / "upstream.conf"
                return {path: self._merge_if_possible(path, render_upstream(self.text(instead), slot))}

    def place(self, slot: Slot | None) -> None:
        """Put that file in place, atomically and durably, and the pointer after it. An edit by hand that it replaces
        is kept aside. Raises OSError."""
        for path in self.render_state(slot):
            keep_edit(self._layout, path)
        if self._way is SwitchWay.SYMLINK:
            _replace_link(self.directory / "current.conf", target=f"{slot.value if slot else 'none'}.conf")
        else:
            for path, text in self.render_state(slot).items():
                write_atomic(path, text)
        if slot:
            move_pointer(self._layout.pointer, slot)

    def prepare(self) -> None:
        """Everything that our text refers to. Idempotent."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self._layout.access_log.parent.mkdir(parents=True, exist_ok=True)
        prepare_pointer(self._layout.pointer, percents=self.shares())
        prepare_marks(self._layout.pointer, percents=self.shares())
        ensure_secret(self._layout.look_mark)
        if self._settings.proxy.preview:
            ensure_secret(self._layout.preview_secret)

    def own_paths(self) -> list[Path]:
        """Every file of ours that nginx may read."""
        return [self.directory / name for name in ("route.conf", "http.conf", *_STATE_NAMES)]

    def put(self, changed: Mapping[Path, str]) -> dict[Path, str | None]:
        """Write `changed`, so that what nginx would read is valid after each file: another app's reload may come in
        between, or a death. What was there before, for `restore`."""
        before = {path: read_text(path) for path in changed}
        ordered = [path for path in changed if path not in self._named()]
        for path in self._order([*ordered, *(path for path in self._named() if path in changed)], changed):
            if path in self._named():
                self._ensure_link()
            write_atomic(path, changed[path], mode=self._mode(changed[path]))
        self._ensure_link()
        return before

    def _named(self) -> tuple[Path, Path]:
        """The files that the owner's include, which read the others."""
        return self.directory / "http.conf", self.directory / "route.conf"

    def _ensure_link(self) -> None:
        if self._way is SwitchWay.SYMLINK and not (self.directory / "current.conf").is_symlink():
            self.place(self.read_route())

    def _order(self, paths: list[Path], changed: Mapping[Path, str]) -> list[Path]:
        """As given the first time; upon earlier files always the first of which nginx says yes. 5 to 80 ms a question,
        only where the text changes."""
        ordered: list[Path] = []
        while len(paths) > 1 and self._named()[1].exists():
            there = {path: changed[path] for path in ordered}
            next_one = next((path for path in paths if self._is_valid({**there, path: changed[path]})), paths[0])
            paths = [path for path in paths if path != next_one]
            ordered.append(next_one)
        return [*ordered, *paths]

    def _is_valid(self, instead: Mapping[Path, str]) -> bool:
        """In the place of what is there now."""
        from celadon.drivers.proxies.nginx_stage import judge_staged

        binary, link = self._settings.proxy.binary, self.directory / "current.conf"
        if link.is_symlink() and (named := self.directory / link.readlink()) in instead:
            instead = {**instead, link: instead[named]}
        return judge_staged(binary, self.main, instead=instead, scratch=self._layout.home).ok

    def remove_unused(self) -> None:
        """Files of a way that is no longer used: one left behind would look like the route."""
        used = {*self.render(), *self.render_state(None)}
        for path in (self.directory / name for name in _STATE_NAMES):
            if path not in used and os.path.lexists(path):
                remove_durably(path)

    def restore(self, before: dict[Path, str | None]) -> None:
        for path, text in reversed(before.items()):
            if text is None:
                remove_durably(path)
            else:
                write_atomic(path, text.encode(errors="surrogateescape"), mode=self._mode(text))

    def _mode(self, text: str) -> int:
        """What holds a secret is for nginx's master, which reads as root or as we do."""
        secrets = [read_secret(path) for path in (self._layout.look_mark, self._layout.preview_secret)]
        return 0o600 if any(secret and secret in text for secret in secrets) else 0o644

    def _merge(self, files: Mapping[Path, str]) -> dict[Path, str]:
        return {path: merge_accepted(self._layout, path, text) for path, text in files.items()}

    def _merge_if_possible(self, path: Path, text: str) -> str:
        """For a switch, which may be the way back: no edit is worth the traffic. The install has seen that it can be
        merged; where it cannot now, it stays on the list of the accepted."""
        try:
            return merge_accepted(self._layout, path, text)
        except StepError:
            return text

    def _generation(self, text: RouteText) -> str:
        bodies = {"http.conf": render_http(text, generation=""), "route.conf": render_route(text)}
        merged = self._merge({self.directory / name: body for name, body in bodies.items()})
        return render_generation(merged.values())

    def text(self, instead: Mapping[Path, str] | None = None) -> RouteText:
        web, proxy = self._settings.web, self._settings.proxy
        route = self.directory / "route.conf"
        config = self._read_config(instead)
        return RouteText(
            app=self._settings.app,
            way=self._way,
            blue=web.addresses(Slot.BLUE),
            green=web.addresses(Slot.GREEN),
            directory=self.directory,
            live=live_path(self._layout.pointer),
            access_log=self._layout.access_log,
            kept_logs=find_kept_logs(config, route),
            kept_headers=find_kept_headers(config, route),
            own=find_own(config, route),
            owner_decides=owner_decides(config, route),
            shares=self.shares(),
            mark=read_secret(self._layout.look_mark),
            has_preview=proxy.preview,
            preview=read_secret(self._layout.preview_secret) if proxy.preview else "",
        )

    def shares(self) -> tuple[int, ...]:
        """Percents below the whole; only the pointer gives any."""
        if self._way is not SwitchWay.POINTER:
            return ()
        return tuple(percent for percent in self._settings.switch.steps if percent < WHOLE)

    def _read_config(self, instead: Mapping[Path, str] | None) -> Config:
        return read_config(self.main, instead=instead)


def _replace_link(link: Path, *, target: str) -> None:
    temporary = link.with_name(f".{link.name}.partial")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.rename(link)
    sync_directory(link.parent)
