"""How what an engine keeps is known to be ours: labels, each compared as a whole. Names are for people."""

from typing import Final

APP: Final = "celadon.app"
PROCESS: Final = "celadon.process"
SLOT: Final = "celadon.slot"
RELEASE: Final = "celadon.release"
BESIDE: Final = "celadon.beside"
"""Of a container that runs with a slot's web process, in place of PROCESS: its service."""
SHARED: Final = "celadon.shared"
"""Of a container that both slots use: its service. It has no SLOT."""
DEFINITION: Final = "celadon.definition"
"""Of a shared one: what it was started by."""
