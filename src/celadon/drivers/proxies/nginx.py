"""nginx: the route as a pointer that it reads at each request, or as a file that it reloads.

Three ways. `pointer` costs one rename and no reload. `symlink` and `include` are what people know: the new file is
judged by nginx before it is in place, the master is asked to reload, and the switch is done when the old workers
take no new work and looks are answered by the new slot. A reload that the master refused exits 0 everywhere; it is
found in the error log, and the old file is put back.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from celadon.contracts.proxy import RenderedFile
from celadon.contracts.traffic import Traffic
from celadon.drivers.proxies.look import Sight, Watched, rest, wait_until, watch_until
from celadon.drivers.proxies.nginx_config import find_include, find_kept_logs, read_config
from celadon.drivers.proxies.nginx_process import NginxProcess, Refusals
from celadon.drivers.proxies.nginx_text import (
    LOOK_HEADER,
    RouteText,
    is_sealed,
    parse_upstream_slot,
    render_generation,
    render_http,
    render_route,
    render_upstream,
)
from celadon.drivers.traffic.json_lines import JsonLinesTraffic, LogLine, parse_log_line, parse_slot
from celadon.host.files import remove_durably, sync_directory, write_atomic
from celadon.host.layout import Layout
from celadon.host.look_http import ask_look, is_refused, parse_look_target
from celadon.host.look_mark import ensure_mark, new_look, read_mark
from celadon.host.pointer import live_path, move_pointer, prepare_pointer, read_pointer
from celadon.host.reserve import yield_reserve
from celadon.host.tail import LineTail
from celadon.model.errors import StepError
from celadon.model.names import Slot
from celadon.model.observed import Effect, Finding, RouteView, Switched
from celadon.model.settings import Settings, SwitchWay

_LOG_LINE_TIMEOUT_S = 1.0
_OBSERVE_TIMEOUT_S = 3.0
_STATE_NAMES = ("current.conf", "upstream.conf", "blue.conf", "green.conf", "none.conf")


class _Reloaded(Struct, frozen=True, kw_only=True):
    """`refused`: nginx's words. `first_at_s`: the monotonic instant of the new slot's first answer, 0 for none yet."""

    refused: str
    first_at_s: float


class NginxProxy:
    """Implements contracts.proxy.Proxy for one app. The way `reload` is taken as `include`."""

    def __init__(self, layout: Layout, settings: Settings) -> None:
        self._layout = layout
        self._settings = settings
        self._proxy = settings.proxy
        self._main = Path(settings.proxy.config)
        self._directory = Path(settings.proxy.directory) / settings.app
        self._process = NginxProcess(binary=settings.proxy.binary, config=self._main)
        self._target = parse_look_target(
            site=settings.proxy.site, listen=settings.proxy.listen, path=settings.proxy.look_path
        )

    def check(self) -> Sequence[Finding]:
        from celadon.drivers.proxies.nginx_check import check_nginx

        return check_nginx(
            settings=self._settings,
            process=self._process,
            rendered=self.render(),
            directory=self._directory,
            pointer=self._layout.pointer,
            access_log=self._layout.access_log,
            scratch=self._layout.home,
        )

    def render(self) -> Sequence[RenderedFile]:
        text = self._text()
        files = {"http.conf": render_http(text), "route.conf": render_route(text)}
        match self._proxy.switch:
            case SwitchWay.SYMLINK:
                files |= {f"{slot.value}.conf": render_upstream(text, slot) for slot in Slot}
                files |= {"none.conf": render_upstream(text, None)}
            case SwitchWay.INCLUDE | SwitchWay.RELOAD:
                files |= {"upstream.conf": render_upstream(text, self._route_on_disk())}
            case SwitchWay.POINTER:
                pass
        return [RenderedFile(path=self._directory / name, text=content) for name, content in files.items()]

    def install(self) -> bool:
        rendered = {file.path: file.text for file in self.render()}
        self._refuse_hand_edits(rendered)
        self._refuse_unincluded(rendered)
        self._prepare_directories()
        generation = render_generation(self._text())
        changed = {path: text for path, text in rendered.items() if _read(path) != text}
        if not changed and self._look(_OBSERVE_TIMEOUT_S).config == generation:
            return False
        self._refuse_invalid(rendered)
        self._put_and_load(changed, generation=generation)
        self._remove_unused(rendered)
        return True

    def observe(self) -> RouteView:
        sight = self._look(_OBSERVE_TIMEOUT_S)
        lingering_count = self._process.count_lingering()
        if sight.worker is None:
            return RouteView(
                slot=self._route_on_disk(), seen=False, lingering_count=lingering_count, detail=sight.detail
            )
        unset = self._proxy.switch is SwitchWay.POINTER and read_pointer(self._layout.pointer) is None
        return RouteView(
            slot=None if unset else sight.slot, seen=True, lingering_count=lingering_count, detail=sight.detail
        )

    def switch(self, to: Slot, *, reached: Callable[[str], None]) -> Switched:
        started_at_s = time.monotonic()
        if self._proxy.switch is SwitchWay.POINTER:
            return self._switch_pointer(to, reached=reached, started_at_s=started_at_s)
        return self._switch_reload(to, reached=reached, started_at_s=started_at_s)

    def traffic(self) -> Traffic:
        return JsonLinesTraffic(self._layout.access_log, mark=read_mark(self._layout.look_mark))

    # Looking

    def _look(self, timeout_s: float) -> Sight:
        deadline = time.monotonic() + timeout_s
        nonce = new_look(read_mark(self._layout.look_mark))
        yield_reserve(self._layout.reserve)
        log = LineTail(self._layout.access_log)
        try:
            status = ask_look(self._target, headers={LOOK_HEADER: nonce}, timeout_s=timeout_s)
            line = _await_line(log, nonce, timeout_s=min(_LOG_LINE_TIMEOUT_S, max(0.0, deadline - time.monotonic())))
        except OSError as error:
            return Sight(slot=None, detail=f"{self._proxy.listen} did not answer: {error}")
        finally:
            log.close()
        if line is None:
            detail = (
                f"{self._proxy.site} answered {status} for {self._proxy.look_path}, but not by this app's route: "
                f"{self._layout.access_log} has no line of it"
            )
            return Sight(slot=None, status=status, detail=detail)
        return Sight(
            slot=parse_slot(line.slot),
            status=status,
            detail=f"{status} from {line.upstream or 'no slot'}",
            worker=int(line.pid),
            config=line.config,
        )

    def _watch(self, to: Slot, *, timeout_s: float) -> Watched:
        return watch_until(
            self._look, lambda sight: sight.answered_by(to), count=self._proxy.looks_count, timeout_s=timeout_s
        )

    # Switching by the pointer

    def _switch_pointer(self, to: Slot, *, reached: Callable[[str], None], started_at_s: float) -> Switched:
        reached("before_pointer")
        try:
            if read_pointer(self._layout.pointer) is not to:
                move_pointer(self._layout.pointer, to)
        except OSError as error:
            return self._not_moved(to, f"the pointer could not be moved: {error}")
        moved_at_s = time.monotonic()
        reached("after_pointer")
        if self._rests():
            return rest(to, moved_ms=(moved_at_s - started_at_s) * 1000)
        watched = self._watch(to, timeout_s=self._proxy.seen_timeout_s)
        return _switched(to, watched, started_at_s=started_at_s, moved_at_s=moved_at_s)

    def _rests(self) -> bool:
        return is_refused(self._target) and self._process.read_master_pid() is None

    def _not_moved(self, to: Slot, reason: str) -> Switched:
        effect = Effect.UNKNOWN if self._route_on_disk() is to else Effect.NONE
        return Switched(to=to, seen=False, effect=effect, reason=reason)

    # Switching by a reload

    def _switch_reload(self, to: Slot, *, reached: Callable[[str], None], started_at_s: float) -> Switched:
        before = self._route_on_disk()
        if before is to and (seen := self._already(to, started_at_s=started_at_s)):
            return seen
        refused = self._judge(self._state_text(to))
        if refused:
            return Switched(to=to, seen=False, effect=Effect.NONE, reason=refused)
        reached("before_pointer")
        try:
            self._place(to)
        except OSError as error:
            return self._not_moved(to, f"the route's file could not be replaced: {error}")
        reached("after_pointer")
        if self._rests():
            return rest(to, moved_ms=(time.monotonic() - started_at_s) * 1000)
        return self._load(to, before=before, reached=reached, started_at_s=started_at_s)

    def _already(self, to: Slot, *, started_at_s: float) -> Switched | None:
        """The route's file names `to`; it is in force when looks say so too. After a death between move and reload
        they do not."""
        watched = self._watch(to, timeout_s=0.0)
        if not watched.held:
            return None
        if read_pointer(self._layout.pointer) is not to:
            move_pointer(self._layout.pointer, to)
        return _switched(to, watched, started_at_s=started_at_s, moved_at_s=started_at_s)

    def _load(self, to: Slot, *, before: Slot | None, reached: Callable[[str], None], started_at_s: float) -> Switched:
        refusals = self._process.watch_refusals()
        try:
            old = self._process.read_working()
            reached("before_reload")
            self._process.reload()
            moved_at_s = time.monotonic()
            reached("after_reload")
            reloaded = self._await_new_workers(old, refusals, to=to)
            if reloaded.refused:
                return self._put_back(to, before=before, reason=reloaded.refused)
            left_s = max(0.0, self._proxy.seen_timeout_s - (time.monotonic() - moved_at_s))
            watched = self._watch(to, timeout_s=left_s)
            if not watched.held and (refused := refusals.look()):
                return self._put_back(to, before=before, reason=refused)
            first_at_s = reloaded.first_at_s or watched.first_at_s
            return _switched(to, watched, started_at_s=started_at_s, moved_at_s=moved_at_s, first_at_s=first_at_s)
        except ProcessLookupError as error:
            return self._put_back(to, before=before, reason=str(error))
        finally:
            refusals.close()

    def _await_new_workers(self, old: frozenset[int], refusals: Refusals, *, to: Slot | None) -> "_Reloaded":
        """Waits until none of the old workers takes new connections, nginx has refused, or the time is over. Looks
        in between, to know when `to` first answered."""
        refused = ""
        first_at_s = 0.0

        def settled() -> bool:
            nonlocal refused, first_at_s
            refused = refusals.look()
            working = self._process.read_working()
            if to and not first_at_s and self._look(_OBSERVE_TIMEOUT_S).answered_by(to):
                first_at_s = time.monotonic()
            return bool(refused) or bool(working and not working & old)

        wait_until(settled, timeout_s=self._proxy.seen_timeout_s, pause_s=0.002)
        return _Reloaded(refused=refused, first_at_s=first_at_s)

    def _put_back(self, to: Slot, *, before: Slot | None, reason: str) -> Switched:
        try:
            self._place(before)
            self._process.reload()
        except ProcessLookupError:
            return Switched(to=to, seen=False, effect=Effect.NONE, reason=reason)
        except OSError as error:
            told = f"{reason}; the old file could not be put back: {error}"
            return Switched(to=to, seen=False, effect=Effect.UNKNOWN, reason=told)
        moved = self._look(_OBSERVE_TIMEOUT_S).slot is to
        effect = Effect.UNKNOWN if moved else Effect.NONE
        return Switched(to=to, seen=False, effect=effect, reason=f"nginx refused the reload: {reason}")

    # The route's file, for the ways that reload

    def _route_on_disk(self) -> Slot | None:
        """What the way's own file names; the pointer is kept in step and stands in where that file is not."""
        match self._proxy.switch:
            case SwitchWay.SYMLINK if (link := self._directory / "current.conf").is_symlink():
                return parse_slot(link.readlink().stem)
            case SwitchWay.INCLUDE | SwitchWay.RELOAD if text := _read(self._directory / "upstream.conf"):
                return parse_upstream_slot(text)
            case _:
                return read_pointer(self._layout.pointer)

    def _state_text(self, slot: Slot | None) -> dict[Path, str]:
        """The file that names the route, as nginx would read it."""
        match self._proxy.switch:
            case SwitchWay.POINTER:
                return {}
            case SwitchWay.SYMLINK:
                return {self._directory / "current.conf": render_upstream(self._text(), slot)}
            case SwitchWay.INCLUDE | SwitchWay.RELOAD:
                return {self._directory / "upstream.conf": render_upstream(self._text(), slot)}

    def _place(self, slot: Slot | None) -> None:
        if self._proxy.switch is SwitchWay.SYMLINK:
            _replace_link(self._directory / "current.conf", target=f"{slot.value if slot else 'none'}.conf")
        else:
            for path, text in self._state_text(slot).items():
                write_atomic(path, text)
        if slot:
            move_pointer(self._layout.pointer, slot)

    # Installing

    def _text(self) -> RouteText:
        web = self._settings.web
        return RouteText(
            app=self._settings.app,
            way=self._proxy.switch,
            blue=web.blue,
            green=web.green,
            directory=self._directory,
            live=live_path(self._layout.pointer),
            access_log=self._layout.access_log,
            kept_logs=find_kept_logs(read_config(self._main), self._directory / "route.conf"),
        )

    def _judge(self, instead: Mapping[Path, str]) -> str:
        """What nginx says against the configuration with `instead` in it; empty when nothing."""
        from celadon.drivers.proxies.nginx_stage import judge_staged

        judged = judge_staged(self._proxy.binary, self._main, instead=instead, scratch=self._layout.home)
        return "" if judged.ok else judged.said

    def _refuse_hand_edits(self, rendered: Mapping[Path, str]) -> None:
        for path in rendered:
            present = _read(path)
            if present and not is_sealed(present):
                raise StepError(f"{path} was edited by hand", code="proxy_hand_edited", next_command="celadon check")

    def _refuse_unincluded(self, rendered: Mapping[Path, str]) -> None:
        config = read_config(self._main, instead=rendered)
        for name in ("http.conf", "route.conf"):
            if find_include(config, self._directory / name) is None:
                raise StepError(
                    f"{self._main} does not include {self._directory / name}",
                    code="proxy_not_included",
                    next_command="celadon check",
                )

    def _refuse_invalid(self, rendered: Mapping[Path, str]) -> None:
        state = self._state_text(self._route_on_disk()) if self._proxy.switch is SwitchWay.SYMLINK else {}
        said = self._judge({**rendered, **state})
        if said:
            raise StepError(f"nginx refuses the configuration: {said}", code="proxy_config_refused")

    def _prepare_directories(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        self._layout.access_log.parent.mkdir(parents=True, exist_ok=True)
        prepare_pointer(self._layout.pointer)
        ensure_mark(self._layout.look_mark)
        for slot in Slot:
            marker = self._layout.pointer / slot.value / slot.value
            if not marker.exists():
                write_atomic(marker, "")

    def _put_and_load(self, changed: Mapping[Path, str], *, generation: str) -> None:
        before = {path: _read(path) for path in changed}
        for path, text in changed.items():
            write_atomic(path, text)
        link = self._directory / "current.conf"
        if self._proxy.switch is SwitchWay.SYMLINK and not link.is_symlink():
            self._place(self._route_on_disk())
        reason = self._load_generation(generation)
        if reason:
            _restore(before)
            self._reload_quietly()
            raise StepError(f"nginx did not take the configuration: {reason}", code="proxy_reload_refused")

    def _load_generation(self, generation: str) -> str:
        """Empty once the rendered text is in force, else why not."""
        refusals = self._process.watch_refusals()
        try:
            old = self._process.read_working()
            self._process.reload()
            reloaded = self._await_new_workers(old, refusals, to=None)
            if reloaded.refused:
                return reloaded.refused
            watched = watch_until(
                self._look,
                lambda sight: sight.config == generation or _hides_in_error_page(sight),
                count=self._proxy.looks_count,
                timeout_s=self._proxy.seen_timeout_s,
            )
            return "" if watched.held else watched.last.detail
        except ProcessLookupError as error:
            return str(error)
        finally:
            refusals.close()

    def _reload_quietly(self) -> None:
        try:
            self._process.reload()
        except ProcessLookupError:
            return

    def _remove_unused(self, rendered: Mapping[Path, str]) -> None:
        """Files of a way that is no longer used: one left behind would look like the route."""
        used = {*rendered, *self._state_text(None)}
        for path in (self._directory / name for name in _STATE_NAMES):
            if path not in used and os.path.lexists(path):
                remove_durably(path)


def _hides_in_error_page(sight: Sight) -> bool:
    """Before the first release runs nginx itself answers 502, and an `error_page` of the site then logs elsewhere."""
    return sight.worker is None and sight.status in {502, 503, 504}


def _await_line(log: LineTail, nonce: str, *, timeout_s: float) -> LogLine | None:
    """nginx writes the line when the request is done, a moment after the answer has arrived."""
    found: list[LogLine] = []
    wanted = nonce.encode()

    def arrived() -> bool:
        lines = (parse_log_line(line) for line in log.read_lines() if wanted in line)
        found.extend(line for line in lines if line is not None and line.look == nonce)
        return bool(found)

    return found[0] if wait_until(arrived, timeout_s=timeout_s) else None


def _switched(
    to: Slot, watched: Watched, *, started_at_s: float, moved_at_s: float, first_at_s: float | None = None
) -> Switched:
    now_s = time.monotonic()
    if watched.held:
        return Switched(
            to=to,
            seen=True,
            effect=Effect.MOVED,
            moved_ms=(moved_at_s - started_at_s) * 1000,
            seen_ms=((first_at_s or watched.first_at_s) - started_at_s) * 1000,
            settled_ms=(now_s - started_at_s) * 1000,
        )
    effect = Effect.MOVED if watched.last.slot is to else Effect.UNKNOWN
    return Switched(
        to=to,
        seen=False,
        effect=effect,
        moved_ms=(moved_at_s - started_at_s) * 1000,
        reason=f"not seen through the proxy: {watched.last.detail}",
    )


def _read(path: Path) -> str | None:
    try:
        return path.read_text(errors="surrogateescape")
    except OSError:
        return None


def _restore(before: Mapping[Path, str | None]) -> None:
    for path, text in before.items():
        if text is None:
            remove_durably(path)
        else:
            write_atomic(path, text.encode(errors="surrogateescape"))


def _replace_link(link: Path, *, target: str) -> None:
    temporary = link.with_name(f".{link.name}.partial")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.rename(link)
    sync_directory(link.parent)
