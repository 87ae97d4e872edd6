"""The one tree of errors, its branches named by what the operator does next.

Each says what failed with its values; where traffic goes is added at the edge by whoever can look.
Rejected and rolled back are results of a deploy, not errors.
"""


class CeladonError(Exception):
    """`code` is stable and documented; `next_command` is what to type now."""

    exit_code = 1

    def __init__(self, what: str, *, code: str, next_command: str) -> None:
        super().__init__(what)
        self.what = what
        self.code = code
        self.next_command = next_command


class UsageError(CeladonError):
    """The command line or celadon.toml is wrong: correct it."""

    exit_code = 2


class BusyError(CeladonError):
    """Another operation holds the app's lock: wait, attach or abort it."""

    exit_code = 12


class RefusedError(CeladonError):
    """A check before the first effect said no: nothing was touched; mend what it names."""

    exit_code = 13


class NeedsPersonError(CeladonError):
    """Celadon will not guess further: a person looks and types the command."""

    exit_code = 20


class StepError(CeladonError):
    """A driver could not do its part of a step. The engine turns it into the step's result;
    `effect` tells what is known of the outside world."""

    exit_code = 10


class JournalError(CeladonError):
    """The journal could not be read or written."""

    exit_code = 20
