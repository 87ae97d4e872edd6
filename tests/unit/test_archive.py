"""Archives that somebody else made: what is refused, and that nothing is left outside."""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from celadon.drivers.releases.archive import Bounds, unpack_archive
from celadon.model.errors import StepError


class Maker:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.tar = tarfile.open(path, "w:gz")  # noqa: SIM115  closed by `unpack`

    def file(self, name: str, content: bytes = b"x", *, mode: int = 0o644) -> "Maker":
        member = tarfile.TarInfo(name)
        member.size, member.mode = len(content), mode
        self.tar.addfile(member, io.BytesIO(content))
        return self

    def link(self, name: str, target: str, *, kind: bytes = tarfile.SYMTYPE) -> "Maker":
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, target
        self.tar.addfile(member)
        return self

    def special(self, name: str, kind: bytes) -> "Maker":
        member = tarfile.TarInfo(name)
        member.type = kind
        self.tar.addfile(member)
        return self

    def unpack(self, tree: Path, **bounds: int) -> None:
        self.tar.close()
        unpack_archive(self.path, tree, reached=lambda: None, bounds=Bounds(**bounds))


@pytest.fixture
def maker(tmp_path: Path) -> Maker:
    return Maker(tmp_path / "a.tar.gz")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    path = tmp_path / "out" / "tree"
    path.mkdir(parents=True)
    return path


HOSTILE: dict[str, Callable[[Maker], object]] = {
    "absolute": lambda maker: maker.file("/etc/evil"),
    "dot dot": lambda maker: maker.file("../evil"),
    "dot dot inside": lambda maker: maker.file("a/../../evil"),
    "absolute link": lambda maker: maker.link("a", "/etc"),
    "link out": lambda maker: maker.link("a", "../../x"),
    "link out from below": lambda maker: maker.link("a/b", "../../x"),
    "file through link": lambda maker: maker.link("a", "b").file("a/evil"),
    "file over link": lambda maker: maker.link("a", "b").file("a"),
    "file twice": lambda maker: maker.file("a").file("a"),
    "file through file": lambda maker: maker.file("a").file("a/b"),
    "link over file": lambda maker: maker.file("a").link("a", "b"),
    "directory over link": lambda maker: maker.link("a", "b").special("a", tarfile.DIRTYPE),
    "hard link out": lambda maker: maker.link("a", "/etc/passwd", kind=tarfile.LNKTYPE),
    "hard link to link": lambda maker: maker.link("b", "c").link("a", "b", kind=tarfile.LNKTYPE),
    "character device": lambda maker: maker.special("a", tarfile.CHRTYPE),
    "block device": lambda maker: maker.special("a", tarfile.BLKTYPE),
    "fifo": lambda maker: maker.special("a", tarfile.FIFOTYPE),
}


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_member_is_refused_by_name(maker: Maker, tree: Path, make: Callable[[Maker], object]) -> None:
    """Nothing is written outside the tree, and the message names the member."""
    make(maker)
    with pytest.raises(StepError) as caught:
        maker.unpack(tree)
    assert caught.value.code == "archive_unsafe"
    assert "the archive is refused: '" in caught.value.what
    assert sorted(path.name for path in tree.parent.parent.iterdir()) == ["a.tar.gz", "out"]
    assert [path.name for path in tree.parent.iterdir()] == ["tree"]


def test_what_is_fine_is_unpacked(maker: Maker, tree: Path) -> None:
    """Files, directories, links and hard links inside; no mode beyond 0755."""
    maker.file("bin/run", b"#!", mode=0o6777).link("bin/go", "run").link("bin/copy", "bin/run", kind=tarfile.LNKTYPE)
    maker.link("up", "bin/../bin/run").file("./plain").unpack(tree)
    assert (tree / "bin/run").stat().st_mode & 0o7777 == 0o755
    assert (tree / "bin/go").read_bytes() == (tree / "bin/copy").read_bytes() == (tree / "up").read_bytes() == b"#!"
    assert (tree / "bin/copy").stat().st_nlink == 1
    assert (tree / "plain").read_bytes() == b"x"


@pytest.mark.parametrize("bounds", [{"members_count": 3}, {"total_bytes": 3000}])
def test_a_bomb_is_refused(maker: Maker, tree: Path, bounds: dict[str, int]) -> None:
    """By members and by size."""
    for number in range(5):
        maker.file(f"f{number}", b"0" * 1000)
    with pytest.raises(StepError, match="archive is refused"):
        maker.unpack(tree, **bounds)


def test_a_bomb_by_ratio_is_refused_before_it_fills_the_disk(maker: Maker, tree: Path) -> None:
    """80 MB of zeros in 80 KB."""
    maker.file("zeros", bytes(80 << 20))
    with pytest.raises(StepError, match="times its packed size"):
        maker.unpack(tree)
    assert (tree / "zeros").stat().st_size < 70 << 20


@pytest.mark.parametrize("content", [b"", b"not a tar", b"\x1f\x8b" + b"\0" * 100])
def test_what_is_no_archive_is_said_to_be_none(tmp_path: Path, tree: Path, content: bytes) -> None:
    """One error, whatever the bytes."""
    path = tmp_path / "a.tar"
    path.write_bytes(content)
    with pytest.raises(StepError):
        unpack_archive(path, tree, reached=lambda: None)
