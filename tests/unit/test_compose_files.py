"""What Compose is given for a slot, as data: what the user's file says stays, what two cannot have goes."""

from typing import Any

import pytest
import yaml
from msgspec.structs import replace

from celadon.drivers.images.compose import parse_project
from celadon.drivers.runners.compose_files import Place, render_shared, render_slot
from celadon.host.compose import render_yaml
from celadon.model.compose_project import (
    Definition,
    Project,
    list_mounts,
    list_published,
    mark_tree,
    place_paths,
    volume_name,
)
from celadon.model.names import Slot
from celadon.model.processes import WEB, WorkerSettings
from celadon.model.settings import ComposeSettings, ContainerSettings, RunnerKind, Settings
from tests.fakes.world import make_release, make_settings

FILE: dict[str, dict[str, Any]] = {
    "web": {
        "image": "shop",
        "build": {"context": "@tree"},
        "container_name": "shop",
        "ports": [{"target": 8000, "published": 8000}],
        "environment": {"MODE": "fast", "PORT": "8000", "UNSAID": None, "SIGN": "$$5"},
        "depends_on": {"db": {"condition": "service_healthy"}, "php": {"condition": "service_started"}},
        "labels": {"theirs": "yes"},
        "restart": "always",
        "mem_limit": "256m",
        "deploy": {"replicas": 3, "resources": {"limits": {"memory": "256m"}}},
        "volumes": ["@tree/public:/public:ro", "media:/media", "/srv/x:/x"],
        "networks": {"front": {"aliases": ["shop"]}, "outer": None},
    },
    "php": {"image": "php", "ports": ["9000:9000"], "depends_on": ["db", "web"], "networks": ["front"]},
    "mail": {"image": "shop", "command": "celery -A shop worker", "depends_on": ["db"]},
    "db": {"image": "postgres:16", "ports": ["5432:5432"], "container_name": "shop-db", "networks": ["front"]},
    "psql": {"image": "postgres:16", "profiles": ["tools"]},
}
PROJECT = Project(
    services=FILE,
    version="3.9",
    networks={"front": {}, "outer": {"external": True, "name": "edge"}},
    volumes={"media": {}},
    digests={"db": "abc"},
)


def settings_with(command: str = "") -> Settings:
    settings = make_settings()
    web = replace(
        settings.web,
        command=command,
        runner=RunnerKind.COMPOSE,
        container=ContainerSettings(port=8000),
        compose=ComposeSettings(shared=("db",)),
    )
    return replace(settings, web=web, workers=(WorkerSettings(name="post", command="", service="mail"),))


def render(slot: Slot = Slot.BLUE, process: str = WEB, command: str = "") -> Definition:
    settings = settings_with(command)
    place = Place(settings=settings, slot=slot, release=make_release(7, settings=settings), process=process)
    own = {"PORT": "8000", "CELADON_SLOT": slot.value}
    return render_slot(PROJECT, place, variables={"MODE": "slow", "KEY": "a$b", **own}, own=own)


def test_a_slot_is_published_at_its_own_port_alone() -> None:
    """Whatever the file publishes, of the web service and of those beside it: the other slot could not."""
    services = render()["services"]
    assert services["web"]["ports"] == ["127.0.0.1:8101:8000"]
    assert "ports" not in services["php"]


def test_nothing_of_a_slot_has_a_name_that_the_other_wants() -> None:
    """Containers, networks; and what is there once is somebody else's for both."""
    blue, green = render(Slot.BLUE), render(Slot.GREEN)
    assert [each["services"]["web"]["container_name"] for each in (blue, green)] == [
        "celadon-shop-blue",
        "celadon-shop-green",
    ]
    assert blue["networks"] == {
        "celadon-shop-blue_front": {"external": True, "name": "celadon-shop-blue_front"},
        "outer": {"external": True, "name": "edge"},
    }
    assert blue["services"]["web"]["networks"] == {"celadon-shop-blue_front": {"aliases": ["shop"]}, "outer": {}}
    assert blue["volumes"] == green["volumes"] == {"media": {"external": True, "name": "shop_media"}}


def test_a_slot_has_what_is_neither_shared_nor_a_process_nor_of_a_profile() -> None:
    """It waits for those of its services that are in it, in the words of the file."""
    services = render()["services"]
    assert list(services) == ["web", "php"]
    assert services["web"]["depends_on"] == {"php": {"condition": "service_started"}}
    assert services["php"]["depends_on"] == ["web"]


def test_every_container_of_a_slot_says_whose_it_is() -> None:
    """By labels of ours beside the user's; only the main process's container has the process's."""
    services = render()["services"]
    ours = {"celadon.app": "shop", "celadon.slot": "blue", "celadon.release": "r7"}
    assert services["web"]["labels"] == {"theirs": "yes", "celadon.process": "web"} | ours
    assert services["php"]["labels"] == {"celadon.beside": "php"} | ours


def test_what_the_file_says_of_its_container_stays() -> None:
    """Limits and mounts; whether it starts again is said when it has the traffic."""
    web = render()["services"]["web"]
    assert (web["mem_limit"], web["deploy"]) == ("256m", {"resources": {"limits": {"memory": "256m"}}})
    assert web["volumes"] == FILE["web"]["volumes"]
    assert web["restart"] == "no"
    assert "build" not in web


def test_the_file_has_the_last_word_on_variables_but_for_where_to_listen() -> None:
    """Of what the file leaves to its caller and nobody said there is the release's own, to the letter."""
    environment = render()["services"]["web"]["environment"]
    assert environment == {"MODE": "fast", "KEY": "a$$b", "PORT": "8000", "CELADON_SLOT": "blue", "SIGN": "$$5"}


def test_a_command_of_celadon_toml_takes_the_place_of_the_files() -> None:
    """As its own words; a shell comes in where it has something to do."""
    assert render(command="serve --all")["services"]["web"]["command"] == ["serve", "--all"]
    assert render(command="serve $PORT")["services"]["web"]["command"] == ["/bin/sh", "-c", "exec serve $$PORT"]


def test_a_process_is_its_service_alone() -> None:
    """Under a name of its own, reached by the service's, with its command where no other is said."""
    document = render(process="post")
    (post,) = document["services"].values()
    assert (post["command"], post["container_name"]) == ("celery -A shop worker", "celadon-shop.post-blue")
    assert post["networks"] == {"celadon-shop-blue": {"aliases": ["mail"]}}
    assert "depends_on" not in post
    assert "ports" not in post


def test_a_shared_service_is_on_the_networks_of_both_slots() -> None:
    """By its name in each, with its own ports and its own name: it is there once."""
    document = render_shared(PROJECT, settings_with().app, ["db"], version="2.1")
    database = document["services"]["db"]
    assert sorted(database["networks"]) == ["celadon-shop-blue_front", "celadon-shop-green_front"]
    assert (database["ports"], database["container_name"]) == (["5432:5432"], "shop-db")
    assert database["labels"] == {"celadon.app": "shop", "celadon.shared": "db", "celadon.definition": "2.1:abc"}
    assert database["restart"] == "unless-stopped"


def test_paths_of_the_tree_follow_it_when_it_is_renamed() -> None:
    """Only those, and only where they begin a text."""
    read = {"a": "/r1.partial/tree/x:/x:ro", "b": ["/r1.partial/tree", "/r1.partial/trees", "in /r1.partial/tree"]}
    marked = mark_tree(read, "/r1.partial/tree")
    assert marked == {"a": "@tree/x:/x:ro", "b": ["@tree", "/r1.partial/trees", "in /r1.partial/tree"]}
    placed = place_paths(marked, lambda path: f"/r1/tree/{path}".rstrip("/"))
    assert placed == {"a": "/r1/tree/x:/x:ro", "b": ["/r1/tree", "/r1.partial/trees", "in /r1.partial/tree"]}


@pytest.mark.parametrize(
    ("said", "is_volume"),
    [
        ("media:/media:ro", True),
        ("@tree/x:/x", False),
        ({"type": "volume", "source": "media", "target": "/m"}, True),
        ({"type": "bind", "source": "/srv", "target": "/m"}, False),
    ],
)
def test_a_mount_is_told_in_both_forms(said: Any, is_volume: bool) -> None:  # noqa: FBT001
    """Of the file as people write it, and as newer Compose prints it."""
    (mount,) = list_mounts({"volumes": [said, "/anonymous", {"type": "tmpfs", "target": "/t"}]})
    assert mount.is_volume is is_volume


def test_a_volume_has_one_name_for_both_slots() -> None:
    """The file's, where it says one; and somebody else's is called as it is."""
    volumes: dict[str, dict[str, Any] | None] = {"a": None, "b": {"name": "mine"}, "c": {"external": True}}
    project = replace(PROJECT, volumes=volumes)
    assert [volume_name(project, settings_with().app, name=name) for name in "abc"] == ["shop_a", "mine", "c"]


def test_every_text_is_read_back_to_the_letter() -> None:
    """By a reader of YAML, where line ends of all kinds, quotes and what lies beyond 16 bits are dangers."""
    odd = " a \"b\" 'c' # \\ \t\r\n x\u2028y\u0085z\ufeff ü \U0001f512 \x7f"
    assert yaml.safe_load(render_yaml({"a": odd, "b": [odd]})) == {"a": odd, "b": [odd]}


PLUGIN = """\
name: shop
services:
  web:
    build:
      context: /r1.partial/tree
      dockerfile: Dockerfile
    command: null
    depends_on:
      db:
        condition: service_started
        required: true
    entrypoint: null
    environment:
      SIGN: me
    networks:
      default: null
    ports:
      - mode: ingress
        target: 8000
        published: "80"
        protocol: tcp
    volumes:
      - type: bind
        source: /r1.partial/tree/media
        target: /media
        bind:
          create_host_path: true
      - type: volume
        source: books
        target: /books
        volume: {}
  db:
    command: null
    entrypoint: null
    image: postgres:16
    networks:
      default: null
networks:
  default:
    name: shop_default
    ipam: {}
volumes:
  books:
    name: shop_books
"""


def test_what_the_plugin_prints_is_read_as_well() -> None:
    """It has the long forms, names of its own for networks and volumes, and no version."""
    project = parse_project(PLUGIN, "/r1.partial/tree")
    assert list_published(project.services["web"]) == {8000}
    settings = settings_with()
    place = Place(settings=settings, slot=Slot.BLUE, release=make_release(7, settings=settings), process=WEB)
    document = render_slot(project, place, variables={}, own={})
    web = document["services"]["web"]
    assert (web["ports"], list(web["networks"])) == (["127.0.0.1:8101:8000"], ["celadon-shop-blue"])
    assert web["volumes"][0]["source"] == "@tree/media"
    assert "depends_on" not in web
    assert document["networks"] == {"celadon-shop-blue": {"external": True, "name": "celadon-shop-blue"}}
    assert document["volumes"] == {"books": {"external": True, "name": "shop_books"}}
    assert not {"version", "name"} & document.keys()
