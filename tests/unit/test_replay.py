"""The rule over a log that is there: any format, any window, judged by what came before."""

import gzip
import json
import time
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from celadon.app.replay import replay_log
from celadon.cli.replay import command
from celadon.drivers.traffic.recognise import COMBINED
from celadon.model.errors import UsageError
from celadon.model.observed import Hit
from celadon.model.replay import Replay
from celadon.model.settings import ObserveSettings
from celadon.model.verdict import Judgement
from celadon.observe.replay import replay
from celadon.observe.rule import Rule
from celadon.sinks.replay import render_replay
from tests.unit.observe.scene import hit
from tests.unit.test_json_lines import render_line
from tests.unit.test_recognise import write

BEGAN_S = 1_795_573_500.0


def visits(seconds: int, *, bad_every: int = 0, from_s: float = BEGAN_S, ms: float = 80.0) -> list[tuple[float, Hit]]:
    """Five a second, each of a client of its own."""
    return [
        (from_s + n / 5, hit(f"{from_s}-{n}", status=500 if bad_every and n % bad_every == 0 else 200, ms=ms))
        for n in range(seconds * 5)
    ]


def test_each_window_is_judged_by_what_came_before_it() -> None:
    """Two usual ones, one with a fault, and a usual one again; two in a hundred failures are no fault where they are
    usual."""
    log = visits(1200, bad_every=50)
    log += visits(600, bad_every=5, from_s=BEGAN_S + 1200) + visits(600, bad_every=50, from_s=BEGAN_S + 1800)
    first, second, third, fourth = replay(log, Rule(), window_s=600)
    assert [each.began_at - BEGAN_S for each in (first, second, third, fourth)] == [0, 600, 1200, 1800]
    assert (first.baseline_rate, first.goes_back, first.tolerated_rate) == (None, True, 0.002)
    assert second.baseline_rate == pytest.approx(0.03, abs=0.01)
    assert (second.judgement, second.goes_back) == (Judgement.HEALTHY, False)
    assert (third.goes_back, third.judgement) == (True, Judgement.BREACH)
    assert third.rule in {"errors", "max_error_rate"}
    assert third.error_evidence > 10
    assert fourth.goes_back is False


def test_all_requests_of_a_window_are_counted_also_behind_its_verdict() -> None:
    [window] = replay(visits(600, bad_every=3), Rule(), window_s=600)
    assert (window.requests_count, window.failed_count) == (3000, 1000)
    assert window.units_count < 100


def test_a_slower_stretch_would_have_gone_back() -> None:
    _, slow = replay(visits(600) + visits(600, from_s=BEGAN_S + 600, ms=250.0), Rule(), window_s=600)
    assert (slow.rule, slow.goes_back) == ("latency", True)
    assert slow.latency_evidence >= 500


def test_a_silence_makes_no_windows_and_shifts_none() -> None:
    windows = list(replay(visits(60) + visits(60, from_s=BEGAN_S + 2450), Rule(), window_s=600))
    assert [window.began_at - BEGAN_S for window in windows] == [0, 2400]


def test_a_line_that_stands_behind_a_later_one_changes_nothing() -> None:
    log = visits(600)
    late = [*log[:1000], (BEGAN_S, log[1000][1]), *log[1001:]]
    assert list(replay(late, Rule(), window_s=600)) == list(replay(log, Rule(), window_s=600))


def write_nginx(number: int, at_s: float) -> str:
    return render_line(client=f"c{number}", msec=f"{at_s:.3f}").decode().replace(": ", ":").strip()


def write_combined(number: int, at_s: float) -> str:
    at = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(at_s))
    return write(COMBINED, remote_addr=f"10.0.0.{number % 250}", time_local=at).decode()


def write_caddy(number: int, at_s: float) -> str:
    request = {"remote_ip": f"c{number}", "method": "GET", "uri": "/"}
    return json.dumps({"level": "info", "ts": at_s, "request": request, "status": 200}, separators=(",", ":"))


def write_haproxy(number: int, at_s: float) -> str:
    at = time.strftime("%d/%b/%Y:%H:%M:%S", time.localtime(at_s))
    server = "shop.blue.aside" if number % 100 == 99 else "shop.blue"
    rest = f'app/{server} 0/0/1/40/42 200 118 - - ---- 1/1/0/0/0 0/0 "GET / HTTP/1.1"'
    return f"<134>Nov 25 02:17:13 haproxy[3]: 10.0.0.{number % 250}:56872 [{at}.{number % 5}02] web~ {rest}"


def write_traefik(number: int, at_s: float) -> str:
    at = time.strftime("%Y-%m-%dT%H:%M:%S.5Z", time.gmtime(at_s))
    fields = {"ClientHost": f"c{number}", "RequestMethod": "GET", "RequestPath": "/", "DownstreamStatus": 200}
    fields |= {"RouterName": "shop@file", "ServiceAddr": "127.0.0.1:9002", "StartUTC": at}
    return json.dumps(fields, separators=(",", ":"))


WRITERS = {
    "nginx": write_nginx,
    "combined": write_combined,
    "caddy": write_caddy,
    "haproxy": write_haproxy,
    "traefik": write_traefik,
}


def write_log(path: Path, render: Callable[[int, float], str]) -> Path:
    """Five hundred requests in a hundred seconds, behind a line of something else."""
    path.write_text("".join(f"{line}\n" for line in ["begin", *(render(n, BEGAN_S + n / 5) for n in range(500))]))
    return path


def replayed(path: Path, *, log_format: str | None = None) -> Replay:
    return replay_log(path, log_format=log_format, settings=ObserveSettings(), window_s=60.0, layout=None)


@pytest.mark.parametrize("name", WRITERS)
def test_the_format_is_guessed_from_the_lines(tmp_path: Path, name: str) -> None:
    """Looks and previews are no visitors, where the log tells."""
    path = write_log(tmp_path / "any.log", WRITERS[name])
    found = replayed(path)
    assert (found.format, found.unread_count) == (name, 1)
    assert sum(window.requests_count for window in found.windows) == (495 if name == "haproxy" else 500)
    assert [window.began_at - BEGAN_S for window in found.windows] == [0.0, 60.0]
    assert found == replayed(path, log_format=name)


def test_a_compressed_log_is_read_as_it_is(tmp_path: Path) -> None:
    plain = write_log(tmp_path / "access.log", write_nginx)
    packed = tmp_path / "access.log.2.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert replayed(packed) == replayed(plain)


def test_a_log_format_of_the_owner_may_be_given_as_its_text(tmp_path: Path) -> None:
    log_format = '$msec $remote_addr "$request" $status'
    path = write_log(tmp_path / "own.log", lambda n, at_s: f'{at_s:.3f} 10.0.0.{n % 250} "GET / HTTP/1.1" 200')
    found = replayed(path, log_format=log_format)
    assert sum(window.requests_count for window in found.windows) == 500


@pytest.mark.parametrize(
    ("text", "log_format", "why"),
    [
        ("nothing\nof\nuse\n", None, "begins in no format that is known"),
        ("", "nginx", "has no line of the format nginx"),
        ("", "apache", "apache is no format: nginx, caddy"),
        ("", '$remote_addr "$request" $status', "tells no time"),
        ("", "$msec $status", "does not say $remote_addr"),
    ],
)
def test_a_log_that_cannot_be_read_is_refused_in_words(
    tmp_path: Path, text: str, log_format: str | None, why: str
) -> None:
    path = tmp_path / "access.log"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        replayed(path, log_format=log_format)
    assert why in caught.value.what


def test_a_damaged_archive_is_refused_too(tmp_path: Path) -> None:
    path = tmp_path / "access.log.1.gz"
    path.write_bytes(gzip.compress(b"x" * 10_000)[:20])
    with pytest.raises(UsageError, match="cannot be read"):
        replayed(path)


def test_the_table_says_in_how_many_windows_and_that_there_was_no_old_slot(tmp_path: Path) -> None:
    log = visits(1200, bad_every=50) + visits(600, bad_every=5, from_s=BEGAN_S + 1200)
    windows = tuple(replay(log, Rule(), window_s=600))
    text = render_replay(Replay(format="nginx", window_s=600, windows=windows, unread_count=2))
    assert (
        "9000 requests in nginx format, 2 other lines: in 2 of 3 windows of 600 s the rule would have gone back" in text
    )
    assert text.count("back by errors") == 2
    assert "0.20%*" in text
    assert "A log has no old slot beside it" in text
    many = Replay(format="nginx", window_s=600, windows=windows * 100, unread_count=0)
    assert len(render_replay(many).splitlines()) < 70


def test_the_verb_prints_a_table_or_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a celadon.toml: the defaults."""
    monkeypatch.chdir(tmp_path)
    path = write_log(tmp_path / "access.log", write_combined)
    assert command.main([str(path)], standalone_mode=False) == 0
    assert "500 requests in combined format, 1 other lines: in 0 of 1 windows of 600 s" in capsys.readouterr().out
    assert command.main([str(path), "--window", "50s", "--json"], standalone_mode=False) == 0
    found = json.loads(capsys.readouterr().out)
    assert [window["requests_count"] for window in found["windows"]] == [250, 250]
    with pytest.raises(click.BadParameter):
        command.main([str(path), "--window", "soon"], standalone_mode=False)
