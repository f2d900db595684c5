"""Tables of results that may be forgotten."""

from sim.federation.protocols.secagg.bounded import Bounded


def test_the_oldest_entry_goes_where_there_is_no_more_room() -> None:
    table = Bounded[str, int](3)
    for number, name in enumerate("abcde"):
        assert table.add(name, number) == number
        assert len(table) <= 3
    assert dict(table) == {"c": 2, "d": 3, "e": 4}
    assert table.get("a") is None
