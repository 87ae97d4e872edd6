"""What is looked at in a configuration that is JSON, beside what every Caddy is asked."""

from collections.abc import Iterator

from celadon.drivers.proxies.caddy_config import DEFAULT_ADMIN
from celadon.drivers.proxies.caddy_files import SnippetFiles
from celadon.drivers.proxies.caddy_json_files import JsonFiles
from celadon.drivers.proxies.caddy_json_place import find_log_reasons, find_marked
from celadon.drivers.proxies.caddy_json_route import render_marker
from celadon.drivers.proxies.caddy_json_text import parse_json, value_of
from celadon.drivers.proxies.edited import SUBJECT
from celadon.model.names import AppName
from celadon.model.observed import Finding, problem


def check_json(json: JsonFiles, files: SnippetFiles, *, app: AppName) -> Iterator[Finding]:
    """Of a file that Caddy has found valid."""
    text = json.read()
    if not find_marked(text, app):
        told = f"{json.main} has no handler with the @id of {app}"
        yield problem("site", told, fix=f"where reverse_proxy stands: {render_marker(app)}")
    for reason in find_log_reasons(text, app, recent=files.version.recent):
        yield problem("access log", reason, fix="give the app's hosts one access log, or a server of their own")
    for told in json.find_edits():
        yield problem(SUBJECT, told, fix=json.way_on)
    for told in json.find_exposed():
        yield problem("preview", told, fix=f"chmod o-r {json.main}  # Caddy's group still reads it")


def read_admin(json: JsonFiles) -> str:
    """Where the admin API listens."""
    text = json.read()
    admin = value_of(text, parse_json(text).get("admin"))
    said = admin if isinstance(admin, dict) else {}
    return "off" if said.get("disabled") else str(said.get("listen") or DEFAULT_ADMIN)
