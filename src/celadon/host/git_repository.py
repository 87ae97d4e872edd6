"""A git repository of ours: bare, private, one branch, written by one `git fast-import` a time.

fast-import moves the branch once, after all its objects are written, and its stream says where it ends: a death at any
point leaves the branch where it was or where it should be. There is no index and no working tree to be left half done.
The configuration and the hooks of whoever runs this are never read.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from celadon.host.commands import Completed, run_command

_BRANCH = "refs/heads/main"
_TIMEOUT_S = 30.0
_SETTINGS = ("core.hooksPath=/dev/null", "core.fsync=all", "gc.autoDetach=false", "core.quotePath=false")
_SEPARATOR = "\x1f"
_REVISION = re.compile(r"[0-9A-Za-z][0-9A-Za-z/._~^@{}-]*\Z")


class RepositoryError(Exception):
    """git's own words."""


class GitMissing(RepositoryError):
    """There is no git to ask."""


class RepositoryDamaged(RepositoryError):
    """What is there cannot be added to."""


class Commit(Struct, frozen=True, kw_only=True):
    """`files` are all of it, by path in the repository. `at` is wall-clock seconds."""

    author: str
    at: float
    message: str
    files: Mapping[str, bytes]


class GitRepository:
    """One writer at a time: the caller sees to it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def exists(self) -> bool:
        return (self._path / "HEAD").exists()

    def ensure(self) -> None:
        """Made aside and renamed: it is whole or not there. Idempotent."""
        if self.exists:
            return
        if self._path.exists():
            raise RepositoryDamaged(f"{self._path} is no repository")
        import shutil

        partial = self._path.with_name(f"{self._path.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(mode=0o700, parents=True)
        self._ask(["init", "--quiet", "--bare", "--template=", str(partial)], repository=partial)
        self._ask(["symbolic-ref", "HEAD", _BRANCH], repository=partial)
        partial.rename(self._path)

    def set_aside(self) -> Path:
        """Out of the way, kept whole."""
        number = 1
        while (aside := self._path.with_name(f"{self._path.name}.damaged-{number}")).exists():
            number += 1
        self._path.rename(aside)
        return aside

    def read_tip(self) -> str:
        """The message of the newest commit; empty when there is none yet. Raises RepositoryDamaged."""
        listed = self._run(["for-each-ref", "--format=%(objectname)", _BRANCH])
        if listed.ok and not listed.output:
            return ""
        done = self._run(["log", "-1", "--format=%B", _BRANCH])
        if not done.ok:
            raise RepositoryDamaged(done.output)
        return done.stdout

    def append(self, commits: Sequence[Commit]) -> None:
        """All of them or none. 15 ms."""
        self._remove_stale()
        parent = f"from {_BRANCH}^0\n" if self.read_tip() else ""
        stream = b"".join(_render_commit(commit, parent if not n else "") for n, commit in enumerate(commits))
        done = self._run(["fast-import", "--quiet", "--done"], stdin=stream + b"done\n")
        if not done.ok:
            sound = self._run(["fsck", "--connectivity-only", "--no-dangling", "--no-progress"]).ok
            self._remove_stale()
            raise (RepositoryError if sound else RepositoryDamaged)(done.output)
        self._run(["gc", "--auto", "--quiet"])

    def log(self, placeholders: Sequence[str], *, count: int) -> Iterator[list[str]]:
        """Newest first, a value for each placeholder of git's pretty formats."""
        if not self.read_tip():
            return
        done = self._ask(["log", "-z", f"--max-count={count}", f"--format={'%x1f'.join(placeholders)}", _BRANCH])
        for record in done.stdout.split("\0"):
            if record:
                yield record.split(_SEPARATOR)

    def show(self, revision: str) -> str:
        """Message and difference. Raises ValueError for what is no revision of this repository."""
        if not _REVISION.match(revision) or not self._run(["rev-parse", "--verify", "-q", f"{revision}^{{commit}}"]).ok:
            raise ValueError(revision)
        flags = ["--no-color", "--no-ext-diff", "--no-textconv", "--root", "--stat", "--patch"]
        return self._ask(["show", *flags, "--format=%H%n%an, %ad%n%n%B", revision]).stdout

    def _remove_stale(self) -> None:
        """Locks and reports that a git which died has left; nobody else writes here."""
        stale = [
            "*.lock",
            "refs/heads/*.lock",
            "gc.pid",
            "fast_import_crash_*",
            "objects/pack/tmp_*",
            "objects/??/tmp_*",
        ]
        for pattern in stale:
            for path in self._path.glob(pattern):
                path.unlink(missing_ok=True)

    def _ask(self, words: Sequence[str], *, repository: Path | None = None) -> Completed:
        done = self._run(words, repository=repository)
        if not done.ok:
            raise RepositoryError(done.output)
        return done

    def _run(self, words: Sequence[str], *, repository: Path | None = None, stdin: bytes | None = None) -> Completed:
        settings = [word for setting in _SETTINGS for word in ("-c", setting)]
        argv = ["git", *settings, f"--git-dir={repository or self._path}", *words]
        text = None if stdin is None else stdin.decode(errors="surrogateescape")
        done = run_command(argv, timeout_s=_TIMEOUT_S, env=_environment(), stdin=text, errors="surrogateescape")
        if done.exit_code == 127:
            raise GitMissing("git is not installed")
        return done


def find_git() -> bool:
    import shutil  # 2 ms, which a rollback does not need

    return shutil.which("git") is not None


def _environment() -> dict[str, str]:
    """Nothing of the caller's but where programs lie."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C.UTF-8",
        "HOME": "/nonexistent",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_SYSTEM": os.devnull,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_PAGER": "cat",
    }


def _render_commit(commit: Commit, parent: str) -> bytes:
    at = f"{int(commit.at)} +0000"
    author = re.sub(r"[<>\x00-\x1f]", " ", commit.author).strip() or "somebody"
    head = f"commit {_BRANCH}\nauthor {author} <> {at}\ncommitter celadon <> {at}\n"
    return b"".join(
        [head.encode(errors="replace"), *_render_data(commit.message.encode(errors="replace")), parent.encode()]
        + [b"deleteall\n"]
        + [part for path, content in commit.files.items() for part in _render_file(path, content)]
    )


def _render_file(path: str, content: bytes) -> Iterable[bytes]:
    quoted = path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return [f'M 100644 inline "{quoted}"\n'.encode(errors="surrogateescape"), *_render_data(content)]


def _render_data(content: bytes) -> Iterable[bytes]:
    return [f"data {len(content)}\n".encode(), content, b"\n"]
