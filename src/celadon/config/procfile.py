"""A Procfile, as Heroku and Foreman have it: `name: command`, one a line."""

import re
from pathlib import Path

from celadon.config.mistakes import ConfigErrors, Mistake
from celadon.config.processes import NAME

_LINE = re.compile(r"([^\s:#][^:]*?)\s*:\s*(\S.*)\Z")


def parse_procfile(path: Path, text: str) -> dict[str, str]:
    """Commands by name. Raises ConfigErrors, whose places are in this file. `path` is for those."""
    commands: dict[str, str] = {}
    mistakes: list[Mistake] = []
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        what = _judge_line(line, commands)
        if what:
            mistakes.append(Mistake(file=str(path), line=number, column=1, key="", what=what))
    if mistakes:
        raise ConfigErrors(tuple(mistakes))
    return commands


def _judge_line(line: str, commands: dict[str, str]) -> str:
    """What is wrong with it; empty where its command was taken."""
    match = _LINE.match(line)
    if match is None:
        return f"{line!r:.60} is no process; expected `name: command`"
    name, command = match.groups()
    if not NAME.match(name):
        return f"{name!r} is no name for a process; expected one matching ^[a-z][a-z0-9-]{{0,31}}$"
    if not command.isprintable():
        return f"the command of {name} holds a control character"
    if name in commands:
        return f"{name!r} stands there twice"
    commands[name] = command
    return ""
