"""`[processes.NAME]` of celadon.toml."""

import json
import tomllib
from pathlib import Path

import jsonschema
import pytest

from celadon.config.schema import render_schema
from celadon.config.show import render_in_force
from celadon.model.processes import Handover, ReleaseCommand, WorkerSettings
from celadon.model.settings import Settings
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
heartbeat_file = "tmp/{process}.beat"
heartbeat_max_age = "1m"
queue_depth = "./depth"
max_queue_depth = 500
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
        heartbeat_file="tmp/{process}.beat",
        heartbeat_max_age_s=60.0,
        queue_depth="./depth",
        max_queue_depth=500,
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
        ('[processes.mail]\nrun = "m"\nqueue_depth = "q"', "`processes.mail.queue_depth` needs the other one of"),
        (
            '[processes.mail]\nrun = "m"\nheartbeat_file = "a"\nheartbeat_command = "b"',
            "`processes.mail.heartbeat_command` and `heartbeat_file` exclude each other",
        ),
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


PROCFILE = """\
# as foreman has it
web: bin/serve --port $PORT
release: ./migrate
worker: bin/work -c 4

mail-low: bin/work -q low
"""
LEAST = GOOD.replace('command = "./serve"\n', "")


def load_beside(tmp_path: Path, procfile: str, text: str) -> Settings:
    (tmp_path / "Procfile").write_text(procfile)
    return load(tmp_path, text).settings


def test_a_procfile_says_what_the_configuration_does_not(tmp_path: Path) -> None:
    """Web, release and workers, which overlap; a release belongs to the text that it was made with."""
    settings = load_beside(tmp_path, PROCFILE, f'procfile = "Procfile"\n{LEAST}')
    assert (settings.web.command, settings.release) == ("bin/serve --port $PORT", ReleaseCommand(command="./migrate"))
    assert [(worker.name, worker.command, worker.handover) for worker in settings.workers] == [
        ("worker", "bin/work -c 4", Handover.OVERLAP),
        ("mail-low", "bin/work -q low", Handover.OVERLAP),
    ]


def test_what_the_configuration_says_goes_before_the_procfile(tmp_path: Path) -> None:
    """Each command by itself; the Procfile cannot say how a worker hands over."""
    text = (
        f'procfile = "Procfile"\n{GOOD}[processes.worker]\nhandover = "exclusive"\n[processes.release]\nrun = "own"\n'
    )
    settings = load_beside(tmp_path, PROCFILE, text)
    assert (settings.web.command, settings.release) == ("./serve", ReleaseCommand(command="own"))
    assert (settings.workers[0].command, settings.workers[0].handover) == ("bin/work -c 4", Handover.EXCLUSIVE)


def test_a_procfile_is_not_taken_unasked(tmp_path: Path) -> None:
    """Its workers may be run by something else already; where its web line is wanted, the message says how."""
    assert load_beside(tmp_path, PROCFILE, GOOD).workers == ()
    [(_, what)] = mistakes(tmp_path, LEAST)
    assert what.endswith('or `procfile = "Procfile"`, since one is there')


@pytest.mark.parametrize(
    ("procfile", "what"),
    [
        ("web bin/serve\n", "'web bin/serve' is no process; expected `name: command`"),
        ("a: x\nworker_low: x\n", "'worker_low' is no name for a process; expected one matching"),
        ("a: x\na: y\n", "'a' stands there twice"),
    ],
)
def test_a_mistake_in_a_procfile_is_told_at_its_line(tmp_path: Path, procfile: str, what: str) -> None:
    """Of that file."""
    (tmp_path / "Procfile").write_text(procfile)
    [(line, told)] = mistakes(tmp_path, f'procfile = "Procfile"\n{GOOD}')
    assert (line, told.startswith(what)) == (procfile.count("\n"), True), told


def test_a_procfile_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    """At the line that names it."""
    [(line, told)] = mistakes(tmp_path, f'procfile = "Procfile"\n{GOOD}')
    assert (line, told) == (1, "`procfile` is 'Procfile', a file that cannot be read: No such file or directory")


def test_a_schedule_is_read_and_says_what_it_excludes(tmp_path: Path) -> None:
    """A timer has one instant after the other and nothing that runs on; only systemd has timers."""
    systemd = GOOD.replace("[proxy]", 'runner = "systemd"\n[proxy]')
    timer = '[processes.nightly]\nrun = "./nightly"\nschedule = "Mon..Fri *-*-* 03:00:00"\n'
    [nightly] = load(tmp_path, systemd + timer).settings.workers
    assert nightly.schedule == "Mon..Fri *-*-* 03:00:00"
    assert [what for _, what in mistakes(tmp_path, GOOD + timer)] == [
        "`processes.nightly.schedule` needs the runner systemd; `web.runner` is process"
    ]
    assert [what for _, what in mistakes(tmp_path, f'{systemd}{timer}replicas = 2\nhandover = "exclusive"\n')] == [
        "`processes.nightly.replicas` and `schedule` exclude each other",
        "`processes.nightly.handover` and `schedule` exclude each other",
    ]
    assert mistakes(tmp_path, systemd + timer.replace("Mon..", "$(reboot)"))[0][1].startswith(
        "`processes.nightly.schedule` is '$(reboot)Fri"
    )
