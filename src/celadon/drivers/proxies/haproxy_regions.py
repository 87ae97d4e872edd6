"""Our lines in a file of the user's, between marked lines; each mark holds the digest by which a hand edit is found.

    # celadon shop begins sha256:0123456789ab (`celadon eject` takes it out)
    #was     server app1 127.0.0.1:3000 check
    ...
    # celadon shop ends

`#was` is the line that stood there, as it stood.
"""

import re
from collections.abc import Callable

from msgspec import Struct

from celadon.drivers.proxies.sealed import digest

_WAS = "#was"


class Region(Struct, frozen=True, kw_only=True):
    """`was` are the lines that it stands for, each with its newline; `body` is ours."""

    was: tuple[str, ...]
    body: str
    mark: str

    @property
    def sealed(self) -> bool:
        return self.mark == _mark(self.body)


def render_region(body: str, *, app: str, was: str = "", indent: str = "") -> str:
    """`was` is one line without its newline."""
    kept = f"{indent}{_WAS}{was}\n" if was else ""
    begins = f"{indent}# celadon {app} begins sha256:{_mark(body)} (`celadon eject` takes it out)\n"
    return f"{begins}{kept}{body}{indent}# celadon {app} ends\n"


def has_regions(text: str, *, app: str) -> bool:
    return f"# celadon {app} begins" in text


def are_sealed(text: str, *, app: str) -> bool:
    """Whether nothing in our lines was changed by hand."""
    found: list[bool] = []

    def look(region: Region, whole: str) -> str:
        found.append(region.sealed)
        return whole

    _replace(text, app=app, by=look)
    return all(found) and len(found) == text.count(f"# celadon {app} begins")


def refresh_regions(text: str, *, app: str, lines: Callable[[str], str], ring: str) -> str:
    """`text` with the present rendering in the regions of the route and of the ring; the log line stays."""

    def renew(region: Region, whole: str) -> str:
        was = region.was[0].rstrip("\n") if region.was else ""
        body = ring if region.body.startswith("ring ") else lines(was) if was else region.body
        indent = whole[: len(whole) - len(whole.lstrip())]
        return render_region(body, app=app, was=was, indent=indent)

    return _replace(text, app=app, by=renew)


def restore_regions(text: str, *, app: str, change: Callable[[str], str]) -> str:
    """`text` as it was, `change` applied to each line that we stood for."""
    return _replace(text, app=app, by=lambda region, _: "".join(change(line) for line in region.was))


def _replace(text: str, *, app: str, by: Callable[[Region, str], str]) -> str:
    pattern = re.compile(
        rf"^[ \t]*# celadon {re.escape(app)} begins sha256:(?P<mark>\S*)[^\n]*\n"
        rf"(?P<was>(?:[ \t]*{_WAS}[^\n]*\n)*)(?P<body>.*?)^[ \t]*# celadon {re.escape(app)} ends\n",
        re.MULTILINE | re.DOTALL,
    )

    def one(found: re.Match[str]) -> str:
        was = tuple(f"{line.partition(_WAS)[2]}\n" for line in found["was"].splitlines())
        return by(Region(was=was, body=found["body"], mark=found["mark"]), found[0])

    return pattern.sub(one, text)


def _mark(body: str) -> str:
    return digest(body)[:12]
