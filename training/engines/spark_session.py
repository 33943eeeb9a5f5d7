"""Spark sessions for this program: bound to one address, without a user interface, run by this very Python."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from os import process_cpu_count
from pathlib import Path

from pyspark.errors import PySparkRuntimeError
from pyspark.sql import SparkSession

import fraud
import training

__all__ = ["LOOPBACK", "SparkError", "local_master", "spark_session"]

LOOPBACK = "127.0.0.1"

# What goes wrong is told; how Spark starts and where it binds is not news.
_LOGGING = """
rootLogger.level = error
rootLogger.appenderRef.stderr.ref = stderr
appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = spark: %p %c{1}: %m%n%ex
"""

# Where the workers find what the driver imported.
_PATHS = sorted({str(Path(str(package.__file__)).parents[1]) for package in (fraud, training)})


class SparkError(RuntimeError):
    """Spark cannot do it; the message says why, and what to do."""


def local_master(cores: int | None = None) -> str:
    """This machine as Spark's address, with so many cores, all of them by default."""
    return f"local[{cores or process_cpu_count() or 1}]"


@contextmanager
def spark_session(
    master: str | None = None,
    *,
    address: str = LOOPBACK,
    driver_memory: str = "2g",
    executor_memory: str | None = None,
) -> Iterator[SparkSession]:
    """A session that is stopped in the end; in a process that has one already, that one, which goes on.

    Parameters
    ----------
    master : str, optional
        Spark's address; this machine with all of its cores by default.
    address : str
        The host's name or address by which executors reach the driver.
    driver_memory, executor_memory : str
        Of the Java heaps, such as ``2g``; the Python workers come on top.

    Raises
    ------
    SparkError
        If Java does not start.
    """
    running = SparkSession.getActiveSession()
    if running is not None:
        yield running
        return
    # Java may still be writing there when it is asked to stop.
    with tempfile.TemporaryDirectory(prefix="paywarden-spark-", ignore_cleanup_errors=True) as scratch:
        logging = Path(scratch) / "log4j2.properties"
        logging.write_text(_LOGGING)
        settings: dict[str, bool | float | int | str | None] = {
            "spark.driver.bindAddress": address,
            "spark.driver.host": address,
            "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile={logging.as_uri()}",
            "spark.driver.memory": driver_memory,
            "spark.driver.maxResultSize": "0",
            "spark.executorEnv.PYTHONPATH": ":".join(_PATHS),
            "spark.local.dir": scratch,
            "spark.log.level": "ERROR",
            "spark.sql.warehouse.dir": f"{scratch}/warehouse",
            # The engine says into how many tasks its events go; what is left to Spark are counts of keys.
            "spark.sql.adaptive.enabled": "false",
            "spark.sql.shuffle.partitions": "32",
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            "spark.sql.session.timeZone": "UTC",
            "spark.sql.execution.arrow.maxRecordsPerBatch": str(1 << 16),
        }
        if executor_memory is not None:
            settings["spark.executor.memory"] = executor_memory
        builder = SparkSession.builder.appName("paywarden").master(master or local_master()).config(map=settings)
        try:
            session = builder.getOrCreate()
        except PySparkRuntimeError as error:
            raise SparkError(
                "Spark did not start; it needs Java 17 or later (install it, or use the vectorised engine)"
            ) from error
        # The name of the program in its workers; PYSPARK_PYTHON would be read from the environment.
        session.sparkContext.pythonExec = sys.executable
        try:
            yield session
        finally:
            session.stop()
