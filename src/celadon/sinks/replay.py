"""Words for `celadon replay`: a row a window, and what it comes to."""

import time

from celadon.model.replay import Replay, ReplayedWindow
from celadon.model.verdict import Judgement

_ROWS_LIMIT = 60
_COLUMNS = f"{'began':19}  {'requests':>8}  {'5xx':>7}  {'bad units':>13}  {'tolerated':>9}  {'evidence':>8}  verdict"
_UNKNOWN = "* nothing was known of the time before it"
_NO_CONTROL = (
    "A log has no old slot beside it: one that always answers was put in its place. In a deploy the real one must do "
    "so too before evidence brings a release back."
)


def render_replay(replayed: Replay) -> str:
    """All windows where they are few, else those that matter."""
    windows = replayed.windows
    shown = windows if len(windows) <= _ROWS_LIMIT else [window for window in windows if window.goes_back]
    lines = [_COLUMNS, *map(_render_row, shown[:_ROWS_LIMIT])]
    if len(shown) < len(windows) or len(shown) > _ROWS_LIMIT:
        lines.append(f"… {len(windows) - len(shown[:_ROWS_LIMIT])} more windows")
    if any(window.baseline_rate is None for window in shown):
        lines.append(_UNKNOWN)
    return "\n".join([*lines, "", summarise(replayed), _NO_CONTROL])


def summarise(replayed: Replay) -> str:
    windows = replayed.windows
    count, back_count = len(windows), replayed.went_back_count
    healthy_count = sum(window.judgement is Judgement.HEALTHY for window in windows)
    requests_count = sum(window.requests_count for window in windows)
    read = f"{requests_count} requests in {replayed.format} format"
    unread = f", {replayed.unread_count} other lines" if replayed.unread_count else ""
    back = f"in {back_count} of {count} windows of {replayed.window_s:g} s the rule would have gone back"
    return f"{read}{unread}: {back} ({back_count / count:.1%}), {healthy_count} were healthy"


def _render_row(window: ReplayedWindow) -> str:
    began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(window.began_at))
    rate = window.failed_count / window.requests_count if window.requests_count else 0.0
    units = f"{window.bad_units_count} of {window.units_count}"
    tolerated = f"{window.tolerated_rate:.2%}" + ("" if window.baseline_rate is not None else "*")
    evidence = max(window.error_evidence, window.latency_evidence)
    verdict = f"back by {window.rule}" if window.goes_back else window.judgement.value
    return f"{began}  {window.requests_count:8}  {rate:7.2%}  {units:>13}  {tolerated:>9}  {evidence:8.3g}  {verdict}"
