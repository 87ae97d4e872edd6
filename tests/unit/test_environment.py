"""An app's variables as a file: what is written is read again, and people's files are read as they mean them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celadon.host.environment import decode_env, parse_env, render_env

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
ODD = st.text("\n\r\t\\\"'`$#= nü\u2028\x85", max_size=12)


@given(st.dictionaries(st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True), st.one_of(TEXTS, ODD), max_size=5))
def test_what_is_written_is_read_again(variables: dict[str, str]) -> None:
    """Line breaks, quotes, `=`, anything but a NUL; empty values too."""
    assert decode_env(render_env(variables).encode()) == variables


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=", ""),
        ("A= x y ", "x y"),
        ("A=x # y", "x"),
        ("A=x#y", "x#y"),
        ("A=b=c", "b=c"),
        ("A='x\n$y' # z", "x\n$y"),
        ('A="x\ny"', "x\ny"),
        (r'A="x\ny\t\"\\n\d"', 'x\ny\t"\\n\\d'),
        (r"A=x\ny", r"x\ny"),
        ("export A=ü\r", "ü"),
        ('A=it"s', 'it"s'),
    ],
)
def test_a_line_is_read_as_it_is_meant(line: str, value: str) -> None:
    """As dotenv files are written; a backslash means something in double quotes alone."""
    assert parse_env(f"# comment\n\n{line}\nNEXT=1\n") == {"A": value, "NEXT": "1"}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("A=1\ncanary\n", "line 2 is not NAME=value"),
        ("A=1\n\nB='canary", "line 3 lacks its closing quote"),
        ("A='x\ny'\nB=\"canary\"canary\n", "line 3 has more after its closing quote"),
        ("canary-1=x", "line 1 is not NAME=value"),
    ],
)
def test_a_mistake_is_told_by_its_line_alone(text: str, what: str) -> None:
    """What stands there may be secret."""
    with pytest.raises(ValueError, match="line") as caught:
        parse_env(text)
    assert str(caught.value) == what


def test_what_no_process_can_be_given_is_refused_by_name() -> None:
    """Neither a NUL nor bytes that are no text."""
    with pytest.raises(ValueError, match="TOKEN holds a NUL"):
        render_env({"TOKEN": "canary\0"})
    with pytest.raises(ValueError, match="TOKEN is not UTF-8"):
        render_env({"TOKEN": "canary\udcff"})
    with pytest.raises(ValueError, match="it is not UTF-8"):
        decode_env(b"TOKEN=canary\xff")
