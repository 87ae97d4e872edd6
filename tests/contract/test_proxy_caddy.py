"""The Caddy driver against a real Caddy."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from celadon.drivers.proxies.caddy import CaddyProxy
from celadon.model.errors import StepError
from celadon.model.names import Slot
from celadon.model.observed import Effect, FindingLevel
from celadon.model.settings import SwitchWay
from tests.contract.caddy_server import CaddyStage
from tests.contract.proxy_promises import ProxyPromises, ignore

MakeStage = Callable[..., CaddyStage]


@pytest.fixture
def make_stage(tmp_path: Path) -> Iterator[MakeStage]:
    made: list[CaddyStage] = []

    def make(way: SwitchWay = SwitchWay.POINTER, **knobs: object) -> CaddyStage:
        made.append(CaddyStage(tmp_path / f"caddy{len(made)}", way=way, **knobs))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for stage in made:
        stage.close()


@pytest.fixture(params=["pointer", "pointer-sockets", "reload", "reload-sockets"])
def stage(request: pytest.FixtureRequest, make_stage: MakeStage) -> CaddyStage:
    way, _, sockets = request.param.partition("-")
    return make_stage(SwitchWay(way), sockets=bool(sockets))


class TestCaddy(ProxyPromises):
    """Both ways keep the promises, for ports and for sockets."""

    def test_an_installed_proxy_survives_a_restart_of_caddy(self, stage: CaddyStage) -> None:
        """What is on disk is the route."""
        stage.proxy.install()
        stage.proxy.switch(Slot.GREEN, reached=ignore)
        stage.stop()
        view = stage.proxy.observe()
        assert (view.slot, view.seen) == (Slot.GREEN, False)
        stage.start()
        view = stage.proxy.observe()
        assert (view.slot, view.seen) == (Slot.GREEN, True)

    def test_an_answer_of_500_is_not_seen(self, stage: CaddyStage) -> None:
        """A candidate that fails through the proxy has not taken over."""
        proxy = CaddyProxy(stage.layout, stage.settings_for(stage.settings.proxy.switch, seen_timeout_s=3.0))
        proxy.install()
        stage.slots[Slot.GREEN].status = 500
        switched = proxy.switch(Slot.GREEN, reached=ignore)
        assert switched.seen is False
        assert "500" in switched.reason

    def test_a_broken_neighbour_is_named_before_anything_is_touched(self, stage: CaddyStage) -> None:
        """With Caddy's own words, and install refuses."""
        stage.write_main(neighbour="http://other.example {\n\tnonsense on\n}\n")
        found = stage.proxy.check()
        assert [each.level for each in found] == [FindingLevel.PROBLEM]
        assert "nonsense" in found[0].text
        with pytest.raises(StepError) as caught:
            stage.proxy.install()
        assert caught.value.code == "proxy_config_refused"
        assert list((stage.conf / "celadon").iterdir()) == []

    def test_a_site_that_does_not_import_us_is_told_the_line(self, stage: CaddyStage) -> None:
        """And nothing is put in place for it to miss."""
        stage.write_main(imported=False)
        found = [each for each in stage.proxy.check() if each.level is FindingLevel.PROBLEM]
        assert [each.subject for each in found] == ["site"]
        assert f"import {stage.conf}/celadon/shop-one.caddy" in found[0].fix

    def test_a_hand_edit_is_shown_and_refused(self, stage: CaddyStage) -> None:
        """The edit stays: it may be somebody's midnight repair."""
        stage.proxy.install()
        snippet = stage.conf / "celadon" / "shop-one.caddy"
        edited = snippet.read_text().replace("roll_keep 2", "roll_keep 9")
        snippet.write_text(edited)
        found = [each for each in stage.proxy.check() if each.level is FindingLevel.PROBLEM]
        assert "-\t\troll_keep 9" in found[0].text
        with pytest.raises(StepError, match="edited by hand"):
            stage.proxy.install()
        assert snippet.read_text() == edited


def test_a_configuration_broken_by_others_moves_nothing(make_stage: MakeStage) -> None:
    """Caddy judges the whole before anything is moved in."""
    stage = make_stage(SwitchWay.RELOAD)
    stage.proxy.install()
    stage.proxy.switch(Slot.BLUE, reached=ignore)
    before = {path: path.read_bytes() for path in (stage.conf / "celadon").iterdir()}
    stage.write_main(neighbour="http://other.example {\n\tnonsense on\n}\n")
    passed: list[str] = []
    switched = stage.proxy.switch(Slot.GREEN, reached=passed.append)
    assert (switched.seen, switched.effect, passed) == (False, Effect.NONE, [])
    assert "nonsense" in switched.reason
    assert {path: path.read_bytes() for path in (stage.conf / "celadon").iterdir()} == before


def test_a_refused_reload_is_named_and_put_back(make_stage: MakeStage) -> None:
    """A port that somebody else holds passes `caddy validate` and fails the load."""
    stage = make_stage(SwitchWay.RELOAD)
    stage.proxy.install()
    stage.proxy.switch(Slot.BLUE, reached=ignore)
    taken = stage.slots[Slot.BLUE].address
    stage.write_main(neighbour=f"http://{taken} {{\n\trespond hi\n}}\n")
    switched = stage.proxy.switch(Slot.GREEN, reached=ignore)
    assert (switched.seen, switched.effect) == (False, Effect.NONE)
    assert "address already in use" in switched.reason
    assert stage.proxy.observe().slot is Slot.BLUE
    stage.write_main()
    assert stage.proxy.switch(Slot.GREEN, reached=ignore).seen
