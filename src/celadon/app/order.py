"""What a person asked for, as handed to the process that does it."""

import os
from pathlib import Path

import msgspec
from msgspec import Struct

from celadon.contracts.adoption import Edit
from celadon.model.names import AppName, OperationId, ReleaseNumber
from celadon.model.plan import OperationKind
from celadon.model.release import Source
from celadon.model.settings import Settings


class Handover(Struct, frozen=True, kw_only=True):
    """What a person agreed to of an adoption or an ejection. `unit` and `pids` are what runs the app now."""

    edits: tuple[Edit, ...]
    unit: str = ""
    pids: tuple[int, ...] = ()
    wheres: tuple[str, ...] = ()


class Order(Struct, frozen=True, kw_only=True):
    """`settings` and `source` for a deploy; `release` for a rollback to a named one; `settings` and `handover` for an
    adoption, `handover` for an ejection. `spares_streams`: refused where it would cut streams that linger."""

    root: str
    app: AppName
    operation: OperationId
    kind: OperationKind
    lead: str
    settings: Settings | None = None
    source: Source | None = None
    release: ReleaseNumber | None = None
    handover: Handover | None = None
    spares_streams: bool = False


def new_operation_id() -> OperationId:
    """48 random bits: unique among all operations, never ordered; order is the journal's sequence."""
    return OperationId(os.urandom(6).hex())


def write_order(order: Order, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(msgspec.json.encode(order))


def read_order(path: Path) -> Order:
    return msgspec.json.decode(path.read_bytes(), type=Order)
