"""Where everything of one app lies. Paths only; nothing here touches the disk.

<root>/journal.db
<root>/apps/<app>/settings.json        the settings last put in force
                 /lock, /lock.holder   never unlinked
                 /keeping, /keeping.holder   a lock too, of whoever watches a slot that lingers
                 /request              what a person asks of the running operation
                 /releases/r42/        manifest.json, tree/, env, build.log, blessed, compose.json
                 /shared/
                 /assets/              what pages of the last releases ask for
                 /pointer/             what the proxy reads
                 /slots/blue|green/    env, launch, socket, pid, log, compose.json
                 /processes/<name>/blue|green/   the same of another process of the app
                 /traffic/access.log   the proxy's JSON lines; the directory is its user's
                 /look-mark            the secret that our own looks begin with
                 /preview-secret       whoever has it reaches the slot that is not live
                 /proxy/               a git repository of all that was rendered
                 /proxy.lock           held while it is written to
                 /proxy-changes/       what is not yet in it, and what celadon wrote last
                 /accepted.json        edits by hand that are carried over
                 /edited/              edits by hand that a switch had to replace
                 /baseline.json        how the live slot did, the last seven days
                 /reserve              room for the way back on a full disk
                 /operations/          what an operation printed, one file each
"""

import os
from pathlib import Path

from msgspec import Struct

from celadon.model.names import AppName, Slot, render_release_label
from celadon.model.processes import WEB, find_worker_name

PARTIAL = ".partial"
"""Ends the name of what is not whole, and worthless by that name."""
COMPOSE = "compose.json"
"""In a release what Compose made of its file, in a slot what Compose is given; both hold values of variables."""


def default_root() -> Path:
    """`$CELADON_ROOT`, else `/var/lib/celadon` as root, else `$XDG_STATE_HOME/celadon`."""
    chosen = os.environ.get("CELADON_ROOT")
    if chosen:
        return Path(chosen).absolute()
    if os.geteuid() == 0:
        return Path("/var/lib/celadon")
    state_home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state_home) / "celadon"


class Layout(Struct, frozen=True):
    """`process` is whose slots are meant."""

    root: Path
    app: AppName
    process: str = WEB

    @property
    def journal(self) -> Path:
        return self.root / "journal.db"

    @property
    def home(self) -> Path:
        return self.root / "apps" / self.app

    @property
    def settings(self) -> Path:
        return self.home / "settings.json"

    @property
    def lock(self) -> Path:
        return self.home / "lock"

    @property
    def keeping(self) -> Path:
        return self.home / "keeping"

    @property
    def request(self) -> Path:
        return self.home / "request"

    @property
    def releases(self) -> Path:
        return self.home / "releases"

    @property
    def shared(self) -> Path:
        return self.home / "shared"

    @property
    def assets(self) -> Path:
        return self.home / "assets"

    @property
    def pointer(self) -> Path:
        return self.home / "pointer"

    @property
    def access_log(self) -> Path:
        """In a directory of its own: a proxy that rolls its log needs to write there."""
        return self.home / "traffic" / "access.log"

    @property
    def baseline(self) -> Path:
        return self.home / "baseline.json"

    @property
    def reserve(self) -> Path:
        return self.home / "reserve"

    @property
    def look_mark(self) -> Path:
        return self.home / "look-mark"

    @property
    def preview_secret(self) -> Path:
        return self.home / "preview-secret"

    @property
    def proxy_repository(self) -> Path:
        return self.home / "proxy"

    @property
    def proxy_lock(self) -> Path:
        return self.home / "proxy.lock"

    @property
    def proxy_changes(self) -> Path:
        return self.home / "proxy-changes"

    @property
    def accepted(self) -> Path:
        return self.home / "accepted.json"

    @property
    def edited(self) -> Path:
        return self.home / "edited"

    @property
    def operations(self) -> Path:
        return self.home / "operations"

    def written_in(self) -> list[Path]:
        """Directories that hold files of ours, those of the app left out."""
        slots = [*(self.slot(slot) for slot in Slot), *self.home.glob("processes/*/*/")]
        return [self.home, self.operations, self.pointer, *self.pointer.glob("*/"), *slots, *self.releases.glob("r*/")]

    def release(self, number: int) -> Path:
        return self.releases / render_release_label(number)

    def list_processes(self) -> list[str]:
        """The other processes that the app has or had."""
        return sorted(path.name for path in self.home.glob("processes/*/"))

    def list_web_replicas(self) -> list[str]:
        """Those that the app has or had beside the first."""
        return [name for name in self.list_processes() if find_worker_name(name) == WEB]

    def slot(self, slot: Slot) -> Path:
        directory = "slots" if self.process == WEB else f"processes/{self.process}"
        return self.home / directory / slot.value
