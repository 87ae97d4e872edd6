"""`./run bench [switching|commands] [--quick]`: measure here, print tables. Needs root for nginx's `user`."""

import argparse
import sys

from bench import commands, switching


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="./run bench")
    parser.add_argument("part", nargs="?", choices=["switching", "commands"])
    parser.add_argument("--quick", action="store_true", help="a tenth of the runs: shows the shape, not the figures")
    options = parser.parse_args(words)
    scale = 0.1 if options.quick else 1.0
    if options.part in {None, "switching"}:
        sys.stdout.write(switching.run(switches=int(200 * scale)) + "\n")
    if options.part in {None, "commands"}:
        sys.stdout.write(commands.run(rollbacks=int(20 * scale), deploys=int(50 * scale)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
