"""A running nginx whose site is taken over and given back, under visitors."""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from celadon.contracts.adoption import FoundSite
from celadon.drivers.proxies.nginx import NginxProxy
from celadon.drivers.proxies.nginx_adopt import NginxAdoption
from celadon.drivers.proxies.nginx_sites import NginxSites
from celadon.host.pointer import read_pointer
from celadon.model.address import TcpAddress
from celadon.model.errors import StepError
from celadon.model.names import Slot
from celadon.model.settings import SwitchWay
from tests.contract.nginx_owner import NGINX, OwnersNginx
from tests.contract.proxy_promises import ignore

pytestmark = [pytest.mark.root, pytest.mark.skipif(not Path(NGINX).exists(), reason="nginx is not installed")]

WAYS = (SwitchWay.POINTER, SwitchWay.SYMLINK, SwitchWay.INCLUDE)
Open = Callable[..., OwnersNginx]

NOTHING_SAID = """
server {{
    listen 127.0.0.1:{port};
    server_name shop.example;
    location / {{ proxy_pass http://127.0.0.1:{app}; }}
    location /api/ {{ proxy_pass http://127.0.0.1:{app}/; }}
    location /deep/er/ {{ proxy_pass http://127.0.0.1:{app}/some/where/; }}
    location ^~ /odd.path+/ {{ proxy_pass http://127.0.0.1:{app}/x; }}
    location /old/ {{
        rewrite ^/old/(.*)$ /$1 break;
        proxy_pass http://127.0.0.1:{app};
    }}
    location ~ ^/reports/(\\d+)$ {{
        proxy_set_header X-Report $1;
        proxy_pass http://127.0.0.1:{app};
    }}
}}
"""
MUCH_SAID = """
upstream shop_app {{ server 127.0.0.1:{app} max_fails=0; keepalive 8; }}
map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
server {{
    listen 127.0.0.1:{port};
    server_name shop.example;
    proxy_http_version 1.1;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $connection_upgrade;
    proxy_set_header Host $host;
    add_header X-Owner shop;
    location / {{
        if ($arg_gone) {{ return 410; }}
        if ($http_x_cors) {{ add_header Access-Control-Allow-Origin $http_x_cors; }}
        access_log off;
        proxy_pass http://shop_app;
    }}
    location /api/ {{
        proxy_set_header X-Api yes;
        proxy_pass http://shop_app/v1/;
        proxy_redirect default;
    }}
    location /named/ {{ try_files /nothing @app; }}
    location @app {{
        proxy_set_header Host $http_host;
        proxy_redirect off;
        proxy_pass http://shop_app;
        proxy_buffering off;
    }}
}}
"""
SITES = {"nothing-said": NOTHING_SAID, "much-said": MUCH_SAID}
PATHS = [
    "/", "/moved", "/a%20b%2Fc//d/../e?x=1&y=%20%2F", "/?gone=1", "/api", "/api/", "/api/moved/x%3Fy%25?z",
    "/deep/er/a%20b", "/deep/er/moved", "/odd.path+/y", "/oddxpath+/y", "/old/x/y?z=1", "/reports/17", "/reports/x",
    "/named/x?y", "/named/moved", "/api/line%0Abreak",
]  # fmt: skip


@pytest.fixture
def open_nginx(tmp_path: Path) -> Iterator[Open]:
    made: list[OwnersNginx] = []

    def make(text: str = NOTHING_SAID) -> OwnersNginx:
        made.append(OwnersNginx(tmp_path, lambda port, app: text.format(port=port, app=app)))
        return made[-1]

    yield make
    for nginx in made:
        nginx.close()


@pytest.mark.parametrize("name", SITES)
@pytest.mark.parametrize("way", WAYS)
def test_answers_are_the_same_before_during_and_after(open_nginx: Open, way: SwitchWay, name: str) -> None:
    """Status, headers and body, and with the body all that the app was told: adopted, switched, given back."""
    nginx = open_nginx(SITES[name])
    before = answers(nginx)
    owners = nginx.site.read_text(), nginx.main.read_text()
    settings = nginx.settings_for(way)
    adoption, proxy = NginxAdoption(nginx.layout, settings), NginxProxy(nginx.layout, settings)
    adoption.adopt(adoption.propose(find(nginx)), live=Slot.BLUE)
    assert (proxy.observe().slot, proxy.observe().seen, proxy.observe().disagreement) == (Slot.BLUE, True, "")
    assert answers(nginx) == before
    assert proxy.install() is False
    assert proxy.switch(Slot.GREEN, reached=ignore).seen
    assert answers(nginx) == before
    adoption.eject(adoption.propose_eject(Slot.GREEN), live=Slot.GREEN)
    logged_bytes = nginx.layout.access_log.stat().st_size
    assert answers(nginx) == before
    assert nginx.layout.access_log.stat().st_size == logged_bytes
    assert not [path for path in (nginx.base / "conf/celadon").rglob("*") if path.is_file()]
    assert "celadon" not in nginx.site.read_text() + nginx.main.read_text()
    nginx.site.write_text(owners[0])
    assert nginx.main.read_text() == owners[1]


@pytest.mark.parametrize("way", WAYS)
def test_no_visitor_notices_an_adoption_or_an_ejection(open_nginx: Open, way: SwitchWay) -> None:
    """Five times there and back, the owner's files the same each time."""
    nginx = open_nginx()
    owners = nginx.site.read_text(), nginx.main.read_text()
    adoption = NginxAdoption(nginx.layout, nginx.settings_for(way))
    with nginx.visitors() as visitors:
        for _ in range(5):
            adoption.adopt(adoption.propose(find(nginx)), live=Slot.BLUE)
            visitors.await_more(20)
            adoption.eject(adoption.propose_eject(Slot.BLUE), live=Slot.BLUE)
            visitors.await_more(20)
            assert (nginx.site.read_text(), nginx.main.read_text()) == owners
    assert visitors.failures + visitors.lost == []
    assert visitors.count > 200


def test_an_adoption_that_died_on_its_way_is_carried_on(open_nginx: Open) -> None:
    """Edits in place already are no change; without any, what is there is loaded and seen."""
    nginx = open_nginx()
    adoption = NginxAdoption(nginx.layout, nginx.settings_for(SwitchWay.POINTER))
    edits = adoption.propose(find(nginx))
    adoption.adopt(edits, live=Slot.BLUE)
    adoption.adopt(edits, live=Slot.BLUE)
    assert find(nginx) == []
    adoption.adopt([], live=Slot.BLUE)
    assert NginxProxy(nginx.layout, nginx.settings_for(SwitchWay.POINTER)).observe().seen


def test_the_owners_file_keeps_its_place_its_mode_and_its_owner(open_nginx: Open) -> None:
    """Behind a link, as in sites-enabled: the link stays one."""
    nginx = open_nginx()
    real = nginx.base / "available.conf"
    nginx.site.rename(real)
    nginx.site.symlink_to(real)
    real.chmod(0o640)
    os.chown(real, 12345, 54321)
    adoption = NginxAdoption(nginx.layout, nginx.settings_for(SwitchWay.POINTER))
    adoption.adopt(adoption.propose(find(nginx)), live=Slot.BLUE)
    status = real.stat()
    assert (nginx.site.is_symlink(), stat.S_IMODE(status.st_mode)) == (True, 0o640)
    assert (status.st_uid, status.st_gid) == (12345, 54321)


def test_a_file_that_changed_since_is_refused(open_nginx: Open) -> None:
    """What a person agreed to is what happens."""
    nginx = open_nginx()
    adoption = NginxAdoption(nginx.layout, nginx.settings_for(SwitchWay.POINTER))
    sites = find(nginx)
    edits = adoption.propose(sites)
    nginx.site.write_text("# a line more\n" + nginx.site.read_text())
    with pytest.raises(StepError) as caught:
        adoption.adopt(edits, live=Slot.BLUE)
    assert caught.value.code == "site_changed"
    with pytest.raises(StepError) as caught:
        adoption.propose(sites)
    assert caught.value.code == "site_changed"
    assert read_pointer(nginx.layout.pointer) is None


@pytest.mark.parametrize("way", WAYS)
def test_a_route_that_is_not_seen_is_put_back(open_nginx: Open, way: SwitchWay) -> None:
    """The looks go elsewhere: every file and every answer is as it was, and nothing of ours stays."""
    nginx = open_nginx(NOTHING_SAID.replace("location / {{", "location = /elsewhere {{ return 204; }} location / {{"))
    before, owners = answers(nginx), (nginx.site.read_text(), nginx.main.read_text())
    adoption = NginxAdoption(nginx.layout, nginx.settings_for(way, look_path="/elsewhere"))
    edits = adoption.propose(find(nginx))
    with nginx.visitors() as visitors:
        with pytest.raises(StepError) as caught:
            adoption.adopt(edits, live=Slot.BLUE)
        visitors.await_more(10)
    assert "not by this app's route" in caught.value.what
    assert (nginx.site.read_text(), nginx.main.read_text()) == owners
    assert answers(nginx) == before
    assert visitors.failures + visitors.lost == []
    assert read_pointer(nginx.layout.pointer) is None
    assert not [path for path in (nginx.base / "conf/celadon").rglob("*") if path.name != "current.conf"][1:]


def test_an_adopted_app_never_sees_our_headers(open_nginx: Open) -> None:
    """Though the owner decides all the others."""
    nginx = open_nginx(MUCH_SAID)
    adoption = NginxAdoption(nginx.layout, nginx.settings_for(SwitchWay.POINTER))
    adoption.adopt(adoption.propose(find(nginx)), live=Slot.BLUE)
    names = ("X-Celadon-Look", "X-Celadon-Slot", "X-Celadon-Release", "X-Celadon-Preview")
    for path in ("/", "/api/x", "/named/x"):
        told = nginx.answer(path, *(f"{name}: forged" for name in names)).lower()
        assert [name for name in names if name.lower().encode() in told] == []


def test_a_site_whose_owner_wrote_the_include_is_given_back_as_plain_lines(open_nginx: Open) -> None:
    """With the headers that our text had set, and the map that they need."""
    text = NOTHING_SAID.split("    location / ", maxsplit=1)[0] + "    location / {{ ROUTE }}\n}}\n"
    nginx = open_nginx(text.replace("ROUTE", "proxy_pass http://127.0.0.1:{app};"))
    directory = nginx.base / "conf/celadon"
    site = text.format(port=nginx.port, app=nginx.blue.port).replace("ROUTE", f"include {directory}/shop/route.conf;")
    nginx.site.write_text(f"include {directory}/*/http.conf;\n{site}")
    settings = nginx.settings_for(SwitchWay.POINTER)
    proxy, adoption = NginxProxy(nginx.layout, settings), NginxAdoption(nginx.layout, settings)
    proxy.install()
    assert proxy.switch(Slot.GREEN, reached=ignore).seen
    before = answers(nginx)
    adoption.eject(adoption.propose_eject(Slot.GREEN), live=Slot.GREEN)
    assert answers(nginx) == before
    assert "celadon" not in nginx.site.read_text() + nginx.main.read_text()


def answers(nginx: OwnersNginx) -> dict[str, bytes]:
    return {path: nginx.answer(path, "X-Cors: https://a.example") for path in PATHS}


def find(nginx: OwnersNginx) -> list[FoundSite]:
    """The places of the app, none of which is left alone."""
    sites = NginxSites(nginx.main, NGINX).find_sites()
    assert [site.reason for site in sites if site.reason] == []
    assert {site.upstream for site in sites} <= {TcpAddress(port=nginx.blue.port)}
    return list(sites)
