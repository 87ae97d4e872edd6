"""A running nginx site handed over to the route and back: staged, judged, put in place, loaded, seen."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from celadon.contracts.adoption import Edit, FoundSite
from celadon.drivers.proxies.edited import refuse_edits
from celadon.drivers.proxies.nginx_config import Config, read_config
from celadon.drivers.proxies.nginx_edit import Change, apply_changes, group_changes, plan_changes
from celadon.drivers.proxies.nginx_files import RouteFiles
from celadon.drivers.proxies.nginx_look import NginxLooks
from celadon.drivers.proxies.nginx_place import find_places, same_place
from celadon.drivers.proxies.nginx_plain import render_plain_http, render_plain_route
from celadon.drivers.proxies.nginx_process import NginxProcess
from celadon.drivers.proxies.nginx_reload import Reloading
from celadon.drivers.proxies.nginx_sites import read_effective
from celadon.drivers.proxies.nginx_stage import judge_staged
from celadon.drivers.proxies.nginx_unedit import plan_http_removal, plan_restoring
from celadon.host.files import read_text, remove_durably, write_atomic
from celadon.host.layout import Layout
from celadon.host.pointer import move_pointer, read_pointer
from celadon.model.errors import StepError
from celadon.model.names import Slot
from celadon.model.settings import Settings, SwitchWay

_SERVER_ERRORS_FROM = 500


class NginxAdoption:
    """Implements contracts.adoption.Adoption for one app."""

    def __init__(self, layout: Layout, settings: Settings) -> None:
        self._layout = layout
        self._settings = settings
        self._proxy = settings.proxy
        self._files = RouteFiles(layout, settings)
        self._looks = NginxLooks(layout, settings.proxy)
        self._process = NginxProcess(binary=settings.proxy.binary, config=self._files.main)
        self._reloading = Reloading(layout, settings.proxy, files=self._files, looks=self._looks, process=self._process)

    def propose(self, found: Sequence[FoundSite]) -> Sequence[Edit]:
        if not found:
            return []
        config = read_effective(self._proxy.binary, self._files.main)
        places = list(find_places(config))
        chosen = [place for site in found for place in places if same_place(place, site)]
        if {place.where for place in chosen} != {site.where for site in found}:
            missing = next(site for site in found if site.where not in {place.where for place in chosen})
            raise StepError(
                f"{missing.where} no longer sends requests to {missing.upstream}",
                code="site_changed",
                next_command="celadon adopt",
            )
        refused = next((place for place in chosen if place.reason), None)
        if refused:
            raise StepError(
                f"{refused.where}: {refused.reason}", code="site_not_understood", next_command="celadon adopt"
            )
        return _make_edits(config, plan_changes(config, chosen, directory=self._files.directory))

    def adopt(self, edits: Sequence[Edit], *, live: Slot) -> None:
        with _alone(self._layout.root):
            self._adopt(edits, live=live)

    def _adopt(self, edits: Sequence[Edit], *, live: Slot) -> None:
        _refuse_changed(edits)
        self._files.prepare()
        pointed = read_pointer(self._layout.pointer)
        move_pointer(self._layout.pointer, live)
        try:
            self._put(edits, live=live)
        except (StepError, OSError):
            if pointed is None:
                (self._layout.pointer / "live").unlink(missing_ok=True)
            elif pointed is not live:
                move_pointer(self._layout.pointer, pointed)
            raise

    def propose_eject(self, live: Slot) -> Sequence[Edit]:
        config = read_config(self._files.main)
        text = self._files.text()
        address = self._settings.web.address(live)
        changes = plan_restoring(
            config, directory=self._files.directory, address=address, plain=render_plain_route(text, address=address)
        )
        if any("$connection_of" in change.text for change in changes):
            changes += _keep_map(config, render_plain_http(text), directory=self._files.directory)
        else:
            changes += plan_http_removal(config, directory=self._files.directory)
        own = [
            Edit(path=path, before=present, after=None)
            for path in self._files.own_paths()
            if (present := read_text(path)) is not None
        ]
        return [*_make_edits(config, changes), *own]

    def eject(self, edits: Sequence[Edit], *, live: Slot) -> None:
        del live  # its address is in the edits
        with _alone(self._layout.root):
            self._eject(edits)

    def _eject(self, edits: Sequence[Edit]) -> None:
        _refuse_changed(edits)
        theirs = [edit for edit in edits if edit.after is not None]
        self._refuse_invalid({edit.path: edit.after for edit in theirs if edit.after is not None})
        answered = self._looks.ask()
        before = _write(theirs)
        reason = self._reloading.load_plain() or self._miss_answer(answered)
        if reason:
            self._take_back(before)
            raise _not_taken(reason)
        for edit in edits:
            if edit.after is None:
                remove_durably(edit.path)

    def _put(self, edits: Sequence[Edit], *, live: Slot) -> None:
        """Our files first: the owner's must not name what is not there."""
        instead = {edit.path: edit.after for edit in edits if edit.after is not None}
        ours = self._files.render(instead=instead)
        refuse_edits(self._layout, ours)
        state = self._files.render_state(live, instead=instead)
        self._refuse_invalid({**instead, **ours, **state})
        before = self._files.put(ours)
        if self._proxy.switch is not SwitchWay.POINTER:
            self._files.place(live)
        theirs = _write(edits)
        reason = self._reloading.load_generation(self._files.generation(instead=instead)) or self._miss(live)
        if reason:
            self._take_back(theirs)
            self._files.restore(before)
            raise _not_taken(reason)

    def _miss(self, live: Slot) -> str:
        """Why the live slot is not seen through the proxy; empty when it is."""
        watched = self._looks.watch(live, timeout_s=self._proxy.seen_timeout_s)
        return "" if watched.held else watched.last.detail

    def _miss_answer(self, before: int | None) -> str:
        """Why the site does not answer as well as it did; empty when it does."""
        deadline = time.monotonic() + self._proxy.seen_timeout_s
        while True:
            status = self._looks.ask()
            if status is not None and (status < _SERVER_ERRORS_FROM or status == before):
                return ""
            if time.monotonic() >= deadline:
                return f"{self._proxy.site} answers {status or 'nothing'}, and {before or 'nothing'} before"
            time.sleep(0.01)

    def _take_back(self, before: Mapping[Path, str]) -> None:
        """The owner's files as they were, loaded, before anything that they name goes."""
        for path, text in before.items():
            _write_owners(path, text)
        with contextlib.suppress(ProcessLookupError):
            self._reloading.load_plain()

    def _refuse_invalid(self, instead: Mapping[Path, str]) -> None:
        judged = judge_staged(self._proxy.binary, self._files.main, instead=instead, scratch=self._layout.home)
        if not judged.ok:
            raise StepError(
                f"nginx refuses the edited configuration: {judged.said}",
                code="proxy_config_refused",
                next_command="celadon adopt",
            )


@contextlib.contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Two apps may stand in one file of the owner's. The lock's file is never unlinked."""
    descriptor = os.open(root / "nginx.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _make_edits(config: Config, changes: Sequence[Change]) -> list[Edit]:
    return [
        Edit(path=file, before=config.texts[file], after=apply_changes(config.texts[file], grouped))
        for file, grouped in group_changes(changes).items()
    ]


def _keep_map(config: Config, line: str, *, directory: Path) -> list[Change]:
    """In the place of the include in `http`, or beside it where other apps need that."""
    removal = plan_http_removal(config, directory=directory)
    http = next(found for found in config.directives if found.name == "http")
    first = (http.block or ())[0]
    put = Change(file=first.file, begin=first.begin, end=first.begin, text=f"{line}\n    ")
    if any(change.begin == put.begin and change.file == put.file for change in removal):
        return [Change(file=put.file, begin=removal[0].begin, end=removal[0].end, text=put.text)]
    return [*removal, put]


def _not_taken(reason: str) -> StepError:
    return StepError(
        f"nginx did not take the configuration: {reason}", code="proxy_reload_refused", next_command="celadon check"
    )


def _refuse_changed(edits: Sequence[Edit]) -> None:
    """What is in place already is no change: a death may have come in between."""
    for edit in edits:
        present = read_text(edit.path)
        if present not in (edit.before, edit.after):
            raise StepError(
                f"{edit.path} has changed since the edit was proposed",
                code="site_changed",
                next_command="celadon adopt",
            )


def _write(edits: Sequence[Edit]) -> dict[Path, str]:
    """What was there before."""
    for edit in edits:
        if edit.after is not None and read_text(edit.path) != edit.after:
            _write_owners(edit.path, edit.after)
    return {edit.path: edit.before for edit in edits if edit.before is not None}


def _write_owners(path: Path, text: str) -> None:
    """A file that is not ours keeps its mode and its owner; behind a link, its place."""
    real = path.resolve()
    status = real.stat()
    write_atomic(real, text.encode(errors="surrogateescape"), mode=status.st_mode & 0o7777)
    if os.geteuid() == 0:
        os.chown(real, status.st_uid, status.st_gid)
