"""nginx: the route as a pointer that it reads at each request, or as a file that it reloads.

Three ways. `pointer` costs one rename and no reload. `symlink` and `include` are what people know: the new file is
judged by nginx before it is in place, the master is asked to reload, and the switch is done when the old workers
take no new work and looks are answered by the new slot (nginx_reload).
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from celadon.contracts.proxy import RenderedFile
from celadon.contracts.traffic import Traffic
from celadon.drivers.proxies.edited import refuse_edits
from celadon.drivers.proxies.look import Watched
from celadon.drivers.proxies.nginx_config import find_include, read_config
from celadon.drivers.proxies.nginx_files import RouteFiles
from celadon.drivers.proxies.nginx_look import NginxLooks
from celadon.drivers.proxies.nginx_marks import slots_at
from celadon.drivers.proxies.nginx_process import NginxProcess
from celadon.drivers.proxies.nginx_reload import Reloading
from celadon.drivers.proxies.nginx_view import observe_route
from celadon.drivers.proxies.seen import switch_by_pointer
from celadon.drivers.traffic.json_lines import JsonLinesTraffic
from celadon.host.files import read_text
from celadon.host.layout import Layout
from celadon.host.look_mark import read_secret
from celadon.model.errors import StepError
from celadon.model.names import Slot
from celadon.model.observed import Finding, RouteView, Switched
from celadon.model.settings import Settings, SwitchWay


class NginxProxy:
    """Implements contracts.proxy.Proxy for one app."""

    def __init__(self, layout: Layout, settings: Settings) -> None:
        self._layout = layout
        self._settings = settings
        self._proxy = settings.proxy
        self._files = RouteFiles(layout, settings)
        self._looks = NginxLooks(layout, settings.proxy)
        self._process = NginxProcess(binary=settings.proxy.binary, config=self._files.main)
        self._reloading = Reloading(layout, settings.proxy, files=self._files, looks=self._looks, process=self._process)

    def check(self) -> Sequence[Finding]:
        from celadon.drivers.proxies.nginx_check import check_nginx

        return check_nginx(
            layout=self._layout,
            settings=self._settings,
            process=self._process,
            rendered=self.render(),
            directory=self._files.directory,
            look=self._looks.look,
        )

    def render(self) -> Sequence[RenderedFile]:
        return [RenderedFile(path=path, text=text) for path, text in self._files.render().items()]

    def install(self) -> bool:
        self._files.prepare()
        rendered = self._files.render()
        refuse_edits(self._layout, rendered)
        self._refuse_unincluded(rendered)
        generation = self._files.generation()
        changed = {path: text for path, text in rendered.items() if read_text(path) != text}
        if not changed and self._looks.look().config == generation:
            return False
        self._refuse_invalid(rendered)
        self._put_and_load(changed, generation=generation)
        self._files.remove_unused()
        return True

    def observe(self) -> RouteView:
        return observe_route(self._layout, files=self._files, looks=self._looks, process=self._process)

    def switch(self, to: Slot, *, percent: int = 100, reached: Callable[[str], None]) -> Switched:
        if self._proxy.switch is not SwitchWay.POINTER:
            return self._reloading.switch(to, reached=reached)
        return switch_by_pointer(
            self._layout.pointer,
            to,
            percent=percent,
            reached=reached,
            rests=self._reloading.rests,
            watch=lambda: self._watch(to, percent),
        )

    def _watch(self, to: Slot, percent: int) -> Watched:
        timeout_s = self._proxy.seen_timeout_s
        if self._files.shares():
            return self._looks.watch_buckets(slots_at(to, percent), timeout_s=timeout_s)
        return self._looks.watch(to, timeout_s=timeout_s)

    def traffic(self) -> Traffic:
        return JsonLinesTraffic(self._layout.access_log, mark=read_secret(self._layout.look_mark))

    def _refuse_unincluded(self, rendered: Mapping[Path, str]) -> None:
        config = read_config(self._files.main, instead=rendered)
        for name in ("http.conf", "route.conf"):
            if find_include(config, self._files.directory / name) is None:
                raise StepError(
                    f"{self._files.main} does not include {self._files.directory / name}",
                    code="proxy_not_included",
                    next_command="celadon check",
                )

    def _refuse_invalid(self, rendered: Mapping[Path, str]) -> None:
        """The proxy's own checker speaks before a file is in place."""
        from celadon.drivers.proxies.nginx_stage import judge_staged

        route = self._files.read_route()
        state = self._files.render_state(route) if self._proxy.switch is SwitchWay.SYMLINK else {}
        instead = {**rendered, **state}
        judged = judge_staged(self._proxy.binary, self._files.main, instead=instead, scratch=self._layout.home)
        if not judged.ok:
            raise StepError(
                f"nginx refuses the configuration: {judged.said}",
                code="proxy_config_refused",
                next_command="celadon check",
            )

    def _put_and_load(self, changed: Mapping[Path, str], *, generation: str) -> None:
        before = self._files.put(changed)
        reason = self._reloading.load_generation(generation)
        if reason:
            self._files.restore(before)
            with contextlib.suppress(ProcessLookupError):
                self._process.reload()
            raise StepError(
                f"nginx did not take the configuration: {reason}",
                code="proxy_reload_refused",
                next_command="celadon check",
            )
