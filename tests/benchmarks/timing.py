"""How time is taken: several callables in turn, so that a busy machine disturbs all of them alike."""

import gc
from collections.abc import Callable, Mapping
from statistics import median
from time import perf_counter, perf_counter_ns

__all__ = ["interleaved", "latencies"]


def interleaved(works: Mapping[str, Callable[[], object]], rounds: Mapping[str, int]) -> dict[str, float]:
    """The median seconds of each work; the callers have run each once, so that what is compiled is there.

    Parameters
    ----------
    rounds : mapping of name to int
        How often each is run; the works take turns.
    """
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(max(rounds.values())):
        for name, work in works.items():
            if turn < rounds[name]:
                gc.collect()
                begun = perf_counter()
                work()
                seconds[name].append(perf_counter() - begun)
    return {name: median(taken) for name, taken in seconds.items()}


def latencies(work: Callable[[int], object], times: int) -> tuple[float, float]:
    """Median and 99th percentile of one call, in microseconds; `work` is told which call it is."""
    for call in range(min(times, 200)):
        work(call)
    taken = []
    for call in range(times):
        begun = perf_counter_ns()
        work(call)
        taken.append(perf_counter_ns() - begun)
    taken.sort()
    return taken[len(taken) // 2] / 1_000, taken[len(taken) * 99 // 100] / 1_000
