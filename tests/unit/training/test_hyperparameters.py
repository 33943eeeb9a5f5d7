"""The page on training names every hyperparameter, with its default and what it may be."""

import dataclasses
import re
from pathlib import Path

import pytest

from fraud.hyperparameters import HyperparameterError, Hyperparameters

PAGE = Path(__file__).parents[3] / "docs" / "training.md"
ROWS = re.findall(r"^\| `(\w+)` \| (?:`([^`]*)`)? ?\| ([^|]+) \|", PAGE.read_text(), flags=re.MULTILINE)
TABLE = {name: (default, values) for name, default, values in ROWS if name not in {"dataset", "tune", "train"}}
FIELDS = {field.name: field for field in dataclasses.fields(Hyperparameters)}


def test_all_are_on_the_page_with_their_defaults_and_in_order() -> None:
    assert {name: default for name, (default, _) in TABLE.items()} == {
        name: str(field.default) for name, field in FIELDS.items()
    }
    assert list(TABLE) == list(FIELDS)


@pytest.mark.parametrize("name", FIELDS)
def test_what_the_page_allows_is_allowed_and_nothing_beyond(name: str) -> None:
    _, values = TABLE[name]
    if choices := re.findall(r"`(\w+)`", values):
        allowed, refused = choices, ["other"]
    elif bounds := re.fullmatch(r"([\d.]+) to ([\d.]+)", values):
        low, high = bounds.groups()
        allowed, refused = [low, high], [str(_moved(low, 0.9, -1)), str(_moved(high, 1.1, 1))]
    elif bounds := re.fullmatch(r"at least ([\d.]+)", values):
        allowed, refused = [bounds[1], "1000000"], ["-1"]
    else:
        assert values in {"a name", "a text"}
        allowed, refused = ["run-1"], []
    for value in allowed:
        Hyperparameters.parse({name: value})
    for value in refused:
        with pytest.raises(HyperparameterError, match=name):
            Hyperparameters.parse({name: value})


def _moved(bound: str, factor: float, step: int) -> int | float:
    return int(bound) + step if bound.isdigit() else float(bound) * factor
