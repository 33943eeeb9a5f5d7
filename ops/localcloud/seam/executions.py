"""Step Functions: executions that can be re-driven, time out as a whole and are left at once when stopped.

The emulator interprets states; walking from state to state is done here, because a re-driven execution begins
in the middle. Its record keeps what that needs: the definition it began with and the state it is in.
"""

import contextlib
import contextvars
import json
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from ops.localcloud.seam.emulator import Function, Registry, stepfunctions
from ops.localcloud.seam.events import publish_event

__all__ = ["FUNCTIONS", "REGISTRIES", "Run", "current_run", "install_executions"]

FUNCTIONS: Final[tuple[Function, ...]] = (
    (stepfunctions, "handle_request", ("method", "path", "headers", "body", "query_params")),
    (stepfunctions, "_finalize_response", ("response",)),
    (stepfunctions, "_describe_execution", ("data",)),
    (stepfunctions, "_run_execution", ("exec_arn",)),
    (stepfunctions, "_emit_execution_status_event", ("execution",)),
    (stepfunctions, "_fail_execution", ("execution", "error", "cause")),
    (stepfunctions, "_add_event", ("execution", "event_type", "details")),
    (stepfunctions, "_apply_input_path", ("state_def", "data", "ctx")),
    (stepfunctions, "_apply_output_path", ("state_def", "data", "ctx")),
    (stepfunctions, "_fail_state_error", ("state_def", "raw_input", "ctx")),
    (stepfunctions, "_execute_pass", ("state_def", "raw_input", "ctx")),
    (stepfunctions, "_execute_choice", ("state_def", "raw_input", "ctx")),
    (stepfunctions, "_execute_wait", ("state_def", "raw_input", "ctx")),
    (stepfunctions, "_execute_task", ("state_def", "raw_input", "execution", "ctx")),
    (stepfunctions, "_execute_parallel", ("state_def", "raw_input", "execution", "ctx")),
    (stepfunctions, "_execute_map", ("state_def", "raw_input", "execution", "ctx")),
    (stepfunctions, "_invoke_resource", ("resource", "input_data")),
    (stepfunctions, "_scaled_sleep", ("seconds",)),
    (stepfunctions, "_ExecutionError", ("error", "cause")),
)
REGISTRIES: Final[tuple[Registry, ...]] = ()

_UNSUCCESSFUL: Final = frozenset({"FAILED", "TIMED_OUT", "ABORTED"})
_POLL_SECONDS = 0.1
# Step Functions leaves an input or output out of its events when it is longer.
_EVENT_CHARACTERS = 248 * 1024


class AbandonedError(Exception):
    """The execution ended, or was re-driven, while this thread still worked for it."""


@dataclass(frozen=True)
class Run:
    """One pass of an execution, from its start or a redrive to its end, on a thread of its own."""

    execution: dict[str, Any]
    attempt: int
    context: dict[str, Any]

    @property
    def over(self) -> bool:
        """Whether nothing of this pass counts any more."""
        return (self.execution["redriveCount"], self.execution["status"]) != (self.attempt, "RUNNING")

    def go_on(self) -> None:
        """Leave by an error when the pass is over."""
        if self.over:
            raise AbandonedError


_run: contextvars.ContextVar[Run | None] = contextvars.ContextVar("run", default=None)


def current_run() -> Run | None:
    """The pass the calling thread works for; None outside of executions."""
    return _run.get()


def install_executions() -> None:
    """Walk executions from here, and answer RedriveExecution."""
    handle, describe = stepfunctions.handle_request, stepfunctions._describe_execution
    invoke, sleep = stepfunctions._invoke_resource, stepfunctions._scaled_sleep

    async def handle_or_redrive(method: str, path: str, headers: Any, body: Any, query_params: Any) -> Any:
        if not headers.get("x-amz-target", "").endswith(".RedriveExecution"):
            return await handle(method, path, headers, body, query_params)
        return stepfunctions._finalize_response(_redrive(json.loads(body or b"{}")))

    def describe_with_redrives(data: dict[str, Any]) -> Any:
        answer = describe(data)
        if answer[0] != 200:
            return answer
        execution = stepfunctions._executions[data["executionArn"]]
        return stepfunctions.json_response(json.loads(answer[2]) | _redriving(execution))

    def invoke_if_running(resource: str, input_data: Any) -> Any:
        # The emulator retries a task of an execution that has been stopped; here that ends.
        if run := current_run():
            run.go_on()
        return invoke(resource, input_data)

    def sleep_while_running(seconds: float) -> None:
        run = current_run()
        if run is None:
            sleep(seconds)
            return
        until = time.monotonic() + seconds * stepfunctions._SFN_WAIT_SCALE
        while (rest := until - time.monotonic()) > 0:
            time.sleep(min(rest, _POLL_SECONDS))
            run.go_on()

    stepfunctions.handle_request = handle_or_redrive
    stepfunctions._describe_execution = describe_with_redrives
    stepfunctions._run_execution = _run_execution
    stepfunctions._emit_execution_status_event = _emit
    stepfunctions._invoke_resource = invoke_if_running
    stepfunctions._scaled_sleep = sleep_while_running


def _run_execution(arn: str) -> None:
    execution = stepfunctions._executions[arn]
    machine = stepfunctions._state_machines.get(execution["stateMachineArn"])
    attempt: int = execution.setdefault("redriveCount", 0)
    try:
        # A re-driven execution keeps the definition it began with, whatever became of its machine.
        definition = json.loads(execution.setdefault("definition", machine and machine["definition"]))
        given = json.loads(execution["input"])
        at = execution.setdefault("at", {"state": definition["StartAt"], "input": given, "variables": {}})
    except (TypeError, ValueError, KeyError) as error:
        stepfunctions._fail_execution(execution, "States.Runtime", f"cannot begin: {error}")
        return
    redriven = {"RedriveTime": execution["redriveDate"]} if attempt else {}
    context = {
        "QueryLanguage": definition.get("QueryLanguage", "JSONPath"),
        "Execution": {
            "Id": arn,
            "Input": given,
            "Name": execution["name"],
            "RoleArn": machine["roleArn"] if machine else "",
            "StartTime": execution["startDate"],
            "RedriveCount": attempt,
            **redriven,
        },
        "StateMachine": {"Id": execution["stateMachineArn"], "Name": execution["stateMachineArn"].split(":")[-1]},
        "variables": at["variables"],
    }
    run = Run(execution, attempt, context)
    token = _run.set(run)
    timer = _limit(run, definition.get("TimeoutSeconds"))
    try:
        _walk(run, definition["States"], at["state"], at["input"])
    except AbandonedError:
        pass
    except stepfunctions._ExecutionError as error:
        _fail(run, error.error, error.cause)
    except Exception as error:
        stepfunctions.logger.exception("Unexpected error in execution %s", arn)
        _fail(run, "States.Runtime", str(error))
    finally:
        if timer:
            timer.cancel()
        _run.reset(token)


def _walk(run: Run, states: dict[str, Any], name: str | None, value: Any) -> None:
    execution, context = run.execution, run.context
    while name is not None:
        run.go_on()
        execution["at"] = {"state": name, "input": value, "variables": context["variables"]}
        if name not in states:
            raise stepfunctions._ExecutionError("States.Runtime", f"State '{name}' not found in definition")
        state, kind = states[name], states[name]["Type"]
        context["State"] = {"Name": name, "EnteredTime": stepfunctions.now_iso(), "RetryCount": 0}
        entered = {"name": name, "input": json.dumps(value)}
        stepfunctions._add_event(execution, f"{kind}StateEntered", {"stateEnteredEventDetails": entered})
        value, following = _step(kind, state, value, run)
        run.go_on()
        left = {"name": name, "output": json.dumps(value)}
        stepfunctions._add_event(execution, f"{kind}StateExited", {"stateExitedEventDetails": left})
        name = following
    execution["output"] = json.dumps(value)
    _end(run, "SUCCEEDED", "ExecutionSucceeded", {"output": execution["output"]})


def _step(kind: str, state: dict[str, Any], value: Any, run: Run) -> tuple[Any, str | None]:
    """Output of one state and the name of the next; None at the end."""
    context = run.context
    match kind:
        case "Fail":
            raise stepfunctions._ExecutionError(*stepfunctions._fail_state_error(state, value, context))
        case "Succeed":
            chosen = stepfunctions._apply_input_path(state, value, context)
            return stepfunctions._apply_output_path(state, chosen, context), None
        case "Task" | "Parallel" | "Map":
            handler = getattr(stepfunctions, f"_execute_{kind.lower()}")
            output, following = handler(state, value, run.execution, context)
        case "Pass" | "Choice" | "Wait":
            output, following = getattr(stepfunctions, f"_execute_{kind.lower()}")(state, value, context)
        case _:
            raise stepfunctions._ExecutionError("States.Runtime", f"Unknown state type: {kind}")
    return output, following


def _limit(run: Run, seconds: float | None) -> threading.Timer | None:
    """End the whole execution after the machine's own ``TimeoutSeconds``; each redrive has it anew."""
    if seconds is None:
        return None

    def time_out() -> None:
        if not run.over:
            _end(run, "TIMED_OUT", "ExecutionTimedOut", {"error": "States.Timeout", "cause": ""})

    timer = threading.Timer(seconds, contextvars.copy_context().run, (time_out,))
    timer.daemon = True
    timer.start()
    return timer


def _end(run: Run, status: str, event: str, details: dict[str, Any]) -> None:
    execution = run.execution
    execution |= {"status": status, "stopDate": stepfunctions.now_iso()}
    stepfunctions._add_event(execution, event, {f"{event[:1].lower()}{event[1:]}EventDetails": details})
    _emit(execution)


def _fail(run: Run, error: str, cause: str) -> None:
    if not run.over:
        stepfunctions._fail_execution(run.execution, error, cause)


def _redrive(data: dict[str, Any]) -> Any:
    """Continue an unsuccessful execution at the state it ended in, with that state's input."""
    arn, token = data.get("executionArn"), data.get("clientToken")
    execution = stepfunctions._executions.get(arn)
    if execution is None:
        return stepfunctions.error_response_json(
            "ExecutionDoesNotExist", f"Execution Does Not Exist: '{arn}'", 400
        )
    if token and token == execution.get("redriveToken"):
        return stepfunctions.json_response({"redriveDate": execution["redriveDate"]})
    found = _redriving(execution)
    if found["redriveStatus"] != "REDRIVABLE":
        return stepfunctions.error_response_json("ExecutionNotRedrivable", found["redriveStatusReason"], 400)
    # The count first: a thread of the pass before must not take the new status for its own.
    execution["redriveCount"] += 1
    execution |= {"redriveDate": stepfunctions.now_iso(), "redriveToken": token}
    execution |= {"status": "RUNNING", "stopDate": None, "output": None, "error": None, "cause": None}
    details = {"redriveCount": execution["redriveCount"]}
    stepfunctions._add_event(execution, "ExecutionRedriven", {"executionRedrivenEventDetails": details})
    _emit(execution)
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(_run_execution, arn), daemon=True).start()
    return stepfunctions.json_response({"redriveDate": execution["redriveDate"]})


def _redriving(execution: dict[str, Any]) -> dict[str, Any]:
    """What DescribeExecution tells of redrives."""
    status = execution["status"]
    told: dict[str, Any] = {"redriveCount": execution.get("redriveCount", 0)}
    if "redriveDate" in execution:
        told["redriveDate"] = execution["redriveDate"]
    if status in _UNSUCCESSFUL and "at" in execution and not execution.get("sync"):
        return told | {"redriveStatus": "REDRIVABLE"}
    reason = f"Execution is {status} and cannot be redriven"
    return told | {"redriveStatus": "NOT_REDRIVABLE", "redriveStatusReason": reason}


def _milliseconds(stamp: str | None) -> int | None:
    return None if stamp is None else round(datetime.fromisoformat(stamp).timestamp() * 1000)


def _emit(execution: dict[str, Any]) -> None:
    """Tell the default bus of an execution's status; the emulator's own event knows no redrives."""
    if execution.get("sync"):
        return
    status = execution["status"]
    detail = {
        "executionArn": execution["executionArn"],
        "stateMachineArn": execution["stateMachineArn"],
        "stateMachineVersionArn": None,
        "stateMachineAliasArn": None,
        "name": execution["name"],
        "status": status,
        "startDate": _milliseconds(execution["startDate"]),
        "stopDate": _milliseconds(execution["stopDate"]),
        # Of a failure the emulator keeps its error as output, too; the event carries it on success only.
        **_bounded("input", execution["input"]),
        **_bounded("output", execution["output"] if status == "SUCCEEDED" else None),
        "error": execution.get("error"),
        "cause": execution.get("cause"),
        "redriveDate": None,
        "redriveStatusReason": None,
        **_redriving(execution),
    }
    if detail["redriveDate"]:
        detail["redriveDate"] = _milliseconds(detail["redriveDate"])
    # On AWS, too, these events are sent on a best effort basis and never change the execution.
    with contextlib.suppress(Exception):
        publish_event("aws.states", "Step Functions Execution Status Change", detail, [execution["executionArn"]])


def _bounded(name: str, value: str | None) -> dict[str, Any]:
    if value is None:
        return {name: None, f"{name}Details": None}
    included = len(value) <= _EVENT_CHARACTERS
    return {name: value if included else None, f"{name}Details": {"included": included}}
