"""The Caddy driver against a real Caddy."""

import contextlib
import os
import pwd
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from celadon.drivers.proxies.caddy import CaddyProxy
from celadon.drivers.proxies.caddy_log import ensure_log_writable
from celadon.drivers.proxies.headers import PREVIEW_HEADER
from celadon.drivers.proxies.hold import hold_configuration
from celadon.host.layout import Layout
from celadon.host.look_mark import read_secret
from celadon.host.pointer import read_pointer, route_path
from celadon.model.address import TcpAddress
from celadon.model.errors import StepError
from celadon.model.names import AppName, Slot
from celadon.model.observed import Effect, FindingLevel
from celadon.model.settings import SwitchWay
from tests.contract.caddy_server import CADDIES, CaddyStage
from tests.contract.preview_promises import PreviewPromises
from tests.contract.proxy_promises import POINTER_POINTS, RELOAD_POINTS, ProxyPromises, ignore, read_hits
from tests.contract.replica_promises import ReplicaPromises
from tests.contract.share_promises import STEPS, SharePromises
from tests.contract.slot_server import free_port

MakeStage = Callable[..., CaddyStage]
NEEDS_ROOT = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="a Caddy of another user needs root")]
ROLLED_AT_BYTES = 64 << 20


@pytest.fixture
def make_stage(tmp_path: Path) -> Iterator[MakeStage]:
    made: list[CaddyStage] = []
    # pytest's directories are for their owner only, and every start of pytest sees to that anew
    opened = Path(tempfile.mkdtemp(prefix="celadon-"))
    opened.chmod(0o755)

    def make(way: SwitchWay = SwitchWay.POINTER, *, user: str | None = None, **knobs: Any) -> CaddyStage:
        place = opened if user is not None else tmp_path
        made.append(CaddyStage(place / f"caddy{len(made)}", way=way, user=user, **knobs))
        return made[-1]

    yield make
    for stage in made:
        stage.close()
    shutil.rmtree(opened)


KINDS = ("pointer", "pointer-sockets", "reload", "reload-sockets", "pointer-nobody", "reload-nobody")


@pytest.fixture(
    params=[
        pytest.param(f"{caddy} {kind}", marks=NEEDS_ROOT if "nobody" in kind else [])
        for caddy in CADDIES
        for kind in KINDS
    ]
)
def stage(request: pytest.FixtureRequest, make_stage: MakeStage) -> CaddyStage:
    caddy, _, rest = request.param.partition(" ")
    way, _, kind = rest.partition("-")
    user = "nobody" if kind == "nobody" else None
    return make_stage(SwitchWay(way), sockets=kind == "sockets", user=user, caddy=caddy)


class TestCaddy(ProxyPromises):
    """Both ways keep the promises, for ports and for sockets, and where Caddy runs as a user of its own."""

    def test_an_installed_proxy_survives_a_restart_of_caddy(self, stage: CaddyStage) -> None:
        """What is on disk is the route."""
        stage.proxy.install()
        stage.proxy.switch(Slot.GREEN, reached=ignore)
        stage.stop()
        view = stage.proxy.observe()
        assert (view.slot, view.seen) == (Slot.GREEN, False)
        stage.start()
        view = stage.proxy.observe()
        assert (view.slot, view.seen) == (Slot.GREEN, True)

    def test_an_answer_of_500_is_not_seen(self, stage: CaddyStage) -> None:
        """A candidate that fails through the proxy has not taken over."""
        proxy = CaddyProxy(stage.layout, stage.settings_for(stage.settings.proxy.switch, seen_timeout_s=1.5))
        proxy.install()
        stage.slots[Slot.GREEN].status = 500
        switched = proxy.switch(Slot.GREEN, reached=ignore)
        assert switched.seen is False
        assert "500" in switched.reason

    def test_a_broken_neighbour_is_named_before_anything_is_touched(self, stage: CaddyStage) -> None:
        """With Caddy's own words, and install refuses."""
        stage.write_main(neighbour="http://other.example {\n\tnonsense on\n}\n")
        found = stage.proxy.check()
        assert [each.level for each in found] == [FindingLevel.PROBLEM]
        assert re.fullmatch(r"adapting config using caddyfile: \S+Caddyfile:\d+: .*nonsense.*", found[0].text)
        with pytest.raises(StepError) as caught:
            stage.proxy.install()
        assert caught.value.code == "proxy_config_refused"
        assert list((stage.conf / "celadon").iterdir()) == []

    def test_a_site_that_does_not_import_us_is_told_the_line(self, stage: CaddyStage) -> None:
        """And nothing is put in place for it to miss."""
        stage.write_main(imported=False)
        found = [each for each in stage.proxy.check() if each.level is FindingLevel.PROBLEM]
        assert [each.subject for each in found] == ["site"]
        assert f"import {stage.conf}/celadon/shop-one.caddy" in found[0].fix

    def test_a_hand_edit_is_shown_and_refused(self, stage: CaddyStage) -> None:
        """The edit stays: it may be somebody's midnight repair."""
        stage.proxy.install()
        snippet = stage.conf / "celadon" / "shop-one.log"
        edited = snippet.read_text().replace("roll_keep 2", "roll_keep 9")
        snippet.write_text(edited)
        found = [each for each in stage.proxy.check() if each.level is FindingLevel.PROBLEM]
        assert "-\t\troll_keep 9" in found[0].text
        with pytest.raises(StepError, match="edited by hand"):
            stage.proxy.install()
        assert snippet.read_text() == edited


class TestReplicas(ReplicaPromises):
    """Of both ways and both versions."""

    @pytest.fixture(params=["2.11 pointer", "2.11 reload", "2.6 pointer"])
    def stage(self, request: pytest.FixtureRequest, make_stage: MakeStage) -> CaddyStage:
        caddy, _, way = request.param.partition(" ")
        return make_stage(SwitchWay(way), caddy=caddy, replicas=2)


class TestShares(SharePromises):
    """Only where Caddy reads files by name: 2.8 and later."""

    @pytest.fixture(params=[False, True], ids=["ports", "sockets"])
    def stage(self, request: pytest.FixtureRequest, make_stage: MakeStage) -> CaddyStage:
        return make_stage(sockets=request.param, steps=STEPS)


def test_a_request_that_has_found_a_share_finds_its_place_after_the_pointer_moved(make_stage: MakeStage) -> None:
    """Caddy looks twice: at the share's mark and at the place. Between the two the route may become whole."""
    stage = make_stage(steps=STEPS)
    stage.proxy.install()
    for slot in Slot:
        whole = route_path(stage.layout.pointer, slot)
        read = {path.read_text() for path in whole.glob("[0-9][0-9]")}
        assert read == {str(stage.settings.web.address(slot)).rpartition(":")[2]}
        assert len([*whole.glob("[0-9][0-9]")]) == 100


class TestPreview(PreviewPromises):
    """In both ways and both versions."""

    @pytest.fixture(params=[f"{caddy} {way}" for caddy in CADDIES for way in ("pointer", "reload")])
    def stage(self, request: pytest.FixtureRequest, make_stage: MakeStage) -> CaddyStage:
        caddy, _, way = request.param.partition(" ")
        return make_stage(SwitchWay(way), caddy=caddy, preview=True)


@pytest.mark.parametrize("caddy", CADDIES)
@pytest.mark.parametrize("guarded", [False, True])
def test_an_admin_socket_is_spoken_to_with_and_without_enforce_origin(
    make_stage: MakeStage, caddy: str, *, guarded: bool
) -> None:
    """The one asks for an Origin, the other refuses any."""
    stage = make_stage(caddy=caddy, guarded=guarded)
    assert stage.proxy.install() is True
    assert stage.proxy.observe().seen


def test_a_configuration_broken_by_others_moves_nothing(make_stage: MakeStage) -> None:
    """Caddy judges the whole before anything is moved in."""
    stage = make_stage(SwitchWay.RELOAD)
    stage.proxy.install()
    stage.proxy.switch(Slot.BLUE, reached=ignore)
    before = {path: path.read_bytes() for path in (stage.conf / "celadon").iterdir()}
    stage.write_main(neighbour="http://other.example {\n\tnonsense on\n}\n")
    passed: list[str] = []
    switched = stage.proxy.switch(Slot.GREEN, reached=passed.append)
    assert (switched.seen, switched.effect, passed) == (False, Effect.NONE, [])
    assert "nonsense" in switched.reason
    assert {path: path.read_bytes() for path in (stage.conf / "celadon").iterdir()} == before


def test_a_refused_reload_is_named_and_put_back(make_stage: MakeStage) -> None:
    """A port that somebody else holds passes `caddy validate` and fails the load."""
    stage = make_stage(SwitchWay.RELOAD)
    stage.proxy.install()
    stage.proxy.switch(Slot.BLUE, reached=ignore)
    taken = stage.slots[Slot.BLUE].address
    stage.write_main(neighbour=f"http://{taken} {{\n\trespond hi\n}}\n")
    switched = stage.proxy.switch(Slot.GREEN, reached=ignore)
    assert (switched.seen, switched.effect) == (False, Effect.NONE)
    assert "address already in use" in switched.reason
    assert stage.proxy.observe().slot is Slot.BLUE
    stage.write_main()
    assert stage.proxy.switch(Slot.GREEN, reached=ignore).seen


@pytest.mark.parametrize("path", ["{}/logs/other.log", '"{}/their logs/other.log"', "`{}/their logs/other.log`"])
def test_a_check_makes_no_log(make_stage: MakeStage, path: str) -> None:
    """Ours or a neighbour's: made by root it would keep a Caddy of another user from its next start."""
    stage = make_stage()
    log = path.format(stage.base)
    stage.write_main(neighbour=f"http://other.example {{\n\tlog {{\n\t\toutput file {log}\n\t}}\n}}\n")
    assert [found.level for found in stage.proxy.check()] == [FindingLevel.OK]
    assert not Path(log.strip('"`')).exists()
    assert not stage.layout.access_log.exists()


def test_a_log_that_somebody_has_put_away_is_told_with_the_way_back(make_stage: MakeStage) -> None:
    """Caddy goes on with the file that it has open: renamed, it is put back as told; removed, Caddy has to open it."""
    stage = make_stage()
    log, away = stage.layout.access_log, stage.layout.access_log.with_name("access.log.1")
    stage.proxy.install()
    stage.proxy.switch(Slot.GREEN, reached=ignore)
    log.rename(away)
    log.touch()
    [found] = [each for each in stage.proxy.check() if each.level is FindingLevel.PROBLEM]
    assert f"goes on writing to {away}" in found.text
    subprocess.run(["sh", "-c", found.fix], check=True)
    assert [each.level for each in stage.proxy.check()] == [FindingLevel.OK]
    log.unlink()
    [found] = [each for each in stage.proxy.check() if each.level is FindingLevel.PROBLEM]
    assert found.fix == "restart Caddy"


class TestCaddyOfAnotherUser:
    """Packaged Caddy is `caddy`, Celadon is root."""

    pytestmark = NEEDS_ROOT

    @pytest.mark.parametrize("begun", ["by nobody", "by root"])
    def test_its_log_is_its_own_and_can_be_rolled(self, make_stage: MakeStage, begun: str) -> None:
        """Whoever began it; no line is lost by the roll."""
        stage = make_stage(user="nobody")
        log = stage.layout.access_log
        if begun == "by root":
            log.parent.mkdir()
            log.touch()
        stage.proxy.install()
        stage.proxy.switch(Slot.GREEN, reached=ignore)
        assert [(path.owner(), path.group()) for path in (log.parent, log)] == [("nobody", "nogroup")] * 2
        stage.stop()
        os.truncate(log, ROLLED_AT_BYTES)
        stage.start()
        traffic = stage.proxy.traffic()
        stage.visit()
        assert [hit.slot for hit in read_hits(traffic)] == [Slot.GREEN]
        assert log.stat().st_size < ROLLED_AT_BYTES
        traffic.close()

    def test_root_that_holds_its_socket_too_does_not_hide_it(self, tmp_path: Path) -> None:
        """As systemd does, which keeps the socket that it has opened for a program."""
        log = tmp_path / "traffic" / "access.log"
        with socket.create_server(("127.0.0.1", 0)) as listener:
            holder = subprocess.Popen(["sleep", "60"], user="nobody", pass_fds=[listener.fileno()])
            try:
                ensure_log_writable(log, listen=TcpAddress(port=listener.getsockname()[1]))
            finally:
                holder.kill()
                holder.wait()
        assert log.parent.owner() == "nobody"

    @pytest.mark.parametrize("link", [os.symlink, os.link])
    def test_a_link_in_the_place_of_its_log_gives_nothing_away(
        self, make_stage: MakeStage, link: Callable[[Path, Path], None]
    ) -> None:
        """The directory is the user's, so the user could name a file of root's there."""
        stage = make_stage(user="nobody")
        secret = stage.base / "secret"
        secret.write_text("root's")
        stage.layout.access_log.parent.mkdir()
        link(secret, stage.layout.access_log)
        with pytest.raises(StepError, match="permission denied"):
            stage.proxy.install()
        assert (secret.owner(), secret.read_text()) == ("root", "root's")

    def test_a_directory_that_it_cannot_pass_is_told(self, make_stage: MakeStage) -> None:
        """With the command that opens it; root's umask of 077 makes such ones."""
        stage = make_stage(user="nobody")
        stage.layout.home.chmod(0o700)
        found = stage.proxy.check()
        assert [(each.level, each.fix) for each in found] == [(FindingLevel.PROBLEM, f"chmod o+x {stage.layout.home}")]

    def test_an_ordinary_user_is_told_what_to_give_to_it(self, make_stage: MakeStage) -> None:
        """Before anything is touched; once it is given, all is well."""
        stage = make_stage(user="nobody")
        directory = stage.layout.access_log.parent
        with acting_as("daemon"):
            found = stage.proxy.check()
        assert [each.level for each in found] == [FindingLevel.PROBLEM]
        assert found[0].fix == f"mkdir -p {directory} && sudo chown nobody: {directory}"
        directory.mkdir()
        shutil.chown(directory, "nobody")
        with acting_as("daemon"):
            assert [each.level for each in stage.proxy.check()] == [FindingLevel.OK]

    @pytest.mark.parametrize("user", ["root", "daemon"])
    def test_an_ordinary_user_whose_caddy_can_write_is_asked_for_nothing(
        self, make_stage: MakeStage, user: str
    ) -> None:
        """A Caddy of root's, and the user's own."""
        stage = make_stage(user=user)
        with acting_as("daemon"):
            assert [each.level for each in stage.proxy.check()] == [FindingLevel.OK]


@contextlib.contextmanager
def acting_as(name: str) -> Iterator[None]:
    """This process, as another user, and root again afterwards."""
    user, groups = pwd.getpwnam(name), os.getgroups()
    os.setgroups([])
    os.setresgid(user.pw_gid, user.pw_gid, 0)
    os.setresuid(user.pw_uid, user.pw_uid, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)
        os.setresgid(0, 0, 0)
        os.setgroups(groups)


class Death(BaseException):
    """Of the deploying process, at a point of a switch."""


@pytest.mark.parametrize("point", RELOAD_POINTS)
@pytest.mark.parametrize("kind", ["2.11 pointer", "2.6 pointer", "2.11 reload", "2.6 reload"])
def test_caddy_killed_at_any_point_of_a_switch_serves_what_the_pointer_names(
    make_stage: MakeStage, kind: str, point: str
) -> None:
    """Celadon dies there too. Started again, Caddy and the disk say the same; the next switch works."""
    caddy, _, way = kind.partition(" ")
    stage = make_stage(SwitchWay(way), caddy=caddy)
    stage.proxy.install()
    stage.proxy.switch(Slot.BLUE, reached=ignore)

    def die(reached: str) -> None:
        if reached == point:
            stage.kill()
            raise Death

    if point in (RELOAD_POINTS if stage.reloads else POINTER_POINTS):
        with pytest.raises(Death):
            stage.proxy.switch(Slot.GREEN, reached=die)
        stage.start()
    view = stage.proxy.observe()
    assert (view.slot, view.seen, view.disagreement) == (read_pointer(stage.layout.pointer), True, "")
    assert view.slot is not None
    assert stage.ask("127.0.9.9")[1] == view.slot.value
    assert stage.proxy.switch(Slot.GREEN, reached=ignore).seen


def test_a_pointer_that_says_otherwise_is_told_with_both_values(make_stage: MakeStage) -> None:
    """A death between the move and the reload: the disk names green, Caddy serves blue."""
    stage = make_stage(SwitchWay.RELOAD)
    stage.proxy.install()
    stage.proxy.switch(Slot.BLUE, reached=ignore)

    def die(point: str) -> None:
        if point == "before_reload":
            raise Death

    with pytest.raises(Death):
        stage.proxy.switch(Slot.GREEN, reached=die)
    view = stage.proxy.observe()
    assert (view.slot, view.seen) == (Slot.BLUE, True)
    assert "names green" in view.disagreement
    assert "from blue" in view.disagreement
    assert stage.proxy.switch(Slot.BLUE, reached=ignore).seen
    assert stage.proxy.observe().disagreement == ""


def test_two_apps_behind_one_caddy_switch_at_once(make_stage: MakeStage) -> None:
    """By reload: neither loads a configuration that lacks what the other has just written, and neither touches the
    other's files."""
    stage = make_stage(SwitchWay.RELOAD)
    other = Neighbour(stage)
    stage.write_main(neighbour=other.block)
    for proxy in (stage.proxy, other.proxy):
        proxy.install()
        assert proxy.switch(Slot.BLUE, reached=ignore).seen
    for to in [Slot.GREEN, Slot.BLUE] * 4:
        with ThreadPoolExecutor() as pool:
            switching = [pool.submit(each.switch, to, reached=ignore) for each in (stage.proxy, other.proxy)]
            assert [each.result().seen for each in switching] == [True, True]
        assert [each.observe().slot for each in (stage.proxy, other.proxy)] == [to, to]


def test_nothing_is_loaded_while_another_app_holds_the_configuration(make_stage: MakeStage) -> None:
    """Else what the one has adapted would be loaded after what the other has adapted later."""
    stage = make_stage(SwitchWay.RELOAD)
    stage.proxy.install()
    stage.proxy.switch(Slot.BLUE, reached=ignore)
    before = threading.Event()
    with ThreadPoolExecutor() as pool:
        with hold_configuration(stage.settings.proxy):
            switching = pool.submit(
                stage.proxy.switch, Slot.GREEN, reached=lambda point: before.set() if point == "before_reload" else None
            )
            assert before.wait(20)
            until = time.monotonic() + 1
            while time.monotonic() < until:
                assert stage.ask("127.0.5.5") == (200, "blue")
        assert switching.result().seen


def test_a_refusal_of_one_app_does_not_undo_what_another_has_changed(make_stage: MakeStage) -> None:
    """What is put back is its own."""
    stage = make_stage(SwitchWay.RELOAD)
    other = Neighbour(stage)
    stage.write_main(neighbour=other.block)
    for proxy in (stage.proxy, other.proxy):
        proxy.install()
        assert proxy.switch(Slot.BLUE, reached=ignore).seen
    taken = stage.slots[Slot.BLUE].address
    clash = f"http://{taken} {{\n\trespond hi\n}}\n"

    def break_it(point: str) -> None:
        if point == "before_pointer":
            assert other.proxy.switch(Slot.GREEN, reached=ignore).seen
            stage.write_main(neighbour=other.block + clash)

    assert not stage.proxy.switch(Slot.GREEN, reached=break_it).seen
    stage.write_main(neighbour=other.block)
    assert (stage.proxy.observe().slot, other.proxy.observe().slot) == (Slot.BLUE, Slot.GREEN)


@pytest.mark.parametrize("caddy", CADDIES)
def test_imports_from_elsewhere_are_judged_with_ours(make_stage: MakeStage, caddy: str) -> None:
    """The site may lie anywhere; nothing of what was staged is left."""
    stage = make_stage(caddy=caddy)
    elsewhere = stage.base / "sites"
    elsewhere.mkdir()
    text = stage.main.read_text()
    head, _, site = text.partition("\n\n")
    (elsewhere / "shop.caddy").write_text(site.replace("celadon/shop-one*", "../conf/celadon/shop-one*"))
    stage.main.write_text(f"{head}\n\nimport {elsewhere}/*.caddy\n")
    assert [found.level for found in stage.proxy.check()] == [FindingLevel.OK]
    stage.proxy.install()
    assert stage.proxy.switch(Slot.GREEN, reached=ignore).seen
    assert [*stage.layout.home.glob("*.partial")] == []


def test_what_a_death_in_the_checker_left_goes_with_the_next(make_stage: MakeStage) -> None:
    """It lies under the app's home, worthless by its name."""
    stage = make_stage()
    left = stage.layout.home / "caddy-999999999.partial"
    left.mkdir()
    stage.proxy.check()
    assert not left.exists()


class TestCheck:
    def test_an_admin_port_is_a_warning_with_the_lines_that_close_it(self, make_stage: MakeStage) -> None:
        """CVE-2026-27589: a page in a browser on this machine could load a configuration."""
        stage = make_stage()
        head, _, rest = stage.main.read_text().partition("\tauto_https")
        stage.main.write_text("{\n\tadmin localhost:2019\n\tauto_https" + rest)
        found = [each for each in stage.proxy.check() if each.level is FindingLevel.WARNING]
        assert [(each.subject, "admin unix//run/caddy/admin.sock" in each.fix) for each in found] == [("admin", True)]
        assert "localhost:2019" in found[0].text
        assert head

    def test_the_way_that_reloads_tells_what_it_loses(self, make_stage: MakeStage) -> None:
        """Measured, as a number."""
        found = make_stage(SwitchWay.RELOAD).proxy.check()
        assert any("23 of 103,560" in each.text for each in found)

    def test_shares_before_2_8_are_refused_with_the_reason(self, make_stage: MakeStage) -> None:
        """Not at the first step of a deploy."""
        found = make_stage(caddy="2.6", steps=STEPS).proxy.check()
        assert [each.subject for each in found if each.level is FindingLevel.PROBLEM] == ["shares"]

    def test_a_route_that_no_look_reaches_is_told(self, make_stage: MakeStage) -> None:
        """The line of a probe request must arrive."""
        stage = make_stage()
        stage.proxy.install()
        stage.write_main(imported=False)
        stage.stop()
        stage.start()
        stage.write_main()
        found = [each for each in stage.proxy.check() if each.level is FindingLevel.PROBLEM]
        assert [each.subject for each in found] == ["access log"]

    def test_a_log_of_the_sites_own_before_2_8_is_told(self, make_stage: MakeStage) -> None:
        """There Caddy keeps one log a site, and ours would take its place unsaid."""
        stage = make_stage(caddy="2.6")
        stage.main.write_text(stage.main.read_text().replace("\timport celadon", "\tlog\n\timport celadon"))
        found = [each for each in stage.proxy.check() if each.level is FindingLevel.WARNING]
        assert [each.subject for each in found] == ["access log"]


@pytest.mark.parametrize("caddy", CADDIES)
def test_the_preview_secret_is_for_caddy_and_its_owner(make_stage: MakeStage, caddy: str) -> None:
    """Neither the snippet nor the log tells it to others; a Caddy of another user can read it at its start."""
    if os.geteuid() != 0:
        return
    stage = make_stage(user="nobody", caddy=caddy, preview=True)
    stage.proxy.install()
    stage.proxy.switch(Slot.BLUE, reached=ignore)
    secret = read_secret(stage.layout.preview_secret)
    assert stage.ask("127.0.5.6", {PREVIEW_HEADER: secret}) == (200, "green")
    holding = [path for path in (stage.conf / "celadon").iterdir() if secret in path.read_text()]
    assert [(path.name, path.group(), path.stat().st_mode & 0o777) for path in holding] == [
        ("shop-one.route", "nogroup", 0o640)
    ]
    stage.stop()
    assert secret not in stage.layout.access_log.read_text()
    stage.start()
    assert stage.proxy.observe().seen


class Neighbour:
    """Another app behind the same Caddy, with slots that are the first one's."""

    def __init__(self, stage: CaddyStage) -> None:
        port = free_port()
        layout = Layout(stage.base / "state", AppName("other"))
        layout.home.mkdir(parents=True)
        own = stage.settings
        proxy = replace(own.proxy, site=f"http://127.0.0.1:{port}", listen=f"127.0.0.1:{port}")
        self.proxy = CaddyProxy(layout, replace(own, app=layout.app, proxy=proxy))
        self.block = f"http://127.0.0.1:{port} {{\n\timport celadon/other.cadd*\n}}\n"
