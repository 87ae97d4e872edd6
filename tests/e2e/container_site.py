"""The example shop in containers of Docker."""

from pathlib import Path

from tests.contract.container_engines import IMAGE
from tests.e2e.site import Site

_RUN = 'runner = "docker"\n[web.container]\nbuild = "."\nvolumes = {"/data" = "data"}'
DOCKERFILE = f"""\
FROM {IMAGE}
COPY app.py VERSION BROKE[N] /app/
ENV SHOP_DATABASE=/data/shop.db
WORKDIR /app
CMD ["python3", "-S", "-E", "app.py"]
"""


def make_container_site(base: Path) -> Site:
    site = Site(base, run=_RUN)
    (site.app / "Dockerfile").write_text(DOCKERFILE)
    return site
