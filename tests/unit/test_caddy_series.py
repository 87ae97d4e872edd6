"""What a Caddy counts is taken for the app's where nothing else can be in it."""

from typing import Any

import pytest

from celadon.drivers.proxies.caddy_series import find_series
from celadon.drivers.proxies.headers import OURS
from celadon.drivers.traffic.caddy_counters import CaddySeries

PLACES = "{file./pointer/live/"
MARKED = [{"file": {"root": "/pointer/live", "try_files": ["green"]}}]
PASSING = {"handle": [{"handler": "log_append"}, {"handler": "encode"}]}
HEALTH = {"match": [{"path": ["/up"]}], "handle": [{"handler": "static_response"}]}
THEIRS = {"handler": "reverse_proxy", "upstreams": [{"dial": "127.0.0.1:7"}]}
API = {"match": [{"path": ["/api*"]}], "handle": [THEIRS]}


def ours(*dials: str) -> dict[str, Any]:
    headers = {"request": {"delete": list(OURS)}}
    return {"handler": "reverse_proxy", "headers": headers, "upstreams": [{"dial": dial} for dial in dials]}


def sub(*routes: dict[str, Any]) -> dict[str, Any]:
    return {"handler": "subroute", "routes": list(routes)}


def site(handler: dict[str, Any], *hosts: str) -> dict[str, Any]:
    return {"match": [{"host": list(hosts)}], "handle": [handler]}


BLUE, GREEN = {"handle": [ours("127.0.0.1:1")]}, {"match": MARKED, "handle": [ours("127.0.0.1:2")]}
SHARE = {"match": MARKED, "handle": [ours(f"tcp/127.0.0.1:{PLACES}00}}", f"tcp/127.0.0.1:{PLACES}01}}")]}
ROUTE = (PASSING, SHARE, GREEN, BLUE)
SHOP = site(sub(*ROUTE), "shop.example", "www.shop.example")
OTHER = site(sub({"handle": [THEIRS]}), "other.example")
WHOLE = CaddySeries(server="srv0", handler="subroute")
NAMED = CaddySeries(server="srv0", handler="subroute", hosts=frozenset({"shop.example", "www.shop.example"}))


def find(*routes: dict[str, Any], metrics: object = None, of_server: object = None, host: str = "shop.example") -> Any:
    server = {"routes": list(routes)} | ({} if of_server is None else {"metrics": of_server})
    http = {"servers": {"srv0": server, "srv1": {"routes": [OTHER]}}} | (
        {} if metrics is None else {"metrics": metrics}
    )
    dials = frozenset({"127.0.0.1:1", "127.0.0.1:2"})
    return find_series({"apps": {"http": http}}, host=host, dials=dials, places=PLACES)


@pytest.mark.parametrize(
    "routes",
    [
        [SHOP],
        [site(sub({"handle": [sub(*ROUTE)]}), "shop.example")],
        [SHOP, {"match": [{"path": ["/static/*"]}], "handle": [{"handler": "file_server"}]}],
    ],
    ids=["alone", "in a handle", "beside files, which are counted by their own name"],
)
def test_a_server_that_has_only_the_app_counts_the_app(routes: list[dict[str, Any]]) -> None:
    """Whoever may say so: the http app of 2.9 and later, the server before."""
    assert find(*routes, metrics={}) == find(*routes, of_server={}) == [WHOLE]


def test_a_site_without_a_name_is_counted_by_its_proxy() -> None:
    """Its handlers stand at the server's own level, and each counts what comes to it."""
    assert find(*ROUTE, metrics={}) == [CaddySeries(server="srv0", handler="reverse_proxy")]
    assert find(API, *ROUTE, metrics={}) == []
    assert find({**API, "handle": [sub({"handle": [THEIRS]})]}, *ROUTE, metrics={}) != []


def test_other_sites_of_the_server_are_told_apart_by_host_alone() -> None:
    assert find(SHOP, OTHER, metrics={}) == []
    assert find(SHOP, OTHER, metrics={"per_host": True}) == [NAMED]
    assert find(SHOP, OTHER, metrics={"per_host": True}, host="shop.example:8080") == []
    assert find(SHOP, {"handle": [sub({"handle": [THEIRS]})]}, metrics={"per_host": True}) == []


@pytest.mark.parametrize(
    "route",
    [
        site(sub(HEALTH, *ROUTE), "shop.example"),
        site(sub(API, *ROUTE), "shop.example"),
        site(sub({"match": [{"path": ["/shop*"]}], "handle": [sub(*ROUTE)]}), "shop.example"),
        site(sub(GREEN), "shop.example"),
        site(sub({"handle": [{**ours("127.0.0.1:1", "127.0.0.1:7")}]}, BLUE), "shop.example"),
    ],
    ids=["its own answers", "another upstream", "a part of the site", "not all of it", "another upstream in ours"],
)
def test_what_is_answered_without_a_slot_is_not_counted_as_the_apps(route: dict[str, Any]) -> None:
    assert find(route, metrics={"per_host": True}) == []


def test_nothing_is_counted_where_caddy_was_not_told_to() -> None:
    assert find(SHOP) == []


def test_who_sends_to_a_slot_past_the_route_is_somebody_else() -> None:
    past = {"handler": "reverse_proxy", "upstreams": [{"dial": "127.0.0.1:1"}]}
    assert find(SHOP, site(sub({"handle": [past]}), "other.example"), metrics={}) == []
