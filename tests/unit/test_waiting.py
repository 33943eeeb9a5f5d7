"""The wait of the tests: it ends with what it waited for, or says that it never came."""

import pytest

from tests.waiting import until, waited


def test_the_wait_ends_with_what_was_found() -> None:
    looks = iter([None, "", "there"])
    assert until(lambda: next(looks), pause=0) == "there"


def test_what_never_comes_is_named() -> None:
    with pytest.raises(AssertionError, match=r"a letter did not come about within 0.01 s"):
        until(lambda: False, within=0.01, pause=0, what="a letter")


def test_a_wait_that_judges_nothing_gives_back_the_last_look() -> None:
    looks = iter([0, 1, 2])
    assert waited(lambda: next(looks), within=10, pause=0) == 1
    assert waited(lambda: 0, within=0, pause=10) == 0
