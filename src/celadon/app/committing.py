"""From changes that are written down to commits.

A git that is missing, a full disk or a damaged repository must not fail what it only tells about: the problem is kept
in words, told by the next check, and made up for by the next commit.
"""

from collections.abc import Sequence

from celadon.host.git_repository import (
    Commit,
    GitRepository,
    RepositoryDamaged,
    RepositoryError,
    find_git,
)
from celadon.host.layout import Layout
from celadon.host.proxy_changes import having_turn, read_problem, read_waiting, settle_changes, write_problem
from celadon.host.text import flatten
from celadon.model.change import Change
from celadon.model.observed import Finding, warning

CHANGE = "Change"


def commit_waiting(layout: Layout) -> str:
    """Wait for whoever commits, then commit what is left. Why it could not be, in words; empty when it could."""
    if not layout.proxy_changes.exists():
        return ""
    with having_turn(layout):
        return commit(layout)


def check_repository(layout: Layout) -> Sequence[Finding]:
    """Warnings: nothing of this refuses a deploy."""
    if not find_git():
        text = "git is not installed: changes of the proxy's files are kept, but `celadon proxy log` cannot show them"
        return [warning("proxy log", text, fix="apt install git")]
    problem = read_problem(layout)
    return [warning("proxy log", problem, fix=f"git -C {layout.proxy_repository} fsck")] if problem else []


def commit(layout: Layout) -> str:
    """As `commit_waiting`, by whoever has the turn."""
    waiting = read_waiting(layout)
    if not waiting:
        return read_problem(layout)
    try:
        problem = _append(layout, [change for _, change in waiting])
        settle_changes(layout, [path for path, _ in waiting])
    except (RepositoryError, OSError) as error:
        problem = f"the last change of the proxy's files could not be committed: {flatten(str(error))}"
    write_problem(layout, problem)
    return problem


def _append(layout: Layout, changes: Sequence[Change]) -> str:
    """What is worth telling. Raises RepositoryError and OSError."""
    repository = GitRepository(layout.proxy_repository)
    try:
        repository.ensure()
        _append_missing(repository, changes)
    except RepositoryDamaged as error:
        aside = repository.set_aside()
        repository.ensure()
        _append_missing(repository, changes)
        return f"the repository of the proxy's files was damaged ({flatten(str(error))}); it is kept as {aside}"
    return ""


def _append_missing(repository: GitRepository, changes: Sequence[Change]) -> None:
    """Those that a death after the commit left on the list are in it already."""
    tip = repository.read_tip()
    done = next((n for n, change in enumerate(changes, start=1) if f"\n{CHANGE}: {change.id}\n" in tip), 0)
    if changes[done:]:
        repository.append([_render(change) for change in changes[done:]])


def _render(change: Change) -> Commit:
    trailers = {
        "Release": change.release,
        "Lead": flatten(change.lead),
        "Operation": change.operation,
        "Reason": flatten(change.reason),
        CHANGE: change.id,
    }
    told = "".join(f"{name}: {value}\n" for name, value in trailers.items() if value)
    return Commit(
        author=change.lead,
        at=change.at,
        message=f"{flatten(change.subject)}\n\n{told}",
        files={"route": f"{change.route}\n".encode()} | {path.lstrip("/"): text for path, text in change.files.items()},
    )
