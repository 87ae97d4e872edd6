"""The Traefik driver against a real Traefik."""

import os
import re
import shutil
import stat
import tempfile
import textwrap
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from celadon.drivers.proxies.accepted import accept_text, write_accepted
from celadon.drivers.proxies.headers import PREVIEW_HEADER
from celadon.drivers.proxies.look import wait_until
from celadon.drivers.proxies.sealed import open_seal, seal
from celadon.drivers.proxies.traefik import TraefikProxy
from celadon.drivers.proxies.traefik_text import read_generation
from celadon.drivers.traffic.times import read_traefik_time
from celadon.host.layout import Layout
from celadon.host.look_mark import read_secret
from celadon.host.pointer import read_pointer
from celadon.host.sockets import KernelSockets
from celadon.model.errors import StepError
from celadon.model.names import AppName, Slot
from celadon.model.observed import Effect, Finding, FindingLevel
from tests.contract.preview_promises import PreviewPromises
from tests.contract.proxy_promises import ProxyPromises, ignore, read_hits
from tests.contract.replica_promises import ReplicaPromises
from tests.contract.share_promises import STEPS, SharePromises
from tests.contract.single_visit import visit_as
from tests.contract.traefik_server import ROUTED, TraefikStage

NEEDS_ROOT = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="a Traefik of another user needs root")]
MakeStage = Callable[..., TraefikStage]
TRAEFIK_PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "traefik.md"


@pytest.fixture
def make_stage(tmp_path: Path) -> Iterator[MakeStage]:
    made: list[TraefikStage] = []
    # pytest's directories are for their owner only, and every start of pytest sees to that anew
    opened = Path(tempfile.mkdtemp(prefix="celadon-"))
    opened.chmod(0o755)

    def make(**knobs: object) -> TraefikStage:
        place = opened if "user" in knobs else tmp_path
        made.append(TraefikStage(place / f"traefik{len(made)}", **knobs))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for stage in made:
        stage.close()
    shutil.rmtree(opened)


class TestTraefik(ProxyPromises):
    """With either format of its access log, and where Traefik runs as a user of its own."""

    @pytest.fixture(params=["json", "common", pytest.param("nobody", marks=NEEDS_ROOT)])
    def stage(self, request: pytest.FixtureRequest, make_stage: MakeStage) -> TraefikStage:
        return make_stage(user="nobody") if request.param == "nobody" else make_stage(json=request.param == "json")


class TestTraefikReplicas(ReplicaPromises):
    """As servers of the slot's service."""

    @pytest.fixture
    def stage(self, make_stage: MakeStage) -> TraefikStage:
        return make_stage(replicas=2)


class TestTraefikShares(SharePromises):
    """By the client's address, with weights."""

    @pytest.fixture
    def stage(self, make_stage: MakeStage) -> TraefikStage:
        return make_stage(steps=STEPS)


class TestTraefikPreview(PreviewPromises):
    """By two routers of ours beside the user's."""

    @pytest.fixture
    def stage(self, make_stage: MakeStage) -> TraefikStage:
        return make_stage(preview=True)


class _Died(Exception):
    pass


class TestDeath:
    """Of the operation, and of Traefik."""

    @pytest.mark.parametrize("point", ["before_pointer", "after_pointer"])
    def test_a_traefik_killed_in_a_switch_starts_with_what_the_pointer_names(
        self, make_stage: MakeStage, point: str
    ) -> None:
        """Whatever it served when it was killed."""
        stage = begin(make_stage())
        for to in (Slot.GREEN, Slot.BLUE):
            with pytest.raises(_Died):
                stage.proxy.switch(to, reached=_die_at(point, kill=stage.kill))
            stage.start()
            view = stage.proxy.observe()
            assert (view.slot, view.seen, view.disagreement) == (read_pointer(stage.layout.pointer), True, "")
            assert stage.ask("127.0.0.2") == (200, str(view.slot))

    def test_an_operation_that_dies_before_traefik_is_told_is_found_and_mended(self, make_stage: MakeStage) -> None:
        """What visitors have is the route; the pointer follows it."""
        stage = begin(make_stage())
        with pytest.raises(_Died):
            stage.proxy.switch(Slot.GREEN, reached=_die_at("after_pointer", kill=lambda: None))
        view = stage.proxy.observe()
        assert (view.slot, view.disagreement) == (Slot.BLUE, "the pointer names green, Traefik serves blue")
        assert stage.proxy.switch(Slot.BLUE, reached=ignore).seen
        assert (stage.proxy.observe().disagreement, read_pointer(stage.layout.pointer)) == ("", Slot.BLUE)


class TestWhatTraefikWouldTakeUnchecked:
    """Nothing broken reaches a visitor."""

    @pytest.mark.parametrize("broken", ["", "http: {}\n", "http: [\n"])
    def test_a_route_that_is_not_as_it_was_written_is_never_put_in_force(
        self, make_stage: MakeStage, broken: str
    ) -> None:
        """An empty file would be a 404 for everybody at once."""
        stage = begin(make_stage())
        route_file(stage, "green").write_text(broken)
        with stage.visitors() as load:
            switched = stage.proxy.switch(Slot.GREEN, reached=ignore)
            load.await_more(20)
        assert (switched.seen, switched.effect) == (False, Effect.NONE)
        assert "not as celadon wrote it" in switched.reason
        assert (load.failures, load.lost, read_pointer(stage.layout.pointer)) == ([], [], Slot.BLUE)

    def test_a_route_that_somebody_touched_is_not_put_in_force(self, make_stage: MakeStage) -> None:
        """Not even by a comment: it is not what was tried."""
        stage = begin(make_stage())
        path = route_file(stage, "green")
        path.write_text(path.read_text() + "# mine\n")
        assert stage.proxy.switch(Slot.GREEN, reached=ignore).effect is Effect.NONE
        assert stage.ask("127.0.0.2") == (200, "blue")

    def test_a_route_that_is_lost_is_put_back(self, make_stage: MakeStage) -> None:
        """Here by a service that is gone from a text with a valid seal; long before the switch's time is over."""
        stage = begin(make_stage())
        path = route_file(stage, "green")
        body = open_seal(path.read_text()).replace("service: celadon-shop-one\n", "service: gone\n")
        path.write_text(seal(body, app=stage.layout.app))
        began_s = time.monotonic()
        switched = stage.proxy.switch(Slot.GREEN, reached=ignore)
        assert time.monotonic() - began_s < stage.settings.proxy.seen_timeout_s / 2
        assert (switched.seen, switched.effect) == (False, Effect.NONE)
        assert switched.reason.endswith("put back to blue")
        assert stage.ask("127.0.0.2") == (200, "blue")
        assert read_pointer(stage.layout.pointer) is Slot.BLUE

    def test_a_change_that_traefik_does_not_take_is_put_back(self, make_stage: MakeStage) -> None:
        """It takes none beside a file that it cannot read; a restart must not serve what nobody has seen."""
        stage = begin(make_stage())
        (stage.directory / "neighbour.yml").write_text("http: [\n")
        hasty = TraefikProxy(stage.layout, stage.settings_for(seen_timeout_s=0.5))
        with stage.visitors() as load:
            switched = hasty.switch(Slot.GREEN, reached=ignore)
            load.await_more(20)
        assert (switched.seen, switched.effect, load.failures, load.lost) == (False, Effect.NONE, [], [])
        assert read_pointer(stage.layout.pointer) is Slot.BLUE
        assert "neighbour.yml" in problems(stage)["config"].text

    def test_an_answer_of_500_is_not_seen(self, make_stage: MakeStage) -> None:
        """A candidate that fails through Traefik has not taken over; the engine decides, and soon."""
        stage = begin(make_stage())
        stage.slots[Slot.GREEN].status = 500
        patient = TraefikProxy(stage.layout, stage.settings_for(seen_timeout_s=60.0))
        began_s = time.monotonic()
        switched = patient.switch(Slot.GREEN, reached=ignore)
        assert time.monotonic() - began_s < 30
        assert (switched.seen, switched.effect) == (False, Effect.MOVED)
        assert "500 from green" in switched.reason

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("rule: Host(`shop.example`)", "rule: Hoast(`shop.example`)"),
            ("        - celadon-shop-one\n", "        - celadon-shop-one\n        - nothing-of-that-name\n"),
        ],
    )
    def test_what_traefik_would_refuse_of_a_router_is_found_by_a_private_one(
        self, make_stage: MakeStage, old: str, new: str
    ) -> None:
        """In its own words, and nothing of ours is put in place."""
        stage = make_stage(site=ROUTED.replace(old, new))
        with pytest.raises(StepError) as caught:
            stage.proxy.install()
        assert caught.value.code == "proxy_config_refused"
        assert "Hoast" in caught.value.what or "nothing-of-that-name" in caught.value.what
        assert sorted(path.name for path in stage.directory.iterdir()) == ["certificate.yml", "site.yml"]

    def test_a_neighbour_serves_before_the_first_switch_and_after(self, make_stage: MakeStage) -> None:
        """A link that leads nowhere would keep Traefik from reading the whole directory."""
        stage = make_stage()
        stage.proxy.install()
        port = stage.slots[Slot.GREEN].address
        (stage.directory / "other.yml").write_text(
            "http:\n  routers: {other: {rule: Host(`other.example`), service: other}}\n"
            f"  services: {{other: {{loadBalancer: {{servers: [{{url: 'http://{port}'}}]}}}}}}\n"
        )
        stage.stop()
        stage.start()
        assert wait_until(lambda: visit_as(stage.port, client="127.0.0.2", host="other.example")[0] == 200, timeout_s=5)
        assert (stage.visit(), stage.proxy.observe().slot) == (503, None)

    def test_a_rule_that_its_owner_changed_is_rendered_anew(self, make_stage: MakeStage) -> None:
        """Ours beside it is a copy."""
        stage = begin(make_stage())
        stage.site.write_text(
            ROUTED.replace("Host(`shop.example`)", "Host(`shop.example`) || Host(`www.shop.example`)")
        )
        assert stage.proxy.install() is True
        assert "www.shop.example" in route_file(stage, "blue").read_text()
        assert stage.proxy.install() is False
        assert stage.proxy.switch(Slot.GREEN, reached=ignore).seen

    def test_a_router_with_braces_is_not_rendered(self, make_stage: MakeStage) -> None:
        """Traefik runs every file through Go's templates."""
        stage = make_stage(site=ROUTED.replace("Host(`shop.example`)", "Host(`shop.example`) || Path(`/}}`)"))
        with pytest.raises(StepError, match="template"):
            stage.proxy.install()


class TestHandEdits:
    def test_an_edited_route_is_shown_and_refused(self, make_stage: MakeStage) -> None:
        """The edit stays: it may be somebody's midnight repair."""
        stage = begin(make_stage())
        path = stage.directory / "celadon-shop-one.yml"
        edited = path.read_text().replace("idleConnTimeout: 1s", "idleConnTimeout: 9s")
        path.write_text(edited)
        assert "-        idleConnTimeout: 9s" in problems(stage)["hand edit"].text
        with pytest.raises(StepError, match="edited by hand"):
            stage.proxy.install()
        assert path.read_text() == edited

    def test_a_file_in_the_place_of_the_link_is_refused(self, make_stage: MakeStage) -> None:
        """As an editor leaves it that writes a new file: the pointer would move nothing."""
        stage = begin(make_stage())
        path = stage.directory / "celadon-shop-one.yml"
        text = path.read_text()
        path.unlink()
        path.write_text(text)
        assert "somebody else's" in problems(stage)["hand edit"].text
        with pytest.raises(StepError, match="edited by hand"):
            stage.proxy.install()

    def test_an_accepted_edit_is_in_every_later_text_and_seen(self, make_stage: MakeStage) -> None:
        """Under a generation of its own, by which it is known to be in force."""
        stage = begin(make_stage())
        path = route_file(stage, "blue")
        rendered = path.read_text()
        edited = rendered.replace("idleConnTimeout: 1s", "idleConnTimeout: 2s")
        accepted = accept_text(rendered=rendered, edited=edited, earlier=None)
        write_accepted(stage.layout, {str(path): accepted})
        assert stage.proxy.install() is True
        generations = [read_generation(text, name="blue") for text in (rendered, path.read_text())]
        assert "idleConnTimeout: 2s" in path.read_text()
        assert generations[0] != generations[1]
        assert stage.proxy.install() is False


class TestChecks:
    def test_what_a_site_lacks_is_told_with_its_lines(self, make_stage: MakeStage) -> None:
        """And nothing is put in place for it to miss."""
        stage = make_stage(site=ROUTED.replace("service: celadon-shop-one", "service: shop"))
        assert "service: celadon-shop-one" in problems(stage)["site"].fix
        with pytest.raises(StepError, match="no router"):
            stage.proxy.install()

    def test_a_router_that_lets_our_headers_through_is_told(self, make_stage: MakeStage) -> None:
        """A visitor could send them to the app."""
        stage = make_stage(site=ROUTED.replace("        - celadon-shop-one\n", "        []\n"))
        assert "middlewares: [celadon-shop-one]" in problems(stage)["site"].fix

    def test_what_only_a_restart_mends_is_a_warning_with_its_lines(self, make_stage: MakeStage) -> None:
        """Each would cost its owner a second of downtime, so none refuses a deploy."""
        stage = begin(make_stage())
        (stage.directory / "certificate.yml").unlink()
        stage.write_main(access_log=False, throttle="2s", more="api: {}\n")
        found = {each.subject: each for each in stage.proxy.check()}
        assert {each.level for each in found.values()} == {FindingLevel.WARNING}
        assert found.keys() == {"throttle", "default certificate", "api", "access log"}
        assert "providersThrottleDuration: 10ms" in found["throttle"].fix
        assert "defaultCertificate" in found["default certificate"].fix
        assert "filePath" in found["access log"].fix
        assert "no visitor" in found["access log"].text
        stage.write_main(access_log=False, throttle="2s", more="api: {}\nmetrics: {prometheus: {}}\n")
        found = {each.subject: each for each in stage.proxy.check()}
        assert "counters only" in found["access log"].text

    def test_an_open_api_would_tell_the_secret_of_a_preview(self, make_stage: MakeStage) -> None:
        """That refuses a deploy."""
        stage = begin(make_stage(preview=True))
        stage.write_main(more="api: {insecure: true}\n")
        assert "everybody" in problems(stage)["api"].text

    @pytest.mark.parametrize(
        ("more", "words"), [("  bufferingSize: 100\n", "100 at a time"), ("  filters: {minDuration: 1s}\n", "filters")]
    )
    def test_a_log_that_comes_late_or_not_whole_is_told(self, make_stage: MakeStage, more: str, words: str) -> None:
        """The window would judge by it."""
        stage = begin(make_stage())
        stage.write_main(more=more)
        assert words in " ".join(each.text for each in stage.proxy.check())

    def test_a_log_of_nothing_but_what_is_read_is_enough(self, make_stage: MakeStage) -> None:
        """As the page about Traefik has it, with less than half of the bytes. One field fewer is told."""
        [fields] = re.findall(r"( {6}fields:.*?StartUTC: keep})", TRAEFIK_PAGE.read_text(), re.DOTALL)
        few = textwrap.indent(textwrap.dedent(fields), "  ")
        stage = make_stage()
        stage.stop()
        stage.write_main(more=f"{few}\n")
        stage.start()
        begin(stage)
        assert [each.level for each in stage.proxy.check()] == [FindingLevel.OK]
        stage.proxy.switch(Slot.GREEN, reached=ignore)
        traffic = stage.proxy.traffic()
        stage.visit()
        [hit] = read_hits(traffic)
        assert (hit.slot, hit.status, hit.upstream_status, hit.client_key) == (Slot.GREEN, 200, 200, "127.0.0.1")
        assert hit.route.startswith("GET /")
        assert hit.duration_ms > 0
        assert hit.request_id
        last = stage.access_log.read_bytes().splitlines()[-1]
        assert read_traefik_time(last) == pytest.approx(time.time(), abs=60)
        stage.write_main(more=few.replace("ClientHost: keep", "ClientHost: drop") + "\n")
        assert "fields" in " ".join(each.text for each in stage.proxy.check())

    def test_a_log_that_no_line_arrives_in_is_told(self, make_stage: MakeStage) -> None:
        """Moved away by a rotation that Traefik was not told of."""
        stage = begin(make_stage())
        assert [each.level for each in stage.proxy.check()] == [FindingLevel.OK]
        stage.access_log.rename(stage.access_log.with_suffix(".1"))
        assert "left no line" in " ".join(each.text for each in stage.proxy.check())

    def test_a_log_that_lies_elsewhere_on_this_machine_is_read_there(self, make_stage: MakeStage) -> None:
        """As that of a Traefik in a container, which names a path of its own."""
        stage = begin(make_stage())
        stage.write_main(access_log=False, more="accessLog: {filePath: /inside/access.log}\n")
        named = replace(stage.settings.proxy, access_log=str(stage.access_log))
        proxy = TraefikProxy(stage.layout, replace(stage.settings, proxy=named))
        assert [each.level for each in proxy.check()] == [FindingLevel.OK]

    def test_another_directory_than_the_watched_one_is_told(self, make_stage: MakeStage) -> None:
        """Nothing put there would ever be read."""
        stage = make_stage()
        other = replace(stage.settings, proxy=replace(stage.settings.proxy, directory=str(stage.base)))
        found = TraefikProxy(stage.layout, other).check()
        assert "file provider" in {each.subject for each in found if each.level is FindingLevel.PROBLEM}


class TestMiddlewares:
    SITE = ROUTED.replace("        - celadon-shop-one\n", "        - front\n        - celadon-shop-one\n") + (
        "  middlewares:\n"
        "    front: {chain: {middlewares: [auth, strip]}}\n"
        "    auth: {basicAuth: {users: ['ann:$apr1$H6uskkkW$IgXLP6ewTrSuBkTrqE8wj/']}}\n"
        "    strip: {stripPrefix: {prefixes: [/shop]}}\n"
    )

    def test_a_site_with_a_password_is_switched_and_keeps_it(self, make_stage: MakeStage) -> None:
        """A look goes past what refuses; visitors and previews do not."""
        stage = begin(make_stage(site=self.SITE, preview=True))
        assert stage.proxy.switch(Slot.GREEN, reached=ignore).seen
        secret = read_secret(stage.layout.preview_secret)
        assert stage.ask("127.0.0.2")[0] == 401
        assert stage.ask("127.0.0.2", {PREVIEW_HEADER: secret})[0] == 401
        known = {"Authorization": f"Basic {b64encode(b'ann:test').decode()}"}
        assert stage.ask("127.0.0.2", known) == (200, "green")
        assert stage.ask("127.0.0.2", known | {PREVIEW_HEADER: secret}) == (200, "blue")


def test_the_old_slot_is_free_of_connections_in_seconds(make_stage: MakeStage) -> None:
    """It is stopped when its counted connections have ended, and pooled ones must not hold it."""
    stage = begin(make_stage())
    old = stage.slots[Slot.BLUE].address
    with stage.visitors() as load:
        load.await_more(50)
        assert KernelSockets().connections_count(old) > 0
        assert stage.proxy.switch(Slot.GREEN, reached=ignore).seen
        assert wait_until(lambda: KernelSockets().connections_count(old) == 0, timeout_s=4, pause_s=0.01)
    assert (load.failures, load.lost, load.closed_count) == ([], [], 0)


def test_secrets_are_for_their_owner_and_traefiks_group(make_stage: MakeStage) -> None:
    """The routes hold them."""
    stage = begin(make_stage(preview=True))
    secret = read_secret(stage.layout.preview_secret)
    for path in stage.layout.pointer.glob("*/route.yml"):
        assert not path.stat().st_mode & stat.S_IRWXO
    assert secret in route_file(stage, "green").read_text()


def test_two_apps_are_switched_at_once(make_stage: MakeStage) -> None:
    """Whose names contain each other; each goes where it was sent, and no request fails."""
    two = ROUTED.replace("shop.example", "two.example").replace("shop-one", "shop-one-blue").replace("shop:", "two:")
    stage = make_stage(site=ROUTED + two.removeprefix("http:\n  routers:\n"))
    layout = Layout(stage.base / "state", AppName("shop-one-blue"))
    layout.home.mkdir(parents=True)
    web = replace(stage.settings.web, blue=stage.settings.web.green, green=stage.settings.web.blue)
    proxy = replace(stage.settings.proxy, site="http://two.example")
    other = TraefikProxy(layout, replace(stage.settings, app=layout.app, web=web, proxy=proxy))
    begin(stage)
    other.install()
    with stage.visitors() as load:
        for to in (Slot.GREEN, Slot.BLUE) * 5:
            threads = [
                threading.Thread(target=each.switch, args=(to,), kwargs={"reached": ignore})
                for each in (stage.proxy, other)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert (stage.proxy.observe().slot, other.observe().slot) == (to, to)
            assert stage.ask("127.0.0.2")[1] == to
            assert visit_as(stage.port, client="127.0.0.2", host="two.example")[1] == to.other
    assert (load.failures, load.lost, load.closed_count) == ([], [], 0)


def begin(stage: TraefikStage) -> TraefikStage:
    stage.proxy.install()
    assert stage.proxy.switch(Slot.BLUE, reached=ignore).seen
    return stage


def problems(stage: TraefikStage) -> dict[str, Finding]:
    return {each.subject: each for each in stage.proxy.check() if each.level is FindingLevel.PROBLEM}


def route_file(stage: TraefikStage, name: str) -> Path:
    return stage.layout.pointer / name / "route.yml"


def _die_at(point: str, *, kill: Callable[[], None]) -> Callable[[str], None]:
    def reached(passed: str) -> None:
        if passed == point:
            kill()
            raise _Died

    return reached
