"""Accepted edits, as every driver meets them: one call on each text that it renders."""

import stat
from pathlib import Path

import pytest

from celadon.contracts.proxy import RenderedFile
from celadon.drivers.proxies.accepted import (
    accept_text,
    merge_accepted,
    read_accepted,
    rendering_plainly,
    settle_accepted,
    write_accepted,
)
from celadon.drivers.proxies.sealed import is_sealed, open_seal, seal
from celadon.host.layout import Layout
from celadon.model.errors import StepError
from celadon.model.names import AppName
from tests.fakes.proxy import FakeProxy

APP = AppName("shop")
BODY = "timeout 60;\nbuffers 8;\nlog on;\n"


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    found = Layout(tmp_path, APP)
    found.home.mkdir(parents=True)
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "route.conf"


def accept(layout: Layout, path: Path, *, edited: str, body: str = BODY) -> None:
    write_accepted(layout, {str(path): accept_text(rendered=seal(body, app=APP), edited=edited)})


class RenderingProxy(FakeProxy):
    """Renders one text, as drivers do."""

    def __init__(self, layout: Layout, path: Path, body: str) -> None:
        super().__init__()
        self._file = layout, path, seal(body, app=APP)

    def render(self) -> list[RenderedFile]:
        layout, path, text = self._file
        return [RenderedFile(path=path, text=merge_accepted(layout, path, text))]


def install(layout: Layout, path: Path, body: str) -> None:
    """As an operation does it."""
    proxy = RenderingProxy(layout, path, body)
    path.write_text(proxy.render()[0].text)
    settle_accepted(layout, proxy)


def test_without_an_accepted_edit_a_text_stays_the_very_same(layout: Layout, path: Path) -> None:
    """And nothing is made on the disk."""
    text = seal(BODY, app=APP)
    assert merge_accepted(layout, path, text) is text
    assert not layout.accepted.exists()


def test_an_accepted_edit_is_in_a_later_rendering_and_sealed(layout: Layout, path: Path) -> None:
    """The digest is the merged text's: nothing takes it for a hand edit."""
    accept(layout, path, edited=BODY.replace("60", "5"))
    merged = merge_accepted(layout, path, seal(BODY.replace("log on", "log off"), app=APP))
    assert open_seal(merged) == "timeout 5;\nbuffers 8;\nlog off;\n"
    assert is_sealed(merged)


def test_it_is_of_one_file_only(layout: Layout, path: Path) -> None:
    """Others are rendered as they are."""
    accept(layout, path, edited=BODY.replace("60", "5"))
    other = path.with_name("http.conf")
    assert open_seal(merge_accepted(layout, other, seal(BODY, app=APP))) == BODY


def test_a_clash_names_file_and_line_as_an_editor_counts(layout: Layout, path: Path) -> None:
    """With the next command."""
    accept(layout, path, edited=BODY.replace("buffers 8", "buffers 4"))
    with pytest.raises(StepError) as caught:
        merge_accepted(layout, path, seal(BODY.replace("buffers 8", "buffers 16"), app=APP))
    assert caught.value.code == "accepted_edit_conflicts"
    number = seal(BODY, app=APP).splitlines().index("buffers 8;") + 1
    assert f"{path}: " in caught.value.what
    assert f"line {number}" in caught.value.what
    assert caught.value.next_command.startswith(f"celadon proxy restore {path}")


def test_an_edit_that_the_rendering_catches_up_with_is_forgotten(layout: Layout, path: Path) -> None:
    """So that the setting rules from then on."""
    accept(layout, path, edited=BODY.replace("60", "5"))
    install(layout, path, BODY.replace("60", "5"))
    assert not layout.accepted.exists()
    install(layout, path, BODY.replace("60", "10"))
    assert open_seal(path.read_text()) == BODY.replace("60", "10")


def test_an_edit_outlives_any_number_of_changes_around_it(layout: Layout, path: Path) -> None:
    """Each is merged upon the last."""
    accept(layout, path, edited=BODY.replace("60", "5"))
    for number in range(4):
        install(layout, path, BODY.replace("log on", f"log {number}"))
        assert open_seal(path.read_text()) == f"timeout 5;\nbuffers 8;\nlog {number};\n"


def test_a_plain_rendering_knows_of_no_edit(layout: Layout, path: Path) -> None:
    """For whoever asks what was merged into."""
    accept(layout, path, edited=BODY.replace("60", "5"))
    text = seal(BODY, app=APP)
    with rendering_plainly():
        assert merge_accepted(layout, path, text) == text
    assert merge_accepted(layout, path, text) != text


def test_an_edit_in_another_encoding_is_carried_byte_for_byte(layout: Layout, path: Path) -> None:
    """Somebody's Latin-1 comment."""
    edited = (BODY + "# M\xfcller\n").encode("latin-1").decode(errors="surrogateescape")
    accept(layout, path, edited=edited)
    merged = merge_accepted(layout, path, seal(BODY, app=APP))
    assert open_seal(merged).encode(errors="surrogateescape").endswith(b"# M\xfcller\n")


def test_a_damaged_list_of_edits_is_an_error_not_their_loss(layout: Layout, path: Path) -> None:
    """A person decides."""
    layout.accepted.write_text('{"half')
    with pytest.raises(StepError) as caught:
        merge_accepted(layout, path, seal(BODY, app=APP))
    assert caught.value.code == "accepted_damaged"


def test_only_the_owner_reads_them(layout: Layout, path: Path) -> None:
    """A rendered text may hold the secret of a preview."""
    accept(layout, path, edited=BODY.replace("60", "5"))
    assert stat.S_IMODE(layout.accepted.stat().st_mode) == 0o600
    assert list(read_accepted(layout)) == [str(path)]


def test_an_edit_upon_an_accepted_one_is_kept_with_it(layout: Layout, path: Path) -> None:
    """Both are the difference to the plain rendering, whatever the merged text says of itself."""
    accept(layout, path, edited=BODY.replace("60", "5"))
    [earlier] = read_accepted(layout).values()
    merged = "# generation 2\n" + BODY.replace("60", "5")
    both = accept_text(rendered=merged, edited=merged + "ours too;\n", earlier=earlier)
    assert both.rendered.decode() == BODY
    assert both.edited.decode() == BODY.replace("60", "5") + "ours too;\n"
