"""AppConfig's control plane in this process: versions are kept, one deployment goes on at a time."""

import io
from collections.abc import Iterator
from typing import Any

import msgspec
from botocore.exceptions import ClientError

from fraud.serving import Serving
from runtime.configuration import Profile

__all__ = ["KEY", "PROFILE", "AppConfig"]

PROFILE = Profile("app1234", "env1234", "pro1234")
KEY = "arn:aws:kms:eu-west-1:000000000000:key/objects"


class AppConfig:
    """What was written, and what is deployed.

    Attributes
    ----------
    busy : int
        How many more deployments are refused, since another goes on.
    """

    def __init__(self, *documents: Serving | bytes) -> None:
        self.versions: list[bytes] = []
        self.deployments: list[dict[str, Any]] = []
        self.told: list[str] = []
        self.busy = 0
        for document in documents:
            self.by_hand(document)

    def by_hand(self, document: Serving | bytes) -> None:
        """Deploy a document past everything."""
        self.versions.append(document if isinstance(document, bytes) else msgspec.json.encode(document))
        self._deploy(str(len(self.versions)))

    @property
    def serving(self) -> Serving:
        """What serves now."""
        return msgspec.json.decode(self.versions[int(self.deployed[-1]) - 1], type=Serving)

    @property
    def deployed(self) -> list[str]:
        """The versions that were deployed, in order."""
        return [each["ConfigurationVersion"] for each in self.deployments]

    def create_hosted_configuration_version(self, **call: Any) -> dict[str, Any]:
        assert (call["ApplicationId"], call["ConfigurationProfileId"]) == ("app1234", "pro1234")
        assert call["ContentType"] == "application/json"
        assert len(call["Description"]) <= 1_024
        self.versions.append(call["Content"])
        return {"VersionNumber": len(self.versions)}

    def get_hosted_configuration_version(self, **call: Any) -> dict[str, Any]:
        return {"Content": io.BytesIO(self.versions[call["VersionNumber"] - 1])}

    def start_deployment(self, **call: Any) -> None:
        assert (call["EnvironmentId"], call["DeploymentStrategyId"]) == ("env1234", "str1234")
        assert call["KmsKeyIdentifier"] == KEY
        assert len(call["Description"]) <= 1_024
        if self.busy:
            self.busy -= 1
            raise ClientError(
                {"Error": {"Code": "ConflictException", "Message": "in progress"}}, "StartDeployment"
            )
        self.told.append(call["Description"])
        self._deploy(call["ConfigurationVersion"], call["Description"])

    def get_deployment(self, **call: Any) -> dict[str, Any]:
        assert (call["ApplicationId"], call["EnvironmentId"]) == ("app1234", "env1234")
        return self.deployments[call["DeploymentNumber"] - 1]

    def get_paginator(self, name: str) -> "AppConfig":
        assert name == "list_deployments"
        return self

    def paginate(self, **call: str) -> Iterator[dict[str, Any]]:
        assert call == {"ApplicationId": "app1234", "EnvironmentId": "env1234"}
        newest = list(reversed(self.deployments))
        for start in range(0, len(newest), 2):
            # A list does not tell the descriptions, as AppConfig's does not.
            shown = newest[start : start + 2]
            yield {"Items": [{name: each[name] for name in each if name != "Description"} for each in shown]}

    def _deploy(self, version: str, description: str = "") -> None:
        number = len(self.deployments) + 1
        deployment = {"DeploymentNumber": number, "ConfigurationVersion": version, "State": "COMPLETE"}
        self.deployments.append({**deployment, "Description": description} if description else deployment)
