"""Edits of JSON that leave every other byte as it is."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celadon.drivers.proxies.caddy_json_text import (
    JsonError,
    Node,
    index_of,
    insert_first,
    parse_json,
    remove_member,
    replace_value,
    value_of,
    walk,
)

PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=20
)
INDENTS = st.sampled_from([None, 1, 4, "\t"])
SPACES = st.sampled_from(["", " ", "\n", "\r\n\t"])


@given(value=VALUES, indent=INDENTS, before=SPACES, after=SPACES)
def test_every_value_is_found_where_it_stands(value: object, indent: int | str | None, before: str, after: str) -> None:
    """The text at each place is the value that JSON has there."""
    text = before + json.dumps(value, indent=indent, ensure_ascii=False) + after
    for path, node in walk(parse_json(text)):
        wanted = value
        for key in path:
            wanted = wanted[key]  # type: ignore[index]
        assert value_of(text, node) == wanted


@given(value=st.dictionaries(st.text(), VALUES, max_size=4), added=VALUES, indent=INDENTS)
def test_a_member_put_in_and_taken_out_leaves_the_text(
    value: dict[str, object], added: object, indent: int | str | None
) -> None:
    """Byte for byte; between the two it is what JSON says."""
    value.pop("new", None)
    text = json.dumps(value, indent=indent)
    more = insert_first(text, parse_json(text), added, key="new")
    assert json.loads(more) == {"new": added, **value}
    root = parse_json(more)
    assert index_of(root, "new") == 0
    assert remove_member(more, root, 0) == text


@given(value=st.lists(VALUES, min_size=1, max_size=5), index=st.integers(0, 4), indent=INDENTS)
def test_an_item_is_taken_out_with_its_comma(value: list[object], index: int, indent: int | str | None) -> None:
    """The first, the last and one between."""
    text = json.dumps(value, indent=indent)
    at = index % len(value)
    assert json.loads(remove_member(text, parse_json(text), at)) == value[:at] + value[at + 1 :]


@given(value=VALUES, indent=INDENTS)
def test_a_value_is_replaced_with_its_margin(value: object, indent: int | str | None) -> None:
    """Doing it twice is doing it once."""
    text = '{\n   "a": 1,\n   "b": [ 2 ]\n}' if indent else '{"a": 1, "b": [ 2 ]}'
    once = replace_value(text, _at(text, "a"), value)
    assert json.loads(once) == {"a": value, "b": [2]}
    assert replace_value(once, _at(once, "a"), value) == once


def _at(text: str, key: str) -> Node:
    found = parse_json(text).get(key)
    assert found is not None
    return found


@pytest.mark.parametrize("text", ["", "{", '{"a": }', "[1 2]", "nonsense"])
def test_what_is_no_json_is_refused(text: str) -> None:
    """Before anything is looked for in it."""
    with pytest.raises(JsonError):
        parse_json(text)
