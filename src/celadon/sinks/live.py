"""The live view: five steps with their times, and the window's figures in place. Words above, state below."""

import os
import time
from typing import TextIO

from celadon.events import Entry, OperationEnded, OperationStarted, Step, StepEnded, StepStarted, WindowSampled
from celadon.model.names import Slot
from celadon.sinks.wording import describe

_SHOWN = (Step.PREPARE, Step.VERIFY, Step.SWITCH, Step.OBSERVE, Step.FINALIZE)
_SIGNS = {"ok": "[green]✓[/]", "failed": "[red]✗[/]", "breach": "[red]✗[/]", "unseen": "[red]✗[/]"}


class LiveSink:
    """Needs a terminal. Starts drawing with the first event and leaves what it printed."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.live import Live

        self._drawing = False
        self._steps: dict[Step, tuple[str, float]] = {}
        self._running: Step | None = None
        self._running_since = 0.0
        self._sample: WindowSampled | None = None
        self._candidate: Slot | None = None
        self._console = Console(file=stream, highlight=False, no_color="NO_COLOR" in os.environ)
        self._live = Live(console=self._console, get_renderable=self._render, refresh_per_second=8, transient=True)

    def take(self, entry: Entry) -> None:
        body = entry.body
        if not self._drawing:
            self._live.start()
            self._drawing = True
        match body:
            case OperationStarted(candidate=candidate):
                self._candidate = candidate
            case StepStarted(step=step):
                self._running, self._running_since = step, time.monotonic()
            case StepEnded(step=step, result=result, duration_s=duration_s):
                self._steps[step], self._running = (result, duration_s), None
            case WindowSampled():
                self._sample = body
                return
            case OperationEnded():
                self.close()
            case _:
                pass
        text = describe(entry)
        if text is not None and not isinstance(body, StepStarted):
            self._console.print(text, markup=False)

    def close(self) -> None:
        if self._drawing:
            self._live.stop()
            self._drawing = False

    def _render(self) -> str:
        lines = [" ".join(self._render_step(step) for step in _SHOWN)]
        if self._sample is not None and self._running is Step.OBSERVE:
            lines += self._render_sample(self._sample)
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
        counted = f"{evidence.failed_count} failed  {seen}"
        return [
            f"  {candidate}  {sample.candidate_requests_per_s:8.1f} requests/s  {counted}",
            f"  {candidate.other}  {sample.old_requests_per_s:8.1f} requests/s  [dim]hot[/]",
            f"  [dim]{sample.elapsed_s:.0f} of {sample.window_s:g} s[/]",
        ]
