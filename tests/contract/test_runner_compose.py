"""Compose: the promises of every runner, with the program that is here and a Docker of our own."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from celadon.drivers.images.compose import ComposeImages
from celadon.drivers.images.engine import REPOSITORY
from celadon.drivers.releases.build import Builder
from celadon.host.compose import find_compose, read_project
from celadon.model.errors import StepError
from celadon.model.names import ReleaseNumber, Slot
from celadon.model.observed import SlotStatus
from celadon.model.settings import ComposeSettings, ContainerSettings
from tests.contract.compose_stage import ComposeStage
from tests.contract.container_engines import IMAGE, Dockerd, needs_compose, open_compose, run_engine
from tests.contract.container_promises import ContainerPromises
from tests.contract.runner_promises import SLEEPER, WORKER, await_line

pytestmark = [pytest.mark.root, needs_compose]

KNOCK = "import socket; socket.create_connection(('{}', 5432), timeout=5).close()"
SERVES = ["python3", "-S", "-m", "http.server", "5432"]
DATABASE: dict[str, Any] = {
    "image": IMAGE,
    "init": True,
    "command": SERVES,
    "volumes": ["books:/books"],
    "healthcheck": {"test": ["CMD", "python3", "-S", "-c", KNOCK.format("127.0.0.1")], "interval": "100ms"},
}


@pytest.fixture(scope="module")
def docker() -> Iterator[Dockerd]:
    with open_compose() as daemon:
        yield daemon


@pytest.fixture
def stage(docker: Dockerd, tmp_path: Path) -> Iterator[ComposeStage]:
    made = ComposeStage(tmp_path)
    yield made
    made.close()


class TestCompose(ContainerPromises):
    """Kept by the containers of a Compose project."""


def share_database(stage: ComposeStage) -> ComposeStage:
    stage.services, stage.volumes = {"db": DATABASE}, {"books": {}}
    stage.settings = replace(stage.settings, web=replace(stage.settings.web, compose=ComposeSettings(shared=("db",))))
    return stage


def ask(name: str, fields: str = "{{.Id}} {{.State.StartedAt}}") -> str:
    return run_engine("docker", "inspect", f"--format={fields}", name).strip()


def test_a_shared_service_is_there_once_and_outlives_the_slots(stage: ComposeStage) -> None:
    """Both slots reach it by its name, healthy by then; where somebody has stopped it, it is started, and is the same.
    An app whose name begins alike has another one."""
    share_database(stage)
    other = share_database(stage.other("shop-blue"))
    script = f"{KNOCK.format('db')}\n{SLEEPER}"
    other.runner.start(Slot.BLUE, other.make_release(1, script))
    stage.runner.start(Slot.BLUE, stage.make_release(1, script))
    began = ask("celadon-shop_shared_db_1")
    for each in (stage, other):
        await_line(each.runner, Slot.BLUE, "up")
        each.runner.stop(Slot.BLUE, grace_s=0.0)
    assert ask("celadon-shop_shared_db_1") == began
    assert ask("celadon-shop-blue_shared_db_1") != began
    run_engine("docker", "stop", "--time=0", "celadon-shop_shared_db_1")
    stage.runner.start(Slot.GREEN, stage.make_release(2, script))
    await_line(stage.runner, Slot.GREEN, "up")
    assert ask("celadon-shop_shared_db_1").split()[0] == began.split()[0]
    run_engine("docker", "rm", "--force", "celadon-shop_shared_db_1", "celadon-shop-blue_shared_db_1")


def test_a_shared_service_does_not_begin_on_a_volume_that_somebody_uses(stage: ComposeStage) -> None:
    """As of the owner's own `compose up`: two databases would destroy it. Nothing of ours is begun."""
    share_database(stage)
    run_engine("docker", "run", "--detach", "--init", "--name=theirs", "--volume=shop_books:/x", IMAGE, "sleep", "60")
    try:
        with pytest.raises(StepError, match="theirs") as raised:
            stage.runner.start(Slot.BLUE, stage.make_release(1, SLEEPER))
        assert (raised.value.code, raised.value.next_command) == ("volume_in_use", "docker stop theirs")
        assert stage.containers() == ["theirs"]
    finally:
        run_engine("docker", "rm", "--force", "theirs")
        run_engine("docker", "volume", "rm", "shop_books")


def test_each_slot_has_its_own_of_what_runs_beside(stage: ComposeStage) -> None:
    """Reached by one name in both; started at boot with the slot, ended with it and its network."""
    before = stage.left_in_engine()
    stage.services = {"back": {"image": IMAGE, "init": True, "command": SERVES}}
    script = f"import socket\nprint(socket.gethostbyname('back'))\n{SLEEPER}"
    for number, slot in enumerate(Slot, start=1):
        stage.runner.start(slot, stage.make_release(number, script))
        await_line(stage.runner, slot, "up")
    stage.runner.set_boot(Slot.GREEN, enabled=True)
    for slot in Slot:
        own = ask(f"celadon-shop-{slot}_back_1", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}")
        assert stage.runner.tail(slot, lines_count=2) == [own, "up"]
    stage.runner.stop(Slot.BLUE, grace_s=0.0)
    assert sorted(stage.containers()) == ["celadon-shop-green", "celadon-shop-green_back_1"]
    assert ask("celadon-shop-green_back_1", "{{.HostConfig.RestartPolicy.Name}}") == "always"
    stage.runner.stop(Slot.GREEN, grace_s=0.0)
    assert stage.left_in_engine() == before


def test_a_worker_is_a_service_of_the_file(stage: ComposeStage) -> None:
    """With the file's own command, alone, beside a web process that knows nothing of it; one of each replica."""
    begins = ["python3", "-S", "-c", f"import os\nprint(os.environ['CELADON_PROCESS'])\n{SLEEPER}"]
    stage.services = {"queue": {"image": IMAGE, "init": True, "command": begins}}
    workers = tuple(replace(worker, command="", service="queue") for worker in stage.settings.workers)
    stage.settings = replace(stage.settings, workers=workers)
    release = stage.make_release(1, SLEEPER)
    for process in ("mail.1", WORKER):
        runner = stage.runner_of(process)
        runner.start(Slot.BLUE, release)
        await_line(runner, Slot.BLUE, "up")
        assert runner.tail(Slot.BLUE, lines_count=5) == [process, "up"]
    stage.runner.start(Slot.BLUE, release)
    assert sorted(stage.containers()) == [
        "celadon-shop-blue",
        "celadon-shop.mail.1-blue",
        "celadon-shop.mail.2-blue",
    ]


def test_an_image_that_is_not_the_releases_does_not_run(stage: ComposeStage) -> None:
    """Compose is told a tag, which somebody may have moved."""
    release = stage.make_release(1, SLEEPER)
    release = replace(release, manifest=replace(release.manifest, image="sha256:" + "0" * 64))
    with pytest.raises(StepError) as raised:
        stage.runner.start(Slot.BLUE, release)
    assert raised.value.code == "image_missing"
    assert stage.runner.observe(Slot.BLUE).status is SlotStatus.STOPPED
    assert stage.containers() == []


PLUGIN = """\
#!/bin/sh
if [ "$1" = docker-cli-plugin-metadata ]; then
    echo '{"SchemaVersion": "0.1.0", "Vendor": "a test", "Version": "2.0.0"}'
    exit 0
fi
shift
exec docker-compose "$@"
"""


def test_the_plugin_is_taken_where_there_is_one(docker: Dockerd, stage: ComposeStage) -> None:
    """By the words that both understand."""
    plugin = docker.base / "config/cli-plugins/docker-compose"
    plugin.parent.mkdir()
    plugin.write_text(PLUGIN)
    plugin.chmod(0o755)
    find_compose.cache_clear()
    try:
        assert find_compose().program == ("docker", "compose")
        stage.runner.start(Slot.BLUE, stage.make_release(1, SLEEPER))
        await_line(stage.runner, Slot.BLUE, "up")
    finally:
        plugin.unlink()
        plugin.parent.rmdir()
        find_compose.cache_clear()


FILE = f"""\
services:
  web:
    build: {{context: ., args: {{WHO: "${{WHO:-nobody}}"}}}}
    ports: ["8000:8000"]
    volumes: ["./media:/media"]
    environment: {{SIGN: "${{WHO:-nobody}}", KEPT: "a$$b"}}
  mail:
    image: {IMAGE}
  db:
    image: {IMAGE}
    command: ["sleep", "60"]
"""


class ProjectStage:
    """A release that is being made: its tree, its variables, and the images of its services."""

    def __init__(self, base: Path, stage: ComposeStage) -> None:
        self.base = base
        self.tree = base / "r1.partial" / "tree"
        self.tree.mkdir(parents=True)
        (self.tree / "Dockerfile").write_text(f"FROM {IMAGE}\nARG WHO\nRUN echo $WHO > /who\n")
        web = replace(
            stage.settings.web, compose=ComposeSettings(shared=("db",)), container=ContainerSettings(port=8000)
        )
        self.images = ComposeImages(replace(stage.settings, web=web))
        self.say(who="me")

    def say(self, *, who: str, file: str = FILE) -> None:
        (self.tree.parent / "env").write_text(f"WHO='{who}'\n")
        (self.tree / "compose.yaml").write_text(file)

    def make(self, number: int) -> str:
        builder = Builder(tree=self.tree, log=self.base / "log", owner=None, variables={}, timeout_s=120.0)
        run = lambda argv: builder.run_argv(argv, tell=lambda _: None, cancelled=lambda: False)  # noqa: E731
        return self.images.make(ReleaseNumber(number), self.tree, run=run)

    def kept(self) -> list[str]:
        return sorted(run_engine("docker", "image", "ls", "--format={{.Tag}}", REPOSITORY).split())


@pytest.fixture
def made(stage: ComposeStage, tmp_path: Path) -> Iterator[ProjectStage]:
    made = ProjectStage(tmp_path / "made", stage)
    yield made
    made.images.keep_only(())


def test_a_release_keeps_the_project_and_an_image_of_each_service(made: ProjectStage) -> None:
    """Built or found, with the release's variables; the file is not written, paths follow the tree. With other
    variables it is the same images and another project, and what no release has is let go."""
    image = made.make(1)
    assert made.kept() == ["shop.db.r1", "shop.mail.r1", "shop.web.r1"]
    assert json.loads(run_engine("docker", "image", "inspect", f"{REPOSITORY}:shop.web.r1"))[0]["Id"] == image
    told = run_engine("docker", "run", "--rm", "--network=none", image, "python3", "-c", "print(open('/who').read())")
    assert told.strip() == "me"
    web = read_project(made.tree.parent).services["web"]
    assert (web["environment"], web["image"]) == ({"SIGN": "me", "KEPT": "a$$b"}, f"{REPOSITORY}:shop.web.r1")
    assert str(web["volumes"][0]).startswith("@tree/media:/media")
    assert (made.tree.parent / "compose.json").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in made.tree.iterdir()) == ["Dockerfile", "compose.yaml"]
    assert (made.tree / "compose.yaml").read_text() == FILE
    made.say(who="you$1")
    made.images.keep(ReleaseNumber(2), image, tree=made.tree, base=made.tree.parent)
    assert read_project(made.tree.parent).services["web"]["environment"]["SIGN"] == "you$$1"
    made.images.keep_only([ReleaseNumber(2)])
    assert made.kept() == ["shop.db.r2", "shop.mail.r2", "shop.web.r2"]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("services:", "services: [", "compose.yaml"),
        ("  db:", "  data:", "has no service db"),
        ('"8000:8000"', '"80:3000"', "listens on 3000"),
        ('"./media', '"../media', "media leads out of the release"),
        ('ports: ["8000:8000"]', 'volumes_from: ["db"]', "needs db"),
    ],
)
def test_a_project_that_cannot_be_there_twice_is_refused(made: ProjectStage, old: str, new: str, told: str) -> None:
    """Before anything is built, with what is in the way."""
    made.say(who="me", file=FILE.replace(old, new, 1))
    with pytest.raises(StepError, match=told) as raised:
        made.make(1)
    assert raised.value.code == "compose_refused"
    assert (raised.value.next_command or "").startswith(f"{' '.join(find_compose().program)} --file ")
    assert made.kept() == []
