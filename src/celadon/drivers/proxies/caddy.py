"""Caddy: the route as a file that it reads at each request, or as a snippet that it reloads.

A reload answers truthfully (400 with the reason) but resets connections that the kernel has queued (23 of 103,560) and
closes idle ones; WebSockets are kept until the drain is over. It is there for sites whose owner wants a static
upstream. Nothing here touches the admin API over TCP: its address is given, or the config's own is used by `caddy
reload`.
"""

import math
import socket
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from celadon.contracts.proxy import RenderedFile
from celadon.contracts.traffic import Traffic
from celadon.drivers.proxies.accepted import merge_accepted
from celadon.drivers.proxies.caddy_log import check_log, ensure_log_writable
from celadon.drivers.proxies.caddy_stage import stage
from celadon.drivers.proxies.caddy_text import (
    SnippetText,
    parse_slot_of,
    render_generation,
    render_logged,
    render_pointed,
    render_snippet,
)
from celadon.drivers.proxies.edited import find_edits, keep_edit, refuse_edits
from celadon.drivers.proxies.headers import LOOK_HEADER
from celadon.drivers.proxies.look import Sight, Watched, wait_until, watch_until
from celadon.drivers.proxies.seen import say_at_rest, say_switched, switch_by_pointer
from celadon.drivers.traffic.caddy_lines import CaddyLine, make_hit_parser, parse_caddy_line
from celadon.drivers.traffic.json_lines import JsonLinesTraffic
from celadon.host.commands import Completed, run_command
from celadon.host.files import write_atomic
from celadon.host.layout import Layout
from celadon.host.look_http import ask_look, is_refused, parse_look_target
from celadon.host.look_mark import ensure_secret, new_look, read_secret
from celadon.host.pointer import live_path, move_pointer, prepare_pointer, read_pointer
from celadon.host.reserve import yield_reserve
from celadon.host.tail import LineTail
from celadon.model.address import TcpAddress
from celadon.model.errors import StepError
from celadon.model.names import Slot
from celadon.model.observed import Effect, Finding, FindingLevel, RouteView, Switched
from celadon.model.settings import Settings, SwitchWay

_COMMAND_TIMEOUT_S = 30.0
_LOG_LINE_TIMEOUT_S = 1.0
_OBSERVE_TIMEOUT_S = 3.0
_RECENT = "install a recent Caddy from its own package repository: Debian 12 has 2.6.2, which lacks log_append"


class CaddyProxy:
    """Implements contracts.proxy.Proxy for one app."""

    def __init__(self, layout: Layout, settings: Settings) -> None:
        self._layout = layout
        self._settings = settings
        self._proxy = settings.proxy
        self._main = Path(settings.proxy.config)
        self._snippet = Path(settings.proxy.directory) / f"{settings.app}.caddy"
        self._target = parse_look_target(
            site=settings.proxy.site, listen=settings.proxy.listen, path=settings.proxy.look_path
        )
        self._listen = TcpAddress(host=self._target.address[0], port=self._target.address[1])
        self._fixed = settings.proxy.switch is not SwitchWay.POINTER
        self._slots = {render_logged(settings.web.address(slot)): slot for slot in Slot}

    def check(self) -> Sequence[Finding]:
        judged = self._judge({file.path: file.text for file in self.render()})
        if judged.exit_code == 127:
            return [_problem("caddy", f"{self._proxy.binary} could not be run: {judged.output}", fix=_RECENT)]
        if not judged.ok:
            said = _last_words(judged)
            ours = "log_append" in said
            return [_problem("config", said, fix=_RECENT if ours else f"mend it; caddy validate --config {self._main}")]
        found = [
            *self._check_running(),
            *self._check_included(),
            *find_edits(self._layout, self.render()),
            *check_log(self._layout.access_log, listen=self._listen),
        ]
        fine = Finding(level=FindingLevel.OK, subject="caddy", text=f"runs; {self._main} is valid")
        return found or [fine]

    def render(self) -> Sequence[RenderedFile]:
        return [RenderedFile(path=self._snippet, text=self._render(self._route_on_disk()))]

    def install(self) -> bool:
        refuse_edits(self._layout, {file.path: file.text for file in self.render()})
        self._prepare_pointer()
        ensure_log_writable(self._layout.access_log, listen=self._listen)
        rendered = self.render()[0]
        generation = render_generation(self._text(self._route_on_disk()))
        before = self._read_snippet()
        if before == rendered.text and self._look(_OBSERVE_TIMEOUT_S).generation == generation:
            return False
        judged = self._judge({rendered.path: rendered.text})
        if not judged.ok:
            raise StepError(_last_words(judged), code="proxy_config_refused", next_command="celadon check")
        self._snippet.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(self._snippet, rendered.text)
        self._load_or_put_back(before, generation=generation)
        return True

    def observe(self) -> RouteView:
        sight = self._look(_OBSERVE_TIMEOUT_S).sight
        if sight.status is None or not sight.config:
            return RouteView(slot=self._route_on_disk(), seen=False, detail=sight.detail)
        unset = self._route_on_disk() is None
        return RouteView(slot=None if unset else sight.slot or self._route_on_disk(), seen=True, detail=sight.detail)

    def switch(self, to: Slot, *, percent: int = 100, reached: Callable[[str], None]) -> Switched:
        if self._proxy.switch is SwitchWay.POINTER:
            return switch_by_pointer(
                self._layout.pointer,
                to,
                percent=percent,
                reached=reached,
                rests=lambda: is_refused(self._target),
                watch=lambda: self._watch(to),
            )
        return self._switch_reload(to, reached=reached)

    def traffic(self) -> Traffic:
        mark = read_secret(self._layout.look_mark)
        return JsonLinesTraffic(self._layout.access_log, mark=mark, parse=make_hit_parser(self._slots))

    def _switch_reload(self, to: Slot, *, reached: Callable[[str], None]) -> Switched:
        began_s = time.monotonic()
        before = self._route_on_disk()
        if before is to and self._look(_OBSERVE_TIMEOUT_S).sight.answered_by(to):
            return say_switched(to, self._watch(to), started_at_s=began_s, moved_at_s=began_s)
        text = self._render(to)
        judged = self._judge({self._snippet: text})
        if not judged.ok:
            return Switched(to=to, seen=False, effect=Effect.NONE, reason=_last_words(judged))
        reached("validated")
        previous = self._read_snippet()
        reached("before_pointer")
        try:
            keep_edit(self._layout, self._snippet)
            write_atomic(self._snippet, text)
            move_pointer(self._layout.pointer, to)
        except OSError as error:
            return self._not_moved(to, f"the snippet could not be replaced: {error}")
        reached("after_pointer")
        if is_refused(self._target):
            return say_at_rest(to, moved_ms=(time.monotonic() - began_s) * 1000)
        reached("before_reload")
        reloaded = self._reload()
        moved_s = time.monotonic()
        reached("after_reload")
        if not reloaded.ok:
            return self._put_back(to, previous, before=before, reason=_last_words(reloaded))
        return say_switched(to, self._watch(to), started_at_s=began_s, moved_at_s=moved_s)

    def _put_back(self, to: Slot, previous: str | None, *, before: Slot | None, reason: str) -> Switched:
        if previous is not None:
            write_atomic(self._snippet, previous)
        if before is not None:
            move_pointer(self._layout.pointer, before)
        still = self._look(_OBSERVE_TIMEOUT_S).sight.slot is to
        effect = Effect.UNKNOWN if still else Effect.NONE
        return Switched(to=to, seen=False, effect=effect, reason=f"caddy refused the reload: {reason}")

    def _watch(self, to: Slot) -> Watched:
        return watch_until(
            lambda timeout_s: self._look(timeout_s).sight,
            lambda sight: sight.answered_by(to),
            count=self._proxy.looks_count,
            timeout_s=self._proxy.seen_timeout_s,
        )

    def _not_moved(self, to: Slot, reason: str) -> Switched:
        effect = Effect.UNKNOWN if self._route_on_disk() is to else Effect.NONE
        return Switched(to=to, seen=False, effect=effect, reason=reason)

    def _look(self, timeout_s: float) -> "_CaddySight":
        nonce = new_look(read_secret(self._layout.look_mark))
        yield_reserve(self._layout.reserve)
        log = LineTail(self._layout.access_log)
        try:
            status = ask_look(self._target, headers={LOOK_HEADER: nonce}, timeout_s=timeout_s)
            line = _await_line(log, nonce)
        except OSError as error:
            return _CaddySight(Sight(slot=None, detail=f"{self._proxy.listen} did not answer: {error}"))
        finally:
            log.close()
        if line is None:
            detail = f"{self._proxy.site} answered {status}, but not by this app's route"
            return _CaddySight(Sight(slot=None, status=status, detail=detail))
        slot = self._slots.get(line.celadon_upstream)
        detail = f"{status} from {line.celadon_upstream or 'no slot'}"
        return _CaddySight(Sight(slot=slot, status=status, detail=detail, config=line.celadon_generation))

    def _render(self, slot: Slot | None) -> str:
        return merge_accepted(self._layout, self._snippet, render_snippet(self._text(slot)))

    def _text(self, slot: Slot | None) -> SnippetText:
        return SnippetText(
            app=self._settings.app,
            live=live_path(self._layout.pointer),
            access_log=self._layout.access_log,
            upstream=self._settings.web.address((self._fixed and slot) or Slot.BLUE),
            fixed=self._fixed,
            keep_streams_s=math.ceil(self._settings.observe.window_s + self._settings.drain.timeout_s),
        )

    def _route_on_disk(self) -> Slot | None:
        """In the reload way the snippet names the slot once the pointer was ever set."""
        pointed = read_pointer(self._layout.pointer)
        if self._proxy.switch is SwitchWay.POINTER or pointed is None:
            return pointed
        web = self._settings.web
        return parse_slot_of(self._read_snippet() or "", blue=web.blue, green=web.green) or pointed

    def _prepare_pointer(self) -> None:
        prepare_pointer(self._layout.pointer)
        ensure_secret(self._layout.look_mark)
        for slot in Slot:
            path = self._layout.pointer / slot.value / "upstream"
            pointed = render_pointed(self._settings.web.address(slot))
            if not path.exists() or path.read_text() != pointed:
                write_atomic(path, pointed)

    def _load_or_put_back(self, before: str | None, *, generation: str) -> None:
        reloaded = self._reload()
        if reloaded.ok and wait_until(
            lambda: self._look(_OBSERVE_TIMEOUT_S).generation == generation, timeout_s=self._proxy.seen_timeout_s
        ):
            return
        if before is None:
            self._snippet.unlink()
        else:
            write_atomic(self._snippet, before)
        self._reload()
        what = f"caddy refused the reload: {_last_words(reloaded)}" if not reloaded.ok else (
            f"{self._proxy.site} on {self._proxy.listen} is not answered by the route in {self._snippet}"
        )  # fmt: skip
        raise StepError(what, code="proxy_reload_refused", next_command="celadon check")

    def _reload(self) -> Completed:
        address = ["--address", self._proxy.admin] if self._proxy.admin is not None else []
        return self._run("reload", "--config", str(self._main), "--adapter", "caddyfile", "--force", *address)

    def _judge(self, texts: dict[Path, str]) -> Completed:
        """Caddy's own checker, on a copy of the configuration's directory with our text in place."""
        with tempfile.TemporaryDirectory(prefix="celadon-") as scratch:
            main = stage(self._main, Path(scratch), texts)
            return self._run("validate", "--config", str(main), "--adapter", "caddyfile")

    def _run(self, *words: str) -> Completed:
        return run_command([self._proxy.binary, *words], timeout_s=_COMMAND_TIMEOUT_S)

    def _check_running(self) -> Sequence[Finding]:
        try:
            socket.create_connection(self._target.address, timeout=2.0).close()
        except OSError as error:
            text = f"nothing answers on {self._proxy.listen}: {error}"
            return [_problem("caddy", text, fix=f"caddy start --config {self._main}")]
        return []

    def _check_included(self) -> Sequence[Finding]:
        try:
            text = self._main.read_text()
        except OSError as error:
            return [_problem("config", f"{self._main}: {error.strerror}")]
        if any(self._imports_us(line) for line in text.splitlines()):
            return []
        host = self._target.host
        text = f"{self._main} does not import {self._snippet}"
        return [_problem("site", text, fix=f"{host} {{\n+\timport {self._snippet}\n}}")]

    def _imports_us(self, line: str) -> bool:
        words = line.split()
        if words[:1] != ["import"] or len(words) < 2:
            return False
        return self._snippet.match(str((self._main.parent / words[1]).absolute()))

    def _read_snippet(self) -> str | None:
        try:
            return self._snippet.read_text()
        except FileNotFoundError:
            return None


class _CaddySight:
    def __init__(self, sight: Sight) -> None:
        self.sight = sight
        self.generation = sight.config


def _await_line(log: LineTail, nonce: str) -> CaddyLine | None:
    found: CaddyLine | None = None
    wanted = nonce.encode()

    def arrived() -> bool:
        nonlocal found
        for line in log.read_lines():
            if wanted in line:
                found = parse_caddy_line(line)
        return found is not None

    wait_until(arrived, timeout_s=_LOG_LINE_TIMEOUT_S)
    return found


def _last_words(done: Completed) -> str:
    """Caddy's own: 2.11 logs the error as a JSON line, earlier ones end with `Error: …`."""
    lines = [line for line in done.output.splitlines() if line.strip()]
    told = [error.msg for line in lines if (error := _parse_error(line)) is not None]
    told += [line.removeprefix("Error: ") for line in lines if line.startswith("Error:")]
    return (told or lines or [f"exit code {done.exit_code}"])[-1].strip()


class _Logged(Struct, frozen=True):
    level: str
    msg: str


def _parse_error(line: str) -> _Logged | None:
    try:
        found = msgspec.json.decode(line, type=_Logged)
    except msgspec.DecodeError:
        return None
    return found if found.level == "error" else None


def _problem(subject: str, text: str, *, fix: str = "") -> Finding:
    return Finding(level=FindingLevel.PROBLEM, subject=subject, text=text, fix=fix)
