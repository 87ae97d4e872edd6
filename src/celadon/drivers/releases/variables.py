"""The variables of a release, from all their sources. A value may be secret: no message has one.

    web.env               plain values of celadon.toml
    web.env_file          a file of lines
    secrets.credentials   systemd's, by name: those of our own unit, else of its stores, decrypted if need be
    secrets.command       what a command prints: lines, or one JSON object

None is before another: who gives a name twice has made a mistake, which would else be found in production.
"""

import os
import pwd
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec

from celadon.host.environment import base_variables, decode_env, render_env
from celadon.host.shell import Said, read_output
from celadon.model.errors import StepError
from celadon.model.settings import Settings

CREDENTIAL_STORES = (Path("/etc/credstore"), Path("/run/credstore"), Path("/usr/lib/credstore"))
"""Where systemd looks for one that a unit names without a path; beside each is a store `.encrypted`."""
_DECRYPT_TIMEOUT_S = 30.0
_Read = TypeVar("_Read")


def gather_variables(settings: Settings, *, stores: Sequence[Path] = CREDENTIAL_STORES) -> dict[str, str]:
    """Raises StepError (`env_unreadable`, `env_twice`, `secrets_failed`, `credential_missing`)."""
    found: dict[str, str] = {}
    given_by: dict[str, str] = {}
    for origin, variables in _read_sources(settings, stores):
        for name in variables:
            if name in given_by:
                text = f"{name} is given twice, by {given_by[name]} and by {origin}"
                raise StepError(text, code="env_twice", next_command="celadon config")
            given_by[name] = origin
        found |= variables
        _check(origin, partial(render_env, variables))
    return found


def owners_variables(owner: str | None) -> dict[str, str]:
    """Of a command of the user's, run as `owner`."""
    return base_variables(pwd.getpwnam(owner).pw_dir if owner is not None else os.environ.get("HOME", "/"))


def _read_sources(settings: Settings, stores: Sequence[Path]) -> Sequence[tuple[str, Mapping[str, str]]]:
    """With where each is from, in words. The command comes last: it may take its time."""
    found: list[tuple[str, Mapping[str, str]]] = [("web.env", settings.web.env)]
    if (path := settings.web.env_file) is not None:
        origin = f"web.env_file ({path})"
        found.append((origin, _check(origin, lambda: decode_env(Path(path).read_bytes()))))
    if credentials := settings.secrets.credentials:
        read = {name: _read_credential(credential, stores) for name, credential in credentials.items()}
        found.append(("secrets.credentials", read))
    if (command := settings.secrets.command) is not None:
        found.append(("secrets.command", _run(command, settings)))
    return found


def _check(origin: str, read: Callable[[], _Read]) -> _Read:
    try:
        return read()
    except (OSError, ValueError) as error:
        raise StepError(f"{origin}: {error}", code="env_unreadable", next_command="celadon config") from error


def _run(command: str, settings: Settings) -> Mapping[str, str]:
    said = _read_output(
        ["/bin/sh", "-c", command],
        origin="secrets.command",
        cwd=Path(settings.source.path),
        user=settings.user,
        timeout_s=settings.secrets.timeout_s,
    )
    if said.exit_code != 0:
        raise _failed("secrets.command", said)
    return _check("secrets.command", lambda: _parse_output(said.output))


def _read_output(argv: Sequence[str], *, origin: str, cwd: Path, user: str | None, timeout_s: float) -> Said:
    try:
        return read_output(argv, cwd=cwd, env=owners_variables(user), user=user, timeout_s=timeout_s)
    except (OSError, KeyError) as error:
        raise StepError(f"{origin}: {error}", code="secrets_failed", next_command="celadon config") from error


def _failed(origin: str, said: Said) -> StepError:
    last = f": {said.last_line}" if said.last_line else ""
    return StepError(
        f"{origin} exited with {said.exit_code}{last}", code="secrets_failed", next_command="celadon config"
    )


def _parse_output(output: bytes) -> Mapping[str, str]:
    """JSON says exactly where a value ends and what in it is a line break; not every lister of secrets does."""
    if not output.lstrip().startswith(b"{"):
        return decode_env(output)
    try:
        found = msgspec.json.decode(output, type=dict[str, str | bool | int | float | None])
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ValueError("it printed no JSON object of plain values") from None
    return {name: value if isinstance(value, str) else _show(value) for name, value in found.items()}


def _show(value: object) -> str:
    """A number or a truth as the JSON has it; null is empty."""
    return "" if value is None else msgspec.json.encode(value).decode()


def _read_credential(name: str, stores: Sequence[Path]) -> str:
    """Without the line break that it may end with."""
    content = _find_credential(name, stores)
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = f"credential {name}: it is not UTF-8"
        raise StepError(text, code="env_unreadable", next_command="celadon config") from None
    return text.removesuffix("\n")


def _find_credential(name: str, stores: Sequence[Path]) -> bytes:
    given = os.environ.get("CREDENTIALS_DIRECTORY")
    for plain in ([Path(given)] if given else []) + list(stores):
        try:
            return (plain / name).read_bytes()
        except FileNotFoundError:
            pass
        except OSError as error:
            text = f"credential {name}: {error}"
            raise StepError(text, code="env_unreadable", next_command="celadon config") from error
        encrypted = plain.with_name(f"{plain.name}.encrypted") / name
        if encrypted.exists():
            return _decrypt(name, encrypted)
    looked = ", ".join(map(str, stores))
    raise StepError(
        f"there is no credential {name} in {looked}, encrypted or not",
        code="credential_missing",
        next_command=f"systemd-creds encrypt --name={name} - /etc/credstore.encrypted/{name}",
    )


def _decrypt(name: str, path: Path) -> bytes:
    argv = ["systemd-creds", "decrypt", f"--name={name}", str(path), "-"]
    origin = f"systemd-creds decrypt {path}"
    said = _read_output(argv, origin=origin, cwd=Path("/"), user=None, timeout_s=_DECRYPT_TIMEOUT_S)
    if said.exit_code != 0:
        raise _failed(origin, said)
    return said.output
