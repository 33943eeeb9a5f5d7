"""What recovery needs is there where data is real; and the model of capacity describes what is deployed."""

from collections.abc import Callable
from typing import Any

import pytest

from infra.environments import PROD
from ops.capacity.concurrency import running
from ops.capacity.cost import ALARMS, COMPOSITE_ALARMS, DASHBOARDS
from ops.capacity.work import FUNCTIONS
from ops.recovery.tables import KINDS

PARTS = ("data", "features", "scoring", "training", "monitoring")


@pytest.mark.parametrize("environment", ["staging", "prod"])
def test_every_table_can_be_set_back_to_any_second(platform: Callable[[str], Any], environment: str) -> None:
    tables = platform(environment).resources("data", "AWS::DynamoDB::GlobalTable")
    assert len(tables) == len(KINDS)
    for each in tables.values():
        [replica] = each["Properties"]["Replicas"]
        assert replica["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
        assert each["DeletionPolicy"] == each["UpdateReplacePolicy"] == "Retain"
        assert replica["DeletionProtectionEnabled"] is (environment == "prod")


@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
def test_every_bucket_keeps_the_versions_of_its_objects_for_a_month(
    platform: Callable[[str], Any], environment: str
) -> None:
    buckets = platform(environment).resources("data", "AWS::S3::Bucket")
    assert len(buckets) == 4
    for each in buckets.values():
        properties = each["Properties"]
        assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
        rules = properties["LifecycleConfiguration"]["Rules"]
        [old] = [rule for rule in rules if rule["Id"] == "old-versions"]
        assert old["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}


def test_reports_go_after_a_while_and_what_models_are_made_of_stays(platform: Callable[[str], Any]) -> None:
    found = platform("prod")
    models = found.raw("data")["Outputs"]["ModelsBucket"]["Value"]["Ref"]
    bucket = found.resources("data", "AWS::S3::Bucket")[models]
    rules = bucket["Properties"]["LifecycleConfiguration"]["Rules"]
    going = {rule["Prefix"]: rule["ExpirationInDays"] for rule in rules if "ExpirationInDays" in rule}
    assert going == {"monitoring/": 90, "replays/": 90}


def test_the_kinds_of_tables_are_those_that_are_deployed(platform: Callable[[str], Any]) -> None:
    """A restored table gets its stream and its expiry back from what `paywarden restore` knows of it."""
    found = platform("prod")
    outputs = found.raw("data")["Outputs"]
    tables = found.resources("data", "AWS::DynamoDB::GlobalTable")
    for kind in KINDS.values():
        properties = tables[outputs[kind.output]["Value"]["Ref"]]["Properties"]
        expiry = properties.get("TimeToLiveSpecification", {})
        assert expiry.get("AttributeName", "") == kind.ttl
        assert properties.get("StreamSpecification", {}).get("StreamViewType", "") == kind.stream


def test_the_model_knows_the_memory_of_each_function(platform: Callable[[str], Any]) -> None:
    for name, function in FUNCTIONS.items():
        assert platform("prod").function(name)["MemorySize"] == function.memory, name


def test_prod_has_the_updaters_for_its_throttle() -> None:
    updaters = next(one for one in running(PROD.stage_throttle.rate) if one.function.name == "update_features")
    assert updaters.copies <= PROD.updater_concurrency


def test_the_model_counts_alarms_and_dashboards(platform: Callable[[str], Any]) -> None:
    """An alarm is paid for by the metrics that it looks at; a fifth more or less of them is to be counted anew."""
    found, looked = platform("prod"), 0
    composite = boards = 0
    for part in PARTS:
        for each in found.resources(part, "AWS::CloudWatch::Alarm").values():
            queries = each["Properties"].get("Metrics", ())
            looked += sum("MetricStat" in query for query in queries) or 1
        composite += len(found.resources(part, "AWS::CloudWatch::CompositeAlarm"))
        boards += len(found.resources(part, "AWS::CloudWatch::Dashboard"))
    assert looked == pytest.approx(ALARMS, rel=0.2)
    assert composite == pytest.approx(COMPOSITE_ALARMS, rel=0.5)
    assert boards == DASHBOARDS
