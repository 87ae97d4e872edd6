"""An edit carried over to another rendering."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celadon.drivers.proxies.merge import Overlap, carry_over

lines = st.lists(st.sampled_from(["a\n", "b\n", "c\n", "d\n", "e\n"]), max_size=8)
texts = lines.map("".join)

BASE = "map slot blue;\nupstream 8101;\n"
OTHER = "map slot green;\nupstream 8102;\n"


@given(base=texts, edited=texts)
def test_upon_the_same_rendering_the_edit_stands_as_it_was_made(base: str, edited: str) -> None:
    """Nothing moved."""
    assert carry_over(base, edited, base) == edited


@given(base=texts, new=texts)
def test_without_an_edit_the_rendering_stands(base: str, new: str) -> None:
    """Nothing to carry."""
    assert carry_over(base, base, new) == new


@given(base=texts, edited=texts)
def test_a_rendering_that_has_the_edit_already_stands(base: str, edited: str) -> None:
    """Once, not twice."""
    assert carry_over(base, edited, edited) == edited


@given(before=lines, after=lines, ours=lines, theirs=lines, middle=st.integers(1, 3))
def test_changes_with_a_line_between_them_are_both_made(
    before: list[str], after: list[str], ours: list[str], theirs: list[str], middle: int
) -> None:
    """Whatever they are: no line of either is lost."""
    between = [f"between {n}\n" for n in range(middle)]
    base = "".join([*before, *between, *after])
    edited = "".join([*ours, *between, *after])
    new = "".join([*before, *between, *theirs])
    assert carry_over(base, edited, new) == "".join([*ours, *between, *theirs])


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_line_that_was_added_stays_where_every_line_around_it_changes(place: int) -> None:
    """Before, between and after: the file that names the route changes in each of its lines."""
    edited, expected = BASE.splitlines(keepends=True), OTHER.splitlines(keepends=True)
    edited.insert(place, "# ours\n")
    expected.insert(place, "# ours\n")
    assert carry_over(BASE, "".join(edited), OTHER) == "".join(expected)


@given(base=texts, edited=texts, new=texts)
def test_both_or_neither(base: str, edited: str, new: str) -> None:
    """A merge that is made is the same from either side; one that cannot be is refused from either side."""
    try:
        merged = carry_over(base, edited, new)
    except Overlap:
        with pytest.raises(Overlap):
            carry_over(base, new, edited)
    else:
        assert carry_over(base, new, edited) == merged


def test_two_changes_of_one_line_are_told_with_its_number() -> None:
    """Nobody guesses which is meant."""
    with pytest.raises(Overlap) as caught:
        carry_over(BASE, BASE.replace("8101", "8101 max_fails=0"), OTHER)
    assert (caught.value.first, caught.value.last) == (2, 2)


def test_two_additions_at_one_place_are_refused() -> None:
    """Their order is nobody's to choose."""
    with pytest.raises(Overlap):
        carry_over(BASE, BASE + "# ours\n", BASE + "# theirs\n")
