"""How much memory the work takes beyond its input and its output: ``python -m tests.benchmarks.memory NAME``.

Prints megabytes a million rows. Run in a process of its own, so that nothing else has been there before.
"""

import re
import sys
from collections.abc import Callable
from pathlib import Path

from fraud.features.handbook import HANDBOOK
from tests.benchmarks.data import columns, event_table
from training.engines.events import EventTable
from training.engines.vectorised import compute

SIZE = 4


def _of_process(what: str) -> int:
    found = re.search(rf"^{what}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.M)
    if found is None:
        raise RuntimeError(f"/proc/self/status says nothing of {what}; this is measured on Linux only")
    return int(found[1]) * 1024


def _peak(work: Callable[[], object]) -> int:
    """Bytes at the peak of some work above what was there before it."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak is measured anew from here
    before = _of_process("VmRSS")
    kept = work()
    peak = _of_process("VmHWM")
    del kept
    return peak - before


def main(name: str) -> float:
    """Megabytes a million rows."""
    few = columns(most=10_000)
    data = columns(SIZE)
    if name == "ours":
        small, table = event_table(few), event_table(data)
        compute(EventTable.of(small, ordered=True), HANDBOOK)  # compiles
        peak = _peak(lambda: compute(EventTable.of(table, ordered=True), HANDBOOK))
    else:
        from tests.benchmarks.peers import PEERS

        peer = PEERS[name]
        peer.work(peer.held(few))
        held = peer.held(data)
        peak = _peak(lambda: peer.work(held))
    rows = len(data.time)
    return (peak - rows * len(HANDBOOK.names) * 8) / rows


if __name__ == "__main__":
    print(main(sys.argv[1]))  # noqa: T201 - read by the process that started it
