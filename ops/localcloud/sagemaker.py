"""A SageMaker control plane for jobs and the model registry, spoken in the API's own protocol."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ops.localcloud.checks import check_locally
from ops.localcloud.errors import ServiceError
from ops.localcloud.images import Images
from ops.localcloud.jobs import FINAL, Job, JobStatus, Kind
from ops.localcloud.paging import page
from ops.localcloud.registry import ModelRegistry, Publish
from ops.localcloud.settings import INTERRUPT_TAG
from ops.localcloud.validation import operation_names, project, validate
from ops.localcloud.worker import Worker, command_of

__all__ = ["TARGET_PREFIX", "SageMaker"]

TARGET_PREFIX = "SageMaker"

type Operation = Callable[[dict[str, Any]], Mapping[str, Any]]

_KINDS: tuple[Kind, ...] = ("Training", "Processing")


class SageMaker:
    """Training and processing jobs and the model registry of one server.

    Parameters
    ----------
    worker
        Runs the jobs.
    images
        The images that exist here.
    account, region
        Part of every ARN.
    parallel
        Jobs that run at once; the others wait in status ``Starting``.
    publish
        Puts the events of the service on the default bus.
    clock
        Seconds since the epoch.
    """

    def __init__(
        self,
        worker: Worker,
        images: Images,
        *,
        account: str,
        region: str,
        parallel: int,
        publish: Publish,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._worker, self._images, self._clock = worker, images, clock
        self._arn = f"arn:aws:sagemaker:{region}:{account}"
        self._jobs: dict[tuple[Kind, str], Job] = {}
        self._tags: dict[str, dict[str, str]] = {}
        self.registry = ModelRegistry(self._arn, clock=clock, publish=publish)
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(max_workers=parallel, thread_name_prefix="sagemaker-job")
        self._operations: dict[str, Operation] = {
            "AddTags": self._add_tags,
            "ListTags": self._list_tags,
            **self.registry.operations(),
        }
        for kind in _KINDS:
            self._operations |= self._job_operations(kind)

    def _job_operations(self, kind: Kind) -> dict[str, Operation]:
        name = f"{kind}JobName"
        return {
            f"Create{kind}Job": lambda request: self._create(kind, request),
            f"Describe{kind}Job": lambda request: self.describe(kind, request[name]),
            f"List{kind}Jobs": lambda request: self._list(kind, request),
            f"Stop{kind}Job": lambda request: self.stop(kind, request[name]),
        }

    # -- protocol ---------------------------------------------------------------------------------

    async def handle_request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | str, query: object
    ) -> tuple[int, dict[str, str], bytes]:
        """Answer one request of the JSON 1.1 protocol."""
        del method, path, query
        operation = headers.get("x-amz-target", "").removeprefix(f"{TARGET_PREFIX}.")
        kind = {"Content-Type": "application/x-amz-json-1.1"}
        try:
            try:
                request = json.loads(body or b"{}")
            except ValueError as error:
                raise ServiceError("SerializationException", f"the body is not JSON: {error}") from error
            answer = self.call(operation, request)
        except ServiceError as error:
            refusal = {"__type": error.code, "message": error.message}
            return error.status, kind | {"x-amzn-errortype": error.code}, json.dumps(refusal).encode()
        return 200, kind, json.dumps(answer).encode()

    def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """Validate and carry out one operation; a refusal is a `ServiceError`."""
        handler = self._operations.get(operation)
        if handler is None:
            if operation in operation_names():
                known = ", ".join(sorted(self._operations))
                raise ServiceError(
                    "UnsupportedOperation", f"The local SageMaker does not have {operation}; it has: {known}", 501
                )
            raise ServiceError("UnknownOperationException", f"SageMaker has no operation '{operation}'", 404)
        validate(operation, request)
        tags = request.get("Tags", [])
        answer = handler(request)
        if operation == "CreateModelPackageGroup":
            self._tags[answer["ModelPackageGroupArn"]] = {tag["Key"]: tag["Value"] for tag in tags}
        return project(operation, answer)

    def close(self) -> None:
        """End every program and wait until it is gone."""
        self._worker.kill.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    # -- jobs -------------------------------------------------------------------------------------

    def job(self, kind: Kind, name: str) -> Job:
        """The job `name`, or the refusal AWS gives for one it does not know."""
        with self._lock:
            job = self._jobs.get((kind, name))
        if job is None:
            raise ServiceError("ValidationException", "Requested resource not found.")
        return job

    def describe(self, kind: Kind, name: str) -> dict[str, Any]:
        """What Describe answers."""
        return project(f"Describe{kind}Job", self.job(kind, name).describe())

    def stop(self, kind: Kind, name: str) -> dict[str, Any]:
        """Ask a job to stop; refused for one that has ended, as on AWS."""
        job = self.job(kind, name)
        if job.status in FINAL:
            raise ServiceError(
                "ValidationException",
                f"The request was rejected because the {kind.lower()} job is in status {job.status}.",
            )
        job.ask_to_stop()
        return {}

    def _create(self, kind: Kind, request: dict[str, Any]) -> dict[str, Any]:
        name: str = request[f"{kind}JobName"]
        tags = request.pop("Tags", [])
        job = Job(
            kind=kind,
            name=name,
            arn=f"{self._arn}:{kind.lower()}-job/{name}",
            request=request,
            created=self._clock(),
            clock=self._clock,
        )
        check_locally(kind, request)
        command_of(job, self._images)
        with self._lock:
            if (kind, name) in self._jobs:
                raise ServiceError(
                    "ResourceInUse",
                    f"Job name must be unique within an AWS account and region, '{name}' is taken: {job.arn}",
                )
            self._jobs[kind, name] = job
            self._tags[job.arn] = {tag["Key"]: tag["Value"] for tag in tags}
        self._pool.submit(self._worker.run, job)
        return {f"{kind}JobArn": job.arn}

    def _list(self, kind: Kind, request: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            jobs = [job for (of, _), job in self._jobs.items() if of == kind]
        if "StatusEquals" in request:
            jobs = [job for job in jobs if job.status == JobStatus(request["StatusEquals"])]
        if "NameContains" in request:
            jobs = [job for job in jobs if request["NameContains"].lower() in job.name.lower()]
        key: Callable[[Job], Any] = {
            "Name": lambda job: job.name,
            "Status": lambda job: job.status.value,
        }.get(request.get("SortBy", "CreationTime"), lambda job: job.created)
        # AWS's default is by creation time, ascending for training and processing jobs alike.
        jobs.sort(key=key, reverse=request.get("SortOrder", "Ascending") == "Descending")
        part, token = page(jobs, request)
        return {f"{kind}JobSummaries": [_summary(job) for job in part], **token}

    # -- tags -------------------------------------------------------------------------------------

    def _tags_of(self, arn: str) -> dict[str, str]:
        if arn not in self._tags and not self.registry.knows(arn):
            raise ServiceError("ValidationException", "Requested resource not found.")
        return self._tags.setdefault(arn, {})

    def _add_tags(self, request: dict[str, Any]) -> dict[str, Any]:
        if any(tag["Key"] == INTERRUPT_TAG for tag in request["Tags"]):
            self.job("Training", request["ResourceArn"].rpartition("/")[2]).interrupt()
        with self._lock:
            tags = self._tags_of(request["ResourceArn"])
            tags |= {tag["Key"]: tag["Value"] for tag in request["Tags"]}
        return self._list_tags(request)

    def _list_tags(self, request: dict[str, Any]) -> dict[str, Any]:
        tags = self._tags_of(request["ResourceArn"])
        return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}


def _summary(job: Job) -> dict[str, Any]:
    described = job.describe()
    names = ("JobName", "JobArn", "JobStatus", "EndTime")
    wanted = (*(f"{job.kind}{name}" for name in names), "CreationTime", "LastModifiedTime", "SecondaryStatus")
    return {name: described[name] for name in wanted if described.get(name) is not None}
