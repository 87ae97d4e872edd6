"""The open window as a few lines: how long, what each slot answers, the evidence on its way to the threshold. Pure."""

from celadon.events import WindowOpened, WindowSampled
from celadon.model.names import Slot
from celadon.model.observed import WHOLE, Served
from celadon.model.report import Moment, make_moment
from celadon.model.verdict import Evidence
from celadon.sinks.phrases import describe_routes, describe_weight
from celadon.sinks.plot import plot, trace_evidence, trace_failures

_INDENT = "  "
_HEAD = f"{_INDENT}{'':8}  requests/s  failed       p95  failed in all  we asked"
_FULL, _EMPTY = "█", "░"


class Window:
    """Of each sample so far it keeps a point of the curve."""

    def __init__(self, opened: WindowOpened, *, candidate: Slot) -> None:
        self._opened = opened
        self._candidate = candidate
        self._moments: list[Moment] = []
        self._sample: WindowSampled | None = None

    def take(self, sample: WindowSampled) -> None:
        self._sample = sample
        self._moments.append(make_moment(sample.evidence, elapsed_s=sample.elapsed_s))

    def render(self, *, width: int, plots: bool) -> list[str]:
        """Empty before the first sample. `width` is that of the terminal; what is longer is cut off."""
        sample = self._sample
        if sample is None:
            return []
        lines = [
            self._render_bar(sample, width=width),
            _HEAD,
            self._render_candidate(sample),
            self._render_old(sample),
            *_render_evidence(sample.evidence, self._opened),
        ]
        if plots:
            lines += self._plot(sample, width=width - len(_INDENT))
        return [line[:width].rstrip() for line in lines]

    def _render_bar(self, sample: WindowSampled, *, width: int) -> str:
        percent = sample.evidence.percent
        share = f", {percent} % of the traffic" if percent < WHOLE else ""
        text = f"  {sample.elapsed_s:.0f} of {sample.window_s:g} s{share}"
        head = f"{_INDENT}{'window':8}  "
        columns = max(width - len(head) - len(text), 0)
        full = min(int(columns * sample.elapsed_s / sample.window_s), columns) if sample.window_s else columns
        return head + _FULL * full + _EMPTY * (columns - full) + text

    def _render_candidate(self, sample: WindowSampled) -> str:
        evidence = sample.evidence
        asked = _render_asked(sample.candidate, evidence.probes_count, evidence.probes_failed_count)
        counted = f"{evidence.failed_count} of {evidence.requests_count}"
        served = _render_served(sample.candidate, sample.candidate_requests_per_s)
        return f"{_INDENT}{self._candidate:8}  {served}  {counted:>13}  {asked}"

    def _render_old(self, sample: WindowSampled) -> str:
        """While a share is held its visitors are the control too."""
        evidence = sample.evidence
        asked = _render_asked(sample.old, evidence.control_count, evidence.control_failed_count)
        asked = f"control {asked}" if evidence.percent < WHOLE else asked
        served = _render_served(sample.old, sample.old_requests_per_s)
        return f"{_INDENT}{self._candidate.other:8}  {served}  {sample.old_failed_count:>13}  {asked}"

    def _plot(self, sample: WindowSampled, *, width: int) -> list[str]:
        if sample.evidence.error_evidence_asked:
            curve = trace_evidence(self._moments, asked=sample.evidence)
        else:
            curve = trace_failures(self._moments, max_error_rate=self._opened.max_error_rate or 1.0)
        return [f"{_INDENT}{line}" for line in plot(curve, span_s=sample.window_s, width=width)]


def _render_evidence(evidence: Evidence, opened: WindowOpened) -> list[str]:
    """What a rollback asks for, and how much of it there is."""
    lines = []
    if evidence.error_evidence_asked:
        parts = (
            ("errors", evidence.error_evidence, evidence.error_evidence_asked),
            ("slowness", evidence.latency_evidence, evidence.latency_evidence_asked),
            ("control", evidence.control_evidence, evidence.control_evidence_asked),
        )
        told = "   ".join(f"{name} {describe_weight(value)} of {asked:g}" for name, value, asked in parts)
        lines.append(f"{_INDENT}evidence  {told}")
    elif opened.max_error_rate is not None:
        limit = f"{opened.max_error_rate:.1%} of at least {opened.min_requests_count} requests"
        lines.append(f"{_INDENT}limit     {limit} may fail")
    if evidence.journeys_count:
        lines.append(f"{_INDENT}journeys  {evidence.journeys_failed_count} of {evidence.journeys_count} failed")
    if evidence.failing_routes:
        lines.append(f"{_INDENT}failing   {describe_routes(evidence.failing_routes)}")
    return lines


def _render_served(served: Served | None, requests_per_s: float) -> str:
    share = p95 = "–"
    if served is not None and served.requests_count:
        share = f"{served.failed_count / served.requests_count:.1%}"
    if served is not None and served.p95_ms is not None:
        p95 = f"{served.p95_ms:.0f} ms"
    return f"{requests_per_s:10.1f}  {share:>6}  {p95:>8}"


def _render_asked(served: Served | None, count: int, failed_count: int) -> str:
    if not count:
        return "nothing"
    p95 = f", {served.probe_p95_ms:.0f} ms" if served is not None and served.probe_p95_ms is not None else ""
    return f"{count}, {failed_count} failed{p95}"
