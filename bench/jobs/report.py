"""Fifty deploys in a row under load, with releases that are sick, workers that die and rollbacks among them: what was
lost, what was done twice, and what is left behind."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.e2e.servers import SERVERS, Server, Settings
from tests.e2e.site import Done

from bench.jobs import worker
from bench.jobs.queue import JobQueue
from bench.tables import render_table

_SETTLED_AFTER = 6
"""Deploys until as many releases are kept as will be."""
_REJECTED, _TAKEN_BACK = 10, 11


HANDOVERS = ("overlap", "exclusive", "after-bless")
_WORKER = """
[processes.{name}]
run = "{{python}} -S -E worker.py {name}"
handover = "{name}"
quiet_signal = "SIGUSR1"
grace = "20s"
"""


def run(*, deploys: int, only: str) -> Iterator[str]:
    """Two tables for each runner, when they are there."""
    if shutil.which("redis-server") is None:
        raise SystemExit("bench: the jobs are kept in Redis: apt-get install redis-server")
    settings = Settings(
        files={"worker.py": Path(worker.__file__).read_text()},
        extra="".join(_WORKER.format(name=name) for name in HANDOVERS),
    )
    for runner, opened in SERVERS.items():
        if only in runner:
            with tempfile.TemporaryDirectory() as base, opened(Path(base), settings) as server:
                yield from _run_one(runner, server, deploys=deploys)


def _run_one(runner: str, server: Server, *, deploys: int) -> Iterator[str]:
    for number in range(_SETTLED_AFTER):
        _expect(server.deploy(f"s{number}"), 0)
    with JobQueue(server.data / "redis.sock", HANDOVERS) as queue:
        before = server.count_what_is_there()
        server.start_load()
        rollbacks_count = _deploy_in_turns(server, deploys)
        served = server.stop_load()
        queue.end()
        queue.settle()
        after = server.count_what_is_there()
        counted = [(name, queue.count(name)) for name in HANDOVERS]
    jobs = [(name, found.put_count, found.lost_count, found.doubled_count) for name, found in counted]
    went = f"{deploys} deploys, {rollbacks_count} rollbacks"
    told = f"{runner}: {went}, {served.requests_count} requests, {served.failed_count} failed"
    yield render_table(told, ("handover", "jobs", "lost", "done twice"), jobs)
    rows = [(name, before[name], after[name], "same" if before[name] == after[name] else "CHANGED") for name in before]
    yield render_table(f"{runner}: what is there", ("what", "before", "after", ""), rows)


def _deploy_in_turns(server: Server, count: int) -> int:
    """Of each ten one is not ready, one has workers that end in the window, and one is taken back afterwards."""
    rollbacks_count = 0
    for number in range(count):
        match number % 10:
            case 3:
                _expect(server.deploy(f"v{number}", broken="health"), _REJECTED)
            case 6:
                _expect(server.deploy(f"broken-v{number}"), _TAKEN_BACK)
            case 8:
                _expect(server.deploy(f"v{number}"), 0)
                _expect(server.celadon("rollback"), 0)
                rollbacks_count += 1
            case _:
                _expect(server.deploy(f"v{number}"), 0)
    return rollbacks_count


def _expect(done: Done, code: int) -> None:
    if done.code != code:
        raise RuntimeError(f"exit code {done.code}, not {code}: {done.output}")
