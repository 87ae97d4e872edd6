"""The example shop in containers."""

from pathlib import Path

from tests.contract.container_engines import IMAGE
from tests.e2e.site import Site, free_ports

_RUN = 'runner = "{program}"\n[web.container]\nbuild = "."\nvolumes = {{"/data" = "data"}}\nnetwork = "{network}"'
DOCKERFILE = f"""\
FROM {IMAGE}
COPY app.py VERSION BROKE[N] /app/
ENV SHOP_DATABASE=/data/shop.db
WORKDIR /app
CMD ["python3", "-S", "-E", "app.py"]
"""


def make_container_site(base: Path, *, program: str = "docker", network: str = "bridge") -> Site:
    site = Site(base, run=_RUN.format(program=program, network=network))
    (site.app / "Dockerfile").write_text(DOCKERFILE)
    return site


_COMPOSE = """\
runner = "compose"
[web.compose]
shared = ["db"]
[web.container]
port = 8000
"""
_START = """\
import os, socket
socket.create_connection(("db", 5432), timeout=5).close()
os.execvp("python3", ["python3", "-S", "-E", "app.py"])
"""
_PROJECT = """\
services:
  web:
    build: .
    container_name: shop
    init: true
    command: ["python3", "-S", "start.py"]
    environment:
      TOKEN: ${TOKEN:-none}
    ports: ["PORT:8000"]
    volumes: ["./data:/data"]
    depends_on: [db]
  db:
    image: BASE
    init: true
    command: ["python3", "-S", "-m", "http.server", "5432"]
    volumes: ["books:/books"]
volumes:
  books: {}
"""


def make_compose_site(base: Path) -> Site:
    """The shop and a database, which it reaches by its name or does not begin. The owner's file publishes a port and
    names a container, as it would be run without celadon."""
    site = Site(base, run=_COMPOSE)
    (site.app / "Dockerfile").write_text(DOCKERFILE.replace("COPY app.py", "COPY app.py start.py"))
    (site.app / "start.py").write_text(_START)
    (port,) = free_ports(1)
    (site.app / "compose.yaml").write_text(_PROJECT.replace("PORT:", f"{port}:").replace("BASE", IMAGE))
    return site
