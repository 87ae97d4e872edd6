"""The owner's JSON configuration with our objects in it: what it is to say, written, put back.

Another app's objects may stand in the same file, so it is never written but under the lock of the configuration, and
never whole where somebody has changed it since it was read.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from celadon.drivers.proxies.caddy_disk import read_exactly, read_text, replace_text
from celadon.drivers.proxies.caddy_json_place import carry, find_json_edits, find_marked, parse_slot, place
from celadon.drivers.proxies.caddy_json_route import JsonRoute, adapt_route, render_marker
from celadon.drivers.proxies.caddy_json_text import JsonError
from celadon.drivers.proxies.caddy_text import render_dial
from celadon.drivers.proxies.hold import hold_configuration
from celadon.host.files import write_atomic
from celadon.host.layout import Layout
from celadon.model.errors import StepError
from celadon.model.names import Slot
from celadon.model.settings import Settings

_FOR_OTHERS = 0o004


class JsonFiles:
    """One app's. `options`: the owner's keys of `reverse_proxy`, for all of ours."""

    def __init__(self, layout: Layout, settings: Settings) -> None:
        self._settings = settings
        self.main = Path(settings.proxy.config)
        self.options = Path(settings.proxy.directory) / f"{settings.app}.options.json"
        self.expected_options: str | None = None
        self._adapted = layout.home / "caddy-adapted.json"
        self._made: dict[str, JsonRoute] = {}
        self._over: dict[str, str] = {}

    def read(self) -> str:
        """Empty where it cannot be."""
        try:
            return read_exactly(self.main)
        except OSError:
            return ""

    def render(self, bodies: Sequence[str], *, generation: str) -> dict[Path, str]:
        """Nothing where the route has no place in it, or where it is no JSON, as Caddy then says."""
        try:
            text = self.read()
            if not find_marked(text, self._settings.app):
                return {}
        except JsonError:
            return {}
        rendered = self.place(text, bodies, generation=generation)
        self._over[rendered] = text
        return {self.main: rendered}

    def place(self, text: str, bodies: Sequence[str], *, generation: str) -> str:
        return place(text, self._route(bodies, generation=generation), app=self._settings.app)

    def keep(self, texts: Mapping[str, Sequence[str]]) -> None:
        """The objects of each generation: what a switch, and so a rollback, puts in place is made now."""
        made = {generation: self._route(bodies, generation=generation) for generation, bodies in texts.items()}
        encoded = msgspec.json.encode(made)
        if not self._adapted.exists() or self._adapted.read_bytes() != encoded:
            write_atomic(self._adapted, encoded, mode=0o600)

    def _route(self, bodies: Sequence[str], *, generation: str) -> JsonRoute:
        self._made = self._made or self._read_adapted()
        if generation not in self._made:
            options = json.loads(self.read_options() or "{}")
            self._made[generation] = adapt_route(
                self._settings.proxy.binary, bodies, app=self._settings.app, options=options
            )
        return self._made[generation]

    def _read_adapted(self) -> dict[str, JsonRoute]:
        try:
            return msgspec.json.decode(self._adapted.read_bytes(), type=dict[str, JsonRoute])
        except (OSError, msgspec.DecodeError):
            return {}

    def read_options(self) -> str:
        return self.expected_options or read_text(self.options) or ""

    def read_route(self) -> Slot | None:
        """Which slot the handler names, in the way that reloads."""
        slots = {render_dial(address): slot for address, slot in self._settings.web.slots.items()}
        try:
            return parse_slot(self.read(), slots, app=self._settings.app)
        except JsonError:
            return None

    def expect(self, text: str) -> None:
        """`text` was made of what the file says now, and may replace it whole."""
        self._over[text] = self.read()

    def write(self, text: str) -> None:
        """Whole where the file is what `text` was made of or replaced by; else our objects alone. Its owner and mode
        stay."""
        with hold_configuration(self._settings.proxy):
            present = self.read()
            if present == text:
                return
            if present != self._over.get(text):
                text = carry(text, present, app=self._settings.app)
            replace_text(self.main, text)
            self._over[present] = text

    def find_edits(self) -> Iterator[str]:
        """Objects that somebody has changed by hand."""
        try:
            edited = find_json_edits(self.read(), self._settings.app)
        except JsonError:
            return
        for name in edited:
            yield f"{name} in {self.main}, or its log, was edited by hand"

    def refuse_edits(self) -> None:
        for text in self.find_edits():
            raise StepError(text, code="proxy_hand_edited", next_command="celadon check")

    @property
    def way_on(self) -> str:
        return f"put the edit beside it, and celadon's object back as `{render_marker(self._settings.app)}`"

    def find_exposed(self) -> Iterator[str]:
        """The preview's secret stands in the configuration itself."""
        if self._settings.proxy.preview and self.main.exists() and self.main.stat().st_mode & _FOR_OTHERS:
            yield f"{self.main} would hold the preview's secret, and everybody can read it"

    def refuse_exposed(self) -> None:
        for text in self.find_exposed():
            raise StepError(text, code="proxy_config_refused", next_command=f"chmod o-r {self.main}")
