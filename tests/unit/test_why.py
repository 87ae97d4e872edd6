"""Why a deploy ended as it did: from what a real engine recorded of it, told on one page."""

import json
from collections.abc import Sequence

import msgspec
import pytest
from msgspec.structs import replace

from celadon.app.why import explain
from celadon.events import (
    Entry,
    Event,
    JourneyFailed,
    OperationEnded,
    OperationStarted,
    SlotStopped,
    SwitchSeen,
    VerdictReached,
    WindowOpened,
    decode_event,
    encode_event,
)
from celadon.model.baseline import Learned
from celadon.model.connections import KindCounts
from celadon.model.errors import UsageError
from celadon.model.names import OperationId, ReleaseNumber, Slot
from celadon.model.plan import OperationKind, Outcome
from celadon.model.report import Usual, Why
from celadon.model.settings import BlessMode, SwitchSettings
from celadon.model.verdict import Evidence, FailingRoute, Judgement
from celadon.sinks.why import WIDTH, render_why
from celadon.sinks.wording import describe_event
from tests.fakes.world import APP, Died, Nature, World, ask_abort, by_evidence
from tests.unit.test_engine_drain import stream
from tests.unit.test_engine_journeys import with_journeys
from tests.unit.test_engine_lingering import lingering


@pytest.fixture
def world() -> World:
    """r1 is live, in blue."""
    world = World()
    assert world.deploy(1) is Outcome.DONE
    return world


def why(world: World, asked: str | None = None, *, running: str | None = None) -> Why:
    return explain(
        world.entries,
        asked,
        app=APP,
        running=OperationId(running) if running is not None else None,
        traffic=world.route,
    )


def page(world: World, asked: str | None = None) -> str:
    return render_why(why(world, asked))


def append(world: World, operation: str, *bodies: Event) -> None:
    for body in bodies:
        sequence = len(world.entries) + 1
        entry = Entry(sequence=sequence, operation=OperationId(operation), app=APP, at=world.now_s, body=body)
        world.entries.append(entry)


def holds(text: str, parts: Sequence[str]) -> bool:
    """Each part on a line of its own, in this order."""
    lines = iter(text.splitlines())
    return all(any(part in line for line in lines) for part in parts)


def test_a_breach_names_the_rule_the_counts_the_routes_and_the_way_back(world: World) -> None:
    world.natures[2] = Nature.SICK_UNDER_TRAFFIC
    assert world.deploy(2, settings=by_evidence(max_error_rate=0.5)) is Outcome.ROLLED_BACK
    told = why(world)
    assert told.verdict is not None
    assert told.evidence is not None
    assert told.verdict.judgement is Judgement.BREACH
    [failing] = told.evidence.failing_routes
    assert failing.failed_count == told.evidence.failed_count == told.slots[0].failed_count > 0
    assert [(move.slot, move.release) for move in told.moves] == [(Slot.GREEN, 2), (Slot.BLUE, 1)]
    assert holds(
        page(world),
        [
            "deploy of r2 into green by ada, ",
            f"verdict   breach by {told.verdict.rule}, after {told.evidence.elapsed_s:.1f} of 20 s",
            told.verdict.reason[:40],
            f"requests  {failing.failed_count} of {told.evidence.requests_count} failed (100.0%)",
            "tolerated 0.20% bad, the least; how often the old release failed was not known",
            "evidence  errors over 10000 of 125",
            "old slot  meanwhile 0 of ",
            "curve     of the evidence that a rollback asks for",
            "asked ┄",
            "green     r2: 100.0% of",
            "blue      r1: no visitors, our probes 1 ms",
            f"failing   {failing.failed_count} x {failing.route}, first: {failing.sample}",
            "  traffic goes to green, r2: seen after 0.5 ms",
            "traffic goes to blue, r1: seen after 0.5 ms",
            "traffic   goes to blue now",
            "next      celadon logs --slot green",
        ],
    ), page(world)


def test_a_page_fits_a_terminal(world: World) -> None:
    """What is longer goes on below itself; a path stays whole."""
    assert world.deploy(2, settings=by_evidence()) is Outcome.DONE
    ended = OperationEnded(outcome=Outcome.NEEDS_PERSON, reason="the disk is full and " * 9 + "/very/long/path" * 9)
    started = OperationStarted(kind=OperationKind.DEPLOY, lead="ada", pid=1, candidate=Slot.BLUE, live=Slot.GREEN)
    append(world, "op-long", started, ended)
    lines = [*page(world).splitlines(), *page(world, "r2").splitlines()]
    assert [line.strip() for line in lines if len(line) > WIDTH] == ["/very/long/path" * 9]


def test_a_journey_that_failed_in_the_window_is_told_with_its_last_reason(world: World) -> None:
    window = (
        OperationStarted(kind=OperationKind.DEPLOY, lead="ada", pid=1, candidate=Slot.GREEN, live=Slot.BLUE),
        SwitchSeen(to_slot=Slot.GREEN, to_release=ReleaseNumber(2), moved_ms=0.1, seen_ms=0.5, settled_ms=0.6),
        WindowOpened(window_s=60.0, max_error_rate=0.01, min_requests_count=20),
        JourneyFailed(journey="buy", slot=Slot.GREEN, status=500, reason="step 1, GET /cart: status 500"),
        JourneyFailed(journey="buy", slot=Slot.GREEN, status=502, reason="step 2, POST /pay: status 502"),
    )
    append(world, "op-now", *window)
    assert [line for line in page(world).splitlines() if "journey" in line] == [
        "failing   journey buy on green: step 2, POST /pay: status 502"
    ]


def test_trouble_that_the_old_slot_shares_says_so_and_what_to_do(world: World) -> None:
    world.natures[2] = Nature.SICK_UNDER_TRAFFIC
    world.shared_trouble = True
    assert world.deploy(2, settings=by_evidence()) is Outcome.UNBLESSED
    told = why(world)
    assert told.evidence is not None
    assert told.evidence.control_failed_count == told.evidence.control_count > 0
    assert holds(
        page(world),
        [
            "outcome   not blessed, the old slot was kept hot",
            "verdict   ambient by control",
            f"old slot  meanwhile {told.evidence.control_count} of {told.evidence.control_count} failed (100.0%)",
            "next      look at what both slots need",
            "celadon finalize  # keeps the new release",
            "celadon rollback  # goes back",
        ],
    ), page(world)


def test_a_window_that_showed_nothing_says_what_is_missing(world: World) -> None:
    settings = by_evidence(window_s=2.0, max_window_s=4.0, max_error_rate=0.0001)
    assert world.deploy(2, settings=settings) is Outcome.UNBLESSED
    assert why(world).extended_count == 1
    assert holds(
        page(world),
        ["verdict   undecided by evidence", "too little to show", "next      look for yourself", "celadon finalize"],
    ), page(world)


def test_a_healthy_release_is_told_with_its_bound_and_leaves_nothing_to_do(world: World) -> None:
    assert world.deploy(2, settings=by_evidence()) is Outcome.DONE
    assert holds(page(world), ["verdict   healthy by evidence", "shown     fewer than"])
    assert "next " not in page(world)


def test_a_release_that_was_rejected_is_told_with_its_probe_and_its_last_lines(world: World) -> None:
    world.natures[2] = Nature.NEVER_READY
    assert world.deploy(2) is Outcome.REJECTED
    told = why(world)
    assert (told.verdict, told.evidence, told.curve, told.slots) == (None, None, (), ())
    assert holds(
        page(world),
        ["outcome   rejected, traffic never moved", "failed    GET /health", "| boom", "traffic   goes to blue"],
    )


def test_a_failed_journey_is_named(world: World) -> None:
    world.natures[2] = Nature.FAILS_JOURNEY
    assert world.deploy(2, settings=with_journeys("buy")) is Outcome.REJECTED
    assert holds(page(world), ["failed    journey buy", "status 500, expected 200", "it answered: no such table"])


def test_who_ended_the_window_is_told_with_what_was_known_by_then(world: World) -> None:
    """There is no verdict; the last sample is the evidence."""
    world.on_wait = lambda world: ask_abort(world) if world.route is Slot.GREEN and world.now_s > 8 else None
    assert world.deploy(2, settings=by_evidence()) is Outcome.ROLLED_BACK
    told = why(world)
    assert (told.verdict, [(each.request, each.by) for each in told.asked]) == (None, [("abort", "ada")])
    assert told.evidence is not None
    assert told.evidence.requests_count > 0
    assert holds(
        page(world),
        [
            "asked     ada asked to abort",
            "requests  0 of ",
            "traffic goes to blue, r1",
            "next      celadon deploy  # when",
        ],
    )


def test_a_deploy_that_died_says_what_to_do_and_then_what_recovery_did(world: World) -> None:
    def die(world: World) -> None:
        if world.route is Slot.GREEN:
            raise Died("mid-window")

    world.on_wait = die
    with pytest.raises(Died):
        world.deploy(2, settings=by_evidence())
    world.on_wait = None
    assert holds(
        page(world), ["outcome   it died in observe", "traffic   goes to green now", "next      celadon recover"]
    )
    assert world.recover() is Outcome.RECOVERED
    assert holds(
        page(world),
        [
            "outcome   it died in observe",
            "recover by ada: recovered",
            "the deploy was found dead in observe",
            "the route may have moved: going back to the old slot",
            "traffic goes to blue, r1",
            "traffic   goes to blue now",
        ],
    ), page(world)
    assert "next " not in page(world)


def test_a_deploy_that_runs_is_told_as_far_as_it_is(world: World) -> None:
    append(
        world,
        "op-now",
        OperationStarted(kind=OperationKind.DEPLOY, lead="bob", pid=1, candidate=Slot.GREEN, live=Slot.BLUE),
    )
    told = why(world, running="op-now")
    assert told.is_running
    head, *rest = render_why(told).splitlines()
    assert head.startswith("deploy into green by bob, ")
    assert (rest[0], rest[-1]) == ("outcome   under way", "next      celadon attach")


@pytest.mark.parametrize(
    ("usual", "tolerated", "told"),
    [
        (0.0005, 0.002, "0.20% bad, the least; the old release's own rate is at most 0.05%"),
        (0.0026, 0.0052, "0.52% bad, twice the old release's own rate of at most 0.26%"),
        (0.2057, 0.05, "5.00% bad, the most where few came before; the old release's own rate"),
    ],
)
def test_where_the_tolerated_rate_comes_from_is_told(world: World, usual: float, tolerated: float, told: str) -> None:
    world.deploy(2, settings=by_evidence())
    found = why(world)
    assert found.evidence is not None
    evidence = replace(found.evidence, baseline_rate=usual, tolerated_rate=tolerated)
    assert f"tolerated {told}" in render_why(replace(found, evidence=evidence)).splitlines()


def test_what_the_rule_would_have_done_before_is_told(world: World) -> None:
    """The A/A line; and why the old release's log was not read, where it was not."""
    trial = "in 0 of 31 earlier windows the rule would have gone back: automatic rollback stays armed"
    world.learned = Learned(units_count=900, rate_bound=0.0077, trial=trial, cut_short=True, problem="it was locked")
    world.deploy(2, settings=by_evidence())
    assert holds(page(world), ["earlier   it was locked", "only the newest part", "in 0 of 31 earlier windows"])
    assert why(world).usual == Usual(
        units_count=900, bad_units_count=0, cut_short=True, trial=trial, problem="it was locked"
    )


def test_a_warning_is_told_before_there_is_a_verdict(world: World) -> None:
    """And not twice when there is one, whose reason has it."""
    world.deploy(2, settings=by_evidence())
    found = why(world)
    assert found.evidence is not None
    assert found.verdict is not None
    warned = replace(found, evidence=replace(found.evidence, warnings=("the machine swaps",)))
    assert "warning   the machine swaps" in render_why(replace(warned, verdict=None)).splitlines()
    told = replace(found.verdict, reason="0 of 60 failed; the machine swaps")
    assert "warning" not in render_why(replace(warned, verdict=told))


def test_what_a_person_decided_later_is_part_of_the_page(world: World) -> None:
    settings = replace(by_evidence(), observe=replace(by_evidence().observe, bless=BlessMode.MANUAL))
    assert world.deploy(2, settings=settings) is Outcome.UNBLESSED
    assert "celadon finalize  # keeps the new release" in page(world)
    append(
        world,
        "op-later",
        OperationStarted(kind=OperationKind.FINALIZE, lead="bob", pid=1),
        OperationEnded(outcome=Outcome.DONE),
    )
    assert holds(page(world), ["finalize by bob: done"])
    assert "# keeps" not in page(world)


def test_the_holds_of_shares_are_told_before_the_verdict(world: World) -> None:
    settings = replace(by_evidence(), switch=SwitchSettings(steps=(25, 100), hold_s=5.0))
    assert world.deploy(2, settings=settings) is Outcome.DONE
    told = why(world)
    assert [(each.percent, told.verdict and told.verdict.percent) for each in told.holds] == [(25, 100)]
    assert holds(
        page(world), ["before    25 % of the traffic: ", "verdict   healthy", "25 % of the traffic goes to green"]
    )


def test_what_an_older_version_recorded_is_still_told(world: World) -> None:
    """Samples and verdicts without what each slot answered."""
    world.natures[2] = Nature.SICK_UNDER_TRAFFIC
    world.deploy(2, settings=by_evidence())

    def age(entry: Entry) -> Entry:
        fields = json.loads(encode_event(entry.body))
        if fields["event"] in {"window_sampled", "verdict_reached"}:
            fields = {key: value for key, value in fields.items() if key not in {"candidate", "old"}}
        return replace(entry, body=decode_event(json.dumps(fields)))

    told = explain(map(age, world.entries), None, app=APP, running=None, traffic=world.route)
    assert told.verdict is not None
    assert holds(render_why(told), ["verdict   breach", "green     r2: 100.0% of", "blue      r1: no visitors"])


def test_each_deploy_can_be_asked_for_by_release_and_by_operation(world: World) -> None:
    """Not only the newest."""
    world.natures[2] = Nature.SICK_UNDER_TRAFFIC
    world.deploy(2, settings=by_evidence())
    world.deploy(3, settings=by_evidence())
    operations = {each.release: each.operation for each in (why(world, label) for label in ("r1", "2", "r3"))}
    assert list(operations) == [1, 2, 3]
    assert {number: why(world, operation).release for number, operation in operations.items()} == {1: 1, 2: 2, 3: 3}
    assert (why(world).release, why(world, "r2").outcome) == (3, Outcome.ROLLED_BACK)


def test_an_older_deploy_leaves_nothing_to_do(world: World) -> None:
    """What was to be done then is not to be done now."""
    world.natures[2] = Nature.SICK_UNDER_TRAFFIC
    world.deploy(2, settings=by_evidence())
    assert "next  " in page(world, "r2")
    world.deploy(3)
    assert "next  " not in page(world, "r2")


def test_a_rollback_counts_as_the_newest_only_with_a_verdict(world: World) -> None:
    """Without one it was somebody's decision, and the deploy before is what led to it."""
    world.deploy(2)
    started = OperationStarted(
        kind=OperationKind.ROLLBACK, lead="bob", pid=1, candidate=Slot.BLUE, live=Slot.GREEN, release=ReleaseNumber(1)
    )
    append(world, "back", started, OperationEnded(outcome=Outcome.DONE))
    assert why(world).release == 2
    plan = replace(world.plan_deploy(1, operation="back2", settings=by_evidence()), kind=OperationKind.ROLLBACK)
    world.operate(plan)
    assert (why(world).kind, why(world).operation) == (OperationKind.ROLLBACK, "back2")


@pytest.mark.parametrize("asked", ["r9", "9", "nonsense", "", "r0"])
def test_a_deploy_that_never_was_is_one_clear_error(world: World, asked: str) -> None:
    """2, with those that there are and the command that lists them."""
    with pytest.raises(
        UsageError, match=rf"shop has no deploy .*; its newest are r1 \({why(world).operation}\)"
    ) as error:
        why(world, asked)
    assert (error.value.code, error.value.next_command) == ("deploy_unknown", "celadon history")


def test_an_app_without_any_record_is_one_clear_error() -> None:
    with pytest.raises(UsageError, match="no deploy of shop is recorded") as error:
        why(World())
    assert error.value.next_command == "celadon deploy"


def test_the_document_is_bounded_however_long_the_window_was(world: World) -> None:
    world.deploy(2, settings=by_evidence(window_s=1_500.0, interval_s=5.0))
    told = why(world)
    assert 60 < len(told.curve) <= 120
    assert told.curve[-1].elapsed_s == pytest.approx(1_500.0)
    assert len(msgspec.json.encode(told)) < 60_000


def breach(*routes: FailingRoute) -> VerdictReached:
    return VerdictReached(
        judgement=Judgement.BREACH,
        rule="errors",
        reason="14 of 212 units failed",
        evidence=Evidence(failing_routes=routes),
    )


def test_a_breach_is_followed_by_the_three_worst_routes_each_with_a_sample() -> None:
    """Without what a visitor wrote behind the question mark, and with no character that moves a cursor."""
    routes = (
        FailingRoute(route="GET /cart/{n}", failed_count=40, sample="GET /cart/17?token=secret", sample_id="3f2a"),
        FailingRoute(route="GET /", failed_count=9, sample="GET /"),
        FailingRoute(route="GET /a\x1b[2J", failed_count=2, sample="GET /a\x1b[2J"),
        FailingRoute(route="GET /fourth", failed_count=1, sample="GET /fourth"),
    )
    assert (describe_event(breach(*routes)) or "").splitlines() == [
        "  breach by errors: 14 of 212 units failed",
        "    40 failed: GET /cart/{n}, first GET /cart/17 (request 3f2a)",
        "    9 failed: GET /",
        "    2 failed: GET /a\\x1b[2J",
    ]


def test_an_ambient_verdict_says_what_it_means() -> None:
    verdict = VerdictReached(judgement=Judgement.AMBIENT, rule="control", reason="9 failed", evidence=Evidence())
    assert (describe_event(verdict) or "").splitlines() == [
        "  ambient by control: 9 failed",
        "    going back would not mend it, so nothing was done: look at what both slots need, then decide",
    ]


def test_what_lived_on_for_its_streams_is_told_with_its_end(world: World) -> None:
    """The deploy says that it did, and what ended it later is part of the deploy's story, with what was cut."""
    world.left_open = lambda _: [stream(1), stream(2)]
    assert world.deploy(2, settings=lingering()) is Outcome.DONE
    stopped = SlotStopped(
        slot=Slot.BLUE,
        release=ReleaseNumber(1),
        cut_count=2,
        left=KindCounts(streams_count=2),
        killed=False,
        duration_s=0.5,
    )
    started = OperationStarted(kind=OperationKind.RETIRE, lead="celadon", pid=1)
    append(world, "retire", started, stopped, OperationEnded(outcome=Outcome.DONE))
    parts = (
        "r1 in blue lives on for 2 streams, for 2 h 00 min at most",
        "retire by celadon: done",
        "blue stopped after 0.50 s; 2 connections cut (2 streams)",
    )
    assert holds(page(world), parts), page(world)


def test_a_way_back_to_what_lingers_is_the_end_of_the_deploy_that_it_leaves(world: World) -> None:
    """Whoever asks for the release that was left is told of its deploy, not of a deploy back."""
    world.left_open = lambda _: [stream(1)]
    assert world.deploy(2, settings=lingering()) is Outcome.DONE
    world.left_open = None
    assert world.roll_back_to_lingering() is Outcome.ROLLED_BACK
    for asked in (None, "r2"):
        found = why(world, asked)
        assert (found.kind, found.release) == (OperationKind.DEPLOY, 2)
        assert [(later.kind, later.outcome) for later in found.later] == [(OperationKind.ROLLBACK, Outcome.ROLLED_BACK)]
