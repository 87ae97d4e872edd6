"""Numbers of the kernel in, what the connection is taken for out."""

import pytest

from celadon.deploy.kinds import PACED_S, QUIET_S, Watch, count_kinds
from celadon.model.connections import Connection, ConnectionKind, KindCounts, Peer

REQUEST, IDLE, STREAM = ConnectionKind.REQUEST, ConnectionKind.IDLE, ConnectionKind.STREAM
LEFT_S = 60.0


def seen(
    *,
    unheard_s: float | None,
    unsaid_s: float | None,
    peer: Peer = Peer.PROXY,
    received: int = 400,
    sent: int = 900,
    unread: int = 0,
    unsent: int = 0,
) -> Connection:
    return Connection(
        id=1,
        peer=peer,
        received_bytes=received,
        sent_bytes=sent,
        unread_bytes=unread,
        unsent_bytes=unsent,
        unheard_s=unheard_s,
        unsaid_s=unsaid_s,
    )


def judge(connection: Connection, *, left_s: float = LEFT_S, pooled_s: float = 0.0) -> ConnectionKind:
    return Watch(pooled_s=pooled_s).judge([connection], left_s=left_s)[0].kind


@pytest.mark.parametrize("peer", list(Peer))
@pytest.mark.parametrize(
    "connection",
    [
        pytest.param({"unheard_s": 70.0, "unsaid_s": 70.0, "sent": 0}, id="a long request, never answered"),
        pytest.param({"unheard_s": 70.0, "unsaid_s": 80.0}, id="asked again on a kept connection, before the switch"),
        pytest.param({"unheard_s": 70.0, "unsaid_s": 80.0, "unread": 12}, id="not read yet"),
        pytest.param({"unheard_s": 90.0, "unsaid_s": 0.1, "unsent": 65536}, id="a download that the client holds up"),
        pytest.param({"unheard_s": 90.0, "unsaid_s": 90.0, "unsent": 65536}, id="a download that has stalled"),
        pytest.param({"unheard_s": 0.0, "unsaid_s": 70.0, "sent": 0}, id="an upload"),
        pytest.param({"unheard_s": 0.6, "unsaid_s": 0.5, "sent": 900}, id="an answer that may go on"),
        pytest.param({"unheard_s": None, "unsaid_s": None}, id="the kernel does not say"),
    ],
)
def test_a_request_in_flight_is_one_whoever_asks(connection: dict[str, float], peer: Peer) -> None:
    """Nothing that may be asked or answered is taken for less."""
    assert judge(seen(peer=peer, **connection)) is REQUEST  # type: ignore[arg-type]


@pytest.mark.parametrize(("quiet_s", "kind"), [(QUIET_S - 0.1, REQUEST), (QUIET_S, IDLE), (300.0, IDLE)])
def test_what_was_answered_and_is_quiet_is_idle_where_no_proxy_asks(quiet_s: float, kind: ConnectionKind) -> None:
    """From a second on. Question and answer in one tick of the clock are an answer."""
    assert judge(seen(unheard_s=quiet_s, unsaid_s=quiet_s, peer=Peer.OTHER)) is kind


@pytest.mark.parametrize("peer", list(Peer))
def test_what_never_asked_is_idle(peer: Peer) -> None:
    """Opened ahead of a request that did not come."""
    assert judge(seen(unheard_s=5.0, unsaid_s=5.0, received=0, sent=0, peer=peer)) is IDLE


@pytest.mark.parametrize("peer", [Peer.PROXY, Peer.UNKNOWN])
def test_the_proxys_quiet_connection_is_a_stream_once_its_pool_is_over(peer: Peer) -> None:
    """A pool that the route has left empties itself: what stays quiet for longer has somebody behind it."""
    quiet = seen(unheard_s=5.0, unsaid_s=4.9, peer=peer)
    assert judge(quiet, left_s=6.0, pooled_s=10.0) is IDLE
    assert judge(quiet, left_s=11.0, pooled_s=10.0) is STREAM
    assert judge(quiet, left_s=6.0, pooled_s=0.0) is STREAM


def test_through_the_proxy_nobody_asks_twice_when_the_route_has_left() -> None:
    """The app has said something since, and then heard something: a WebSocket that pings."""
    assert judge(seen(unheard_s=20.0, unsaid_s=25.0)) is STREAM


def test_a_late_answer_is_no_stream() -> None:
    """Asked before the route left, answered after it."""
    assert judge(seen(unheard_s=61.0, unsaid_s=0.3, sent=900, unsent=20)) is REQUEST
    assert judge(seen(unheard_s=8.0, unsaid_s=0.3, sent=900), left_s=10.0) is REQUEST


def test_a_busy_websocket_is_known_by_its_second_word() -> None:
    """In two looks: heard again after it was answered. And it stays a stream when it falls quiet."""
    watch = Watch(pooled_s=10.0)
    looks = [
        seen(unheard_s=0.2, unsaid_s=0.2, received=400),
        seen(unheard_s=0.1, unsaid_s=0.1, received=420),
        seen(unheard_s=6.0, unsaid_s=6.0, received=420),
    ]
    assert [watch.judge([look], left_s=5.0)[0].kind for look in looks] == [REQUEST, STREAM, STREAM]


def test_an_upload_on_a_kept_connection_is_no_stream() -> None:
    """It is heard again and again, but the app has said nothing since the route left."""
    watch = Watch(pooled_s=10.0)
    looks = [seen(unheard_s=0.0, unsaid_s=70.0, received=size) for size in (400, 4000, 40000)]
    assert {watch.judge([look], left_s=LEFT_S)[0].kind for look in looks} == {REQUEST}


def test_somebody_else_may_ask_again_on_a_kept_connection() -> None:
    """A monitor that comes every few seconds does not heed the route."""
    watch = Watch(pooled_s=0.0)
    looks = [
        seen(unheard_s=0.2, unsaid_s=0.2, received=400, peer=Peer.OTHER),
        seen(unheard_s=0.1, unsaid_s=0.1, received=800, peer=Peer.OTHER),
        seen(unheard_s=1.5, unsaid_s=1.5, received=800, peer=Peer.OTHER),
    ]
    assert [watch.judge([look], left_s=LEFT_S)[0].kind for look in looks] == [REQUEST, REQUEST, IDLE]


@pytest.mark.parametrize("peer", list(Peer))
def test_an_app_that_goes_on_unasked_streams(peer: Peer) -> None:
    """Events: nobody holds it up, and nothing was asked for as long."""
    assert judge(seen(unheard_s=PACED_S + 0.5, unsaid_s=0.5, peer=peer), left_s=5.0) is STREAM
    assert judge(seen(unheard_s=PACED_S, unsaid_s=0.5, peer=peer), left_s=5.0) is REQUEST


def test_kinds_are_counted_each_by_its_name() -> None:
    """One request, two idle, three streams."""
    watch = Watch(pooled_s=0.0)
    request = seen(unheard_s=70.0, unsaid_s=80.0)
    idle = seen(unheard_s=70.0, unsaid_s=70.0, peer=Peer.OTHER)
    stream = seen(unheard_s=70.0, unsaid_s=70.0)
    numbered = [
        Connection(**{**{name: getattr(each, name) for name in each.__struct_fields__}, "id": number})
        for number, each in enumerate([request, idle, idle, stream, stream, stream])
    ]
    counts = count_kinds(watch.judge(numbered, left_s=LEFT_S))
    assert counts == KindCounts(requests_count=1, idle_count=2, streams_count=3)
    assert counts.total_count == 6
