"""Other people's text made safe to show."""


def escape_controls(line: str) -> str:
    """Control characters become visible: a log must not move somebody's cursor. Tabs stay."""
    return "".join(char if char.isprintable() or char == "\t" else repr(char)[1:-1] for char in line)


def flatten(text: str) -> str:
    """One line: every control character becomes a space."""
    return "".join(char if char.isprintable() else " " for char in text).strip()
