"""Lambda: mappings of DynamoDB streams with AWS's failure settings, and workers that answer quickly."""

import time
from typing import Any, Final

from ops.localcloud import streams
from ops.localcloud.lines import Lines
from ops.localcloud.seam.emulator import Function, Registry, dynamodb, lambda_runtime, lambda_svc

__all__ = ["FUNCTIONS", "REGISTRIES", "install_streams", "kill_workers", "read_lines_at_once"]

# Between a failed batch and its next try. AWS begins below a second and backs off to a minute.
_BACKOFF_SECONDS = 0.5

FUNCTIONS: Final[tuple[Function, ...]] = (
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
    (lambda_runtime.Worker, "_read_stderr", ("self",)),
    (lambda_runtime.Worker, "_drain_stderr", ("self",)),
    (
        lambda_runtime.Worker,
        "_drain_stderr_bounded",
        ("self", "first_line_wait", "idle_confirm", "hard_cap"),
    ),
    (
        lambda_svc,
        "_send_ddb_stream_failure_record",
        ("esm", "func_rec", "batch", "stream_arn", "result", "condition"),
    ),
)
REGISTRIES: Final[tuple[Registry, ...]] = ((lambda_svc, "_esm_inflight"),)


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


def read_lines_at_once() -> None:
    """Take what a worker logged when its answer is there, all of it and without waiting.

    A worker writes its lines before its answer, so they are in the pipe by then. The emulator gives the thread
    that reads the pipe 50 ms, whether the function logs or not; what comes later is told with the next
    invocation, or with none.
    """
    worker = lambda_runtime.Worker
    bounded = worker._drain_stderr_bounded

    def read(self: Any) -> None:
        self.lines = Lines(self._proc.stderr, self._stderr_queue)
        self.lines.read()

    def drain(
        self: Any, first_line_wait: float = 0.050, idle_confirm: float = 0.005, hard_cap: float = 0.250
    ) -> Any:
        lines = self.__dict__.get("lines")
        if lines is None:
            return bounded(self, first_line_wait, idle_confirm, hard_cap)
        lines.catch_up()
        return self._drain_stderr()

    worker._read_stderr = read
    worker._drain_stderr_bounded = drain


def kill_workers() -> None:
    """End the Lambda workers, which the emulator leaves behind when it stops."""
    lambda_runtime.reset()
