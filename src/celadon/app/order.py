"""What a person asked for, as handed to the process that does it."""

import os
from pathlib import Path

import msgspec
from msgspec import Struct

from celadon.model.names import AppName, OperationId, ReleaseNumber
from celadon.model.plan import OperationKind
from celadon.model.release import Source
from celadon.model.settings import Settings


class Order(Struct, frozen=True, kw_only=True):
    """`settings` and `source` for a deploy; `release` for a rollback to a named one."""

    root: str
    app: AppName
    operation: OperationId
    kind: OperationKind
    lead: str
    settings: Settings | None = None
    source: Source | None = None
    release: ReleaseNumber | None = None


def new_operation_id() -> OperationId:
    """48 random bits: unique among all operations, never ordered; order is the journal's sequence."""
    return OperationId(os.urandom(6).hex())


def write_order(order: Order, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.encode(order))


def read_order(path: Path) -> Order:
    return msgspec.json.decode(path.read_bytes(), type=Order)
