"""Rounds that are spread over a run."""


def spread(n: int, rounds: int) -> tuple[int, ...]:
    """The numbers of ``n`` rounds of a run at equal distances, the last one among them.

    All rounds of a run that has fewer than ``n``.

    >>> spread(3, 10), spread(5, 2), spread(1, 10)
    ((4, 7, 10), (1, 2), (10,))
    """
    n = min(n, rounds)
    return tuple(sorted(rounds - (rounds * i) // n for i in range(n)))
