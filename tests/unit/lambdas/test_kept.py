"""What is read now and then is neither read too often nor kept for too long."""

from itertools import count

from lambdas.manage_settings.kept import Kept


def test_a_value_is_read_again_once_it_is_old() -> None:
    numbers, now = count(1), [100.0]
    kept = Kept(lambda: next(numbers), 60.0, lambda: now[0])
    told = []
    for now[0] in (100.0, 159.9, 160.0, 219.0, 220.0):
        told.append(kept())
    assert told == [1, 1, 2, 2, 3]
