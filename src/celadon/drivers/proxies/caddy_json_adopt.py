"""A handler of a JSON configuration, taken over and given back.

What stood there is kept in our state, byte for byte, and so is which of the objects that we add to were there before.
"""

import json
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from celadon.contracts.adoption import Edit, FoundSite
from celadon.drivers.proxies.caddy_adopt import CaddyAdoption, refuse_unlike
from celadon.drivers.proxies.caddy_disk import read_text
from celadon.drivers.proxies.caddy_json_files import JsonFiles
from celadon.drivers.proxies.caddy_json_place import SERVERS, find_had, find_marked, take_out
from celadon.drivers.proxies.caddy_json_route import route_id
from celadon.drivers.proxies.caddy_json_sites import JsonPlace, find_json_places, find_json_upstream
from celadon.drivers.proxies.caddy_json_text import JsonError, Path, parse_json, value_of
from celadon.drivers.proxies.caddy_log import ensure_log_writable
from celadon.drivers.proxies.caddy_text import render_dial
from celadon.drivers.proxies.hold import hold_configuration
from celadon.host.files import write_atomic
from celadon.host.layout import Layout
from celadon.host.pointer import is_pointed, move_pointer
from celadon.model.address import Address
from celadon.model.errors import StepError
from celadon.model.names import Slot
from celadon.model.settings import Settings


class _Record(Struct, frozen=True):
    """`originals`: by `@id`, what stood there."""

    originals: dict[str, str] = {}
    had: list[list[str | int]] = []


class CaddyJsonAdoption(CaddyAdoption):
    """Implements contracts.adoption.Adoption for one app."""

    def __init__(self, layout: Layout, settings: Settings) -> None:
        super().__init__(layout, settings)
        self._json = JsonFiles(layout, settings)
        self._files.json = self._json
        self._record = layout.home / "caddy-json-replaced.json"

    def propose(self, found: Sequence[FoundSite]) -> Sequence[Edit]:
        text = self._json.read()
        places = find_json_places(self._files.main, recent=self._files.version.recent)
        taken = [_find_again(places, each) for each in found]
        options = {json.dumps(each.options, indent=2, sort_keys=True) + "\n" if each.options else "" for each in taken}
        refuse_unlike(options)
        wanted = next(iter(options), "")
        self._json.expected_options = wanted or None
        marked = self._mark(text, taken)
        own = self._files.render_own()
        after = self._json.place(marked, self._files.bodies(own), generation=self._files.generation())
        edit = Edit(path=self._files.main, before=text, after=after)
        kept = Edit(path=self._json.options, before=read_text(self._json.options), after=wanted)
        return [kept, edit] if wanted else [edit]

    def adopt(self, edits: Sequence[Edit], *, live: Slot) -> None:
        after = {edit.path: edit.after for edit in edits}
        self._json.expected_options = after.get(self._json.options)
        self._files.prepare()
        if not is_pointed(self._layout.pointer, live):
            move_pointer(self._layout.pointer, live)
        ensure_log_writable(self._layout.access_log, listen=self._files.listen)
        with hold_configuration(self._proxy):
            self._keep_record(edits)
            own = self._files.render_own(live)
            generation = self._files.generation(live)
            main = self._json.place(after[self._files.main] or "", self._files.bodies(own), generation=generation)
            with self._put({**after, **own, self._files.main: main}, edits=edits):
                self._require(self._looks.await_generation(generation) and self._looks.watch(live).held)

    def propose_eject(self, live: Slot) -> Sequence[Edit]:
        text = self._json.read()
        address = self._settings.web.address(live)
        record = self._read_kept()
        options = json.loads(self._json.read_options() or "{}")
        plain = {"handler": "reverse_proxy", **options, "upstreams": [{"dial": render_dial(address)}]}
        originals = {name: _send_to(original, address) for name, original in record.originals.items()}
        had: list[Path] = [tuple(path) for path in record.had]
        try:
            after = take_out(text, originals, plain=json.dumps(plain), app=self._settings.app, had=had)
        except JsonError as error:
            raise StepError(str(error), code="proxy_config_unread", next_command="celadon check") from error
        edits = [Edit(path=self._files.main, before=text, after=after)] if after != text else []
        ours = [*self._ours(), self._json.options]
        return [*edits, *(Edit(path=path, before=read_text(path), after=None) for path in ours if path.exists())]

    def _mark(self, text: str, places: Sequence[JsonPlace]) -> str:
        """Each of `places` with an `@id` that nothing else has."""
        app = self._settings.app
        present = {each.id for each in find_marked(text, app)}
        free = [name for index in range(len(present) + len(places)) if (name := route_id(app, index)) not in present]
        ordered = sorted(places, key=lambda place: place.node.start)
        for place, name in reversed([*zip(ordered, free, strict=False)]):
            marker = json.dumps({"@id": name, "handler": "subroute"})
            text = text[: place.node.start] + marker + text[place.node.end :]
        return text

    def _keep_record(self, edits: Sequence[Edit]) -> None:
        """Before anything is put in place. An adoption that died and is done again finds its edits in place."""
        edit = next((each for each in edits if each.path == self._files.main), None)
        if edit is None or edit.before is None or edit.after is None or read_text(edit.path) != edit.before:
            return
        app, root = self._settings.app, parse_json(edit.before)
        earlier = find_marked(edit.before, app)
        kept = self._read_kept() if earlier else _Record()
        fresh = [each for each in find_marked(edit.after, app) if each.id not in {one.id for one in earlier}]
        originals = {each.id: edit.before[node.start : node.end] for each in fresh if (node := root.get(*each.path))}
        # what we have added to for an earlier place is told by its own record
        added = {each.logs for each in earlier}
        had = find_had(edit.before, [each for each in fresh if each.logs not in added])
        had = [path for path in had if not earlier or path[: len(SERVERS)] == SERVERS]
        record = _Record(
            originals={**kept.originals, **originals}, had=[*kept.had, *([*path] for path in dict.fromkeys(had))]
        )
        write_atomic(self._record, msgspec.json.encode(record))

    def _read_kept(self) -> _Record:
        try:
            return msgspec.json.decode(self._record.read_bytes(), type=_Record)
        except (OSError, msgspec.DecodeError):
            return _Record()


def _find_again(places: Sequence[JsonPlace], found: FoundSite) -> JsonPlace:
    for place in places:
        if place.found == found:
            return place
    raise StepError(f"{found.where} is not what it was", code="edit_outdated", next_command="celadon adopt")


def _send_to(original: str, live: Address) -> str:
    root = parse_json(original)
    said = value_of(original, root)
    dial = root.get("upstreams", 0, "dial")
    if dial is None or not isinstance(said, dict) or find_json_upstream(said) == live:
        return original
    return original[: dial.start] + json.dumps(render_dial(live)) + original[dial.end :]
