"""A release of what ran before us: no tree, nothing built, a manifest that says so."""

import time

import msgspec

from celadon.drivers.releases.digest import digest_of, digest_text
from celadon.host.files import sync_directory, write_atomic
from celadon.host.layout import PARTIAL, Layout
from celadon.model.names import ReleaseNumber
from celadon.model.release import Manifest, Source, SourceKind
from celadon.model.settings import Settings


def keep_adopted(layout: Layout, number: ReleaseNumber, *, settings: Settings, unit: str, lead: str) -> None:
    """Durable and whole, or not there. Idempotent: one that stands already stays."""
    final = layout.release(number)
    if final.exists():
        return
    partial = final.with_name(final.name + PARTIAL)
    (partial / "tree").mkdir(parents=True, exist_ok=True)
    write_atomic(partial / "env", "", mode=0o600)
    write_atomic(partial / "files.json", msgspec.json.encode({}))
    manifest = Manifest(
        app=settings.app,
        number=number,
        source=Source(kind=SourceKind.ADOPTED, location=unit),
        tree_digest=digest_of({}),
        env_digest=digest_text(b""),
        config_digest=digest_text(msgspec.json.encode(settings)),
        built_at=time.time(),
        built_by=lead,
        build_s=0.0,
        settings=settings,
    )
    write_atomic(partial / "manifest.json", msgspec.json.encode(manifest), mode=0o600)
    partial.rename(final)
    sync_directory(final.parent)
