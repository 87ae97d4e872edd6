"""Values that must be nowhere but where they belong, and a look everywhere else."""

import contextlib
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

OF_FILE, OF_COMMAND = "canary-7f3a9c", "canary-e21b04"
CANARIES = (OF_FILE.encode(), OF_COMMAND.encode())


@contextlib.contextmanager
def watched_command_lines() -> Iterator[set[bytes]]:
    """Every command line of the machine that was seen meanwhile, a few milliseconds apart."""
    seen: set[bytes] = set()
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.002):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    seen.add(path.read_bytes())

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield seen
    finally:
        over.set()
        watching.join()


def find_carriers(roots: Sequence[Path]) -> dict[Path, int]:
    """Files with a canary, and their modes."""
    files = (path for root in roots for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    return {
        path: path.stat().st_mode & 0o777 for path in files if any(canary in path.read_bytes() for canary in CANARIES)
    }


def read_history(repository: Path) -> bytes:
    """Every object of it, unpacked."""
    return subprocess.run(
        ["git", "-C", repository, "cat-file", "--batch", "--batch-all-objects", "--buffer"],
        check=True,
        capture_output=True,
    ).stdout


def list_holders() -> set[int]:
    """Processes with a canary among their variables."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if any(canary in path.read_bytes() for canary in CANARIES):
                found.add(int(path.parent.name))
    return found


def find_told(texts: Sequence[str]) -> list[str]:
    """Those with a canary."""
    return [text for text in texts if any(canary.decode() in text for canary in CANARIES)]
