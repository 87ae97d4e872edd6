"""What stands in the way of a deploy before its first effect."""

from collections.abc import Sequence

from celadon.app.committing import check_repository
from celadon.app.lingering import observe_lingering
from celadon.app.policy import check_policy
from celadon.app.room import check_room
from celadon.contracts.journal import Journal
from celadon.deploy.ledger import Ledger
from celadon.deploy.run import Ports
from celadon.events import CheckFound
from celadon.host.layout import Layout
from celadon.host.pointer import read_pointer
from celadon.model.errors import RefusedError, StepError
from celadon.model.observed import Finding, FindingLevel, problem, warning
from celadon.model.release import SourceKind
from celadon.model.settings import Settings, Strategy
from celadon.sinks.phrases import describe_lingering


def refuse_when_unblessed(ledger: Ledger) -> None:
    open_deploy = ledger.unblessed
    if open_deploy is not None and open_deploy.live is not None:
        raise RefusedError(
            f"r{open_deploy.release} is live but not blessed, its predecessor still hot",
            code="unblessed",
            next_command="celadon finalize  # or: celadon rollback",
        )


def refuse_when_lingering(layout: Layout, ledger: Ledger) -> None:
    """Nobody would be left to end it."""
    lingering = ledger.lingering
    if lingering is not None:
        raise RefusedError(
            f"{lingering.slot} of {layout.app} still lives on for its streams",
            code="streams_linger",
            next_command="celadon finalize",
        )


def refuse_to_cut(layout: Layout, settings: Settings, ports: Ports, *, ledger: Ledger) -> None:
    found = observe_lingering(layout, settings, ledger=ledger, runner=ports.runner, sockets=ports.sockets)
    if found is not None and found.streams_count:
        raise RefusedError(
            f"{describe_lingering(found)}, and this deploy would end them",
            code="streams_linger",
            next_command="celadon status  # or the same without --spare-streams",
        )


def tell(found: Finding, *, journal: Journal) -> None:
    journal.append(CheckFound(level=found.level, subject=found.subject, text=found.text, fix=found.fix))


def tell_cut(layout: Layout, settings: Settings, ports: Ports, *, ledger: Ledger, journal: Journal) -> None:
    """What needs the place of the slot that lingers says how many it ends."""
    found = observe_lingering(layout, settings, ledger=ledger, runner=ports.runner, sockets=ports.sockets)
    if found is not None and found.streams_count:
        text = f"{describe_lingering(found)}; they end before the candidate starts"
        tell(warning("streams", text), journal=journal)


def tell_left_alone(settings: Settings, given: Settings, *, journal: Journal) -> None:
    """What celadon.toml says now and an env-only deploy does not take."""
    from celadon.drivers.releases.compare import find_changed_settings

    changed = find_changed_settings(settings, given)
    if changed:
        text = f"{', '.join(changed)} differ from what is live; only the environment is deployed"
        found = warning("celadon.toml", text, fix="celadon deploy  # takes them too")
        tell(found, journal=journal)


def check_first(layout: Layout, settings: Settings, ports: Ports, *, journal: Journal) -> None:
    """Nothing was touched yet: any problem refuses. What is found goes into the journal."""
    _refuse_on([*check_policy(layout, settings), *_check_machine(layout, settings, ports)], journal=journal)


def check_machine(layout: Layout, settings: Settings, ports: Ports, *, journal: Journal) -> None:
    """As `check_first`, of what is kept: policy has had its say, and its sources are not read again."""
    _refuse_on(_check_machine(layout, settings, ports), journal=journal)


def _check_machine(layout: Layout, settings: Settings, ports: Ports) -> Sequence[Finding]:
    try:
        return [
            *ports.runner.check(),
            *ports.proxy.check(),
            *check_repository(layout),
            *check_room(layout, settings, ports.runner),
            *_check_stopping(layout, settings, ports),
        ]
    except StepError as error:
        raise RefusedError(error.what, code=error.code, next_command=error.next_command) from error


def _check_stopping(layout: Layout, settings: Settings, ports: Ports) -> Sequence[Finding]:
    """What is stopped first must be one that can be started again."""
    live = read_pointer(layout.pointer)
    if settings.switch.strategy is not Strategy.STOP_FIRST or live is None:
        return ()
    number = ports.runner.observe(live).release
    if number is None:
        return ()
    source = ports.releases.read(number).manifest.source
    if source.kind is not SourceKind.ADOPTED or source.location:
        return ()
    text = f"what runs in {live} was adopted without a unit: stopped, it could not be started again"
    return (problem("stop-first", text, fix='[switch]\nstrategy = "side-by-side"'),)


def _refuse_on(findings: Sequence[Finding], *, journal: Journal) -> None:
    for found in findings:
        if found.level is not FindingLevel.OK:
            tell(found, journal=journal)
    problems = [found for found in findings if found.level is FindingLevel.PROBLEM]
    if problems:
        text = "; ".join(f"{found.subject}: {found.text}" for found in problems)
        edits = [found.fix for found in problems if found.subject == "hand edit"]
        raise RefusedError(text, code="check_failed", next_command=edits[0] if edits else "celadon check")
