"""The live view: five steps with their times, and the open window in place. Words above, state below."""

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
    WindowOpened,
    WindowSampled,
)
from celadon.model.names import Slot
from celadon.sinks.wording import describe, describe_event

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text

    from celadon.sinks.window import Window

_SHOWN = (Step.PREPARE, Step.VERIFY, Step.SWITCH, Step.OBSERVE, Step.FINALIZE)
_SIGNS = {"ok": "[green]✓[/]", "failed": "[red]✗[/]", "breach": "[red]✗[/]", "unseen": "[red]✗[/]"}

# Narrower than the narrowest usual terminal: one that is made smaller must not fold what is drawn already.
_WIDTH = 79
_PLOT_FROM_HEIGHT = 20


class LiveSink:
    """Needs a terminal. Starts drawing with the first event and leaves what it printed."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._live: Live | None = None
        self._steps: dict[Step, tuple[str, float]] = {}
        self._running: Step | None = None
        self._running_since = 0.0
        self._window: Window | None = None
        self._drain: DrainCounted | None = None
        self._candidate: Slot | None = None

    def take(self, entry: Entry) -> None:
        body = entry.body
        live = self._live = self._live or self._start()
        match body:
            case OperationStarted(candidate=candidate):
                self._candidate, self._steps, self._window, self._drain = candidate, {}, None, None
            case StepStarted(step=step):
                self._running, self._running_since = step, time.monotonic()
            case StepEnded(step=step, result=result, duration_s=duration_s):
                self._steps[step], self._running = (result, duration_s), None
            case WindowOpened():
                self._window = _open_window(body, candidate=self._candidate or Slot.GREEN)
            case WindowSampled() if self._window is not None:
                self._window.take(body)
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

    def _render(self) -> "Text":
        from rich.text import Text

        lines = [Text.from_markup(" ".join(self._render_step(step) for step in _SHOWN))]
        if self._window is not None and self._running in {Step.OBSERVE, Step.SWITCH}:
            lines += map(Text, self._render_window(self._window))
        if self._drain is not None and self._running in {Step.FINALIZE, Step.RETURN}:
            lines.append(Text(describe_event(self._drain) or ""))
        return Text("\n", no_wrap=True, overflow="crop").join(lines)

    def _render_window(self, window: "Window") -> list[str]:
        if self._live is None:
            return []
        size = self._live.console.size
        return window.render(width=min(size.width, _WIDTH), plots=size.height >= _PLOT_FROM_HEIGHT)

    def _render_step(self, step: Step) -> str:
        if step in self._steps:
            result, duration_s = self._steps[step]
            return f"{_SIGNS.get(result, '[yellow]–[/]')} {step} [dim]{duration_s:.1f}s[/]  "
        if step is self._running:
            return f"[bold cyan]▸ {step}[/] [dim]{time.monotonic() - self._running_since:.0f}s[/]  "
        return f"[dim]· {step}[/]  "


def _open_window(opened: WindowOpened, *, candidate: Slot) -> "Window":
    """Imported here: a rollback is under way before there is a window to draw."""
    from celadon.sinks.window import Window

    return Window(opened, candidate=candidate)
