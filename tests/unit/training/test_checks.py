"""What stops a dataset before anything is learned from it, each with its sentence."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fraud.release import DataPolicy
from training.checks import Checks, Known, check_dataset, single_auc, thin
from training.checks_report import write_checks
from training.maturity import Curve, Maturity
from training.profile import Profile, profile_of, read_profile, stability_index, write_profile
from training.rows import Rows
from training.split import Cuts, cut_by_time

ROWS = 1_000
NAMES = ("quiet", "telling", "flat", "empty")
POLICY = DataPolicy()


def _rows(seed: int = 5) -> Rows:
    random = np.random.default_rng(seed)
    labels = (random.random(ROWS) < 0.1).astype(np.int8)
    vectors = np.column_stack(
        [
            random.normal(size=ROWS),
            random.normal(size=ROWS) + labels,
            np.full(ROWS, 3.0),
            np.full(ROWS, np.nan),
        ]
    )
    return Rows(
        event_ids=[f"shop/t{number}" for number in range(ROWS)],
        times=np.arange(ROWS) * 1_000,
        amounts=np.ones(ROWS, np.int64),
        cards=["card"] * ROWS,
        merchants=["shop"] * ROWS,
        countries=[""] * ROWS,
        new_cards=np.zeros(ROWS, np.bool_),
        weights=np.ones(ROWS),
        names=NAMES,
        vectors=vectors,
        labels=labels,
    )


def _cuts(rows: Rows) -> Cuts:
    return cut_by_time(rows.times, validation_share=0.15, evaluation_share=0.2)


def _check(rows: Rows, champion: Profile | None = None, policy: DataPolicy = POLICY) -> Checks:
    frauds = frozenset(name for name, label in zip(rows.event_ids, rows.labels, strict=True) if label)
    return check_dataset(rows, _cuts(rows), Known(as_of=ROWS * 1_000, frauds=frauds), policy, champion)


def _profile(rows: Rows) -> Profile:
    learned = _cuts(rows).slices(ROWS)["train"]
    return profile_of(rows.names, rows.vectors[learned], rows.labels[learned])


def test_a_sound_dataset_passes_and_is_told_what_no_model_can_use() -> None:
    checks = _check(_rows(), _profile(_rows(9)))
    assert checks.verdict.passed
    assert [each.name for each in checks.checks] == [
        "enough frauds",
        "schema",
        "time order",
        "nothing from later",
        "leakage",
        "drift",
        "fraud rate",
    ]
    assert checks.checks[1].sentence == "4 features; always missing: empty; constant: flat."


def _maturity(*known: float) -> Maturity:
    curves = tuple(
        Curve(
            name="all", frauds=50, horizon=9, ages=(1,), shares=(1.0,), naive=(1.0,), reached={}, at_maturity=each
        )
        for each in known
    )
    return Maturity(
        as_of=1, maturity=1, sentence="Some are known.", enough=min(known, default=1) > 0.9, curves=curves
    )


@pytest.mark.parametrize(
    ("known", "bound", "reason"),
    [
        ((0.6, 0.1), 0.0, "The dataset passed 6 checks. Some are known."),
        ((0.6, 0.1), 0.7, "Some are known. At least 70.0% have to be known."),
        ((0.95, 0.1), 0.7, "The dataset passed 6 checks. Some are known."),
        ((0.95,), 0.7, "The dataset passed 6 checks."),
        ((), 0.7, "The dataset passed 6 checks."),
    ],
    ids=["warned", "stopped", "of all groups", "enough", "too few to measure"],
)
def test_frauds_that_are_not_known_yet_warn_and_below_a_bound_stop_it(
    known: tuple[float, ...], bound: float, reason: str
) -> None:
    rows = _rows()
    names = frozenset(rows.event_ids)
    policy = DataPolicy(minimum_known_share=bound)
    checks = check_dataset(
        rows, _cuts(rows), Known(as_of=ROWS * 1_000, frauds=names), policy, None, _maturity(*known)
    )
    assert checks.verdict.reason == reason
    assert checks.verdict.passed == reason.startswith("The dataset passed")
    assert checks.checks[5].name == "label maturity"


def test_a_label_in_disguise_stops_it_by_name() -> None:
    rows = _rows()
    rows.vectors[:, 0] = np.where(rows.labels == 1, np.nan, 1.0)
    checks = _check(rows)
    assert not checks.verdict.passed
    assert checks.verdict.reason.startswith("quiet alone tells fraud with an AUC of 1.0000, above 0.995")


def test_another_world_than_the_champions_stops_it() -> None:
    champion = _profile(_rows(9))
    rows = _rows()
    rows.vectors[:, :2] += 5.0
    checks = _check(rows, champion)
    # Two of four have drifted, which half may: those that never change count, since they could.
    assert checks.verdict.passed
    checks = _check(rows, champion, DataPolicy(maximum_drifted=0.4))
    assert checks.verdict.reason.startswith("2 of 4 features have drifted from the champion's training data")


def test_another_rate_of_fraud_stops_it() -> None:
    champion = replace_rate(_profile(_rows(9)), 0.01)
    checks = _check(_rows(), champion)
    assert "more than 5 times another" in checks.verdict.reason
    assert _check(_rows(), champion, DataPolicy(maximum_rate_factor=20)).verdict.passed


def replace_rate(profile: Profile, rate: float) -> Profile:
    return Profile(features=profile.features, fraud_rate=rate, rows=profile.rows)


def _infinite(rows: Rows) -> Rows:
    rows.vectors[3, 1] = np.inf
    return rows


def _twice(rows: Rows) -> Rows:
    return replace(rows, event_ids=[rows.event_ids[0], *rows.event_ids[:-1]])


def _overlapping(rows: Rows) -> Rows:
    times = rows.times.copy()
    times[0], times[-1] = times[-1], times[0]
    return replace(rows, times=times)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (_infinite, "Infinite values in telling"),
        (_twice, "1 payments are in the dataset twice"),
        (_overlapping, "The parts overlap in time"),
    ],
)
def test_what_would_flatter_or_break_a_model_stops_it(damage: Callable[[Rows], Rows], sentence: str) -> None:
    rows = damage(_rows())
    known = Known(as_of=ROWS * 1_000, frauds=frozenset(rows.event_ids))
    cuts = Cuts(validation=650, evaluation=800)
    checks = check_dataset(rows, cuts, known, POLICY, None)
    assert not checks.verdict.passed
    assert checks.verdict.reason.startswith(sentence)


def test_a_fraud_that_nobody_had_told_of_stops_it() -> None:
    rows = _rows()
    checks = check_dataset(rows, _cuts(rows), Known(as_of=500_000, frauds=frozenset()), POLICY, None)
    assert checks.verdict.reason.startswith(f"499 payments and {rows.labels.sum()} frauds became known after")


def test_too_few_rows_are_a_verdict_and_a_page(tmp_path: Path) -> None:
    write_checks(tmp_path, thin("The train part holds 2 frauds.", 10, 2, POLICY))
    told = json.loads((tmp_path / "checks.json").read_text())
    assert told["verdict"] == {"passed": False, "reason": "The train part holds 2 frauds."}
    assert "Nothing is learned from this dataset" in (tmp_path / "checks.html").read_text()


def test_the_page_names_every_feature_and_nothing_outside_itself(tmp_path: Path) -> None:
    write_checks(tmp_path, _check(_rows(), _profile(_rows(9))))
    page = (tmp_path / "checks.html").read_text()
    assert all(name in page for name in NAMES)
    assert "http" not in page


def test_the_auc_of_a_column_by_hand() -> None:
    labels = np.array([0, 0, 1, 1], np.int8)
    # Of four pairs three are in order, and one is even in the second case.
    assert single_auc(np.array([1.0, 3.0, 2.0, 4.0]), labels) == 0.75
    assert single_auc(np.array([1.0, 2.0, 2.0, 3.0]), labels) == 0.875
    assert single_auc(np.array([4.0, 3.0, 2.0, 1.0]), labels) == 1.0
    assert single_auc(np.array([5.0, 5.0, np.nan, np.nan]), labels) == 1.0
    assert single_auc(np.array([1.0, 2.0]), np.zeros(2, np.int8)) == 0.5


def test_a_profile_is_read_back_and_its_own_rows_have_not_moved(tmp_path: Path) -> None:
    rows = _rows()
    profile = profile_of(rows.names, rows.vectors, rows.labels)
    write_profile(tmp_path, profile)
    assert read_profile(tmp_path) == profile
    assert read_profile(tmp_path / "bundles" / "older") is None
    for place, name in enumerate(rows.names):
        told = profile.features[name]
        np.testing.assert_allclose(told.spread(rows.vectors[:, place]), told.whole, atol=1e-12)
        assert stability_index(told, ROWS, rows.vectors[:, place]) == pytest.approx(0, abs=1e-12)
    assert profile.features["flat"].edges == (3.0,)
    assert profile.features["empty"].missing == 1.0
    assert len(profile.features["quiet"].edges) == 9


def test_the_stability_index_by_hand() -> None:
    # Half and half, and then three quarters to one; no missing values on either side.
    before = np.repeat([1.0, 2.0], 500)
    told = profile_of(("x",), before[:, None], np.zeros(1_000, np.int8)).features["x"]
    now = np.repeat([1.0, 2.0], [300, 100])
    counts, later = np.array([500.5, 500.5, 0.5, 0.5]), np.array([300.5, 100.5, 0.5, 0.5])
    assert told.edges == (1.0, 2.0)
    p, q = counts / counts.sum(), later / later.sum()
    assert stability_index(told, 1_000, now) == pytest.approx(float(np.sum((q - p) * np.log(q / p))))
