"""Which handlers of a JSON configuration are adopted, how, and that they come back byte for byte."""

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from celadon.app.compose import ADOPTIONS, FINDERS
from celadon.contracts.adoption import Adoption, FoundSite
from celadon.drivers.proxies.caddy_json_adopt import CaddyJsonAdoption
from celadon.drivers.proxies.caddy_stage import judge_staged
from celadon.host.layout import Layout
from celadon.model.address import Address, TcpAddress
from celadon.model.errors import StepError
from celadon.model.names import AppName, Slot
from celadon.model.settings import ProxyKind, ProxySettings, Settings, SourceSettings, SwitchWay, WebSettings
from tests.contract.caddy_server import CADDIES, CADDY, JsonStage
from tests.contract.proxy_promises import ignore
from tests.contract.test_adoption_caddy import apply, describe

DATA = Path(__file__).parents[1] / "data" / "caddy-json"
TAKEN = """,
									"headers": {"request": {"set": {"X-Mine": ["yes"]}, "delete": ["X-Theirs"]}},
									"flush_interval": -1"""
"""Of the first handler: the second has no such options."""
FOUND = {
    "plain": [
        "https://shop.example 127.0.0.1:443 / 127.0.0.1:8000",
        "https://blog.example 127.0.0.1:443 /api/ 127.0.0.1:8002",
    ],
    "logged": [
        "http://shop.example:8080 127.0.0.1:8080 / unix:/run/shop/shop.sock",
        "http://quiet.example:8080 127.0.0.1:8080 /app/ 127.0.0.1:8003",
        "http://127.0.0.1:8090 127.0.0.1:8090 / 127.0.0.1:8004",
    ],
    "one-line": ["http://127.0.0.1 127.0.0.1:80 / 127.0.0.1:8000"],
    "left": [
        "https://pool.example: reverse_proxy has 2 upstreams",
        "https://far.example: 10.0.0.5:8000 is not one plain address on this machine",
        "https://slow.example: reverse_proxy has transport: it stays yours",
        "https://named.example: reverse_proxy has @id: it stays yours",
        "https://127.0.0.1: *.example.org names no host to look for",
        "https://a.example: a.example, b.example have different access logs in server s",
        "http://127.0.0.1:443: server s logs named hosts only, and the route names none",
        "http://127.0.0.1:443: it stands in errors",
    ],
}


class Copied:
    """One of the configurations, in a directory that may be changed."""

    def __init__(self, base: Path, name: str) -> None:
        self.main = base / "conf" / "caddy.json"
        shutil.copytree(DATA / name, self.main.parent)
        self.layout = Layout(base / "state", AppName("shop"))
        self.layout.home.mkdir(parents=True)

    def find(self) -> list[FoundSite]:
        return list(FINDERS[ProxyKind.CADDY](self.main, CADDY).find_sites())

    def settings(self, blue: Address, *, site: str, listen: str) -> Settings:
        web = WebSettings(command="app", blue=blue, green=TcpAddress(port=18999))
        proxy = ProxySettings(
            kind=ProxyKind.CADDY,
            site=site,
            listen=listen,
            directory=str(self.main.parent / "celadon"),
            config=str(self.main),
            binary=CADDY,
        )
        return Settings(app=self.layout.app, source=SourceSettings(path="/srv/shop"), web=web, proxy=proxy)


@pytest.fixture(params=sorted(FOUND))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_every_handler_that_sends_requests_on_is_found(tmp_path: Path, name: str) -> None:
    """In the file's order, with the reason where it is left alone, and what to put there by hand."""
    found = Copied(tmp_path, name).find()
    assert [describe(each) for each in found] == FOUND[name]
    assert all(bool(each.by_hand) == bool(each.reason) for each in found)


def test_a_configuration_that_caddy_refuses_is_told_in_its_words(tmp_path: Path) -> None:
    """Nothing is guessed of it."""
    copied = Copied(tmp_path, "plain")
    copied.main.write_text(copied.main.read_text().replace('"encode"', '"nonsense"'))
    with pytest.raises(StepError, match="nonsense"):
        copied.find()


def test_each_edit_is_valid_and_comes_back_byte_for_byte(tmp_path: Path, name: str) -> None:
    """For every handler that can be adopted: Caddy takes the edit, and the ejection restores what was."""
    copied = Copied(tmp_path, name)
    before = copied.main.read_bytes()
    for found in [each for each in copied.find() if not each.reason]:
        assert found.upstream is not None
        settings = copied.settings(found.upstream, site=found.site, listen=found.listen)
        adoption = CaddyJsonAdoption(copied.layout, settings)
        edits = adoption.propose([found])
        after = {edit.path: edit.after for edit in edits if edit.after is not None}
        judged = judge_staged(settings.proxy, after, scratch=copied.layout.home)
        assert judged.ok, (found.where, judged.output)
        adoption._keep_record(edits)
        adoption._expect(after)
        adoption._files.put(after)
        assert b"celadon_shop" in copied.main.read_bytes()
        apply(adoption.propose_eject(Slot.BLUE))
        assert copied.main.read_bytes() == before


def test_two_places_of_one_app_are_taken_and_given_back_together(tmp_path: Path) -> None:
    """Each with an `@id` of its own, since Caddy takes none twice."""
    copied = Copied(tmp_path, "plain")
    text = copied.main.read_text().replace("localhost:8002", "127.0.0.1:8000").replace(TAKEN, "")
    copied.main.write_text(text)
    found = copied.find()
    assert found[0].upstream is not None
    settings = copied.settings(found[0].upstream, site=found[0].site, listen=found[0].listen)
    adoption = CaddyJsonAdoption(copied.layout, settings)
    edits = adoption.propose(found)
    after = {edit.path: edit.after for edit in edits if edit.after is not None}
    judged = judge_staged(settings.proxy, after, scratch=copied.layout.home)
    assert judged.ok, judged.output
    assert [name in after[copied.main] for name in ('"celadon_shop"', '"celadon_shop_2"')] == [True, True]
    adoption._keep_record(edits)
    adoption._expect(after)
    adoption._files.put(after)
    apply(adoption.propose_eject(Slot.BLUE))
    assert copied.main.read_text() == text


@pytest.fixture(params=CADDIES)
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[JsonStage]:
    with contextlib.closing(JsonStage(tmp_path / "caddy", way=SwitchWay.POINTER, caddy=request.param)) as made:
        yield made


OWN = """{{"handler": "reverse_proxy",
              "headers": {{"request": {{"set": {{"X-Mine": ["yes"]}}, "delete": ["X-Theirs"]}}}},
              "upstreams": [ {{ "dial": "{address}" }} ]}}"""


@pytest.fixture
def owned(stage: JsonStage) -> JsonStage:
    """Caddy runs with a handler as its owner wrote it."""
    mark = '{ "@id": "celadon_shop-one",  "handler": "subroute" }'
    address = stage.settings.web.address(Slot.BLUE)
    stage.main.write_text(stage.main.read_text().replace(mark, OWN.format(address=address)))
    stage.stop()
    stage.start()
    return stage


def make_adoption(stage: JsonStage) -> Adoption:
    return ADOPTIONS[ProxyKind.CADDY](stage.layout, stage.settings)


def find(stage: JsonStage) -> list[FoundSite]:
    return list(FINDERS[ProxyKind.CADDY](stage.main, stage.binary).find_sites())


def test_a_handler_is_taken_over_and_given_back(owned: JsonStage) -> None:
    """The owner's headers go on, the switch works, and after the ejection the file is what it was, or names green."""
    before = owned.main.read_bytes()
    assert [each.site for each in find(owned)] == [f"http://127.0.0.1:{owned.port}"]
    make_adoption(owned).adopt(make_adoption(owned).propose(find(owned)), live=Slot.BLUE)
    assert (owned.proxy.observe().slot, owned.proxy.observe().seen) == (Slot.BLUE, True)
    assert owned.proxy.install() is False
    assert owned.proxy.switch(Slot.GREEN, reached=ignore).seen
    assert owned.ask("127.0.5.5", {"X-Theirs": "1"}) == (200, "green")
    assert {"x-mine", "x-theirs", "x-celadon-look"} & owned.app_headers() == {"x-mine"}
    make_adoption(owned).eject(make_adoption(owned).propose_eject(Slot.GREEN), live=Slot.GREEN)
    blue, green = (str(owned.settings.web.address(slot)).encode() for slot in Slot)
    assert owned.main.read_bytes() == before.replace(blue, green)
    assert owned.ask("127.0.5.5") == (200, "green")
    assert list((owned.conf / "celadon").iterdir()) == []


def test_an_adoption_that_is_not_seen_puts_everything_back(owned: JsonStage) -> None:
    """Blue does not answer well: the handler is as its owner wrote it, and serves as it did."""
    before = owned.main.read_bytes()
    adoption = CaddyJsonAdoption(owned.layout, owned.settings_for(SwitchWay.POINTER, seen_timeout_s=0.5))
    edits = adoption.propose(find(owned))
    owned.slots[Slot.BLUE].status = 500
    with pytest.raises(StepError) as caught:
        adoption.adopt(edits, live=Slot.BLUE)
    assert caught.value.code == "switch_not_seen"
    owned.slots[Slot.BLUE].status = 200
    assert owned.main.read_bytes() == before
    assert list((owned.conf / "celadon").iterdir()) == []
    assert owned.ask("127.0.5.5") == (200, "blue")


def test_an_edit_of_a_file_that_has_changed_is_refused(owned: JsonStage) -> None:
    """What its owner has not seen is not done."""
    edits = make_adoption(owned).propose(find(owned))
    owned.main.write_text(owned.main.read_text() + "\n")
    with pytest.raises(StepError) as caught:
        make_adoption(owned).adopt(edits, live=Slot.BLUE)
    assert caught.value.code == "edit_outdated"


def test_an_adoption_done_twice_is_one(owned: JsonStage) -> None:
    """After a death it is done again; the way back is still known."""
    before = owned.main.read_bytes()
    edits = make_adoption(owned).propose(find(owned))
    make_adoption(owned).adopt(edits, live=Slot.BLUE)
    make_adoption(owned).adopt(edits, live=Slot.BLUE)
    make_adoption(owned).eject(make_adoption(owned).propose_eject(Slot.BLUE), live=Slot.BLUE)
    assert owned.main.read_bytes() == before


def test_what_its_owner_has_changed_since_stays(owned: JsonStage) -> None:
    """Only what is ours goes."""
    make_adoption(owned).adopt(make_adoption(owned).propose(find(owned)), live=Slot.BLUE)
    changed = json.loads(owned.main.read_text())
    changed["apps"]["http"]["grace_period"] = "5s"
    changed["logging"]["logs"]["mine"] = {"level": "ERROR"}
    owned.main.write_text(json.dumps(changed, indent=4))
    make_adoption(owned).eject(make_adoption(owned).propose_eject(Slot.BLUE), live=Slot.BLUE)
    left = json.loads(owned.main.read_text())
    assert "celadon" not in owned.main.read_text()
    assert left["apps"]["http"]["grace_period"] == "5s"
    assert left["logging"] == {"logs": {"mine": {"level": "ERROR"}}}
