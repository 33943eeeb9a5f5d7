"""The one function factory: every Lambda of Paywarden is made here."""

from collections.abc import Mapping, Sequence

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from fraud.measures import MEASURES, namespace
from infra.constructs.alarm import Topics, watch
from infra.constructs.canary import CanaryDeployment
from infra.constructs.code import CodeLayers, architecture_of, asset_code
from infra.constructs.keys import Keys
from infra.constructs.lifetime import log_retention, removal_policy
from infra.constructs.metric import MINUTE, Ours, together
from infra.constructs.network import Network, interface_permissions
from infra.constructs.roles import complete_before, fixed, service_role
from infra.environment import Environment
from infra.layers import function_bundle

__all__ = ["Function"]


class Function(Construct):
    """A Lambda function with its own role, log group and alarms.

    Its role may write its own log streams and trace segments, and nothing else until `allow` says so.

    Parameters
    ----------
    snap_start : bool
        Start copies from a snapshot of the initialised process. The function has to register what it renews, and
        only calls to `live` gain by it.
    network : Network or None
        Where it runs; None for Lambda's own network, out of which the whole internet can be reached.
    concurrency : int or None
        The most copies at once, set aside for this function; None for as many as the account has left.
    errors_alarm : bool
        Whether an error is trouble. It is not where callers from outside cause them at will.
    throttles_alarm : bool
        Whether a throttle is. It is not where the function has its own `concurrency`, which may be used up.

    Attributes
    ----------
    function : aws_lambda.Function
    """

    def __init__(
        self,
        scope: Construct,
        *,
        verb_noun: str,
        environment: Environment,
        layers: CodeLayers,
        topics: Topics,
        keys: Keys,
        description: str,
        timeout: cdk.Duration,
        memory: int,
        variables: Mapping[str, str],
        snap_start: bool = False,
        concurrency: int | None = None,
        errors_alarm: bool = True,
        throttles_alarm: bool = True,
        network: Network | None = None,
    ) -> None:
        super().__init__(scope, verb_noun)
        self.verb_noun = verb_noun
        self._environment = environment
        self._keys = keys
        log_group = logs.LogGroup(
            self,
            "logs",
            retention=log_retention(environment),
            encryption_key=keys.logs,
            removal_policy=removal_policy(environment),
        )
        self.role = self._role(log_group, network)
        bundle = function_bundle(verb_noun)
        self.function = lambda_.Function(
            self,
            "function",
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=architecture_of(environment.architecture),
            code=asset_code(path=str(bundle.path), digest=bundle.digest),
            handler=f"{verb_noun}.handler.handler",
            description=description,
            layers=layers.all,
            timeout=timeout,
            memory_size=memory,
            reserved_concurrent_executions=concurrency,
            role=fixed(self.role),
            log_group=log_group,
            logging_format=lambda_.LoggingFormat.JSON,
            tracing=lambda_.Tracing.ACTIVE,
            # Of a published version, which `live` is; `runtime.snapshot` renews what must not be frozen.
            snap_start=lambda_.SnapStartConf.ON_PUBLISHED_VERSIONS
            if snap_start and environment.capabilities.snap_start
            else None,
            # Where data is kept, so are the versions that `live` can be set back to. One whose deployment failed
            # is not: Lambda makes no second one of the same code, so that this could not be deployed again.
            current_version_options=lambda_.VersionOptions(
                removal_policy=removal_policy(environment, in_the_way=True)
            ),
            environment={
                "ENVIRONMENT": environment.name,
                "POWERTOOLS_SERVICE_NAME": verb_noun,
                "POWERTOOLS_METRICS_NAMESPACE": namespace(environment.name),
                "POWERTOOLS_LOG_LEVEL": "INFO",
                **variables,
            },
            # And what a snapshot remembers, which is the whole of a process.
            environment_encryption=keys.secrets,
        )
        if network is not None:
            network.join(self.function)
        complete_before(self.role, self.function)
        self._errors_alarms = [self._watch("function-errors", self._errors(), topics)] if errors_alarm else []
        if throttles_alarm:
            self._watch("function-throttles", self.function.metric_throttles(period=MINUTE), topics)

    @property
    def live(self) -> lambda_.Alias:
        """The alias `live`: what callers outside the platform reach, so that a version can be rolled back.

        Where the environment has a canary, and the target CodeDeploy, a new version gets it by and by.
        """
        existing = self.node.try_find_child("live")
        if isinstance(existing, lambda_.Alias):
            return existing
        alias = lambda_.Alias(self, "live", alias_name="live", version=self.function.current_version)
        if self._environment.shift:
            CanaryDeployment(
                self,
                "canary",
                verb_noun=self.verb_noun,
                function=self.function,
                alias=alias,
                alarms=self._errors_alarms,
                environment=self._environment,
                shift=self._environment.shift,
            )
        return alias

    def allow(
        self,
        *actions_: str,
        on: Sequence[str],
        conditions: Mapping[str, object] | None = None,
        under: kms.IKey | None = None,
    ) -> None:
        """Let the function call `actions_` on the resources named by the ARNs `on`, and use their key for that.

        Parameters
        ----------
        under : aws_kms.IKey, optional
            That key, where it is not the one that `Keys` has for this kind of place.
        """
        self.role.add_to_policy(
            iam.PolicyStatement(actions=list(actions_), resources=list(on), conditions=conditions)
        )
        for statement in self._keys.unlocking(*actions_, under=under):
            self.role.add_to_policy(statement)

    def _role(self, log_group: logs.LogGroup, network: Network | None) -> iam.Role:
        return service_role(
            self,
            "role",
            service="lambda",
            description=f"what {self.verb_noun} may do",
            statements=[
                iam.PolicyStatement(
                    actions=["logs:CreateLogStream", "logs:PutLogEvents"], resources=[log_group.log_group_arn]
                ),
                # X-Ray has no resources to name.
                iam.PolicyStatement(
                    actions=["xray:PutTelemetryRecords", "xray:PutTraceSegments"], resources=["*"]
                ),
                *(() if network is None else interface_permissions(self)),
            ],
        )

    def _errors(self) -> cloudwatch.IMetric:
        errors = self.function.metric_errors(period=MINUTE)
        if self.verb_noun not in MEASURES["Failed"].of:
            return errors
        # What goes wrong in our code is answered with 5xx, which to Lambda is no error.
        failed = Ours(self._environment)("Failed", of=self.verb_noun)
        return together({"errors": errors, "failed": failed}, label="errors")

    def _watch(self, kind: str, metric: cloudwatch.IMetric, topics: Topics) -> cloudwatch.Alarm:
        return watch(
            self,
            f"{kind.removeprefix('function-')}-alarm",
            kind,
            environment=self._environment,
            topics=topics,
            metric=metric,
            threshold=1,
            periods=5,
            breaching=2,
            of=self.verb_noun,
        )
