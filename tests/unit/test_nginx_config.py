"""Reading nginx configurations as their owners write them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celadon.drivers.proxies.nginx_config import (
    Directive,
    find_include,
    matches,
    parse_text,
    read_config,
    walk,
)
from celadon.drivers.proxies.nginx_inherit import find_kept_logs

FILE = Path("/etc/nginx/x.conf")


def words(directives: tuple[Directive, ...]) -> list[tuple[str, ...]]:
    return [(found.name, *found.args) for found in directives]


def test_directives_keep_their_words_and_lines() -> None:
    """Quotes stay, comments go, lines count from 1."""
    found = parse_text('user www; # who\nlog_format a \'{"x":"$y"}\' "b;c";\n', file=FILE)
    assert words(found) == [("user", "www"), ("log_format", "a", '\'{"x":"$y"}\'', '"b;c"')]
    assert [directive.line for directive in found] == [1, 2]


def test_blocks_nest() -> None:
    """And variables in braces do not open one."""
    [http] = parse_text("http { server { return 301 https://${host}$uri; } }", file=FILE)
    assert [directive.name for directive, _ in walk([http])] == ["http", "server", "return"]


@given(st.text(alphabet="ab {};\"'\\#$\n", max_size=60))
def test_no_text_breaks_the_parser(text: str) -> None:
    """nginx says what is wrong with a file; we only must not fall over it."""
    parse_text(text, file=FILE)


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("/e/*.conf", "/e/a.conf", True),
        ("/e/*.conf", "/e/a/b.conf", False),
        ("/e/*/http.conf", "/e/shop/http.conf", True),
        ("/e/a.conf", "/e/b.conf", False),
    ],
)
def test_a_star_does_not_cross_a_slash(pattern: str, path: str, *, expected: bool) -> None:
    """As glob(3)."""
    assert matches(pattern, Path(path)) is expected


ROUTE = "include /c/shop/route.conf;"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"http {{ access_log /h.log; server {{ location / {{ {ROUTE} }} }} }}", [["/h.log"]]),
        (
            f"http {{ access_log /h.log; server {{ access_log /s.log main; location / {{ {ROUTE} }} }} }}",
            [["/s.log", "main"]],
        ),
        (f"http {{ access_log /h.log; server {{ access_log off; location / {{ {ROUTE} }} }} }}", []),
        (f"http {{ access_log /h.log; server {{ location / {{ access_log /l.log; {ROUTE} }} }} }}", []),
        (f"http {{ server {{ location / {{ {ROUTE} }} }} }}", []),
        ("http { access_log /h.log; }", []),
    ],
)
def test_the_access_logs_in_effect_are_found(tmp_path: Path, text: str, expected: list[list[str]]) -> None:
    """The nearest level that has any is what a location inherits."""
    main = tmp_path / "nginx.conf"
    main.write_text(text)
    route = Path("/c/shop/route.conf")
    config = read_config(main, instead={route: "access_log /ours celadon;\n"})
    assert [list(found) for found in find_kept_logs(config, route)] == expected


def test_includes_are_followed_relative_to_the_main_file(tmp_path: Path) -> None:
    """Through globs and through each other, in the order of their names."""
    (tmp_path / "sites").mkdir()
    (tmp_path / "nginx.conf").write_text("http { include sites/*.conf; }")
    (tmp_path / "sites" / "b.conf").write_text("b on;")
    (tmp_path / "sites" / "a.conf").write_text("include snippets;")
    (tmp_path / "snippets").write_text("a on;")
    config = read_config(tmp_path / "nginx.conf")
    assert [found.name for found, _ in walk(config.directives) if found.block is None] == ["a", "b"]
    assert find_include(config, tmp_path / "snippets") is not None
    assert find_include(config, tmp_path / "nowhere") is None


def test_a_file_that_includes_itself_ends(tmp_path: Path) -> None:
    """nginx refuses it; reading it must still return."""
    main = tmp_path / "nginx.conf"
    main.write_text("include nginx.conf;")
    assert read_config(main).directives
