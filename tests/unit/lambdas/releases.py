"""What the functions of a release need of an account: the table, the registry of models, executions that wait."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import boto3
from botocore.exceptions import ClientError

from runtime.stores.lineages import Event, Lineage
from runtime.stores.releases import DynamoReleaseStore
from tests.tables import create_table
from tests.trails import audit_table
from tests.unit.lambdas.support import REGION

__all__ = ["GROUP", "Executions", "Registry", "lineage", "releases_table"]

GROUP = f"arn:aws:sagemaker:{REGION}:123456789012:model-package/models"


def releases_table() -> DynamoReleaseStore:
    """The empty table, and its store."""
    client = boto3.client("dynamodb")
    create_table(client, "releases")
    return DynamoReleaseStore(client, "releases", audit_table(client))


def lineage(version: str, package: str = "") -> Lineage:
    """A model that was registered."""
    return Lineage(
        version=version,
        created_at=1,
        dataset="d",
        code_version="c0ffee",
        parameters={},
        metrics={},
        package=package or f"{GROUP}/{version}",
        artifact="",
        evaluation="",
        events=(Event(what="registered", at=1, by="retrain:run", reason="It finds more fraud."),),
    )


@dataclass
class Registry:
    """SageMaker's registry of models, as far as it is asked."""

    packages: dict[str, dict[str, Any]] = field(default_factory=dict)
    made: list[dict[str, Any]] = field(default_factory=list)
    tokens: dict[str, str] = field(default_factory=dict)

    def put(self, package: str, status: str = "PendingManualApproval", **more: Any) -> None:
        self.packages[package] = {"ModelPackageArn": package, "ModelApprovalStatus": status, **more}

    def create_model_package(self, **call: Any) -> dict[str, str]:
        assert call["ModelPackageGroupName"] == "models"
        assert len(call["ClientToken"]) <= 36
        if call["ClientToken"] not in self.tokens:
            self.made.append(call)
            arn = f"{GROUP}/{len(self.made)}"
            self.tokens[call["ClientToken"]] = arn
            self.put(
                arn, call["ModelApprovalStatus"], CustomerMetadataProperties=call["CustomerMetadataProperties"]
            )
        return {"ModelPackageArn": self.tokens[call["ClientToken"]]}

    def describe_model_package(self, *, ModelPackageName: str) -> dict[str, Any]:  # noqa: N803 - AWS's name
        if ModelPackageName not in self.packages:
            text = f"ModelPackage {ModelPackageName} does not exist."
            raise ClientError({"Error": {"Code": "ValidationException", "Message": text}}, "DescribeModelPackage")
        return self.packages[ModelPackageName]

    def update_model_package(self, *, ModelPackageArn: str, **changes: Any) -> None:  # noqa: N803 - AWS's name
        self.packages[ModelPackageArn] |= changes


@dataclass
class Executions:
    """Step Functions: tokens that wait, what they were told, and how executions stand."""

    told: list[tuple[str, str]] = field(default_factory=list)
    error: str = ""
    statuses: dict[str, str] = field(default_factory=dict)
    redriven: datetime | None = None

    def describe_execution(self, *, executionArn: str) -> dict[str, Any]:  # noqa: N803 - AWS's name
        if executionArn not in self.statuses:
            raise ClientError({"Error": {"Code": "ExecutionDoesNotExist", "Message": "no"}}, "DescribeExecution")
        redriven = {} if self.redriven is None else {"redriveDate": self.redriven}
        return {"status": self.statuses[executionArn], **redriven}

    def send_task_success(self, *, taskToken: str, output: str) -> None:  # noqa: N803 - AWS's name
        if self.error:
            raise ClientError({"Error": {"Code": self.error, "Message": "no"}}, "SendTaskSuccess")
        self.told.append((taskToken, output))
