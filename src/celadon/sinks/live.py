"""The live view: five steps with their times, and the window's figures in place. Words above, state below."""

import os
import time
from typing import TYPE_CHECKING, TextIO

from celadon.events import (
    DrainCounted,
    Entry,
    OperationEnded,
    OperationStarted,
    Step,
    StepEnded,
    StepStarted,
    WindowSampled,
)
from celadon.model.names import Slot
from celadon.sinks.wording import describe, describe_event

if TYPE_CHECKING:
    from rich.live import Live

_SHOWN = (Step.PREPARE, Step.VERIFY, Step.SWITCH, Step.OBSERVE, Step.FINALIZE)
_SIGNS = {"ok": "[green]✓[/]", "failed": "[red]✗[/]", "breach": "[red]✗[/]", "unseen": "[red]✗[/]"}


class LiveSink:
    """Needs a terminal. Starts drawing with the first event and leaves what it printed."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._live: Live | None = None
        self._steps: dict[Step, tuple[str, float]] = {}
        self._running: Step | None = None
        self._running_since = 0.0
        self._sample: WindowSampled | None = None
        self._drain: DrainCounted | None = None
        self._candidate: Slot | None = None

    def take(self, entry: Entry) -> None:
        body = entry.body
        live = self._live = self._live or self._start()
        match body:
            case OperationStarted(candidate=candidate):
                self._candidate, self._steps, self._sample, self._drain = candidate, {}, None, None
            case StepStarted(step=step):
                self._running, self._running_since = step, time.monotonic()
            case StepEnded(step=step, result=result, duration_s=duration_s):
                self._steps[step], self._running = (result, duration_s), None
            case WindowSampled():
                self._sample = body
                return
            case DrainCounted():
                self._drain = body
                return
            case OperationEnded():
                self.close()
            case _:
                pass
        text = describe(entry)
        if text is not None and not isinstance(body, StepStarted):
            live.console.print(text, markup=False)

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _start(self) -> "Live":
        """rich is imported here, when the operation is under way: 70 ms that nobody waits for."""
        from rich.console import Console
        from rich.live import Live

        console = Console(file=self._stream, highlight=False, no_color="NO_COLOR" in os.environ)
        live = Live(console=console, get_renderable=self._render, refresh_per_second=8, transient=True)
        live.start()
        return live

    def _render(self) -> str:
        lines = [" ".join(self._render_step(step) for step in _SHOWN)]
        if self._sample is not None and self._running in {Step.OBSERVE, Step.SWITCH}:
            lines += self._render_sample(self._sample)
        if self._drain is not None and self._running in {Step.FINALIZE, Step.RETURN}:
            lines += [describe_event(self._drain) or ""]
        return "\n".join(lines)

    def _render_step(self, step: Step) -> str:
        if step in self._steps:
            result, duration_s = self._steps[step]
            return f"{_SIGNS.get(result, '[yellow]–[/]')} {step} [dim]{duration_s:.1f}s[/]  "
        if step is self._running:
            return f"[bold cyan]▸ {step}[/] [dim]{time.monotonic() - self._running_since:.0f}s[/]  "
        return f"[dim]· {step}[/]  "

    def _render_sample(self, sample: WindowSampled) -> list[str]:
        candidate = self._candidate or Slot.GREEN
        evidence = sample.evidence
        seen = f"[dim]{evidence.requests_count} requests, {evidence.probes_count} probes[/]"
        rates = {candidate: sample.candidate_requests_per_s, candidate.other: sample.old_requests_per_s}
        new, old = (f"  {slot:5}  {rate:8.1f} requests/s" for slot, rate in rates.items())
        hot = "hot" if evidence.percent == 100 else f"{100 - evidence.percent} % of the traffic"
        return [
            f"{new}  {evidence.failed_count} failed  {seen}",
            f"{old}  {sample.old_failed_count} failed  [dim]{hot}[/]",
            f"  [dim]{sample.elapsed_s:.0f} of {sample.window_s:g} s[/]",
        ]
