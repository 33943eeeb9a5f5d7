"""Step Functions: tasks that wait for a token, and paths that are held to what they name."""

import json
import threading
import time
from typing import Any, Final

from ops.localcloud.seam.emulator import Function, Registry, stepfunctions
from ops.localcloud.seam.executions import current_run

__all__ = ["FUNCTIONS", "REGISTRIES", "install_tasks"]

FUNCTIONS: Final[tuple[Function, ...]] = (
    (stepfunctions, "_execute_task", ("state_def", "raw_input", "execution", "ctx")),
    (stepfunctions, "_invoke_with_callback", ("resource", "input_data", "token", "state_def")),
    (stepfunctions, "_invoke_resource", ("resource", "input_data")),
    (stepfunctions, "_send_task_success", ("data",)),
    (stepfunctions, "_send_task_failure", ("data",)),
    (stepfunctions, "_send_task_heartbeat", ("data",)),
    (stepfunctions, "_resolve_params_obj", ("template", "data", "ctx")),
    (stepfunctions, "_resolve_path", ("path", "data")),
    (stepfunctions, "_resolve_path_or_ctx", ("path", "data", "ctx")),
    (stepfunctions, "_parse_jsonpath_tokens", ("path",)),
    (stepfunctions, "_evaluate_intrinsic", ("expression", "data", "ctx")),
    (stepfunctions, "_apply_result_selector", ("state_def", "data")),
    (stepfunctions, "_ExecutionError", ("error", "cause")),
)
REGISTRIES: Final[tuple[Registry, ...]] = ()

_POLL_SECONDS = 0.1
# A task without TimeoutSeconds may take as long as an execution: a year.
_LONGEST_SECONDS = 366 * 86400


def install_tasks() -> None:
    """Put tasks right where the emulator is more lenient than AWS, or forgets about them."""
    execute_task = stepfunctions._execute_task
    spent: set[str] = set()

    def execute_with_timeout(state_def: Any, raw_input: Any, execution: Any, ctx: Any) -> Any:
        if path := state_def.get("TimeoutSecondsPath"):
            seconds = stepfunctions._resolve_path_or_ctx(path, raw_input, ctx)
            if isinstance(seconds, bool) or not isinstance(seconds, int) or seconds < 1:
                raise stepfunctions._ExecutionError(
                    "States.Runtime", f"TimeoutSecondsPath {path} must name a whole number of 1 or more"
                )
            state_def = state_def | {"TimeoutSeconds": seconds}
        return execute_task(state_def, raw_input, execution, ctx)

    def call_and_wait(resource: str, input_data: Any, token: str, state_def: Any) -> Any:
        run, seconds = current_run(), state_def.get("TimeoutSeconds", _LONGEST_SECONDS)
        entry: dict[str, Any] = {"event": threading.Event(), "result": None, "error": None, "heartbeat": None}
        stepfunctions._task_tokens[token] = entry
        until = time.monotonic() + seconds
        try:
            # The emulator swallows an error of the function called, and then waits for ever.
            stepfunctions._invoke_resource(resource.replace(".waitForTaskToken", ""), input_data)
            while not entry["event"].wait(_POLL_SECONDS):
                if run:
                    run.go_on()
                if time.monotonic() > until:
                    raise stepfunctions._ExecutionError("States.Timeout", f"no answer within {seconds} seconds")
        finally:
            stepfunctions._task_tokens.pop(token, None)
            spent.add(token)
            if run:
                # A retry has a token of its own.
                run.context["Task"] = {"Token": stepfunctions.new_uuid()}
        if entry["error"]:
            raise stepfunctions._ExecutionError(entry["error"]["Error"], entry["error"]["Cause"])
        return json.loads(entry["result"])

    def unless_spent(send: Any) -> Any:
        def sent(data: dict[str, Any]) -> Any:
            token = data.get("taskToken")
            if token in spent and token not in stepfunctions._task_tokens:
                said = "Task Timed Out: 'Provided task does not exist anymore'"
                return stepfunctions.error_response_json("TaskTimedOut", said, 400)
            try:
                json.loads(data.get("output", "{}"))
            except ValueError:
                return stepfunctions.error_response_json("InvalidOutput", "Invalid Output: it is not JSON", 400)
            return send(data)

        return sent

    stepfunctions._execute_task = execute_with_timeout
    stepfunctions._invoke_with_callback = call_and_wait
    for name in ("_send_task_success", "_send_task_failure", "_send_task_heartbeat"):
        setattr(stepfunctions, name, unless_spent(getattr(stepfunctions, name)))
    stepfunctions._resolve_params_obj = _fill
    stepfunctions._apply_result_selector = _select


def _select(state_def: Any, data: Any) -> Any:
    """ResultSelector, which may draw on the context object."""
    run = current_run()
    return (
        _fill(state_def["ResultSelector"], data, run and run.context) if state_def.get("ResultSelector") else data
    )


def _fill(template: Any, data: Any, ctx: Any = None) -> Any:
    """A payload template filled in. A path that leads nowhere is an error, as on AWS, and not a null."""
    if isinstance(template, list):
        return [_fill(item, data, ctx) for item in template]
    if not isinstance(template, dict):
        return template
    filled = {}
    for key, value in template.items():
        if not key.endswith(".$"):
            filled[key] = _fill(value, data, ctx)
        elif value.startswith("States."):
            filled[key[:-2]] = stepfunctions._evaluate_intrinsic(value, data, ctx)
        else:
            filled[key[:-2]] = _found(key, value, data, ctx)
    return filled


def _found(key: str, path: str, data: Any, ctx: Any) -> Any:
    place, within = (ctx or {}, path[1:]) if path.startswith("$$") else (data, path)
    value = stepfunctions._resolve_path(within, place)
    if value is None and not _present(within, place):
        raise stepfunctions._ExecutionError(
            "States.Runtime",
            f"The JSONPath '{path}' specified for the field '{key}' could not be found in the input "
            f"'{json.dumps(data)}'",
        )
    return value


def _present(path: str, place: Any) -> bool:
    for kind, name in stepfunctions._parse_jsonpath_tokens(path) or [("none", None)] * (path != "$"):
        known = (isinstance(place, dict) and name in place) or (
            isinstance(place, list) and isinstance(name, int) and name < len(place)
        )
        if kind not in {"field", "index"} or not known:
            return False
        place = place[name]
    return True
