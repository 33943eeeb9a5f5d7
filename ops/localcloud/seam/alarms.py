"""CloudWatch's alarms: evaluated as on AWS, with metric math, and known to CloudFormation."""

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from ops.localcloud.alarms import Alarm, Metrics, Scope, Verdict, evaluate, message_of
from ops.localcloud.seam.emulator import Function, Registry, cloudwatch, provisioners, responses, sns, sqs
from ops.localcloud.seam.measures import here, nested

__all__ = ["FUNCTIONS", "REGISTRIES", "Watch", "install_alarms"]

FUNCTIONS: Final[tuple[Function, ...]] = (
    (cloudwatch, "_evaluate_alarm", ("alarm",)),
    (cloudwatch, "_evaluate_all_alarms", ()),
    (cloudwatch, "_dispatch_alarm_actions", ("alarm", "old_state", "new_state", "reason")),
    (cloudwatch, "_evaluate_parent_alarms", ("child", "seen")),
    (
        cloudwatch,
        "_record_history",
        ("alarm_name", "old_state", "new_state", "reason", "alarm_type", "reason_data"),
    ),
    (cloudwatch, "_put_metric_alarm", ("params", "cbor_data", "is_cbor", "is_json")),
    (cloudwatch, "_put_composite_alarm", ("params", "cbor_data", "is_cbor", "is_json")),
    (cloudwatch, "_error", ("code", "message", "status", "use_json", "use_cbor")),
    (cloudwatch, "_is_sns_action_arn", ("action",)),
    (cloudwatch, "_ts_iso", ("epoch",)),
    (provisioners, "_cw_metric_alarm_record", ("name", "props")),
    (provisioners, "_physical_name", ("stack_name", "logical_id", "lowercase", "max_len", "seeded")),
    (responses, "request_scope", ("account_id", "region")),
    (responses, "new_uuid", ()),
    (
        sns,
        "_fanout",
        (
            "topic_arn",
            "msg_id",
            "message",
            "subject",
            "message_structure",
            "message_attributes",
            "message_group_id",
            "message_dedup_id",
        ),
    ),
)
REGISTRIES: Final[tuple[Registry, ...]] = ((provisioners, "_RESOURCE_HANDLERS"),)

_COMPOSITE: Final = "AWS::CloudWatch::CompositeAlarm"
_ACTIONS: Final = {
    "ALARM": "AlarmActions",
    "OK": "OKActions",
    "INSUFFICIENT_DATA": "InsufficientDataActions",
}
_OF_ONE_METRIC: Final = (
    "Namespace",
    "MetricName",
    "Dimensions",
    "Period",
    "Statistic",
    "ExtendedStatistic",
    "Unit",
)
_TICK_SECONDS: Final = 0.5
# A look at many long periods full of values takes a while: the next one waits this many times as long, so that
# requests keep most of the processor.
_REST: Final = 15
_SAMPLE_SECONDS: Final = 2.0

_log = logging.getLogger("alarms")


class Watch:
    """Evaluates every alarm when one of its metrics has a new value, and at every full minute.

    On AWS it is once a minute. A state that was set by hand lasts until then, too.

    Parameters
    ----------
    sample
        Called every two seconds in each account and region, before the evaluation.
    clock
        Seconds since 1970.
    """

    def __init__(self, metrics: Metrics, sample: Callable[[], None], clock: Callable[[], float]) -> None:
        self._metrics, self._sample, self._clock = metrics, sample, clock
        self._alarms: dict[tuple[Scope, str], tuple[dict[str, Any], Alarm]] = {}
        self._seen: dict[tuple[Scope, str], tuple[int, ...]] = {}
        self._sampled = self._evicted = 0.0
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._tick, name="alarms", daemon=True)

    def start(self) -> None:
        """Evaluate from now on, on a thread of its own."""
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        self._closed.set()

    def _tick(self) -> None:
        rest = _TICK_SECONDS
        while not self._closed.wait(rest):
            began = time.thread_time()
            try:
                self.look()
            except Exception:
                # One look that fails must not end all later ones.
                _log.exception("the alarms could not be looked at")
            rest = max(_TICK_SECONDS, _REST * (time.thread_time() - began))

    def look(self) -> None:
        """Sample what is due, and evaluate the alarms that may have changed."""
        now = self._clock()
        due = now - self._sampled >= _SAMPLE_SECONDS
        stored = (cloudwatch._alarms.to_dict(), sqs._queues.to_dict())
        for scope in {Scope(*key[:2]) for each in stored for key in each}:
            with responses.request_scope(scope.account, scope.region):
                if due:
                    self._sample()
                for record in cloudwatch._alarms.values():
                    self._judge(scope, record, now)
        if due:
            self._sampled = now
        if now - self._evicted >= 3_600:
            self._metrics.evict(now)
            self._evicted = now

    def _judge(self, scope: Scope, record: dict[str, Any], now: float) -> None:
        key = (scope, record["AlarmName"])
        known = self._alarms.get(key)
        if known is None or known[0] is not record:
            # A changed alarm is another record.
            known = self._alarms[key] = (record, Alarm.of(record))
            self._seen.pop(key, None)
        alarm = known[1]
        seen = (int(now) // 60, *(self._metrics.version(scope, each) for each in alarm.metrics))
        if self._seen.get(key) == seen:
            return
        self._seen[key] = seen
        verdict = evaluate(alarm, alarm.datapoints(self._metrics, scope, now), record["StateValue"])
        if verdict.state != record["StateValue"]:
            _change(record, alarm, verdict, now)


def install_alarms(metrics: Metrics, sample: Callable[[], None]) -> Watch:
    """Evaluate alarms from here, and let CloudFormation make those with metric math and composite ones."""
    # The emulator looks at the last points of a metric of that name, whatever their dimensions.
    cloudwatch._evaluate_alarm = lambda _: None
    cloudwatch._evaluate_all_alarms = lambda: None
    cloudwatch._dispatch_alarm_actions = _act
    _install_metric_alarms()
    _install_composites()
    return Watch(metrics, sample, time.time)


def _change(record: dict[str, Any], alarm: Alarm, verdict: Verdict, now: float) -> None:
    old = record["StateValue"]
    reason_data = {
        "version": "1.0",
        "queryDate": cloudwatch._ts_iso(now),
        "period": alarm.period,
        "recentDatapoints": [value for _, value in verdict.points],
        "threshold": alarm.threshold,
        "evaluatedDatapoints": [
            {"timestamp": cloudwatch._ts_iso(at), "value": value} for at, value in verdict.points
        ],
    }
    record |= {
        "StateValue": verdict.state,
        "StateReason": verdict.reason,
        "StateReasonData": json.dumps(reason_data),
        "StateUpdatedTimestamp": int(now),
        "StateTransitionedTimestamp": int(now),
    }
    name = record["AlarmName"]
    cloudwatch._record_history(name, old, verdict.state, verdict.reason, "MetricAlarm", reason_data)
    cloudwatch._dispatch_alarm_actions(record, old, verdict.state, verdict.reason)
    cloudwatch._evaluate_parent_alarms(record)


def _act(alarm: dict[str, Any], old_state: str, new_state: str, reason: str) -> None:
    """Tell the topics among an alarm's actions."""
    topics = [each for each in alarm.get(_ACTIONS[new_state]) or [] if cloudwatch._is_sns_action_arn(each)]
    if not topics or not alarm.get("ActionsEnabled", True):
        return
    scope = here()
    message = message_of(
        alarm,
        old=old_state,
        new=new_state,
        reason=reason,
        account=scope.account,
        region=scope.region,
        at=time.time(),
    )
    subject = f'{new_state}: "{alarm["AlarmName"]}" in {scope.region}'[:100]
    for topic in topics:
        try:
            sns._fanout(topic, responses.new_uuid(), json.dumps(message), subject)
        except Exception:
            # As on AWS, a topic that is gone does not keep the alarm from changing.
            _log.exception("the topic %s could not be told of %s", topic, alarm["AlarmName"])


def _install_metric_alarms() -> None:
    put, record_of = cloudwatch._put_metric_alarm, provisioners._cw_metric_alarm_record

    def put_checked(params: Any, data: Any, is_cbor: bool, is_json: bool = False) -> Any:
        asked = data if is_cbor or is_json else nested(params)
        try:
            Alarm.of(asked)
        except (KeyError, ValueError) as error:
            return cloudwatch._error("ValidationError", str(error), 400, use_json=is_json, use_cbor=is_cbor)
        answer = put(params, data, is_cbor, is_json)
        if asked.get("Metrics") and answer[0] == 200:
            _of_several(cloudwatch._alarms[asked["AlarmName"]], asked["Metrics"])
        return answer

    def record_checked(name: str, props: Mapping[str, Any]) -> Any:
        if not props.get("Metrics"):
            record = record_of(name, props)
            Alarm.of(record)
            return record
        # The emulator wants one metric; what it makes of the rest of the properties is right.
        record = record_of(name, {**props, "Metrics": None, "Namespace": "-", "MetricName": "-"})
        _of_several(record, [_typed(each) for each in props["Metrics"]])
        Alarm.of(record)
        return record

    cloudwatch._put_metric_alarm = put_checked
    provisioners._cw_metric_alarm_record = record_checked


def _of_several(record: dict[str, Any], metrics: Any) -> None:
    for name in _OF_ONE_METRIC:
        record.pop(name, None)
    record["Metrics"] = metrics


def _typed(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A template's entry with the types that the API has; a template may tell all of them as text."""
    typed = dict(entry)
    if "ReturnData" in typed:
        typed["ReturnData"] = str(typed["ReturnData"]).lower() == "true"
    if "Period" in typed:
        typed["Period"] = int(typed["Period"])
    if "MetricStat" in typed:
        typed["MetricStat"] = {**typed["MetricStat"], "Period": int(typed["MetricStat"]["Period"])}
    return typed


def _install_composites() -> None:
    """The CloudFormation type of a composite alarm; its ``Ref`` is the name."""
    known = {"AlarmName", "AlarmDescription", "AlarmRule", "ActionsEnabled", "Tags", *_ACTIONS.values()}

    def create(logical_id: str, props: dict[str, Any], stack_name: str) -> tuple[str, dict[str, Any]]:
        if unknown := sorted(props.keys() - known):
            raise ValueError(f"{logical_id}: the local cloud's {_COMPOSITE} has no {', '.join(unknown)}")
        name = props.get("AlarmName") or provisioners._physical_name(stack_name, logical_id, max_len=255)
        enabled = str(props.get("ActionsEnabled", True)).lower() == "true"
        answer = cloudwatch._put_composite_alarm(
            {}, {**props, "AlarmName": name, "ActionsEnabled": enabled}, is_cbor=False, is_json=True
        )
        if answer[0] != 200:
            raise ValueError(f"{logical_id}: {json.loads(answer[2])['message']}")
        return name, {"Arn": cloudwatch._composite_alarms[name]["AlarmArn"]}

    def update(
        physical_id: str, old: dict[str, Any], new: dict[str, Any], stack_name: str, logical_id: str | None = None
    ) -> tuple[str, dict[str, Any]]:
        made = create(logical_id or physical_id, new, stack_name)
        if made[0] != physical_id:
            delete(physical_id, old)
        return made

    def delete(physical_id: str, props: dict[str, Any]) -> None:
        del props
        cloudwatch._composite_alarms.pop(physical_id, None)

    provisioners._RESOURCE_HANDLERS[_COMPOSITE] = {
        "create": create,
        "update": update,
        "update_with_logical_id": True,
        "delete": delete,
    }
