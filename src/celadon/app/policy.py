"""What is asked of a deploy by policy, not by the machine."""

from collections.abc import Sequence

from celadon.model.observed import Finding, problem
from celadon.model.settings import ObserveSettings, Settings

_LINES = """[observe]
max_error_rate = "1%"    # of the requests; more brings the old release back
max_p95 = "1s"           # slower for one request in twenty brings it back too"""


def check_policy(settings: Settings) -> Sequence[Finding]:
    """Nobody but the owner knows what is too bad for the site, so that somebody has to say it."""
    observe = settings.observe
    if not observe.require_thresholds or _has_threshold(observe):
        return ()
    text = "no threshold says what is too bad for this site: max_error_rate, max_p95, max_p99 or slo"
    return (problem("observe", text, fix=_LINES),)


def _has_threshold(observe: ObserveSettings) -> bool:
    thresholds = (observe.max_error_rate, observe.max_p95_s, observe.max_p99_s, observe.slo)
    return any(threshold is not None for threshold in thresholds)
