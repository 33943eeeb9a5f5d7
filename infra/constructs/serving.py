"""The `serving` document: which models and which policy answer merchants, changed without a deployment."""

import json

import aws_cdk as cdk
from aws_cdk import aws_appconfig as appconfig
from constructs import Construct

from infra.constructs.keys import Keys
from infra.constructs.lifetime import removal_policy
from infra.environment import Environment

__all__ = ["INITIAL_DOCUMENT", "SCHEMA", "Serving"]

# Only the beginning: a promotion writes new versions, and a deployment never goes back to this one, as long as
# it stays as it is. A change here would be deployed over the champion; change the live document instead.
INITIAL_DOCUMENT: dict[str, object] = {
    "policy": {"version": "1", "thresholds": {"challenge": 0.3, "review": 0.6, "decline": 0.85}},
    "champion": None,
    "challengers": [],
}

_PROBABILITY = {"type": "number", "minimum": 0, "maximum": 1}
_PERHAPS_PROBABILITY = {"type": ["number", "null"], "minimum": 0, "maximum": 1}
_MINOR_UNITS = {"type": "integer", "minimum": 0, "maximum": 10**9}
_VERSION = {"type": "string", "minLength": 1}
_THRESHOLDS = ("challenge", "review", "decline")
_COSTS: dict[str, object] = {
    **dict.fromkeys(("chargeback_fee", "goodwill", "challenge_cost", "review_cost"), _MINOR_UNITS),
    **dict.fromkeys(("loss_share", "margin_share", "challenge_stops", "challenge_loses"), _PROBABILITY),
    **dict.fromkeys(("review_finds", "review_turns_away"), _PROBABILITY),
}
_PASS_THROUGH: dict[str, object] = {
    "share": {"type": "number", "minimum": 0, "exclusiveMinimum": True, "maximum": 0.2},
    "most_amount": {"type": "integer", "minimum": 1},
    "most_a_day": {"type": "integer", "minimum": 1},
    "most_money_a_day": {"type": ["integer", "null"], "minimum": 1},
    "salt": {"type": "string", "maxLength": 64},
}
# The draft that AppConfig knows. What it cannot say, such as that thresholds ascend, the reader checks; a document
# that the reader refuses does not serve.
SCHEMA: dict[str, object] = {
    "$schema": "http://json-schema.org/draft-04/schema#",
    "title": "What serves: the champion, its challengers, a canary and the policy",
    "type": "object",
    "required": ["policy", "champion", "challengers"],
    "properties": {
        "policy": {
            "type": "object",
            "required": ["version"],
            "properties": {
                "version": _VERSION,
                "thresholds": {
                    "type": ["object", "null"],
                    "required": list(_THRESHOLDS),
                    "properties": dict.fromkeys(_THRESHOLDS, _PROBABILITY),
                    "additionalProperties": False,
                },
                "costs": {"type": ["object", "null"], "properties": _COSTS, "additionalProperties": False},
                "unscored_limit": {"type": "integer", "minimum": 0},
                "most_declined": _PERHAPS_PROBABILITY,
                "most_reviewed": _PERHAPS_PROBABILITY,
                "pass_through": {
                    "type": ["object", "null"],
                    "required": ["share", "most_amount"],
                    "properties": _PASS_THROUGH,
                    "additionalProperties": False,
                },
            },
            "additionalProperties": False,
        },
        "champion": {"type": ["string", "null"], "minLength": 1},
        "challengers": {"type": "array", "items": _VERSION},
        "canary": {
            "type": ["object", "null"],
            "required": ["version", "share"],
            "properties": {"version": _VERSION, "share": _PROBABILITY},
            "additionalProperties": False,
        },
    },
    "additionalProperties": False,
}


class Serving(Construct):
    """The AppConfig application, environment, profile and key, and the strategy that changes are deployed with."""

    def __init__(self, scope: Construct, id_: str, *, environment: Environment, keys: Keys) -> None:
        super().__init__(scope, id_)
        self.key = keys.objects
        self.application = appconfig.CfnApplication(
            self, "application", name=environment.prefix, description="Paywarden: what serves"
        )
        self.environment = appconfig.CfnEnvironment(
            self, "environment", application_id=self.application.ref, name=environment.name
        )
        self.profile = appconfig.CfnConfigurationProfile(
            self,
            "profile",
            application_id=self.application.ref,
            name="serving",
            location_uri="hosted",
            kms_key_identifier=self.key.key_arn,
            type="AWS.Freeform",
            validators=[
                appconfig.CfnConfigurationProfile.ValidatorsProperty(
                    type="JSON_SCHEMA", content=json.dumps(SCHEMA, sort_keys=True)
                )
            ],
        )
        # No bake time: while a deployment bakes, AppConfig refuses the next one, and a roll-back is a deployment.
        self.strategy = appconfig.CfnDeploymentStrategy(
            self,
            "strategy",
            name=f"{environment.prefix}-all-at-once",
            deployment_duration_in_minutes=0,
            final_bake_time_in_minutes=0,
            growth_factor=100,
            growth_type="LINEAR",
            replicate_to="NONE",
        )
        first = appconfig.CfnHostedConfigurationVersion(
            self,
            "first-version",
            application_id=self.application.ref,
            configuration_profile_id=self.profile.ref,
            content_type="application/json",
            content=json.dumps(INITIAL_DOCUMENT),
        )
        # Versions that promotions wrote later belong to the platform, not to the template. AppConfig deletes no
        # profile with versions: one that stayed would keep a failed first deployment from being cleared away.
        first.apply_removal_policy(removal_policy(environment, in_the_way=True))
        appconfig.CfnDeployment(
            self,
            "first-deployment",
            application_id=self.application.ref,
            environment_id=self.environment.ref,
            configuration_profile_id=self.profile.ref,
            configuration_version=first.ref,
            deployment_strategy_id=self.strategy.ref,
            # No key: a property more would be another deployment, and put this document in the champion's place.
        )

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables by which a function finds the document."""
        return {
            "APPCONFIG_APPLICATION": self.application.ref,
            "APPCONFIG_ENVIRONMENT": self.environment.ref,
            "APPCONFIG_PROFILE": self.profile.ref,
        }

    def application_arn(self, scope: Construct) -> str:
        return self._arn(scope, "application", self.application.ref)

    def environment_arn(self, scope: Construct) -> str:
        return self._arn(scope, "application", f"{self.application.ref}/environment/{self.environment.ref}")

    def profile_arn(self, scope: Construct) -> str:
        return self._arn(scope, "application", f"{self.application.ref}/configurationprofile/{self.profile.ref}")

    def strategy_arn(self, scope: Construct) -> str:
        return self._arn(scope, "deploymentstrategy", self.strategy.ref)

    def configuration_arn(self, scope: Construct) -> str:
        """The deployed document, as its readers name it."""
        return self._arn(
            scope,
            "application",
            f"{self.application.ref}/environment/{self.environment.ref}/configuration/{self.profile.ref}",
        )

    @staticmethod
    def _arn(scope: Construct, resource: str, name: str) -> str:
        return cdk.Stack.of(scope).format_arn(service="appconfig", resource=resource, resource_name=name)
