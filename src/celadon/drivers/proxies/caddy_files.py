"""An app's snippets and its pointer's directories: what they are to say, which of them names the route."""

import math
import os
from collections.abc import Mapping
from itertools import cycle
from pathlib import Path

from celadon.drivers.proxies.accepted import merge_accepted
from celadon.drivers.proxies.caddy_command import is_json
from celadon.drivers.proxies.caddy_disk import read_text, replace_text
from celadon.drivers.proxies.caddy_json_files import JsonFiles
from celadon.drivers.proxies.caddy_log import find_owner
from celadon.drivers.proxies.caddy_text import (
    GREEN_MARK,
    ON_GREEN_MARK,
    ROUTE_FILE,
    SHARE_MARK,
    SnippetText,
    parse_slot_of,
    place_names,
    render_generation,
    render_log,
    render_place,
    render_route,
    render_snippet,
)
from celadon.drivers.proxies.caddy_version import CaddyVersion, read_version, remember_version
from celadon.host.files import write_atomic
from celadon.host.layout import Layout
from celadon.host.look_http import parse_look_target
from celadon.host.look_mark import ensure_secret, read_secret
from celadon.host.pointer import live_path, prepare_pointer, read_pointer, route_path
from celadon.model.address import TcpAddress
from celadon.model.names import Slot
from celadon.model.observed import WHOLE
from celadon.model.settings import Settings, SwitchWay

_NO_SECRET = "0" * 24
"""Stands in a snippet that is rendered before the first install has made a secret, and is never put in place."""


class SnippetFiles:
    """One app's."""

    def __init__(self, layout: Layout, settings: Settings) -> None:
        self._layout = layout
        self._settings = settings
        self._directory = Path(settings.proxy.directory)
        target = parse_look_target(site=settings.proxy.site, listen=settings.proxy.listen, path="/")
        self.listen = TcpAddress(host=target.address[0], port=target.address[1])
        self._version: CaddyVersion | None = None
        self.main = Path(settings.proxy.config)
        self.snippet = self._directory / f"{settings.app}.caddy"
        self.route = self._directory / f"{settings.app}.route"
        self.log = self._directory / f"{settings.app}.log"
        self.options = self._directory / f"{settings.app}.options"
        self.expects_options = False
        self.json = JsonFiles(layout, settings) if is_json(self.main) else None
        self.access_log = layout.access_log
        self.remembered_version = layout.home / "caddy-version"
        self.pointed = settings.proxy.switch is SwitchWay.POINTER
        self.shared = self.pointed and any(step < WHOLE for step in settings.switch.steps)

    @property
    def version(self) -> CaddyVersion:
        if self._version is None:
            self._version = read_version(self._settings.proxy.binary, remembered=self.remembered_version)
        return self._version

    def render(self, slot: Slot | None = None) -> dict[Path, str]:
        """With `slot` as the route, in the way that reloads; by default the one on disk. In the order in which they are
        put in place: what imports comes after what it imports. A configuration in JSON is the last."""
        own = self.render_own(slot)
        if self.json is None:
            return own
        return own | self.json.render(self.bodies(own), generation=self.generation(slot))

    def render_own(self, slot: Slot | None = None) -> dict[Path, str]:
        """What lies in our directory."""
        return self._render(slot, generation=self.generation(slot))

    def bodies(self, own: Mapping[Path, str]) -> list[str]:
        """What a site is given."""
        return [own[self.log], own[self.route]]

    def generation(self, slot: Slot | None = None) -> str:
        """Names the texts that `render` gives, accepted edits among them."""
        options = [text] if self.json is not None and (text := self.json.read_options()) else []
        return render_generation([*self._render(slot, generation="").values(), *options])

    def _render(self, slot: Slot | None, *, generation: str) -> dict[Path, str]:
        text = self._text(slot)
        rendered = {
            self.log: render_log(text),
            self.route: render_route(text, generation=generation),
            self.snippet: render_snippet(text, log=self.log, route=self.route),
        }
        return {path: merge_accepted(self._layout, path, each) for path, each in rendered.items()}

    def read(self) -> dict[Path, str | None]:
        own: dict[Path, str | None] = {path: read_text(path) for path in (self.log, self.route, self.snippet)}
        return own if self.json is None else own | {self.main: self.json.read()}

    def is_main_edited(self) -> bool:
        """Whether somebody has changed our objects in a configuration in JSON."""
        return self.json is not None and any(self.json.find_edits())

    def put(self, texts: Mapping[Path, str | None]) -> None:
        """Write what differs. None: it goes, what imports first."""
        self._directory.mkdir(parents=True, exist_ok=True)
        present = {path: read_text(path) for path in texts}
        for path, text in texts.items():
            if text is not None and text != present[path]:
                self._write(path, text)
        for path, text in reversed([*texts.items()]):
            if text is None:
                path.unlink(missing_ok=True)

    def _write(self, path: Path, text: str) -> None:
        """Who may read it: all; where it holds the preview's secret, its owner and Caddy's group."""
        if self.json is not None and path == self.main:
            self.json.write(text)
            return
        if path != self.route or not self._settings.proxy.preview:
            replace_text(path, text)
            return
        owner = find_owner(self.listen) if os.geteuid() == 0 else None
        group = owner.gid if owner is not None else _group_of(path)
        write_atomic(path, text, mode=0o640)
        os.chown(path, -1, group)

    def read_route(self) -> Slot | None:
        """In the reload way the snippet names the slot once the pointer was ever set."""
        pointed = read_pointer(self._layout.pointer)
        if self.pointed or pointed is None:
            return pointed
        if self.json is not None:
            return self.json.read_route() or pointed
        return parse_slot_of(read_text(self.route) or "", self._settings.web.slots) or pointed

    def prepare(self) -> None:
        """What Caddy it is, the secrets, and everything that the pointer can name."""
        remember_version(self.version, self._settings.proxy.binary, remembered=self.remembered_version)
        ensure_secret(self._layout.look_mark)
        if self._settings.proxy.preview:
            ensure_secret(self._layout.preview_secret)
        if self.json is not None:
            self.json.refuse_exposed()
            slots: list[Slot | None] = [None] if self.pointed else [*Slot]
            self.json.keep({self.generation(slot): self.bodies(self.render_own(slot)) for slot in slots})
        shares = [step for step in self._settings.switch.steps if step < WHOLE] if self.shared else []
        prepare_pointer(self._layout.pointer, percents=shares)
        for slot in Slot:
            for percent in [*shares, WHOLE]:
                self._fill(slot, percent)

    def _fill(self, to: Slot, percent: int) -> None:
        directory = route_path(self._layout.pointer, to, percent=percent)
        for name, text in self._content(to, percent).items():
            path = directory / name
            if not path.exists() or path.read_text() != text:
                write_atomic(path, text)

    def _content(self, to: Slot, percent: int) -> Mapping[str, str]:
        """What the directory of a route holds. Of a share: the lowest places are those of `to`, so that a client keeps
        its slot while the share grows. A whole route has places too: a request that has found a share may read its
        place when the pointer has moved on, and without one Caddy dials port 0 and answers 502."""
        base = to if percent == WHOLE else to.other
        marks = {ON_GREEN_MARK: ""} if base is Slot.GREEN else {}
        if percent == WHOLE:
            marks |= {GREEN_MARK: ""} if to is Slot.GREEN else {}
        else:
            marks |= {SHARE_MARK: ""}
        if not self.shared:
            return marks
        web = self._settings.web
        ours, others = (cycle(map(render_place, web.addresses(slot))) for slot in (to, to.other))
        places = {name: next(ours if int(name) < percent else others) for name in place_names()}
        name = route_path(self._layout.pointer, to, percent=percent).name
        return marks | places | {ROUTE_FILE: name}

    def _text(self, slot: Slot | None) -> SnippetText:
        settings = self._settings
        secret = read_secret(self._layout.preview_secret) or _NO_SECRET
        return SnippetText(
            app=settings.app,
            live=live_path(self._layout.pointer),
            access_log=self._layout.access_log,
            blue=settings.web.blue,
            green=settings.web.green,
            blue_more=settings.web.blue_more,
            green_more=settings.web.green_more,
            fixed=None if self.pointed else slot or self.read_route() or Slot.BLUE,
            options=self.options if self.expects_options or self.options.exists() else None,
            keep_streams_s=math.ceil(settings.observe.window_s + settings.drain.timeout_s),
            shares=self.shared and self.version.recent,
            secret=secret if settings.proxy.preview else "",
            recent=self.version.recent,
        )


def _group_of(path: Path) -> int:
    """-1, which changes nothing, where it is not there yet."""
    return path.stat().st_gid if path.exists() else -1
