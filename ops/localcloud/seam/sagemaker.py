"""SageMaker: behind the emulator's port, in its Step Functions and in its CloudFormation."""

from typing import Any, Final

from ops.localcloud.sagemaker import TARGET_PREFIX, SageMaker
from ops.localcloud.seam.emulator import Function, Registry, app, provisioners, router, stepfunctions
from ops.localcloud.seam.executions import current_run
from ops.localcloud.stepfunctions import RESOURCES, TaskFailedError, run_task, stop_task

__all__ = ["FUNCTIONS", "REGISTRIES", "install_sagemaker"]

FUNCTIONS: Final[tuple[Function, ...]] = (
    (stepfunctions, "_invoke_resource_with_timeout", ("resource", "input_data", "timeout")),
    (stepfunctions, "_ExecutionError", ("error", "cause")),
)
REGISTRIES: Final[tuple[Registry, ...]] = (
    (app, "SERVICE_HANDLERS"),
    (router, "SERVICE_PATTERNS"),
    (stepfunctions, "_SERVICE_DISPATCH"),
    (stepfunctions, "_AWS_SDK_SERVICE_MAP"),
    (stepfunctions, "_AWS_SDK_ERROR_PREFIX"),
    (provisioners, "_RESOURCE_HANDLERS"),
)

_GROUP: Final = "AWS::SageMaker::ModelPackageGroup"


def install_sagemaker(sagemaker: SageMaker) -> None:
    """Let every way into the emulator that AWS has for SageMaker lead to `sagemaker`."""
    app.SERVICE_HANDLERS["sagemaker"] = sagemaker.handle_request
    router.SERVICE_PATTERNS["sagemaker"] = {
        "target_prefixes": [f"{TARGET_PREFIX}."],
        "host_patterns": [r"api\.sagemaker\."],
    }
    stepfunctions._AWS_SDK_SERVICE_MAP["sagemaker"] = {"target_prefix": TARGET_PREFIX, "protocol": "json"}
    stepfunctions._AWS_SDK_ERROR_PREFIX["sagemaker"] = "SageMaker"
    _install_tasks(sagemaker)
    _install_groups(sagemaker)


def _install_tasks(sagemaker: SageMaker) -> None:
    with_timeout = stepfunctions._invoke_resource_with_timeout

    def with_timeout_stopping(resource: str, input_data: Any, timeout: Any) -> Any:
        try:
            return with_timeout(resource, input_data, timeout)
        except stepfunctions._ExecutionError as error:
            if error.error == "States.Timeout" and resource.removesuffix(".sync") in RESOURCES:
                stop_task(sagemaker, resource, input_data)
            raise

    def dispatch(resource: str, parameters: dict[str, Any]) -> dict[str, Any]:
        run = current_run()
        try:
            return run_task(sagemaker, resource, parameters, aborted=lambda: run is not None and run.over)
        except TaskFailedError as failure:
            raise stepfunctions._ExecutionError(failure.error, failure.cause) from failure

    stepfunctions._invoke_resource_with_timeout = with_timeout_stopping
    for resource in RESOURCES:
        stepfunctions._SERVICE_DISPATCH[resource] = dispatch


def _install_groups(sagemaker: SageMaker) -> None:
    """The CloudFormation type of a model package group; its ``Ref`` is the ARN."""
    fields = ("ModelPackageGroupName", "ModelPackageGroupDescription", "Tags")

    def create(logical_id: str, props: dict[str, Any], stack_name: str) -> tuple[str, dict[str, Any]]:
        del stack_name
        unknown = sorted(props.keys() - set(fields))
        if unknown:
            raise ValueError(f"{logical_id}: the local cloud's {_GROUP} has no {', '.join(unknown)}")
        answer = sagemaker.call("CreateModelPackageGroup", dict(props))
        return described(answer["ModelPackageGroupArn"])

    def described(arn: str) -> tuple[str, dict[str, Any]]:
        group = sagemaker.call("DescribeModelPackageGroup", {"ModelPackageGroupName": arn})
        kept = ("ModelPackageGroupArn", "ModelPackageGroupStatus", "CreationTime")
        return arn, {name: str(group[name]) for name in kept}

    def update(
        physical_id: str, old: dict[str, Any], new: dict[str, Any], stack_name: str, logical_id: str | None = None
    ) -> tuple[str, dict[str, Any]]:
        if any(old.get(name) != new.get(name) for name in fields[:2]):
            # Name and description are set once: a change makes a new group, which a name in use refuses.
            replaced = create(logical_id or physical_id, new, stack_name)
            delete(physical_id, old)
            return replaced
        if new.get("Tags"):
            sagemaker.call("AddTags", {"ResourceArn": physical_id, "Tags": new["Tags"]})
        return described(physical_id)

    def delete(physical_id: str, props: dict[str, Any]) -> None:
        del props
        if sagemaker.registry.knows(physical_id):
            sagemaker.call("DeleteModelPackageGroup", {"ModelPackageGroupName": physical_id})

    provisioners._RESOURCE_HANDLERS[_GROUP] = {
        "create": create,
        "update": update,
        "update_with_logical_id": True,
        "delete": delete,
    }
