"""The rule of the window, as a person meets it: what rolls back, what is blessed, and what neither."""

import random
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from celadon.contracts.judge import Judge
from celadon.model.baseline import Baseline, Minute, RouteCount
from celadon.model.names import Slot
from celadon.model.observed import Answer, Hit, SlotStatus, SlotView
from celadon.model.settings import ObserveSettings
from celadon.model.verdict import Evidence, Judgement, Verdict
from celadon.observe.rstar import RStarJudge
from celadon.observe.rule import Rule
from celadon.observe.threshold import ThresholdJudge
from tests.unit.observe.scene import NO, WINDOW_S, YES, Window, baseline, hit, hits


def judged(verdict: Verdict | None) -> tuple[Judgement, str]:
    assert verdict is not None
    return verdict.judgement, verdict.rule


def test_it_is_a_judge() -> None:
    """The engine may use it where it uses the thresholds."""
    judges: list[Judge] = [RStarJudge(Rule(), Slot.GREEN)]
    assert judges


def test_an_outage_is_found_within_a_second_of_five_visitors() -> None:
    """Before the window's end, with the figures in the reason."""
    window = Window()
    window.pass_seconds(100, good=5)
    verdict = window.pass_seconds(5, bad=5)
    assert judged(verdict) == (Judgement.BREACH, "errors")
    assert window.elapsed_s <= 102
    assert verdict is not None
    assert "of 5" in verdict.reason


def test_an_outage_is_found_where_two_visitors_come_at_all() -> None:
    """Three units are enough: the second visitor's failure says it."""
    window = Window()
    for _ in range(3):
        window.pass_seconds(1, bad=1)
        window.pass_seconds(1)
    assert judged(window.verdict) == (Judgement.BREACH, "errors")


def test_a_healthy_release_is_blessed_at_the_windows_end_and_not_before() -> None:
    """59 clean units are enough, 58 are not."""
    window = Window()
    assert window.pass_seconds(599, good=5) is None
    assert judged(window.pass_all()) == (Judgement.HEALTHY, "evidence")
    for count, judgement in ((59, Judgement.HEALTHY), (58, Judgement.UNDECIDED)):
        few = Window()
        few.pass_seconds(1, good=count)
        assert few.pass_all().judgement is judgement


def test_a_tighter_bound_asks_for_more() -> None:
    """299 clean units for 1 %."""
    for count, judgement in ((299, Judgement.HEALTHY), (298, Judgement.UNDECIDED)):
        window = Window(Rule(max_error_rate=0.01))
        window.pass_seconds(1, good=count)
        assert window.pass_all().judgement is judgement


def test_a_minimum_window_blesses_early() -> None:
    """And only what is shown to be healthy by then."""
    early = Window(Rule(min_window_s=60.0))
    assert early.pass_seconds(59, good=5) is None
    assert judged(early.pass_seconds(1, good=5)) == (Judgement.HEALTHY, "evidence")
    idle = Window(Rule(min_window_s=60.0))
    assert idle.pass_seconds(599) is None


def test_a_window_may_be_made_longer() -> None:
    """What was not decided at its end goes on; a breach stays one."""
    window = Window()
    window.pass_seconds(1, good=10)
    judge = window.judge
    assert judged(judge.judge(elapsed_s=600, window_s=600)) == (Judgement.UNDECIDED, "evidence")
    assert judge.judge(elapsed_s=601, window_s=1_200) is None
    judge.take_traffic(hits(60, 0))
    assert judged(judge.judge(elapsed_s=1_200, window_s=1_200)) == (Judgement.HEALTHY, "evidence")
    judge.take_process(SlotView(slot=Slot.GREEN, status=SlotStatus.EXITED, exit_code=1))
    for elapsed_s in (1_300, 1_400):
        assert judged(judge.judge(elapsed_s=elapsed_s, window_s=2_000)) == (Judgement.BREACH, "process")


def test_a_release_that_is_not_ready_at_the_end_is_not_blessed() -> None:
    """Whatever its visitors got."""
    window = Window()
    window.pass_seconds(599, good=5)
    window.judge.take_probe(NO)
    assert judged(window.pass_all()) == (Judgement.UNDECIDED, "evidence")


@pytest.mark.parametrize("control", [(), (YES,) * 5, (NO,) * 5])
def test_no_data_is_never_healthy_nor_a_breach(control: tuple[Answer, ...]) -> None:
    """The old slot stays hot and a person decides; whatever the old slot answers."""
    verdict = Window().pass_all(control=control)
    assert verdict.judgement is Judgement.UNDECIDED
    assert "nothing to go by" in verdict.reason


def test_readiness_alone_blesses_nothing() -> None:
    """A health endpoint is no visitor."""
    window = Window()
    for _ in range(600):
        window.judge.take_probe(YES)
        window.pass_seconds(1)
    assert judged(window.verdict) == (Judgement.UNDECIDED, "evidence")


def test_rows_of_failed_probes_are_nothing_against_a_candidate_while_the_old_slot_fails_now_and_then() -> None:
    """A dependency that fails half of all answers makes rows of three in both slots."""
    shared = Window()
    for answer in (NO, NO, NO, YES) * 10:
        shared.judge.take_probe(answer)
        assert shared.pass_seconds(1, control=(NO, YES, YES, YES, YES)) is None
    alone = Window()
    for _ in range(3):
        alone.judge.take_probe(NO)
    assert judged(alone.pass_seconds(2, control=(YES,) * 5)) == (Judgement.BREACH, "readiness")


def test_journeys_stand_in_for_visitors() -> None:
    """An idle site is blessed on them, and a dead release found by them within five seconds."""
    idle = Window(Rule(journeys=True))
    assert judged(idle.pass_seconds(600, journeys=[YES])) == (Judgement.HEALTHY, "evidence")
    dead = Window(Rule(journeys=True))
    assert judged(dead.pass_seconds(5, journeys=[NO])) == (Judgement.BREACH, "errors")


@pytest.mark.parametrize(
    ("last", "judgement"), [((NO, YES), Judgement.HEALTHY), ((YES, NO), Judgement.UNDECIDED)], ids=["passed", "failed"]
)
def test_a_release_is_blessed_only_when_each_journey_passed_at_its_last_run(
    last: tuple[Answer, Answer], judgement: Judgement
) -> None:
    """A failure that is over counts as one of many; one that another journey's success follows is not over."""
    window = Window(Rule(journeys=True))
    window.pass_seconds(598, journeys=[YES])
    for answer in last:
        window.judge.take_journey(answer, name="buy")
    window.pass_seconds(1, journeys=[YES])
    assert judged(window.pass_seconds(1, journeys=[YES])) == (judgement, "evidence")


@pytest.mark.parametrize("runs", [YES, NO], ids=["old slot passes", "old slot fails too"])
def test_visitors_are_held_against_the_old_slots_journeys_not_against_its_readiness(runs: Answer) -> None:
    """A database that is gone fails pages and journeys of both, and no readiness that does not ask for it."""
    window = Window(Rule(journeys=True))
    window.pass_seconds(60, good=5)
    for _ in range(100):
        for _ in range(2):
            window.judge.take_control(runs, journey="buy")
        window.judge.take_journey(NO, name="buy")
        window.pass_seconds(1, bad=5)
    assert (window.verdict is None) is (runs is NO)


def test_a_control_that_runs_few_journeys_counts_readiness_as_well() -> None:
    """One journey in ten seconds would never show that the old slot does not fail."""
    window = Window(Rule(journeys=True))
    for _ in range(10):
        window.judge.take_control(YES, journey="buy")
        window.pass_seconds(10, good=4, bad=1)
    assert judged(window.verdict) == (Judgement.BREACH, "errors")


def test_what_fails_both_slots_is_ambient() -> None:
    """Going back would not help: the old slot, asked at the same time, fails as much."""
    window = Window()
    window.pass_seconds(100, good=20)
    window.pass_seconds(120, good=18, bad=2, control=(YES, NO, YES, YES, YES))
    assert window.verdict is None
    verdict = window.pass_all(good=20)
    assert judged(verdict) == (Judgement.AMBIENT, "control")
    assert verdict.evidence.user_evidence > verdict.evidence.error_evidence_asked


def test_the_same_failures_are_a_breach_while_the_old_slot_passes() -> None:
    """The counterpart: the control decides, not the rate."""
    window = Window()
    window.pass_seconds(100, good=20)
    assert judged(window.pass_seconds(120, good=18, bad=2)) == (Judgement.BREACH, "errors")


def test_without_control_no_statistics_lead_back() -> None:
    """Nobody knows whether the old slot would do better."""
    window = Window()
    assert window.pass_seconds(599, good=8, bad=2, control=()) is None
    assert judged(window.pass_all(control=())) == (Judgement.AMBIENT, "control")


def test_one_broken_client_rolls_nothing_back() -> None:
    """However often it asks, for however many routes; on a busy and on an idle site."""
    for good in (0, 1, 20):
        window = Window()
        for second in range(600):
            bot = [hit("bot", status=500, route=f"GET /{(second + part) % 7}/x") for part in range(5)]
            window.pass_seconds(1, good=good if second % 4 == 0 else 0, extra=bot)
        assert window.verdict is not None
        assert window.verdict.judgement is not Judgement.BREACH
        assert window.verdict.evidence.bad_units_count == 3


def test_a_bot_does_not_keep_a_release_from_its_bless() -> None:
    """It got nothing but failures, and is told."""
    window = Window()
    window.pass_seconds(60, good=2, extra=[hit("bot", status=500)])
    verdict = window.pass_all(good=2)
    assert judged(verdict) == (Judgement.HEALTHY, "evidence")
    assert verdict.evidence.lone_failures_count == 60


def test_a_crowd_behind_one_address_is_not_blessed_while_it_fails() -> None:
    """A proxy that hides its visitors makes them one client: half of its requests failing is no health."""
    window = Window()
    crowd = [hit("cdn", status=status, route=f"GET /{name}") for name in "abcdefgh" for status in (200, 500)]
    window.pass_seconds(599, extra=crowd)
    assert window.verdict is None
    assert window.pass_all().judgement is Judgement.UNDECIDED


def test_a_cluster_of_failures_is_counted_as_units() -> None:
    """Sixty requests of three visitors within seconds are three units, not sixty."""
    window = Window(known=baseline(6_000, 6))
    window.pass_seconds(30, good=10)
    cluster = [hit(visitor, status=500) for visitor in "ab" for _ in range(20)]
    window.pass_seconds(1, good=10, extra=cluster)
    verdict = window.pass_all(good=10)
    assert verdict.judgement is Judgement.HEALTHY
    assert (verdict.evidence.failed_count, verdict.evidence.bad_units_count) == (40, 2)


def test_refusals_of_the_app_are_told_and_not_judged() -> None:
    """4xx neither fail a release nor bless it: a scanner can make any number of them."""
    window = Window()
    for second in range(600):
        window.pass_seconds(1, extra=[hit(f"{second}-{number}", status=404) for number in range(5)])
    assert judged(window.verdict) == (Judgement.UNDECIDED, "evidence")
    assert window.verdict is not None
    assert window.verdict.evidence.client_errors_count == 3_000


def test_other_slots_and_our_own_looks_do_not_count() -> None:
    """Only what visitors asked of the candidate."""
    window = Window()
    look = Hit(
        slot=Slot.GREEN, status=500, upstream_status=500, duration_ms=1, client_key="x", route="GET /", look="nonce"
    )
    others = [hit(number, status=500, slot=Slot.BLUE) for number in range(50)]
    assert window.pass_seconds(599, extra=[*others, *[look] * 50]) is None
    assert window.pass_all().evidence.requests_count == 0


def test_a_slow_release_is_found_and_a_slightly_slower_one_is_not() -> None:
    """×3 within thirty requests after the first two hundred; ×1.2 never."""
    draw = random.Random(5)
    usual = [80 * 2.718281828 ** draw.gauss(0, 0.6) for _ in range(2_000)]
    for slower, judgement in ((3.0, Judgement.BREACH), (1.2, Judgement.HEALTHY)):
        window = Window(known=baseline(durations_ms=usual))
        for second in range(600):
            extra = [hit(f"{second}-{number}", ms=draw.choice(usual) * slower) for number in range(5)]
            window.pass_seconds(1, extra=extra)
            if window.verdict is not None:
                break
        assert window.verdict is not None
        assert window.verdict.judgement is judgement
        if judgement is Judgement.BREACH:
            assert window.verdict.rule == "latency"
            assert window.verdict.evidence.requests_count <= 230


def test_cold_caches_are_no_slowness() -> None:
    """The first 150 of its requests take three times as long; the next 50 are not looked at either."""
    draw = random.Random(8)
    usual = [draw.uniform(50, 100) for _ in range(2_000)]
    window = Window(known=baseline(durations_ms=usual))
    for second in range(600):
        slower = 3 if second < 30 else 1
        window.pass_seconds(1, extra=[hit(f"{second}-{n}", ms=draw.choice(usual) * slower) for n in range(5)])
    assert judged(window.verdict) == (Judgement.HEALTHY, "evidence")


def test_slowness_of_both_slots_is_ambient() -> None:
    """The old slot's probes got slower at the same time."""
    draw = random.Random(6)
    usual = [draw.uniform(50, 100) for _ in range(2_000)]
    window = Window(known=baseline(durations_ms=usual))
    for second in range(50):
        window.pass_seconds(1, extra=[hit(f"b{second}-{number}", ms=draw.choice(usual)) for number in range(10)])
    slow = Answer(ok=True, latency_ms=50.0)
    for second in range(550):
        extra = [hit(f"{second}-{number}", ms=draw.choice(usual) * 3) for number in range(5)]
        window.pass_seconds(1, extra=extra, control=[slow] * 5)
    assert judged(window.verdict) == (Judgement.AMBIENT, "control")


def pass_slowly(
    window: Window, seconds: int, *, slower: float, rate: int, control: Sequence[Answer], question: str = ""
) -> int:
    """Until a verdict: the requests that it took. Those of a second come before the old slot's answers to it."""
    draw = random.Random(window.elapsed_s)
    for second in range(seconds):
        if question:
            for answer in control:
                window.judge.take_control(answer, journey=question)
        extra = [hit(f"{window.elapsed_s}-{number}", ms=draw.uniform(50, 100) * slower) for number in range(rate)]
        if window.pass_seconds(1, extra=extra, control=() if question else control) is not None:
            return (second + 1) * rate
    return seconds * rate


SLOW = Answer(ok=True, latency_ms=50.0)


@pytest.mark.parametrize("rule", [Rule(), Rule(max_p95_ms=120.0)])
@pytest.mark.parametrize("question", ["", "checkout"])
def test_slowness_that_both_slots_had_is_not_held_against_the_candidate_when_it_is_over(
    rule: Rule, question: str
) -> None:
    """Nor when it begins, on a busy site: a hundred visitors come between two answers of the old slot."""
    draw = random.Random(6)
    window = Window(rule, known=baseline(durations_ms=[draw.uniform(50, 100) for _ in range(2_000)]))
    pass_slowly(window, 100, slower=1, rate=100, control=[YES] * 5, question=question)
    pass_slowly(window, 1, slower=3, rate=100, control=[YES, YES, YES, SLOW, SLOW], question=question)
    pass_slowly(window, 120, slower=3, rate=100, control=[SLOW] * 5, question=question)
    pass_slowly(window, 1, slower=3, rate=100, control=[SLOW, SLOW, YES, YES, YES], question=question)
    pass_slowly(window, 370, slower=1, rate=100, control=[YES] * 5, question=question)
    assert window.verdict is None


@pytest.mark.parametrize(("rule", "name"), [(Rule(), "latency"), (Rule(max_p95_ms=120.0), "max_p95")])
def test_slowness_that_begins_late_and_is_the_candidates_own_is_found(rule: Rule, name: str) -> None:
    """It counts once the old slot was asked after it."""
    draw = random.Random(6)
    known = baseline(durations_ms=[draw.uniform(50, 100) for _ in range(2_000)] if name == "latency" else ())
    window = Window(rule, known=known)
    pass_slowly(window, 300, slower=1, rate=10, control=[YES] * 5)
    assert pass_slowly(window, 60, slower=3, rate=10, control=[YES] * 5) < 300
    assert judged(window.verdict) == (Judgement.BREACH, name)


def test_a_machine_that_was_slow_before_the_window_opened_brings_no_release_down() -> None:
    """The old slot is as slow from its first answer on; before the build it was not. The verdict says so."""
    draw = random.Random(6)
    known = baseline(durations_ms=[draw.uniform(50, 100) for _ in range(2_000)])
    for pace_ms, judgement in ((2.0, Judgement.AMBIENT), (None, Judgement.BREACH)):
        window = Window(known=known, pace_ms=pace_ms)
        pass_slowly(window, 600, slower=3, rate=10, control=[SLOW] * 5)
        assert window.verdict is not None
        assert window.verdict.judgement is judgement
        if pace_ms:
            assert "came while the old slot was slow too" in window.verdict.reason


def test_an_old_slot_that_is_never_asked_holds_nothing_back() -> None:
    draw = random.Random(6)
    window = Window(known=baseline(durations_ms=[draw.uniform(50, 100) for _ in range(2_000)]))
    pass_slowly(window, 100, slower=1, rate=10, control=())
    assert pass_slowly(window, 60, slower=3, rate=10, control=()) < 300
    assert judged(window.verdict) == (Judgement.BREACH, "latency")


def test_the_old_slots_visitors_are_the_control_while_a_share_is_held() -> None:
    """With 5 % of the traffic the other 95 % say what the old slot does."""
    for old_status, judgement in ((200, Judgement.BREACH), (500, Judgement.AMBIENT)):
        window = Window(percent=5)
        for second in range(600):
            old = [
                hit(f"o{second}-{number}", slot=Slot.BLUE, status=200 if number % 4 else old_status)
                for number in range(40)
            ]
            window.pass_seconds(1, good=3, bad=1, extra=old, control=())
        assert window.verdict is not None
        assert window.verdict.judgement is judgement
        assert window.verdict.evidence.percent == 5


@pytest.mark.parametrize(
    ("rule", "view", "words"),
    [
        (
            "process",
            SlotView(slot=Slot.GREEN, status=SlotStatus.EXITED, exit_code=3, exit_reason="exit-code"),
            "code 3",
        ),
        ("restarts", SlotView(slot=Slot.GREEN, status=SlotStatus.RUNNING, pids=(1,), restarts_count=1), "again once"),
    ],
)
def test_a_process_that_ended_or_was_restarted_leads_back_at_once(rule: str, view: SlotView, words: str) -> None:
    """No visitor needs to meet it."""
    window = Window()
    window.judge.take_process(view)
    verdict = window.pass_seconds(1)
    assert judged(verdict) == (Judgement.BREACH, rule)
    assert verdict is not None
    assert words in verdict.reason


def test_a_shut_door_leads_back_at_the_second_refusal() -> None:
    """A refused connection needs no third probe; any other no does."""
    refused = Answer(ok=False, latency_ms=0.1, reason="nothing listens", refused=True)
    window = Window()
    window.judge.take_probe(refused)
    assert window.pass_seconds(1) is None
    window.judge.take_probe(refused)
    assert judged(window.pass_seconds(1)) == (Judgement.BREACH, "refused")


def test_probes_that_fail_in_a_row_lead_back_unless_the_old_slot_fails_too() -> None:
    """Three in a row; a yes begins anew; not while the old slot says no as well."""
    for answers, control, breach in (
        ((NO, NO, NO), YES, True),
        ((NO, NO, YES, NO, NO), YES, False),
        ((NO, NO, NO), NO, False),
    ):
        window = Window()
        window.pass_seconds(1, control=(control,) * 5)
        for answer in answers:
            window.judge.take_probe(answer)
        verdict = window.pass_seconds(2, control=(control,) * 5)
        assert (verdict is not None) is breach


def test_ten_failures_in_a_row_need_no_statistics() -> None:
    """Also where the old slot had failed so much that no rate would be held against the candidate."""
    window = Window(known=baseline(6_000, 3_000))
    window.pass_seconds(50, good=1, bad=1, control=(YES, NO))
    window.pass_seconds(1)
    assert window.pass_seconds(1, bad=10, control=(YES, NO, YES)) is None
    assert judged(window.pass_seconds(1, bad=10)) == (Judgement.BREACH, "outage")


def test_what_the_old_slot_answered_before_the_trouble_is_no_word_for_it() -> None:
    """On a busy site ten units and three probes fail between two of its answers."""
    window = Window(Rule(max_error_rate=0.05))
    window.pass_seconds(60, good=100)
    for _ in range(3):
        window.judge.take_probe(NO)
    assert window.pass_seconds(1, bad=50) is None
    assert window.pass_seconds(20, bad=100, control=(NO,) * 5) is None


def test_trouble_of_both_breaks_no_threshold_of_the_candidate() -> None:
    """A tenth of everything fails for two minutes; a twentieth is allowed. Without asking the old slot in the same
    seconds nearly every window would lead back."""
    led_back_count = 0
    for seed in range(20):
        draw = random.Random(seed)
        window = Window(Rule(max_error_rate=0.05))
        window.pass_seconds(30, good=50)
        for _ in range(120):
            bad = sum(draw.random() < 0.1 for _ in range(50))
            control = [NO if draw.random() < 0.1 else YES for _ in range(5)]
            if window.pass_seconds(1, good=50 - bad, bad=bad, control=control):
                led_back_count += 1
                break
    assert led_back_count <= 4


def test_the_end_of_an_outage_of_both_is_no_outage_of_the_candidate() -> None:
    """When the old slot passes again, the row of failures that both had is behind them."""
    for bad in (5, 50):
        window = Window()
        window.pass_seconds(60, good=bad)
        window.pass_seconds(60, bad=bad, control=(NO,) * 5)
        assert window.pass_seconds(100, good=bad) is None


def test_a_set_threshold_is_judged_with_its_own_evidence() -> None:
    """3 % where 1 % is allowed is a breach though twice the usual rate is tolerated; one failure of twenty is not."""
    window = Window(Rule(max_error_rate=0.01), known=baseline(6_000, 120))
    window.pass_seconds(1, good=19, bad=1)
    assert window.verdict is None
    assert judged(window.pass_seconds(300, good=31, bad=1)) == (Judgement.BREACH, "max_error_rate")


def test_a_threshold_of_all_allows_everything() -> None:
    window = Window(Rule(max_error_rate=1.0))
    window.pass_seconds(5, good=5, bad=5, control=())
    assert window.verdict is None


def test_a_set_threshold_waits_for_its_least_evidence() -> None:
    """Nineteen failures of nineteen are not twenty."""
    window = Window(Rule(max_error_rate=0.01, min_requests_count=20))
    assert window.pass_seconds(1, bad=19, control=()) is None
    assert judged(window.pass_seconds(1, bad=1, control=())) == (Judgement.BREACH, "max_error_rate")


def test_a_set_threshold_does_not_blame_the_candidate_for_both() -> None:
    """The old slot fails above it as well."""
    window = Window(Rule(max_error_rate=0.01))
    window.pass_seconds(10, good=10, control=(YES, YES, NO, YES, YES))
    assert window.pass_seconds(200, good=8, bad=2, control=(YES, YES, NO, YES, YES)) is None


def test_a_set_limit_of_latency_needs_no_baseline() -> None:
    """A tenth of the visitors wait longer than p95 allows."""
    for share, breach in ((10, True), (33, False)):
        window = Window(Rule(max_p95_ms=500.0))
        for second in range(599):
            extra = [hit(f"{second}-{n}", ms=900 if (second * 10 + n) % share == 0 else 90) for n in range(10)]
            window.pass_seconds(1, extra=extra)
            if window.verdict:
                break
        assert (window.verdict is not None) is breach
        if breach:
            assert judged(window.verdict) == (Judgement.BREACH, "max_p95")


def test_the_error_budget_is_a_limit_of_its_own() -> None:
    """A twentieth of a month's budget is spent: less evidence is asked for than without a promise."""
    first, last = ({"GET /": RouteCount(3_000, 0)}, {"GET /": RouteCount(10, 0)})
    quiet_week = Baseline(minutes=(Minute(0, first, {}), Minute(7 * 24 * 60 - 1, last, {})))
    for rule, breach in ((Rule(slo=0.9999), True), (Rule(), False)):
        window = Window(rule, known=quiet_week)
        window.pass_seconds(60, good=1)
        window.pass_seconds(1, bad=1)
        window.pass_seconds(20)
        window.pass_seconds(1, bad=1)
        verdict = window.pass_seconds(1)
        assert (verdict is not None) is breach
        if breach:
            assert judged(verdict) == (Judgement.BREACH, "error_budget")


def test_a_spent_budget_still_asks_for_evidence() -> None:
    """Three failures of 63, where nearly nothing is known of before and 4 % are tolerated, are not ten to one."""
    hours = (Minute(0, {"GET /": RouteCount(300, 0)}, {}), Minute(7 * 24 * 60 - 1, {"GET /": RouteCount(10, 0)}, {}))
    window = Window(Rule(slo=0.9999), known=Baseline(minutes=hours))
    window.pass_seconds(60, good=1)
    for _ in range(3):
        window.pass_seconds(1, bad=1)
        assert window.pass_seconds(20) is None
    assert window.judge.evidence().control_evidence > 10


def test_a_verdict_keeps_its_evidence() -> None:
    """Enough to answer why: counts, tolerated rate, evidence, control, the failing routes with a sample."""
    window = Window(known=baseline(6_000, 6))
    window.pass_seconds(20, good=5)
    failing = [hit(f"v{n}", status=502, route=f"POST /orders/{n}?x=1") for n in range(12)]
    verdict = window.pass_seconds(3, good=1, extra=failing)
    assert verdict is not None
    found = verdict.evidence
    assert (found.units_count, found.bad_units_count, found.control_count) == (
        101 + found.bad_units_count,
        found.failed_count,
        110,
    )
    assert found.tolerated_rate == pytest.approx(2 * (found.baseline_rate or 0))
    assert found.user_evidence * 0.9 >= found.error_evidence_asked
    assert found.error_evidence == pytest.approx(0.9 * found.user_evidence + 0.1 * found.journey_evidence)
    assert found.control_evidence >= found.control_evidence_asked
    assert [(r.route, r.failed_count, r.sample) for r in found.failing_routes] == [
        ("POST /orders/{n}", found.failed_count, "POST /orders/0?x=1")
    ]
    assert msgspec.json.decode(msgspec.json.encode(verdict), type=Verdict) == verdict


def test_an_old_journals_evidence_is_still_read() -> None:
    """What was written before these fields existed."""
    text = b'{"requests_count":3,"failed_count":1,"elapsed_s":2.5}'
    assert msgspec.json.decode(text, type=Evidence).failed_count == 1


def test_the_thresholds_judge_takes_what_the_contract_gives() -> None:
    """It stays in its place until the rule replaces it."""
    judge: Judge = ThresholdJudge(ObserveSettings(max_error_rate=0.01, min_requests_count=1), Slot.GREEN)
    judge.take_baseline(baseline())
    judge.take_control(NO)
    judge.take_journey(YES)
    assert judged(judge.judge(elapsed_s=60, window_s=60)) == (Judgement.HEALTHY, "readiness")


chunks = st.lists(st.integers(0, 7), min_size=1, max_size=6)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([0.0, 0.02, 0.2, 1.0]), st.data())
def test_the_verdict_does_not_depend_on_how_hits_are_cut(seed: int, share: float, data: st.DataObject) -> None:
    """The same requests at the same times, in one feeding or in many, asked in between or not."""
    draw = random.Random(seed)
    usual = [draw.uniform(50, 100) for _ in range(500)]
    seconds = [
        [
            hit(
                draw.randrange(300),
                status=500 if draw.random() < share else 200,
                route=f"GET /{draw.randrange(5)}",
                ms=draw.choice(usual) * 2,
            )
            for _ in range(draw.randrange(12))
        ]
        for _ in range(60)
    ]
    whole, cut = (RStarJudge(Rule(max_error_rate=0.01, max_p99_ms=150), Slot.GREEN) for _ in range(2))
    for judge in (whole, cut):
        judge.take_baseline(baseline(6_000, 6, durations_ms=usual))
    for second, asked in enumerate(seconds, 1):
        sizes = data.draw(chunks)
        for judge in (whole, cut):
            for _ in range(5):
                judge.take_control(YES)
        whole.take_traffic(asked)
        rest = list(asked)
        for size in sizes:
            cut.take_traffic(rest[:size])
            rest = rest[size:]
            if size % 2:
                cut.judge(elapsed_s=second, window_s=60)
        cut.take_traffic(rest)
        one, other = (judge.judge(elapsed_s=second, window_s=60) for judge in (whole, cut))
        assert (one and (one.judgement, one.rule, one.reason)) == (
            other and (other.judgement, other.rule, other.reason)
        )


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 4)), min_size=1, max_size=30))
def test_never_healthy_before_the_end_nor_on_too_little(seconds: list[tuple[int, int]]) -> None:
    """Whatever comes: fewer than 59 units bless nothing, and nothing is blessed early."""
    window = Window()
    for good, bad in seconds:
        verdict = window.pass_seconds(1, good=good, bad=bad)
        assert verdict is None or verdict.judgement is Judgement.BREACH
    verdict = window.pass_all()
    if sum(good + bad for good, bad in seconds) < 59:
        assert verdict.judgement is not Judgement.HEALTHY


def test_hits_waits_for_the_question() -> None:
    """What is fed is seen at the time of the next question, so that units know their seconds."""
    judge = RStarJudge(Rule(), Slot.GREEN)
    judge.take_traffic(hits(3, 0))
    assert judge.evidence().requests_count == 0
    judge.judge(elapsed_s=1, window_s=WINDOW_S)
    assert judge.evidence().requests_count == 3


def test_where_the_rule_is_not_armed_evidence_leads_nowhere_and_a_limit_still_does() -> None:
    """What would have led back is told at the end, however well it went on."""
    unarmed, limited = Window(), Window(Rule(max_error_rate=0.2))
    for window in (unarmed, limited):
        window.judge.take_baseline(baseline(), is_armed=False)
    assert unarmed.pass_seconds(30, good=20, bad=8) is None
    assert unarmed.pass_seconds(int(WINDOW_S) - 30, good=200) is not None
    assert judged(unarmed.verdict) == (Judgement.UNDECIDED, "errors")
    assert judged(limited.pass_seconds(30, good=20, bad=8)) == (Judgement.BREACH, "max_error_rate")
