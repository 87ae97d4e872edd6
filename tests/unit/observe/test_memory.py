"""Memory that grows and a machine that swaps: told always, deciding nothing, but near its end no bless."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celadon.contracts.judge import Judge
from celadon.host.memory import KernelHost
from celadon.model.names import Slot
from celadon.model.observed import Answer, HostView, SlotStatus, SlotView
from celadon.model.settings import ObserveSettings
from celadon.model.verdict import Judgement, Verdict
from celadon.observe.memory import Memory, find_growth
from celadon.observe.rstar import RStarJudge
from celadon.observe.rule import Rule
from celadon.observe.threshold import ThresholdJudge
from tests.unit.observe.scene import baseline, hits

MIB = 1 << 20
GIB = 1 << 30
WINDOW_S = 120.0


def by_evidence() -> Judge:
    judge = RStarJudge(Rule(), Slot.GREEN)
    judge.take_baseline(baseline())
    return judge


def by_thresholds() -> Judge:
    return ThresholdJudge(ObserveSettings(max_error_rate=0.01, min_requests_count=20), Slot.GREEN)


JUDGES = pytest.mark.parametrize("make", [by_evidence, by_thresholds])


def watch(
    judge: Judge,
    *,
    rss_mib: Callable[[int], float] = lambda _: 100,
    host: Callable[[int], HostView] = lambda _: HostView(available_bytes=8 * GIB),
    limit_bytes: int | None = 512 * MIB,
    failing: bool = False,
) -> Verdict:
    """Two minutes of good visitors; `rss_mib` and `host` by the second."""
    for second in range(int(WINDOW_S) + 1):
        view = SlotView(
            slot=Slot.GREEN,
            status=SlotStatus.RUNNING,
            pids=(1,),
            rss_bytes=int(rss_mib(second) * MIB),
            memory_limit_bytes=limit_bytes,
        )
        judge.take_process(view)
        judge.take_host(host(second))
        for _ in range(5):
            judge.take_control(Answer(ok=True, latency_ms=2.0))
        judge.take_traffic(hits(0 if failing else 5, 5 if failing else 0, first=second * 1_000))
        verdict = judge.judge(elapsed_s=float(second), window_s=WINDOW_S)
        if verdict is not None:
            return verdict
    raise AssertionError("no verdict at the window's end")


@JUDGES
def test_memory_that_would_be_used_up_within_a_window_holds_the_bless_back(make: Callable[[], Judge]) -> None:
    """And is the reason; nothing leads back by it."""
    verdict = watch(make(), rss_mib=lambda second: 100 + 3 * second)
    assert verdict.judgement is Judgement.UNDECIDED
    assert "grows 180.0 MiB a minute and would reach its limit of 512 MiB in 17 s" in verdict.reason
    assert verdict.evidence.memory.growth_bytes_per_s == pytest.approx(3 * MIB)
    assert verdict.evidence.memory.full_in_s == pytest.approx(17.3, abs=0.1)


@JUDGES
def test_memory_that_grows_slowly_is_told_and_blessed(make: Callable[[], Judge]) -> None:
    """The end is hours away: a person reads it, the bless does not wait."""
    verdict = watch(make(), rss_mib=lambda second: 100 + second / 10, limit_bytes=4 * GIB)
    assert verdict.judgement is Judgement.HEALTHY
    assert "grows 6.0 MiB a minute" in verdict.reason
    assert verdict.evidence.warnings == (verdict.reason.partition("; ")[2],)


@JUDGES
def test_memory_never_softens_what_traffic_shows(make: Callable[[], Judge]) -> None:
    """Nor hides it: failing visitors lead back, and the growth stands beside them once it is known."""
    verdict = watch(make(), rss_mib=lambda second: 100 + 3 * second, failing=True)
    assert verdict.judgement is Judgement.BREACH
    assert verdict.rule != "memory"


@JUDGES
def test_a_machine_that_swaps_is_told_and_decides_nothing(make: Callable[[], Judge]) -> None:
    """Two releases run at once: that is what a bless ends."""
    swapping = watch(
        make(),
        host=lambda second: HostView(
            available_bytes=GIB, swapped_in_bytes=second * 5 * MIB, stalled_s=second * 0.2, killed_count=second // 100
        ),
    )
    assert swapping.judgement is Judgement.HEALTHY
    for words in ("swaps: 5.0 MiB a second", "waited for in 20% of", "killed 1 of the machine's processes"):
        assert words in swapping.reason


@JUDGES
def test_a_quiet_machine_is_not_spoken_of(make: Callable[[], Judge]) -> None:
    verdict = watch(make(), host=lambda _: HostView(available_bytes=GIB, swapped_in_bytes=900 * MIB, killed_count=7))
    assert verdict.evidence.warnings == ()
    assert ";" not in verdict.reason


def test_without_a_limit_the_end_is_that_of_the_machine() -> None:
    verdict = watch(
        by_evidence(),
        rss_mib=lambda second: 100 + 3 * second,
        limit_bytes=None,
        host=lambda second: HostView(available_bytes=(400 - 3 * second) * MIB),
    )
    assert verdict.judgement is Judgement.UNDECIDED
    assert "would reach the end of what the machine has in 13 s" in verdict.reason


def test_a_machine_that_has_less_than_the_limit_allows_is_the_end() -> None:
    verdict = watch(
        by_evidence(), rss_mib=lambda second: 100 + 3 * second, host=lambda _: HostView(available_bytes=30 * MIB)
    )
    assert "the end of what the machine has in 10 s" in verdict.reason


@pytest.mark.parametrize(
    ("rss_mib", "why"),
    [
        (lambda second: 100 + 300 * (1 - 0.9**second), "what a fresh process fills levels off"),
        (lambda second: 100 + 300 * (second > 30), "a step is no slope"),
        (lambda second: 100 + 200 * (second == 50), "nor is a spike"),
        (lambda second: 100 + (second % 20) * 5, "a collector's saw goes nowhere"),
        (lambda second: 200 - second, "what shrinks does not grow"),
        (lambda second: 1_000 + second / 10, "a hundredth is noise"),
    ],
)
def test_what_is_no_leak_is_not_taken_for_one(rss_mib: Callable[[int], float], why: str) -> None:
    samples = [(float(second), int(rss_mib(second) * MIB)) for second in range(0, 121, 2)]
    assert find_growth(samples) == 0.0, why


@given(st.floats(0.2, 50), st.lists(st.floats(-1, 1), min_size=60, max_size=60))
def test_a_leak_is_found_through_noise(mib_a_second: float, noise: list[float]) -> None:
    """To within what a MiB of noise either way makes of the half minute that is looked at last."""
    samples = [
        (float(second), int((100 + mib_a_second * second + wobble) * MIB)) for second, wobble in enumerate(noise)
    ]
    assert find_growth(samples) == pytest.approx(mib_a_second * MIB, abs=0.14 * MIB)


def test_a_minute_must_have_been_seen() -> None:
    memory = Memory()
    for second in range(60):
        memory.take(SlotView(slot=Slot.GREEN, status=SlotStatus.RUNNING, rss_bytes=(100 + 9 * second) * MIB))
        memory.pass_time(second)
    assert memory.weigh(elapsed_s=59.0).growth_bytes_per_s == 0.0
    assert memory.weigh(elapsed_s=60.0).growth_bytes_per_s == pytest.approx(9 * MIB)


def test_an_hour_takes_no_more_room_than_a_minute() -> None:
    memory = Memory()
    for second in range(3_600):
        memory.take(SlotView(slot=Slot.GREEN, status=SlotStatus.RUNNING, rss_bytes=100 * MIB + second * 10_000))
        memory.take_host(HostView())
        memory.pass_time(second)
    assert len(memory._samples) <= 65
    assert len(memory._recent) <= 62
    assert memory.weigh(elapsed_s=3_600).growth_bytes_per_s == pytest.approx(10_000, rel=0.01)


def test_this_machine_says_what_it_has() -> None:
    """Of the running kernel, in its own units."""
    view = KernelHost().observe()
    assert view.available_bytes is not None
    assert 1 << 20 < view.available_bytes < 1 << 46
    assert view.load >= 0
