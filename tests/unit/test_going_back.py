"""The plain words of a rollback mean what click takes them to mean."""

import subprocess
import sys
from pathlib import Path

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from celadon.cli.going_back import RollbackWords, read_plain
from celadon.cli.rollback import command

WORDS = ["r3", "3", "", "-c", "x.toml", "--config", "--app", "shop", "--json", "-q", "--quiet", "--lead", "ada", "-y",
         "--yes", "--help", "--config=x", "-cx", "--nonsense", "--", "-"]  # fmt: skip


def as_click_reads(words: list[str]) -> RollbackWords | None:
    try:
        return RollbackWords(**command.make_context("rollback", list(words), resilient_parsing=False).params)
    except (click.UsageError, click.exceptions.Exit):
        return None


@given(st.lists(st.sampled_from(WORDS), max_size=6))
def test_what_is_read_without_click_is_what_click_reads(words: list[str]) -> None:
    """Any words: either nothing is claimed to be understood, or it is understood as click does."""
    found = read_plain(["rollback", *words])
    assert found is None or found == as_click_reads(words)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], RollbackWords()),
        (["r3", "--json"], RollbackWords(release="r3", as_json=True)),
        (["-c", "x.toml", "--app", "shop", "-y"], RollbackWords(config=Path("x.toml"), app_name="shop", yes=True)),
        (["--lead", "ada", "-q"], RollbackWords(lead="ada", quiet=True)),
    ],
)
def test_the_plain_forms_are_read(words: list[str], expected: RollbackWords) -> None:
    """All that a script would type."""
    assert read_plain(["rollback", *words]) == expected


@pytest.mark.parametrize("words", [[], ["deploy"], ["rollback", "-h"], ["rollback", "r1", "r2"], ["rollback", "-c"]])
def test_everything_else_is_clicks(words: list[str]) -> None:
    """Help and mistakes."""
    assert read_plain(words) is None


def test_a_rollback_imports_neither_click_nor_rich_nor_a_client(tmp_path: Path) -> None:
    """What it does not need does not stand in its way, and is not waited for."""
    script = (
        "import sys; from celadon.cli.main import main; main(['rollback', '--app', 'nobody', '--json']); "
        "import celadon.drivers.proxies.nginx, celadon.drivers.runners.process, celadon.drivers.probes.table; "
        "import celadon.drivers.releases.store; "
        "unneeded = ('click', 'rich', 'http.client', 'ssl', 'tarfile', 'shutil', 'tomllib', 'asyncio'); "
        "print([name for name in unneeded if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"CELADON_ROOT": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"
