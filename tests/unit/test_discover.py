"""A first celadon.toml from what runs."""

from pathlib import Path

import pytest

from celadon.app.discover import render_command
from celadon.config.guess import GuessedSite, guess_config
from celadon.config.load import load_settings
from celadon.model.address import TcpAddress
from celadon.model.settings import ProxyKind, RunnerKind


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (
            ["/srv/shop/venv/bin/gunicorn", "-b", "127.0.0.1:8000", "app:app"],
            "venv/bin/gunicorn -b 127.0.0.1:$PORT app:app",
        ),
        (["node", "server.js", "--port=8000"], "node server.js --port=$PORT"),
        (["./serve", "--name", "a b"], "./serve --name 'a b'"),
        (["./serve", "--limit", "180009"], "./serve --limit 180009"),
    ],
)
def test_the_next_releases_start_as_this_one_was_started(arguments: list[str], command: str) -> None:
    """In their own tree, on the port that they are given; no other number is touched."""
    assert render_command(arguments, port=8000, directory="/srv/shop") == command


def test_a_site_that_runs_makes_a_configuration_that_loads(tmp_path: Path) -> None:
    """Blue is its present port, the proxy's own files are named where they are not the usual ones."""
    running = GuessedSite(
        proxy=ProxyKind.NGINX,
        config="/opt/nginx/nginx.conf",
        binary="nginx",
        site="https://shop.example",
        listen="127.0.0.1:443",
        port=8000,
        command='./serve --title "a \\ b" --port $PORT',
        user="www-data",
        systemd=True,
    )
    path = tmp_path / "celadon.toml"
    path.write_text(guess_config(tmp_path, running=running))
    settings = load_settings(path, root=Path("/var/lib/celadon")).settings
    assert settings.web.blue == TcpAddress(8000)
    assert settings.web.green not in {None, settings.web.blue}
    assert (settings.web.command, settings.web.runner, settings.user) == (
        running.command,
        RunnerKind.SYSTEMD,
        "www-data",
    )
    assert (settings.proxy.site, settings.proxy.listen) == (running.site, running.listen)
    assert (settings.proxy.config, settings.proxy.directory) == ("/opt/nginx/nginx.conf", "/opt/nginx/celadon")
