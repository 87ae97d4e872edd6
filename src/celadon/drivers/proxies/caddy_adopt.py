"""A site of a Caddyfile, taken over and given back.

The one thing that changes in the owner's file is where `reverse_proxy` stood; what was there is kept, word for word, in
our state, so that an ejection puts it back as it was.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from celadon.contracts.adoption import Edit, FoundSite
from celadon.drivers.proxies.caddy_admin import reload_held
from celadon.drivers.proxies.caddy_command import last_words
from celadon.drivers.proxies.caddy_config import CaddyConfig, read_config
from celadon.drivers.proxies.caddy_disk import read_text
from celadon.drivers.proxies.caddy_edit import (
    Replaced,
    apply_replacements,
    plan_replacements,
    render_options,
    take_back,
)
from celadon.drivers.proxies.caddy_files import SnippetFiles
from celadon.drivers.proxies.caddy_log import ensure_log_writable
from celadon.drivers.proxies.caddy_look import CaddyLooks
from celadon.drivers.proxies.caddy_sites import describe_place
from celadon.drivers.proxies.caddy_stage import judge_staged
from celadon.drivers.proxies.caddy_text import render_dial
from celadon.drivers.proxies.caddy_tokens import CaddyfileError, walk
from celadon.drivers.proxies.caddy_walk import Place, find_places
from celadon.drivers.proxies.hold import hold_configuration
from celadon.drivers.proxies.look import wait_until
from celadon.host.files import write_atomic
from celadon.host.layout import Layout
from celadon.host.pointer import is_pointed, move_pointer
from celadon.model.address import Address
from celadon.model.errors import StepError
from celadon.model.names import Slot
from celadon.model.settings import Settings

Texts = Mapping[Path, str | None]


class CaddyAdoption:
    """Implements contracts.adoption.Adoption for one app."""

    def __init__(self, layout: Layout, settings: Settings) -> None:
        self._layout = layout
        self._settings = settings
        self._proxy = settings.proxy
        self._files = SnippetFiles(layout, settings)
        self._looks = CaddyLooks(layout, settings)
        self._record = layout.home / "caddy-replaced.json"

    def propose(self, found: Sequence[FoundSite]) -> Sequence[Edit]:
        config = self._read()
        places = [_find_again(config, each) for each in found]
        edits = [
            Edit(path=path, before=config.texts[path], after=apply_replacements(config.texts[path], replaced))
            for path, replaced in _by_file(self._plan(config, places)).items()
        ]
        options = {render_options(place, config.texts[place.directive.file]) for place in places}
        refuse_unlike(options)
        before, after = read_text(self._files.options), next(iter(options), "")
        return [Edit(path=self._files.options, before=before, after=after), *edits] if after else edits

    def adopt(self, edits: Sequence[Edit], *, live: Slot) -> None:
        self._files.expects_options = any(edit.path == self._files.options for edit in edits)
        self._files.prepare()
        if not is_pointed(self._layout.pointer, live):
            move_pointer(self._layout.pointer, live)
        ensure_log_writable(self._layout.access_log, listen=self._files.listen)
        with hold_configuration(self._proxy):
            self._keep_record(edits)
            options = [edit for edit in edits if edit.path == self._files.options]
            users = [edit for edit in edits if edit.path != self._files.options]
            texts = {**_after(options), **self._files.render(live), **_after(users)}
            generation = self._files.generation(live)
            with self._put(texts, edits=edits):
                self._require(self._looks.await_generation(generation) and self._looks.watch(live).held)

    def propose_eject(self, live: Slot) -> Sequence[Edit]:
        config = self._read()
        address = self._settings.web.address(live)
        kept = _by_file(self._read_record())
        edits = []
        for path, text in config.texts.items():
            known = take_back(text, kept[path], live=address) if path in kept else None
            after = known if known is not None else self._take_out(config, path, live=address)
            if after != text and path not in self._ours():
                edits.append(Edit(path=path, before=text, after=after))
        gone = [Edit(path=path, before=read_text(path), after=None) for path in self._ours() if path.exists()]
        return [*edits, *gone]

    def eject(self, edits: Sequence[Edit], *, live: Slot) -> None:
        with hold_configuration(self._proxy), self._put(_after(edits), edits=edits):
            self._require(wait_until(self._is_gone, timeout_s=self._proxy.seen_timeout_s))
        self._record.unlink(missing_ok=True)
        del live

    def _read(self) -> CaddyConfig:
        try:
            return read_config(self._files.main)
        except (OSError, CaddyfileError) as error:
            raise StepError(str(error), code="proxy_config_unread", next_command="celadon check") from error

    def _plan(self, config: CaddyConfig, places: Sequence[Place]) -> list[Replaced]:
        files = self._files
        return plan_replacements(places, config.texts, snippet=files.snippet, log=files.log, route=files.route)

    def _ours(self) -> list[Path]:
        return [self._files.snippet, self._files.route, self._files.log, self._files.options]

    def _keep_record(self, edits: Sequence[Edit]) -> None:
        """Before anything is put in place. An adoption that died and is done again finds its edits in place."""
        if all(read_text(edit.path) == edit.after for edit in edits):
            return
        config = self._read()
        changed = {edit.path for edit in edits}
        places = [place for place in find_places(config) if place.directive.file in changed]
        taken = [place for place in places if describe_place(config, place).upstream in self._addresses()]
        write_atomic(self._record, msgspec.json.encode(self._plan(config, taken)))

    def _addresses(self) -> list[Address]:
        return [self._settings.web.address(slot) for slot in Slot]

    def _read_record(self) -> list[Replaced]:
        try:
            return msgspec.json.decode(self._record.read_bytes(), type=list[Replaced])
        except (OSError, msgspec.DecodeError):
            return []

    def _take_out(self, config: CaddyConfig, path: Path, *, live: Address) -> str:
        """Where what stood there is not known any more: the plainest words that send to `live`."""
        text = config.texts[path]
        options = read_text(self._files.options) or ""
        plain = f"reverse_proxy {render_dial(live)}" + (f" {{\n{options}}}" if options else "")
        for each in reversed([*walk(config.directives[path])]):
            if each.name == "import" and (read := set(config.files_of(each)) & set(self._ours())):
                instead = "" if read == {self._files.log} else plain
                text = text[: each.start] + instead + text[each.end :]
        return text

    @contextmanager
    def _put(self, texts: Texts, *, edits: Sequence[Edit]) -> Iterator[None]:
        """`texts` judged, in place and loaded; what was there is put back, and loaded, when Caddy refuses or what is
        done meanwhile raises StepError. Files that go do so at the end, when nothing reads them."""
        for edit in edits:
            if read_text(edit.path) not in {edit.before, edit.after, texts[edit.path]}:
                raise StepError(f"{edit.path} has changed", code="edit_outdated", next_command="celadon adopt")
        present = {path: text for path, text in texts.items() if text is not None}
        self._expect(present)
        judged = judge_staged(self._proxy, present, scratch=self._layout.home)
        if not judged.ok:
            raise StepError(last_words(judged), code="proxy_config_refused", next_command="celadon check")
        before = {path: read_text(path) for path in texts}
        try:
            self._files.put(present)
            reloaded = reload_held(self._proxy)
            if not reloaded.ok:
                raise StepError(
                    f"caddy refused the reload: {last_words(reloaded)}",
                    code="proxy_reload_refused",
                    next_command="celadon check",
                )
            yield
        except (StepError, OSError):
            self._files.put(dict(reversed([*before.items()])))
            reload_held(self._proxy)
            raise
        self._files.put({path: None for path, text in texts.items() if text is None})

    def _expect(self, texts: Mapping[Path, str]) -> None:
        if self._files.json is not None and self._files.main in texts:
            self._files.json.expect(texts[self._files.main])

    def _require(self, seen: bool) -> None:  # noqa: FBT001 - what was seen is all that it is about
        if not seen:
            sight = self._looks.look()
            raise StepError(
                f"not seen through the proxy: {sight.detail}", code="switch_not_seen", next_command="celadon check"
            )

    def _is_gone(self) -> bool:
        sight = self._looks.look()
        return sight.status is not None and sight.status < 500 and not sight.config


def refuse_unlike(options: Collection[str]) -> None:
    if len(options) > 1:
        raise StepError(
            "the places have different options of reverse_proxy: one route cannot have them all",
            code="site_not_understood",
            next_command="celadon adopt  # when they are alike",
        )


def _after(edits: Sequence[Edit]) -> dict[Path, str | None]:
    return {edit.path: edit.after for edit in edits}


def _by_file(replaced: Sequence[Replaced]) -> dict[Path, list[Replaced]]:
    found: dict[Path, list[Replaced]] = {}
    for each in replaced:
        found.setdefault(Path(each.file), []).append(each)
    return found


def _find_again(config: CaddyConfig, found: FoundSite) -> Place:
    for place in find_places(config):
        if describe_place(config, place) == found:
            return place
    raise StepError(f"{found.where} is not what it was", code="edit_outdated", next_command="celadon adopt")
