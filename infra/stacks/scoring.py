"""The way of a transaction up to its decision: API, authorizer, scoring, outcomes, labels."""

import aws_cdk as cdk
from constructs import Construct

from infra.constructs import CodeLayers, Function
from infra.constructs.api import MerchantApi
from infra.environments import Environment
from infra.stacks.base import PaywardenStack
from infra.stacks.data import DataStack

__all__ = ["ScoringStack"]


class ScoringStack(PaywardenStack):
    """Attributes: authorize_merchant, score_transaction, record_outcome, record_label, api."""

    def __init__(self, scope: Construct, *, environment: Environment, data: DataStack) -> None:
        super().__init__(
            scope,
            part="scoring",
            environment=environment,
            description="Paywarden: the merchants' API, decisions, outcomes and labels",
        )
        self._data = data
        self._layers = CodeLayers(self, "layers", architecture=environment.architecture)
        self.authorize_merchant = self._authorize_merchant(environment)
        self.score_transaction = self._score_transaction(environment)
        self.record_outcome = self._recorder(
            environment, "record_outcome", description="Paywarden: what was done with a transaction"
        )
        self.record_label = self._recorder(
            environment, "record_label", description="Paywarden: what became known of a transaction"
        )
        merchants = MerchantApi(
            self,
            "merchants",
            environment=environment,
            authorizer=self.authorize_merchant.live,
            calls={
                "/v1/decisions": self.score_transaction.live,
                "/v1/decisions/{transaction_id}/outcome": self.record_outcome.live,
                "/v1/labels": self.record_label.live,
            },
        )
        self.api = merchants.api
        self.outputs(
            ApiUrl=self.api.url, ApiId=self.api.rest_api_id, ApiStage=self.api.deployment_stage.stage_name
        )
        if merchants.usage_plan is not None:
            self.outputs(UsagePlan=merchants.usage_plan.usage_plan_id)

    def _authorize_merchant(self, environment: Environment) -> Function:
        function = Function(
            self,
            verb_noun="authorize_merchant",
            environment=environment,
            layers=self._layers,
            alarm_topic=self._data.alarm_topic,
            description="Paywarden: who is calling, from the hash of the merchant key",
            timeout=cdk.Duration.seconds(5),
            memory=512,
            variables={"MERCHANTS_TABLE": self._data.merchants.table_name},
        )
        function.allow("dynamodb:GetItem", on=[self._data.merchants.table_arn])
        return function

    def _score_transaction(self, environment: Environment) -> Function:
        data = self._data
        function = Function(
            self,
            verb_noun="score_transaction",
            environment=environment,
            layers=self._layers,
            alarm_topic=data.alarm_topic,
            description="Paywarden: one transaction in, one decision out",
            timeout=cdk.Duration.seconds(10),
            # The processor comes with the memory: a full one is at 1,769 MB, and scoring is bound by it.
            memory=1769,
            variables={
                "FEATURES_TABLE": data.features.table_name,
                "DECISIONS_TABLE": data.decisions.table_name,
                "MODELS_BUCKET": data.models.bucket_name,
                "TOKEN_SECRET": data.token_secret.secret_arn,
                **data.serving.variables,
                "REPLAY_TIME": str(environment.replay_time).lower(),
                "CONFIG_REFRESH_SECONDS": str(environment.config_refresh_seconds),
            },
        )
        function.allow("dynamodb:BatchGetItem", on=[data.features.table_arn])
        function.allow("dynamodb:GetItem", "dynamodb:PutItem", on=[data.decisions.table_arn])
        function.allow("s3:GetObject", on=[data.models.arn_for_objects("bundles/*")])
        function.allow("secretsmanager:GetSecretValue", on=[data.token_secret.secret_arn])
        function.allow(
            "appconfig:GetLatestConfiguration",
            "appconfig:StartConfigurationSession",
            on=[data.serving.configuration_arn(self)],
        )
        return function

    def _recorder(self, environment: Environment, verb_noun: str, *, description: str) -> Function:
        """What finds a decision and writes a line of the ledger beside it."""
        function = Function(
            self,
            verb_noun=verb_noun,
            environment=environment,
            layers=self._layers,
            alarm_topic=self._data.alarm_topic,
            description=description,
            timeout=cdk.Duration.seconds(10),
            memory=512,
            variables={
                "DECISIONS_TABLE": self._data.decisions.table_name,
                "REPLAY_TIME": str(environment.replay_time).lower(),
            },
        )
        function.allow("dynamodb:GetItem", "dynamodb:PutItem", on=[self._data.decisions.table_arn])
        return function
