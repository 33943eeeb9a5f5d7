"""Take a job from its request to its end: stage, run, bring home."""

import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ops.localcloud import process, staging
from ops.localcloud.errors import JobFailedError, ServiceError
from ops.localcloud.images import Image, Images
from ops.localcloud.joblogs import JobLog, LogService, Metrics
from ops.localcloud.jobs import Job, JobStatus

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

__all__ = ["Worker", "command_of"]


@dataclass(frozen=True, kw_only=True)
class Worker:
    """Runs jobs one after the other on the calling thread.

    Attributes
    ----------
    folder
        Each job works in ``<folder>/<job name>``: ``ml`` stands for /opt/ml, ``log.txt`` keeps its lines.
    environment
        What every program gets: PATH, credentials and endpoint of the local cloud.
    clients
        Makes the S3 and CloudWatch Logs clients of a job (clients are not made at import).
    kill
        Set when the server goes down: programs end without grace.
    clock, monotonic
        Seconds since the epoch; seconds for measuring a run.
    grace
        Seconds a program has between SIGTERM and SIGKILL.
    """

    folder: Path
    images: Images
    environment: Mapping[str, str]
    clients: "Callable[[], tuple[S3Client, LogService]]"
    kill: threading.Event
    clock: Callable[[], float]
    monotonic: Callable[[], float]
    grace: float = 120.0

    def run(self, job: Job) -> None:
        """Run `job` to one of its final statuses; never raises."""
        work = self.folder / job.name
        try:
            self._run(job, work)
        except JobFailedError as error:
            job.finish(JobStatus.FAILED, reason=str(error))
        except Exception as error:
            job.finish(JobStatus.FAILED, reason=f"InternalServerError: {type(error).__name__}: {error}")
        if job.status is JobStatus.COMPLETED:
            shutil.rmtree(work / "ml", ignore_errors=True)

    def _run(self, job: Job, work: Path) -> None:
        if job.stop_requested.is_set() or self.kill.is_set():
            job.finish(JobStatus.STOPPED)
            return
        root = work / "ml"
        for name in ("ml", "tmp"):
            (work / name).mkdir(parents=True, exist_ok=True)
        s3, logs = self.clients()
        image, command = command_of(job, self.images)
        job.move("Downloading")
        try:
            stage = staging.stage_training if job.kind == "Training" else staging.stage_processing
            stage(s3, job.request, root)
        except ServiceError as error:
            raise JobFailedError(f"ClientError: {error.message}") from error
        metrics = Metrics(job.request.get("AlgorithmSpecification", {}).get("MetricDefinitions", []))
        log = JobLog(
            logs,
            group=f"/aws/sagemaker/{job.kind}Jobs",
            stream=f"{job.name}/algo-1-{int(self.clock())}",
            path=work / "log.txt",
            clock=self.clock,
        )

        def on_line(line: str) -> None:
            metrics.read(line, self.clock())
            log.write(line)

        job.begin()
        try:
            ending = process.run(
                command,
                cwd=root,
                environment=self._environment(job, image, work),
                max_runtime=job.max_runtime,
                stop=job.stop_requested,
                kill=self.kill,
                on_line=on_line,
                clock=self.monotonic,
                grace=self.grace,
            )
        except OSError as error:
            raise JobFailedError(f"ClientError: cannot start {command[0]}: {error}") from error
        finally:
            log.close()
        job.metrics = metrics.final()
        self._conclude(job, root, ending, s3)

    def _environment(self, job: Job, image: Image, work: Path) -> dict[str, str]:
        return {
            **self.environment,
            "PYTHONPATH": ":".join(image.python_path),
            "PYTHONUNBUFFERED": "1",
            "HOME": str(work),
            "TMPDIR": str(work / "tmp"),
            "ML_ROOT": str(work / "ml"),
            f"{job.kind.upper()}_JOB_NAME": job.name,
            f"{job.kind.upper()}_JOB_ARN": job.arn,
            **job.request.get("Environment", {}),
        }

    def _conclude(self, job: Job, root: Path, ending: process.Ending, s3: "S3Client") -> None:
        job.exit_message = staging.read_reason(root / "output" / "message")
        failed = ending.cause == "exit" and ending.exit_code != 0
        if self.kill.is_set():
            job.finish(JobStatus.STOPPED, reason="The local cloud was shut down.")
        elif failed:
            job.finish(JobStatus.FAILED, reason=_reason(root, ending.exit_code))
        elif job.kind == "Training":
            # A stopped training job keeps the model it had saved, as on AWS.
            job.move("Uploading")
            job.model_uri = staging.pack_model(s3, root, job.request["OutputDataConfig"]["S3OutputPath"], job.name)
            self._finish(job, ending)
        else:
            if ending.cause == "exit":
                staging.upload_outputs(s3, job.request, root)
            self._finish(job, ending)

    def _finish(self, job: Job, ending: process.Ending) -> None:
        match ending.cause:
            case "exit":
                job.finish(JobStatus.COMPLETED)
            case "stopped":
                job.finish(JobStatus.STOPPED)
            case "max_runtime":
                limit = f"the job ran longer than MaxRuntimeInSeconds ({job.max_runtime:.0f})"
                job.finish(JobStatus.STOPPED, secondary="MaxRuntimeExceeded", reason=limit)


def _reason(root: Path, exit_code: int) -> str:
    said = staging.read_reason(root / "output" / "failure")
    if said:
        return f"AlgorithmError: {said}, exit code: {exit_code}"
    return f"AlgorithmError: See job logs for more information, exit code: {exit_code}"


def command_of(job: Job, images: Images) -> tuple[Image, Sequence[str]]:
    """The command line of a job: the image's entry point (or the job's) and the arguments."""
    specification = job.request["AlgorithmSpecification" if job.kind == "Training" else "AppSpecification"]
    image = images.find(specification["TrainingImage" if job.kind == "Training" else "ImageUri"])
    entrypoint = specification.get("ContainerEntrypoint") or image.entrypoint
    # SageMaker starts a training container with the one argument "train", a processing one with none.
    default = ["train"] if job.kind == "Training" and "ContainerEntrypoint" not in specification else []
    return image, [*entrypoint, *specification.get("ContainerArguments", default)]
