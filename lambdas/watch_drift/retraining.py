"""Retrainings that drift starts: one at a time, and not one after the other, unless the first came to nothing.

Step Functions lists executions with a delay, so that two looks at the same moment may both see none. What keeps
them apart is a claim in the models bucket, `drift/00001.json` and up: S3 is consistent, and of two that write one
new object, it lets one win. The claim names the execution, so that a look that is tried again, before or after the
start, finds its own claim and starts the same execution, which Step Functions takes once. A claim whose start
failed is begun by the next look that calls for a retraining.
"""

from typing import TYPE_CHECKING, Literal

import msgspec
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_stepfunctions import SFNClient

__all__ = ["Cause", "Claim", "Retrainings"]

_PREFIX = "drift/"
_DAY = 86_400_000
_REMEMBERED = 80 * _DAY
"""Step Functions forgets an execution 90 days after its end; younger ones that it does not know never began."""

type _Fate = Literal["unknown", "failed", "counts"]


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """What a retraining is started for.

    Attributes
    ----------
    report : str
        The look's id.
    as_of : int
        Its moment, in ms since the epoch.
    reason : str
    """

    report: str
    as_of: int
    reason: str


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """The right to start one.

    Attributes
    ----------
    at : int
        When it was made, in ms since the epoch.
    """

    execution: str
    at: int
    cause: Cause


class Retrainings:
    """Those that were started for drift.

    Parameters
    ----------
    models : str
        The bucket of the claims.
    machine : str
        ARN of the state machine `retrain`.
    """

    def __init__(self, s3: "S3Client", states: "SFNClient", models: str, machine: str) -> None:
        self._s3, self._states, self._models, self._machine = s3, states, models, machine

    def start(self, cause: Cause, *, cool_down_days: float, now: int) -> tuple[str, str]:
        """Start one, unless one runs or the last one is too young and came to something.

        Parameters
        ----------
        now : int
            Milliseconds since the epoch.

        Returns
        -------
        execution : str
            The name of the execution that was started for this cause, now or at an earlier attempt; or nothing.
        told : str
            What came of it.
        """
        number, last = self._last()
        if last is not None and last.cause.report == cause.report:
            self._begin(last)
            return last.execution, f"{last.execution} was started for this report"
        fate = None if last is None or last.at <= cause.as_of - cool_down_days * _DAY else self._fate(last, now)
        if last is not None and (fate == "counts" or (fate == "failed" and cause.as_of <= last.at)):
            return "", f"{last.execution} was started for drift less than {cool_down_days:g} days before"
        running = self._running()
        if running:
            return "", f"the retraining {running} runs"
        if last is not None and fate == "unknown":
            self._begin(last)
            return (
                last.execution,
                f"{last.execution} was due since the report {last.cause.report} and is started now",
            )
        claim = Claim(execution=f"drift-{number + 1:05}", at=now, cause=cause)
        if not self._claim(number + 1, claim):
            return "", "another look started one at the same moment"
        self._begin(claim)
        return claim.execution, f"{claim.execution} was started"

    def _last(self) -> tuple[int, Claim | None]:
        """The number of the newest claim, and the claim; 0 before the first."""
        # S3 lists in the order of the names, which have as many digits each.
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._models, Prefix=_PREFIX)
        names = [item["Key"] for page in pages for item in page.get("Contents", [])]
        if not names:
            return 0, None
        content = self._s3.get_object(Bucket=self._models, Key=names[-1])["Body"].read()
        number = int(names[-1].removeprefix(_PREFIX).removesuffix(".json"))
        return number, msgspec.json.decode(content, type=Claim)

    def _fate(self, claim: Claim, now: int) -> _Fate:
        """What became of a claim's execution.

        One that failed, or that ended for another one at its first step, mended nothing and does not count. One
        that a person stopped does: they had a reason. One that Step Functions does not know was never started.
        """
        arn = f"{self._machine.replace(':stateMachine:', ':execution:')}:{claim.execution}"
        try:
            found = self._states.describe_execution(executionArn=arn)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ExecutionDoesNotExist":
                raise
            return "unknown" if now - claim.at < _REMEMBERED else "counts"
        if found["status"] == "SUCCEEDED":
            ended = msgspec.json.decode(found.get("output", "{}"), type=dict)
            return "failed" if ended.get("at") == "plan" else "counts"
        return "failed" if found["status"] in ("FAILED", "TIMED_OUT") else "counts"

    def _running(self) -> str:
        """The name of an execution that runs, whoever started it; or nothing."""
        answer = self._states.list_executions(stateMachineArn=self._machine, statusFilter="RUNNING", maxResults=1)
        return next((each["name"] for each in answer["executions"]), "")

    def _claim(self, number: int, claim: Claim) -> bool:
        """Whether the claim was made: False if somebody else was first."""
        try:
            self._s3.put_object(
                Bucket=self._models,
                Key=f"{_PREFIX}{number:05}.json",
                Body=msgspec.json.encode(claim),
                ContentType="application/json",
                IfNoneMatch="*",
            )
        except ClientError as error:
            # S3 tells of a race that is still under way by the second of these.
            if error.response["Error"]["Code"] in ("PreconditionFailed", "ConditionalRequestConflict"):
                return False
            raise
        return True

    def _begin(self, claim: Claim) -> None:
        reason = f"drift, see the report {claim.cause.report}: {claim.cause.reason}"
        try:
            self._states.start_execution(
                stateMachineArn=self._machine,
                name=claim.execution,
                input=msgspec.json.encode({"reason": reason[:500]}).decode(),
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ExecutionAlreadyExists":
                raise
