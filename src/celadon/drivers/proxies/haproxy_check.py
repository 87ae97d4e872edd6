"""What stands in the way of a switch in HAProxy, found before anything is touched."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from celadon.contracts.traffic import Traffic
from celadon.drivers.proxies.haproxy_config import Section, find_chroot
from celadon.drivers.proxies.haproxy_files import HaproxyFiles, last_words
from celadon.drivers.proxies.haproxy_look import HaproxyLooks
from celadon.drivers.proxies.haproxy_process import HaproxyProcess
from celadon.drivers.proxies.haproxy_text import backend_name, ring_name
from celadon.drivers.proxies.look import wait_until
from celadon.host.layout import Layout
from celadon.model.address import SocketAddress
from celadon.model.observed import Finding, FindingLevel, Hit, problem
from celadon.model.settings import Settings, SwitchWay

_LINE_TIMEOUT_S = 3.0
_UNANSWERED_FROM = 500


class HaproxyCheck:
    def __init__(
        self,
        layout: Layout,
        settings: Settings,
        *,
        files: HaproxyFiles,
        looks: HaproxyLooks,
        process: HaproxyProcess,
    ) -> None:
        self._layout = layout
        self._settings = settings
        self._proxy = settings.proxy
        self._files = files
        self._looks = looks
        self._process = process

    def find(self, rendered: Mapping[Path, str], *, traffic: Callable[[], Traffic] | None) -> Sequence[Finding]:
        """All findings at once; only a missing program or a broken configuration hide the rest. `traffic` None: not
        installed yet, so that no look can be told from a visit."""
        judged = self._judge(rendered)
        if judged is not None:
            return [judged]
        try:
            sections = self._files.read_sections()
        except OSError as error:
            return [problem("config", f"{error.filename}: {error.strerror}")]
        found = [
            *self._check_running(),
            *self._check_loaded(),
            *self._check_routed(sections),
            *self._files.list_edits(rendered),
            *self._check_chroot(sections),
        ]
        if not found and traffic is not None:
            found += self._check_logged(traffic)
        fine = Finding(level=FindingLevel.OK, subject="haproxy", text=f"runs; {self._files.main} is valid")
        return found or [fine]

    def _judge(self, rendered: Mapping[Path, str]) -> Finding | None:
        """With our text in place: a site that says `default_backend` with our name is not valid before the first
        install."""
        judged = self._files.judge(rendered)
        if judged.exit_code == 127:
            text = f"{self._proxy.binary} could not be run: {judged.output}"
            return problem("haproxy", text, fix="apt install haproxy")
        if judged.ok:
            return None
        fix = f"mend it; {self._proxy.binary} -c -f {self._files.main} must pass"
        return problem("config", last_words(judged), fix=fix)

    def _check_running(self) -> Iterator[Finding]:
        if not self._process.admin:
            yield problem(
                "runtime socket",
                f"{self._files.main} has no runtime socket on which everything is allowed",
                fix="in the global section: stats socket /run/haproxy/admin.sock mode 660 level admin",
            )
        elif self._process.read_worker_pid() is None:
            yield problem(
                "haproxy",
                f"no haproxy answers on its runtime socket {self._process.admin}",
                fix="systemctl start haproxy",
            )
        elif self._proxy.switch is SwitchWay.RELOAD and self._process.read_master_pid() is None:
            yield problem("haproxy", "it runs without a master and cannot be reloaded", fix="run it with -Ws")

    def _check_loaded(self) -> Iterator[Finding]:
        if self._files.find_holding() or self._files.is_loaded():
            return
        yield problem(
            "haproxy",
            f"the running haproxy was started without -f {self._files.directory}",
            fix=f'mkdir -p {self._files.directory}; in /etc/default/haproxy: EXTRAOPTS="-f {self._files.directory} '
            f'-S /run/haproxy-master.sock"; systemctl restart haproxy. Without a restart: celadon adopt',
        )

    def _check_routed(self, sections: Sequence[Section]) -> Iterator[Finding]:
        name = backend_name(self._settings.app)
        uses = [
            line
            for section in sections
            for line in (*section.find("default_backend", name), *section.find("use_backend", name))
        ]
        if not uses and not self._files.find_holding():
            yield problem(
                "site", f"no frontend sends anything to {name}", fix=f"in the site's frontend: default_backend {name}"
            )

    def _check_chroot(self, sections: Sequence[Section]) -> Iterator[Finding]:
        """The path of a Unix socket is looked up at each connection, when HAProxy sees its chroot only."""
        chroot = find_chroot(sections)
        if chroot not in {"", "/"} and isinstance(self._settings.web.blue, SocketAddress):
            text = f"haproxy's chroot {chroot} hides the slots' socket {self._settings.web.blue.path}"
            yield problem("slots", text, fix=f"web.ports in celadon.toml, or take `chroot {chroot}` out")

    def _check_logged(self, traffic: Callable[[], Traffic]) -> Iterator[Finding]:
        """One request of ours that is logged; its line must arrive."""
        reader = traffic()
        try:
            looked = self._looks.look(logged=True)
            if looked.told is None or looked.told.slot is None or (looked.sight.status or 0) >= _UNANSWERED_FROM:
                return
            hits: list[Hit] = []

            def arrived() -> bool:
                hits.extend(reader.read())
                return any(hit.look for hit in hits)

            if wait_until(arrived, timeout_s=_LINE_TIMEOUT_S):
                return
        finally:
            reader.close()
        where = self._proxy.access_log
        text = f"a request through {self._proxy.site} left no line that can be read"
        if where is not None:
            fix = f"the frontend needs option httplog, and a syslog daemon that writes {where}"
            yield problem("access log", f"{text} in {where}", fix=fix)
        else:
            ring = ring_name(self._settings.app)
            yield problem("access log", text, fix=f"in the frontend: option httplog, and log ring@{ring} local0")
