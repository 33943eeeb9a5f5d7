"""The jobs that read the lake: how many days, on which machines, and for how long.

Days and machines are those that `plan_training` asks for; the speeds are of this repository's own measurements and
guesses, since no job has run on AWS from here.
"""

from dataclasses import dataclass

from fraud.manifest import DELIVERED
from fraud.windows import DAY
from infra.environments import PROD
from lambdas.plan_training.monitoring import needed_since
from lambdas.plan_training.plans import Machines, choose_engine, machines_to_read
from ops.capacity.work import ASSUMED

__all__ = ["MOST_ROWS", "Reading", "monitored_days", "reading", "replay_of"]

MOST_ROWS = 50_000_000
"""Decisions that a job holds in the memory of its first machine: docs/decisions/0013-spark.md."""

_CORES = {"ml.m5.xlarge": 2, "ml.m5.4xlarge": 8}
"""Whole cores; AWS counts two threads of each."""
# Rows a second and core. Of the standard set one core was measured at 243,000 (docs/benchmarks.md); Spark took ten
# times as long (docs/decisions/0013-spark.md).
_ROWS_A_SECOND = {"vectorised": 200_000, "spark": 20_000}
# By one core, as measured: docs/replay.md.
_REPLAYED_A_SECOND = 10_000


@dataclass(frozen=True, slots=True)
class Reading:
    """A job that reads so many days of decisions and of what was told of them.

    Attributes
    ----------
    wanted : float
        Decisions in these days.
    rows : float
        Of these, as many as a job holds.
    bytes : float
        Of the rows, as Parquet, on the disk of each machine.
    hours : float
        Of all machines together.
    """

    wanted: float
    rows: float
    bytes: float
    machines: Machines
    hours: float


def reading(rate: float, days: float) -> Reading:
    """What a job comes to that reads so many days of so many decisions a second."""
    wanted = rate * 86_400 * days
    rows = min(wanted, MOST_ROWS)
    # The row of a report has a fourth of the bytes of a decision's.
    size = rows * ASSUMED.parquet_bytes * (1 + ASSUMED.reports / 4)
    engine = choose_engine("auto", round(size))
    machines = machines_to_read(engine, round(size))
    computing = rows / (_ROWS_A_SECOND[engine] * _CORES[machines.type] * machines.count)
    seconds = ASSUMED.job_start_seconds + size / ASSUMED.copied_a_second + computing
    return Reading(wanted, rows, size, machines, machines.count * seconds / 3_600)


def replay_of(rate: float, days: float) -> Reading:
    """What a replay of so many days as they were served comes to, and two days more for what was late."""
    rows = rate * 86_400 * (days + DELIVERED / DAY)
    size = rows * ASSUMED.parquet_bytes * (1 + ASSUMED.reports / 4)
    machines = Machines(volume_gb=Machines().volume_gb + -(-2 * round(size) // 1_000_000_000))
    seconds = ASSUMED.job_start_seconds + size / ASSUMED.copied_a_second + rows / _REPLAYED_A_SECOND
    return Reading(rows, rows, size, machines, seconds / 3_600)


def monitored_days() -> float:
    """How many days a daily report reads, by the policies of prod."""
    now = 10_000 * DAY
    return (now - needed_since(now, PROD.run_policy, PROD.monitoring_policy)) / DAY
