"""Run the container program as SageMaker does: a process, a root folder, an exit code and files."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

from training.__main__ import main
from training.contract import Contract

REPOSITORY = Path(__file__).parents[3]

# Spark's Java ends before what its optimising compiler does for half of the time could be of use.
JAVA = {"JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"}


@dataclass(frozen=True)
class Finished:
    code: int
    out: str
    err: str


def start(root: Path, *arguments: str) -> subprocess.Popen[str]:
    paths = [str(REPOSITORY), str(REPOSITORY / "layers" / "fraud" / "python")]
    environment = {**os.environ, **JAVA, "ML_ROOT": str(root), "PYTHONPATH": os.pathsep.join(paths)}
    environment.pop("TRAINING_JOB_NAME", None)
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "training", *arguments],
        env=environment,
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(root: Path, *arguments: str) -> Finished:
    with start(root, *arguments) as process:
        try:
            out, err = process.communicate(timeout=240)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    return Finished(process.returncode, out, err)


def succeeds(root: Path, *arguments: str) -> None:
    """Run the program inside this process, which saves seconds."""
    assert main(arguments, Contract(root, cpus=1)) == 0


def fails(root: Path, *arguments: str) -> str:
    """The same for one that fails; the reason that it left for SageMaker."""
    assert main(arguments, Contract(root, cpus=1)) == 1
    return (root / "output" / ("failure" if arguments[0] == "train" else "message")).read_text()


def stage_training(root: Path, dataset: Path, hyperparameters: dict[str, object]) -> Path:
    for channel in ("about", "train", "validation"):
        shutil.copytree(dataset / channel, root / "input" / "data" / channel)
    config = root / "input" / "config" / "hyperparameters.json"
    config.parent.mkdir(parents=True)
    config.write_text(json.dumps(hyperparameters))
    return root


def stage_evaluation(root: Path, dataset: Path, model: Path, champion: Path | None = None) -> Path:
    """Dataset and bundles as processing inputs; the candidate as the archive that SageMaker makes of it."""
    inputs = root / "processing" / "input"
    shutil.copytree(dataset, inputs / "dataset")
    (inputs / "model").mkdir()
    with tarfile.open(inputs / "model" / "model.tar.gz", "w:gz") as archive:
        for path in sorted(model.iterdir()):
            archive.add(path, path.name)
    if champion is not None:
        shutil.copytree(champion, inputs / "champion")
    return root
