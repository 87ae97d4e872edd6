"""Files of ours that somebody edited: shown without secrets, and never lost."""

import stat
from pathlib import Path

import pytest

from celadon.contracts.proxy import RenderedFile
from celadon.drivers.proxies.edited import find_edits, keep_edit, list_kept, refuse_edits
from celadon.drivers.proxies.sealed import seal
from celadon.host.files import write_atomic
from celadon.host.layout import Layout
from celadon.host.look_mark import ensure_secret, read_secret
from celadon.model.errors import StepError
from celadon.model.names import AppName

APP = AppName("shop")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    found = Layout(tmp_path / "state", APP)
    found.home.mkdir(parents=True)
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "route.conf"
    found.write_text(seal("one\ntwo\n", app=APP))
    return found


def test_what_we_wrote_is_no_edit_whatever_it_says(layout: Layout, path: Path) -> None:
    """An older rendering of ours, a file that is not there, an empty one."""
    wanted = seal("three\n", app=APP)
    empty = path.with_name("empty")
    empty.touch()
    files = [RenderedFile(path=each, text=wanted) for each in (path, path.with_name("none"), empty)]
    assert list(find_edits(layout, files)) == []


def test_an_edit_is_shown_with_both_ways_on(layout: Layout, path: Path) -> None:
    """As a diff to what would be written."""
    rendered = path.read_text()
    path.write_text(rendered + "by hand\n")
    [found] = find_edits(layout, [RenderedFile(path=path, text=rendered)])
    assert "-by hand" in found.text
    assert "proxy accept" in found.fix
    assert "proxy restore" in found.fix
    with pytest.raises(StepError) as caught:
        refuse_edits(layout, {path: rendered})
    assert (caught.value.code, caught.value.next_command) == ("proxy_hand_edited", found.fix)


def test_the_secret_of_a_preview_is_in_no_diff(layout: Layout, path: Path) -> None:
    """Findings go into the journal and onto screens."""
    ensure_secret(layout.preview_secret)
    secret = read_secret(layout.preview_secret)
    path.write_text(seal(f"if {secret}\n", app=APP) + "by hand\n")
    [found] = find_edits(layout, [RenderedFile(path=path, text=seal(f"if {secret}\n", app=APP))])
    assert secret not in found.text
    assert "***" in found.text


def test_an_edit_is_copied_before_its_file_is_written(layout: Layout, path: Path) -> None:
    """Byte for byte, for its owner only; each edit has a copy of its own."""
    for number in range(2):
        path.write_bytes(path.read_bytes() + b"M\xfcller %d\n" % number)
        keep_edit(layout, path)
    copies = list_kept(layout)
    assert [of for _, of in copies] == [path, path]
    assert copies[1][0].read_bytes() == path.read_bytes()
    assert copies[0][0].read_bytes() != path.read_bytes()
    assert stat.S_IMODE(copies[0][0].stat().st_mode) == 0o600
    assert stat.S_IMODE(layout.edited.stat().st_mode) == 0o700


def test_our_own_text_and_a_link_are_not_copied(layout: Layout, path: Path) -> None:
    """Nothing would be lost."""
    keep_edit(layout, path)
    link = path.with_name("current.conf")
    link.symlink_to("green.conf")
    keep_edit(layout, link)
    assert list_kept(layout) == []


def test_a_copy_that_cannot_be_made_stops_the_writing(layout: Layout, path: Path) -> None:
    """The caller hears of it before it writes."""
    path.write_text(path.read_text() + "by hand\n")
    write_atomic(layout.edited, "a file stands where the copies go")
    with pytest.raises(OSError, match="edited"):
        keep_edit(layout, path)
