"""How long frauds take to become known, measured on labels of which the late ones are not there yet."""

import json
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fraud.events import Label
from tests.unit.training.synthetic import DAY, HOUR, START, transactions
from training.engines.events import table_of
from training.maturity import Maturity, known_by_age, measure
from training.maturity_report import write_maturity

FOUND, _ = transactions(3, 400, days=40)


def test_the_product_limit_by_hand() -> None:
    # Ages 10, 10, 10 and 3; delays 2, 5, 8 and 1. At 8: 4 reported by then, one of them too young: 1 - 1/3.
    # At 5: 3 reported by then, one too young: 1 - 1/2. At 2: 2 reported, none too young: 1 - 1/2.
    points, shares = known_by_age(np.array([2, 5, 8, 1]), np.array([10, 10, 10, 3]))
    assert points.tolist() == [1, 2, 5, 8]
    np.testing.assert_allclose(shares, [1 / 6, 1 / 3, 2 / 3, 1.0])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(4, 12))
def test_it_recovers_the_true_curve_where_the_delays_as_seen_flatter(seed: int, mean: float) -> None:
    """Delays of a mean of so many days, payments spread over 40: half of the late reports are still to come."""
    random = np.random.default_rng(seed)
    ages = random.uniform(0, 40, 20_000)
    delays = random.exponential(mean, 20_000)
    seen = delays <= ages
    points, shares = known_by_age(*((each[seen] * HOUR).astype(np.int64) for each in (delays, ages)))
    for day in (2.0, 5.0, 10.0, 20.0):
        truth = (1 - np.exp(-day / mean)) / (1 - np.exp(-40 / mean))
        estimate = shares[np.searchsorted(points, day * HOUR, side="right") - 1]
        naive = float(np.mean(delays[seen] <= day))
        assert abs(estimate - truth) < 0.03
        if truth < 0.8:
            assert naive - truth > abs(estimate - truth)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=60))
def test_without_truncation_it_is_the_share_itself_and_it_always_rises(pairs: list[tuple[int, int]]) -> None:
    delays, more = (np.array(each) for each in zip(*pairs, strict=True))
    points, shares = known_by_age(delays, np.full(len(delays), 1_000))
    np.testing.assert_allclose(shares, [np.mean(delays <= point) for point in points], atol=1e-12)
    _, shares = known_by_age(delays, delays + more)
    assert (np.diff(shares) >= 0).all()
    assert shares[-1] == 1.0
    assert (shares >= 0).all()


def _labels(delays: list[int]) -> list[Label]:
    return [
        Label(transaction=each, kind="chargeback", known_at=each.event_time + delay)
        for each, delay in zip(FOUND, delays, strict=False)
    ]


@pytest.mark.parametrize(("maturity", "enough"), [(2 * DAY, False), (9 * DAY, True)])
def test_the_sentence_says_when_the_maturity_is_too_short(maturity: int, enough: bool) -> None:
    told = table_of(_labels([DAY if number % 5 else 8 * DAY for number in range(200)]))
    found = measure(told, as_of=START + 90 * DAY, maturity=maturity)
    assert found.enough is enough
    assert ("too short: the other frauds are learned as genuine. 95% are known at 8 days" in found.sentence) is (
        not enough
    )
    curve = found.curves[0]
    assert (curve.name, curve.frauds) == ("all", 200)
    assert curve.reached == {"0.5": DAY, "0.9": 8 * DAY, "0.95": 8 * DAY, "0.99": 8 * DAY}
    assert curve.at_maturity == pytest.approx(1.0 if enough else 0.8)


def test_a_single_old_payment_does_not_decide_the_curve() -> None:
    # Of all payments only the first was old enough for its delay to be seen: its factor would be 0.
    told = _labels([DAY] * 100)
    first = msgspec.structs.replace(FOUND[0], event_time=START - 80 * DAY, transaction_id="old")
    told.append(Label(transaction=first, kind="chargeback", known_at=START + 39 * DAY))
    found = measure(table_of(told), as_of=START + 40 * DAY, maturity=2 * DAY)
    (curve,) = found.curves
    assert (curve.frauds, curve.at_maturity, found.enough) == (101, 1.0, True)
    assert curve.horizon < 41 * DAY
    # Ten of them are no accident any more: from the age of the payments on, nothing but they can be seen.
    more = [
        Label(
            transaction=msgspec.structs.replace(first, transaction_id=f"old-{number}"),
            kind="chargeback",
            known_at=START + (30 + number) * DAY,
        )
        for number in range(10)
    ]
    assert measure(table_of([*told, *more]), as_of=START + 40 * DAY, maturity=2 * DAY).enough is False


def test_an_unsure_report_makes_nothing_known() -> None:
    told = table_of([*_labels([HOUR] * 60), *_labels([4 * DAY] * 60)])
    told = told.append_column("confidence", pa.array([0.4] * 60 + [None] * 60))
    known = [
        measure(told, as_of=START + 90 * DAY, maturity=DAY, minimum_confidence=bound).curves[0].at_maturity
        for bound in (0.4, 0.5)
    ]
    assert known == [1.0, 0.0]


def test_a_maturity_to_set_is_in_whole_days() -> None:
    told = table_of(_labels([5 * DAY + 2 * HOUR] * 60))
    sentence = measure(told, as_of=START + 90 * DAY, maturity=3 * DAY).sentence
    assert sentence.endswith("95% are known at 5.08 days, so set the maturity to 6 days or more.")


def test_each_source_has_its_curve_and_a_payment_counts_by_its_first_report() -> None:
    slow, quick = _labels([20 * DAY] * 100), _labels([2 * HOUR] * 40)
    genuine = [Label(transaction=each, kind="confirmed_genuine", known_at=each.event_time) for each in FOUND]
    told = table_of([*slow, *quick, *genuine]).append_column(
        "source", pa.array(["issuer"] * 100 + ["analyst"] * 40 + [None] * len(genuine))
    )
    found = measure(told, as_of=START + 90 * DAY, maturity=3 * DAY)
    assert [(curve.name, curve.frauds) for curve in found.curves] == [
        ("all", 100),
        ("analyst chargeback", 40),
        ("issuer chargeback", 60),
    ]
    assert found.curves[1].reached["0.99"] == 2 * HOUR
    assert found.curves[0].at_maturity == pytest.approx(0.4)


def test_nothing_known_later_has_a_say_and_few_frauds_say_nothing(tmp_path: Path) -> None:
    told = table_of(_labels([DAY] * 100))
    as_of = int(np.sort(told["at"].to_numpy())[28])
    found = measure(told, as_of=as_of, maturity=3 * DAY)
    assert found.curves == ()
    assert found.sentence.startswith("29 frauds are known")
    write_maturity(tmp_path, found)
    assert msgspec.convert(json.loads((tmp_path / "maturity.json").read_text()), Maturity) == found
    assert "Too few frauds" in (tmp_path / "maturity.html").read_text()


def test_the_page_shows_the_curve_and_the_age_in_use(tmp_path: Path) -> None:
    write_maturity(tmp_path, measure(table_of(_labels([5 * DAY] * 60)), as_of=START + 60 * DAY, maturity=3 * DAY))
    page = (tmp_path / "maturity.html").read_text()
    assert "maturity in use: 3 days" in page
    assert page.count('class="line ') == 2
    assert "http" not in page
