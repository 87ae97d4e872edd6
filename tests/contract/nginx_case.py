"""A real-world configuration of tests/data/nginx, laid out under a directory of its own."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from celadon.contracts.adoption import Edit, FoundSite
from celadon.host.layout import Layout
from celadon.model.address import Address, SocketAddress, TcpAddress
from celadon.model.names import AppName
from celadon.model.settings import ProxyKind, ProxySettings, Settings, SourceSettings, SwitchWay, WebSettings

CASES = Path(__file__).parents[1] / "data" / "nginx"
NGINX = "/usr/sbin/nginx"
_MOVED = ("/etc/nginx", "/etc/letsencrypt", "/var/log/nginx", "/run/nginx.pid", "/run/inside.sock")


class NginxCase:
    """Its files say /etc/nginx; here that is under `root`."""

    def __init__(self, name: str, root: Path) -> None:
        self.root = root
        self.main = root / "etc/nginx/nginx.conf"
        self.expected: Any = json.loads((CASES / name / "expected.json").read_text())
        for source in sorted((CASES / name).rglob("*")):
            self._lay(source, root / "etc/nginx" / source.relative_to(CASES / name))
        for directory in ("var/log/nginx", "run", "state/apps/shop"):
            (root / directory).mkdir(parents=True)
        if (root / "etc/nginx/letsencrypt").exists():
            (root / "etc/nginx/letsencrypt").rename(root / "etc/letsencrypt")
        self._make_certificate(root / "etc/letsencrypt/live/shop.example", ("fullchain.pem", "privkey.pem"))
        self._make_certificate(root / "etc/nginx/tls", ("cert.pem", "key.pem"))
        self.layout = Layout(root / "state", AppName("shop"))

    def _lay(self, source: Path, place: Path) -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        if source.is_symlink():
            place.symlink_to(source.readlink())
        elif source.is_file():
            text = source.read_text()
            for path in _MOVED:
                text = text.replace(path, f"{self.root}{path}")
            place.write_text(text)

    def _make_certificate(self, directory: Path, names: tuple[str, str]) -> None:
        directory.mkdir(parents=True)
        out = ["-out", str(directory / names[0]), "-keyout", str(directory / names[1]), "-subj", "/CN=shop.example"]
        kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
        subprocess.run(["openssl", "req", "-x509", *kind, *out], check=True, capture_output=True)

    def settings_for(self, site: FoundSite, way: SwitchWay) -> Settings:
        assert site.upstream is not None
        green: Address = TcpAddress(port=20001)
        if isinstance(site.upstream, SocketAddress):
            green = SocketAddress(path=f"{self.root}/run/green.sock")
        proxy = ProxySettings(
            kind=ProxyKind.NGINX,
            site=site.site,
            listen=site.listen,
            switch=way,
            directory=str(self.root / "etc/nginx/celadon"),
            config=str(self.main),
            binary=NGINX,
        )
        web = WebSettings(command="app", blue=site.upstream, green=green)
        return Settings(app=self.layout.app, source=SourceSettings(path="/srv/shop"), web=web, proxy=proxy)

    def apply(self, edits: Sequence[Edit]) -> None:
        for edit in edits:
            assert edit.after is not None
            edit.path.write_text(edit.after)

    def texts(self) -> dict[Path, str]:
        """Every file of the owner's."""
        files = [path for path in (self.root / "etc").rglob("*") if path.is_file() and "/celadon/" not in str(path)]
        return {path: path.read_text() for path in files}

    def describe(self, site: FoundSite) -> dict[str, Any]:
        """As in expected.json, which knows nothing of `root`."""
        described = {
            "where": site.where,
            "names": list(site.names),
            "site": site.site,
            "listen": site.listen,
            "path": site.path,
            "upstream": str(site.upstream) if site.upstream else None,
            "reason": site.reason,
        }
        return json.loads(json.dumps(described).replace(str(self.root), ""))  # type: ignore[no-any-return]
