"""`paywarden backtest` on a small history of its own."""

import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fraud.features.extended import GROUPS, extended, groups
from fraud.features.standard import STANDARD
from fraud.windows import DAY
from ops.backtests.trying import BacktestError
from ops.backtests.walking import Features, ModelName, feature_set
from ops.cli import app
from training.peers import PEERS

START = datetime(2026, 3, 1, tzinfo=UTC)
MAPPING = """
[columns]
transaction_id = "id"
merchant_id = "shop"
card = "card"
customer = "card"
[constants]
currency = "EUR"
[time]
column = "paid_at"
[amount]
column = "amount"
unit = "major"
[label]
column = "fraud"
fraud = ["Y"]
genuine = ["N"]
delay = "3d"
"""
USUAL = ("--first-test", "2026-03-15", "--folds", "2", "--threads", "1")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Four weeks of payments of which the dear ones are mostly frauds; some outcomes are not known."""
    folder = tmp_path_factory.mktemp("backtest")
    chance = random.Random(5)
    lines = ["id,shop,card,paid_at,amount,fraud"]
    for number in range(1_400):
        paid = START + timedelta(minutes=number * 28)
        fraud = chance.random() < 0.06
        amount = chance.uniform(80, 200) if fraud else chance.uniform(1, 100)
        label = "" if chance.random() < 0.1 else "Y" if fraud else "N"
        card = f"card-{chance.randrange(400)}"
        lines.append(f"{number},shop-{number % 3},{card},{paid:%Y-%m-%d %H:%M:%S},{amount:.2f},{label}")
    (folder / "history.csv").write_text("\n".join(lines) + "\n")
    (folder / "mine.toml").write_text(MAPPING)
    return folder / "history.csv", folder / "mine.toml"


def _ran(files: tuple[Path, Path], *options: str) -> dict[str, Any]:
    data, mapping = files
    done = CliRunner().invoke(app, ["backtest", "--data", str(data), "--mapping", str(mapping), *options])
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert len(lines) == 1
    found: dict[str, Any] = json.loads(lines[0])
    return found


@pytest.mark.parametrize("model", [each.value for each in ModelName])
def test_every_model_finds_the_dear_frauds_and_prints_one_line(files: tuple[Path, Path], model: str) -> None:
    found = _ran(files, *USUAL, "--features", "handbook", "--model", model, "--json-only")
    assert found["model"] == model
    assert found["feature_count"] == 15
    assert 0 < found["unlabelled"] < found["rows"]
    assert [fold["test"]["since"] for fold in found["folds"]] == ["2026-03-15T00:00Z", "2026-03-22T00:00Z"]
    assert [fold["train"]["since"] for fold in found["folds"]] == ["2026-03-01T00:00Z", "2026-03-08T00:00Z"]
    assert found["mean"]["auc"] > 0.8
    aucs = [fold["figures"]["auc"] for fold in found["folds"]]
    assert found["mean"]["auc"] == pytest.approx(sum(aucs) / 2)
    assert all(fold["days_below_100_cards"] == 7 for fold in found["folds"])


def test_the_same_call_gives_the_same_figures_and_progress_stays_off_the_line(files: tuple[Path, Path]) -> None:
    first, again = (_ran(files, *USUAL, "--seed", "3") for _ in range(2))
    assert first["mean"] == again["mean"]
    assert first["features"] == "all"


def test_folds_after_the_last_payment_are_null_with_a_note(files: tuple[Path, Path]) -> None:
    found = _ran(files, "--first-test", "2026-03-22", "--folds", "3", "--features", "handbook", "--json-only")
    last = found["folds"][-1]
    assert last["figures"] == {"auc": None, "average_precision": None, "card_precision_at_100": None}
    assert "no rows" in last["note"]
    assert found["mean"]["auc"] is not None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--first-test", "2027-01-01"), "--first-test is after the last payment of --data"),
        (("--first-test", "2026-03-02"), "there is nothing to train on"),
        (("--first-test", "2026-02-01"), "has no payment before 2026-02-08; check --first-test"),
    ],
)
def test_a_history_that_cannot_answer_is_told_by_option(
    files: tuple[Path, Path], options: tuple[str, ...], said: str
) -> None:
    data, mapping = files
    done = CliRunner().invoke(app, ["backtest", "--data", str(data), "--mapping", str(mapping), *options])
    assert isinstance(done.exception, BacktestError)
    assert said in str(done.exception)


def test_a_group_that_there_is_not_is_refused_and_those_that_there_are_are_added(files: tuple[Path, Path]) -> None:
    wrong = CliRunner().invoke(
        app, ["backtest", "--data", str(files[0]), "--mapping", str(files[1]), *USUAL, "--groups", "card_spre"]
    )
    assert isinstance(wrong.exception, BacktestError)
    assert "card_spree" in str(wrong.exception)
    found = _ran(files, *USUAL, "--model", "logistic", "--groups", "card_spree,card_usual")
    assert found["groups"] == ["card_usual", "card_spree"]
    assert found["feature_count"] == len(extended(only=("card_usual", "card_spree")).names)


def test_a_mapping_without_labels_is_refused(files: tuple[Path, Path], tmp_path: Path) -> None:
    silent = tmp_path / "silent.toml"
    silent.write_text(MAPPING[: MAPPING.index("[label]")])
    done = CliRunner().invoke(app, ["backtest", "--data", str(files[0]), "--mapping", str(silent), *USUAL])
    assert isinstance(done.exception, BacktestError)
    assert "has no [label]" in str(done.exception)


def test_names_of_models_are_those_that_there_are() -> None:
    assert [each.value for each in ModelName] == ["xgboost", *PEERS]


@pytest.mark.parametrize(
    ("features", "folds", "settings"),
    [
        ("handbook", "1", "xgboost-handbook"),
        ("handbook", "2", "xgboost-handbook-selected"),
        ("standard", "2", "xgboost-ours"),
    ],
)
def test_xgboost_has_the_settings_that_suit_the_features(
    files: tuple[Path, Path], features: str, folds: str, settings: str
) -> None:
    options = ("--first-test", "2026-03-15", "--folds", folds, "--features", features, "--json-only")
    usual, named = _ran(files, *options), _ran(files, *options, "--model", settings)
    assert (usual["settings"], usual["parameters"]) == (settings, named["parameters"])
    assert usual["mean"] == named["mean"]


@pytest.mark.parametrize(("days", "late"), [(0, "24h"), (1, "24h"), (3, "3d"), (7, "7d"), (14, "14d")])
def test_features_over_labels_wait_as_long_as_the_protocol(days: int, late: str) -> None:
    assert f"merchant_fraud_rate_3d_after_{late}" in feature_set(Features.ALL, days * DAY).names
    risk = next(each for each in feature_set(Features.HANDBOOK, days * DAY).windowed if each.window.delay)
    assert risk.window.delay == max(days, 1) * DAY - 1_000


def test_every_group_adds_features_and_none_needs_a_new_entity() -> None:
    assert tuple(groups(7 * DAY)) == GROUPS
    sizes = [len(extended(only=GROUPS[:count]).names) for count in range(len(GROUPS) + 1)]
    assert sizes[0] == 1
    assert sizes == sorted(set(sizes))
    assert set(extended().entities) <= set(STANDARD.entities)
