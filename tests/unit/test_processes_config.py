"""`[processes.NAME]` of celadon.toml."""

import json
import tomllib
from pathlib import Path

import jsonschema
import pytest

from celadon.config.schema import render_schema
from celadon.config.show import render_in_force
from celadon.model.processes import ReleaseCommand
from tests.unit.test_config import GOOD, load, mistakes

RELEASE = GOOD + '[processes.release]\nrun = "./migrate --all"\ntimeout = "90s"\n'


def test_a_release_command_is_read(tmp_path: Path) -> None:
    """Ten minutes, where nothing is said."""
    assert load(tmp_path, RELEASE).settings.release == ReleaseCommand(command="./migrate --all", timeout_s=90.0)
    assert load(tmp_path, RELEASE.replace('timeout = "90s"', "")).settings.release == ReleaseCommand(
        command="./migrate --all", timeout_s=600.0
    )
    assert load(tmp_path, GOOD).settings.release is None


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        ("[processes.release]", "`processes.release.run` is missing; expected a string without control characters"),
        ('[processes.release]\nrun = ""', "`processes.release.run` is an empty string; expected a string"),
        (
            '[processes.release]\nrun = "m"\ntimeout = 3',
            "`processes.release.timeout` is an integer (3); expected",
        ),
        ('[processes.release]\nrun = "m"\nafter = "x"', "`processes.release.after` is not a setting here"),
        ('[processes.web]\nrun = "m"', "`processes.web` stands in [web]: its command is `web.command`"),
        ("[processes]\nrelease = 3", "`processes.release` is not a table; expected [processes.release]"),
        ('processes = "Procfile"\n', "`processes` is not a table; expected [processes.NAME]"),
    ],
)
def test_a_mistake_is_told_at_its_place(tmp_path: Path, lines: str, what: str) -> None:
    """By the whole name of the key."""
    text = f"{lines}{GOOD}" if lines.startswith("processes =") else f"{GOOD}{lines}\n"
    [(_, told)] = mistakes(tmp_path, text)
    assert told.startswith(what)


def test_what_is_in_force_reads_back_as_the_same(tmp_path: Path) -> None:
    """By the reader and by the schema."""
    loaded = load(tmp_path, RELEASE)
    shown = render_in_force(loaded)
    assert load(tmp_path, f"{GOOD}{_line_of(shown)}\n").settings.release == loaded.settings.release
    jsonschema.validate(json.loads(json.dumps(tomllib.loads(RELEASE))), render_schema())


def _line_of(shown: str) -> str:
    """`processes` of the top level, as inline tables, as tables: TOML has no way to add to one."""
    [value] = [line.partition(" = ")[2] for line in shown.splitlines() if line.startswith("processes = ")]
    tables = tomllib.loads(f"x = {value}")["x"]
    return "\n".join(
        f"[processes.{name}]\n" + "\n".join(f"{key} = {json.dumps(value)}" for key, value in table.items())
        for name, table in tables.items()
    )
