"""Mapping files: what is accepted, and what the errors say."""

from pathlib import Path

import pytest

from ops.inputs import MAPPINGS, MappingError, load_mapping
from ops.inputs.mapping import parse_duration

GOOD = """
[columns]
transaction_id = "id"
card = "card"
customer = "person"
[constants]
currency = "EUR"
merchant_id = "shop"
[time]
column = "when"
[amount]
column = "sum"
unit = "major"
[label]
column = "bad"
fraud = ["Y"]
genuine = ["N"]
delay = "36h"
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mapping.toml"
    path.write_text(text)
    return path


def test_a_good_mapping_is_read(tmp_path: Path) -> None:
    mapping = load_mapping(written(tmp_path, GOOD))
    assert mapping.source_columns == ("id", "card", "person", "when", "sum", "bad")
    assert mapping.label is not None
    assert mapping.label.delay == 36 * 3_600_000
    assert mapping.time.zone == "UTC"


@pytest.mark.parametrize("name", ["handbook.toml", "s_ffsd.toml", "sparkov.toml"])
def test_the_mappings_that_ship_are_good(name: str) -> None:
    assert load_mapping(MAPPINGS / name).label is not None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('card = "card"', 'crad = "card"', r"\[columns\] 'crad' is no field.*did you mean 'card'\?"),
        ('card = "card"', "", r"'card' is missing; give its column"),
        ('card = "card"', "card = 5", r"\[columns\] card must be text in quotes"),
        ('card = "card"', 'card = "card"\namount = "sum"', r"'amount' has a section of its own, \[amount\]"),
        ('currency = "EUR"', 'currency = "EURO"', "not an ISO 4217 code"),
        ('currency = "EUR"', 'currency = "EUR"\ncard = "x"', r"in \[columns\] and in \[constants\]"),
        ("[constants]", "[constatns]", "section 'constatns' is unknown; did you mean 'constants'"),
        ('column = "when"', 'column = "when"\nzone = "Mars/Base"', "'Mars/Base' is not a time zone"),
        ('column = "when"', 'column = "when"\nzoone = "UTC"', "did you mean 'zone'"),
        ('column = "when"', 'column = "when"\nformat = "dd/mm"', "nor a pattern"),
        ('column = "when"', 'column = "when"\nformat = "steps"', "give it with format = 'steps'"),
        ('column = "when"', 'column = "when"\nstep = "1m"', "give it with format = 'steps'"),
        ('column = "when"', 'column = "when"\nformat = "steps"\nstep = "long"', "'long' is not a duration"),
        ('delay = "36h"', 'delay = "36h"\nunknown = 2', "unknown must list the values"),
        ('column = "when"', 'column = "when"\nambiguous = "x"', "not one of earlier, later, refuse"),
        ('column = "when"', "", r'\[time\] needs column = "<a column of the file>"'),
        ('unit = "major"', "", "write 'major'"),
        ('unit = "major"', 'unit = "cents"', "not one of major, minor"),
        ('delay = "36h"', 'delay = "a week"', "'a week' is not a duration"),
        ('delay = "36h"', "", "needs either delay"),
        ('delay = "36h"', 'delay = "36h"\nkind = "confirmed_genuine"', "not one of chargeback, confirmed_fraud"),
        ('fraud = ["Y"]', 'fraud = "Y"', "must list the values"),
        ("[time]", '[prefixes]\ndevice = "d-"\n[time]', "a prefix goes before a column's values"),
        ("[columns]", "[columns", "not valid TOML"),
    ],
)
def test_a_bad_mapping_is_refused_with_the_remedy(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(MappingError, match=message):
        load_mapping(written(tmp_path, GOOD.replace(old, new)))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match=r"nowhere\.toml: there is no such mapping file"):
        load_mapping(tmp_path / "nowhere.toml")


@pytest.mark.parametrize(
    ("text", "expected"), [("7d", 604_800_000), ("90m", 5_400_000), ("250 ms", 250), ("2w", 1_209_600_000)]
)
def test_durations(text: str, expected: int) -> None:
    assert parse_duration(text) == expected
