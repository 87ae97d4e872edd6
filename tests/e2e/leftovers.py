"""What a server has, counted: whatever fifty deploys add to it would fill it in the end."""

from pathlib import Path

from celadon.app.inforce import require_in_force
from celadon.drivers.runners.containers import require_port
from celadon.host.processes import find_commands, find_marked
from celadon.model.names import Slot
from tests.contract.container_engines import Dockerd, run_engine
from tests.e2e.machine import Machine
from tests.e2e.site import Site

_OF_THE_MACHINE = {
    "unit files": "ls /etc/systemd/system /run/systemd/system /run/systemd/transient 2>/dev/null | grep -c '^celadon'",
    "units that systemd knows": "systemctl list-units --all --no-legend 'celadon*' | wc -l",
    "control groups": "find /sys/fs/cgroup -type d -name 'celadon*' | wc -l",
    "processes of the app": "find /proc -maxdepth 1 -user shop | wc -l",
    "systemd's descriptors": "ls /proc/1/fd | wc -l",
    "releases": "ls /var/lib/celadon/apps/shop/releases | wc -l",
    "files in the slots": "find /var/lib/celadon/apps/shop/slots /var/lib/celadon/apps/shop/processes -type f | wc -l",
    "temporary files": "find / -xdev -name '*.partial' | wc -l; find /tmp /run/celadon* -type f 2>/dev/null | wc -l",
}


_AT_REST = "for i in $(seq 100); do ls /run/systemd/transient | grep -q '^celadon' || exit 0; sleep 0.05; done; exit 1"


def count_machine(machine: Machine) -> dict[str, int]:
    """When the last operation, a unit of its own, has ended; a moment after it told its outcome. Sums where a line has
    two figures."""
    assert machine.shell(_AT_REST).ok
    return {
        name: sum(int(word) for word in machine.shell(script).stdout.split())
        for name, script in _OF_THE_MACHINE.items()
    }


def count_plain(site: Site) -> dict[str, int]:
    home = site.layout.home
    homes = [home / "slots", *(home / "processes").glob("*")]
    marks = [f"CELADON_SLOT_DIRECTORY={each / slot}".encode() for each in homes for slot in Slot]
    return {
        "processes of the slots": sum(len(find_marked(mark)) for mark in marks),
        "nginx's descriptors": len(list(Path(f"/proc/{site.proxy_pid}/fd").iterdir())),
        "releases": len(list(site.layout.releases.iterdir())),
        "files in the slots": sum(path.is_file() for each in homes for path in each.rglob("*")),
        "temporary files": len(list(site.layout.root.rglob("*.partial"))),
    }


def count_podman() -> dict[str, int]:
    return {
        "containers": _list("podman", "ps", "--all"),
        "images, those between too": _list("podman", "image", "ls", "--all"),
        "volumes": _list("podman", "volume", "ls"),
        "networks": _list("podman", "network", "ls"),
        "conmon": len(list(find_commands("conmon"))),
    }


def count_docker(site: Site, daemon: Dockerd) -> dict[str, int]:
    settings = require_in_force(site.layout)
    ports = {str(require_port(address).port) for address in settings.web.slots}
    groups = Path("/sys/fs/cgroup").glob("**/docker/*/cgroup.procs")
    return {
        "containers": _list("docker", "ps", "--all"),
        "images, those between too": _list("docker", "image", "ls", "--all"),
        "volumes": _list("docker", "volume", "ls"),
        "networks": _list("docker", "network", "ls"),
        "port forwarders": sum(not ports.isdisjoint(words) for _, words in find_commands("docker-proxy")),
        "shims": sum(str(daemon.base) in " ".join(words) for _, words in find_commands("containerd-shim-runc-v2")),
        "dockerd's descriptors": len(list(Path(f"/proc/{daemon.pid}/fd").iterdir())),
        "control groups without a process": sum(not group.read_text() for group in groups),
    }


def _list(*words: str) -> int:
    return len(run_engine(*words, "--quiet").split())
