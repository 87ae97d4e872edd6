"""The nginx driver against a real nginx."""

import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bench.load.oneshot import make_clients
from msgspec import structs

from celadon.drivers.proxies.headers import LOOK_HEADER, PREVIEW_HEADER, SLOT_HEADER
from celadon.drivers.proxies.nginx import NginxProxy
from celadon.drivers.proxies.nginx_config import read_config
from celadon.drivers.proxies.nginx_formats import describe_log
from celadon.drivers.proxies.nginx_process import NginxProcess
from celadon.drivers.proxies.nginx_stage import judge_staged
from celadon.drivers.traffic.json_lines import JsonLinesTraffic
from celadon.drivers.traffic.recognise import COMBINED, recognise
from celadon.host.look_mark import read_secret
from celadon.host.pointer import move_pointer, read_pointer, read_split, route_path
from celadon.model.errors import StepError
from celadon.model.names import Slot
from celadon.model.observed import Effect, FindingLevel
from celadon.model.settings import Settings, SwitchSettings, SwitchWay
from tests.contract.nginx_server import NGINX, NginxStage
from tests.contract.preview_promises import PreviewPromises
from tests.contract.proxy_promises import POINTER_POINTS, RELOAD_POINTS, ProxyPromises, ignore, read_hits
from tests.contract.replica_promises import ReplicaPromises
from tests.contract.share_promises import STEPS, SharePromises, ask_all
from tests.contract.single_visit import visit_as
from tests.contract.slot_server import free_port

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(not Path(NGINX).exists(), reason="nginx is not installed; ./run test installs it as root"),
]

RELOADING = [SwitchWay.SYMLINK, SwitchWay.INCLUDE]
MakeStage = Callable[..., NginxStage]


@pytest.fixture
def make_stage(tmp_path: Path) -> Iterator[MakeStage]:
    made: list[NginxStage] = []

    def make(way: SwitchWay = SwitchWay.POINTER, **knobs: object) -> NginxStage:
        made.append(NginxStage(tmp_path / f"nginx{len(made)}", way=way, **knobs))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for stage in made:
        stage.close()


@pytest.fixture(params=["pointer", "pointer-sockets", "symlink", "include"])
def stage(request: pytest.FixtureRequest, make_stage: MakeStage) -> NginxStage:
    way, _, sockets = request.param.partition("-")
    return make_stage(SwitchWay(way), sockets=bool(sockets))


class TestNginx(ProxyPromises):
    """All ways keep the promises."""

    def test_an_installed_proxy_survives_a_restart_of_nginx(self, stage: NginxStage) -> None:
        """What is on disk is the route: after a boot the same slot serves without us."""
        stage.proxy.install()
        stage.proxy.switch(Slot.GREEN, reached=ignore)
        stage.stop()
        assert (stage.proxy.observe().slot, stage.proxy.observe().seen) == (Slot.GREEN, False)
        stage.start()
        view = stage.proxy.observe()
        assert (view.slot, view.seen) == (Slot.GREEN, True)

    def test_an_answer_of_500_is_not_seen(self, stage: NginxStage) -> None:
        """A candidate that fails through the proxy has not taken over, though the route has moved."""
        proxy = self._impatient(stage)
        proxy.install()
        stage.slots[Slot.GREEN].status = 500
        switched = proxy.switch(Slot.GREEN, reached=ignore)
        assert (switched.seen, switched.effect) == (False, Effect.MOVED)
        assert "500" in switched.reason

    def test_no_nginx_is_a_refusal_and_a_finding(self, stage: NginxStage) -> None:
        """A switch without a proxy never claims to be seen."""
        proxy = self._impatient(stage)
        proxy.install()
        stage.stop()
        assert [found.subject for found in proxy.check()] == ["nginx"]
        assert proxy.switch(Slot.GREEN, reached=ignore).seen is False

    def _impatient(self, stage: NginxStage) -> NginxProxy:
        return NginxProxy(stage.layout, stage.settings_for(stage.settings.proxy.switch, seen_timeout_s=0.5))


class TestReplicas(ReplicaPromises):
    """With the pointer, and of the ways that write the same file anew."""

    @pytest.fixture(params=["pointer", "include"])
    def stage(self, request: pytest.FixtureRequest, make_stage: MakeStage) -> NginxStage:
        return make_stage(SwitchWay(request.param), replicas=2)


class TestShares(SharePromises):
    """Of the pointer."""

    @pytest.fixture(params=[False, True], ids=["pointer", "pointer-sockets"])
    def stage(self, request: pytest.FixtureRequest, make_stage: MakeStage) -> NginxStage:
        return make_stage(sockets=request.param, steps=STEPS)

    def test_every_share_of_many_clients_is_within_one_percent(self, make_stage: MakeStage) -> None:
        """20,000 addresses, whose hashes are as uneven as those of neighbours are: 0.6 at most (39 %) was measured."""
        stage = make_stage(steps=STEPS)
        stage.write_main(server="location = /bucket { return 200 $celadon_client_shop_one; }")
        stage.proxy.install()
        counted = Counter(visit_as(stage.port, client=client, path="/bucket")[1] for client in make_clients(20_000))
        for percent in range(1, 100):
            share = sum(counted[f"{bucket:02d}"] for bucket in range(percent)) / 200
            assert abs(share - percent) < 1, percent

    def test_a_client_cannot_choose_its_bucket(self, stage: NginxStage) -> None:
        """Only looks can, whose header begins with the app's secret."""
        self._begin(stage)
        stage.proxy.switch(Slot.GREEN, percent=5, reached=ignore)
        client = next(client for client in make_clients(20) if stage.ask(client)[1] == "blue")
        for bucket in ("00", "0", "../green/green", read_secret(stage.layout.look_mark)):
            assert stage.ask(client, {SLOT_HEADER: bucket}) == (200, "blue")

    def test_a_share_that_nginx_does_not_give_is_not_seen(self, stage: NginxStage) -> None:
        """One bucket short of what was asked for is not what was asked for, and is told with both values."""
        self._begin(stage)
        route_path(stage.layout.pointer, Slot.GREEN, percent=25).joinpath("24").unlink()
        hasty = NginxProxy(stage.layout, stage.settings_for(SwitchWay.POINTER, seen_timeout_s=0.3))
        assert hasty.switch(Slot.GREEN, percent=25, reached=ignore).seen is False
        view = hasty.observe()
        assert (view.slot, view.split) == (Slot.BLUE, None)
        assert "25 % green beside blue, but nginx answers from blue for bucket 24" in view.disagreement

    def test_steps_that_come_and_go_keep_the_route(self, make_stage: MakeStage) -> None:
        """An app gets its shares with one install; what was in force stays so."""
        stage = make_stage()
        stage.proxy.install()
        stage.proxy.switch(Slot.GREEN, reached=ignore)
        plain = stage.settings
        stepped = structs.replace(plain, switch=SwitchSettings(steps=STEPS))
        assert NginxProxy(stage.layout, stepped).install() is True
        assert NginxProxy(stage.layout, stepped).observe().slot is Slot.GREEN
        assert set(ask_all(stage, make_clients(50))) == {"green"}
        NginxProxy(stage.layout, stepped).switch(Slot.BLUE, percent=25, reached=ignore)
        assert NginxProxy(stage.layout, plain).install() is True
        view = NginxProxy(stage.layout, plain).observe()
        assert (view.slot, view.split) == (Slot.GREEN, None)
        assert "25 % blue beside green" in view.disagreement


class TestPreview(PreviewPromises):
    """Of all ways, and beside shares."""

    @pytest.fixture(params=["pointer", "pointer-sockets", "pointer-shares", "symlink", "include"])
    def stage(self, request: pytest.FixtureRequest, make_stage: MakeStage) -> NginxStage:
        way, _, more = request.param.partition("-")
        steps = STEPS if more == "shares" else (100,)
        return make_stage(SwitchWay(way), sockets=more == "sockets", steps=steps, preview=True)

    def test_what_holds_the_secret_is_not_for_everybody(self, stage: NginxStage) -> None:
        """Nor is anything else of ours that does."""
        secret = self._begin(stage)
        holding = [path for path in stage.base.rglob("*") if path.is_file() and secret in path.read_text("latin-1")]
        assert {path.name for path in holding} == {"http.conf", "preview-secret"}
        assert {path.stat().st_mode & 0o077 for path in holding} == {0}

    def test_a_share_and_a_preview_keep_out_of_each_others_way(self, make_stage: MakeStage) -> None:
        """Whoever previews gets the slot that is not the route, whatever its share."""
        stage = make_stage(steps=STEPS, preview=True)
        secret = self._begin(stage)
        for to in (Slot.GREEN, Slot.BLUE):
            stage.proxy.switch(to, percent=25, reached=ignore)
            clients = make_clients(30)
            assert {stage.ask(client, {PREVIEW_HEADER: secret})[1] for client in clients} == {to.value}
            assert {stage.ask(client)[1] for client in clients} == {"blue", "green"}
            stage.proxy.switch(to, reached=ignore)

    def test_a_client_that_says_preview_in_a_look_stays_a_visitor(self, stage: NginxStage) -> None:
        """Its requests count in the window."""
        self._begin(stage)
        traffic = stage.proxy.traffic()
        stage.ask("127.0.0.9", {LOOK_HEADER: "preview"})
        assert [hit.look for hit in read_hits(traffic)] == [""]
        traffic.close()


class TestPointer:
    def test_open_file_cache_of_the_site_does_not_hide_the_switch(self, make_stage: MakeStage) -> None:
        """A global cache kept answering the old slot for its `valid` time; the route turns it off for itself."""
        cache = "open_file_cache max=1000 inactive=60s; open_file_cache_valid 60s; open_file_cache_errors on;"
        stage = make_stage(http=cache)
        stage.proxy.install()
        for to in (Slot.BLUE, Slot.GREEN, Slot.BLUE, Slot.GREEN):
            assert stage.proxy.switch(to, reached=ignore).seen
            assert stage.proxy.observe().slot is to

    def test_a_tls_site_is_looked_at_by_name_whatever_its_certificate(self, make_stage: MakeStage) -> None:
        """Identity is the route's log line; an expired or foreign certificate is not the deploy's business. The
        certificate's relative path also shows that staging keeps what lies beside the main file."""
        stage = make_stage()
        stage.make_certificate()
        port = free_port()
        tls = f"listen 127.0.0.1:{port} ssl; ssl_certificate cert.pem; ssl_certificate_key key.pem;"
        stage.write_main(server=tls)
        secure = structs.replace(stage.settings.proxy, site="https://shop.example", listen=f"127.0.0.1:{port}")
        proxy = NginxProxy(stage.layout, structs.replace(stage.settings, proxy=secure))
        assert proxy.install() is True
        assert proxy.switch(Slot.GREEN, reached=ignore).seen
        assert (proxy.observe().slot, proxy.observe().seen) == (Slot.GREEN, True)


KILLED_AT = [
    *[(way, point, 100) for way in RELOADING for point in RELOAD_POINTS],
    *[(SwitchWay.POINTER, point, percent) for point in POINTER_POINTS for percent in (100, 25)],
]


class TestDeathOfNginx:
    @pytest.mark.parametrize(("way", "point", "percent"), KILLED_AT)
    def test_a_killed_nginx_starts_with_what_the_pointer_names(
        self, make_stage: MakeStage, way: SwitchWay, point: str, percent: int
    ) -> None:
        """Master and workers, at every point of a switch: the file, the pointer and the answers agree, and the next
        switch works."""
        stage = make_stage(way, steps=STEPS if way is SwitchWay.POINTER else (100,))
        stage.proxy.install()
        stage.proxy.switch(Slot.BLUE, reached=ignore)
        hasty = NginxProxy(stage.layout, self._hasty(stage))
        switched = hasty.switch(Slot.GREEN, percent=percent, reached=_call_at(point, stage.kill))
        assert switched.seen is False
        stage.start()
        view = stage.proxy.observe()
        split = read_split(stage.layout.pointer)
        assert (view.slot, view.split, view.seen) == (read_pointer(stage.layout.pointer), split, True)
        assert view.disagreement == ""
        moved = point not in {"before_reload", "before_pointer"} or switched.effect is Effect.AT_REST
        assert (view.slot, split is not None) == (
            (Slot.GREEN, False) if moved and percent == 100 else (Slot.BLUE, moved and percent != 100)
        )
        answered = set(ask_all(stage, make_clients(60)))
        assert answered == ({"blue", "green"} if split else {view.slot.value if view.slot else ""})
        for to in (Slot.GREEN, Slot.BLUE):
            assert stage.proxy.switch(to, reached=ignore).seen

    def _hasty(self, stage: NginxStage) -> Settings:
        proxy = structs.replace(stage.settings.proxy, seen_timeout_s=0.5)
        return structs.replace(stage.settings, proxy=proxy)


class TestDisagreement:
    @pytest.mark.parametrize("way", RELOADING)
    def test_a_file_that_nginx_has_not_loaded_is_told_with_both_values(
        self, make_stage: MakeStage, way: SwitchWay
    ) -> None:
        """A death between the file and the reload; the switch to what is answered repairs it."""
        stage = make_stage(way)
        stage.proxy.install()
        stage.proxy.switch(Slot.BLUE, reached=ignore)
        with pytest.raises(Death):
            stage.proxy.switch(Slot.GREEN, reached=_die_at("before_reload"))
        view = stage.proxy.observe()
        assert view.slot is Slot.BLUE
        assert view.disagreement == "the route's file names green, but nginx answers from blue"
        assert stage.proxy.switch(view.slot, reached=ignore).seen
        assert (stage.proxy.observe().slot, stage.proxy.observe().disagreement) == (Slot.BLUE, "")

    @pytest.mark.parametrize("way", RELOADING)
    def test_a_pointer_that_was_left_behind_is_told_and_repaired(self, make_stage: MakeStage, way: SwitchWay) -> None:
        """The file is renamed first; a death before the pointer leaves it on the old slot."""
        stage = make_stage(way)
        stage.proxy.install()
        stage.proxy.switch(Slot.GREEN, reached=ignore)
        move_pointer(stage.layout.pointer, Slot.BLUE)
        assert stage.proxy.observe().disagreement == "the pointer names blue, but nginx answers from green"
        assert stage.proxy.switch(Slot.GREEN, reached=ignore).seen
        assert (read_pointer(stage.layout.pointer), stage.proxy.observe().disagreement) == (Slot.GREEN, "")


class TestReloading:
    @pytest.mark.parametrize("way", RELOADING)
    def test_a_refused_reload_is_found_named_and_put_back(self, make_stage: MakeStage, way: SwitchWay) -> None:
        """A listen that somebody else holds: `nginx -t` exits 0, the master refuses, blue goes on serving."""
        stage = make_stage(way)
        stage.proxy.install()
        stage.proxy.switch(Slot.BLUE, reached=ignore)
        before = _route_texts(stage)
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", 0))
            holder.listen()
            taken = holder.getsockname()[1]
            (stage.conf / "sites" / "other.conf").write_text(f"server {{ listen 127.0.0.1:{taken}; }}\n")
            switched = stage.proxy.switch(Slot.GREEN, reached=ignore)
        assert (switched.seen, switched.effect) == (False, Effect.NONE)
        assert f"127.0.0.1:{taken} failed" in switched.reason
        assert stage.proxy.observe().slot is Slot.BLUE
        assert _route_texts(stage) == before
        (stage.conf / "sites" / "other.conf").unlink()
        assert stage.proxy.switch(Slot.GREEN, reached=ignore).seen

    @pytest.mark.parametrize("way", RELOADING)
    def test_a_configuration_broken_by_others_moves_nothing(self, make_stage: MakeStage, way: SwitchWay) -> None:
        """Validation comes before the move: no point is reached, the route's file stays."""
        stage = make_stage(way)
        stage.proxy.install()
        stage.proxy.switch(Slot.BLUE, reached=ignore)
        before = _route_texts(stage)
        broken = stage.conf / "sites" / "broken.conf"
        broken.write_text("server {\n    lisen 80;\n}\n")
        passed: list[str] = []
        switched = stage.proxy.switch(Slot.GREEN, reached=passed.append)
        assert (switched.seen, switched.effect, passed) == (False, Effect.NONE, [])
        assert f"{broken}:2" in switched.reason
        assert _route_texts(stage) == before

    @pytest.mark.parametrize("way", RELOADING)
    def test_the_live_files_are_valid_at_every_point(self, make_stage: MakeStage, way: SwitchWay) -> None:
        """A reboot at any point starts nginx."""
        stage = make_stage(way)
        stage.proxy.install()
        stage.proxy.switch(Slot.BLUE, reached=ignore)
        levels: list[FindingLevel] = []
        stage.proxy.switch(Slot.GREEN, reached=lambda _: levels.extend(found.level for found in stage.proxy.check()))
        assert levels == [FindingLevel.OK] * len(RELOAD_POINTS)

    @pytest.mark.parametrize("way", RELOADING)
    def test_a_death_between_move_and_reload_is_mended_by_the_next_switch(
        self, make_stage: MakeStage, way: SwitchWay
    ) -> None:
        """The file names green, the workers still serve blue: the same switch again reloads."""
        stage = make_stage(way)
        stage.proxy.install()
        stage.proxy.switch(Slot.BLUE, reached=ignore)

        with pytest.raises(Death):
            stage.proxy.switch(Slot.GREEN, reached=_die_at("before_reload"))
        assert stage.proxy.observe().slot is Slot.BLUE
        assert stage.proxy.switch(Slot.GREEN, reached=ignore).seen
        assert stage.proxy.observe().slot is Slot.GREEN

    @pytest.mark.parametrize("way", RELOADING)
    def test_no_new_request_reaches_the_old_slot_after_a_switch(self, make_stage: MakeStage, way: SwitchWay) -> None:
        """Old workers take no new connection any more when switch returns."""
        stage = make_stage(way)
        stage.proxy.install()
        for to in (Slot.BLUE, Slot.GREEN, Slot.BLUE):
            stage.proxy.switch(to, reached=ignore)
            traffic = stage.proxy.traffic()
            assert [stage.visit() for _ in range(20)] == [200] * 20
            hits = list(read_hits(traffic))
            while len(hits) < 20:
                hits += read_hits(traffic)
            assert {hit.slot for hit in hits} == {to}

    def test_when_a_switch_returns_no_old_worker_takes_new_work(self, make_stage: MakeStage) -> None:
        """Stopping the old slot earlier cost 480 × 502 in 5,200 requests. nginx tells its old workers 100 ms after the
        new ones serve, so a look alone proves nothing."""
        stage = make_stage(SwitchWay.INCLUDE)
        stage.proxy.install()
        process = NginxProcess(binary=NGINX, config=stage.main)
        with stage.visitors() as visitors:
            for to in [Slot.BLUE, Slot.GREEN] * 3:
                old = process.read_working()
                assert stage.proxy.switch(to, reached=ignore).seen
                assert process.read_working().isdisjoint(old)
                visitors.await_more(5)
        assert visitors.failures + visitors.lost == []


ERROR_PAGE = "error_page 502 504 /50x.html; location = /50x.html { %s return 200 sorry; }"


class TestInstall:
    @pytest.mark.parametrize("server", ["", ERROR_PAGE.replace("%s", "")])
    def test_the_first_install_needs_no_running_app(self, make_stage: MakeStage, server: str) -> None:
        """Nothing listens yet, and an error page of the site may hide nginx's own 502 from the route's log."""
        stage = make_stage()
        stage.write_main(server=server)
        for slot in stage.slots.values():
            slot.close()
        assert stage.proxy.install() is True
        assert stage.proxy.observe().slot is None

    def test_files_in_place_that_nginx_has_not_loaded_are_loaded(self, make_stage: MakeStage) -> None:
        """A death between writing and reloading leaves them so."""
        stage = make_stage()
        for file in stage.proxy.render():
            file.path.parent.mkdir(parents=True, exist_ok=True)
            file.path.write_text(file.text)
        assert stage.proxy.install() is True
        assert stage.proxy.observe().seen is True
        assert stage.proxy.install() is False

    def test_changing_the_way_keeps_the_route(self, make_stage: MakeStage) -> None:
        """pointer → symlink → include → pointer, green all along."""
        stage = make_stage()
        stage.proxy.install()
        stage.proxy.switch(Slot.GREEN, reached=ignore)
        for way in (SwitchWay.SYMLINK, SwitchWay.INCLUDE, SwitchWay.POINTER, SwitchWay.SYMLINK):
            proxy = NginxProxy(stage.layout, stage.settings_for(way))
            assert proxy.install() is True
            assert proxy.observe().slot is Slot.GREEN

    def test_a_refused_install_leaves_what_was_there(self, make_stage: MakeStage) -> None:
        """The proxy's own checker speaks before a file is in place."""
        stage = make_stage()
        stage.write_main(server="nonsense on;")
        with pytest.raises(StepError) as caught:
            stage.proxy.install()
        assert caught.value.code == "proxy_config_refused"
        assert "nonsense" in caught.value.what
        assert not (stage.conf / "celadon" / "shop-one" / "http.conf").exists()

    @pytest.mark.parametrize("way", [SwitchWay.POINTER, SwitchWay.SYMLINK, SwitchWay.INCLUDE])
    def test_nginx_takes_what_is_there_after_each_file_of_an_install(
        self, make_stage: MakeStage, way: SwitchWay
    ) -> None:
        """Another app's reload, or a reboot, may come between two files: shares and previews come, and go again."""
        stage = make_stage(way)
        stage.proxy.install()
        stage.proxy.switch(Slot.BLUE, reached=ignore)
        proxy = structs.replace(stage.settings.proxy, preview=True)
        steps = STEPS if way is SwitchWay.POINTER else (100,)
        more = structs.replace(stage.settings, proxy=proxy, switch=SwitchSettings(steps=steps))
        with _Recording(sorted((stage.conf / "celadon" / "shop-one").glob("*.conf"))) as seen:
            for settings in (more, stage.settings):
                assert NginxProxy(stage.layout, settings).install() is True
        assert len(seen.states) > 2
        for state in seen.states:
            instead = dict(zip(seen.paths, state, strict=True))
            judged = judge_staged(NGINX, stage.main, instead=instead, scratch=stage.layout.home)
            assert judged.ok, judged.said

    def test_the_sites_own_access_log_goes_on(self, make_stage: MakeStage) -> None:
        """An access_log in a location replaces inherited ones, so the route repeats them."""
        stage = make_stage(server="access_log own.log combined;")
        stage.proxy.install()
        stage.proxy.switch(Slot.BLUE, reached=ignore)
        stage.visit()
        deadline = time.monotonic() + 5
        while '"GET / HTTP/1.1" 200' not in (stage.base / "own.log").read_text() and time.monotonic() < deadline:
            time.sleep(0.001)
        assert '"GET / HTTP/1.1" 200' in (stage.base / "own.log").read_text()

    def test_nothing_of_ours_is_left_beside_the_files(self, make_stage: MakeStage) -> None:
        """Staging directories and partial files go."""
        stage = make_stage(SwitchWay.SYMLINK)
        stage.proxy.install()
        stage.proxy.switch(Slot.BLUE, reached=ignore)
        assert [*stage.base.rglob("*.partial")] == []


class TestCheck:
    def test_a_site_broken_by_others_is_named_with_file_and_line(self, make_stage: MakeStage) -> None:
        """Found before anything is touched."""
        stage = make_stage()
        stage.proxy.install()
        broken = stage.conf / "sites" / "broken.conf"
        broken.write_text("server {\n    lisen 80;\n}\n")
        [found] = stage.proxy.check()
        assert (found.level, found.subject) == (FindingLevel.PROBLEM, "config")
        assert f"{broken}:2" in found.text

    def test_a_site_that_includes_us_before_the_first_install_is_fine(self, make_stage: MakeStage) -> None:
        """The lines that check asks for must not make the next check fail."""
        for way in SwitchWay.POINTER, SwitchWay.SYMLINK, SwitchWay.INCLUDE:
            assert [found.level for found in make_stage(way).proxy.check()] == [FindingLevel.OK]

    def test_a_site_without_our_lines_gets_them_as_a_diff(self, make_stage: MakeStage) -> None:
        """The change is the user's to make; the diff applies as it stands."""
        stage = make_stage()
        stage.write_main(include=False)
        [found] = stage.proxy.check()
        assert found.subject == "site"
        assert f"\n+    include {stage.conf}/celadon/*/http.conf;" in found.fix
        assert f"\n+        include {stage.conf}/celadon/shop-one/route.conf;" in found.fix
        with pytest.raises(StepError) as caught:
            stage.proxy.install()
        assert caught.value.code == "proxy_not_included"

    def test_the_diff_takes_nothing_away_but_the_old_proxy_pass(self, make_stage: MakeStage) -> None:
        """In the site's own file, and in no other, whatever stands on the same line there."""
        stage = make_stage()
        stage.write_main(include=False)
        site = stage.conf / "sites" / "shop.conf"
        lines = site.read_text().splitlines()
        lines.insert(lines.index("    location / {") + 1, "        proxy_pass http://127.0.0.1:9;")
        site.write_text("\n".join(lines) + "\n")
        [found] = stage.proxy.check()
        removed = [line for line in found.fix.splitlines() if line.startswith("-") and not line.startswith("---")]
        assert removed == ["-        proxy_pass http://127.0.0.1:9;"]

    def test_a_hand_edit_is_shown_and_never_overwritten(self, make_stage: MakeStage) -> None:
        """Somebody had a reason."""
        stage = make_stage()
        stage.proxy.install()
        route = stage.conf / "celadon" / "shop-one" / "route.conf"
        route.write_text(route.read_text() + "proxy_read_timeout 5s;\n")
        [found] = stage.proxy.check()
        assert found.subject == "hand edit"
        assert "-proxy_read_timeout 5s;" in found.text
        with pytest.raises(StepError) as caught:
            stage.proxy.install()
        assert caught.value.code == "proxy_hand_edited"
        assert "proxy_read_timeout 5s;" in route.read_text()

    def test_an_error_page_that_would_hide_failures_is_a_warning_with_the_line_that_helps(
        self, make_stage: MakeStage
    ) -> None:
        """nginx's own 502 would be logged by the error page's location only."""
        stage = make_stage()
        stage.proxy.install()
        stage.write_main(server=ERROR_PAGE.replace("%s", ""))
        [found] = stage.proxy.check()
        assert (found.level, found.subject) == (FindingLevel.WARNING, "error page")
        stage.write_main(server=ERROR_PAGE.replace("%s", found.fix.partition(": ")[2]))
        assert [found.level for found in stage.proxy.check()] == [FindingLevel.OK]

    def test_a_log_line_that_does_not_arrive_is_told(self, make_stage: MakeStage) -> None:
        """A probe request of ours is looked up there; it goes to what answers, and is no route."""
        stage = make_stage()
        assert [found.subject for found in stage.proxy.check()] == ["nginx"]
        stage.proxy.install()
        assert [found.subject for found in stage.proxy.check()] == ["nginx"]
        elsewhere = structs.replace(stage.settings.proxy, listen=str(stage.slots[Slot.BLUE].address))
        [found] = NginxProxy(stage.layout, structs.replace(stage.settings, proxy=elsewhere)).check()
        assert (found.level, found.subject) == (FindingLevel.WARNING, "access log")
        assert str(stage.layout.access_log) in found.text

    def test_a_log_format_of_the_owner_is_read(self, make_stage: MakeStage) -> None:
        """Before the first switch, for a baseline; hostile words of a client change nothing in it."""
        stage = make_stage()
        stage.proxy.install()
        stage.proxy.switch(Slot.GREEN, reached=ignore)
        fields = {"ip": "$remote_addr", "code": "$status", "req": "$request", "up": "$upstream_addr"}
        own = f"log_format own escape=json '{json.dumps(fields)}';"
        stage.write_main(http=own, server="access_log own.log own; access_log two.log;")
        stage.proxy.install()
        slots = {str(stage.slots[slot].address): slot for slot in Slot}
        for words, slot in ((("own.log", "own"), Slot.GREEN), (("two.log",), None)):
            log = describe_log(read_config(stage.main), words)
            assert log is not None
            found = recognise(log.text or COMBINED, escape=log.escape, slots=slots)
            assert found.parse is not None, found.why
            traffic = JsonLinesTraffic(stage.base / words[0], mark="", parse=found.parse)
            forged = '"} {"code":"500"} " 500 0 "-" "-"'
            stage.ask("127.0.0.8", {"User-Agent": forged, "Referer": forged, "Authorization": "Basic IiA1MDAgMCAiOng="})
            [hit] = read_hits(traffic)
            assert (hit.status, hit.client_key, hit.route, hit.slot) == (200, "127.0.0.8", "GET /", slot)
            traffic.close()

    def test_a_look_path_that_misses_the_route_says_so(self, make_stage: MakeStage) -> None:
        """An answer that is not this app's route is never taken for one."""
        stage = make_stage()
        stage.write_main(server="location = / { return 204; }")
        with pytest.raises(StepError) as caught:
            NginxProxy(stage.layout, stage.settings_for(SwitchWay.POINTER, seen_timeout_s=0.2)).install()
        assert "not by this app's route" in caught.value.what
        assert not (stage.conf / "celadon" / "shop-one" / "route.conf").exists()


class _Recording:
    """All the states of some files that were there together, as a reader finds them."""

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths
        self.states: set[tuple[str, ...]] = set()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._record)

    def __enter__(self) -> "_Recording":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _read(self) -> tuple[str, ...]:
        return tuple(path.read_text() for path in self.paths)

    def _record(self) -> None:
        while not self._done.is_set():
            state = self._read()
            if self._read() == state:
                self.states.add(state)


class Death(BaseException):
    """Of the one who switches."""


def _die_at(where: str) -> Callable[[str], None]:
    def die(point: str) -> None:
        if point == where:
            raise Death

    return die


def _call_at(where: str, act: Callable[[], None]) -> Callable[[str], None]:
    def call(point: str) -> None:
        if point == where:
            act()

    return call


def _route_texts(stage: NginxStage) -> dict[str, str]:
    return {path.name: path.read_text() for path in (stage.conf / "celadon" / "shop-one").iterdir()}
