"""The one place that touches the emulator's internals.

ministack has no SageMaker, does not take Firehose as a target of a rule, delivers a stream's records one
object each, and forgets a stream mapping's failure settings. Its registries are plain dictionaries and its
modules look functions up when they call them, so what is missing is put in from here. Everything used is
checked first: on another version, or if something has moved, starting fails with a sentence.
"""

import base64
import contextvars
import importlib
import importlib.metadata
import inspect
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, Final

from ops.localcloud.delivery import Buffers
from ops.localcloud.errors import SeamError
from ops.localcloud.sagemaker import TARGET_PREFIX, SageMaker
from ops.localcloud.stepfunctions import RESOURCES, TaskFailedError, run_task, stop_task

__all__ = [
    "MINISTACK",
    "asgi_application",
    "check",
    "install_delivery",
    "install_sagemaker",
    "kill_workers",
    "quicken_workers",
]

# Imported by name: the emulator carries no types, and nothing here may pretend that it does.
app: Any = importlib.import_module("ministack.app")
lambda_runtime: Any = importlib.import_module("ministack.core.lambda_runtime")
router: Any = importlib.import_module("ministack.core.router")
eventbridge: Any = importlib.import_module("ministack.services.eventbridge")
firehose: Any = importlib.import_module("ministack.services.firehose")
stepfunctions: Any = importlib.import_module("ministack.services.stepfunctions")

MINISTACK: Final = "1.5.33"

# The functions called or replaced, with the parameters they must have.
_FUNCTIONS: Final[tuple[tuple[ModuleType, str, tuple[str, ...]], ...]] = (
    (stepfunctions, "_execute_task", ("state_def", "raw_input", "execution", "ctx")),
    (stepfunctions, "_invoke_resource_with_timeout", ("resource", "input_data", "timeout")),
    (stepfunctions, "_ExecutionError", ("error", "cause")),
    (eventbridge, "_invoke_target", ("target", "event", "rule", "view")),
    (eventbridge, "_dispatch_to_lambda", ("arn", "payload")),
    (firehose, "_put_record", ("data",)),
    (firehose, "_deliver_records_to_s3", ("stream", "dest", "records")),
    (firehose, "_deliver_to_s3", ("stream", "dest", "record_data", "lambda_keys")),
    (firehose, "_convert_to_parquet", ("conversion", "data")),
)
_REGISTRIES: Final[tuple[tuple[ModuleType, str], ...]] = (
    (app, "SERVICE_HANDLERS"),
    (router, "SERVICE_PATTERNS"),
    (stepfunctions, "_SERVICE_DISPATCH"),
    (stepfunctions, "_AWS_SDK_SERVICE_MAP"),
    (stepfunctions, "_AWS_SDK_ERROR_PREFIX"),
)


def check(version: str | None = None) -> None:
    """Refuse an emulator this file was not written for.

    Parameters
    ----------
    version
        Version to judge; the installed one by default.

    Raises
    ------
    SeamError
        Names what differs and what to do.
    """
    version = version or importlib.metadata.version("ministack")
    if version != MINISTACK:
        raise SeamError(
            f"ministack {version} is installed, but the local cloud is written for {MINISTACK}: run `make setup`, "
            "or review ops/localcloud/ministack_seam.py against the new version and raise its MINISTACK"
        )
    for module, name in _REGISTRIES:
        if not isinstance(getattr(module, name, None), dict):
            raise SeamError(f"{module.__name__}.{name} is no longer a dictionary: review ministack_seam.py")
    for module, name, expected in _FUNCTIONS:
        function = getattr(module, name, None)
        found = tuple(inspect.signature(function).parameters) if callable(function) else None
        if found != expected:
            raise SeamError(
                f"{module.__name__}.{name} has the parameters {found}, not {expected}: review ministack_seam.py"
            )
    drain = lambda_runtime.Worker._drain_stderr_bounded
    if tuple(inspect.signature(drain).parameters)[1:] != ("first_line_wait", "idle_confirm", "hard_cap"):
        raise SeamError("Worker._drain_stderr_bounded has other parameters: review ministack_seam.py")


def asgi_application() -> Any:
    """The emulator's ASGI application."""
    return app.app


def install_sagemaker(sagemaker: SageMaker) -> None:
    """Put `sagemaker` behind the emulator's port and into its Step Functions."""
    app.SERVICE_HANDLERS["sagemaker"] = sagemaker.handle_request
    router.SERVICE_PATTERNS["sagemaker"] = {
        "target_prefixes": [f"{TARGET_PREFIX}."],
        "host_patterns": [r"api\.sagemaker\."],
    }
    stepfunctions._AWS_SDK_SERVICE_MAP["sagemaker"] = {"target_prefix": TARGET_PREFIX, "protocol": "json"}
    stepfunctions._AWS_SDK_ERROR_PREFIX["sagemaker"] = "SageMaker"

    # The dispatcher hands a task its resource and input only; which execution it belongs to is kept here.
    running: contextvars.ContextVar[dict[str, Any] | None] = contextvars.ContextVar("execution", default=None)
    execute_task = stepfunctions._execute_task
    with_timeout = stepfunctions._invoke_resource_with_timeout

    def execute_task_noted(state_def: Any, raw_input: Any, execution: Any, ctx: Any) -> Any:
        token = running.set(execution)
        try:
            return execute_task(state_def, raw_input, execution, ctx)
        finally:
            running.reset(token)

    def with_timeout_stopping(resource: str, input_data: Any, timeout: Any) -> Any:
        try:
            return with_timeout(resource, input_data, timeout)
        except stepfunctions._ExecutionError as error:
            if error.error == "States.Timeout" and resource.removesuffix(".sync") in RESOURCES:
                stop_task(sagemaker, resource, input_data)
            raise

    def dispatch(resource: str, parameters: dict[str, Any]) -> dict[str, Any]:
        execution = running.get()
        try:
            return run_task(
                sagemaker,
                resource,
                parameters,
                aborted=lambda: execution is not None and execution["status"] != "RUNNING",
            )
        except TaskFailedError as failure:
            raise stepfunctions._ExecutionError(failure.error, failure.cause) from failure

    stepfunctions._execute_task = execute_task_noted
    stepfunctions._invoke_resource_with_timeout = with_timeout_stopping
    for resource in RESOURCES:
        stepfunctions._SERVICE_DISPATCH[resource] = dispatch


def install_delivery(clock: Callable[[], float]) -> Buffers:
    """Let rules target Firehose, and let Firehose buffer by its hints."""
    put_alone = firehose._deliver_records_to_s3
    buffers = Buffers(_deliver_joined(put_alone), clock)

    def deliver_later(stream: Any, dest: Any, records: Sequence[tuple[str, bytes]]) -> None:
        # The emulator keeps every record it ever took; nothing reads them.
        dest["records"].clear()
        buffers.add(stream, dest, records, contextvars.copy_context().run)

    invoke_target = eventbridge._invoke_target
    to_lambda = eventbridge._dispatch_to_lambda

    def invoke_target_or_firehose(target: Any, event: Any, rule: Any, view: Any = None) -> None:
        arn = target.get("Arn", "")
        if not arn.startswith("arn:aws:firehose:"):
            invoke_target(target, event, rule, view)
            return
        # The payload (InputPath, Input, InputTransformer) is worked out by the emulator, as for a function.
        invoke_target(target | {"Arn": arn.replace(":firehose:", ":lambda:", 1)}, event, rule, view)

    def to_lambda_or_firehose(arn: str, payload: str) -> None:
        name = arn.rpartition(":deliverystream/")[2]
        if name == arn:
            to_lambda(arn, payload)
            return
        data = base64.b64encode(payload.encode()).decode()
        status, _, body = firehose._put_record({"DeliveryStreamName": name, "Record": {"Data": data}})
        if status != 200:
            raise RuntimeError(f"Firehose {name} refused an event: {body!r}")

    firehose._deliver_records_to_s3 = deliver_later
    eventbridge._invoke_target = invoke_target_or_firehose
    eventbridge._dispatch_to_lambda = to_lambda_or_firehose
    return buffers


def _deliver_joined(put_alone: Callable[[Any, Any, Any], None]) -> Callable[[Any, Any, Any], None]:
    """Deliver a buffer as one object, or record by record where AWS would not join them either."""

    def deliver(stream: Any, dest: Any, records: Sequence[tuple[str, bytes]]) -> None:
        config = dest["config"]
        apart = ("ProcessingConfiguration", "DynamicPartitioningConfiguration")
        if any((config.get(name) or {}).get("Enabled") for name in apart):
            put_alone(stream, dest, list(records))
            return
        conversion = config.get("DataFormatConversionConfiguration") or {}
        if not conversion.get("Enabled", bool(conversion)):
            firehose._deliver_to_s3(stream, dest, b"".join(data for _, data in records))
            return
        joined = b"\n".join(data for _, data in records)
        try:
            firehose._convert_to_parquet(conversion, joined)
        except firehose._DeliveryError:
            # One bad record must not take its neighbours along to the error prefix.
            put_alone(stream, dest, list(records))
            return
        firehose._deliver_to_s3(stream, dest, joined)

    return deliver


def quicken_workers() -> None:
    """Wait less for log lines after an invocation.

    The emulator waits 50 ms for a first line from a function that logs nothing. A worker writes its lines
    before its answer, so they are in the pipe by then; 5 ms are enough for the reading thread.
    """
    drain = lambda_runtime.Worker._drain_stderr_bounded
    drain.__defaults__ = (0.005, 0.002, 0.250)


def kill_workers() -> None:
    """End the Lambda workers, which the emulator leaves behind when it stops."""
    lambda_runtime.reset()
