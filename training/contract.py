"""SageMaker's contract with a container: where inputs lie, where outputs go, how to say what failed.

The same program runs in SageMaker and as a local subprocess. The only difference is the root under
which the folders lie, so every path is built here and the environment is read nowhere else.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["FAILURE_CHARACTERS", "Contract", "ProgramError"]

# SageMaker shows the first 1024 characters of the failure file; what is longer is lost without notice.
FAILURE_CHARACTERS = 1024


class ProgramError(Exception):
    """Something in the data, the parameters or the algorithm that a person has to act on.

    The message is one or two sentences: what is wrong, with its name and count, and what to do.
    """


@dataclass(frozen=True, slots=True)
class Contract:
    """The folders of one job.

    Attributes
    ----------
    root : Path
        `/opt/ml` in SageMaker; a staging folder in the local cloud.
    job_name : str
        Name of the training job as SageMaker announces it; empty when nothing announces one.
    cpus : int
        Processors that this process may use.
    """

    root: Path
    job_name: str = ""
    cpus: int = 1

    @classmethod
    def from_env(cls, environment: Mapping[str, str] | None = None) -> "Contract":
        """Read the job's surroundings, once.

        Parameters
        ----------
        environment : Mapping[str, str], optional
            Variables to read instead of the process's own. `ML_ROOT` (default `/opt/ml`) is the root,
            `TRAINING_JOB_NAME` is set by SageMaker in training containers.
        """
        variables = os.environ if environment is None else environment
        return cls(
            root=Path(variables.get("ML_ROOT") or "/opt/ml"),
            job_name=variables.get("TRAINING_JOB_NAME", ""),
            cpus=os.process_cpu_count() or 1,
        )

    @property
    def hyperparameters(self) -> Path:
        return self.root / "input" / "config" / "hyperparameters.json"

    @property
    def model(self) -> Path:
        """What lies here becomes model.tar.gz."""
        return self.root / "model"

    @property
    def resources(self) -> Path:
        """Where SageMaker tells a processing job the names of its machines."""
        return self.root / "config" / "resourceconfig.json"

    @property
    def training_resources(self) -> Path:
        """Where SageMaker tells a training job the same."""
        return self.root / "input" / "config" / "resourceconfig.json"

    @property
    def checkpoints(self) -> Path:
        """Kept in S3 while a training job runs, and there again when it is started anew."""
        return self.root / "checkpoints"

    @property
    def failure(self) -> Path:
        """Where a training job leaves its reason."""
        return self.root / "output" / "failure"

    @property
    def written(self) -> tuple[Path, ...]:
        """The folders that a job of either kind writes to."""
        return self.model, self.root / "output", self.checkpoints, self.root / "processing" / "output"

    @property
    def given(self) -> tuple[Path, ...]:
        """The folders that a job of either kind reads from."""
        return self.root / "input", self.root / "config", self.root / "processing" / "input"

    def surroundings(self) -> dict[str, str]:
        """The environment of a process that is to do a share of the same job."""
        return {**os.environ, "ML_ROOT": str(self.root), "TRAINING_JOB_NAME": self.job_name}

    def channel(self, name: str) -> Path:
        """Folder of a training job's input channel."""
        return self.root / "input" / "data" / name

    def processing_input(self, name: str) -> Path:
        """Folder of a processing job's input; absent if the job has no such input."""
        return self.root / "processing" / "input" / name

    def processing_output(self, name: str) -> Path:
        return self.root / "processing" / "output" / name

    def read_hyperparameters(self) -> dict[str, str]:
        """Read the training job's hyperparameters; SageMaker passes every value as a string.

        Raises
        ------
        ProgramError
            The file is not a JSON object of strings. An absent file is an empty set of parameters.
        """
        if not self.hyperparameters.is_file():
            return {}
        try:
            document = json.loads(self.hyperparameters.read_bytes())
        except ValueError as error:
            raise ProgramError(
                f"{self.hyperparameters} is not valid JSON ({error}); write one object of strings."
            ) from error
        if not isinstance(document, dict):
            raise ProgramError(f"{self.hyperparameters} must hold one JSON object of strings.")
        wrong = sorted(name for name, value in document.items() if not isinstance(value, str))
        if wrong:
            raise ProgramError(
                f"Hyperparameter {wrong[0]!r} is not a string; SageMaker passes all values as strings, "
                f'so write for instance {{"{wrong[0]}": "{document[wrong[0]]}"}}.'
            )
        return document

    def write_failure(self, reason: str, *, processing: bool) -> Path:
        """Leave the reason where SageMaker looks for it, cut to what it shows.

        Parameters
        ----------
        reason : str
            A sentence for the person who reads the failed job. Whitespace is folded to single blanks.
        processing : bool
            Processing jobs report `/opt/ml/output/message`, training jobs `/opt/ml/output/failure`.
        """
        path = self.root / "output" / ("message" if processing else "failure")
        path.parent.mkdir(parents=True, exist_ok=True)
        text = " ".join(reason.split())
        # ExitMessage is cut at 1 KB of bytes and refused when the cut splits a character.
        encoded = text[:FAILURE_CHARACTERS].encode()[:FAILURE_CHARACTERS]
        path.write_bytes(encoded.decode(errors="ignore").encode())
        return path
