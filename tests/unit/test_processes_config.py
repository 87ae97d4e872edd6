"""`[processes.NAME]` of celadon.toml."""

import json
import tomllib
from pathlib import Path

import jsonschema
import pytest

from celadon.config.schema import render_schema
from celadon.config.show import render_in_force
from celadon.model.processes import Handover, ReleaseCommand, WorkerSettings
from tests.unit.test_config import GOOD, load, mistakes

RELEASE = GOOD + '[processes.release]\nrun = "./migrate --all"\ntimeout = "90s"\n'


def test_a_release_command_is_read(tmp_path: Path) -> None:
    """Ten minutes, where nothing is said."""
    assert load(tmp_path, RELEASE).settings.release == ReleaseCommand(command="./migrate --all", timeout_s=90.0)
    assert load(tmp_path, RELEASE.replace('timeout = "90s"', "")).settings.release == ReleaseCommand(
        command="./migrate --all", timeout_s=600.0
    )
    assert load(tmp_path, GOOD).settings.release is None


WORKER = (
    RELEASE
    + """
[processes.mail]
run = "celery worker"
handover = "exclusive"
quiet_signal = "SIGTSTP"
stop_signal = "SIGINT"
grace = "90s"
idle = "./idle"
replicas = 2
[processes.cron-1]
run = "./cron"
"""
)


def test_workers_are_read(tmp_path: Path) -> None:
    """They overlap, where nothing is said; each replica is a process of its own."""
    mail, cron = load(tmp_path, WORKER).settings.workers
    assert mail == WorkerSettings(
        name="mail",
        command="celery worker",
        handover=Handover.EXCLUSIVE,
        quiet_signal="SIGTSTP",
        stop_signal="SIGINT",
        grace_s=90.0,
        idle="./idle",
        replicas_count=2,
    )
    assert cron == WorkerSettings(name="cron-1", command="./cron", handover=Handover.OVERLAP, grace_s=30.0)
    assert (mail.processes, cron.processes) == (("mail.1", "mail.2"), ("cron-1",))


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
        (
            '[processes.mail]\nrun = "m"\nhandover = "never"',
            "`processes.mail.handover` is 'never'; expected one of",
        ),
        (
            '[processes.mail]\nrun = "m"\nstop_signal = "SIGKILL"',
            "`processes.mail.stop_signal` is 'SIGKILL'; expected",
        ),
        ('[processes.mail]\nrun = "m"\nreplicas = 0', "`processes.mail.replicas` is 0, outside 1 to 100"),
        ('[processes.Mail]\nrun = "m"', "`processes.Mail` is no name for a process"),
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
    loaded = load(tmp_path, WORKER)
    shown = render_in_force(loaded)
    assert load(tmp_path, f"{GOOD}{_line_of(shown)}\n").settings == loaded.settings
    jsonschema.validate(tomllib.loads(WORKER), render_schema())


def _line_of(shown: str) -> str:
    """`processes` of the top level, as inline tables, as tables: TOML has no way to add to one."""
    [value] = [line.partition(" = ")[2] for line in shown.splitlines() if line.startswith("processes = ")]
    tables = tomllib.loads(f"x = {value}")["x"]
    return "\n".join(
        f"[processes.{name}]\n" + "\n".join(f"{key} = {json.dumps(value)}" for key, value in table.items())
        for name, table in tables.items()
    )
