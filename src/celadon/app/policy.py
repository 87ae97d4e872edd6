"""What is asked of a deploy by policy, not by the machine."""

import stat
from collections.abc import Sequence
from math import ceil
from pathlib import Path

from celadon.host.layout import Layout
from celadon.model.baseline import Learned
from celadon.model.observed import Finding, problem, warning
from celadon.model.settings import ObserveSettings, Settings

_TIMES_THE_USUAL = 2
_LEAST_RATE = 0.01
_STEP_MS = 100


def check_policy(layout: Layout, settings: Settings) -> Sequence[Finding]:
    return (*_check_thresholds(layout, settings), *_check_secrets(settings))


def _check_thresholds(layout: Layout, settings: Settings) -> Sequence[Finding]:
    """Nobody but the owner knows what is too bad for the site, so that somebody has to say it."""
    observe = settings.observe
    if not observe.require_thresholds or _has_threshold(observe):
        return ()
    text = "no threshold says what is too bad for this site: max_error_rate, max_p95, max_p99 or slo"
    return (problem("observe", text, fix=suggest_thresholds(_recall(layout, observe))),)


def _check_secrets(settings: Settings) -> Sequence[Finding]:
    path = settings.web.env_file
    if path is None:
        return ()
    try:
        mode = Path(path).stat().st_mode
    except OSError as error:
        return (problem("web.env_file", f"{path}: {error.strerror}"),)
    if not mode & stat.S_IROTH:
        return ()
    return (warning("web.env_file", f"{path} can be read by every user of this machine", fix=f"chmod 600 {path}"),)


def suggest_thresholds(learned: Learned) -> str:
    """Lines for celadon.toml: twice of what was usual, where that is known."""
    from celadon.observe.baseline import find_shown_bound

    rate_bound, p95_ms = learned.rate_bound, learned.p95_ms
    shown_bound = find_shown_bound(learned.bad_units_count, learned.units_count) if learned.units_count else 0.0
    rate = max(_LEAST_RATE, _TIMES_THE_USUAL * shown_bound)
    limit_ms = 1000 if p95_ms is None else _STEP_MS * ceil(_TIMES_THE_USUAL * p95_ms / _STEP_MS)
    was_rate = f", usual here: under {rate_bound:.2%}" if rate_bound is not None else ""
    was_p95 = f", usual here: {p95_ms:.0f} ms" if p95_ms is not None else ""
    return (
        "[observe]\n"
        f'max_error_rate = "{ceil(rate * 200) / 2:g}%"    # more brings the old release back{was_rate}\n'
        f'max_p95 = "{limit_ms}ms"        # slower for one request in twenty brings it back too{was_p95}'
    )


def _recall(layout: Layout, observe: ObserveSettings) -> Learned:
    from celadon.app.baseline import summarise
    from celadon.store.baseline import read_baseline

    kept = read_baseline(layout)
    return summarise(kept, observe) if kept is not None else Learned()


def _has_threshold(observe: ObserveSettings) -> bool:
    thresholds = (observe.max_error_rate, observe.max_p95_s, observe.max_p99_s, observe.slo)
    return any(threshold is not None for threshold in thresholds)
