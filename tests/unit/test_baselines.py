"""From the access log on disk to what is kept, across the deploys of an app."""

import json
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from celadon.app.baseline import LogBaselines
from celadon.app.checks import check_all
from celadon.contracts.traffic import Traffic
from celadon.drivers.traffic.json_lines import JsonLinesTraffic
from celadon.events import Blessed, Event, OperationEnded, SwitchIntended
from celadon.host.layout import Layout
from celadon.model.baseline import Baseline, Learned, Minute, RouteCount
from celadon.model.names import AppName, OperationId, ReleaseNumber, Slot
from celadon.model.observed import Finding, FindingLevel
from celadon.model.plan import Outcome
from celadon.model.settings import JudgeKind, ObserveSettings, Settings
from celadon.store.baseline import read_baseline, write_baseline
from celadon.store.journal import open_journal
from tests.fakes.world import make_settings

R1, R2 = ReleaseNumber(1), ReleaseNumber(2)


class App:
    """r1 is blessed in blue; its log is written by hand."""

    def __init__(self, root: Path) -> None:
        self.layout = Layout(root, AppName("shop"))
        self.layout.access_log.parent.mkdir(parents=True)
        self.note(Blessed(slot=Slot.BLUE, release=R1))
        self._clients_count = 0

    def note(self, *events: Event) -> None:
        journal = open_journal(self.layout.journal, app=self.layout.app, operation=OperationId("op"))
        for event in events:
            journal.append(event)

    def log(self, count: int, *, status: int = 200, slot: Slot = Slot.BLUE, with_time: bool = True) -> None:
        """So many visits, now."""
        lines = [self._render(status, slot, with_time=with_time) for _ in range(count)]
        with self.layout.access_log.open("a") as stream:
            stream.write("".join(f"{line}\n" for line in lines))

    def _render(self, status: int, slot: Slot, *, with_time: bool) -> str:
        self._clients_count += 1
        fields = {"slot": slot, "status": str(status), "upstream_status": str(status), "request_time": "0.080"}
        fields |= {"client": f"c{self._clients_count}", "method": "GET", "uri": "/", "look": "", "pid": "1"}
        fields |= {"upstream": "127.0.0.1:1", "config": "x"}
        fields |= {"msec": f"{time.time():.3f}"} if with_time else {}
        return json.dumps(fields, separators=(",", ":"))

    def open_traffic(self) -> Traffic:
        return JsonLinesTraffic(self.layout.access_log, mark="")

    def baselines(self, *, limit_s: float = 60.0) -> LogBaselines:
        settings = ObserveSettings(judge=JudgeKind.EVIDENCE)
        return LogBaselines(self.layout, settings, open_traffic=self.open_traffic, limit_s=limit_s)

    def gather(self, *, limit_s: float = 60.0) -> Learned:
        return self.baselines(limit_s=limit_s).gather()


@pytest.fixture
def app(tmp_path: Path) -> App:
    return App(tmp_path)


def counts(learned: Learned) -> Sequence[int]:
    return learned.units_count, learned.bad_units_count


def test_each_deploy_adds_what_is_new_and_counts_nothing_twice(app: App) -> None:
    app.log(300)
    assert counts(app.gather()) == (300, 0)
    app.log(20, status=500)
    learned = app.gather()
    assert counts(learned) == counts(app.gather()) == (320, 20)
    assert learned.baseline == read_baseline(app.layout)
    assert learned.problem == ""
    assert learned.rate_bound == pytest.approx(0.13, abs=0.03)
    assert learned.p95_ms == pytest.approx(80, rel=0.06)


def test_a_log_that_was_rotated_meanwhile_is_joined(app: App) -> None:
    app.log(10)
    app.gather()
    app.log(20)
    app.layout.access_log.rename(app.layout.access_log.with_name("access.log.1"))
    app.log(30)
    assert counts(app.gather()) == (60, 0)


def test_a_candidate_that_was_taken_back_leaves_no_trace(app: App) -> None:
    """Neither at once nor when its slot is live later on."""
    app.log(100)
    app.note(SwitchIntended(from_slot=Slot.BLUE, to_slot=Slot.GREEN, to_release=R2))
    app.log(50, status=500, slot=Slot.GREEN)
    app.note(OperationEnded(outcome=Outcome.ROLLED_BACK, route=Slot.BLUE))
    app.log(10, status=500, slot=Slot.GREEN)
    app.log(7)
    assert counts(app.gather()) == (107, 0)
    app.note(
        SwitchIntended(from_slot=Slot.BLUE, to_slot=Slot.GREEN, to_release=R2), Blessed(slot=Slot.GREEN, release=R2)
    )
    app.log(3, slot=Slot.GREEN)
    assert counts(app.gather()) == (110, 0)


def test_what_was_kept_is_recalled_without_a_look_at_the_log(app: App) -> None:
    app.log(10)
    app.gather()
    app.log(10)
    assert counts(app.baselines().recall()) == (10, 0)


def test_nothing_known_is_no_baseline(app: App) -> None:
    """No log, or one of a Celadon that wrote no times yet."""
    assert counts(app.gather()) == (0, 0)
    app.log(50, with_time=False)
    learned = app.gather()
    assert (learned.rate_bound, learned.p95_ms, learned.trial, learned.is_armed) == (None, None, "", True)


def test_a_log_that_takes_too_long_is_cut_short_and_said_so(app: App) -> None:
    app.log(10)
    assert app.gather().cut_short is False
    app.log(10)
    learned = app.gather(limit_s=0.0)
    assert (learned.cut_short, counts(learned)) == (True, (10, 0))


def test_what_cannot_be_read_or_kept_is_told_and_fails_nothing(app: App) -> None:
    """What was kept before is good enough then."""
    app.log(10)
    app.gather()

    def refuse() -> Traffic:
        raise PermissionError("access.log: permission denied")

    broken = LogBaselines(app.layout, ObserveSettings(), open_traffic=refuse).gather()
    assert counts(broken) == (10, 0)
    assert "permission denied" in broken.problem
    app.log(5)
    app.layout.baseline.unlink()
    app.layout.baseline.mkdir()
    full = app.gather()
    assert counts(full) == (15, 0)
    assert "could not be kept" in full.problem


@pytest.mark.parametrize(("bursts_count", "is_armed"), [(3, True), (5, False)])
def test_a_slot_that_fails_in_bursts_disarms_the_rule(app: App, bursts_count: int, *, is_armed: bool) -> None:
    """More than 2 % of two hundred windows of a minute."""
    keep(app, bursts_count=bursts_count)
    learned = app.gather()
    assert learned.is_armed is is_armed
    assert f"in {bursts_count} of 200 earlier windows the rule would have gone back" in learned.trial


def test_a_check_tries_the_rule_on_what_was_kept(app: App) -> None:
    """Nothing is said where limits judge, nor where nothing is known."""
    by_evidence, by_limits = (
        replace(make_settings(), observe=ObserveSettings(judge=judge))
        for judge in (JudgeKind.EVIDENCE, JudgeKind.THRESHOLDS)
    )
    assert find_rule(app, by_evidence) == []
    keep(app, bursts_count=3)
    [armed] = find_rule(app, by_evidence)
    assert (armed.level, armed.text.endswith("automatic rollback stays armed")) == (FindingLevel.OK, True)
    keep(app, bursts_count=5)
    [unarmed] = find_rule(app, by_evidence)
    assert unarmed.level is FindingLevel.WARNING
    assert unarmed.text.endswith("more than 2%: automatic rollback is not armed")
    assert find_rule(app, by_limits) == []


def find_rule(app: App, settings: Settings) -> list[Finding]:
    return [found for found in check_all(app.layout, settings) if found.subject == "rule of the window"]


def keep(app: App, *, bursts_count: int) -> None:
    """Two hundred minutes, so many of them bad."""
    now = int(time.time() // 60)
    bad_counts = [40 if at < bursts_count else 0 for at in range(200)]
    minutes = [Minute(now - 1 - at, {"GET /": RouteCount(100, bad)}, {}) for at, bad in enumerate(bad_counts)]
    write_baseline(app.layout, Baseline(minutes=tuple(reversed(minutes))))
