"""What a tree is, as one digest and as a digest a file."""

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

_CHUNK_BYTES = 1 << 20


def list_files(tree: Path) -> dict[str, str]:
    """Path inside the tree → what is there: `<mode> <sha256>` for a file, `link <target>` for a link, `dir <mode>`
    for an empty directory. Never follows a link: what is shared is no part of a release."""
    return dict(_walk(tree, ""))


def digest_of(files: Mapping[str, str]) -> str:
    """`sha256:<hex>` over the sorted list: equal if and only if the trees are."""
    total = hashlib.sha256()
    for path in sorted(files):
        total.update(f"{path}\0{files[path]}\n".encode(errors="surrogateescape"))
    return f"sha256:{total.hexdigest()}"


def digest_text(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def find_difference(expected: Mapping[str, str], found: Mapping[str, str]) -> str | None:
    """The first path, in sorted order, that is missing, added or different."""
    for path in sorted(expected.keys() | found.keys()):
        if expected.get(path) != found.get(path):
            return path
    return None


def read_digests(release: Path) -> dict[str, str]:
    """What `list_files` gave when the release in this directory was made; empty when that is lost."""
    try:
        return msgspec.json.decode((release / "files.json").read_bytes(), type=dict[str, str])
    except (OSError, msgspec.DecodeError):
        return {}


def _walk(directory: Path, prefix: str) -> Iterator[tuple[str, str]]:
    entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
    for entry in entries:
        if entry.name == "__pycache__":
            continue
        name = f"{prefix}{entry.name}"
        mode = entry.stat(follow_symlinks=False).st_mode
        if stat.S_ISLNK(mode):
            yield name, f"link {os.readlink(entry.path)}"
        elif stat.S_ISDIR(mode):
            inner = list(_walk(Path(entry.path), f"{name}/"))
            yield from inner or [(name, f"dir {stat.S_IMODE(mode):o}")]
        elif stat.S_ISREG(mode):
            yield name, f"{stat.S_IMODE(mode):o} {_digest_file(entry.path)}"
        else:
            yield name, f"special {mode:o}"


def _digest_file(path: str) -> str:
    digest = hashlib.sha256()
    with Path(path).open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
