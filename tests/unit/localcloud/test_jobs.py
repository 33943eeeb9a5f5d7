"""The record of a job, the program's environment, metrics and the command line."""

import threading
from pathlib import Path
from typing import Any

import pytest

from ops.localcloud.errors import LocalCloudError, ServiceError
from ops.localcloud.images import TRAINING_IMAGE, default_images, read_images
from ops.localcloud.joblogs import Metrics
from ops.localcloud.jobs import Job, JobStatus
from ops.localcloud.process import run
from ops.localcloud.worker import command_of


def job(**request: Any) -> Job:
    return Job(kind="Training", name="j", arn="arn", request=request, created=5.0, clock=lambda: 7.0)


def test_job_that_ended_stays_as_it_ended() -> None:
    done = job()
    done.finish(JobStatus.FAILED, reason="first")
    done.ask_to_stop()
    done.finish(JobStatus.STOPPED)
    assert (done.status, done.failure_reason, done.done.is_set()) == (JobStatus.FAILED, "first", True)
    assert not done.stop_requested.is_set()


def test_transitions_follow_each_other_without_a_gap() -> None:
    seen = job()
    seen.begin()
    seen.finish(JobStatus.COMPLETED)
    transitions = seen.describe()["SecondaryStatusTransitions"]
    assert [item["Status"] for item in transitions] == ["Starting", "Training", "Completed"]
    assert all(item["EndTime"] == 7.0 for item in transitions)


def test_last_value_of_each_metric_wins() -> None:
    metrics = Metrics([{"Name": "auc", "Regex": r"auc=(\S+)"}, {"Name": "loss", "Regex": r"loss=(\d+)"}])
    for number, line in enumerate(["auc=0.5 loss=9", "auc=0.75", "auc=oops", "nothing"]):
        metrics.read(line, float(number))
    assert [(item["MetricName"], item["Value"], item["Timestamp"]) for item in metrics.final()] == [
        ("auc", 0.75, 1.0),
        ("loss", 9.0, 0.0),
    ]


def test_training_image_runs_the_working_copy(tmp_path: Path) -> None:
    images = default_images(tmp_path)
    image, command = command_of(job(AlgorithmSpecification={"TrainingImage": TRAINING_IMAGE}), images)
    assert command[1:] == ["-m", "training", "train"]
    assert image.python_path[0] == str(tmp_path)
    given = {"TrainingImage": TRAINING_IMAGE, "ContainerArguments": ["train", "--rounds", "3"]}
    assert command_of(job(AlgorithmSpecification=given), images)[1][3:] == ["train", "--rounds", "3"]


def test_any_other_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match=f"no program for the image 'xgboost:1'; it knows: {TRAINING_IMAGE}"):
        default_images(tmp_path).find("xgboost:1")


def test_image_file_with_a_misspelt_field_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "images.json"
    path.write_text('{"a": {"entrypoint": ["x"], "pythonpath": []}}')
    with pytest.raises(LocalCloudError, match="pythonpath"):
        read_images(path)


def test_program_gets_its_environment_and_nothing_else(tmp_path: Path) -> None:
    lines: list[str] = []
    code = run(
        ["/usr/bin/env"],
        cwd=tmp_path,
        environment={"ONLY": "this"},
        stop=threading.Event(),
        kill=threading.Event(),
        on_line=lines.append,
        clock=lambda: 0.0,
    )
    assert (code, lines) == (0, ["ONLY=this"])
