"""What a run is asked for: the input of its execution."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from fraud.hyperparameters import IDENTITY, HyperparameterError, Hyperparameters
from fraud.windows import DAY, duration

__all__ = ["RunInput", "read_input"]

type Share = Annotated[float, Meta(gt=0, lt=0.5)]

# Instances whose disk can lie under our key: SageMaker takes none for those that come with a disk of their own, of
# which the names of these families tell by a "d".
_INSTANCE = r"^ml\.[cmrt][0-9]+[a-ceg-z]*\.[a-z0-9]+$"


class RunInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person or a schedule may say when starting a run; all of it is optional.

    Attributes
    ----------
    as_of : int
        The moment, in ms since the epoch, as of which the run knows the world; its start by default.
    reason : str
        For those who read the list of executions later.
    maturity : str
        The age from which a transaction without a label counts as genuine, such as ``3d``; in place of
        ``data.maturity_days`` of the policy.
    validation_share, evaluation_share : float
        The shares of the rows, the latest ones, that stop and calibrate the model, and that judge it.
    engine : str
        What computes features from history; by default it depends on the size of the lake.
    vectors : str
        Of rows that were decided: the vectors that scored them, or ones computed from history.
    policy : dict
        What is different from the deployment's `fraud.release.RunPolicy`, at any depth.
    parameters : dict
        Hyperparameters: see `fraud.hyperparameters`.
    instances : int
        Machines of the training job.
    instance_type : str
        What each of them is.
    spot : bool
        Train on spot machines: cheaper, and the job may be interrupted and go on from its last checkpoint.
    """

    as_of: Annotated[int, Meta(gt=0)] | None = None
    reason: Annotated[str, Meta(max_length=500)] = ""
    maturity: Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,3}[smhd]$")] | None = None
    validation_share: Share | None = None
    evaluation_share: Share | None = None
    engine: Literal["auto", "vectorised", "spark"] = "auto"
    vectors: Literal["as_served", "as_corrected"] = "as_served"
    policy: dict[str, Any] = {}
    parameters: dict[str, str | int | float] = {}
    instances: Annotated[int, Meta(ge=1, le=16)] = 1
    instance_type: Annotated[str, Meta(pattern=_INSTANCE)] = "ml.m5.xlarge"
    spot: bool = False

    def changes(self) -> dict[str, Any]:
        """What is different from the deployment's policy, with the maturity, which every step reads there."""
        if self.maturity is None:
            return self.policy
        days = duration(self.maturity) / DAY
        data = self.policy.get("data", {})
        return {**self.policy, "data": {**data, "maturity_days": days}} if isinstance(data, dict) else self.policy

    def dataset_options(self) -> list[str]:
        """The options of the dataset step that were given."""
        names = ("validation_share", "evaluation_share")
        given = [(name, getattr(self, name)) for name in names]
        return [
            word
            for name, value in given
            if value is not None
            for word in (f"--{name.replace('_', '-')}", str(value))
        ]


def read_input(document: dict[str, Any] | None) -> RunInput:
    """Read an execution's input.

    Raises
    ------
    ValueError
        If it holds something unknown or impossible; the message names the field.
    """
    try:
        asked = msgspec.convert(document or {}, RunInput)
    except msgspec.ValidationError as error:
        fields = ", ".join(RunInput.__struct_fields__)
        raise ValueError(f"the execution's input: {error}; it may hold {fields}") from None
    named = sorted(asked.parameters.keys() & set(IDENTITY))
    if named:
        raise ValueError(f"the execution's input: parameters.{named[0]}: the run itself says it; remove it")
    try:
        Hyperparameters.parse({name: str(value) for name, value in asked.parameters.items()})
    except HyperparameterError as error:
        raise ValueError(f"the execution's input: parameters: {error}") from None
    return asked
