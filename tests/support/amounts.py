"""How much is drawn at random: all of it with --long, a part without."""

long = False
"""Whether --long is given; tests/conftest.py says so before the first test file is read."""


def drawn(count: int) -> int:
    """This many with --long, a third without."""
    return count if long else count // 3
