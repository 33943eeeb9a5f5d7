"""Where a deployed Paywarden is: its resources by name, the same way on AWS and in the local cloud."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from fraud.tokens import Tokeniser
from infra.environment import Environment
from infra.environments import lookup
from ops.localcloud import control
from ops.localcloud.settings import DEFAULT_PORT
from ops.times import now
from runtime.auditing import PLATFORM, AuditTrail, Entry, Kind
from runtime.keyring import KeyringReader
from runtime.keys import KeyHash
from runtime.stores.features import DynamoFeatureStore
from runtime.stores.merchants import DynamoMerchantStore
from runtime.stores.releases import DynamoReleaseStore
from runtime.stores.settings import DynamoSettingsStore

__all__ = ["Deployment", "DeploymentError", "connect"]

STACKS = ("data", "features", "scoring", "training", "monitoring")


class DeploymentError(Exception):
    """There is no such deployment, or it cannot be reached; the message says what to do."""


@dataclass(frozen=True)
class Deployment:
    """A deployed environment.

    Attributes
    ----------
    resources : mapping of str to str
        The outputs of its stacks, such as ``FeaturesTable``.
    """

    environment: Environment
    session: boto3.Session
    resources: Mapping[str, str]
    port: int | None = None

    def client(self, service: str) -> Any:
        """A client of an AWS service, where this deployment lives."""
        return self.session.client(service)

    def __getitem__(self, name: str) -> str:
        try:
            return self.resources[name]
        except KeyError:
            raise DeploymentError(
                f"environment {self.environment.name!r} has no resource {name}; deploy the current version first"
            ) from None

    @cached_property
    def api_url(self) -> str:
        """The address that merchants call, without a trailing slash."""
        url = self["ApiUrl"].rstrip("/")
        if self.port is None:
            return url
        # The emulator serves every API on its own port, by path instead of by host name.
        host, _, stage = url.removeprefix("https://").partition("/")
        return f"http://127.0.0.1:{self.port}/restapis/{host.partition('.')[0]}/{stage}/_user_request_"

    @cached_property
    def trail(self) -> AuditTrail:
        """Where changes are told; they are those of whoever AWS says is calling."""
        who = cache(lambda: str(self.client("sts").get_caller_identity()["Arn"]))
        return AuditTrail(self.client("dynamodb"), self["AuditTable"], who=who)

    def tell(self, kind: Kind, action: str, **more: Any) -> None:
        """Record a change of the platform in the audit trail, before it is made; `more` is as in `Entry`."""
        at = now()
        self.trail.record(Entry(at=at, who="operator", kind=kind, subject=PLATFORM, action=action, **more))

    def features(self) -> DynamoFeatureStore:
        """The online feature store, read consistently."""
        return DynamoFeatureStore(self.client("dynamodb"), self["FeaturesTable"], consistent=True)

    def merchants(self) -> DynamoMerchantStore:
        return DynamoMerchantStore(self.client("dynamodb"), self["MerchantsTable"], self.trail)

    def settings(self) -> DynamoSettingsStore:
        """What merchants set: rules, lists and policies."""
        return DynamoSettingsStore(self.client("dynamodb"), self["SettingsTable"], self.trail)

    def releases(self) -> DynamoReleaseStore:
        """What became of models, and what served when."""
        return DynamoReleaseStore(self.client("dynamodb"), self["ReleasesTable"], self.trail)

    def key_hash(self) -> KeyHash:
        """The hash under which this deployment keeps merchants' keys."""
        secret = self.client("secretsmanager").get_secret_value(SecretId=self["KeySecret"])["SecretString"]
        return KeyHash(secret.encode())

    def tokeniser(self) -> Tokeniser:
        """Turns identifiers into this deployment's tokens."""
        return KeyringReader(
            self.client("secretsmanager"), self["TokenSecret"], self.client("s3"), self["TokenKeysBucket"]
        ).read()


def connect(environment: str, *, port: int = DEFAULT_PORT) -> Deployment:
    """Find a deployment by the name of its environment.

    Parameters
    ----------
    port : int
        Of the local cloud; for other environments the usual AWS credentials and region count.

    Raises
    ------
    DeploymentError
        If nothing is deployed under this name, or AWS cannot be reached.
    """
    try:
        chosen = lookup(environment)
    except ValueError as error:
        raise DeploymentError(str(error)) from error
    local = chosen.name == "local"
    if local and not control.status(port).healthy:
        raise DeploymentError(f"the local cloud does not answer on port {port}; start it with `make up`")
    try:
        session = control.session(port) if local else boto3.Session(region_name=os.environ.get("AWS_REGION"))
        resources = _outputs(session, chosen)
    except (ClientError, BotoCoreError) as error:
        hint = (
            "run `make up`"
            if local
            else f"check your AWS credentials and region, or `make deploy ENV={environment}`"
        )
        raise DeploymentError(
            f"environment {environment!r} is not deployed or out of reach ({error}): {hint}"
        ) from error
    return Deployment(chosen, session, resources, port if local else None)


def _outputs(session: boto3.Session, environment: Environment) -> dict[str, str]:
    client = session.client("cloudformation")
    found: dict[str, str] = {}
    for stack in STACKS:
        described = client.describe_stacks(StackName=f"{environment.prefix}-{stack}")["Stacks"][0]
        found |= {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}
    return found
