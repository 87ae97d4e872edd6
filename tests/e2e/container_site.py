"""The example shop in containers."""

from pathlib import Path

from tests.contract.container_engines import IMAGE
from tests.e2e.site import Site

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
