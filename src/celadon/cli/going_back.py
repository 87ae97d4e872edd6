"""What `celadon rollback` does, and its plain forms read without click, whose import is a sixth of the way back.

Whatever else there is, help and mistakes among it, is click's: tests/unit/test_going_back.py holds the two to one
meaning.
"""

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from celadon.cli.context import CONFIG, layout_for, make_sinks
from celadon.model.errors import UsageError
from celadon.model.names import ReleaseNumber, parse_release_label

_VALUES = {"-c": "config", "--config": "config", "--app": "app_name", "--lead": "lead"}
_FLAGS = {"--json": "as_json", "-q": "quiet", "--quiet": "quiet", "-y": "yes", "--yes": "yes"}


class RollbackWords(Struct, frozen=True, kw_only=True):
    """As typed. `yes` changes nothing: a rollback never asks."""

    release: str | None = None
    config: Path = CONFIG
    app_name: str | None = None
    as_json: bool = False
    quiet: bool = False
    lead: str | None = None
    yes: bool = False


def read_plain(arguments: Sequence[str]) -> RollbackWords | None:
    """None: not a rollback, or not in plain words."""
    if arguments[:1] != ["rollback"]:
        return None
    found: dict[str, str | bool] = {}
    words = iter(arguments[1:])
    for word in words:
        value = next(words, "-") if word in _VALUES else word
        if word in _FLAGS:
            found[_FLAGS[word]] = True
        elif not value or value.startswith("-") or (word not in _VALUES and "release" in found):
            return None
        else:
            found[_VALUES.get(word, "release")] = value
    config = Path(str(found.pop("config", CONFIG)))
    return RollbackWords(config=config, **found)  # type: ignore[arg-type]


def go_back(words: RollbackWords) -> int:
    """The exit code. A running deploy is asked to go back first; blessed meanwhile, it is rolled back as any other.
    What a restart goes back to is the same release, so that the way goes on from there."""
    from celadon.app.verbs import ask_deploy_back, find_lead, order_of
    from celadon.cli.exit_codes import exit_code_of
    from celadon.cli.performing import detachable, follow, perform_order
    from celadon.model.plan import OperationKind, Outcome

    layout, who = layout_for(words.config, words.app_name), find_lead(words.lead)
    number = _read_release(words.release)
    sinks = make_sinks(as_json=words.as_json, quiet=words.quiet)
    running = ask_deploy_back(layout, by=who) if number is None else None
    if running is not None:
        operation, kind = running
        with detachable(layout, sinks):
            outcome = follow(layout, operation, sinks, lead=who)
        is_back = outcome in {Outcome.ROLLED_BACK, Outcome.REJECTED}
        if is_back and kind is OperationKind.DEPLOY:
            return 0
        if not is_back and outcome not in {Outcome.DONE, Outcome.UNBLESSED}:
            return exit_code_of(outcome, OperationKind.ROLLBACK)
    return perform_order(layout, order_of(layout, OperationKind.ROLLBACK, lead=who, release=number), sinks)


def _read_release(text: str | None) -> ReleaseNumber | None:
    try:
        return parse_release_label(text) if text is not None else None
    except ValueError as error:
        raise UsageError(
            f"{error}; nothing was changed", code="release_label", next_command="celadon releases"
        ) from error
