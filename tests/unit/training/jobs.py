"""Run the container program as SageMaker does: a process, a root folder, an exit code and files."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]


@dataclass(frozen=True)
class Finished:
    code: int
    out: str
    err: str


def run(root: Path, *arguments: str) -> Finished:
    paths = [str(REPOSITORY), str(REPOSITORY / "layers" / "fraud" / "python")]
    environment = {**os.environ, "ML_ROOT": str(root), "PYTHONPATH": os.pathsep.join(paths)}
    environment.pop("TRAINING_JOB_NAME", None)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "training", *arguments],
        env=environment,
        cwd=root,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    return Finished(done.returncode, done.stdout, done.stderr)


def stage_training(root: Path, dataset: Path, hyperparameters: dict[str, object]) -> Path:
    shutil.copytree(dataset, root / "input" / "data" / "dataset")
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
