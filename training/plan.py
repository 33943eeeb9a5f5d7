"""What a step needs of the run's plan, which every processing job gets as its input `plan`."""

from pathlib import Path

import msgspec

from fraud.policy import Policy
from fraud.release import RunPolicy
from training.contract import Contract, ProgramError

__all__ = ["Plan", "read_plan"]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The bounds of a run, and how payments are decided; plan.json says more.

    Attributes
    ----------
    payment_policy : Policy or None
        What turned scores into actions when the run began; None where the plan does not say.
    """

    policy: RunPolicy = RunPolicy()
    payment_policy: Policy | None = None


def read_plan(contract: Contract) -> Plan:
    """Read the plan; without that input, the defaults.

    Raises
    ------
    ProgramError
        It is not one that `plan_training` writes.
    """
    path: Path = contract.processing_input("plan") / "plan.json"
    if not path.is_file():
        return Plan()
    try:
        return msgspec.json.decode(path.read_bytes(), type=Plan)
    except msgspec.DecodeError as error:
        raise ProgramError(f"{path} is not usable ({error}); start the run again, which plans it anew.") from error
