"""Why a process ended, in words that every runner says alike. Pure."""

from signal import SIGKILL
from typing import Final

KILLED_FOR_MEMORY: Final = "killed by the kernel: out of memory"


def describe_signal(number: int) -> str:
    """Of a process that was not being stopped: whoever sent it, it was not this program."""
    if number == SIGKILL:
        return f"killed by signal {number}, which celadon did not send"
    return f"ended by signal {number}"
