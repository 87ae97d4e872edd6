"""`./run bench [PART] [--quick]`: measure here, print tables. Needs root for the `user` of nginx. obs1 measures no
machine but the rule of the window, and only when it is asked for: an hour or two (`--full`: days)."""

import argparse
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from bench import commands, containers, draining
from bench.jobs import report as jobs
from bench.obs1 import report as obs1
from bench.obs1.variants import JUDGES
from bench.proxies import report
from bench.reaction import report as reaction
from bench.reading import report as reading


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="./run bench")
    parser.add_argument("part", nargs="?", choices=[*PARTS])
    parser.add_argument("--quick", action="store_true", help="a tenth of the runs: shows the shape, not the figures")
    parser.add_argument(
        "--measure", action="append", choices=[*report.MEASURES], help="of proxies: this one; repeatable"
    )
    parser.add_argument(
        "--only",
        default="",
        metavar="NAME",
        help="of proxies, reading, reaction, jobs, obs1's cells: those whose name has it",
    )
    parser.add_argument("--write", type=Path, metavar="PAGE", help="of proxies: put the tables into this page too")
    parser.add_argument("--full", action="store_true", help=f"of obs1: {obs1.FULL_RUNS} windows of each cell")
    parser.add_argument("--runs", type=int, default=200, help="of obs1: windows of each cell, fewer of busy ones")
    parser.add_argument("--lines", action="store_true", help="of obs1: each request is a line of nginx's log, parsed")
    parser.add_argument("--rule", choices=[*JUDGES], default="product", help="of obs1: another way to ask the control")
    parser.add_argument("--jobs", type=int, help="of obs1: processes; as many as there are cores")
    options = parser.parse_args(words)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that what was started is ended
    for part in [options.part] if options.part else ALL:
        for table in PARTS[part](options):
            print(table, flush=True)
    return 0


def run_proxies(options: argparse.Namespace) -> Iterator[str]:
    report.run(quick=options.quick, measures=options.measure or (), only=options.only, page=options.write)
    yield ""


def scale(options: argparse.Namespace, count: int) -> int:
    return count // 10 if options.quick else count


PARTS: Mapping[str, Callable[[argparse.Namespace], Iterable[str]]] = {
    "commands": lambda of: [commands.run(rollbacks=scale(of, 20), deploys=scale(of, 50))],
    "proxies": run_proxies,
    "reading": lambda of: [reading.run(quick=of.quick, only=of.only)],
    "reaction": lambda of: [reaction.run(quick=of.quick, only=of.only)],
    "drain": lambda of: [draining.run(duration_s=scale(of, 30)).text()],
    "containers": lambda of: containers.run(starts=scale(of, 20)),
    "jobs": lambda of: jobs.run(deploys=scale(of, 50), only=of.only),
    "obs1": lambda of: [obs1.run(pick_obs1(of))],
}
ALL = [part for part in PARTS if part != "obs1"]


def pick_obs1(options: argparse.Namespace) -> obs1.Options:
    return obs1.Options(
        runs_count=0 if options.full else 20 if options.quick else options.runs,
        lines=options.lines,
        judge=options.rule,
        only=options.only,
        jobs=options.jobs,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
