"""`python -m celadon.cli.keep ROOT APP`: what watches a slot that lives on for its streams. Not a verb."""

import sys
from pathlib import Path

from celadon.app.watching import keep
from celadon.host.layout import Layout
from celadon.model.names import parse_app_name


def main(root: Path, app: str) -> int:
    keep(Layout(root, parse_app_name(app)))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
