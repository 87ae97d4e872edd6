"""Journeys in a file of their own: the same form as in celadon.toml, and nothing else."""

from pathlib import Path

from celadon.config.document import Document, show_path
from celadon.config.journeys import read_journeys
from celadon.config.mistakes import ConfigErrors, Mistake
from celadon.config.parse import ListedMistakes
from celadon.model.journeys import Journey

_KEY = "journeys"


def read_journeys_file(path: Path) -> tuple[tuple[Journey, ...], bytes]:
    """The journeys, and the file as it is: both belong to the release. Raises ConfigErrors, whose places are in this
    file; OSError when it cannot be read."""
    document = Document(path, path.read_bytes())
    unknown = (name for name in document.tables if name != _KEY)
    mistakes = [document.mistake((name,), f"`{name}` is not a setting here; expected [[journeys]]") for name in unknown]
    try:
        journeys = read_journeys(document.tables.get(_KEY, []))
    except ListedMistakes as error:
        raise ConfigErrors((*mistakes, *(_place(document, *each) for each in error.mistakes))) from error
    if mistakes:
        raise ConfigErrors(tuple(mistakes))
    return journeys, document.raw


def _place(document: Document, below: tuple[str | int, ...], what: str) -> Mistake:
    path = (_KEY, *below)
    return document.mistake(path, f"`{show_path(path)}` {what}")
