"""`./run bench [switching|commands|proxies] [--quick]`: measure here, print tables. Needs root for nginx's `user`."""

import argparse
import signal
import sys
from pathlib import Path

from bench import commands, switching
from bench.proxies import report


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="./run bench")
    parser.add_argument("part", nargs="?", choices=["switching", "commands", "proxies"])
    parser.add_argument("--quick", action="store_true", help="a tenth of the runs: shows the shape, not the figures")
    parser.add_argument(
        "--measure", action="append", choices=[*report.MEASURES], help="of proxies: this one; repeatable"
    )
    parser.add_argument("--only", default="", metavar="NAME", help="of proxies: those whose name has it")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="of proxies: put the tables into this page too")
    options = parser.parse_args(words)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that what was started is ended
    scale = 0.1 if options.quick else 1.0
    if options.part in {None, "switching"}:
        sys.stdout.write(switching.run(switches=int(200 * scale)) + "\n")
    if options.part in {None, "commands"}:
        sys.stdout.write(commands.run(rollbacks=int(20 * scale), deploys=int(50 * scale)) + "\n")
    if options.part in {None, "proxies"}:
        report.run(quick=options.quick, measures=options.measure or (), only=options.only, page=options.write)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
