"""A verdict that nobody acts on, in words. Pure."""

from celadon.model.verdict import Judgement, Verdict
from celadon.sinks.phrases import describe_routes

_WOULD = {
    Judgement.HEALTHY: "A deploy would bless it.",
    Judgement.BREACH: "A deploy would go back.",
    Judgement.UNDECIDED: "A deploy would leave both slots running and ask.",
    Judgement.AMBIENT: "A deploy would change nothing: the other slot is in trouble too, or was not asked enough.",
}


def render_verdict(verdict: Verdict) -> str:
    lines = [f"{verdict.judgement} by {verdict.rule}: {verdict.reason}"]
    if verdict.evidence.failing_routes:
        lines.append(f"failing: {describe_routes(verdict.evidence.failing_routes)}")
    return "\n".join([*lines, f"{_WOULD[verdict.judgement]} Nothing was done: a dry run."])
