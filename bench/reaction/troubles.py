"""What may come upon a machine while a window is open."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.site import Site

from bench.reaction.deploying import Deploying

_LOAD = 50
_PAGE_BYTES = 4096
_LINES_BYTES = 1500


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """`brew` is entered before the release begins to fail and left when the route is back. `terminal`: the deploy has
    one. `small`: its state lies on a disk that can be filled."""

    name: str
    brew: Callable[[Site, Deploying], AbstractContextManager[None]]
    terminal: bool = False
    small: bool = False


@contextmanager
def _none(_site: Site, _deploying: Deploying) -> Iterator[None]:
    yield


def _fill(site: Site, _deploying: Deploying) -> AbstractContextManager[None]:
    return fill_disk(site)


def be_fine(site: Site) -> None:
    """All is made that `begin_to_fail` needs on a disk that is full by then."""
    _later(site).unlink(missing_ok=True)
    _soon(site).touch()


def begin_to_fail(site: Site) -> None:
    """Every page of a release that is broken so."""
    _soon(site).rename(_later(site))


def _soon(site: Site) -> Path:
    return site.layout.shared / "data" / "soon"


def _later(site: Site) -> Path:
    return _soon(site).with_name("later")


@contextmanager
def fill_disk(site: Site) -> Iterator[None]:
    """Not a byte is left. The proxy's log lies there too: it has what is left of its last page."""
    while site.layout.access_log.stat().st_size % _PAGE_BYTES > _PAGE_BYTES - _LINES_BYTES:
        site.visit()
    ballast = site.state / "ballast"
    with ballast.open("ab", buffering=0) as stream:
        for size in (65536, _PAGE_BYTES, 1):
            try:
                while True:
                    stream.write(b"\0" * size)
            except OSError:
                continue
    try:
        yield
    finally:
        ballast.unlink()


@contextmanager
def _load(_site: Site, _deploying: Deploying) -> Iterator[None]:
    busy = [subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"]) for _ in range(_LOAD)]
    try:
        yield
    finally:
        for each in busy:
            each.kill()
        for each in busy:
            each.wait()


@contextmanager
def _hang_up(_site: Site, deploying: Deploying) -> Iterator[None]:
    deploying.hang_up()
    yield


NONE = Trouble(name="", brew=_none)
TROUBLES = (
    Trouble(name="disk full", brew=_fill, small=True),
    Trouble(name="terminal gone", brew=_hang_up, terminal=True),
    Trouble(name=f"load {_LOAD}", brew=_load),
)
