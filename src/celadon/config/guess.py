"""A first celadon.toml for an app, guessed from what lies in its directory."""

import re
from pathlib import Path

from msgspec import Struct

from celadon.config.load import read_ephemeral_range
from celadon.config.table import PROXY_DEFAULTS
from celadon.model.settings import ProxyKind


class Stack(Struct, frozen=True, kw_only=True):
    """What an app seems to be made with. `because` names the file that told."""

    because: str
    command: str
    dependency_steps: tuple[str, ...] = ()
    reuse: str = ""


class GuessedSite(Struct, frozen=True, kw_only=True):
    """A site that runs already, as it was found. `command` is empty where nobody knows how its app is started."""

    proxy: ProxyKind
    config: str
    binary: str
    site: str
    listen: str
    port: int
    directory: str = ""
    command: str = ""
    user: str = ""
    systemd: bool = False


_PIP = ("python3 -m venv venv", "venv/bin/pip install -r requirements.txt")
_UNKNOWN = Stack(because="nothing that was recognised", command="./start --port $PORT")


def guess_config(directory: Path, *, running: GuessedSite | None = None) -> str:
    """The whole text of a commented celadon.toml that loads without a mistake. `running`: blue is what runs."""
    stack = guess_stack(directory)
    name = _guess_name(directory)
    if running is None:
        return _render(name, stack, ports=_guess_ports(), proxy=_UNKNOWN_PROXY, chosen=_CHOICES.format(name=name))
    if running.command:
        because = "how it runs now"
        steps = stack.dependency_steps
        stack = Stack(because=because, command=running.command, dependency_steps=steps, reuse=stack.reuse)
    green = next(port for port in _guess_ports() if port != running.port)
    return _render(
        name,
        stack,
        ports=(running.port, green),
        proxy=_render_proxy(running),
        chosen=_render_chosen(running, name),
        user=running.user,
    )


def guess_stack(directory: Path) -> Stack:
    """By the first file that is telling: a Procfile's web line, then the language's own."""
    procfile = _read(directory / "Procfile")
    web = re.search(r"^web:\s*(.+)$", procfile, re.MULTILINE)
    base = _guess_language(directory)
    if web:
        command = web.group(1).strip()
        return Stack(because="Procfile", command=command, dependency_steps=base.dependency_steps, reuse=base.reuse)
    return base


def _guess_language(directory: Path) -> Stack:
    if (directory / "requirements.txt").exists():
        return _guess_python(directory)
    if (directory / "package.json").exists():
        return Stack(
            because="package.json",
            command="npm start",
            dependency_steps=("npm ci --omit=dev",),
            reuse='{ node_modules = "package-lock.json" }' if (directory / "package-lock.json").exists() else "",
        )
    if (directory / "Gemfile.lock").exists():
        return Stack(
            because="Gemfile.lock",
            command="bundle exec puma -b tcp://127.0.0.1:$PORT",
            dependency_steps=("bundle install --deployment",),
            reuse='{ "vendor/bundle" = "Gemfile.lock" }',
        )
    if (directory / "go.mod").exists():
        return Stack(because="go.mod", command="./app", dependency_steps=("go build -o app .",))
    return _UNKNOWN


def _guess_python(directory: Path) -> Stack:
    needs = _read(directory / "requirements.txt").lower()
    reuse = '{ venv = "requirements.txt" }'
    settings = next(iter(sorted(directory.glob("*/wsgi.py"))), None)
    if (directory / "manage.py").exists() and settings is not None:
        command = f"venv/bin/gunicorn --bind 127.0.0.1:$PORT {settings.parent.name}.wsgi"
        return Stack(because="manage.py", command=command, dependency_steps=_PIP, reuse=reuse)
    if "fastapi" in needs or "uvicorn" in needs:
        command = "venv/bin/uvicorn --host 127.0.0.1 --port $PORT main:app"
        return Stack(because="requirements.txt (uvicorn)", command=command, dependency_steps=_PIP, reuse=reuse)
    command = "venv/bin/gunicorn --bind 127.0.0.1:$PORT app:app"
    return Stack(because="requirements.txt", command=command, dependency_steps=_PIP, reuse=reuse)


def _guess_name(directory: Path) -> str:
    name = re.sub(r"[^a-z0-9]+", "-", directory.name.lower()).strip("-")
    name = re.sub(r"^[^a-z]+", "", name)[:32].rstrip("-")
    return name or "app"


def _guess_ports() -> tuple[int, int]:
    """8101 and 8102, unless this machine gives those to outgoing connections."""
    low, high = read_ephemeral_range()
    return (
        (8101, 8102) if not (low <= 8101 <= high or low <= 8102 <= high) else (max(low - 20, 1024), max(low - 19, 1025))
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


_UNKNOWN_PROXY = """\
type = "nginx"
site = "http://localhost"     # your site's public URL"""
_CHOICES = """\
# runner = "systemd"          # real units, restarted when they crash and started at boot; needs root
# env_file = "/etc/{name}.env\""""


def _render_proxy(running: GuessedSite) -> str:
    named = {"type": running.proxy.value, "site": running.site, "listen": running.listen}
    own = PROXY_DEFAULTS[running.proxy]
    named |= {"config": running.config} if running.config != own["config"] else {}
    if running.binary != own["binary"]:
        named["binary"] = running.binary
    if running.directory:
        named["directory"] = running.directory
    elif running.config != own["config"]:
        named["directory"] = str(Path(running.config).parent / "celadon")
    return "\n".join(f"{key} = {_quote(value)}" for key, value in named.items())


def _render_chosen(running: GuessedSite, name: str) -> str:
    return 'runner = "systemd"' if running.systemd else _CHOICES.format(name=name)


def _render(name: str, stack: Stack, *, ports: tuple[int, int], proxy: str, chosen: str, user: str = "") -> str:
    steps = ", ".join(map(_quote, stack.dependency_steps))
    reuse = f"reuse = {stack.reuse}" if stack.reuse else '# reuse = { venv = "requirements.txt" }'
    return f"""\
# How celadon deploys {name}. `celadon config` prints everything in force; docs/reference/settings.md has all of it.

app = "{name}"
{f"user = {_quote(user)}" if user else f'# user = "{name}"'}            # the system user that build, app and hooks run as
# shared = ["media"]          # paths that outlive releases

[build]
dependency_steps = [{steps}]
{reuse}
steps = []

[web]
# Guessed from {stack.because}. The app must listen on 127.0.0.1:$PORT.
command = {_quote(stack.command)}
ports = [{ports[0]}, {ports[1]}]      # blue's and green's; outside ip_local_port_range
{chosen}

[readiness]
# Should check what the app needs (its database), not answer a static 200.
path = "/"
status = [200]

[proxy]
{proxy}

[observe]
window = "60s"
max_error_rate = "1%"
min_requests = 20

[drain]
timeout = "30s"

# What a visitor does: must pass on the new release before it gets any traffic. docs/how-to/journeys.md
# [[journeys]]
# name = "home"
# [[journeys.steps]]
# path = "/"
# expect = {{ status = [200], body_contains = ["Welcome"], max_latency = "1s" }}
"""
