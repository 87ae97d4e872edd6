"""A page of the old release finds its hashed files when the old slot has gone: real nginx, real Caddy."""

import socket
from pathlib import Path

import pytest

from tests.e2e.site import Site, go_live
from tests.e2e.site_proxies import NGINX

pytestmark = [pytest.mark.root, pytest.mark.skipif(not Path(NGINX).exists(), reason="nginx is not installed")]

ASSETS = '[assets]\npath = "public/assets"'


def write_site(site: Site) -> None:
    """As docs/how-to/assets.md says."""
    route, assets = f"{site.conf}/celadon/shop", site.layout.assets
    text = site.own.read_text()
    if site.proxy == "nginx":
        lines = f"""
        location ^~ /assets/ {{
            include {route}/route.conf*;
            proxy_intercept_errors on;
            error_page 404 = @kept_assets;
        }}
        location @kept_assets {{
            root {assets};
            try_files $uri =404;
        }}
        location / {{"""
        site.own.write_text(text.replace("\n        location / {", lines))
    else:
        lines = (
            f"\t@kept_assets {{\n\t\tpath /assets/*\n\t\tfile {{\n\t\t\troot {assets}\n\t\t}}\n\t}}\n"
            f"\thandle @kept_assets {{\n\t\troot * {assets}\n\t\tfile_server\n\t}}\n"
        )
        site.own.write_text(text.replace("\timport celadon/shop", f"{lines}\timport celadon/shop"))


def publish(site: Site, version: str) -> None:
    assets = site.app / "public" / "assets"
    assets.mkdir(parents=True, exist_ok=True)
    for path in assets.iterdir():
        path.unlink()
    (assets / f"app-{version}.js").write_text(f"hashed {version}")
    (assets / "plain.js").write_text(f"plain {version}")


def fetch(site: Site, path: str) -> tuple[int, str]:
    with socket.create_connection(("127.0.0.1", site.port), timeout=5) as connection:
        request = f"GET {path} HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n"
        connection.sendall(request.encode())
        head, _, body = b"".join(iter(lambda: connection.recv(65536), b"")).decode().partition("\r\n\r\n")
    return int(head.split()[1]), body


@pytest.mark.parametrize("proxy", ["nginx", "caddy"])
def test_an_open_page_finds_its_files_after_a_switch_and_after_a_rollback(tmp_path: Path, proxy: str) -> None:
    """The slot of its release has stopped. A name that is no hash is the live release's own."""
    site = Site(tmp_path, proxy=proxy, extra=ASSETS)
    publish(site, "v1")
    with go_live(site):
        write_site(site)
        site.stop_proxy()
        site.start_proxy()
        assert fetch(site, "/assets/app-v1.js") == (200, "hashed v1")
        publish(site, "v2")
        done = site.deploy("v2")
        assert done.code == 0, done.output
        assert "assets of 2 releases" in done.output
        assert "left to the app, for they are not the same in all: plain.js" in done.output
        assert site.running_slots() == ["green"]
        assert fetch(site, "/assets/app-v1.js") == (200, "hashed v1")
        assert fetch(site, "/assets/app-v2.js") == (200, "hashed v2")
        assert fetch(site, "/assets/plain.js") == (200, "plain v2")
        assert fetch(site, "/assets/never.js")[0] == 404
        assert site.visit() == (200, "v2")
        back = site.celadon("rollback")
        assert back.code == 0, back.output
        assert fetch(site, "/assets/app-v2.js") == (200, "hashed v2")
        assert fetch(site, "/assets/plain.js") == (200, "plain v1")
