"""What a look at the lake is asked for: plan.json, which `plan_training` writes."""

import msgspec

from fraud.monitoring import MonitoringPolicy
from fraud.release import RunPolicy
from training.contract import Contract, ProgramError

__all__ = ["MonitoringPlan", "read_monitoring_plan"]

_DAY = 86_400_000


class MonitoringPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A look's plan.

    Attributes
    ----------
    as_of : int
        Milliseconds, UTC; nothing that was recorded later has any influence.
    since : int
        Milliseconds: what was recorded earlier need not have been read; 0 where all was.
    champion : str
        The model that serves; empty before the first one.
    policy : RunPolicy
        Of it, when labels are mature and which of them count.
    """

    run_id: str
    as_of: int
    since: int = 0
    champion: str = ""
    policy: RunPolicy = RunPolicy()
    monitoring: MonitoringPolicy = MonitoringPolicy()

    @property
    def window(self) -> tuple[int, int]:
        """Milliseconds: what was recorded after the first and up to the second."""
        return self.as_of - round(self.monitoring.days * _DAY), self.as_of

    @property
    def window_before(self) -> tuple[int, int]:
        """The same for as long before that."""
        begin = self.window[0]
        return begin - round(self.monitoring.days * _DAY), begin

    @property
    def labelled_from(self) -> int:
        """Decisions recorded after this moment (ms) are looked up among the labels."""
        return self.as_of - self.policy.data.maturity - round(self.monitoring.labelled_days * _DAY)


def read_monitoring_plan(contract: Contract) -> MonitoringPlan:
    """Read the input `plan`.

    Raises
    ------
    ProgramError
        It is absent, or not one that `plan_training` writes.
    """
    path = contract.processing_input("plan") / "plan.json"
    if not path.is_file():
        raise ProgramError(f"There is no {path}; start a monitoring run, which plans it: paywarden monitor.")
    try:
        return msgspec.json.decode(path.read_bytes(), type=MonitoringPlan)
    except msgspec.DecodeError as error:
        raise ProgramError(f"{path} is not usable ({error}); start another run, which plans it anew.") from error
