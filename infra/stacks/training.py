"""The way of a model: plan, jobs, registration, promotion."""

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from constructs import Construct

from infra.constructs import CodeLayers, Function
from infra.constructs.bundles import allow_bundles
from infra.constructs.job_role import JobRole
from infra.constructs.lake import LEARNT_FROM
from infra.constructs.retraining import Retraining
from infra.constructs.training_image import training_image
from infra.environments import Environment
from infra.stacks.base import PaywardenStack
from infra.stacks.data import DataStack

__all__ = ["TrainingStack"]


class TrainingStack(PaywardenStack):
    """Attributes: plan_training, register_model, promote_model, job_role, retraining."""

    def __init__(self, scope: Construct, *, environment: Environment, data: DataStack) -> None:
        super().__init__(
            scope,
            part="training",
            environment=environment,
            description="Paywarden: retraining, registration and promotion of models",
        )
        self._data = data
        self._environment = environment
        self._layers = CodeLayers(self, "layers", architecture=environment.architecture)
        self.plan_training = self._plan_training()
        self.register_model = self._register_model()
        self.promote_model = self._promote_model()
        self.job_role = JobRole(self, "jobs", lake=data.lake.bucket, models=data.models).role
        self.retraining = Retraining(
            self,
            "retraining",
            environment=environment,
            functions={
                each.verb_noun: each for each in (self.plan_training, self.register_model, self.promote_model)
            },
            job_role=self.job_role,
            training_image=self._image(),
            alarm_topic=data.alarm_topic,
        )
        if environment.capabilities.schedules:
            self._schedule()
        self.outputs(RetrainStateMachine=self.retraining.state_machine.state_machine_arn)

    def _image(self) -> str:
        if not self._environment.capabilities.container_images:
            return self._environment.training_image
        image = training_image(self, "image")
        image.repository.grant_pull(self.job_role)
        return image.image_uri

    def _schedule(self) -> None:
        rule = events.Rule(
            self,
            "weekly",
            description="Paywarden: learn from the week's labels",
            schedule=events.Schedule.cron(week_day="MON", hour="3", minute="0"),
        )
        rule.add_target(
            targets.SfnStateMachine(
                self.retraining.state_machine,
                input=events.RuleTargetInput.from_object({"reason": "the weekly schedule"}),
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
                **data.serving.variables,
            },
        )
        function.allow(
            "s3:ListBucket",
            on=[data.lake.bucket.bucket_arn],
            conditions={"StringLike": {"s3:prefix": [f"{folder}/*" for folder in LEARNT_FROM]}},
        )
        self._allow_reading_the_document(function)
        return function

    def _register_model(self) -> Function:
        models = self._data.models
        function = self._function(
            "register_model",
            description="Paywarden: from a run's model to an immutable bundle",
            variables={"MODELS_BUCKET": models.bucket_name},
        )
        function.allow("s3:GetObject", on=[models.arn_for_objects("runs/*")])
        function.allow("s3:GetObject", "s3:PutObject", on=[models.arn_for_objects("bundles/*")])
        return function

    def _promote_model(self) -> Function:
        data = self._data
        function = self._function(
            "promote_model",
            description="Paywarden: makes a bundle the champion",
            variables={
                "MODELS_BUCKET": data.models.bucket_name,
                **data.serving.variables,
                "APPCONFIG_STRATEGY": data.serving.strategy.ref,
            },
        )
        allow_bundles(function, data.models)
        function.allow(
            "appconfig:CreateHostedConfigurationVersion",
            on=[data.serving.application_arn(self), data.serving.profile_arn(self)],
        )
        function.allow(
            "appconfig:StartDeployment",
            on=[
                data.serving.application_arn(self),
                data.serving.environment_arn(self),
                data.serving.profile_arn(self),
                data.serving.strategy_arn(self),
            ],
        )
        self._allow_reading_the_document(function)
        return function

    def _allow_reading_the_document(self, function: Function) -> None:
        function.allow(
            "appconfig:GetLatestConfiguration",
            "appconfig:StartConfigurationSession",
            on=[self._data.serving.configuration_arn(self)],
        )

    def _function(self, verb_noun: str, *, description: str, variables: dict[str, str]) -> Function:
        return Function(
            self,
            verb_noun=verb_noun,
            environment=self._environment,
            layers=self._layers,
            alarm_topic=self._data.alarm_topic,
            description=description,
            timeout=cdk.Duration.minutes(1),
            memory=512,
            variables=variables,
        )
