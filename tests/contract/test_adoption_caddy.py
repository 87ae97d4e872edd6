"""Which sites of real Caddyfiles are adopted, how, and that they come back byte for byte."""

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from celadon.contracts.adoption import Edit, FoundSite
from celadon.drivers.proxies.caddy_adopt import CaddyAdoption
from celadon.drivers.proxies.caddy_files import SnippetFiles
from celadon.drivers.proxies.caddy_sites import CaddySites
from celadon.drivers.proxies.caddy_stage import judge_staged
from celadon.host.layout import Layout
from celadon.model.address import Address, TcpAddress
from celadon.model.errors import StepError
from celadon.model.names import AppName, Slot
from celadon.model.settings import ProxyKind, ProxySettings, Settings, SourceSettings, SwitchWay, WebSettings
from tests.contract.caddy_server import CADDIES, CADDY, CaddyStage
from tests.contract.proxy_promises import ignore

DATA = Path(__file__).parents[1] / "data" / "caddy"
NOT_IN_2_6 = {"bound"}
"""`trusted_proxies` among the servers' options came with 2.6.3."""

FOUND = {
    "simple": ["https://shop.example 127.0.0.1:443 / 127.0.0.1:8000"],
    "several": [
        "https://shop.example 127.0.0.1:443 / 127.0.0.1:8000",
        "http://blog.example:8080 127.0.0.1:8080 / 127.0.0.1:9000",
    ],
    "snippets": [
        "https://shop.example 127.0.0.1:443 / 127.0.0.1:8001",
        "https://other.example: {args.0} is not one address on this machine over plain HTTP",
        "https://a.example 127.0.0.1:443 / 127.0.0.1:8000",
    ],
    "trees": [
        "https://shop.example 127.0.0.1:443 /api/ 127.0.0.1:8002",
        "https://shop.example 127.0.0.1:443 /admin/ 127.0.0.1:8003",
        "https://shop.example 127.0.0.1:443 / 127.0.0.1:8000",
    ],
    "paths": [
        "https://shop.example 127.0.0.1:443 /api/ 127.0.0.1:8002",
        "https://shop.example 127.0.0.1:443 / 127.0.0.1:8004",
        "https://shop.example 127.0.0.1:443 / 127.0.0.1:8000",
        "https://order.example: reverse_proxy @ws stands behind it, which Caddy takes first: put it before",
        "https://order.example: reverse_proxy @ws stands beside respond, which Caddy takes first",
        "https://order.example: reverse_proxy /v2/* stands beside respond, which Caddy takes first",
    ],
    "tls": [
        "https://shop.example:8443 127.0.0.1:8443 / 127.0.0.1:8000",
        "https://*.example.org:8443: *.example.org names no host to look for",
        "https://secure.example:8443: https://localhost:8011 is not one address on this machine over plain HTTP",
    ],
    "php": [
        "https://blog.example: php_fastcgi is not taken over",
        "https://shop.example 127.0.0.1:443 / unix:/run/shop/shop.sock",
    ],
    "pools": [
        "https://shop.example: reverse_proxy has 2 upstreams",
        "https://api.example 127.0.0.1:443 / 127.0.0.1:8002",
        "https://slow.example: reverse_proxy has transport: it stays yours",
        "https://far.example: 10.0.0.5:8000 is not one address on this machine over plain HTTP",
        "https://auth.example: forward_auth is not taken over",
        "https://auth.example 127.0.0.1:443 / 127.0.0.1:8008",
    ],
    "bound": [
        "http://localhost: http:// names no host to look for",
        "http://six.example [::1]:80 / 127.0.0.1:8009",
    ],
}


def describe(found: FoundSite) -> str:
    if found.reason:
        return f"{found.site}: {found.reason}"
    return f"{found.site} {found.listen} {found.path} {found.upstream}"


class Copied:
    """One of the configurations, in a directory that may be changed."""

    def __init__(self, base: Path, name: str, *, caddy: str) -> None:
        self.base = base
        self.conf = base / "conf"
        shutil.copytree(DATA / name, self.conf)
        self.main = self.conf / "Caddyfile"
        self.binary = CADDIES[caddy]
        self.layout = Layout(base / "state", AppName("shop"))
        self.layout.home.mkdir(parents=True)

    def find(self) -> list[FoundSite]:
        return list(CaddySites(self.main, self.binary).find_sites())

    def settings(self, blue: Address, *, site: str, listen: str, way: SwitchWay = SwitchWay.POINTER) -> Settings:
        web = WebSettings(command="app", blue=blue, green=TcpAddress(port=18999))
        proxy = ProxySettings(
            kind=ProxyKind.CADDY,
            site=site,
            listen=listen,
            switch=way,
            directory=str(self.conf / "celadon"),
            config=str(self.main),
            binary=self.binary,
        )
        return Settings(app=self.layout.app, source=SourceSettings(path="/srv/shop"), web=web, proxy=proxy)

    def texts(self) -> dict[Path, str]:
        return {path: path.read_text() for path in self.conf.rglob("*") if path.is_file()}


@pytest.fixture(params=sorted(FOUND))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_every_place_that_sends_requests_on_is_found(tmp_path: Path, name: str) -> None:
    """In the configuration's order, with the reason where it is left alone, and the lines to add by hand."""
    found = Copied(tmp_path, name, caddy="2.11").find()
    assert [describe(each) for each in found] == FOUND[name]
    assert all(bool(each.by_hand) == bool(each.reason) for each in found)


def test_a_configuration_that_caddy_refuses_is_told_in_its_words(tmp_path: Path) -> None:
    """Nothing is guessed of it."""
    with pytest.raises(StepError, match="nonsense"):
        Copied(tmp_path, "broken", caddy="2.11").find()


@pytest.mark.parametrize("caddy", CADDIES)
def test_each_edit_is_valid_and_comes_back_byte_for_byte(tmp_path: Path, name: str, caddy: str) -> None:
    """For every place that can be adopted, in both versions: Caddy takes the edit, and the ejection restores what
    was."""
    if caddy == "2.6" and name in NOT_IN_2_6:
        return
    copied = Copied(tmp_path, name, caddy=caddy)
    before = copied.texts()
    for found in [each for each in copied.find() if not each.reason and each.upstream is not None]:
        assert found.upstream is not None
        settings = copied.settings(found.upstream, site=found.site, listen=found.listen)
        adoption, files = CaddyAdoption(copied.layout, settings), SnippetFiles(copied.layout, settings)
        edits = adoption.propose([found])
        files.expects_options = any(edit.path == files.options for edit in edits)
        after = {edit.path: edit.after for edit in edits if edit.after is not None}
        judged = judge_staged(settings.proxy, {**after, **files.render()}, scratch=copied.layout.home)
        assert judged.ok, (found.where, judged.output)
        adoption._keep_record(edits)
        files.put({**after, **files.render()})
        back = adoption.propose_eject(Slot.BLUE)
        apply(back)
        assert copied.texts() == before


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[CaddyStage]:
    with contextlib.closing(CaddyStage(tmp_path / "caddy", way=SwitchWay.POINTER)) as made:
        yield made


OWN = "\t# the app\n\treverse_proxy {address} {{\n\t\theader_up X-Mine yes # mine\n\t}}\n\theader X-Site shop\n"


def own_text(stage: CaddyStage) -> str:
    address = stage.settings.web.address(Slot.BLUE)
    text = stage.main.read_text().replace("\timport celadon/shop-one*.caddy\n", OWN.format(address=address))
    # a name to look for, beside the address that the test's visitors use
    return text.replace(
        f"http://127.0.0.1:{stage.port} {{", f"http://shop.example:{stage.port}, http://127.0.0.1:{stage.port} {{"
    )


@pytest.fixture
def owned(stage: CaddyStage) -> CaddyStage:
    """Caddy runs with a site as its owner wrote it."""
    stage.main.write_text(own_text(stage))
    stage.stop()
    stage.start()
    return stage


def test_a_site_is_taken_over_and_given_back(owned: CaddyStage) -> None:
    """The owner's headers go on, the switch works, and after the ejection the file is what it was, or names green."""
    before = owned.main.read_text()
    adoption = CaddyAdoption(owned.layout, owned.settings)
    found = list(CaddySites(owned.main, CADDY).find_sites())
    assert [describe(each).split(" ")[0] for each in found] == [f"http://shop.example:{owned.port}"]
    adoption.adopt(adoption.propose(found), live=Slot.BLUE)
    assert (owned.proxy.observe().slot, owned.proxy.observe().seen) == (Slot.BLUE, True)
    assert owned.proxy.switch(Slot.GREEN, reached=ignore).seen
    assert owned.ask("127.0.5.5") == (200, "green")
    assert "x-mine" in owned.slots[Slot.GREEN].headers
    adoption.eject(adoption.propose_eject(Slot.GREEN), live=Slot.GREEN)
    blue, green = (str(owned.settings.web.address(slot)) for slot in Slot)
    assert owned.main.read_text() == before.replace(blue, green)
    assert owned.ask("127.0.5.5") == (200, "green")
    assert list((owned.conf / "celadon").iterdir()) == []


def test_an_adoption_that_is_not_seen_puts_everything_back(owned: CaddyStage) -> None:
    """Blue does not answer well: the site is as its owner wrote it, and serves as it did."""
    before = owned.main.read_text()
    settings = owned.settings_for(SwitchWay.POINTER, seen_timeout_s=0.5)
    adoption = CaddyAdoption(owned.layout, settings)
    edits = adoption.propose(CaddySites(owned.main, CADDY).find_sites())
    owned.slots[Slot.BLUE].status = 500
    with pytest.raises(StepError) as caught:
        adoption.adopt(edits, live=Slot.BLUE)
    assert caught.value.code == "switch_not_seen"
    owned.slots[Slot.BLUE].status = 200
    assert owned.main.read_text() == before
    assert list((owned.conf / "celadon").iterdir()) == []
    assert owned.ask("127.0.5.5") == (200, "blue")


def test_an_edit_of_a_file_that_has_changed_is_refused(owned: CaddyStage) -> None:
    """What its owner has not seen is not done."""
    adoption = CaddyAdoption(owned.layout, owned.settings)
    edits = adoption.propose(CaddySites(owned.main, CADDY).find_sites())
    owned.main.write_text(owned.main.read_text() + "# later\n")
    with pytest.raises(StepError) as caught:
        adoption.adopt(edits, live=Slot.BLUE)
    assert caught.value.code == "edit_outdated"
    assert owned.main.read_text().endswith("# later\n")


def test_an_adoption_done_twice_is_one(owned: CaddyStage) -> None:
    """After a death it is done again; the way back is still known."""
    before = owned.main.read_text()
    adoption = CaddyAdoption(owned.layout, owned.settings)
    edits = adoption.propose(CaddySites(owned.main, CADDY).find_sites())
    adoption.adopt(edits, live=Slot.BLUE)
    adoption.adopt(edits, live=Slot.BLUE)
    adoption.eject(adoption.propose_eject(Slot.BLUE), live=Slot.BLUE)
    assert owned.main.read_text() == before


def apply(edits: Sequence[Edit]) -> None:
    for edit in edits:
        if edit.after is None:
            edit.path.unlink()
        else:
            edit.path.write_text(edit.after)
