"""Take a job from its request to its end: stage, run, bring home."""

import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ops.localcloud import staging
from ops.localcloud.checkpoints import Checkpoints
from ops.localcloud.errors import JobFailedError, ServiceError
from ops.localcloud.hosts import Ending, Host, Orders, host_names, run_hosts
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
        Each job works in ``<folder>/<job name>``: ``ml`` stands for /opt/ml, ``log.txt`` keeps its
        lines; further hosts have ``ml-2``, ``log-2.txt`` and so on.
    environment
        What every program gets: PATH and endpoint of the local cloud.
    credentials
        The environment variables with which a job acts in its role.
    clients
        Makes a job's S3 and CloudWatch Logs clients of its credentials (clients are not made at import).
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
    credentials: Callable[[Job], Mapping[str, str]]
    clients: "Callable[[Mapping[str, str]], tuple[S3Client, LogService]]"
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
        except ServiceError as error:
            job.finish(JobStatus.FAILED, reason=f"ClientError: {error.message}")
        except Exception as error:
            job.finish(JobStatus.FAILED, reason=f"InternalServerError: {type(error).__name__}: {error}")
        if job.status is JobStatus.COMPLETED:
            for root in self._roots(job, work):
                shutil.rmtree(root, ignore_errors=True)

    def _roots(self, job: Job, work: Path) -> list[Path]:
        return [work / ("ml" if number == 1 else f"ml-{number}") for number in range(1, job.instances + 1)]

    def _run(self, job: Job, work: Path) -> None:
        roots = self._roots(job, work)
        credentials = self.credentials(job)
        s3, logs = self.clients(credentials)
        checkpoints = Checkpoints(s3, job.request, roots)
        left = job.max_runtime
        while True:
            if job.stop_requested.is_set() or self.kill.is_set():
                job.finish(JobStatus.STOPPED)
                return
            self._stage(job, s3, roots)
            checkpoints.restore()
            began = self.monotonic()
            ending = self._train(job, work, roots, credentials, logs, checkpoints, left)
            left -= self.monotonic() - began
            if ending.cause != "interrupted":
                break
            # Another instance: nothing of the one before is left but the checkpoint.
            job.move("Interrupted")
            job.interrupt_requested.clear()
            for root in roots:
                shutil.rmtree(root, ignore_errors=True)
            job.move("Starting")
        self._conclude(job, roots, ending, s3)

    def _stage(self, job: Job, s3: "S3Client", roots: Sequence[Path]) -> None:
        job.move("Downloading")
        names = host_names(len(roots))
        for position, root in enumerate(roots):
            root.mkdir(parents=True, exist_ok=True)
            if job.kind == "Training":
                staging.stage_training(s3, job.request, root, names, position)
            else:
                staging.stage_processing(s3, job.request, root)

    def _train(
        self,
        job: Job,
        work: Path,
        roots: Sequence[Path],
        credentials: Mapping[str, str],
        logs: LogService,
        checkpoints: Checkpoints,
        seconds: float,
    ) -> Ending:
        image, command = command_of(job, self.images)
        metrics = Metrics(job.request.get("AlgorithmSpecification", {}).get("MetricDefinitions", []))
        logs_of = [
            JobLog(
                logs,
                group=f"/aws/sagemaker/{job.kind}Jobs",
                stream=f"{job.name}/algo-{number}-{int(self.clock())}",
                path=work / ("log.txt" if number == 1 else f"log-{number}.txt"),
                clock=self.clock,
            )
            for number in range(1, len(roots) + 1)
        ]

        def reader(log: JobLog) -> Callable[[str], None]:
            def on_line(line: str) -> None:
                metrics.read(line, self.clock())
                log.write(line)

            return on_line

        hosts = [
            Host(
                name=name,
                root=root,
                environment={**self._environment(job, image, work, root), **credentials},
                on_line=reader(log),
            )
            for name, root, log in zip(host_names(len(roots)), roots, logs_of, strict=True)
        ]
        orders = Orders(
            stop=job.stop_requested,
            interrupt=job.interrupt_requested,
            kill=self.kill,
            max_runtime=seconds,
            max_wait=job.max_wait - (self.clock() - job.created),
            grace=self.grace,
        )
        job.begin()
        try:
            ending = run_hosts(command, hosts, orders, clock=self.monotonic, meanwhile=checkpoints.save)
            checkpoints.save()
        except OSError as error:
            raise JobFailedError(f"ClientError: cannot start {command[0]}: {error}") from error
        finally:
            for log in logs_of:
                log.close()
        job.metrics = metrics.final()
        return ending

    def _environment(self, job: Job, image: Image, work: Path, root: Path) -> dict[str, str]:
        temporary = work / root.name.replace("ml", "tmp")
        temporary.mkdir(exist_ok=True)
        return {
            **self.environment,
            "PYTHONPATH": ":".join(image.python_path),
            "PYTHONUNBUFFERED": "1",
            "HOME": str(work),
            "TMPDIR": str(temporary),
            "ML_ROOT": str(root),
            f"{job.kind.upper()}_JOB_NAME": job.name,
            f"{job.kind.upper()}_JOB_ARN": job.arn,
            **job.request.get("Environment", {}),
        }

    def _conclude(self, job: Job, roots: Sequence[Path], ending: Ending, s3: "S3Client") -> None:
        # The first host speaks for all; only a failure is told by the host that failed.
        root = roots[0]
        job.exit_message = staging.read_reason(root / "output" / "message")
        if self.kill.is_set():
            job.finish(JobStatus.STOPPED, reason="The local cloud was shut down.")
        elif ending.exit_code != 0:
            reason = _reason(roots[ending.host], ending.exit_code)
            several = f" (host {host_names(len(roots))[ending.host]})" if len(roots) > 1 else ""
            job.finish(JobStatus.FAILED, reason=reason + several)
        elif job.kind == "Training":
            # A stopped training job keeps the model it had saved, as on AWS.
            job.move("Uploading")
            job.model_uri = staging.pack_model(s3, root, job.request["OutputDataConfig"]["S3OutputPath"], job.name)
            self._finish(job, ending)
        else:
            if ending.cause == "exit":
                staging.upload_outputs(s3, job.request, root)
            self._finish(job, ending)

    def _finish(self, job: Job, ending: Ending) -> None:
        match ending.cause:
            case "exit":
                job.finish(JobStatus.COMPLETED)
            case "stopped":
                job.finish(JobStatus.STOPPED)
            case "max_runtime":
                limit = f"the job ran longer than MaxRuntimeInSeconds ({job.max_runtime:.0f})"
                job.finish(JobStatus.STOPPED, secondary="MaxRuntimeExceeded", reason=limit)
            case "max_wait":
                limit = f"the job was not over within MaxWaitTimeInSeconds ({job.max_wait:.0f})"
                job.finish(JobStatus.STOPPED, secondary="MaxWaitTimeExceeded", reason=limit)
            case "interrupted":
                raise AssertionError("an interrupted job goes on")


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
