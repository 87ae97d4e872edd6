"""What is written for Caddy has the shape that was meant, whatever the values are; and is read as Caddy reads it."""

import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celadon.drivers.proxies.caddy_config import read_config
from celadon.drivers.proxies.caddy_text import SnippetText, render_log, render_route
from celadon.drivers.proxies.caddy_tokens import CaddyfileError, parse_caddyfile, walk
from celadon.drivers.traffic.caddy_lines import CaddyLineParser
from celadon.model.address import Address, SocketAddress, TcpAddress
from celadon.model.names import AppName, Slot
from celadon.model.observed import PREVIEWED

PLACE = Path("x.caddy")
# what a path of ours may hold: the state directory is where a person put it
PATHS = st.text(st.sampled_from(string.printable + "äé{}$;`\"'\\#"), min_size=1, max_size=30)
ADDRESSES = st.one_of(st.integers(1, 65535).map(TcpAddress), PATHS.map(lambda path: SocketAddress(path=f"/run/{path}")))
TEXTS = st.builds(
    SnippetText,
    app=st.just(AppName("shop-one")),
    live=PATHS.map(lambda path: Path("/state", path, "live")),
    access_log=PATHS.map(lambda path: Path("/state", path, "access.log")),
    blue=ADDRESSES,
    green=ADDRESSES,
    fixed=st.sampled_from([None, *Slot]),
    shares=st.booleans(),
    secret=st.sampled_from(["", "0123456789abcdef01234567"]),
    recent=st.booleans(),
)


@given(TEXTS)
def test_what_is_written_has_the_shape_that_was_meant(text: SnippetText) -> None:
    """A path with a newline, a brace or a placeholder becomes no directive: it is refused, or stays one word."""
    try:
        route, log = render_route(text, generation="ab"), render_log(text)
    except ValueError:
        return
    directives = parse_caddyfile(route, file=PLACE)
    allowed = {"log_append", "map", "vars", "reverse_proxy"}
    assert {each.name for each in directives if not each.name.startswith("@")} <= allowed
    assert {each.name for each in walk(directives) if each.name == "import"} == set()
    upstreams = [each for each in directives if each.name == "reverse_proxy"]
    assert len(upstreams) == (text.fixed is None) + 1 + text.shares + (
        bool(text.secret) * 2 * (1 + (text.fixed is None))
    )
    [only] = parse_caddyfile(log, file=PLACE)
    assert only.block is not None
    assert [each.args[1] for each in only.block if each.name == "output"] == [str(text.access_log)]
    for each in walk(directives):
        if each.name == "root":
            assert each.args == (str(text.live),)


@pytest.mark.parametrize(
    "hostile", ["{env.SECRET}", "{$SECRET}", "a\nimport /etc/passwd", "a {\n}", 'a"b', "a`b", "a\\b"]
)
@pytest.mark.parametrize("which", ["live", "access_log", "blue"])
def test_a_hostile_value_is_refused_before_anything_is_written(hostile: str, which: str) -> None:
    """Caddy replaces `{env.X}` and `{$X}` wherever they stand, in quotes too."""
    given: dict[str, object] = {"live": Path("/state/live"), "access_log": Path("/a.log"), "blue": TcpAddress(1)}
    given[which] = SocketAddress(path=f"/{hostile}") if which == "blue" else Path("/", hostile)
    green: Address = TcpAddress(2)
    text = SnippetText(app=AppName("shop"), green=green, **given)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="cannot stand in a Caddyfile"):
        render_route(text, generation=""), render_log(text)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    """The reader never hangs or dies of what a person wrote."""
    try:
        directives = parse_caddyfile(text, file=PLACE)
    except CaddyfileError:
        return
    for each in walk(directives):
        assert text[each.start : each.end]
        for word in each.words:
            assert word.quoted or text[word.start : word.end] == word.text


def test_imports_are_followed_as_caddy_follows_them(tmp_path: Path) -> None:
    """Relative to the file that imports, dot files left out, a snippet before a file of its name."""
    (tmp_path / "sites").mkdir()
    (tmp_path / "Caddyfile").write_text(
        "(shared) {\n\tencode gzip\n}\nimport sites/*\na.example {\n\timport shared\n}\n"
    )
    (tmp_path / "sites" / "b").write_text("b.example {\n\timport ../more\n}\n")
    (tmp_path / "sites" / ".hidden").write_text("nonsense {\n")
    (tmp_path / "more").write_text("respond <<END\n  } not a brace\n  END\n")
    (tmp_path / "shared").write_text("never read {\n")
    config = read_config(tmp_path / "Caddyfile")
    assert {path.name for path in config.texts} == {"Caddyfile", "b", "more"}


PARSE = CaddyLineParser({"127.0.0.1:1": Slot.BLUE}).parse
REQUEST = '"request":{"remote_ip":"192.0.2.1","method":"GET","uri":"/a?b","headers":{"X-Celadon-Look":["%s"]}}'


@pytest.mark.parametrize(
    "fields",
    [
        '"celadon_upstream":"127.0.0.1:1","celadon_generation":"ab","celadon_preview":"yes"',
        '"user_id":"celadon ab 127.0.0.1:1 yes"',
    ],
)
def test_both_formats_of_the_log_tell_slot_and_preview(fields: str) -> None:
    """2.8 and later append fields; before, they travel in `user_id`."""
    hit = PARSE(f'{{{REQUEST % "x"},"status":200,"duration":0.5,{fields}}}'.encode())
    assert hit is not None
    assert (hit.slot, hit.status, hit.duration_ms, hit.route, hit.look) == (Slot.BLUE, 200, 500, "GET /a", PREVIEWED)
    plain = PARSE(f'{{{REQUEST % "x"},"status":200,{fields.replace("yes", "")}}}'.encode())
    assert plain is not None
    assert plain.look == "x"


@pytest.mark.parametrize("line", ['"user_id":"alice"', '"user_id":""', '"user_id":"celadon"'])
def test_a_line_that_is_not_the_routes_names_no_slot(line: str) -> None:
    """Nor does a client that claims to be a preview become one."""
    hit = PARSE(f'{{{REQUEST % PREVIEWED},"status":200,{line}}}'.encode())
    assert hit is not None
    assert (hit.slot, hit.look) == (None, "")


def test_a_request_that_no_slot_was_asked_for_has_none() -> None:
    """Caddy 2.11 appends null for what a request does not have."""
    hit = PARSE(f'{{{REQUEST % ""},"status":204,"celadon_look":null,"celadon_upstream":null}}'.encode())
    assert hit is not None
    assert (hit.slot, hit.status, hit.look, hit.request_id) == (None, 204, "", "")
