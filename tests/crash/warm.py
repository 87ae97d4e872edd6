"""`python -m tests.crash.warm`: operations in processes that need no interpreter of their own to be started.

As `celadon` does it: it forks, when all is imported. A line of JSON in: orders, and the environment of the one who
asks. A line out: the children's pids. They wait at one gate while a tracer attaches, and begin in the same instant,
when a second line came in. A line out: their exit codes as subprocess has them.
"""

import json
import os
import sys
from pathlib import Path

from celadon.cli.operate import main


def serve() -> None:
    while line := sys.stdin.readline():
        asked = json.loads(line)
        gate_read, gate_write = os.pipe()
        pids = [fork(Path(order), asked["environment"], gate=(gate_read, gate_write)) for order in asked["orders"]]
        os.close(gate_read)
        say(pids)
        sys.stdin.readline()
        os.close(gate_write)
        say([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids])


def fork(order: Path, environment: dict[str, str], *, gate: tuple[int, int]) -> int:
    pid = os.fork()
    if not pid:
        gate_read, gate_write = gate
        os.close(gate_write)
        become(environment)
        os.read(gate_read, 1)
        os.close(gate_read)
        os._exit(main(order))
    return pid


def become(environment: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(nothing, standard)
    os.close(nothing)


def say(numbers: list[int]) -> None:
    sys.stdout.write(f"{json.dumps(numbers)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    serve()
