"""`python -m celadon.cli.operate ORDER`: what a transient systemd unit runs. Not a verb."""

import sys
from pathlib import Path

from celadon.app.order import read_order
from celadon.app.spawn import run_here
from celadon.cli.exit_codes import exit_code_of


def main(path: Path) -> int:
    order = read_order(path)
    path.unlink()
    return exit_code_of(run_here(order), order.kind)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
