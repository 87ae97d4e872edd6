"""Looking before anything is touched: the checks, and what a deploy would do."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from celadon.app.compose import make_proxy, make_runner, make_sockets
from celadon.app.inforce import read_in_force
from celadon.app.lingering import observe_lingering
from celadon.app.policy import check_policy
from celadon.app.room import check_room
from celadon.app.scaling import keep_live
from celadon.app.status import read_recorded
from celadon.contracts.runner import Runner
from celadon.drivers.proxies.edited import mask
from celadon.drivers.releases.store import ReleaseStore
from celadon.host.layout import Layout
from celadon.host.lock import AppLock
from celadon.host.pointer import read_pointer
from celadon.host.text import render_diff
from celadon.model.errors import StepError
from celadon.model.names import Slot
from celadon.model.observed import Finding, FindingLevel, warning
from celadon.model.release import Source
from celadon.model.report import Preview
from celadon.model.settings import JudgeKind, Settings, Strategy

_RULE = "rule of the window"


def check_all(layout: Layout, settings: Settings) -> Sequence[Finding]:
    from celadon.app.committing import check_repository

    settings = keep_live(settings, read_in_force(layout), read_pointer(layout.pointer))
    try:
        found = make_proxy(layout, settings).check()
    except StepError as error:
        text = f"{error.what} ({error.code})"
        found = [Finding(level=FindingLevel.PROBLEM, subject="proxy", text=text, fix=error.next_command)]
    runner = make_runner(layout, settings)
    return [
        *check_policy(layout, settings),
        *runner.check(),
        *found,
        *_look_for_room(layout, settings, runner),
        *check_repository(layout),
        *_try_rule(layout, settings),
    ]


def _look_for_room(layout: Layout, settings: Settings, runner: Runner) -> Sequence[Finding]:
    """A runner that cannot be asked has been told of."""
    try:
        return check_room(layout, settings, runner)
    except StepError:
        return ()


def _try_rule(layout: Layout, settings: Settings) -> Sequence[Finding]:
    """What the rule would have done to the live slot itself, where it judges and there is a baseline."""
    if settings.observe.judge is not JudgeKind.EVIDENCE:
        return ()
    from celadon.app.baseline import summarise
    from celadon.store.baseline import read_baseline

    kept = read_baseline(layout)
    learned = summarise(kept, settings.observe) if kept is not None else None
    if learned is None or not learned.trial:
        return ()
    if learned.is_armed:
        return (Finding(level=FindingLevel.OK, subject=_RULE, text=learned.trial),)
    fix = "celadon replay LOG  # shows when; an explicit max_error_rate or max_p95 still brings a release back"
    return (warning(_RULE, learned.trial, fix=fix),)


def plan_deploy(layout: Layout, settings: Settings, source: Source) -> Preview:
    live = read_pointer(layout.pointer)
    settings = keep_live(settings, read_in_force(layout), live)
    runner = make_runner(layout, settings)
    store, ledger = ReleaseStore(layout, owner=settings.user), read_recorded(layout)
    live_release = runner.observe(live).release if live else None
    refusals = [f"{found.subject}: {found.text}" for found in check_all(layout, settings) if _refuses(found)]
    if ledger.unblessed is not None and ledger.unblessed.live is not None:
        refusals.append(f"r{ledger.unblessed.release} waits for `celadon finalize` or `celadon rollback`")
    holder = AppLock(layout.lock).holder()
    if holder is not None:
        refusals.append(f"{holder.holder} holds the lock ({holder.purpose})")
    return Preview(
        app=settings.app,
        release=max([*store.numbers(), ledger.highest_release], default=0) + 1,
        source=source,
        candidate=Slot.BLUE if live is None else live.other,
        live=live,
        live_release=live_release,
        steps=(*settings.build.dependency_steps, *settings.build.steps),
        rollback_to=live_release,
        changed_files=tuple(str(path) for path in find_proxy_changes(layout, settings)),
        refusals=tuple(refusals),
        stops_first=settings.switch.strategy is Strategy.STOP_FIRST and live is not None,
        lingering=observe_lingering(
            layout, settings, ledger=ledger, runner=runner, sockets=make_sockets(layout, settings, runner)
        ),
    )


def find_proxy_changes(layout: Layout, settings: Settings) -> Mapping[Path, str]:
    """The proxy's files that a deploy would write anew, each with the diff."""
    changed = {}
    try:
        files = make_proxy(layout, settings).render()
    except StepError:  # the checks tell it
        return {}
    for rendered in files:
        present = rendered.path.read_text(errors="replace") if rendered.path.exists() else ""
        if present != rendered.text:
            changed[rendered.path] = mask(layout, render_diff(rendered.path, present, rendered.text))
    return changed


def _refuses(found: Finding) -> bool:
    return found.level is FindingLevel.PROBLEM
