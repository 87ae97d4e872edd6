"""Looking for a user's regular expression in a body that an app has sent, in a bounded time.

A pattern that backtracks takes as long as it likes (`(a+)+$` over 26 characters: 9 s, over 30: two minutes), and
Python's `re` lets no other thread run meanwhile: not the one that watches the window, nor one with a deadline. No bound
on the text helps, and no short look at a pattern tells the bad ones from the good. So it runs in a process of its own,
which is ended in time. That costs some 20 ms of CPU a search.
"""

import sys

from celadon.drivers.journeys.texts import NothingCapturedError
from celadon.host.commands import run_command

LIMIT_S = 1.0

_VALUE_LIMIT_CHARACTERS = 65_536
# Text passes as hexadecimal digits, so that no locale matters.
_CODE = f"""
import re, sys
found = re.search(bytes.fromhex(sys.argv[1]).decode(), bytes.fromhex(sys.stdin.read()).decode())
if found is None:
    sys.exit(3)
value = (found.group(1) or "") if found.re.groups else found.group()
sys.stdout.write(value[:{_VALUE_LIMIT_CHARACTERS}].encode().hex())
"""
_NOTHING_FOUND = 3
_TIMED_OUT = 124


def search_body(pattern: str, text: str, *, timeout_s: float) -> str:
    """The first group, or the whole match where there is none, cut at 64 Ki characters. Blocks at most LIMIT_S and at
    most `timeout_s`. Raises NothingCapturedError."""
    limit_s = max(0.001, min(LIMIT_S, timeout_s))
    argv = [sys.executable, "-I", "-S", "-c", _CODE, pattern.encode().hex()]
    done = run_command(argv, timeout_s=limit_s, env={}, stdin=text.encode().hex())
    match done.exit_code:
        case 0:
            return bytes.fromhex(done.stdout).decode()
        case code if code == _NOTHING_FOUND:
            raise NothingCapturedError(f"the body does not match {pattern!r}")
        case code if code == _TIMED_OUT:
            raise NothingCapturedError(f"looking for {pattern!r} in the body was not over after {limit_s:.1g} s")
        case code:
            raise NothingCapturedError(f"looking for {pattern!r} in the body ended with {code}")
