"""Secrets in what other programs say."""

from pathlib import Path

import pytest

from celadon.app.masking import Masking
from celadon.events import BuildStepEnded, CandidateStarted, CandidateUnready, Event, OperationEnded
from celadon.host.environment import mask_env, render_env
from celadon.host.layout import Layout
from celadon.model.names import AppName, ReleaseNumber, Slot
from celadon.model.plan import Outcome

URL = "postgres://shop:canary@db/shop"
KEY = "-----BEGIN-----\nc2VjcmV0IQ==\n"


@pytest.fixture
def masking(tmp_path: Path) -> Masking:
    """A whole release and one that is being made."""
    layout = Layout(tmp_path, AppName("shop"))
    for name, env in (("r1", {"URL": URL, "MODE": "production"}), ("r2.partial", {"KEY": KEY, "SHORT": "true"})):
        (layout.releases / name).mkdir(parents=True)
        (layout.releases / name / "env").write_text(render_env(env))
    return Masking(layout, plain=lambda: ["production"])


def test_an_apps_last_words_are_told_without_its_secrets(masking: Masking) -> None:
    """The value, each of its lines, and a shorter one inside a longer; everything else stays as it was said."""
    event = CandidateUnready(
        slot=Slot.BLUE,
        reason="not ready",
        probe="GET /",
        head=f"no {URL}/x",
        log_tail=("in production, true", "c2VjcmV0IQ==", f"cannot reach {URL}: refused"),
    )
    masked = masking.mask(event)
    assert isinstance(masked, CandidateUnready)
    assert (masked.reason, masked.head) == ("not ready", "no ***/x")
    assert masked.log_tail == ("in production, true", "***", "cannot reach ***: refused")


@pytest.mark.parametrize(
    "event",
    [
        BuildStepEnded(command="make", exit_code=1, duration_s=0.1, output_tail=(f"KEY={KEY.splitlines()[0]}",)),
        OperationEnded(outcome=Outcome.REJECTED, reason=f"secrets.command exited with 1: {URL}"),
    ],
)
def test_no_event_has_one(masking: Masking, event: Event) -> None:
    """A failed build, the last word of an operation."""
    assert "***" in repr(masking.mask(event))
    assert "canary" not in repr(masking.mask(event))


def test_what_was_masked_on_disk_meanwhile_stays_masked(masking: Masking, tmp_path: Path) -> None:
    """A release that has failed loses its values before the last word about it."""
    ended = OperationEnded(outcome=Outcome.REJECTED, reason=f"cannot reach {URL}")
    masking.mask(ended)
    mask_env(tmp_path / "apps/shop/releases/r1/env")
    assert "canary" not in repr(masking.mask(ended))


def test_what_nobody_else_said_is_not_looked_at(masking: Masking) -> None:
    """Not even where a secret is a word of ours."""
    event = CandidateStarted(slot=Slot.BLUE, release=ReleaseNumber(1), pid=7)
    assert masking.mask(event) is event
