"""The one place that touches the emulator's internals.

ministack has no SageMaker, does not take Firehose as a target of a rule, delivers a stream's records one
object each, forgets a stream mapping's failure settings, and cannot drop the authorizers' answers that it
keeps. Its registries are plain dictionaries and its modules look functions up when they call them, so what is
missing is put in from here. Everything used is checked first: on another version, or if something has moved,
starting fails with a sentence.
"""

import base64
import contextvars
import importlib
import importlib.metadata
import inspect
import time
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, Final

from ops.localcloud import streams
from ops.localcloud.delivery import Buffers
from ops.localcloud.errors import SeamError
from ops.localcloud.sagemaker import TARGET_PREFIX, SageMaker
from ops.localcloud.stepfunctions import RESOURCES, TaskFailedError, run_task, stop_task

__all__ = [
    "MINISTACK",
    "asgi_application",
    "check",
    "install_authorizer_flush",
    "install_delivery",
    "install_sagemaker",
    "install_streams",
    "kill_workers",
    "quicken_workers",
]

# Imported by name: the emulator carries no types, and nothing here may pretend that it does.
app: Any = importlib.import_module("ministack.app")
apigateway_v1: Any = importlib.import_module("ministack.services.apigateway_v1")
lambda_runtime: Any = importlib.import_module("ministack.core.lambda_runtime")
router: Any = importlib.import_module("ministack.core.router")
dynamodb: Any = importlib.import_module("ministack.services.dynamodb")
eventbridge: Any = importlib.import_module("ministack.services.eventbridge")
firehose: Any = importlib.import_module("ministack.services.firehose")
lambda_svc: Any = importlib.import_module("ministack.services.lambda_svc")
stepfunctions: Any = importlib.import_module("ministack.services.stepfunctions")

MINISTACK: Final = "1.5.33"
# Between a failed batch and its next try. AWS begins below a second and backs off to a minute.
_BACKOFF_SECONDS = 0.5

# The functions called or replaced, with the parameters they must have.
_FUNCTIONS: Final[tuple[tuple[ModuleType, str, tuple[str, ...]], ...]] = (
    (apigateway_v1, "handle_request", ("method", "path", "headers", "body", "query_params")),
    (stepfunctions, "_execute_task", ("state_def", "raw_input", "execution", "ctx")),
    (stepfunctions, "_invoke_resource_with_timeout", ("resource", "input_data", "timeout")),
    (stepfunctions, "_ExecutionError", ("error", "cause")),
    (eventbridge, "_invoke_target", ("target", "event", "rule", "view")),
    (eventbridge, "_dispatch_to_lambda", ("arn", "payload")),
    (firehose, "_put_record", ("data",)),
    (firehose, "_deliver_records_to_s3", ("stream", "dest", "records")),
    (firehose, "_deliver_to_s3", ("stream", "dest", "record_data", "lambda_keys")),
    (firehose, "_convert_to_parquet", ("conversion", "data")),
    (dynamodb, "stream_start_position", ("table_name", "account_id", "region")),
    (dynamodb, "stream_end_position", ("table_name", "account_id", "region")),
    (dynamodb, "stream_records_since", ("table_name", "position", "limit", "account_id", "region")),
    (lambda_svc, "_poll_dynamodb_streams", ()),
    (lambda_svc, "_iter_all_esms", ()),
    (lambda_svc, "_get_func_record_for_qualifier", ("name", "qualifier")),
    (lambda_svc, "_dynamodb_stream_table_from_arn_spec", ("spec",)),
    (lambda_svc, "_dispatch_esm_batch", ("esm_id", "fn", "args")),
    (lambda_svc, "_apply_filter_criteria", ("records", "esm")),
    (lambda_svc, "_execute_function", ("func", "event")),
    (
        lambda_svc,
        "_send_ddb_stream_failure_record",
        ("esm", "func_rec", "batch", "stream_arn", "result", "condition"),
    ),
)
_REGISTRIES: Final[tuple[tuple[ModuleType, str], ...]] = (
    (apigateway_v1, "_authorizer_cache"),
    (app, "SERVICE_HANDLERS"),
    (router, "SERVICE_PATTERNS"),
    (stepfunctions, "_SERVICE_DISPATCH"),
    (stepfunctions, "_AWS_SDK_SERVICE_MAP"),
    (stepfunctions, "_AWS_SDK_ERROR_PREFIX"),
    (lambda_svc, "_esm_inflight"),
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


def install_authorizer_flush() -> None:
    """Answer API Gateway's FlushStageAuthorizersCache, so that an ended key is refused at once, as on AWS."""
    handle = apigateway_v1.handle_request

    async def handle_or_flush(method: str, path: str, headers: Any, body: Any, query_params: Any) -> Any:
        parts = path.strip("/").split("/")
        if method != "DELETE" or parts[2:3] != ["stages"] or parts[4:] != ["cache", "authorizers"]:
            return await handle(method, path, headers, body, query_params)
        # The keys are (account, region, api, authorizer, stage, what the caller sent).
        for key in [
            each for each in apigateway_v1._authorizer_cache if (each[2], each[4]) == (parts[1], parts[3])
        ]:
            apigateway_v1._authorizer_cache.pop(key, None)
        return 202, {}, b""

    apigateway_v1.handle_request = handle_or_flush


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
            converted.append((joined, convert(conversion, joined)))
        except firehose._DeliveryError:
            # One bad record must not take its neighbours along to the error prefix.
            put_alone(stream, dest, list(records))
            return
        firehose._deliver_to_s3(stream, dest, joined)
        converted.clear()

    # Buffers are delivered one at a time, so there is at most one conversion to remember.
    converted: list[tuple[bytes, bytes]] = []
    convert = firehose._convert_to_parquet

    def convert_once(conversion: Any, data: bytes) -> Any:
        if converted and converted[0][0] is data:
            return converted[0][1]
        return convert(conversion, data)

    firehose._convert_to_parquet = convert_once
    return deliver


def install_streams() -> None:
    """Give mappings of DynamoDB streams AWS's failure settings, and keep them off the poller's thread."""
    progress: dict[str, streams.Progress] = {}

    def poll() -> bool:
        taken = False
        for account, region, mapping in lambda_svc._iter_all_esms():
            tokens = (lambda_svc._request_account_id.set(account), lambda_svc._request_region.set(region))
            try:
                taken = _take_batch(mapping, progress.setdefault(mapping["UUID"], streams.Progress())) or taken
            finally:
                lambda_svc._request_account_id.reset(tokens[0])
                lambda_svc._request_region.reset(tokens[1])
        return taken

    lambda_svc._poll_dynamodb_streams = poll


def _take_batch(mapping: dict[str, Any], progress: streams.Progress) -> bool:
    """Start a run of the next batch of one mapping, if there is one and none is in flight."""
    name, source = mapping["UUID"], mapping.get("EventSourceArn", "")
    waits = lambda_svc._esm_backoff_until.get(name, 0) > time.time() or lambda_svc._esm_inflight.get(name, 0)
    if ":dynamodb:" not in source or not mapping.get("Enabled", True) or waits:
        return False
    stream = lambda_svc._dynamodb_stream_table_from_arn_spec(lambda_svc.parse_arn(source))
    function, _ = lambda_svc._get_func_record_for_qualifier(mapping["FunctionName"], mapping.get("Qualifier"))
    table = stream and dynamodb._tables.get(stream[0])
    if not table or table.get("LatestStreamArn") != source or function is None:
        return False
    start = dynamodb.stream_start_position(stream[0])
    with lambda_svc._dynamodb_stream_positions_lock:
        positions = lambda_svc._dynamodb_stream_positions
        latest = mapping.get("StartingPosition", "LATEST") == "LATEST"
        if name not in positions:
            positions[name] = dynamodb.stream_end_position(stream[0]) if latest else start
        position = positions[name] = max(positions[name], start)
    limit = progress.limits[0] if progress.limits else mapping.get("BatchSize", 100)
    batch = list(dynamodb.stream_records_since(stream[0], position, limit))
    if batch:
        lambda_svc._dispatch_esm_batch(name, _run_batch, mapping, function, batch, position, progress)
    return bool(batch)


def _run_batch(
    mapping: dict[str, Any], function: Any, batch: list[Any], position: int, progress: streams.Progress
) -> None:
    records = lambda_svc._apply_filter_criteria(batch, mapping)
    outcome, result = streams.Outcome(0), {}
    if records:
        result = lambda_svc._execute_function(function, {"Records": records})
        outcome = streams.advance(
            streams.Mapping.of(mapping),
            progress,
            streams.Attempt.of(result),
            [record["dynamodb"]["SequenceNumber"] for record in records],
            time.time() - float(records[0]["dynamodb"]["ApproximateCreationDateTime"]),
        )
    # Records the filter passed over are done with as soon as their predecessors are.
    done = outcome.consumed == len(records)
    consumed = len(batch) if done else batch.index(records[outcome.consumed])
    if outcome.discarded:
        given_up = records[outcome.consumed - outcome.discarded : outcome.consumed]
        lambda_svc._send_ddb_stream_failure_record(
            mapping, function, given_up, mapping["EventSourceArn"], result, outcome.condition
        )
    if not done:
        lambda_svc._esm_backoff_until[mapping["UUID"]] = time.time() + _BACKOFF_SECONDS
    mapping["LastProcessingResult"] = "OK" if done and not outcome.discarded else "PROBLEM: Function call failed"
    with lambda_svc._dynamodb_stream_positions_lock:
        lambda_svc._dynamodb_stream_positions[mapping["UUID"]] = position + consumed


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
