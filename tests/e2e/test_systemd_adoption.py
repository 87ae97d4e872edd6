"""A Debian server as people have it: an app in a unit of its own, and a site that sends requests to its port."""

import os
import re
import shutil
import time
from collections.abc import Iterator

import pytest

from tests.e2e.machine import Machine, open_machine
from tests.e2e.test_systemd import CELADON, visit

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(shutil.which("systemd-nspawn") is None or os.geteuid() != 0, reason="needs root and nspawn"),
]

UNIT = """\
[Unit]
Description=The shop
[Service]
User=shop
WorkingDirectory=/srv/shop
Environment=PORT=8000 SHOP_DATABASE=/home/shop/shop.db
ExecStart=/usr/bin/python3 -S -E app.py
Restart=always
[Install]
WantedBy=multi-user.target
"""
SITE = """\
server {
    listen 80 default_server;
    listen [::]:80 default_server;
    server_name shop.example www.shop.example;
    location / {
        proxy_pass http://127.0.0.1:8000;
        proxy_set_header Host $host;
    }
}
"""
READINESS = """\

[readiness]
path = "/health"
interval = "50ms"
successes = 2
"""


@pytest.fixture
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with open_machine(tmp_path_factory.mktemp("machine")) as booted:
        booted.write("/usr/local/bin/celadon", CELADON, mode=0o755)
        booted.write("/etc/nginx/sites-enabled/shop", SITE)
        booted.write("/etc/systemd/system/shop.service", UNIT)
        assert booted.shell("rm -f /etc/nginx/sites-enabled/default; useradd --system --create-home shop").ok
        assert booted.shell(
            "cp -r /repo/examples/shop /srv/shop; rm /srv/shop/celadon.toml; mkdir -p /srv/shop/data"
        ).ok
        assert booted.shell("chown -R shop /srv/shop").ok
        assert booted.shell("systemctl daemon-reload; systemctl enable --now shop; systemctl reload nginx").ok
        await_version(booted, "v1")
        yield booted


def await_version(machine: Machine, version: str) -> None:
    until = time.monotonic() + 20
    while f"Shop {version}" not in visit(machine) and time.monotonic() < until:
        time.sleep(0.05)
    assert f"Shop {version}" in visit(machine)


def main_pid(machine: Machine) -> str:
    return machine.shell("systemctl show -P MainPID shop").stdout.strip()


def test_a_unit_becomes_blue_is_retired_and_can_be_gone_back_to(machine: Machine) -> None:
    """One command for the adoption, no restart; the first deploy stops and disables it, a rollback starts it again."""
    machine.write("/srv/shop/VERSION", "v1\n")
    before = main_pid(machine)
    done = machine.shell("cd /srv/shop && celadon init --adopt -y")
    assert done.ok, done.output
    assert "shop.service is r1 in blue" in done.output
    assert main_pid(machine) == before
    written = machine.shell("cat /srv/shop/celadon.toml").stdout
    assert re.search(r"ports = \[8000, \d+\]", written)
    assert 'runner = "systemd"' in written
    assert 'user = "shop"' in written

    text = re.sub(r"\n\[readiness\].*?\n\n", READINESS + "\n", written, flags=re.DOTALL)
    text = text.replace('window = "60s"', 'judge = "thresholds"\nwindow = "1s"')
    text = text.replace('# shared = ["media"]', 'shared = ["data"]')
    machine.write("/srv/shop/celadon.toml", text + '[source]\npath = "/srv/next"\n')
    assert machine.shell("cp -r /srv/shop /srv/next; echo v2 > /srv/next/VERSION").ok
    deployed = machine.shell("cd /srv/shop && celadon deploy")
    assert deployed.ok, deployed.output
    await_version(machine, "v2")
    assert machine.shell("systemctl is-active shop").stdout.strip() == "inactive"
    assert machine.shell("systemctl is-enabled shop").stdout.strip() == "disabled"

    back = machine.shell("cd /srv/shop && celadon rollback")
    assert back.ok, back.output
    await_version(machine, "v1")
    assert machine.shell("systemctl is-active shop").stdout.strip() == "active"
    assert machine.shell("systemctl is-enabled shop").stdout.strip() == "enabled"
    assert machine.shell("systemctl is-active celadon-shop-green").stdout.strip() == "inactive"

    machine.reboot()
    await_version(machine, "v1")
