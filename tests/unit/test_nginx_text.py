"""What is rendered for nginx is what was meant, whatever values it is made of."""

import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from celadon.drivers.proxies.headers import OURS
from celadon.drivers.proxies.nginx_config import parse_text, walk
from celadon.drivers.proxies.nginx_text import (
    RouteText,
    parse_upstream_slot,
    render_http,
    render_route,
    render_upstream,
)
from celadon.drivers.proxies.sealed import is_sealed
from celadon.model.address import SocketAddress, TcpAddress
from celadon.model.errors import StepError
from celadon.model.names import APP_NAME_PATTERN, AppName, Slot
from celadon.model.settings import SwitchWay

FILE = Path("/etc/nginx/x.conf")
HEX = st.text("0123456789abcdef", min_size=24, max_size=24)
PLAIN = st.from_regex(r"/[a-zA-Z0-9._/@+-]{1,40}", fullmatch=True).map(Path)
ADDRESS = st.one_of(
    st.integers(1, 65535).map(lambda port: TcpAddress(port=port)), PLAIN.map(lambda path: SocketAddress(path=str(path)))
)
ADDRESSES = st.lists(ADDRESS, min_size=1, max_size=3)


def read_words(text: str) -> list[tuple[str, ...]]:
    """As the owner could have written them: nginx takes no file that ends within a quote."""
    found = [found.args for found, _ in walk(parse_text(f"x {text};", file=FILE)) if found.args and not found.block]
    return [words for words in found if not any(is_open(word) for word in words)]


def is_open(word: str) -> bool:
    return word[:1] in {'"', "'"} and (len(word) == 1 or word[-1] != word[0])


WORDS = st.text(st.characters(min_codepoint=1, max_codepoint=0x17F), max_size=30).map(read_words)
TEXTS = st.builds(
    RouteText,
    app=st.from_regex(re.compile(APP_NAME_PATTERN.removesuffix("$") + r"\Z")).map(AppName),
    way=st.sampled_from([SwitchWay.POINTER, SwitchWay.SYMLINK, SwitchWay.INCLUDE]),
    blue=ADDRESSES,
    green=ADDRESSES,
    directory=PLAIN,
    live=PLAIN,
    access_log=PLAIN,
    kept_logs=WORDS,
    kept_headers=WORDS,
    owner_decides=st.booleans(),
    shares=st.lists(st.integers(1, 99), max_size=4, unique=True).map(lambda shares: tuple(sorted(shares))),
    mark=HEX,
    has_preview=st.booleans(),
    preview=HEX,
)


@settings(deadline=None)
@given(TEXTS)
def test_the_route_parses_to_what_was_meant(text: RouteText) -> None:
    """One proxy_pass, each of our headers taken off once, the owner's words as they are written."""
    route = parse_text(render_route(text), file=FILE)
    counted = Counter(directive.name for directive in route)
    pointed = {"open_file_cache": 1, "disable_symlinks": 1, "set": 1, "if": 1} if text.way is SwitchWay.POINTER else {}
    ours = {"proxy_pass": 1, **pointed} | ({} if text.owner_decides else {"proxy_http_version": 1})
    assert {name: count for name, count in counted.items() if name in {*ours, "set", "if"}} == ours
    assert counted.keys() - {*ours} == {"proxy_set_header", "access_log"}
    headers = [directive.args for directive in route if directive.name == "proxy_set_header"]
    assert [words for words in headers if words in [(name, '""') for name in OURS]][-len(OURS) :] == [
        (name, '""') for name in OURS
    ]
    assert [words for words in text.kept_headers if words not in headers] == []
    logs = [directive.args for directive in route if directive.name == "access_log"]
    assert logs == [(str(text.access_log), f"celadon_{text.id}"), *text.kept_logs]


@settings(deadline=None)
@given(TEXTS)
def test_the_http_part_parses_to_what_was_meant(text: RouteText) -> None:
    """Nothing but what defines: no server, no location, no line of another kind."""
    http = parse_text(render_http(text, generation="0123456789ab"), file=FILE)
    counted = Counter(directive.name for directive in http)
    assert counted["log_format"] == 1
    assert counted["split_clients"] == bool(text.shares)
    assert counted["map"] == 1 + bool(text.shares) + 3 * text.has_preview
    pointed = text.way is SwitchWay.POINTER
    assert (counted["upstream"], counted["include"]) == ((2, 0) if pointed else (0, 1))
    assert counted.keys() <= {"log_format", "map", "split_clients", "upstream", "include"}
    assert is_sealed(render_http(text, generation="0123456789ab"))


@settings(deadline=None)
@given(TEXTS, st.sampled_from([*Slot, None]))
def test_the_file_of_a_slot_names_it(text: RouteText, slot: Slot | None) -> None:
    """And can be read back."""
    rendered = render_upstream(text, slot)
    assert parse_upstream_slot(rendered) is slot
    names = [directive.name for directive in parse_text(rendered, file=FILE)]
    assert names == ["map", "upstream", "upstream"][: 2 + text.has_preview]


HOSTILE = ["/a b", "/a;}", "/a\nb", "/$host", "/{env.X}", '/a"', "/a'", "/a\\", "/a#b", "/*", "/a\tb"]


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("field", ["directory", "live", "access_log", "socket"])
def test_a_path_that_would_be_more_than_a_word_is_refused(field: str, hostile: str) -> None:
    """By its type, before anything is rendered."""

    def choose(name: str) -> Path:
        return Path(hostile if name == field else "/plain")

    with pytest.raises(StepError) as caught:
        RouteText(
            app=AppName("shop"),
            way=SwitchWay.POINTER,
            blue=[SocketAddress(path=str(choose("socket")))],
            green=[TcpAddress(port=1)],
            directory=choose("directory"),
            live=choose("live"),
            access_log=choose("access_log"),
        )
    assert caught.value.code == "path_refused"


def make_text(way: SwitchWay, *green: int) -> RouteText:
    return RouteText(
        app=AppName("shop"),
        way=way,
        blue=[TcpAddress(port=8001)],
        green=[TcpAddress(port=port) for port in green],
        directory=Path("/d"),
        live=Path("/l"),
        access_log=Path("/a"),
    )


def test_a_slot_of_one_address_is_one_server() -> None:
    """As it always was, to the letter."""
    http = render_http(make_text(SwitchWay.POINTER, 8002), generation="g")
    assert "upstream celadon_shop_blue { server 127.0.0.1:8001; }\n" in http
    assert "upstream celadon_shop_green { server 127.0.0.1:8002; }\n" in http
    assert "upstream celadon_shop { server 127.0.0.1:8002; }\n" in render_upstream(
        make_text(SwitchWay.INCLUDE, 8002), Slot.GREEN
    )


@pytest.mark.parametrize("way", [SwitchWay.POINTER, SwitchWay.SYMLINK, SwitchWay.INCLUDE])
def test_every_replica_of_a_slot_is_a_server_of_its_upstream(way: SwitchWay) -> None:
    """Which nginx leaves out for no time: the next release may be there by then."""
    text = make_text(way, 8002, 8003)
    rendered = render_http(text, generation="g") if way is SwitchWay.POINTER else render_upstream(text, Slot.GREEN)
    assert "{ server 127.0.0.1:8002 max_fails=0; server 127.0.0.1:8003 max_fails=0; }\n" in rendered
