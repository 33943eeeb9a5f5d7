"""What may differ between two deployments of Paywarden, as immutable values.

This module imports nothing of the CDK, so that the operators' command can read it in milliseconds.
"""

from dataclasses import dataclass, field
from typing import Literal

from fraud.monitoring import MonitoringPolicy
from fraud.release import RunPolicy
from fraud.run_policy import PolicyError, policy_of

__all__ = [
    "Architecture",
    "AuditLock",
    "Budget",
    "Canary",
    "Capabilities",
    "Edge",
    "Environment",
    "Plan",
    "Throttle",
]

Architecture = Literal["arm64", "x86_64"]


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What the target of a deployment can do, beyond what every target does.

    A capability leaves a resource out or swaps its source; it never changes the way of a transaction
    or the way of a model.

    Attributes
    ----------
    container_images : bool
        Can build and pull container images; otherwise jobs run `Environment.training_image` by name.
    usage_plan_by_authorizer : bool
        API Gateway takes the usage identifier from the authorizer (`ApiKeySourceType.AUTHORIZER`).
    snap_start : bool
        Lambda starts copies of a function from a snapshot; otherwise each one initialises itself.
    schedules : bool
        Scheduled retraining makes sense: the target stays up from one week to the next.
    web_acl : bool
        Takes a firewall before the API (WAFv2 and its association).
    code_deploy : bool
        Shifts calls from one version of a function to the next with CodeDeploy; otherwise all at once.
    budgets : bool
        Has AWS Budgets.
    """

    container_images: bool = True
    usage_plan_by_authorizer: bool = True
    snap_start: bool = True
    schedules: bool = True
    web_acl: bool = True
    code_deploy: bool = True
    budgets: bool = True


@dataclass(frozen=True, kw_only=True)
class AuditLock:
    """How long the locked copy of an entry of the audit trail cannot be deleted.

    Attributes
    ----------
    compliance : bool
        By nobody at all, the account's root included; otherwise by those who may bypass governance.
    """

    days: int = 1
    compliance: bool = False


@dataclass(frozen=True, kw_only=True)
class Edge:
    """What stands before the API.

    Attributes
    ----------
    private : bool
        The API is reached through an endpoint in the deployment's own VPC only, where the functions run as well.
    requests_per_address : int
        What one address may send in five minutes before it is blocked; merchants call from few addresses.
    callers : tuple of str
        Of a private API: CIDR blocks of the networks, beside its own, from which it is called.
    """

    private: bool = False
    requests_per_address: int = 300_000
    callers: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Budget:
    """A month's spending, in US dollars: people are told at 80 % of it, when it is passed, and when it will be."""

    dollars: int


@dataclass(frozen=True, kw_only=True)
class Canary:
    """How a new version of a function takes over: a share of the calls first, the rest if no alarm went off.

    Attributes
    ----------
    percent : int
        Of the calls, at first.
    minutes : int
        For which it stays at that; an alarm that goes off within them sends the new version back.

    Raises
    ------
    ValueError
        If no call or every call would go to the new version, or for no time or longer than two days, the longest
        that CodeDeploy waits.
    """

    percent: int = 10
    minutes: int = 5

    def __post_init__(self) -> None:
        if not 0 < self.percent < 100:
            raise ValueError(f"canary.percent: {self.percent} is not between 1 and 99")
        if not 0 < self.minutes <= 2_880:
            raise ValueError(f"canary.minutes: {self.minutes} is not between 1 and 2,880")


@dataclass(frozen=True, kw_only=True)
class Throttle:
    """A token bucket of API Gateway: requests per second, and the size of a burst."""

    rate: int
    burst: int


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A usage plan: what each merchant in it may send, where usage plans go by authorizer.

    Attributes
    ----------
    name : str
        Lower-case letters; part of an output's name, ``UsagePlan<Name>``.
    monthly_quota : int
        Requests per merchant and calendar month.
    """

    name: str
    throttle: Throttle
    monthly_quota: int


@dataclass(frozen=True, kw_only=True)
class Environment:
    """Everything that may differ between two deployments of Paywarden.

    Attributes
    ----------
    name : str
        Part of every stack's name.
    account, region : str or None
        None leaves the stacks agnostic: the credentials at deploy time decide.
    pinned : bool
        Is deployed to an account and a region that are written down, and to no other (see `infra.targets.target`).
    owner, cost_centre : str
        Tags of every resource: who answers for it, and who pays.
    architecture : {"arm64", "x86_64"}
        Of the Lambda functions and of the layers built for them.
    retain_data : bool
        Tables, buckets and logs outlive their stack.
    point_in_time_recovery : bool
        Continuous backups of the tables.
    termination_protection : bool
        A stack refuses to be deleted, and a table refuses to be dropped.
    log_retention_days : int
        One of the values that CloudWatch Logs accepts.
    audit_lock : AuditLock
        For how long.
    replay_time : bool
        Accept the header that lets history be replayed with its own event times.
    stage_throttle : Throttle
        For the whole API.
    plans : tuple of Plan
        The usage plans that a merchant may be in; the first is the one for those who ask for none.
    authorizer_cache_seconds : int
        How long API Gateway keeps an authorizer's answer, which is the longest that an ended key may go on.
    config_refresh_seconds : int
        How often a scoring process polls for a new serving document.
    token_refresh_seconds : int
        How often a process looks at the keys of tokens; twice as long after a change every process knows it.
    store_patience_ms : int
        How long a decision waits for states and settings before it is made without them.
    release_latency_ms : int
        What 1 in 100 decisions may take while a model is being released, before it goes back.
    updater_concurrency : int
        The most copies of update_features at once.
    backtest_concurrency : int or None
        The most backtests at once, over all merchants. It is set aside from the account's concurrency, of which
        Lambda wants 100 left: None sets nothing aside, for new accounts, which have 10 in all.
    backtest_throttle : Throttle
        For backtests, over all merchants.
    lake_buffer_seconds : int
        How long Firehose gathers rows before it writes a Parquet file.
    training_image : str
        The image's name where `capabilities.container_images` is absent.
    run_policy : RunPolicy
        What a training run holds to, unless its input says otherwise.
    loose_runs : bool
        Whether that may also loosen gate, release and approval, and be as of a moment to come, for history that is
        replayed; otherwise it may only tighten them.
    monitoring_policy : MonitoringPolicy
        What models and data are held to by the daily look at the lake.
    edge : Edge
        What stands before the API.
    budget : Budget or None
        None watches no spending.
    canary : Canary or None
        How new code takes over, where the target has CodeDeploy; None all at once.
    """

    name: str
    account: str | None = None
    region: str | None = None
    pinned: bool = False
    owner: str = "payments-platform"
    cost_centre: str = "fraud"
    architecture: Architecture = "arm64"
    retain_data: bool = True
    point_in_time_recovery: bool = True
    termination_protection: bool = False
    log_retention_days: int = 30
    audit_lock: AuditLock = AuditLock()
    replay_time: bool = False
    stage_throttle: Throttle = Throttle(rate=1_000, burst=2_000)
    plans: tuple[Plan, ...] = (
        Plan(name="standard", throttle=Throttle(rate=200, burst=400), monthly_quota=10_000_000),
        Plan(name="high", throttle=Throttle(rate=500, burst=1_000), monthly_quota=100_000_000),
    )
    authorizer_cache_seconds: int = 60
    config_refresh_seconds: int = 60
    token_refresh_seconds: int = 300
    store_patience_ms: int = 150
    release_latency_ms: int = 500
    updater_concurrency: int = 20
    backtest_concurrency: int | None = 5
    backtest_throttle: Throttle = Throttle(rate=1, burst=5)
    lake_buffer_seconds: int = 300
    training_image: str = "paywarden-training:local"
    run_policy: RunPolicy = field(default_factory=RunPolicy)
    loose_runs: bool = False
    monitoring_policy: MonitoringPolicy = field(default_factory=MonitoringPolicy)
    edge: Edge = Edge()
    budget: Budget | None = None
    canary: Canary | None = None
    capabilities: Capabilities = Capabilities()

    def __post_init__(self) -> None:
        """Refuse a policy that no run could hold to.

        Raises
        ------
        ValueError
            Naming the environment and the field.
        """
        try:
            policy_of(self.run_policy)
        except PolicyError as error:
            raise ValueError(f"{self.name}: {error}") from None

    @property
    def prefix(self) -> str:
        """How the names of this environment's resources begin."""
        return f"paywarden-{self.name}"

    @property
    def shift(self) -> Canary | None:
        """How new code takes over by and by, where the target can do that; None all at once."""
        return self.canary if self.capabilities.code_deploy else None

    def deployment_name(self, verb_noun: str) -> str:
        """What CodeDeploy calls a function's deployments: the name of its application and of its only group."""
        return f"{self.prefix}-{verb_noun}"
