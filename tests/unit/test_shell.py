"""The user's own shell commands."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from celadon.drivers.journeys.command import CommandJourneys
from celadon.host.processes import find_marked
from celadon.host.shell import TIMED_OUT, Ran, run_shell
from celadon.model.address import SocketAddress, TcpAddress
from celadon.model.journeys import Journey
from celadon.model.names import Slot
from celadon.model.observed import Answer
from celadon.model.place import Place
from tests.fakes.world import make_release

_RUN = os.getpid()
"""In every mark: what an earlier run of these tests has left is not this one's."""
_PATH = {"PATH": "/usr/local/bin:/usr/bin:/bin"}


def run(command: str, *, timeout_s: float = 10.0, leaves_nothing: bool = False, mark: str = "") -> Ran:
    env = _PATH | ({"CELADON_TEST_MARK": f"{mark}-{_RUN}"} if mark else {})
    return run_shell(command, cwd=Path("/"), env=env, user=None, timeout_s=timeout_s, leaves_nothing=leaves_nothing)


def find(mark: str) -> list[int]:
    return find_marked(f"CELADON_TEST_MARK={mark}-{_RUN}".encode())


def is_gone(mark: str, *, within_s: float = 5.0) -> bool:
    until_s = time.monotonic() + within_s
    while find(mark):
        if time.monotonic() > until_s:
            return False
        time.sleep(0.02)
    return True


def test_of_much_output_the_last_lines_are_kept() -> None:
    """Both streams, in the order in which they came."""
    done = run("seq 200000; echo one >&2; echo two; exit 3")
    assert (done.exit_code, done.output_tail[-3:]) == (3, ("200000", "one", "two"))
    assert len(done.output_tail) == 20


@pytest.mark.parametrize("how", ["sleep 600", "exec >&- 2>&-; sleep 600", "setsid sleep 601 & wait"])
def test_a_command_is_over_at_its_deadline_whatever_it_has_left(how: str) -> None:
    """Nobody waits for the output of a child that has fled its group, nor for a shell that has closed its own."""
    mark = f"deadline-{how[:6].strip()}"
    began_s = time.monotonic()
    assert run(how, timeout_s=0.2, mark=mark).exit_code == TIMED_OUT
    assert time.monotonic() - began_s < 2.0
    if "setsid" in how:
        [fled] = find(mark)
        os.kill(fled, signal.SIGKILL)
    assert is_gone(mark)


def test_what_a_command_leaves_in_its_group_is_ended_where_nothing_is_to_be_left() -> None:
    """A browser that a script forgot, once a second; but a hook may start what it likes."""
    command = "sleep 600 >/dev/null 2>&1 & exit 0"
    assert run(command, mark="left").exit_code == 0
    [left] = find("left")
    os.kill(left, signal.SIGKILL)
    assert run(command, mark="ended", leaves_nothing=True).exit_code == 0
    assert is_gone("ended")


def ask(tmp_path: Path, command: str, *, place: Place | None = None, timeout_s: float = 10.0) -> Answer:
    (tmp_path / "tree").mkdir(exist_ok=True)
    (tmp_path / "env").write_text('GREETING="hello"\n')
    journeys = CommandJourneys(site="https://shop.example", listen="127.0.0.1:8443", user=None)
    return journeys.ask(Journey(name="smoke", command=command, timeout_s=timeout_s), place or in_green(tmp_path))


def in_green(tmp_path: Path, *, through_proxy: bool = False) -> Place:
    address = TcpAddress(port=8102)
    return Place(slot=Slot.GREEN, address=address, release=make_release(2, path=tmp_path), through_proxy=through_proxy)


def test_a_command_runs_in_its_releases_tree_and_is_told_where_to_go(tmp_path: Path) -> None:
    """With the release's own environment, and nothing of ours."""
    show = 'echo "$PWD $GREETING $CELADON_URL $CELADON_SITE $CELADON_SLOT $CELADON_RELEASE $HOME"; exit 1'
    told = f"{tmp_path}/tree hello {{}} https://shop.example green r2 "
    assert ask(tmp_path, show).output_tail == (told.format("http://127.0.0.1:8102"),)
    by_proxy = ask(tmp_path, show, place=in_green(tmp_path, through_proxy=True))
    assert by_proxy.output_tail == (told.format("https://127.0.0.1:8443"),)
    release = make_release(2, path=tmp_path)
    on_socket = Place(slot=Slot.GREEN, address=SocketAddress("/run/a/app.sock"), release=release)
    assert ask(tmp_path, show, place=on_socket).output_tail == (told.format("http+unix://%2Frun%2Fa%2Fapp.sock"),)


def test_every_run_of_a_command_has_a_marker_of_its_own(tmp_path: Path) -> None:
    """To find and remove what it made."""
    one, two = (ask(tmp_path, "echo $CELADON_RUN; exit 1").output_tail for _ in range(2))
    assert one != two
    assert one[0].startswith("celadon")


def test_what_a_failed_command_said_is_kept(tmp_path: Path) -> None:
    """The last line in the reason."""
    answer = ask(tmp_path, "echo checking; echo '1 failed' >&2; exit 4")
    assert (answer.reason, answer.output_tail) == ("exit code 4: 1 failed", ("checking", "1 failed"))
    fine = ask(tmp_path, "echo fine")
    assert (fine.ok, fine.reason, fine.output_tail) == (True, "", ())


def test_a_command_over_its_time_fails_and_is_ended(tmp_path: Path) -> None:
    """All of its group."""
    command = f"export CELADON_TEST_MARK=journey-{_RUN}; echo waiting; sleep 600 & wait"
    began_s = time.monotonic()
    answer = ask(tmp_path, command, timeout_s=0.3)
    assert time.monotonic() - began_s < 3.0
    assert answer.reason == "not over after 0.3 s: waiting"
    assert is_gone("journey")


def test_a_command_does_not_outlive_an_operation_that_died(tmp_path: Path) -> None:
    """Nobody of ours is left to end it."""
    code = (
        "import sys; from pathlib import Path; from tests.unit.test_shell import ask; "
        f"ask(Path(sys.argv[1]), 'export CELADON_TEST_MARK=orphan-{_RUN}; echo; sleep 600 & wait', timeout_s=0.5)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) as operation:
        until_s = time.monotonic() + 10
        while not find("orphan") and time.monotonic() < until_s:
            time.sleep(0.002)
        operation.kill()
    assert is_gone("orphan", within_s=6.0)
