"""Sites behind Traefik, as people write them, handed over and given back: against a real Traefik, under load."""

import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from celadon.contracts.adoption import FoundSite
from celadon.drivers.proxies.look import wait_until
from celadon.drivers.proxies.traefik_sites import TraefikSites
from celadon.model.errors import StepError
from celadon.model.names import Slot
from celadon.model.observed import FindingLevel
from tests.contract.proxy_promises import ignore
from tests.contract.traefik_server import TRAEFIK
from tests.contract.traefik_site import CASES, TraefikSite

MakeSite = Callable[..., TraefikSite]
TAKEN = {
    "one-file": ["shop.example"],
    "directory": ["shop.example www.shop.example"],
    "tls-certresolver": ["shop.example"],
    "middleware-chain": ["shop.example", "shop.example"],
    "path-prefixes": ["shop.example"],
    "toml": ["shop.example", "www.shop.example"],
    "https-redirect": ["shop.example"],
    "catch-all": [""],
    "ipv6": ["shop.example"],
    "flow-style": ["shop.example"],
}
NOT_TAKEN = {"left-alone", "broken-neighbour", "anchors"}


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[MakeSite]:
    made: list[TraefikSite] = []

    def make(case: str, *, crlf: bool = False) -> TraefikSite:
        made.append(TraefikSite(tmp_path / f"site{len(made)}", case, crlf=crlf))
        return made[-1]

    yield make
    for site in made:
        site.close()


def test_every_configuration_is_tried() -> None:
    """One that nobody asks about shows nothing."""
    assert {path.name for path in CASES.iterdir()} == {*TAKEN, *NOT_TAKEN}


@pytest.mark.parametrize("case", sorted(TAKEN))
@pytest.mark.parametrize("crlf", [False, True], ids=["lf", "crlf"])
def test_a_site_is_handed_over_and_back_without_a_failed_request(make_site: MakeSite, case: str, *, crlf: bool) -> None:
    """Found, proposed, adopted, switched, given back: the visitors of it see their app and nothing else, and its files
    end as they began, byte for byte."""
    site = make_site(case, crlf=crlf)
    before = site.texts()
    taken = site.taken()
    assert [" ".join(each.names) for each in taken] == TAKEN[case]
    first = taken[0]
    assert site.answer(first) == (200, "blue")
    adoption = site.adoption(first)
    with load_of(site, first) as load:
        edits = adoption.propose(taken)
        assert all(edit.before != edit.after for edit in edits)
        adoption.adopt(edits, live=Slot.BLUE)
        problems = [each for each in site.proxy(first).check() if each.level is FindingLevel.PROBLEM]
        assert problems == []
        view = site.proxy(first).observe()
        assert (view.slot, view.seen, view.disagreement) == (Slot.BLUE, True, "")
        for to in (Slot.GREEN, Slot.BLUE):
            assert site.proxy(first).switch(to, reached=ignore).seen
            assert site.answer(first) == (200, to.value)
        adoption.eject(adoption.propose_eject(Slot.BLUE), live=Slot.BLUE)
        assert site.answer(first) == (200, "blue")
    if load is not None:
        assert (load.failures, load.lost, load.closed_count) == ([], [], 0)
        assert load.count > 20
    assert site.texts() == before


@pytest.mark.parametrize("case", ["one-file", "directory", "toml", "flow-style"])
def test_a_site_that_is_given_back_goes_to_the_slot_that_is_live(make_site: MakeSite, case: str) -> None:
    """By plain configuration, also after a restart; only the address differs from what its owner wrote."""
    site = make_site(case)
    before = site.texts()
    taken = site.taken()
    adoption = site.adoption(taken[0])
    adoption.adopt(adoption.propose(taken), live=Slot.BLUE)
    assert site.proxy(taken[0]).switch(Slot.GREEN, reached=ignore).seen
    adoption.eject(adoption.propose_eject(Slot.GREEN), live=Slot.GREEN)
    assert site.answer(taken[0]) == (200, "green")
    site.restart()
    assert site.answer(taken[0]) == (200, "green")
    assert site.texts().keys() == before.keys()
    assert sum(old != new for old, new in zip(before.values(), site.texts().values(), strict=True)) == 1


def test_adopting_and_ejecting_twice_changes_nothing_more(make_site: MakeSite) -> None:
    """A death in between is mended by doing it again."""
    site = make_site("one-file")
    taken = site.taken()
    adoption = site.adoption(taken[0])
    edits = adoption.propose(taken)
    adoption.adopt(edits, live=Slot.BLUE)
    texts = site.texts()
    adoption.adopt(edits, live=Slot.BLUE)
    assert site.texts() == texts
    back = adoption.propose_eject(Slot.BLUE)
    adoption.eject(back, live=Slot.BLUE)
    adoption.eject(back, live=Slot.BLUE)
    assert site.answer(taken[0]) == (200, "blue")


def test_an_adoption_that_traefik_does_not_take_leaves_all_as_it_was(make_site: MakeSite) -> None:
    """Here a neighbour's file broke after the proposal, so Traefik takes no change."""
    site = make_site("one-file")
    taken = site.taken()
    adoption = site.adoption(taken[0], seen_timeout_s=1.0)
    edits = adoption.propose(taken)
    (site.directory / "zz.yml").write_text("http: [\n")
    before = site.texts()
    with pytest.raises(StepError, match=r"zz\.yml"):
        adoption.adopt(edits, live=Slot.BLUE)
    assert site.texts() == before
    assert site.answer(taken[0]) == (200, "blue")


def test_an_adoption_that_fails_half_way_is_taken_back(make_site: MakeSite) -> None:
    """Here the neighbour's file breaks in the moment in which the site's own was edited."""
    site = make_site("one-file")
    taken = site.taken()
    adoption = site.adoption(taken[0], seen_timeout_s=2.0)
    edits = adoption.propose(taken)
    before = site.texts()

    def break_neighbour() -> None:
        wait_until(lambda: edits[0].path.read_text() == edits[0].after, timeout_s=60, pause_s=0.0005)
        (site.directory / "zz.yml").write_text("http: [\n")

    breaking = threading.Thread(target=break_neighbour)
    breaking.start()
    with load_of(site, taken[0]) as load:
        with pytest.raises(StepError):
            adoption.adopt(edits, live=Slot.BLUE)
        breaking.join()
        (site.directory / "zz.yml").unlink()
        load.await_more(50)
    assert (load.failures, load.lost, load.closed_count) == ([], [], 0)
    assert site.texts() == before
    assert site.answer(taken[0]) == (200, "blue")


def test_a_file_that_has_changed_since_is_not_overwritten(make_site: MakeSite) -> None:
    """Somebody edits while we ask."""
    site = make_site("one-file")
    taken = site.taken()
    adoption = site.adoption(taken[0])
    edits = adoption.propose(taken)
    path = edits[0].path
    path.write_text(path.read_text() + "# and one more line\n")
    with pytest.raises(StepError, match="has changed meanwhile"):
        adoption.adopt(edits, live=Slot.BLUE)
    assert path.read_text().endswith("# and one more line\n")
    assert not (site.directory / "celadon-shop.yml").is_symlink()


def test_what_cannot_be_handed_over_is_left_alone_with_a_reason(make_site: MakeSite) -> None:
    """In its own words, and with the lines to add by hand where a person could."""
    reasons = {site.names[:1]: site.reason for site in make_site("left-alone").find()}
    told = {
        ("a.example",): "comes from docker",
        ("b.example",): "has 2 servers",
        ("c.example",): "is weighted",
        ("d.example",): "is mirroring",
        ("e.example",): "https://10.0.0.7:8443",
        ("f.example",): "healthCheck",
        ("g.example",): "defined in no file",
        ("h.example",): "ruleSyntax",
        ("i.example",): "no entry point",
        ("j.example",): "passHostHeader",
        ("db.example",): "tcp router",
        (): "template",
    }
    assert reasons.keys() == told.keys()
    assert [names for names, words in told.items() if words not in reasons[names]] == []


def test_no_site_is_handed_over_beside_a_file_that_traefik_cannot_read(make_site: MakeSite) -> None:
    """Traefik would not take the change; the file is named."""
    found = make_site("broken-neighbour").find()
    assert [each.upstream is not None and "zz-old.yml" in each.reason for each in found] == [True]


def test_a_router_that_others_are_merged_from_is_left_alone(make_site: MakeSite) -> None:
    """An edit of an anchor would be an edit of all that use it; a site whose two names share one is not half taken."""
    found = make_site("anchors").find()
    assert ["cannot be edited safely" in each.reason for each in found] == [True, True]
    assert all("service: celadon-APP" in each.by_hand for each in found)


def test_a_site_says_where_it_is_and_how_it_is_reached(make_site: MakeSite) -> None:
    """As celadon.toml takes it."""
    site = make_site("path-prefixes")
    found = {each.where.rpartition(":")[2]: each for each in TraefikSites(site.main, TRAEFIK).find_sites()}
    assert {line: (each.path, each.site) for line, each in found.items()} == {
        "3": ("/", f"http://shop.example:{site.port}"),
        "6": ("/api", f"http://shop.example:{site.port}"),
        "10": ("/static", f"http://shop.example:{site.port}"),
    }
    assert {each.listen for each in found.values()} == {f"127.0.0.1:{site.port}"}
    assert {each.directory for each in found.values()} == {str(site.directory)}


def load_of(site: TraefikSite, found: FoundSite):  # type: ignore[no-untyped-def]  # noqa: ANN201 - one of two contexts
    """Visitors speak plain HTTP to 127.0.0.1."""
    plain = found.site.startswith("http://") and found.listen.startswith("127.0.0.1")
    return site.visitors(found) if plain else nullcontext(None)
