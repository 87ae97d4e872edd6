"""What HAProxy configurations as distributions and guides ship them say, and that adoption gives them back whole."""

import subprocess
from pathlib import Path

import pytest

from celadon.contracts.adoption import FoundSite
from celadon.drivers.proxies.haproxy_adopt import HaproxyAdoption
from celadon.drivers.proxies.haproxy_config import list_files, parse_config, split_lines, split_words
from celadon.drivers.proxies.haproxy_files import HaproxyFiles, last_words
from celadon.drivers.proxies.haproxy_route import prepare_route
from celadon.drivers.proxies.haproxy_sites import HaproxySites, find_sites, has_format
from celadon.drivers.proxies.haproxy_text import NAMES_REQUESTS
from celadon.host.layout import Layout
from celadon.host.look_mark import ensure_secret
from celadon.model.address import Address, SocketAddress, TcpAddress
from celadon.model.errors import StepError
from celadon.model.names import AppName, Slot
from celadon.model.settings import ProxyKind, ProxySettings, Settings, SourceSettings, WebSettings
from tests.contract.haproxy_server import HAPROXY

DATA = Path(__file__).parents[1] / "data" / "haproxy"
NOT_HERE = "is not one address on this machine"
Expected = tuple[str, tuple[str, ...], str, Address | None, str]
"""Site, names, path, upstream, and words of the reason."""
PORT = TcpAddress(port=3000)
EXPECTED: dict[str, list[Expected]] = {
    "debian.cfg": [("http://127.0.0.1:8080", (), "/", PORT, "")],
    "tls.cfg": [
        ("https://blog.example", ("blog.example", "www.blog.example"), "/", None, NOT_HERE),
        ("https://shop.example", ("shop.example",), "/", PORT, ""),
    ],
    "routing.cfg": [
        ("http://shop.example:8080", ("shop.example",), "/api", TcpAddress(port=3001), ""),
        ("http://127.0.0.1:8080", (), "/", TcpAddress(port=3002), "`src 10.0.0.0/8` is a condition"),
        ("http://shop.example:8080", ("shop.example",), "/", TcpAddress(port=3001), "`unless` is a condition"),
        ("http://127.0.0.1:8080", (), "/", PORT, ""),
    ],
    "ipv6.cfg": [
        ("http://127.0.0.1:8080", (), "/", SocketAddress(path="/run/shop/app.sock"), ""),
        ("http://[::1]:8081", (), "/", None, NOT_HERE),
    ],
    "listen.cfg": [
        ("http://127.0.0.1:8080", (), "/", PORT, ""),
        ("http://127.0.0.1:5433", (), "/", None, "listen postgres is not in mode http"),
    ],
    "letsencrypt.cfg": [
        ("http://127.0.0.1:8080", (), "/.well-known/acme-challenge/", TcpAddress(port=8888), ""),
        ("http://127.0.0.1:8080", (), "/", PORT, ""),
    ],
    "several.cfg": [
        ("http://127.0.0.1:8080", (), "/", None, "backend pool has 2 servers (a, b)"),
        ("http://sticky.example:8080", ("sticky.example",), "/", None, "`cookie SRV insert indirect nocache`"),
        ("http://sent.example:8080", ("sent.example",), "/", TcpAddress(port=3003), "`send-proxy` of server a"),
    ],
    "maps.cfg": [
        ("http://127.0.0.1:8080", (), "/", None, "chooses a backend when the request comes"),
        ("http://127.0.0.1:8080", (), "/", PORT, "log-format of its own"),
    ],
    "parts": [("http://127.0.0.1:8080", (), "/", PORT, "")],
}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """What the configurations name besides: certificates, an error page, a map, a chroot."""
    for name in ("chroot", "errors"):
        (tmp_path / name).mkdir()
    (tmp_path / "errors" / "503.http").write_text("HTTP/1.0 503 Service Unavailable\r\n\r\nback soon\n")
    (tmp_path / "hosts.map").write_text("shop.example app\n")
    for name in ("shop", "blog"):
        key, certificate = tmp_path / f"{name}.key", tmp_path / f"{name}.crt"
        argv = [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ]
        argv += ["-days", "2", "-subj", f"/CN={name}.example", "-keyout", str(key), "-out", str(certificate)]
        subprocess.run(argv, check=True, capture_output=True)
        (tmp_path / f"{name}.pem").write_text(certificate.read_text() + key.read_text())
    return tmp_path


def put(name: str, base: Path) -> Path:
    """The configuration's copy beneath `base`."""
    source, copy = DATA / name, base / name
    if source.is_dir():
        copy.mkdir()
        for each in source.iterdir():
            (copy / each.name).write_text(each.read_text().replace("@BASE@", str(base)))
    else:
        copy.write_text(source.read_text().replace("@BASE@", str(base)))
    return copy


def make_settings(main: Path, base: Path, *, blue: Address) -> tuple[Layout, Settings]:
    layout = Layout(base / "state", AppName("shop"))
    layout.home.mkdir(parents=True)
    green: Address = TcpAddress(port=3999) if isinstance(blue, TcpAddress) else SocketAddress(path="/run/shop/g.sock")
    proxy = ProxySettings(
        kind=ProxyKind.HAPROXY,
        site="http://shop.example",
        listen="127.0.0.1:8080",
        directory=str(base / "celadon"),
        config=str(main),
        binary=HAPROXY,
    )
    web = WebSettings(command="app", blue=blue, green=green)
    return layout, Settings(app=layout.app, source=SourceSettings(path="/srv/shop"), web=web, proxy=proxy)


@pytest.mark.parametrize("name", EXPECTED)
def test_sites_are_found_as_their_owner_means_them(name: str, base: Path) -> None:
    """With a reason and the lines to add where one is not understood."""
    found = HaproxySites(put(name, base), HAPROXY).find_sites()
    told = [(site.site, site.names, site.path, site.upstream) for site in found]
    assert told == [expected[:4] for expected in EXPECTED[name]]
    for site, (*_, reason) in zip(found, EXPECTED[name], strict=True):
        assert bool(site.reason) == bool(reason) == bool(site.by_hand), site
        assert reason in site.reason


def test_a_broken_neighbour_is_told_in_haproxys_own_words(base: Path) -> None:
    """Nothing is read out of a configuration that HAProxy would not run."""
    with pytest.raises(StepError, match="nonsense"):
        HaproxySites(put("broken.cfg", base), HAPROXY).find_sites()


def adoptable() -> list[tuple[str, int]]:
    return [
        (name, index) for name, sites in EXPECTED.items() for index, expected in enumerate(sites) if not expected[4]
    ]


@pytest.mark.parametrize(("name", "index"), adoptable())
def test_an_adopted_configuration_is_valid_and_ejected_it_is_what_it_was(name: str, index: int, base: Path) -> None:
    """Byte for byte, every file; HAProxy's own checker takes what lies between."""
    main = put(name, base)
    found: FoundSite = HaproxySites(main, HAPROXY).find_sites()[index]
    assert found.upstream is not None
    layout, settings = make_settings(main, base, blue=found.upstream)
    ensure_secret(layout.look_mark)
    prepare_route(layout.pointer, percents=())
    adoption, files = HaproxyAdoption(layout, settings), HaproxyFiles(layout, settings)
    edits = adoption.propose([found])
    before = {path: path.read_bytes() for path in list_files([main])}
    judged = files.judge({edit.path: edit.after for edit in edits})
    assert judged.ok, last_words(judged)
    for edit in edits:
        assert edit.after is not None
        edit.path.write_text(edit.after)
    assert files.find_edited(files.render()) == []
    assert all(files.render()[edit.path] == edit.after for edit in edits)
    for edit in adoption.propose_eject(Slot.BLUE):
        assert edit.after is not None
        edit.path.write_text(edit.after)
    assert {path: path.read_bytes() for path in list_files([main])} == before


def test_ejected_to_the_other_slot_only_its_address_differs(base: Path) -> None:
    """What the server's line says besides stays."""
    main = put("tls.cfg", base)
    found = next(site for site in HaproxySites(main, HAPROXY).find_sites() if not site.reason)
    layout, settings = make_settings(main, base, blue=PORT)
    adoption = HaproxyAdoption(layout, settings)
    (edit,) = adoption.propose([found])
    assert edit.after is not None
    assert " 127.0.0.1:3999 " in edit.after
    assert "maxconn 200" in edit.after.split("    server shop.green ")[1].split("\n")[0]
    main.write_text(edit.after)
    (back,) = adoption.propose_eject(Slot.GREEN)
    assert back.after == edit.before.replace("127.0.0.1:3000", "127.0.0.1:3999") if edit.before else False


def test_a_site_that_has_changed_since_is_not_touched(base: Path) -> None:
    """What was shown is what is done."""
    main = put("debian.cfg", base)
    (found,) = HaproxySites(main, HAPROXY).find_sites()
    layout, settings = make_settings(main, base, blue=PORT)
    main.write_text(main.read_text().replace("127.0.0.1:3000", "127.0.0.1:3001"))
    with pytest.raises(StepError, match="has changed"):
        HaproxyAdoption(layout, settings).propose([found])


def test_an_adopted_site_is_not_offered_again(base: Path) -> None:
    """Its backend has our servers now."""
    main = put("debian.cfg", base)
    (found,) = HaproxySites(main, HAPROXY).find_sites()
    layout, settings = make_settings(main, base, blue=PORT)
    (edit,) = HaproxyAdoption(layout, settings).propose([found])
    assert edit.after is not None
    (again,) = find_sites(parse_config(list(split_lines(main, edit.after))))
    assert "4 servers" in again.reason


@pytest.mark.parametrize(
    ("own", "added"),
    [
        ("", NAMES_REQUESTS),
        ("    unique-id-format %[req.hdr(X-Request-Id)]\n", ("option httplog",)),
        ("    option httplog\n", ()),
    ],
)
def test_a_frontend_whose_lines_we_make_names_requests(own: str, added: tuple[str, ...], base: Path) -> None:
    """A format of the owner's stays as it is, and so does an id, which may be a visitor's word."""
    main = put("routing.cfg", base)
    main.write_text(main.read_text().replace("frontend main\n", f"frontend main\n{own}"))
    found = HaproxySites(main, HAPROXY).find_sites()[0]
    layout, settings = make_settings(main, base, blue=TcpAddress(port=3001))
    (edit,) = HaproxyAdoption(layout, settings).propose([found])
    assert edit.after is not None
    sections = parse_config(list(split_lines(main, edit.after)))
    (frontend,) = [each for each in sections if (each.kind, each.name) == ("frontend", "main")]
    before = parse_config(list(split_lines(main, main.read_text())))
    known = {line.words for section in before for line in section.lines}
    assert [line.words for line in frontend.lines if line.words not in known] == [
        *(split_words(line) for line in added),
        ("log", "ring@celadon_shop", "local0"),
    ]
    assert has_format(frontend)
