"""[[journeys]] of celadon.toml: read whole, and every mistake at once."""

import tomllib
from pathlib import Path

import msgspec
import pytest

from celadon.config.load import Loaded
from celadon.config.mistakes import ConfigErrors
from celadon.config.show import render_in_force
from celadon.model.journeys import BodyKind, Capture, CaptureKind, Expectation, Journey, JourneyStep
from celadon.model.settings import Settings
from tests.unit.test_config import GOOD, load, mistakes

BUY = """\
[[journeys]]
name = "buy"
timeout = "20s"
every = "5s"
[[journeys.steps]]
path = "/login"
capture = { token = { body = 'value="(.*?)"' }, cart = { json = "cart.id" } }
[[journeys.steps]]
method = "POST"
path = "/carts/{cart}"
headers = { X-Run = "{run}" }
form = { token = "{token}", note = "ü & {run}" }
expect = { status = [302], headers = { Location = "/thanks" }, max_latency = "800ms" }
[[journeys]]
name = "api"
[[journeys.steps]]
path = "/api"
method = "PUT"
json = { n = 1, who = "{run}" }
expect = { json = { ok = true }, body_contains = ["{run}"] }
[[journeys]]
name = "smoke"
command = 'pytest -q smoke/ -k "a or b"'
"""


def test_a_journey_is_read_with_all_it_may_say(tmp_path: Path) -> None:
    """Steps, captures, bodies, expectations."""
    buy, api, smoke = load(tmp_path, GOOD + BUY).settings.journeys
    assert (buy.name, buy.timeout_s, api.timeout_s) == ("buy", 20.0, 10.0)
    assert (buy.every_s, api.every_s, smoke.every_s) == (5.0, 1.0, 10.0)
    assert smoke == Journey(name="smoke", command='pytest -q smoke/ -k "a or b"', every_s=10.0)
    assert buy.steps[0].captures == (
        Capture(name="token", kind=CaptureKind.BODY, where='value="(.*?)"'),
        Capture(name="cart", kind=CaptureKind.JSON, where="cart.id"),
    )
    assert buy.steps[1] == JourneyStep(
        method="POST",
        path="/carts/{cart}",
        headers={"X-Run": "{run}"},
        body="token={token}&note=%C3%BC+%26+{run}",
        body_kind=BodyKind.FORM,
        expect=Expectation(statuses=(302,), headers={"Location": "/thanks"}, max_latency_s=0.8),
    )
    assert (api.steps[0].body_kind, api.steps[0].body) == (BodyKind.JSON, '{"n": 1, "who": "{run}"}')
    assert api.steps[0].expect == Expectation(json={"ok": True}, body_contains=("{run}",))


def test_what_is_shown_reads_back_as_the_same_journeys(tmp_path: Path) -> None:
    """`celadon config` prints TOML."""
    loaded = load(tmp_path, GOOD + BUY)
    shown = tomllib.loads(render_in_force(loaded))["journeys"]
    line = next(line for line in render_in_force(loaded).splitlines() if line.startswith("journeys = "))
    assert load(tmp_path, f"{line}\n{GOOD}").settings.journeys == loaded.settings.journeys
    assert [each["name"] for each in shown] == ["buy", "api", "smoke"]


def test_a_release_keeps_its_journeys(tmp_path: Path) -> None:
    """They go through the manifest unchanged: a rollback asks what was asked."""
    settings = load(tmp_path, GOOD + BUY).settings
    assert msgspec.json.decode(msgspec.json.encode(settings), type=Settings).journeys == settings.journeys
    assert isinstance(settings.journeys[0], Journey)


def test_every_mistake_of_the_journeys_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    """Of the second journey and the second step too."""
    text = """\
[[journeys]]
name = "buy"
[[journeys.steps]]
path = "/"
[[journeys.steps]]
path = "cart"
methd = "GET"
[journeys.steps.expect]
status = [20]
[[journeys]]
name = "buy"
timeout = "fast"
[[journeys.steps]]
path = "/{token}"
body = "a"
json = { a = 1 }
capture = { run = { json = "a" }, x = { body = "(" }, y = { xml = "a" } }
[[journeys]]
name = "empty"
[[journeys]]
name = "both"
command = "true"
every = "1ms"
[[journeys.steps]]
path = "/"
"""
    first = GOOD.count("\n")
    found = {(line - first, what) for line, what in mistakes(tmp_path, GOOD + text)}
    expected = {
        (6, "`journeys[1].steps[2].path` is 'cart'"),
        (7, "`journeys[1].steps[2].methd` is not a setting here"),
        (9, "`journeys[1].steps[2].expect.status` is 20, outside 100 to 599"),
        (11, "`journeys[2].name` is 'buy', as another journey's"),
        (12, "`journeys[2].timeout` is 'fast'"),
        (14, "`journeys[2].steps[1].path` uses {token}, which no step before it captures; known: run"),
        (16, "`journeys[2].steps[1].json` and `body` exclude each other"),
        (17, "`journeys[2].steps[1].capture.run` is no name for a capture"),
        (17, "`journeys[2].steps[1].capture.x.body` is no regular expression"),
        (17, "`journeys[2].steps[1].capture.y` expected one of"),
        (18, "`journeys[3].steps` is missing; expected at least one step, or a command"),
        (22, "`journeys[4].command` and `steps` exclude each other"),
        (23, "`journeys[4].every` is '1ms', outside 100ms to 1h"),
    }
    missing = {(line, what) for line, what in expected if not any(a == line and b.startswith(what) for a, b in found)}
    assert (missing, len(found)) == (set(), len(expected)), found


def load_beside(tmp_path: Path, journeys: str) -> Loaded:
    (tmp_path / "journeys.toml").write_text(journeys)
    return load(tmp_path, f'journeys = "journeys.toml"\n{GOOD}')


def test_journeys_may_stand_in_a_file_beside(tmp_path: Path) -> None:
    """They are part of the settings as inline ones are, so of the release, and of the configuration's digest."""
    inline = load(tmp_path, GOOD + BUY)
    beside = load_beside(tmp_path, BUY)
    assert beside.settings.journeys == inline.settings.journeys
    assert beside.digest != load_beside(tmp_path, BUY.replace("20s", "21s")).digest
    line = next(line for line in render_in_force(beside).splitlines() if line.startswith("journeys = "))
    assert load(tmp_path, f"{line}\n{GOOD}").settings == beside.settings


def test_mistakes_of_that_file_are_told_with_its_name_and_lines_after_those_of_the_first(tmp_path: Path) -> None:
    """All at once."""
    (tmp_path / "journeys.toml").write_text('app = "x"\n[[journeys]]\nname = "buy"\nevry = "1s"\n')
    with pytest.raises(ConfigErrors) as caught:
        load(tmp_path, f'journeys = "journeys.toml"\nkep = 3\n{GOOD}')
    assert [(Path(each.file).name, each.line) for each in caught.value.mistakes] == [
        ("celadon.toml", 2),
        ("journeys.toml", 1),
        ("journeys.toml", 2),
        ("journeys.toml", 4),
    ]
    assert "`journeys[1].evry` is not a setting here" in caught.value.mistakes[-1].what


@pytest.mark.parametrize(
    ("text", "file", "line", "what"),
    [
        ("[[journeys]]\nname = buy\n", "journeys.toml", 2, "this is no TOML"),
        (None, "celadon.toml", 1, "`journeys` is 'journeys.toml', a file that cannot be read: No such file"),
    ],
)
def test_a_file_that_is_none_is_a_mistake(tmp_path: Path, text: str | None, file: str, line: int, what: str) -> None:
    """With its place."""
    if text is not None:
        (tmp_path / "journeys.toml").write_text(text)
    with pytest.raises(ConfigErrors) as caught:
        load(tmp_path, f'journeys = "journeys.toml"\n{GOOD}')
    [mistake] = caught.value.mistakes
    assert (Path(mistake.file).name, mistake.line) == (file, line)
    assert mistake.what.startswith(what)
