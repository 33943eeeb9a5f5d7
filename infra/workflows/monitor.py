"""The look at models and data: plan, job, and what follows from its report."""

from typing import Any

from infra.workflows.states import call_function, choose, planned_machines, process

__all__ = ["MONITOR_FUNCTIONS", "MONITOR_SUBSTITUTIONS", "monitor"]

MONITOR_FUNCTIONS = frozenset({"plan_training", "watch_drift"})
"""The Lambdas that it calls."""

MONITOR_SUBSTITUTIONS = MONITOR_FUNCTIONS | {"monitor_role", "objects_key", "training_image"}
"""The `${...}` placeholders that a deployment fills in."""

_JOB_SECONDS = 2 * 3600
# The job, its machines, and waiting for want of them; a look that takes longer is overtaken by the next.
_SECONDS = 5 * 3600


def monitor() -> dict[str, Any]:
    """The state machine's definition, in Amazon States Language.

    Its input is `{}`, or may hold `days`, `reason` and `look_only`: see plan_training. Its output is what
    `watch_drift` answers, with `place`, the report's; before the first decision, `looks` is false and there is
    none.
    """
    return {
        "Comment": "Paywarden: how models and data do, and a retraining if the world has changed",
        "StartAt": "PlanMonitoring",
        "TimeoutSeconds": _SECONDS,
        "States": {
            "PlanMonitoring": call_function(
                function="plan_training",
                payload={
                    "monitor.$": "$$.Execution.Name",
                    "started_at.$": "$$.Execution.StartTime",
                    "input.$": "$",
                },
                answer={"OutputPath": "$.Payload"},
                # It lists days of the lake by the hundred.
                timeout=330,
                next_state="HasDecisions",
            ),
            "HasDecisions": choose(("$.looks", True, "MonitorLake"), otherwise="NothingYet"),
            "MonitorLake": process(
                step="monitor",
                arguments="$.arguments",
                inputs={"ProcessingInputs.$": "$.inputs"},
                output="monitoring",
                output_uri="$.place",
                machines=planned_machines("$.machines"),
                # See `dataset`: several machines must reach one another.
                network={
                    "EnableNetworkIsolation.$": "$.machines.isolated",
                    "EnableInterContainerTrafficEncryption.$": "$.machines.encrypted",
                },
                seconds=_JOB_SECONDS,
                next_state="WatchDrift",
            ),
            "WatchDrift": call_function(
                function="watch_drift",
                payload={
                    "uri.$": "States.Format('{}monitoring.json', $.place)",
                    "look_only.$": "$.look_only",
                },
                answer={
                    "ResultSelector": {
                        "passed.$": "$.Payload.passed",
                        "reason.$": "$.Payload.reason",
                        "retraining.$": "$.Payload.retraining",
                        "told.$": "$.Payload.told",
                    },
                    "ResultPath": "$.watched",
                },
                next_state="Looked",
            ),
            "Looked": {
                "Type": "Pass",
                "Parameters": {
                    "run_id.$": "$.run_id",
                    "looks": True,
                    "place.$": "$.place",
                    "passed.$": "$.watched.passed",
                    "reason.$": "$.watched.reason",
                    "retraining.$": "$.watched.retraining",
                    "told.$": "$.watched.told",
                },
                "Next": "Reported",
            },
            "Reported": {"Type": "Succeed", "Comment": "The report is there, and its figures are counted"},
            "NothingYet": {
                "Type": "Pass",
                "Parameters": {"run_id.$": "$.run_id", "looks": False},
                "Next": "NothingToReport",
            },
            "NothingToReport": {"Type": "Succeed", "Comment": "No payment was decided yet"},
        },
    }
