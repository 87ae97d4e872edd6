"""A Debian server: systemd as PID 1, its own nginx, `celadon` as root would type it."""

import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from celadon.drivers.runners.systemd import HARDENING, render_unit
from celadon.host.checkpoint import ARMED_BY, RECORDED_BY, TEST_INSTALL
from celadon.host.commands import Completed
from celadon.model.names import Slot
from celadon.model.processes import WEB
from celadon.model.settings import SystemdSettings
from tests.crash.test_real_kills import AFTER_THE_BLESS, BEFORE_THE_BLESS
from tests.e2e.machine import REPOSITORY, Machine, open_machine
from tests.fakes.world import make_settings

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(shutil.which("systemd-nspawn") is None or os.geteuid() != 0, reason="needs root and nspawn"),
]

CELADON = '#!/bin/sh\nPYTHONPATH=/repo/src:/site exec python3 -m celadon.cli.main "$@"\n'
CONFIG = """\
app = "shop"
user = "shop"
shared = ["data"]
[source]
exclude = ["celadon.toml"]
[web]
command = "python3 -S -E app.py"
ports = [8101, 8102]
runner = "systemd"
[web.limits]
open_files = 4096
[readiness]
path = "/health"
interval = "50ms"
successes = 2
deadline = "5s"
[proxy]
type = "nginx"
site = "http://shop.example"
[observe]
judge = "thresholds"
max_error_rate = "5%"
window = "1s"
interval = "100ms"
min_requests = 5
[drain]
timeout = "5s"
stop_timeout = "5s"
"""
SITE = """\
server {
    listen 80;
    server_name shop.example;
    location / {
        include /etc/nginx/celadon/shop/route.conf*;
    }
}
"""


OF_THE_UNIT = ("unit_written", "unit_loaded")
IN_SYSTEMD = (
    "slot_written", *OF_THE_UNIT, "start_issued", "after_start", "before_enable", "after_enable", "switch_recorded",
    "after_pointer", "blessed", "old_disabled", "before_stop", "after_stop",
)  # fmt: skip

PROCESSES = """
[processes.release]
run = "test $(id -un) = shop"
[processes.mail]
run = "sleep 600"
handover = "exclusive"
[processes.nightly]
run = "./nightly"
schedule = "*-*-* 03:00:00"
"""

USER_NGINX = """\
pid /home/shop/nginx/nginx.pid;
error_log /home/shop/nginx/error.log;
events { worker_connections 128; }
http {
    access_log off;
    client_body_temp_path /home/shop/nginx/body; proxy_temp_path /home/shop/nginx/proxy;
    fastcgi_temp_path /home/shop/nginx/f; uwsgi_temp_path /home/shop/nginx/u; scgi_temp_path /home/shop/nginx/s;
    include /home/shop/nginx/celadon/*/http.conf;
    server {
        listen 127.0.0.1:8080;
        server_name shop.example;
        location / { include /home/shop/nginx/celadon/mine/route.conf*; }
    }
}
"""
USER_CONFIG = """\
app = "mine"
shared = ["data"]
[web]
command = "python3 -S -E app.py"
ports = [8111, 8112]
runner = "systemd"
[web.systemd]
user_manager = true
[readiness]
path = "/health"
interval = "50ms"
successes = 2
deadline = "15s"
[proxy]
type = "nginx"
site = "http://shop.example"
listen = "127.0.0.1:8080"
directory = "/home/shop/nginx/celadon"
config = "/home/shop/nginx/nginx.conf"
[observe]
judge = "thresholds"
max_error_rate = "5%"
window = "500ms"
interval = "100ms"
[drain]
timeout = "3s"
"""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with open_machine(tmp_path_factory.mktemp("machine")) as booted:
        prepare(booted)
        yield booted


def prepare(machine: Machine) -> None:
    """As the tutorial has it: a user, the app's files, a site with one include, one line in conf.d."""
    machine.write("/usr/local/bin/celadon", CELADON, mode=0o755)
    machine.write("/etc/nginx/conf.d/celadon.conf", "include /etc/nginx/celadon/*/http.conf;\n")
    machine.write("/etc/nginx/sites-enabled/shop", SITE)
    assert machine.shell("rm -f /etc/nginx/sites-enabled/default; useradd --system --create-home shop").ok
    assert machine.shell("cp -r /repo/examples/shop /srv/shop; nginx -t && systemctl reload nginx").ok
    machine.write("/srv/shop/celadon.toml", CONFIG)


def celadon(machine: Machine, *words: str) -> Completed:
    return machine.shell(f"cd /srv/shop && celadon {' '.join(words)}")


def deploy(machine: Machine, version: str, *, broken: str = "", env: str = "") -> Completed:
    machine.write("/srv/shop/VERSION", f"{version}\n")
    (machine.tree / "srv/shop/BROKEN").unlink(missing_ok=True)
    if broken:
        machine.write("/srv/shop/BROKEN", broken)
    if env:
        machine.write(f"/var/lib/celadon/{TEST_INSTALL}", "")
    return machine.shell(f"cd /srv/shop && CELADON_ROOT=/var/lib/celadon {env} celadon deploy")


def lengthen_window(machine: Machine) -> None:
    machine.write("/srv/shop/celadon.toml", CONFIG.replace('window = "1s"', 'window = "60s"'))


def begin_deploy(machine: Machine, version: str) -> None:
    """Returns in the window: the candidate has the traffic."""
    machine.write("/srv/shop/VERSION", f"{version}\n")
    (machine.tree / "srv/shop/BROKEN").unlink(missing_ok=True)
    assert machine.shell(
        "cd /srv/shop; nohup celadon deploy --json >/root/deploy.log 2>&1 & echo $! >/root/deploy.pid"
    ).ok
    waited = machine.shell(
        "for i in $(seq 300); do grep -q window_opened /root/deploy.log && exit; sleep 0.05; done; exit 1"
    )
    assert waited.ok, machine.shell("cat /root/deploy.log").stdout
    assert f"Shop {version}" in visit(machine)


def visit(machine: Machine, *, port: int = 80) -> str:
    script = (
        f"exec 3<>/dev/tcp/127.0.0.1/{port}; printf 'GET / HTTP/1.0\\r\\nHost: shop.example\\r\\n\\r\\n' >&3; cat <&3"
    )
    return machine.run("/bin/bash", "-c", script).stdout


def version_served(machine: Machine) -> str:
    found = re.search(r"Shop (\S+?)[<\s]", visit(machine))
    return found.group(1) if found else ""


def await_version(machine: Machine, version: str) -> bool:
    """An app that systemd has started again needs a moment to listen."""
    until = time.monotonic() + 20
    while version_served(machine) != version and time.monotonic() < until:
        time.sleep(0.05)
    return version_served(machine) == version


def assert_settled(machine: Machine) -> None:
    """Nobody works on it and nothing is open; one slot is active, exactly that one enabled, and systemd knows the unit
    files as they are."""
    settled = machine.shell(
        "for i in $(seq 100); do [ $(systemctl is-active celadon-recover) = inactive ] && celadon status --app shop "
        '--json | grep -q \'"running_operation":null.*"interrupted":false\' && exit; sleep 0.1; done; exit 1'
    )
    assert settled.ok, celadon(machine, "status", "--json").output
    units = "celadon-shop-blue celadon-shop-green"
    active = machine.shell(f"systemctl is-active {units}").stdout.split()
    enabled = machine.shell(f"systemctl is-enabled {units}").stdout.split()
    assert sorted(active) == ["active", "inactive"]
    assert [word == "active" for word in active] == [word == "enabled" for word in enabled]
    assert machine.shell(f"systemctl show -P NeedDaemonReload {units}").stdout.split() == ["no", "no"]


def test_a_person_deploys_rejects_and_rolls_back(machine: Machine) -> None:
    """v1, v2 under load, a broken v3, back to v1: exit codes, traffic, units."""
    first = deploy(machine, "v1")
    assert first.exit_code == 0, first.output
    assert "Shop v1" in visit(machine)
    started = machine.shell(
        "cd /repo && nohup python3 -m bench.load --address 127.0.0.1:80 --site shop.example --stop-file /root/stop "
        "--output /root/tally --streams 0 --websockets 0 --think-ms 10 >/tmp/load.log 2>&1 &"
    )
    assert started.ok
    second = deploy(machine, "v2")
    assert second.exit_code == 0, second.output
    third = deploy(machine, "v3", broken="health")
    assert third.exit_code == 10, third.output
    assert "shop v3 listens" in third.output
    back = celadon(machine, "rollback")
    assert back.exit_code == 0, back.output
    assert "Shop v1" in visit(machine)
    machine.shell("touch /root/stop; until [ -e /root/tally ]; do sleep 0.05; done", timeout_s=30)
    tally = json.loads((machine.tree / "root/tally").read_text() or "{}")
    said = machine.shell(
        "tail -5 /var/log/nginx/error.log; journalctl --no-pager -u 'celadon-shop-*' | tail -20"
    ).output
    assert (tally["failed"], tally["closed"], tally["faults"]) == (0, 0, {}), said
    assert set(tally["versions"]) == {"v1", "v2"}
    units = machine.shell("systemctl list-units --no-legend 'celadon-shop-*'").stdout
    assert units.count("running") == 1


def test_an_operation_that_begins_late_is_no_dead_one(machine: Machine) -> None:
    """On a busy machine a new interpreter needs seconds until it holds the lock; it was recovered from meanwhile."""
    late = "import sys, time\ntime.sleep(3 * ('celadon.cli.operate' in sys.orig_argv))\n"
    machine.write("/root/late/sitecustomize.py", late)
    machine.write("/srv/shop/VERSION", "v1\n")
    (machine.tree / "srv/shop/BROKEN").unlink(missing_ok=True)
    path = "PYTHONPATH=/root/late:/repo/src:/site"
    done = machine.shell(f"cd /srv/shop && {path} python3 -m celadon.cli.main deploy")
    assert done.exit_code == 0, done.output


def test_the_app_runs_as_its_user_with_its_env_unreadable(machine: Machine) -> None:
    """The unit is what was asked for."""
    shown = machine.shell("systemctl show -p User,NoNewPrivileges,LimitNOFILE,UnitFileState celadon-shop-*").stdout
    assert "User=shop" in shown
    assert "NoNewPrivileges=yes" in shown
    assert "LimitNOFILE=4096" in shown
    mode = machine.shell("stat -c %a /var/lib/celadon/apps/shop/slots/*/env").stdout.split()
    assert set(mode) == {"600"}


def test_a_crashed_app_is_started_again(machine: Machine) -> None:
    """systemd does what the process runner says it does not."""
    status = json.loads(celadon(machine, "status", "--json").stdout)
    pid = next(slot["view"]["pids"][0] for slot in status["slots"] if slot["view"]["status"] == "running")
    assert machine.shell(f"kill -KILL {pid}").ok
    assert machine.shell(
        "for i in $(seq 100); do celadon status --app shop | grep -q '1 restarts' && exit; sleep 0.1; done; exit 1"
    ).ok
    assert await_version(machine, "v1")


def test_a_reboot_serves_the_right_release_with_no_human(machine: Machine) -> None:
    """I8: exactly the live slot is enabled."""
    machine.reboot()
    found = machine.shell("for i in $(seq 100); do ss -ltn | grep -q ':810[12]' && exit 0; sleep 0.1; done; exit 1")
    assert found.ok
    assert "Shop v1" in visit(machine)
    enabled = machine.shell("systemctl is-enabled celadon-shop-blue celadon-shop-green").stdout.split()
    assert sorted(enabled) == ["disabled", "enabled"]


def test_a_reboot_in_the_window_brings_the_old_release_back_before_the_proxy_starts(machine: Machine) -> None:
    """The candidate had not earned its place: nobody types anything, no visitor sees it after the boot."""
    lengthen_window(machine)
    begin_deploy(machine, "v4")
    machine.reboot()
    assert "Shop v1" in visit(machine)
    status = json.loads(celadon(machine, "status", "--json").stdout)
    assert (status["interrupted"], status["running_operation"]) == (False, None)
    order = machine.shell("journalctl -b -o cat --no-pager | grep -n 'celadon recover\\|A high performance web'").stdout
    assert order.index("Finished celadon-recover") < order.index("Started nginx"), order


def test_a_killed_deploy_is_put_right_though_its_terminal_is_gone(machine: Machine) -> None:
    """The unit's death starts the recovery unit."""
    lengthen_window(machine)
    begin_deploy(machine, "v4")
    status = json.loads(celadon(machine, "status", "--json").stdout)
    assert machine.shell("kill -KILL $(cat /root/deploy.pid)").ok
    assert machine.shell(f"systemctl kill --signal=KILL celadon-shop-{status['running_operation']}.service").ok
    assert_settled(machine)
    assert version_served(machine) == "v1"
    machine.write("/srv/shop/celadon.toml", CONFIG)


def test_a_deploy_works_after_the_reboot(machine: Machine) -> None:
    """I9."""
    done = deploy(machine, "v5")
    assert done.exit_code == 0, done.output
    assert "Shop v5" in visit(machine)


def list_other_units(machine: Machine) -> tuple[list[str], list[str]]:
    """Units of the app beside the two of its slots: those that are active, and those that start at boot."""
    active = machine.shell("systemctl list-units --no-legend --plain --state=active 'celadon-shop.*'").stdout
    enabled = machine.shell("systemctl list-unit-files --no-legend --state=enabled 'celadon-shop.*'").stdout
    return [line.split()[0] for line in active.splitlines()], [line.split()[0] for line in enabled.splitlines()]


def test_workers_and_timers_follow_the_release(machine: Machine) -> None:
    """To the other slot, back with a rollback, and away with a release that has none; no release command stays."""
    machine.write("/srv/shop/celadon.toml", CONFIG + PROCESSES)
    for version, code in (("v6", 0), ("v7", 0), ("", 0)):
        done = deploy(machine, version) if version else celadon(machine, "rollback")
        assert done.exit_code == code, done.output
        status = json.loads(celadon(machine, "status", "--json").stdout)
        worker, timer = f"celadon-shop.mail-{status['route']['slot']}.service", "celadon-shop.nightly.timer"
        assert list_other_units(machine) == ([worker, timer], [worker, timer])
    machine.write("/srv/shop/celadon.toml", CONFIG)
    assert deploy(machine, "v5").exit_code == 0
    assert list_other_units(machine) == ([], [])


LINGERING = f'{CONFIG}idle = "close-after 0s"\nstreams = "linger 1h"\n'
STREAM = """\
import socket
stream = socket.create_connection(("127.0.0.1", 80))
stream.sendall(b"GET /ws HTTP/1.1\\r\\nHost: shop.example\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n"
               b"Sec-WebSocket-Version: 13\\r\\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\\r\\n\\r\\n")
assert b" 101 " in stream.recv(65536)
print("open", flush=True)
while stream.recv(65536):
    pass
"""


def open_stream(machine: Machine) -> None:
    """Until the process named in /root/stream.pid ends."""
    machine.write("/root/stream.py", STREAM)
    assert machine.shell(
        "nohup python3 /root/stream.py >/root/stream.log 2>&1 & echo $! >/root/stream.pid; "
        "for i in $(seq 100); do grep -q open /root/stream.log && exit; sleep 0.05; done; cat /root/stream.log; exit 1"
    ).ok


def test_streams_outlive_the_deploy_under_the_eyes_of_a_unit(machine: Machine) -> None:
    """Which is started again where it is killed. After a reboot nothing of them is left, and nothing is open."""
    machine.write("/srv/shop/celadon.toml", LINGERING)
    assert deploy(machine, "v8").exit_code == 0
    open_stream(machine)
    done = deploy(machine, "v9")
    assert done.exit_code == 0, done.output
    units = "celadon-shop-blue celadon-shop-green celadon-shop-keep"
    assert machine.shell(f"systemctl is-active {units}").stdout.split() == ["active"] * 3
    assert machine.shell("systemctl kill --signal=KILL celadon-shop-keep").ok
    begins_again = "systemctl show -P SubState celadon-shop-keep | grep -q auto-restart"
    assert machine.shell(f"for i in $(seq 100); do {begins_again} && exit; sleep 0.1; done; exit 1").ok
    machine.reboot()
    assert_settled(machine)
    assert json.loads(celadon(machine, "status", "--json").stdout)["lingering"] is None
    assert await_version(machine, "v9")
    machine.write("/srv/shop/celadon.toml", CONFIG)


def test_replicas_are_units_beside_the_slots_own(machine: Machine) -> None:
    """They come, start at boot, and go with the number; the ports that are live stay until they are left."""
    machine.write("/srv/shop/celadon.toml", CONFIG.replace("[8101, 8102]", "[8121, 8131]\nreplicas = 2"))
    for version in ("v6", "v7"):
        done = deploy(machine, version)
        assert done.exit_code == 0, done.output
        second = (
            f"celadon-shop.web.2-{json.loads(celadon(machine, 'status', '--json').stdout)['route']['slot']}.service"
        )
        assert list_other_units(machine) == ([second], [second])
        assert version_served(machine) == version
    assert machine.shell(f"systemctl kill --signal=KILL {second}").ok
    restarted = "celadon status --app shop | grep -q 'web.2.* 1 restarts'"
    waited = machine.shell(f"for i in $(seq 100); do {restarted} && exit; sleep 0.1; done; exit 1")
    assert waited.ok, celadon(machine, "status").output
    machine.write("/srv/shop/celadon.toml", CONFIG)
    assert deploy(machine, "v5").exit_code == 0
    assert list_other_units(machine) == ([], [])


@pytest.mark.parametrize("point", IN_SYSTEMD)
def test_a_death_between_two_words_to_systemd_is_put_right(machine: Machine, point: str) -> None:
    """By the recovery unit or by the command that followed: one slot runs, and that one starts at boot. Each deploy
    changes a limit, and so its unit."""
    old = version_served(machine)
    version = f"dead-{point}"
    machine.write("/srv/shop/celadon.toml", CONFIG.replace("4096", f"{5000 + IN_SYSTEMD.index(point)}"))
    done = deploy(machine, version, env=f"{ARMED_BY}={point}:kill")
    assert done.exit_code == 14, done.output
    assert_settled(machine)
    assert version_served(machine) == (version if point in AFTER_THE_BLESS else old)


def test_no_word_to_systemd_is_forgotten(machine: Machine) -> None:
    """What a deploy passes here is swept above or, being the same for every runner, in tests/crash."""
    machine.write("/srv/shop/celadon.toml", CONFIG)
    assert deploy(machine, "v6", env=f"{RECORDED_BY}=/root/passed").exit_code == 0
    passed = {*(machine.tree / "root/passed").read_text().split()}
    assert passed == {*BEFORE_THE_BLESS, *OF_THE_UNIT, *AFTER_THE_BLESS, "ended"}


def test_systemd_keeps_the_promises_of_every_runner(machine: Machine) -> None:
    """The contract suite, run inside."""
    done = machine.shell(
        "cd /root && PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=/repo/src:/repo:/site python3 -m pytest -q "
        "-c /repo/pyproject.toml --rootdir=/root -p no:cacheprovider /repo/tests/contract/systemd_suite.py"
    )
    assert done.exit_code == 0, done.output
    assert " passed" in done.output
    assert "skipped" not in done.output


def test_an_ordinary_user_deploys_with_a_service_manager_of_its_own(machine: Machine) -> None:
    """`systemctl --user`, a proxy of the user's, nothing of root's."""
    uid = machine.shell("id -u shop").stdout.strip()
    assert machine.shell(f"systemctl start user@{uid}.service").ok
    machine.write("/home/shop/nginx/nginx.conf", USER_NGINX)
    machine.write("/home/shop/app/celadon.toml", USER_CONFIG)
    assert machine.shell("cp -r /repo/examples/shop/app.py /home/shop/app/; chown -R shop: /home/shop").ok
    as_user = (
        "setpriv --reuid shop --regid shop --init-groups env -i HOME=/home/shop USER=shop "
        f"XDG_RUNTIME_DIR=/run/user/{uid} "
        "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/bin sh -c"
    )
    machine.write("/home/shop/app/VERSION", "v1\n")
    started = machine.shell(f"{as_user} 'nginx -c /home/shop/nginx/nginx.conf -p /home/shop/nginx'")
    assert started.ok, started.output
    first = machine.shell(f"{as_user} 'cd /home/shop/app && celadon deploy'")
    assert first.exit_code == 0, first.output
    machine.write("/home/shop/app/VERSION", "v2\n")
    second = machine.shell(f"{as_user} 'cd /home/shop/app && celadon deploy && celadon rollback'")
    assert second.exit_code == 0, second.output
    assert "Shop v1" in visit(machine, port=8080)
    told = machine.shell(
        f"{as_user} 'systemctl --user is-enabled celadon-mine-blue celadon-mine-green celadon-recover'"
    )
    assert told.stdout.split() == ["enabled", "disabled", "enabled"]
    assert machine.shell("! ls /etc/systemd/system | grep mine").ok


@pytest.mark.parametrize("off", [(), tuple(directive.partition("=")[0] for directive in HARDENING)])
def test_systemd_accepts_the_generated_unit(machine: Machine, off: tuple[str, ...]) -> None:
    """`systemd-analyze verify` has nothing to say, with all hardening and with none."""
    from msgspec.structs import replace

    settings = make_settings()
    systemd = SystemdSettings(hardening_off=off)
    settings = replace(settings, web=replace(settings.web, systemd=systemd))
    directory = Path("/var/lib/celadon/apps/shop/slots/blue")
    text = render_unit(
        settings,
        Slot.BLUE,
        process=settings.process(WEB),
        name=WEB,
        directory=directory,
        user_and_group=("shop", "shop"),
    )
    machine.shell("mkdir -p /root/verify")
    machine.write("/root/verify/celadon-shop-blue.service", text)
    judged = machine.run("systemd-analyze", "verify", "/root/verify/celadon-shop-blue.service")
    assert judged.ok, judged.output
    assert "celadon-shop-blue" not in judged.output, judged.output
    assert all((f"{name}=" in text) is not bool(off) for name in ("NoNewPrivileges", "PrivateTmp", "RestrictRealtime"))


def test_the_repository_is_read_only_inside(machine: Machine) -> None:
    """The machine cannot spoil the checkout that tests it."""
    assert not machine.shell("touch /repo/spoiled").ok
    assert not (REPOSITORY / "spoiled").exists()


def test_a_sealed_credential_is_with_its_app_and_nowhere_else(machine: Machine) -> None:
    """Opened by the machine's own key at deploy: in no unit, no journal and no file of systemd's."""
    sealed = "/etc/credstore.encrypted/shop-db"
    sealing = f"printf canary-51e0 | systemd-creds encrypt --with-key=host --name=shop-db - {sealed}"
    assert machine.shell(f"mkdir -p /etc/credstore.encrypted && {sealing}").ok
    machine.write("/srv/shop/celadon.toml", CONFIG + '[secrets]\ncredentials = { DATABASE_URL = "shop-db" }\n')
    done = deploy(machine, "v9")
    machine.write("/srv/shop/celadon.toml", CONFIG)
    assert done.exit_code == 0, done.output
    holders = machine.shell("grep -l DATABASE_URL=canary-51e0 /proc/[0-9]*/environ | cut -d/ -f3").stdout.split()
    units = {machine.shell(f"cat /proc/{pid}/cgroup").stdout.strip().rpartition("/")[2] for pid in holders}
    assert units in ({"celadon-shop-blue.service"}, {"celadon-shop-green.service"})
    said = machine.shell(
        "journalctl --no-pager -o export; systemctl show 'celadon-*'; systemctl cat 'celadon-*'"
    ).stdout
    assert "celadon-shop" in said
    assert "canary-51e0" not in said + done.output
    found = machine.shell("grep -rl canary-51e0 /etc /run/systemd /var/log /var/lib | sort").stdout.split()
    assert [Path(path).name for path in found] == ["env", "env"]
    assert set(machine.shell(f"stat -c %a {' '.join(found)}").stdout.split()) == {"600"}
