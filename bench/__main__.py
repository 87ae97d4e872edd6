"""`./run bench [commands|proxies|reading|reaction|drain|containers|obs1] [--quick]`: measure here, print tables. Needs
root for the `user` of nginx; obs1 measures no machine but the rule of the window, and only when it is asked for: an
hour or two (`--full`: days)."""

import argparse
import signal
import sys
from pathlib import Path

from bench import commands, containers, draining
from bench.obs1 import report as obs1
from bench.obs1.variants import JUDGES
from bench.proxies import report
from bench.reaction import report as reaction
from bench.reading import report as reading


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="./run bench")
    parts = ["commands", "proxies", "reading", "reaction", "drain", "containers", "obs1"]
    parser.add_argument("part", nargs="?", choices=parts)
    parser.add_argument("--quick", action="store_true", help="a tenth of the runs: shows the shape, not the figures")
    parser.add_argument(
        "--measure", action="append", choices=[*report.MEASURES], help="of proxies: this one; repeatable"
    )
    parser.add_argument(
        "--only",
        default="",
        metavar="NAME",
        help="of proxies, reading, reaction, obs1's cells: those whose name has it",
    )
    parser.add_argument("--write", type=Path, metavar="PAGE", help="of proxies: put the tables into this page too")
    parser.add_argument("--full", action="store_true", help=f"of obs1: {obs1.FULL_RUNS} windows of each cell")
    parser.add_argument("--runs", type=int, default=200, help="of obs1: windows of each cell, fewer of busy ones")
    parser.add_argument("--lines", action="store_true", help="of obs1: each request is a line of nginx's log, parsed")
    parser.add_argument("--rule", choices=[*JUDGES], default="product", help="of obs1: another way to ask the control")
    parser.add_argument("--jobs", type=int, help="of obs1: processes; as many as there are cores")
    options = parser.parse_args(words)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that what was started is ended
    scale = 0.1 if options.quick else 1.0
    if options.part in {None, "commands"}:
        sys.stdout.write(commands.run(rollbacks=int(20 * scale), deploys=int(50 * scale)) + "\n")
    if options.part in {None, "proxies"}:
        report.run(quick=options.quick, measures=options.measure or (), only=options.only, page=options.write)
    if options.part in {None, "reading"}:
        sys.stdout.write(reading.run(quick=options.quick, only=options.only) + "\n")
    if options.part in {None, "reaction"}:
        sys.stdout.write(reaction.run(quick=options.quick, only=options.only) + "\n")
    if options.part in {None, "drain"}:
        sys.stdout.write(draining.run(duration_s=30 * scale).text() + "\n")
    if options.part in {None, "containers"}:
        for table in containers.run(starts=int(20 * scale), deploys=int(50 * scale)):
            print(table, flush=True)
    if options.part == "obs1":
        sys.stdout.write(obs1.run(pick_obs1(options)) + "\n")
    return 0


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
