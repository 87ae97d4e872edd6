"""Kill points act only in a test install, at the time asked for."""

import errno
from pathlib import Path

import pytest

from celadon.host import checkpoint
from celadon.host.checkpoint import reached


@pytest.fixture(autouse=True)
def forget(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(checkpoint, "_passed", {})
    monkeypatch.setenv("CELADON_ROOT", str(tmp_path))


def test_the_second_passing_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """NAME:ACTION:NTH."""
    (tmp_path / "test-install").touch()
    monkeypatch.setenv("CELADON_TEST_CHECKPOINT", "renamed:enospc:2")
    reached("renamed")
    with pytest.raises(OSError, match="injected at renamed") as caught:
        reached("renamed")
    assert caught.value.errno == errno.ENOSPC
    assert not (tmp_path / "test-install").exists()


def test_the_environment_alone_arms_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that leaks into production does no harm."""
    monkeypatch.setenv("CELADON_TEST_CHECKPOINT", "renamed:enospc")
    reached("renamed")
