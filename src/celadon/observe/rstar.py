"""Rule R*: the judgement of a window by evidence with bounded error. docs/decisions/0020-the-rule-of-the-window.md
says why each part is there.

In a sentence: go back when visitors or journeys show that the candidate fails more than is tolerated, *and* the old
slot, asked all through the window, shows that it would not; bless when the rate is shown to be low; else say that
nobody knows."""

from collections.abc import Sequence
from math import inf

from celadon.model.baseline import Baseline
from celadon.model.names import Slot
from celadon.model.observed import Answer, Counted, Hit, HostView, SlotView
from celadon.model.verdict import Evidence, Judgement, StandsOn, Verdict
from celadon.observe.baseline import Known, know_baseline
from celadon.observe.budget import describe_overspending
from celadon.observe.conclude import Found, conclude, make_verdict
from celadon.observe.control import Control, Recent, Spell
from celadon.observe.counted import CountedTest
from celadon.observe.evidence import NO_EVIDENCE, ShareTest
from celadon.observe.fast import Fast
from celadon.observe.feed import Feed
from celadon.observe.healthy import find_upper
from celadon.observe.journeys import Journeys
from celadon.observe.latency import Sample
from celadon.observe.memory import Memory, list_warnings
from celadon.observe.rule import (
    ALPHA_CONTROL,
    ALPHA_ERR,
    ALPHA_LAT,
    BUDGET_EVIDENCE,
    Rule,
)
from celadon.observe.slowness import LATENCY, Slowness
from celadon.observe.stand import Stand
from celadon.observe.thresholds import ErrorLimit, Limit
from celadon.observe.users import Users

# What journeys weigh where they are set, and where they are not but come all the same.
_JOURNEYS_WEIGHT = 0.5
_JOURNEYS_WEIGHT_UNSET = 0.1

# Up to so many bad units the value is computed after each, then after each sixteenth.
_EACH_UNTIL = 256
_EACH = 16


class RStarJudge:
    """Implements contracts.judge.Judge. What was fed waits for the next question, which says when it is."""

    def __init__(self, rule: Rule, candidate: Slot) -> None:
        self._rule = rule
        self._candidate = candidate
        self._percent = 100
        self._elapsed_s = self._window_s = 0.0
        self._blessed_from_s = inf if rule.min_window_s is None else rule.min_window_s
        self._is_armed = True
        self._found: Found | None = None
        self._unarmed: Found | None = None
        self._waits_for_control = False
        self._verdict: Verdict | None = None
        self._feed = Feed()
        self._users, self._old_users = Users(candidate), Users(candidate.other)
        self._fast = Fast(rule.readiness_failures_count)
        self._error_limit = ErrorLimit(rule)
        self._memory, self._stand = Memory(), Stand()
        self._recent, self._spell = Recent(), Spell()
        self._journeys = Journeys()
        self._know(Known(tolerated_rate=rule.floor))

    def _know(self, known: Known, *, pace_ms: float | None = None) -> None:
        self._known = known
        self._user = ShareTest(known.tolerated_rate)
        self._counted = CountedTest(self._candidate, max(known.tolerated_rate, self._rule.max_error_rate or 0.0))
        self._control = Control(known.usual_rate)
        self._slowness = Slowness(self._rule, Sample(known.latency), pace_ms=pace_ms)

    def take_baseline(self, baseline: Baseline | None, *, is_armed: bool = True, pace_ms: float | None = None) -> None:
        self._is_armed = is_armed
        nothing = Known(tolerated_rate=self._rule.floor)
        self._know(nothing if baseline is None else know_baseline(baseline, self._rule), pace_ms=pace_ms)

    def take_share(self, percent: int) -> None:
        self._percent = percent

    def take_traffic(self, hits: Sequence[Hit]) -> None:
        self._feed.hits.append(hits)

    def take_counts(self, counts: Sequence[Counted]) -> None:
        self._feed.counts.append(counts)

    def take_stand(self, stands_on: StandsOn, *, reason: str) -> None:
        self._stand.take(stands_on, reason=reason)

    def take_probe(self, answer: Answer) -> None:
        self._feed.probes.append(answer)

    def take_journey(self, answer: Answer, *, name: str = "") -> None:
        self._feed.journeys.append((name, answer))

    def take_control(self, answer: Answer, *, journey: str = "") -> None:
        self._feed.control.append((journey, answer))

    def take_process(self, view: SlotView) -> None:
        self._feed.views.append(view)

    def take_host(self, view: HostView) -> None:
        self._feed.hosts.append(view)

    def needs_control(self) -> bool:
        return self._waits_for_control

    def judge(self, *, elapsed_s: float, window_s: float) -> Verdict | None:
        if self._verdict is not None:
            return self._verdict
        self._elapsed_s, self._window_s = elapsed_s, window_s
        feed, self._feed = self._feed, Feed()
        self._pass_time(elapsed_s)
        self._weigh(feed)
        self._blessed_from_s = min(self._blessed_from_s, window_s)
        if self._found is not None:
            self._verdict = make_verdict(self._found, self.evidence())
            return self._verdict
        if elapsed_s < self._blessed_from_s:
            return None
        evidence = self.evidence()
        found = self._unarmed or self._conclude(evidence)
        is_due = elapsed_s >= window_s or found[0] is Judgement.HEALTHY
        return make_verdict(found, evidence) if is_due else None

    def _conclude(self, evidence: Evidence) -> Found:
        return conclude(evidence, self._rule, trouble=self._find_trouble(), probe_is_ok=self._fast.probe_is_ok)

    def _pass_time(self, elapsed_s: float) -> None:
        for test in (self._user, self._journeys, self._control, self._error_limit, self._slowness):
            test.pass_time(elapsed_s)

    def _weigh(self, feed: Feed) -> None:
        """The old slot first: what it answered by now is known before the candidate is blamed."""
        for journey, answer in feed.control:
            self._weigh_control(answer, journey)
        self._weigh_process(feed)
        for answer in feed.probes:
            self._fast.take_probe(answer, now_s=self._elapsed_s)
        if self._find_fault() or (self._waits_for_control and self._find_errors()):
            return
        for name, answer in feed.journeys:
            if self._weigh_journey(answer, name):
                return
        self._weigh_traffic(feed)

    def _weigh_traffic(self, feed: Feed) -> None:
        for hits in feed.hits:
            if self._percent < 100:
                self._weigh_old_users(hits)
            self._weigh_users(hits)
            if self._found is not None:
                return
        if self._find_slowness():
            return
        for counts in feed.counts:
            if self._counted.take(counts) and self._find_counted():
                return

    def _weigh_process(self, feed: Feed) -> None:
        for view in feed.views:
            self._fast.process.take(view)
            self._memory.take(view)
        for host in feed.hosts:
            self._fast.process.take_host(host)
            self._memory.take_host(host)
        self._memory.pass_time(self._elapsed_s)

    def _weigh_control(self, answer: Answer, journey: str) -> None:
        asked_s = self._elapsed_s - answer.latency_ms / 1000
        is_like_visitors = bool(journey) or not self._journeys.are_control
        self._fast.take_control(answer, now_s=self._elapsed_s, is_like_visitors=is_like_visitors)
        self._slowness.take_control(answer.latency_ms, question=journey)
        if journey:
            self._journeys.difference.add_control(bad=not answer.ok)
        if is_like_visitors:
            self._add_control(asked_s, bad=not answer.ok)

    def _add_control(self, asked_s: float, *, bad: bool) -> None:
        self._spell.add_control(asked_s)
        self._control.add_control(bad=bad)
        self._recent.add(self._elapsed_s, bad=bad)

    def _weigh_journey(self, answer: Answer, name: str) -> bool:
        self._journeys.add(name, bad=not answer.ok)
        if answer.ok:
            self._control.add_good(1)
            return False
        self._add_bad()
        return self._is_worth_asking() and self._find_errors()

    def _add_bad(self) -> None:
        """Of the candidate, visitor or journey."""
        self._spell.add_bad(self._elapsed_s)
        self._control.add_bad()

    def _weigh_users(self, hits: Sequence[Hit]) -> None:
        durations_ms = self._users.take(
            hits,
            now_s=self._elapsed_s,
            start=self._user.latest_start,
            take_good=self._weigh_good,
            take_bad=self._weigh_bad,
        )
        self._slowness.take(durations_ms)

    def _weigh_good(self, count: int) -> None:
        if count:
            self._user.n += count
            self._control.add_good(count)
            self._error_limit.add_good(count)
            self._fast.take_unit(self._elapsed_s, bad=False)

    def _weigh_bad(self, starts: list[int]) -> bool:
        self._user.add_bad(starts)
        self._add_bad()
        self._error_limit.add_bad(starts)
        self._fast.take_unit(self._elapsed_s, bad=True)
        outage = self._fast.find_outage()
        return self._breach(*outage) if outage else self._is_worth_asking() and self._find_errors()

    def _weigh_old_users(self, hits: Sequence[Hit]) -> None:
        """While a share is held, what visitors get of the old slot is the best control there is."""
        self._old_users.take(
            hits, now_s=self._elapsed_s, start=0, take_good=self._take_old_good, take_bad=self._take_old_bad
        )

    def _take_old_good(self, count: int) -> None:
        for _ in range(count):
            self._add_control(self._elapsed_s, bad=False)

    def _take_old_bad(self, _starts: list[int]) -> bool:
        self._add_control(self._elapsed_s, bad=True)
        return False

    def _find_fault(self) -> bool:
        fault = self._fast.find_fault()
        return self._breach(*fault) if fault else False

    def _is_worth_asking(self) -> bool:
        k = self._user.k + self._journeys.test.k
        return k <= _EACH_UNTIL or not k % _EACH

    def _find_errors(self) -> bool:
        """At a bad one, and while the old slot's answers are waited for."""
        self._waits_for_control = False
        return self._find_excess() or self._find_broken_error() or self._find_overspending()

    def _find_excess(self) -> bool:
        evidence = self._error_evidence()
        if evidence < 1 / ALPHA_ERR or self._lacks_control(self._control_evidence()):
            return False
        proof = f"(evidence {evidence:.3g} : 1); the old slot does not fail so"
        return self._breach_by_evidence("errors", f"{self._describe_errors()} {proof}")

    def _find_broken_error(self) -> bool:
        limit = self._error_limit.find_broken()
        if limit is None or self._old_slot_breaks(limit):
            return False
        return self._breach(limit.name, limit.describe())

    def _old_slot_breaks(self, limit: Limit) -> bool:
        """It fails above the limit too, or as the candidate does in the same seconds. Where nobody asked it, nobody
        knows, and what a person has set counts."""
        if self._recent.fails_above(limit.test.p0):
            return True
        _, start = limit.test.weigh()
        evidence = self._control.plain.value_since(start) if self._spell.is_compared else NO_EVIDENCE
        return self._recent.count > 0 and self._lacks_control(evidence)

    def _lacks_control(self, evidence: float, *, asked: float = 1 / ALPHA_CONTROL) -> bool:
        lacks = evidence < asked
        self._waits_for_control |= lacks
        return lacks

    def _find_counted(self) -> bool:
        """As an explicit threshold: nobody knows whose failures they were, so that the bet on the difference is off."""
        evidence = self._counted.value()
        if evidence < 1 / ALPHA_ERR or self._recent.fails_above(self._counted.p0):
            return False
        return self._breach("counted_errors", f"{self._counted.describe()} (evidence {evidence:.3g} : 1)")

    def _find_overspending(self) -> bool:
        k = self._user.k - self._user.worst_count
        spent = describe_overspending(k, self._user.n, known=self._known, rule=self._rule)
        if not spent or self._error_evidence() < BUDGET_EVIDENCE:
            return False
        if self._lacks_control(self._control_evidence(), asked=BUDGET_EVIDENCE):
            return False
        return self._breach_by_evidence("error_budget", spent)

    def _find_slowness(self) -> bool:
        slow = self._slowness.find_breach()
        if slow is None:
            return False
        return self._breach_by_evidence(*slow) if slow[0] == LATENCY else self._breach(*slow)

    def _breach_by_evidence(self, rule: str, reason: str) -> bool:
        if self._is_armed:
            return self._breach(rule, reason)
        self._unarmed = self._unarmed or (Judgement.UNDECIDED, rule, reason)
        return False

    def _breach(self, rule: str, reason: str) -> bool:
        self._found = (Judgement.BREACH, rule, reason)
        return True

    def _error_evidence(self) -> float:
        weight = _JOURNEYS_WEIGHT if self._rule.journeys else _JOURNEYS_WEIGHT_UNSET
        return (1 - weight) * self._user.value() + weight * self._journeys.test.value()

    def _control_evidence(self) -> float:
        """None until the old slot has been asked since the candidate began to fail."""
        if not self._spell.is_compared:
            return NO_EVIDENCE
        user, user_start = self._user.weigh()
        journey, journey_start = self._journeys.test.weigh()
        if user >= journey:
            return self._control.excess.value_since(user_start)
        difference = self._journeys.difference if self._journeys.are_control else self._control.excess
        return difference.value_since(journey_start)

    def _find_trouble(self) -> str:
        """An alarm that stands, in words, though it did not lead back."""
        if self._error_evidence() >= 1 / ALPHA_ERR:
            return self._describe_errors()
        if self._counted.value() >= 1 / ALPHA_ERR:
            return self._counted.describe()
        limit = self._error_limit.find_broken()
        return limit.describe() if limit is not None else self._slowness.find_trouble()

    def _describe_errors(self) -> str:
        k, n = self._count()
        return f"{k} of {n} units and journeys failed, tolerated are {self._user.p0:.2%}"

    def _count(self) -> tuple[int, int]:
        """Bad ones, and all: units and journeys."""
        return self._user.k + self._journeys.test.k, self._user.n + self._journeys.test.n

    def evidence(self) -> Evidence:
        """What is known so far: also for the live view."""
        counted = self._counted
        bad_units_count, units_count = self._user.k + counted.bad_units_count, self._user.n + counted.units_count
        journeys = self._journeys.test
        k, n = bad_units_count + journeys.k, units_count + journeys.n
        memory = self._memory.weigh(elapsed_s=self._elapsed_s)
        return Evidence(
            requests_count=self._users.requests_count + counted.requests_count,
            failed_count=self._users.failed_count + counted.failed_count,
            client_errors_count=self._users.client_errors_count + counted.client_errors_count,
            probes_count=self._fast.probes_count,
            probes_failed_count=self._fast.probes_failed_count,
            restarts_count=self._fast.process.restarts_count,
            percent=self._percent,
            elapsed_s=self._elapsed_s,
            window_s=self._window_s,
            units_count=units_count,
            bad_units_count=bad_units_count,
            journeys_count=journeys.n,
            journeys_failed_count=journeys.k,
            failing_journeys=self._journeys.failing,
            control_count=self._recent.count,
            control_failed_count=self._recent.failed_count,
            tolerated_rate=self._known.tolerated_rate,
            baseline_rate=self._known.rate_bound,
            user_evidence=self._user.value(),
            journey_evidence=self._journeys.test.value(),
            latency_evidence=self._slowness.evidence,
            control_evidence=self._control_evidence(),
            error_evidence=self._error_evidence(),
            error_evidence_asked=1 / ALPHA_ERR,
            latency_evidence_asked=1 / ALPHA_LAT,
            control_evidence_asked=1 / ALPHA_CONTROL,
            bad_rate_below=find_upper(k, n),
            lone_failures_count=self._users.count_lone_failures(),
            failing_routes=self._users.failing.pick_top(),
            stands_on=self._stand.on,
            memory=memory,
            warnings=(*self._stand.list_warnings(), *self._slowness.list_warnings(), *list_warnings(memory)),
        )
