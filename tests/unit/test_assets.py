"""The union of the last releases' assets, on a real disk."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from msgspec.structs import replace

from celadon.drivers.releases.assets import AssetUnion
from celadon.events import AssetsGathered, CandidateStarting, CheckFound, StepEnded
from celadon.host.layout import Layout
from celadon.model.errors import StepError
from celadon.model.names import AppName, ReleaseNumber
from celadon.model.plan import OperationKind, Outcome
from celadon.model.settings import AssetSettings
from tests.fakes.world import World, events_of


class Shelf:
    """Releases with assets, and what the proxy finds."""

    def __init__(self, base: Path, *, keep_count: int = 5) -> None:
        self.layout = Layout(base, AppName("shop"))
        self._numbers: list[ReleaseNumber] = []
        settings = AssetSettings(path="public/assets", keep_count=keep_count)
        self._union = AssetUnion(self.layout, settings, list_numbers=lambda: self._numbers)

    def add(self, number: int, files: Mapping[str, str], *, mode: int = 0o644) -> None:
        for name, text in files.items():
            path = self.layout.release(number) / "tree" / "public" / "assets" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(mode)
        self._numbers.append(ReleaseNumber(number))

    def gather(self, number: int, *, protected: tuple[int, ...] = ()) -> AssetsGathered:
        return self._union.gather(ReleaseNumber(number), protected=[ReleaseNumber(each) for each in protected])

    def found(self) -> dict[str, str]:
        root = self.layout.assets
        return {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}


def test_a_page_of_an_older_release_finds_its_files(tmp_path: Path) -> None:
    """Below the path that it asks for, in directories too; gathered again, nothing is new."""
    shelf = Shelf(tmp_path)
    shelf.add(1, {"app-1a.js": "one", "img/logo-1b.svg": "logo"})
    shelf.add(2, {"app-2a.js": "two", "img/logo-1b.svg": "logo"})
    told = shelf.gather(2)
    assert shelf.found() == {"assets/app-1a.js": "one", "assets/app-2a.js": "two", "assets/img/logo-1b.svg": "logo"}
    assert (told.releases, told.files_count, told.added_count, told.differing) == ((1, 2), 3, 3, ())
    assert shelf.gather(2).added_count == 0


def test_only_the_last_releases_and_the_live_one_stay(tmp_path: Path) -> None:
    """However old the live one is; emptied directories go too."""
    shelf = Shelf(tmp_path, keep_count=2)
    for number in (1, 2, 3):
        shelf.add(number, {f"v{number}/app.js": str(number)})
    assert shelf.gather(3).releases == (2, 3)
    assert sorted(shelf.found()) == ["assets/v2/app.js", "assets/v3/app.js"]
    assert shelf.gather(3, protected=(1,)).releases == (1, 2, 3)
    shelf.add(4, {"v4/app.js": "4"})
    assert shelf.gather(4).removed_count == 2
    assert sorted(path.name for path in (shelf.layout.assets / "assets").iterdir()) == ["v3", "v4"]


def test_a_name_that_means_two_things_is_left_to_the_app(tmp_path: Path) -> None:
    """It was no hash: the file that one release needs would be wrong for the other. The name is told."""
    shelf = Shelf(tmp_path)
    shelf.add(1, {"app.js": "one", "app-1a.js": "one"})
    shelf.gather(1)
    shelf.add(2, {"app.js": "two", "app-2a.js": "two"})
    told = shelf.gather(2)
    assert (told.differing_count, told.differing, told.removed_count) == (1, ("app.js",), 1)
    assert sorted(shelf.found()) == ["assets/app-1a.js", "assets/app-2a.js"]


def test_what_the_proxy_may_not_read_is_copied(tmp_path: Path) -> None:
    """The release's own file keeps its mode; one that everybody may read costs no room."""
    shelf = Shelf(tmp_path)
    shelf.add(1, {"secretive-1a.js": "one"}, mode=0o600)
    shelf.add(2, {"open-2a.js": "two"})
    before_mask = os.umask(0o077)
    try:
        shelf.gather(2)
    finally:
        os.umask(before_mask)
    union = shelf.layout.assets / "assets"
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in (union.parent, union, *union.iterdir())}
    assert modes == {"assets": "0o755", "secretive-1a.js": "0o644", "open-2a.js": "0o644"}
    own = shelf.layout.release(2) / "tree/public/assets/open-2a.js"
    assert (union / "open-2a.js").samefile(own)
    assert (shelf.layout.release(1) / "tree/public/assets/secretive-1a.js").stat().st_mode & 0o777 == 0o600


def test_links_lead_nowhere(tmp_path: Path) -> None:
    """A link of a release may point at anything on this machine."""
    shelf = Shelf(tmp_path)
    shelf.add(1, {"app-1a.js": "one"})
    (shelf.layout.release(1) / "tree/public/assets/passwd").symlink_to("/etc/passwd")
    shelf.gather(1)
    assert sorted(shelf.found()) == ["assets/app-1a.js"]


def test_a_leftover_of_a_death_is_no_asset(tmp_path: Path) -> None:
    """What had not got its name is worthless, and goes."""
    shelf = Shelf(tmp_path)
    shelf.add(1, {"app-1a.js": "one"})
    (shelf.layout.assets / "assets").mkdir(parents=True)
    (shelf.layout.assets / "assets" / ".app-1a.js.partial").write_text("on")
    shelf.gather(1)
    assert sorted(shelf.found()) == ["assets/app-1a.js"]


def test_an_older_release_may_have_had_none(tmp_path: Path) -> None:
    """As what ran before us, which has no tree either."""
    shelf = Shelf(tmp_path)
    shelf.add(1, {})
    shelf.add(2, {"app-2a.js": "two"})
    assert shelf.gather(2, protected=(1,)).files_count == 1


def test_a_release_without_assets_is_told(tmp_path: Path) -> None:
    """By the name of the directory."""
    shelf = Shelf(tmp_path)
    shelf.add(1, {})
    with pytest.raises(StepError, match="r1 has no public/assets"):
        shelf.gather(1)


def test_assets_are_gathered_before_anything_is_started() -> None:
    """Or stopped, for an app that cannot run twice; a page of the new release may ask as soon as it is served."""
    world = World(has_assets=True)
    assert world.deploy(1) is Outcome.DONE
    kinds = [type(entry.body) for entry in world.entries]
    assert kinds.index(AssetsGathered) < kinds.index(CandidateStarting)


@pytest.mark.parametrize("error", [StepError("none", code="assets_missing", next_command="x"), OSError("disk full")])
def test_a_deploy_without_its_assets_is_rejected_and_a_way_back_is_not(error: Exception) -> None:
    """Traffic first: going back says so, and goes."""
    world = World()
    assert world.deploy(1) is Outcome.DONE
    assert world.deploy(2) is Outcome.DONE
    world.assets_error = error
    assert world.deploy(3) is Outcome.REJECTED
    assert any(str(error) in ended.reason for ended in events_of(world, StepEnded))
    plan = replace(world.plan_deploy(1, operation="back"), kind=OperationKind.ROLLBACK, source=None)
    assert world.operate(plan) is Outcome.DONE
    assert [found.subject for found in events_of(world, CheckFound)] == ["assets"]
