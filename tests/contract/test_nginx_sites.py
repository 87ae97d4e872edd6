"""Adoption over configurations as distributions and guides ship them (tests/data/nginx): what is found, that nginx
takes the edit in every way, and that an ejection gives the owner's files back."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from celadon.contracts.adoption import FoundSite
from celadon.drivers.proxies.nginx_adopt import NginxAdoption
from celadon.drivers.proxies.nginx_files import RouteFiles
from celadon.drivers.proxies.nginx_sites import NginxSites
from celadon.drivers.proxies.nginx_stage import judge_live, judge_staged
from celadon.host.pointer import move_pointer
from celadon.model.address import Address
from celadon.model.errors import StepError
from celadon.model.names import Slot
from celadon.model.settings import Settings, SwitchWay
from tests.contract.nginx_case import CASES, NGINX, NginxCase

pytestmark = [pytest.mark.root, pytest.mark.skipif(not Path(NGINX).exists(), reason="nginx is not installed")]

WAYS = (SwitchWay.POINTER, SwitchWay.SYMLINK, SwitchWay.INCLUDE)
NAMES = sorted(case.name for case in CASES.iterdir())


@pytest.fixture(params=NAMES)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> NginxCase:
    return NginxCase(request.param, tmp_path)


def test_the_sites_of_a_configuration_are_found(case: NginxCase) -> None:
    """Each place that sends requests on, with where they go, or with a reason to leave it alone."""
    before = case.texts()
    if "refused" in case.expected:
        with pytest.raises(StepError) as caught:
            find(case)
        assert caught.value.what.replace(str(case.root), "") == case.expected["refused"]
    else:
        assert [case.describe(site) for site in find(case)] == case.expected["sites"]
    assert case.texts() == before


def test_what_is_left_alone_comes_with_lines_to_add(case: NginxCase) -> None:
    """A reason and lines by hand always go together."""
    for site in find_taken(case):
        assert bool(site.reason) == bool(site.by_hand)


@pytest.mark.parametrize("way", WAYS)
def test_nginx_takes_every_edit_that_is_proposed(case: NginxCase, way: SwitchWay) -> None:
    """Staged, with our files: at no live path is anything touched."""
    before = case.texts()
    for sites in group(case):
        settings = case.settings_for(sites[0], way)
        instead = {edit.path: edit.after or "" for edit in NginxAdoption(case.layout, settings).propose(sites)}
        files = RouteFiles(case.layout, settings)
        files.prepare()
        ours = files.render(instead=instead) | files.render_state(Slot.BLUE, instead=instead)
        judged = judge_staged(NGINX, case.main, instead=instead | ours, scratch=case.layout.home)
        assert judged.ok, judged.said
    assert case.texts() == before


@pytest.mark.parametrize("way", WAYS)
def test_an_ejection_gives_the_owners_files_back_byte_for_byte(case: NginxCase, way: SwitchWay) -> None:
    """The live slot is where the app always was."""
    before = case.texts()
    for sites in group(case):
        settings = case.settings_for(sites[0], way)
        adoption = lay_adopted(case, settings, sites)
        assert case.texts() != before
        for edit in adoption.propose_eject(Slot.BLUE):
            if edit.after is None:
                edit.path.unlink()
            else:
                edit.path.write_text(edit.after)
        assert case.texts() == before
        assert not [path for path in (case.root / "etc/nginx/celadon").rglob("*") if path.is_file()]


def test_an_ejection_elsewhere_sends_to_the_live_slot(case: NginxCase) -> None:
    """After a deploy: nothing of ours is left in the owner's files, nginx takes them, and they send to green."""
    before = case.texts()
    for sites in group(case):
        settings = case.settings_for(sites[0], SwitchWay.POINTER)
        adoption = lay_adopted(case, settings, sites)
        edits = adoption.propose_eject(Slot.GREEN)
        case.apply([edit for edit in edits if edit.after is not None])
        assert not [path for path, text in case.texts().items() if "celadon" in text]
        assert judge_live(NGINX, case.main).ok
        gone, there = (upstreams(case, settings.web.address(slot)) for slot in Slot)
        assert (gone, there) == ([], [site.path for site in sites])
        for path, text in before.items():
            path.write_text(text)


def lay_adopted(case: NginxCase, settings: Settings, sites: Sequence[FoundSite]) -> NginxAdoption:
    """As after an adoption, but for the running nginx."""
    adoption, files = NginxAdoption(case.layout, settings), RouteFiles(case.layout, settings)
    edits = adoption.propose(sites)
    files.prepare()
    move_pointer(case.layout.pointer, Slot.BLUE)
    files.put(files.render(instead={edit.path: edit.after or "" for edit in edits}))
    case.apply(edits)
    assert judge_live(NGINX, case.main).ok
    return adoption


def find(case: NginxCase) -> Sequence[FoundSite]:
    return NginxSites(case.main, NGINX).find_sites()


def find_taken(case: NginxCase) -> Sequence[FoundSite]:
    return [] if "refused" in case.expected else find(case)


def group(case: NginxCase) -> Iterator[Sequence[FoundSite]]:
    """By app: all the places that send to one address, where all of them are understood."""
    sites = find_taken(case)
    for address in dict.fromkeys(site.upstream for site in sites if site.upstream):
        same = [site for site in sites if site.upstream == address]
        if not any(site.reason for site in same):
            yield same


def upstreams(case: NginxCase, address: Address) -> list[str]:
    return [site.path for site in find(case) if site.upstream == address]
