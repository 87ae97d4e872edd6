"""The pointer: one link that names the route, a share of it too."""

from pathlib import Path

import pytest

from celadon.host.pointer import (
    is_pointed,
    live_path,
    move_pointer,
    prepare_pointer,
    read_pointer,
    read_split,
    route_path,
)
from celadon.model.names import Slot
from celadon.model.observed import Split


def test_an_unset_pointer_names_no_route(tmp_path: Path) -> None:
    """Nor does one that names what nobody knows."""
    prepare_pointer(tmp_path)
    assert (read_pointer(tmp_path), read_split(tmp_path)) == (None, None)
    for target in ("purple", "green-x", "green-", ""):
        live_path(tmp_path).unlink(missing_ok=True)
        if target:
            live_path(tmp_path).symlink_to(target)
        assert (read_pointer(tmp_path), read_split(tmp_path)) == (None, None)


@pytest.mark.parametrize("slot", Slot)
def test_a_whole_route_is_its_slots(tmp_path: Path, slot: Slot) -> None:
    """And the proxy reads that slot's directory."""
    prepare_pointer(tmp_path)
    move_pointer(tmp_path, slot)
    assert (read_pointer(tmp_path), read_split(tmp_path)) == (slot, None)
    assert live_path(tmp_path).resolve() == route_path(tmp_path, slot)
    assert is_pointed(tmp_path, slot)
    assert not is_pointed(tmp_path, slot.other)


@pytest.mark.parametrize("percent", [1, 5, 50, 99])
def test_while_a_share_is_given_the_other_slot_is_the_route(tmp_path: Path, percent: int) -> None:
    """Whoever stops slots asks for both."""
    prepare_pointer(tmp_path, percents=(percent,))
    move_pointer(tmp_path, Slot.GREEN, percent=percent)
    assert read_pointer(tmp_path) is Slot.BLUE
    assert read_split(tmp_path) == Split(slot=Slot.GREEN, percent=percent)
    assert live_path(tmp_path).resolve() == route_path(tmp_path, Slot.GREEN, percent=percent)
    assert is_pointed(tmp_path, Slot.GREEN, percent=percent)
    assert not is_pointed(tmp_path, Slot.GREEN)


def test_a_share_that_was_not_prepared_is_an_error_and_moves_nothing(tmp_path: Path) -> None:
    """The link for it is made at the install."""
    prepare_pointer(tmp_path)
    move_pointer(tmp_path, Slot.BLUE)
    with pytest.raises(OSError, match="green-05"):
        move_pointer(tmp_path, Slot.GREEN, percent=5)
    assert read_pointer(tmp_path) is Slot.BLUE


def test_a_move_is_durable_once_it_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The directory is synced when the route is the new one, and not before."""
    prepare_pointer(tmp_path)
    synced: list[Slot | None] = []
    monkeypatch.setattr("celadon.host.pointer.sync_directory", lambda directory: synced.append(read_pointer(directory)))
    move_pointer(tmp_path, Slot.GREEN)
    assert synced == [Slot.GREEN]
