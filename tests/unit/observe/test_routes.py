"""A path becomes the route that answered it; however many are made up, the routes stay few."""

import pytest

from celadon.observe.routes import TEMPLATES_LIMIT, Routes, parse_template


@pytest.mark.parametrize(
    ("route", "template"),
    [
        ("GET /", "GET /"),
        ("GET /users/17/cart?x=1#y", "GET /users/{n}/cart"),
        ("GET /blog/2026-11-25/post", "GET /blog/{date}/post"),
        ("DELETE /o/3fa85f64-5717-4562-b3fc-2c963f66afa6", "DELETE /o/{uuid}"),
        ("GET /static/app.9f86d081884c.js", "GET /static/app.9f86d081884c.js"),
        ("GET /blobs/9f86d081884c7d65", "GET /blobs/{hash}"),
        ("GET /reset/eyJhbGciOiJIUzI1NiJ9.e30.abc", "GET /reset/{token}"),
        ("GET /feedface", "GET /feedface"),
        ("GET /a/b/c/d/e/f/g/h", "GET /a/b/c/d/e/f/{more}"),
        (f"GET /{'x' * 200}", "GET /{token}"),
        ("BREW /coffee", "{method} /coffee"),
        ("", "{method} /"),
    ],
)
def test_what_names_one_thing_is_replaced(route: str, template: str) -> None:
    """Numbers, dates, uuids, hashes, tokens; words stay."""
    assert parse_template(route) == template


def test_made_up_paths_make_no_new_routes_for_ever() -> None:
    """They become one route a method; those known before stay themselves."""
    routes = Routes()
    assert routes.find("GET /cart") == "GET /cart"
    found = {
        routes.find(f"GET /{'abcdefghij'[number % 10]}{chr(97 + number // 10 % 26)}/w{number}x")
        for number in range(60_000)
    }
    assert "GET {other}" in found
    assert len(found) <= TEMPLATES_LIMIT
    assert routes.find("GET /cart") == "GET /cart"
    assert len(routes.templates) <= 50_000
