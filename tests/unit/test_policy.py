"""What policy asks of a deploy."""

import pytest
from msgspec.structs import replace

from celadon.app.policy import check_policy
from celadon.model.observed import FindingLevel
from celadon.model.settings import ObserveSettings
from tests.fakes.world import make_settings


def check(**observe: object) -> list[str]:
    settings = ObserveSettings(require_thresholds=True, **observe)  # type: ignore[arg-type]
    found = check_policy(replace(make_settings(), observe=settings))
    assert all(finding.level is FindingLevel.PROBLEM for finding in found)
    return [finding.fix for finding in found]


def test_a_deploy_that_nobody_set_a_threshold_for_is_refused_with_the_lines_to_add() -> None:
    [fix] = check()
    assert "max_error_rate = " in fix
    assert "max_p95 = " in fix


@pytest.mark.parametrize("said", [{"max_error_rate": 0.01}, {"max_p95_s": 1.0}, {"max_p99_s": 1.0}, {"slo": 0.999}])
def test_any_threshold_is_enough(said: dict[str, float]) -> None:
    assert check(**said) == []


def test_an_owner_may_do_without() -> None:
    assert check_policy(replace(make_settings(), observe=ObserveSettings(require_thresholds=False))) == ()
