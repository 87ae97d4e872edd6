"""`python -m tests.crash.warm`: operations in processes that need no interpreter of their own to be started.

As `celadon` does it: it forks, when all is imported. A line of JSON in: an order, the environment of the one who asked,
whether to wait for a second line before it begins (a tracer attaches meanwhile). Lines out: the child's pid, its exit
code as subprocess has it.
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
        pid = os.fork()
        if not pid:
            os.close(gate_write)
            become(asked["environment"], gate=gate_read)
            os._exit(main(Path(asked["order"])))
        os.close(gate_read)
        say(pid)
        sys.stdin.readline()
        os.close(gate_write)
        _, status = os.waitpid(pid, 0)
        say(os.waitstatus_to_exitcode(status))


def become(environment: dict[str, str], *, gate: int) -> None:
    os.environ.clear()
    os.environ.update(environment)
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(nothing, standard)
    os.close(nothing)
    os.read(gate, 1)
    os.close(gate)


def say(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    serve()
