"""The HAProxy driver against a real HAProxy."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from celadon.drivers.proxies.haproxy import HaproxyProxy
from celadon.drivers.proxies.haproxy_adopt import HaproxyAdoption
from celadon.drivers.proxies.haproxy_process import ask_runtime
from celadon.drivers.proxies.haproxy_sites import HaproxySites
from celadon.drivers.proxies.sealed import is_sealed
from celadon.host.pointer import move_pointer
from celadon.model.errors import StepError
from celadon.model.names import Slot
from celadon.model.observed import Effect, FindingLevel, Hit
from celadon.model.settings import SwitchWay
from tests.contract.haproxy_server import HAPROXY, HaproxyStage
from tests.contract.preview_promises import PreviewPromises
from tests.contract.proxy_promises import ProxyPromises, ignore, read_hits
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
    """`haproxy -c` passes it, the signal has no answer; the master serves on as before."""
    stage = make_stage(SwitchWay.RELOAD)
    stage.proxy.install()
    stage.proxy.switch(Slot.BLUE, reached=ignore)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        stage.write_main(neighbour=f"\nfrontend other\n    bind {bind}\n    http-request return status 200\n")
        switched = stage.proxy.switch(Slot.GREEN, reached=ignore)
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
