"""The judgement by explicit thresholds: what breaches, what is healthy, and what is neither."""

from hypothesis import given
from hypothesis import strategies as st

from celadon.model.names import Slot
from celadon.model.observed import Answer, Hit, SlotStatus, SlotView
from celadon.model.settings import ObserveSettings
from celadon.model.verdict import Judgement, Verdict
from celadon.observe.threshold import ThresholdJudge

SETTINGS = ObserveSettings(max_error_rate=0.1, min_requests_count=10, readiness_failures_count=3)
UP = SlotView(slot=Slot.GREEN, status=SlotStatus.RUNNING, pids=(1,))


def hits(good: int, bad: int, *, slot: Slot | None = Slot.GREEN, look: str = "") -> list[Hit]:
    return [
        Hit(slot=slot, status=status, upstream_status=status, duration_ms=1, client_key="a", route="/", look=look)
        for status in [200] * good + [500] * bad
    ]


def answer(*, ok: bool) -> Answer:
    return Answer(ok=ok, latency_ms=1, reason="" if ok else "status 503")


def judge(*, good: int = 0, bad: int = 0, yes: int = 0, no: int = 0, elapsed_s: float = 60.0) -> Verdict | None:
    found = ThresholdJudge(SETTINGS, Slot.GREEN)
    found.take_process(UP)
    for ok in [True] * yes + [False] * no:
        found.take_probe(answer(ok=ok))
    found.take_traffic(hits(good, bad))
    return found.judge(elapsed_s=elapsed_s, window_s=60.0)


def test_too_many_errors_breach_at_once() -> None:
    """Before the window's end, with the figures in the reason."""
    verdict = judge(good=15, bad=5, elapsed_s=1.0)
    assert verdict is not None
    assert (verdict.judgement, verdict.rule) == (Judgement.BREACH, "max_error_rate")
    assert "5 of 20 requests" in verdict.reason


def test_errors_below_the_floor_of_evidence_decide_nothing() -> None:
    """Nine requests, all failed, are not ten."""
    assert judge(bad=9, yes=5, elapsed_s=59.0) is None
    assert judge(bad=10, elapsed_s=1.0) is not None


def test_exactly_the_allowed_share_is_allowed() -> None:
    """More than, not as much as."""
    verdict = judge(good=9, bad=1)
    assert verdict is not None
    assert verdict.judgement is Judgement.HEALTHY


def test_other_slots_and_our_own_looks_do_not_count() -> None:
    """Only what users asked of the candidate."""
    found = ThresholdJudge(SETTINGS, Slot.GREEN)
    found.take_traffic(hits(0, 50, slot=Slot.BLUE) + hits(0, 50, slot=None) + hits(0, 50, look="nonce"))
    assert found.judge(elapsed_s=1.0, window_s=60.0) is None


def test_probes_that_fail_in_a_row_breach() -> None:
    """Three in a row; a yes in between begins anew."""
    assert judge(no=3, elapsed_s=1.0) is not None
    assert judge(no=2, elapsed_s=1.0) is None
    found = ThresholdJudge(SETTINGS, Slot.GREEN)
    for ok in (False, False, True, False, False):
        found.take_probe(answer(ok=ok))
    assert found.judge(elapsed_s=1.0, window_s=60.0) is None


def test_a_process_that_ended_or_was_restarted_breaches() -> None:
    """A crash that systemd hides by a restart counts."""
    for rule, view in (
        ("process", SlotView(slot=Slot.GREEN, status=SlotStatus.EXITED, exit_code=137)),
        ("restarts", SlotView(slot=Slot.GREEN, status=SlotStatus.RUNNING, pids=(1,), restarts_count=1)),
    ):
        found = ThresholdJudge(SETTINGS, Slot.GREEN)
        found.take_process(view)
        verdict = found.judge(elapsed_s=0.1, window_s=60.0)
        assert verdict is not None
        assert (verdict.judgement, verdict.rule) == (Judgement.BREACH, rule)


def test_no_data_is_neither_success_nor_failure() -> None:
    """The old slot stays hot and a person decides."""
    verdict = judge()
    assert verdict is not None
    assert verdict.judgement is Judgement.UNDECIDED


def test_an_idle_site_is_judged_by_probes() -> None:
    """Every one of them must have passed."""
    passed = judge(yes=5)
    assert passed is not None
    assert passed.judgement is Judgement.HEALTHY
    mixed = judge(yes=5, no=1)
    assert mixed is not None
    assert mixed.judgement is Judgement.UNDECIDED


@given(st.integers(0, 200), st.integers(0, 200), st.integers(0, 5), st.floats(0, 120))
def test_the_verdict_follows_the_figures(good: int, bad: int, yes: int, elapsed_s: float) -> None:
    """Never healthy early or above the rate, never a breach below the floor; the evidence is what was fed."""
    verdict = judge(good=good, bad=bad, yes=yes, elapsed_s=elapsed_s)
    total = good + bad
    breached = total >= 10 and bad / total > 0.1
    if verdict is None:
        assert elapsed_s < 60
        assert not breached
        return
    assert (verdict.judgement is Judgement.BREACH) is breached
    assert verdict.judgement is Judgement.BREACH or elapsed_s >= 60
    assert (verdict.evidence.requests_count, verdict.evidence.failed_count) == (total, bad)
