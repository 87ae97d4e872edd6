"""What is written for Traefik, what is read of it, and what is changed in its owner's text."""

import contextlib
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as some

from celadon.drivers.proxies.headers import OURS, SLOT_HEADER
from celadon.drivers.proxies.sealed import is_sealed, open_seal
from celadon.drivers.proxies.traefik_dynamic import describe_router, find_users, read_dynamic
from celadon.drivers.proxies.traefik_edit import Change, edit_address, edit_routers
from celadon.drivers.proxies.traefik_metrics import find_metrics
from celadon.drivers.proxies.traefik_sites import judge_service, parse_upstream
from celadon.drivers.proxies.traefik_static import parse_duration, parse_flags, parse_static, read_static
from celadon.drivers.proxies.traefik_text import (
    RouteText,
    UserRouter,
    build_route,
    parse_route,
    parse_served,
    read_generation,
    render_route,
)
from celadon.model.address import TcpAddress
from celadon.model.errors import StepError
from celadon.model.names import AppName, Slot
from celadon.model.observed import Split

MARK = "0123456789abcdef01234567"
ROUTES = ["unset", "blue", "green", "blue-25", "green-05"]
HOSTILE = [
    "{{ env `HOME` }}",
    "{env.X}",
    "`",
    "${X}",
    "a\nb: c",
    "'",
    '"',
    "yes",
    "0x1F",
    "#",
    ": ",
    "&a",
    "*a",
    "!!x",
    "%n",
]
words = some.text(max_size=30) | some.sampled_from(HOSTILE)
routers = some.builds(
    UserRouter,
    name=words,
    rule=words,
    entry_points=some.lists(words, max_size=2).map(tuple),
    middlewares=some.lists(words, max_size=3).map(tuple),
    look_middlewares=some.lists(words, max_size=3).map(tuple),
    priority=some.integers(0, 1000),
    tls_options=some.none() | words,
)


def make_text(*found: UserRouter, preview: str = "") -> RouteText:
    return RouteText(
        app=AppName("shop"),
        blue=TcpAddress(port=9001),
        green=TcpAddress(port=9002),
        mark=MARK,
        preview_secret=preview,
        routers=found,
    )


@settings(deadline=None)
@given(some.lists(routers, max_size=3), some.sampled_from(ROUTES), some.sampled_from(["", MARK]))
def test_what_is_rendered_reads_back_as_it_was_meant(found: list[UserRouter], name: str, preview: str) -> None:
    """Whatever a router of the user's says; what Go's templates would take for theirs is not rendered at all."""
    text = make_text(*found, preview=preview)
    with contextlib.suppress(StepError):
        rendered = render_route(text, name)
        check_reads_back(rendered, text, name)


def check_reads_back(rendered: str, text: RouteText, name: str) -> None:
    assert "{{" not in open_seal(rendered)
    assert "}}" not in open_seal(rendered)
    assert is_sealed(rendered)
    assert yaml.safe_load(rendered) == build_route(text, name)
    assert parse_served(f"{name} {read_generation(rendered, name=name)}") is not None


@pytest.mark.parametrize("value", ["{{ env `HOME` }}", "}}", "Host(`{{`)"])
def test_braces_are_refused(value: str) -> None:
    """Traefik would run them."""
    with pytest.raises(StepError, match="template"):
        render_route(make_text(UserRouter(name="shop", rule=value)), "blue")


def test_each_route_and_each_text_answers_with_a_generation_of_its_own() -> None:
    """By it a look tells which text is in force."""
    texts = [make_text(), make_text(UserRouter(name="a", rule="Host(`a`)")), make_text(preview=MARK)]
    texts.append(make_text(UserRouter(name="a", rule="Host(`a`)"), preview=MARK))
    found = {read_generation(render_route(text, name), name=name) for text in texts for name in ROUTES}
    assert "" not in found
    # a preview is nothing without a router, and nothing before the first switch
    assert len(found) == 5 + 5 + 4


def test_a_route_sends_to_its_slot_and_says_so() -> None:
    """One file, so that the one is never true without the other."""
    http = build_route(make_text(UserRouter(name="a", rule="Host(`a`)")), "green")["http"]
    assert http["services"]["celadon-shop"] == {
        "weighted": {"services": [{"name": "celadon-shop_green", "weight": 100}]}
    }
    assert http["services"]["celadon-shop_green"]["loadBalancer"]["servers"] == [{"url": "http://127.0.0.1:9002"}]
    answer = http["middlewares"]["celadon-shop_look"]["headers"]["customResponseHeaders"][SLOT_HEADER]
    assert answer.startswith("green ")
    assert http["middlewares"]["celadon-shop"]["headers"]["customRequestHeaders"] == dict.fromkeys(OURS, "")
    look = http["routers"]["celadon-shop_look1"]
    assert (look["service"], look["middlewares"][-1]) == ("celadon-shop", "celadon-shop_look")


def test_a_look_stands_just_before_the_router_that_it_looks_through() -> None:
    """So a router that beats the user's beats ours too."""
    user = UserRouter(name="a", rule="Host(`a`)", priority=9, entry_points=("web",), tls_options="modern")
    look = build_route(make_text(user), "blue")["http"]["routers"]["celadon-shop_look1"]
    assert look["rule"] == f"(Host(`a`)) && HeaderRegexp(`X-Celadon-Look`, `^{MARK}[0-9a-f]+$`)"
    assert (look["priority"], look["entryPoints"], look["tls"]) == (10, ["web"], {"options": "modern"})


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("blue", (Slot.BLUE, None)),
        ("green-05", (Slot.BLUE, Split(slot=Slot.GREEN, percent=5))),
        ("unset", (None, None)),
        ("red", (None, None)),
    ],
)
def test_a_route_has_the_name_that_the_pointer_gives_it(name: str, meant: tuple[Slot | None, Split | None]) -> None:
    """`green-05`: green gets five of a hundred, blue is the route."""
    assert parse_route(name) == meant


@pytest.mark.parametrize(
    "header", ["", "green", "green 0123", "red 0123456789ab", "green 0123456789ab x", "green-5 0123456789ab"]
)
def test_an_answer_of_somebody_else_is_none_of_ours(header: str) -> None:
    """An app may answer anything under any name."""
    assert parse_served(header) is None


def test_a_router_is_described_as_traefik_understands_it(tmp_path: Path) -> None:
    """Its priority is the length of its rule where it has none; chains are unfolded; what refuses is left out of a
    look's way; definitions of several files count, the first of a name."""
    (tmp_path / "a.yml").write_text(
        "http:\n  routers:\n"
        "    shop: {rule: Host(`ä`), service: celadon-shop@file, middlewares: [all@file, x@docker]}\n"
        "    celadon-shop_look1: {rule: Host(`b`), service: celadon-shop}\n"
    )
    (tmp_path / "b.toml").write_text(
        "[http.middlewares.all.chain]\nmiddlewares = ['pass', 'strip', 'celadon-shop']\n"
        "[http.middlewares.pass.basicAuth]\nusers = []\n[http.middlewares.strip.stripPrefix]\nprefixes = ['/a']\n"
        "[http.routers.shop]\nrule = 'Host(`second`)'\nservice = 'x'\n"
    )
    files = read_dynamic(tmp_path)
    (user,) = find_users(files, AppName("shop"))
    found = describe_router(user, files)
    assert (found.rule, found.priority, found.look_middlewares) == ("Host(`ä`)", 10, ("strip", "x@docker"))


class TestStatic:
    def test_flags_say_what_a_file_would(self, tmp_path: Path) -> None:
        """In any case of letters; a flag without a value is true."""
        flags = [
            "traefik", "--entryPoints.web.address=:80", "--entrypoints.webSecure.http.tls", "--api.insecure",
            "--providers.file.directory=/etc/traefik/dynamic", "--providers.providersThrottleDuration=10ms",
            "--accesslog.filepath=/var/log/a.log", "--accesslog.format=json", "--accesslog.bufferingsize=100",
        ]  # fmt: skip
        found = read_static(tmp_path / "none.yml", arguments=flags)
        assert (found.entry_points["web"].address, found.entry_points["webSecure"].tls) == (":80", True)
        assert (found.directory, found.throttle_s, found.api_insecure) == ("/etc/traefik/dynamic", 0.01, True)
        assert found.access_log is not None
        assert (found.access_log.path, found.access_log.is_json, found.access_log.buffered_count) == (
            "/var/log/a.log",
            True,
            100,
        )

    def test_neither_a_file_nor_flags_is_an_error(self, tmp_path: Path) -> None:
        """With what to set."""
        with pytest.raises(StepError, match="no running Traefik has flags"):
            read_static(tmp_path / "none.yml", arguments=["traefik"])

    def test_the_file_comes_before_the_flags(self, tmp_path: Path) -> None:
        """As Traefik takes them."""
        path = tmp_path / "traefik.toml"
        path.write_text("[providers.file]\ndirectory = '/one'\n")
        assert read_static(path, arguments=["--providers.file.directory=/two"]).directory == "/one"

    @pytest.mark.parametrize(("text", "seconds"), [("10ms", 0.01), ("2s", 2), ("1m30s", 90), (5, 5), ("soon", 2)])
    def test_durations_are_gos(self, text: object, seconds: float) -> None:
        """A bare number is seconds."""
        assert parse_duration(text) == pytest.approx(seconds)

    @pytest.mark.parametrize("log", [None, {}, True, {"format": "common"}])
    def test_an_access_log_without_a_file_goes_to_the_output(self, log: object) -> None:
        """There is one, but no path."""
        found = parse_static({"accessLog": log}, origin="x").access_log
        assert found is not None
        assert found.path == ""

    @pytest.mark.parametrize(
        ("arguments", "address"),
        [
            (["--metrics.prometheus"], ("127.0.0.1", 8080)),
            (["--metrics.prometheus", "--entryPoints.traefik.address=:9090"], ("127.0.0.1", 9090)),
            (["--metrics.prometheus.entryPoint=m", "--entryPoints.m.address=[::1]:81/tcp"], ("::1", 81)),
            (["--metrics.prometheus.entryPoint=gone"], None),
            (["--metrics.prometheus.entryPoint=m", "--entryPoints.m.address=:named"], None),
            (["--metrics.prometheus", "--metrics.prometheus.manualRouting"], None),
            (["--metrics.prometheus", "--metrics.prometheus.addServicesLabels=false"], None),
            (["--metrics.prometheus=false"], None),
            (["--metrics.addInternals"], None),
        ],
    )
    def test_where_services_are_counted_is_found_in_it(
        self, arguments: list[str], address: tuple[str, int] | None
    ) -> None:
        """By the entry point that is named, or Traefik's own; nowhere where a router of the owner's says who may."""
        found = find_metrics(parse_static(parse_flags(arguments), origin="x"))
        assert (found and found.address) == address

    @settings(deadline=None)
    @given(some.lists(some.text(max_size=40) | some.sampled_from(["--a.b=c", "--a=1", "--a.b.c", "-x"])))
    def test_no_flags_break_the_reading(self, arguments: list[str]) -> None:
        """They are another program's."""
        parse_static(parse_flags(arguments), origin="x")


class TestEdits:
    YAML = "http:\n  routers:\n    a: {chain}\n      rule: Host(`a`)  # keep\n      service: 'old'\n  services: {}\n"

    @pytest.mark.parametrize(
        "chain",
        [
            "",
            "\n      middlewares: [x]",
            "\n      middlewares: [ x , y ] # both",
            "\n      middlewares: []",
            "\n      middlewares:\n      - x\n      # then\n      - y",
            "\n      middlewares:\n        - x",
        ],
    )
    def test_a_router_is_edited_and_edited_back_byte_for_byte(self, chain: str) -> None:
        """However its middlewares are written."""
        path, text = Path("a.yml"), self.YAML.replace(" {chain}", chain)
        edited = edit_routers(text, path, [Change(router="a", service="celadon-x", added="celadon-x")])
        assert edited is not None
        router = yaml.safe_load(edited)["http"]["routers"]["a"]
        assert (router["service"], router["middlewares"][-1]) == ("celadon-x", "celadon-x")
        assert "# keep" in edited
        back = edit_routers(edited, path, [Change(router="a", service="old", removed="celadon-x")])
        assert back is not None
        assert back == text or "middlewares: []" in text

    @pytest.mark.parametrize(
        "text",
        [
            "http:\n  routers: &r\n    a: {rule: x, service: old}\ntcp: *r\n",
            "http:\n  routers:\n    a: &a {rule: x, service: old}\n    b: *a\n",
            "http:\n  routers:\n    a: {rule: x}\n",
            "http: {}\n",
            "[]",
            "http:\n  routers:\n    a: {rule: x, middlewares: &m [y], service: old}\n    b: {middlewares: *m}\n",
        ],
    )
    def test_what_is_not_understood_is_not_edited(self, text: str) -> None:
        """An anchor's other users would change too."""
        change = Change(router="a", service="celadon-x", added="celadon-x")
        try:
            assert edit_routers(text, Path("a.yml"), [change]) is None
        except ValueError:
            assert text == "[]"

    @settings(deadline=None)
    @given(words.filter(lambda word: "{{" not in word), some.sampled_from(["shop", "a-b", "x_y"]))
    def test_an_edit_changes_what_was_meant_and_nothing_else(self, rule: str, service: str) -> None:
        """Or it is none."""
        document = {
            "http": {"routers": {"a": {"rule": rule, "service": service, "middlewares": [rule, "m"]}, "b": rule}}
        }
        for flow in (True, False):
            text = yaml.safe_dump(document, default_flow_style=flow, allow_unicode=True)
            meant = yaml.safe_load(text)
            edited = edit_routers(text, Path("a.yml"), [Change(router="a", service="new", added="celadon-x")])
            if edited is not None:
                router = meant["http"]["routers"]["a"]
                router |= {"service": "new", "middlewares": [*router["middlewares"], "celadon-x"]}
                assert yaml.safe_load(edited) == meant

    def test_only_the_address_of_that_service_is_changed(self) -> None:
        """Though another has the same, and a comment too."""
        text = (
            "# http://127.0.0.1:1\nhttp:\n  services:\n"
            "    a: {loadBalancer: {servers: [{url: 'http://127.0.0.1:1'}]}}\n"
            "    b: {loadBalancer: {servers: [{url: 'http://127.0.0.1:1'}]}}\n"
        )
        edited = edit_address(text, Path("a.yml"), "b", old="http://127.0.0.1:1", new="http://127.0.0.1:2")
        assert edited is not None
        assert edited.splitlines()[:4] == text.splitlines()[:4]
        assert "127.0.0.1:2" in edited.splitlines()[4]


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://127.0.0.1:3000", TcpAddress(port=3000)),
        ("http://localhost:3000/", TcpAddress(port=3000)),
        ("http://127.0.0.1", TcpAddress(port=80)),
        ("http://127.0.0.1:3000/app", None),
        ("https://127.0.0.1:3000", None),
        ("h2c://127.0.0.1:3000", None),
        ("http://[::1]:3000", None),
        ("http://10.0.0.1:3000", None),
        ("http://user@127.0.0.1:3000", None),
        ("http://127.0.0.1:99999", None),
        ("", None),
    ],
)
def test_only_a_plain_port_of_this_machine_is_an_upstream(url: str, address: TcpAddress | None) -> None:
    """Everything else would be answered otherwise by a slot."""
    assert parse_upstream(url) == address


def test_a_service_with_more_than_a_server_is_not_understood() -> None:
    """Its options would be lost."""
    servers = {"servers": [{"url": "http://127.0.0.1:1"}]}
    assert judge_service({"loadBalancer": servers}) == (TcpAddress(port=1), "")
    one_weighed = [{"url": "http://127.0.0.1:1", "weight": 2}]
    wrong: list[dict[str, object]] = [{"sticky": {}}, {"passHostHeader": False}, {"servers": one_weighed}]
    for more in wrong:
        assert judge_service({"loadBalancer": servers | more})[1] != ""
