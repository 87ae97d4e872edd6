"""What people are shown of an open window: samples of both slots, few and small."""

from itertools import pairwise

import pytest
from msgspec.structs import replace

from celadon.deploy.run import Run
from celadon.deploy.sampling import Sampler, Span
from celadon.events import WindowSampled, decode_event, encode_event
from celadon.model.names import OperationId, Slot
from celadon.model.observed import Answer, Hit, Served
from celadon.model.plan import Outcome
from celadon.model.settings import JudgeKind, ObserveSettings
from celadon.model.verdict import Evidence
from tests.fakes.world import Nature, World, events_of, make_settings


def hit(*, status: int = 200, duration_ms: float = 1.0) -> Hit:
    return Hit(
        slot=Slot.GREEN, status=status, upstream_status=status, duration_ms=duration_ms, client_key="a", route="/"
    )


def watched(*, window_s: float, is_sick: bool = False) -> World:
    """Trouble that both slots have ends no window."""
    world = World(natures={2: Nature.SICK_UNDER_TRAFFIC if is_sick else Nature.GOOD})
    assert world.deploy(1) is Outcome.DONE
    observe = ObserveSettings(judge=JudgeKind.EVIDENCE, window_s=window_s, max_error_rate=0.05)
    world.shared_trouble = is_sick
    world.deploy(2, settings=replace(make_settings(), observe=observe))
    return world


def samples_of(world: World) -> list[WindowSampled]:
    """Of the last window."""
    sampled = events_of(world, WindowSampled)
    return sampled[max(index for index, body in enumerate(sampled) if body.elapsed_s < 2) :]


def test_a_sample_tells_what_each_slot_answered_since_the_one_before() -> None:
    """Ten requests a second, all to the candidate; both slots are asked as often."""
    sample = samples_of(watched(window_s=5.0))[2]
    assert sample.candidate is not None
    assert sample.old is not None
    assert sample.candidate.requests_count == pytest.approx(10, abs=3)
    assert (sample.candidate.failed_count, sample.candidate.p50_ms, sample.candidate.probe_p95_ms) == (0, 1.0, 1.0)
    assert sample.old == Served(probe_p95_ms=1.0)


def test_failures_are_counted_for_the_slot_that_made_them() -> None:
    sampled = samples_of(watched(window_s=5.0, is_sick=True))
    counts = [(each.requests_count, each.failed_count) for body in sampled if (each := body.candidate) is not None]
    assert sum(failed_count for _, failed_count in counts) > 0
    assert all(requests_count == failed_count for requests_count, failed_count in counts)
    assert sampled[-1].old_failed_count == 0


def test_percentiles_are_of_what_was_answered_well() -> None:
    """A quick error must not make a slow release look fast."""
    span = Span()
    for duration_ms in range(1, 101):
        span.add_hit(hit(duration_ms=float(duration_ms)))
    for _ in range(200):
        span.add_hit(hit(status=502, duration_ms=0.1))
    span.add_answer(Answer(ok=True, latency_ms=3.14159))
    assert span.tell() == Served(requests_count=300, failed_count=200, p50_ms=50.0, p95_ms=95.0, probe_p95_ms=3.14)


def test_a_rush_of_visitors_is_kept_in_bounded_memory() -> None:
    """All are counted; the percentiles are of the last thousand."""
    span = Span()
    for _ in range(5_000):
        span.add_hit(hit(duration_ms=900.0))
    for _ in range(1_000):
        span.add_hit(hit(duration_ms=7.0))
    told = span.tell()
    assert (told.requests_count, told.p95_ms) == (6_000, 7.0)
    assert len(span._durations_ms) == 1_000


def test_a_long_window_is_sampled_each_second_at_first_and_then_each_five() -> None:
    """An hour is some 770 entries of the journal, not 3,600."""
    seconds = [body.elapsed_s for body in samples_of(watched(window_s=150.0))]
    steps = [(after, after - before) for before, after in pairwise(seconds)]
    assert max(step for second, step in steps if second < 60) < 1.5
    assert min(step for second, step in steps if second > 66) > 4.5


def test_a_sample_is_small() -> None:
    sample = samples_of(watched(window_s=5.0))[-1]
    assert len(encode_event(sample)) < 1_500


def test_evidence_that_doubles_is_shown_at_once_however_long_the_window_is_open() -> None:
    """A fault that begins late is seen to rise, not only to have risen."""
    world = World()
    run = Run(plan=world.plan_deploy(2, operation="op"), ports=world.ports(OperationId("op")))
    sampler = Sampler(run, began_s=0.0)
    for second, evidence in ((100, 1.0), (101, 1.9), (102, 2.1), (103, 2.2), (104, 9.0), (105, 1.0), (109, 1.0)):
        sampler.sample(Evidence(error_evidence=evidence), elapsed_s=second, window_s=600.0)
    assert [body.elapsed_s for body in events_of(world, WindowSampled)] == [100, 102, 104, 109]


def test_a_sample_of_an_older_version_is_still_read() -> None:
    """It knew nothing of what each slot answered."""
    text = (
        '{"event":"window_sampled","elapsed_s":3.0,"window_s":60.0,"candidate_requests_per_s":12.5,'
        '"old_requests_per_s":0.5,"evidence":{"requests_count":36}}'
    )
    sample = decode_event(text)
    assert isinstance(sample, WindowSampled)
    assert (sample.candidate, sample.old, sample.evidence.requests_count) == (None, None, 36)
