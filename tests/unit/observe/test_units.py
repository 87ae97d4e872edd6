"""What is counted instead of requests, and that counting it stays bounded."""

from celadon.observe.units import BAD_CLIENTS_LIMIT, REMEMBERED_LIMIT, BadClients, Units


def test_a_unit_is_the_first_of_client_route_and_kind_in_ten_seconds() -> None:
    """Another client, route or kind of answer is another unit; the same one is again after ten seconds."""
    units = Units()
    key = ("a", "GET /", 5)
    assert units.is_first(key, 1.0)
    assert not units.is_first(key, 10.9)
    for other in (("b", "GET /", 5), ("a", "GET /x", 5), ("a", "GET /", 2)):
        assert units.is_first(other, 1.0)
    assert units.is_first(key, 11.0)


def test_the_ten_seconds_begin_with_the_unit() -> None:
    """Not with the last repetition: a client that asks each second is one unit in ten seconds, not one for ever."""
    units = Units()
    assert sum(units.is_first(("a", "GET /", 2), float(second)) for second in range(100)) == 10


def test_what_is_remembered_is_forgotten() -> None:
    """Never more than two generations of keys, whatever comes."""
    units = Units()
    for second in range(100):
        for number in range(100):
            units.is_first((f"{second}-{number}", "GET /", 2), float(second))
    assert len(units._young) + len(units._old) <= 2_000


def test_a_flood_of_new_clients_makes_no_more_units_than_are_remembered() -> None:
    """Beyond the limit nothing new is a unit, until older ones are forgotten."""
    units = Units()
    made = sum(units.is_first((str(number), "GET /", 2), 1.0) for number in range(REMEMBERED_LIMIT + 5))
    assert made == REMEMBERED_LIMIT
    assert units.is_first(("late", "GET /", 2), 12.0)


def test_a_client_has_three_bad_units() -> None:
    """And tells in which starts they came."""
    clients = BadClients()
    assert [clients.admit("a", start=start) for start in (0, 1)] == [[0, 1], [0, 1]]
    assert clients.admit("a", start=1) == [0, 1, 1]
    assert clients.admit("a", start=2) is None
    assert clients.admit("b", start=2) == [2]


def test_clients_are_bounded() -> None:
    """A client beyond the limit is a new one each time; it is not remembered."""
    clients = BadClients()
    for number in range(BAD_CLIENTS_LIMIT):
        clients.admit(str(number), start=0)
        clients.count_failure(str(number))
    for _ in range(5):
        assert clients.admit("late", start=0) == [0]
        clients.count_failure("late")
    assert len(clients._started) == len(clients._failed_counts) == BAD_CLIENTS_LIMIT


def test_the_worst_client_is_named_and_whether_anything_goes_well_for_it() -> None:
    """A script that only fails is not a crowd that fails too."""
    clients, units = BadClients(), Units()
    assert clients.find_worst() == ("", 0)
    for client, times in (("a", 2), ("b", 5)):
        for _ in range(times):
            clients.count_failure(client)
    assert clients.find_worst() == ("b", 5)
    units.is_first(("b", "GET /", 5), 1.0)
    assert not units.has_good("b")
    units.is_first(("b", "GET /", 2), 1.0)
    assert units.has_good("b")
