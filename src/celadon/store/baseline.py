"""An app's baseline, in one file of its home: rewritten whole once a deploy, and none of the journal's business, which
must stay small and is never set aside."""

import contextlib

import msgspec

from celadon.host.files import write_atomic
from celadon.host.layout import Layout
from celadon.model.baseline import Baseline

BYTES_MAX = 64 * 1024 * 1024


def read_baseline(layout: Layout) -> Baseline | None:
    """None where there is none yet. A damaged file, or one over BYTES_MAX, is renamed to `….damaged`, in the place of
    an earlier one."""
    path = layout.baseline
    try:
        with path.open("rb") as stream:
            return msgspec.json.decode(stream.read(BYTES_MAX + 1), type=Baseline)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        with contextlib.suppress(OSError):
            path.rename(path.with_name(f"{path.name}.damaged"))
    except OSError:
        pass
    return None


def write_baseline(layout: Layout, baseline: Baseline) -> None:
    """Raises OSError, as on a full disk; what was kept before is then still whole."""
    write_atomic(layout.baseline, msgspec.json.encode(baseline))
