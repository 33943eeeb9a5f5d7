"""The record of a job: what was asked, where it stands, and how it is described."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from ops.localcloud.errors import ServiceError

__all__ = ["FINAL", "Job", "JobStatus", "Kind"]

Kind = Literal["Training", "Processing"]


class JobStatus(StrEnum):
    """``TrainingJobStatus`` and ``ProcessingJobStatus`` share these values."""

    IN_PROGRESS = "InProgress"
    STOPPING = "Stopping"
    COMPLETED = "Completed"
    FAILED = "Failed"
    STOPPED = "Stopped"


FINAL = frozenset({JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.STOPPED})

_SECONDARY_MESSAGES = {
    "Starting": "Starting the training job",
    "Downloading": "Downloading input data",
    "Training": "Training image is running",
    "Uploading": "Uploading generated training model",
    "Interrupted": "Spot instances were taken away: the job goes on from its checkpoint",
    "MaxWaitTimeExceeded": "Training job exceeded MaxWaitTimeInSeconds",
    "Stopping": "Stopping the training job",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job exceeded MaxRuntimeInSeconds",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
}


@dataclass
class Job:
    """One job. Its worker thread writes it; API calls read it and may ask it to stop.

    Attributes
    ----------
    created
        Seconds since the epoch, like every time here.
    stop_requested, interrupt_requested
        Set by Stop, and by taking spot instances away; the runner ends the processes when it sees it.
    """

    kind: Kind
    name: str
    arn: str
    request: Mapping[str, Any]
    created: float
    clock: Callable[[], float]
    status: JobStatus = JobStatus.IN_PROGRESS
    secondary: str = ""
    transitions: list[dict[str, Any]] = field(default_factory=list)
    started: float | None = None
    ended: float | None = None
    modified: float = 0.0
    failure_reason: str = ""
    exit_message: str = ""
    model_uri: str = ""
    metrics: list[dict[str, Any]] = field(default_factory=list)
    interrupt_requested: threading.Event = field(default_factory=threading.Event)
    stop_requested: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self.modified = self.created
        self.move("Starting")

    @property
    def max_runtime(self) -> float:
        """Seconds the program may run; a day unless the request says otherwise, as on AWS."""
        return float(self.request.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", 86400))

    @property
    def max_wait(self) -> float:
        """Seconds from its creation in which a job on spot instances must be over."""
        return float(self.request.get("StoppingCondition", {}).get("MaxWaitTimeInSeconds", float("inf")))

    @property
    def instances(self) -> int:
        """Hosts the program runs on; a processing job has one here, however many it asks for."""
        return int(self.request.get("ResourceConfig", {}).get("InstanceCount", 1))

    def move(self, secondary: str, message: str = "") -> None:
        """Enter a secondary status and note when."""
        with self._lock:
            now = self.clock()
            if self.transitions:
                self.transitions[-1]["EndTime"] = now
            self.transitions.append(
                {
                    "Status": secondary,
                    "StartTime": now,
                    "StatusMessage": message or _SECONDARY_MESSAGES.get(secondary, secondary),
                }
            )
            self.secondary = secondary
            self.modified = now

    def begin(self) -> None:
        """Note that the program runs from now on."""
        with self._lock:
            self.started = self.started or self.clock()
            self.move("Training")

    def ask_to_stop(self) -> None:
        """Stop the job at the next opportunity; no effect on one that has ended."""
        with self._lock:
            if self.status is not JobStatus.IN_PROGRESS:
                return
            self.status = JobStatus.STOPPING
            self.move("Stopping")
        self.stop_requested.set()

    def interrupt(self) -> None:
        """Take the spot instances of a running program away; refused for a job that has none."""
        with self._lock:
            if not self.request.get("EnableManagedSpotTraining"):
                raise ServiceError("ValidationException", f"{self.name} does not run on spot instances")
            if self.status is not JobStatus.IN_PROGRESS or self.secondary != "Training":
                raise ServiceError("ValidationException", f"{self.name} is not training but in {self.secondary}")
        self.interrupt_requested.set()

    def finish(self, status: JobStatus, *, secondary: str = "", reason: str = "") -> None:
        """End the job, once."""
        with self._lock:
            if self.status in FINAL:
                return
            self.failure_reason = reason[:1024]
            self.move(secondary or status.value, self.failure_reason)
            self.ended = self.transitions[-1]["EndTime"] = self.clock()
            self.status = status
        self.done.set()

    def describe(self) -> dict[str, Any]:
        """Every field a Describe answer may draw on; times in seconds since the epoch."""
        with self._lock:
            described: dict[str, Any] = {
                **self.request,
                f"{self.kind}JobName": self.name,
                f"{self.kind}JobArn": self.arn,
                f"{self.kind}JobStatus": self.status.value,
                "CreationTime": self.created,
                "LastModifiedTime": self.modified,
                f"{self.kind}StartTime": self.started,
                f"{self.kind}EndTime": self.ended,
                "FailureReason": self.failure_reason or None,
            }
            if self.kind == "Training":
                described |= {
                    "SecondaryStatus": self.secondary,
                    "SecondaryStatusTransitions": [dict(item) for item in self.transitions],
                    "ModelArtifacts": {"S3ModelArtifacts": self.model_uri},
                    "FinalMetricDataList": list(self.metrics) or None,
                }
                if self.started is not None and self.ended is not None:
                    seconds = max(1, round(self.ended - self.started))
                    described |= {"TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": seconds}
            else:
                described["ExitMessage"] = self.exit_message or None
            return described
