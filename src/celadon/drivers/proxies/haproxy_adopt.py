"""A site of HAProxy's, handed over and back without a restart.

A running master keeps its command line: a further `-f` needs a restart, and that closes the listening sockets. So the
server's line in the user's own file gives its place to our lines, between marks; the line itself is kept in them, and
the backend's other lines stay what they are. One reload, which hands the sockets over.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from celadon.contracts.adoption import Edit, FoundSite
from celadon.drivers.proxies.haproxy_config import Line, Section, parse_config, split_lines, split_words
from celadon.drivers.proxies.haproxy_files import HaproxyFiles, last_words
from celadon.drivers.proxies.haproxy_look import HaproxyLooks
from celadon.drivers.proxies.haproxy_regions import render_region, restore_regions
from celadon.drivers.proxies.haproxy_reload import Reloading
from celadon.drivers.proxies.haproxy_route import prepare_route
from celadon.drivers.proxies.haproxy_servers import judge_backend, parse_address
from celadon.drivers.proxies.haproxy_sites import find_sites, has_format
from celadon.drivers.proxies.haproxy_text import NAMES_REQUESTS, backend_name, render_address, render_ring, ring_name
from celadon.drivers.proxies.hold import hold_configuration
from celadon.drivers.proxies.look import wait_until
from celadon.host.files import read_text, write_atomic
from celadon.host.layout import Layout
from celadon.host.look_mark import ensure_secret
from celadon.host.pointer import move_pointer
from celadon.model.address import Address
from celadon.model.errors import StepError
from celadon.model.names import Slot
from celadon.model.settings import Settings


class HaproxyAdoption:
    """Implements contracts.adoption.Adoption for one app."""

    def __init__(self, layout: Layout, settings: Settings) -> None:
        self._layout = layout
        self._settings = settings
        self._files = HaproxyFiles(layout, settings)
        self._looks = HaproxyLooks(layout, settings.proxy)
        self._reloading = Reloading(settings.proxy, process=self._files.process, files=self._files, looks=self._looks)

    def propose(self, found: Sequence[FoundSite]) -> Sequence[Edit]:
        texts = {path: read_text(path) or "" for path in self._files.list_loaded()}
        sections = parse_config([line for path, text in texts.items() for line in split_lines(path, text)])
        present = {site.where: site for site in find_sites(sections)}
        for site in found:
            if present.get(site.where) != site or site.reason:
                raise StepError(f"{site.where} has changed", code="proxy_site_changed", next_command="celadon adopt")
        return self._edit(texts, sections, wheres=[site.where for site in found])

    def adopt(self, edits: Sequence[Edit], *, live: Slot) -> None:
        with hold_configuration(self._settings.proxy):
            self._adopt(edits, live=live)

    def propose_eject(self, live: Slot) -> Sequence[Edit]:
        address = self._settings.web.address(live)
        edits = []
        for path, text in self._files.find_holding().items():
            after = restore_regions(text, app=self._layout.app, change=lambda line: _readdress(line, address))
            edits.append(Edit(path=path, before=text, after=after))
        own = read_text(self._files.own)
        if own is not None:
            edits += self._propose_plain(own, address, among=edits)
        return edits

    def eject(self, edits: Sequence[Edit], *, live: Slot) -> None:
        del live  # the edits name its address
        with hold_configuration(self._settings.proxy):
            self._eject(edits)

    def _adopt(self, edits: Sequence[Edit], *, live: Slot) -> None:
        ensure_secret(self._layout.look_mark)
        if self._settings.proxy.preview:
            ensure_secret(self._layout.preview_secret)
        prepare_route(self._layout.pointer, percents=self._settings.switch.steps)
        move_pointer(self._layout.pointer, live)
        self._put(edits)
        watched = self._looks.watch(live, percent=100, timeout_s=self._settings.proxy.seen_timeout_s)
        if not watched.held:
            self._take_back(edits)
            self._refuse(f"the route was not seen: {watched.last.detail}")
        self._files.directory.mkdir(parents=True, exist_ok=True)
        for path, text in self._files.render_owned().items():
            write_atomic(path, text)

    def _eject(self, edits: Sequence[Edit]) -> None:
        self._put(edits)

        def gone() -> bool:
            looked = self._looks.look()
            return looked.told is None and (looked.sight.status or 500) < 500

        if not wait_until(gone, timeout_s=self._settings.proxy.seen_timeout_s, pause_s=0.01):
            self._take_back(edits)
            self._refuse("the site was not seen to answer without the route")
        self._files.copy.unlink(missing_ok=True)

    def _propose_plain(self, own: str, address: Address, *, among: Sequence[Edit]) -> list[Edit]:
        """Not adopted: the frontends name our backend and our ring, so both stay, in the main file, as plain text."""
        main = self._files.main
        before = next((edit.after for edit in among if edit.path == main), None) or read_text(main) or ""
        name = backend_name(self._layout.app)
        server = f"server {self._layout.app} {render_address(address)}"
        plain = f"\n{render_ring(self._layout.app)}\nbackend {name}\n    {server}\n"
        return [
            Edit(path=main, before=before, after=f"{before.rstrip()}\n{plain}"),
            Edit(path=self._files.own, before=own, after=None),
        ]

    def _edit(self, texts: Mapping[Path, str], sections: Sequence[Section], *, wheres: Sequence[str]) -> Sequence[Edit]:
        """From the last line of a file to its first, so that numbers hold."""
        changes: dict[Path, dict[int, tuple[str, bool]]] = {}
        backends = {each.name: each for each in sections if each.kind in {"backend", "listen"}}
        for section in sections:
            uses = [line for line in (section.head, *section.lines) if line.where in wheres]
            if not uses:
                continue
            self._add_log(section, changes)
            for use in uses:
                server = _find_server(backends[section.name if use is section.head else use.words[1]])
                changes.setdefault(server.file, {})[server.number] = ("", True)
        return [self._apply(path, texts[path], lines) for path, lines in changes.items()]

    def _add_log(self, section: Section, changes: dict[Path, dict[int, tuple[str, bool]]]) -> None:
        """After the last line by which the section says where it listens."""
        app = self._layout.app
        place: Line = (section.find("bind") or [section.head])[-1]
        lines = [*_list_wanted(section), f"log ring@{ring_name(app)} local0"]
        body = "".join(f"    {line}\n" for line in lines)
        if any(line.words[1:2] == (f"ring@{ring_name(app)}",) for line in section.find("log")):
            return
        changes.setdefault(place.file, {})[place.number] = (render_region(body, app=app, indent="    "), False)

    def _apply(self, path: Path, text: str, changes: Mapping[int, tuple[str, bool]]) -> Edit:
        """`changes`: line number → the region after it, or, where True, in its place."""
        lines = text.splitlines(keepends=True)
        if lines and not lines[-1].endswith("\n"):
            raise StepError(
                f"{path} does not end with a newline", code="proxy_site_changed", next_command="celadon adopt"
            )
        for number, (region, instead) in sorted(changes.items(), reverse=True):
            was = lines[number - 1].removesuffix("\n")
            indent = was[: len(was) - len(was.lstrip())]
            if instead:
                body = self._files.render_for(was)
                lines[number - 1] = render_region(body, app=self._layout.app, was=was, indent=indent)
            else:
                lines[number - 1] += region
        ring = ""
        if any(instead for _, instead in changes.values()) and f"\nring {ring_name(self._layout.app)}\n" not in text:
            ring = render_region(render_ring(self._layout.app), app=self._layout.app)
        return Edit(path=path, before=text, after="".join(lines) + ring)

    def _put(self, edits: Sequence[Edit]) -> None:
        """Judged whole before one is in place, put back when the reload is not carried out. Idempotent."""
        if all(read_text(edit.path) == edit.after for edit in edits):
            return
        for edit in edits:
            if read_text(edit.path) not in {edit.before, edit.after}:
                self._refuse(f"{edit.path} has changed since it was shown")
        judged = self._files.judge({edit.path: edit.after for edit in edits})
        if not judged.ok:
            self._refuse(f"haproxy refuses the configuration: {last_words(judged)}")
        _write(edits)
        reason = self._reloading.load(reached=lambda _: None)
        if reason:
            self._take_back(edits)
            self._refuse(reason)

    def _take_back(self, edits: Sequence[Edit]) -> None:
        _write([Edit(path=edit.path, before=edit.after, after=edit.before) for edit in edits])
        self._reloading.load(reached=lambda _: None)

    def _refuse(self, what: str) -> None:
        raise StepError(what, code="proxy_config_refused", next_command="celadon check")


def _find_server(backend: Section) -> Line:
    """The line that ours stand in for. Raises StepError."""
    server, _, reason = judge_backend(backend)
    if server is None or reason:
        raise StepError(reason, code="proxy_site_changed", next_command="celadon adopt")
    return server


def _list_wanted(section: Section) -> Sequence[str]:
    """By which its log lines become ones that we read. An id that is the owner's stays that, for it may go on to the
    app, and is not believed, for it may be what a visitor has sent."""
    if has_format(section):
        return ()
    return ("option httplog",) if section.last("unique-id-format") else NAMES_REQUESTS


def _write(edits: Sequence[Edit]) -> None:
    for edit in edits:
        if edit.after is None:
            edit.path.unlink(missing_ok=True)
        else:
            mode = edit.path.stat().st_mode & 0o777 if edit.path.exists() else 0o644
            write_atomic(edit.path, edit.after.encode(errors="surrogateescape"), mode=mode)


def _readdress(line: str, address: Address) -> str:
    """A server's line with another address and nothing else changed; as it is where it names that one already."""
    old = split_words(line)[2]
    return line if parse_address(old) == address else line.replace(old, render_address(address), 1)
