"""The HAProxy driver against a real HAProxy."""

import errno
import os
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

import pytest
from msgspec.structs import replace

from celadon.drivers.proxies.accepted import accept_text, write_accepted
from celadon.drivers.proxies.haproxy import HaproxyProxy
from celadon.drivers.proxies.haproxy_adopt import HaproxyAdoption
from celadon.drivers.proxies.haproxy_process import HaproxyProcess, ask_runtime
from celadon.drivers.proxies.haproxy_sites import HaproxySites
from celadon.drivers.proxies.haproxy_text import KEY
from celadon.drivers.proxies.headers import LOOK_HEADER, SLOT_HEADER
from celadon.drivers.proxies.look import wait_until
from celadon.drivers.proxies.sealed import is_sealed
from celadon.host.pointer import move_pointer
from celadon.model.errors import StepError
from celadon.model.names import Slot
from celadon.model.observed import Effect, FindingLevel, Hit
from celadon.model.settings import SwitchWay
from tests.contract.haproxy_server import HAPROXY, HaproxyStage
from tests.contract.preview_promises import PreviewPromises
from tests.contract.proxy_promises import RELOAD_POINTS, ProxyPromises, ignore, read_hits
from tests.contract.share_promises import SharePromises

MakeStage = Callable[..., HaproxyStage]


@pytest.fixture
def make_stage(tmp_path: Path) -> Iterator[MakeStage]:
    made: list[HaproxyStage] = []

    def make(way: SwitchWay = SwitchWay.POINTER, **knobs: bool) -> HaproxyStage:
        made.append(HaproxyStage(tmp_path / f"h{len(made)}", way=way, **knobs))
        return made[-1]

    yield make
    for stage in made:
        stage.close()


@pytest.fixture(params=["pointer", "pointer-sockets", "reload"])
def stage(request: pytest.FixtureRequest, make_stage: MakeStage) -> HaproxyStage:
    way, _, kind = request.param.partition("-")
    return make_stage(SwitchWay(way), sockets=kind == "sockets")


class TestHaproxy(ProxyPromises):
    """Both ways keep the promises, for ports and for sockets."""


class TestShares(SharePromises):
    @pytest.fixture(params=["ports", "sockets"])
    def stage(self, request: pytest.FixtureRequest, make_stage: MakeStage) -> HaproxyStage:
        return make_stage(sockets=request.param == "sockets")


class TestPreview(PreviewPromises):
    @pytest.fixture
    def stage(self, make_stage: MakeStage) -> HaproxyStage:
        return make_stage()


class DiedError(Exception):
    """Stands for a death at a point of a switch."""


@pytest.mark.parametrize("point", ["before_pointer", "after_pointer"])
@pytest.mark.parametrize("percent", [100, 25])
def test_killed_at_any_point_of_a_switch_it_starts_with_the_pointers_route(
    make_stage: MakeStage, point: str, percent: int
) -> None:
    """Celadon and HAProxy die at once, as in a power cut."""
    stage = make_stage()
    stage.proxy.install()
    stage.proxy.switch(Slot.BLUE, reached=ignore)

    def die(passed: str) -> None:
        if passed == point:
            stage.kill()
            raise DiedError

    with pytest.raises(DiedError):
        stage.proxy.switch(Slot.GREEN, percent=percent, reached=die)
    at_rest = stage.proxy.observe()
    stage.start()
    view = stage.proxy.observe()
    assert (view.slot, view.split, view.seen, view.disagreement) == (at_rest.slot, at_rest.split, True, "")
    moved = point == "after_pointer"
    assert (view.slot is Slot.GREEN, view.split is not None) == (moved and percent == 100, moved and percent == 25)


def test_a_pointer_that_the_running_proxy_does_not_follow_is_told_and_mended(make_stage: MakeStage) -> None:
    """Celadon died between the two; what visitors have now is the truth."""
    stage = make_stage()
    stage.proxy.install()
    stage.proxy.switch(Slot.BLUE, reached=ignore)
    move_pointer(stage.layout.pointer, Slot.GREEN)
    view = stage.proxy.observe()
    assert (view.slot, view.seen) == (Slot.BLUE, True)
    assert view.disagreement == "the pointer names green, the running haproxy routes to blue"
    assert stage.proxy.switch(view.slot or Slot.GREEN, reached=ignore).seen
    assert stage.proxy.observe().disagreement == ""


def test_a_reload_by_somebody_else_keeps_the_route(make_stage: MakeStage) -> None:
    """Certbot reloads HAProxy at night."""
    stage = make_stage()
    stage.proxy.install()
    stage.proxy.switch(Slot.GREEN, percent=25, reached=ignore)
    before = stage.proxy.observe()
    stage.reload()
    assert stage.proxy.observe().split == before.split is not None


def test_a_runtime_socket_that_is_gone_moves_nothing(make_stage: MakeStage) -> None:
    """Neither now nor at the next start."""
    stage = make_stage()
    stage.proxy.install()
    stage.proxy.switch(Slot.BLUE, reached=ignore)
    Path(stage.admin).rename(f"{stage.admin}.away")
    switched = stage.proxy.switch(Slot.GREEN, reached=ignore)
    assert (switched.seen, switched.effect) == (False, Effect.NONE)
    assert stage.admin in switched.reason
    assert [found.subject for found in stage.proxy.check()] == ["haproxy"]
    Path(f"{stage.admin}.away").rename(stage.admin)
    view = stage.proxy.observe()
    assert (view.slot, view.disagreement) == (Slot.BLUE, "")


def test_a_dead_slot_sends_nobody_to_the_other(make_stage: MakeStage) -> None:
    """Who routes is the pointer: 503, whatever HAProxy could reach besides."""
    stage = make_stage()
    stage.proxy.install()
    stage.proxy.switch(Slot.GREEN, reached=ignore)
    stage.slots[Slot.GREEN].close()
    assert stage.visit() == 503


def test_a_server_put_into_maintenance_sends_nobody_to_the_other(make_stage: MakeStage) -> None:
    """By hand on the runtime socket."""
    stage = make_stage()
    stage.proxy.install()
    stage.proxy.switch(Slot.GREEN, reached=ignore)
    ask_runtime(stage.admin, "set server celadon_shop-one/shop-one.green state maint")
    assert stage.visit() == 503
    assert stage.proxy.switch(Slot.BLUE, reached=ignore).seen


@pytest.mark.parametrize("way", [SwitchWay.POINTER, SwitchWay.RELOAD])
def test_a_hand_edit_is_shown_and_refused(make_stage: MakeStage, way: SwitchWay) -> None:
    """The edit stays: it may be somebody's midnight repair."""
    stage = make_stage(way)
    stage.proxy.install()
    ours = stage.conf / "celadon" / "shop-one.cfg"
    edited = ours.read_text().replace("retries 1", "retries 9")
    ours.write_text(edited)
    found = [each for each in stage.proxy.check() if each.level is FindingLevel.PROBLEM]
    assert "-    retries 9" in found[0].text
    with pytest.raises(StepError, match="edited by hand"):
        stage.proxy.install()
    assert ours.read_text() == edited


def test_a_taken_bind_is_named_and_put_back(make_stage: MakeStage) -> None:
    """`haproxy -c` passes it, the signal has no answer; the master serves on as before, and is asked."""
    stage = make_stage(SwitchWay.RELOAD)
    stage.proxy.install()
    stage.proxy.switch(Slot.BLUE, reached=ignore)
    patient = stage.settings_for(SwitchWay.RELOAD, seen_timeout_s=120.0)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        stage.write_main(neighbour=f"\nfrontend other\n    bind {bind}\n    http-request return status 200\n")
        started_at_s = time.monotonic()
        switched = HaproxyProxy(stage.layout, patient).switch(Slot.GREEN, reached=ignore)
        assert time.monotonic() - started_at_s < patient.proxy.seen_timeout_s
    assert (switched.seen, switched.effect) == (False, Effect.NONE)
    assert f"bind {bind}" in switched.reason
    view = stage.proxy.observe()
    assert (view.slot, view.disagreement) == (Slot.BLUE, "")
    assert stage.proxy.switch(Slot.GREEN, reached=ignore).seen


def test_a_configuration_broken_by_others_moves_nothing(make_stage: MakeStage) -> None:
    """HAProxy judges the whole before anything is moved."""
    stage = make_stage(SwitchWay.RELOAD)
    stage.proxy.install()
    stage.proxy.switch(Slot.BLUE, reached=ignore)
    stage.write_main(neighbour="\nbackend other\n    nonsense\n")
    passed: list[str] = []
    switched = stage.proxy.switch(Slot.GREEN, reached=passed.append)
    assert (switched.seen, switched.effect, passed) == (False, Effect.NONE, [])
    assert "nonsense" in switched.reason
    assert stage.proxy.observe().slot is Slot.BLUE
    assert ["nonsense" in found.text for found in stage.proxy.check()] == [True]


@pytest.mark.parametrize("log", ["no log", "option httplog", "option tcplog\n    log ring@celadon_shop-one local0"])
def test_a_frontend_whose_lines_do_not_arrive_is_told_what_to_add(make_stage: MakeStage, log: str) -> None:
    """A window without lines would judge nothing."""
    stage = make_stage()
    stage.write_main(log=log)
    stage.proxy.install()
    stage.proxy.switch(Slot.BLUE, reached=ignore)
    found = [each for each in stage.proxy.check() if each.level is FindingLevel.PROBLEM]
    assert [(each.subject, each.fix) for each in found] == [
        ("access log", "in the frontend: option httplog, and log ring@celadon_shop-one local0")
    ]


def test_a_reload_in_the_window_loses_no_line(make_stage: MakeStage) -> None:
    """The new process has a ring of its own; the old one's connections live on."""
    stage = make_stage()
    stage.proxy.install()
    stage.proxy.switch(Slot.GREEN, reached=ignore)
    traffic = stage.proxy.traffic()
    for _ in range(3):
        stage.visit()
    stage.reload()
    for _ in range(3):
        stage.visit()
    hits: list[Hit] = []
    while len(hits) < 6 and (more := read_hits(traffic)):
        hits += more
    traffic.close()
    assert [hit.slot for hit in hits] == [Slot.GREEN] * 6


def test_a_site_is_adopted_and_ejected_under_load(make_stage: MakeStage) -> None:
    """Without a restart; no request fails, and afterwards the file is what it was."""
    stage = make_stage()
    stage.write_plain()
    stage.stop()
    stage.start()
    plain = stage.main.read_bytes()
    adoption = HaproxyAdoption(stage.layout, stage.settings)
    (found,) = HaproxySites(stage.main, HAPROXY).find_sites()
    assert (found.upstream, found.reason) == (stage.slots[Slot.BLUE].address, "")
    with stage.visitors() as load:
        load.await_more(20)
        edits = adoption.propose([found])
        adoption.adopt(edits, live=Slot.BLUE)
        adoption.adopt(edits, live=Slot.BLUE)
        proxy = HaproxyProxy(stage.layout, stage.settings)
        assert [each.level for each in proxy.check()] == [FindingLevel.OK]
        assert proxy.install() is False
        for to in (Slot.GREEN, Slot.BLUE):
            assert proxy.switch(to, reached=ignore).seen
            load.await_more(20)
        adoption.eject(adoption.propose_eject(Slot.BLUE), live=Slot.BLUE)
        load.await_more(20)
    assert (load.failures, load.lost) == ([], [])
    assert stage.main.read_bytes() == plain
    assert list((stage.conf / "celadon").iterdir()) == []


def test_a_hand_edit_within_an_adopted_file_is_refused(make_stage: MakeStage) -> None:
    """Only our lines are ours: what the owner writes around them is not."""
    stage = make_stage()
    stage.write_plain()
    stage.stop()
    stage.start()
    adoption = HaproxyAdoption(stage.layout, stage.settings)
    adoption.adopt(adoption.propose(HaproxySites(stage.main, HAPROXY).find_sites()), live=Slot.BLUE)
    proxy = HaproxyProxy(stage.layout, stage.settings)
    stage.main.write_text(stage.main.read_text().replace("timeout server 50s", "timeout server 40s"))
    assert [each.level for each in proxy.check()] == [FindingLevel.OK]
    assert all(is_sealed(file.text) and file.path.read_text() == file.text for file in proxy.render())
    stage.main.write_text(stage.main.read_text().replace("retries 1", "retries 9"))
    assert [each.subject for each in proxy.check()] == ["hand edit"]
    with pytest.raises(StepError, match="edited by hand"):
        proxy.install()


def test_an_ejected_route_of_a_further_file_serves_on(make_stage: MakeStage) -> None:
    """Not adopted but written for us: the backend stays, as plain text in the owner's file."""
    stage = make_stage()
    stage.proxy.install()
    stage.proxy.switch(Slot.GREEN, reached=ignore)
    adoption = HaproxyAdoption(stage.layout, stage.settings)
    with stage.visitors() as load:
        adoption.eject(adoption.propose_eject(Slot.GREEN), live=Slot.GREEN)
        load.await_more(20)
    assert (load.failures, load.lost) == ([], [])
    assert stage.ask("127.0.0.1") == (200, "green")
    assert list((stage.conf / "celadon").iterdir()) == []


def test_a_log_that_syslog_writes_is_read(make_stage: MakeStage, tmp_path: Path) -> None:
    """Instead of the ring, where `proxy.access_log` names it: lines of other programs and sites are passed over."""
    stage = make_stage()
    stage.proxy.install()
    log = tmp_path / "haproxy.log"
    log.touch()
    settings = replace(stage.settings, proxy=replace(stage.settings.proxy, access_log=str(log)))
    traffic = HaproxyProxy(stage.layout, settings).traffic()
    head = "Nov 25 02:17:13 web haproxy[321]: "
    begin = "127.0.0.1:56872 [25/Nov/2026:02:25:55.002] f app/shop-one.green 0/0/0/1/1"
    line = f'{begin} 200 1 - - ---- 1/1/0/0/0 0/0 "GET / HTTP/1.1"'
    with log.open("a") as written:
        written.write(f"{head}{line}\n{head}{line.replace('shop-one', 'other')}\n{head}Proxy web started.\n")
        written.write(f"{head}{begin}\n")
    hits = read_hits(traffic)
    traffic.close()
    assert [(hit.slot, hit.status) for hit in hits] == [(Slot.GREEN, 200)]
    assert traffic.unreadable_count == 1


@pytest.mark.parametrize("point", RELOAD_POINTS)
def test_killed_at_any_point_of_a_reload_it_starts_with_the_pointers_route(make_stage: MakeStage, point: str) -> None:
    """The master as it reads its configuration anew, too."""
    stage = make_stage(SwitchWay.RELOAD)
    stage.proxy.install()
    stage.proxy.switch(Slot.BLUE, reached=ignore)

    def die(passed: str) -> None:
        if passed == point:
            stage.kill()
            raise DiedError

    with pytest.raises(DiedError):
        stage.proxy.switch(Slot.GREEN, reached=die)
    stage.start()
    view = stage.proxy.observe()
    named = Slot.BLUE if point in {"validated", "before_pointer"} else Slot.GREEN
    assert (view.slot, view.seen, view.disagreement) == (named, True, "")
    assert stage.ask("127.0.0.1") == (200, named.value)
    assert stage.proxy.switch(named.other, reached=ignore).seen


@pytest.mark.parametrize("point", RELOAD_POINTS)
def test_where_celadon_alone_dies_in_a_reload_what_visitors_have_is_told(make_stage: MakeStage, point: str) -> None:
    """And what was begun is mended or ended by one more switch."""
    stage = make_stage(SwitchWay.RELOAD)
    stage.proxy.install()
    stage.proxy.switch(Slot.BLUE, reached=ignore)

    def die(passed: str) -> None:
        if passed == point:
            raise DiedError

    with pytest.raises(DiedError):
        stage.proxy.switch(Slot.GREEN, reached=die)
    view = stage.proxy.observe()
    assert (view.slot, view.seen) == (Slot(stage.ask("127.0.0.1")[1]), True)
    if point == "before_reload":
        assert view.disagreement == "the pointer names green, the running haproxy routes to blue"
    for to in (Slot.GREEN, Slot.BLUE):
        assert stage.proxy.switch(to, reached=ignore).seen
        assert (stage.proxy.observe().slot, stage.proxy.observe().disagreement) == (to, "")


def test_a_slot_that_answers_with_an_error_is_not_seen(make_stage: MakeStage) -> None:
    """A candidate that fails through the proxy has not taken over."""
    stage = make_stage()
    proxy = HaproxyProxy(stage.layout, stage.settings_for(SwitchWay.POINTER, seen_timeout_s=1.0))
    proxy.install()
    stage.slots[Slot.GREEN].status = 500
    switched = proxy.switch(Slot.GREEN, reached=ignore)
    assert (switched.seen, switched.effect) == (False, Effect.MOVED)
    assert "500" in switched.reason


def test_a_pointer_that_cannot_be_moved_moves_nothing(make_stage: MakeStage) -> None:
    """The running HAProxy is told after the disk, never before it."""
    stage = make_stage()
    stage.proxy.install()
    stage.proxy.switch(Slot.BLUE, reached=ignore)
    (stage.layout.pointer / ".to-green").unlink()
    switched = stage.proxy.switch(Slot.GREEN, reached=ignore)
    assert (switched.seen, switched.effect) == (False, Effect.NONE)
    assert (stage.proxy.observe().slot, stage.proxy.observe().disagreement) == (Slot.BLUE, "")
    assert stage.ask("127.0.0.1") == (200, "blue")


def test_a_pointer_that_is_not_durable_is_no_switch(make_stage: MakeStage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Visitors have the new slot already, a loss of power might bring the old one back: nobody may rely on either."""
    stage = make_stage()
    stage.proxy.install()
    stage.proxy.switch(Slot.BLUE, reached=ignore)

    def fail(_: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr("celadon.host.pointer.sync_directory", fail)
        switched = stage.proxy.switch(Slot.GREEN, reached=ignore)
    assert (switched.seen, switched.effect) == (False, Effect.UNKNOWN)
    assert "the pointer is not durable" in switched.reason
    assert stage.ask("127.0.0.1") == (200, "green")
    assert stage.proxy.switch(Slot.BLUE, reached=ignore).seen


def test_an_install_that_is_not_seen_is_taken_back(make_stage: MakeStage) -> None:
    """A HAProxy that was started without our directory reloads and loads nothing of it."""
    stage = make_stage()
    stage.stop()
    stage.write_main(routed=False)
    stage.start(loading=False)
    proxy = HaproxyProxy(stage.layout, stage.settings_for(SwitchWay.POINTER, seen_timeout_s=2.0))
    assert "haproxy" in [each.subject for each in proxy.check() if each.level is FindingLevel.PROBLEM]
    with pytest.raises(StepError, match="not by this app's route") as caught:
        proxy.install()
    assert caught.value.code == "proxy_reload_refused"
    assert list((stage.conf / "celadon").iterdir()) == []
    assert stage.visit() == 404


def test_a_strangers_look_is_a_visit(make_stage: MakeStage) -> None:
    """Without the mark there is no answer to it, and no way around the log; nor do an app's own words pass."""
    stage = make_stage()
    stage.proxy.install()
    stage.proxy.switch(Slot.GREEN, reached=ignore)
    stage.slots[Slot.GREEN].says = {SLOT_HEADER: "100000 forged shop-one.blue"}
    traffic = stage.proxy.traffic()
    assert stage.proxy.observe().seen  # a look of ours leaves no line
    client = HTTPConnection("127.0.0.1", stage.port, timeout=5)
    client.request("GET", "/", headers={LOOK_HEADER: "forged"})
    answer = client.getresponse()
    assert (answer.status, answer.read(), answer.getheader(SLOT_HEADER)) == (200, b"green", None)
    client.close()
    assert [(hit.slot, hit.look) for hit in read_hits(traffic)] == [(Slot.GREEN, "")]
    traffic.close()
    assert stage.proxy.observe().slot is Slot.GREEN


def test_a_line_that_cannot_be_read_is_counted(make_stage: MakeStage) -> None:
    """A format of the owner's own tells less than a window needs: never silently fewer requests."""
    stage = make_stage()
    stage.write_main(log='log-format "%ci:%cp [%tr] %ft %b/%s short"\n    log ring@celadon_shop-one local0')
    stage.proxy.install()
    stage.proxy.switch(Slot.GREEN, reached=ignore)
    traffic = stage.proxy.traffic()
    stage.visit()
    hits: list[Hit] = []
    deadline = time.monotonic() + 10
    while not traffic.unreadable_count and time.monotonic() < deadline:
        hits += traffic.read()
    traffic.close()
    assert (hits, traffic.unreadable_count) == ([], 1)


@pytest.mark.parametrize("way", [SwitchWay.POINTER, SwitchWay.RELOAD])
def test_a_switch_leaves_a_hand_edit_where_it_is(make_stage: MakeStage, way: SwitchWay) -> None:
    """No switch of HAProxy's writes a file that bears a seal, so a rollback waits for no owner of an edit."""
    stage = make_stage(way)
    stage.proxy.install()
    stage.proxy.switch(Slot.GREEN, reached=ignore)
    ours = stage.conf / "celadon" / "shop-one.cfg"
    edited = ours.read_text().replace("retries 1", "retries 9")
    ours.write_text(edited)
    assert stage.proxy.switch(Slot.BLUE, reached=ignore).seen
    assert ours.read_text() == edited
    assert [each.subject for each in stage.proxy.check()] == ["hand edit"]


def test_an_accepted_edit_is_in_every_later_rendering(make_stage: MakeStage) -> None:
    """Loaded, seen and no longer a hand edit."""
    stage = make_stage()
    stage.proxy.install()
    stage.proxy.switch(Slot.BLUE, reached=ignore)
    ours = stage.conf / "celadon" / "shop-one.cfg"
    rendered = ours.read_text()
    edited = rendered.replace("retries 1\n", "retries 1\n    http-response set-header X-By its-owner\n")
    ours.write_text(edited)
    write_accepted(stage.layout, {str(ours): accept_text(rendered=rendered, edited=edited)})
    ours.write_text(stage.proxy.render()[0].text)
    assert "X-By its-owner" in ours.read_text()
    assert [each.level for each in stage.proxy.check()] == [FindingLevel.OK]
    stage.reload()
    assert stage.proxy.install() is False
    assert stage.proxy.switch(Slot.GREEN, reached=ignore).seen


def test_switches_outlast_reloads_by_somebody_else(make_stage: MakeStage) -> None:
    """One that began before the pointer moved brings the earlier number back; nobody is told of a route that is not."""
    stage = make_stage()
    stage.proxy.install()
    stage.proxy.switch(Slot.BLUE, reached=ignore)

    def reload_often() -> None:
        for _ in range(4):
            stage.reload()

    with ThreadPoolExecutor() as pool, stage.visitors() as load:
        reloading = pool.submit(reload_often)
        count = 0
        while not reloading.done() or count < 20:
            to = (Slot.GREEN, Slot.BLUE)[count % 2]
            count += 1
            assert stage.proxy.switch(to, reached=ignore).seen
            view = stage.proxy.observe()
            assert (view.slot, view.disagreement) == (to, "")
        reloading.result()
    assert (load.failures, load.lost) == ([], [])


@pytest.mark.parametrize("way", [SwitchWay.POINTER, SwitchWay.RELOAD])
def test_twenty_switches_cut_no_websocket_and_no_long_answer(make_stage: MakeStage, way: SwitchWay) -> None:
    """They stay with the slot that they began with until it ends them."""
    stage = make_stage(way)
    stage.proxy.install()
    stage.proxy.switch(Slot.BLUE, reached=ignore)
    address = ("127.0.0.1", stage.port)
    with socket.create_connection(address, timeout=20) as echo, socket.create_connection(address, timeout=20) as stream:
        echo.sendall(b"GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
        assert b" 101 " in echo.recv(65536)
        stream.sendall(b"GET /stream HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n")
        said = stream.recv(65536)
        assert b" 200 " in said
        for index, to in enumerate([Slot.GREEN, Slot.BLUE] * 10):
            assert stage.proxy.switch(to, reached=ignore).seen
            echo.sendall(f"{index}\n".encode())
            assert echo.recv(65536) == f"blue {index}\n".encode()
        stage.slots[Slot.BLUE].ended.set()
        while chunk := stream.recv(65536):
            said += chunk
    body = said.partition(b"\r\n\r\n")[2]
    assert body.endswith(b"blue\r\n0\r\n\r\n")
    assert b"green" not in body


def test_an_adoption_that_haproxy_would_refuse_touches_nothing(make_stage: MakeStage) -> None:
    """Judged whole, with what others have broken, before one file is in place."""
    stage = make_stage()
    stage.write_plain()
    stage.stop()
    stage.start()
    plain = stage.main.read_bytes()
    adoption = HaproxyAdoption(stage.layout, stage.settings)
    edits = adoption.propose(HaproxySites(stage.main, HAPROXY).find_sites())
    other = stage.conf / "celadon" / "other.cfg"
    other.write_text("backend other\n    nonsense\n")
    with pytest.raises(StepError, match=r"refuses the configuration: .*nonsense"):
        adoption.adopt(edits, live=Slot.BLUE)
    assert stage.main.read_bytes() == plain
    other.unlink()
    stage.main.write_bytes(plain + b"# hello\n")
    with pytest.raises(StepError, match="has changed since it was shown"):
        adoption.adopt(edits, live=Slot.BLUE)
    assert stage.main.read_bytes() == plain + b"# hello\n"


def test_an_adoption_that_is_not_seen_is_taken_back(make_stage: MakeStage) -> None:
    """The live slot is another than the one that runs there: nothing stays of it."""
    stage = make_stage()
    stage.write_plain()
    stage.stop()
    stage.start()
    plain = stage.main.read_bytes()
    stage.slots[Slot.GREEN].status = 500
    settings = stage.settings_for(SwitchWay.POINTER, seen_timeout_s=1.0)
    adoption = HaproxyAdoption(stage.layout, settings)
    with pytest.raises(StepError, match="the route was not seen"):
        adoption.adopt(adoption.propose(HaproxySites(stage.main, HAPROXY).find_sites()), live=Slot.GREEN)
    assert stage.main.read_bytes() == plain
    assert stage.ask("127.0.0.1") == (200, "blue")


def test_a_reload_that_has_read_the_earlier_number_does_not_bring_it_back(make_stage: MakeStage) -> None:
    """Its master has read the map and waits in a later file as the pointer moves; the old worker has the new number."""
    stage = make_stage()
    stage.proxy.install()
    stage.proxy.switch(Slot.BLUE, reached=ignore)
    process, gate = HaproxyProcess(stage.admin), stage.base / "gate"
    os.mkfifo(gate)
    (stage.conf / "celadon" / "zz.cfg").write_text(f"backend zz\n    acl late src -f {gate}\n")
    numbers = stage.layout.pointer / "live" / "haproxy.map"
    old = process.read_worker_pid()
    held: list[int] = []

    def hold(passed: str) -> None:
        if passed == "before_pointer":
            process.reload()
            wait_for(lambda: nudge_to(process, gate, held))

    with ThreadPoolExecutor() as pool:
        switching = pool.submit(stage.proxy.switch, Slot.GREEN, reached=hold)
        wait_for(lambda: f"{KEY} 100000" in ask_runtime(stage.admin, f"show map {numbers}"))
        with pytest.raises(TimeoutError):
            switching.result(0.3)
        os.close(held[0])
        assert switching.result(20).seen
    wait_for(lambda: process.read_worker_pid() not in {old, None})
    assert (stage.proxy.observe().slot, stage.proxy.observe().disagreement) == (Slot.GREEN, "")
    assert stage.ask("127.0.0.1") == (200, "green")


def nudge_to(process: HaproxyProcess, gate: Path, held: list[int]) -> bool:
    """False until the master reads there."""
    process.nudge()
    try:
        held.append(os.open(gate, os.O_WRONLY | os.O_NONBLOCK))
    except OSError:
        return False
    return True


def wait_for(happened: Callable[[], bool]) -> None:
    assert wait_until(happened, timeout_s=20, pause_s=0.005)


@pytest.mark.parametrize("answers", [True, False], ids=["a master that answers", "a master without a socket"])
def test_a_switch_that_meets_the_reload_of_another_is_seen(
    make_stage: MakeStage, monkeypatch: pytest.MonkeyPatch, *, answers: bool
) -> None:
    """The master, busy with one reload, swallows the signal for the next: ours, unless it is waited for, or asked
    again where it cannot be."""
    stage = make_stage(SwitchWay.RELOAD)
    stage.proxy.install()
    if not answers:
        monkeypatch.setattr(HaproxyProcess, "_find_master_socket", lambda _: "")
    for number in range(10):
        HaproxyProcess(stage.admin).reload()
        to = (Slot.BLUE, Slot.GREEN)[number % 2]
        switched = stage.proxy.switch(to, reached=ignore)
        assert switched.seen, switched.reason
