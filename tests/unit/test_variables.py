"""The variables of a release and where they come from."""

import os
import subprocess
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from celadon.drivers.releases.variables import gather_variables
from celadon.model.errors import StepError
from celadon.model.settings import SecretSettings, Settings, SourceSettings
from tests.fakes.world import make_settings

CANARY = "canary-0d"


def settings_with(
    base: Path, *, env: dict[str, str] | None = None, env_file: Path | None = None, **secrets: object
) -> Settings:
    settings = make_settings()
    web = replace(settings.web, env=env or {}, env_file=None if env_file is None else str(env_file))
    return replace(settings, source=SourceSettings(path=str(base)), web=web, secrets=SecretSettings(**secrets))  # type: ignore[arg-type]


def gather(base: Path, command: str, **more: object) -> dict[str, str]:
    return gather_variables(settings_with(base, command=command, **more))  # type: ignore[arg-type]


def fail(base: Path, command: str, **more: object) -> StepError:
    with pytest.raises(StepError) as caught:
        gather(base, command, **more)
    assert CANARY not in f"{caught.value.what} {caught.value.next_command}"
    return caught.value


def test_all_sources_are_one_environment(tmp_path: Path) -> None:
    """Plain values, a file, a credential and a command."""
    (tmp_path / "env").write_text("B='2\n2'\n")
    (tmp_path / "credstore").mkdir()
    (tmp_path / "credstore" / "db").write_text("3\n")
    settings = settings_with(
        tmp_path, env={"A": "1"}, env_file=tmp_path / "env", credentials={"C": "db"}, command="echo D=4"
    )
    assert gather_variables(settings, stores=[tmp_path / "credstore"]) == {"A": "1", "B": "2\n2", "C": "3", "D": "4"}


def test_a_name_from_two_sources_names_both(tmp_path: Path) -> None:
    """Neither wins in silence."""
    (tmp_path / "env").write_text(f"TOKEN={CANARY}\n")
    error = fail(tmp_path, f"echo TOKEN={CANARY}", env_file=tmp_path / "env")
    assert error.code == "env_twice"
    assert error.what == f"TOKEN is given twice, by web.env_file ({tmp_path}/env) and by secrets.command"


def test_a_command_runs_in_the_apps_directory_with_a_clean_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where its encrypted file lies, and without what the deployer's shell happened to hold."""
    monkeypatch.setenv("STRAY", "stray")
    (tmp_path / "sealed").write_text("TOKEN=x\n")
    assert gather(tmp_path, 'cat sealed; echo "STRAY=$STRAY"') == {"TOKEN": "x", "STRAY": ""}


def test_json_is_taken_exactly(tmp_path: Path) -> None:
    """Line breaks and blanks that lines cannot say, numbers and truths as they stand."""
    (tmp_path / "out").write_text(r'{"KEY": "-----\nx #y\n", "PORT_COUNT": 3, "ON": true, "NOTHING": null}')
    assert gather(tmp_path, "cat out") == {"KEY": "-----\nx #y\n", "PORT_COUNT": "3", "ON": "true", "NOTHING": ""}
    assert fail(tmp_path, f'echo \'{{"A": {{"B": "{CANARY}"}}}}\'').code == "env_unreadable"


def test_a_command_that_fails_tells_its_code_and_its_last_word(tmp_path: Path) -> None:
    """Of stderr the last line, of stdout nothing."""
    error = fail(tmp_path, f"echo TOKEN={CANARY}; echo {CANARY} >&2; printf 'no \\033[31mkey\\n\\n' >&2; exit 7")
    assert error.code == "secrets_failed"
    assert error.what == r"secrets.command exited with 7: no \x1b[31mkey"


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (f"echo TOKEN={CANARY}; sleep 600", "it was ended after 0.3 s"),
        (f"while echo TOKEN={CANARY}; do :; done", "it wrote more than 1 MiB"),
    ],
)
def test_a_command_without_an_end_is_ended(tmp_path: Path, command: str, why: str) -> None:
    """At its deadline, or when it writes what is no list of variables."""
    began_s = time.monotonic()
    error = fail(tmp_path, command, timeout_s=0.3 if "sleep" in command else 30.0)
    assert error.what == f"secrets.command exited with 124: {why}"
    assert time.monotonic() - began_s < 15.0


def test_what_a_command_leaves_running_is_not_waited_for(tmp_path: Path) -> None:
    """gpg-agent and its like hold the output of whoever started them."""
    began_s = time.monotonic()
    pid_file = tmp_path / "pid"
    assert gather(tmp_path, f"setsid sleep 600 & echo $! > {pid_file}; echo A=1") == {"A": "1"}
    assert time.monotonic() - began_s < 15.0
    os.kill(int(pid_file.read_text()), 15)


def test_what_is_no_list_of_variables_is_told_by_its_line(tmp_path: Path) -> None:
    """And by nothing else that it printed."""
    assert fail(tmp_path, f"echo A=1; echo '{CANARY}'").what == "secrets.command: line 2 is not NAME=value"


def test_a_sealed_credential_is_opened(tmp_path: Path) -> None:
    """By systemd, whose key it needs; by its own name only."""
    store = tmp_path / "credstore.encrypted"
    store.mkdir()
    subprocess.run(
        ["systemd-creds", "encrypt", "--with-key=tpm2-absent", "--name=db", "-", store / "db"],
        input=b"one\ntwo\n",
        check=True,
        capture_output=True,
    )
    settings = settings_with(tmp_path, credentials={"DSN": "db"})
    assert gather_variables(settings, stores=[tmp_path / "credstore"]) == {"DSN": "one\ntwo"}
    (store / "db").rename(store / "other")
    with pytest.raises(StepError, match=r"systemd-creds decrypt .*/other exited with 1") as caught:
        gather_variables(settings_with(tmp_path, credentials={"DSN": "other"}), stores=[tmp_path / "credstore"])
    assert caught.value.code == "secrets_failed"


def test_a_credential_of_our_own_unit_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `LoadCredential=` gave to whoever deploys; one that is nowhere is named."""
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "own"))
    for name in ("own", "credstore"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "db").write_text(name)
    settings = settings_with(tmp_path, credentials={"DSN": "db"})
    assert gather_variables(settings, stores=[tmp_path / "credstore"]) == {"DSN": "own"}
    with pytest.raises(StepError, match="no credential gone in") as caught:
        gather_variables(settings_with(tmp_path, credentials={"DSN": "gone"}), stores=[tmp_path / "credstore"])
    assert caught.value.code == "credential_missing"
