"""Every benchmark in one go: a table on the terminal, the rows in a JSON file (``make bench``).

Parts may be named, to run only those: offline, online, decision, cold, stream, feast, spark, training.
"""

import argparse
import platform
import sys
from collections.abc import Callable, Iterator
from os import process_cpu_count
from pathlib import Path
from time import perf_counter

from tests.benchmarks.cold import cold_rows
from tests.benchmarks.decision import decision_rows
from tests.benchmarks.feast_store import feast_rows
from tests.benchmarks.offline import offline_rows
from tests.benchmarks.online import online_rows
from tests.benchmarks.results import Row, missing, show, write
from tests.benchmarks.spark import spark_rows
from tests.benchmarks.streams import stream_rows
from tests.benchmarks.training import training_rows

PARTS: dict[str, Callable[[], Iterator[Row]]] = {
    "offline": offline_rows,
    "online": online_rows,
    "decision": decision_rows,
    "cold": cold_rows,
    "stream": stream_rows,
    "feast": feast_rows,
    "spark": spark_rows,
    "training": training_rows,
}


def main() -> int:
    """Run the parts, tell of each row as it comes, and end with the table; 1 if a part failed."""
    parser = argparse.ArgumentParser(description="Paywarden's benchmarks")
    parser.add_argument("parts", nargs="*", help=f"any of {', '.join(PARTS)}; all by default")
    parser.add_argument("--json", type=Path, default=Path("build/bench.json"))
    asked = parser.parse_args()
    unknown = set(asked.parts) - PARTS.keys()
    if unknown:
        parser.error(f"there is no part {', '.join(sorted(unknown))}; use {', '.join(PARTS)}")
    begun = perf_counter()
    rows, broken = [], []
    for part in asked.parts or PARTS:
        try:
            for row in PARTS[part]():
                rows.append(row)
                sys.stderr.write(f"{perf_counter() - begun:5.0f} s  {row.name}\n")
        except Exception as error:
            # The other parts still count, and the one that failed is a row that says so.
            broken.append(part)
            rows.append(missing(part, f"{type(error).__name__}: {error}"))
    write(rows, asked.json)
    missed = [row.name for row in rows if row.met is False]
    lines = [
        show(rows),
        "",
        f"Python {platform.python_version()}, {process_cpu_count()} cores, {platform.machine()}, "
        f"{perf_counter() - begun:.0f} s. Rows in {asked.json}.",
        f"Goals missed: {', '.join(missed) or 'none'}. Parts that failed: {', '.join(broken) or 'none'}.",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
