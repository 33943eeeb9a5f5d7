"""What the services measure of themselves, and what functions measure by their logs."""

import contextvars
import json
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from ops.localcloud.alarms import Metrics, data_of
from ops.localcloud.delivery import Buffers
from ops.localcloud.seam.emulator import (
    Function,
    Registry,
    apigateway_v1,
    cloudwatch,
    eventbridge,
    lambda_runtime,
    lambda_svc,
    responses,
    sqs,
)
from ops.localcloud.seam.measures import here

__all__ = ["FUNCTIONS", "REGISTRIES", "install_telemetry", "sample"]

FUNCTIONS: Final[tuple[Function, ...]] = (
    (
        lambda_svc,
        "_emit_lambda_logs",
        ("func", "request_id", "log_text", "error", "duration_ms", "log_source"),
    ),
    (lambda_svc, "_emit_lambda_metrics", ("function_name", "duration_ms", "error", "throttle")),
    (lambda_svc, "_execute_function", ("func", "event")),
    (lambda_runtime.Worker, "_spawn", ("self",)),
    (eventbridge, "_put_events", ("data", "allow_aws_source")),
    (
        apigateway_v1,
        "handle_execute",
        ("api_id", "stage_name", "method", "path", "headers", "body", "query_params"),
    ),
    (
        apigateway_v1,
        "_execute_in_scope",
        (
            "request",
            "api_id",
            "stage_name",
            "method",
            "path",
            "headers",
            "body",
            "query_params",
            "owner_account_id",
            "owner_region",
        ),
    ),
    (apigateway_v1, "find_api_scope", ("api_id",)),
)
REGISTRIES: Final[tuple[Registry, ...]] = ()

# What an execution's status is counted as.
_EXECUTIONS: Final = {
    "RUNNING": "ExecutionsStarted",
    "SUCCEEDED": "ExecutionsSucceeded",
    "FAILED": "ExecutionsFailed",
    "TIMED_OUT": "ExecutionsTimedOut",
    "ABORTED": "ExecutionsAborted",
}


def install_telemetry(metrics: Metrics) -> None:
    """Count what AWS counts: of functions, of the API and of executions."""
    _install_functions(metrics)
    _install_api()
    _install_executions()


def sample(buffers: Buffers) -> None:
    """Look at queues and buffers, in the caller's account and region."""
    now = time.time()
    for url, queue in sqs._queues.items():
        dimensions = {"QueueName": url.rpartition("/")[2]}
        messages = list(queue["messages"])
        visible = sum(each.get("visible_at", 0) <= now for each in messages)
        oldest = min((each.get("sent_at", now) for each in messages), default=now)
        for name, value, unit in (
            ("ApproximateNumberOfMessagesVisible", visible, "Count"),
            ("ApproximateNumberOfMessagesNotVisible", len(messages) - visible, "Count"),
            ("ApproximateAgeOfOldestMessage", max(now - oldest, 0), "Seconds"),
        ):
            cloudwatch.record_metric("AWS/SQS", name, value, unit, dimensions)
    for stream, context, age in buffers.waiting():
        name = "DeliveryToS3.DataFreshness"
        context(
            cloudwatch.record_metric, "AWS/Firehose", name, age, "Seconds", {"DeliveryStreamName": stream["name"]}
        )


def _install_functions(metrics: Metrics) -> None:
    emit_logs, execute = lambda_svc._emit_lambda_logs, lambda_svc._execute_function
    spawn = lambda_runtime.Worker._spawn
    started = threading.local()

    def spawn_timed(self: Any) -> Any:
        began = time.time()
        try:
            return spawn(self)
        finally:
            started.milliseconds = (time.time() - began) * 1_000

    def emit(
        func: Any, request_id: str, log_text: str, error: Any, duration_ms: int, *, log_source: str | None = None
    ) -> None:
        emit_logs(func, request_id, log_text, error, duration_ms, log_source=log_source)
        # As on AWS, the duration is without the time that a new copy takes to begin.
        took = max(duration_ms - started.__dict__.pop("milliseconds", 0.0), 0.0)
        dimensions = {"FunctionName": (func.get("config") or func).get("FunctionName", "unknown")}
        for name, value, unit in (
            ("Invocations", 1, "Count"),
            ("Errors", int(bool(error)), "Count"),
            ("Throttles", 0, "Count"),
            ("Duration", took, "Milliseconds"),
        ):
            cloudwatch.record_metric("AWS/Lambda", name, value, unit, dimensions)
        scope = here()
        for datum in data_of(log_text or ""):
            for value in datum.values:
                metrics.record(scope, datum.metric, value, at=datum.at, unit=datum.unit)

    def emit_throttles(function_name: str, duration_ms: float, error: Any, throttle: Any) -> None:
        # All else is counted with the logs, whoever called the function; the emulator knows only direct calls.
        del duration_ms, error
        if throttle:
            cloudwatch.record_metric("AWS/Lambda", "Throttles", 1, "Count", {"FunctionName": function_name})

    def execute_measured(func: Any, event: Any) -> Any:
        _age(func, event)
        return execute(func, event)

    lambda_runtime.Worker._spawn = spawn_timed
    lambda_svc._emit_lambda_logs = emit
    lambda_svc._emit_lambda_metrics = emit_throttles
    lambda_svc._execute_function = execute_measured


def _age(func: Any, event: Any) -> None:
    """How old the last record of a stream's batch is."""
    records = event.get("Records") if isinstance(event, dict) else None
    if not records or not isinstance(records[-1], dict) or records[-1].get("eventSource") != "aws:dynamodb":
        return
    age = time.time() - float(records[-1]["dynamodb"]["ApproximateCreationDateTime"])
    dimensions = {"FunctionName": (func.get("config") or func).get("FunctionName", "unknown")}
    cloudwatch.record_metric("AWS/Lambda", "IteratorAge", max(age, 0) * 1_000, "Milliseconds", dimensions)


def _install_api() -> None:
    execute, route = apigateway_v1.handle_execute, apigateway_v1._execute_in_scope
    routed: contextvars.ContextVar[dict[str, Any]] = contextvars.ContextVar("routed")

    async def route_told(request: dict[str, Any], *rest: Any) -> Any:
        routed.set(request)
        return await route(request, *rest)

    async def execute_measured(
        api_id: str, stage_name: str, method: str, path: str, headers: Any, body: Any, query_params: Any
    ) -> Any:
        routed.set({})
        began = time.perf_counter()
        answer = await execute(api_id, stage_name, method, path, headers, body, query_params)
        took = (time.perf_counter() - began) * 1_000
        if scope := apigateway_v1.find_api_scope(api_id):
            with responses.request_scope(*scope):
                _count_call(api_id, stage_name, method, routed.get(), answer[0], took)
        return answer

    apigateway_v1._execute_in_scope = route_told
    apigateway_v1.handle_execute = execute_measured


def _count_call(api_id: str, stage: str, method: str, request: dict[str, Any], status: int, took: float) -> None:
    api = {"ApiName": apigateway_v1._rest_apis[api_id]["name"]}
    dimensions = [api, api | {"Stage": stage}]
    settings = (request.get("stage") or {}).get("methodSettings") or {}
    if request.get("resource_path") and str(settings.get("*/*", {}).get("metricsEnabled")).lower() == "true":
        # By method only where the stage has detailed metrics.
        dimensions.append(api | {"Stage": stage, "Method": method, "Resource": request["resource_path"]})
    # Both errors are told with every call, so that their average is a share.
    for name, value, unit in (
        ("Count", 1, "Count"),
        ("4XXError", int(400 <= status < 500), "Count"),
        ("5XXError", int(status >= 500), "Count"),
        ("Latency", took, "Milliseconds"),
    ):
        for each in dimensions:
            cloudwatch.record_metric("AWS/ApiGateway", name, value, unit, each)


def _install_executions() -> None:
    put: Callable[..., Any] = eventbridge._put_events

    def put_and_count(data: Any, allow_aws_source: Any = False) -> Any:
        for entry in data.get("Entries", []) if allow_aws_source else []:
            if entry.get("Source") == "aws.states":
                _count_execution(json.loads(entry["Detail"]))
        return put(data, allow_aws_source)

    eventbridge._put_events = put_and_count


def _count_execution(detail: dict[str, Any]) -> None:
    dimensions = {"StateMachineArn": detail["stateMachineArn"]}
    status, again = detail["status"], detail.get("redriveCount", 0)
    name = "ExecutionsRedriven" if status == "RUNNING" and again else _EXECUTIONS.get(status)
    if name:
        cloudwatch.record_metric("AWS/States", name, 1, "Count", dimensions)
    if status != "RUNNING" and detail.get("stopDate") and detail.get("startDate"):
        took = float(detail["stopDate"]) - float(detail["startDate"])
        cloudwatch.record_metric("AWS/States", "ExecutionTime", took, "Milliseconds", dimensions)
