"""The sites of an nginx: read from its files, after nginx itself has said that it takes them."""

import re
from collections.abc import Sequence
from pathlib import Path

from celadon.contracts.adoption import FoundSite
from celadon.drivers.proxies.nginx_config import Config, read_config
from celadon.drivers.proxies.nginx_place import describe_place, find_places
from celadon.drivers.proxies.nginx_stage import CHECK_TIMEOUT_S, judge_live
from celadon.host.commands import run_command
from celadon.model.errors import StepError

_READ = re.compile(r"^# configuration file (.*):$", re.MULTILINE)


class NginxSites:
    """Implements contracts.adoption.SiteFinder."""

    def __init__(self, config: Path, binary: str) -> None:
        self._main = config
        self._binary = binary

    def find_sites(self) -> Sequence[FoundSite]:
        config = read_effective(self._binary, self._main)
        return [describe_place(place, config) for place in find_places(config)]


def read_effective(binary: str, main: Path) -> Config:
    """The configuration by our own reading, whose positions edits need, when nginx takes it and has read the same
    files. Raises StepError."""
    done = run_command([binary, "-T", "-c", str(main)], timeout_s=CHECK_TIMEOUT_S)
    if done.exit_code in {126, 127}:
        raise StepError(f"{binary} could not be run: {done.output}", code="proxy_missing", next_command="celadon check")
    if not done.ok:
        raise StepError(
            f"nginx refuses the configuration: {judge_live(binary, main).said}",
            code="proxy_config_refused",
            next_command=f"{binary} -t -c {main}",
        )
    config = read_config(main)
    unread = [path for path in _READ.findall(done.stdout) if Path(path) not in config.texts]
    if unread:
        raise StepError(
            f"nginx reads {unread[0]}, which celadon did not find by following {main}",
            code="proxy_config_unread",
            next_command=f"{binary} -T -c {main}",
        )
    return config
