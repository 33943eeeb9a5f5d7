"""Which days of the lake hold a time, and the manifest of their objects."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraud.manifest import DELIVERED, Days, manifest
from fraud.windows import DAY

NOW = 1_767_261_600_000  # 2026-01-01 10:00
MIDNIGHT = 1_767_225_600_000  # 2026-01-01
KEYS = [
    "decisions/",
    "decisions/a.parquet",
    *(f"decisions/day=2025-12-{day}/a.parquet" for day in (30, 31)),
    *(f"decisions/day=2026-01-0{day}/{name}.parquet" for day in range(1, 7) for name in "ab"),
]


def listed(days: Days, keys: list[str]) -> list[str]:
    """What S3 lists, as far as it is asked on."""
    prefix, after = days.listing["Prefix"], days.listing.get("StartAfter", "")
    found = []
    for key in sorted(keys):
        if key.startswith(prefix) and key > after:
            if days.is_over(key):
                break
            found.append(key)
    return found


@pytest.mark.parametrize(
    ("days", "wanted"),
    [
        (Days.of("decisions", NOW, NOW + 1), {"2026-01-01", "2026-01-02", "2026-01-03"}),
        # The end does not belong to it: what is recorded at midnight is another stretch's.
        (Days.of("decisions", MIDNIGHT, MIDNIGHT + DAY), {"2026-01-01", "2026-01-02", "2026-01-03"}),
        (Days("decisions", "2026-01-05"), {"2026-01-05", "2026-01-06"}),
        (Days("decisions", "", "2025-12-31"), {"2025-12-30", "2025-12-31"}),
        (Days("decisions", "2027-01-01"), set()),
    ],
)
def test_the_days_of_a_time_are_listed_and_no_others(days: Days, wanted: set[str]) -> None:
    assert {key.split("day=")[1][:10] for key in listed(days, KEYS)} == wanted


def test_without_bounds_all_of_a_part_is_listed() -> None:
    assert listed(Days("decisions"), KEYS) == KEYS
    assert listed(Days("labels"), KEYS) == []


@given(st.integers(0, 3_000 * DAY), st.integers(1, 60 * DAY), st.floats(0, 1), st.integers(0, DELIVERED))
def test_whatever_is_recorded_in_a_time_lies_in_its_days(since: int, length: int, place: float, late: int) -> None:
    """However long it is on its way, up to what Firehose takes at the most."""
    recorded = since + min(int(length * place), length - 1)
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=recorded + late)
    key = f"decisions/day={moment.date().isoformat()}/a.parquet"
    assert listed(Days.of("decisions", since, since + length), [key]) == [key]


def test_a_manifest_is_a_prefix_and_keys_below_it() -> None:
    document = json.loads(manifest("lake", "decisions/", KEYS[2:4]))
    assert document == [
        {"prefix": "s3://lake/decisions/"},
        "day=2025-12-30/a.parquet",
        "day=2025-12-31/a.parquet",
    ]


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ([], "leave the input out"),
        (["labels/a"], "does not lie below"),
        (["decisions/"], "does not lie below"),
    ],
)
def test_a_manifest_that_sagemaker_would_refuse_is_not_made(keys: list[str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        manifest("lake", "decisions/", keys)
