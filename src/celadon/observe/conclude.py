"""The end of a window that nothing has led back from: healthy, ambient, or nobody knows."""

from celadon.model.verdict import Evidence, Judgement, StandsOn, Verdict
from celadon.observe.healthy import find_upper, is_shown_below
from celadon.observe.memory import find_doubt as find_memory_doubt
from celadon.observe.rule import Rule

Found = tuple[Judgement, str, str]


def conclude(evidence: Evidence, rule: Rule, *, trouble: str, probe_is_ok: bool) -> Found:
    """`trouble` is an alarm that still stands, in words."""
    if trouble:
        return Judgement.AMBIENT, "control", f"{trouble}; the old slot is in trouble too, or was not asked enough"
    doubt = find_doubt(evidence, rule, probe_is_ok=probe_is_ok)
    if doubt:
        return Judgement.UNDECIDED, "evidence", doubt
    k, n = count_judged(evidence)
    below = f"less than {find_upper(k, n):.1%} of them fail"
    return Judgement.HEALTHY, "evidence", f"{k} of {n} units and journeys failed: {below}, with 90 % certainty"


def find_doubt(evidence: Evidence, rule: Rule, *, probe_is_ok: bool) -> str:
    """Why this is not to be blessed; empty when it may be."""
    k, n = count_judged(evidence)
    bound = rule.healthy_bound
    if not n and evidence.stands_on is StandsOn.PROBES:
        return "visitors were not seen to the end, and no journey was asked: there is nothing to go by"
    if not n:
        return f"no visitor came, and no journey was run: there is nothing to go by{_remedy(rule)}"
    if evidence.failing_journeys:
        return f"journey {', '.join(evidence.failing_journeys)} failed when it was last run"
    if not probe_is_ok:
        return "the last probe of the candidate failed"
    if not is_shown_below(k, n, bound=bound):
        return f"{k} of {n} units failed: too little to show that less than {bound:.1%} do{_remedy(rule)}"
    lone_count = evidence.lone_failures_count
    failed_count = evidence.failed_count - lone_count
    requests_count = evidence.requests_count - evidence.client_errors_count - lone_count
    if failed_count > bound * requests_count:
        return f"{failed_count} of {requests_count} requests failed, though of few clients"
    return find_memory_doubt(evidence.memory, window_s=evidence.window_s)


def _remedy(rule: Rule) -> str:
    """For a site that nobody visits."""
    return "" if rule.journeys else "; [[journeys]] in celadon.toml stand in for visitors"


def count_judged(evidence: Evidence) -> tuple[int, int]:
    """Bad ones, and all: units and journeys. Who is blind at the end does not go by what visitors got before."""
    if evidence.stands_on is StandsOn.PROBES:
        return evidence.journeys_failed_count, evidence.journeys_count
    return (
        evidence.bad_units_count + evidence.journeys_failed_count,
        evidence.units_count + evidence.journeys_count,
    )


def make_verdict(found: Found, evidence: Evidence) -> Verdict:
    """With what was warned of: nothing that was seen is silent, whatever decided."""
    judgement, rule, reason = found
    told = [warning for warning in evidence.warnings if warning not in reason]
    return Verdict(judgement=judgement, rule=rule, reason="; ".join([reason, *told]), evidence=evidence)
