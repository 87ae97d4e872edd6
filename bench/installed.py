"""What a user's installation holds: celadon and the packages that it needs, without those of its tests.

One of the latter, typing_extensions, costs every start some 10 ms where it is there, since msgspec then imports it.
"""

import re
from importlib.metadata import distribution
from pathlib import Path

import celadon


def link_installed(directory: Path) -> Path:
    """Links to every package that celadon needs, in `directory`: a PYTHONPATH for `python -S`."""
    (directory / "celadon").symlink_to(Path(celadon.__path__[0]))
    for name in _find_needed("celadon"):
        for top in {file.parts[0] for file in distribution(name).files or () if file.suffix in {".py", ".so"}}:
            link = directory / top
            if not top.startswith("..") and not link.exists():
                link.symlink_to(Path(str(distribution(name).locate_file(top))))
    return directory


def _find_needed(name: str) -> set[str]:
    """By name, through all of them; extras and other platforms left out."""
    found: set[str] = set()
    for requirement in distribution(name).requires or ():
        needed = re.split(r"[\s<>=!~;\[(]", requirement, maxsplit=1)[0]
        if ";" not in requirement and needed not in found:
            found |= {needed, *_find_needed(needed)}
    return found
