"""Room for a second copy, on a real machine with a real limit."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.memory_group import open_memory_group
from tests.e2e.site import CELADON, Site, open_site
from tests.e2e.site_proxies import NGINX

pytestmark = [pytest.mark.root, pytest.mark.skipif(not Path(NGINX).exists(), reason="nginx is not installed")]

_LARGE = "import runpy; hold = b'x' * (300 << 20); runpy.run_path('app.py', run_name='__main__')"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Its app holds 300 MiB."""
    command = f'{sys.executable} -S -E -c "{_LARGE}"'
    with open_site(tmp_path, run=f"command = '''{command}'''") as opened:
        yield opened


def test_a_second_copy_that_does_not_fit_is_refused_with_the_numbers(site: Site) -> None:
    """Before the first effect: no release is made, and what is live has noticed nothing. An owner who knows better is
    warned."""
    site.write_version("v2")
    with open_memory_group(250 << 20) as procs:
        words = ["sh", "-c", f'echo $$ > {procs}; exec "$@"', "sh", *CELADON]
        refused = run(site, [*words, "deploy"])
        assert refused.returncode == 13, refused.stdout
        assert "blue uses 30" in refused.stdout
        assert "MiB are free: a second copy does not fit" in refused.stdout
        assert not site.layout.release(2).exists()
        restarted = run(site, [*words, "restart"])
        assert restarted.returncode == 13, restarted.stdout
        config = site.config.read_text()
        site.config.write_text(config + "[switch]\nrequire_room = false\n")
        checked = run(site, [*words, "check"])
        assert checked.returncode == 0, checked.stdout
        assert "warning  room for two" in checked.stdout
    assert site.visit() == (200, "v1")
    assert "ok       room for two: blue uses 30" in site.celadon("check").output


def run(site: Site, words: list[str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*words, "-c", str(site.config)],
        env=site.variables(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=100,
        check=False,
    )


def test_a_second_pool_of_connections_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    """By the owner's own numbers, asked as the live release would ask. A command that prints none is a warning."""
    with open_site(tmp_path) as site:
        config = site.config.read_text()
        tells = "sh -c 'test -f app.py && test $CELADON_RELEASE = r1 && echo 12 5'"
        site.config.write_text(f'{config}[switch]\nconnections = "{tells}"\n')
        refused = site.deploy("v2")
        assert refused.code == 13, refused.output
        assert "blue has 12 connections to its database, and 5 more may be opened" in refused.output
        assert site.visit() == (200, "v1")
        site.config.write_text(f'{config}[switch]\nconnections = "echo psql: no such role; exit 2"\n')
        assert "tells nothing: exit code 2: psql: no such role" in site.celadon("check").output
        assert site.deploy("v2").code == 0
