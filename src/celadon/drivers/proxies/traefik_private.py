"""Rendered routes, tried on a private Traefik before any file is in place: Traefik checks nothing that it is given.

It is asked at install and not at each switch, since it costs 0.3 s and a switch changes no text: what a switch puts
in force is what was tried here, and its seal says that nobody changed it since.

The private one has the user's whole directory and the names of the user's entry points, on ports of its own; no
certificate resolver (nothing is ordered from an authority), no plugin and no other provider. So an error that names
one of those is no error of ours.
"""

import json
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from msgspec import Struct

from celadon.drivers.proxies.headers import SLOT_HEADER
from celadon.drivers.proxies.look import wait_until

_START_S = 30.0
_TAKE_S = 15.0
_ASK_S = 2.0
_FOREIGN = re.compile(r"@(?!file\b)[a-z]+|unknown plugin type|plugin|certificate resolver|does not exist: tls options")
_REFUSED = ("Cannot start the provider", "Error occurred during watcher callback")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class Trial(Struct, frozen=True, kw_only=True):
    """`texts` are the app's routes by name, each to stand at `path` in `directory`. `prefix` begins the names of all
    that is ours. `routers` are the user's that lead to it. `answers`: the header value of the answer to a look, by
    route."""

    binary: str
    directory: Path
    path: Path
    texts: Mapping[str, str]
    answers: Mapping[str, str]
    prefix: str
    routers: frozenset[str]
    entry_points: Sequence[str]
    edits: Mapping[Path, str]


def try_routes(trial: Trial) -> str:
    """Why one of them cannot be served, in Traefik's words; empty when all can."""
    with tempfile.TemporaryDirectory(prefix="celadon-") as scratch:
        base = Path(scratch)
        try:
            place = _copy(trial, base)
            with _running(trial, base, place) as ask:
                return next((why for why in _try_each(trial, place, ask, base) if why), "")
        except OSError as error:
            return f"a private Traefik could not be run: {error}"


def _copy(trial: Trial, base: Path) -> Path:
    """The user's directory, links read through; what was edited as it is to be. The path of ours in the copy."""
    copied = base / "dynamic"
    shutil.copytree(
        trial.directory, copied, ignore_dangling_symlinks=True
    ) if trial.directory.is_dir() else copied.mkdir()
    for path, text in trial.edits.items():
        if path.is_relative_to(trial.directory):
            (copied / path.relative_to(trial.directory)).write_text(text)
    place = copied / trial.path.name
    place.write_text(next(iter(trial.texts.values())))
    return place


class _Asking:
    def __init__(self, port: int) -> None:
        self._root = f"http://127.0.0.1:{port}/api/http"
        self._opener = build_opener(ProxyHandler({}))

    def __call__(self, kind: str) -> list[dict[str, Any]]:
        """All of a kind; none while it does not answer."""
        try:
            with self._opener.open(f"{self._root}/{kind}?per_page=1000", timeout=_ASK_S) as answer:
                found: list[dict[str, Any]] = json.load(answer)
                return found
        except (URLError, OSError, ValueError):
            return []


@contextmanager
def _running(trial: Trial, base: Path, place: Path) -> Iterator[_Asking]:
    port = _free_port()
    main = base / "static.json.yml"
    main.write_text(json.dumps(_render_static(trial, base, place, port=port)))
    argv = [trial.binary, f"--configFile={main}"]
    with (base / "output").open("wb") as output:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env={}, cwd=base)
    try:
        yield _Asking(port)
    finally:
        process.kill()  # it has nothing to lose, and ends gracefully in a second only
        process.wait()


def _render_static(trial: Trial, base: Path, place: Path, *, port: int) -> dict[str, Any]:
    own = {"address": f"127.0.0.1:{port}"}
    names = [name for name in trial.entry_points if name != "traefik"]
    return {
        "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
        "entryPoints": {**{name: {"address": "127.0.0.1:0"} for name in names}, "traefik": own},
        "api": {"insecure": True, "dashboard": False},
        "log": {"level": "ERROR", "filePath": str(base / "log")},
        "providers": {"providersThrottleDuration": "10ms", "file": {"directory": str(place.parent), "watch": True}},
    }


def _try_each(trial: Trial, place: Path, ask: _Asking, base: Path) -> Iterator[str]:
    timeout_s = _START_S
    for route, text in trial.texts.items():
        staged = place.with_name(f".{place.name}.partial")
        staged.write_text(text)
        staged.rename(place)
        began_s = time.monotonic()
        if not _await_taken(trial, route, ask, base, timeout_s=timeout_s):
            yield f"a private Traefik did not take it: {_last_words(base)}"
            return
        yield _find_fault(trial, ask)
        timeout_s = max(_TAKE_S, time.monotonic() - began_s)


def _await_taken(trial: Trial, route: str, ask: _Asking, base: Path, *, timeout_s: float) -> bool:
    """Not to the end where Traefik has said that it cannot read the directory."""

    def decided() -> bool:
        return _is_taken(trial, route, ask) or any(words in _last_words(base) for words in _REFUSED)

    return wait_until(decided, timeout_s=timeout_s, pause_s=0.01) and _is_taken(trial, route, ask)


def _is_taken(trial: Trial, route: str, ask: _Asking) -> bool:
    """The answer to looks names the route, so this text is the one in force."""
    wanted = trial.answers[route]
    return any(
        found.get("headers", {}).get("customResponseHeaders", {}).get(SLOT_HEADER) == wanted
        for found in ask("middlewares")
        if str(found.get("name", "")).startswith(trial.prefix)
    )


def _find_fault(trial: Trial, ask: _Asking) -> str:
    for kind in ("services", "middlewares", "routers"):
        for found in ask(kind):
            name = str(found.get("name", ""))
            errors = [str(error) for error in found.get("error") or () if not _FOREIGN.search(str(error))]
            watched = name.startswith(trial.prefix) or (
                kind == "routers" and name.removesuffix("@file") in trial.routers
            )
            if watched and errors:
                return f"{kind.removesuffix('s')} {name}: {errors[0]}"
    return ""


def _last_words(base: Path) -> str:
    lines: list[str] = []
    for name in ("output", "log"):
        path = base / name
        if path.exists():
            lines += [_COLOUR.sub("", line) for line in path.read_text(errors="replace").splitlines() if line.strip()]
    return (lines or ["it said nothing"])[-1].replace(f"{base}/dynamic/", "")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
