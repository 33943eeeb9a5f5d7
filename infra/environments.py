"""The environments that Paywarden is deployed to."""

import platform
from collections.abc import Mapping
from dataclasses import replace

from fraud.monitoring import MonitoringPolicy
from fraud.release import DataPolicy, ReleasePolicy, RunPolicy
from infra.environment import (
    Architecture,
    AuditLock,
    Budget,
    Canary,
    Capabilities,
    Edge,
    Environment,
    Plan,
    Throttle,
)

__all__ = ["DEV", "ENVIRONMENTS", "LOCAL", "PROD", "STAGING", "lookup"]


def _host_architecture() -> Architecture:
    return "arm64" if platform.machine().lower() in {"arm64", "aarch64"} else "x86_64"


DEV = Environment(
    name="dev",
    retain_data=False,
    point_in_time_recovery=False,
    log_retention_days=7,
    replay_time=True,
    config_refresh_seconds=5,
    # Nobody waits at a till here, and an emulator on a busy laptop is no measure of DynamoDB.
    store_patience_ms=2_000,
    lake_buffer_seconds=5,
    backtest_concurrency=None,
    backtest_throttle=Throttle(rate=200, burst=400),
    # Straight through, since nobody pays here: what passes the gate serves.
    run_policy=RunPolicy(
        release=ReleasePolicy(
            shadow_decisions=0,
            shadow_hours=0,
            canary_share=0,
            canary_minutes=0,
            probation_minutes=0,
            minimum_canary_decisions=1,
            unlabelled="pass",
            approval="bounds",
            poll_seconds=5,
        ),
        data=DataPolicy(maturity_days=3),
    ),
    loose_runs=True,
    # Histories are weeks old here, and windows over months grow with them: many features drift by that alone.
    monitoring_policy=MonitoringPolicy(minimum_decisions=200, maximum_drifted=0.5, cool_down_days=0.01),
)

# The local cloud is dev on another target: its capabilities, and the processor it runs on.
LOCAL = replace(
    DEV,
    name="local",
    architecture=_host_architecture(),
    # Nobody waits ten minutes for a laptop.
    token_refresh_seconds=2,
    # A busy laptop is no measure of a model either.
    release_latency_ms=10_000,
    capabilities=Capabilities(
        container_images=False,
        usage_plan_by_authorizer=False,
        snap_start=False,
        schedules=False,
        web_acl=False,
        code_deploy=False,
        budgets=False,
    ),
)

# Where cards are real, holders take weeks to notice.
_REAL = DataPolicy(maturity_days=30)

STAGING = Environment(
    name="staging", pinned=True, budget=Budget(dollars=500), canary=Canary(), run_policy=RunPolicy(data=_REAL)
)

PROD = Environment(
    name="prod",
    pinned=True,
    termination_protection=True,
    log_retention_days=365,
    # Seven years.
    audit_lock=AuditLock(days=2_557, compliance=True),
    stage_throttle=Throttle(rate=5_000, burst=10_000),
    # As much as the largest plan lets one merchant send.
    edge=Edge(requests_per_address=600_000),
    plans=(
        Plan(name="standard", throttle=Throttle(rate=500, burst=1_000), monthly_quota=100_000_000),
        Plan(name="high", throttle=Throttle(rate=2_000, burst=4_000), monthly_quota=1_000_000_000),
    ),
    updater_concurrency=100,
    budget=Budget(dollars=5_000),
    canary=Canary(),
    # A model that decides on people's money is let in by a person.
    run_policy=RunPolicy(data=_REAL, release=ReleasePolicy(approval="person")),
)

ENVIRONMENTS: Mapping[str, Environment] = {each.name: each for each in (LOCAL, DEV, STAGING, PROD)}


def lookup(name: str) -> Environment:
    """The environment of a name, bound to no account and no region.

    Raises
    ------
    ValueError
        If there is no such environment.
    """
    try:
        return ENVIRONMENTS[name]
    except KeyError:
        known = ", ".join(ENVIRONMENTS)
        raise ValueError(f"env: there is no environment {name!r}; give one of: {known}") from None
