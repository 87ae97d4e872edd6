"""Other people's text, made safe to show and to compare."""

from pathlib import Path


def escape_controls(line: str) -> str:
    """Control characters become visible: a log must not move somebody's cursor. Tabs stay."""
    return "".join(char if char.isprintable() or char == "\t" else repr(char)[1:-1] for char in line)


def flatten(text: str) -> str:
    """One line: every control character becomes a space."""
    return "".join(char if char.isprintable() else " " for char in text).strip()


def render_diff(path: Path, present: str, wanted: str) -> str:
    """A unified diff that patch(1) takes."""
    import difflib  # 10 ms, which only a difference is worth

    lines = difflib.unified_diff(present.splitlines(), wanted.splitlines(), f"{path}", f"{path}", lineterm="")
    return "\n".join(lines)
