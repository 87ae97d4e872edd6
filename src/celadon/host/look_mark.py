"""How our own looks are told from visitors in a proxy's log: their header begins with a secret of the app's.

Without one, a client that sends the header would choose which of its requests count. The proxy does not pass the header
on to the app.
"""

import os
from pathlib import Path

from celadon.host.files import write_atomic

_SECRET_BYTES = 12
_NONCE_BYTES = 12


def ensure_secret(path: Path) -> None:
    """Of a look mark or a preview. 24 hexadecimal digits. Idempotent: once made, it stays."""
    if not read_secret(path):
        write_atomic(path, os.urandom(_SECRET_BYTES).hex(), mode=0o600)


def read_secret(path: Path) -> str:
    """Empty before the first install."""
    try:
        return path.read_text()
    except OSError:
        return ""


def new_look(mark: str) -> str:
    """The header of one look, never used again."""
    return mark + os.urandom(_NONCE_BYTES).hex()


def is_own_look(header: str, *, mark: str) -> bool:
    return bool(mark) and header.startswith(mark)
