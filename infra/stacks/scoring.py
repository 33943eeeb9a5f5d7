"""The way of a transaction up to its decision: API, authorizer, scoring, outcomes, labels."""

from functools import partial

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda_event_sources as sources
from constructs import Construct

from infra.constructs import CodeLayers, Function, WorkQueue
from infra.constructs.api import MerchantApi
from infra.constructs.bundles import allow_bundles
from infra.constructs.code import STATE_FORMS
from infra.constructs.queries import allow_queries
from infra.environment import Environment
from infra.stacks.base import PaywardenStack
from infra.stacks.data import DataStack

__all__ = ["SETTINGS_CALLS", "ScoringStack"]

SETTINGS_CALLS = (
    ("GET", "/v1/rules"),
    ("PUT", "/v1/rules"),
    ("GET", "/v1/rules/versions"),
    ("GET", "/v1/policy"),
    ("PUT", "/v1/policy"),
    ("DELETE", "/v1/policy"),
    ("GET", "/v1/policy/versions"),
    ("GET", "/v1/lists"),
    ("GET", "/v1/lists/{name}"),
    ("PUT", "/v1/lists/{name}"),
    ("DELETE", "/v1/lists/{name}"),
    ("POST", "/v1/lists/{name}/entries"),
)
"""What manage_settings serves."""

_REPORT_TIMEOUT = cdk.Duration.seconds(10)


class ScoringStack(PaywardenStack):
    """Attributes: the functions by their names, api, decide, decide_batch, and reported_labels.

    `decide` and `decide_batch` are the API's methods that decide on one payment and on several; the last is the
    queue of what other systems report over the bus.
    """

    def __init__(self, scope: Construct, *, environment: Environment, data: DataStack) -> None:
        super().__init__(
            scope,
            part="scoring",
            environment=environment,
            description="Paywarden: the merchants' API, decisions, outcomes and labels",
        )
        self._data = data
        self._function = partial(
            Function,
            self,
            environment=environment,
            layers=CodeLayers(self, "layers", architecture=environment.architecture),
            topics=data.topics,
            keys=data.keys,
            network=data.network,
        )
        self.authorize_merchant = self._authorize_merchant()
        self.score_transaction = self._score_transaction(environment)
        self.read_decision = self._read_decision()
        self.manage_settings = self._manage_settings()
        self.backtest_rules = self._backtest_rules(environment)
        self.record_outcome = self._recorder(
            environment, "record_outcome", description="Paywarden: what was done with a transaction"
        )
        self.record_label = self._recorder(
            environment, "record_label", description="Paywarden: what became known of a transaction"
        )
        self.record_label.allow("dynamodb:Query", on=[data.decisions.table_arn])
        self.reported_labels = self._reported_labels()
        merchants = MerchantApi(
            self,
            "merchants",
            environment=environment,
            authorizer=self.authorize_merchant.live,
            calls={
                ("POST", "/v1/decisions"): self.score_transaction.live,
                ("POST", "/v1/decisions/batch"): self.score_transaction.live,
                ("GET", "/v1/decisions/{transaction_id}"): self.read_decision.live,
                ("POST", "/v1/decisions/{transaction_id}/outcome"): self.record_outcome.live,
                ("GET", "/v1/health"): self.score_transaction.live,
                ("POST", "/v1/labels"): self.record_label.live,
                **dict.fromkeys(SETTINGS_CALLS, self.manage_settings.live),
                ("POST", "/v1/rules/backtest"): self.backtest_rules.live,
            },
            throttles={("POST", "/v1/rules/backtest"): environment.backtest_throttle},
            keys=data.keys,
            network=data.network,
        )
        self.api = merchants.api
        self.decide = merchants.methods["POST", "/v1/decisions"]
        self.decide_batch = merchants.methods["POST", "/v1/decisions/batch"]
        self.outputs(
            ApiUrl=self.api.url,
            ApiId=self.api.rest_api_id,
            ApiStage=self.api.deployment_stage.stage_name,
            LabelQueueUrl=self.reported_labels.queue.queue_url,
            LabelDeadLetterQueueUrl=self.reported_labels.dead_letters.queue_url,
        )
        for name, plan in merchants.usage_plans.items():
            self.outputs(**{f"UsagePlan{name.capitalize()}": plan.usage_plan_id})

    def _authorize_merchant(self) -> Function:
        function = self._function(
            verb_noun="authorize_merchant",
            description="Paywarden: who is calling, from the hash of the merchant key",
            timeout=cdk.Duration.seconds(10),
            memory=512,
            variables={
                "MERCHANTS_TABLE": self._data.merchants.table_name,
                "KEY_SECRET": self._data.key_secret.secret_arn,
            },
            # A wrong key is an error to Lambda, so that anyone could call the operators; failures of its own are
            # counted as `AuthorizerFailed`.
            errors_alarm=False,
        )
        function.allow("dynamodb:GetItem", on=[self._data.merchants.table_arn])
        function.allow("secretsmanager:GetSecretValue", on=[self._data.key_secret.secret_arn])
        return function

    def _score_transaction(self, environment: Environment) -> Function:
        data = self._data
        function = self._function(
            verb_noun="score_transaction",
            description="Paywarden: one transaction in, one decision out",
            # Far from what a decision takes: who waits while all of AWS hangs shall be told so, not cut off.
            timeout=cdk.Duration.seconds(25),
            # The processor comes with the memory: a full one is at 1,769 MB, and scoring is bound by it.
            memory=1769,
            snap_start=True,
            variables={
                "FEATURES_TABLE": data.features.table_name,
                "STATE_FORMS": STATE_FORMS,
                "DECISIONS_TABLE": data.decisions.table_name,
                "SETTINGS_TABLE": data.settings.table_name,
                "MODELS_BUCKET": data.models.bucket_name,
                **self._token_variables,
                **data.serving.variables,
                "REPLAY_TIME": str(environment.replay_time).lower(),
                "CONFIG_REFRESH_SECONDS": str(environment.config_refresh_seconds),
                "STORE_PATIENCE_MS": str(environment.store_patience_ms),
            },
        )
        function.allow("dynamodb:BatchGetItem", on=[data.features.table_arn, data.settings.table_arn])
        function.allow("dynamodb:GetItem", "dynamodb:PutItem", on=[data.decisions.table_arn])
        allow_bundles(function, data.models)
        self._allow_token_keys(function)
        self._allow_serving_document(function)
        return function

    def _read_decision(self) -> Function:
        data = self._data
        function = self._function(
            verb_noun="read_decision",
            description="Paywarden: a decision as it was answered, with its reasons",
            timeout=cdk.Duration.seconds(10),
            memory=1024,
            variables={"DECISIONS_TABLE": data.decisions.table_name, "MODELS_BUCKET": data.models.bucket_name},
        )
        function.allow("dynamodb:Query", on=[data.decisions.table_arn])
        allow_bundles(function, data.models)
        return function

    def _manage_settings(self) -> Function:
        data = self._data
        function = self._function(
            verb_noun="manage_settings",
            description="Paywarden: a merchant's rules, lists and policy, shown and changed",
            timeout=cdk.Duration.seconds(10),
            # Checking a hundred long rules is bound by the processor, which comes with the memory.
            memory=1024,
            variables={
                "SETTINGS_TABLE": data.settings.table_name,
                "AUDIT_TABLE": data.audit.table.table_name,
                **self._token_variables,
                **data.serving.variables,
            },
        )
        data.audit.allow_telling(function)
        # Conditional puts and deletes, together in transactions.
        function.allow(
            "dynamodb:BatchGetItem",
            "dynamodb:DeleteItem",
            "dynamodb:PutItem",
            "dynamodb:Query",
            on=[data.settings.table_arn],
        )
        self._allow_token_keys(function)
        self._allow_serving_document(function)
        return function

    def _backtest_rules(self, environment: Environment) -> Function:
        data = self._data
        function = self._function(
            verb_noun="backtest_rules",
            description="Paywarden: what other rules or another policy would have done",
            # As long as API Gateway waits.
            timeout=cdk.Duration.seconds(29),
            # Reading and judging 20,000 decisions is bound by the processor.
            memory=1769,
            # Backtests take seconds each: many at once shall not take the account's concurrency from decisions.
            concurrency=environment.backtest_concurrency,
            throttles_alarm=False,
            variables={
                "SETTINGS_TABLE": data.settings.table_name,
                "ATHENA_WORKGROUP": data.lake.workgroup.ref,
                "GLUE_DATABASE": data.lake.database.ref,
                **data.serving.variables,
                "REPLAY_TIME": str(environment.replay_time).lower(),
            },
        )
        function.allow("dynamodb:BatchGetItem", on=[data.settings.table_arn])
        self._allow_serving_document(function)
        allow_queries(function, data.lake, tables=("decisions", "labels"))
        return function

    def _recorder(self, environment: Environment, verb_noun: str, *, description: str) -> Function:
        """What finds a decision and writes a line of the ledger beside it."""
        function = self._function(
            verb_noun=verb_noun,
            description=description,
            timeout=_REPORT_TIMEOUT,
            memory=512,
            variables={
                "DECISIONS_TABLE": self._data.decisions.table_name,
                "REPLAY_TIME": str(environment.replay_time).lower(),
            },
        )
        function.allow("dynamodb:GetItem", "dynamodb:PutItem", on=[self._data.decisions.table_arn])
        return function

    def _reported_labels(self) -> WorkQueue:
        """From the bus, on which other systems report labels, to the function that merchants' calls reach too."""
        work = WorkQueue(
            self,
            "reported-labels",
            environment=self.environment_settings,
            topics=self._data.topics,
            keys=self._data.keys,
            holds="labels",
            consumer_timeout=_REPORT_TIMEOUT,
            attempts=5,
            oldest=cdk.Duration.minutes(5),
        )
        rule = events.Rule(
            self,
            "to-labels",
            event_bus=self._data.bus,
            description="Paywarden: labels that other systems report",
            event_pattern=events.EventPattern(detail_type=["label.reported"]),
        )
        rule.add_target(
            targets.SqsQueue(
                work.queue,
                # What cannot be delivered lies where lies what cannot be used.
                dead_letter_queue=work.dead_letters,
                retry_attempts=10,
                max_event_age=cdk.Duration.hours(6),
            )
        )
        self.record_label.allow(
            "sqs:ChangeMessageVisibility",
            "sqs:DeleteMessage",
            "sqs:GetQueueAttributes",
            "sqs:ReceiveMessage",
            on=[work.queue.queue_arn],
        )
        self.record_label.function.add_event_source(
            sources.SqsEventSource(
                work.queue,
                batch_size=10,
                report_batch_item_failures=True,
                # A file of labels that somebody plays onto the bus takes no copies from merchants' calls.
                max_concurrency=5,
            )
        )
        return work

    @property
    def _token_variables(self) -> dict[str, str]:
        return {
            "TOKEN_SECRET": self._data.token_secret.secret_arn,
            "TOKEN_KEYS_BUCKET": self._data.token_keys.bucket_name,
            "TOKEN_REFRESH_SECONDS": str(self.environment_settings.token_refresh_seconds),
        }

    def _allow_token_keys(self, function: Function) -> None:
        data = self._data
        function.allow("secretsmanager:GetSecretValue", on=[data.token_secret.secret_arn])
        function.allow("s3:GetObject", on=[data.token_keys.arn_for_objects("trees/*")], under=data.keys.secrets)

    def _allow_serving_document(self, function: Function) -> None:
        function.allow(
            "appconfig:GetLatestConfiguration",
            "appconfig:StartConfigurationSession",
            on=[self._data.serving.configuration_arn(self)],
        )
