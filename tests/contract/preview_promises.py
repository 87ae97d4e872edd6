"""What a driver promises of a preview: the slot that is not live, through the real proxy, for whoever has the secret. A
subclass gives the stage, whose settings have `preview`."""

from typing import Protocol

from celadon.contracts.proxy import Proxy
from celadon.drivers.proxies.headers import OURS, PREVIEW_COOKIE, PREVIEW_HEADER
from celadon.host.layout import Layout
from celadon.host.look_mark import read_secret
from celadon.model.names import Slot
from celadon.model.observed import PREVIEWED
from tests.contract.proxy_promises import ignore, read_hits

VISITOR = "127.0.3.9"


class PreviewStage(Protocol):
    """`ask` is one request of the client at that address: status and body, which is the slot's name. `app_headers` are
    the names of all headers that the slots were sent."""

    proxy: Proxy
    layout: Layout

    def ask(self, client: str, headers: dict[str, str] | None = None) -> tuple[int, str]: ...

    def app_headers(self) -> set[str]: ...


class PreviewPromises:
    def test_the_secret_reaches_the_slot_that_is_not_live(self, stage: PreviewStage) -> None:
        """By header or cookie, whichever slot is live; other cookies beside it do not matter."""
        secret = self._begin(stage)
        for live in (Slot.BLUE, Slot.GREEN):
            stage.proxy.switch(live, reached=ignore)
            cookies = f"session=a; {PREVIEW_COOKIE}={secret}; theme=dark"
            assert stage.ask(VISITOR, {PREVIEW_HEADER: secret}) == (200, live.other.value)
            assert stage.ask(VISITOR, {"Cookie": cookies}) == (200, live.other.value)
            assert stage.ask(VISITOR) == (200, live.value)

    def test_without_the_secret_there_is_no_preview(self, stage: PreviewStage) -> None:
        """Nothing near it opens it: a part, more than it, another case, a path, nothing."""
        secret = self._begin(stage)
        wrong = [secret[:-1], secret + "0", secret.upper() + "X", "../live/green", "green", "", f'"{secret}"', ".*"]
        for value in wrong:
            assert stage.ask(VISITOR, {PREVIEW_HEADER: value}) == (200, "blue"), value
            assert stage.ask(VISITOR, {"Cookie": f"{PREVIEW_COOKIE}={value}"}) == (200, "blue"), value

    def test_a_preview_is_no_visit(self, stage: PreviewStage) -> None:
        """The window judges what visitors got."""
        secret = self._begin(stage)
        traffic = stage.proxy.traffic()
        stage.ask(VISITOR, {PREVIEW_HEADER: secret})
        hits = list(read_hits(traffic))
        stage.ask(VISITOR, {PREVIEW_HEADER: "wrong"})
        hits += read_hits(traffic)
        traffic.close()
        assert [(hit.slot, hit.look) for hit in hits] == [(Slot.GREEN, PREVIEWED), (Slot.BLUE, "")]

    def test_what_a_client_sends_under_our_names_never_reaches_the_app(self, stage: PreviewStage) -> None:
        """Slot, release, look, preview: with the secret and without."""
        secret = self._begin(stage)
        stage.ask(VISITOR, dict.fromkeys(OURS, "forged"))
        stage.ask(VISITOR, {PREVIEW_HEADER: secret})
        assert stage.app_headers() & {name.lower() for name in OURS} == set()

    def _begin(self, stage: PreviewStage) -> str:
        stage.proxy.install()
        stage.proxy.switch(Slot.BLUE, reached=ignore)
        return read_secret(stage.layout.preview_secret)
