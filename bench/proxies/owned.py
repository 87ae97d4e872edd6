"""The site as its owner runs it before Celadon is there: sent to blue's address, with nothing of ours."""

from pathlib import Path

from tests.contract.haproxy_server import HaproxyStage
from tests.contract.nginx_server import NginxStage
from tests.contract.traefik_server import TraefikStage

from bench.proxies.stand import Stage
from celadon.model.names import Slot


def write_owned_nginx(stage: Stage) -> None:
    assert isinstance(stage, NginxStage)
    stage.write_main(include=False)
    upgrade = "map $http_upgrade $owner_connection { default upgrade; '' close; }\n    include sites/"
    stage.main.write_text(stage.main.read_text().replace("include sites/", upgrade))
    (stage.conf / "sites" / "shop.conf").write_text(
        "server {\n"
        f"    listen 127.0.0.1:{stage.port};\n"
        "    server_name shop.example;\n"
        "    location / {\n"
        f"        proxy_pass http://{stage.settings.web.address(Slot.BLUE)};\n"
        "        proxy_http_version 1.1;\n"
        "        proxy_set_header Host $host;\n"
        "        proxy_set_header Upgrade $http_upgrade;\n"
        "        proxy_set_header Connection $owner_connection;\n"
        "    }\n"
        "}\n"
    )


def write_owned_caddy(stage: Stage) -> None:
    main = Path(stage.settings.proxy.config)
    lines = [line for line in main.read_text().splitlines() if not line.startswith("\timport ")]
    lines.insert(lines.index(f"http://127.0.0.1:{stage.port} {{") + 1, f"\treverse_proxy {stage.settings.web.blue}")
    main.write_text("\n".join(lines) + "\n")


def write_owned_haproxy(stage: Stage) -> None:
    assert isinstance(stage, HaproxyStage)
    stage.write_main(neighbour=f"\nbackend shop\n    server app {stage.settings.web.blue}\n", log="option httplog")
    stage.main.write_text(stage.main.read_text().replace("default_backend celadon_shop-one", "default_backend shop"))


def write_owned_traefik(stage: Stage) -> None:
    assert isinstance(stage, TraefikStage)
    stage.site.write_text(
        "http:\n"
        "  routers:\n"
        "    shop:\n"
        "      rule: Host(`shop.example`)\n"
        "      entryPoints: [web]\n"
        "      service: shop\n"
        "  services:\n"
        "    shop:\n"
        "      loadBalancer:\n"
        "        servers:\n"
        f"          - url: http://{stage.settings.web.blue}\n"
    )
