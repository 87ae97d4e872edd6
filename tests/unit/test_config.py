"""celadon.toml: strict, and every mistake at once."""

import json
import tomllib
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from celadon.config.guess import guess_config
from celadon.config.load import Loaded, load_settings
from celadon.config.mistakes import ConfigErrors
from celadon.config.positions import find_positions
from celadon.config.schema import render_schema
from celadon.config.show import render_in_force
from celadon.config.table import BY_KEY
from celadon.model.address import SocketAddress, TcpAddress
from celadon.model.errors import UsageError
from celadon.model.names import Slot
from celadon.model.settings import AssetSettings, BlessMode, DrainPolicy, DrainWay, ProxyKind, RunnerKind, SwitchWay

GOOD = """\
app = "shop"
[web]
command = "./serve"
ports = [8101, 8102]
[proxy]
type = "nginx"
site = "https://shop.example"
"""
REPOSITORY = Path(__file__).parents[2]


def load(tmp_path: Path, text: str) -> Loaded:
    path = tmp_path / "celadon.toml"
    path.write_text(text)
    return load_settings(path, root=Path("/var/lib/celadon"))


def mistakes(tmp_path: Path, text: str) -> list[tuple[int, str]]:
    with pytest.raises(ConfigErrors) as caught:
        load(tmp_path, text)
    return [(mistake.line, mistake.what) for mistake in caught.value.mistakes]


def test_the_least_configuration_has_every_default(tmp_path: Path) -> None:
    """Four things must be said; the rest is known."""
    settings = load(tmp_path, GOOD).settings
    assert (settings.web.blue, settings.web.green) == (TcpAddress(8101), TcpAddress(8102))
    assert (settings.proxy.kind, settings.proxy.switch) == (ProxyKind.NGINX, SwitchWay.POINTER)
    assert (settings.proxy.listen, settings.proxy.directory) == ("127.0.0.1:443", "/etc/nginx/celadon")
    assert (settings.keep_count, settings.observe.bless) == (5, BlessMode.AUTO)
    assert settings.web.runner is RunnerKind.PROCESS
    assert settings.source.path == str(tmp_path)


def test_every_mistake_is_told_at_once_with_its_place(tmp_path: Path) -> None:
    """File, line, column, what was expected, and the nearest key."""
    text = GOOD.replace("[8101, 8102]", "[8101, 8101]").replace('"shop"', '"Shop"') + (
        '[readiness]\npth = "/health"\ninterval = "10ms"\nsuccesses = "3"\n[obsrve]\nwindow = "1m"\n'
    )
    with pytest.raises(ConfigErrors) as caught:
        load(tmp_path, text)
    shown = str(caught.value)
    assert "6 mistakes" in shown
    path = tmp_path / "celadon.toml"
    for expected in (
        f"{path}:1:1: `app` is 'Shop'; expected a name",
        f"{path}:4:1: both slots are on port 8101",
        f"{path}:9:1: `readiness.pth` is not a setting. Did you mean `readiness.path`?",
        f"{path}:10:1: `readiness.interval` is '10ms', outside 50ms",
        f"{path}:11:1: `readiness.successes` is a string",
        f"{path}:12:2: `obsrve` is not a setting. Did you mean `observe`?",
    ):
        assert expected in shown


def test_what_is_missing_is_told_too(tmp_path: Path) -> None:
    """An empty file lacks exactly what has no default."""
    found = {what.split("`")[1] for _, what in mistakes(tmp_path, "")}
    assert found == {"app", "web.command", "web.ports", "proxy.type", "proxy.site"}


def test_a_port_that_the_kernel_gives_away_is_refused(tmp_path: Path) -> None:
    """Inside ip_local_port_range any outgoing connection may take it."""
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    found = mistakes(tmp_path, GOOD.replace("8102", str(low + 5)))
    assert len(found) == 1
    assert "ip_local_port_range" in found[0][1]


@pytest.mark.parametrize("text", ['app = "shop', "app = ", "[web\n", 'a = "\x00"\n', "x = 1\nx = 2\n", '"' * 50])
def test_what_is_no_toml_is_told_with_its_line(tmp_path: Path, text: str) -> None:
    """One mistake, not a trace."""
    found = mistakes(tmp_path, text)
    assert len(found) == 1
    assert "this is no TOML" in found[0][1]


def test_a_drain_is_patient_by_kind(tmp_path: Path) -> None:
    """`wait`, a time, or, for streams, the app's own closing; shown as it was written."""
    policies = 'requests = "wait"\nidle = "close-after 500ms"\nstreams = "signal"'
    loaded = load(tmp_path, GOOD + f"[drain]\n{policies}\n")
    drain = loaded.settings.drain
    assert drain.requests == DrainPolicy(way=DrainWay.WAIT)
    assert drain.idle == DrainPolicy(way=DrainWay.CLOSE_AFTER, after_s=0.5)
    assert drain.streams == DrainPolicy(way=DrainWay.SIGNAL)
    shown = [BY_KEY[f"drain.{name}"].kind.show(getattr(drain, name)) for name in ("requests", "idle", "streams")]
    assert shown == ['"wait"', '"close-after 500ms"', '"signal"']


def test_streams_may_linger_for_longer_than_the_drain(tmp_path: Path) -> None:
    """Their limit is their own; shown as it was written."""
    streams = load(tmp_path, GOOD + '[drain]\nstreams = "linger 2h"\n').settings.drain.streams
    assert streams == DrainPolicy(way=DrainWay.LINGER, after_s=7200.0)
    assert BY_KEY["drain.streams"].kind.show(streams) == '"linger 2h"'


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ('[switch]\nstrategy = "stop-first"\n', "nothing lingers beside an app that is stopped first"),
        ("", "nothing tells streams from requests on Unix sockets; `linger` needs `web.ports`"),
    ],
)
def test_streams_linger_only_where_they_can(tmp_path: Path, more: str, what: str) -> None:
    """Told at their place, before anything would be cut unasked."""
    good = GOOD if more else GOOD.replace("ports = [8101, 8102]", "sockets = true")
    found = mistakes(tmp_path, f'{good}[drain]\nstreams = "linger 2h"\n{more}')
    assert found == [(len(GOOD.splitlines()) + 2, what)]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ('streams = "linger"', "`drain.streams` is 'linger'; expected wait, signal, or a duration, as"),
        ('requests = "linger 2h"', "`drain.requests` is 'linger 2h'; expected wait, or"),
        ('requests = "signal"', "`drain.requests` is 'signal'; expected wait, or a duration, as \"close-after 30s\""),
        ('idle = "close-after"', "`drain.idle` is 'close-after'; expected wait,"),
        ('streams = "close-after 30"', "`drain.streams` is 'close-after 30'; expected wait, signal,"),
        ('streams = "close-after  3s"', "`drain.streams` is 'close-after  3s'"),
        ("streams = 30", "`drain.streams` is an integer (30)"),
        ('streams = "close-after 31s"', "`drain.streams` is longer than `drain.timeout`, 30 s"),
    ],
)
def test_what_a_drain_cannot_do_is_told_at_its_place(tmp_path: Path, line: str, what: str) -> None:
    """Signalling is for streams, and nothing outlasts the drain."""
    found = mistakes(tmp_path, f"{GOOD}[drain]\n{line}\n")
    assert [(place, what in text) for place, text in found] == [(len(GOOD.splitlines()) + 2, True)], found


def test_assets_are_where_their_url_says(tmp_path: Path) -> None:
    """None unless somebody names a directory."""
    assert load(tmp_path, GOOD).settings.assets is None
    assert load(tmp_path, GOOD + '[assets]\npath = "dist"\n').settings.assets == AssetSettings(path="dist")


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        ('path = "/srv/assets"', "`assets.path` is '/srv/assets'"),
        (
            'path = "dist"\nurl = "/assets"',
            "`assets.url` is '/assets'; expected a path of the site that ends",
        ),
        ('path = "dist"\nurl = "/../"', "`assets.url` is '/../'"),
        ('path = "dist"\nkeep = 6', "`assets.keep` is 6, but only 5 releases are kept (`keep`)"),
    ],
)
def test_assets_that_cannot_be_kept_are_told(tmp_path: Path, lines: str, what: str) -> None:
    """Outside the release, of no directory, of releases that are gone."""
    assert [what in text for _, text in mistakes(tmp_path, f"{GOOD}[assets]\n{lines}\n")] == [True]


@pytest.mark.parametrize("proxy", ["haproxy", "traefik"])
def test_assets_need_a_proxy_that_serves_files(tmp_path: Path, proxy: str) -> None:
    """Said before anything is deployed."""
    text = GOOD.replace('"nginx"', f'"{proxy}"') + '[assets]\npath = "dist"\n'
    assert [f"{proxy} serves no files" in what for _, what in mistakes(tmp_path, text)] == [True]


def test_bombs_are_refused(tmp_path: Path) -> None:
    """Deep nesting and size are mistakes like others."""
    assert mistakes(tmp_path, "a = " + "[" * 100_000) != []
    assert "larger than 1 MiB" in mistakes(tmp_path, "#" * 2_000_000)[0][1]


HOSTILE = [
    "a\nb", "a\rb", "a\0b", "\x1b[2J", "$(reboot)", "`reboot`", "; reboot", "&& reboot", "| reboot",
    "}; load_module x;",
    "'", '"', "\\", "../../etc", "/etc/passwd;", "%n%s", "${HOME}", "a b", "\u202e", "-rf", "{file./etc/shadow}",
]  # fmt: skip


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize(
    "key", ["app", "user", "proxy.site", "proxy.listen", "web.systemd.kill_mode", "readiness.method"]
)
def test_no_metacharacter_reaches_rendered_text(tmp_path: Path, key: str, value: str) -> None:
    """Names, addresses and enumerations take only what they must."""
    table, _, name = key.rpartition(".")
    lines = [line for line in GOOD.splitlines() if not line.startswith(f"{name} =")]
    place = lines.index(f"[{table}]") + 1 if f"[{table}]" in lines else 0
    entry = f"{name} = {json.dumps(value)}"
    if table and f"[{table}]" not in lines:
        lines += [f"[{table}]", entry]
    else:
        lines.insert(place, entry)
    assert any(key in what for _, what in mistakes(tmp_path, "\n".join(lines)))


@pytest.mark.parametrize("path", ["/etc", "../x", "a/../../b", "", "."])
def test_shared_paths_stay_inside_the_release(tmp_path: Path, path: str) -> None:
    """A link is made for each: none may lead out."""
    assert mistakes(tmp_path, f'shared = ["{path}"]\n' + GOOD) != []


def test_slots_on_sockets_have_paths_of_their_own(tmp_path: Path) -> None:
    """Under the state directory, and never with ports beside."""
    text = GOOD.replace("ports = [8101, 8102]", "sockets = true")
    settings = load(tmp_path, text).settings
    assert settings.web.green == SocketAddress("/var/lib/celadon/apps/shop/slots/green/app.sock")
    assert mistakes(tmp_path, GOOD.replace("[proxy]", "sockets = true\n[proxy]")) != []


def test_each_replica_has_an_address_of_its_own(tmp_path: Path) -> None:
    """Consecutive ports from the slot's on, or a socket in the directory of its process."""
    text = GOOD.replace("[8101, 8102]", "[8101, 8111]\nreplicas = 3")
    web = load(tmp_path, text).settings.web
    assert web.addresses(Slot.BLUE) == tuple(map(TcpAddress, (8101, 8102, 8103)))
    assert web.replicas(Slot.GREEN) == {
        "web": TcpAddress(8111),
        "web.2": TcpAddress(8112),
        "web.3": TcpAddress(8113),
    }
    web = load(tmp_path, GOOD.replace("ports = [8101, 8102]", "sockets = true\nreplicas = 2")).settings.web
    assert web.addresses(Slot.GREEN) == (
        SocketAddress("/var/lib/celadon/apps/shop/slots/green/app.sock"),
        SocketAddress("/var/lib/celadon/apps/shop/processes/web.2/green/app.sock"),
    )


@pytest.mark.parametrize(
    ("ports", "told"),
    [
        (
            "[8101, 8102]",
            "from 8101 and from 8102 on: they overlap; expected two that are 3 apart",
        ),
        (
            "[8103, 8101]",
            "from 8103 and from 8101 on: they overlap; expected two that are 3 apart",
        ),
        ("[8101, 65534]", "3 replicas need ports up to 65536; there is none"),
        ("[8101, 32766]", "port 32768 lies in ip_local_port_range"),
    ],
)
def test_replicas_that_would_take_a_wrong_port_are_a_mistake(tmp_path: Path, ports: str, told: str) -> None:
    """Of the other slot, of any connection that goes out, or none at all."""
    found = mistakes(tmp_path, GOOD.replace("[8101, 8102]", f"{ports}\nreplicas = 3"))
    assert any(told in what for _, what in found), found


def test_replicas_behind_a_proxy_that_cannot_are_a_mistake(tmp_path: Path) -> None:
    """One, that names what can."""
    text = GOOD.replace("[8101, 8102]", "[8101, 8111]\nreplicas = 2").replace('"nginx"', '"haproxy"')
    [(_, what)] = mistakes(tmp_path, text)
    assert what.startswith("`web.replicas` is 2, but behind haproxy a slot has one address; expected 1, or one of ")


def test_a_compose_project_has_one_web_process(tmp_path: Path) -> None:
    """A slot is one project, with one port."""
    text = GOOD.replace("[8101, 8102]", '[8101, 8111]\nreplicas = 2\nrunner = "compose"')
    assert any(
        what.startswith("`web.replicas` is 2, but a slot is one project, with one service that answers requests")
        for _, what in mistakes(tmp_path, text)
    )


def test_the_way_must_be_one_of_the_proxys(tmp_path: Path) -> None:
    """Caddy has no symlink way."""
    text = GOOD.replace('"nginx"', '"caddy"\nswitch = "symlink"')
    assert "expected one of pointer, reload for caddy" in mistakes(tmp_path, text)[0][1]


def test_an_app_that_cannot_run_twice_takes_no_shares(tmp_path: Path) -> None:
    """Both releases would have to run."""
    [(_, what)] = mistakes(tmp_path, GOOD + '[switch]\nstrategy = "stop-first"\nsteps = ["5%", "100%"]\n')
    assert what == "`switch.steps` needs both releases to run; `switch.strategy` is stop-first"


@pytest.mark.parametrize("steps", ['["5%", "25%"]', '["25%", "5%", "100%"]', '["5%", "5%", "100%"]', "[]"])
def test_steps_grow_and_end_with_all(tmp_path: Path, steps: str) -> None:
    """A share that nobody meant is not given."""
    [(_, what)] = mistakes(tmp_path, GOOD + f"[switch]\nsteps = {steps}\n")
    assert what == "`switch.steps` must grow and end with 100%"


@pytest.mark.parametrize("step", ['"0%"', '"101%"', '"2.5%"', '"5"', "5", '"-1%"'])
def test_a_step_is_a_whole_share(tmp_path: Path, step: str) -> None:
    """1 to 100, with its sign."""
    [(_, what)] = mistakes(tmp_path, GOOD + f'[switch]\nsteps = [{step}, "100%"]\n')
    assert "a share of the traffic in whole percent" in what


def test_a_way_that_cannot_give_shares_is_told_so(tmp_path: Path) -> None:
    """A file that is reloaded names one slot."""
    [(_, what)] = mistakes(tmp_path, GOOD + 'switch = "include"\n[switch]\nsteps = ["5%", "100%"]\n')
    assert what == "nginx cannot give a share of the traffic by `proxy.switch = 'include'`"


def test_lengths_of_the_window_contradict_each_other(tmp_path: Path) -> None:
    text = GOOD + '[observe]\nwindow = "1m"\nmin_window = "2m"\nmax_window = "30s"\n'
    assert mistakes(tmp_path, text) == [
        (10, "`observe.min_window` is longer than `observe.window`, 60 s"),
        (11, "`observe.max_window` is shorter than `observe.window`, 60 s"),
    ]


def test_a_judge_by_thresholds_needs_one(tmp_path: Path) -> None:
    [(_, what)] = mistakes(tmp_path, GOOD + '[observe]\njudge = "thresholds"\n')
    assert "`observe.max_error_rate` is missing" in what


def test_an_undecided_window_goes_on_up_to_ten_times_its_length(tmp_path: Path) -> None:
    assert load(tmp_path, GOOD).settings.observe.max_window_s == 600.0
    assert load(tmp_path, GOOD + '[observe]\nmax_window = "90s"\n').settings.observe.max_window_s == 90.0


def test_sockets_behind_traefik_are_a_mistake(tmp_path: Path) -> None:
    """It dials none: 500 to every visitor (3.7)."""
    text = GOOD.replace('type = "nginx"', 'type = "traefik"').replace("ports = [8101, 8102]", "sockets = true")
    assert [what for _, what in mistakes(tmp_path, text)] == [
        "Traefik cannot reach an app on a Unix socket; give it two `web.ports`"
    ]


def test_what_is_in_force_is_itself_a_configuration(tmp_path: Path) -> None:
    """`celadon config` marks defaults, masks the environment, and its output loads to the same settings."""
    given_text = GOOD.replace("[proxy]", '[web.env]\nTOKEN = "hush"\n[proxy]')
    loaded = load(tmp_path, given_text)
    shown = render_in_force(loaded)
    assert "hush" not in shown
    assert 'window = "1m"  # default' in shown
    assert 'site = "https://shop.example"\n' in shown
    tomllib.loads(shown)


def test_the_schema_agrees_with_the_reader(tmp_path: Path) -> None:
    """The example is valid by both; an unknown key by neither."""
    schema = render_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    example = tomllib.loads((REPOSITORY / "examples" / "shop" / "celadon.toml").read_text())
    jsonschema.validate(example, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(example | {"nonsense": 1}, schema)
    assert load_settings(REPOSITORY / "examples" / "shop" / "celadon.toml", root=tmp_path).settings.app == "shop"


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({}, "./start"),
        ({"Procfile": "web: bin/serve $PORT\nworker: x\n"}, "bin/serve $PORT"),
        ({"requirements.txt": "flask\ngunicorn\n"}, "gunicorn"),
        ({"requirements.txt": "fastapi\nuvicorn\n"}, "uvicorn"),
        ({"requirements.txt": "django\n", "manage.py": "", "mysite/wsgi.py": ""}, "mysite.wsgi"),
        ({"package.json": "{}", "package-lock.json": "{}"}, "npm start"),
        ({"Gemfile.lock": ""}, "puma"),
        ({"go.mod": ""}, "./app"),
    ],
)
def test_a_guessed_configuration_loads(tmp_path: Path, files: dict[str, str], told: str) -> None:
    """`celadon init` writes what `celadon config` accepts, for each stack."""
    app = tmp_path / "2 My_Shop!"
    app.mkdir()
    for name, text in files.items():
        (app / name).parent.mkdir(exist_ok=True)
        (app / name).write_text(text)
    path = app / "celadon.toml"
    path.write_text(guess_config(app))
    settings = load_settings(path, root=Path("/var/lib/celadon")).settings
    assert settings.app == "my-shop"
    assert told in settings.web.command


def test_a_missing_file_says_what_to_do() -> None:
    """The next command writes one."""
    with pytest.raises(UsageError) as caught:
        load_settings(Path("/nowhere/celadon.toml"), root=Path("/"))
    assert caught.value.next_command == "celadon init"


def test_every_setting_is_described() -> None:
    """The reference is made from the table: no empty cell."""
    assert all(setting.doc and setting.kind.expected for setting in BY_KEY.values())


_NAMES = st.text(st.sampled_from("abcXYZ019_-"), min_size=1, max_size=6)
_VALUES = st.recursive(
    st.integers(-5, 5) | st.booleans() | st.sampled_from(['x # "', "it's", "a=b", "[t]", "{", "\\", "line\nbreak"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=6,
)


def dump(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {dump(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[\n  " + ",\n  ".join(map(dump, value)) + " # ]\n]" if value else "[]"
    if isinstance(value, str) and "'" not in value and "\n" in value:
        return f"'''\n{value}'''"
    return json.dumps(value)


@given(st.dictionaries(_NAMES, st.dictionaries(_NAMES, _VALUES, max_size=3), max_size=3))
def test_every_key_has_a_position_and_its_name_stands_there(document: dict[str, dict[str, object]]) -> None:
    """Whatever tomllib reads: tables, inline tables, arrays over lines, strings that look like syntax."""
    text = "".join(
        f"[ {table} ] # [no.table]\n" + "".join(f"{name} = {dump(value)}\n" for name, value in pairs.items())
        for table, pairs in document.items()
    )
    parsed = tomllib.loads(text)
    positions = find_positions(text)
    lines = text.split("\n")
    for table, pairs in parsed.items():
        for path in [(table,), *((table, name) for name in pairs)]:
            place = positions[path]
            assert lines[place.line - 1][place.column - 1 :].startswith(path[-1])


CONTAINER = GOOD.replace('command = "./serve"\n', 'runner = "docker"\n')


def test_a_container_needs_no_command_but_one_image(tmp_path: Path) -> None:
    """The image has its own command; where it comes from is said once."""
    one = CONTAINER.replace("[proxy]", '[web.container]\nbuild = "."\nport = 8000\n[proxy]')
    web = load(tmp_path, one).settings.web
    assert (web.command, web.container.build, web.container.port) == ("", ".", 8000)
    (none,) = mistakes(tmp_path, CONTAINER)
    assert "found none" in none[1]
    both = CONTAINER.replace("[proxy]", '[web.container]\nbuild = "."\nimage = "shop"\n[proxy]')
    assert "found `web.container.image` and `web.container.build`" in mistakes(tmp_path, both)[0][1]


def test_anything_else_needs_a_command(tmp_path: Path) -> None:
    """There is nothing else to run."""
    assert mistakes(tmp_path, GOOD.replace('command = "./serve"\n', ""))[0][1].startswith("`web.command` is missing")


def test_a_container_is_reached_by_a_port(tmp_path: Path) -> None:
    """A socket in another network is in no table of this machine's."""
    text = CONTAINER.replace("ports = [8101, 8102]", "sockets = true\n[web.container]\nbuild = '.'")
    assert "reached by a port" in mistakes(tmp_path, text)[0][1]


@pytest.mark.parametrize(
    "line",
    [
        'options = ["--name=mine"]', 'options = ["--env=SECRET=1"]', 'options = ["--restart=always"]',
        'options = ["-p=80:80"]', 'options = ["ls"]', 'volumes = {"/data" = "../other"}',
        'volumes = {"data" = "data"}', 'volumes = {"/data" = "a,readonly"}', 'image = "--privileged"',
        'image = "shop@sha256:short"', 'network = "--help"', 'build = "../other"',
    ],
)  # fmt: skip
def test_a_container_is_told_nothing_that_celadon_says_itself(tmp_path: Path, line: str) -> None:
    """And no value becomes another option."""
    text = CONTAINER.replace("[proxy]", f"[web.container]\n{line}\n[proxy]")
    assert any(line.split(" ", maxsplit=1)[0] in what for _, what in mistakes(tmp_path, text))


COMPOSE = GOOD.replace('command = "./serve"\n', 'runner = "compose"\n')


def test_a_compose_project_needs_neither_a_command_nor_an_image(tmp_path: Path) -> None:
    """Its file has them; and what is told of it reads back as the same."""
    text = COMPOSE + (
        '[web.compose]\nshared = ["db"]\n[web.container]\nport = 8000\n'
        '[processes.mail]\nservice = "worker"\n[processes.release]\nservice = "migrate"\nrun = "up"\n'
    )
    loaded = load(tmp_path, text)
    settings = loaded.settings
    assert (settings.web.compose.file, settings.web.compose.service) == ("compose.yaml", "web")
    assert (settings.process("mail").service, settings.process("release").service) == ("worker", "migrate")
    shown = render_in_force(loaded)
    assert load(tmp_path, shown).settings == settings


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('[web.container]\nimage = "shop"', "`web.container.image` stands in the Compose file"),
        ('[web.limits]\nmemory = "1GiB"', "`web.limits.memory` stands in the Compose file"),
        ('[web.compose]\nshared = ["web"]', "the service that answers requests"),
        ('[web.compose]\nshared = ["db"]\n[processes.mail]\nservice = "db"', "is 'db', which is shared"),
    ],
)
def test_two_files_do_not_say_the_same_of_a_compose_project(tmp_path: Path, line: str, told: str) -> None:
    """Nor does one service stand in two places."""
    ((_, what),) = mistakes(tmp_path, f"{COMPOSE}{line}\n")
    assert told in what


@pytest.mark.parametrize("line", ['[web.compose]\nfile = "x.yaml"', '[processes.mail]\nrun = "x"\nservice = "mail"'])
def test_only_compose_has_services(tmp_path: Path, line: str) -> None:
    """Told, not passed over."""
    ((_, what),) = mistakes(tmp_path, f"{GOOD}{line}\n")
    assert "is of the runner compose; `web.runner` is process" in what
