"""The way of a model: plan, jobs, registration, release."""

import aws_cdk as cdk
import msgspec
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from constructs import Construct

from infra.constructs import CodeLayers, Function
from infra.constructs.job_role import JobRole
from infra.constructs.lake import LEARNT_FROM
from infra.constructs.release_functions import (
    allow_approval,
    allow_asking,
    allow_registration,
    allow_release,
    allow_watching,
    model_packages,
    on_word,
    release_variables,
)
from infra.constructs.retraining import Retraining
from infra.constructs.training_image import training_image
from infra.environments import Environment
from infra.stacks.base import PaywardenStack
from infra.stacks.data import DataStack

__all__ = ["TrainingStack"]


class TrainingStack(PaywardenStack):
    """Attributes: functions (by their names), job_role, retraining."""

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
        self.job_role = JobRole(self, "jobs", lake=data.lake.bucket, models=data.models).role
        image = self._image()
        packages = model_packages(self, environment=environment)
        group = f"{environment.prefix}-models"
        made = (self._plan_training(), self._read_verdict(), *self._release(image, group))
        self.functions = {each.verb_noun: each for each in made}
        self.functions["register_model"].node.add_dependency(packages)
        on_word(self, group=group, settle_approval=self.functions["settle_approval"])
        self.retraining = Retraining(
            self,
            "retraining",
            environment=environment,
            functions=self.functions,
            job_role=self.job_role,
            training_image=image,
            alarm_topic=data.alarm_topic,
            models=data.models,
        )
        if environment.capabilities.schedules:
            self._schedule()
        self.outputs(RetrainStateMachine=self.retraining.state_machine.state_machine_arn, ModelPackageGroup=group)

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
                "RUN_POLICY": msgspec.json.encode(self._environment.run_policy).decode(),
                "LOOSE_RUNS": str(self._environment.loose_runs).lower(),
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
        function.allow("s3:GetObject", "s3:PutObject", on=[data.models.arn_for_objects("runs/*/plan/plan.json")])
        function.allow("s3:PutObject", on=[data.models.arn_for_objects("runs/*/parameters/given.json")])
        function.allow(
            "appconfig:GetLatestConfiguration",
            "appconfig:StartConfigurationSession",
            on=[data.serving.configuration_arn(self)],
        )
        return function

    def _read_verdict(self) -> Function:
        models = self._data.models
        function = self._function(
            "read_verdict",
            description="Paywarden: what a report of a run decided",
            variables={"MODELS_BUCKET": models.bucket_name},
        )
        function.allow("s3:GetObject", on=[models.arn_for_objects("runs/*.json")])
        return function

    def _release(self, image: str, group: str) -> tuple[Function, ...]:
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
        allow_registration(made["register_model"], data, group=group)
        allow_release(made["release_model"], data, environment=environment, group=group)
        allow_watching(made["watch_release"], data, environment=environment)
        for name in ("request_approval", "settle_approval"):
            allow_approval(made[name], data, environment=environment, group=group)
        allow_asking(made["request_approval"], data, group=group)
        return tuple(made.values())

    def _function(
        self, verb_noun: str, *, description: str, variables: dict[str, str], minutes: int = 1
    ) -> Function:
        return Function(
            self,
            verb_noun=verb_noun,
            environment=self._environment,
            layers=self._layers,
            alarm_topic=self._data.alarm_topic,
            description=description,
            timeout=cdk.Duration.minutes(minutes),
            memory=512,
            variables=variables,
        )
