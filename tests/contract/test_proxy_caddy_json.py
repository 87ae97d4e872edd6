"""The Caddy driver where Caddy's configuration is JSON."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from celadon.drivers.proxies.caddy import CaddyProxy
from celadon.host.layout import Layout
from celadon.model.errors import StepError
from celadon.model.names import AppName, Slot
from celadon.model.observed import Effect, FindingLevel
from celadon.model.settings import SwitchWay
from tests.contract.caddy_server import JsonStage
from tests.contract.preview_promises import PreviewPromises
from tests.contract.proxy_promises import ProxyPromises, ignore
from tests.contract.replica_promises import ReplicaPromises
from tests.contract.share_promises import STEPS, SharePromises

MakeStage = Callable[..., JsonStage]


@pytest.fixture
def make_stage(tmp_path: Path) -> Iterator[MakeStage]:
    made: list[JsonStage] = []

    def make(way: SwitchWay = SwitchWay.POINTER, **knobs: Any) -> JsonStage:
        made.append(JsonStage(tmp_path / f"caddy{len(made)}", way=way, **knobs))
        return made[-1]

    yield make
    for stage in made:
        stage.close()


@pytest.fixture(params=[f"{caddy} {way}" for caddy in ("2.11", "2.6") for way in ("pointer", "reload")])
def stage(request: pytest.FixtureRequest, make_stage: MakeStage) -> JsonStage:
    caddy, _, way = request.param.partition(" ")
    return make_stage(SwitchWay(way), caddy=caddy)


class TestJson(ProxyPromises):
    """Both ways, both versions."""


class TestReplicas(ReplicaPromises):
    @pytest.fixture
    def stage(self, make_stage: MakeStage) -> JsonStage:
        return make_stage(SwitchWay.RELOAD, replicas=2)


class TestShares(SharePromises):
    @pytest.fixture
    def stage(self, make_stage: MakeStage) -> JsonStage:
        return make_stage(steps=STEPS)


class TestPreview(PreviewPromises):
    @pytest.fixture(params=["pointer", "reload"])
    def stage(self, request: pytest.FixtureRequest, make_stage: MakeStage) -> JsonStage:
        return make_stage(SwitchWay(request.param), preview=True)


def problems(stage: JsonStage) -> list[tuple[str, str]]:
    return [(each.subject, each.fix) for each in stage.proxy.check() if each.level is FindingLevel.PROBLEM]


def strip_ours(text: str) -> str:
    """The owner's words: all but the handler, the log, what keeps it out of the default log, and who is logged."""
    ours = json.loads(text)
    shop = ours["apps"]["http"]["servers"]["shop"]
    shop.pop("logs", None)
    shop["routes"][0]["handle"] = []
    ours.pop("logging", None)
    return json.dumps(ours)


@pytest.mark.parametrize("way", [SwitchWay.POINTER, SwitchWay.RELOAD])
def test_all_but_our_objects_stays_as_its_owner_wrote_it(make_stage: MakeStage, way: SwitchWay) -> None:
    """The lines that are not ours are the same ones, in the same order."""
    stage = make_stage(way)
    before = stage.main.read_text()
    stage.proxy.install()
    stage.proxy.switch(Slot.GREEN, reached=ignore)
    after = stage.main.read_text()
    head, _, tail = before.partition('{ "@id": "celadon_shop-one",  "handler": "subroute" }')
    assert after.endswith(tail)
    assert [line for line in head.splitlines() if line.strip() and line not in after.splitlines()] == []
    assert strip_ours(after) == strip_ours(before)
    assert (stage.main.stat().st_mode & 0o777) == 0o640


def test_a_configuration_without_our_handler_is_told_the_object(make_stage: MakeStage) -> None:
    """And nothing is put in place for it to miss."""
    stage = make_stage()
    stage.write_main(imported=False)
    before = stage.main.read_bytes()
    found = problems(stage)
    assert [subject for subject, _ in found] == ["site"]
    assert '{"@id": "celadon_shop-one", "handler": "subroute"}' in found[0][1]
    with pytest.raises(StepError):
        stage.proxy.install()
    assert stage.main.read_bytes() == before


@pytest.mark.parametrize(("ours", "theirs"), [('"green"\n', '"grey"\n'), ('"roll_keep": 2', '"roll_keep": 9')])
def test_an_edit_by_hand_of_our_objects_is_found_and_refused(make_stage: MakeStage, ours: str, theirs: str) -> None:
    """Of the handler and of the log. The edit stays: it may be somebody's midnight repair."""
    stage = make_stage()
    stage.proxy.install()
    assert ours in stage.main.read_text()
    stage.main.write_text(stage.main.read_text().replace(ours, theirs))
    edited = stage.main.read_bytes()
    assert [subject for subject, _ in problems(stage)] == ["hand edit"]
    with pytest.raises(StepError, match="edited by hand"):
        stage.proxy.install()
    assert stage.main.read_bytes() == edited


def test_a_rollback_replaces_an_edit_and_keeps_it_aside(make_stage: MakeStage) -> None:
    """It waits for nobody."""
    stage = make_stage(SwitchWay.RELOAD)
    stage.proxy.install()
    stage.proxy.switch(Slot.GREEN, reached=ignore)
    stage.main.write_text(stage.main.read_text().replace('"roll_keep": 2', '"roll_keep": 9'))
    edited = stage.main.read_bytes()
    assert stage.proxy.switch(Slot.BLUE, reached=ignore).seen
    assert [path.read_bytes() for path in stage.layout.edited.rglob("caddy.json")] == [edited]
    assert problems(stage) == []


def test_a_refused_reload_is_put_back_byte_for_byte(make_stage: MakeStage) -> None:
    """A port that somebody else holds passes `caddy validate` and fails the load."""
    stage = make_stage(SwitchWay.RELOAD)
    stage.proxy.install()
    stage.proxy.switch(Slot.BLUE, reached=ignore)
    config = json.loads(stage.main.read_text())
    config["apps"]["http"]["servers"]["theirs"] = {"listen": [str(stage.slots[Slot.BLUE].address)]}
    stage.main.write_text(json.dumps(config, indent=1))
    before = stage.main.read_bytes()
    switched = stage.proxy.switch(Slot.GREEN, reached=ignore)
    assert (switched.seen, switched.effect) == (False, Effect.NONE)
    assert "address already in use" in switched.reason
    assert stage.main.read_bytes() == before
    assert stage.proxy.observe().slot is Slot.BLUE


def test_a_refused_install_leaves_the_configuration_as_it_was(make_stage: MakeStage) -> None:
    """The marked handler, still empty."""
    stage = make_stage()
    config = json.loads(stage.main.read_text())
    config["apps"]["http"]["servers"]["theirs"] = {"listen": [str(stage.slots[Slot.BLUE].address)]}
    stage.main.write_text(json.dumps(config, indent=1))
    before = stage.main.read_bytes()
    with pytest.raises(StepError, match="address already in use"):
        stage.proxy.install()
    assert stage.main.read_bytes() == before


def test_a_switch_adapts_nothing(make_stage: MakeStage, tmp_path: Path) -> None:
    """The objects of both slots were made at install: a rollback depends on no text but theirs."""
    stage = make_stage(SwitchWay.RELOAD)
    asked = tmp_path / "asked"
    program = tmp_path / "caddy"
    program.write_text(f'#!/bin/sh\necho "$1" >> {asked}\nexec {stage.binary} "$@"\n')
    program.chmod(0o755)
    settings = replace(stage.settings, proxy=replace(stage.settings.proxy, binary=str(program)))
    CaddyProxy(stage.layout, settings).install()
    asked.unlink()
    for to in (Slot.GREEN, Slot.BLUE):
        assert CaddyProxy(stage.layout, settings).switch(to, reached=ignore).seen
    assert set(asked.read_text().split()) == {"validate"}


def test_a_secret_is_put_into_no_file_that_everybody_reads(make_stage: MakeStage) -> None:
    """The owner is told how to close it; nothing of his is closed by us."""
    stage = make_stage(preview=True)
    stage.main.chmod(0o644)
    before = stage.main.read_bytes()
    assert [subject for subject, _ in problems(stage)] == ["preview"]
    with pytest.raises(StepError, match="everybody"):
        stage.proxy.install()
    assert stage.main.read_bytes() == before


def test_the_owners_access_log_goes_on(make_stage: MakeStage) -> None:
    """A server that logs already has both logs of each request."""
    stage = make_stage()
    config = json.loads(stage.main.read_text())
    theirs = stage.base / "theirs.log"
    config["apps"]["http"]["servers"]["shop"]["logs"] = {"default_logger_name": "theirs"}
    config["logging"] = {
        "logs": {
            "theirs": {
                "writer": {"output": "file", "filename": str(theirs)},
                "include": ["http.log.access.theirs"],
            }
        }
    }
    stage.main.write_text(json.dumps(config))
    stage.proxy.install()
    stage.proxy.switch(Slot.GREEN, reached=ignore)
    assert problems(stage) == []
    before = theirs.read_text().count("\n")
    ours = stage.layout.access_log.read_text().count("\n")
    assert stage.visit() == 200
    await_lines(theirs, before + 1)
    await_lines(stage.layout.access_log, ours + 1)


def test_the_apps_requests_stay_out_of_the_default_log(make_stage: MakeStage) -> None:
    """Where its owner had no access log, Caddy's own output gets none."""
    stage = make_stage()
    stage.proxy.install()
    assert stage.visit() == 200
    stage.stop()
    assert "http.log.access" not in (stage.base / "caddy.log").read_text()


def test_what_the_configuration_says_is_the_route(make_stage: MakeStage) -> None:
    """A death between the files of one switch: Caddy starts with its configuration, whatever lies beside it."""
    stage = make_stage(SwitchWay.RELOAD)
    stage.proxy.install()
    stage.proxy.switch(Slot.BLUE, reached=ignore)
    before = stage.main.read_text()
    stage.proxy.switch(Slot.GREEN, reached=ignore)
    stage.stop()
    stage.main.write_text(before)
    assert (stage.proxy.observe().slot, stage.proxy.observe().seen) == (Slot.BLUE, False)
    stage.start()
    assert stage.proxy.switch(Slot.GREEN, reached=ignore).seen
    assert stage.proxy.observe().disagreement == ""


def await_lines(log: Path, count: int) -> None:
    deadline = time.monotonic() + 5
    while log.read_text().count("\n") < count and time.monotonic() < deadline:
        time.sleep(0.01)
    assert log.read_text().count("\n") == count


@pytest.mark.parametrize("way", [SwitchWay.POINTER, SwitchWay.RELOAD])
def test_two_apps_in_one_configuration_do_not_undo_each_other(make_stage: MakeStage, way: SwitchWay) -> None:
    """Both installed and switched at once."""
    stage = make_stage(way)
    routes = [
        {"match": [{"host": [host]}], "handle": [{"@id": f"celadon_{app}", "handler": "subroute"}]}
        for app, host in (("shop-one", "one.example"), ("other", "two.example"))
    ]
    config = json.loads(stage.main.read_text())
    config["apps"]["http"]["servers"]["shop"] |= {"routes": routes, "automatic_https": {"disable": True}}
    stage.main.write_text(json.dumps(config, indent=2))
    proxies = []
    for app, host in (("shop-one", "one.example"), ("other", "two.example")):
        layout = Layout(stage.base / "state", AppName(app))
        layout.home.mkdir(parents=True, exist_ok=True)
        proxy = replace(stage.settings.proxy, site=f"http://{host}:{stage.port}")
        proxies.append(CaddyProxy(layout, replace(stage.settings, app=layout.app, proxy=proxy)))
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(lambda each: each.install(), proxies)) == [True, True]
        for to in (Slot.GREEN, Slot.BLUE, Slot.GREEN):
            switching = [pool.submit(each.switch, to, reached=ignore) for each in proxies]
            assert [each.result().seen for each in switching] == [True, True]
    assert [(each.observe().slot, each.observe().disagreement) for each in proxies] == [(Slot.GREEN, "")] * 2
    assert [each.install() for each in proxies] == [False, False]
