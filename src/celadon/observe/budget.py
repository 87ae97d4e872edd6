"""The error budget: a promise of 99.9 % a month leaves so many bad answers, and one deploy must not spend them."""

from celadon.observe.baseline import Known
from celadon.observe.rule import Rule


def describe_overspending(k: int, n: int, *, known: Known, rule: Rule) -> str:
    """In words, when the bad units beyond the usual rate, of k in n, are more than the deploy's share of the month's
    budget. Empty otherwise, and where nothing was promised or nothing is known of the traffic."""
    if rule.slo is None or not known.units_count:
        return ""
    excess = k - known.rate * n
    if excess < rule.budget_share * (1 - rule.slo) * known.units_a_month:
        return ""
    return f"{excess:.0f} bad units more than usual are over {rule.budget_share:.0%} of the month's error budget"
