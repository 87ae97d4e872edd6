"""Caddy's own command line: what it says of a configuration, and having it loaded."""

from pathlib import Path

import msgspec
from msgspec import Struct

from celadon.host.commands import Completed, run_command
from celadon.model.settings import ProxySettings

_TIMEOUT_S = 30.0


def is_json(config: Path) -> bool:
    return config.suffix == ".json"


def validate(proxy: ProxySettings, config: Path) -> Completed:
    return run_command([proxy.binary, "validate", *_name(config)], timeout_s=_TIMEOUT_S)


def adapt(binary: str, config: Path) -> Completed:
    """The configuration as JSON on standard output."""
    if is_json(config):
        return _read(config)
    return run_command([binary, "adapt", *_name(config)], timeout_s=_TIMEOUT_S)


def reload_by_command(proxy: ProxySettings) -> Completed:
    address = ["--address", proxy.admin] if proxy.admin is not None else []
    return run_command([proxy.binary, "reload", *_name(Path(proxy.config)), "--force", *address], timeout_s=_TIMEOUT_S)


def _name(config: Path) -> list[str]:
    return ["--config", str(config), *([] if is_json(config) else ["--adapter", "caddyfile"])]


def _read(config: Path) -> Completed:
    try:
        return Completed(argv=(), exit_code=0, stdout=config.read_text(), stderr="")
    except OSError as error:
        return Completed(argv=(), exit_code=1, stdout="", stderr=f"{config}: {error.strerror}")


def last_words(done: Completed) -> str:
    """Caddy's own: 2.11 logs the error as a JSON line, earlier ones end with `Error: …`."""
    lines = [line for line in done.output.splitlines() if line.strip()]
    told = [error.msg for line in lines if (error := _parse_error(line)) is not None]
    told += [line.removeprefix("Error: ") for line in lines if line.startswith("Error:")]
    return (told or lines or [f"exit code {done.exit_code}"])[-1].strip()


class _Logged(Struct, frozen=True):
    level: str
    msg: str


def _parse_error(line: str) -> _Logged | None:
    try:
        found = msgspec.json.decode(line, type=_Logged)
    except msgspec.DecodeError:
        return None
    return found if found.level == "error" else None
