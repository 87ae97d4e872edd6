"""The user's own commands around the steps."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from celadon.drivers.hooks import ShellHooks
from celadon.host.layout import Layout
from celadon.host.processes import find_marked
from celadon.model.names import AppName
from celadon.model.settings import HookSettings
from tests.fakes.world import make_settings


def make(tmp_path: Path, **hooks: object) -> ShellHooks:
    settings = replace(make_settings(), hooks=HookSettings(**hooks))  # type: ignore[arg-type]
    return ShellHooks(settings, Layout(tmp_path, AppName("shop")))


def test_commands_run_in_order_up_to_the_first_that_fails(tmp_path: Path) -> None:
    """Each told with its code and its last lines."""
    hooks = make(tmp_path, pre_switch=("echo one", "echo two >&2; exit 5", "echo three"))
    ran = hooks.run("pre_switch", release=None, variables={})
    assert [(each.exit_code, each.output_tail) for each in ran] == [(0, ("one",)), (5, ("two",))]


def test_a_hook_is_told_what_is_going_on(tmp_path: Path) -> None:
    """By variables, and by nothing of the caller's environment."""
    hooks = make(tmp_path, post_switch=("echo $CELADON_SLOT $HOME",))
    ran = hooks.run("post_switch", release=None, variables={"CELADON_SLOT": "green"})
    assert ran[0].output_tail == ("green",)


def test_a_hook_over_its_time_is_ended_with_its_children(tmp_path: Path) -> None:
    """124, as timeout(1) has it. They have died when it is told, not only been sent the signal."""
    sleepers = "sleep 600 & " * 20
    hooks = make(
        tmp_path, pre_deploy=(f"CELADON_TEST_MARK=hook; export CELADON_TEST_MARK; {sleepers} wait",), timeout_s=0.3
    )
    assert hooks.run("pre_deploy", release=None, variables={})[0].exit_code == 124
    assert find_marked(b"CELADON_TEST_MARK=hook") == []


@pytest.mark.parametrize("hook", ["pre_deploy", "pre_switch", "post_switch", "post_deploy", "on_failure"])
def test_no_hook_configured_is_fine(tmp_path: Path, hook: str) -> None:
    """Nothing runs."""
    assert make(tmp_path).run(hook, release=None, variables={}) == []
