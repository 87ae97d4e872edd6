"""Docker and Podman of our own, with an image that was made of this machine's Python: no registry is asked."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

IMAGE = "localhost/base:python"
_LEFT_OUT = ("test", "idlelib", "tkinter", "ensurepip", "lib2to3", "distutils", "unittest", "pydoc_data", "turtledemo")
_PYTHON = "/usr/bin/python3"
_PROGRAMS = (_PYTHON, "/bin/dash", "/usr/bin/sleep")
_WORKER = int(re.sub(r"\D", "", os.environ.get("PYTEST_XDIST_WORKER", "gw0")) or 0)
_UP_TIMEOUT_S = 60.0

needs_docker = pytest.mark.skipif(os.geteuid() != 0 or shutil.which("dockerd") is None, reason="needs root and Docker")
needs_compose = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("dockerd") is None or shutil.which("docker-compose") is None,
    reason="needs root, Docker and Compose",
)
needs_podman = pytest.mark.skipif(os.geteuid() != 0 or shutil.which("podman") is None, reason="needs root and Podman")


def run_engine(*words: str, stdin: bytes | None = None) -> str:
    done = subprocess.run(list(words), input=stdin, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, (words[:3], done.stdout, done.stderr)
    return done.stdout.decode()


def write_tree(tree: Path) -> None:
    """Python with its library, a shell, and what they are linked with: 35 MB."""
    for program in _PROGRAMS:
        _copy(Path(program), tree)
    library = Path(run_engine(_PYTHON, "-c", "import sysconfig; print(sysconfig.get_path('stdlib'))").strip())
    ignored = shutil.ignore_patterns(*_LEFT_OUT, "__pycache__", "config-3*", "EXTERNALLY-MANAGED")
    shutil.copytree(library, tree / library.relative_to("/"), ignore=ignored)
    for module in (library / "lib-dynload").glob("*.so"):
        _copy_linked(module, tree)
    (tree / "bin/sh").symlink_to("dash")
    (tree / "tmp").mkdir(mode=0o1777)


def _copy(path: Path, tree: Path) -> None:
    target = tree / path.relative_to("/")
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
        _copy_linked(path, tree)


def _copy_linked(path: Path, tree: Path) -> None:
    told = subprocess.run(["ldd", str(path)], capture_output=True, text=True, check=True).stdout
    for linked in re.findall(r"(/\S+) \(0x", told):
        _copy(Path(linked), tree)


def import_image(program: str) -> None:
    with tempfile.TemporaryDirectory() as base:
        tree = Path(base) / "tree"
        tree.mkdir()
        write_tree(tree)
        tar = subprocess.run(["tar", "-C", str(tree), "-c", "."], capture_output=True, check=True).stdout
    run_engine(program, "import", "--change", "ENV PATH=/usr/bin:/bin", "-", IMAGE, stdin=tar)


class Dockerd:
    """A daemon with a bridge of its own, and no rule of the machine's firewall changed; what it keeps is in memory.
    `variables` lead its command line there."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.variables = {"DOCKER_HOST": f"unix://{base}/docker.sock", "DOCKER_CONFIG": str(base / "config")}
        self._bridge = f"celadon{_WORKER}-{os.getpid() % 1000}"
        self._process: subprocess.Popen[bytes] | None = None
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=640m", "tmpfs", str(base)], check=True)
        (base / "config").mkdir()
        (base / "config" / "config.json").write_text("{}")  # Podman reads it too, and refuses to run without
        subprocess.run(["ip", "link", "add", self._bridge, "type", "bridge"], check=True)
        subnet = f"10.{200 + _WORKER % 50}.{os.getpid() % 250}.1/24"
        subprocess.run(["ip", "address", "add", subnet, "dev", self._bridge], check=True)
        subprocess.run(["ip", "link", "set", self._bridge, "up"], check=True)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        own = [f"--{name}={self.base / name}" for name in ("data-root", "exec-root", "pidfile")]
        off = ["--iptables=false", "--ip-forward=false", "--ip-masq=false", "--log-level=warn"]
        with (self.base / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["dockerd", *own, *off, f"--bridge={self._bridge}", "-H", self.variables["DOCKER_HOST"]],
                stdout=log,
                stderr=log,
            )
        until = time.monotonic() + _UP_TIMEOUT_S
        while time.monotonic() < until:
            asked = subprocess.run(
                ["docker", "version"], env=os.environ | self.variables, capture_output=True, check=False
            )
            if asked.returncode == 0:
                return
            time.sleep(0.05)
        raise AssertionError((self.base / "log").read_text()[-3000:])

    def kill(self) -> None:
        """As a crash: its containers stay. Its containerd ends with it; where nobody reaps that one, the next daemon
        would take it for alive."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        (self.base / "exec-root/containerd/containerd.pid").unlink(missing_ok=True)

    def stop(self) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(timeout=60)

    def close(self) -> None:
        self.stop()
        subprocess.run(["ip", "link", "delete", self._bridge], check=True)
        subprocess.run(["umount", "--lazy", str(self.base)], check=True)


@contextlib.contextmanager
def open_docker() -> Iterator[Dockerd]:
    """With the image, and in this process's environment. Not below pytest's directories: a socket's path is short."""
    base = Path(tempfile.mkdtemp(prefix="celadon-docker-"))
    daemon = Dockerd(base)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in daemon.variables.items():
            patch.setenv(name, value)
        daemon.start()
        try:
            import_image("docker")
            yield daemon
        finally:
            daemon.close()
            shutil.rmtree(base)


@contextlib.contextmanager
def open_compose() -> Iterator[Dockerd]:
    """With networks of its own, whose containers may speak to each other whatever else the machine does not forward:
    this daemon makes no rule for them."""
    rule = ["FORWARD", "-m", "physdev", "--physdev-is-bridged", "-m", "comment", "--comment", f"celadon-{os.getpid()}"]
    with open_docker() as daemon:
        run_engine("iptables", "-w", "-I", *rule, "-j", "ACCEPT")
        try:
            yield daemon
        finally:
            run_engine("iptables", "-w", "-D", *rule, "-j", "ACCEPT")
            if left := run_engine("docker", "ps", "--all", "--quiet").split():
                run_engine("docker", "rm", "--force", *left)
            run_engine("docker", "network", "prune", "--force")


@contextlib.contextmanager
def open_registry(base: Path, *, port: int) -> Iterator[str]:
    """Its address. Podman is told that it speaks no TLS, which Docker takes of a registry on loopback."""
    config = base / "registry.yml"
    config.write_text(
        f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {base / 'registry'}}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}'}}\n"
    )
    (base / "registries.conf").write_text(f'[[registry]]\nlocation = "127.0.0.1:{port}"\ninsecure = true\n')
    with pytest.MonkeyPatch.context() as patch, (base / "registry.log").open("wb") as log:
        patch.setenv("CONTAINERS_REGISTRIES_CONF", str(base / "registries.conf"))
        process = subprocess.Popen(["docker-registry", "serve", str(config)], stdout=log, stderr=log)
        try:
            await_listener(port)
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(timeout=20)


def await_listener(port: int) -> None:
    until = time.monotonic() + _UP_TIMEOUT_S
    while time.monotonic() < until:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        time.sleep(0.02)
    raise AssertionError(f"nobody listens on {port}")


@contextlib.contextmanager
def open_podman() -> Iterator[Path]:
    """Storage, state and networks of its own; the runtime that takes every version of control groups."""
    base = Path(tempfile.mkdtemp(prefix="celadon-podman-"))
    (base / "storage.conf").write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = "{base}/root"\nrunroot = "{base}/run"\n'
    )
    (base / "containers.conf").write_text(
        "[containers]\n"
        'default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]\n'
        "[engine]\n"
        'cgroup_manager = "cgroupfs"\nevents_logger = "file"\nruntime = "runc"\n'
        f'tmp_dir = "{base}/tmp"\nstatic_dir = "{base}/static"\nvolume_path = "{base}/volumes"\n'
        "[network]\n"
        f'network_backend = "netavark"\nnetwork_config_dir = "{base}/networks"\n'
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONTAINERS_STORAGE_CONF", str(base / "storage.conf"))
        patch.setenv("CONTAINERS_CONF", str(base / "containers.conf"))
        try:
            import_image("podman")
            yield base
        finally:
            run_engine("podman", "rm", "--all", "--force")
            subprocess.run(["umount", str(base / "root" / "overlay")], capture_output=True, check=False)
            shutil.rmtree(base)
