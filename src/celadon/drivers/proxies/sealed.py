"""The head of every text that we render: who wrote it, how to change it, the digest that finds a hand edit."""

from celadon.model.names import AppName

_WROTE = "# Written by celadon for {app}. To change it: celadon.toml, then `celadon deploy`. An edit by hand stops"
_FATE = "# the next switch until `celadon proxy accept` keeps it or `celadon proxy restore` undoes it."
_MARK = "# celadon sha256:"


def seal(body: str, *, app: AppName) -> str:
    """`body` under its head. Every proxy's text takes `#` for a comment."""
    return f"{_WROTE.format(app=app)}\n{_FATE}\n{_MARK}{digest(body)}\n{body}"


def is_sealed(text: str) -> bool:
    """Whether nothing was changed since `seal`; False for a text that never was."""
    mark, body = _split(text)
    return mark == f"{_MARK}{digest(body)}"


def is_ours(text: str) -> bool:
    """Whether we wrote it, edited since or not."""
    return bool(_split(text)[0])


def open_seal(text: str) -> str:
    """The body, of an edited text too."""
    return _split(text)[1]


def digest(body: str) -> str:
    from hashlib import sha256  # 3 ms, which a rollback does not need

    return sha256(body.encode(errors="surrogateescape")).hexdigest()


def _split(text: str) -> tuple[str, str]:
    """The line of the mark and what follows it; of a text without one, nothing and all of it."""
    before, found, rest = text.partition(_MARK)
    if not found or before.count("\n") > 2:
        return "", text
    mark, _, body = rest.partition("\n")
    return _MARK + mark, body
