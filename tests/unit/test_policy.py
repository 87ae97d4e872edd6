"""What policy asks of a deploy."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from celadon.app.policy import check_policy, suggest_thresholds
from celadon.host.layout import Layout
from celadon.model.baseline import Baseline, Learned, Minute, RouteCount
from celadon.model.names import AppName
from celadon.model.observed import FindingLevel
from celadon.model.settings import ObserveSettings
from celadon.store.baseline import write_baseline
from tests.fakes.world import make_settings


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path, AppName("shop"))
    layout.home.mkdir(parents=True)
    return layout


def check(layout: Layout, **observe: object) -> list[str]:
    settings = ObserveSettings(**({"require_thresholds": True} | observe))  # type: ignore[arg-type]
    found = check_policy(layout, replace(make_settings(), observe=settings))
    assert all(finding.level is FindingLevel.PROBLEM for finding in found)
    return [finding.fix for finding in found]


def test_a_deploy_that_nobody_set_a_threshold_for_is_refused_with_the_lines_to_add(layout: Layout) -> None:
    [fix] = check(layout)
    assert 'max_error_rate = "1%"' in fix
    assert 'max_p95 = "1000ms"' in fix


def test_a_file_of_secrets_that_everybody_can_read_is_a_warning(layout: Layout, tmp_path: Path) -> None:
    """One that is not there refuses the deploy before it builds anything."""
    path = tmp_path / "env"
    settings = make_settings()
    settings = replace(settings, web=replace(settings.web, env_file=str(path)))
    [missing] = check_policy(layout, settings)
    assert missing.level is FindingLevel.PROBLEM
    path.write_text("TOKEN=x\n")
    path.chmod(0o644)
    [found] = check_policy(layout, settings)
    assert (found.level, found.fix) == (FindingLevel.WARNING, f"chmod 600 {path}")
    path.chmod(0o640)
    assert check_policy(layout, settings) == ()


def test_the_lines_are_filled_in_from_what_was_usual(layout: Layout) -> None:
    write_baseline(layout, Baseline(minutes=(Minute(0, {"GET /": RouteCount(6_000, 120)}, {}),)))
    [fix] = check(layout)
    assert "usual here: under 2." in fix
    assert 'max_error_rate = "1%"' not in fix


def test_they_are_twice_of_it_and_round() -> None:
    lines = suggest_thresholds(Learned(units_count=20_000, bad_units_count=200, rate_bound=0.0126, p95_ms=184.0))
    assert 'max_error_rate = "3%"' in lines
    assert 'max_p95 = "400ms"' in lines


def test_few_visitors_are_no_reason_to_allow_much() -> None:
    """Thirty good ones leave 20 % possible."""
    assert 'max_error_rate = "5%"' in suggest_thresholds(Learned(units_count=30, rate_bound=0.2057))


@pytest.mark.parametrize("said", [{"max_error_rate": 0.01}, {"max_p95_s": 1.0}, {"max_p99_s": 1.0}, {"slo": 0.999}])
def test_any_threshold_is_enough(layout: Layout, said: dict[str, float]) -> None:
    assert check(layout, **said) == []


def test_an_owner_may_do_without(layout: Layout) -> None:
    assert check(layout, require_thresholds=False) == []
