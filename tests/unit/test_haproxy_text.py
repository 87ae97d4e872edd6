"""What is rendered for HAProxy has the shape that was meant, whatever the values."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from celadon.drivers.proxies.haproxy_config import find_admin, parse_config, split_lines
from celadon.drivers.proxies.haproxy_regions import (
    are_sealed,
    has_regions,
    refresh_regions,
    render_region,
    restore_regions,
)
from celadon.drivers.proxies.haproxy_text import (
    NAMES_REQUESTS,
    RouteText,
    make_text,
    parse_told,
    parse_value,
    render_file,
    render_generation,
    render_lines,
    render_ring,
    render_value,
    server_name,
)
from celadon.host.layout import Layout
from celadon.model.address import Address, SocketAddress, TcpAddress
from celadon.model.errors import StepError
from celadon.model.names import APP_NAME_PATTERN, AppName, Slot
from celadon.model.observed import Split
from celadon.model.settings import ProxyKind, ProxySettings, Settings, SourceSettings, WebSettings

APPS = st.from_regex(APP_NAME_PATTERN.rstrip("$") + r"\Z").map(AppName)
ADDRESSES: st.SearchStrategy[Address] = st.one_of(
    st.integers(1, 65535).map(lambda port: TcpAddress(port=port)),
    st.from_regex(r"/[A-Za-z0-9/._+@-]{1,60}", fullmatch=True).map(lambda path: SocketAddress(path=path)),
)
ROUTES = st.builds(
    RouteText,
    app=APPS,
    map=st.just(Path("/var/lib/celadon/pointer/live/haproxy.map")),
    look_mark=st.just(Path("/var/lib/celadon/look-mark")),
    preview=st.sampled_from([None, Path("/var/lib/celadon/preview-secret")]),
    blue=ADDRESSES,
    green=ADDRESSES,
)


@settings(deadline=None)
@given(ROUTES)
def test_a_rendered_file_is_one_ring_and_one_backend_with_our_servers(text: RouteText) -> None:
    """No value opens a section, a line or a word of its own."""
    ring, backend = parse_config(list(split_lines(Path("/x.cfg"), render_file(text))))
    assert (ring.kind, backend.kind) == ("ring", "backend")
    assert ring.name == backend.name == f"celadon_{text.app}"
    servers = {line.words[1]: line.words[2] for line in backend.find("server")}
    assert list(servers) == [server_name(text.app, slot, aside=aside) for aside in (False, True) for slot in Slot]
    for slot, address in ((Slot.BLUE, text.blue), (Slot.GREEN, text.green)):
        wanted = f"unix@{address.path}" if isinstance(address, SocketAddress) else f"127.0.0.1:{address.port}"
        assert servers[server_name(text.app, slot)] == servers[server_name(text.app, slot, aside=True)] == wanted
    assert {line.words[4] for line in backend.find("server")} == {"0"}


@given(st.sampled_from(Slot), st.integers(1, 100))
def test_a_route_is_one_number_and_comes_back_out_of_it(to: Slot, percent: int) -> None:
    """For every slot and share, and no two are the same."""
    share = None if percent == 100 else Split(slot=to, percent=percent)
    assert parse_value(render_value(to, percent)) == (to if share is None else to.other, share)
    assert parse_value(-1) == (None, None)


@given(st.sampled_from(Slot), st.integers(1, 99), st.integers(1, 99))
def test_a_growing_share_takes_nobody_back(to: Slot, one: int, other: int) -> None:
    """The clients below the number are green's: it only rises for green, only falls for blue."""
    small, large = render_value(to, min(one, other)), render_value(to, max(one, other))
    assert small <= large if to is Slot.GREEN else small >= large
    assert render_value(Slot.BLUE, 100) == 0 < small < render_value(Slot.GREEN, 100) == 100_000


@given(st.text())
def test_no_header_of_a_stranger_is_a_routes_word(header: str) -> None:
    """It is read or it is not; nothing is raised."""
    told = parse_told(header, app=AppName("shop"))
    assert told is None or isinstance(told.value, int)


@pytest.mark.parametrize("hostile", ["a b", "a\nbackend x", "a#", "a\\", "a'", 'a"', "a$HOME", "a}", "ä", "a,b", "a)"])
def test_a_path_that_would_be_more_than_a_word_is_refused(hostile: str) -> None:
    """Before anything is rendered."""
    web = WebSettings(command="app", blue=TcpAddress(port=1), green=TcpAddress(port=2))
    proxy = ProxySettings(
        kind=ProxyKind.HAPROXY, site="http://a", listen="127.0.0.1:80", directory="/d", config="/c", binary="haproxy"
    )
    given_settings = Settings(app=AppName("shop"), source=SourceSettings(path="/s"), web=web, proxy=proxy)
    assert make_text(Layout(Path("/var/lib/celadon"), AppName("shop")), given_settings).app == "shop"
    with pytest.raises(StepError, match="cannot stand"):
        make_text(Layout(Path(f"/var/{hostile}"), AppName("shop")), given_settings)
    sockets = replace(web, blue=SocketAddress(path=f"/run/{hostile}"))
    with pytest.raises(StepError, match="cannot stand"):
        make_text(Layout(Path("/var/lib"), AppName("shop")), replace(given_settings, web=sockets))


LINES = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"], exclude_characters="#"), max_size=40)


@settings(deadline=None)
@given(before=st.lists(LINES), was=LINES.filter(bool), after=st.lists(LINES), text=ROUTES)
def test_a_region_gives_its_place_back_byte_for_byte(
    before: list[str], was: str, after: list[str], text: RouteText
) -> None:
    """Whatever stands around it; renewing what is there already changes nothing."""
    owner = "".join(f"{line}\n" for line in [*before, f"  {was}", *after])
    body = render_lines(text)
    region = render_region(body, app=text.app, was=f"  {was}", indent="  ")
    ring = render_region(render_ring(text.app), app=text.app)
    put = "".join(f"{line}\n" for line in before) + region + "".join(f"{line}\n" for line in after) + ring
    assert has_regions(put, app=text.app)
    assert are_sealed(put, app=text.app)
    assert refresh_regions(put, app=text.app, lines=lambda _: body, ring=render_ring(text.app)) == put
    assert restore_regions(put, app=text.app, change=lambda line: line) == owner
    assert not are_sealed(put.replace("retries 1", "retries 2"), app=text.app)
    assert render_generation(text) in body


def test_words_are_read_as_haproxy_reads_them() -> None:
    """Quotes, escapes, comments; the runtime socket that may do everything, not the first one."""
    config = """
global # the process
    stats socket /run/one.sock level operator
    stats socket unix@/run/two.sock mode 660 level admin # ours
    log "127.0.0.1:514" local0
defaults base
    mode http
frontend a
    bind :80
defaults
    mode tcp
frontend b from base
    acl spaced path_beg /a\\ b
"""
    sections = parse_config(list(split_lines(Path("/x.cfg"), config)))
    assert [(each.kind, each.name) for each in sections] == [
        ("global", ""),
        ("defaults", "base"),
        ("frontend", "a"),
        ("defaults", ""),
        ("frontend", "b"),
    ]
    assert find_admin(sections) == "/run/two.sock"
    assert [(mode.words if (mode := each.last("mode")) else None) for each in sections[2:]] == [
        ("mode", "http"),
        ("mode", "tcp"),
        ("mode", "http"),
    ]
    assert sections[-1].find("acl")[0].words == ("acl", "spaced", "path_beg", "/a b")


def test_the_page_for_owners_has_the_lines_that_are_read() -> None:
    """A frontend that is written by hand names its requests as an adopted one does."""
    page = Path(__file__).parents[2].joinpath("docs", "how-to", "haproxy.md").read_text()
    assert all(f"    {line}\n" in page for line in NAMES_REQUESTS)
