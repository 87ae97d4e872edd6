"""Asking in a thread of its own: a slot that hangs must not hold up whoever watches the other one."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from threading import Event, Thread

from celadon.model.observed import Answer

_KEPT_COUNT = 10_000
_TIMES_AS_OFTEN = 4


class ThreadAsking:
    """Implements contracts.asking.Asking. Every `interval_s`, or as soon as a slower answer is there; in a hurry at
    once, and four times as often from then on."""

    def __init__(self, ask: Callable[[], Answer], *, interval_s: float) -> None:
        self._ask_once = ask
        self._interval_s = self._usual_s = interval_s
        self._answers: deque[Answer] = deque(maxlen=_KEPT_COUNT)
        self._is_closed = False
        self._woken = Event()
        Thread(target=self._ask, name="asking", daemon=True).start()

    def take(self) -> Sequence[Answer]:
        return [self._answers.popleft() for _ in range(len(self._answers))]

    def hurry(self) -> None:
        if self._interval_s == self._usual_s:
            self._interval_s = self._usual_s / _TIMES_AS_OFTEN
            self._woken.set()

    def close(self) -> None:
        self._is_closed = True
        self._woken.set()

    def _ask(self) -> None:
        while not self._is_closed:
            began_s = time.monotonic()
            self._answers.append(self._ask_once())
            self._woken.wait(max(0.0, began_s + self._interval_s - time.monotonic()))
            self._woken.clear()
