"""The bets are worth what the formula says, and cheat nobody: scipy and ten thousand runs are the witnesses."""

import random
from math import exp, lgamma, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, special, stats

from celadon.observe.baseline import diverge, find_rate_bound
from celadon.observe.control import ODDS, Z_90, Z_99, Difference, wilson_low, wilson_up
from celadon.observe.evidence import Bets, ShareTest, pick_shares, weigh_start, weigh_until
from celadon.observe.healthy import ALPHA_HEALTHY, find_upper, is_shown_below, weigh_against
from celadon.observe.latency import LatencyTest, RankTest, Sample, find_bucket
from celadon.observe.rule import ALPHA_B, ALPHA_CONTROL, ALPHA_ERR, ALPHA_LAT

RUNS = 10_000


def allowed(alpha: float, runs: int) -> int:
    """More exceedances than this happen by chance once in 100,000 times when the bound holds exactly."""
    return int(stats.binom.ppf(1 - 1e-5, runs, alpha))


@pytest.mark.parametrize("p0", [0.002, 0.01, 0.05, 0.4])
def test_the_shares_are_even_in_log_odds(p0: float) -> None:
    """Twelve, from 1.5 p0 to 0.95."""
    expected = special.expit(np.linspace(special.logit(1.5 * p0), special.logit(0.95), 12))
    assert pick_shares(p0) == pytest.approx(list(expected), rel=1e-9)


@pytest.mark.parametrize(("k", "n"), [(0, 0), (0, 300), (1, 1), (3, 7), (20, 400), (250, 250)])
def test_a_bet_is_worth_the_likelihood_ratio(k: int, n: int) -> None:
    """mean_j of scipy's binomial probabilities under p_j over the one under p0."""
    p0 = 0.01
    logs = [stats.binom.logpmf(k, n, p) - stats.binom.logpmf(k, n, p0) for p in pick_shares(p0)]
    expected = min(float(np.mean(np.exp(np.minimum(logs, log(1e15))))), 1e15)
    assert Bets(p0).value(k, n) == pytest.approx(expected, rel=1e-6)


def test_all_bets_together_are_one() -> None:
    """Half at the switch, half spread; what has not started is worth what was put in."""
    assert sum(weigh_start(index) for index in range(20)) == pytest.approx(weigh_until(19))
    assert weigh_until(10**9) == pytest.approx(1.0)
    test = ShareTest(0.01)
    test.pass_time(3_600.0)
    assert test.value() == pytest.approx(weigh_until(120) - weigh_until(97) + 0.5 + 1 - weigh_until(120))


def test_under_the_null_the_evidence_exceeds_its_bound_in_at_most_alpha_of_the_runs() -> None:
    """Looked at after each failure of 300 s at one unit a second, the true rate being exactly p0."""
    draw = random.Random(2026)
    exceeded = sum(_ever_exceeds(draw, p0=0.02, limit=20.0) for _ in range(RUNS))
    assert exceeded <= allowed(1 / 20, RUNS)
    assert exceeded > 0


def _ever_exceeds(draw: random.Random, *, p0: float, limit: float) -> bool:
    """A value only rises by a failure, so that looking after each is looking always."""
    test, at = ShareTest(p0), 0
    while True:
        gap = int(log(1 - draw.random()) / log(1 - p0)) + 1
        at += gap
        if at > 300:
            return False
        for second in range(max(at - gap, 0) // 30 * 30, at + 1, 30):
            test.n += max(0, min(second, at - 1) - max(at - gap, second - 30) if second else 0)
            test.pass_time(float(second))
        test.n = at - 1
        test.add_bad()
        if test.value() >= limit:
            return True


def test_clusters_and_one_broken_client_stay_within_the_bound() -> None:
    """Whatever one client does, its failures alone never reach what a rollback asks for at the floor."""
    test = ShareTest(0.002)
    for starts in ([0], [0, 0], [0, 0, 0]):
        test.add_bad(starts)
        assert test.value() < 1 / ALPHA_ERR


def test_a_late_fault_is_not_paid_for_with_what_was_good_before() -> None:
    """After ten minutes of 50 good units a second a fault is found with a dozen bad ones."""
    test = ShareTest(0.01)
    for second in range(600):
        test.pass_time(float(second))
        test.n += 50
    test.pass_time(600.0)
    for client in range(12):
        assert client < 11 or test.value() > 1 / ALPHA_ERR
        test.add_bad([test.latest_start])


@given(st.lists(st.booleans(), max_size=200))
def test_leaving_clients_out_only_lowers_the_value(outcomes: list[bool]) -> None:
    """So that it stays an e-value."""
    with_clients, without = ShareTest(0.01), ShareTest(0.01)
    for bad in outcomes:
        for test in (with_clients, without):
            if not bad:
                test.n += 1
        if bad:
            with_clients.add_bad([0])
            without.add_bad()
    assert with_clients.value() <= without.value() * (1 + 1e-9)


@pytest.mark.parametrize(("k", "n"), [(0, 10), (3, 10), (10, 10), (1, 5_000), (50, 5_000)])
def test_wilsons_bounds_are_scipys(k: int, n: int) -> None:
    """One-sided 90 % and 99 % are two-sided 80 % and 98 %."""
    for confidence, bound in ((0.8, wilson_low(k, n)), (0.98, wilson_up(k, n))):
        interval = stats.binomtest(k, n).proportion_ci(confidence, method="wilson")
        assert bound == pytest.approx(interval.low if confidence == 0.8 else interval.high, abs=1e-9)
    assert pytest.approx((stats.norm.ppf(0.9), stats.norm.ppf(0.99))) == (Z_90, Z_99)
    assert (wilson_low(0, 0), wilson_up(0, 0)) == (0.0, 1.0)


@pytest.mark.parametrize(("k", "n"), [(0, 100), (0, 5_000), (1, 60), (5, 5_000), (50, 5_000), (99, 100)])
def test_the_baselines_bound_is_chernoffs(k: int, n: int) -> None:
    """The root that scipy finds, and no tighter than the exact bound of Clopper and Pearson."""
    bound = find_rate_bound(k, n)
    limit = log(1 / ALPHA_B) / n
    root = optimize.brentq(lambda u: diverge(k / n, u) - limit, k / n + 1e-12, 1 - 1e-12, xtol=1e-14)
    assert bound == pytest.approx(root, rel=1e-6)
    assert bound >= stats.beta.ppf(1 - ALPHA_B, k + 1, n - k)
    assert diverge(0.3, 0.2) == pytest.approx(float(special.rel_entr(0.3, 0.2) + special.rel_entr(0.7, 0.8)))


@pytest.mark.parametrize(("k", "n", "bound"), [(1, 100, 0.05), (3, 400, 0.05), (10, 2_000, 0.01)])
def test_the_bless_bets_are_the_beta_binomial(k: int, n: int, bound: float) -> None:
    """Robbins' mixture, from scipy's own distributions."""
    mixture = stats.betabinom.logpmf(k, n, 0.5, 0.5) - stats.binom.logpmf(k, n, bound)
    assert weigh_against(k, n, bound=bound) == pytest.approx(exp(mixture), rel=1e-6)
    assert lgamma(5) == pytest.approx(float(special.gammaln(5)))


def test_59_clean_units_show_5_percent_and_299_show_1() -> None:
    """One less does not; one bad one asks for more."""
    assert is_shown_below(0, 59, bound=0.05)
    assert not is_shown_below(0, 58, bound=0.05)
    assert is_shown_below(0, 299, bound=0.01)
    assert not is_shown_below(0, 298, bound=0.01)
    assert not is_shown_below(1, 59, bound=0.05)
    assert is_shown_below(1, 200, bound=0.05)
    assert not is_shown_below(30, 100, bound=0.05)
    assert find_upper(0, 59) == pytest.approx(1 - ALPHA_HEALTHY ** (1 / 59), abs=1e-6)
    assert find_upper(0, 0) == 1.0


def test_a_release_at_the_bound_is_blessed_in_at_most_a_tenth_of_the_runs() -> None:
    """Looked at after each of 600 units: two bets, each at ALPHA_HEALTHY."""
    draw = np.random.default_rng(7)
    blessed = 0
    for outcomes in draw.random((2_000, 600)) < 0.05:
        bad = np.cumsum(outcomes)
        blessed += any(is_shown_below(int(bad[n - 1]), n, bound=0.05) for n in range(59, 601, 3))
    assert blessed <= allowed(2 * ALPHA_HEALTHY, 2_000)


@pytest.mark.parametrize("rate", [1, 5, 40])
def test_trouble_of_both_slots_is_taken_for_the_candidates_in_at_most_alpha_of_the_runs(rate: int) -> None:
    """Two minutes in which both fail one in ten, asked for after each failure, without and with trouble's edges."""
    draw = random.Random(rate)
    runs = 1_000 // rate + 100
    exceeded = 0
    for _ in range(runs):
        difference = Difference(0.001)
        exceeded += _ever_differs(draw, difference, rate=rate)
    assert exceeded <= allowed(ALPHA_CONTROL, runs)


def _ever_differs(draw: random.Random, difference: Difference, *, rate: int) -> bool:
    for second in range(1, 151):
        difference.pass_time(float(second))
        fails = 0.1 if 20 <= second < 140 else 0.001
        for _ in range(5):
            difference.add_control(bad=draw.random() < fails)
        for _ in range(rate):
            if draw.random() >= fails:
                difference.add_good(1)
                continue
            difference.add_bad()
            if difference.value_since(0) >= 1 / ALPHA_CONTROL:
                return True
    return False


def test_usual_failures_are_no_difference() -> None:
    """Visitors fail at 1 % as ever while no probe does: ten minutes are no evidence. A probe's usual one neither."""
    difference = Difference(0.012)
    for second in range(1, 601):
        difference.pass_time(float(second))
        for _ in range(5):
            difference.add_control(bad=False)
        difference.add_good(49 if second % 2 else 50)
        if second % 2:
            difference.add_bad()
    assert difference.value_since(0) < 2
    before = difference.value_since(0)
    difference.add_control(bad=True)
    assert difference.value_since(0) == before
    difference.add_control(bad=True)
    assert difference.value_since(0) < before


@pytest.mark.parametrize("candidates", [1, 5, 20])
def test_of_failures_the_candidate_has_its_share_when_both_fail(candidates: int) -> None:
    """The bet is a likelihood ratio: over whose failure it is, at tolerated odds, its mean is one."""
    for tolerated, bet in ODDS:
        ratio = 5 / candidates
        whose = tolerated / (tolerated + ratio)
        gain = bet / tolerated * (tolerated + ratio) / (bet + ratio)
        loss = (tolerated + ratio) / (bet + ratio)
        assert whose * gain + (1 - whose) * loss == pytest.approx(1.0)
        difference = Difference(0.0)
        for _ in range(5):
            difference.add_control(bad=False)
        difference.add_good(candidates - 1)
        difference.add_bad()
    expected = np.mean([bet / low * (low + ratio) / (bet + ratio) for low, bet in ODDS])
    assert difference.value_since(0) == pytest.approx(float(expected))


def test_the_control_says_nothing_while_it_is_not_asked() -> None:
    """However much the candidate fails."""
    difference = Difference(0.001)
    for _ in range(100):
        difference.add_bad()
    assert difference.value_since(0) == pytest.approx(1.0)


def test_latency_of_the_same_kind_exceeds_its_bound_in_at_most_alpha_of_the_runs() -> None:
    """The same distribution, against a sample of 2,000 drawn anew in each run; asked whenever it is due."""
    draw = np.random.default_rng(11)
    exceeded = 0
    for _ in range(200):
        sample, asked = draw.lognormal(0, 0.6, 2_000) * 80, draw.lognormal(0, 0.6, 1_000) * 80
        test = make_latency_test(sample)
        exceeded += any(test.value() >= 1 / ALPHA_LAT for _ in test.add(asked.tolist()))
    assert exceeded <= allowed(ALPHA_LAT, 200)


@pytest.mark.parametrize(("slower", "found"), [(1.2, False), (2.0, True), (3.0, True)])
def test_slowness_is_found_by_its_size(slower: float, found: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """×3 in thirty requests; ×1.2 not in 300,000."""
    draw = np.random.default_rng(12)
    test = make_latency_test(draw.lognormal(0, 0.6, 2_000) * 80)
    asked = (draw.lognormal(0, 0.6, 300_000 if slower < 1.5 else 200) * 80 * slower).tolist()
    noticed = next((test.count for _ in test.add(asked) if test.value() >= 1 / ALPHA_LAT), None)
    assert (noticed is not None) is found
    assert slower < 3 or (noticed is not None and noticed <= 30)


def make_latency_test(durations_ms: np.ndarray[tuple[int], np.dtype[np.float64]]) -> LatencyTest:
    latency: dict[int, int] = {}
    for duration_ms in durations_ms.tolist():
        latency[find_bucket(duration_ms)] = latency.get(find_bucket(duration_ms), 0) + 1
    return LatencyTest(Sample(latency))


def test_ranks_are_those_of_mann_and_whitney() -> None:
    """The mean rank is scipy's U over n·m, up to the width of a bucket."""
    draw = np.random.default_rng(13)
    old, new = draw.lognormal(0, 0.6, 2_000) * 80, draw.lognormal(0.3, 0.6, 500) * 80
    latency: dict[int, int] = {}
    for duration_ms in old.tolist():
        latency[find_bucket(duration_ms)] = latency.get(find_bucket(duration_ms), 0) + 1
    sample = Sample(latency)
    effect = stats.mannwhitneyu(new, old).statistic / (len(old) * len(new))
    assert np.mean([sample.rank(find_bucket(value)) for value in new.tolist()]) == pytest.approx(effect, abs=0.005)


def test_a_bucket_is_5_percent_wide_and_ends_exist() -> None:
    """Everything has a bucket."""
    assert find_bucket(0.0) == find_bucket(0.1) == 0
    assert find_bucket(1e12) == 331
    assert find_bucket(100.0) == find_bucket(0.1 * 1.05**142 * 0.999)
    assert find_bucket(106.0) - find_bucket(100.0) in {1, 2}


@pytest.mark.parametrize("count", [200, 2_000, 200_000])
def test_the_tolerated_effect_allows_for_the_samples_own_error(count: int) -> None:
    """One in a thousand samples of that size has a mean rank that is further off."""
    error = stats.norm.ppf(0.999) * stats.uniform.std() / np.sqrt(count)
    assert RankTest(Sample({100: count})).tolerated == pytest.approx(0.60 + error, abs=1e-3)
