"""Who may see the slot that is not live."""

from celadon.app.compose import make_proxy
from celadon.app.inforce import require_in_force
from celadon.drivers.proxies.headers import PREVIEW_COOKIE, PREVIEW_HEADER
from celadon.host.layout import Layout
from celadon.host.look_mark import read_secret
from celadon.model.errors import UsageError
from celadon.model.report import PreviewAccess


def read_preview(layout: Layout) -> PreviewAccess:
    """Raises UsageError where it is not switched on, with the line that does."""
    settings = require_in_force(layout)
    secret = read_secret(layout.preview_secret)
    if not settings.proxy.preview or not secret:
        raise UsageError(
            "previews are off; celadon.toml needs `preview = true` under [proxy]",
            code="preview_off",
            next_command="celadon deploy  # with it",
        )
    route = make_proxy(layout, settings).observe().slot
    return PreviewAccess(
        site=settings.proxy.site,
        slot=route.other if route is not None else None,
        header=f"{PREVIEW_HEADER}: {secret}",
        cookie=f"{PREVIEW_COOKIE}={secret}",
    )
