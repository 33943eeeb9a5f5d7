"""The way of a model: plan, jobs, registration, release."""

import aws_cdk as cdk
import msgspec
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.constructs import CodeLayers, Function
from infra.constructs.job_role import STEPS, JobRole
from infra.constructs.lake import LEARNT_FROM
from infra.constructs.monitoring import Monitoring
from infra.constructs.retraining import Retraining
from infra.constructs.roles import fixed, service_role
from infra.constructs.training_image import training_image
from infra.environment import Environment
from infra.stacks.base import PaywardenStack
from infra.stacks.data import DataStack
from infra.stacks.release_functions import (
    allow_approval,
    allow_asking,
    allow_registration,
    allow_release,
    allow_watching,
    on_word,
    release_variables,
)

__all__ = ["TrainingStack"]


class TrainingStack(PaywardenStack):
    """Attributes: functions (by their names), jobs (by their steps), retraining, monitoring."""

    def __init__(self, scope: Construct, *, environment: Environment, data: DataStack) -> None:
        super().__init__(
            scope,
            part="training",
            environment=environment,
            description="Paywarden: retraining, registration and release of models",
        )
        self._data = data
        self._environment = environment
        self._layers = CodeLayers(self, "layers", architecture=environment.architecture)
        self.jobs = {
            step: JobRole(self, step, lake=data.lake.bucket, models=data.models, keys=data.keys) for step in STEPS
        }
        image, repositories = self._image()
        group = f"{environment.prefix}-models"
        made = (self._plan_training(), self._read_verdict(), *self._release(image, repositories, group))
        self.functions = {each.verb_noun: each for each in made}
        on_word(self, group=group, settle_approval=self.functions["settle_approval"])
        self.retraining = Retraining(
            self,
            "retraining",
            environment=environment,
            functions=self.functions,
            jobs=self.jobs,
            training_image=image,
            topics=data.topics,
            keys=data.keys,
            models=data.models,
        )
        self.functions["watch_drift"] = self._watch_drift()
        self.monitoring = Monitoring(
            self,
            "monitoring",
            environment=environment,
            functions=self.functions,
            jobs=self.jobs,
            training_image=image,
            topics=data.topics,
            keys=data.keys,
        )
        if environment.capabilities.schedules:
            self._schedule()
        self.outputs(
            RetrainStateMachine=self.retraining.state_machine.state_machine_arn,
            MonitorStateMachine=self.monitoring.state_machine.state_machine_arn,
            ModelPackageGroup=group,
            ReplayRole=self.jobs["replay"].role.role_arn,
            TrainingImage=image,
            UnwithdrawnQueueUrl=self.retraining.unwithdrawn.queue.queue_url,
        )

    def _image(self) -> tuple[str, list[str]]:
        """The image of all jobs, and the ARN of the repository that it lies in, if it does in one."""
        if not self._environment.capabilities.container_images:
            return self._environment.training_image, []
        image = training_image(self, "image")
        for job in self.jobs.values():
            image.repository.grant_pull(job.role)
        return image.image_uri, [image.repository.repository_arn]

    def _schedule(self) -> None:
        for name, when, machine, what in (
            (
                "weekly",
                events.Schedule.cron(week_day="MON", hour="3", minute="0"),
                self.retraining.state_machine,
                "learn from the week's labels",
            ),
            # After the weekly one has begun, so that drift does not start a second one beside it.
            (
                "daily",
                events.Schedule.cron(hour="5", minute="0"),
                self.monitoring.state_machine,
                "how models and data do",
            ),
        ):
            rule = events.Rule(self, name, description=f"Paywarden: {what}", schedule=when)
            role = service_role(
                self,
                f"{name}-role",
                service="events",
                description=f"starts what the {name} schedule is for",
                # By the beginning of its name, since the rule itself names the role.
                source=self.format_arn(
                    service="events", resource="rule", resource_name=f"{self.stack_name}-{name}*"
                ),
                statements=[
                    iam.PolicyStatement(actions=["states:StartExecution"], resources=[machine.state_machine_arn])
                ],
            )
            rule.add_target(
                targets.SfnStateMachine(
                    machine,
                    role=fixed(role),
                    input=events.RuleTargetInput.from_object({"reason": f"the {name} schedule"}),
                )
            )

    def _plan_training(self) -> Function:
        data = self._data
        function = self._function(
            "plan_training",
            description="Paywarden: what to learn from, and the names of what follows",
            variables={
                "LAKE_BUCKET": data.lake.bucket.bucket_name,
                "MODELS_BUCKET": data.models.bucket_name,
                "RUN_POLICY": msgspec.json.encode(self._environment.run_policy).decode(),
                "LOOSE_RUNS": str(self._environment.loose_runs).lower(),
                "REPLAY_TIME": str(self._environment.replay_time).lower(),
                # By its name: the machine itself names this function.
                "RETRAIN_STATE_MACHINE": self._retrain_arn("stateMachine"),
                "MONITORING_POLICY": msgspec.json.encode(self._environment.monitoring_policy).decode(),
                **data.serving.variables,
            },
            # It lists the whole lake, whose names go into the fingerprint of what was learnt from.
            minutes=5,
        )
        function.allow(
            "s3:ListBucket",
            on=[data.lake.bucket.bucket_arn],
            conditions={"StringLike": {"s3:prefix": [f"{folder}/*" for folder in LEARNT_FROM]}},
        )
        # Whether the champion's run left an evaluation that monitoring can compare with.
        function.allow(
            "s3:ListBucket",
            on=[data.models.bucket_arn],
            conditions={"StringLike": {"s3:prefix": ["runs/*/evaluation/*"]}},
        )
        function.allow("s3:GetObject", "s3:PutObject", on=[data.models.arn_for_objects("runs/*/plan/plan.json")])
        function.allow(
            "s3:PutObject",
            on=[
                data.models.arn_for_objects("monitoring/*/plan/plan.json"),
                data.models.arn_for_objects("monitoring/*/inputs/*.manifest"),
                data.models.arn_for_objects("runs/*/parameters/given.json"),
            ],
        )
        function.allow(
            "appconfig:GetLatestConfiguration",
            "appconfig:StartConfigurationSession",
            on=[data.serving.configuration_arn(self)],
        )
        function.allow("states:ListExecutions", on=[self._retrain_arn("stateMachine")])
        return function

    def _retrain_arn(self, kind: str, *more: str) -> str:
        return self.format_arn(
            service="states",
            resource=kind,
            resource_name=":".join((f"{self._environment.prefix}-retrain", *more)),
            arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
        )

    def _read_verdict(self) -> Function:
        models = self._data.models
        function = self._function(
            "read_verdict",
            description="Paywarden: what a report of a run decided",
            variables={"MODELS_BUCKET": models.bucket_name},
        )
        function.allow("s3:GetObject", on=[models.arn_for_objects("runs/*.json")])
        return function

    def _watch_drift(self) -> Function:
        models, machine = self._data.models, self.retraining.state_machine
        function = self._function(
            "watch_drift",
            description="Paywarden: counts what monitoring found, and starts a retraining for drift",
            variables={
                "MODELS_BUCKET": models.bucket_name,
                "RETRAIN_STATE_MACHINE": machine.state_machine_arn,
            },
        )
        function.allow(
            "s3:GetObject",
            on=[models.arn_for_objects("drift/*"), models.arn_for_objects("monitoring/*/monitoring.json")],
        )
        function.allow("s3:PutObject", on=[models.arn_for_objects("drift/*")])
        function.allow(
            "s3:ListBucket", on=[models.bucket_arn], conditions={"StringLike": {"s3:prefix": ["drift/*"]}}
        )
        function.allow("states:ListExecutions", "states:StartExecution", on=[machine.state_machine_arn])
        function.allow("states:DescribeExecution", on=[self._retrain_arn("execution", "drift-*")])
        return function

    def _release(self, image: str, repositories: list[str], group: str) -> tuple[Function, ...]:
        data, environment = self._data, self._environment
        variables = release_variables(data, environment=environment)
        variables["register_model"] |= {"MODEL_PACKAGE_GROUP": group, "TRAINING_IMAGE": image}
        descriptions = {
            "register_model": "Paywarden: from a run's model to an immutable bundle in the registry",
            "release_model": "Paywarden: takes a model into the shadow, a canary or the lead, and out again",
            "watch_release": "Paywarden: how a model does that is being released",
            "request_approval": "Paywarden: asks for the approval of a model",
            "settle_approval": "Paywarden: tells an execution that its model was approved or rejected",
        }
        made = {
            # A change of what serves waits for the deployment of another one.
            name: self._function(
                name, description=text, variables=variables[name], minutes=4 if name == "release_model" else 2
            )
            for name, text in descriptions.items()
        }
        allow_registration(made["register_model"], data, group=group, repositories=repositories)
        allow_release(made["release_model"], data, environment=environment, group=group)
        allow_watching(made["watch_release"], data, environment=environment)
        for name in ("request_approval", "settle_approval"):
            allow_approval(made[name], data, environment=environment, group=group)
        allow_asking(made["request_approval"], data, group=group)
        return tuple(made.values())

    def _function(
        self, verb_noun: str, *, description: str, variables: dict[str, str], minutes: int = 2
    ) -> Function:
        return Function(
            self,
            verb_noun=verb_noun,
            environment=self._environment,
            layers=self._layers,
            topics=self._data.topics,
            keys=self._data.keys,
            network=self._data.network,
            description=description,
            timeout=cdk.Duration.minutes(minutes),
            memory=512,
            variables=variables,
        )
