"""What is wrong with a celadon.toml, each with its place."""

from msgspec import Struct

from celadon.model.errors import UsageError


class Mistake(Struct, frozen=True, kw_only=True):
    """`near` is the nearest valid key, where one is near."""

    file: str
    line: int
    column: int
    key: str
    what: str
    near: str | None = None

    def __str__(self) -> str:
        near = f" Did you mean `{self.near}`?" if self.near else ""
        return f"{self.file}:{self.line}:{self.column}: {self.what}{near}"


class ConfigErrors(UsageError):
    """Every mistake of one file, in the order in which they stand there."""

    def __init__(self, mistakes: tuple[Mistake, ...]) -> None:
        super().__init__("\n".join(map(str, mistakes)), code="config_invalid", next_command="celadon config")
        self.mistakes = mistakes

    def __str__(self) -> str:
        count = len(self.mistakes)
        head = "one mistake" if count == 1 else f"{count} mistakes"
        return f"{head} in the configuration:\n{self.what}"
