"""A container's command line, as text: what it has, and what it must never have."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from celadon.drivers.images.engine import image_tag, parse_tag
from celadon.drivers.runners.containers import render_command, render_run
from celadon.model.names import Slot
from celadon.model.settings import ContainerSettings, Settings
from tests.fakes.world import make_release, make_settings


def settings_with(**container: object) -> Settings:
    settings = make_settings()
    web = replace(settings.web, command="", env={"TOKEN": "canary"}, container=ContainerSettings(**container))  # type: ignore[arg-type]
    return replace(settings, web=web)


def render(settings: Settings) -> list[str]:
    release = make_release(7, settings=settings)
    return render_run(settings, Slot.BLUE, release, image="sha256:1", shared=Path("/shared"))


def test_no_variable_is_in_the_command_line() -> None:
    """Who may list processes must not learn them: they come on standard input."""
    words = render(settings_with())
    assert not any("canary" in word or "TOKEN" in word for word in words)
    assert "--env-file=/dev/stdin" in words


def test_a_slot_is_published_on_loopback_alone() -> None:
    """Its port outside, the app's inside; nothing is published where the network is the machine's."""
    assert "--publish=127.0.0.1:8101:8000" in render(settings_with(port=8000))
    assert not any(word.startswith("--publish") for word in render(settings_with(network="host")))


def test_a_relative_volume_is_in_the_shared_directory() -> None:
    """It outlives the release; an absolute one is the owner's."""
    words = render(settings_with(volumes={"/data": "data", "/media": "/srv/media"}))
    assert [word for word in words if word.startswith("--mount")] == [
        "--mount=type=bind,source=/shared/data,target=/data",
        "--mount=type=bind,source=/srv/media,target=/media",
    ]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("", []),
        ("gunicorn -w 2 'a b'", ["gunicorn", "-w", "2", "a b"]),
        ("serve --port $PORT", ["/bin/sh", "-c", "exec serve --port $PORT"]),
        ("migrate && serve", ["/bin/sh", "-c", "migrate && serve"]),
    ],
)
def test_a_shell_is_there_only_for_what_a_shell_does(command: str, words: list[str]) -> None:
    """An image may have none."""
    assert render_command(command) == words


def test_a_tag_belongs_to_one_app() -> None:
    """Also where one's name is the beginning of the other's."""
    assert parse_tag(image_tag("shop-", 12), app="shop-") == 12
    assert parse_tag(image_tag("shop-blue", 12), app="shop") is None
    assert [parse_tag(tag, app="shop") for tag in ("latest", "shop.12", "shop.r0", "shop.r")] == [None] * 4
