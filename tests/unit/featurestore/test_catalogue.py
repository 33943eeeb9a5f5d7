"""The catalogue of features: complete, committed as it is, and comparable with any revision."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fraud.features import STANDARD, FeatureSet
from fraud.features.catalogue import describe
from fraud.features.definitions import RowFeature
from ops.cli import app
from ops.featurestore import catalogue
from ops.featurestore.catalogue import CatalogueError, compare, cost, find, since


def test_the_committed_catalogue_and_page_are_those_of_the_definitions() -> None:
    remedy = "run `paywarden features export` and commit what it writes"
    assert catalogue.CATALOGUE.read_text() == catalogue.document(), remedy
    assert catalogue.PAGE.read_text() == catalogue.page(), remedy
    assert catalogue.REASONS.read_text() == catalogue.reasons_page(), remedy


def test_the_catalogue_of_reasons_has_each_code_once_with_both_sentences_and_its_features() -> None:
    rows = [
        line.split(" | ") for line in catalogue.reasons_page().splitlines() if re.match(r"\| [A-Z_]+ \|", line)
    ]
    assert [row[0].strip("| ") for row in rows] == sorted({each.reason.code for each in STANDARD.features})
    told = {name: row for row in rows for name in re.findall(r"`(\w+)`", row[3])}
    assert told.keys() == set(STANDARD.names)
    for feature in STANDARD.features:
        assert told[feature.name][1:3] == [feature.reason.text, feature.reason.customer_text]


def test_the_catalogue_tells_everything_of_every_feature() -> None:
    told = json.loads(catalogue.document())
    assert told["feature_set"] == STANDARD.version
    assert [each["name"] for each in told["features"]] == list(STANDARD.names)
    for each, feature in zip(told["features"], STANDARD.features, strict=True):
        assert each["catches"].endswith(".")
        assert each["version"] == feature.version
        if isinstance(feature, RowFeature):
            assert each["fields"] == list(feature.fields)
        else:
            assert (each["window_ms"], each["hop_ms"]) == (feature.window.length, feature.window.hop)
            assert each["tiles"] >= each["window_ms"] // each["hop_ms"]
            assert "source" in each["over"] or "distinct" in each["over"]


def test_a_feature_is_found_by_name_and_a_slip_gets_a_suggestion() -> None:
    assert find("card_declined_rate_24h")["over"]["share_of"]["where"]["values"] == ["authorised", "declined"]
    with pytest.raises(CatalogueError, match="did you mean card_count_24h"):
        find("card_count_24hours")
    with pytest.raises(CatalogueError, match="features list"):
        find("zzzz")


def test_a_comparison_names_what_was_added_removed_and_changed() -> None:
    before, after = describe(STANDARD), describe(STANDARD)
    del before["features"][0]
    del after["features"][-1]
    before["features"][3]["window_ms"] = 1
    found = compare(before, after)
    assert found.added == (STANDARD.names[0],)
    assert found.removed == (STANDARD.names[-1],)
    assert found.changed == {STANDARD.names[4]: {"window_ms": (1, after["features"][4]["window_ms"])}}
    same = compare(after, after)
    assert (same.added, same.removed, same.changed) == ((), (), {})


def test_a_revision_that_has_no_catalogue_is_refused() -> None:
    with pytest.raises(CatalogueError, match="not known here, or is older"):
        since("0" * 40)


def test_the_cost_of_an_entity_bounds_what_its_states_hold() -> None:
    one = FeatureSet(*(feature for feature in STANDARD.windowed if feature.name == "merchant_count_10m"))
    # Ten minutes by the minute: twelve tiles at most, and one more that is about to end, in each of four shards.
    assert cost(one) == {"merchant": 4 * 13}
    assert set(cost()) == {entity.name for entity in STANDARD.entities}


def test_the_list_shows_each_feature_once_and_can_be_narrowed() -> None:
    listed = CliRunner().invoke(app, ["features", "list"])
    assert listed.exit_code == 0
    first = [line.split()[0] for line in listed.stdout.splitlines()[1:] if line.strip()]
    assert set(STANDARD.names) <= set(first)
    email = CliRunner().invoke(app, ["features", "list", "--entity", "email"]).stdout
    assert "email_distinct_card_7d" in email
    assert "card_count_1h" not in email


def test_show_prints_json_for_scripts() -> None:
    shown = CliRunner().invoke(app, ["features", "show", "merchant_fraud_rate_28d_after_7d"])
    told = json.loads(shown.stdout)
    assert (told["entity"], told["shards"], told["delay_ms"]) == ("merchant", 4, 7 * 86_400_000)


def test_diff_prints_a_line_for_each_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = describe(STANDARD), describe(STANDARD)
    before["features"][0]["name"] = "old"
    before["features"][1]["hop_ms"] = 5
    monkeypatch.setattr(catalogue, "since", lambda _revision: compare(before, after))
    shown = CliRunner().invoke(app, ["features", "diff", "v0"]).stdout.splitlines()
    assert shown == [
        f"+ {STANDARD.names[0]}",
        "- old",
        f"~ {STANDARD.names[1]}: hop_ms: 5 -> {after['features'][1]['hop_ms']}",
    ]


def test_the_page_links_no_host_and_has_every_feature() -> None:
    page = Path(catalogue.PAGE).read_text()
    assert all(f"`{name}`" in page for name in STANDARD.names)
    assert "://" not in page
